//! Zero channels.

use oculist_graph::Op;

use crate::error::OnnxError;
use crate::import::node::NodeContext;
use crate::import::{Importer, LARGEST_SIZE};

pub(super) fn pad(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(4)?;
    let mode = node.string("mode")?.unwrap_or("constant");
    if mode != "constant" {
        return Err(node.error(format!("the mode is `{mode}`, supported is `constant`")));
    }
    // Pads and value are inputs since opset 11.
    let (pads, value) = if importer.opset < 11 {
        (node.ints("pads")?, Some(node.float("value", 0.0)?))
    } else {
        (importer.integers(node, 1)?, importer.scalar(node, 2)?)
    };
    if let Some(value) = value.filter(|&v| v != 0.0) {
        return Err(node.error(format!("the value is {value}, supported is 0")));
    }
    let pads = pads.ok_or_else(|| node.error("the pads are missing"))?;
    let x = importer.activation(node, 0)?;
    let axes = importer.integers(node, 3)?.unwrap_or_else(|| vec![0, 1, 2, 3]);
    if pads.len() != 2 * axes.len() {
        return Err(node.error(format!("expected {} pads, found {}", 2 * axes.len(), pads.len())));
    }
    let mut channels = [0; 2];
    for (position, &axis) in axes.iter().enumerate() {
        let both = [pads[position], pads[position + axes.len()]];
        if axis == 1 || axis == -3 {
            for (size, pad) in channels.iter_mut().zip(both) {
                *size = usize::try_from(pad).ok().filter(|&size| size <= LARGEST_SIZE).ok_or_else(|| {
                    node.error(format!("pads hold {pad}, supported is 0 to {LARGEST_SIZE}"))
                })?;
            }
        } else if both != [0, 0] {
            return Err(node.error(format!("axis {axis} is padded, supported is axis 1 (the channels)")));
        }
    }
    let [before, after] = channels;
    importer.emit(node, Op::PadChannels { before, after }, vec![x])?;
    Ok(())
}
