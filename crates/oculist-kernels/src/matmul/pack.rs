//! Panels of sixteen columns, and rows that lie close together.

use crate::layout::LANES;
use crate::simd::Simd;

/// Panels that are packed at once.
const TOGETHER: usize = 8;

/// Writes columns `first..first + columns` of `b` as panels `[columns / 16][depth][16]`; lanes without a column are 0.
///
/// `b` is `[depth, ..]` with `stride` f32 a row, or `[.., depth]` where it is transposed.
#[inline(always)]
pub(crate) fn pack_columns<S: Simd>(
    s: S,
    b: &[f32],
    stride: usize,
    transposed: bool,
    depth: usize,
    first: usize,
    columns: usize,
    panels: &mut [f32],
) {
    if depth == 0 {
        return;
    }
    // Several panels at once, so that the rows are read in longer stretches.
    let whole = if transposed { 0 } else { columns / (TOGETHER * LANES) * TOGETHER };
    for (g, group) in panels[..whole * depth * LANES].chunks_exact_mut(TOGETHER * depth * LANES).enumerate() {
        let (group, _) = group.as_chunks_mut::<LANES>();
        for k in 0..depth {
            let row = &b[k * stride + first + g * TOGETHER * LANES..][..TOGETHER * LANES];
            for (p, from) in row.as_chunks::<LANES>().0.iter().enumerate() {
                s.store(s.load(from), &mut group[p * depth + k]);
            }
        }
    }
    for (p, panel) in panels.chunks_exact_mut(depth * LANES).enumerate().skip(whole) {
        let column = first + p * LANES;
        let valid = (first + columns).saturating_sub(column).min(LANES);
        let (panel, _) = panel.as_chunks_mut::<LANES>();
        if transposed {
            transpose_rows(s, b, stride, column, valid, 0, panel);
        } else if valid == LANES {
            for (k, to) in panel.iter_mut().enumerate() {
                let at = k * stride + column;
                if let Some(from) = b[at..].first_chunk::<LANES>() {
                    s.store(s.load(from), to);
                }
            }
        } else {
            for (k, to) in panel.iter_mut().enumerate() {
                *to = [0.0; LANES];
                to[..valid].copy_from_slice(&b[k * stride + column..][..valid]);
            }
        }
    }
}

/// `to[k][lane] = x[(first + lane) * stride + from + k]` for `lane < valid`, 0 in the other lanes.
#[inline(always)]
fn transpose_rows<S: Simd>(
    s: S,
    x: &[f32],
    stride: usize,
    first: usize,
    valid: usize,
    from: usize,
    to: &mut [[f32; LANES]],
) {
    let depth = to.len();
    let mut k = 0;
    while k + LANES <= depth {
        let mut rows = [s.zero(); LANES];
        for lane in 0..valid {
            if let Some(block) = x[(first + lane) * stride + from + k..].first_chunk::<LANES>() {
                rows[lane] = s.load(block);
            }
        }
        let columns = s.transpose(rows);
        for (to, column) in to[k..].iter_mut().zip(columns) {
            s.store(column, to);
        }
        k += LANES;
    }
    for (k, to) in to.iter_mut().enumerate().skip(k) {
        for (lane, to) in to.iter_mut().enumerate() {
            *to = if lane < valid { x[(first + lane) * stride + from + k] } else { 0.0 };
        }
    }
}

/// `to[row][k] = a[(from + k) * stride + first + row]`: part of a transposed matrix with its rows in order, `to_stride`
/// f32 a row.
#[inline(always)]
pub(crate) fn untranspose<S: Simd>(
    s: S,
    a: &[f32],
    stride: usize,
    (first, rows): (usize, usize),
    (from, depth): (usize, usize),
    to: &mut [f32],
    to_stride: usize,
) {
    // Along the stored rows, so that they are read in order.
    let mut k = 0;
    while k < depth {
        let deep = (depth - k).min(LANES);
        let mut row = 0;
        while row < rows {
            let valid = (rows - row).min(LANES);
            let mut lines = [s.zero(); LANES];
            for (i, line) in lines.iter_mut().enumerate().take(deep) {
                let at = (from + k + i) * stride + first + row;
                *line = load_part(s, &a[at..][..valid]);
            }
            let columns = s.transpose(lines);
            for (r, column) in columns.into_iter().enumerate().take(valid) {
                let to = &mut to[(row + r) * to_stride + k..][..deep];
                if let Some(to) = to.first_chunk_mut::<LANES>() {
                    s.store(column, to);
                } else {
                    to.copy_from_slice(&s.to_array(column)[..deep]);
                }
            }
            row += LANES;
        }
        k += LANES;
    }
}

/// `to[row][k] = a[(first + row) * stride + from + k]`: a copy of rows, `to_stride` f32 a row.
#[inline(always)]
pub(crate) fn copy_rows<S: Simd>(
    s: S,
    a: &[f32],
    stride: usize,
    (first, rows): (usize, usize),
    (from, depth): (usize, usize),
    to: &mut [f32],
    to_stride: usize,
) {
    for row in 0..rows {
        let from = &a[(first + row) * stride + from..][..depth];
        let (from, rest) = from.as_chunks::<LANES>();
        let (to, to_rest) = to[row * to_stride..][..depth].as_chunks_mut::<LANES>();
        for (to, from) in to.iter_mut().zip(from) {
            s.store(s.load(from), to);
        }
        to_rest.copy_from_slice(rest);
    }
}

/// Up to sixteen f32, followed by zeros.
#[inline(always)]
pub(crate) fn load_part<S: Simd>(s: S, x: &[f32]) -> S::V {
    if let Some(block) = x.first_chunk::<LANES>() {
        s.load(block)
    } else {
        let mut block = [0.0; LANES];
        block[..x.len()].copy_from_slice(x);
        s.load(&block)
    }
}
