//! When two results, or two graphs, count as equal.

use oculist_graph::{Graph, Op, Tensor, TensorData, ValueId, ValueKind};
use oculist_testing::interpret::Array;

/// Relative tolerance: sums of a few dozen products in f32.
const RTOL: f64 = 1e-5;

/// Where `got` differs from `want` by more than rounding, or in shape.
pub(crate) fn difference(got: &Array, want: &Array) -> Option<String> {
    if got.shape() != want.shape() {
        return Some(format!("shape {:?}, expected {:?}", got.shape(), want.shape()));
    }
    let largest = want.data().iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let allowed = |w: f64| RTOL * (w.abs() + 0.1 * largest);
    let at = (0..got.data().len()).find(|&i| {
        let (g, w) = (got.data()[i], want.data()[i]);
        (g - w).is_nan() || (g - w).abs() > allowed(w)
    })?;
    Some(format!("element {at} is {}, expected {}", got.data()[at], want.data()[at]))
}

/// The elements as bits, so that -0 and 0 differ.
pub(crate) fn bits(data: &TensorData) -> Vec<u64> {
    if let TensorData::F32(v) = data {
        return v.iter().map(|x| u64::from(x.to_bits())).collect();
    }
    let tensor = Tensor::new(vec![data.len()], data.clone()).expect("a vector");
    tensor.to_i64s().expect("floats of other widths are not compared").into_iter().map(|x| x as u64).collect()
}

/// Where `back`, read from a file, differs from the graph that was written: anything but the names of
/// activations, scales, zero points and Q/DQ nodes.
pub(crate) fn changed(written: &Graph, back: &Graph) -> Option<String> {
    let mut stands_for: Vec<Option<ValueId>> = vec![None; written.values().len()];
    for (&a, &b) in written.inputs().iter().zip(back.inputs()) {
        stands_for[a.index()] = Some(b);
    }
    let inputs = |g: &Graph| g.inputs().iter().map(|&v| g.value(v).clone()).collect::<Vec<_>>();
    if inputs(written) != inputs(back) {
        return Some("the inputs differ".to_owned());
    }
    if (written.name(), &written.metadata) != (back.name(), &back.metadata) {
        return Some("name or metadata differ".to_owned());
    }
    let mut nodes = back.nodes().iter();
    for node in written.nodes() {
        if matches!(node.op, Op::Dropout(_)) {
            stands_for[node.output().index()] = stands_for[node.inputs[0].index()];
            continue;
        }
        let Some(other) = nodes.next() else { return Some(format!("node `{}` is missing", node.name)) };
        let quantisation = matches!(node.op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_));
        if node.op != other.op || (!quantisation && node.name != other.name) {
            return Some(format!(
                "node `{}` {:?} became `{}` {:?}",
                node.name, node.op, other.name, other.op
            ));
        }
        // A zero point that is zero is not written for a constant, and missing it means the same.
        let implied =
            matches!(node.op, Op::DequantizeLinear(_)) && other.inputs.len() == 2 && node.inputs.len() == 3;
        let zero = |id| {
            written.param(id).is_some_and(|t: &Tensor| t.to_i64s().is_some_and(|v| v.iter().all(|&z| z == 0)))
        };
        if implied && !zero(node.inputs[2]) {
            return Some(format!("node `{}` lost its zero point", node.name));
        }
        if node.inputs.len() != other.inputs.len() && !implied {
            return Some(format!("node `{}` has other inputs", node.name));
        }
        for (i, (a, b)) in node.inputs.iter().zip(&other.inputs).enumerate() {
            match (&written.value(a).kind, &back.value(b).kind) {
                (ValueKind::Param(p), ValueKind::Param(q)) => {
                    if p.shape() != q.shape() || p.dtype() != q.dtype() || bits(p.data()) != bits(q.data()) {
                        return Some(format!("parameter `{}` changed", written.value(a).name));
                    }
                    let named = !(quantisation && i > 0);
                    if named && written.value(a).name != back.value(b).name {
                        let (a, b) = (&written.value(a).name, &back.value(b).name);
                        return Some(format!("parameter `{a}` is called `{b}`"));
                    }
                }
                _ if stands_for[a.index()] == Some(b) => {}
                _ => return Some(format!("input {i} of node `{}` is another value", node.name)),
            }
        }
        if written.shape(node.output()) != back.shape(other.output()) {
            return Some(format!("the result of node `{}` has another shape", node.name));
        }
        stands_for[node.output().index()] = Some(other.output());
    }
    let outputs: Vec<Option<ValueId>> = written.outputs().iter().map(|v| stands_for[v.index()]).collect();
    let found: Vec<Option<ValueId>> = back.outputs().iter().map(|&v| Some(v)).collect();
    match nodes.next() {
        Some(extra) => Some(format!("node `{}` was added", extra.name)),
        None if outputs != found => Some("the outputs differ".to_owned()),
        None => None,
    }
}
