//! Takes quantisation out of a graph of Q/DQ nodes, so that it can be trained.

use oculist_graph::{DataType, Graph, Node, Op, QuantizeLinear, Role, Tensor, Unary, ValueId};
use oculist_kernels::Context;

use crate::Result;
use crate::error::PassError;

const PASS: &str = "dequantize";

/// Makes a graph of floats of one whose values go through `QuantizeLinear` and `DequantizeLinear`.
///
/// # What it does
/// - A constant behind `DequantizeLinear` becomes a parameter of the floats that it stands for.
/// - A parameter behind a pair of both becomes one that is cut off at the ends of the range.
/// - A computed value behind a pair becomes itself, cut off at the ends of the range by a `Clip`: what quantises often
///   takes a `Relu` out of the graph and leaves its work to the least integer.
///
/// # Applies when
/// Scales and zero points are constants, both nodes of a pair have the same, and that of a computed value is a single
/// number.
///
/// # Preserves
/// Constants exactly. Every other value that was quantised differs by at most half of its scale.
///
/// # Source
/// The straight-through estimator of Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons":
/// the gradient of the `Clip` is the one that it has.
///
/// # Errors
/// [`PassError::Graph`] if the graph is invalid; [`PassError::Unsupported`] naming the first node that would stay
/// quantised.
pub fn dequantize(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let producers = graph.producers();
    for (n, node) in graph.nodes().iter().enumerate() {
        if !matches!(node.op, Op::DequantizeLinear(_)) {
            continue;
        }
        if let Some(tensor) = constant(graph, node)? {
            out.edit().set_constant(node.output(), tensor);
            continue;
        }
        let pair = node.inputs.get(0).and_then(|v| producers[v.index()]).map(|p| &graph.nodes()[p]);
        let Some(first) = pair else { continue };
        let Op::QuantizeLinear(op) = &first.op else { continue };
        let Some(([min, max], source)) = range(graph, op, first, node) else { continue };
        if let Some(values) = graph.param(source).and_then(Tensor::as_f32) {
            let cut = values.iter().map(|v| v.clamp(min, max)).collect();
            let shape = graph.param(source).map_or(&[][..], Tensor::shape);
            out.edit().set_constant(node.output(), Tensor::f32(shape, cut));
        } else {
            out.edit().set_op(n, Unary::Clip { min, max });
            out.edit().set_inputs(n, [source]);
        }
    }
    out.tidy()?;
    for node in out.nodes() {
        if (0..node.inputs.len()).any(|i| node.op.role(i) == Role::Quantization) {
            return Err(PassError::Unsupported {
                pass: PASS,
                node: node.name.clone(),
                op: node.op.name(),
                problem:
                    "expected quantisation by pairs of QuantizeLinear and DequantizeLinear with one constant \
                          scale, which it is none of"
                        .to_owned(),
            });
        }
    }
    out.check()?;
    Ok(out)
}

/// What a node gives, if everything that it reads is constant.
fn constant(graph: &Graph, node: &Node) -> Result<Option<Tensor>> {
    let mut inputs = Vec::with_capacity(node.inputs.len());
    for slot in node.inputs.slots() {
        match slot {
            None => inputs.push(None),
            Some(v) => match graph.param(*v) {
                Some(tensor) => inputs.push(Some(tensor)),
                None => return Ok(None),
            },
        }
    }
    let failed = |problem: String| PassError::Unsupported {
        pass: PASS,
        node: node.name.clone(),
        op: node.op.name(),
        problem,
    };
    let ctx = Context::new(1).map_err(|e| failed(e.to_string()))?;
    let mut all = oculist_plain::evaluate(&ctx, &node.op, &inputs, 1).map_err(|e| failed(e.to_string()))?;
    Ok(all.pop())
}

/// The ends of the range that a pair of nodes cuts off at, and the value in front of it.
fn range(graph: &Graph, op: &QuantizeLinear, first: &Node, second: &Node) -> Option<([f32; 2], ValueId)> {
    let source = first.inputs.get(0)?;
    let numbers = |node: &Node, i: usize| match node.inputs.get(i) {
        None => Some(None),
        Some(v) => graph.param(v).map(|t| Some((t.dtype(), t.to_f64s()))),
    };
    let (scale, zero) = (numbers(first, 1)??, numbers(first, 2)?);
    if numbers(second, 1)?? != scale || numbers(second, 2)? != zero {
        return None;
    }
    let same_type = graph.value(source).dtype == graph.value(second.output()).dtype;
    let [scale] = scale.1[..] else { return None };
    let (dtype, zero) = match &zero {
        None => (op.dtype, 0.0),
        Some((dtype, zero)) => (*dtype, zero.first().copied()?),
    };
    let (least, most) = match dtype {
        DataType::U8 => (0.0, 255.0),
        DataType::I8 => (-128.0, 127.0),
        DataType::U16 => (0.0, 65535.0),
        DataType::I16 => (-32768.0, 32767.0),
        DataType::U4 => (0.0, 15.0),
        DataType::I4 => (-8.0, 7.0),
        _ => return None,
    };
    let end = |q: f64| ((q - zero) * scale) as f32;
    same_type.then_some(([end(least), end(most)], source))
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Conv, DequantizeLinear, Flatten, Gemm, GraphBuilder, Identity};

    use super::*;

    const QUANTIZE: QuantizeLinear = QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 };

    /// A convolution of bytes whose results are quantised behind a `Relu` that was taken out, and a linear layer.
    fn quantised(step: f32) -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 1, 4, 4);
        let scale = b.param("scale", Tensor::f32(&[], vec![step]));
        let zero = b.param("zero", Tensor::u8(&[], vec![0]));
        let bytes = (0..18).map(|i| (i * 37 % 200 - 100) as i8).collect();
        let q = b.param("conv.bytes", Tensor::i8(&[2, 1, 3, 3], bytes));
        let scales = b.param("conv.scales", Tensor::f32(&[2], vec![0.01, 0.02]));
        let w = b.op("conv.weight", DequantizeLinear::along(0), &[q, scales]);
        let x = b.op("conv", Conv::square(3, 1, 0), &[x, w]);
        let x = b.op("q", QUANTIZE, &[x, scale, zero]);
        let x = b.op("dq", DequantizeLinear::along(1), &[x, scale, zero]);
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let w = b.param("fc.float", Tensor::f32(&[3, 8], (0..24).map(|i| (i as f32).sin()).collect()));
        let step = b.param("fc.scale", Tensor::f32(&[], vec![1.0 / 1024.0]));
        let none = b.param("fc.zero", Tensor::i8(&[], vec![0]));
        let w = b.op("fc.q", QuantizeLinear { axis: 1, block: 0, dtype: DataType::I8 }, &[w, step, none]);
        let w = b.op("fc.dq", DequantizeLinear::along(1), &[w, step, none]);
        let y = b.op("fc", Gemm::LINEAR, &[x, w]);
        b.finish(y).unwrap()
    }

    fn run(graph: &Graph) -> Vec<f64> {
        let x = Tensor::f32(&[1, 1, 4, 4], (0..16).map(|i| (i as f32 * 0.7).cos()).collect());
        oculist_plain::run(&Context::new(1).unwrap(), graph, vec![x]).unwrap().remove(0).to_f64s()
    }

    #[test]
    fn pairs_become_ranges_and_constants_become_floats() {
        let graph = quantised(0.01);
        let float = dequantize(&graph).unwrap();
        let names: Vec<&str> = float.nodes().iter().map(|n| n.op.name()).collect();
        assert_eq!(names, ["Conv", "Clip", "Flatten", "Gemm"]);
        let param = |name: &str| float.find(name).and_then(|v| float.param(v)).unwrap();
        let w = param("conv.weight.out");
        assert_eq!(w.as_f32().unwrap()[..2], [-1.0, -0.63]);
        // Cut off at the ends of the range: 127 and -128 times 1 / 1024.
        let w = param("fc.dq.out").as_f32().unwrap();
        assert_eq!((w[1], w[4], w[0]), (127.0 / 1024.0, -0.125, 0.0));
        // Rows of eight weights of at most an eighth: half of a step of each of eight values, and the weights' own rounding.
        let off = |step: f32| {
            let (a, b) = (run(&quantised(step)), run(&dequantize(&quantised(step)).unwrap()));
            a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
        };
        let weights = 8.0 * 2.55 * 0.5 / 1024.0;
        assert!(off(0.01) < 8.0 * 0.125 * 0.005 + weights, "{}", off(0.01));
        // Without the `Clip` the negative results of the convolution would come through.
        let mut open = float.clone();
        open.edit().set_op(1, Identity);
        open.tidy().unwrap();
        let far = run(&float).iter().zip(run(&open)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far > 8.0 * 0.125 * 0.005 + weights, "{far}");
    }

    #[test]
    fn what_stays_quantised_is_named() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 2, 4, 4);
        let scale = b.param("scale", Tensor::f32(&[2], vec![0.1, 0.2]));
        let zero = b.param("zero", Tensor::u8(&[2], vec![0, 0]));
        let q = b.op("q", QUANTIZE, &[x, scale, zero]);
        let y = b.op("dq", DequantizeLinear::along(1), &[q, scale, zero]);
        let graph = b.finish(y).unwrap();
        let error = dequantize(&graph).unwrap_err().to_string();
        assert!(
            error.contains("node `q` (QuantizeLinear)") && error.contains("one constant scale"),
            "{error}"
        );
    }
}
