//! Pooling.

use oculist_graph::{GlobalPool, NodeId, Op, ReduceKind, Tensor, Window};
use oculist_kernels::Pooling;

use super::super::{Map, Planner, Slot, Step, unsupported};
use super::Outcome;
use crate::error::TrainError;

/// Maximum over a window; positions that somebody reads are not kept by the kernel.
pub(super) fn max(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::MaxPool(op) = &node.op else { return Ok(false) };
    if op.ceil_mode || node.outputs.len() != 1 {
        return Ok(false);
    }
    let Some((x, pool)) = planner.pooling(n, &op.window)? else { return Ok(false) };
    let y = planner.pooled(n, x, &pool);
    let saved = planner.plan.max_pools;
    planner.plan.max_pools += 1;
    planner.plan.steps.push(Step::MaxPool { x, pool, saved, y });
    Ok(true)
}

/// Mean over a window.
pub(super) fn average(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::AveragePool(op) = &node.op else { return Ok(false) };
    if op.ceil_mode {
        return Ok(false);
    }
    let count_include_pad = op.count_include_pad;
    let Some((x, pool)) = planner.pooling(n, &op.window)? else { return Ok(false) };
    let y = planner.pooled(n, x, &pool);
    planner.plan.steps.push(Step::AveragePool { x, pool, count_include_pad, y });
    Ok(true)
}

/// Mean over each channel.
pub(super) fn global_average(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    if node.op != Op::GlobalPool(GlobalPool::Average) {
        return Ok(false);
    }
    let Some((value, x)) = planner.input_as_slot(n, 0) else { return Ok(false) };
    // A flattened value has nothing to pool.
    if planner.graph.shape(value).rank() < 3 {
        return Ok(false);
    }
    let y = planner.new_slot(node.output(), Map::padded(planner.plan.slots[x].channels, 1, 1));
    planner.plan.steps.push(Step::GlobalAveragePool { x, y });
    Ok(true)
}

/// The mean over height and width, written as a reduction.
pub(super) fn mean(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let Op::Reduce(op) = &node.op else { return Ok(false) };
    let Some((value, x)) = planner.input_slot(n, 0) else { return Ok(false) };
    let rank = planner.graph.shape(value).rank();
    let axes = match node.inputs.get(1) {
        Some(axes) => {
            planner.graph.param(axes).or(planner.constants[axes.index()].as_ref()).and_then(Tensor::to_i64s)
        }
        None => None,
    };
    let spatial: Vec<bool> = (0..rank).map(|a| a >= 2).collect();
    let over_maps = axes.is_some_and(|axes| op.mask(&axes, rank) == Ok(spatial));
    if op.kind != ReduceKind::Mean || rank < 3 || !over_maps {
        return Ok(false);
    }
    let y = planner.new_slot(node.output(), Map::padded(planner.plan.slots[x].channels, 1, 1));
    planner.plan.steps.push(Step::GlobalAveragePool { x, y });
    Ok(true)
}

impl Planner<'_> {
    /// The window over input 0 as the kernels know it; `None` if they do not.
    fn pooling(&mut self, n: NodeId, window: &Window) -> Result<Option<(Slot, Pooling)>, TrainError> {
        let Some(value) = self.graph.nodes()[n].inputs.get(0) else { return Ok(None) };
        let Some(form) = self.form(value).filter(|_| self.graph.shape(value).rank() == 4) else {
            return Ok(None);
        };
        let Some(window) = window.plane([form.height, form.width]) else { return Ok(None) };
        if window.dilation != [1; 2] {
            return Ok(None);
        }
        let Some(x) = self.slot(n, value) else { return Ok(None) };
        let map = self.plan.slots[x];
        let pool = Pooling {
            batch: self.batch,
            height: map.height,
            width: map.width,
            channels: map.channels,
            kernel: window.kernel,
            stride: window.stride,
            padding: window.padding,
        };
        pool.check().map_err(|e| unsupported(&self.graph.nodes()[n], e.to_string()))?;
        Ok(Some((x, pool)))
    }

    fn pooled(&mut self, n: NodeId, x: Slot, pool: &Pooling) -> Slot {
        let map = Map::padded(self.plan.slots[x].channels, pool.out_height(), pool.out_width());
        self.new_slot(self.graph.nodes()[n].output(), map)
    }
}
