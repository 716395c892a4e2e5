//! One row times a matrix: bound by the reading of the matrix, which lies in memory as it came.

use super::pack::load_part;
use crate::layout::LANES;
use crate::simd::Simd;

/// Rows of the matrix that are added at a time.
const ROWS: usize = 8;

/// `y = a * b` for columns `first..first + y.len()` of a `b` of `a.len()` rows.
///
/// Rows are read from left to right and the sums stay in the first-level cache, so that the memory is read in its order.
#[inline(always)]
pub(super) fn times_rows<S: Simd>(s: S, a: &[f32], b: &[f32], stride: usize, first: usize, y: &mut [f32]) {
    y.fill(0.0);
    let mut k = 0;
    while k < a.len() {
        let rows = (a.len() - k).min(ROWS);
        if rows == ROWS {
            add_rows::<S, ROWS>(s, &a[k..], &b[k * stride + first..], stride, y);
            k += ROWS;
        } else {
            add_rows::<S, 1>(s, &a[k..], &b[k * stride + first..], stride, y);
            k += 1;
        }
    }
}

#[inline(always)]
fn add_rows<S: Simd, const N: usize>(s: S, a: &[f32], b: &[f32], stride: usize, y: &mut [f32]) {
    let rows: [&[f32]; N] = std::array::from_fn(|i| &b[i * stride..][..y.len()]);
    let factors: [S::V; N] = std::array::from_fn(|i| s.splat(a[i]));
    let blocks: [&[[f32; LANES]]; N] = rows.map(|row| row.as_chunks::<LANES>().0);
    let (y, rest) = y.as_chunks_mut::<LANES>();
    let blocks = blocks.map(|b| &b[..y.len()]);
    for (j, y) in y.iter_mut().enumerate() {
        let mut sum = s.load(y);
        for i in 0..N {
            sum = s.mul_add(factors[i], s.load(&blocks[i][j]), sum);
        }
        s.store(sum, y);
    }
    let done = y.len() * LANES;
    for (j, y) in rest.iter_mut().enumerate() {
        for i in 0..N {
            *y += a[i] * rows[i][done + j];
        }
    }
}

/// `y[j] = sum over k of a[k] * b[(first + j) * stride + k]`: products with rows of a transposed matrix.
#[inline(always)]
pub(super) fn dot_rows<S: Simd>(s: S, a: &[f32], b: &[f32], stride: usize, first: usize, y: &mut [f32]) {
    let mut j = 0;
    while j < y.len() {
        if j + 4 <= y.len() {
            y[j..j + 4].copy_from_slice(&dots::<S, 4>(s, a, &b[(first + j) * stride..], stride));
            j += 4;
        } else {
            y[j..=j].copy_from_slice(&dots::<S, 1>(s, a, &b[(first + j) * stride..], stride));
            j += 1;
        }
    }
}

#[inline(always)]
fn dots<S: Simd, const N: usize>(s: S, a: &[f32], b: &[f32], stride: usize) -> [f32; N] {
    let rows: [&[f32]; N] = std::array::from_fn(|i| &b[i * stride..][..a.len()]);
    let (a, rest) = a.as_chunks::<LANES>();
    let blocks: [&[[f32; LANES]]; N] = rows.map(|row| &row.as_chunks::<LANES>().0[..a.len()]);
    let mut sums = [s.zero(); N];
    for (k, a) in a.iter().enumerate() {
        let a = s.load(a);
        for i in 0..N {
            sums[i] = s.mul_add(a, s.load(&blocks[i][k]), sums[i]);
        }
    }
    if !rest.is_empty() {
        let done = a.len() * LANES;
        let a = load_part(s, rest);
        for i in 0..N {
            sums[i] = s.mul_add(a, load_part(s, &rows[i][done..]), sums[i]);
        }
    }
    // The same sixteen parts for every N, added in order of halves.
    sums.map(|sum| {
        let mut lanes = s.to_array(sum);
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                lanes[i] += lanes[i + half];
            }
        }
        lanes[0]
    })
}
