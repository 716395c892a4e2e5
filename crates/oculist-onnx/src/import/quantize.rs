//! Quantisation to integers and back.

use oculist_graph::{DataType, Op, Tensor, TensorData, ValueId};

use crate::error::OnnxError;
use crate::import::Importer;
use crate::import::node::NodeContext;
use crate::import::reshape::rank;
use crate::import::values::Binding;

pub(super) fn quantize_linear(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.expect_int("saturate", 1, 1)?;
    node.expect_int("precision", 0, 0)?;
    let (axis, inputs) = parts(importer, node, DataType::U8)?;
    importer.emit(node, Op::QuantizeLinear { axis }, inputs)?;
    Ok(())
}

pub(super) fn dequantize_linear(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    let integers = match importer.binding(node, 0)? {
        Binding::Constant(position) => importer.tensor(*position).dtype(),
        // Without a zero point, what was quantised without one is unsigned.
        _ => DataType::U8,
    };
    let (axis, inputs) = parts(importer, node, integers)?;
    importer.emit(node, Op::DequantizeLinear { axis }, inputs)?;
    Ok(())
}

/// The axis and the three inputs; a missing zero point is a zero of the given type.
fn parts(
    importer: &mut Importer,
    node: &mut NodeContext,
    zero_type: DataType,
) -> Result<(usize, Vec<ValueId>), OnnxError> {
    node.at_most(3)?;
    node.expect_int("block_size", 0, 0)?;
    node.expect_int("output_dtype", 0, 0)?;
    let axis = node.int("axis", 1)?;
    let x = importer.value(node, 0)?;
    let scale = importer.constant(node, 1)?.clone();
    // Some writers give the one scale of a tensor as a list of one.
    let single = scale.shape() == [1] && {
        let shape = importer.shape(x)?;
        usize::try_from(axis).ok().and_then(|axis| shape.get(axis)) != Some(1)
    };
    let scale_id = if single {
        let tensor = Tensor::new(Vec::new(), scale.data().clone())?;
        importer.rearranged(node, 1, tensor)?
    } else {
        importer.value(node, 1)?
    };
    let zero_id = if node.input(2).is_none() {
        let shape = if single { Vec::new() } else { scale.shape().to_vec() };
        let tensor = zeros(node, shape, zero_type)?;
        let name = importer.free_value_name(&format!("{}.zero_point", node.name));
        importer.graph.add_param(name, tensor)
    } else if single && importer.constant(node, 2)?.shape() == [1] {
        let tensor = Tensor::new(Vec::new(), importer.constant(node, 2)?.data().clone())?;
        importer.rearranged(node, 2, tensor)?
    } else {
        importer.constant(node, 2)?;
        importer.value(node, 2)?
    };
    let axis = if axis < 0 { axis.saturating_add(rank(importer, x)?) } else { axis };
    let axis = usize::try_from(axis).map_err(|_| node.error("the axis lies before the first"))?;
    Ok((axis, vec![x, scale_id, zero_id]))
}

fn zeros(node: &NodeContext, shape: Vec<usize>, dtype: DataType) -> Result<Tensor, OnnxError> {
    let count = shape.iter().product();
    let data = match dtype {
        DataType::U8 => TensorData::U8(vec![0; count]),
        DataType::I8 => TensorData::I8(vec![0; count]),
        DataType::I32 => TensorData::I32(vec![0; count]),
        other => return Err(node.error(format!("input 0 is {}, supported are u8, i8, i32", other.name()))),
    };
    Ok(Tensor::new(shape, data)?)
}
