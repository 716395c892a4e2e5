//! Elements moved from one tensor to another by position, whatever their type.

use half::{bf16, f16};
use oculist_graph::TensorData;
use oculist_kernels::Context;

/// Computes a vector of the elements' own type, and wraps it as data of the same type.
macro_rules! same_type {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            oculist_graph::TensorData::F32($v) => oculist_graph::TensorData::F32($body),
            oculist_graph::TensorData::F64($v) => oculist_graph::TensorData::F64($body),
            oculist_graph::TensorData::F16($v) => oculist_graph::TensorData::F16($body),
            oculist_graph::TensorData::BF16($v) => oculist_graph::TensorData::BF16($body),
            oculist_graph::TensorData::U8($v) => oculist_graph::TensorData::U8($body),
            oculist_graph::TensorData::I8($v) => oculist_graph::TensorData::I8($body),
            oculist_graph::TensorData::U16($v) => oculist_graph::TensorData::U16($body),
            oculist_graph::TensorData::I16($v) => oculist_graph::TensorData::I16($body),
            oculist_graph::TensorData::U32($v) => oculist_graph::TensorData::U32($body),
            oculist_graph::TensorData::I32($v) => oculist_graph::TensorData::I32($body),
            oculist_graph::TensorData::U64($v) => oculist_graph::TensorData::U64($body),
            oculist_graph::TensorData::I64($v) => oculist_graph::TensorData::I64($body),
            oculist_graph::TensorData::U4($v) => oculist_graph::TensorData::U4($body),
            oculist_graph::TensorData::I4($v) => oculist_graph::TensorData::I4($body),
            oculist_graph::TensorData::Bool($v) => oculist_graph::TensorData::Bool($body),
        }
    };
}
pub(crate) use same_type;

/// An element of a tensor.
pub(crate) trait Element: Copy + Default + Send + Sync + 'static {
    /// The elements of data that hold this type.
    fn of(data: &TensorData) -> Option<&[Self]>;
}

macro_rules! element {
    ($($type:ty: $($variant:ident)|+;)*) => {
        $(impl Element for $type {
            fn of(data: &TensorData) -> Option<&[Self]> {
                if let $(TensorData::$variant(v))|+ = data { Some(v) } else { None }
            }
        })*
    };
}

element! {
    f32: F32; f64: F64; f16: F16; bf16: BF16; u8: U8 | U4; i8: I8 | I4; u16: U16; i16: I16;
    u32: U32; i32: I32; u64: U64; i64: I64; bool: Bool;
}

/// The position of an element that is not read from the source but filled in.
pub(crate) const FILL: usize = usize::MAX;

/// Where the indices of one axis of the result stand in the source: the positions of all axes are added.
#[derive(Debug, Clone)]
pub(crate) enum Along {
    /// `start + i * step` for `i` below `count`.
    Steps { start: usize, step: isize, count: usize },
    /// One position for each index; [`FILL`] where there is none.
    Listed(Vec<usize>),
}

impl Along {
    /// All indices of an axis of this size and stride.
    pub(crate) fn all(size: usize, stride: usize) -> Self {
        Self::Steps { start: 0, step: stride as isize, count: size }
    }

    fn len(&self) -> usize {
        match self {
            Self::Steps { count, .. } => *count,
            Self::Listed(list) => list.len(),
        }
    }

    fn at(&self, i: usize) -> usize {
        match self {
            Self::Steps { start, step, .. } => start.wrapping_add_signed(step.wrapping_mul(i as isize)),
            Self::Listed(list) => list[i],
        }
    }
}

/// The sum of the positions of two axes.
fn join(outer: usize, inner: usize) -> usize {
    if outer == FILL || inner == FILL { FILL } else { outer + inner }
}

/// Number of elements of these sizes.
pub(crate) fn count(sizes: &[usize]) -> usize {
    if sizes.contains(&0) { 0 } else { sizes.iter().fold(1, |n: usize, &d| n.saturating_mul(d)) }
}

/// Elements between neighbours along each axis.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for a in (1..shape.len()).rev() {
        strides[a - 1] = strides[a].saturating_mul(shape[a]);
    }
    strides
}

/// Two neighbouring axes as one, if that costs no long list.
fn merge(outer: &Along, inner: &Along) -> Option<Along> {
    /// Rows of this length are long enough.
    const ENOUGH: usize = 256;
    /// The longest list.
    const LONGEST: usize = 1 << 14;
    match (outer, inner) {
        (&Along::Steps { start: a, step: far, count: n }, &Along::Steps { start: b, step, count })
            if Some(far) == step.checked_mul(count as isize) =>
        {
            Some(Along::Steps { start: a + b, step, count: n * count })
        }
        _ if inner.len() < ENOUGH && outer.len().saturating_mul(inner.len()) <= LONGEST => {
            let inner: Vec<usize> = (0..inner.len()).map(|i| inner.at(i)).collect();
            let all = (0..outer.len()).flat_map(|o| {
                let base = outer.at(o);
                inner.iter().map(move |&i| join(base, i))
            });
            Some(Along::Listed(all.collect()))
        }
        _ => None,
    }
}

/// Pieces of the innermost axis that stand next to each other in the source: index, position, length.
fn runs(inner: &Along) -> Option<Vec<(usize, usize, usize)>> {
    let list = match inner {
        &Along::Steps { start, step: 1, count } => return Some(vec![(0, start, count)]),
        Along::Steps { .. } => return None,
        Along::Listed(list) => list,
    };
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for (i, &position) in list.iter().enumerate() {
        match runs.last_mut() {
            Some((_, start, len)) if *start != FILL && position != FILL && *start + *len == position => {
                *len += 1;
            }
            Some((_, FILL, len)) if position == FILL => *len += 1,
            _ => runs.push((i, position, 1)),
        }
    }
    // Short pieces are faster one by one.
    (list.len() >= 4 * runs.len()).then_some(runs)
}

/// The elements that the axes of the result name, row-major. The caller has made sure that there is room for them and
/// that every position lies in the source.
pub(crate) fn moved(
    ctx: &Context,
    data: &TensorData,
    axes: Vec<Along>,
    fill: Option<&TensorData>,
) -> TensorData {
    let len = count(&axes.iter().map(Along::len).collect::<Vec<_>>());
    if len == 0 {
        return TensorData::zeros(data.dtype(), 0);
    }
    let mut merged: Vec<Along> = Vec::with_capacity(axes.len());
    for axis in axes.into_iter().rev() {
        if axis.len() == 1 && axis.at(0) == 0 {
            continue;
        }
        match merged.last().and_then(|inner| merge(&axis, inner)) {
            Some(both) => *merged.last_mut().unwrap_or_else(|| unreachable!("it was merged")) = both,
            None => merged.push(axis),
        }
    }
    let inner = if merged.is_empty() { Along::all(1, 1) } else { merged.remove(0) };
    let outer: Vec<Along> = merged;
    let runs = runs(&inner);
    same_type!(data, v => {
        let fill = fill.and_then(Element::of).and_then(|f| f.first()).copied().unwrap_or_default();
        copy(ctx, v, len, &outer, &inner, runs.as_deref(), fill)
    })
}

/// Fills pieces of the result; the axes in `outer` are listed from the inside out.
fn copy<T: Element>(
    ctx: &Context,
    v: &[T],
    len: usize,
    outer: &[Along],
    inner: &Along,
    runs: Option<&[(usize, usize, usize)]>,
    fill: T,
) -> Vec<T> {
    const PIECE: usize = 1 << 14;
    let width = inner.len();
    if let (&Along::Steps { start, step, .. }, Some(Along::Steps { step: 1, .. })) = (inner, outer.first())
        && step != 1
    {
        return transposed(ctx, v, len, outer, (start, step, width), fill);
    }
    let mut out = vec![T::default(); len];
    ctx.for_pieces(&mut out, PIECE, |piece, mut y| {
        let mut row = piece * PIECE / width;
        let mut column = piece * PIECE % width;
        while !y.is_empty() {
            let n = (width - column).min(y.len());
            let (now, rest) = y.split_at_mut(n);
            let base = base(outer, row);
            match (runs, inner) {
                _ if base == FILL => now.fill(fill),
                (Some(runs), _) => {
                    let first = runs.partition_point(|r| r.0 + r.2 <= column);
                    for &(at, start, count) in &runs[first..] {
                        if at >= column + n {
                            break;
                        }
                        let (from, to) = (at.max(column), (at + count).min(column + n));
                        let target = &mut now[from - column..to - column];
                        if start == FILL {
                            target.fill(fill);
                        } else {
                            let first = base + start + (from - at);
                            target.copy_from_slice(&v[first..first + (to - from)]);
                        }
                    }
                }
                (None, &Along::Steps { start, step, .. }) => {
                    let mut position = (base + start).wrapping_add_signed(step.wrapping_mul(column as isize));
                    for y in now {
                        *y = v[position];
                        position = position.wrapping_add_signed(step);
                    }
                }
                (None, Along::Listed(list)) => {
                    for (y, &i) in now.iter_mut().zip(&list[column..]) {
                        *y = if i == FILL { fill } else { v[base + i] };
                    }
                }
            }
            y = rest;
            row += 1;
            column = 0;
        }
    });
    out
}

/// The sum of the positions of the axes, listed from the inside out, at a row.
fn base(outer: &[Along], row: usize) -> usize {
    let mut index = row;
    let mut base = 0;
    for axis in outer {
        base = join(base, axis.at(index % axis.len()));
        index /= axis.len();
    }
    base
}

/// Rows whose neighbours are neighbours in the source while their elements are not: blocks are read along the one and
/// written along the other, so that both stay in the cache.
fn transposed<T: Element>(
    ctx: &Context,
    v: &[T],
    len: usize,
    outer: &[Along],
    (start, step, width): (usize, isize, usize),
    fill: T,
) -> Vec<T> {
    // Many rows at a time: each column of them lies in a page of its own.
    const ROWS: usize = 64;
    const COLUMNS: usize = 16;
    let near = outer.first().map_or(1, Along::len);
    let together = ((1 << 14) / (width * ROWS)).max(1) * ROWS;
    let mut out = vec![T::default(); len];
    ctx.for_pieces(&mut out, together * width, |piece, mut y| {
        let mut row = piece * together;
        // Lines far apart may share a place in the cache; this one is read and written there.
        let mut block = [[T::default(); ROWS]; COLUMNS];
        while !y.is_empty() {
            let n = ROWS.min(y.len() / width).min(near - row % near);
            let (now, rest) = y.split_at_mut(n * width);
            let base = base(outer, row);
            if base == FILL {
                now.fill(fill);
            } else {
                for first in (0..width).step_by(COLUMNS) {
                    let columns = COLUMNS.min(width - first);
                    for (c, column) in block.iter_mut().enumerate().take(columns) {
                        let at = (base + start).wrapping_add_signed(step.wrapping_mul((first + c) as isize));
                        column[..n].copy_from_slice(&v[at..at + n]);
                    }
                    for (r, y) in now.chunks_exact_mut(width).enumerate() {
                        for (y, column) in y[first..first + columns].iter_mut().zip(&block) {
                            *y = column[r];
                        }
                    }
                }
            }
            y = rest;
            row += n;
        }
    });
    out
}

/// Parts that stand one behind the other in every row of the result: `rows` rows of `widths[i]` elements of each part.
/// All parts have the type of the first.
pub(crate) fn joined(ctx: &Context, parts: &[&TensorData], widths: &[usize], rows: usize) -> TensorData {
    fn all<T: Element>(ctx: &Context, parts: &[&[T]], widths: &[usize], rows: usize) -> Vec<T> {
        let width = widths.iter().fold(0usize, |sum, &w| sum.saturating_add(w));
        if rows == 0 || width == 0 {
            return Vec::new();
        }
        let mut out = vec![T::default(); rows * width];
        let together = ((1 << 14) / width).max(1);
        ctx.for_pieces(&mut out, together * width, |piece, y| {
            for (r, y) in y.chunks_exact_mut(width).enumerate() {
                let row = piece * together + r;
                let mut y = y;
                for (part, &width) in parts.iter().zip(widths) {
                    let (now, rest) = y.split_at_mut(width);
                    now.copy_from_slice(&part[row * width..][..width]);
                    y = rest;
                }
            }
        });
        out
    }
    let Some(first) = parts.first() else { return TensorData::F32(Vec::new()) };
    same_type!(first, v => {
        // The type of the first part is that of all.
        let mut slices = vec![&v[..]];
        slices.clear();
        slices.extend(parts.iter().filter_map(|part| Element::of(part)));
        all(ctx, &slices, widths, rows)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_may_step_list_and_fill() {
        let ctx = Context::new(2).unwrap();
        let data = TensorData::I32((0..6).collect());
        // The columns of [2, 3] as rows, backwards.
        let axes = vec![Along::Steps { start: 2, step: -1, count: 3 }, Along::all(2, 3)];
        assert_eq!(moved(&ctx, &data, axes, None), TensorData::I32(vec![2, 5, 1, 4, 0, 3]));
        let axes = vec![Along::Listed(vec![3, FILL]), Along::Listed(vec![FILL, 0, 1])];
        let fill = TensorData::I32(vec![9]);
        assert_eq!(moved(&ctx, &data, axes, Some(&fill)), TensorData::I32(vec![9, 3, 4, 9, 9, 9]));
        assert_eq!(moved(&ctx, &data, Vec::new(), None), TensorData::I32(vec![0]));
    }

    #[test]
    fn long_axes_are_cut_into_pieces() {
        let ctx = Context::new(2).unwrap();
        let (rows, columns) = (300usize, 700usize);
        let data = TensorData::U32((0..(rows * columns) as u32).collect());
        let TensorData::U32(y) =
            moved(&ctx, &data, vec![Along::all(columns, 1), Along::all(rows, columns)], None)
        else {
            panic!("the type changed")
        };
        let expected = (0..columns).flat_map(|c| (0..rows).map(move |r| (r * columns + c) as u32));
        assert!(y.into_iter().eq(expected));
        let data = TensorData::Bool(vec![true; 40_000]);
        let TensorData::Bool(y) =
            moved(&ctx, &data, vec![Along::Steps { start: 39_999, step: -1, count: 40_000 }], None)
        else {
            panic!("the type changed")
        };
        assert!(y.len() == 40_000 && y.iter().all(|&y| y));
    }

    #[test]
    fn parts_are_joined_row_by_row() {
        let ctx = Context::new(1).unwrap();
        let (a, b) = (TensorData::U8(vec![1, 2]), TensorData::U8(vec![3, 4, 5, 6]));
        assert_eq!(joined(&ctx, &[&a, &b], &[1, 2], 2), TensorData::U8(vec![1, 3, 4, 2, 5, 6]));
    }
}
