//! Makes floats of other widths f32.

use oculist_graph::{Constant, ConstantOfShape, DataType, Graph, Op, Tensor, TensorData};
use oculist_plain::cast;

use crate::Result;
use crate::error::PassError;

const PASS: &str = "single_precision";

/// Makes every f16, bf16 and f64 of a graph f32, so that it can be trained.
///
/// # What it does
/// Converts parameters, inputs, the constants and the types that nodes name; the types of all other values follow. Numbers
/// beyond the range of f32 become the ends of the range.
///
/// # Applies when
/// The graph has floats of another width. A cast to such a type becomes one to f32, which does nothing.
///
/// # Preserves
/// The function up to rounding: numbers of f16 and bf16 are the same in f32, and what was rounded to them is rounded to
/// f32 now; numbers of f64 lose what is behind the 24th bit.
///
/// # Source
/// The master copy of the weights of Micikevicius et al. 2018, "Mixed Precision Training", without the half-width rest.
///
/// # Errors
/// [`PassError::Graph`] if the graph is invalid; [`PassError::Unsupported`] naming the node whose result would keep
/// another width.
pub fn single_precision(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let params: Vec<_> = graph.params().filter(|(_, _, t)| is_other(t.dtype())).map(|(id, ..)| id).collect();
    for id in params {
        if let Some(tensor) = graph.param(id) {
            out.set_param(id, converted(tensor));
        }
    }
    for &input in graph.inputs() {
        if is_other(graph.value(input).dtype) {
            out.set_input_type(input, DataType::F32);
        }
    }
    for (n, node) in graph.nodes().iter().enumerate() {
        if let Some(op) = in_single(&node.op) {
            out.edit().set_op(n, op);
        }
    }
    out.tidy()?;
    for node in out.nodes() {
        if let Some(&v) = node.outputs.iter().find(|&&v| is_other(out.value(v).dtype)) {
            let value = out.value(v);
            return Err(PassError::Unsupported {
                pass: PASS,
                node: node.name.clone(),
                op: node.op.name(),
                problem: format!("its result `{}` stays {}", value.name, value.dtype.name()),
            });
        }
    }
    out.check()?;
    Ok(out)
}

/// Whether a type is a float of another width.
fn is_other(dtype: DataType) -> bool {
    dtype.is_float() && dtype != DataType::F32
}

/// The numbers as f32.
fn converted(tensor: &Tensor) -> Tensor {
    let mut narrow = cast(tensor, DataType::F32);
    // Infinities stay; what only became infinite does not.
    if let (TensorData::F64(wide), Some(values)) = (tensor.data(), narrow.as_f32_mut()) {
        for (value, wide) in values.iter_mut().zip(wide) {
            if wide.is_finite() {
                *value = value.clamp(f32::MIN, f32::MAX);
            }
        }
    }
    narrow
}

/// An operator that names a type or holds a constant, with f32 instead of another float; `None` where it does not.
fn in_single(op: &Op) -> Option<Op> {
    let mut op = op.clone();
    let changes = if let Op::Cast(op) = &mut op {
        widened(&mut op.to)
    } else if let Op::Constant(Constant { value }) | Op::ConstantOfShape(ConstantOfShape { value }) = &mut op
    {
        let changes = is_other(value.dtype());
        if changes {
            *value = converted(value);
        }
        changes
    } else if let Op::EyeLike(op) = &mut op {
        op.dtype.as_mut().is_some_and(widened)
    } else if let Op::DequantizeLinear(op) = &mut op {
        op.dtype.as_mut().is_some_and(widened)
    } else if let Op::Attention(op) = &mut op {
        op.softmax.as_mut().is_some_and(widened)
    } else if let Op::FlexAttention(op) = &mut op {
        op.softmax.as_mut().is_some_and(widened)
    } else if let Op::SignalWindow(op) = &mut op {
        widened(&mut op.dtype)
    } else if let Op::MelWeightMatrix(op) = &mut op {
        widened(&mut op.dtype)
    } else {
        false
    };
    changes.then_some(op)
}

/// Makes f32 of another float type, and says whether it was one.
fn widened(dtype: &mut DataType) -> bool {
    let other = is_other(*dtype);
    if other {
        *dtype = DataType::F32;
    }
    other
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Binary, Cast, Conv, Flatten, Gemm, GraphBuilder, Shape, ValueId};
    use oculist_kernels::Context;

    use super::*;

    /// A convolution in a half-width type between casts, with a constant of f64 before the logits.
    fn half(dtype: DataType) -> Graph {
        let mut b = GraphBuilder::new("half");
        let x = b.input("image", 2, 3, 3);
        let x = b.op("narrow", Cast { to: dtype }, &[x]);
        let numbers = |n: usize| (0..n).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<f32>>();
        let w = b.param("conv.weight", cast(&Tensor::f32(&[4, 2, 3, 3], numbers(72)), dtype));
        let x = b.op("conv", Conv::square(3, 1, 1), &[x, w]);
        let shift = b.op_of(
            "shift",
            Constant { value: cast(&Tensor::f32(&[4, 1, 1], numbers(4)), dtype) },
            Vec::<ValueId>::new(),
        );
        let x = b.op("add", Binary::Add, &[x, shift]);
        let x = b.op("wide", Cast { to: DataType::F32 }, &[x]);
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let w = b.param("fc.weight", Tensor::f32(&[3, 36], numbers(108)));
        let y = b.op("fc", Gemm::LINEAR, &[x, w]);
        b.finish(y).unwrap()
    }

    fn run(graph: &Graph) -> Vec<f64> {
        let x = Tensor::f32(&[1, 2, 3, 3], (0..18).map(|i| (i as f32).cos()).collect());
        oculist_plain::run(&Context::new(1).unwrap(), graph, vec![x]).unwrap().remove(0).to_f64s()
    }

    #[test]
    fn floats_of_all_widths_become_f32_and_results_stay_near() {
        for (dtype, near) in [(DataType::F16, 1e-2), (DataType::BF16, 1e-1), (DataType::F64, 1e-5)] {
            let graph = half(dtype);
            let single = single_precision(&graph).unwrap();
            assert!(single.values().iter().all(|v| !is_other(v.dtype)), "{}", dtype.name());
            let (a, b) = (run(&graph), run(&single));
            let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < near && (off > 0.0 || dtype == DataType::F64), "{}: {off}", dtype.name());
            // Done twice it changes nothing more.
            assert_eq!(single_precision(&single).unwrap(), single);
        }
    }

    #[test]
    fn inputs_change_and_numbers_beyond_the_range_become_its_ends() {
        let mut graph = Graph::new("net");
        let x = graph.add_typed_input("x", DataType::F64, Shape::nc(3));
        let mask = Tensor::new(vec![3], TensorData::F64(vec![0.0, -1e300, f64::NEG_INFINITY])).unwrap();
        let mask = graph.add_param("mask", mask);
        let y = graph.add_node("masked", Binary::Add, [x, mask]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        let single = single_precision(&graph).unwrap();
        assert_eq!(single.value(single.inputs()[0]).dtype, DataType::F32);
        let mask = single.find("mask").and_then(|v| single.param(v)).unwrap();
        assert_eq!(mask.as_f32().unwrap(), [0.0, f32::MIN, f32::NEG_INFINITY]);
    }

    #[test]
    fn a_result_that_keeps_its_width_is_named() {
        let mut graph = Graph::new("net");
        let x = graph.add_typed_input("x", DataType::I64, Shape::nc(3));
        let y = graph.add_node("bits", oculist_graph::BitCast { to: DataType::F64 }, [x]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        let error = single_precision(&graph).unwrap_err().to_string();
        assert!(error.contains("node `bits` (BitCast)") && error.contains("stays f64"), "{error}");
    }
}
