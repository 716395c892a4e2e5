//! Recipes of one's own: the same as the shipped one where they say the same, refused where they are wrong, and gone on with
//! after a kill at any moment.

use std::path::Path;
use std::time::Duration;

use crate::support::runs::{optimized, trained};
use crate::support::{Call, Outcome, contents, oculist, read, read_json, scratch};

/// The main job, written by hand.
const BY_HAND: &str = r#"
name = "optimise by hand"

[settings]
arch = "resnet8"
batch_size = 16

[[stage]]
kind = "train"
epochs = 3

[[stage]]
kind = "search"
levels = [0.92, 0.85, 0.7, 0.55, 0.45, 0.35, 0.25, 0.15]
candidates = 4
max_drop = 5
alternatives = [[{ kind = "quantize", max_drop = 5 }]]
stages = [
    { kind = "prune" },
    { kind = "fine-tune", epochs = 2 },
    { kind = "quantize", max_drop = 5 },
]

[[stage]]
kind = "measure"
"#;

/// Another order than the shipped one, with every kind that it has not.
const LINEAR: &str = r#"
name = "half, then a student"

[settings]
measure_seconds = 0.05
threads = 2

[[stage]]
kind = "train"
arch = "resnet8"
epochs = 2
batch_size = 16

[[stage]]
kind = "prune"
keep = 0.6

[[stage]]
kind = "fine-tune"
epochs = 1
batch_size = 16

[[stage]]
kind = "distil"
arch = "resnet8"
width = 0.5
epochs = 2
batch_size = 16

[[stage]]
kind = "fold"

[[stage]]
kind = "quantize"
calibration = "minmax"
"#;

fn call(data: &Path, recipe: &Path, output: &Path) -> Call {
    oculist("optimize").arg(data).option("--recipe", recipe).option("--output", output)
}

#[test]
fn the_main_job_by_hand_gives_the_same_models() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    std::fs::write(&recipe, BY_HAND).expect("a recipe");
    call(&optimized().data, &recipe, &run).args("--threads 2").run().ok();
    let want = read_json(&optimized().file("summary.json"));
    let got = read_json(&run.join("summary.json"));
    assert_eq!(got["recommended"], want["recommended"]);
    assert_eq!(got["promise"]["kept"], want["promise"]["kept"]);
    for model in want["models"].as_array().expect("models") {
        let file = model["file"].as_str().expect("a file");
        assert!(read(&run.join(file)) == read(&optimized().file(file)), "{file}");
    }
    // A twin: other stages give another model.
    let other = BY_HAND.replace("{ kind = \"fine-tune\", epochs = 2", "{ kind = \"fine-tune\", epochs = 1");
    std::fs::write(&recipe, other).expect("a recipe");
    call(&optimized().data, &recipe, &run).args("--threads 2 --force").run().ok();
    assert!(read(&run.join("model.onnx")) != read(&optimized().file("model.onnx")));
}

#[test]
fn stages_in_another_order_come_to_their_models() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    std::fs::write(&recipe, LINEAR).expect("a recipe");
    let outcome = call(&trained().data, &recipe, &run).run().ok();
    for line in [
        "Train the baseline",
        "Prune channels to 60%",
        "Distil into resnet8 at 0.5",
        "Fold batch",
        "ends without",
    ] {
        assert!(outcome.stderr.contains(line), "{line}: {}", outcome.stderr);
    }
    let summary = read_json(&run.join("summary.json"));
    let files: Vec<_> = summary["models"].as_array().expect("models").iter().map(|m| &m["file"]).collect();
    assert_eq!(files, ["baseline.onnx", "model.onnx", "model.int8.onnx"]);
    assert_eq!(summary["recommended"], "compressed-int8");
    assert_eq!(summary["verb"], "optimize");
    let phases: Vec<_> = summary["history"]
        .as_array()
        .expect("epochs")
        .iter()
        .map(|e| e["phase"].as_str().expect("a phase"))
        .collect();
    assert_eq!(phases, ["baseline", "baseline", "prune-60", "distil", "distil"]);
    // The run's own recipe is one to begin from.
    let again = dir.path().join("again");
    let recipe = run.join("recipe.toml");
    call(&trained().data, &recipe, &again).run().ok();
    assert!(read(&again.join("model.int8.onnx")) == read(&run.join("model.int8.onnx")));
}

#[test]
fn a_dry_run_tells_the_plan_and_writes_nothing() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    std::fs::write(&recipe, BY_HAND).expect("a recipe");
    let outcome = call(&trained().data, &recipe, &run).args("--dry-run --threads 2").run().ok();
    for line in
        ["1. train resnet8 for 3 epochs", "2. search for the smallest size", "- prune channels", "in all"]
    {
        assert!(outcome.stdout.contains(line), "{line}: {}", outcome.stdout);
    }
    assert!(!run.exists());
    let usual =
        oculist("optimize").arg(&trained().data).args("--arch resnet8 --dry-run").option("--output", &run);
    assert!(usual.run().ok().stdout.contains("search for the smallest size"));
    assert!(!run.exists());
}

#[test]
fn a_recipe_that_is_wrong_is_refused_before_anything_is_written() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    let refused = |text: &str, words: &[&str]| {
        std::fs::write(&recipe, text).expect("a recipe");
        let outcome = call(&trained().data, &recipe, &run).run();
        outcome.fails(1, &[&["r.toml"], words].concat());
        assert!(!run.exists());
    };
    refused("[[stage]]\nkind = \"trian\"", &["stage 1", "`trian`", "train"]);
    refused("[[stage]]\nkind = \"train\"\nepoch = 3", &["stage 1", "unknown setting `epoch`"]);
    refused("[[stage]", &["line 1"]);
    refused("[[stage]]\nkind = \"load\"", &["stage 1: load: ", "expected a model"]);
    let prune = "[[stage]]\nkind = \"train\"\n[[stage]]\nkind = \"prune\"";
    refused(prune, &["stage 2: prune: keep: expected"]);
    refused(&format!("{prune}\nkeep = 1.5"), &["stage 2: prune: keep: expected", "1.5"]);
    refused("[[stage]]\nkind = \"train\"\nlr = -1", &["stage 1: train: lr: expected a positive number"]);
    refused("[[stage]]\nkind = \"train\"\narch = \"resnt\"", &["stage 1: train: ", "resnt"]);
    // What can be known before is known before, whatever comes after.
    let of = |kinds: &[&str]| -> String {
        kinds.iter().flat_map(|kind| ["[[stage]]\nkind = \"", kind, "\"\n"]).collect()
    };
    for first in ["measure", "fine-tune", "fold", "quantize", "distil"] {
        refused(&of(&[first]), &[&format!("stage 1: {first}: "), "expected a model"]);
    }
    for second in ["quantize", "fine-tune", "fold"] {
        refused(&of(&["train", "quantize", second]), &[&format!("stage 3: {second}: "), "f32"]);
    }
    refused("[[stage]]\nkind = \"train\"\nlr = nan", &["finite number"]);
    std::fs::write(&recipe, "[[stage]]\nkind = \"train\"").expect("a recipe");
    let given = call(&trained().data, &recipe, &run).option("--model", trained().file("model.onnx"));
    given.run().fails(1, &["no stage takes the model", "load"]);
    let absent = call(&trained().data, &dir.path().join("absent.toml"), &run);
    absent.run().fails(1, &["absent.toml"]);
}

#[test]
fn a_run_that_is_to_be_replaced_stays_where_nothing_can_replace_it() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    std::fs::write(&recipe, LINEAR).expect("a recipe");
    call(&trained().data, &recipe, &run).run().ok();
    let before = contents(&run);
    std::fs::write(&recipe, "[[stage]]\nkind = \"measure\"").expect("a recipe");
    call(&trained().data, &recipe, &run).args("--force").run().fails(1, &["expected a model"]);
    std::fs::write(&recipe, LINEAR).expect("a recipe");
    let events = call(&trained().data, &recipe, &run).args("--force");
    let events = events.arg(format!("--tensorboard={}", recipe.display()));
    events.run().fails(1, &["r.toml", "expected a folder"]);
    assert!(contents(&run) == before, "nothing was touched");
    // A stage's own settings hold, and it is said that they do.
    let said = call(&trained().data, &recipe, &run).args("--force --epochs 9").run().ok().stderr;
    assert!(said.contains("stage `train` has epochs = 2 of its own, whatever --epochs 9 says"), "{said}");
}

#[test]
fn a_run_is_not_continued_with_another_recipe() {
    let dir = scratch();
    let (recipe, run) = (dir.path().join("r.toml"), dir.path().join("run"));
    std::fs::write(&recipe, LINEAR).expect("a recipe");
    call(&trained().data, &recipe, &run).run().ok();
    std::fs::write(&recipe, LINEAR.replace("keep = 0.6", "keep = 0.7")).expect("a recipe");
    let outcome = call(&trained().data, &recipe, &run).args("--resume").run();
    outcome.fails(1, &["begun with another recipe", "0.6", "0.7"]);
}

/// How often a run is killed, and the recipe: `OCULIST_KILLS` times in a long one, else a few times in a short one.
fn kills() -> (u64, String) {
    match std::env::var("OCULIST_KILLS").ok().and_then(|n| n.parse().ok()) {
        Some(times) => (times, LINEAR.replace("epochs = 2", "epochs = 150")),
        None => (4, LINEAR.to_owned()),
    }
}

#[test]
fn a_recipe_killed_at_any_moment_goes_on_to_the_same_bytes() {
    let dir = scratch();
    let (recipe, whole) = (dir.path().join("r.toml"), dir.path().join("whole"));
    let (times, text) = kills();
    std::fs::write(&recipe, text).expect("a recipe");
    let began = std::time::Instant::now();
    call(&trained().data, &recipe, &whole).run().ok();
    let mut time = began.elapsed();
    let want = ["baseline.onnx", "model.onnx", "model.int8.onnx"].map(|file| (file, read(&whole.join(file))));
    let mut killed = 0;
    for i in 0..4 * times {
        if killed == times {
            break;
        }
        let run = dir.path().join(format!("run-{i}"));
        // Moments over the whole run, in an order of their own.
        let at = time.mul_f64((i as f64 * 0.618_034 + 0.3).fract());
        let began = std::time::Instant::now();
        let mut child = call(&trained().data, &recipe, &run).start();
        while began.elapsed() < at && child.try_wait().expect("a state").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        if began.elapsed() < at {
            // It was quicker than the first, and has ended: moments are spread over a shorter time from here on.
            time = began.elapsed();
        }
        // One that has ended was not killed; one that has written nothing begins anew.
        let _ = child.kill();
        killed += u64::from(Outcome::of(child).status.code().is_none());
        let begun = run.join("config.toml").exists();
        let mut again = call(&trained().data, &recipe, &run);
        if begun {
            again = again.args("--resume");
        }
        again.run().ok();
        for (file, bytes) in &want {
            assert!(read(&run.join(file)) == *bytes, "{file} after a kill at {at:?} of {time:?}");
        }
        let left = contents(&run).into_keys().find(|path| path.to_string_lossy().contains("oculist-tmp"));
        assert_eq!(left, None, "what the kill left half written is removed");
        std::fs::remove_dir_all(&run).expect("removed");
    }
    assert_eq!(killed, times, "runs that were killed before their end");
    println!("{killed} of {times} were killed, of runs of {time:?}");
    // The time over which the moments are spread.
    assert!(time > Duration::from_millis(100));
}
