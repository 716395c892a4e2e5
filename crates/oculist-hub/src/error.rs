//! The error of this crate.

use std::fmt;
use std::io;
use std::path::PathBuf;

use oculist_text::{name as shown, visible};
use thiserror::Error;

/// Why a model of the Hub is not there.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HubError {
    /// The name of the model cannot be read.
    #[error("`{}`: {problem}", shown(text))]
    Spec {
        /// The name as it was given.
        text: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A setting cannot be used. The token itself is never named.
    #[error("{name}: {problem}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What was expected and what was found.
        problem: String,
    },
    /// The network must not be used, and the cache does not have the file.
    #[error(
        "`{spec}` is not in the cache, and the network is not used (offline, HF_HUB_OFFLINE). {elsewhere}"
    )]
    Offline {
        /// The model.
        spec: String,
        /// How to get it all the same.
        elsewhere: Box<Elsewhere>,
    },
    /// The Hub cannot be reached, and the cache does not have the file.
    #[error("`{spec}` is not in the cache, and the Hub cannot be reached: {}. {elsewhere}", visible(cause))]
    Unreachable {
        /// The model.
        spec: String,
        /// What went wrong.
        cause: String,
        /// How to get it all the same.
        elsewhere: Box<Elsewhere>,
    },
    /// The Hub wants to know who asks, or does not let them (401, 403).
    #[error(
        "the Hub does not give `{repository}` ({status}{}): {}; if it is not public, accept its licence at {page} and {}",
        said(message),
        if *status == 401 { "there is no such repository, or it is not public" } else { "access is refused" },
        if *with_token { "see whether the token may read it (HF_TOKEN)" }
        else { "set a token that may read it (HF_TOKEN, or `hf auth login`)" }
    )]
    Denied {
        /// `OWNER/NAME`.
        repository: String,
        /// Status of the answer.
        status: u16,
        /// What the Hub said, or nothing.
        message: String,
        /// Whether a token was sent.
        with_token: bool,
        /// The repository's page.
        page: String,
    },
    /// There is no such repository.
    #[error("there is no repository `{repository}` at {endpoint} (404)")]
    NoRepository {
        /// `OWNER/NAME`.
        repository: String,
        /// The Hub that was asked.
        endpoint: String,
    },
    /// The repository does not have such a branch, tag or commit.
    #[error("`{repository}` has no branch, tag or commit `{}` (404)", shown(revision))]
    NoRevision {
        /// `OWNER/NAME`.
        repository: String,
        /// The revision.
        revision: String,
    },
    /// The repository does not have such a file.
    #[error("`{repository}` has no file `{}`{}", shown(file), near_names(near))]
    NoFile {
        /// `OWNER/NAME`.
        repository: String,
        /// The file.
        file: String,
        /// Files with similar names, or its models.
        near: Vec<String>,
    },
    /// No file was named, and which is meant cannot be told.
    #[error("`{repository}` has several models; name one of them, hf:{repository}/FILE: {}", listed(choices))]
    Ambiguous {
        /// `OWNER/NAME`.
        repository: String,
        /// The models.
        choices: Vec<String>,
    },
    /// No file was named, and none is a model.
    #[error("`{repository}` has no .onnx, .safetensors or pytorch_model.bin; found {}", listed(found))]
    NoModel {
        /// `OWNER/NAME`.
        repository: String,
        /// Its files.
        found: Vec<String>,
    },
    /// The Hub answered with a status that nothing can be done about.
    #[error("{url} answered {status}{}", said(message))]
    Status {
        /// What was asked for.
        url: String,
        /// Status of the answer.
        status: u16,
        /// What it said, or nothing.
        message: String,
    },
    /// An answer is not what the Hub's answers are.
    #[error("{}: {}", visible(url), visible(problem))]
    Answer {
        /// What was asked for.
        url: String,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file ended too early or too late; nothing of it was kept.
    #[error("`{}`: expected {expected} bytes, found {found}; nothing of it was kept", shown(file))]
    Length {
        /// The file.
        file: String,
        /// Its length by the Hub's headers.
        expected: u64,
        /// The length that came.
        found: u64,
    },
    /// A file does not have the checksum that the Hub named; nothing of it was kept.
    #[error("`{}`: expected the SHA-256 {expected}, found {found}; nothing of it was kept", shown(file))]
    Checksum {
        /// The file.
        file: String,
        /// What the Hub named.
        expected: String,
        /// What the bytes have.
        found: String,
    },
    /// The connection broke; what was loaded is kept and continued the next time.
    #[error(
        "`{}`: the connection ended after {loaded}{} bytes ({}); the same command goes on there",
        shown(file),
        total.map(|n| format!(" of {n}")).unwrap_or_default(),
        visible(cause)
    )]
    Interrupted {
        /// The file.
        file: String,
        /// Bytes that are there.
        loaded: u64,
        /// Its length, if it is known.
        total: Option<u64>,
        /// What went wrong.
        cause: String,
    },
    /// There is no room for the file; what was loaded of it was removed.
    #[error(
        "no room for `{}`{}: {cause}; make room, or set HF_HUB_CACHE to a folder on another disk",
        path.display(),
        needed.map(|n| format!(" ({n} bytes)")).unwrap_or_default()
    )]
    DiskFull {
        /// The file in the cache.
        path: PathBuf,
        /// Its length, if it is known.
        needed: Option<u64>,
        /// What the system said.
        cause: io::Error,
    },
    /// Something in the cache cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Something in the cache cannot be written.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// How to get a model that can neither be found nor fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elsewhere {
    /// Where the file would be in the cache, or the repository's folder there if the commit or the file is not known.
    pub place: PathBuf,
    /// Whether `place` is a folder.
    pub is_folder: bool,
    /// Where a browser finds it.
    pub url: String,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.display();
        write!(f, "Load it on another machine ({}) and give its path instead (--model PATH), or ", self.url)?;
        if self.is_folder {
            write!(f, "copy the folder that the cache of another machine has for it to `{place}`")
        } else {
            write!(f, "put it at `{place}`")
        }
    }
}

/// The error of writing into the cache: a full disk is told apart.
pub(crate) fn write_error(path: PathBuf, needed: Option<u64>, cause: io::Error) -> HubError {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            HubError::DiskFull { path, needed, cause }
        }
        _ => HubError::Write { path, cause },
    }
}

/// Names for a message, the first ten of them.
fn listed(names: &[String]) -> String {
    const MOST: usize = 10;
    if names.is_empty() {
        return "nothing".into();
    }
    let text = names.iter().take(MOST).map(|n| format!("`{}`", shown(n))).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{text} and {} more", names.len() - MOST) } else { text }
}

fn near_names(near: &[String]) -> String {
    if near.is_empty() { String::new() } else { format!("; near are {}", listed(near)) }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(", \"{}\"", visible(message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = |kind| write_error("blob".into(), Some(7), io::Error::from(kind)).to_string();
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            let text = full(kind);
            assert!(
                text.starts_with("no room for `blob` (7 bytes)") && text.contains("HF_HUB_CACHE"),
                "{text}"
            );
        }
        assert!(full(io::ErrorKind::PermissionDenied).starts_with("cannot write `blob`"));
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<_> = (0..12).map(|i| format!("m{i}.onnx")).collect();
        let err = HubError::Ambiguous { repository: "a/b".into(), choices: names };
        assert!(err.to_string().ends_with("`m9.onnx` and 2 more"), "{err}");
    }
}
