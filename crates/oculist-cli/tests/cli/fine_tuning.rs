//! What fine-tuning changes, from the command line and in recipes.

use std::path::Path;

use crate::support::runs::trained;
use crate::support::{Call, oculist, read, read_json, scratch};

/// A stage of each kind, the last with all that goes together.
const TUNED: &str = r#"
name = "gently"

[settings]
measure_seconds = 0.05
threads = 2
batch_size = 16

[[stage]]
kind = "load"

[[stage]]
kind = "fine-tune"
tune = "head"
epochs = 1

[[stage]]
kind = "fine-tune"
tune = "adapters"
adapter_rank = 4
layer_decay = 0.9
unfreeze = "gradual"
epochs = 2

[[stage]]
kind = "fine-tune"
layer_decay = 0.9
unfreeze = "gradual"
anchor = 0.01
batch_norm = "statistics"
epochs = 2
"#;

fn call(recipe: &Path, run: &Path) -> Call {
    let call = oculist("optimize").arg(&trained().data).option("--recipe", recipe).option("--output", run);
    call.option("--model", trained().file("model.onnx"))
}

#[test]
fn stages_of_each_kind_come_to_a_model_and_repeat() {
    let dir = scratch();
    let (recipe, run, again) = (dir.path().join("r.toml"), dir.path().join("run"), dir.path().join("again"));
    std::fs::write(&recipe, TUNED).expect("a recipe");
    let outcome = call(&recipe, &run).args("--dry-run").run().ok();
    for line in ["1 epoch, the head alone", "2 epochs, adapters of rank 4 and the head"] {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    call(&recipe, &run).run().ok();
    let epochs = read_json(&run.join("summary.json"))["history"].as_array().expect("epochs").len();
    assert_eq!(epochs, 5);
    call(&run.join("recipe.toml"), &again).run().ok();
    assert!(read(&again.join("model.onnx")) == read(&run.join("model.onnx")));
    // A twin: another rank gives another model.
    std::fs::write(&recipe, TUNED.replace("adapter_rank = 4", "adapter_rank = 3")).expect("a recipe");
    call(&recipe, &again).args("--force").run().ok();
    assert!(read(&again.join("model.onnx")) != read(&run.join("model.onnx")));
}

#[test]
fn choices_that_contradict_name_both() {
    let dir = scratch();
    let run = dir.path().join("run");
    let refused = |options: &str, words: &[&str]| {
        let call = oculist("compress").arg(&trained().data).option("--model", trained().file("model.onnx"));
        call.args(options).option("--output", &run).run().fails(1, words);
        assert!(!run.exists());
    };
    refused("--tune head --layer-decay 0.9", &["--layer-decay", "--tune head"]);
    refused("--tune head --unfreeze gradual", &["--unfreeze", "--tune head"]);
    refused("--tune bias --batch-norm frozen", &["--batch-norm", "--tune bias"]);
    refused("--tune adapters --anchor 0.1", &["--anchor", "--tune adapters"]);
    refused("--adapter-rank 4", &["--adapter-rank", "--tune adapters"]);
}
