//! The same seed and threads give the same model, byte for byte; another seed gives another.

use crate::support::runs::{train_call, trained};
use crate::support::{oculist, read, read_json, scratch};

#[test]
fn the_seed_determines_the_model() {
    let dir = scratch();
    let run = dir.path().join("run");
    let again = train_call(&trained().data, &run).run().ok();
    let want = read(&trained().file("model.onnx"));
    assert!(read(&run.join("model.onnx")) == want, "the same seed: {}", again.stderr);
    let losses = |path| {
        let summary = read_json(path);
        summary["history"]
            .as_array()
            .expect("epochs")
            .iter()
            .map(|e| e["train_loss"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(losses(&run.join("summary.json")), losses(&trained().file("summary.json")));

    // The other run replaces the first, and says nothing about it if it is told so.
    let other = train_call(&trained().data, &run).args("--seed 1 --force --quiet").run().ok();
    assert_eq!((other.stdout.as_str(), other.stderr.as_str()), ("", ""), "--quiet");
    assert!(read(&run.join("model.onnx")) != want, "another seed must give another model");
    assert_eq!(read_json(&run.join("summary.json"))["seed"], 1);
    assert!(run.join("report.html").is_file());
}

#[test]
fn the_seed_determines_the_split() {
    let eval = |seed: &str| {
        let call = oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx"));
        call.args("--json --split train --threads 2 --seed").arg(seed).run().ok().json()["ece"].clone()
    };
    let (first, again, other) = (eval("0"), eval("0"), eval("5"));
    assert_eq!(first, again);
    assert_ne!(first, other, "other images are drawn for training");
}

#[test]
fn the_instruction_set_is_a_setting() {
    let dir = scratch();
    let run = |name: &str, isa: &str| {
        let folder = dir.path().join(name);
        train_call(&trained().data, &folder).option("--isa", isa).run().ok();
        (read(&folder.join("model.onnx")), read_json(&folder.join("summary.json"))["instruction_set"].clone())
    };
    let (first, set) = run("first", "portable");
    let (again, _) = run("again", "portable");
    assert_eq!(set, "portable");
    assert!(first == again, "the same set gives the same model");
    let (fastest, set) = run("fastest", "auto");
    assert!(fastest == read(&trained().file("model.onnx")), "auto is the default");
    // Sums of other lengths round otherwise.
    assert_eq!(set == "portable", fastest == first, "{set}");
    train_call(&trained().data, &dir.path().join("none"))
        .args("--isa neon")
        .run()
        .fails(2, &["--isa", "neon", "portable"]);
}
