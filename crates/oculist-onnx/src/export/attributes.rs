//! The attributes of operators, in ONNX's form; those at their default are left out.

use oculist_graph::{Conv, Op, Pool};

use crate::proto::{AttributeProto, AttributeType};

/// A size as ONNX stores it; sizes in a checked graph fit 63 bits.
pub(super) fn int(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The attributes of a node; `scalar` says that the scale of a Q/DQ node is one number, so that the axis means
/// nothing.
pub(super) fn of(op: &Op, scalar: bool) -> Vec<AttributeProto> {
    match op {
        Op::Conv(Conv { kernel, stride, padding, dilation, groups }) => {
            let mut all = window(*kernel, *stride, *padding);
            if *dilation != [1, 1] {
                all.push(ints("dilations", dilation));
            }
            if *groups != 1 {
                all.push(single("group", int(*groups)));
            }
            all
        }
        Op::MaxPool(Pool { kernel, stride, padding }) => window(*kernel, *stride, *padding),
        Op::AveragePool { pool: Pool { kernel, stride, padding }, count_include_pad } => {
            let mut all = window(*kernel, *stride, *padding);
            if *count_include_pad {
                all.push(single("count_include_pad", 1));
            }
            all
        }
        Op::BatchNormalization { epsilon, momentum } => {
            vec![float("epsilon", *epsilon), float("momentum", *momentum)]
        }
        Op::HardSigmoid { alpha, beta } => vec![float("alpha", *alpha), float("beta", *beta)],
        Op::Concat | Op::Softmax => vec![single("axis", 1)],
        Op::Gemm => vec![single("transB", 1)],
        Op::QuantizeLinear { axis } | Op::DequantizeLinear { axis } if !scalar && *axis != 1 => {
            vec![single("axis", int(*axis))]
        }
        // Bounds, pads, scales and zero points are inputs; a flatten's axis is 1 by default; the rest have none.
        Op::Relu
        | Op::Clip { .. }
        | Op::HardSwish
        | Op::Sigmoid
        | Op::Add
        | Op::Mul
        | Op::GlobalAveragePool
        | Op::Flatten
        | Op::Dropout { .. }
        | Op::PadChannels { .. }
        | Op::QuantizeLinear { .. }
        | Op::DequantizeLinear { .. }
        | Op::Identity => Vec::new(),
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], padding: [usize; 4]) -> Vec<AttributeProto> {
    let mut all = vec![ints("kernel_shape", &kernel)];
    if stride != [1, 1] {
        all.push(ints("strides", &stride));
    }
    if padding != [0; 4] {
        all.push(ints("pads", &padding));
    }
    all
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(kind.into()), ..AttributeProto::default() }
}

fn ints(name: &str, values: &[usize]) -> AttributeProto {
    AttributeProto { ints: values.iter().map(|&v| int(v)).collect(), ..attribute(name, AttributeType::Ints) }
}

fn single(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}
