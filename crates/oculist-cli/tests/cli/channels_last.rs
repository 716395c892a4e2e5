//! Model files whose images have their channels last, as tf2onnx writes them: every verb takes them, and what is written
//! takes what the file took.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_graph::{Flatten, GraphBuilder, Node, Shape, Tensor, Transpose};
use oculist_runtime::{Context, Plan, PlanOptions};
use serde_json::Value;

use crate::support::runs::trained;
use crate::support::{oculist, scratch};

/// The trained model for images `[N, H, W, C]`, with a transpose in this order behind its input.
fn turned(order: [i64; 4], to: &Path) {
    let mut graph = oculist_onnx::read(trained().file("model.onnx")).expect("a model");
    let input = graph.inputs()[0];
    let (c, h, w) = graph.input_chw().expect("an image");
    graph.set_input_shape(input, Shape::nchw(h, w, c));
    let output = graph.add_activation("turned");
    graph.map_uses(|v| if v == input { output } else { v });
    let op = Transpose::new(&order).into();
    graph.edit().push(Node { name: "turn".into(), op, inputs: [input].into(), outputs: vec![output] });
    graph.tidy().expect("a graph");
    oculist_onnx::write(&graph, to).expect("a file");
}

fn channels_last(folder: &Path) -> PathBuf {
    let path = folder.join("last.onnx");
    turned([0, 3, 1, 2], &path);
    path
}

fn eval(model: &Path) -> Value {
    let call = oculist("eval").arg(&trained().data).option("--model", model);
    call.args("--tta flip --corruptions --severity 3 --json --threads 2").run().ok().json()
}

/// The confidences of each image's classes.
fn predicted(model: &Path) -> Vec<f64> {
    let call = oculist("predict").arg(trained().data.join("class0")).arg(trained().data.join("class1"));
    let answers = call.option("--model", model).args("--top 3 --json").run().ok().json();
    let tops =
        answers.as_array().expect("answers").iter().flat_map(|a| a["top"].as_array().expect("classes"));
    tops.map(|top| top["confidence"].as_f64().expect("a number")).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Sizes of the input in the file, and the operator that reads it.
fn begins(model: &Path) -> (Vec<Option<usize>>, &'static str) {
    let graph = oculist_onnx::read(model).expect("a model");
    let input = graph.inputs()[0];
    let dims = graph.shape(input).dims()[1..].iter().map(|d| d.size()).collect();
    let readers = graph.consumers().swap_remove(input.index());
    assert_eq!(readers.len(), 1, "one node turns the images");
    (dims, graph.nodes()[readers[0]].op.name())
}

#[test]
fn channels_last_mean_the_same_in_every_verb() {
    let dir = scratch();
    let (first, last) = (trained().file("model.onnx"), channels_last(dir.path()));
    assert_eq!(begins(&last), (vec![Some(32), Some(32), Some(3)], "Transpose"));
    let (a, b) = (eval(&first), eval(&last));
    for keys in
        [&["top1"][..], &["ece"], &["tta", "top1"], &["robustness", "mean_top1"], &["macs"], &["params"]]
    {
        let of = |json: &Value| keys.iter().fold(json.clone(), |json, key| json[*key].clone());
        assert_eq!(of(&a), of(&b), "{keys:?}");
    }
    let want = predicted(&first);
    assert!(want.len() > 20 && distance(&predicted(&last), &want) < 1e-6);

    // Height and width exchanged: another network, which fits the sizes.
    let wrong = dir.path().join("wrong.onnx");
    turned([0, 3, 2, 1], &wrong);
    assert!(distance(&predicted(&wrong), &want) > 1e-3, "any order passes");

    let bench = oculist("bench").arg(&first).arg(&last).args("--seconds 0.05 --plan").run().ok();
    assert!(!bench.stdout.contains("plain") && !bench.stderr.contains("plain"), "{bench:?}");
}

#[test]
fn what_is_written_takes_what_the_file_took() {
    let dir = scratch();
    let last = channels_last(dir.path());
    let want = predicted(&last);
    let (again, int8) = (dir.path().join("again.onnx"), dir.path().join("int8.onnx"));
    oculist("export").arg(&last).args("--fold").option("--output", &again).run().ok();
    let call = oculist("export").arg(&last).option("--int8", &trained().data);
    call.option("--output", &int8).run().ok();
    let tuned = dir.path().join("tuned");
    let call = oculist("compress").arg(&trained().data).option("--model", &last).option("--output", &tuned);
    call.args("--finetune-epochs 1 --threads 2 --max-drop 50").run().ok();
    for (file, most) in [(again.clone(), 1e-4), (int8, 0.2), (tuned.join("model.onnx"), 1.0)] {
        assert_eq!(begins(&file), begins(&last), "{}", file.display());
        assert!(distance(&predicted(&file), &want) <= most, "{}", file.display());
    }
    // In the file itself, on images that lie as it says.
    let logits = |path: &Path| {
        let graph = oculist_onnx::read(path).expect("a model");
        let pixels = (0..2 * 32 * 32 * 3).map(|i| ((i * 7) % 13) as f32 / 6.5 - 1.0).collect();
        let options = PlanOptions::new(2, Arc::new(Context::new(1).expect("a thread")));
        let mut plan = Plan::new(&graph, &options).expect("a plan");
        plan.run_tensors(vec![Tensor::f32(&[2, 32, 32, 3], pixels)]).expect("logits")[0].to_f32s()
    };
    let (a, b) = (logits(&last), logits(&again));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3), "{a:?} {b:?}");
}

#[test]
fn an_open_order_is_an_error_that_names_the_choices() {
    let dir = scratch();
    let path = dir.path().join("open.onnx");
    let mut b = GraphBuilder::new("open");
    let x = b.input("pixels", 3, 8, 3);
    let x = b.op("flat", Flatten::IMAGES, &[x]);
    let y = b.linear("fc", x, 4);
    let mut graph = b.finish(y).expect("a graph");
    oculist_onnx::write(&graph, &path).expect("a file");
    let words = ["`pixels`", "[N, 3, 8, 3]", "NCHW", "NHWC", "oculist.input_layout"];
    oculist("bench").arg(&path).run().fails(1, &words);
    graph.metadata.insert("oculist.input_layout".into(), "NHWC".into());
    oculist_onnx::write(&graph, &path).expect("a file");
    oculist("bench").arg(&path).args("--seconds 0.05").run().ok();
}
