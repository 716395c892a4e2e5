//! Convolutions one by one: ours and PyTorch's, whole lists in turn.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use super::measure::median;
use super::peers::Peers;
use super::row::Row;
use crate::process;

/// Lists in turn; each measures for a tenth of a second and shape.
const TURNS: usize = 3;

pub(crate) fn run(options: &Options, peers: &Peers) -> Result<Vec<Row>> {
    println!("==> convolutions");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let mut command = peers.our_program();
        command.args(["convolutions", &options.threads.to_string()]).args(&options.isa);
        let text = process::output(&mut command).context("our convolutions failed")?;
        if let Some(mut script) = peers.script("convolutions.py", options) {
            theirs.push(feed(script.arg(options.threads.to_string()), &text)?);
        }
        ours.push(serde_json::from_str::<Value>(&text)?);
    }
    let Some(first) = ours.first() else { bail!("nothing was measured") };
    let peak = median(&ours.iter().filter_map(|o| o["peak"].as_f64()).collect::<Vec<_>>());
    let rows = first["rows"].as_array().context("our answer has no rows")?;
    let version = theirs.first().and_then(|t| t["version"].as_str());
    let mut out = vec![row("FMA peak of the machine".into(), &[peak], None, &[])];
    for (i, shape) in rows.iter().enumerate() {
        let a: Vec<f64> = ours.iter().filter_map(|o| o["rows"][i]["gflops"].as_f64()).collect();
        let b: Vec<f64> = theirs.iter().filter_map(|t| t["gflops"][i].as_f64()).collect();
        out.push(row(label(shape), &a, version, &b));
    }
    out.retain(|row| options.wants(&row.case));
    Ok(out)
}

fn row(case: String, ours: &[f64], peer: Option<&str>, theirs: &[f64]) -> Row {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    let some = |values: &[f64]| (!values.is_empty()).then(|| median(values));
    Row {
        bench: "convolutions".into(),
        case,
        unit: "GFLOP/s".into(),
        ours: median(ours),
        spread: [
            ours.iter().copied().fold(f64::INFINITY, f64::min),
            ours.iter().copied().fold(0.0, f64::max),
        ],
        peer: peer.filter(|_| !theirs.is_empty()).map(Into::into),
        peer_value: some(theirs),
        ratio: some(&ratios),
        floor: None,
        failure: None,
    }
}

fn label(row: &Value) -> String {
    let n = |key: &str| row["shape"][key].as_u64().unwrap_or(0);
    let kind = if n("groups") > 1 { " depthwise" } else { "" };
    let (kernel, stride) = (n("kernel"), n("stride"));
    let text = |key: &str| row[key].as_str().unwrap_or("").to_string();
    format!(
        "{} -> {} @{} b{}, {kernel}x{kernel} s{stride}{kind}, {} ({})",
        n("c_in"),
        n("c_out"),
        n("side"),
        n("batch"),
        text("pass"),
        text("algorithm")
    )
}

/// Runs a program with a text on its standard input and reads JSON from its standard output.
fn feed(command: &mut Command, text: &str) -> Result<Value> {
    let shown = process::show(command);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the answer of `{shown}`"))
}
