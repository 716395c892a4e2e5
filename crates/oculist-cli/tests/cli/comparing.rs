//! Several runs on one page.

use std::path::Path;

use crate::support::runs::{copy_of_trained, optimized, trained};
use crate::support::{oculist, read, read_text, scratch};

/// A summary of version 1 of the schema.
const OLD: &str = include_str!("../../../oculist-report/tests/report/summary-v1.json");

fn compare(runs: &[&Path], output: &Path) -> crate::support::Call {
    let call = oculist("report").arg("compare");
    runs.iter().fold(call, super::support::Call::arg).option("--output", output)
}

#[test]
fn runs_are_beside_each_other_with_what_differs() {
    let dir = scratch();
    let page = dir.path().join("page.html");
    let runs = [trained().folder.as_path(), optimized().folder.as_path()];
    let said = compare(&runs, &page).run().ok();
    assert!(said.stdout.contains(page.to_str().expect("a name")), "{}", said.stdout);
    let lines: Vec<&str> =
        said.stdout.lines().filter(|l| l.starts_with("trained") || l.starts_with("optimized")).collect();
    assert_eq!(lines.len(), 2, "{}", said.stdout);
    let html = read_text(&page);
    for part in
        ["2 runs compared", ">trained<", ">optimized<", "train.epochs", "Validation loss", "Learning rate"]
    {
        assert!(html.contains(part), "{part}");
    }
    // The data are others, and no difference of scores is shown.
    assert!(html.contains("different test images"));
    let row = |name: &str| html.split("<tr").find(|row| row.contains(&format!(">{name}"))).expect("a row");
    assert!(!row("Top-1").contains("class=\"delta"), "{}", row("Top-1"));
    // The twin: costs are of the models alone.
    assert!(row("Parameters").contains("class=\"delta"), "{}", row("Parameters"));
    assert!(!html.contains("http://") && !html.contains("https://"), "it loads nothing");
    // An existing page is replaced only when that is meant.
    let before = read(&page);
    compare(&runs, &page).run().fails(1, &["page.html", "exists already", "--force"]);
    assert!(read(&page) == before);
    compare(&runs, &page).arg("--force").run().ok();
    compare(&runs, &page).args("--force --quiet").run().ok();
}

#[test]
fn old_runs_take_part() {
    let dir = scratch();
    let old = dir.path().join("old");
    std::fs::create_dir(&old).expect("a folder");
    std::fs::write(old.join("summary.json"), OLD).expect("a summary");
    let page = dir.path().join("page.html");
    compare(&[&old, &trained().folder], &page).run().ok();
    let html = read_text(&page);
    assert!(
        html.contains(">old<") && html.contains("different test images"),
        "scores of other data are no contest"
    );
    // A summary is enough.
    let single = dir.path().join("other.json");
    std::fs::write(&single, OLD).expect("a summary");
    compare(&[&single, &old], &page).arg("--force").run().ok();
}

#[test]
fn what_is_no_run_is_named() {
    let dir = scratch();
    let page = dir.path().join("page.html");
    let good = trained().folder.as_path();
    let run = copy_of_trained(dir.path());
    let summary = run.join("summary.json");
    let fails = |words: &[&str]| {
        compare(&[good, &run], &page).run().fails(1, words);
        assert!(!page.exists());
    };
    let text = read_text(&summary);
    std::fs::write(&summary, &text[..text.len() / 2]).expect("written");
    fails(&["copy/summary.json", "not a run summary"]);
    std::fs::write(&summary, text.replacen("\"schema_version\": 2", "\"schema_version\": 99", 1))
        .expect("written");
    fails(&["copy/summary.json", "schema_version 99"]);
    std::fs::write(&summary, text.replacen("\"config\": \"", "\"config\": \"= ", 1)).expect("written");
    fails(&["copy/summary.json", "config"]);
    std::fs::remove_file(&summary).expect("removed");
    fails(&["copy", "summary.json"]);
    std::fs::remove_file(run.join("config.toml")).expect("removed");
    fails(&["copy", "found no summary.json"]);
    compare(&[good, &dir.path().join("nowhere")], &page).run().fails(1, &["nowhere", "found nothing"]);
    compare(&[good, good], &page).run().fails(1, &["trained", "twice"]);
    compare(&[good, &optimized().folder], dir.path()).run().fails(1, &["expected a file"]);
    // Wrong usage.
    compare(&[good], &page).run().fails(2, &["2"]);
    oculist("report").arg("compare").arg(good).arg(&optimized().folder).run().fails(2, &["--output"]);
    oculist("report").run().fails(2, &["RUN"]);
}
