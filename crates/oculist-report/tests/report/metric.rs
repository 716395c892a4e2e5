//! Runs that another metric than top-1 decides, and files of the time when there was no other.

use oculist_report::terminal::{before_after, candidates, evaluation, step_line, steps};
use oculist_report::{Metric, RunSummary, Task, render_html, table_html, verdict};

use crate::dom::Page;
use crate::page::faults;
use crate::sample_run::sample_run;

const VERSION_1: &str = include_str!("summary-v1.json");

/// The log loss that stands for so much top-1.
fn loss(top1: f64) -> f64 {
    (100.0 - top1) / 25.0
}

/// The sample run, decided by the log loss: worse where top-1 was worse.
fn log_loss_run() -> RunSummary {
    let mut run = sample_run(10);
    (run.metric, run.max_drop) = (Metric::LogLoss, Some(0.02));
    for model in &mut run.models {
        model.scores = [(Metric::Top1, model.top1.unwrap()), (Metric::LogLoss, loss(model.top1.unwrap()))]
            .into_iter()
            .collect();
        model.val_scores.set(Metric::LogLoss, loss(model.val_top1.unwrap()));
    }
    let values = run.candidates.iter_mut().map(|c| &mut c.val);
    let values = values.chain(run.history.iter_mut().map(|e| &mut e.val));
    let states = run.steps.iter_mut().flat_map(|s| [&mut s.before, &mut s.after]).flatten();
    for value in values.chain(states.map(|s| &mut s.val)) {
        *value = value.map(loss);
    }
    run
}

/// The first words of the rows of the before/after table.
fn labels(run: &RunSummary) -> Vec<String> {
    let text = before_after(run);
    let rows = text.lines().skip_while(|l| !l.starts_with("---")).skip(1).take_while(|l| !l.is_empty());
    rows.filter(|l| !l.starts_with(' ')).map(|l| l.split("  ").next().unwrap().to_owned()).collect()
}

#[test]
fn a_file_of_version_1_reads_as_it_always_did() {
    let run = RunSummary::from_json(VERSION_1).expect("opens");
    assert_eq!((run.metric, run.task, run.schema_version), (Metric::Top1, Task::SingleLabel, 1));
    let text = before_after(&run);
    for line in [
        "10x smaller, 4.6x faster, -0.4 points",
        "Top-1                          93.84%           93.39%  -0.45 points            93.45%  -0.39 points",
        "Top-5                          99.92%           99.94%  +0.02 points            99.94%  +0.02 points",
        "Validation top-1               94.30%           94.17%  -0.13 points            94.23%  -0.07 points",
        "ECE                            0.0753           0.0594  -0.0159                 0.0601  -0.0152",
        "* recommended. Accuracies on 10,000 test images; speeds with 2 threads on AMD EPYC.",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
    let labels = labels(&run);
    assert_eq!(labels.len(), 10, "{labels:?}");
    assert!(
        candidates(&run).contains("baseline, int8                        94.32%"),
        "{}",
        candidates(&run)
    );
    assert!(steps(&run).contains("val top-1") && steps(&run).contains("94.30%"));
    let html = render_html(&run).expect("renders");
    assert_eq!(faults(&Page::parse(&html)), Vec::<String>::new());
    assert!(html.contains("82.70%"), "the learning curve has its values");

    // Its top-1 does not pass for another metric.
    let other = RunSummary { metric: Metric::LogLoss, ..run };
    assert!(!candidates(&other).contains("94.32%"), "{}", candidates(&other));
    assert!(verdict(&other).ends_with("log loss –"), "{}", verdict(&other));
    assert_eq!(other.candidates[0].value(Metric::LogLoss), None);
}

#[test]
fn a_new_file_has_old_and_new_fields_and_reads_back() {
    let run = log_loss_run();
    let text = run.to_summary_json().expect("serialises");
    for part in
        ["\"metric\": \"log_loss\"", "\"task\": \"single-label\"", "\"val_top1\": 90.3", "\"top1\": 89.9"]
    {
        assert!(text.contains(part), "{part}");
    }
    let back = RunSummary::from_json(&text).expect("reads back");
    assert_eq!(back, run.without_pictures());
    assert_eq!(back.models[0].val_score(Metric::LogLoss), Some(loss(90.3)));
    let wrong = text.replace("\"metric\": \"log_loss\"", "\"metric\": \"los\"");
    assert!(RunSummary::from_json(&wrong).unwrap_err().to_string().contains("expected a metric"));
}

#[test]
fn the_metric_comes_first_in_its_unit_and_direction() {
    let run = log_loss_run();
    assert_eq!(verdict(&run), "6.9× smaller, 2.4× faster, log loss +0.004");
    let rows = labels(&run);
    assert_eq!(rows[..6], ["Log loss", "Top-1", "Top-5", "Validation log loss", "Agreement", "ECE"]);
    let text = before_after(&run);
    assert!(text.is_ascii() && text.contains("Scores on 2,000 test images"), "{text}");
    for line in text.lines().filter(|l| l.starts_with("Log loss") || l.starts_with("Validation log")) {
        assert!(line.contains("0.4") && line.contains("+0.0") && !line.contains('%'), "{line}");
        assert!(!line.contains("points"), "{line}");
    }
    let all = steps(&run) + &candidates(&run) + &step_line(&run.steps[2], run.metric);
    assert!(all.contains("val log loss 0.388 -> 0.556"), "{all}");
    assert!(!all.contains("top-1") && !all.contains("0%"), "{all}");
}

#[test]
fn less_is_better_on_the_page_as_well() {
    let mut run = log_loss_run();
    let (tone, other) = ("delta worse\">+0.004", "delta better\">−0.004");
    let html = render_html(&run).expect("renders");
    assert_eq!(faults(&Page::parse(&html)), Vec::<String>::new());
    assert!(html.contains(tone) && !html.contains(other));
    let page = Page::parse(&html);
    let tile = page.tags("h2").iter().map(super::dom::Element::text).find(|t| t.contains("on test images"));
    assert_eq!(tile.as_deref(), Some("Log loss on test images"));
    for (id, parts) in [
        (
            "tradeoff",
            ["Val. log loss", "max-drop 0.02", "kept within 0.02 of the baseline's validation log loss"],
        ),
        ("training", ["Best val. log loss", "Log loss", "Val. log loss"]),
        ("steps", ["val. log loss", "0.388", "0.556"]),
        ("compression", ["Change of validation log loss", "+0.", "f32"]),
    ] {
        let text = page.id(id).expect(id).text();
        for part in parts {
            assert!(text.contains(part), "{part} in {id}");
        }
        assert!(!text.to_lowercase().contains("top-1"), "{id}");
    }
    assert!(page.id("tradeoff").unwrap().text().contains("drawn on its upper edge"));
    // The best epoch is the one with the least.
    let best = run.history.iter().take(14).filter_map(|e| e.val).fold(f64::INFINITY, f64::min);
    assert!(page.id("training").unwrap().text().contains(&format!("{best:.3}")));

    // The twin: what was lost is gained.
    let scores: Vec<_> = run.models.iter().map(|m| (m.scores.clone(), m.val_scores.clone())).collect();
    for (model, scores) in run.models.iter_mut().zip(scores.into_iter().rev()) {
        (model.scores, model.val_scores) = scores;
    }
    let html = render_html(&run).expect("renders");
    assert!(html.contains(other) && !html.contains(tone));
}

#[test]
fn other_scores_follow_and_leave_the_rest_as_it_is() {
    let bare = sample_run(10);
    let mut run = bare.clone();
    for model in &mut run.models {
        model.scores = [
            (Metric::Top1, model.top1.unwrap()),
            (Metric::LogLoss, 0.3),
            (Metric::MacroF1, 88.0),
            (Metric::Ece, 100.0 * model.ece.unwrap()),
        ]
        .into_iter()
        .collect();
    }
    let (old, new) = (before_after(&bare), before_after(&run));
    // Columns are as wide as they must be; the words are the same.
    let words = |text: &str| -> Vec<String> {
        text.lines().map(|l| l.replace('-', "").split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let (old, mut new) = (words(&old), words(&new));
    let more: Vec<_> =
        new.extract_if(.., |l| l.starts_with("Macro F1") || l.starts_with("Log loss")).collect();
    assert_eq!(more.len(), 2, "{more:?}");
    assert_eq!(new, old);
    assert_eq!(labels(&run)[4..8], ["ECE", "Macro F1", "Log loss", "Parameters"]);
    let text = evaluation(&run.models[0], &[]);
    for part in ["top-1", "log loss", "0.300", "macro F1", "88.00%", "ECE", "0.0312"] {
        assert_eq!(text.matches(part).count(), 1, "{part} in\n{text}");
    }
    assert!(!evaluation(&bare.models[0], &[]).contains("log loss"));
}

#[test]
fn a_metric_that_is_infinite_or_absent_does_not_break_anything() {
    let mut run = log_loss_run();
    run.models[1].scores.set(Metric::LogLoss, f64::INFINITY);
    run.models[2].scores.set(Metric::LogLoss, f64::NAN);
    run.models[2].val_scores = oculist_report::Scores::new();
    run.candidates[2].val = Some(f64::INFINITY);
    run.candidates[3].val = None;
    run.history[1].val = Some(f64::INFINITY);
    for run in [&run, &RunSummary::from_json(&run.to_data_json().unwrap()).expect("reads back")] {
        assert!(before_after(run).is_ascii() && candidates(run).is_ascii());
        let html = render_html(run).expect("renders");
        assert_eq!(faults(&Page::parse(&html)), Vec::<String>::new());
        assert!(!html.contains("NaN") && !html.contains(">inf<") && !html.contains("inf%"));
    }
    assert!(before_after(&run).contains("inf"), "{}", before_after(&run));
}

#[test]
fn the_table_alone_stands_alone() {
    let mut run = log_loss_run();
    run.models[1].name = "<script>alert(1)</script>".into();
    run.cpu = "a & b".into();
    let html = table_html(&run);
    let page = Page::parse(&format!("<!DOCTYPE html><title>notebook</title>{html}"));
    assert_eq!(faults(&page), Vec::<String>::new());
    assert_eq!((page.tags("script").len(), page.tags("table").len(), page.tags("div").len()), (0, 1, 1));
    let text = page.tags("div")[0].text();
    for part in ["<script>alert(1)</script>", "a & b", &verdict(&run), "Log loss", "recommended", "159 kB"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Only what is inside is styled.
    let style = page.tags("style")[0].text();
    assert!(style.lines().filter(|l| !l.is_empty()).all(|l| l.starts_with(".oculist-table ")), "{style}");
    let empty = table_html(&RunSummary::default());
    assert!(empty.contains("No model was measured") && !empty.contains("<table"), "{empty}");
}
