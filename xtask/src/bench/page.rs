//! docs/benchmarks.md and docs/benchmarks-augmentation.md: one section for each bench, replaced when it is measured again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::augment_page::{self, Line};
use super::cases::Bench;
use super::peers::Peers;
use super::row::{self, Row};
use super::{Options, augment, measure};
use crate::machine;
use crate::process;

/// A section.
#[derive(Debug)]
pub(crate) struct Page {
    bench: Bench,
    text: String,
}

impl Page {
    pub(crate) fn new(bench: Bench, options: &Options, peers: &Peers, rows: &[Row]) -> Self {
        let mut text = String::new();
        let _ = peers;
        let _ = writeln!(text, "Machine: {}. {} threads.", machine::describe(), options.threads);
        let versions: BTreeSet<&str> = rows.iter().filter_map(|r| r.peer.as_deref()).collect();
        if !versions.is_empty() {
            let versions: Vec<&str> = versions.into_iter().collect();
            let _ = writeln!(text, "Peers: {}.", versions.join(", "));
        }
        let _ = writeln!(text, "Measured on {} by `{}`.\n", today(), command(bench, options));
        if bench == Bench::Convolutions {
            text += &convolutions(rows);
        } else {
            let speed: Vec<&Row> = rows.iter().filter(|r| r.unit == "images/s").collect();
            text += "Images per second, median of the rounds; in brackets how many times faster ours is (median of \
                     the ratios of neighbouring rounds).\n\n";
            text += &table(&speed, true);
            let memory: Vec<&Row> = rows.iter().filter(|r| r.unit == "MB peak").collect();
            text +=
                "\nPeak resident memory of the process in MB; in brackets how many times less ours is.\n\n";
            text += &table(&memory, false);
        }
        Self { bench, text }
    }

    /// The augmentation's section.
    pub(crate) fn of_augment(options: &Options, lines: &[Line]) -> Self {
        let mut text = format!("Machine: {}. One core each.\n", machine::describe());
        let theirs = lines.iter().flat_map(|line| line.theirs.values());
        let versions: BTreeSet<&str> = theirs.map(|t| t.version.as_str()).collect();
        if !versions.is_empty() {
            let versions: Vec<&str> = versions.into_iter().collect();
            let _ = writeln!(text, "Peers: {}.", versions.join(", "));
        }
        let _ = writeln!(text, "Measured on {} by `{}`.\n", today(), command(Bench::Augment, options));
        text += &augment_page::tables(lines);
        Self { bench: Bench::Augment, text }
    }

    pub(crate) fn section(&self) -> &str {
        &self.text
    }

    /// Replaces the section between its marks, or adds it at the end.
    pub(crate) fn replace_in(&self, path: &Path) -> Result<()> {
        replace_section(path, self.bench.name(), heading(self.bench), &self.text)
    }
}

/// Replaces the section of a page that lies between the marks of `name`, or adds it at the end under `heading`.
pub(crate) fn replace_section(path: &Path, name: &str, heading: &str, text: &str) -> Result<()> {
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Benchmarks\n".into(),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    row::replace(path, &inserted(&old, name, heading, text))
}

fn inserted(old: &str, name: &str, heading: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->\n"));
    let body = format!("{begin}{text}{end}");
    let place = old.find(&begin).zip(old.find(&end));
    match place {
        Some((from, to)) if from < to => format!("{}{body}{}", &old[..from], &old[to + end.len()..]),
        _ => format!("{old}\n## {heading}\n\n{body}"),
    }
}

fn heading(bench: Bench) -> &'static str {
    match bench {
        Bench::Train => "Training",
        Bench::Infer => "Inference",
        Bench::Convolutions => "Convolutions",
        Bench::Growth => "Growth with batch, image and threads",
        Bench::Augment => "Augmentation",
    }
}

fn command(bench: Bench, options: &Options) -> String {
    let mut words = format!("cargo xtask bench {}", bench.name());
    if options.peers {
        words += " --peers";
    }
    let seconds = if bench == Bench::Augment {
        options.seconds_or(augment::SECONDS)
    } else {
        let _ = write!(words, " --threads {}", options.threads);
        options.seconds_or(measure::SECONDS)
    };
    let _ = write!(words, " --rounds {} --seconds {seconds}", options.rounds);
    for (name, value) in [("--only", &options.only), ("--isa", &options.isa)] {
        if let Some(value) = value {
            let _ = write!(words, " {name} {value}");
        }
    }
    words
}

fn today() -> String {
    process::output(std::process::Command::new("date").arg("+%Y-%m-%d"))
        .unwrap_or_else(|| "an unknown day".into())
}

/// The name of a peer without its version, as a column's head.
fn column(peer: &str) -> String {
    let mut words = peer.split_whitespace();
    let name = words.next().unwrap_or(peer);
    let rest: Vec<&str> = words.filter(|w| !w.starts_with(|c: char| c.is_ascii_digit())).collect();
    std::iter::once(name).chain(rest).collect::<Vec<_>>().join(" ")
}

fn table(rows: &[&Row], speed: bool) -> String {
    let mut cases: Vec<&str> = Vec::new();
    let mut peers: Vec<String> = Vec::new();
    for row in rows.iter().filter(|r| r.failure.is_none()) {
        if !cases.contains(&row.case.as_str()) {
            cases.push(&row.case);
        }
        if let Some(peer) = row.peer.as_deref().map(column)
            && !peers.contains(&peer)
        {
            peers.push(peer);
        }
    }
    let mut text = String::from("| case | ours |");
    for peer in &peers {
        let _ = write!(text, " {peer} |");
    }
    if speed && !peers.is_empty() {
        text += " against the best | promised |";
    }
    let columns = 2 + peers.len() + if speed && !peers.is_empty() { 2 } else { 0 };
    let _ = writeln!(text, "\n|{}", "---|".repeat(columns));
    for case in cases {
        let of_case: Vec<&&Row> = rows.iter().filter(|r| r.case == case && r.failure.is_none()).collect();
        let Some(first) = of_case.first() else { continue };
        let _ = write!(text, "| {case} | {}", number(first.ours));
        if speed {
            let _ = write!(text, " ({} - {})", number(first.spread[0]), number(first.spread[1]));
        }
        text += " |";
        for peer in &peers {
            let found = of_case.iter().find(|r| r.peer.as_deref().map(column).as_ref() == Some(peer));
            match found.and_then(|r| r.peer_value.zip(r.ratio)) {
                Some((value, ratio)) => {
                    let _ = write!(text, " {} ({ratio:.2}x) |", number(value));
                }
                None => text += " - |",
            }
        }
        if speed && !peers.is_empty() {
            let worst = of_case.iter().filter_map(|r| r.ratio).fold(f64::INFINITY, f64::min);
            let promised = first.floor.map_or_else(|| "-".into(), |f| format!("{f:.1}x"));
            let mark = if first.floor.is_some_and(|f| worst < f) { " (missed)" } else { "" };
            let _ = write!(text, " **{worst:.2}x**{mark} | {promised} |");
        }
        text.push('\n');
    }
    let failures: BTreeSet<String> = rows
        .iter()
        .filter_map(|r| {
            let reason = r.failure.as_ref()?.lines().rev().find(|l| !l.trim().is_empty())?;
            Some(format!("- {}, {}: {}", r.case, r.peer.as_deref().unwrap_or("?"), reason.trim()))
        })
        .collect();
    if speed && !failures.is_empty() {
        text += "\nNot run:\n\n";
        for failure in failures {
            let _ = writeln!(text, "{failure}");
        }
    }
    text
}

fn convolutions(rows: &[Row]) -> String {
    let mut text = String::new();
    let peak = rows.iter().find(|r| r.peer.is_none() && r.case.starts_with("FMA peak")).map(|r| r.ours);
    if let Some(peak) = peak {
        let _ = writeln!(
            text,
            "FMA peak of the machine: {peak:.0} GFLOP/s. Speeds are those of the direct convolution's operations (two \
             a product), so Winograd may exceed the peak.\n"
        );
    }
    text += "| convolution | ours, GFLOP/s | of the peak | PyTorch, better layout |\n|---|---|---|---|\n";
    for row in rows.iter().filter(|r| !r.case.starts_with("FMA peak")) {
        let share = peak.map_or_else(|| "-".into(), |p| format!("{:.0}%", 100.0 * row.ours / p));
        let peer = match row.peer_value.zip(row.ratio) {
            Some((value, ratio)) => format!("{value:.0} ({ratio:.2}x)"),
            None => "-".into(),
        };
        let _ = writeln!(text, "| {} | {:.0} | {share} | {peer} |", row.case, row.ours);
    }
    text
}

/// Three or more digits.
pub(super) fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(peer: &str, value: f64, ratio: f64) -> Row {
        Row {
            bench: "train".into(),
            case: "net".into(),
            unit: "images/s".into(),
            ours: 200.0,
            spread: [190.0, 210.0],
            peer: Some(peer.into()),
            peer_value: Some(value),
            ratio: Some(ratio),
            floor: Some(2.5),
            failure: None,
        }
    }

    #[test]
    fn the_best_peer_decides() {
        let rows = [row("torch 2.15.0 nchw", 50.0, 4.0), row("torch 2.15.0 compile", 100.0, 2.0)];
        let text = table(&rows.iter().collect::<Vec<_>>(), true);
        assert!(text.contains("| torch nchw | torch compile | against the best |"), "{text}");
        assert!(
            text.contains(
                "| net | 200 (190 - 210) | 50.0 (4.00x) | 100 (2.00x) | **2.00x** (missed) | 2.5x |"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_failure_is_told_and_not_counted() {
        let failed =
            Row { failure: Some("bad\nno such operator\n".into()), ratio: None, ..row("tract", 0.0, 0.0) };
        let rows = [row("onnxruntime 1.32", 80.0, 2.5), failed];
        let text = table(&rows.iter().collect::<Vec<_>>(), true);
        assert!(text.contains("**2.50x** |") && text.contains("- net, tract: no such operator"), "{text}");
    }

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let page = |old: &str| inserted(old, "train", "Training", "new\n");
        let first = page("# Benchmarks\n");
        assert!(first.contains("## Training\n\n<!-- begin train -->\nnew\n<!-- end train -->\n"));
        let old = first.replace("new", "old") + "after\n";
        assert_eq!(page(&old), first.clone() + "after\n");
    }
}
