//! `augment preview`, `augment check` and `augment apply`, and training with the settings of augmentation.

use std::collections::BTreeSet;
use std::path::Path;

use oculist_augment::{Image, Rng};
use oculist_data::fixture::write_image;
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

/// `up`, `down` and `disc`: triangles that a vertical flip turns into each other, and a disc that it does not change.
fn shapes(root: &Path) {
    const SIDE: usize = 20;
    let mut rng = Rng::keyed(&[44]);
    for (class, name) in ["up", "down", "disc"].into_iter().enumerate() {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for i in 0..120 {
            let (dx, dy) = (rng.below(3) as f32 - 1.0, rng.below(3) as f32 - 1.0);
            let mut pixels = Vec::new();
            for y in 0..SIDE {
                for x in 0..SIDE {
                    let (x, y) = (x as f32 - 9.5 - dx, y as f32 - 9.5 - dy);
                    let inside = match class {
                        0 => y.abs() < 7.0 && 2.0 * x.abs() < y + 7.0,
                        1 => y.abs() < 7.0 && 2.0 * x.abs() < 7.0 - y,
                        _ => x * x + y * y < 30.0,
                    };
                    pixels.push(if inside { 170 } else { 30 } + rng.below(60) as u8);
                }
            }
            let image = Image::new(SIDE, SIDE, 1, pixels).expect("an image");
            write_image(&folder.join(format!("{i}.png")), &image).expect("a file");
        }
    }
}

#[test]
fn check_names_the_classes_that_an_operation_swaps() {
    let dir = scratch();
    let (data, file, out) = (dir.path().join("shapes"), dir.path().join("mine.json"), dir.path().join("out"));
    shapes(&data);
    let steps = r#"{"op": "vertical_flip", "probability": 0.5}, {"op": "horizontal_flip"},
                   {"op": "brightness", "factor": [1, 1]}"#;
    std::fs::write(&file, format!("{{\"steps\": [{steps}]}}")).expect("a file");
    let before = contents(&data);
    let call = |output: &Path| {
        let call = oculist("augment").arg("check").arg(&data).args("--threads 2 --epochs 8");
        call.option("--output", output)
    };
    let outcome = call(&out).option("--augmentation", &file).run().ok();
    let found = read_json(&out.join("augment-check.json"));
    assert!(found["top1"].as_f64().is_some_and(|top1| top1 > 95.0), "{found}");
    let [flip, mirror, nothing] = found["operations"].as_array().expect("operations").as_slice() else {
        panic!("three operations: {found}")
    };
    assert_eq!(flip["verdict"], "changes_classes", "{found}");
    let mut pairs: Vec<(&str, &str)> = flip["pairs"]
        .as_array()
        .expect("pairs")
        .iter()
        .map(|p| (p["class"].as_str().expect("a class"), p["called"].as_str().expect("a class")))
        .collect();
    pairs.sort_unstable();
    assert_eq!(pairs, [("down", "up"), ("up", "down")]);
    assert!(flip["pairs"][0]["share"].as_f64().is_some_and(|share| share > 90.0), "{flip}");
    for safe in [mirror, nothing] {
        assert_eq!(
            (&safe["verdict"], safe["pairs"].as_array().map(Vec::len)),
            (&"safe".into(), Some(0)),
            "{safe}"
        );
    }
    assert_eq!(nothing["top1_after"], found["top1"]);
    assert!(outcome.stdout.contains("up -> down in") && outcome.stdout.contains("augment-check.html"));
    let page = read_text(&out.join("augment-check.html"));
    assert_eq!(page.matches("<img ").count(), 4, "each pair before and after");
    assert!(contents(&data) == before, "nothing is changed");
    // Without a file every operation is looked at; a model may take the place of the small classifier.
    let run = dir.path().join("run");
    let train = oculist("train").arg(&data).args("--arch resnet8 --epochs 8 --augment none --threads 2");
    train.args("--measure-seconds 0.01").option("--output", &run).run().ok();
    let all = dir.path().join("all");
    let call =
        oculist("augment").arg("check").arg(&data).args("--threads 2 --quiet").option("--output", &all);
    call.option("--model", run.join("model.onnx")).run().ok();
    let found = read_json(&all.join("augment-check.json"));
    assert!(found["classifier"].as_str().is_some_and(|c| c.ends_with("model.onnx")), "{found}");
    let operations = found["operations"].as_array().expect("operations");
    assert!(operations.len() > 40);
    let verdict = |name: &str| {
        operations.iter().find(|o| o["operation"] == name).expect("the operation")["verdict"].clone()
    };
    assert_eq!(
        (verdict("vertical_flip"), verdict("horizontal_flip")),
        ("changes_classes".into(), "safe".into())
    );
    // A wrong model is refused.
    class_folders(&dir.path().join("other"));
    let call = oculist("augment").arg("check").arg(dir.path().join("other")).option("--output", &all);
    call.option("--model", run.join("model.onnx")).run().fails(1, &["model.onnx", "classes"]);
}

#[test]
fn training_compares_views_of_an_image() {
    let dir = scratch();
    let data = dir.path().join("photos");
    class_folders(&data);
    let train = |name: &str| {
        let call = oculist("train").arg(&data).option("--output", dir.path().join(name));
        call.args(
            "--arch resnet8 --epochs 2 --threads 2 --image-size 16 --batch-size 16 --measure-seconds 0.01",
        )
    };
    let outcome = train("first").args("--augment augmix --consistency").run().ok();
    // 84 images in batches of 16 images, not of 16 views.
    assert!(outcome.stderr.contains("batch 16"), "{}", outcome.stderr);
    let run = dir.path().join("first");
    assert!(read_text(&run.join("settings.toml")).lines().any(|l| l == "consistency = 12.0"));
    assert!(read_text(&run.join("config.toml")).contains("consistency = 12.0"));
    let weights = read(&run.join("model.onnx"));
    let again = dir.path().join("again");
    oculist("train").option("--config", run.join("settings.toml")).option("--output", &again).run().ok();
    assert!(read(&again.join("model.onnx")) == weights, "settings.toml repeats the run");
    train("other").args("--augment augmix --consistency 1").run().ok();
    train("without").args("--augment augmix").run().ok();
    for other in ["other", "without"] {
        assert!(read(&dir.path().join(other).join("model.onnx")) != weights, "the weight matters");
    }
    for (flags, words) in [
        ("--consistency 12", &["--consistency", "--augment augmix"][..]),
        ("--consistency 12 --augment rand", &["--consistency", "--augment augmix"]),
        ("--consistency 12 --augment augmix --mixup 0.2", &["--consistency", "--mixup"]),
        ("--consistency 12 --augment augmix --cutmix 1", &["--consistency", "--cutmix"]),
        ("--consistency 12 --augment augmix --mosaic 0.5", &["--consistency", "--mosaic"]),
        ("--keep last --patience 3", &["--patience", "--keep last"]),
        ("--consistency 12 --augment augmix --sampling repeated", &["--consistency", "--sampling once"]),
    ] {
        train("no").args(flags).run().fails(1, words);
        assert!(!dir.path().join("no").exists());
    }
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
                   --sampling balanced --keep last --image-size 16 --measure-seconds 0.01";
    call.args(options).option("--output", &out).run().ok();
    let config = read_text(&out.join("config.toml"));
    for part in [
        "posterize",
        "mixup_alpha",
        "cutmix_alpha = 1",
        "class_weights",
        "balanced = true",
        "keep = \"last\"",
    ] {
        assert!(config.contains(part), "{part} in {config}");
    }
    assert!(read_json(&out.join("summary.json"))["models"][0]["top1"].is_f64());
    // Images several times in a batch, mosaics and a cache, from flags and again from the settings of that run.
    let (first, again, cold) = (dir.path().join("first"), dir.path().join("again"), dir.path().join("cold"));
    let train = |output: &Path| {
        let call = oculist("train").arg(&data).option("--output", output);
        call.args("--arch resnet8 --epochs 2 --threads 2 --image-size 16 --measure-seconds 0.01")
    };
    let flags = "--sampling repeated --repeats 4 --batch-size 16 --mosaic 0.5";
    let outcome = train(&first).args(flags).args("--cache 512M --max-image-bytes 1G").run().ok();
    assert!(
        outcome.stderr.lines().any(|l| l.contains("epoch  1/2") && l.contains("data wait ")),
        "{outcome:?}"
    );
    let settings = read_text(&first.join("settings.toml"));
    for line in ["sampling = \"repeated\"", "repeats = 4", "mosaic = 0.5", "cache = 536870912"] {
        assert!(settings.contains(line), "{line} in {settings}");
    }
    assert!(read_text(&first.join("config.toml")).contains("mosaic_probability = 0.5"));
    let call = oculist("train").option("--config", first.join("settings.toml")).option("--output", &again);
    call.run().ok();
    train(&cold).args(flags).run().ok();
    let weights = read(&first.join("model.onnx"));
    assert!(read(&again.join("model.onnx")) == weights, "settings.toml repeats the run");
    assert!(read(&cold.join("model.onnx")) == weights, "a cache changes no number");
    let once = dir.path().join("once");
    train(&once).args("--batch-size 16 --mosaic 0.5").run().ok();
    assert!(read(&once.join("model.onnx")) != weights, "repeats do");
    let no = dir.path().join("no");
    train(&no)
        .args("--sampling repeated --repeats 3 --batch-size 16")
        .run()
        .fails(1, &["--batch-size", "3 repeats"]);
    train(&no).args("--repeats 3").run().fails(1, &["--repeats", "--sampling"]);
    train(&no).args("--cache much").run().fails(2, &["--cache", "512M"]);
    train(&no).args("--mosaic 2").run().fails(2, &["--mosaic", "0 to 1"]);
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
