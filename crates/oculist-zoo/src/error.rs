//! The error of this crate.

use std::fmt;

use oculist_graph::GraphError;
use thiserror::Error;

/// A parameter whose foreign tensor does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The parameter.
    pub name: String,
    /// Type and shape that the graph has, such as `f32[64, 3, 7, 7]`.
    pub expected: String,
    /// Type and shape that was given.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` expected {}, found {}", self.name, self.expected, self.found)
    }
}

/// Why an architecture could not be built or filled.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZooError {
    /// No architecture has this name.
    #[error("no architecture is called `{name}`; {}", suggest(near))]
    UnknownArchitecture {
        /// What was asked for.
        name: String,
        /// Names that are spelt alike, nearest first.
        near: Vec<&'static str>,
    },
    /// A build option is out of range.
    #[error("option `{option}`: expected {expected}, found {found}")]
    Option {
        /// Field of [`crate::BuildOptions`].
        option: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// The layers do not fit the input size.
    #[error("`{name}` cannot be built for an input of {}x{}x{}: {source}", input.0, input.1, input.2)]
    Build {
        /// The architecture.
        name: &'static str,
        /// Channels, height and width.
        input: (usize, usize, usize),
        /// The node that does not fit.
        source: GraphError,
    },
    /// Named tensors did not cover the graph's parameters; nothing was changed.
    #[error("cannot load the parameters of `{graph}`: {}", list(missing, mismatched))]
    Parameters {
        /// Name of the graph.
        graph: String,
        /// Parameters for which no tensor was found, in the graph's order.
        missing: Vec<String>,
        /// Parameters whose tensor has another type or shape, in the graph's order.
        mismatched: Vec<Mismatch>,
    },
}

fn suggest(near: &[&str]) -> String {
    if near.is_empty() {
        "`oculist zoo list` shows all of them".into()
    } else {
        format!("did you mean {}?", near.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))
    }
}

/// At most this many names appear in a message; the error's fields hold all of them.
const SHOWN: usize = 8;

fn list(missing: &[String], mismatched: &[Mismatch]) -> String {
    let shorten = |mut items: Vec<String>, separator: &str| {
        let more = items.len().saturating_sub(SHOWN);
        items.truncate(SHOWN);
        let text = items.join(separator);
        if more == 0 { text } else { format!("{text}{separator}and {more} more") }
    };
    let mut parts = Vec::new();
    if !missing.is_empty() {
        let names = missing.iter().map(|n| format!("`{n}`")).collect();
        parts.push(format!("{} missing ({})", missing.len(), shorten(names, ", ")));
    }
    if !mismatched.is_empty() {
        let items = mismatched.iter().map(ToString::to_string).collect();
        parts.push(format!("{} that do not fit ({})", mismatched.len(), shorten(items, "; ")));
    }
    parts.join(", ")
}
