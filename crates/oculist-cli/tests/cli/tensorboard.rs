//! Event files of a run, read by TensorBoard.

use oculist_testing::python;
use serde_json::Value;

use crate::support::runs::{EPOCHS, train_call, trained};
use crate::support::{Outcome, oculist, read_json, scratch, wait_for};

/// Series of the training, and those of the whole run.
const SCRIPT: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = {}
for name, folder in [("phase", sys.argv[1] + "/baseline"), ("whole", sys.argv[1])]:
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()
    found[name] = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]}
    found[name + " texts"] = tags["tensors"]
print(json.dumps(found))
"#;

fn series<'a>(found: &'a Value, run: &str, tag: &str) -> Vec<(u64, f64)> {
    let points: &'a Value = &found[run][tag];
    let points = points.as_array().unwrap_or_else(|| panic!("no series {tag}: {found}"));
    points.iter().map(|p| (p[0].as_u64().expect("a step"), p[1].as_f64().expect("a number"))).collect()
}

#[test]
fn tensorboard_shows_what_the_report_says_also_after_a_kill() {
    let dir = scratch();
    let run = dir.path().join("run");
    let call = || train_call(&trained().data, &run).args("--tensorboard");
    let mut child = call().start();
    wait_for(&run.join("checkpoints/baseline/last.safetensors"), &mut child);
    child.kill().expect("killed");
    assert_eq!(Outcome::of(child).status.code(), None);
    call().args("--resume").run().ok();
    let Some(found) = python::run_source(SCRIPT, [run.join("tensorboard")]) else { return };
    let found = found.expect_success().json();
    let summary = read_json(&run.join("summary.json"));
    let epochs = summary["history"].as_array().expect("epochs");
    let number = |v: &Value| v.as_f64().expect("a number");
    for (tag, key) in
        [("loss/train", "train_loss"), ("loss/val", "val_loss"), ("val/top1", "val_top1"), ("lr", "lr")]
    {
        let points = series(&found, "phase", tag);
        assert_eq!(points.len(), EPOCHS, "{tag}: one point an epoch, none twice: {points:?}");
        for ((_, value), epoch) in points.iter().zip(epochs) {
            let want = number(&epoch[key]);
            assert!((value - want).abs() <= 1e-6 * want.abs().max(1e-3), "{tag}: {value} instead of {want}");
        }
    }
    let steps: Vec<u64> = series(&found, "phase", "loss/step").iter().map(|(step, _)| *step).collect();
    assert!(
        steps.windows(2).all(|pair| pair[0] < pair[1]),
        "updates of the kill are not there twice: {steps:?}"
    );
    assert_eq!(steps.len() % EPOCHS, 0);
    let top1 = series(&found, "whole", "baseline/test/top1");
    assert!((top1[0].1 - number(&summary["models"][0]["top1"])).abs() < 1e-4);
    // A twin: another run's numbers are others.
    let other = read_json(&trained().file("summary.json"));
    assert_ne!(other["history"][0]["seconds"], summary["history"][0]["seconds"]);
    let wrong = number(&epochs[0]["train_loss"]) + 0.01;
    assert!((series(&found, "phase", "loss/train")[0].1 - wrong).abs() > 1e-3);
    for text in ["recipe", "steps"] {
        assert!(found["whole texts"].as_array().expect("tags").iter().any(|tag| tag == text), "{found}");
    }
    // A run that is replaced has its own events only; a folder of other events is refused.
    let folder = dir.path().join("events");
    let elsewhere = |output: &str| {
        let call = oculist("train").arg(&trained().data).option("--output", dir.path().join(output));
        let call = call.args("--arch resnet8 --image-size 16 --batch-size 16 --epochs 1 --threads 2");
        call.arg(format!("--tensorboard={}", folder.display())).run()
    };
    elsewhere("a").ok();
    elsewhere("b").fails(1, &["events"]);
}
