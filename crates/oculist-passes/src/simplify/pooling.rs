//! Means over the map, and maps made flat.

use oculist_graph::{Flatten, GlobalPool, Op, ReduceKind};

use super::rewrite::Rewrite;
use crate::Result;

/// Means over height and width become `GlobalAveragePool`, reshapes and squeezes `Flatten`.
///
/// # What it does
/// `ReduceMean` (`ReduceMax`) over the axes behind the channels becomes `GlobalAveragePool` (`GlobalMaxPool`), followed by
/// `Flatten` where the axes are not kept. A `Reshape` or `Squeeze` from `[N, C, ...]` to `[N, C * ...]` becomes `Flatten`.
///
/// # Applies when
/// The value is a float map `[N, C, H, W]` whose axes are known.
///
/// # Preserves
/// The function, exactly.
pub(super) fn recognise(rewrite: &mut Rewrite) -> Result<usize> {
    let mut found = 0;
    for id in 0..rewrite.len() {
        let node = rewrite.node(id).clone();
        let Some(x) = rewrite.input(&node, 0) else { continue };
        let Some(shape) = rewrite.shape(x).cloned() else { continue };
        if let Op::Reduce(reduce) = &node.op {
            let pool = match reduce.kind {
                ReduceKind::Mean => GlobalPool::Average,
                ReduceKind::Max => GlobalPool::Max,
                _ => continue,
            };
            let axes = if node.inputs.len() > 1 { rewrite.ints(&node, 1) } else { Some(Vec::new()) };
            let mask = axes.and_then(|axes| reduce.mask(&axes, shape.rank()).ok());
            let over_map = mask.is_some_and(|m| m == [false, false, true, true]);
            if !over_map || !rewrite.graph().value(x).dtype.is_float() {
                continue;
            }
            if reduce.keepdims {
                rewrite.set(id, pool, [x]);
            } else {
                let pooled = rewrite.push(&format!("{}.pool", node.name), pool, [x]);
                rewrite.set(id, Flatten::IMAGES, [pooled]);
            }
            found += 1;
        } else if matches!(node.op, Op::Reshape(_) | Op::Squeeze(_)) && shape.rank() == 4 {
            let Some(to) = rewrite.shape(node.output()) else { continue };
            let rows = to.rank() == 2
                && to.dims()[0] == shape.dims()[0]
                && shape.dims()[0] != oculist_graph::Dim::Unknown
                && shape.chw().and_then(|(c, h, w)| c.checked_mul(h)?.checked_mul(w)) == to.get(1);
            if rows {
                rewrite.set(id, Flatten::IMAGES, [x]);
                found += 1;
            }
        }
    }
    Ok(found)
}
