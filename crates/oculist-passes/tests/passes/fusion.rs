//! Quantised networks in ONNX Runtime: it must fuse every pattern, and compute what the Q/DQ graph says.

use std::collections::BTreeMap;
use std::path::Path;

use oculist_graph::{Binary, Gemm, GlobalPool, Graph, Op};
use oculist_passes::{
    CalibrationMethod, Calibrator, QuantizeOptions, WeightRange, fold_batch_norm, quantizable_values,
    quantize, remove_identity,
};
use oculist_testing::interpret::{self, Array};
use oculist_testing::{golden, python};

use crate::networks::{self, distance, images, logits};

fn quantized(graph: &Graph, x: &Array, weights: WeightRange) -> (Graph, Graph) {
    let graph = fold_batch_norm(&remove_identity(graph).unwrap()).unwrap();
    let values = quantizable_values(&graph).unwrap();
    let run = interpret::run(&graph, std::slice::from_ref(x));
    let mut calibrator = Calibrator::new(&graph, &values);
    for v in values {
        calibrator.observe(v, &run.get(v).to_f32()).unwrap();
    }
    let ranges = calibrator.ranges(CalibrationMethod::MinMax).unwrap();
    let options = QuantizeOptions { weights, ..QuantizeOptions::default() };
    let quantized = quantize(&graph, &ranges, &options).unwrap();
    (graph, quantized)
}

struct Answer {
    ops: BTreeMap<String, u64>,
    optimized: Vec<f64>,
    plain: Vec<f64>,
}

fn ask(graph: &Graph, x: &Array) -> Option<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let (model, input) = (folder.path().join("model.onnx"), folder.path().join("input.f32"));
    oculist_onnx::write(graph, &model).unwrap();
    let bytes: Vec<u8> = x.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(&input, bytes).unwrap();
    let shape = x.shape().iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes/oracles/fuse.py");
    let arguments = [model.as_os_str(), input.as_os_str(), shape.as_ref()];
    let answer = python::run_file(&script, arguments)?.expect_success().json();
    let floats = |name: &str| golden::floats(&answer[name]).into_iter().map(f64::from).collect();
    let ops = answer["ops"].as_object().unwrap();
    Some(Answer {
        ops: ops.iter().map(|(k, n)| (k.clone(), n.as_u64().unwrap())).collect(),
        optimized: floats("optimized"),
        plain: floats("plain"),
    })
}

#[test]
fn onnx_runtime_fuses_every_pattern_and_agrees() {
    let mut exact = 0;
    for graph in networks::all() {
        let name = graph.name().to_owned();
        let x = images(&graph, 2);
        // Seven-bit weights are exact in ONNX Runtime on every machine.
        let (float, q) = quantized(&graph, &x, WeightRange::Reduced);
        let count = |wanted: fn(&Op) -> bool| float.nodes().iter().filter(|n| wanted(&n.op)).count() as u64;
        let want = logits(&q, &x);
        let Some(answer) = ask(&q, &x) else { return };
        let fused = |op: &str| answer.ops.get(op).copied().unwrap_or(0);
        assert_eq!(fused("QLinearConv"), count(|op| matches!(op, Op::Conv(_))), "{name}: {:?}", answer.ops);
        assert_eq!(
            fused("QGemm"),
            count(|op| matches!(op, Op::Gemm(Gemm::LINEAR))),
            "{name}: {:?}",
            answer.ops
        );
        assert_eq!(
            fused("QLinearAdd"),
            count(|op| matches!(op, Op::Binary(Binary::Add))),
            "{name}: {:?}",
            answer.ops
        );
        assert_eq!(
            fused("QLinearMul"),
            count(|op| matches!(op, Op::Binary(Binary::Mul))),
            "{name}: {:?}",
            answer.ops
        );
        assert_eq!(
            fused("QLinearGlobalAveragePool"),
            count(|op| matches!(op, Op::GlobalPool(GlobalPool::Average))),
            "{name}: {:?}",
            answer.ops
        );
        for gone in ["Conv", "FusedConv", "Gemm", "Relu", "Clip", "Add"] {
            assert_eq!(fused(gone), 0, "{name}: {:?}", answer.ops);
        }
        // Sums in f32 decide rounding ties unlike f64 ones, and one level in an early layer travels on: most of all
        // in MobileNetV2, whose narrow bottlenecks quantise coarsely.
        let tolerance = if name == "mobilenet_v2" { 0.06 } else { 0.01 };
        let plain = distance(&answer.plain, want.data());
        let optimized = distance(&answer.optimized, want.data());
        assert!(plain < tolerance, "{name}: {plain}");
        assert!(optimized < tolerance, "{name}: {optimized}");
        exact += usize::from(optimized < 1e-5);
        // The twin: the float network, which differs by all that quantisation changed, is told apart.
        assert!(distance(logits(&float, &x).data(), want.data()) > tolerance, "{name}");
    }
    assert!(exact >= 5, "in most networks no integer differs, found {exact}");
}
