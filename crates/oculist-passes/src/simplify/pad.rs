//! Padding in front of windows.

use oculist_graph::{AveragePool, Conv, Node, NodeId, Op, PadMode, Padding, Window};

use super::rewrite::Rewrite;
use crate::Result;

/// `Pad` with zeros in front of `Conv` and `AveragePool` becomes padding of theirs.
///
/// # What it does
/// Adds the amounts to the padding of the window.
///
/// # Applies when
/// The `Pad` adds zeros to spatial axes alone and nothing else reads it; the window has explicit padding. An average must
/// count padding, or have none of its own and then counts it.
///
/// # Preserves
/// The function, exactly.
pub(super) fn into_windows(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let window = match &node.op {
            Op::Conv(conv) => &conv.window,
            Op::AveragePool(pool) if !pool.ceil_mode => &pool.window,
            _ => continue,
        };
        let Some((pad, amounts)) = padding_before(rewrite, &node) else { continue };
        let Some(wider) = widened(window, &amounts) else { continue };
        let op: Op = match &node.op {
            Op::Conv(conv) => Conv { window: wider, groups: conv.groups }.into(),
            Op::AveragePool(pool) => {
                let padded = matches!(&pool.window.padding, Padding::Explicit(p) if p.iter().any(|&p| p > 0));
                let too_wide = matches!(&wider.padding, Padding::Explicit(p)
                    if p.iter().enumerate().any(|(i, &p)| p >= wider.reach(i % wider.rank())));
                if (padded && !pool.count_include_pad) || too_wide {
                    continue;
                }
                AveragePool { window: wider, ceil_mode: false, count_include_pad: true }.into()
            }
            _ => continue,
        };
        let mut inputs = node.inputs.slots().to_vec();
        inputs[0] = rewrite.input(rewrite.node(pad), 0);
        rewrite.set(id, op, inputs);
        found += 1;
    }
    Ok(found)
}

/// The `Pad` that alone feeds a node with zeros around its spatial axes, and the amounts of each axis.
fn padding_before(rewrite: &Rewrite, node: &Node) -> Option<(NodeId, Vec<(usize, usize)>)> {
    let id = rewrite.only_producer(node.inputs[0])?;
    let before = rewrite.node(id);
    let Op::Pad(pad) = &before.op else { return None };
    let zeros = before.inputs.get(2).is_none_or(|v| rewrite.scalar(v) == Some(0.0));
    if pad.mode != PadMode::Constant || !zeros {
        return None;
    }
    let amounts = pad.amounts(&rewrite.graph().given(before).ok()?).ok()??;
    let sizes: Vec<(usize, usize)> = amounts
        .into_iter()
        .map(|(a, b)| Some((usize::try_from(a).ok()?, usize::try_from(b).ok()?)))
        .collect::<Option<_>>()?;
    (sizes.len() > 2 && sizes[..2].iter().all(|&s| s == (0, 0))).then_some((id, sizes))
}

fn widened(window: &Window, amounts: &[(usize, usize)]) -> Option<Window> {
    let rank = window.rank();
    let mut padding = match &window.padding {
        Padding::Explicit(p) => p.clone(),
        Padding::Valid => vec![0; 2 * rank],
        Padding::SameUpper | Padding::SameLower => return None,
    };
    for (axis, (before, behind)) in amounts[2..].iter().enumerate() {
        padding[axis] = padding[axis].checked_add(*before)?;
        padding[axis + rank] = padding[axis + rank].checked_add(*behind)?;
    }
    Some(Window { padding: Padding::Explicit(padding), ..window.clone() })
}
