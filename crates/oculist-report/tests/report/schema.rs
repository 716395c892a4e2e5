//! `summary.json` against the tables of `docs/summary-schema.md`, and back.

use std::collections::BTreeMap;

use oculist_report::{
    ClassAccuracy, Epoch, Metric, Model, Png, ReportError, RunSummary, SCHEMA_VERSION, Task, Unit,
    render_html,
};
use serde_json::{Value, json};

use crate::sample_run::sample_run;

const DOCUMENT: &str = include_str!("../../../../docs/summary-schema.md");

/// Object name to field name to type; a trailing `+` marks fields that only `report-data.json` has.
type Schema = BTreeMap<String, BTreeMap<String, String>>;

fn documented() -> Schema {
    let mut schema = Schema::new();
    let mut object = None;
    for line in DOCUMENT.lines() {
        if let Some(name) = line.strip_prefix("### ") {
            object = Some(name.to_string());
        }
        let (Some(object), Some(row)) = (&object, line.strip_prefix("| `")) else { continue };
        let mut cells = row.split('|').map(str::trim);
        let (field, mark) = cells.next().and_then(|f| f.split_once('`')).expect("a field in backquotes");
        let kind = cells.next().expect("a type");
        let kind = if mark == "⁺" { format!("{kind}+") } else { kind.to_string() };
        schema.entry(object.clone()).or_default().insert(field.to_string(), kind);
    }
    schema
}

/// Everything in which `value` differs from type `kind`.
fn differences(schema: &Schema, kind: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(inner) = kind.strip_suffix('?') {
        if !value.is_null() {
            differences(schema, inner, value, path, found);
        }
        return;
    }
    if let Some(inner) = kind.strip_prefix('[').and_then(|k| k.strip_suffix(']')) {
        match value.as_array() {
            Some(list) => {
                for (i, item) in list.iter().enumerate() {
                    differences(schema, inner, item, &format!("{path}[{i}]"), found);
                }
            }
            None => found.push(format!("{path}: expected a list, found {value}")),
        }
        return;
    }
    if let Some(inner) = kind.strip_prefix('{').and_then(|k| k.strip_suffix('}')) {
        match value.as_object() {
            Some(map) => {
                for (name, value) in map {
                    let path = format!("{path}.{name}");
                    match name.parse::<Metric>() {
                        Ok(metric) if metric.name() == name => {
                            differences(schema, inner, value, &path, found);
                        }
                        _ => found.push(format!("{path}: no metric")),
                    }
                }
            }
            None => found.push(format!("{path}: expected an object, found {value}")),
        }
        return;
    }
    let fits = match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        _ => {
            let fields = schema.get(kind).unwrap_or_else(|| panic!("type {kind} is not documented"));
            let Some(object) = value.as_object() else {
                found.push(format!("{path}: expected an object, found {value}"));
                return;
            };
            for key in object.keys().filter(|k| !fields.contains_key(*k)) {
                found.push(format!("{path}.{key}: not documented"));
            }
            for (field, kind) in fields.iter().filter(|(_, kind)| !kind.ends_with('+')) {
                match object.get(field) {
                    Some(value) => differences(schema, kind, value, &format!("{path}.{field}"), found),
                    None => found.push(format!("{path}.{field}: missing")),
                }
            }
            return;
        }
    };
    if !fits {
        found.push(format!("{path}: expected {kind}, found {value}"));
    }
}

fn check(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differences(&documented(), "run", value, "run", &mut found);
    found
}

/// Everything in which a file differs from the document.
pub(crate) fn differences_from_document(text: &str) -> Vec<String> {
    check(&serde_json::from_str(text).expect("is JSON"))
}

fn summary() -> Value {
    let text = sample_run(10).to_summary_json().expect("serialises");
    serde_json::from_str(&text).expect("is JSON")
}

#[test]
fn every_metric_is_documented_with_its_direction() {
    let table = DOCUMENT.split("## Metrics").nth(1).and_then(|d| d.split("## Versions").next()).expect("it");
    for metric in Metric::ALL {
        let row = table.lines().find(|l| l.contains(&format!("`{metric}`"))).expect("each metric has a row");
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (unit, better) = (cells[2], cells[3]);
        assert_eq!(unit.starts_with("percent"), metric.unit() == Unit::Percent, "{row}");
        assert_eq!(better == "lower", metric.is_better(0.0, 1.0), "{row}");
        for task in [Task::SingleLabel, Task::MultiLabel] {
            let listed = cells[4] == "both" || cells[4] == task.name();
            assert_eq!(listed, task.metrics().contains(&metric), "{row}");
        }
    }
}

#[test]
fn a_full_summary_is_what_the_document_says() {
    assert_eq!(check(&summary()), Vec::<String>::new());
}

#[test]
fn an_empty_summary_is_what_the_document_says() {
    let text = RunSummary::default().to_summary_json().expect("serialises");
    assert_eq!(check(&serde_json::from_str(&text).expect("is JSON")), Vec::<String>::new());
}

#[test]
fn the_check_sees_missing_wrong_and_unknown_fields() {
    let mut broken = summary();
    broken["models"][1]["top1"] = json!("89.4");
    broken["data"].as_object_mut().expect("an object").remove("val");
    broken["extra"] = json!(1);
    broken["models"][0]["params"] = json!(-3);
    broken["models"][0]["scores"] = json!({"top6": 1, "top1": "90", "accuracy": 1});
    let found = check(&broken).join("\n");
    for path in [
        "run.models[1].top1: expected",
        "run.data.val: missing",
        "run.extra: not doc",
        "params: exp",
        "scores.top6: no metric",
        "scores.top1: expected number",
        "scores.accuracy: no metric",
    ] {
        assert!(found.contains(path), "{path} in\n{found}");
    }
}

#[test]
fn every_field_of_the_issue_is_there() {
    let summary = summary();
    for key in ["command", "seed", "threads", "cpu", "data", "models"] {
        assert!(summary.get(key).is_some_and(|v| !v.is_null()), "{key}");
    }
    let model = &summary["models"][2];
    for key in ["name", "file", "top1", "top5", "params", "macs", "bytes"] {
        assert!(!model[key].is_null(), "{key}");
    }
    for key in ["batch", "median", "min", "max"] {
        assert!(model["latency_ms"][key].is_number() && model["images_per_s"][key].is_number(), "{key}");
    }
}

#[test]
fn the_summary_has_no_pictures_and_reads_back() {
    let run = sample_run(10);
    let text = run.to_summary_json().expect("serialises");
    assert!(!text.contains("\"png\"") && !text.contains("\"original\""));
    let back = RunSummary::from_json(&text).expect("reads back");
    assert_eq!(back, run.without_pictures());
    assert_ne!(back, run, "the sample has pictures");
}

#[test]
fn the_data_file_reads_back_with_its_pictures() {
    let run = sample_run(10);
    let back = RunSummary::from_json(&run.to_data_json().expect("serialises")).expect("reads back");
    assert_eq!(back, run);
    assert!(back.samples[0].png.as_ref().is_some_and(|Png(bytes)| bytes.starts_with(b"\x89PNG")));
}

#[test]
fn a_loss_that_is_not_finite_survives() {
    let epoch = Epoch { phase: "baseline".into(), epoch: 3, train_loss: f64::NAN, ..Epoch::default() };
    let run = RunSummary { history: vec![epoch], ..RunSummary::default() };
    let text = run.to_summary_json().expect("serialises");
    assert_eq!(check(&serde_json::from_str(&text).expect("is JSON")), Vec::<String>::new());
    assert!(RunSummary::from_json(&text).expect("reads back").history[0].train_loss.is_nan());
}

#[test]
fn newer_and_broken_files_are_refused() {
    let newer = format!(r#"{{"schema_version": {}, "models": "changed"}}"#, SCHEMA_VERSION + 1);
    let error = RunSummary::from_json(&newer).expect_err("is newer");
    assert!(matches!(error, ReportError::NewerSchema { found: 3, supported: 2 }), "{error}");
    for text in ["", "{", "[]", "{}", r#"{"schema_version": 1, "models": 3}"#] {
        let error = RunSummary::from_json(text).expect_err(text);
        assert!(matches!(error, ReportError::Json(_)), "{text}: {error}");
    }
}

#[test]
fn fields_of_the_future_are_ignored_and_missing_ones_filled() {
    let text = r#"{"schema_version": 2, "seed": 7, "new_field": [1, 2]}"#;
    let run = RunSummary::from_json(text).expect("reads");
    assert_eq!(run, RunSummary { seed: 7, ..RunSummary::default() });
}

#[test]
fn many_classes_give_a_small_summary_that_still_names_every_mistake() {
    let n = 2000;
    let mut matrix = vec![vec![0u64; n]; n];
    for (truth, row) in matrix.iter_mut().enumerate() {
        row[truth] = 9;
        row[(truth + 7) % n] = 1 + truth as u64 % 3;
    }
    let class = |i: usize| ClassAccuracy { class: format!("species {i}"), accuracy: 81.8, count: 11 };
    let mut run = sample_run(10);
    run.data.class_names = (0..n).map(|i| class(i).class).collect();
    for model in &mut run.models {
        model.per_class = (0..n).map(class).collect();
        model.set_confusion(matrix.clone());
        assert!(model.confusion.is_empty());
        assert_eq!(model.mistakes.len(), n);
        assert_eq!(model.mistakes[5], [5, 12, 3]);
    }
    let (bytes, bound) = (run.to_summary_json().unwrap().len(), 1_000_000 * run.models.len());
    assert!(bytes < bound, "{bytes} bytes for {} models", run.models.len());
    let page = render_html(&run).unwrap();
    assert!(page.len() < 3_000_000, "{} bytes", page.len());
    assert!(
        page.contains("all mistakes are in summary.json") && page.contains("species 12"),
        "mistakes are listed"
    );
    assert!(!page.contains("id=\"matrix-0\""), "no matrix of 2,000 classes");
    // Up to the limit the matrix stands as it did.
    let model = &mut run.models[0];
    model.set_confusion(vec![vec![1; Model::MATRIX_CLASSES]; Model::MATRIX_CLASSES]);
    assert_eq!((model.confusion.len(), model.mistakes.len()), (Model::MATRIX_CLASSES, 0));
}
