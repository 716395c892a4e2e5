//! What is said of results that mean nothing, and of data that make them so.

use std::collections::BTreeMap;
use std::path::Path;

use oculist_augment::{Image, Rng};
use oculist_data::fixture::{class_image, write_image};
use serde_json::Value;

use crate::support::{Call, oculist, read_json, read_text, scratch};

/// Six unequal classes.
const COUNTS: [usize; 6] = [90, 30, 15, 15, 12, 8];

/// A picture of 5x5 patches of chance, 40 pixels a side.
fn patches(seed: u64, brighter: u8) -> Image {
    let mut rng = Rng::keyed(&[seed]);
    let patch: Vec<u8> = (0..25).map(|_| 20 + rng.below(200) as u8 + brighter).collect();
    let pixels = (0..40 * 40).map(|i| patch[i / 40 / 8 * 5 + i % 40 / 8]).collect();
    Image::new(40, 40, 1, pixels).expect("an image")
}

/// `CLASS/I.png` of such counts.
fn write(root: &Path, counts: &[usize], image: impl Fn(usize, usize) -> Image) {
    for (class, &count) in counts.iter().enumerate() {
        let folder = root.join(format!("kind{class}"));
        std::fs::create_dir_all(&folder).expect("a folder");
        for i in 0..count {
            write_image(&folder.join(format!("{i}.png")), &image(class, i)).expect("a file");
        }
    }
}

/// Chance in every pixel, whatever the class.
fn noise(class: usize, i: usize) -> Image {
    let mut rng = Rng::keyed(&[class as u64, i as u64, 77]);
    Image::new(16, 16, 1, (0..256).map(|_| rng.below(256) as u8).collect()).expect("an image")
}

fn call(verb: &str, data: &Path, run: &Path) -> Call {
    oculist(verb)
        .arg(data)
        .option("--output", run)
        .args("--arch resnet8 --width 0.25 --epochs 1 --measure-seconds 0.05 --threads 2")
}

fn warnings(summary: &Value) -> Vec<&str> {
    summary["warnings"].as_array().expect("warnings").iter().filter_map(Value::as_str).collect()
}

#[test]
fn a_model_that_learnt_nothing_is_not_praised() {
    let dir = scratch();
    let (data, run) = (dir.path().join("data"), dir.path().join("run"));
    write(&data, &COUNTS, noise);
    let call = call("optimize", &data, &run).args("--finetune-epochs 1 --loss cross-entropy --max-drop 5");
    let found = call.run().ok();
    let first = found.stdout.trim_start().lines().next().expect("a verdict");
    let is_said = |text: &str| {
        text.contains("No better than always answering kind0")
            || text.contains("Not shown to be better than always answering kind0")
    };
    assert!(is_said(first) && first.contains("majority rate"), "{}", found.stdout);
    assert!(!found.stdout.contains("promise kept"), "{}", found.stdout);
    let summary = read_json(&run.join("summary.json"));
    assert!(is_said(warnings(&summary)[0]), "{}", summary["warnings"]);
    let page = read_text(&run.join("report.html"));
    assert!(is_said(&page) && !page.contains("✓ Promise kept") && page.contains("95% interval"));
    let chance = &summary["models"][0]["chance"];
    assert_eq!((&chance["answer"], &chance["images"]), (&"kind0".into(), &26.into()));
    assert!(matches!(chance["finding"].as_str(), Some("no-better" | "unclear")), "{chance}");

    // The same of a file, on the terminal and as JSON.
    let eval =
        || oculist("eval").arg(&data).option("--model", run.join("baseline.onnx")).args("--split test");
    let text = eval().run().ok().stdout;
    assert!(is_said(text.lines().next().expect("a line")), "{text}");
    for row in ["95% interval of accuracy", "majority rate (kind0)", "balanced accuracy", "macro F1"] {
        assert!(text.contains(row), "{row}: {text}");
    }
    let json = eval().arg("--json").run().ok().json();
    assert_eq!(json["chance"], *chance);
    // 14 of 26 test images are of the largest class.
    assert!((json["chance"]["rate"].as_f64().expect("a rate") - 1400.0 / 26.0).abs() < 1e-9, "{json}");
}

#[test]
fn a_model_that_learnt_something_is_no_constant_answer() {
    let run = crate::support::runs::optimized();
    let summary = read_json(&run.file("summary.json"));
    assert_eq!(summary["models"][0]["chance"]["finding"], "better");
    assert!(!warnings(&summary).iter().any(|text| text.contains("better than")), "{summary}");
    assert!(run.outcome.stdout.contains("promise kept"), "{}", run.outcome.stdout);
}

#[test]
fn unequal_classes_balance_the_epochs_unless_loss_or_sampling_is_named() {
    let dir = scratch();
    let data = dir.path().join("data");
    write(&data, &COUNTS, |class, i| class_image(class, 16, 1, i as u64));
    let told = |run: &str, args: &str| {
        let run = dir.path().join(run);
        let found = call("train", &data, &run).args(args).run().ok();
        let settings = read_text(&run.join("settings.toml"));
        (found.stderr.contains("the classes are unequal (6 to 62 training images)"), settings)
    };
    let (said, settings) = told("chosen", "");
    assert!(said && settings.contains("sampling = \"balanced\""), "{settings}");
    let (said, settings) = told("named", "--loss cross-entropy");
    assert!(!said && !settings.contains("sampling ="), "{settings}");
    let (said, settings) = told("sampled", "--sampling balanced");
    assert!(!said && settings.contains("sampling = \"balanced\""), "{settings}");
}

#[test]
fn images_that_show_nothing_are_told_before_training() {
    let dir = scratch();
    let black = |_: usize, _: usize| Image::new(16, 16, 1, vec![0; 256]).expect("an image");
    let (data, run) = (dir.path().join("black"), dir.path().join("run"));
    write(&data, &[20, 20], black);
    let found = call("train", &data, &run).run().ok();
    let (before, _) = found.stderr.split_once("Train the baseline").expect("a training");
    for split in ["training", "validation", "test"] {
        assert!(before.contains(&format!("{split} images have the same pixels")), "{before}");
    }
    assert!(
        found.stdout.trim_start().starts_with("No better than always answering kind0"),
        "{}",
        found.stdout
    );
    let summary = read_json(&run.join("summary.json"));
    assert!(warnings(&summary).iter().any(|text| text.contains("same pixels")), "{}", summary["warnings"]);

    // Of one colour each, and not all the same.
    let flat =
        |class: usize, i: usize| Image::new(16, 16, 1, vec![(40 * class + i) as u8; 256]).expect("one");
    let data = dir.path().join("flat");
    write(&data, &[20, 20], flat);
    let shown = oculist("data").arg("show").arg(&data).run().ok().stdout;
    assert!(shown.contains("training images is of one colour"), "{shown}");
}

/// Where each image of a run lies: by class and number.
fn splits(run: &Path) -> BTreeMap<String, String> {
    let text = read_text(&run.join("inputs.jsonl"));
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of = |line: Value| {
        let (split, class, path) = (line[0].as_str()?, line[1].as_str()?, line[2].as_str()?);
        let file = Path::new(path).file_name()?.to_str()?;
        Some((format!("{class}/{file}"), split.to_owned()))
    };
    lines.filter_map(of).collect()
}

#[test]
fn drawn_splits_keep_duplicates_on_one_side() {
    let dir = scratch();
    let data = dir.path().join("data");
    // Images 2 n and 2 n + 1 of a class are nearly the same for n below 12, exactly for n = 12.
    let image = |class: usize, i: usize| {
        let pair = if i < 26 { i / 2 } else { i };
        patches((class * 1000 + pair) as u64, if i < 24 { (i % 2) as u8 * 3 } else { 0 })
    };
    write(&data, &[40, 40], image);
    let run = |name: &str, args: &str| {
        let run = dir.path().join(name);
        (call("train", &data, &run).args(args).run().ok(), splits(&run))
    };
    let apart = |splits: &BTreeMap<String, String>| {
        let pairs = (0..2).flat_map(|class| (0..13).map(move |pair| (class, pair)));
        let split = |class: usize, i: usize| &splits[&format!("kind{class}/{i}.png")];
        pairs.filter(|&(class, pair)| split(class, 2 * pair) != split(class, 2 * pair + 1)).count()
    };
    let (found, kept) = run("kept", "");
    assert_eq!((kept.len(), apart(&kept)), (80, 0));
    assert!(found.stderr.contains("groups of exact or near duplicates kept on one side"), "{}", found.stderr);
    // Twin: without it pairs are cut, as many as were said, and that is all that is told.
    let (plain, cut) = run("cut", "--duplicates ignore");
    assert!(apart(&cut) > 3);
    assert!(found.stderr.contains(&format!("{} groups of exact", apart(&cut))), "{}", found.stderr);
    assert!(!plain.stderr.contains("duplicates"), "{}", plain.stderr);
    let repeats =
        |run: &str| read_json(&dir.path().join(run).join("summary.json"))["data"]["repeats"].clone();
    assert_eq!(repeats("kept")["kept"], apart(&cut));
    assert_eq!((&repeats("kept")["shared"], repeats("cut")), (&Value::Array(Vec::new()), Value::Null));
    // The classes keep their shares: 28 of 40 images for training.
    let of = |class: &str| {
        kept.iter().filter(|(name, split)| name.starts_with(class) && *split == "train").count()
    };
    assert!((27..=29).contains(&of("kind0")) && (27..=29).contains(&of("kind1")));
    // The same again, and the same splits where a model is measured.
    let again = call("train", &data, &dir.path().join("kept")).arg("--resume").run().ok();
    assert!(!again.stderr.contains("differ"), "{}", again.stderr);
    assert_eq!(run("again", "").1, kept);
    // Without repeated images every split is as it was.
    let alone = dir.path().join("alone");
    write(&alone, &[30, 30], |class, i| patches((class * 1000 + i) as u64, 0));
    let of = |name: &str, args: &str| {
        let run = dir.path().join(name);
        let found = call("train", &alone, &run).args(args).run().ok();
        assert!(!found.stderr.contains("duplicates"), "{}", found.stderr);
        splits(&run)
    };
    assert_eq!(of("alone-looked", ""), of("alone-ignored", "--duplicates ignore"));
}

#[test]
fn given_splits_that_share_images_are_told() {
    let dir = scratch();
    let data = dir.path().join("data");
    let image =
        |part: u64| move |class: usize, i: usize| patches(part * 10_000 + (class * 1000 + i) as u64, 0);
    write(&data.join("train"), &[20, 20], image(1));
    write(&data.join("val"), &[6, 6], image(2));
    // The first three test images of each class are those of training, one of them a little brighter.
    write(&data.join("test"), &[8, 8], |class, i| match i {
        0 => patches(10_000 + (class * 1000) as u64, 3),
        1 | 2 => image(1)(class, i),
        _ => image(3)(class, i),
    });
    let run = dir.path().join("run");
    let found = call("train", &data, &run).run().ok();
    let text = "6 of 16 test images repeat training images, 4 of them exactly";
    assert!(
        found.stderr.contains(text) && found.stderr.contains("test/kind0/0.png and "),
        "{}",
        found.stderr
    );
    let summary = read_json(&run.join("summary.json"));
    assert!(warnings(&summary).iter().any(|warning| warning.contains(text)), "{}", summary["warnings"]);
    assert!(read_text(&run.join("report.html")).contains(text));
    let shared = &summary["data"]["repeats"]["shared"];
    assert_eq!((&shared[0]["images"], &shared[0]["exact"], &shared[1]), (&6.into(), &4.into(), &Value::Null));
    assert_eq!(shared[0]["pairs"].as_array().map(Vec::len), Some(3));
}

#[test]
fn errors_under_corruptions_are_divided_by_those_of_a_baseline() {
    let run = crate::support::runs::trained();
    let eval = |args: &str| {
        let call = oculist("eval").arg(&run.data).option("--model", run.file("model.onnx"));
        call.args("--split train --severity 2,5 --threads 2").args(args)
    };
    let itself = run.file("model.onnx");
    let found =
        eval("--corruptions --json").option("--baseline", &itself).run().ok().json()["robustness"].clone();
    let normalised = &found["normalised"];
    assert_eq!(
        (&normalised["baseline"], &normalised["clean_top1"]),
        (&"model.onnx".into(), &found["clean_top1"])
    );
    // Its own errors in percent of its own errors.
    for (ce, row) in normalised["corruption_errors"]
        .as_array()
        .expect("errors")
        .iter()
        .zip(found["corruptions"].as_array().expect("rows"))
    {
        let is_faultless = row["top1"].as_f64() == Some(100.0);
        assert_eq!(ce.as_f64().map(f64::round), (!is_faultless).then_some(100.0), "{row}");
    }
    let table = eval("--corruptions").option("--baseline", &itself).run().ok().stdout;
    assert!(table.contains("(mCE): ") && table.contains("errors of model.onnx"), "{table}");
    eval("").option("--baseline", &itself).run().fails(2, &["--corruptions"]);
}
