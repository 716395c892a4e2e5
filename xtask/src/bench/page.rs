//! docs/benchmarks.md and docs/benchmarks-augmentation.md: one section for each bench and kind of machine, replaced when
//! it is measured again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::augment_page::{self, Line};
use super::cases::Bench;
use super::instructions::Instructions;
use super::row::Row;
use super::sections::Section;
use super::tables;
use super::{Options, augment, measure};
use crate::machine;
use crate::process;

/// A section.
#[derive(Debug)]
pub(crate) struct Page {
    bench: Bench,
    /// The kind of machine that it is for.
    kind: &'static str,
    text: String,
}

impl Page {
    pub(crate) fn new(bench: Bench, options: &Options, instructions: Instructions, rows: &[Row]) -> Self {
        let kind = instructions.used;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "Machine: {}. Kind: {kind}{}. {} threads.",
            machine::describe(),
            if instructions.are_limited() { ", to which it was limited" } else { "" },
            options.threads
        );
        // Those that ran; the others are named below the table.
        let ran = rows.iter().filter(|r| r.failure.is_none());
        let versions: BTreeSet<&str> = ran.filter_map(|r| r.peer.as_deref()).collect();
        text += &instructions.told(&versions.iter().map(|version| tables::column(version)).collect());
        if !versions.is_empty() {
            let versions: Vec<&str> = versions.into_iter().collect();
            let _ = writeln!(text, "Peers: {}.", versions.join(", "));
        }
        let _ = writeln!(text, "Measured on {} by `{}`.\n", today(), command(bench, options));
        if bench == Bench::Convolutions {
            text += &tables::convolutions(rows);
        } else {
            let speed: Vec<&Row> = rows.iter().filter(|r| r.unit == "images/s").collect();
            text += "Images per second, median of the rounds; in brackets how many times faster ours is (median of \
                     the ratios of neighbouring rounds).\n\n";
            text += &tables::table(&speed, true);
            let memory: Vec<&Row> = rows.iter().filter(|r| r.unit == "MB peak").collect();
            text +=
                "\nPeak resident memory of the process in MB; in brackets how many times less ours is.\n\n";
            text += &tables::table(&memory, false);
        }
        Self { bench, kind, text }
    }

    /// The augmentation's section. Ours always uses what the machine has there.
    pub(crate) fn of_augment(options: &Options, instructions: Instructions, lines: &[Line]) -> Self {
        let kind = instructions.machine;
        let mut text = format!("Machine: {}. Kind: {kind}. One core each.\n", machine::describe());
        let theirs = lines.iter().flat_map(|line| line.theirs.values());
        let versions: BTreeSet<&str> = theirs.map(|t| t.version.as_str()).collect();
        if !versions.is_empty() {
            let versions: Vec<&str> = versions.into_iter().collect();
            let _ = writeln!(text, "Peers: {}.", versions.join(", "));
        }
        let _ = writeln!(text, "Measured on {} by `{}`.\n", today(), command(Bench::Augment, options));
        text += &augment_page::tables(lines);
        Self { bench: Bench::Augment, kind, text }
    }

    pub(crate) fn section(&self) -> &str {
        &self.text
    }

    /// Replaces the section of this bench and kind of machine.
    pub(crate) fn replace_in(&self, path: &Path) -> Result<()> {
        let section =
            Section { name: self.bench.name(), kind: Some(self.kind), heading: heading(self.bench) };
        section.replace(path, &self.text)
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
    // Augmentation has no choice of instructions.
    let isa = options.isa.as_ref().filter(|_| bench != Bench::Augment);
    for (name, value) in [("--only", options.only.as_ref()), ("--isa", isa)] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_belongs_to_the_kind_that_ours_computed_with() {
        let row = |peer: &str, failure: Option<&str>| Row {
            bench: "infer".into(),
            case: "net".into(),
            unit: "images/s".into(),
            ours: 2.0,
            spread: [1.0, 3.0],
            peer: Some(peer.into()),
            peer_value: failure.is_none().then_some(1.0),
            ratio: failure.is_none().then_some(2.0),
            floor: None,
            failure: failure.map(Into::into),
        };
        let rows = [row("onnxruntime 1.32.0", None), row("ncnn", Some("it does not quantise"))];
        let options = Options::parse(&["--isa", "avx2"].map(String::from)).unwrap();
        let limited = Instructions { used: "avx2", machine: "avx512" };
        let page = Page::new(Bench::Infer, &options, limited, &rows);
        let machine = page.text.lines().next().unwrap();
        assert!(machine.ends_with(". Kind: avx2, to which it was limited. 2 threads."), "{machine}");
        assert!(
            page.text.contains("of the machine: onnxruntime.\nPeers: onnxruntime 1.32.0.\n"),
            "{}",
            page.text
        );
        assert!(page.text.contains("- ncnn: it does not quantise (net)\n"), "{}", page.text);
        assert_eq!(page.kind, "avx2");
        // Ours takes no such option when it augments.
        let page = Page::of_augment(&options, limited, &[]);
        assert!(
            page.kind == "avx512" && page.text.contains(". Kind: avx512. ") && !page.text.contains("--isa")
        );
    }
}
