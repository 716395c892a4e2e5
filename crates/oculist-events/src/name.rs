//! Names of event files, which say in what order they are read.

use std::io;
use std::path::Path;
use std::time::SystemTime;
use std::{fs, process};

/// What every event file's name begins with.
const PREFIX: &str = "events.out.tfevents.";
/// What makes a file one for TensorBoard, wherever it stands in the name.
const MARK: &str = "tfevents";
/// Characters of the host that a name holds at most.
const HOST_LENGTH: usize = 64;

/// Who writes an event file, as its name says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the machine.
    pub host: String,
    /// Number of the process.
    pub process: u32,
}

impl Origin {
    /// This process on this machine; where the system does not tell the machine's name in a file, on `localhost`.
    pub fn here() -> Self {
        let host = oculist_files::read_to_string(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        Self { host: host.trim().to_owned(), process: process::id() }
    }
}

/// The name of an event file of a folder, in the order of reading the greatest.
///
/// TensorBoard reads the files of a folder in the order of their names, so one that goes on with the work of another must not
/// have a lesser name, whatever the clock says.
///
/// # Errors
/// What the system says, or that another file's name is too great.
pub(crate) fn next(folder: &Path, origin: &Origin, now: SystemTime) -> io::Result<String> {
    let last = last(folder)?;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let seconds = last.as_deref().and_then(seconds_of).map_or(now, |s| now.max(s.saturating_add(1)));
    let host: String = origin
        .host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' })
        .take(HOST_LENGTH)
        .collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    let name = format!("{PREFIX}{seconds:010}.{host}.{}.0", origin.process);
    match last.filter(|last| *last >= name) {
        None => Ok(name),
        Some(last) => {
            Err(io::Error::other(format!("`{last}` has a name after `{name}`, so it would be read last")))
        }
    }
}

/// The event file of a folder that is read last.
///
/// # Errors
/// What the system says.
pub(crate) fn last(folder: &Path) -> io::Result<Option<String>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(MARK) {
            last = last.max(Some(name));
        }
    }
    Ok(last)
}

/// The time in a name, seconds since 1970.
fn seconds_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn later_files_have_greater_names_whatever_the_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for (seconds, process) in [(1_000_000_000, 99), (1_000_000_000, 100), (5, 7), (1_000_000_010, 1)] {
            let name = next(dir.path(), &Origin { host: "here".into(), process }, at(seconds)).unwrap();
            fs::write(dir.path().join(&name), "").unwrap();
            names.push(name);
        }
        assert_eq!(names[0], "events.out.tfevents.1000000000.here.99.0");
        assert!(names.is_sorted(), "{names:?}");
        assert!(names[3].contains(".1000000010."), "{}", names[3]);
        fs::write(dir.path().join("other.tfevents"), "").unwrap();
        let problem = next(dir.path(), &Origin::here(), at(0)).unwrap_err().to_string();
        assert!(problem.starts_with("`other.tfevents` has a name after"), "{problem}");
    }

    #[test]
    fn a_host_is_one_part_of_a_name() {
        let dir = tempfile::tempdir().unwrap();
        for (host, part) in [("a.b/../c", ".a-b----c."), ("", ".localhost."), ("Ü", ".-.")] {
            let name = next(dir.path(), &Origin { host: host.into(), process: 1 }, at(0)).unwrap();
            assert!(name.contains(part), "{name}");
        }
        assert_eq!(Origin::here().process, process::id());
    }
}
