//! Readers that go away: `oculist ... | head` is no failure, and `2>&1 | head` stops no work.

use std::process::Stdio;

use crate::support::runs::trained;
use crate::support::{Call, Outcome, oculist, scratch};

/// The writing end of a pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn without_stdout(mut call: Call) -> Outcome {
    // `run` would replace the streams.
    call.command().stdout(closed_pipe()).stderr(Stdio::piped());
    let child = call.command().spawn().expect("the binary starts");
    Outcome::of(child)
}

fn without_stderr(mut call: Call) -> Outcome {
    call.command().stdout(Stdio::piped()).stderr(closed_pipe());
    let child = call.command().spawn().expect("the binary starts");
    Outcome::of(child)
}

#[test]
fn a_reader_that_has_had_enough_is_no_error() {
    let model = trained().file("model.onnx");
    let calls = [
        oculist("zoo").arg("list"),
        oculist("completions").arg("bash"),
        oculist("data").args("show demo --json"),
        oculist("predict").arg(&trained().data).option("--model", &model),
        oculist("report").arg("--print").arg(&trained().folder),
        oculist("--help"),
        oculist("--version"),
    ];
    for call in calls {
        let outcome = without_stdout(call).ok();
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn lost_messages_stop_no_work() {
    let model = trained().file("model.onnx");
    let outcome = without_stderr(oculist("eval").arg(&trained().data).option("--model", &model)).ok();
    assert!(outcome.stdout.contains("class1"), "{}", outcome.stdout);
    // Nor do they change how it ends.
    let dir = scratch();
    let call = oculist("train").arg(&trained().data).args("--arch resnet8 --epochs 1 --lr 1e30");
    let outcome = without_stderr(call.option("--output", dir.path().join("run")));
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(without_stderr(oculist("zoo").arg("nothing")).status.code(), Some(2));
}
