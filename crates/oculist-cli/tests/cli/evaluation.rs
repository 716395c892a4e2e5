//! What `eval` measures: the images that are given, whatever the splits, the order of the classes and the source.

use std::path::Path;

use oculist_data::fixture::{class_image, write_idx_images, write_idx_labels, write_image};
use serde_json::Value;

use crate::support::data::{CLASSES, PER_CLASS, SIDE, grey_images};
use crate::support::runs::{optimized_idx, trained};
use crate::support::{Outcome, oculist, scratch};

/// `eval` of some data with the trained model.
fn eval(data: &Path, args: &str) -> Outcome {
    let call = oculist("eval").arg(data).option("--model", trained().file("model.onnx")).args("--threads 2");
    call.args(args).run()
}

/// Writes `count` images of a class into a folder.
fn images(folder: &Path, class: usize, count: u64) {
    std::fs::create_dir_all(folder).expect("a folder");
    for i in 0..count {
        let image = class_image(class, SIDE, 3, 7000 + i);
        write_image(&folder.join(format!("{i}.png")), &image).expect("an image");
    }
}

/// Images measured of each class.
fn counts(json: &Value) -> Vec<u64> {
    let classes = json["per_class"].as_array().expect("classes");
    classes.iter().map(|class| class["count"].as_u64().expect("a count")).collect()
}

#[test]
fn all_images_of_a_folder_are_measured_and_the_counts_come_first() {
    let dir = scratch();
    let test = dir.path().join("photos/test");
    for class in 0..CLASSES {
        images(&test.join(format!("class{class}")), class, 12);
    }
    // The folder itself, and the folder that has nothing but it.
    for (data, part) in [(&test, "all"), (&dir.path().join("photos"), "test")] {
        let json = eval(data, "--json").ok().json();
        assert_eq!((counts(&json), json["images"].as_u64()), (vec![12, 12, 12], Some(36)));
        assert_eq!((json["split"].as_str(), json["unknown"].as_u64()), (Some(part), Some(0)));
        assert!(json["top1"].as_f64() >= Some(80.0), "{json}");
        let table = eval(data, "").ok();
        let first = table.stderr.lines().next().expect("a line");
        assert!(first.contains("measuring 36 images in 3 classes"), "{}", table.stderr);
        let row = table.stdout.lines().find(|line| line.starts_with("images ")).expect("a row of images");
        assert!(row.ends_with(" 36"), "{row}");
    }
    // Of a folder that was trained on, all are measured, and what that means is said.
    let outcome = eval(&trained().data, "--json").ok();
    assert_eq!(outcome.json()["images"].as_u64(), Some((CLASSES * PER_CLASS) as u64));
    assert!(outcome.stderr.contains("--split test"), "{}", outcome.stderr);
}

#[test]
fn the_split_is_the_one_asked_for_or_the_test_split() {
    let dir = scratch();
    for (split, count) in [("train", 10), ("val", 4), ("test", 3)] {
        for class in 0..CLASSES {
            images(&dir.path().join(format!("{split}/class{class}")), class, count);
        }
    }
    let measured = |args: &str| {
        let json = eval(dir.path(), &format!("--json {args}")).ok().json();
        (counts(&json)[0], json["split"].as_str().expect("a split").to_owned())
    };
    let named = |n: u64, split: &str| (n, split.to_owned());
    assert_eq!(measured(""), named(3, "test"));
    assert_eq!(measured("--split test"), named(3, "test"));
    assert_eq!(measured("--split val"), named(4, "val"));
    assert_eq!(measured("--split train"), named(10, "train"));
    assert_eq!(measured("--split all"), named(17, "all"));
    // Without a test split, the validation split; asked for, the test images that training would draw.
    std::fs::remove_dir_all(dir.path().join("test")).expect("removed");
    assert_eq!(measured(""), named(4, "val"));
    assert_eq!(measured("--split test"), named(2, "test"));
    assert_eq!(measured("--split train"), named(8, "train"));
    // Nothing is drawn from a validation split.
    std::fs::remove_dir_all(dir.path().join("train")).expect("removed");
    assert_eq!(measured(""), named(4, "val"));
    eval(dir.path(), "--split test").fails(1, &["--split", "found test", "it has val"]);
    eval(dir.path(), "--split some").fails(2, &["--split"]);
}

#[test]
fn classes_are_matched_by_name() {
    let dir = scratch();
    // Another order, a part of the classes, and one class alone.
    let list = dir.path().join("list.csv");
    let mut text = "file_name,label\n".to_owned();
    for class in [2, 0] {
        images(&dir.path().join(format!("some/class{class}")), class, 5);
        for i in 0..5 {
            let row = format!("some/class{class}/{i}.png,class{class}\n");
            text.push_str(&row);
        }
    }
    std::fs::write(&list, text).expect("a manifest");
    for data in [list.clone(), dir.path().join("some")] {
        let outcome = eval(&data, "--json").ok();
        let json = outcome.json();
        assert_eq!(counts(&json), [5, 0, 5]);
        assert!(json["top1"].as_f64() >= Some(80.0), "{json}");
        assert!(outcome.stderr.contains("1 of the model's 3 classes have no image here: \"class1\""));
    }
    let table = eval(&list, "").ok().stdout;
    assert!(!table.contains("class1"), "a class without images has no accuracy: {table}");
    images(&dir.path().join("one/Class1 "), 1, 4);
    let outcome = eval(&dir.path().join("one"), "--json").ok();
    assert_eq!(counts(&outcome.json()), [0, 4, 0]);
    assert!(outcome.stderr.contains("\"Class1 \" is taken for the model's \"class1\""), "{}", outcome.stderr);

    // A class that the model does not know is an error, unless its images may be left out.
    images(&dir.path().join("some/owl"), 1, 3);
    let some = dir.path().join("some");
    let words = ["1 class of the data is not among the model's 3: \"owl\" (3 images)", "--skip-unknown"];
    eval(&some, "").fails(1, &words);
    let outcome = eval(&some, "--json --skip-unknown").ok();
    let json = outcome.json();
    assert_eq!((counts(&json), json["unknown"].as_u64()), (vec![5, 0, 5], Some(3)));
    assert!(outcome.stderr.contains("warning: left out: 1 class"), "{}", outcome.stderr);
    images(&dir.path().join("none/owl"), 1, 3);
    eval(&dir.path().join("none"), "--skip-unknown").fails(1, &["owl"]);
}

#[test]
fn numbers_stand_for_classes() {
    // The network was trained on IDX files with labels 0 to 2.
    let model = optimized_idx()[0].file("model.onnx");
    let dir = scratch();
    let (pixels, labels) = grey_images(4, 9);
    // A test pair alone, without label 1.
    let two = |i: &usize| labels[*i] != 1;
    let of: Vec<usize> = (0..labels.len()).filter(two).collect();
    let side = SIDE * SIDE;
    let some: Vec<u8> = of.iter().flat_map(|&i| pixels[i * side..(i + 1) * side].to_vec()).collect();
    write_idx_images(&dir.path().join("t10k-images-idx3-ubyte"), SIDE, SIDE, &some).expect("images");
    let some: Vec<u8> = of.iter().map(|&i| labels[i]).collect();
    write_idx_labels(&dir.path().join("t10k-labels-idx1-ubyte"), &some).expect("labels");
    let call = |model: &Path| {
        let call = oculist("eval").arg(dir.path()).option("--model", model).args("--threads 2 --json");
        call.run().ok()
    };
    assert_eq!(counts(&call(&model).json()), [4, 0, 4]);
    // For a model whose classes have names with numbers, they are those, which is said.
    let outcome = call(&trained().file("model.onnx"));
    assert_eq!(counts(&outcome.json()), [4, 0, 4]);
    assert!(outcome.stderr.contains("\"0\" is the model's \"class0\""), "{}", outcome.stderr);
}

#[test]
fn an_augmented_copy_of_the_data_is_measured_by_the_same_model() {
    let dir = scratch();
    let out = dir.path().join("more");
    let call = oculist("augment").arg("apply").arg(&trained().data).args("--copies 1 --threads 2");
    call.option("--output", &out).run().ok();
    let manifest = out.join("manifest.jsonl");
    let test = oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx"));
    let want = test.args("--threads 2 --split test --json").run().ok().json();
    let found = eval(&manifest, "--json").ok().json();
    assert_eq!(found["split"], "test");
    assert_eq!(found["confusion"], want["confusion"], "the same test images as PNG files");
}

#[test]
fn int8_and_the_check_of_augmentation_take_what_there_is_and_say_it() {
    let dir = scratch();
    let (model, out) = (trained().file("model.onnx"), dir.path().join("int8.onnx"));
    let data = dir.path().join("few");
    for class in [2, 1] {
        images(&data.join(format!("class{class}")), class, 1);
    }
    let export = |data: &Path| {
        let call = oculist("export").arg(&model).option("--int8", data).option("--output", &out);
        call.args("--force --threads 2").run()
    };
    let outcome = export(&data).ok();
    assert!(outcome.stderr.contains("the same 2 images are observed and chosen by"), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("on 2 images"), "{}", outcome.stdout);
    let outcome = export(&trained().data).ok();
    let said = "calibration on 84 of the 84 training images, the method chosen by 18 validation images";
    assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    let check = |data: &Path| {
        let call = oculist("augment").arg("check").arg(data).option("--model", &model).args("--threads 2");
        call.option("--output", dir.path().join("check")).run()
    };
    let outcome = check(&data).ok();
    assert!(outcome.stderr.contains("looking at 2 of 2 validation images"), "{}", outcome.stderr);
    // A test split decides nothing.
    let only = dir.path().join("only");
    images(&only.join("test/class0"), 0, 2);
    export(&only).fails(1, &["found 2 test images and no others", "name its folder itself"]);
    check(&only).fails(1, &["decides nothing"]);
    export(&only.join("test")).ok();
}

#[test]
fn a_model_goes_on_with_data_whose_classes_are_in_another_order() {
    let dir = scratch();
    let data = dir.path().join("photos");
    let mut list = "file_name,label\n".to_owned();
    for (at, class) in [2, 1, 0].into_iter().enumerate() {
        images(&data.join(at.to_string()), class, 24);
        for i in 0..24 {
            // One name in another case, which sorts before the others.
            let name = if class == 1 { "Class1".to_owned() } else { format!("class{class}") };
            let row = format!("{at}/{i}.png,{name}\n");
            list.push_str(&row);
        }
    }
    std::fs::write(data.join("list.csv"), list).expect("a manifest");
    let run = dir.path().join("run");
    let call = oculist("compress").arg(data.join("list.csv")).option("--model", trained().file("model.onnx"));
    let call = call.args("--finetune-epochs 1 --batch-size 16 --threads 2 --measure-seconds 0.01");
    let outcome = call.option("--output", &run).run().ok();
    assert!(outcome.stderr.contains("\"Class1\" is taken for the model's \"class1\""), "{}", outcome.stderr);
    let summary = crate::support::read_json(&run.join("summary.json"));
    let classes: Vec<&str> = summary["data"]["class_names"]
        .as_array()
        .expect("classes")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(classes, ["class0", "class1", "class2"]);
    assert!(summary["models"][0]["top1"].as_f64() >= Some(80.0), "{}", summary["models"][0]);
}
