use oculist_graph::{Binary, Conv, Flatten, GraphBuilder, Unary};
use oculist_testing::interpret;

use super::*;
use crate::test_models as models;
use crate::test_models::{distance, images, output};
use crate::{CalibrationMethod, Calibrator, fold_batch_norm, remove_identity};

fn prepare(graph: &Graph) -> Graph {
    fold_batch_norm(&remove_identity(graph).unwrap()).unwrap()
}

fn calibrate(graph: &Graph, method: CalibrationMethod) -> BTreeMap<ValueId, Range> {
    let values = quantizable_values(graph).unwrap();
    let mut calibrator = Calibrator::new(graph, &values);
    let run = interpret::run(graph, &[images(graph)]);
    for v in values {
        calibrator.observe(v, &run.get(v).to_f32()).unwrap();
    }
    calibrator.ranges(method).unwrap()
}

/// The names of nodes that fit no integer pattern.
///
/// # Panics
/// If a node breaks one of the guarantees of the module text.
fn float_nodes(graph: &Graph) -> Vec<String> {
    let producers = graph.producers();
    let consumers = graph.consumers();
    let is_dq = |v: ValueId| {
        producers[v.index()].is_some_and(|p| matches!(graph.nodes()[p].op, Op::DequantizeLinear(_)))
    };
    let mut float = Vec::new();
    for node in graph.nodes() {
        match &node.op {
            Op::QuantizeLinear(_) => {
                assert_eq!(graph.shape(node.inputs[1]).rank(), 0, "activation scales are scalars");
                assert_eq!(graph.value(node.output()).dtype, DataType::U8);
                assert!(!is_dq(node.inputs[0]), "`{}` quantises again", node.name);
                let out = &consumers[node.output().index()];
                assert_eq!(out.len(), 1, "one DQ follows `{}`", node.name);
                let dq = &graph.nodes()[out[0]];
                assert!(matches!(dq.op, Op::DequantizeLinear(_)));
                assert_eq!(
                    dq.inputs.slots()[1..],
                    node.inputs.slots()[1..],
                    "Q and DQ share their parameters"
                );
                continue;
            }
            Op::DequantizeLinear(_) => continue,
            _ => {}
        }
        if !node.inputs.iter().all(|v| is_dq(v) || graph.value(v).dtype != DataType::F32) {
            float.push(node.name.clone());
            continue;
        }
        let mut out = node.output();
        let single = |v: ValueId| {
            let c = &consumers[v.index()];
            (c.len() == 1 && !graph.outputs().contains(&v)).then(|| &graph.nodes()[c[0]])
        };
        if matches!(node.op, Op::Conv(_) | Op::Gemm(_) | Op::Binary(Binary::Add))
            && let Some(act) = single(out)
            && matches!(act.op, Op::Unary(Unary::Relu | Unary::Clip { .. }))
        {
            out = act.output();
        }
        let quantised = single(out).is_some_and(|q| matches!(q.op, Op::QuantizeLinear(_)));
        if !quantised && !matches!(node.op, Op::Gemm(_)) {
            float.push(node.name.clone());
        }
        if matches!(node.op, Op::MaxPool(_) | Op::Flatten(_) | Op::Pad(_)) && quantised {
            let before = &graph.nodes()[producers[node.inputs[0].index()].unwrap()];
            assert_eq!(
                single(out).unwrap().inputs.slots()[1..],
                before.inputs.slots()[1..],
                "`{}` moves bytes",
                node.name
            );
        }
    }
    // Activations that belong to a pattern were listed when their own turn came.
    float.retain(|name| {
        let node = graph.nodes().iter().find(|n| n.name == *name).unwrap();
        let fused = producers[node.inputs[0].index()].is_some_and(|p| {
            let layer = &graph.nodes()[p];
            matches!(layer.op, Op::Conv(_) | Op::Gemm(_) | Op::Binary(Binary::Add))
                && layer.inputs.iter().all(|v| is_dq(v) || graph.value(v).dtype != DataType::F32)
        });
        !(fused && matches!(node.op, Op::Unary(Unary::Relu | Unary::Clip { .. })))
    });
    float
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|&s| s.to_owned()).collect()
}

#[test]
fn whole_networks_run_in_integers() {
    for graph in models::all() {
        let graph = prepare(&graph);
        let ranges = calibrate(&graph, CalibrationMethod::MinMax);
        let q = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
        assert_eq!(float_nodes(&q), Vec::<String>::new(), "{}\n{}", graph.name(), q.dump());
        let entries = q
            .nodes()
            .iter()
            .filter(|n| matches!(n.op, Op::QuantizeLinear(_)) && q.inputs().contains(&n.inputs[0]));
        assert_eq!(entries.count(), 1);
        assert_eq!(q.outputs().len(), 1);
        assert_eq!(q.value(q.outputs()[0]).name, graph.value(graph.outputs()[0]).name);
        assert!(q.cost().params == graph.cost().params, "weights behind DQ still count");
        let weights = |g: &Graph| -> usize {
            g.params().filter(|(_, v, _)| v.name.ends_with("weight")).map(|(_, _, t)| t.bytes()).sum()
        };
        assert_eq!(weights(&q) * 4, weights(&graph), "{}", graph.name());
    }
}

#[test]
fn the_function_changes_little() {
    for graph in models::all() {
        let graph = prepare(&graph);
        let want = output(&graph);
        for method in [CalibrationMethod::MinMax, CalibrationMethod::Percentile(99.99)] {
            let ranges = calibrate(&graph, method);
            let q = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
            let off = distance(&output(&q), &want);
            assert!(off < 0.05, "{} {method:?}: {off}", graph.name());
            // The twin: ranges ten times too narrow saturate, ten times too wide round away.
            for factor in [0.1, 10.0] {
                let bad =
                    ranges.iter().map(|(&v, r)| (v, Range::new(r.min * factor, r.max * factor))).collect();
                let q = quantize(&graph, &bad, &QuantizeOptions::default()).unwrap();
                assert!(distance(&output(&q), &want) > off, "{} {factor}", graph.name());
            }
        }
        let ranges = calibrate(&graph, CalibrationMethod::MinMax);
        let reduced = QuantizeOptions { weights: WeightRange::Reduced, ..QuantizeOptions::default() };
        let q = quantize(&graph, &ranges, &reduced).unwrap();
        let widest = q.params().filter_map(|(_, _, t)| t.as_i8()).flatten().map(|w| w.unsigned_abs()).max();
        assert_eq!(widest, Some(64));
        assert!(distance(&output(&q), &want) < 0.08, "{}", graph.name());
    }
}

#[test]
fn dump_of_a_small_network() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 4, 4);
    let y = b.conv("conv", x, 2, Conv::square(1, 1, 0), true);
    let y = b.relu("relu", y);
    let y = b.max_pool("pool", y, 4, 4, 0);
    let y = b.op("flatten", Flatten::IMAGES, &[y]);
    let out = b.linear("fc", y, 3);
    let graph = models::fill(b.finish(out).unwrap());
    let ranges =
        quantizable_values(&graph).unwrap().into_iter().map(|v| (v, Range::new(-1.0, 1.0))).collect();
    let q = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
    let want = "graph net
  input x: f32[N, 2, 4, 4]
  q1: u8[N, 2, 4, 4] = QuantizeLinear(x, s3c008081 f32[], z128 u8[])
  d2: f32[N, 2, 4, 4] = DequantizeLinear(q1, s3c008081 f32[], z128 u8[])
  w4: f32[2, 2, 1, 1] = DequantizeLinear[axis=0](conv.weight i8[2, 2, 1, 1], ws3 f32[2], zw2 i8[2])
  b6: f32[2] = DequantizeLinear[axis=0](conv.bias i32[2], bs5 f32[2], zb2 i32[2])
  conv.out: f32[N, 2, 4, 4] = Conv[kernel_shape=[1, 1]](d2, w4, b6)
  relu.out: f32[N, 2, 4, 4] = Relu(conv.out)
  q7: u8[N, 2, 4, 4] = QuantizeLinear(relu.out, s3b808081 f32[], z0 u8[])
  d8: f32[N, 2, 4, 4] = DequantizeLinear(q7, s3b808081 f32[], z0 u8[])
  pool.out: f32[N, 2, 1, 1] = MaxPool[kernel_shape=[4, 4] strides=[4, 4]](d8)
  q9: u8[N, 2, 1, 1] = QuantizeLinear(pool.out, s3b808081 f32[], z0 u8[])
  d10: f32[N, 2, 1, 1] = DequantizeLinear(q9, s3b808081 f32[], z0 u8[])
  flatten.out: f32[N, 2] = Flatten(d10)
  q11: u8[N, 2] = QuantizeLinear(flatten.out, s3b808081 f32[], z0 u8[])
  d12: f32[N, 2] = DequantizeLinear(q11, s3b808081 f32[], z0 u8[])
  w14: f32[3, 2] = DequantizeLinear[axis=0](fc.weight i8[3, 2], ws13 f32[3], zw3 i8[3])
  b16: f32[3] = DequantizeLinear[axis=0](fc.bias i32[3], bs15 f32[3], zb3 i32[3])
  fc.out: f32[N, 3] = Gemm[transB=1](d12, w14, b16)
  output fc.out
";
    assert_eq!(q.dump(), want);
}

#[test]
fn layers_kept_in_f32_read_dequantised_values() {
    for graph in models::all() {
        let graph = prepare(&graph);
        let ranges = calibrate(&graph, CalibrationMethod::MinMax);
        let layers: Vec<&Node> =
            graph.nodes().iter().filter(|n| matches!(n.op, Op::Conv(_) | Op::Gemm(_))).collect();
        let want = output(&graph);
        for layer in &layers {
            let keep = QuantizeOptions { keep_f32: names(&[&layer.name]), ..QuantizeOptions::default() };
            let q = quantize(&graph, &ranges, &keep).unwrap();
            assert_eq!(
                q.param(q.find(&format!("{}.weight", layer.name)).unwrap()).unwrap().dtype(),
                DataType::F32
            );
            assert!(float_nodes(&q).contains(&layer.name), "{}", layer.name);
            assert!(distance(&output(&q), &want) < 0.05);
            // Only this layer: everything else stays as it is.
            let only = QuantizeOptions { only: Some(names(&[&layer.name])), ..QuantizeOptions::default() };
            let q = quantize(&graph, &ranges, &only).unwrap();
            let weights =
                q.params().filter(|(_, v, t)| t.dtype() == DataType::I8 && v.name.ends_with("weight"));
            assert_eq!(weights.count(), 1);
            let off = distance(&output(&q), &want);
            assert!(off > 0.0 && off < 0.03, "{}: {off}", layer.name);
        }
        let all = layers.iter().map(|l| l.name.clone()).collect();
        let none =
            quantize(&graph, &ranges, &QuantizeOptions { keep_f32: all, ..QuantizeOptions::default() });
        assert_eq!(none.unwrap(), graph, "nothing to quantise leaves the graph alone");
    }
}

#[test]
fn first_layer_in_f32_is_quantised_behind_its_activation() {
    let graph = prepare(&models::flatten_head());
    let ranges = calibrate(&graph, CalibrationMethod::MinMax);
    let keep = QuantizeOptions { keep_f32: names(&["c1.conv", "fc2"]), ..QuantizeOptions::default() };
    let q = quantize(&graph, &ranges, &keep).unwrap();
    // Pooling between a float layer and an integer one stays with the float layer.
    let float = ["c1.conv", "c1.act", "p1", "fc2"];
    assert_eq!(float_nodes(&q).into_iter().collect::<BTreeSet<_>>(), names(&float));
    let mul = prepare(&models::inverted_residual());
    let ranges = calibrate(&mul, CalibrationMethod::MinMax);
    let keep = QuantizeOptions { keep_f32: names(&["fc"]), ..QuantizeOptions::default() };
    let q = quantize(&mul, &ranges, &keep).unwrap();
    // Means in front of a float classifier are not rounded to bytes.
    assert!(float_nodes(&q).contains(&"pool".to_owned()));
}

#[test]
fn channels_with_tiny_or_no_weights_keep_their_bias() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 2, 1, 1);
    let y = b.op("flatten", Flatten::IMAGES, &[x]);
    let out = b.linear("fc", y, 3);
    let mut graph = b.finish(out).unwrap();
    let set = |g: &mut Graph, name: &str, values: &[f32]| {
        let id = g.find(name).unwrap();
        g.param_mut(id).unwrap().as_f32_mut().unwrap().copy_from_slice(values);
    };
    set(&mut graph, "fc.weight", &[0.0, 0.0, 1e-9, -1e-9, 0.5, 0.25]);
    set(&mut graph, "fc.bias", &[0.3, -0.7, 0.1]);
    let ranges =
        quantizable_values(&graph).unwrap().into_iter().map(|v| (v, Range::new(-2.0, 2.0))).collect();
    let q = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
    let x = interpret::Array::new(&[1, 2, 1, 1], vec![1.0, 1.0]);
    let got = interpret::run(&q, &[x]);
    let want = [0.3, -0.7, 0.85];
    for (g, w) in got.output(0).data().iter().zip(want) {
        assert!((g - w).abs() < 5e-3, "{g} {w}");
    }
    let bias = q.param(q.find("fc.bias").unwrap()).unwrap().as_i32().unwrap();
    assert!(bias.iter().all(|b| b.unsigned_abs() <= 1 << 30), "{bias:?}");
}

#[test]
fn outputs_of_integers_keep_their_names() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 3, 6, 6);
    let y = b.conv("scores", x, 4, Conv::square(3, 1, 1), true);
    let graph = prepare(&models::fill(b.finish(y).unwrap()));
    let name = |graph: &Graph| graph.value(graph.outputs()[0]).name.clone();
    let ranges = calibrate(&graph, CalibrationMethod::MinMax);
    let quantised = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
    assert_eq!((name(&graph), name(&quantised)), ("scores.out".into(), "scores.out".into()));
    let producer = quantised.producers()[quantised.outputs()[0].index()].unwrap();
    assert!(matches!(quantised.nodes()[producer].op, Op::DequantizeLinear(_)));
    assert!(distance(&output(&quantised), &output(&graph)) < 0.05);
}

#[test]
fn a_shared_weight_is_stored_once() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 4, 4);
    let y = b.conv("a", x, 4, Conv::square(1, 1, 0), false);
    let out = b.conv("b", y, 4, Conv::square(1, 1, 0), false);
    let mut graph = models::fill(b.finish(out).unwrap());
    let shared = graph.nodes()[0].inputs[1];
    graph.edit().set_input(1, 1, Some(shared));
    graph.tidy().unwrap();
    let ranges = calibrate(&graph, CalibrationMethod::MinMax);
    let q = quantize(&graph, &ranges, &QuantizeOptions::default()).unwrap();
    assert_eq!(q.params().filter(|(_, _, t)| t.dtype() == DataType::I8 && t.len() == 16).count(), 1);
    assert!(distance(&output(&q), &output(&graph)) < 0.05);
}

#[test]
fn unprepared_graphs_and_bad_arguments_are_refused() {
    let graph = models::residual(true);
    let text = |r: Result<Graph>| r.unwrap_err().to_string();
    let none = BTreeMap::new();
    let default = QuantizeOptions::default();
    assert_eq!(
        text(quantize(&graph, &none, &default)),
        "quantize: node `stem.bn` (BatchNormalization): expected batch normalisation to be folded before"
    );
    let graph = prepare(&graph);
    assert_eq!(
        text(quantize(&graph, &none, &default)),
        "quantize: `image`: expected a calibrated range, found none"
    );
    let mut ranges = calibrate(&graph, CalibrationMethod::MinMax);
    let q = quantize(&graph, &ranges, &default).unwrap();
    assert!(text(quantize(&q, &ranges, &default)).contains("quantised already"));
    let unknown = QuantizeOptions { keep_f32: names(&["nobody"]), ..default.clone() };
    assert!(text(quantize(&graph, &ranges, &unknown)).contains("`nobody`"));
    ranges.insert(graph.inputs()[0], Range::new(0.0, f32::NAN));
    assert!(text(quantize(&graph, &ranges, &default)).contains("finite range"));
}
