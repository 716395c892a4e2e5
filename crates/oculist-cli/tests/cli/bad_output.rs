//! Output folders that cannot take a run: refused before training, and nothing that lies there is harmed.

use std::path::Path;
use std::process::Command;

use crate::support::runs::{copy_of_trained, train_call, trained};
use crate::support::{Outcome, contents, oculist, read_text, scratch};

/// A run that replaces another and ends in its first epoch.
fn short_call(output: &Path, arch: &str) -> Outcome {
    let call = oculist("train").arg(&trained().data).option("--output", output).option("--arch", arch);
    call.args("--epochs 1 --batch-size 16 --threads 2 --lr 1e30 --force").run()
}

#[test]
fn a_folder_that_cannot_be_made() {
    let dir = scratch();
    let file = dir.path().join("taken");
    std::fs::write(&file, "mine").expect("a file");
    // Below a file nobody can make a folder; removing the right to write would not stop the superuser.
    let words = ["output", "taken/run", "cannot be made"];
    let outcome = train_call(&trained().data, &file.join("run")).run().fails(1, &words);
    assert!(!outcome.stderr.contains("Train the baseline"), "refused before training: {}", outcome.stderr);
    let words = ["output", "taken", "expected a folder, found a file"];
    train_call(&trained().data, &file).run().fails(1, &words);
    assert_eq!(read_text(&file), "mine");
    // A file system that takes no folders, whoever asks.
    if cfg!(target_os = "linux") {
        let words = ["output /proc/oculist-run", "cannot be made"];
        train_call(&trained().data, Path::new("/proc/oculist-run")).run().fails(1, &words);
    }
}

#[test]
fn another_run_is_refused() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let before = contents(&run);
    for verb in ["train", "optimize"] {
        let call = oculist(verb).arg(&trained().data).option("--output", &run);
        call.run().fails(1, &["copy holds another run", "--output", "--resume", "--force"]);
    }
    let call = oculist("compress").arg(&trained().data).option("--model", trained().file("model.onnx"));
    call.option("--output", &run).run().fails(1, &["another run"]);
    assert!(contents(&run) == before, "a refused run changes nothing");
}

#[test]
fn resuming_with_other_settings_is_refused() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let before = contents(&run);
    for (options, word) in [
        ("--lr 0.05", "lr: 0.0125 in the run, 0.05 given"),
        ("--seed 3", "seed: 0 in the run, 3 given"),
        ("--threads 1", "threads: 2 in the run, 1 given"),
    ] {
        let call =
            oculist("train").arg(&trained().data).args("--arch resnet8 --image-size 32 --batch-size 16");
        let call = if options.starts_with("--threads") { call } else { call.args("--threads 2") };
        let call = call.args("--epochs 12 --resume").args(options).option("--output", &run);
        let outcome = call.run().fails(1, &["--resume", "other settings: ", word]);
        assert_eq!(outcome.stderr.matches("in the run").count(), 1, "only that: {}", outcome.stderr);
    }
    assert!(contents(&run) == before, "a refused run changes nothing");
}

#[test]
fn a_folder_without_a_run_is_not_resumed() {
    let dir = scratch();
    for run in [dir.path().join("absent"), dir.path().to_path_buf()] {
        let outcome = train_call(&trained().data, &run).arg("--resume").run();
        let name = run.display().to_string();
        let outcome = outcome.fails(1, &[&name, "holds no run to continue", "without --resume"]);
        assert!(!outcome.stderr.contains("Read the data"), "said at once: {}", outcome.stderr);
    }
    assert!(contents(dir.path()).is_empty() && !dir.path().join("absent").exists());
}

#[test]
fn a_replaced_run_goes_and_other_files_stay() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    std::fs::write(run.join("notes.txt"), "mine").expect("a file");
    std::fs::create_dir(run.join("drafts")).expect("a folder");
    std::fs::write(run.join("drafts/model.onnx"), "mine too").expect("a file");
    // A replacement that is refused replaces nothing.
    let before = contents(&run);
    short_call(&run, "nonet").fails(1, &["nonet"]);
    assert!(contents(&run) == before);
    short_call(&run, "resnet8").fails(1, &["learning rate"]);
    for old in ["model.onnx", "summary.json", "report.html", "checkpoints/baseline/last.safetensors"] {
        assert!(!run.join(old).exists(), "{old} is of the replaced run");
    }
    assert_eq!(read_text(&run.join("notes.txt")), "mine");
    assert_eq!(read_text(&run.join("drafts/model.onnx")), "mine too");
}

/// A shell in which no file may grow beyond so many KiB: the nearest to a full disk that every user can have.
/// Writing fails half way through a file, where a full disk would fail too.
fn with_small_files(kib: usize, command: &str, args: &[&Path]) -> Outcome {
    let script = format!("ulimit -f {kib}; exec \"$0\" {command}");
    let output =
        Command::new("bash").arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_oculist")).args(args).output();
    Outcome::new(output.expect("bash"))
}

#[test]
fn a_disk_that_fills_up_leaves_no_half_file() {
    let dir = scratch();
    let run = dir.path().join("run");
    let options = "train \"$1\" --output \"$2\" --arch resnet8 --batch-size 16 --epochs 2 --threads 2";
    let outcome = with_small_files(100, options, &[&trained().data, &run]);
    let words = ["checkpoints/baseline", ".safetensors", "File too large", "make room", "--resume"];
    let outcome = outcome.fails(1, &words);
    assert!(outcome.stderr.contains("Train the baseline"), "{}", outcome.stderr);
    let left: Vec<_> = contents(&run).into_keys().collect();
    let settings = [".oculist-result", "config.toml", "inputs.jsonl", "recipe.toml", "settings.toml"]
        .map(|f| run.join(f));
    assert_eq!(left, settings, "neither half a checkpoint nor its temporary file");

    let file = dir.path().join("small.onnx");
    let model = trained().file("model.onnx");
    let outcome = with_small_files(20, "export \"$1\" --output \"$2\" --fold", &[&model, &file]);
    outcome.fails(1, &["small.onnx", "File too large"]);
    let left: Vec<_> = contents(dir.path()).into_keys().collect();
    assert_eq!(left, settings, "no half model");
    with_small_files(2000, "export \"$1\" --output \"$2\" --fold", &[&model, &file]).ok();
    // With room again, the run goes on as if nothing had been.
    let resumed = with_small_files(20_000, &format!("{options} --resume"), &[&trained().data, &run]).ok();
    assert!(run.join("model.onnx").exists(), "{resumed:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let full =
        std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device that is always full");
    let mut call = oculist("zoo").arg("list");
    call.command().stdout(full);
    call.run().fails(1, &["No space left"]);
}
