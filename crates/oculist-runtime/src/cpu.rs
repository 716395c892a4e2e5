//! The name of the processor, for reports.

/// The processor's model name as the operating system gives it, or the architecture where it gives none.
pub fn cpu_name() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| model_name(&text))
        .unwrap_or_else(|| format!("unknown {} processor", std::env::consts::ARCH))
}

/// The operating system with its architecture and, where it says so, its own name: `linux x86_64 (Debian GNU/Linux 12)`.
pub fn os_name() -> String {
    let os = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    let release = ["/etc/os-release", "/usr/lib/os-release"]
        .into_iter()
        .find_map(|path| std::fs::read_to_string(path).ok().as_deref().and_then(pretty_name));
    match release {
        Some(name) => format!("{os} ({name})"),
        None => os,
    }
}

/// The line `PRETTY_NAME="..."` of `os-release`.
fn pretty_name(release: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    let name = value.trim().trim_matches(['"', '\'']).trim();
    (!name.is_empty()).then(|| name.to_owned())
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
    fn the_system_says_its_name() {
        let text = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        assert_eq!(pretty_name(text).as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(pretty_name("PRETTY_NAME=Alpine\n").as_deref(), Some("Alpine"));
        assert_eq!(pretty_name("NAME=x\nPRETTY_NAME=\"\"\n"), None);
        assert!(os_name().starts_with(std::env::consts::OS));
    }

    #[test]
    fn the_first_model_name_counts() {
        let text =
            "processor\t: 0\nmodel name\t: AMD EPYC  7R13 Processor\n\nprocessor\t: 1\nmodel name\t: other\n";
        assert_eq!(model_name(text).as_deref(), Some("AMD EPYC 7R13 Processor"));
        assert_eq!(model_name("processor : 0\n"), None);
    }
}
