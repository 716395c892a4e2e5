//! Operators that slide a window over a map: convolution and pooling.

use oculist_graph::{Conv, Op, Pool, ValueId};

use crate::error::OnnxError;
use crate::import::node::NodeContext;
use crate::import::{Importer, LARGEST_SIZE};

pub(super) fn conv(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(3)?;
    let x = importer.activation(node, 0)?;
    let w = importer.value(node, 1)?;
    let mut inputs = vec![x, w];
    if node.input(2).is_some() {
        inputs.push(importer.value(node, 2)?);
    }
    let kernel = match pair(node, "kernel_shape")? {
        Some(kernel) => kernel,
        None => weight_kernel(importer, node, w)?,
    };
    let stride = pair(node, "strides")?.unwrap_or([1; 2]);
    let dilation = pair(node, "dilations")?.unwrap_or([1; 2]);
    let groups = node.int("group", 1)?;
    let groups = size(node, "group", groups)?;
    let padding = padding(importer, node, x, kernel, stride, dilation)?;
    importer.emit(node, Op::Conv(Conv { kernel, stride, padding, dilation, groups }), inputs)?;
    Ok(())
}

pub(super) fn max_pool(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.expect_int("storage_order", 0, 0)?;
    let (x, pool) = pool(importer, node)?;
    importer.emit(node, Op::MaxPool(pool), vec![x])?;
    Ok(())
}

pub(super) fn average_pool(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    let count_include_pad = node.int("count_include_pad", 0)? != 0;
    let rounded_up = node.int("ceil_mode", 0)? != 0;
    let (x, pool) = pool(importer, node)?;
    if count_include_pad && rounded_up {
        return Err(node.error("count_include_pad and ceil_mode are both 1; supported is one of them"));
    }
    importer.emit(node, Op::AveragePool { pool, count_include_pad }, vec![x])?;
    Ok(())
}

fn pool(importer: &mut Importer, node: &mut NodeContext) -> Result<(ValueId, Pool), OnnxError> {
    node.at_most(1)?;
    let x = importer.activation(node, 0)?;
    let Some(kernel) = pair(node, "kernel_shape")? else {
        return Err(node.error("the attribute `kernel_shape` is missing"));
    };
    let stride = pair(node, "strides")?.unwrap_or([1; 2]);
    let dilation = pair(node, "dilations")?.unwrap_or([1; 2]);
    if dilation != [1; 2] {
        return Err(node.error(format!("dilations are {dilation:?}, supported is 1")));
    }
    let mut padding = padding(importer, node, x, kernel, stride, dilation)?;
    if node.int("ceil_mode", 0)? != 0 {
        round_up(importer, node, x, kernel, stride, &mut padding)?;
    }
    Ok((x, Pool { kernel, stride, padding }))
}

/// Pads bottom and right so that the last window fits in: what rounding the output size up means, as long as
/// padding counts for nothing.
fn round_up(
    importer: &mut Importer,
    node: &NodeContext,
    x: ValueId,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: &mut [usize; 4],
) -> Result<(), OnnxError> {
    let extents = map_size(importer, node, x)?;
    for axis in 0..2 {
        let (before, after) = (padding[axis], padding[axis + 2]);
        let padded = extents[axis] + before + after;
        // What does not fit at all is the graph's error to tell.
        let Some(rest) = padded.checked_sub(kernel[axis]).filter(|_| stride[axis] > 0) else { continue };
        let mut steps = rest.div_ceil(stride[axis]);
        // A window that would start behind the input is left out.
        if steps > 0 && steps * stride[axis] >= extents[axis] + before {
            steps -= 1;
        }
        padding[axis + 2] += (steps * stride[axis] + kernel[axis]).saturating_sub(padded);
    }
    Ok(())
}

/// The padding top, left, bottom, right that `pads` or `auto_pad` asks for.
fn padding(
    importer: &mut Importer,
    node: &mut NodeContext,
    x: ValueId,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<[usize; 4], OnnxError> {
    let explicit = match node.ints("pads")? {
        None => [0; 4],
        Some(pads) => match pads[..] {
            [top, left, bottom, right] => {
                let mut sizes = [0; 4];
                for (size_out, pad) in sizes.iter_mut().zip([top, left, bottom, right]) {
                    *size_out = size(node, "pads", pad)?;
                }
                sizes
            }
            _ => return Err(node.error(format!("expected 4 pads (two dimensions), found {}", pads.len()))),
        },
    };
    let extra_goes_first = match node.string("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" | "" => return Ok(explicit),
        "VALID" => return Ok([0; 4]),
        "SAME_UPPER" => false,
        "SAME_LOWER" => true,
        other => return Err(node.error(format!("auto_pad is `{other}`, which ONNX does not know"))),
    };
    let extents = map_size(importer, node, x)?;
    let mut padding = [0; 4];
    for axis in 0..2 {
        if kernel[axis] == 0 || stride[axis] == 0 || dilation[axis] == 0 {
            return Err(node.error("kernel, stride and dilation must be at least 1"));
        }
        // The output has ceil(extent / stride) windows; what they need beyond the input is padding.
        let windows = extents[axis].div_ceil(stride[axis]);
        let reach = dilation[axis] * (kernel[axis] - 1) + 1;
        let total = ((windows.max(1) - 1) * stride[axis] + reach).saturating_sub(extents[axis]);
        let (small, large) = (total / 2, total - total / 2);
        let (first, last) = if extra_goes_first { (large, small) } else { (small, large) };
        (padding[axis], padding[axis + 2]) = (first, last);
    }
    Ok(padding)
}

/// The kernel of a weight `[c_out, c_in / groups, k_h, k_w]`.
fn weight_kernel(importer: &mut Importer, node: &NodeContext, w: ValueId) -> Result<[usize; 2], OnnxError> {
    let shape = importer.shape(w)?;
    match (shape.rank(), shape.get(2), shape.get(3)) {
        (4, Some(h), Some(w)) => Ok([h, w]),
        _ => Err(node.error(format!("expected a weight of 4 dimensions, found {shape}"))),
    }
}

fn map_size(importer: &mut Importer, node: &NodeContext, x: ValueId) -> Result<[usize; 2], OnnxError> {
    let shape = importer.shape(x)?;
    match (shape.rank(), shape.get(2), shape.get(3)) {
        (4, Some(h), Some(w)) => Ok([h, w]),
        _ => Err(node.error(format!("expected an input of shape [N, C, H, W], found {shape}"))),
    }
}

fn pair(node: &mut NodeContext, name: &str) -> Result<Option<[usize; 2]>, OnnxError> {
    let Some(values) = node.ints(name)? else { return Ok(None) };
    match values[..] {
        [a, b] => Ok(Some([size(node, name, a)?, size(node, name, b)?])),
        _ => Err(node.error(format!("expected 2 {name} (two dimensions), found {}", values.len()))),
    }
}

fn size(node: &NodeContext, name: &str, value: i64) -> Result<usize, OnnxError> {
    let size = usize::try_from(value).ok().filter(|&size| size <= LARGEST_SIZE);
    size.ok_or_else(|| node.error(format!("{name} holds {value}, supported is 0 to {LARGEST_SIZE}")))
}
