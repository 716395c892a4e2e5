//! Data that cannot be trained on: refused with the file and the fault named, before anything is written.

use std::path::{Path, PathBuf};

use oculist_data::fixture::{write_idx, write_idx_labels};

use crate::support::data::{CLASSES, PER_CLASS, SIDE, class_folders, cut_short, grey_images, idx_folder};
use crate::support::runs::{damaged_photos, train_call};
use crate::support::{oculist, scratch};

/// Asserts that a data set is refused by the verbs that train and by the one that looks, and that no run is begun.
#[track_caller]
fn refused(data: &Path, words: &[&str]) {
    let output = scratch();
    let run = output.path().join("run");
    train_call(data, &run).run().fails(1, words);
    oculist("optimize").arg(data).option("--output", &run).run().fails(1, words);
    oculist("data").arg("show").arg(data).run().fails(1, words);
    assert!(!run.exists(), "a refused run leaves nothing");
}

/// Asserts that a data set is refused by the verbs that train, and that the one that looks shows it and says why.
#[track_caller]
fn unfit(data: &Path, words: &[&str]) {
    let output = scratch();
    let run = output.path().join("run");
    train_call(data, &run).run().fails(1, words);
    oculist("optimize").arg(data).option("--output", &run).run().fails(1, words);
    let shown = oculist("data").arg("show").arg(data).run().ok();
    let warning = shown.stdout.split_once("warning: not fit for training: ").expect("a warning").1;
    assert!(words.iter().all(|word| warning.contains(word)), "{shown:?}");
    assert!(!run.exists(), "a refused run leaves nothing");
}

/// A folder of class folders that a test may spoil.
fn photos() -> (tempfile::TempDir, PathBuf) {
    let dir = scratch();
    let data = dir.path().join("photos");
    class_folders(&data);
    (dir, data)
}

#[test]
fn a_missing_folder() {
    let dir = scratch();
    refused(&dir.path().join("nowhere"), &["nowhere", "no such file or folder", "demo"]);
}

#[test]
fn a_file_instead_of_a_folder() {
    let (_dir, data) = photos();
    refused(&data.join("class0/1.png"), &["class0/1.png", "expected a folder", "found another file"]);
}

#[test]
fn a_folder_without_classes() {
    let (_dir, data) = photos();
    refused(&data.join("class0"), &["class0", "no class folders", "train/<class>"]);
}

#[test]
fn an_empty_class() {
    let (_dir, data) = photos();
    std::fs::create_dir(data.join("empty")).expect("a folder");
    // It is told, and no class.
    let shown = oculist("data").arg("show").arg(&data).run().ok();
    assert!(shown.stdout.contains("class \"empty\" has no file in the train split"), "{shown:?}");
    assert!(shown.stdout.contains("120 images, 3 classes"), "{shown:?}");
}

#[test]
fn one_class_only() {
    let (_dir, data) = photos();
    for class in ["class1", "class2"] {
        std::fs::remove_dir_all(data.join(class)).expect("a removed class");
    }
    unfit(&data, &["only the class \"class0\"", "at least two"]);
}

#[test]
fn a_class_that_training_never_shows() {
    let dir = scratch();
    class_folders(&dir.path().join("train"));
    class_folders(&dir.path().join("test"));
    std::fs::rename(dir.path().join("test/class2"), dir.path().join("test/other")).expect("a renamed class");
    unfit(dir.path(), &["\"other\"", "test split", "not in the training split"]);
}

#[test]
fn unreadable_images_are_an_error_if_everything_must_be_readable() {
    let words = ["class1/7.png", "2 of 120", "without strict checking they are skipped"];
    let output = scratch();
    let run = output.path().join("run");
    train_call(damaged_photos(), &run).arg("--strict").run().fails(1, &words);
    oculist("data").arg("show").arg(damaged_photos()).arg("--strict").run().fails(1, &words);
    assert!(!run.exists());
    oculist("data").arg("show").arg(damaged_photos()).run().ok();
}

#[test]
fn too_many_unreadable_images() {
    let (_dir, data) = photos();
    // 6 of 120 are the 5% that are allowed, one more is too many.
    for i in 0..6 {
        cut_short(&data.join(format!("class1/{i}.png")));
    }
    oculist("data").arg("show").arg(&data).run().ok();
    cut_short(&data.join("class2/11.png"));
    refused(&data, &["7 of 120 images are unreadable", "more than 5 %", "class1/0.png"]);
}

#[test]
fn parquet_with_more_bytes_than_allowed() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../oculist-data/tests/golden/parquet/zstd.parquet");
    let show = |limit: &str| oculist("data").arg("show").arg(&file).option("--max-image-bytes", limit).run();
    let message = show("1000").fails(1, &["zstd.parquet", "at most 1000 bytes of encoded images"]).stderr;
    assert_eq!(message.trim_end().lines().count(), 1, "one line: {message}");
    show("64K").ok();
    show("many").fails(2, &["--max-image-bytes", "512M"]);
    // The file of settings says it as well.
    let dir = scratch();
    let (settings, run) = (dir.path().join("settings.toml"), dir.path().join("run"));
    std::fs::write(&settings, "max_image_bytes = \"1K\"\n").expect("a file");
    let call = || oculist("train").arg(&file).option("--config", &settings).option("--output", &run);
    call().run().fails(1, &["zstd.parquet", "at most 1024 bytes"]);
    assert!(!run.exists());
}

#[test]
fn skipped_files_are_shown() {
    let shown = oculist("data").arg("show").arg(damaged_photos()).run().ok();
    assert!(
        shown.stdout.contains("class1/7.png") && shown.stdout.contains("class2/8.png"),
        "{}",
        shown.stdout
    );
    let json = oculist("data").arg("show").arg(damaged_photos()).arg("--json").run().ok().json();
    assert_eq!(json["skipped"].as_array().map(Vec::len), Some(2), "{json}");
}

/// The four IDX files, one of which a test spoils.
fn idx() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
    let dir = scratch();
    idx_folder(dir.path(), "");
    let folder = dir.path().to_path_buf();
    (dir, move |name: &str| folder.join(name))
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const SIZES: [u32; 3] = [(CLASSES * PER_CLASS) as u32, SIDE as u32, SIDE as u32];

#[test]
fn an_idx_file_with_a_wrong_magic_number() {
    let (dir, file) = idx();
    write_idx(&file(TRAIN_IMAGES), 0x0000_0802, &SIZES, &grey_images(PER_CLASS, 1).0).expect("a file");
    refused(dir.path(), &[TRAIN_IMAGES, "magic number", "0x00000803", "found 0x00000802"]);
}

#[test]
fn an_idx_file_of_another_length_than_its_header_says() {
    let (dir, file) = idx();
    let pixels = grey_images(PER_CLASS, 1).0;
    let promised = format!("promises {} bytes", pixels.len());
    write_idx(&file(TRAIN_IMAGES), 0x0803, &SIZES, &pixels[..pixels.len() - 100]).expect("a file");
    let found = format!("found {}", pixels.len() - 100);
    refused(dir.path(), &[TRAIN_IMAGES, &promised, &found]);
    let longer = [&pixels[..], &[0]].concat();
    write_idx(&file(TRAIN_IMAGES), 0x0803, &SIZES, &longer).expect("a file");
    refused(dir.path(), &[TRAIN_IMAGES, &promised]);
}

#[test]
fn a_gzipped_idx_file_that_is_cut_short() {
    let dir = scratch();
    idx_folder(dir.path(), ".gz");
    cut_short(&dir.path().join("train-images-idx3-ubyte.gz"));
    refused(dir.path(), &["train-images-idx3-ubyte.gz"]);
}

#[test]
fn labels_and_images_of_different_counts() {
    let (dir, file) = idx();
    let labels = grey_images(PER_CLASS, 1).1;
    write_idx_labels(&file(TRAIN_LABELS), &labels[1..]).expect("a file");
    let images = format!("{} images", labels.len());
    let found = format!("{} labels", labels.len() - 1);
    refused(dir.path(), &[TRAIN_IMAGES, &images, &found, TRAIN_LABELS]);
}

#[test]
fn a_loss_that_is_no_number_stops_training() {
    let (dir, data) = photos();
    let run = dir.path().join("run");
    let call = || oculist("train").arg(&data).args("--arch resnet8 --batch-size 16 --threads 2");
    let call = |options: &str| call().option("--output", &run).args(options);
    call("--epochs 1 --lr 1e30").run().fails(
        1,
        &["the loss became NaN in epoch 1", "none yet", "lower the learning rate (--lr, now 1e30)"],
    );
    assert!(!run.join("model.onnx").exists() && !run.join("report.html").exists());
    // The weights double and double again; some epochs pass before they overflow.
    let outcome = call("--epochs 30 --lr 1e5 --force").run().fails(1, &["lower the learning rate"]);
    let kept = run.join("checkpoints/baseline/last.safetensors");
    assert!(outcome.stderr.contains(&format!("({}, epoch ", kept.display())), "{}", outcome.stderr);
    assert!(kept.is_file() && !run.join("model.onnx").exists());
}
