//! Wrong usage, and the file of settings.

use std::path::Path;

use crate::support::runs::{optimized, trained};
use crate::support::{oculist, read, read_json, read_text, scratch};

#[test]
fn wrong_usage_is_code_2() {
    for (line, words) in [
        ("polish demo", &["unrecognized subcommand 'polish'", "Usage"][..]),
        ("train", &["<DATA>", "Usage"]),
        ("train demo --colour blue", &["--colour"]),
        ("train demo --force --resume", &["--force", "--resume"]),
        ("train demo --optimizer lion", &["'lion'", "--optimizer", "sgd", "adamw"]),
        ("train demo --epochs 0", &["'0'", "--epochs", "at least 1"]),
        ("train demo --epochs many", &["'many'", "--epochs", "whole number"]),
        ("train demo --threads 0", &["'0'", "--threads", "1 to 1024"]),
        ("train demo --image-size 4", &["'4'", "--image-size", "8 to 1024"]),
        ("train demo --width 0", &["'0'", "--width", "0.0625 to 16"]),
        ("train demo --lr 0", &["'0'", "--lr", "positive"]),
        ("train demo --lr -1", &["'-1'", "--lr", "positive"]),
        ("train demo --lr nan", &["'nan'", "--lr", "positive"]),
        ("train demo --consistency many", &["'many'", "--consistency", "0 to 1000"]),
        ("train demo --consistency 1001", &["'1001'", "--consistency", "0 to 1000"]),
        ("optimize demo --max-drop -0.5", &["'-0.5'", "--max-drop", "0 to 100"]),
        ("optimize demo --target weight", &["'weight'", "--target", "size, latency, macs"]),
        ("optimize demo --arch resnet8 --model m.onnx", &["--arch", "--model"]),
        ("compress demo", &["--model"]),
        ("compress demo --model m.onnx --arch resnet8", &["--arch"]),
        ("train demo --measure-seconds 0", &["'0'", "--measure-seconds", "3600"]),
        ("bench m.onnx --seconds 0", &["'0'", "--seconds", "3600"]),
        ("bench m.onnx --plan --json", &["--plan", "--json"]),
        ("predict a.png --model m.onnx --threads 0", &["'0'", "--threads"]),
        ("predict --model m.onnx", &["<IMAGE>"]),
        ("eval demo", &["--model"]),
        ("train demo --pretrained --arch resnet18", &["--model FILE.pth --arch resnet18"]),
        ("optimize demo --pretrained imagenet", &["--model FILE.onnx"]),
    ] {
        let mut words_of_line = line.split_whitespace();
        let call = oculist(words_of_line.next().expect("a verb"));
        let dir = scratch();
        let mut call = call.args(&words_of_line.collect::<Vec<_>>().join(" "));
        call.command().current_dir(dir.path());
        call.run().fails(2, words);
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0, "{line} writes nothing");
    }
}

#[test]
fn habits_of_other_tools_are_answered() {
    for (line, words) in [
        ("train demo --imgsz 64", &["'--imgsz'", "--image-size <PIXELS>"][..]),
        ("train demo --img-size=64", &["'--img-size'", "--image-size <PIXELS>"]),
        ("train demo --lr0 0.1", &["'--lr0'", "--lr <LR>"]),
        ("train demo --batch 8", &["'--batch'", "--batch-size <N>"]),
        ("train demo -b 8", &["'-b'", "--batch-size <N>"]),
        ("train demo --device cuda", &["'--device'", "CPU", "--threads <N>"]),
        ("predict a.png --model m.onnx --device=cuda", &["'--device'", "CPU"]),
        ("train demo --model-ema", &["'--model-ema'", "always kept"]),
        ("train demo --model_ema", &["'--model_ema'", "always kept"]),
        ("train demo --workers 4", &["'--workers'", "--threads <N>"]),
        ("train demo --amp", &["'--amp'", "f32"]),
        ("train demo --num-classes 10", &["'--num-classes'", "those of the data"]),
        ("optimize --weights a.pth demo", &["'--weights'", "--model <FILE>"]),
        ("train --data-dir photos --arch resnet18", &["<DATA>", "--data-dir", "behind the verb"]),
        ("train --data photos", &["'--data'", "behind the verb"]),
        (
            "train data=photos model=resnet18 epochs=10",
            &["data=: ", "behind the verb", "model=: ", "epochs=: here '--epochs VALUE'"],
        ),
        ("train task=classify data=photos", &["task=: ", "classifier", "data=: "]),
        ("train photos epochs=10", &["epochs=: here '--epochs VALUE'"]),
        ("train photos imgsz=64", &["imgsz=: ", "--image-size <PIXELS>"]),
        ("train demo --resume runs/last.pth", &["'--resume'", "no value", "--output <DIR>"]),
        ("train demo --strict yes", &["'--strict'", "no value"]),
        ("train data=photos", &["data=: ", "behind the verb"]),
        ("predict model=m.onnx source=a.png", &["model=: ", "--model <FILE>", "source=: "]),
        ("val photos --model m.onnx", &["'val'", "oculist eval"]),
        ("classify train data=photos", &["'classify'", "oculist predict"]),
    ] {
        let mut words_of_line = line.split_whitespace();
        let call = oculist(words_of_line.next().expect("a verb"));
        call.args(&words_of_line.collect::<Vec<_>>().join(" ")).run().fails(2, words);
    }
    // What no tool knows is clap's to answer, and a file may be called as it likes.
    oculist("train").args("demo --colour blue").run().fails(2, &["unexpected argument '--colour' found"]);
    let dir = scratch();
    std::fs::create_dir(dir.path().join("data=photos")).expect("a folder");
    let mut call = oculist("train").arg("data=photos");
    call.command().current_dir(dir.path());
    call.run().fails(1, &["data=photos"]);
}

#[test]
fn what_stood_in_recipes_alone_can_be_typed() {
    let dir = scratch();
    let recipe = |candidates: &str| {
        let call =
            oculist("optimize").arg(&trained().data).args("--dry-run --arch resnet8 --epochs 1 --threads 2");
        let call = call.args(candidates).option("--output", dir.path().join("run"));
        call.run().ok().stdout
    };
    let (four, one) = (recipe(""), recipe("--candidates 1"));
    assert!(four.contains("at most 4 levels of 8") && one.contains("at most 1 level of 8"), "{four}{one}");
    let levels = recipe("--levels 0.7,0.4,0.2");
    assert!(levels.contains("at most 3 levels of 3 (shown for 40%)"), "{levels}");
    oculist("optimize")
        .args("demo --levels 0.4,0.7")
        .run()
        .fails(1, &["--levels", "falling", "0.4 before 0.7"]);
    oculist("optimize").args("demo --finetune-teacher nobody").run().fails(2, &["baseline", "none"]);
    oculist("optimize").args("demo --candidates 0").run().fails(2, &["--candidates", "at least 1"]);
}

#[test]
fn help_is_shown_to_who_asks_and_to_who_types_nothing() {
    for verb in ["optimize", "train", "compress", "eval", "predict", "bench", "report", "export"] {
        let help = oculist(verb).arg("--help").run().ok();
        assert!(help.stdout.contains(&format!("Usage: oculist {verb}")), "{}", help.stdout);
    }
    let mut nothing = std::process::Command::new(env!("CARGO_BIN_EXE_oculist"));
    let output = nothing.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("optimize"));
}

#[test]
fn an_unknown_architecture_brings_near_names() {
    let dir = scratch();
    let run = dir.path().join("run");
    let call = oculist("train").arg(&trained().data).args("--arch resnet19").option("--output", &run);
    call.run().fails(1, &["`resnet19`", "did you mean", "`resnet18`"]);
    let call = oculist("train").arg(&trained().data).args("--arch mobilnet").option("--output", &run);
    call.run().fails(1, &["`mobilnet`", "mobilenet_v2"]);
    assert!(!run.exists());
    // It is said before the data are looked for, which may take minutes.
    let call = oculist("train").arg(dir.path().join("nowhere")).args("--arch resnet19");
    let outcome = call.option("--output", &run).run().fails(1, &["`resnet19`"]);
    assert!(!outcome.stderr.contains("Read the data"), "{}", outcome.stderr);
}

#[test]
fn the_settings_of_a_run_repeat_it() {
    let dir = scratch();
    let again = dir.path().join("again");
    let settings = optimized().file("settings.toml");
    let text = read_text(&settings);
    for line in ["arch = \"resnet8\"", "epochs = 3", "max_drop = 5.0", "threads = 2", "seed = 0"] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    // Shorter measurements change no model.
    let call = oculist("optimize").option("--config", &settings).args("--measure-seconds 0.1");
    call.option("--output", &again).run().ok();
    for file in ["config.toml", "baseline.onnx", "model.onnx", "model.int8.onnx"] {
        let first = optimized().file(file);
        assert_eq!(first.exists(), again.join(file).exists(), "{file}");
        assert!(!first.exists() || read(&first) == read(&again.join(file)), "{file} is the same");
    }
    // The checksum at the end is another's.
    let values = |text: &str| -> Vec<String> {
        text.lines().filter(|l| !l.starts_with("# checksum")).map(str::to_owned).collect()
    };
    assert_eq!(
        values(&read_text(&again.join("settings.toml"))),
        values(&format!("{text}measure_seconds = 0.1\n")),
        "what was given is kept"
    );
    let runs =
        |run: &Path| read_json(&run.join("summary.json"))["models"][0]["images_per_s"]["runs"].as_u64();
    assert!(runs(&again) < runs(&optimized().folder), "less time, fewer runs");
    // The recipe beside it is another kind of file, and the message says which one to give.
    let call = oculist("optimize").option("--config", optimized().file("config.toml"));
    call.option("--output", dir.path().join("x"))
        .run()
        .fails(1, &["--config", "resolved recipe", "settings.toml"]);
}

#[test]
fn a_batch_size_above_the_number_of_images_is_lowered_aloud() {
    let dir = scratch();
    let run = dir.path().join("run");
    let call =
        oculist("train").arg(&trained().data).args("--arch resnet8 --batch-size 500 --epochs 1 --threads 2");
    let outcome = call.args("--measure-seconds 0.1").option("--output", &run).run().ok();
    let warning = "--batch-size 500 is more than the 84 training images; batches of 84 are used";
    assert!(outcome.stderr.contains(&format!("warning: {warning}")), "{}", outcome.stderr);
    // After what one epoch is worth, which comes first.
    let warnings = read_json(&run.join("summary.json"))["warnings"].clone();
    assert_eq!(warnings.as_array().and_then(|all| all.last()), Some(&serde_json::json!(warning)));
    assert!(read_text(&run.join("settings.toml")).contains("batch_size = 84"));
    // One epoch is no "1 epochs".
    assert!(outcome.stderr.contains("; 1 epoch, batch 84"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("trained 1 epoch, "), "{}", outcome.stderr);
    assert!(!trained().outcome.stderr.contains("warning"), "{}", trained().outcome.stderr);
}

#[test]
fn the_binary_starts_at_once() {
    let start = || {
        let began = std::time::Instant::now();
        oculist("--version").run().ok();
        began.elapsed()
    };
    // The shortest of twenty says what the binary needs; the others, what else the machine does.
    let shortest = (0..20).map(|_| start()).min().expect("times");
    assert!(shortest < std::time::Duration::from_millis(20), "{shortest:?}");
}

#[test]
fn flags_override_the_file_of_settings() {
    let dir = scratch();
    let (file, run) = (dir.path().join("settings.toml"), dir.path().join("run"));
    let text = format!(
        "data = {:?}\narch = \"resnet8\"\nseed = 7\nepochs = 4\nbatch_size = 16\nthreads = 1\nlr = 0.01\n",
        trained().data.display().to_string()
    );
    std::fs::write(&file, text).expect("a file");
    // The file names the data; the learning rate of the command line ends the run at once.
    let call = oculist("train").option("--config", &file).args("--epochs 2 --lr 1e30");
    call.option("--output", &run).run().fails(1, &["learning rate"]);
    let config = read_text(&run.join("config.toml"));
    let line = |line: &str| config.lines().any(|l| l == line);
    for from_the_file in ["arch = \"resnet8\"", "seed = 7", "threads = 1", "batch_size = 16"] {
        assert!(line(from_the_file), "{from_the_file}: {config}");
    }
    assert!(line("epochs = 2") && !line("epochs = 4"), "the flag wins: {config}");
    assert!(!line("lr = 0.01"), "the flag wins: {config}");
}

#[test]
fn a_wrong_file_of_settings_is_named() {
    let dir = scratch();
    let file = dir.path().join("settings.toml");
    let call = || oculist("train").arg(&trained().data).option("--config", &file);
    call().run().fails(1, &["settings.toml", "No such file"]);
    for (text, words) in [
        ("epoch = 3", &["--config", "settings.toml", "`epoch`", "`epochs`"][..]),
        ("epochs = \"three\"", &["--config", "settings.toml", "line 1", "\"three\""]),
        ("epochs = ", &["--config", "settings.toml", "line 1"]),
        ("threads = 0", &["--threads", "1 to 1024", "found 0"]),
        ("max_drop = 200.0", &["--max-drop", "0 to 100", "200"]),
        ("lr = -1.0", &["--lr", "positive", "-1"]),
        ("measure_seconds = 0.0", &["--measure-seconds", "3600", "found 0"]),
        ("arch = \"resnet19\"", &["`resnet19`", "did you mean", "`resnet18`"]),
    ] {
        std::fs::write(&file, text).expect("a file");
        call().option("--output", dir.path().join("run")).run().fails(1, words);
        assert!(!dir.path().join("run").exists());
    }
    std::fs::write(&file, "epochs = 3").expect("a file");
    oculist("train").option("--config", &file).run().fails(1, &["DATA", "found nothing"]);
    let call = oculist("compress").arg("demo").option("--config", &file);
    call.run().fails(1, &["--model", "found none"]);
}
