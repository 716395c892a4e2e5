//! Pooling.

use oculist_graph::{AveragePool, MaxPool, Node, NodeId, Plane, Window};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::Lowering;
use crate::step::{Work, pooling};
use crate::tensor::Tensor;

impl Lowering<'_> {
    pub(super) fn fast_max_pool(&self, node: &Node, pool: &MaxPool) -> Option<Fast> {
        self.window(node, &pool.window, pool.ceil_mode, true).map(Fast::MaxPool)
    }

    pub(super) fn fast_average_pool(&self, node: &Node, pool: &AveragePool) -> Option<Fast> {
        // Where padding counts, it must not grow.
        let plane = self.window(node, &pool.window, pool.ceil_mode, !pool.count_include_pad)?;
        Some(Fast::AveragePool { plane, count_include_pad: pool.count_include_pad })
    }

    pub(super) fn fast_global_pool(&self, node: &Node) -> Option<Fast> {
        self.map(node.inputs[0])?;
        let rank = self.graph.shape(node.inputs[0]).rank();
        (rank == 4).then_some(Fast::GlobalAveragePool)
    }

    /// A window that the kernels know. One that hangs over the end is one with more padding, if that may `grow`.
    fn window(&self, node: &Node, window: &Window, ceil_mode: bool, grow: bool) -> Option<Plane> {
        let (channels, size) = self.map(node.inputs[0])?;
        let mut plane = window.plane(size).filter(|plane| plane.dilation == [1, 1])?;
        for axis in 0..2 {
            let out = window.output_size(axis, size[axis], ceil_mode).ok()?;
            let reach = (out - 1).checked_mul(plane.stride[axis])?.checked_add(plane.kernel[axis])?;
            let behind = reach.saturating_sub(size[axis].saturating_add(plane.padding[axis]));
            if behind > plane.padding[axis + 2] {
                if !grow {
                    return None;
                }
                plane.padding[axis + 2] = behind;
            }
        }
        let geometry = pooling(&plane, self.options.batch, &Tensor::f32(channels, size));
        geometry.check().is_ok().then_some(plane)
    }

    pub(super) fn lower_pool(&mut self, id: NodeId, plane: &Plane, work: Work) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let x = self.f32(node.inputs[0], &node.name)?;
        let geometry = pooling(plane, self.options.batch, &self.tensors[x]);
        geometry.check().map_err(self.kernel_error(id))?;
        let size = [geometry.out_height(), geometry.out_width()];
        self.simple(id, work, vec![x], Tensor::f32(geometry.channels, size))
    }
}
