//! `cargo xtask bench`: ours and the peers, side by side.

mod augment;
mod augment_page;
mod cases;
mod convolutions;
mod instructions;
mod measure;
mod page;
mod peers;
mod program;
mod row;
mod sections;
mod tables;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use cases::{Bench, Case};
use instructions::Instructions;
use page::Page;
use peers::Peers;
use row::Row;
pub(crate) use sections::Section;

pub(crate) const ARGUMENTS: &str = "[train|infer|convolutions|growth|augment]... [--peers] [--threads N] [--rounds N] [--seconds S]\n    \
     [--only TEXT] [--isa NAME] [--json FILE] [--page FILE]";
pub(crate) const ABOUT: &str = "Measures speed and memory, all benches or those named, and writes docs/benchmarks.md (augment:\n\
     docs/benchmarks-augmentation.md), or --page FILE.\n\
     With --peers it makes target/peers-venv (PyTorch, ONNX Runtime, OpenVINO, MNN, ncnn, Albumentations; several\n\
     gigabytes), builds rten, tract\n\
     and Burn, and lets them take turns with ours; --only runs the cases whose name contains TEXT.\n\
     Without --only and --page the sections of the page that were measured are replaced, those of this kind of machine\n\
     (avx512-vnni, avx512, avx2, portable; --isa makes it a lower one).";

/// What the command line asks for.
#[derive(Debug, Clone)]
struct Options {
    benches: Vec<Bench>,
    peers: bool,
    threads: usize,
    rounds: usize,
    seconds: Option<f64>,
    only: Option<String>,
    isa: Option<String>,
    json: Option<PathBuf>,
    page: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            benches: Vec::new(),
            peers: false,
            threads: 2,
            rounds: 5,
            seconds: None,
            only: None,
            isa: None,
            json: None,
            page: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word}: expected a value"));
            match word.as_str() {
                "--peers" => options.peers = true,
                "--threads" => options.threads = number(word, value()?)?,
                "--rounds" => options.rounds = number(word, value()?)?,
                "--seconds" => {
                    let text = value()?;
                    let seconds = text.parse().ok().filter(|s| *s > 0.0 && *s < 1e4);
                    let seconds =
                        seconds.with_context(|| format!("{word}: expected seconds, found `{text}`"))?;
                    options.seconds = Some(seconds);
                }
                "--only" => options.only = Some(value()?.clone()),
                "--isa" => options.isa = Some(value()?.clone()),
                "--json" => options.json = Some(value()?.into()),
                "--page" => options.page = Some(value()?.into()),
                name => match Bench::ALL.into_iter().find(|b| b.name() == name) {
                    Some(bench) => options.benches.push(bench),
                    None => {
                        bail!("there is no bench or option `{name}`; usage: cargo xtask bench {ARGUMENTS}")
                    }
                },
            }
        }
        if options.benches.is_empty() {
            options.benches = Bench::ALL.to_vec();
        }
        Ok(options)
    }

    /// Seconds of a turn.
    fn seconds_or(&self, usual: f64) -> f64 {
        self.seconds.unwrap_or(usual)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|text| name.contains(text.as_str()))
    }
}

fn number(option: &str, text: &str) -> Result<usize> {
    let found = text.parse().ok().filter(|n| *n > 0);
    found.with_context(|| format!("{option}: expected a number above 0, found `{text}`"))
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let instructions = Instructions::of_this_machine(options.isa.as_deref())?;
    let peers = Peers::prepare(&options, instructions)?;
    let mut rows = Vec::new();
    for bench in &options.benches {
        let (measured, page) = measure_bench(*bench, &options, &peers)?;
        if measured.is_empty() {
            println!("{}: no case is named like that", bench.name());
            continue;
        }
        // Written after every bench: a run takes long, and what is measured is measured.
        match (&options.page, &options.only) {
            (Some(path), _) => page.replace_in(path)?,
            (None, None) => page.replace_in(&crate::workspace::root().join("docs").join(bench.page()))?,
            (None, Some(_)) => println!("\n{}", page.section()),
        }
        rows.extend(measured);
        if let Some(path) = &options.json {
            row::write_json(path, &rows)?;
        }
    }
    Ok(())
}

fn measure_bench(bench: Bench, options: &Options, peers: &Peers) -> Result<(Vec<Row>, Page)> {
    if bench == Bench::Augment {
        println!("==> augment");
        let lines = augment::run(options, peers)?;
        return Ok((augment::rows(&lines), Page::of_augment(options, peers.instructions, &lines)));
    }
    let rows = match bench {
        Bench::Convolutions => convolutions::run(options, peers)?,
        _ => in_turns(bench, options, peers)?,
    };
    let page = Page::new(bench, options, peers.instructions, &rows);
    Ok((rows, page))
}

fn in_turns(bench: Bench, options: &Options, peers: &Peers) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let cases: Vec<Case> = cases::of(bench).into_iter().filter(|case| options.wants(&case.name())).collect();
    for (i, case) in cases.iter().enumerate() {
        println!("==> {} {}/{}: {}", bench.name(), i + 1, cases.len(), case.name());
        rows.extend(measure::case(case, options, peers)?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let options = parse(&["train", "--rounds", "3", "--only", "resnet18"]).unwrap();
        assert_eq!(
            (options.benches.as_slice(), options.rounds, options.threads),
            (&[Bench::Train][..], 3, 2)
        );
        assert!(options.wants("train resnet18") && !options.wants("train resnet20"));
        assert_eq!(parse(&[]).unwrap().benches, Bench::ALL);
        assert!(parse(&["trian"]).unwrap_err().to_string().contains("`trian`"));
        assert!(parse(&["--rounds", "0"]).is_err() && parse(&["--rounds"]).is_err());
        assert!(parse(&["--seconds", "-1"]).is_err());
    }
}
