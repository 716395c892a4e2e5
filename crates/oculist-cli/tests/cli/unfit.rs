//! Data that are not fit for training, looked at and worked on all the same; lists in both forms.

use oculist_data::fixture::write_class_folders;

use crate::support::{oculist, scratch};

/// One image of each class trains nothing, but can be seen, augmented and split.
#[test]
fn one_image_a_class_is_shown_augmented_and_split() {
    let dir = scratch();
    let data = dir.path().join("single");
    for split in ["train", "test"] {
        write_class_folders(&data, split, 3, 1, 16).expect("images");
    }
    let shown = oculist("data").arg("show").arg(&data).run().ok();
    assert!(
        shown.stdout.contains("warning: not fit for training: ") && shown.stdout.contains("6 images"),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("3 training images to draw it from"), "{shown:?}");
    let json = oculist("data").arg("show").arg(&data).arg("--json").run().ok().json();
    assert!(json["unfit"].as_str().is_some_and(|text| text.contains("not fit")), "{json}");
    let preview =
        oculist("augment").arg("preview").arg(&data).option("--output", dir.path().join("p")).run().ok();
    assert!(preview.stderr.contains("not fit for training"), "{preview:?}");
    let enlarged = dir.path().join("more");
    let apply = oculist("augment").arg("apply").arg(&data).args("--copies 2").option("--output", &enlarged);
    assert!(apply.run().ok().stdout.contains("12 images in"));
    oculist("train")
        .arg(&data)
        .option("--output", dir.path().join("run"))
        .run()
        .fails(1, &["too few images"]);

    // Splitting gives up what was a split, in words; the list is written in the form that its name says.
    for (name, first) in [("all.jsonl", "{\"file_name\":"), ("all.csv", "file_name,label,split\n")] {
        let list = dir.path().join(name);
        let split = oculist("data").arg("split").arg(&data).option("--output", &list).run().ok();
        assert!(split.stderr.contains("3 train, 3 test images) are given up"), "{split:?}");
        assert!(std::fs::read_to_string(&list).expect("a list").starts_with(first));
        let shown = oculist("data").arg("show").arg(&list).run().ok();
        assert!(shown.stdout.contains("6 images, 3 classes"), "{shown:?}");
    }
    let list = dir.path().join("all.txt");
    oculist("data").arg("split").arg(&data).option("--output", &list).run().fails(1, &["all.txt", "*.jsonl"]);
    assert!(!list.exists());
}
