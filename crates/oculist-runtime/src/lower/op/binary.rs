//! Functions of two elements.

use oculist_graph::{Binary, Node, NodeId};

use super::Fast;
use crate::error::RuntimeError;
use crate::lower::tail::ScaleShift;
use crate::lower::{Lowering, Order};
use crate::step::Work;
use crate::tensor::{Tensor, TensorId};

impl Lowering<'_> {
    /// A value and a constant that is a number or holds one for each channel.
    pub(super) fn fast_affine(&self, node: &Node, op: Binary) -> Option<Fast> {
        let constant = |i: usize| node.inputs.get(i).is_some_and(|v| self.is_float_constant(v));
        let data = usize::from(constant(0));
        let linear = op != Binary::Div || data == 0;
        let (x, c) = (node.inputs.get(data)?, node.inputs.get(1 - data)?);
        let (channels, _) = self.form(x)?;
        let along = self.channel_axis(x);
        if !linear || !constant(1 - data) || !self.same_shape(x, node.output()) {
            return None;
        }
        let sizes = self.graph.shape(c).sizes()?;
        // Missing axes in front count as 1.
        let in_front = self.graph.shape(x).rank().checked_sub(sizes.len())?;
        let fits =
            |(axis, &size): (usize, &usize)| size == 1 || (axis + in_front == along && size == channels);
        sizes.iter().enumerate().all(fits).then_some(Fast::Affine { op, data })
    }

    /// What [`Fast::Affine`] multiplies with and adds.
    pub(in crate::lower) fn constant_scale_shift(
        &self,
        id: NodeId,
        op: Binary,
        data: usize,
    ) -> Result<ScaleShift, RuntimeError> {
        let channels = self.form(self.node(id).inputs[data]).map_or(1, |(channels, _)| channels);
        let mut c = self.constant_input(id, 1 - data, "operand")?.values;
        if let [number] = c[..] {
            c = vec![number; channels];
        }
        let all = |v: f32| vec![v; channels];
        let (scale, shift) = match op {
            Binary::Mul => (c, all(0.0)),
            Binary::Div => (c.iter().map(|c| 1.0 / c).collect(), all(0.0)),
            Binary::Sub if data == 0 => (all(1.0), c.iter().map(|c| -c).collect()),
            Binary::Sub => (all(-1.0), c),
            _ => (all(1.0), c),
        };
        Ok(ScaleShift { scale, shift })
    }

    /// Sums and products of two values of one shape, and products with one factor for each channel.
    pub(super) fn fast_binary(&self, node: &Node, binary: Binary) -> Option<Fast> {
        let (a, b) = (node.inputs.get(0)?, node.inputs.get(1)?);
        let (a_map, b_map) = (self.form(a)?, self.form(b)?);
        let orders = [a, b].map(|v| self.orders[v.index()]);
        let same = self.same_shape(a, b) && orders[0] == orders[1];
        let maps =
            orders == [Order::First; 2] && self.graph.shape(a).rank() == 4 && self.graph.shape(b).rank() == 4;
        match binary {
            Binary::Add if same => Some(Fast::Add),
            Binary::Mul if same => Some(Fast::Multiply),
            Binary::Mul if maps && a_map.0 == b_map.0 && b_map.1 == [1, 1] => Some(Fast::Gate { map: 0 }),
            Binary::Mul if maps && a_map.0 == b_map.0 && a_map.1 == [1, 1] => Some(Fast::Gate { map: 1 }),
            _ => None,
        }
    }

    /// A sum of two values of one shape.
    pub(super) fn fast_sum(&self, node: &Node) -> Option<Fast> {
        if node.inputs.len() == 2 { self.fast_binary(node, Binary::Add) } else { None }
    }

    /// An addition that no convolution took in.
    pub(super) fn lower_add(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let (a, b) = self.same_layout(id)?;
        let Tensor { channels, size, .. } = self.tensors[a];
        let plain = self
            .only_reader(node.output())
            .is_none_or(|next| !matches!(self.fast[next], Some(Fast::Activation(_))));
        if plain {
            return self.simple(id, Work::Add, vec![a, b], Tensor::f32(channels, size));
        }
        self.affine(id, a, Some(b), vec![1.0; channels], vec![0.0; channels])
    }

    /// The two inputs of a node in the same layout.
    pub(super) fn same_layout(&mut self, id: NodeId) -> Result<(TensorId, TensorId), RuntimeError> {
        let node = self.node(id);
        let (a, b) = (self.f32(node.inputs[0], &node.name)?, self.f32(node.inputs[1], &node.name)?);
        if self.tensors[a].pixels() == self.tensors[b].pixels() {
            return Ok((a, b));
        }
        Ok((self.flat_f32(node.inputs[0], &node.name)?, self.flat_f32(node.inputs[1], &node.name)?))
    }
}
