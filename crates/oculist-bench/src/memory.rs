//! What Linux tells about this process; 0 elsewhere.

/// Peak resident memory in KiB.
pub(crate) fn peak_kb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    peak_of(&text)
}

fn peak_of(status: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Page faults so far that needed no disk.
pub(crate) fn page_faults() -> u64 {
    faults_of(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default())
}

fn faults_of(stat: &str) -> u64 {
    // The name in brackets may contain spaces; field 10 counts from the start, so the eighth after the name.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().nth(7).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t  1234 kB\nVmRSS:\t 1 kB\n"), 1234);
        assert_eq!(peak_of(""), 0);
        assert_eq!(faults_of("7 (a b) c) S 1 7 7 0 -1 4194304 95 0 0 0 1"), 95);
        assert_eq!(faults_of(""), 0);
    }
}
