//! The page of several runs, and the preview: like the report, well-formed and alone.

use oculist_report::{
    ComparedRun, Metric, Png, PreviewRow, RunSummary, render_preview_html, render_runs_html, runs_table,
};

use crate::dom::Page;
use crate::page::faults;
use crate::sample_run::sample_run;

const VERSION_1: &str = include_str!("summary-v1.json");

fn run(name: &str, summary: RunSummary, settings: &[(&str, &str)]) -> ComparedRun {
    let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    ComparedRun { name: name.into(), summary, settings }
}

/// The sample run, another one with a worse and slower model, and one of version 1.
fn runs() -> Vec<ComparedRun> {
    let mut other = sample_run(10);
    let model = &mut other.models[2];
    model.top1 = model.top1.map(|top1| top1 - 1.0);
    let latency = model.latency_ms.as_mut().expect("measured");
    latency.median *= 2.0;
    other.history.truncate(10);
    vec![
        run("first", sample_run(10), &[("train.lr", "0.1"), ("seed", "42")]),
        run("second", other, &[("train.lr", "0.2"), ("seed", "42")]),
    ]
}

fn page(runs: &[ComparedRun]) -> Page {
    let page = Page::parse(&render_runs_html(runs).expect("renders"));
    assert_eq!(faults(&page), Vec::<String>::new());
    page
}

/// The cells of the row of this label in the first table.
fn row(page: &Page, label: &str) -> Vec<String> {
    let rows = page.tags("table")[0].tags("tr");
    let row = rows.iter().find(|r| r.tags("th")[0].text().starts_with(label));
    let row = row.unwrap_or_else(|| panic!("row {label}"));
    row.tags("td").iter().map(super::dom::Element::text).collect()
}

#[test]
fn recommended_models_stand_beside_each_other_with_differences_from_the_first() {
    let runs = runs();
    let page = page(&runs);
    let top1 = row(&page, "Top-1");
    assert!(!top1[0].contains("points") && top1[1].contains("−1.00 points"), "{top1:?}");
    assert!(row(&page, "Latency")[1].contains("2.0× slower"));
    let settings = page.id("settings").expect("the section").text();
    assert!(
        settings.contains("train.lr") && settings.contains("0.2") && !settings.contains("seed"),
        "{settings}"
    );
    assert!(settings.contains("1 setting"), "{settings}");
    let costs = page.id("costs").expect("the section").text();
    assert!(
        costs.contains("21 min 24 s")
            && costs.contains("Epochs")
            && costs.contains("20")
            && costs.contains("10")
    );
    // One line a run in each of four plots, wide and narrow, and the legend.
    let lines = page.id("curves").expect("the section").tags("path");
    let of = |class: &str| lines.iter().filter(|l| l.attribute("class").as_deref() == Some(class)).count();
    assert_eq!((of("line run k1"), of("line run k2")), (9, 9));
    let text = runs_table(&runs);
    assert!(text.lines().count() == 4 && text.is_ascii(), "{text}");
}

#[test]
fn what_cannot_be_compared_has_no_difference_and_a_note() {
    let mut runs = runs();
    runs[1].summary.data.test += 1;
    let page = page(&runs);
    assert!(!row(&page, "Top-1")[1].contains("points"), "scores on other images");
    assert!(row(&page, "Latency")[1].contains("slower"), "the machine is the same");
    assert!(page.tags("main")[0].text().contains("different test images"));
    runs[1].summary.data.test -= 1;
    runs[1].summary.threads += 1;
    let page = self::page(&runs);
    assert!(row(&page, "Top-1")[1].contains("points") && !row(&page, "Latency")[1].contains("slower"));
    assert!(page.tags("main")[0].text().contains("different numbers of threads"));
    // Which images were drawn is known by their digest, else as far as the seed tells.
    runs[1].summary.threads -= 1;
    for run in &mut runs {
        run.summary.data.test_images = None;
    }
    runs[1].summary.seed += 1;
    let has_difference = |runs: &[ComparedRun]| row(&self::page(runs), "Top-1")[1].contains("points");
    assert!(!has_difference(&runs), "another seed may have drawn other images");
    runs[0].summary.data.test_images = Some("same".into());
    assert!(!has_difference(&runs), "one run does not say");
    runs[1].summary.data.test_images = Some("same".into());
    assert!(has_difference(&runs), "the images are the same, whatever the seed");
    runs[1].summary.seed -= 1;
    runs[1].summary.data.test_images = Some("other".into());
    assert!(!has_difference(&runs), "the same seed with other images left out");
    runs[1].summary.data.test_images = Some("same".into());
    // Other instructions are another machine, but a run that does not say is none.
    runs[1].summary.instruction_set = String::new();
    assert!(row(&self::page(&runs), "Latency")[1].contains("slower"));
    runs[1].summary.instruction_set = "avx512".into();
    let page = self::page(&runs);
    assert!(!row(&page, "Latency")[1].contains("slower"));
    assert!(row(&page, "File").len() == 2);
}

#[test]
fn old_runs_other_metrics_and_many_runs_draw() {
    let old = RunSummary::from_json(VERSION_1).expect("it opens");
    let mut by_loss = sample_run(10);
    by_loss.metric = Metric::LogLoss;
    by_loss.history.iter_mut().for_each(|e| e.val = e.val_loss);
    let mut runs = vec![
        run("old", old, &[]),
        run("loss", by_loss, &[("x", "1")]),
        run("none", RunSummary::default(), &[]),
    ];
    for i in 0..14 {
        runs.push(run(&format!("run {i}"), sample_run(2), &[]));
    }
    let page = page(&runs);
    let text = page.tags("main")[0].text();
    assert!(text.contains("Log loss") && text.contains("decided by different metrics"), "{text}");
    assert!(!text.contains("NaN"));
}

#[test]
fn names_of_runs_and_settings_are_escaped() {
    let evil = "<script>alert(1)</script>{{ 7 }}";
    let mut runs = runs();
    runs[1].name = evil.into();
    runs[1].settings.push((evil.into(), evil.into()));
    runs[1].summary.command = evil.into();
    let page = page(&runs);
    assert_eq!(page.tags("script").len(), 1);
    assert!(page.tags("body")[0].text().matches(evil).count() >= 5);
}

#[test]
fn the_preview_is_a_page_like_the_others() {
    let row = PreviewRow {
        title: "<b>: a.png".into(),
        original: Png(vec![1, 2, 3]),
        copies: vec![(Png(vec![4]), "{\"transform\": \"<i>\"}".into())],
    };
    let html = render_preview_html("<data>", &[row.clone(), row]).expect("renders");
    let page = Page::parse(&html);
    assert_eq!(faults(&page), Vec::<String>::new());
    assert_eq!((page.tags("img").len(), page.tags("b").len()), (4, 0));
    assert!(page.tags("style")[0].text().contains("color-scheme: light dark"), "the report's style");
}
