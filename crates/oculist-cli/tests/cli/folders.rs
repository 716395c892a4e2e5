//! Folders as people have them: results beside the data, names that are hard to write, and what is no file.

use std::path::Path;

use oculist_data::fixture::write_class_folders;

use crate::support::data::class_folders;
use crate::support::oculist;
use crate::support::runs::trained;

fn photos() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    class_folders(folder.path());
    folder
}

#[test]
fn results_in_the_folder_of_the_data_are_no_data() {
    let folder = photos();
    let here = |verb: &str| {
        let mut call = oculist(verb);
        call.command().current_dir(folder.path());
        call
    };
    here("augment").args("preview .").run().ok();
    here("data").args("check .").run().ok();
    let train = "--epochs 1 --arch resnet8 --threads 2 --measure-seconds 0.05";
    here("train").arg(".").args(train).run().ok();
    assert!(folder.path().join("runs/train-./config.toml").is_file());
    let shown = here("data").args("show . --json").run().ok().json();
    assert_eq!(shown["class_names"].as_array().map(Vec::len), Some(3), "{shown}");
    let text = here("data").args("show .").run().ok().stdout;
    for result in ["runs/preview-.", "runs/check-.", "runs/train-."] {
        assert!(text.contains(result), "{result} is named in {text}");
    }
    // The run goes on with the same classes, although its own folder lies among them.
    here("train").arg(".").args(train).arg("--resume").run().ok();
}

#[test]
fn a_layout_can_be_chosen() {
    let folder = photos();
    std::fs::write(folder.path().join("backup.tar"), [0; 1024]).expect("a file");
    let show = || oculist("data").arg("show").arg(folder.path());
    show().run().fails(1, &["--layout classes", "--layout tar"]);
    let shown = show().args("--layout classes --exclude class2 --json").run().ok().json();
    assert_eq!(shown["class_names"].as_array().map(Vec::len), Some(2), "{shown}");
    show().args("--layout tars").run().fails(2, &["classes, splits"]);
}

// Other systems do not take these names.
#[cfg(unix)]
#[test]
fn names_come_back_from_the_lists_that_are_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    write_class_folders(root, "data", 3, 8, 8).expect("images");
    let names = ["nuts; bolts", r"a\;b ", "\"c\", d"];
    for (i, name) in names.iter().enumerate() {
        std::fs::rename(root.join(format!("data/class{i}")), root.join("data").join(name))
            .expect("a new name");
    }
    let list = root.join("list.csv");
    oculist("data").arg("split").arg(root.join("data")).option("-o", &list).run().ok();
    let of = |path: &Path| {
        let shown = oculist("data").arg("show").arg(path).arg("--json").run().ok().json();
        (shown["class_names"].clone(), shown["splits"].clone())
    };
    assert_eq!(of(&list).0, of(&root.join("data")).0);
    // The enlarged set has the classes, too, although their folders are called otherwise.
    let larger = root.join("larger");
    oculist("augment").arg("apply").arg(&list).option("--output", &larger).args("--copies 1").run().ok();
    assert_eq!(of(&larger).0, of(&list).0);
    assert!(larger.join("train/nuts; bolts").is_dir() && larger.join(r"train/a%5C;b%20").is_dir());
}

#[cfg(unix)]
#[test]
fn predict_names_and_skips_what_is_no_file() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("x");
    write_class_folders(&root, "", 1, 3, 8).expect("images");
    symlink("nowhere", root.join("dead.png")).expect("a link");
    symlink("..", root.join("loop")).expect("a link");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("pipe.png")).expect("a socket");
    let call = || oculist("predict").option("--model", trained().file("model.onnx")).arg("--json");
    let found = call().arg(&root).run().ok().json();
    let found = found.as_array().expect("predictions");
    let errors: Vec<&str> = found.iter().filter_map(|p| p["error"].as_str()).collect();
    // A link to a folder is no file that could not be read.
    assert_eq!((found.len(), errors.len()), (5, 2), "{found:?}");
    for words in ["a link to nothing", "a socket"] {
        assert!(errors.iter().any(|error| error.contains(words)), "{words} is not in {errors:?}");
    }
    let said =
        oculist("predict").option("--model", trained().file("model.onnx")).arg(&root).run().ok().stderr;
    assert!(said.contains("passed over: ") && said.contains("a link back to"), "{said}");
    assert!(said.contains("2 of 5 files could not be read"), "{said}");
    // What is not there does not stop the rest, but is no success.
    let mixed = call().arg(root.join("nowhere")).arg(root.join("class0/1.png")).arg("/dev/zero").run();
    assert_eq!(mixed.status.code(), Some(1), "{mixed:?}");
    let found: serde_json::Value = serde_json::from_str(&mixed.stdout).expect("JSON");
    assert_eq!(found.as_array().map(Vec::len), Some(3));
    assert!(
        found[1]["error"].is_null() && found[2]["error"].as_str().is_some_and(|e| e.contains("a device"))
    );
    assert!(mixed.stderr.contains("2 of the paths given cannot be read"), "{mixed:?}");
}

#[cfg(unix)]
#[test]
fn predict_answers_each_file_once_and_gives_its_name_back() {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    for name in ["x", "y"] {
        write_class_folders(&root.join(name), "", 1, 1, 8).expect("images");
    }
    symlink("../y", root.join("x/l")).expect("a link");
    symlink("../x", root.join("y/l")).expect("a link");
    let raw = std::ffi::OsStr::from_bytes(b"x/\xe9.png");
    std::fs::copy(root.join("x/class0/0.png"), root.join(raw)).expect("a file");
    let call = || oculist("predict").option("--model", trained().file("model.onnx"));
    let found = call().arg(root).arg("--json").run().ok().json();
    let found = found.as_array().expect("predictions");
    let mut paths: Vec<&str> = found.iter().filter_map(|p| p["path"].as_str()).collect();
    paths.sort_unstable();
    let ends = ["x/\\xE9.png", "x/class0/0.png", "y/class0/0.png"];
    assert!(paths.len() == 3 && paths.iter().zip(ends).all(|(path, end)| path.ends_with(end)), "{paths:?}");
    let escaped = found.iter().filter(|p| p["escaped"] == true).count();
    assert_eq!(escaped, 1, "{found:?}");
}

#[test]
fn a_result_does_not_lie_among_the_images_of_a_class() {
    let folder = photos();
    let class = folder.path().join("class1");
    let train = "--epochs 1 --arch resnet8 --threads 2 --measure-seconds 0.05";
    let calls =
        [("data", "check", ""), ("augment", "preview", ""), ("augment", "check", ""), ("train", "", train)];
    for (verb, step, options) in calls {
        let call = oculist(verb).args(step).arg(folder.path()).option("--output", &class).args(options);
        call.run().fails(1, &["class1", "holds images of the data set itself"]);
    }
    // A result that lies there nevertheless takes no class away, and a preview is known without its page.
    std::fs::write(class.join("audit.json"), "{\"oculist_version\": \"0.1.0\"}").expect("a file");
    let preview = folder.path().join("seen");
    oculist("augment").args("preview").arg(folder.path()).option("--output", &preview).run().ok();
    std::fs::remove_file(preview.join("preview.html")).expect("removed");
    let shown = oculist("data").arg("show").arg(folder.path()).run().ok().stdout;
    assert!(shown.contains("3 classes") && shown.contains("whose files are not read as data"), "{shown}");
    oculist("data").arg("show").arg(&preview).run().fails(1, &["seen", "a result of oculist"]);
}

/// Were one of them opened, the call would not end.
#[cfg(unix)]
#[test]
fn devices_are_no_lists_models_or_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["list.csv", "rows.jsonl", "shard.tar", "table.parquet", "coco.json"] {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
        oculist("data").arg("show").arg(&path).run().fails(1, &[name, "a device"]);
    }
    for option in ["--model", "--config", "--augmentation"] {
        let output = folder.path().join("run");
        let call = oculist("optimize").arg("demo").option(option, "/dev/zero").option("-o", output);
        call.run().fails(1, &["/dev/zero", "a device"]);
    }
}
