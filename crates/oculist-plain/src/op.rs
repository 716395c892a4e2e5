//! The kernels, in the files of the operators' rooms.

mod depth;
mod expand;
mod gather;
mod layout;
mod pad;
mod quantize;
mod reshape;
mod scatter;
mod slice;
mod transpose;

use oculist_graph::Op;

use crate::call::Forward;

/// The kernel of an operator.
pub(crate) fn kernel(op: &Op) -> &dyn Forward {
    match op {
        // layout.rs, pad.rs, quantize.rs
        Op::Concat(op) => op,
        Op::Identity(op) => op,
        Op::Flatten(op) => op,
        Op::Dropout(op) => op,
        Op::Pad(op) => op,
        Op::QuantizeLinear(op) => op,
        Op::DequantizeLinear(op) => op,
        // reshape.rs
        Op::Reshape(op) => op,
        Op::Squeeze(op) => op,
        Op::Unsqueeze(op) => op,
        // transpose.rs
        Op::Transpose(op) => op,
        // slice.rs
        Op::Slice(op) => op,
        Op::Split(op) => op,
        // gather.rs
        Op::Gather(op) => op,
        Op::GatherElements(op) => op,
        Op::GatherND(op) => op,
        Op::ArrayFeatureExtractor(op) => op,
        // scatter.rs
        Op::ScatterElements(op) => op,
        Op::ScatterND(op) => op,
        Op::TensorScatter(op) => op,
        // expand.rs
        Op::Expand(op) => op,
        Op::Tile(op) => op,
        // depth.rs
        Op::DepthToSpace(op) => op,
        Op::SpaceToDepth(op) => op,
        // Each family adds its lines here.
        _ => todo!("kernels of {}", op.name()),
    }
}
