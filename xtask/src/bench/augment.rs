//! Augmentation: each program serves all cases, which are raced one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use super::augment_page::Line;
use super::measure::median;
use super::peers::Peers;
use super::program::{Program, Round};
use super::row::Row;
use crate::process;

/// The peers, in the order of the table's columns.
pub(crate) const LIBRARIES: [&str; 2] = ["albumentations", "torchvision"];
/// Our own package for Python, which takes its turns as the peers do.
pub(crate) const FROM_PYTHON: &str = "oculist";

/// What a peer did in a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Theirs {
    /// Name with version.
    pub(crate) version: String,
    /// Seconds per image.
    pub(crate) seconds: f64,
    /// How many times faster ours is: median over the rounds, each with its neighbour in time.
    pub(crate) ratio: f64,
    pub(crate) agreement: Agreement,
}

/// Whether a peer computes what we compute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Agreement {
    /// The outputs differ by this on average, in levels, within the case's bound.
    Same(f64),
    /// Random, so that no outputs can be compared.
    Random,
    /// Something else, and what.
    Other(String),
}

/// The cases that are wanted, raced; nothing where none is called like that.
pub(crate) fn run(options: &Options, peers: &Peers) -> Result<Vec<Line>> {
    let folder = peers.folder("augment")?;
    process::run(peers.our_program().arg("augment-images").arg(&folder))?;
    let mut ours =
        Program::start("ours", peers.our_program().arg("augment").arg(&folder).args(&options.isa))?;
    let mut others = BTreeMap::new();
    let package = if options.peers { Some(crate::python::package()?) } else { None };
    for name in LIBRARIES.into_iter().chain([FROM_PYTHON]) {
        if let Some(mut script) = peers.script("augment.py", options) {
            script.arg(name).arg(&folder).env("OMP_NUM_THREADS", "1");
            if let Some(package) = package.as_ref().filter(|_| name == FROM_PYTHON) {
                script.env("PYTHONPATH", package);
            }
            others.insert(name, Program::start(name, &mut script)?);
        }
    }
    let cases = ours.about["cases"].as_array().context("our program names no cases")?.clone();
    unknown_names(&cases, others.values())?;
    let mut lines = Vec::new();
    for case in &cases {
        let name = case["name"].as_str().context("a case has no name")?;
        if options.wants(name) {
            let line = race(case, name, options, &mut ours, &mut others)?;
            println!("    {}", line.summary());
            lines.push(line);
        }
    }
    Ok(lines)
}

/// Refuses a peer's table with a name that is none of ours: a slip of the pen would look like a missing operation.
fn unknown_names<'a>(cases: &[Value], others: impl Iterator<Item = &'a Program>) -> Result<()> {
    let known: Vec<&str> = cases.iter().filter_map(|case| case["name"].as_str()).collect();
    for other in others {
        for name in other.about["cases"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !known.contains(&name) {
                bail!("{}: there is no case `{name}`", other.name);
            }
        }
    }
    Ok(())
}

fn race(
    case: &Value,
    name: &str,
    options: &Options,
    ours: &mut Program,
    others: &mut BTreeMap<&'static str, Program>,
) -> Result<Line> {
    ours.ask(&format!("case {name}"))?;
    let check = ours.ask("check")?;
    let bound = case["bound"].as_f64().context("a case has no bound")?;
    let images = case["images"].as_f64().context("a case has no number of images")?;
    let mut missing = BTreeMap::new();
    let mut runners: Vec<(&'static str, &mut Program, Agreement)> = Vec::new();
    for (&library, program) in others.iter_mut() {
        let chosen = program.ask(&format!("case {name}"))?;
        if let Some(reason) = chosen["missing"].as_str() {
            missing.insert(library, reason.to_string());
            continue;
        }
        let answer = program.ask("check")?;
        let agreement = agreement(&check, &answer, bound).with_context(|| format!("{name}, {library}"))?;
        runners.push((library, program, agreement));
    }
    let mut our_rounds: Vec<Vec<Round>> = vec![Vec::new(); runners.len().max(1)];
    let mut their_rounds: Vec<Vec<Round>> = vec![Vec::new(); runners.len()];
    let seconds = options.seconds_or(SECONDS);
    for _ in 0..options.rounds {
        if runners.is_empty() {
            our_rounds[0].push(ours.round(seconds)?);
        }
        for (i, (_, program, _)) in runners.iter_mut().enumerate() {
            their_rounds[i].push(program.round(seconds)?);
            our_rounds[i].push(ours.round(seconds)?);
        }
    }
    let per_image =
        |rounds: &[Round]| -> Vec<f64> { rounds.iter().map(|round| round.seconds / images).collect() };
    let mut theirs = BTreeMap::new();
    for (i, (library, program, agreement)) in runners.into_iter().enumerate() {
        let (a, b) = (per_image(&our_rounds[i]), per_image(&their_rounds[i]));
        let ratios: Vec<f64> = a.iter().zip(&b).map(|(ours, theirs)| theirs / ours).collect();
        let version = program.about["version"].as_str().unwrap_or(library).to_string();
        theirs.insert(library, Theirs { version, seconds: median(&b), ratio: median(&ratios), agreement });
    }
    let ours: Vec<f64> = our_rounds.iter().flat_map(|rounds| per_image(rounds)).collect();
    Ok(Line {
        name: name.into(),
        group: case["group"].as_str().unwrap_or_default().into(),
        seconds: median(&ours),
        spread: [
            ours.iter().copied().fold(f64::INFINITY, f64::min),
            ours.iter().copied().fold(0.0, f64::max),
        ],
        floor: case["floor"].as_f64(),
        theirs,
        missing,
    })
}

/// Seconds of a turn, unless the command line says otherwise: the jobs are short.
pub(crate) const SECONDS: f64 = 0.06;

/// Compares outputs where both sides have one.
fn agreement(ours: &Value, theirs: &Value, bound: f64) -> Result<Agreement> {
    if let Some(text) = theirs["other"].as_str() {
        return Ok(Agreement::Other(text.into()));
    }
    let (Some(a), Some(b)) = (ours["file"].as_str(), theirs["file"].as_str()) else {
        return Ok(Agreement::Random);
    };
    if ours["shape"] != theirs["shape"] {
        return Ok(Agreement::Other(format!("{} instead of {}", theirs["shape"], ours["shape"])));
    }
    let difference = mean_difference(&floats(Path::new(a))?, &floats(Path::new(b))?)?;
    Ok(if difference <= bound {
        Agreement::Same(difference)
    } else {
        Agreement::Other(format!("differs by {difference:.2} levels on average"))
    })
}

fn floats(path: &Path) -> Result<Vec<f32>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect())
}

fn mean_difference(a: &[f32], b: &[f32]) -> Result<f64> {
    if a.is_empty() || a.len() != b.len() {
        bail!("expected {} values to compare, found {}", a.len(), b.len());
    }
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum();
    Ok(sum / a.len() as f64)
}

/// The lines as rows for the JSON file, one for each peer.
pub(crate) fn rows(lines: &[Line]) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in lines {
        let row = Row {
            bench: "augment".into(),
            case: line.name.clone(),
            unit: "images/s".into(),
            ours: 1.0 / line.seconds,
            spread: [1.0 / line.spread[1], 1.0 / line.spread[0]],
            peer: None,
            peer_value: None,
            ratio: None,
            floor: line.floor,
            failure: None,
        };
        let before = rows.len();
        rows.extend(line.theirs.values().map(|theirs| Row {
            peer: Some(theirs.version.clone()),
            peer_value: Some(1.0 / theirs.seconds),
            ratio: Some(theirs.ratio),
            ..row.clone()
        }));
        if rows.len() == before {
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn outputs_are_compared_and_other_outputs_told() {
        let folder = std::env::temp_dir().join(format!("oculist-xtask-augment-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let output = |name: &str, values: [f32; 3], shape: [usize; 3]| {
            let path = folder.join(name);
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            fs::write(&path, bytes).unwrap();
            json!({"file": path, "shape": shape})
        };
        let a = output("a", [1.0, 2.0, 3.0], [1, 1, 3]);
        let b = output("b", [1.0, 2.0, 6.0], [1, 1, 3]);
        assert_eq!(agreement(&a, &b, 1.0).unwrap(), Agreement::Same(1.0));
        let told = |other: &Value, bound: f64| match agreement(&a, other, bound).unwrap() {
            Agreement::Other(text) => text,
            found => panic!("{found:?}"),
        };
        assert_eq!(told(&b, 0.9), "differs by 1.00 levels on average");
        assert_eq!(told(&output("c", [1.0; 3], [3, 1, 1]), 9.0), "[3,1,1] instead of [1,1,3]");
        assert_eq!(told(&json!({"other": "a poem"}), 9.0), "a poem");
        assert_eq!(agreement(&json!({"random": true}), &b, 1.0).unwrap(), Agreement::Random);
        assert!(mean_difference(&[], &[]).is_err() && mean_difference(&[1.0], &[1.0, 2.0]).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
