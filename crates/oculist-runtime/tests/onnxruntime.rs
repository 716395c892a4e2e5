//! Plans against ONNX Runtime: the same ONNX file, the same images, in f32 and int8.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use oculist_graph::{Graph, Tensor};
use oculist_passes::{
    QuantizeOptions, Range, WeightRange, fold_batch_norm, quantizable_values, quantize, remove_identity,
    reparameterize,
};
use oculist_runtime::{Context, InputLayout, Isa, Plan, PlanOptions, top1};
use oculist_testing::formula::{self, Kind};
use oculist_testing::python;
use oculist_zoo::{BuildOptions, build};

const CLASSES: usize = 10;

/// A network of the zoo with the formula's weights, batch normalisation folded.
fn network(arch: &str, image: (usize, usize, usize)) -> Graph {
    let mut graph = build(arch, &BuildOptions::new(CLASSES, image)).expect("an architecture");
    let params: Vec<_> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        if Kind::of(&name, shape.len(), 1.0).is_some() {
            graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 0.5)));
        }
    }
    fold_batch_norm(&remove_identity(&graph).expect("no no-ops")).expect("folded")
}

fn plan(graph: &Graph, isa: Isa, batch: usize) -> Plan {
    let context = Arc::new(Context::with_isa(2, isa).expect("an available instruction set"));
    Plan::new(graph, &PlanOptions::new(batch, context).with_input_layout(InputLayout::Nchw)).expect("a plan")
}

/// The network in Q/DQ form, with the ranges of the values on some images.
///
/// Weights have seven bits: ONNX Runtime saturates sums of two products on processors without VNNI.
fn quantized(graph: &Graph, images: &[f32]) -> Graph {
    let context = Arc::new(Context::new(2).expect("threads"));
    let options = PlanOptions::new(16, context)
        .with_input_layout(InputLayout::Nchw)
        .with_observed(quantizable_values(graph).expect("values"));
    let mut plan = Plan::new(graph, &options).expect("a plan");
    let mut ranges = BTreeMap::new();
    let mut logits = vec![0.0; 16 * CLASSES];
    let mut observe = |o: &oculist_runtime::Observed| {
        let (min, max) = o.pixels().flatten().fold((0.0f32, 0.0f32), |(a, b), &x| (a.min(x), b.max(x)));
        ranges.insert(o.value, Range::new(min, max));
    };
    plan.run_observed(&images[..16 * plan.input_len()], &mut logits, &mut observe).expect("a run");
    let options = QuantizeOptions { weights: WeightRange::Reduced, ..QuantizeOptions::default() };
    quantize(graph, &ranges, &options).expect("quantised")
}

/// What ONNX Runtime computes for NCHW images; `None` without the oracle.
fn onnxruntime(graph: &Graph, (c, h, w): (usize, usize, usize), images: &[f32]) -> Option<Vec<f32>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    oculist_onnx::write(graph, file("model.onnx")).expect("a written model");
    let bytes: Vec<u8> = images.iter().flat_map(|x| x.to_le_bytes()).collect();
    fs::write(file("input"), bytes).expect("a written input");
    let shape = format!("{},{c},{h},{w}", images.len() / (c * h * w));
    let arguments = [file("model.onnx"), file("input"), file("output"), "--shape".into(), shape.into()];
    let outcome = python::run("run_onnx.py", arguments)?.expect_success();
    assert_eq!(outcome.json()["type"], "float32");
    let bytes = fs::read(file("output")).expect("an output");
    Some(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// Largest difference relative to the largest reference value.
fn error(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let worst = got.iter().zip(want).fold(0.0f32, |m, (g, w)| {
        let d = (g - w).abs();
        if d <= m { m } else { d }
    });
    assert!(worst.is_finite() && largest > 0.0, "{worst} of {largest}");
    worst / largest
}

/// Share of rows with the same largest class.
fn agreement(a: &[f32], b: &[f32]) -> f32 {
    let (a, b) = (top1(a, CLASSES), top1(b, CLASSES));
    a.iter().zip(&b).filter(|(a, b)| a == b).count() as f32 / a.len() as f32
}

const NETWORKS: [(&str, (usize, usize, usize)); 4] = [
    ("resnet20", (1, 28, 28)),
    ("vgg11_bn", (3, 32, 32)),
    ("mobilenet_v2", (3, 64, 64)),
    ("mobilenet_v3_small", (3, 64, 64)),
];

#[test]
fn floats_agree() {
    for (arch, image) in NETWORKS {
        let graph = network(arch, image);
        let images = formula::tensor("images", 32 * image.0 * image.1 * image.2);
        let Some(want) = onnxruntime(&graph, image, &images) else { return };
        for isa in Isa::available() {
            let got = plan(&graph, isa, 32).predict(&images).expect("a run");
            let e = error(&got, &want);
            println!("{arch} {isa}: error {e:e}");
            assert!(e < 1e-4, "{arch} with {isa}: error {e:e}");
        }
    }
}

#[test]
fn integers_agree() {
    for (arch, image) in NETWORKS {
        let float = network(arch, image);
        let len = image.0 * image.1 * image.2;
        let images = formula::tensor("images", 100 * len);
        let graph = quantized(&float, &images);
        let Some(want) = onnxruntime(&graph, image, &images) else { return };
        let mut first: Option<Vec<f32>> = None;
        let mut worst = 0.0f32;
        for isa in Isa::available() {
            // The portable path is slow; a few images show that it computes the same.
            let n = if isa == Isa::Portable { 4 } else { 100 };
            let want = &want[..n * CLASSES];
            let got = plan(&graph, isa, 20.min(n)).predict(&images[..n * len]).expect("a run");
            let (e, top1) = (error(&got, want), agreement(&got, want));
            println!("{arch} {isa}: error {e:e}, top-1 agreement {top1}");
            assert!(e < 0.02, "{arch} with {isa}: error {e:e}");
            worst = worst.max(e);
            assert!(top1 >= 0.99, "{arch} with {isa}: top-1 agreement {top1}");
            let first = first.get_or_insert_with(|| got.clone());
            assert!(got.starts_with(first), "{arch}: {isa} differs");
        }
        // The float network is no stand-in for its quantised form.
        let float = plan(&float, Isa::detect(), 32).predict(&images).expect("a run");
        assert!(error(&float, &want) > 2.0 * worst, "{arch}");
    }
}

/// Every architecture of the zoo, narrow, on small images, unfolded and folded.
#[test]
fn every_architecture_runs_in_onnxruntime() {
    let image = (3, 48, 48);
    let images = formula::tensor("images", 2 * 3 * 48 * 48);
    let mut worst = 0.0_f32;
    for info in oculist_zoo::architectures() {
        let options = BuildOptions::new(CLASSES, image).with_width(0.25);
        let mut graph = build(info.name, &options).expect("an architecture");
        oculist_zoo::initialize(&mut graph, 1);
        let folded = reparameterize(&remove_identity(&graph).expect("no no-ops")).expect("one branch");
        let folded = fold_batch_norm(&folded).expect("folded");
        let Some(want) = onnxruntime(&graph, image, &images) else { return };
        let Some(of_folded) = onnxruntime(&folded, image, &images) else { return };
        let ours = plan(&graph, Isa::detect(), 2).predict(&images).expect("a run");
        let e = [error(&ours, &want), error(&of_folded, &want)];
        println!("{}: {:e} and {:e}", info.name, e[0], e[1]);
        assert!(e.iter().all(|&e| e < 1e-4), "{}: errors {e:?}", info.name);
        worst = worst.max(e[0]).max(e[1]);
        // The twin: other images are other logits.
        let other = plan(&graph, Isa::detect(), 2).predict(&formula::tensor("others", images.len()));
        assert!(error(&other.expect("a run"), &want) > 1e-3, "{}: nothing would be seen", info.name);
    }
    println!("largest: {worst:e}");
}
