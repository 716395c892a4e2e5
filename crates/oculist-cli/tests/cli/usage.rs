//! Wrong usage, and the file of settings.

use crate::support::runs::trained;
use crate::support::{oculist, read_text, scratch};

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
        ("train demo --threads 0", &["'0'", "--threads", "at least 1"]),
        ("train demo --image-size 4", &["'4'", "--image-size", "8 to 1024"]),
        ("train demo --lr 0", &["'0'", "--lr", "positive"]),
        ("train demo --lr -1", &["'-1'", "--lr", "positive"]),
        ("train demo --lr nan", &["'nan'", "--lr", "positive"]),
        ("optimize demo --max-drop -0.5", &["'-0.5'", "--max-drop", "0 to 100"]),
        ("optimize demo --target weight", &["'weight'", "--target", "size, latency, macs"]),
        ("optimize demo --arch resnet8 --model m.onnx", &["--arch", "--model"]),
        ("compress demo", &["--model"]),
        ("compress demo --model m.onnx --arch resnet8", &["--arch"]),
        ("bench m.onnx --seconds 0", &["'0'", "--seconds", "3600"]),
        ("bench m.onnx --plan --json", &["--plan", "--json"]),
        ("predict a.png --model m.onnx --threads 0", &["'0'", "--threads"]),
        ("predict --model m.onnx", &["<IMAGE>"]),
        ("eval demo", &["--model"]),
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
        ("threads = 0", &["--threads", "at least 1", "found 0"]),
        ("max_drop = 200.0", &["--max-drop", "0 to 100", "200"]),
        ("lr = -1.0", &["lr", "positive", "-1"]),
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
