//! One entry per ONNX operator that can be read.

use oculist_graph::{DataType, Op, ValueId};

use crate::error::OnnxError;
use crate::import::node::NodeContext;
use crate::import::values::Binding;
use crate::import::{Importer, extents, linear, pad, quantize, reshape, window};
use crate::tensor::from_proto;

type Translate = fn(&mut Importer, &mut NodeContext) -> Result<(), OnnxError>;

/// All operators, in alphabetical order.
const OPERATORS: [(&str, Translate); 30] = [
    ("Add", linear::add),
    ("AveragePool", window::average_pool),
    ("BatchNormalization", batch_normalization),
    ("Cast", extents::cast),
    ("Clip", clip),
    ("Concat", concat),
    ("Constant", constant),
    ("Conv", window::conv),
    ("DequantizeLinear", quantize::dequantize_linear),
    ("Dropout", dropout),
    ("Flatten", reshape::flatten),
    ("Gather", extents::gather),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", global_average_pool),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |importer, node| unary(importer, node, Op::HardSwish)),
    ("Identity", identity),
    ("MatMul", linear::matmul),
    ("MaxPool", window::max_pool),
    ("Mul", mul),
    ("Pad", pad::pad),
    ("QuantizeLinear", quantize::quantize_linear),
    ("ReduceMean", reshape::reduce_mean),
    ("Relu", |importer, node| unary(importer, node, Op::Relu)),
    ("Reshape", reshape::reshape),
    ("Shape", extents::shape),
    ("Sigmoid", |importer, node| unary(importer, node, Op::Sigmoid)),
    ("Softmax", softmax),
    ("Squeeze", reshape::squeeze),
    ("Unsqueeze", extents::unsqueeze),
];

/// Adds what a node of the file means to the graph.
pub(super) fn translate(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    let domain = node.proto.domain.as_deref().unwrap_or_default();
    let known = OPERATORS.iter().find(|(name, _)| *name == node.op());
    match known {
        Some((_, translate)) if matches!(domain, "" | "ai.onnx") => {
            translate(importer, node)?;
            node.finish()
        }
        _ => Err(OnnxError::Operator {
            node: node.name.clone(),
            op: if domain.is_empty() { node.op().to_owned() } else { format!("{domain}.{}", node.op()) },
            supported: OPERATORS.map(|(name, _)| name).join(", "),
        }),
    }
}

/// An operator with one input and no attributes.
fn unary(importer: &mut Importer, node: &mut NodeContext, op: Op) -> Result<(), OnnxError> {
    node.at_most(1)?;
    let x = importer.activation(node, 0)?;
    importer.emit(node, op, vec![x])?;
    Ok(())
}

fn global_average_pool(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    unary(importer, node, Op::GlobalAveragePool)
}

fn hard_sigmoid(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    let (alpha, beta) = (node.float("alpha", 0.2)?, node.float("beta", 0.5)?);
    unary(importer, node, Op::HardSigmoid { alpha, beta })
}

fn identity(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(1)?;
    match importer.binding(node, 0)?.clone() {
        Binding::Value(x) => importer.emit(node, Op::Identity, vec![x]).map(|_| ()),
        // Exporters give a shared parameter several names this way.
        constant => importer.alias(node, constant),
    }
}

fn batch_normalization(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(5)?;
    let (epsilon, momentum) = (node.float("epsilon", 1e-5)?, node.float("momentum", 0.9)?);
    node.expect_int("training_mode", 0, 0)?;
    node.expect_int("spatial", 1, 1)?;
    let mut inputs = vec![importer.activation(node, 0)?];
    for i in 1..5 {
        inputs.push(importer.value(node, i)?);
    }
    importer.emit(node, Op::BatchNormalization { epsilon, momentum }, inputs)?;
    Ok(())
}

fn clip(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    // The bounds are inputs since opset 11.
    let (min, max) = if importer.opset < 11 {
        node.at_most(1)?;
        (node.float("min", f32::MIN)?, node.float("max", f32::MAX)?)
    } else {
        node.at_most(3)?;
        (importer.scalar(node, 1)?.unwrap_or(f32::MIN), importer.scalar(node, 2)?.unwrap_or(f32::MAX))
    };
    let x = importer.activation(node, 0)?;
    importer.emit(node, Op::Clip { min, max }, vec![x])?;
    Ok(())
}

fn concat(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    let axis = node.attributes.int("axis");
    let axis = node.explain(axis)?.ok_or_else(|| node.error("the attribute `axis` is missing"))?;
    if matches!(importer.binding(node, 0)?, Binding::Extents(_) | Binding::Constant(_)) {
        return extents::concat(importer, node, axis);
    }
    let inputs: Vec<ValueId> =
        (0..node.proto.input.len()).map(|i| importer.activation(node, i)).collect::<Result<_, _>>()?;
    if axis != 1 && axis.saturating_add(reshape::rank(importer, inputs[0])?) != 1 {
        return Err(node.error(format!("the axis is {axis}, supported is 1 (the channels)")));
    }
    importer.emit(node, Op::Concat, inputs)?;
    Ok(())
}

fn mul(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let (mut a, mut b) = (importer.activation(node, 0)?, importer.activation(node, 1)?);
    // The graph wants the gate of one number per channel second; a product knows no order.
    if a != b {
        let (shape_a, shape_b) = (importer.shape(a)?, importer.shape(b)?);
        if shape_a.elements_per_sample() < shape_b.elements_per_sample() {
            std::mem::swap(&mut a, &mut b);
        }
    }
    importer.emit(node, Op::Mul, vec![a, b])?;
    Ok(())
}

fn softmax(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    // The graph's softmax takes [N, C] only, where the old default 1 and the new default -1 are the same axis.
    let axis = node.int("axis", 1)?;
    if axis != 1 && axis != -1 {
        return Err(node.error(format!("the axis is {axis}, supported is 1 on [N, C]")));
    }
    unary(importer, node, Op::Softmax)
}

fn dropout(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(3)?;
    node.attributes.skip("seed");
    // The ratio is an input since opset 12.
    let ratio = if importer.opset < 12 {
        node.float("ratio", 0.5)?
    } else {
        importer.scalar(node, 1)?.unwrap_or(0.5)
    };
    if node.input(2).is_some() {
        let training = importer.constant(node, 2)?;
        if training.dtype() != DataType::U8 || training.as_u8().is_some_and(|mode| mode != [0]) {
            return Err(node.error("it is in training mode; supported is inference"));
        }
    }
    if !(0.0..1.0).contains(&ratio) {
        return Err(node.error(format!("the ratio is {ratio}, supported is 0 up to below 1")));
    }
    let x = importer.activation(node, 0)?;
    importer.emit(node, Op::Dropout { ratio }, vec![x])?;
    Ok(())
}

fn constant(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    use oculist_graph::{Tensor, TensorData};
    node.at_most(0)?;
    let output = node.output()?;
    let value = node.attributes.tensor("value");
    let tensor = if let Some(proto) = node.explain(value)? {
        from_proto(output, proto)?
    } else {
        let float = node.attributes.float("value_float");
        let floats = node.attributes.floats("value_floats");
        let int = node.attributes.int("value_int");
        let ints = node.attributes.ints("value_ints");
        let (float, floats) = (node.explain(float)?, node.explain(floats)?);
        let (int, ints) = (node.explain(int)?, node.explain(ints)?);
        let (shape, data) = match (float, floats, int, ints) {
            (Some(v), None, None, None) => (Vec::new(), TensorData::F32(vec![v])),
            (None, Some(v), None, None) => (vec![v.len()], TensorData::F32(v)),
            (None, None, Some(v), None) => (Vec::new(), TensorData::I64(vec![v])),
            (None, None, None, Some(v)) => (vec![v.len()], TensorData::I64(v)),
            _ => return Err(node.error("expected one of value, value_float(s), value_int(s)")),
        };
        Tensor::new(shape, data)?
    };
    let binding = importer.add_constant(output, tensor);
    importer.alias(node, binding)
}
