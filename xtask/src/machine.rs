//! The machine that a measurement or a run of the tests belongs to.

use std::fs;

/// Processor, cores and memory in words, as far as Linux tells.
pub(crate) fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = info.lines().find(|l| l.split(':').next().is_some_and(|k| k.trim() == key))?;
        Some(line.split_once(':')?.1.trim().to_string())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let family = match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!(" (family {family}, model {model})"),
        _ => String::new(),
    };
    let flags = field("flags").unwrap_or_default();
    let has: Vec<&str> = ["avx2", "avx512f", "avx_vnni", "avx512_vnni"]
        .into_iter()
        .filter(|wanted| flags.split(' ').any(|flag| flag == *wanted))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib =
        memory.lines().find_map(|l| l.strip_prefix("MemTotal:")).and_then(kib).map_or(0.0, |k| k / 1048576.0);
    format!("{name}{family}, {cores} cores, {gib:.0} GiB, {}", has.join(" "))
}

fn kib(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// Whether the processor has AVX-512.
pub(crate) fn has_avx512() -> bool {
    fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains("avx512f")
}

/// Whether the processor has instructions for sums of products of bytes.
pub(crate) fn has_vnni() -> bool {
    fs::read_to_string("/proc/cpuinfo").unwrap_or_default().contains("vnni")
}
