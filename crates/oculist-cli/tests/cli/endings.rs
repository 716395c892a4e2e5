//! What stands at the end of a model file: logits, probabilities, a map, or something else.

use std::path::{Path, PathBuf};

use oculist_graph::{Graph, Node, Op, Softmax, Unary};
use serde_json::Value;

use crate::support::runs::trained;
use crate::support::{oculist, scratch};

/// The trained model with one more node behind its logits.
pub(crate) fn with_ending(model: &Path, op: Op, to: &Path) -> Graph {
    let mut graph = oculist_onnx::read(model).expect("a model");
    let logits = graph.outputs()[0];
    let output = graph.add_activation(format!("answer_{}", graph.nodes().len()));
    let name = if graph.nodes().iter().any(|node| node.name == "ending") { "again" } else { "ending" };
    graph.edit().push(Node { name: name.into(), op, inputs: [logits].into(), outputs: vec![output] });
    graph.set_outputs(vec![output]);
    graph.tidy().expect("a graph");
    oculist_onnx::write(&graph, to).expect("a file");
    graph
}

fn ends_in(model: &Path) -> &'static str {
    let graph = oculist_onnx::read(model).expect("a model");
    let output = graph.outputs()[0];
    graph.producers()[output.index()].map(|node| graph.nodes()[node].op.name()).expect("a node")
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn eval(model: &Path) -> Value {
    oculist("eval").arg(&trained().data).option("--model", model).args("--tta flip --json").run().ok().json()
}

/// The largest confidence in the images of one class.
fn predicted(model: &Path) -> f64 {
    let images = trained().data.join("class0");
    let answers = oculist("predict").arg(images).option("--model", model).args("--json").run().ok().json();
    let of = |answer: &Value| number(&answer["top"][0], "confidence");
    answers.as_array().expect("answers").iter().map(of).fold(0.0, f64::max)
}

fn softmax_model(folder: &Path) -> PathBuf {
    let path = folder.join("softmax.onnx");
    with_ending(&trained().file("model.onnx"), Op::Softmax(Softmax::along(1)), &path);
    path
}

#[test]
fn a_softmax_at_the_end_is_the_only_one() {
    let dir = scratch();
    let (logits, probabilities) = (trained().file("model.onnx"), softmax_model(dir.path()));
    assert_eq!(ends_in(&probabilities), "Softmax");
    let (a, b) = (eval(&logits), eval(&probabilities));
    for key in ["top1", "top5", "ece"] {
        assert!((number(&a, key) - number(&b, key)).abs() < 1e-6, "{key}: {a} {b}");
    }
    for key in ["top1", "ece"] {
        assert!((number(&a["tta"], key) - number(&b["tta"], key)).abs() < 1e-6, "{key}: {a} {b}");
    }
    let (a, b) = (predicted(&logits), predicted(&probabilities));
    assert!((a - b).abs() < 1e-6, "{a} and {b}");
    // A second softmax leaves at most e / (e + 2) of three classes: it would be seen.
    assert!(a > 0.6, "{a}");

    // What is written from it ends as it did.
    let (plain, int8) = (dir.path().join("plain.onnx"), dir.path().join("int8.onnx"));
    oculist("export").arg(&probabilities).option("--output", &plain).run().ok();
    let call = oculist("export").arg(&probabilities).option("--int8", &trained().data);
    call.option("--output", &int8).run().ok();
    assert_eq!((ends_in(&plain), ends_in(&int8)), ("Softmax", "Softmax"));
    assert!((predicted(&plain) - a).abs() < 1e-6);
    assert!((predicted(&int8) - a).abs() < 0.1);
}

#[test]
fn a_model_of_probabilities_is_trained_on_its_logits() {
    let dir = scratch();
    let (model, run) = (softmax_model(dir.path()), dir.path().join("run"));
    let call = oculist("compress").arg(&trained().data).option("--model", &model).option("--output", &run);
    let call = call.args("--finetune-epochs 1 --batch-size 16 --threads 2 --measure-seconds 0.05");
    call.run().ok();
    for name in ["baseline.onnx", "model.onnx"] {
        assert_eq!(ends_in(&run.join(name)), "Softmax", "{name}");
    }
}

#[test]
fn confidences_of_a_sigmoid_are_the_files_own() {
    let dir = scratch();
    let (logits, sigmoid) = (trained().file("model.onnx"), dir.path().join("sigmoid.onnx"));
    with_ending(&logits, Op::Unary(Unary::Sigmoid), &sigmoid);
    let measured = |model: &Path| {
        let call = oculist("eval").arg(&trained().data).option("--model", model);
        call.args("--split all --json").run().ok().json()
    };
    let (softmax, own) = (measured(&logits), measured(&sigmoid));
    // The gap between how often the answers are right and how sure they are, from what predict says of each image: it is
    // the calibration error where all bins lie on one side, and never more than that.
    let mut gap = 0.0;
    let mut images = 0.0;
    for class in ["class0", "class1", "class2"] {
        let call = oculist("predict").arg(trained().data.join(class)).option("--model", &sigmoid);
        for answer in call.args("--json").run().ok().json().as_array().expect("answers") {
            let top = &answer["top"][0];
            gap += f64::from(u8::from(top["class"] == class)) - number(top, "confidence");
            images += 1.0;
        }
    }
    let gap = (gap / images).abs();
    let bins = |report: &Value| -> (f64, f64) {
        let bins = report["calibration"].as_array().expect("bins").clone();
        let of = |key: &str| bins.iter().map(|b| number(b, key) * number(b, "count")).sum::<f64>() / images;
        (of("accuracy"), of("confidence"))
    };
    let (accuracy, confidence) = bins(&own);
    assert!(((accuracy - confidence).abs() - gap).abs() < 1e-5, "{own}, expected {gap}");
    assert!(number(&own, "ece") > gap - 1e-5, "{own}");
    let (same, other) = bins(&softmax);
    assert!(
        (same - accuracy).abs() < 1e-9 && (other - confidence).abs() > 1e-3,
        "a softmax would pass: {other}"
    );
    assert_eq!(number(&own, "top1"), number(&softmax, "top1"));
}

#[test]
fn other_endings_are_refused_in_every_verb() {
    let dir = scratch();
    let trained = trained();
    let model = trained.file("model.onnx");
    let (sigmoid, dense) = (dir.path().join("sigmoid.onnx"), dir.path().join("dense.onnx"));
    with_ending(&model, Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &sigmoid);
    // The map in front of the pooling instead of the logits, with as many channels as there are classes.
    let mut b = oculist_graph::GraphBuilder::new("dense");
    let x = b.input("image", 3, 32, 32);
    let y = b.conv("conv", x, 3, oculist_graph::Conv::square(3, 1, 1), true);
    let mut graph = b.finish(y).expect("a graph");
    graph.metadata = oculist_onnx::read(&model).expect("a model").metadata;
    oculist_onnx::write(&graph, &dense).expect("a file");
    let (run, out) = (dir.path().join("run"), dir.path().join("out.onnx"));
    for (file, words) in [
        (&sigmoid, ["sigmoid.onnx", "ends in a HardSigmoid", "`ending`"]),
        (&dense, ["dense.onnx", "no classifier", "dense output [N, 3, 32, 32]"]),
    ] {
        for verb in ["optimize", "compress"] {
            let call = oculist(verb).arg(&trained.data).option("--model", file).option("--output", &run);
            call.run().fails(1, &words);
        }
        oculist("eval").arg(&trained.data).option("--model", file).run().fails(1, &words);
        oculist("predict")
            .arg(trained.data.join("class0/1.png"))
            .option("--model", file)
            .run()
            .fails(1, &words);
        oculist("export").arg(file).option("--output", &out).run().fails(1, &words);
        let call = oculist("export").arg(file).option("--int8", &trained.data).option("--output", &out);
        call.run().fails(1, &words);
        let call = oculist("augment").args("check").arg(&trained.data).option("--model", file);
        call.option("--output", &run).run().fails(1, &words);
    }
    assert!(!run.exists() && !out.exists());
}

#[test]
fn a_model_that_runs_but_cannot_be_trained_is_refused_before_a_run_begins() {
    let dir = scratch();
    let trained = trained();
    let (twice, run) = (dir.path().join("twice.onnx"), dir.path().join("run"));
    let softmax = softmax_model(dir.path());
    with_ending(&softmax, Op::Softmax(Softmax::along(1)), &twice);
    oculist("eval").arg(&trained.data).option("--model", &twice).run().ok();
    let call = oculist("compress").arg(&trained.data).option("--model", &twice).option("--output", &run);
    call.run().fails(1, &["twice.onnx", "(Softmax) cannot be trained"]);
    assert!(!run.exists());
}
