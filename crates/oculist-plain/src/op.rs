//! The kernels, in the files of the operators' rooms.

mod binarizer;
mod crop;
mod depth;
mod expand;
mod gather;
mod grid;
mod layout;
mod pad;
mod quantize;
mod regions;
mod reshape;
mod resize;
mod scatter;
mod slice;
mod transpose;
mod unpool;

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
        // resize.rs
        Op::Resize(op) => op,
        // grid.rs
        Op::GridSample(op) => op,
        Op::AffineGrid(op) => op,
        // crop.rs
        Op::CenterCropPad(op) => op,
        // unpool.rs
        Op::MaxUnpool(op) => op,
        Op::Col2Im(op) => op,
        // regions.rs
        Op::RoiAlign(op) => op,
        Op::NonMaxSuppression(op) => op,
        // binarizer.rs
        Op::Binarizer(op) => op,
        // Each family adds its lines here.
        _ => todo!("kernels of {}", op.name()),
    }
}
