//! Scores an audit against what `plant_faults` planted.
//!
//! `cargo run --release -p oculist --example score_audit -- PLANTED.json AUDIT.json`. Prints how many of the flipped
//! labels are among the first 5% of the training file's images in the ranking of likely label errors, and how many of
//! the copied images are reported as exact duplicates across splits with the right partner. The exit code is 1 if
//! fewer than 80% of the labels or not all copies are found.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::Value;

/// Part of the training images that may be looked at.
const TOP: f64 = 0.05;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [planted, audit] = &arguments[..] else {
        return Err("expected PLANTED.json AUDIT.json".into());
    };
    let read = |path: &str| -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
    };
    let (planted, audit) = (read(planted)?, read(audit)?);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let number = |value: &Value| value.as_u64().unwrap_or(u64::MAX);
    let issues = list(&audit["issues"]);

    let flipped: BTreeMap<u64, u64> =
        list(&planted["flipped"]).iter().map(|f| (number(&f["train"]), number(&f["before"]))).collect();
    let classes = list(&audit["classes"]);
    let images = number(&planted["train_images"]) as f64;
    let ranked: Vec<&Value> =
        issues.iter().filter(|i| i["kind"] == "label-errors" && i["split"] != "test").collect();
    let top = &ranked[..ranked.len().min((TOP * images) as usize)];
    let hits: Vec<_> = top.iter().filter(|i| flipped.contains_key(&position(&i["image"]))).collect();
    let corrected = hits
        .iter()
        .filter(|i| classes.get(flipped[&position(&i["image"])] as usize) == Some(&i["suggested"]))
        .count();
    let share = 100.0 * hits.len() as f64 / flipped.len().max(1) as f64;
    println!(
        "{} images are ranked as likely label errors; the first {} are looked at",
        ranked.len(),
        top.len()
    );
    println!("{} of {} flipped labels are among them: {share:.1}%", hits.len(), flipped.len());
    println!("{corrected} of these come with the class before the flip");

    let pairs: BTreeSet<(u64, u64)> = issues
        .iter()
        .filter(|i| i["kind"] == "exact-duplicates-across-splits")
        .map(|i| (position(&i["image"]), position(&i["partner"]["image"])))
        .collect();
    let copied = list(&planted["copied"]);
    let found = copied.iter().filter(|c| pairs.contains(&(number(&c["train"]), number(&c["test"])))).count();
    println!("{found} of {} copied test images are found, among {} pairs", copied.len(), pairs.len());
    let enough = share >= 80.0 && found == copied.len();
    Ok(if enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The number in `file[number]`.
fn position(name: &Value) -> u64 {
    let name = name.as_str().unwrap_or_default();
    let inside = name.rsplit_once('[').and_then(|(_, rest)| rest.strip_suffix(']'));
    inside.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}
