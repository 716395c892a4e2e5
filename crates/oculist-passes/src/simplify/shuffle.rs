//! Channel shuffles.

use oculist_graph::{Gather, Node, Op, Shape, Tensor, ValueId};

use super::rewrite::Rewrite;
use crate::Result;

/// The most channels of a shuffle that is put together: more than any network has.
const MOST_CHANNELS: usize = 1 << 16;

/// Puts together what mixes the channels of groups.
///
/// # What it does
/// `Reshape` of `[N, C, ...]` to `[N, g, C / g, ...]`, `Transpose` of the two axes of channels and `Reshape` back become a `Gather`
/// along the channels: `y[c] = x[c % g * (C / g) + c / g]`. The stages know how to do that without leaving their layout.
///
/// # Applies when
/// Sizes of the channels are known, the axes behind them hold the same elements all the time (height and width may be one
/// axis in between), and nothing else reads what is in between.
///
/// # Preserves
/// The function, exactly.
///
/// # Source
/// Zhang et al. 2018, ShuffleNet, section 3.1.
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let Some((x, groups, channels)) = shuffled(rewrite, &node) else { continue };
        let each = channels / groups;
        let from = |c: usize| i64::try_from(c % groups * each + c / groups).unwrap_or(i64::MAX);
        let indices = rewrite
            .param(&format!("{}.channels", node.name), Tensor::ints((0..channels).map(from).collect()));
        rewrite.set(id, Gather { axis: 1 }, [x, indices]);
        found += 1;
    }
    Ok(found)
}

/// What the last of the three nodes gives is a shuffle of this value's channels, with the numbers of groups and channels.
fn shuffled(rewrite: &Rewrite, last: &Node) -> Option<(ValueId, usize, usize)> {
    let Op::Reshape(_) = last.op else { return None };
    let turn = rewrite.node(rewrite.only_producer(last.inputs[0])?);
    let Op::Transpose(transpose) = &turn.op else { return None };
    let first = rewrite.node(rewrite.only_producer(turn.inputs[0])?);
    let Op::Reshape(_) = first.op else { return None };
    let x = rewrite.input(first, 0)?;
    let (whole, parts) = (rewrite.shape(x)?, rewrite.shape(first.output())?);
    let order = transpose.axes(parts.rank()).ok()?;
    let swapped = order.iter().enumerate().all(|(i, &axis)| axis == [0, 2, 1].get(i).copied().unwrap_or(i));
    let (channels, groups, each) = (whole.get(1)?, parts.get(1)?, parts.get(2)?);
    let fits = swapped
        && parts.rank() >= 3
        && groups.checked_mul(each) == Some(channels)
        && (1..=MOST_CHANNELS).contains(&channels)
        && whole.dims()[0] == parts.dims()[0]
        && rest(whole, 2)? == rest(parts, 3)?
        && rewrite.same_shape(x, last.output());
    fits.then_some((x, groups, channels))
}

/// The elements of the axes from one on, if their sizes are known.
fn rest(shape: &Shape, from: usize) -> Option<usize> {
    shape.dims().get(from..)?.iter().try_fold(1usize, |n, dim| n.checked_mul(dim.size()?))
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Binary, Graph, GraphBuilder, Reshape, Transpose, Unary};
    use oculist_kernels::Context;
    use oculist_testing::formula;

    use super::*;
    use crate::simplify::simplify;

    /// A shuffle of 12 channels in front of a ReLU, its parts of these sizes and turned in this order; `read` lets another
    /// node read what is in between.
    fn shuffle(parts: &[i64], order: &[i64], read: bool) -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 12, 2, 3);
        let parts = b.param("parts", Tensor::ints(parts.to_vec()));
        let whole = b.param("whole", Tensor::ints(vec![0, 12, 2, 3]));
        let split = b.op("split", Reshape::COPYING, &[x, parts]);
        let y = b.op("turn", Transpose::new(order), &[split]);
        let y = b.op("join", Reshape::COPYING, &[y, whole]);
        let mut y = b.op("relu", Unary::Relu, &[y]);
        if read {
            let other = b.op("other", Unary::Neg, &[split]);
            let other = b.op("other.join", Reshape::COPYING, &[other, whole]);
            y = b.op("sum", Binary::Add, &[y, other]);
        }
        b.finish(y).unwrap()
    }

    fn run(graph: &Graph) -> Vec<f32> {
        let x = Tensor::f32(&[2, 12, 2, 3], formula::tensor("x", 144));
        oculist_plain::run(&Context::new(1).unwrap(), graph, vec![x]).unwrap()[0].to_f32s()
    }

    fn operators(graph: &Graph) -> Vec<&'static str> {
        graph.nodes().iter().map(|n| n.op.name()).collect()
    }

    #[test]
    fn shuffles_pick_channels() {
        let five = [0, 2, 1, 3, 4];
        for (parts, order) in [
            (&[0, 3, 4, 2, 3][..], &five[..]),
            (&[0, 2, 6, 2, 3], &five),
            (&[-1, 6, 2, 2, 3], &five),
            (&[0, 3, 4, 6], &[0, 2, 1, 3]),
        ] {
            let graph = shuffle(parts, order, false);
            let simple = simplify(&graph).unwrap().graph;
            assert_eq!(operators(&simple), ["Gather", "Relu"], "{parts:?}");
            assert_eq!(run(&simple), run(&graph), "{parts:?}");
        }
        // The other number of groups is another order.
        let (three, four) =
            (shuffle(&[0, 3, 4, 2, 3], &five, false), shuffle(&[0, 4, 3, 2, 3], &five, false));
        assert_ne!(run(&simplify(&three).unwrap().graph), run(&four));
    }

    #[test]
    fn what_is_no_shuffle_stays() {
        for (parts, order, read) in [
            (&[0, 3, 4, 2, 3][..], &[0, 2, 1, 4, 3][..], false),
            (&[0, 3, 4, 2, 3], &[0, 3, 1, 2, 4], false),
            (&[0, 3, 2, 4, 3], &[0, 2, 1, 3, 4], false),
            (&[0, 3, 4, 2, 3], &[0, 2, 1, 3, 4], true),
        ] {
            let graph = shuffle(parts, order, read);
            let simple = simplify(&graph).unwrap().graph;
            assert!(!operators(&simple).contains(&"Gather"), "{parts:?} {order:?} {read}");
            assert_eq!(run(&simple), run(&graph));
        }
    }
}
