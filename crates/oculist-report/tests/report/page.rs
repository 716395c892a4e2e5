//! The page: well-formed, alone, escaped, with the numbers of its input.

use oculist_report::{
    AuditKind, AuditReport, AugmentCheck, AugmentOperation, AugmentPair, Candidate, ClassAccuracy,
    ComparedRun, Epoch, Model, Png, PreviewRow, Promise, RunSummary, Skipped, Step, StepState,
    render_audit_html, render_augment_check_html, render_html, render_preview_html, render_runs_html,
};

use crate::dom::Page;
use crate::sample_run::sample_run;

fn page(run: &RunSummary) -> (String, Page) {
    let html = render_html(run).expect("renders");
    let page = Page::parse(&html);
    (html, page)
}

/// What is wrong with a page that should stand alone, well-formed, with unique ids.
pub(crate) fn faults(page: &Page) -> Vec<String> {
    let mut faults = page.errors();
    let mut ids = std::collections::BTreeSet::new();
    for element in page.elements() {
        for (name, value) in element.attributes() {
            let outside = match name.as_str() {
                "src" => !value.starts_with("data:image/png;base64,"),
                "href" => !value.starts_with('#') && !value.starts_with("data:"),
                "srcset" | "action" | "poster" | "background" | "ping" => true,
                "style" => value.contains("url("),
                _ => name.starts_with("on"),
            };
            if outside {
                faults.push(format!("<{} {name}={value:.60}>", element.tag()));
            }
            if name == "id" && !ids.insert(value.clone()) {
                faults.push(format!("id {value} twice"));
            }
        }
        if element.tag() == "style" && (element.text().contains("url(") || element.text().contains("@import"))
        {
            faults.push("the style sheet loads something".to_string());
        }
        if ["iframe", "object", "embed", "base", "form"].contains(&element.tag().as_str()) {
            faults.push(format!("<{}>", element.tag()));
        }
    }
    for link in page.tags("a") {
        let target = link.attribute("href").unwrap_or_default();
        if !ids.contains(target.trim_start_matches('#')) {
            faults.push(format!("link to nowhere: {target}"));
        }
    }
    for label in page.tags("label") {
        if !ids.contains(&label.attribute("for").unwrap_or_default()) {
            faults.push("label for nothing".to_string());
        }
    }
    faults
}

#[test]
fn pages_of_all_sizes_are_well_formed_and_load_nothing() {
    for classes in [2, 10, 30, 120] {
        let (html, page) = page(&sample_run(classes));
        assert_eq!(faults(&page), Vec::<String>::new(), "{classes} classes");
        assert!(html.len() < 600_000, "{classes} classes: {} bytes", html.len());
        for word in ["NaN", ">inf<", "undefined", "none</"] {
            assert!(!html.contains(word), "{word} with {classes} classes");
        }
    }
}

#[test]
fn all_kinds_of_pages_have_the_same_frame() {
    let png = || Png(vec![1, 2, 3]);
    let pair = AugmentPair {
        class: "six".into(),
        called: "nine".into(),
        original: Some(png()),
        changed: Some(png()),
        ..AugmentPair::default()
    };
    let operation =
        AugmentOperation { operation: "vertical_flip".into(), pairs: vec![pair], ..Default::default() };
    let check = AugmentCheck {
        data: "<digits>".into(),
        oculist_version: "1.2.3".into(),
        operations: vec![operation],
        ..AugmentCheck::default()
    };
    let audit = AuditReport {
        data: "photos".into(),
        oculist_version: "1.2.3".into(),
        classes: vec!["cat".into()],
        train_per_class: vec![3],
        kinds: vec![AuditKind { kind: "dark".into(), count: 1, ..AuditKind::default() }],
        ..AuditReport::default()
    };
    let preview = PreviewRow { title: "a.png".into(), original: png(), copies: vec![(png(), "flip".into())] };
    let runs = ["a", "b"].map(|name| ComparedRun {
        name: name.into(),
        summary: sample_run(2),
        ..ComparedRun::default()
    });
    let pages = [
        ("report", render_html(&sample_run(10)).unwrap()),
        ("runs", render_runs_html(&runs).unwrap()),
        ("audit", render_audit_html(&audit).unwrap()),
        ("preview", render_preview_html("photos", &[preview]).unwrap()),
        ("augment check", render_augment_check_html(&check).unwrap()),
    ];
    for (kind, html) in pages {
        assert!(html.starts_with("<!DOCTYPE html>"), "{kind}");
        assert!(!html.contains("http:") && !html.contains("https:"), "{kind}: no address");
        let page = Page::parse(&html);
        assert_eq!(faults(&page), Vec::<String>::new(), "{kind}");
        let has = |tag: &str, name: &str, value: &str| {
            page.tags(tag).iter().any(|e| e.attribute(name).is_some_and(|v| v.starts_with(value)))
        };
        assert!(has("link", "rel", "icon") && has("meta", "content", "oculist "), "{kind}: icon, generator");
        assert!(has("button", "id", "theme") && has("a", "href", "#content"), "{kind}: theme, skip");
        assert_eq!((page.tags("h1").len(), page.tags("script").len()), (1, 1), "{kind}");
        assert!(page.tags("style")[0].text().contains("--accent"), "{kind}: the style of all");
        assert!(page.tags("footer")[0].text().contains("loads nothing"), "{kind}");
        // By its title a result is known beside images, where it is looked for among the first bytes.
        assert!(html[..2000].contains("<title>"), "{kind}");
    }
    let html = render_augment_check_html(&check).unwrap();
    assert!(html.contains("<title>Augmentation check of &lt;digits&gt;</title>"), "{html}");
    assert!(html.contains("content=\"oculist 1.2.3\""));
    assert_eq!(Page::parse(&html).tags("img").len(), 2);
    assert!(render_audit_html(&audit).unwrap().contains("<a href=\"#dark\">Dark</a>"));
}

#[test]
fn a_thousand_classes_make_a_page_of_reasonable_size() {
    let (html, page) = page(&sample_run(1000));
    assert_eq!(faults(&page), Vec::<String>::new());
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
    assert!(html.contains("Confused most often") && !html.contains("Confusion matrix of"));
}

#[test]
fn the_fault_finder_finds_faults() {
    let (html, _) = page(&sample_run(10));
    let broken = html
        .replacen("</li>", "</span></li>", 1)
        .replacen("<h2>Result", "<img src=\"https://example.org/x.png\"><h2>Result", 1)
        .replacen("id=\"steps\"", "id=\"result\"", 1);
    let found = faults(&Page::parse(&broken)).join("\n");
    for fault in ["tag", "example.org", "id result twice", "link to nowhere: #steps"] {
        assert!(found.contains(fault), "{fault} in\n{found}");
    }
}

#[test]
fn every_string_is_escaped() {
    let evil = "<script>alert(\"x\")</script> & 'y' {{ 7*7 }}";
    let text = evil.to_string();
    let mut run = sample_run(10);
    run.command = text.clone();
    run.config = text.clone();
    run.cpu = text.clone();
    run.arch = text.clone();
    run.oculist_version = text.clone();
    run.started = text.clone();
    run.warnings = vec![text.clone()];
    run.target = Some(text.clone());
    run.promise = Some(Promise { kept: false, text: text.clone() });
    run.data.name = text.clone();
    run.data.license = Some(text.clone());
    run.data.class_names[3] = text.clone();
    run.data.skipped = vec![Skipped { path: text.clone(), reason: text.clone() }];
    run.input.preprocessing = text.clone();
    for model in &mut run.models {
        model.file = text.clone();
        model.precision = text.clone();
        model.per_class[3].class = text.clone();
    }
    run.models[2].name = text.clone();
    run.recommended = Some(text.clone());
    run.steps[1].name = text.clone();
    run.steps[1].what_changed = text.clone();
    run.candidates[1].name = text.clone();
    run.candidates[1].kind = text.clone();
    run.candidates[1].reason = text.clone();
    run.candidates[1].chosen = true;
    run.history[0].phase = text.clone();
    run.layers[0].layer = text.clone();
    run.sensitivity[0].layer = text.clone();
    run.sensitivity[0].decision = text.clone();
    run.samples[0].source = text.clone();
    run.samples[0].truth = text.clone();
    run.samples[0].predicted = text.clone();
    run.samples[0].baseline_predicted = Some("other".into());
    run.samples[0].top[1].class = text.clone();
    run.augmented_samples[0].class = text.clone();
    run.augmented_samples[0].operations = text.clone();
    if let Some(quantization) = &mut run.quantization {
        quantization.weights = text.clone();
        quantization.layers_f32[0] = text;
    }

    let (html, page) = page(&run);
    assert_eq!(faults(&page), Vec::<String>::new());
    assert_eq!(page.tags("script").len(), 1, "only the page's own script");
    assert!(!html.contains("alert(\"x\")") && !html.contains("<script>alert"));
    let seen = page.tags("body")[0].text().matches(evil).count();
    assert!(seen >= 30, "the text itself is shown: {seen}");
}

#[test]
fn the_table_shows_the_numbers_of_the_input() {
    let run = sample_run(10);
    let (_, page) = page(&run);
    let table = &page.tags("table")[0];
    let rows = table.tags("tr");
    let row = |label: &str| {
        rows.iter()
            .find(|r| r.tags("th")[0].text().starts_with(label))
            .unwrap_or_else(|| panic!("row {label}"))
    };
    let check = |label: &str, unit: &str, scale: f64, want: &dyn Fn(&Model) -> f64| {
        let cells = row(label).tags("data");
        assert_eq!(cells.len(), run.models.len(), "{label}");
        // The recommended one, the last of the run, is the first column.
        let models = [2, 0, 1].map(|i| &run.models[i]);
        for (cell, model) in cells.iter().zip(models) {
            // The exact number for machines, and what is read: the same, rounded.
            let value: f64 = cell.attribute("value").and_then(|v| v.parse().ok()).expect("a number");
            assert_eq!(value, want(model), "{label} of {}", model.name);
            let text = cell.text();
            let shown: f64 = text.trim_end_matches(unit).trim().replace(',', "").parse().expect("a number");
            assert!((shown * scale - value).abs() <= value.abs() * 0.005, "{label}: {text} for {value}");
        }
    };
    check("Top-1", "%", 1.0, &|m| m.top1.unwrap());
    check("Top-5", "%", 1.0, &|m| m.top5.unwrap());
    check("Validation top-1", "%", 1.0, &|m| m.val_top1.unwrap());
    check("ECE", "", 1.0, &|m| m.ece.unwrap());
    check("Parameters", "M", 1e6, &|m| m.params as f64);
    check("MACs", "M", 1e6, &|m| m.macs as f64);
    check("Latency, batch 1", "ms", 1.0, &|m| m.latency_ms.unwrap().median);
    check("Throughput, batch 32", "images/s", 1.0, &|m| m.images_per_s.unwrap().median);
    let files: Vec<_> = row("File").tags("data").iter().map(super::dom::Element::text).collect();
    assert_eq!(files, ["159 kB", "1.09 MB", "527 kB"]);
}

#[test]
fn the_verdict_and_the_measuring_conditions_are_named() {
    let run = sample_run(10);
    let (_, page) = page(&run);
    let headline = page.tags("h1")[0].text().replace('\u{a0}', " ");
    assert_eq!(headline, oculist_report::verdict(&run));
    let result = page.id("result").expect("the section").text();
    assert!(result.contains("2 threads on Sample CPU") && result.contains("2,000 test images"), "{result}");
    assert_eq!(page.id("command").expect("the command").text(), run.command);
    assert_eq!(page.id("config").expect("the configuration").text().trim_end(), run.config.trim_end());
}

#[test]
fn sections_without_content_are_left_out() {
    let ids = |run: &RunSummary| -> Vec<String> {
        let (_, page) = page(run);
        assert_eq!(faults(&page), Vec::<String>::new());
        page.tags("section").iter().filter_map(|s| s.attribute("id")).collect()
    };
    assert_eq!(ids(&RunSummary::default()), ["data", "reproduce"]);

    let all = [
        "result",
        "steps",
        "tradeoff",
        "training",
        "classes",
        "reject",
        "samples",
        "compression",
        "data",
        "reproduce",
    ];
    assert_eq!(ids(&sample_run(10)), all);

    // A training run: one model, a history, nothing else.
    let epoch = Epoch { phase: "baseline".into(), epoch: 1, train_loss: 2.3, ..Epoch::default() };
    let run = RunSummary {
        models: vec![Model { name: "baseline".into(), top1: Some(50.0), bytes: 1000, ..Model::default() }],
        history: vec![epoch],
        ..RunSummary::default()
    };
    assert_eq!(ids(&run), ["result", "training", "data", "reproduce"]);
}

#[test]
fn each_section_stands_without_its_optional_parts() {
    let mut run = sample_run(10);
    run.models.iter_mut().for_each(|m| {
        m.latency_ms = None;
        m.images_per_s = None;
        m.ece = None;
        m.val_top1 = None;
        m.calibration.clear();
        m.confusion.clear();
    });
    run.max_drop = None;
    run.promise = None;
    run.recommended = None;
    run.candidates.iter_mut().for_each(|c| {
        c.latency_ms = None;
        c.pruning_ratio = None;
    });
    run.history.iter_mut().for_each(|e| {
        e.val_loss = None;
        (e.val, e.val_top1) = (None, None);
    });
    run.samples.iter_mut().for_each(|s| s.png = None);
    run.steps = vec![Step { after: Some(StepState::default()), ..Step::default() }];
    let (html, page) = page(&run);
    assert_eq!(faults(&page), Vec::<String>::new());
    assert!(!html.contains("NaN") && html.contains("no picture"));
}

#[test]
fn numbers_that_are_not_finite_or_zero_do_not_break_the_page() {
    let model = Model {
        name: "baseline".into(),
        top1: Some(f64::NAN),
        per_class: vec![ClassAccuracy { class: "a".into(), accuracy: f64::NAN, count: 0 }],
        confusion: vec![vec![0]],
        ..Model::default()
    };
    let run = RunSummary {
        models: vec![model.clone(), Model { name: "compressed".into(), ..model }],
        candidates: vec![Candidate {
            val_top1: Some(f64::NAN),
            latency_ms: Some(f64::INFINITY),
            ..Candidate::default()
        }],
        history: vec![Epoch { train_loss: f64::INFINITY, val_top1: Some(f64::NAN), ..Epoch::default() }],
        ..RunSummary::default()
    };
    let (html, page) = page(&run);
    assert_eq!(faults(&page), Vec::<String>::new());
    let drawings = html.split("<svg").skip(1).filter_map(|s| s.split("</svg>").next());
    assert!(drawings.clone().count() >= 4);
    for drawing in drawings {
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    }
}

#[test]
fn the_reference_is_no_candidate() {
    let run = sample_run(10);
    let tried = run.candidates.len() - 1;
    let (_, page) = page(&run);
    let section = page.id("tradeoff").expect("the section");
    let text = section.text();
    assert!(text.contains(&format!("{tried} candidates were tried")), "{text}");
    assert!(text.contains(&format!("All candidates {tried}")), "{text}");
    let rows = section.tags("tr");
    assert_eq!(rows.len(), 1 + run.candidates.len(), "it is in the table to compare with");
    assert_eq!(rows.iter().filter(|r| r.attribute("class").as_deref() == Some("reference")).count(), 1);
    let kinds = section.tags("li").iter().filter(|li| li.text().trim() == "baseline").count();
    assert_eq!(kinds, 1, "the legend has the mark of the baseline, and no colour for it");
    // An older file does not say so but in the reason.
    let mut old = run.clone();
    old.candidates[0].reference = false;
    assert_eq!(render_html(&old).expect("renders"), render_html(&run).expect("renders"));
    // What any other reason says is a candidate.
    old.candidates[0].reason = "within the allowed drop".into();
    assert!(render_html(&old).expect("renders").contains(&format!("{} candidates were tried", tried + 1)));
}

#[test]
fn every_view_joins_the_candidates_that_none_dominates() {
    let (_, page) = page(&sample_run(10));
    let section = page.id("tradeoff").expect("the section");
    let lines =
        section.tags("path").iter().filter(|p| p.attribute("class").as_deref() == Some("pareto")).count();
    // Three views, each wide and narrow, and the legend.
    assert_eq!(lines, 7);
    let whiskers = section.tags("line");
    let whiskers =
        whiskers.iter().filter(|l| l.attribute("class").is_some_and(|c| c.starts_with("whisker"))).count();
    assert!(whiskers >= 2 * 10, "latencies have the spread of their repetitions: {whiskers}");
}

#[test]
fn channels_removed_and_remaining_are_of_the_same_sum() {
    let run = sample_run(10);
    let (_, page) = page(&run);
    let (before, after) =
        run.layers.iter().fold((0, 0), |sum, layer| (sum.0 + layer.before, sum.1 + layer.after));
    let text = page.id("compression").expect("the section").text();
    assert!(text.contains(&format!("{after} of {before} channels remain")), "{text}");
    assert!(text.contains(&format!("{} were removed.", before - after)), "{text}");
}

#[test]
fn the_training_loss_says_what_it_is() {
    let mut run = sample_run(10);
    let training = |run: &RunSummary| {
        let (_, page) = page(run);
        assert_eq!(faults(&page), Vec::<String>::new());
        page.id("training").expect("the section").text()
    };
    let text = training(&run);
    assert!(text.contains("with label smoothing 0.1, augmented images in baseline"), "{text}");
    assert!(text.contains("with 70% distillation from a teacher, augmented images in fine-tune"), "{text}");
    assert!(text.contains("may lie above it") && text.contains("Learning rate"), "{text}");
    run.history.truncate(14);
    let text = training(&run);
    assert!(text.contains("training with label smoothing 0.1, augmented images"), "in the legend: {text}");
    // An older run does not say, and the page claims nothing.
    run.history.iter_mut().for_each(|epoch| (epoch.loss, epoch.lr) = (String::new(), 0.0));
    let text = training(&run);
    assert!(!text.contains("computed") && !text.contains("Learning rate\n"), "{text}");
}

#[test]
fn classes_show_how_many_images_they_have() {
    let (_, page) = page(&sample_run(10));
    let counts = page.id("classes").expect("the section").tags("small");
    assert_eq!(counts.iter().filter(|c| c.text() == "200").count(), 10);
}

#[test]
fn the_environment_is_complete() {
    let (_, page) = page(&sample_run(10));
    let facts: Vec<String> =
        page.id("reproduce").expect("it").tags("dt").iter().map(super::dom::Element::text).collect();
    for fact in ["Oculist", "CPU", "Instruction set", "System", "Threads"] {
        assert!(facts.iter().any(|f| f == fact), "{fact} in {facts:?}");
    }
}

/// Rows of narrow tables are blocks, in which each cell says which column it is.
#[test]
fn cells_of_stacked_tables_name_their_columns() {
    let (_, page) = page(&sample_run(10));
    let stacked: Vec<_> = page
        .tags("table")
        .into_iter()
        .filter(|t| t.attribute("class").is_some_and(|c| c.split(' ').any(|c| c == "stack")))
        .collect();
    assert_eq!(stacked.len(), 2);
    for table in stacked {
        let heads: Vec<_> = table.tags("thead")[0].tags("th").iter().map(super::dom::Element::text).collect();
        for row in table.tags("tbody")[0].tags("tr") {
            let labels =
                row.tags("td").iter().filter_map(|cell| cell.attribute("data-label")).collect::<Vec<_>>();
            assert_eq!(labels, heads[1..]);
        }
    }
}
