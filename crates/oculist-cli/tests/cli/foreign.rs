//! Models of other tools: without our metadata, with inputs and outputs of their own kinds. The trained model is taken for
//! one of them, so that the right answers are known.

use std::path::{Path, PathBuf};

use oculist_graph::{
    Binary, Cast, DataType, Dim, Gather, Gemm, Graph, Node, Op, Shape, Squeeze, Tensor, TensorData,
    Transpose, Unary, ValueId,
};
use serde_json::Value;

use crate::support::runs::trained;
use crate::support::{oculist, read, scratch};

/// The trained model as another tool would have written it, and its preprocessing as numbers.
struct Given {
    graph: Graph,
    mean: Vec<f32>,
    std: Vec<f32>,
}

fn given() -> Given {
    let mut graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let numbers = |key: &str| -> Vec<f32> {
        graph.metadata[key].split(',').map(|n| n.parse().expect("a number")).collect()
    };
    let (mean, std) = (numbers("oculist.mean"), numbers("oculist.std"));
    graph.metadata.clear();
    Given { graph, mean, std }
}

impl Given {
    /// Its preprocessing as a file.
    fn toml(&self, folder: &Path) -> PathBuf {
        let path = folder.join("preprocessing.toml");
        std::fs::write(&path, format!("resize = \"exact\"\nmean = {:?}\nstd = {:?}\n", self.mean, self.std))
            .expect("a file");
        path
    }
}

fn write(graph: &mut Graph, folder: &Path, name: &str) -> PathBuf {
    graph.tidy().expect("a graph");
    let path = folder.join(name);
    oculist_onnx::write(graph, &path).expect("a file");
    path
}

/// Puts a node between the input and what reads it.
fn behind(graph: &mut Graph, name: &str, op: impl Into<Op>, param: Option<Tensor>) {
    let input = graph.inputs()[0];
    let mut inputs = vec![input];
    inputs.extend(param.map(|tensor| graph.add_param(format!("{name}.param"), tensor)));
    let y = graph.add_activation(format!("{name}.y"));
    graph.map_uses(|v| if v == input { y } else { v });
    graph.edit().push(Node { name: name.into(), op: op.into(), inputs: inputs.into(), outputs: vec![y] });
    graph.tidy().expect("a graph");
}

fn push(graph: &mut Graph, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
    let y = graph.add_activation(format!("{name}.y"));
    graph.edit().push(Node {
        name: name.into(),
        op: op.into(),
        inputs: inputs.to_vec().into(),
        outputs: vec![y],
    });
    y
}

fn eval(model: &Path, args: &[&str]) -> Value {
    let mut call = oculist("eval").arg(&trained().data).option("--model", model);
    for arg in args {
        call = call.arg(arg);
    }
    call.args("--json --threads 2").run().ok().json()
}

#[track_caller]
fn same_answers(model: &Path, args: &[&str]) {
    let (want, got) = (eval(&trained().file("model.onnx"), &[]), eval(model, args));
    for key in ["top1", "top5", "ece"] {
        let (want, got) = (want[key].as_f64().expect("a number"), got[key].as_f64().expect("a number"));
        assert!((want - got).abs() < 1e-3, "{key}: {got}, expected {want}");
    }
}

#[test]
fn a_file_that_says_nothing_is_used_with_what_is_said() {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path()).display().to_string();
    let model = write(&mut theirs.graph, dir.path(), "theirs.onnx");
    same_answers(&model, &["--preprocessing", &toml]);
    let call = || oculist("eval").arg(&trained().data).option("--model", &model);
    // What was assumed is told.
    let told = call().option("--preprocessing", &toml).run().ok();
    for word in ["does not name its 3 classes", "\"class0\", \"class1\", \"class2\"", "preprocessing `"] {
        assert!(told.stderr.contains(word), "`{word}` is not in {}", told.stderr);
    }
    // What matters and is open is asked for.
    call().run().fails(1, &["--preprocessing", "imagenet, inception, caffe, tf, unit, none", "theirs.onnx"]);
    call().args("--preprocessing imgnet").run().fails(1, &["found `imgnet`", "imagenet"]);
    call()
        .args("--preprocessing unit --classes a,b")
        .run()
        .fails(1, &["3 class names", "found 2", "--classes"]);
    call().args("--preprocessing unit --classes a,b,a").run().fails(1, &["\"a\" twice"]);
    call()
        .args("--preprocessing unit --image-size 48")
        .run()
        .fails(1, &["--image-size", "takes 32", "found 48"]);
    std::fs::write(dir.path().join("wrong.toml"), "width = 64\n").expect("a file");
    call()
        .option("--preprocessing", dir.path().join("wrong.toml"))
        .run()
        .fails(1, &["wrong.toml", "`width` is 64, the model's input has 32"]);
    // A mistake that shows in the accuracy is told.
    let turned = call().option("--preprocessing", &toml).args("--classes class1,class2,class0").run().ok();
    assert!(turned.stderr.contains("in another order"), "{}", turned.stderr);
    let numbers = oculist("predict").arg(trained().data.join("class0")).option("--model", &model);
    let numbers = numbers.option("--preprocessing", &toml).run().ok();
    assert!(numbers.stderr.contains("does not name its classes"), "{}", numbers.stderr);
}

#[test]
fn a_file_that_says_nothing_is_compressed_and_exported() {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path());
    let model = write(&mut theirs.graph, dir.path(), "theirs.onnx");
    let (run, plain, int8) =
        (dir.path().join("run"), dir.path().join("plain.onnx"), dir.path().join("int8.onnx"));
    let call = oculist("compress").arg(&trained().data).option("--model", &model).option("--output", &run);
    let call = call.option("--preprocessing", &toml);
    call.args("--finetune-epochs 1 --batch-size 16 --threads 2 --measure-seconds 0.05").run().ok();
    // What the run writes says what the file did not.
    let small = oculist("eval").arg(&trained().data).option("--model", run.join("model.onnx")).args("--json");
    assert!(small.run().ok().json()["top1"].as_f64().expect("a number") > 60.0);
    // Written again as it is, nothing is asked and nothing is made up.
    oculist("export").arg(&model).option("--output", &plain).run().ok();
    let back = oculist_onnx::read(&plain).expect("a model");
    assert!(back.metadata.is_empty(), "{:?}", back.metadata);
    same_answers(&plain, &["--preprocessing", &toml.display().to_string()]);
    let call = oculist("export").arg(&model).option("--int8", &trained().data).option("--output", &int8);
    call.option("--preprocessing", &toml).run().ok();
    assert!(eval(&int8, &[])["top1"].as_f64().expect("a number") > 60.0);
}

#[test]
fn bytes_with_blue_first_and_channels_last_of_any_size() {
    let dir = scratch();
    let Given { mut graph, mean, std } = given();
    // Scaled inside: (x / 255 - mean) / std of red first.
    let row = |values: Vec<f32>| Some(Tensor::f32(&[1, 3, 1, 1], values));
    behind(&mut graph, "scale", Binary::Mul, row(std.iter().map(|s| 1.0 / s).collect()));
    behind(&mut graph, "centre", Binary::Sub, row(mean));
    behind(&mut graph, "unit", Binary::Div, row(vec![255.0; 3]));
    behind(&mut graph, "float", Cast { to: DataType::F32 }, None);
    let order = Tensor::new(vec![3], TensorData::I64(vec![2, 1, 0])).expect("a list");
    behind(&mut graph, "colors", Gather { axis: 1 }, Some(order));
    behind(&mut graph, "turn", Transpose::new(&[0, 3, 1, 2]), None);
    let input = graph.inputs()[0];
    graph.set_input_type(input, DataType::U8);
    let (height, width) = (graph.symbol("height"), graph.symbol("width"));
    graph.set_input_shape(input, Shape::new(vec![Dim::Batch, height, width, Dim::Fixed(3)]));
    let model = write(&mut graph, dir.path(), "bytes.onnx");
    let toml = dir.path().join("bgr.toml");
    std::fs::write(&toml, "based_on = \"none\"\ncolor = \"bgr\"\n").expect("a file");
    let toml = toml.display().to_string();
    same_answers(&model, &["--preprocessing", &toml, "--image-size", "32"]);
    let wrong = eval(&model, &["--image-size", "32"]);
    assert_ne!(wrong["ece"], eval(&model, &["--preprocessing", &toml, "--image-size", "32"])["ece"]);
    oculist("bench").arg(&model).args("--seconds 0.05").run().fails(1, &["any size", "--image-size"]);
    oculist("bench").arg(&model).args("--seconds 0.05 --image-size 32").run().ok();
    // What is written takes what the file took, and says how.
    let int8 = dir.path().join("int8.onnx");
    let call = oculist("export").arg(&model).option("--int8", &trained().data).option("--output", &int8);
    call.option("--preprocessing", &toml).args("--image-size 32").run().ok();
    let back = oculist_onnx::read(&int8).expect("a model");
    let value = back.value(back.inputs()[0]);
    assert_eq!(value.dtype, DataType::U8);
    assert_eq!(back.shape(back.inputs()[0]).dims()[1..], [32, 32, 3].map(Dim::Fixed));
    let top1 = |model: &Path| eval(model, &[])["top1"].as_f64().expect("a number");
    assert!((top1(&int8) - top1(&trained().file("model.onnx"))).abs() < 15.0);
}

#[test]
fn what_is_said_of_colours_counts_more_than_the_file() {
    let dir = scratch();
    let mut theirs = given();
    theirs.graph.metadata.insert("oculist.input_colors".into(), "BGR".into());
    let toml = theirs.toml(dir.path());
    let model = write(&mut theirs.graph, dir.path(), "wrong.onnx");
    same_answers(&model, &["--preprocessing", &toml.display().to_string()]);
}

#[test]
fn only_regular_files_are_replaced() {
    let dir = scratch();
    let model = trained().file("model.onnx");
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|status| status.success()) {
        let call = oculist("export").arg(&model).option("--output", &pipe).args("--force");
        call.run().fails(1, &["pipe", "no regular file"]);
    }
    // What has no names in other tools is not written as nothing.
    let weights = dir.path().join("weights.safetensors");
    let int8 = dir.path().join("int8.onnx");
    oculist("export").arg(&model).option("--int8", &trained().data).option("--output", &int8).run().ok();
    oculist("export").arg(&int8).option("--output", &weights).run().fails(1, &["int8.onnx", "quantised"]);
    assert!(!weights.exists());
}

#[test]
fn one_of_several_outputs_classifies() {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path()).display().to_string();
    let graph = &mut theirs.graph;
    let logits = graph.outputs()[0];
    let aux = push(graph, "aux", Unary::Neg, &[logits]);
    graph.set_outputs(vec![aux, logits]);
    let model = write(graph, dir.path(), "two.onnx");
    let back = oculist_onnx::read(&model).expect("a model");
    let name = back.value(back.outputs()[1]).name.clone();
    let call =
        || oculist("eval").arg(&trained().data).option("--model", &model).option("--preprocessing", &toml);
    call().run().fails(1, &["one output, found 2", &name, "--logits"]);
    call().args("--logits nothing").run().fails(1, &["no output `nothing`", &name]);
    same_answers(&model, &["--preprocessing", &toml, "--logits", &name]);
    let told = call().option("--logits", &name).run().ok();
    assert!(told.stderr.contains("left out") && told.stderr.contains("aux"), "{}", told.stderr);
    // Whoever only runs or writes it keeps both.
    oculist("bench").arg(&model).args("--seconds 0.05").run().ok();
    let plain = dir.path().join("plain.onnx");
    oculist("export").arg(&model).option("--output", &plain).run().ok();
    assert_eq!(oculist_onnx::read(&plain).expect("a model").outputs().len(), 2);
}

#[test]
fn one_number_for_two_classes() {
    one_number(None);
}

#[test]
fn one_flat_number_for_two_classes() {
    one_number(Some(false));
    one_number(Some(true));
}

/// A file of one number for two classes; its axis may be taken out, behind the Sigmoid or in front of it.
fn one_number(flat_in_front: Option<bool>) {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path()).display().to_string();
    let graph = &mut theirs.graph;
    // Class 1 against class 0, as the difference of their logits; class 2 is left out of the data.
    let logits = graph.outputs()[0];
    let weight = graph.add_param("pair", Tensor::f32(&[1, 3], vec![-1.0, 1.0, 0.0]));
    let z = push(graph, "difference", Gemm::LINEAR, &[logits, weight]);
    let axes = graph.add_param("axes", Tensor::ints(vec![1]));
    let z = if flat_in_front == Some(true) { push(graph, "flat", Squeeze, &[z, axes]) } else { z };
    let y = push(graph, "sigmoid", Unary::Sigmoid, &[z]);
    let y = if flat_in_front == Some(false) { push(graph, "flat", Squeeze, &[y, axes]) } else { y };
    graph.set_outputs(vec![y]);
    graph.tidy().expect("a graph");
    let model = write(graph, dir.path(), "binary.onnx");
    let data = dir.path().join("photos");
    for class in ["class0", "class1"] {
        crate::support::copy(&trained().data.join(class), &data.join(class));
    }
    let call = oculist("eval").arg(&data).option("--model", &model).option("--preprocessing", &toml);
    let found = call.args("--split all --json").run().ok();
    assert!(found.stderr.contains("one number for two classes"), "{}", found.stderr);
    assert!(found.json()["top1"].as_f64().expect("a number") > 80.0, "{}", found.stdout);
    let int8 = dir.path().join("int8.onnx");
    let call = oculist("export").arg(&model).option("--int8", &data).option("--output", &int8);
    call.option("--preprocessing", &toml).run().ok();
    let back = oculist_onnx::read(&int8).expect("a model");
    let shape = back.shape(back.outputs()[0]);
    assert_eq!((shape.rank(), shape.get(1)), if flat_in_front.is_some() { (1, None) } else { (2, Some(1)) });
    let call = oculist("eval").arg(&data).option("--model", &int8).args("--split all --json");
    assert!(call.run().ok().json()["top1"].as_f64().expect("a number") > 80.0);
    if flat_in_front.is_none() {
        return;
    }
    // The verbs that are left.
    let image = data.join("class0/1.png");
    let call = oculist("predict").arg(&image).option("--model", &model).option("--preprocessing", &toml);
    call.args("--classes class0,class1").run().ok();
    oculist("bench").arg(&model).args("--seconds 0.05").run().ok();
    let run = dir.path().join("run");
    let call = oculist("compress").arg(&data).option("--model", &model).option("--output", &run);
    let call =
        call.option("--preprocessing", &toml).args("--finetune-epochs 1 --batch-size 16 --max-drop 100");
    call.args("--threads 2 --measure-seconds 0.01").run().ok();
    let back = oculist_onnx::read(run.join("model.onnx")).expect("a model");
    assert_eq!(back.shape(back.outputs()[0]).rank(), 1);
}

#[test]
fn half_precision_and_a_fixed_batch() {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path()).display().to_string();
    let graph = &mut theirs.graph;
    let half = |t: &Tensor| {
        let values = t.to_f32s().into_iter().map(half::f16::from_f32).collect();
        Tensor::new(t.shape().to_vec(), TensorData::F16(values)).expect("a tensor")
    };
    let params: Vec<_> = graph.params().map(|(id, _, t)| (id, t.clone())).collect();
    for (id, tensor) in params {
        if tensor.dtype() == DataType::F32 {
            graph.set_param(id, half(&tensor));
        }
    }
    let input = graph.inputs()[0];
    graph.set_input_type(input, DataType::F16);
    graph.set_input_shape(input, Shape::fixed(&[2, 3, 32, 32]));
    let model = write(graph, dir.path(), "half.onnx");
    let found = eval(&model, &["--preprocessing", &toml]);
    let want = eval(&trained().file("model.onnx"), &[]);
    assert!((found["top1"].as_f64().unwrap_or(0.0) - want["top1"].as_f64().unwrap_or(100.0)).abs() < 5.0);
    let told = oculist("bench").arg(&model).args("--seconds 0.05").run().ok();
    assert!(told.stderr.contains("f16 become f32"), "{}", told.stderr);
    // Written as it is, it stays what it was.
    let plain = dir.path().join("plain.onnx");
    oculist("export").arg(&model).option("--output", &plain).run().ok();
    let back = oculist_onnx::read(&plain).expect("a model");
    assert_eq!(back.value(back.inputs()[0]).dtype, DataType::F16);
}

#[test]
fn what_is_no_classifier_of_an_image_is_refused() {
    let dir = scratch();
    let mut theirs = given();
    let toml = theirs.toml(dir.path()).display().to_string();
    let graph = &mut theirs.graph;
    let second = graph.add_input("second_image", Shape::nchw(3, 32, 32));
    let sum = push(graph, "sum", oculist_graph::GlobalPool::Average, &[second]);
    let flat = push(graph, "flat", oculist_graph::Flatten::IMAGES, &[sum]);
    let logits = graph.outputs()[0];
    let y = push(graph, "both", Binary::Add, &[logits, flat]);
    graph.set_outputs(vec![y]);
    let model = write(graph, dir.path(), "two_images.onnx");
    let before = read(&model);
    let call =
        oculist("eval").arg(&trained().data).option("--model", &model).option("--preprocessing", &toml);
    call.run().fails(1, &["two_images.onnx", "one input", "second_image"]);
    oculist("bench").arg(&model).args("--seconds 0.05").run().ok();
    assert_eq!(read(&model), before);
}
