//! The name of the processor, for reports.

/// The processor's model name as the operating system gives it, or the architecture where it gives none.
pub fn cpu_name() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| model_name(&text))
        .unwrap_or_else(|| format!("unknown {} processor", std::env::consts::ARCH))
}

fn model_name(cpuinfo: &str) -> Option<String> {
    let (_, name) = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(key.trim(), "model name" | "Model" | "Processor"))?;
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_model_name_counts() {
        let text =
            "processor\t: 0\nmodel name\t: AMD EPYC  7R13 Processor\n\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(model_name(text).as_deref(), Some("AMD EPYC 7R13 Processor"));
        assert_eq!(model_name("processor : 0\n"), None);
    }
}
