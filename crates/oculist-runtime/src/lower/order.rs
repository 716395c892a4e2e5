//! Which axis of a value holds the channels.
//!
//! In the kernels' layout, channels lie side by side. A convolution's map `[N, C, H, W]` has them in its second axis; the
//! tokens of a transformer `[N, T, C]`, and maps that a network keeps as `[N, H, W, C]`, in their last. Both lie in memory
//! alike, so that going from one to the other is no work.

use oculist_graph::{Graph, ValueId};

/// The axis of a value that holds the channels in the kernels' layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The second: `[N, C]`, `[N, C, L]` or `[N, C, H, W]`.
    First,
    /// The last, behind any number of others: every row of the value is a pixel.
    Last,
}

/// The order of every value as long as nothing speaks for another: the first for `[N, C]` and `[N, C, H, W]`.
pub(super) fn defaults(graph: &Graph, batch: usize) -> Vec<Order> {
    let of = |i: usize| {
        let sizes = graph.values()[i].shape.as_ref().and_then(oculist_graph::Shape::sizes);
        match sizes.as_deref() {
            Some(&[n, _] | &[n, _, _, _]) if n == batch => Order::First,
            _ => Order::Last,
        }
    };
    (0..graph.values().len()).map(of).collect()
}

/// Channels and size of a value of these sizes; `None` if it has no place in the layout.
///
/// The images of a batch must have the same number of rows.
pub(super) fn form(order: Order, sizes: &[usize], batch: usize) -> Option<(usize, [usize; 2])> {
    if sizes.contains(&0) {
        return None;
    }
    match (order, sizes) {
        (Order::First, &[n, c]) if n == batch => Some((c, [1, 1])),
        (Order::First, &[n, c, l]) if n == batch => Some((c, [l, 1])),
        (Order::First, &[n, c, h, w]) if n == batch => Some((c, [h, w])),
        (Order::Last, [rows @ .., c]) if !rows.is_empty() => {
            let rows = rows.iter().try_fold(1usize, |all, &n| all.checked_mul(n))?;
            (batch > 0 && rows % batch == 0).then(|| (*c, [rows / batch, 1]))
        }
        (Order::First | Order::Last, _) => None,
    }
}

impl super::Lowering<'_> {
    /// The order that a reshaped value has if its elements stay where they are.
    pub(super) fn reshaped(&self, x: ValueId, y: ValueId) -> Option<Order> {
        let (channels, size) = self.form(x)?;
        let to = self.graph.shape(y).sizes()?;
        let single = size[0].saturating_mul(size[1]) == 1;
        let last = to.last() == Some(&channels) && to.len() > 1;
        let first = to.len() > 2 && to[..2] == [self.options.batch, channels];
        let order = match self.orders[x.index()] {
            _ if single && to == [self.options.batch, channels] => Order::First,
            Order::Last if last => Order::Last,
            Order::First if first => Order::First,
            Order::First if last && single => Order::Last,
            _ => return None,
        };
        form(order, &to, self.options.batch).map(|_| order)
    }

    /// The order that a value with exchanged axes has if its elements stay where they are.
    pub(super) fn transposed(&self, x: ValueId, y: ValueId, order: &[usize]) -> Option<Order> {
        self.form(x)?;
        let (rank, to) = (order.len(), self.graph.shape(y).sizes()?);
        if rank < 3 || order[0] != 0 {
            return None;
        }
        let back = (2..rank).chain([1]);
        let front = [rank - 1].into_iter().chain(1..rank - 1);
        let new = match self.orders[x.index()] {
            Order::First if order[1..].iter().copied().eq(back) => Order::Last,
            Order::Last if order[1..].iter().copied().eq(front) => Order::First,
            _ => return None,
        };
        form(new, &to, self.options.batch).map(|_| new)
    }
}

#[cfg(test)]
mod tests {
    use super::{Order, form};

    #[test]
    fn forms_of_values() {
        assert_eq!(form(Order::First, &[2, 3, 4, 5], 2), Some((3, [4, 5])));
        assert_eq!(form(Order::First, &[2, 3, 4], 2), Some((3, [4, 1])));
        assert_eq!(form(Order::First, &[3, 3, 4], 2), None);
        assert_eq!(form(Order::Last, &[2, 4, 5, 3], 2), Some((3, [20, 1])));
        assert_eq!(form(Order::Last, &[8, 49, 96], 2), Some((96, [196, 1])));
        assert_eq!(form(Order::Last, &[3, 96], 2), None);
        assert_eq!(form(Order::Last, &[96], 1), None);
        assert_eq!(form(Order::Last, &[2, 0, 96], 2), None);
        assert_eq!(form(Order::Last, &[usize::MAX, 2, 96], 1), None);
    }
}
