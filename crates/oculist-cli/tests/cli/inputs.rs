//! A run is continued only with what it has read, and only from files that are as it wrote them.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use crate::support::data::class_folders;
use crate::support::runs::{copy_of_trained, train_call, trained};
use crate::support::{Call, Outcome, contents, copy, oculist, read, read_text, scratch, wait_for};

fn call(data: &Path, run: &Path) -> Call {
    let call = oculist("train").arg(data).args("--arch resnet8 --image-size 16 --batch-size 16 --epochs 40");
    call.args("--threads 2 --measure-seconds 0.05").option("--output", run)
}

/// A run that was killed after its first epoch.
fn killed(data: &Path, run: &Path) {
    let mut child: Child = call(data, run).start();
    wait_for(&run.join("checkpoints/baseline/last.safetensors"), &mut child);
    child.kill().expect("killed");
    assert_eq!(Outcome::of(child).status.code(), None);
}

fn photos(dir: &Path) -> PathBuf {
    let data = dir.join("photos");
    class_folders(&data);
    data
}

#[test]
fn other_pictures_are_named() {
    let dir = scratch();
    let (data, run) = (photos(dir.path()), dir.path().join("run"));
    // Old enough that size and times are trusted.
    std::thread::sleep(Duration::from_millis(2100));
    killed(&data, &run);
    let picture = data.join("class0/3.png");
    let (bytes, meta) = (read(&picture), std::fs::metadata(&picture).expect("a file"));
    // Another picture of the same size under the same name and with the same time of modification.
    let back = |bytes: &[u8]| {
        std::fs::write(&picture, bytes).expect("a file");
        let file = std::fs::File::options().write(true).open(&picture).expect("a file");
        file.set_modified(meta.modified().expect("a time")).expect("a time");
    };
    back(&read(&data.join("class0/4.png")));
    let words = ["--resume", "begun with other data", "class0/3.png has other content"];
    // But for what the killed process left, which is hidden.
    let files = || -> Vec<_> {
        let hidden = |p: &PathBuf| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        contents(&run).into_iter().filter(|(path, _)| !hidden(path)).collect()
    };
    let before = files();
    call(&data, &run).arg("--resume").run().fails(1, &words);
    assert!(files() == before, "a refused run changes nothing");
    // The twin: with its own bytes again, whatever its times are, it goes on.
    back(&bytes);
    for options in ["--resume", "--resume --verify"] {
        call(&data, &run).args(options).run().ok();
    }
}

#[test]
fn other_labels_and_missing_and_new_pictures_are_named() {
    let dir = scratch();
    photos(dir.path());
    let mut rows = vec!["file_name,label,split".to_owned()];
    for class in 0..3 {
        for i in 0..40 {
            let split = ["train", "train", "train", "val", "test"][i % 5];
            rows.push(format!("photos/class{class}/{i}.png,class{class},{split}"));
        }
    }
    let (list, run) = (dir.path().join("list.csv"), dir.path().join("run"));
    let write = |rows: &[String]| std::fs::write(&list, rows.join("\n") + "\n").expect("a list");
    write(&rows);
    killed(&list, &run);
    let refused = |rows: &[String], words: &[&str]| {
        write(rows);
        let outcome = call(&list, &run).arg("--resume").run();
        outcome.fails(1, &[&["--resume", "begun with other data"], words].concat());
    };
    let changed = |at: usize, from: &str, to: &str| {
        let mut rows = rows.clone();
        assert!(rows[at].contains(from), "{}", rows[at]);
        rows[at] = rows[at].replace(from, to);
        rows
    };
    refused(&changed(1, ",class0", ",class1"), &["train: ", "class0/0.png was class0, is class1"]);
    refused(&changed(5, ",test", ",val"), &["class0/4.png was in test, is in val"]);
    refused(&[&rows[..4], &rows[5..]].concat(), &["val: ", "class0/3.png is gone"]);
    let swapped = [&rows[..1], &rows[2..3], &rows[1..2], &rows[3..]].concat();
    refused(&swapped, &["another order"]);
    let next = |row: &String| {
        let [name, label, split] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let class = (1 + label[5..].parse::<usize>().expect("a number")) % 3;
        format!("{name},class{class},{split}")
    };
    let relabelled: Vec<String> =
        (0..rows.len()).map(|i| if i % 20 == 1 { next(&rows[i]) } else { rows[i].clone() }).collect();
    refused(&relabelled, &["class0/0.png was class0, is class1", "and 3 more"]);
    write(&rows);
    call(&list, &run).arg("--resume").run().ok();
}

#[test]
fn another_model_or_pipeline_is_named() {
    let dir = scratch();
    let (run, model) = (dir.path().join("run"), dir.path().join("m.onnx"));
    std::fs::copy(trained().file("model.onnx"), &model).expect("a copy");
    let call = || {
        let call =
            oculist("compress").arg(&trained().data).option("--model", &model).option("--output", &run);
        call.args("--finetune-epochs 30 --batch-size 16 --threads 2 --max-drop 50 --measure-seconds 0.05")
    };
    let mut child = call().start();
    wait_for(&run.join("inputs.jsonl"), &mut child);
    child.kill().expect("killed");
    drop(Outcome::of(child));
    let mut bytes = read(&model);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(&model, bytes).expect("a file");
    call().arg("--resume").run().fails(1, &["begun with other data", "--model", "m.onnx has other content"]);
}

#[test]
fn an_enlarged_data_set_is_not_completed_from_other_pictures() {
    let dir = scratch();
    let (data, output) = (photos(dir.path()), dir.path().join("more"));
    let call = || {
        let call =
            oculist("augment").arg("apply").arg(&data).args("--copies 1 --augment crops --image-size 16");
        call.option("--output", &output)
    };
    call().run().ok();
    call().run().ok();
    std::fs::copy(data.join("class1/0.png"), data.join("class0/0.png")).expect("a copy");
    call().run().fails(1, &["holds images made of other data", "class0/0.png has other content"]);
}

#[test]
fn a_damaged_file_of_a_run_is_named() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let files = [
        "config.toml",
        "settings.toml",
        "inputs.jsonl",
        "checkpoints/baseline/last.safetensors",
        "checkpoints/baseline/best.safetensors",
    ];
    for name in files {
        let file = run.join(name);
        let bytes = read(&file);
        let mut flipped = bytes.clone();
        let at = bytes.len() / 3;
        flipped[at] ^= 4;
        for damaged in [&flipped[..], &bytes[..bytes.len() / 2], b""] {
            std::fs::write(&file, damaged).expect("a file");
            train_call(&trained().data, &run).arg("--resume").run().fails(1, &[name]);
        }
        std::fs::write(&file, &bytes).expect("a file");
    }
    // A run as older versions left it.
    let old = dir.path().join("old");
    copy(&run, &old);
    std::fs::remove_file(old.join("inputs.jsonl")).expect("removed");
    let words = ["inputs.jsonl", "older version", "--force"];
    train_call(&trained().data, &old).arg("--resume").run().fails(1, &words);
    let text = read_text(&old.join("config.toml"));
    let unsealed: String = text.split_inclusive('\n').filter(|l| !l.starts_with("# checksum")).collect();
    std::fs::copy(run.join("inputs.jsonl"), old.join("inputs.jsonl")).expect("a copy");
    std::fs::write(old.join("config.toml"), unsealed).expect("a file");
    let words = ["config.toml", "older version", "--force"];
    train_call(&trained().data, &old).arg("--resume").run().fails(1, &words);
    oculist("report").arg(&old).run().ok();
    // Undamaged, it goes on.
    train_call(&trained().data, &run).arg("--resume").run().ok();
}
