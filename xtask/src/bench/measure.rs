//! One case: everybody is started, checked against us, and takes turns with us.

use anyhow::{Result, bail};
use serde_json::Value;

use super::Options;
use super::cases::{Case, Work};
use super::peers::Peers;
use super::program::{Declined, Program, Round};
use super::row::Row;

/// Seconds of a turn, unless the command line says otherwise.
pub(crate) const SECONDS: f64 = 0.4;

/// Rows of speed and of memory, one for each peer, or one each without peers.
pub(crate) fn case(case: &Case, options: &Options, peers: &Peers) -> Result<Vec<Row>> {
    let mut ours = Program::start("ours", &mut peers.ours(case, options)?)?;
    if let Some(isa) = ours.about["isa"].as_str().filter(|isa| !peers.instructions.used.starts_with(isa)) {
        bail!("ours computes with {isa}, expected {}", peers.instructions.used);
    }
    let mut others = Vec::new();
    let mut failures = Vec::new();
    for (name, mut command) in peers.of(case, options)? {
        match Program::start(name, &mut command) {
            Ok(program) => others.push(program),
            Err(error) => {
                let verb = if error.is::<Declined>() { "does not take part" } else { "failed" };
                failures.push((name, verb, format!("{error:#}")));
            }
        }
    }
    for other in &others {
        agree(case.work, &ours.about, other)?;
    }
    let mut our_rounds: Vec<Vec<Round>> = vec![Vec::new(); others.len().max(1)];
    let mut their_rounds: Vec<Vec<Round>> = vec![Vec::new(); others.len()];
    let seconds = options.seconds_or(SECONDS);
    for _ in 0..options.rounds {
        if others.is_empty() {
            our_rounds[0].push(ours.round(seconds)?);
        }
        for (i, other) in others.iter_mut().enumerate() {
            their_rounds[i].push(other.round(seconds)?);
            our_rounds[i].push(ours.round(seconds)?);
        }
    }
    let all: Vec<&Round> = our_rounds.iter().flatten().collect();
    let rates: Vec<f64> = all.iter().map(|r| case.batch as f64 / r.seconds).collect();
    let our_memory = all.iter().map(|r| r.rss_kb).max().unwrap_or(0) as f64 / 1e3;
    let speed = |peer: Option<String>| Row {
        bench: case.bench.name().into(),
        case: case.name(),
        unit: "images/s".into(),
        ours: median(&rates),
        spread: [
            rates.iter().copied().fold(f64::INFINITY, f64::min),
            rates.iter().copied().fold(0.0, f64::max),
        ],
        peer,
        peer_value: None,
        ratio: None,
        floor: case.floor,
        failure: None,
    };
    let memory = |peer| Row {
        unit: "MB peak".into(),
        ours: our_memory,
        spread: [our_memory; 2],
        floor: None,
        ..speed(peer)
    };
    let mut rows = Vec::new();
    if others.is_empty() {
        println!("    {:.1} images/s", median(&rates));
        rows.extend([speed(None), memory(None)]);
    }
    for ((other, theirs), ours) in others.iter().zip(&their_rounds).zip(&our_rounds) {
        let their_rates: Vec<f64> = theirs.iter().map(|r| case.batch as f64 / r.seconds).collect();
        // Neighbours in time are compared, so that a slow minute of the machine weighs on both.
        let ratios: Vec<f64> = theirs.iter().zip(ours).map(|(t, o)| t.seconds / o.seconds).collect();
        let ratio = median(&ratios);
        println!(
            "    {:<22} {:>9.1} images/s, ours {:>9.1}: {ratio:.2}x",
            other.name,
            median(&their_rates),
            median(&rates)
        );
        let name = other.about["version"].as_str().unwrap_or(&other.name).to_string();
        let peer_value = Some(median(&their_rates));
        rows.push(Row { peer_value, ratio: Some(ratio), ..speed(Some(name.clone())) });
        let theirs = theirs.iter().map(|r| r.rss_kb).max().unwrap_or(0) as f64 / 1e3;
        rows.push(Row { peer_value: Some(theirs), ratio: Some(theirs / our_memory), ..memory(Some(name)) });
    }
    for (name, verb, failure) in failures {
        println!("    {name:<22} {verb}: {}", failure.lines().next_back().unwrap_or_default());
        rows.push(Row { failure: Some(failure), ..speed(Some(name.into())) });
    }
    Ok(rows)
}

/// Refuses a peer that computes something else: a time for another function would mean nothing.
fn agree(work: Work, ours: &Value, other: &Program) -> Result<()> {
    let numbers = |about: &Value| -> Vec<f64> {
        about["check"].as_array().map(|a| a.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    };
    let (a, b) = (numbers(ours), numbers(&other.about));
    if a.is_empty() || a.len() != b.len() {
        bail!("{}: expected {} numbers to compare, found {}", other.name, a.len(), b.len());
    }
    if let (Some(ours), Some(theirs)) = (ours["params"].as_u64(), other.about["params"].as_u64())
        && ours != theirs
    {
        bail!("{}: expected a network of {ours} parameters, found {theirs}", other.name);
    }
    let ok = match work {
        // Each quantiser rounds in its own way; the answers point in the same direction.
        Work::Int8 => cosine(&a, &b) > 0.8,
        Work::Train | Work::F32 => relative_error(&a, &b) < 1e-3,
    };
    if !ok {
        bail!("{} computes something else: ours {a:?}, theirs {b:?}", other.name);
    }
    Ok(())
}

fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    error / largest
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 { f64::NAN } else { f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_measured() {
        assert!(relative_error(&[1.0, -2.0], &[1.0005, -2.0]) < 1e-3);
        assert!(relative_error(&[1.0, -2.0], &[1.01, -2.0]) > 1e-3);
        assert!((cosine(&[1.0, 0.0], &[2.0, 0.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 1.0]).abs() < 1e-12);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[3.0, 1.0]), 2.0);
    }
}
