//! Who may write into a folder, and what a killed process leaves there.

use std::path::{Path, PathBuf};
use std::process::Child;

use crate::support::data::class_folders;
use crate::support::runs::{copy_of_trained, train_call, trained};
use crate::support::{Outcome, contents, oculist, read, scratch, wait_for};

/// A name as it is given to a file that is being written, of a process that is no more.
const LEFTOVER: &str = ".model.onnx.4000000-0.oculist-tmp";

/// Waits until a call has the folder.
fn wait_for_lock(folder: &Path, child: &mut Child) {
    wait_for(&folder.join(".oculist-lock"), child);
    wait_for(&folder.join("config.toml"), child);
}

#[test]
fn a_live_run_keeps_others_out_and_a_dead_one_does_not() {
    let dir = scratch();
    let run = dir.path().join("run");
    let mut child = train_call(&trained().data, &run).start();
    wait_for_lock(&run, &mut child);
    let id = child.id().to_string();
    let words = ["run: it is in use by process", &id, "oculist train, since 2"];
    for option in ["--force", "--resume", "--strict"] {
        train_call(&trained().data, &run).arg(option).run().fails(1, &words);
    }
    for verb in ["preview", "apply"] {
        let call = oculist("augment").arg(verb).arg(&trained().data).args("--copies 1");
        call.option("--output", &run).run().fails(1, &words);
    }
    oculist("data").arg("check").arg(&trained().data).option("--output", &run).run().fails(1, &words);
    oculist("report").arg(&run).run().fails(1, &words);
    let export =
        oculist("export").arg(trained().file("model.onnx")).option("--output", run.join("model.onnx"));
    export.arg("--force").run().fails(1, &words);
    let split = oculist("data").arg("split").arg(&trained().data);
    split.option("--output", run.join("list.csv")).run().fails(1, &words);
    assert!(child.try_wait().expect("a child").is_none(), "the others came while it ran");
    child.kill().expect("killed");
    assert_eq!(Outcome::of(child).status.code(), None);
    train_call(&trained().data, &run).arg("--resume").run().ok();
    assert!(read(&run.join("model.onnx")) == read(&trained().file("model.onnx")), "as if it had been alone");
    assert!(!run.join(".oculist-lock").exists(), "it goes with the run");
}

#[test]
fn what_killed_processes_left_is_removed_at_the_next_start() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let left = [run.join(LEFTOVER), run.join("checkpoints/baseline").join(LEFTOVER)];
    let mine = run.join(".notes.tmp");
    for file in left.iter().chain([&mine]) {
        std::fs::write(file, "half").expect("a file");
    }
    let outcome = train_call(&trained().data, &run).arg("--resume").run().ok();
    assert!(left.iter().all(|file| !file.exists()) && mine.exists());
    assert!(outcome.stderr.contains("removed 2 unfinished files"), "{}", outcome.stderr);

    let data = dir.path().join("photos");
    class_folders(&data);
    let output = |name: &str| dir.path().join("outputs").join(name);
    std::fs::create_dir_all(output("augmented")).expect("a folder");
    let beside = [output(LEFTOVER), output("augmented").join(LEFTOVER)];
    for file in &beside {
        std::fs::write(file, "half").expect("a file");
    }
    let call = oculist("export").arg(trained().file("model.onnx")).option("--output", output("m.onnx"));
    let outcome = call.run().ok();
    assert!(outcome.stderr.contains("removed 1 unfinished file"), "{}", outcome.stderr);
    let call = oculist("augment").arg("apply").arg(&data).args("--copies 1");
    call.option("--output", output("augmented")).run().ok();
    assert!(beside.iter().all(|file| !file.exists()));
}

#[test]
fn a_run_killed_anywhere_goes_on_to_the_same_bytes_and_leaves_nothing_behind() {
    let dir = scratch();
    let (data, whole) = (dir.path().join("photos"), dir.path().join("whole"));
    class_folders(&data);
    let call = |output: &Path| {
        let call = oculist("train").arg(&data).args("--arch resnet8 --image-size 16 --batch-size 32");
        call.args("--epochs 3 --threads 2 --measure-seconds 0.05").option("--output", output)
    };
    let began = std::time::Instant::now();
    call(&whole).run().ok();
    let time = began.elapsed();
    let want = read(&whole.join("model.onnx"));
    const KILLS: u32 = 10;
    for i in 0..KILLS {
        let run = dir.path().join(format!("run-{i}"));
        let mut child = call(&run).start();
        std::thread::sleep(time * i / KILLS);
        child.kill().expect("killed");
        drop(Outcome::of(child));
        // Before its first file there is no run to continue, and a new one begins in its place.
        let resumes = run.join("config.toml").exists();
        let again = if resumes { call(&run).arg("--resume") } else { call(&run) };
        let outcome = again.run().ok();
        assert!(read(&run.join("model.onnx")) == want, "killed at {i} of {KILLS}: {}", outcome.stderr);
        let hidden = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        let left: Vec<_> = contents(&run).into_keys().filter(hidden).collect();
        // The mark of a result stays, so that the folder is known as one.
        let left: Vec<_> = left.into_iter().filter(|p| !p.ends_with(".oculist-result")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
