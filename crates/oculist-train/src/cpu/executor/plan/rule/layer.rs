//! Convolutions and fully connected layers.

use oculist_graph::{Gemm, NodeId, Op};
use oculist_kernels::{Conv2d, ConvPlan};

use super::super::{Map, Planner, Step, unsupported};
use super::Outcome;
use crate::cpu::params::ParamLayout;

/// A convolution over two axes with a trained weight.
pub(super) fn conv(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Conv(conv) = &node.op else { return Ok(false) };
    let Some(map) = planner.lies_or_may_lie(n) else { return Ok(false) };
    let Some(window) = conv.window.plane([map.height, map.width]) else { return Ok(false) };
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
    planner.convolve(n, conv)
}

/// `x * w^T + b` with a trained weight: a convolution whose kernel covers the map.
pub(super) fn linear(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    if node.op != Op::Gemm(Gemm::LINEAR) {
        return Ok(false);
    }
    let Some(map) = planner.lies_or_may_lie(n) else { return Ok(false) };
    let c_out = planner.graph.shape(node.output()).channels().unwrap_or(0);
    // A bias that is broadcast from one number is no bias of the kernel.
    let bias_fits = node.inputs.get(2).is_none_or(|b| planner.graph.shape(b).sizes() == Some(vec![c_out]));
    if !bias_fits {
        return Ok(false);
    }
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
    planner.convolve(n, conv)
}

impl Planner<'_> {
    /// How input 0 lies in the kernels' layout, or would lie there.
    fn lies_or_may_lie(&self, n: NodeId) -> Option<Map> {
        let value = self.graph.nodes()[n].inputs.get(0)?;
        if !self.reaches_slot(value) {
            return None;
        }
        self.slot_of[value.index()].map_or_else(|| self.form(value), |slot| Some(self.plan.slots[slot]))
    }

    /// The step, unless weight or bias are no parameters that may lie as it wants them.
    fn convolve(&mut self, n: NodeId, conv: Conv2d) -> Outcome {
        let node = &self.graph.nodes()[n];
        let (weights, bias) = (ParamLayout::Weights(Box::new(conv)), ParamLayout::Channels(conv.c_out));
        let biased = node.inputs.get(2).is_some();
        // The layout of weights has been looked at only for geometries that a plan accepts.
        let plan = ConvPlan::new(self.ctx, conv).map_err(|e| unsupported(node, e.to_string()))?;
        if !self.is_trained(n, 1, &weights) || (biased && !self.is_trained(n, 2, &bias)) {
            return Ok(false);
        }
        let Some((_, x)) = self.input_as_slot(n, 0) else { return Ok(false) };
        self.plan.scratch = self.plan.scratch.max(plan.scratch_len());
        let weights = self.weight(n, 1, weights, true)?;
        let bias = if biased { Some(self.weight(n, 2, bias, false)?) } else { None };
        let y = self.new_slot(node.output(), Map::padded(conv.c_out, conv.out_height(), conv.out_width()));
        self.plan.steps.push(Step::Conv { x, weights, bias, plan: Box::new(plan), y });
        Ok(true)
    }
}
