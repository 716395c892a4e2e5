//! Convolutions and fully connected layers.

use oculist_graph::{Gemm, NodeId, Op};
use oculist_kernels::{Conv2d, ConvPlan};

use super::super::{Map, Planner, Slot, Step, unsupported};
use super::Outcome;
use crate::error::TrainError;
use crate::params::ParamLayout;

/// A convolution over two axes with a trained weight.
pub(super) fn conv(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Conv(conv) = &node.op else { return Ok(false) };
    let Some((_, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let map = planner.plan.slots[x];
    let Some(window) = conv.window.plane([map.height, map.width]) else { return Ok(false) };
    if !planner.takes_weights(n) {
        return Ok(false);
    }
    let conv = Conv2d {
        batch: planner.batch,
        height: map.height,
        width: map.width,
        c_in: map.channels,
        c_out: planner.graph.shape(node.output()).channels().unwrap_or(0),
        kernel: window.kernel,
        stride: window.stride,
        padding: window.padding,
        dilation: window.dilation,
        groups: conv.groups,
        x_stride: map.stride,
    };
    planner.convolve(n, x, conv)?;
    Ok(true)
}

/// `x * w^T + b` with a trained weight: a convolution whose kernel covers the map.
pub(super) fn linear(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    if node.op != Op::Gemm(Gemm::LINEAR) {
        return Ok(false);
    }
    let Some((_, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let c_out = planner.graph.shape(node.output()).channels().unwrap_or(0);
    // A bias that is broadcast from one number is no bias of the kernel.
    let bias_fits = node.inputs.get(2).is_none_or(|b| planner.graph.shape(b).sizes() == Some(vec![c_out]));
    if !planner.takes_weights(n) || !bias_fits {
        return Ok(false);
    }
    let map = planner.plan.slots[x];
    let conv = Conv2d {
        batch: planner.batch,
        height: map.height,
        width: map.width,
        c_in: map.channels,
        c_out,
        kernel: [map.height, map.width],
        stride: [1; 2],
        padding: [0; 4],
        dilation: [1; 2],
        groups: 1,
        x_stride: map.stride,
    };
    planner.convolve(n, x, conv)?;
    Ok(true)
}

impl Planner<'_> {
    /// Whether weight and bias of a layer are trained parameters.
    fn takes_weights(&self, n: NodeId) -> bool {
        self.is_trained(n, 1) && (self.graph.nodes()[n].inputs.get(2).is_none() || self.is_trained(n, 2))
    }

    fn convolve(&mut self, n: NodeId, x: Slot, conv: Conv2d) -> Result<(), TrainError> {
        let node = &self.graph.nodes()[n];
        let plan = ConvPlan::new(self.ctx, conv).map_err(|e| unsupported(node, e.to_string()))?;
        self.plan.scratch = self.plan.scratch.max(plan.scratch_len());
        let weights = self.weight(n, 1, ParamLayout::Weights(Box::new(conv)), true)?;
        let bias = match node.inputs.get(2) {
            Some(_) => Some(self.weight(n, 2, ParamLayout::Channels(conv.c_out), false)?),
            None => None,
        };
        let y = self.new_slot(node.output(), Map::padded(conv.c_out, conv.out_height(), conv.out_width()));
        self.plan.steps.push(Step::Conv { x, weights, bias, plan: Box::new(plan), y });
        Ok(())
    }
}
