//! A model's answers as CSV files: of the test images of a run, and of the files given to `predict`. Python's `csv` reads them.

use std::path::Path;

use oculist_data::fixture::{class_image, write_image};
use oculist_testing::python;
use serde_json::Value;

use crate::support::data::SIDE;
use crate::support::runs::{copy_of_trained, damaged_photos, optimized, train_call, trained};
use crate::support::{oculist, read, read_json, read_text, scratch};

/// The rows of a CSV file as Python reads them, each an object; `None` without the oracle.
fn rows(file: &Path) -> Option<Vec<Value>> {
    let script = "import csv, json, sys\n\
                  rows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8'), strict=True))\n\
                  assert all(None not in row and None not in row.values() for row in rows), 'a row of another length'\n\
                  print(json.dumps(rows))";
    let found = python::run_source(script, [file])?.expect_success().json();
    Some(found.as_array().expect("rows").clone())
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap_or_else(|| panic!("{column} of {row}"))
}

fn number(row: &Value, column: &str) -> f64 {
    text(row, column).parse().unwrap_or_else(|e| panic!("{column} of {row}: {e}"))
}

/// The probabilities of a row by class.
fn probabilities(row: &Value) -> Vec<(&str, f64)> {
    let columns = row.as_object().expect("columns").keys();
    columns.filter_map(|name| Some((name.strip_prefix("p:")?, number(row, name)))).collect()
}

#[test]
fn a_run_keeps_the_answers_of_the_model_that_it_recommends() {
    for run in [trained(), optimized()] {
        assert!(run.outcome.stdout.contains("predictions.csv"), "{}", run.outcome.stdout);
        let Some(rows) = rows(&run.file("predictions.csv")) else { return };
        let summary = read_json(&run.file("summary.json"));
        assert_eq!(summary["predictions_of"], summary["recommended"]);
        let models = summary["models"].as_array().expect("models");
        let of = |name: &Value| models.iter().find(|m| m["name"] == *name).expect("the model");
        let model = of(&summary["recommended"]);
        assert_eq!(rows.len() as u64, summary["data"]["test"].as_u64().expect("a number"));
        for row in &rows {
            assert_eq!(text(row, "model"), model["file"]);
            assert!(run.data.join(text(row, "image")).is_file(), "{row}");
            assert!(text(row, "image").starts_with(text(row, "truth")), "the folder is the class: {row}");
            let all = probabilities(row);
            assert_eq!(all.len(), 3);
            assert!((all.iter().map(|p| p.1).sum::<f64>() - 1.0).abs() < 1e-5, "{row}");
            let best = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("classes");
            assert_eq!((best.0, best.1), (text(row, "predicted"), number(row, "probability")));
        }
        let right = rows.iter().filter(|row| row["truth"] == row["predicted"]).count();
        let top1 = 100.0 * right as f64 / rows.len() as f64;
        assert!((top1 - model["top1"].as_f64().expect("a number")).abs() < 1e-9, "{top1} {model}");

        // The same model file gives the same answers for the same files, whatever order they are in.
        let dir = scratch();
        let csv = dir.path().join("answers.csv");
        let mut call = oculist("predict").option("--model", run.file(text(&rows[0], "model")));
        for row in rows.iter().rev() {
            call = call.arg(run.data.join(text(row, "image")));
        }
        let said = call.option("--csv", &csv).args("--threads 2").run().ok();
        assert_eq!(said.stdout.trim_end(), csv.to_str().expect("a name"), "the file in place of the table");
        let again = self::rows(&csv).expect("the oracle");
        for (row, other) in rows.iter().zip(again.iter().rev()) {
            assert!(text(other, "image").ends_with(text(row, "image")) && text(other, "error").is_empty());
            assert_eq!(row["predicted"], other["predicted"]);
            let far = |(a, b): (&(&str, f64), &(&str, f64))| a.0 != b.0 || (a.1 - b.1).abs() > 1e-4;
            assert!(!probabilities(row).iter().zip(&probabilities(other)).any(far), "{row} {other}");
        }
        // A twin: the answers of another image are others.
        let (first, last) = (probabilities(&rows[0]), probabilities(&rows[rows.len() - 1]));
        assert!(first.iter().zip(&last).any(|(a, b)| (a.1 - b.1).abs() > 1e-4), "{first:?} {last:?}");
    }
}

#[test]
fn a_run_that_goes_on_writes_the_same_answers() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let file = run.join("predictions.csv");
    // As after a crash while the results were written: this one cut short, the later ones not there.
    std::fs::write(&file, &read(&file)[..40]).expect("written");
    for later in ["summary.json", "report-data.json", "report.html"] {
        std::fs::remove_file(run.join(later)).expect("removed");
    }
    train_call(&trained().data, &run).arg("--resume").run().ok();
    assert!(read(&file) == read(&trained().file("predictions.csv")), "{}", read_text(&file));
}

#[test]
fn names_with_commas_quotes_and_line_breaks_come_back() {
    let dir = scratch();
    let data = dir.path().join("photos");
    let classes = ["a, b", "say \"no\"\nsemi;colon"];
    for (c, class) in classes.iter().enumerate() {
        std::fs::create_dir_all(data.join(class)).expect("a folder");
        for i in 0..20 {
            let image = class_image(c, SIDE, 3, i);
            write_image(&data.join(class).join(format!("x, \"{i}\"\n.png")), &image).expect("an image");
        }
    }
    let run = dir.path().join("run");
    let call = oculist("train").arg(&data).args("--arch resnet8 --epochs 1 --image-size 16 --batch-size 16");
    call.args("--threads 2 --measure-seconds 0.01").option("--output", &run).run().ok();
    let Some(found) = rows(&run.join("predictions.csv")) else { return };
    assert!(!found.is_empty());
    for row in &found {
        assert!(classes.contains(&text(row, "truth")) && classes.contains(&text(row, "predicted")), "{row}");
        assert!(data.join(text(row, "image")).is_file(), "{row}");
        assert_eq!(probabilities(row).len(), 2);
    }
    let csv = dir.path().join("answers.csv");
    let call = oculist("predict").arg(&data).option("--model", run.join("model.onnx"));
    call.option("--csv", &csv).run().ok();
    let found = rows(&csv).expect("the oracle");
    assert_eq!(found.len(), 40);
    assert!(found.iter().all(|row| Path::new(text(row, "image")).is_file()));
}

#[test]
fn files_without_an_answer_say_why_and_nothing_else_is_overwritten() {
    let dir = scratch();
    let model = trained().file("model.onnx");
    let csv = dir.path().join("deep/answers.csv");
    let call = || oculist("predict").option("--model", &model);
    call().arg(damaged_photos()).option("--csv", &csv).run().ok();
    let Some(found) = rows(&csv) else { return };
    let broken: Vec<_> = found.iter().filter(|row| !text(row, "error").is_empty()).collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    for row in broken {
        assert!(text(row, "predicted").is_empty() && text(row, "p:class0").is_empty(), "{row}");
    }
    // It is replaced, but not by what cannot be.
    let before = read(&csv);
    let image = dir.path().join("one.png");
    std::fs::copy(trained().data.join("class0/0.png"), &image).expect("a copy");
    let bytes = read(&image);
    call().arg(&image).option("--csv", &image).run().fails(1, &["one.png", "one of the images"]);
    call().arg(dir.path()).option("--csv", &image).run().fails(1, &["one.png", "one of the images"]);
    assert!(read(&image) == bytes);
    call().arg(&image).option("--csv", &model).run().fails(1, &["model.onnx", "is the model"]);
    call().arg(&image).option("--csv", dir.path()).run().fails(1, &["expected a file", "folder"]);
    assert!(read(&csv) == before);
    call().arg(&image).option("--csv", &csv).run().ok();
    assert_eq!(rows(&csv).expect("the oracle").len(), 1);
    // JSON is printed where it is asked for too.
    let json = call().arg(&image).option("--csv", &csv).arg("--json").run().ok().json();
    assert_eq!(json.as_array().map(Vec::len), Some(1));
}
