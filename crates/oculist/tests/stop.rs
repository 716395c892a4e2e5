//! A run can be stopped anywhere, and goes on to the models that it would have made without.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist::{Existing, Finished, OculistError, Progress, RunOptions, Settings, Watch, optimize};
use oculist_data::fixture::write_class_folders;

/// Where to stop: texts that are part of a message, in the order in which they come.
const PLACES: [&str; 8] = [
    "unreadable",
    "Quantise the baseline to int8",
    "int8, min-max calibration",
    "Prune channels",
    "removed",
    "entropy calibration",
    "sensitivity scan",
    "Measure on test images",
];

fn settings(data: &Path) -> Settings {
    Settings {
        data: Some(data.display().to_string()),
        arch: Some("resnet8".into()),
        image_size: Some(16),
        epochs: Some(2),
        finetune_epochs: Some(1),
        batch_size: Some(16),
        threads: Some(2),
        max_drop: Some(60.0),
        measure_seconds: Some(0.05),
        ..Settings::default()
    }
}

/// Runs the main job until a message contains `place`, or to the end; counts the messages after that.
fn run(
    data: &Path,
    output: &Path,
    existing: Existing,
    place: Option<&str>,
) -> (Result<Finished, OculistError>, usize) {
    let stop = AtomicBool::new(false);
    let mut after = 0;
    let mut observer = |progress: Progress<'_>| {
        let text = match progress {
            Progress::Stage { title, .. } => title.to_owned(),
            Progress::Note(text) | Progress::Warning(text) => text.to_string(),
            Progress::Work { what, .. } => what.to_owned(),
            _ => String::new(),
        };
        after += usize::from(stop.load(Ordering::Relaxed));
        if place.is_some_and(|place| text.contains(place)) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let options = RunOptions {
        verb: "optimize".into(),
        output: output.into(),
        existing,
        verify: false,
        command: "oculist".into(),
        tensorboard: None,
        show: oculist::Message::to_string,
    };
    let result = optimize(&settings(data), &options, &mut Watch { observer: &mut observer, stop: &stop });
    (result, after)
}

#[test]
fn a_run_stopped_in_every_stage_ends_as_without() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, whole, stopped) =
        (dir.path().join("data"), dir.path().join("whole"), dir.path().join("stopped"));
    write_class_folders(&data, "", 3, 30, 16).expect("images");
    std::fs::write(data.join("class0/x.png"), "no image").expect("a text");
    let whole_run = run(&data, &whole, Existing::Refuse, None).0.expect("a run");

    // Before anything was written there is nothing to continue.
    let (result, _) = run(&data, &stopped, Existing::Refuse, Some(PLACES[0]));
    assert_eq!(result.expect_err("stopped").to_string(), "stopped on request");
    assert!(!stopped.exists());

    let mut existing = Existing::Refuse;
    for place in &PLACES[1..] {
        let (result, after) = run(&data, &stopped, existing, Some(place));
        let text = result.map(|_| ()).expect_err(place).to_string();
        assert_eq!(text, "stopped on request; continue with resume", "{place}");
        assert_eq!(after, 0, "{place}: nothing is begun after the request");
        assert!(!stopped.join("summary.json").exists());
        existing = Existing::Resume;
    }
    let again = run(&data, &stopped, Existing::Resume, Some(PLACES[0])).0.expect_err("stopped");
    assert_eq!(again.to_string(), "stopped on request; continue with resume", "there is a run by now");
    let finished = run(&data, &stopped, Existing::Resume, None).0.expect("a run");
    assert_eq!(finished.summary.recommended, whole_run.summary.recommended);
    for file in ["baseline.onnx", "model.onnx", "model.int8.onnx"] {
        let read = |run: &Path| std::fs::read(run.join(file)).expect(file);
        assert!(read(&stopped) == read(&whole), "{file} as without interruption");
    }
}
