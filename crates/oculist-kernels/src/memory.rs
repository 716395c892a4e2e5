//! How much memory there is, and whether a plan may have as much as it needs.

use std::path::{Path, PathBuf};

use crate::KernelError;

/// What is assumed where the system does not tell: 64 GiB, so that nothing that may well fit is refused.
const UNKNOWN: usize = 64 << 30;

/// Bytes that a process on this machine can have at the most: the memory that is built in, or less where a control group
/// or the process's own limit of address space says so.
pub fn machine_memory() -> usize {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let installed = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("/proc/self/cgroup")).map(|text| group_files(&text)).unwrap_or_default();
    let group = groups.iter().filter_map(|path| read(path)?.trim().parse().ok()).min();
    let known = [installed, group, address_space()];
    known.into_iter().flatten().min().unwrap_or(UNKNOWN).min(isize::MAX as usize)
}

/// The total of `/proc/meminfo` in bytes.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<usize>().ok()?.checked_mul(1024)
}

/// The files that may hold the limits of the process's control groups and of those around them, for both versions.
///
/// Inside a container the group's path may be that of the host while the files of the container lie at the top, so that
/// every folder up to the top counts.
fn group_files(cgroup: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        for folder in Path::new(path.trim_start_matches('/')).ancestors() {
            files.push(Path::new(top).join(folder).join(name));
        }
    }
    files
}

/// The limit of the process's address space (`ulimit -v`), if it has one.
fn address_space() -> Option<usize> {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes the structure that it is given.
        let told = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
        if told && limit.rlim_cur != libc::RLIM_INFINITY {
            return usize::try_from(limit.rlim_cur).ok();
        }
    }
    None
}

/// Refuses `needed` bytes for `what` beyond `limit`.
pub(crate) fn check(what: &str, needed: usize, limit: usize) -> Result<(), KernelError> {
    if needed <= limit {
        return Ok(());
    }
    let (needed, limit) = both_in_words(needed, limit);
    Err(KernelError::Memory { what: what.to_owned(), needed, limit })
}

/// The error for `bytes` that the system does not give to `what`.
pub(crate) fn refused(what: &str, bytes: usize) -> KernelError {
    KernelError::NoMemory { what: what.to_owned(), needed: in_words(bytes) }
}

/// Two numbers of bytes that differ, in words that differ too: in bytes where a tenth of a unit does not tell them apart.
fn both_in_words(a: usize, b: usize) -> (String, String) {
    let words = (in_words(a), in_words(b));
    if words.0 == words.1 { (format!("{a} bytes"), format!("{b} bytes")) } else { words }
}

/// A number of bytes with a unit, powers of 1024.
fn in_words(bytes: usize) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    match unit {
        _ if bytes == usize::MAX => "more than any machine has".to_owned(),
        0 => format!("{bytes} bytes"),
        _ => format!("{size:.1} {}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_its_memory() {
        assert_eq!(total("MemTotal:       24617268 kB\nMemFree: 1 kB\n"), Some(24_617_268 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(machine_memory() > 1 << 20 && isize::try_from(machine_memory()).is_ok());
    }

    #[test]
    fn limits_of_all_groups_around_are_asked_for() {
        let files = group_files("12:cpu,memory:/a/b\n3:cpuset:/a\n0::/c\n");
        let want = [
            "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/a/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/c/memory.max",
            "/sys/fs/cgroup/memory.max",
        ];
        assert_eq!(files, want.map(PathBuf::from));
    }

    #[test]
    fn what_is_too_much_is_said_with_both_numbers() {
        assert!(check("the plan", 100, 100).is_ok());
        let text = check("the plan of `net`", 41 << 30, 24 << 30).unwrap_err().to_string();
        assert!(
            text.contains("the plan of `net` needs 41.0 GiB") && text.contains("limit is 24.0 GiB"),
            "{text}"
        );
        assert!(text.contains("--max-memory"), "{text}");
        // Two numbers that the unit rounds to one are said in full.
        let text = check("it", (1 << 20) + 5, 1 << 20).unwrap_err().to_string();
        assert!(text.contains("needs 1048581 bytes") && text.contains("limit is 1048576 bytes"), "{text}");
        assert_eq!((in_words(1023), in_words(1536)), ("1023 bytes".to_owned(), "1.5 KiB".to_owned()));
        assert!(
            check("it", usize::MAX, 1 << 60).unwrap_err().to_string().contains("more than any machine has")
        );
    }
}
