//! A run whose images have several labels.

use oculist_report::terminal::{before_after, evaluation};
use oculist_report::{LabelScores, Metric, Model, RunSummary, Task, render_html, verdict};

use crate::dom::Page;
use crate::page::faults;
use crate::sample_run::sample_run;
use crate::schema::differences_from_document;

/// The sample run with several labels to an image.
fn several_labels() -> RunSummary {
    let mut run = sample_run(10);
    (run.task, run.metric, run.promise) = (Task::MultiLabel, Metric::Map, None);
    let names = run.data.class_names.clone();
    for (i, model) in run.models.iter_mut().enumerate() {
        let loss = i as f64;
        *model = Model {
            top1: None,
            top5: None,
            val_top1: None,
            ece: None,
            chance: None,
            calibration: Vec::new(),
            reject: None,
            per_class: Vec::new(),
            confusion: Vec::new(),
            ..model.clone()
        };
        model.scores = [
            (Metric::Map, 81.2 - loss),
            (Metric::MacroF1, 75.5),
            (Metric::MicroF1, 77.0),
            (Metric::ExactMatch, 52.0),
            (Metric::Hamming, 6.5 + loss),
            (Metric::LogLoss, 0.21),
        ]
        .into_iter()
        .collect();
        model.val_scores.set(Metric::Map, 82.0 - loss);
        let label = |(c, class): (usize, &String)| LabelScores {
            class: class.clone(),
            f1: 70.0 + c as f64 - loss,
            precision: 80.0,
            recall: 65.25 + loss,
            average_precision: (c != 4).then_some(60.0 + c as f64),
            positives: if c == 4 { 0 } else { 1234 },
            predicted: 99,
        };
        model.per_label = names.iter().enumerate().map(label).collect();
    }
    for candidate in &mut run.candidates {
        (candidate.val, candidate.val_top1) = (candidate.val_top1.map(|v| v - 8.3), None);
    }
    for (i, sample) in run.samples.iter_mut().enumerate() {
        (sample.truth, sample.predicted) = (String::new(), String::new());
        let both = vec![names[i % 10].clone(), names[(i + 1) % 10].clone()];
        sample.truths.clone_from(&both);
        sample.predictions = match i {
            0 => both.into_iter().rev().collect(),
            1 => Vec::new(),
            _ => both[..1].to_vec(),
        };
    }
    run
}

#[test]
fn the_terminal_speaks_of_map_and_the_labels() {
    let run = several_labels();
    assert_eq!(verdict(&run), "6.9× smaller, 2.4× faster, −2.0 points of mAP");
    let text = before_after(&run);
    for part in ["mAP", "81.20%", "-2.00 points", "Validation mAP", "Hamming loss", "Exact match", "0.210"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    for part in ["op-1", "op-5", "ECE"] {
        assert!(!text.contains(part), "{part} in\n{text}");
    }
    let rows: Vec<_> = text.lines().filter(|l| l.starts_with("mAP") || l.starts_with("Validation")).collect();
    assert!(rows.len() == 2 && rows[0].starts_with("mAP"), "{rows:?}");

    let text = evaluation(&run.models[0], &run.data.class_names);
    assert!(text.is_ascii(), "{text}");
    for part in
        ["mAP", "81.20%", "F1", "recall", "average precision", "positives", "65.25%", "1,234", "Shirt"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("top-") && !text.contains("confused") && !text.contains("accuracy"), "{text}");
    // The twin: with one label nothing of that is said.
    let one = evaluation(&sample_run(10).models[0], &[]);
    assert!(!one.contains("recall") && !one.contains("mAP") && one.contains("confused most"), "{one}");
}

#[test]
fn the_page_has_a_table_of_labels_and_no_matrix() {
    let mut run = several_labels();
    // What belongs to the other task is not shown even where a file has it.
    let other = sample_run(10);
    run.models[2].confusion = other.models[2].confusion.clone();
    run.models[2].per_class = other.models[2].per_class.clone();
    run.models[2].top5 = Some(12.34);
    let html = render_html(&run).expect("renders");
    let page = Page::parse(&html);
    assert_eq!(faults(&page), Vec::<String>::new());
    let classes = page.id("classes").expect("the section");
    let heads: Vec<_> = classes.tags("thead")[0].tags("th").iter().map(super::dom::Element::text).collect();
    assert_eq!(heads, ["Class", "Positives", "F1", "Precision", "Recall", "Average precision"]);
    let rows = classes.tags("tbody")[0].tags("tr");
    assert_eq!(rows.len(), 10);
    let first: Vec<_> = rows[0].tags("td").iter().map(super::dom::Element::text).collect();
    assert_eq!(first, ["1,234", "68.00% −2.00", "80.00% ±0.00", "67.25% +2.00", "60.00% ±0.00"]);
    assert_eq!(rows[4].tags("td")[4].text(), "–", "no positives, no average precision");
    assert!(classes.text().contains("One class is on no test image"), "{}", classes.text());
    for absent in ["Confusion matrix", "Confused most", "Top-5", "top-1", "12.34", "NaN"] {
        assert!(!html.contains(absent), "{absent}");
    }
    assert!(html.contains("mAP on test images") && html.contains("validation mAP, %"));
    // The twin: as one label, the same run has its matrix and no such table.
    run.task = Task::SingleLabel;
    let html = render_html(&run).expect("renders");
    assert!(html.contains("Confusion matrix") && !html.contains("Average precision"));
}

#[test]
fn samples_are_right_if_all_labels_are() {
    let mut run = several_labels();
    run.samples.truncate(3);
    run.samples.iter_mut().for_each(|s| s.baseline_predicted = None);
    let texts = |run: &RunSummary| -> Vec<(String, String)> {
        let page = Page::parse(&render_html(run).expect("renders"));
        let samples = page.id("samples").expect("the section").tags("figure");
        let samples = samples.into_iter().filter(|f| !f.attribute("class").unwrap().contains("augmented"));
        samples.map(|f| (f.attribute("class").unwrap(), f.tags("figcaption")[0].text())).collect()
    };
    let found = texts(&run);
    let classes: Vec<_> = found.iter().map(|f| f.0.as_str()).collect();
    assert_eq!(classes, ["sample wrong", "sample wrong", "sample"], "another order is right: {found:?}");
    assert!(found[0].1.contains("no label") && found[0].1.contains("has Trouser, Pullover"), "{found:?}");
    assert!(found[1].1.contains("has Pullover, Dress"), "{found:?}");
    assert!(found[2].1.contains("Trouser, T-shirt/top") && !found[2].1.contains("has "), "{found:?}");
    run.samples[0].predictions.pop();
    assert!(texts(&run).iter().all(|f| f.0 == "sample wrong"), "half of it is wrong");
}

#[test]
fn names_of_labels_are_escaped() {
    let evil = "<script>alert(2)</script>".to_owned();
    let mut run = several_labels();
    run.models[2].per_label[1].class = evil.clone();
    run.samples[0].truths[0] = evil.clone();
    run.samples[1].predictions = vec![evil.clone()];
    run.samples[2].baseline_predicted = Some(evil.clone());
    let html = render_html(&run).expect("renders");
    let page = Page::parse(&html);
    assert_eq!((faults(&page), page.tags("script").len()), (Vec::new(), 1));
    assert_eq!(page.tags("main")[0].text().matches(&evil).count(), 4);
}

#[test]
fn the_file_is_as_documented_and_needs_no_metric() {
    let run = several_labels();
    let text = run.to_summary_json().expect("serialises");
    assert_eq!(differences_from_document(&text), Vec::<String>::new());
    assert_eq!(RunSummary::from_json(&text).expect("reads back"), run.without_pictures());
    assert!(text.contains("\"task\": \"multi-label\"") && text.contains("\"top1\": null"));
    // Where the metric is not named, or is one of the other task, mAP is meant.
    let without = text.replace("  \"metric\": \"map\",\n", "");
    assert_ne!(without, text);
    let unnamed = RunSummary::from_json(&without).expect("reads");
    assert_eq!((unnamed.metric, unnamed.deciding_metric()), (Metric::Top1, Metric::Map));
    assert_eq!(before_after(&unnamed), before_after(&run));
    let by_loss = RunSummary { metric: Metric::LogLoss, ..run };
    assert_eq!(by_loss.deciding_metric(), Metric::LogLoss);
}
