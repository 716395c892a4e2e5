//! Values that are other values with their axes cut, exchanged and taken apart.

use oculist_graph::op::axis;
use oculist_graph::{Binary, Node, NodeId, Op, Slice, Tensor, ValueId};
use oculist_kernels::LANES;

use super::{Lowering, Order};
use crate::error::RuntimeError;

/// Nodes that are followed backwards at most.
const MOST: usize = 16;

/// Elements of another value, times a factor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    /// The value, which lies in memory row by row without gaps.
    pub(super) base: ValueId,
    /// Of the first element.
    pub(super) offset: usize,
    pub(super) sizes: Vec<usize>,
    /// Elements of `base` from one index of each axis to the next.
    pub(super) strides: Vec<usize>,
    pub(super) factor: f32,
}

impl View {
    /// All of a value.
    fn whole(base: ValueId, sizes: Vec<usize>) -> Self {
        let strides = row_major(&sizes);
        Self { base, offset: 0, sizes, strides, factor: 1.0 }
    }

    /// The axes in another order.
    pub(super) fn permuted(self, order: &[usize]) -> Self {
        let pick = |of: &[usize]| order.iter().map(|&axis| of[axis]).collect();
        Self { sizes: pick(&self.sizes), strides: pick(&self.strides), ..self }
    }

    /// The part of an axis from an index on.
    fn cut(mut self, axis: usize, from: usize, size: usize) -> Self {
        self.offset += from * self.strides[axis];
        self.sizes[axis] = size;
        self
    }

    /// The same elements in the same order under other axes, if they have strides there.
    pub(super) fn reshaped(self, to: &[usize]) -> Option<Self> {
        // Axes of size 1 have no say.
        let from: Vec<(usize, usize)> =
            self.sizes.iter().copied().zip(self.strides.iter().copied()).filter(|&(n, _)| n != 1).collect();
        if to.contains(&0) || self.sizes.contains(&0) {
            return None;
        }
        let mut strides = vec![0; to.len()];
        let (mut i, mut j) = (0, 0);
        while i < from.len() || j < to.len() {
            // The shortest runs of axes on both sides that have equally many elements.
            let (i0, j0) = (i, j);
            let (mut a, mut b) = (1usize, 1usize);
            loop {
                if a == b && (i > i0 || j > j0) {
                    break;
                }
                if a <= b && i < from.len() && (a < b || j == j0) {
                    a = a.checked_mul(from[i].0)?;
                    i += 1;
                } else if j < to.len() {
                    b = b.checked_mul(to[j])?;
                    j += 1;
                } else if i < from.len() {
                    a = a.checked_mul(from[i].0)?;
                    i += 1;
                } else {
                    return None;
                }
            }
            let run = &from[i0..i];
            if run.windows(2).any(|pair| pair[0].1 != pair[1].1 * pair[1].0) {
                return None;
            }
            let mut stride = run.last().map_or(1, |&(_, stride)| stride);
            for axis in (j0..j).rev() {
                strides[axis] = stride;
                stride = stride.checked_mul(to[axis])?;
            }
        }
        Some(Self { sizes: to.to_vec(), strides, ..self })
    }
}

/// Elements from one index to the next, without gaps.
fn row_major(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; sizes.len()];
    for i in (1..sizes.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(sizes[i]);
    }
    strides
}

impl Lowering<'_> {
    /// A value as elements of one that the kernels' layout holds without gaps.
    pub(super) fn view(&self, value: ValueId) -> Result<Option<View>, RuntimeError> {
        self.view_within(value, MOST)
    }

    fn view_within(&self, value: ValueId, most: usize) -> Result<Option<View>, RuntimeError> {
        let Some(to) = self.graph.shape(value).sizes() else { return Ok(None) };
        if let Some(id) = self.producers[value.index()].filter(|_| most > 0)
            && let Some((x, change)) = self.change(id, value)?
        {
            let Some(view) = self.view_within(x, most - 1)? else { return Ok(None) };
            return Ok(match change {
                Change::Axes => view.reshaped(&to),
                Change::Order(order) => Some(view.permuted(&order)),
                Change::Part { axis, from } => view.cut(axis, from, to[axis]).into(),
                // One index alone: the axis falls away, or stays with size 1.
                Change::Index { axis, at } => view.cut(axis, at, 1).reshaped(&to),
                Change::Factor(factor) => Some(View { factor: view.factor * factor, ..view }),
            });
        }
        let dense = self.orders[value.index()] == Order::Last
            && self.form(value).is_some_and(|(channels, _)| channels % LANES == 0);
        Ok((dense && !self.is_constant(value)).then(|| View::whole(value, to)))
    }

    /// Whether a node's only result holds the elements of its first input in their order.
    pub(super) fn keeps_elements(&self, node: &Node) -> bool {
        node.outputs.len() == 1 && self.graph.given(node).is_ok_and(|given| node.op.keeps_elements(&given))
    }

    /// What a node that moves elements, or multiplies them with a number, does to which input.
    fn change(&self, id: NodeId, output: ValueId) -> Result<Option<(ValueId, Change)>, RuntimeError> {
        let node = self.node(id);
        let Some(&Some(x)) = node.inputs.slots().first() else { return Ok(None) };
        let Some(sizes) = self.graph.shape(x).sizes() else { return Ok(None) };
        let change = match &node.op {
            _ if self.keeps_elements(node) => Change::Axes,
            Op::Transpose(transpose) => match transpose.axes(sizes.len()) {
                Ok(order) => Change::Order(order),
                Err(_) => return Ok(None),
            },
            Op::Gather(gather) => {
                let Ok(along) = axis(gather.axis, sizes.len()) else { return Ok(None) };
                match self.constant_index(node, sizes[along])? {
                    Some(at) => Change::Index { axis: along, at },
                    None => return Ok(None),
                }
            }
            Op::Slice(_) => match self.slice_along(node)? {
                Some((axis, from)) => Change::Part { axis, from },
                None => return Ok(None),
            },
            Op::Split(split) => {
                let Ok(along) = axis(split.axis, sizes.len()) else { return Ok(None) };
                let before = node.outputs.iter().take_while(|&&v| v != output);
                let before = before.map(|&v| self.graph.shape(v).get(along)).sum::<Option<usize>>();
                match before {
                    Some(from) => Change::Part { axis: along, from },
                    None => return Ok(None),
                }
            }
            Op::Binary(op @ (Binary::Mul | Binary::Div)) => {
                return Ok(self.factor(id, *op)?.map(|(x, factor)| (x, Change::Factor(factor))));
            }
            _ => return Ok(None),
        };
        Ok(Some((x, change)))
    }

    /// The value that a product or quotient with one number scales, and the number.
    pub(super) fn factor(&self, id: NodeId, op: Binary) -> Result<Option<(ValueId, f32)>, RuntimeError> {
        let node = self.node(id);
        let (Some(a), Some(b)) = (node.inputs.get(0), node.inputs.get(1)) else { return Ok(None) };
        for (x, number) in [(a, b), (b, a)] {
            if self.is_float_constant(number)
                && self.same_shape(x, node.output())
                && let Some(number) = self.number(number)?
            {
                return Ok(match op {
                    Binary::Mul => Some((x, number)),
                    Binary::Div if x == a => Some((x, 1.0 / number)),
                    _ => None,
                });
            }
        }
        Ok(None)
    }

    /// The only axis that a slice of step 1 cuts, and where it starts; the first for one that cuts none.
    pub(super) fn slice_along(&self, node: &Node) -> Result<Option<(usize, usize)>, RuntimeError> {
        let Some(sizes) = self.graph.shape(node.inputs[0]).sizes() else { return Ok(None) };
        let ints = |i: usize| match node.inputs.get(i) {
            Some(v) => Ok(self.constant(v)?.and_then(Tensor::to_i64s)),
            None => Ok::<_, RuntimeError>(None),
        };
        let (Some(starts), Some(ends)) = (ints(1)?, ints(2)?) else { return Ok(None) };
        let count = starts.len();
        let axes = if node.inputs.get(3).is_some() { ints(3)? } else { Some((0..count as i64).collect()) };
        let steps = if node.inputs.get(4).is_some() { ints(4)? } else { Some(vec![1; count]) };
        let (Some(axes), Some(steps)) = (axes, steps) else { return Ok(None) };
        if [ends.len(), axes.len(), steps.len()] != [count; 3] || steps.iter().any(|&step| step != 1) {
            return Ok(None);
        }
        let mut found = None;
        for i in 0..count {
            let Ok(along) = axis(axes[i], sizes.len()) else { return Ok(None) };
            match Slice::range(sizes[along], starts[i], ends[i], 1) {
                Ok((0, size)) if size == sizes[along] => {}
                Ok((from, size)) if found.is_none() && size > 0 => found = Some((along, from)),
                _ => return Ok(None),
            }
        }
        Ok(found.or(Some((0, 0))))
    }
}

/// What a node does to the axes of its input.
enum Change {
    Axes,
    Order(Vec<usize>),
    Part { axis: usize, from: usize },
    Index { axis: usize, at: usize },
    Factor(f32),
}

#[cfg(test)]
mod tests {
    use super::View;
    use oculist_graph::GraphBuilder;

    fn view(sizes: &[usize]) -> View {
        let base = GraphBuilder::new("net").input("x", 3, 2, 2);
        View::whole(base, sizes.to_vec())
    }

    /// The elements that a view lists, in its order.
    fn elements(view: &View) -> Vec<usize> {
        let mut all = vec![view.offset];
        for (&size, &stride) in view.sizes.iter().zip(&view.strides) {
            all = all.iter().flat_map(|&at| (0..size).map(move |i| at + i * stride)).collect();
        }
        all
    }

    #[test]
    fn queries_keys_and_values_of_one_product() {
        let qkv = view(&[2, 5, 24]).reshaped(&[2, 5, 3, 2, 4]).unwrap().permuted(&[2, 0, 3, 1, 4]);
        assert_eq!(qkv.strides, [8, 120, 4, 24, 1]);
        let keys = qkv.cut(0, 1, 1).reshaped(&[2, 2, 5, 4]).unwrap();
        assert_eq!((keys.offset, &keys.strides[..]), (8, &[120, 4, 24, 1][..]));
    }

    #[test]
    fn a_reshape_keeps_the_order_of_elements_or_is_refused() {
        let exchanged = view(&[2, 6, 4]).permuted(&[1, 0, 2]);
        for to in [&[3, 2, 2, 4][..], &[6, 2, 2, 2], &[1, 6, 2, 1, 4], &[6, 2, 4]] {
            let reshaped = exchanged.clone().reshaped(to).unwrap();
            assert_eq!(elements(&reshaped), elements(&exchanged), "{to:?}");
        }
        // 6 and 2 do not lie one behind the other.
        assert_eq!(exchanged.clone().reshaped(&[12, 4]), None);
        assert_eq!(exchanged.reshaped(&[4, 12]), None);
        let whole = view(&[2, 6, 4]);
        assert_eq!(elements(&whole.clone().reshaped(&[48]).unwrap()), elements(&whole));
        assert_eq!(elements(&whole.clone().reshaped(&[1, 48, 1]).unwrap()), elements(&whole));
    }
}
