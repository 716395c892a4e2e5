//! `augment preview` and `augment apply`, and training with the settings of augmentation.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::data::class_folders;
use crate::support::{contents, oculist, read, read_json, read_text, scratch};

#[test]
fn preview_shows_originals_and_copies() {
    let dir = scratch();
    let out = dir.path().join("sheet");
    let call = || oculist("augment").args("preview demo --images 2 --copies 3 --augment rand --threads 2");
    call().option("--output", &out).run().ok();
    let png = read(&out.join("preview.png"));
    assert!(png.starts_with(b"\x89PNG"));
    let page = read_text(&out.join("preview.html"));
    assert_eq!(page.matches("<img ").count(), 2 * 4);
    assert!(page.contains("&quot;transform&quot;"), "the page says what was done");
    // The same seed gives the same sheet, another one another.
    let again = dir.path().join("again");
    call().args("--quiet").option("--output", &again).run().ok();
    assert!(read(&again.join("preview.png")) == png);
    call().args("--seed 1").option("--output", &again).run().ok();
    assert!(read(&again.join("preview.png")) != png);
}

#[test]
fn apply_enlarges_goes_on_and_overwrites_nothing() {
    let dir = scratch();
    let (data, out) = (dir.path().join("photos"), dir.path().join("enlarged"));
    class_folders(&data);
    let before = contents(&data);
    let call = |seed: &str| {
        let call = oculist("augment").arg("apply").arg(&data).args("--copies 2 --threads 2 --seed");
        call.arg(seed).option("--output", &out)
    };
    let outcome = call("0").run().ok();
    let lines: Vec<Value> = read_text(&out.join("manifest.jsonl"))
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    assert!(outcome.stdout.contains(&format!("{} images", lines.len())), "{}", outcome.stdout);
    let of = |split: &str| lines.iter().filter(|l| l["split"] == split).count();
    let copies = lines.iter().filter(|l| l["copy"].is_u64()).count();
    assert!(of("train") > 0 && of("val") > 0 && of("test") > 0);
    assert_eq!(of("train"), copies / 2 * 3);
    assert!(lines.iter().all(|l| l["copy"].is_u64() == l["transforms"].is_array()));
    let named: BTreeSet<_> = lines.iter().filter_map(|l| l["file_name"].as_str()).collect();
    assert!(named.len() == lines.len() && named.iter().all(|name| out.join(name).is_file()));
    // A file that is missing is made again, byte for byte; the others are kept.
    let whole = contents(&out);
    let lost = lines.iter().find(|l| l["copy"] == 1).expect("a copy")["file_name"].as_str().expect("a name");
    std::fs::remove_file(out.join(lost)).expect("removed");
    let outcome = call("0").run().ok();
    assert!(outcome.stdout.contains(&format!("{} of them from an earlier run", lines.len() - 1)));
    assert!(contents(&out) == whole && contents(&data) == before);
    // Another run does not mix with it, nor does one go into the data set or a folder of something else.
    call("1").run().fails(1, &["enlarged", "other settings"]);
    let inside = data.join("more");
    let call = oculist("augment").arg("apply").arg(&data).args("--copies 1");
    call.option("--output", &inside).run().fails(1, &["more", "not apart from the data set"]);
    assert!(contents(&data) == before && !inside.exists());
    let other = dir.path().join("other");
    std::fs::create_dir(&other).expect("a folder");
    std::fs::write(other.join("letter.txt"), "dear").expect("a file");
    let call = oculist("augment").arg("apply").arg(&data).args("--copies 1");
    call.option("--output", &other).run().fails(1, &["other", "expected a new or empty folder"]);
    // What was written is a data set.
    let call = oculist("data").arg("show").arg(&out).args("--json");
    let shown: Value = serde_json::from_str(&call.run().ok().stdout).expect("JSON");
    let train = &shown["splits"][0];
    assert_eq!((&train["split"], &train["images"]), (&"train".into(), &of("train").into()), "{shown}");
}

#[test]
fn training_takes_a_pipeline_a_loss_mixing_and_sampling() {
    let dir = scratch();
    let (data, out, file) = (dir.path().join("photos"), dir.path().join("run"), dir.path().join("mine.toml"));
    class_folders(&data);
    let pipeline = "[[steps]]\nop = \"horizontal_flip\"\nprobability = 0.5\n[[steps]]\nop = \"posterize\"\nbits = [3, 5]\n";
    std::fs::write(&file, pipeline).expect("a file");
    let call = oculist("train").arg(&data).option("--augmentation", &file);
    let options = "--arch resnet8 --epochs 1 --batch-size 16 --threads 2 --mixup 0.2 --cutmix 1 --loss weighted \
                   --sampling balanced --image-size 16 --measure-seconds 0.01";
    call.args(options).option("--output", &out).run().ok();
    let config = read_text(&out.join("config.toml"));
    for part in ["posterize", "mixup_alpha", "cutmix_alpha = 1", "class_weights", "balanced = true"] {
        assert!(config.contains(part), "{part} in {config}");
    }
    assert!(read_json(&out.join("summary.json"))["models"][0]["top1"].is_f64());
    // A wrong pipeline is named with the file and what was expected.
    std::fs::write(&file, "[[steps]]\nop = \"rotate\"\ndegrees = 400\n").expect("a file");
    let call = || {
        oculist("train").arg(&data).option("--augmentation", &file).option("--output", dir.path().join("no"))
    };
    call().run().fails(1, &["mine.toml", "degrees", "400"]);
    std::fs::write(&file, "[[steps]]\nop = \"rotat\"\n").expect("a file");
    call().run().fails(1, &["mine.toml", "rotat"]);
    assert!(!dir.path().join("no").exists());
}
