//! What fitted and what did not.

use std::fmt;

use oculist_text::name as shown;

/// A weight whose tensor in the file is of another shape or type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The weight in the graph.
    pub name: String,
    /// Type and shape in the graph, such as `f32[10, 64]`.
    pub expected: String,
    /// Type and shape in the file.
    pub found: String,
}

/// What of a file went into a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Whose names the file has.
    pub producer: &'static str,
    /// Weights of the graph that were in the file, by their names in the graph.
    pub matched: Vec<String>,
    /// Weights of the graph that the file does not have.
    pub missing: Vec<String>,
    /// Tensors of the file that the graph does not have, by their names in the file.
    pub left_over: Vec<String>,
    /// Weights that the file has in another shape or type.
    pub differing: Vec<Differing>,
    /// Tensors of the file that are no weights: counters of batches and the like.
    pub ignored: Vec<String>,
    /// Classes of the classifier in the file and in the graph, if that is what differs.
    pub classes: Option<(usize, usize)>,
    /// What a user should know.
    pub notes: Vec<String>,
}

/// How many mismatches a message names.
const NAMED: usize = 3;

impl fmt::Display for LoadReport {
    /// The first mismatches by name, one of each kind before a second one, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            Kind {
                texts: self
                    .differing
                    .iter()
                    .take(NAMED)
                    .map(|d| format!("`{}` expected {}, found {}", shown(&d.name), d.expected, d.found))
                    .collect(),
                count: self.differing.len(),
                rest: "of another shape",
            },
            Kind {
                texts: self
                    .missing
                    .iter()
                    .take(NAMED)
                    .map(|n| format!("`{}` is missing", shown(n)))
                    .collect(),
                count: self.missing.len(),
                rest: "missing",
            },
            Kind {
                texts: self
                    .left_over
                    .iter()
                    .take(NAMED)
                    .map(|n| format!("`{}` is not in the graph", shown(n)))
                    .collect(),
                count: self.left_over.len(),
                rest: "not in the graph",
            },
        ];
        let weights = self.matched.len() + self.missing.len() + self.differing.len();
        write!(f, "{} of {weights} weights fit", self.matched.len())?;
        let mut named = [0; 3];
        // Rounds over the kinds: what is missing often is what is left over by another name.
        for place in (0..NAMED).flat_map(|_| 0..kinds.len()) {
            if named.iter().sum::<usize>() < NAMED && named[place] < kinds[place].count {
                named[place] += 1;
            }
        }
        let mut separator = "; ";
        for (kind, &count) in kinds.iter().zip(&named) {
            for text in &kind.texts[..count] {
                write!(f, "{separator}{text}")?;
                separator = ", ";
            }
        }
        separator = "; besides ";
        for (kind, &count) in kinds.iter().zip(&named) {
            if kind.count > count {
                write!(f, "{separator}{} {}", kind.count - count, kind.rest)?;
                separator = ", ";
            }
        }
        if let Some((file, graph)) = self.classes {
            write!(f, "; the file's classifier has {file} classes, the graph's {graph}")?;
        }
        Ok(())
    }
}

struct Kind {
    texts: Vec<String>,
    count: usize,
    rest: &'static str,
}
