//! The terminal's tables.

use oculist_report::terminal::{
    BenchResult, Prediction, before_after, bench, candidates, evaluation, predictions, step_line, steps,
};
use oculist_report::{Guess, RunSummary, Spread};

use crate::sample_run::sample_run;

#[test]
fn the_before_after_table_has_the_numbers_and_is_aligned() {
    let run = sample_run(10);
    let text = before_after(&run);
    assert!(text.is_ascii(), "{text}");
    for part in
        ["89.90%", "0.269 M", "1.09 MB", "159 kB", "6.9x smaller", "2.4x faster", "0.402 ms", "0.394-0.438"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.contains("2 threads on Sample CPU") && text.contains("compressed-int8*"), "{text}");
    // The values of a column end below its head.
    let lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().find(|l| l.contains("compressed-int8*")).expect("the head");
    let end = head.find("compressed-int8*").expect("the column") + "compressed-int8*".len();
    for label in ["Top-1", "Parameters", "File", "Latency", "Throughput"] {
        let line = lines.iter().find(|l| l.starts_with(label)).expect(label);
        let (value, rest) = line.split_at(end);
        assert!(!value.ends_with(' ') && rest.starts_with("  "), "{label}: {line}");
    }
    assert!(lines.iter().all(|l| l.len() <= 110), "{text}");
}

#[test]
fn a_run_without_models_says_so() {
    assert_eq!(before_after(&RunSummary::default()), "No model was measured\n");
}

#[test]
fn steps_and_candidates_are_listed() {
    let run = sample_run(10);
    let text = steps(&run);
    assert_eq!(text.lines().count(), run.steps.len() + 2);
    assert!(text.contains("11 min 42 s") && text.contains("86.10%"), "{text}");
    let text = candidates(&run);
    assert_eq!(text.lines().count(), run.candidates.len() + 2);
    assert_eq!(text.matches("chosen").count(), 1, "{text}");
    let line = step_line(&run.steps[4], run.metric);
    assert!(line.starts_with("quantise (31 s): ") && line.contains("file 527 kB -> 159 kB"), "{line}");
    assert!(!line.contains("params"), "what stayed the same is not repeated: {line}");
}

#[test]
fn evaluation_names_weak_classes_and_confusions() {
    let run = sample_run(10);
    let text = evaluation(&run.models[0], &run.data.class_names);
    for part in ["89.90%", "Shirt", "71.00%", "confused most"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let many = sample_run(100);
    let text = evaluation(&many.models[0], &[]);
    assert!(text.contains("30 weakest of 100 classes") && text.lines().count() < 60, "{text}");
}

#[test]
fn predictions_and_errors_share_a_table() {
    let guess = |class: &str, confidence| Guess { class: class.into(), confidence };
    let list = [
        Prediction {
            path: "a.png".into(),
            escaped: false,
            top: vec![guess("cat", 0.91), guess("dog", 0.06)],
            labels: None,
            reject: None,
            error: None,
            similar: Vec::new(),
        },
        Prediction {
            path: "b.txt".into(),
            escaped: false,
            top: Vec::new(),
            labels: None,
            reject: None,
            error: Some("not an image".into()),
            similar: Vec::new(),
        },
    ];
    let text = predictions(&list);
    assert!(text.contains("cat") && text.contains("91.0%") && text.contains("dog 6.0%"), "{text}");
    assert!(text.contains("error: not an image"), "{text}");
}

#[test]
fn bench_names_the_cpu_and_the_spread() {
    let latency =
        Spread { batch: 32, median: 12.34, min: 11.9, max: 14.0, runs: 40, p10: Some(12.0), p90: Some(13.1) };
    let line = BenchResult {
        model: "model.onnx".into(),
        precision: "f32".into(),
        threads: 2,
        latency_ms: latency,
        images_per_s: Spread { median: 2593.2, ..latency },
    };
    let text = bench(&[line], "Sample CPU");
    for part in ["12.3", "11.9 - 14.0", "2,593", "40", "CPU: Sample CPU"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}
