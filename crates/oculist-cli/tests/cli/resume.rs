//! Interrupted runs go on to the same weights, bit for bit, as runs that nobody interrupted.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::runs::{EPOCHS, optimize_call, optimized, train_call, trained};
use crate::support::{Outcome, read, read_json, scratch, wait_for};

/// The checkpoint of the last finished epoch.
fn last(run: &Path, phase: &str) -> std::path::PathBuf {
    run.join("checkpoints").join(phase).join("last.safetensors")
}

/// Epochs done by a checkpoint: a safetensors file begins with the length of a JSON header.
fn epochs_done(checkpoint: &Path) -> u64 {
    let bytes = read(checkpoint);
    let len = u64::from_le_bytes(*bytes.first_chunk::<8>().expect("eight bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + len]).expect("a header");
    let state = header["__metadata__"]["oculist.state"].as_str().expect("a state");
    serde_json::from_str::<Value>(state).expect("JSON")["epoch"].as_u64().expect("an epoch")
}

/// Resumes a run of [`trained`]'s kind and compares it with the run that was not interrupted.
fn check_resumed(run: &Path) {
    let done = epochs_done(&last(run, "baseline"));
    assert!((1..EPOCHS as u64).contains(&done), "interrupted in between, after epoch {done}");
    assert!(!run.join("model.onnx").exists(), "it was not finished");
    let outcome = train_call(&trained().data, run).arg("--resume").run().ok();
    let note = format!("going on after epoch {done} of {EPOCHS}");
    assert!(outcome.stderr.contains(&note), "{}", outcome.stderr);
    assert!(
        read(&run.join("model.onnx")) == read(&trained().file("model.onnx")),
        "the same weights as without interruption"
    );
    assert!(
        read(&run.join("predictions.csv")) == read(&trained().file("predictions.csv")),
        "the same answers as without interruption"
    );
    let history = |path| read_json(path)["history"].as_array().expect("epochs").len();
    assert_eq!(history(&run.join("summary.json")), EPOCHS, "the report has the epochs before as well");
}

#[test]
fn training_goes_on_after_a_kill() {
    let dir = scratch();
    let run = dir.path().join("run");
    let mut child = train_call(&trained().data, &run).start();
    wait_for(&last(&run, "baseline"), &mut child);
    // SIGKILL, which no program can prepare for.
    child.kill().expect("killed");
    let outcome = Outcome::of(child);
    assert_eq!(outcome.status.code(), None, "ended by the signal: {outcome:?}");
    check_resumed(&run);
}

#[test]
fn training_goes_on_after_ctrl_c() {
    let dir = scratch();
    let run = dir.path().join("run");
    let mut child = train_call(&trained().data, &run).start();
    wait_for(&last(&run, "baseline"), &mut child);
    let kill = Command::new("kill").arg("-INT").arg(child.id().to_string()).status().expect("kill");
    assert!(kill.success());
    let outcome = Outcome::of(child).fails(1, &["stopped on request", "last.safetensors", "--resume"]);
    assert!(outcome.stderr.contains("stopping after this step"), "{}", outcome.stderr);
    check_resumed(&run);
}

#[test]
fn the_main_job_goes_on_after_a_kill_in_fine_tuning() {
    let want = read_json(&optimized().file("summary.json"));
    let phases =
        want["history"].as_array().expect("epochs").iter().map(|e| e["phase"].as_str().expect("a phase"));
    let finetuning = phases.into_iter().find(|p| *p != "baseline").expect("a fine-tuning");
    let dir = scratch();
    let run = dir.path().join("run");
    let call = || optimize_call(&optimized().data, &run);
    let mut child = call().start();
    wait_for(&last(&run, finetuning), &mut child);
    child.kill().expect("killed");
    assert_eq!(Outcome::of(child).status.code(), None);
    assert!(!run.join("summary.json").exists(), "it was not finished");
    let outcome = call().arg("--resume").run().ok();
    for note in ["baseline: going on after epoch 3 of 3", &format!("{finetuning}: going on after epoch")] {
        assert!(outcome.stderr.contains(note), "{note}: {}", outcome.stderr);
    }
    let models = want["models"].as_array().expect("models");
    for model in models {
        let file = model["file"].as_str().expect("a file");
        assert!(read(&run.join(file)) == read(&optimized().file(file)), "{file} as without interruption");
    }
    assert!(read(&run.join("predictions.csv")) == read(&optimized().file("predictions.csv")));
    let got = read_json(&run.join("summary.json"));
    assert_eq!(got["models"].as_array().map(Vec::len), Some(models.len()));
    assert_eq!(got["recommended"], want["recommended"]);
}
