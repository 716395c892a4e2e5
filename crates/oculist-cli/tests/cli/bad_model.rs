//! Model files that are none, or not for this use.

use std::path::{Path, PathBuf};

use oculist_graph::{Flatten, GlobalPool, Graph, GraphBuilder, Op, Softmax, Unary};

use crate::support::data::cut_short;
use crate::support::runs::{copy_of_trained, trained};
use crate::support::{oculist, read, scratch};

/// Asserts that every verb that reads a model refuses this one, and that no run is begun.
#[track_caller]
fn refused(model: &Path, words: &[&str]) {
    let dir = scratch();
    let data = &trained().data;
    let run = dir.path().join("run");
    for verb in ["optimize", "compress"] {
        let call = oculist(verb).arg(data).option("--model", model).option("--output", &run);
        call.run().fails(1, words);
    }
    oculist("eval").arg(data).option("--model", model).run().fails(1, words);
    oculist("predict").arg(data).option("--model", model).run().fails(1, words);
    oculist("export").arg(model).option("--output", dir.path().join("out.onnx")).run().fails(1, words);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0, "nothing is written");
}

#[test]
fn a_missing_model() {
    let dir = scratch();
    refused(&dir.path().join("none.onnx"), &["none.onnx", "No such file"]);
    oculist("bench").arg(dir.path().join("none.onnx")).run().fails(1, &["none.onnx", "No such file"]);
}

#[test]
fn a_file_that_is_no_onnx_model() {
    let image = trained().data.join("class0/1.png");
    refused(&image, &["class0/1.png", "not an ONNX model"]);
    oculist("bench").arg(&image).run().fails(1, &["class0/1.png", "not an ONNX model"]);
    refused(&trained().folder, &["it is a folder"]);
}

#[test]
fn a_model_that_is_cut_short() {
    let dir = scratch();
    let run = copy_of_trained(dir.path());
    let model = run.join("model.onnx");
    cut_short(&model);
    refused(&model, &["model.onnx", "cut short"]);
    let bytes = read(&trained().file("model.onnx"));
    for len in [0, 1, bytes.len() - 1] {
        std::fs::write(&model, &bytes[..len]).expect("a file");
        oculist("eval").arg(&trained().data).option("--model", &model).run().fails(1, &["model.onnx"]);
    }
}

#[test]
fn a_model_that_oculist_did_not_make() {
    let dir = scratch();
    let model = dir.path().join("foreign.onnx");
    let mut graph =
        oculist_zoo::build("resnet8", &oculist_zoo::BuildOptions::new(3, (3, 16, 16))).expect("a graph");
    oculist_zoo::initialize(&mut graph, 0);
    oculist_onnx::write(&graph, &model).expect("a model");
    let words = ["foreign.onnx", "how images become its input", "--preprocessing"];
    let (data, run) = (&trained().data, dir.path().join("run"));
    for verb in ["optimize", "compress"] {
        let call = oculist(verb).arg(data).option("--model", &model).option("--output", &run);
        call.run().fails(1, &words);
    }
    oculist("eval").arg(data).option("--model", &model).run().fails(1, &words);
    oculist("predict").arg(data).option("--model", &model).run().fails(1, &words);
    let call =
        oculist("export").arg(&model).option("--int8", data).option("--output", dir.path().join("int8.onnx"));
    call.run().fails(1, &words);
    assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing is written");
    // Its speed can be measured and it can be written again all the same.
    oculist("bench").arg(&model).args("--seconds 0.05").run().ok();
    oculist("export").arg(&model).option("--output", dir.path().join("out.onnx")).run().ok();
}

#[test]
fn a_model_with_other_classes_than_the_data() {
    let model = trained().file("model.onnx");
    let dir = scratch();
    let words = [
        "model.onnx",
        "10 classes of the data are not among the model's 3",
        "\"T-shirt/top\" (",
        "and 6 more",
    ];
    oculist("eval").arg("demo").option("--model", &model).run().fails(1, &words);
    let out = dir.path().join("out.onnx");
    let call = oculist("export").arg(&model).option("--int8", "demo").option("--output", &out);
    call.run().fails(1, &words);
    let run = dir.path().join("run");
    let call = oculist("optimize").arg("demo").option("--model", &model).option("--output", &run);
    call.run().fails(1, &["model.onnx", "the model knows \"class0\", \"class1\", \"class2\""]);
    assert!(!out.exists() && !run.exists());
}

#[test]
fn a_model_that_is_quantised_already() {
    let dir = scratch();
    let (int8, again) = (dir.path().join("int8.onnx"), dir.path().join("again.onnx"));
    let data = &trained().data;
    let export = |model: &Path, output: &Path| {
        oculist("export").arg(model).option("--int8", data).option("--output", output).run()
    };
    export(&trained().file("model.onnx"), &int8).ok();
    export(&int8, &again).fails(1, &["int8.onnx", "quantised already", "f32 model"]);
    let run = dir.path().join("run");
    let call = oculist("compress").arg(data).option("--model", &int8).option("--output", &run);
    call.run().fails(1, &["int8.onnx", "quantised already"]);
    assert!(!again.exists() && !run.exists());
}

fn written(folder: &Path, name: &str, graph: &Graph) -> PathBuf {
    let path = folder.join(name);
    oculist_onnx::write(graph, &path).expect("a file");
    path
}

/// A classifier of the trained model's classes and input that ends in what `end` makes of three numbers for an image.
fn pooled(end: &[(&str, Op)]) -> Graph {
    let trained = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let (c, h, w) = trained.input_chw().expect("images");
    assert_eq!(c, 3, "as many channels as classes");
    let mut b = GraphBuilder::new("pooled");
    let mut x = b.input("input", c, h, w);
    for (name, op) in end {
        x = b.op(name, op.clone(), &[x]);
    }
    let mut graph = b.finish(x).expect("a valid graph");
    graph.metadata = trained.metadata;
    graph
}

#[test]
fn a_classifier_without_weights_is_evaluated_and_not_compressed() {
    let dir = scratch();
    let (mean, flatten) =
        (("mean", Op::GlobalPool(GlobalPool::Average)), ("flatten", Op::Flatten(Flatten::IMAGES)));
    let plain = written(dir.path(), "mean.onnx", &pooled(&[mean.clone(), flatten.clone()]));
    let soft = [mean, flatten, ("softmax", Op::Softmax(Softmax::along(1)))];
    let soft = written(dir.path(), "soft.onnx", &pooled(&soft));
    let data = &trained().data;
    for model in [&plain, &soft] {
        oculist("eval").arg(data).option("--model", model).run().ok();
        let run = dir.path().join("run");
        let call = oculist("compress").arg(data).option("--model", model).option("--output", &run);
        call.run().fails(1, &[".onnx", "nothing to train", "layers with weights"]);
        assert!(!run.exists());
    }
}

#[test]
fn probabilities_that_cannot_be_taken_off_are_refused() {
    let dir = scratch();
    let clip = Op::Unary(Unary::Clip { min: 0.25, max: 0.75 });
    let end = [
        ("mean", Op::GlobalPool(GlobalPool::Average)),
        ("flatten", Op::Flatten(Flatten::IMAGES)),
        ("softmax", Op::Softmax(Softmax::along(1))),
        ("clip", clip),
    ];
    let model = written(dir.path(), "clipped.onnx", &pooled(&end));
    refused(&model, &["clipped.onnx", "Softmax (node `softmax`)", "logits"]);
}

#[test]
fn two_classes_of_one_name() {
    let dir = scratch();
    let mut graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let names = r#"["class0", "class1", "class0"]"#;
    graph.metadata.insert("oculist.classes".into(), names.into());
    let model = written(dir.path(), "twice.onnx", &graph);
    refused(&model, &["twice.onnx", "oculist.classes", "\"class0\" twice"]);
}

#[test]
fn answers_that_are_no_numbers_name_model_and_image() {
    let dir = scratch();
    let mut graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let weights: Vec<_> = graph.params().filter(|(_, _, t)| t.shape().len() > 1).map(|(id, ..)| id).collect();
    for id in weights {
        let values = graph.param_mut(id).and_then(|t| t.as_f32_mut()).expect("floats");
        for v in values.iter_mut() {
            *v *= 1e37;
        }
    }
    let model = written(dir.path(), "huge.onnx", &graph);
    let data = &trained().data;
    let words = ["huge.onnx", "class", ".png", "finite"];
    oculist("eval").arg(data).option("--model", &model).run().fails(1, &words);
    oculist("predict").arg(data.join("class0")).option("--model", &model).run().fails(1, &words);
    let run = dir.path().join("run");
    let call = oculist("compress").arg(data).option("--model", &model).option("--output", &run);
    call.args("--epochs 1").run().fails(1, &words);
    let out = dir.path().join("out.onnx");
    let call = oculist("export").arg(&model).option("--int8", data).option("--output", &out);
    call.run().fails(1, &["huge.onnx"]);
    assert!(!out.exists());
}
