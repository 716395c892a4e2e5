//! The tab HPARAMS.

use std::collections::BTreeMap;
use std::path::Path;

use oculist_events::{EventWriter, HParam, Outcome};
use serde_json::json;

use crate::{BEGIN, at, create, origin, read};

fn parameters(lr: f64) -> BTreeMap<String, HParam> {
    let all: [(&str, HParam); 3] = [("arch", "resnet20".into()), ("mixup", false.into()), ("lr", lr.into())];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn run(folder: &Path, lr: f64, metrics: &[&str], outcome: Option<Outcome>) {
    let mut writer = create(folder);
    writer.hparams(at(1.0), &parameters(lr), metrics).unwrap();
    for step in 1..=3 {
        writer.scalar("top1/val", step, at(step as f64), step as f32 / 4.0).unwrap();
        writer.scalar("loss/train", step, at(step as f64), 1.0).unwrap();
    }
    if let Some(outcome) = outcome {
        writer.hparams_end(at(8.5), outcome).unwrap();
    }
}

#[test]
fn parameters_metrics_and_ends_are_rows_of_the_tab() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir.path().join("a"), 0.1, &["top1/val"], Some(Outcome::Success));
    run(&dir.path().join("b"), 0.0, &["top1/val"], Some(Outcome::Failure));
    run(&dir.path().join("c"), 1e300, &["top1/val"], None);
    let Some(found) = read(&[dir.path()]) else { return };
    let tab = &found[0]["provided"]["hparams"];
    let mut columns = tab["columns"].as_array().unwrap().clone();
    columns.sort_by_key(|column| column["name"].as_str().unwrap().to_owned());
    let column = |name: &str, kind: &str| json!({"name": name, "type": format!("DATA_TYPE_{kind}")});
    assert_eq!(columns, [column("arch", "STRING"), column("lr", "FLOAT64"), column("mixup", "BOOL")]);
    assert_eq!(tab["metrics"], json!(["top1/val"]));
    let row = |name: &str, lr: f64, status: &str, end: f64| {
        json!({"name": name, "parameters": {"arch": "resnet20", "lr": lr, "mixup": false},
               "metrics": {"top1/val": [3, 0.75]}, "status": [status],
               "times": [[BEGIN as f64 + 1.0, end]]})
    };
    let end = BEGIN as f64 + 8.5;
    let expected = [
        row("a", 0.1, "STATUS_SUCCESS", end),
        row("b", 0.0, "STATUS_FAILURE", end),
        row("c", 1e300, "STATUS_UNKNOWN", 0.0),
    ];
    assert_eq!(tab["rows"], json!(expected));
    // The twin: another number is another row.
    assert_ne!(tab["rows"][0], row("a", 0.2, "STATUS_SUCCESS", end));
}

#[test]
fn without_metrics_the_columns_come_from_all_runs() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir.path().join("a"), 0.1, &[], None);
    let mut other = create(&dir.path().join("b"));
    other.hparams(at(1.0), &[("width".to_owned(), HParam::Number(0.5))].into(), &[]).unwrap();
    let Some(found) = read(&[dir.path()]) else { return };
    let tab = &found[0]["provided"]["hparams"];
    let mut names: Vec<_> =
        tab["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["arch", "lr", "mixup", "width"]);
    assert_eq!(tab["metrics"], json!(["loss/train", "top1/val"]));
    assert_eq!(tab["rows"][1]["parameters"], json!({"width": 0.5}));
}

#[test]
fn a_resumed_run_keeps_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    run(&folder, 0.1, &["top1/val"], None);
    let mut writer = EventWriter::resume(&folder, &origin(), at(20.0), 2).unwrap();
    writer.scalar("top1/val", 2, at(21.0), 0.875).unwrap();
    writer.hparams_end(at(22.0), Outcome::Success).unwrap();
    // From the very first step: all values are forgotten, but not what the run is.
    let again = dir.path().join("again");
    run(&again, 0.1, &["top1/val"], None);
    let mut writer = EventWriter::resume(&again, &origin(), at(20.0), 0).unwrap();
    writer.scalar("top1/val", 0, at(21.0), 0.125).unwrap();
    let Some(found) = read(&[dir.path()]) else { return };
    let rows = &found[0]["provided"]["hparams"]["rows"];
    assert_eq!(rows[0]["name"], "again");
    assert_eq!(rows[0]["metrics"], json!({"top1/val": [0, 0.125]}));
    assert_eq!(rows[1]["metrics"], json!({"top1/val": [2, 0.875]}));
    assert_eq!(rows[1]["status"], json!(["STATUS_SUCCESS"]));
    assert_eq!(rows[1]["parameters"]["lr"], 0.1);
}
