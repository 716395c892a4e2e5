//! Files of weights: read with the name of their architecture, and written.

use std::path::PathBuf;

use crate::support::runs::trained;
use crate::support::{oculist, read, scratch};

/// The trained network's weights as a file of safetensors.
fn weights(folder: &std::path::Path) -> PathBuf {
    let path = folder.join("weights.safetensors");
    oculist("export").arg(trained().file("model.onnx")).option("--output", &path).run().ok();
    path
}

#[test]
fn weights_go_out_and_come_back() {
    let dir = scratch();
    let file = weights(dir.path());
    let graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let toml = dir.path().join("preprocessing.toml");
    let (mean, std) = (&graph.metadata["oculist.mean"], &graph.metadata["oculist.std"]);
    std::fs::write(&toml, format!("mean = [{mean}]\nstd = [{std}]\nresize = \"exact\"\n")).expect("a file");
    let eval = |call: crate::support::Call| {
        call.args("--json").run().ok().json()["top1"].as_f64().expect("a number")
    };
    let want = eval(oculist("eval").arg(&trained().data).option("--model", trained().file("model.onnx")));
    let call = oculist("eval").arg(&trained().data).option("--model", &file).args("--arch resnet8");
    let got = eval(call.option("--preprocessing", &toml));
    assert!((want - got).abs() < 1e-9, "{got}, expected {want}");
    // As a model of its own, and from there the same weights again.
    let (model, again) = (dir.path().join("model.onnx"), dir.path().join("again.safetensors"));
    oculist("export").arg(&file).args("--arch resnet8").option("--output", &model).run().ok();
    oculist("export").arg(&model).option("--output", &again).run().ok();
    assert_eq!(read(&again), read(&file));
    let run = dir.path().join("run");
    let call = oculist("compress").arg(&trained().data).option("--model", &file).args("--arch resnet8");
    let call = call.option("--preprocessing", &toml).option("--output", &run);
    call.args("--finetune-epochs 1 --batch-size 16 --threads 2 --measure-seconds 0.05").run().ok();
}

/// A cache of the Hugging Face Hub with one model, as `huggingface_hub` lays it out.
#[test]
fn models_of_the_hub_are_files_of_its_cache() {
    let dir = scratch();
    let repository = dir.path().join("models--someone--net");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let snapshot = repository.join("snapshots").join(commit);
    for folder in [&snapshot, &repository.join("refs")] {
        std::fs::create_dir_all(folder).expect("a folder");
    }
    std::fs::write(repository.join("refs/main"), commit).expect("a file");
    std::fs::copy(trained().file("model.onnx"), snapshot.join("model.onnx")).expect("a copy");
    let call = |model: &str| {
        let mut call = oculist("eval").arg(&trained().data).option("--model", model).args("--json");
        call.command().env("HF_HUB_OFFLINE", "1").env("HF_HUB_CACHE", dir.path()).env_remove("HF_HOME");
        call
    };
    let found = call("hf:someone/net/model.onnx").run().ok().json();
    assert!(found["top1"].as_f64().expect("a number") > 90.0, "{found}");
    call("hf:someone/other/model.onnx").run().fails(1, &["someone/other", "offline"]);
    call("hf:someone").run().fails(1, &["hf:someone"]);
}

#[test]
fn what_does_not_fit_is_told() {
    let dir = scratch();
    let file = weights(dir.path());
    let call = || oculist("eval").arg(&trained().data).option("--model", &file).args("--preprocessing unit");
    // Whose weights they are is told from names and shapes, unless they are those of no network as it was published.
    let found = call().run().ok();
    assert!(
        found.stderr.contains("its weights are those of resnet8; --arch says otherwise"),
        "{}",
        found.stderr
    );
    let narrow = oculist_zoo::BuildOptions::new(3, (3, 32, 32)).with_width(0.5);
    let mut graph = oculist_zoo::build("resnet8", &narrow).expect("a network");
    oculist_zoo::initialize(&mut graph, 0);
    let (model, other) = (dir.path().join("narrow.onnx"), dir.path().join("narrow.safetensors"));
    oculist_onnx::write(&graph, &model).expect("a model");
    oculist("export").arg(&model).option("--output", &other).run().ok();
    let unknown = oculist("eval").arg(&trained().data).option("--model", &other).args("--preprocessing unit");
    unknown.run().fails(1, &["narrow.safetensors", "those of no architecture here", "--arch", "zoo list"]);
    call()
        .args("--arch resnet20")
        .run()
        .fails(1, &["weights.safetensors", "resnet20", "layer1.1.conv1.weight"]);
    call().args("--arch vgg11_bn").run().fails(1, &["weights.safetensors", "vgg11", "classifier.6.weight"]);
    let cut = dir.path().join("cut.pth");
    std::fs::write(&cut, b"PK\x03\x04 and no archive").expect("a file");
    let call = oculist("predict").arg(trained().data.join("class0")).option("--model", &cut);
    call.args("--arch resnet8 --preprocessing unit").run().fails(1, &["cut.pth"]);
}
