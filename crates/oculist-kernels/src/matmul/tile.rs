//! The micro-kernel: a register tile of rows by blocks of sixteen columns, and the block of tiles that a task runs.

use crate::layout::LANES;
use crate::simd::Simd;

/// How far ahead of their use packed columns are prefetched, in f32: 1 KiB.
const AHEAD: usize = 256;

/// Rows by panels of sixteen columns, over one part of the depth.
///
/// With `alpha` and the first part: `c = alpha * a b + residual`; with a later part `c += alpha * a b`; behind the last
/// part the bias is added and the result clamped to `range`.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// Row-major, `a_stride` f32 a row.
    pub(crate) a: *const f32,
    pub(crate) a_stride: usize,
    /// Rows to compute.
    pub(crate) rows: usize,
    /// Element `(k, column)` of panel `p` lies at `p * b_panel + k * b_step + column`; all sixteen columns are readable.
    pub(crate) b: *const f32,
    pub(crate) b_step: usize,
    pub(crate) b_panel: usize,
    /// Products of each sum.
    pub(crate) depth: usize,
    /// Columns to compute; the last panel may have fewer than sixteen.
    pub(crate) columns: usize,
    /// Row-major, `c_stride` f32 a row.
    pub(crate) c: *mut f32,
    pub(crate) c_stride: usize,
    /// Added with the first part, laid out as `c`, and possibly `c` itself.
    pub(crate) residual: Option<*const f32>,
    /// One value a column, added with the last part.
    pub(crate) bias: Option<*const f32>,
    pub(crate) alpha: f32,
    pub(crate) range: Option<[f32; 2]>,
    pub(crate) first: bool,
    pub(crate) last: bool,
}

impl Block {
    /// Computes all tiles.
    ///
    /// # Safety
    /// The memory has the extents that the fields say, and nothing else touches this part of `c`.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(&self, s: S) {
        let mut column = 0;
        while column < self.columns {
            let left = self.columns - column;
            // SAFETY: the caller's promise; a tile of `NB` blocks starts only where as many panels are left.
            column += unsafe {
                if S::ROWS_2 > 0 && left > LANES {
                    self.column_of_tiles::<S, 2>(s, column)
                } else if self.rows == 1 && left > 3 * LANES {
                    self.tile::<S, 1, 4>(s, 0, column);
                    4 * LANES
                } else if self.rows <= 3 && left > LANES {
                    match self.rows {
                        1 => self.tile::<S, 1, 2>(s, 0, column),
                        2 => self.tile::<S, 2, 2>(s, 0, column),
                        _ => self.tile::<S, 3, 2>(s, 0, column),
                    };
                    2 * LANES
                } else {
                    self.column_of_tiles::<S, 1>(s, column)
                }
            };
        }
    }

    /// All rows of `NB` blocks; returns the number of columns.
    #[inline(always)]
    unsafe fn column_of_tiles<S: Simd, const NB: usize>(&self, s: S, column: usize) -> usize {
        let mut row = 0;
        while row < self.rows {
            let left = self.rows - row;
            // SAFETY: the caller's promise; a tile has at most the rows that are left.
            row += unsafe {
                if S::ROWS_1 >= 14 {
                    match left {
                        1 => self.tile::<S, 1, NB>(s, row, column),
                        2..=3 => self.tile::<S, 2, NB>(s, row, column),
                        4..=7 => self.tile::<S, 4, NB>(s, row, column),
                        8..=13 => self.tile::<S, 8, NB>(s, row, column),
                        _ => self.tile::<S, 14, NB>(s, row, column),
                    }
                } else if S::ROWS_1 >= 6 {
                    match left {
                        1 => self.tile::<S, 1, NB>(s, row, column),
                        2 => self.tile::<S, 2, NB>(s, row, column),
                        3 => self.tile::<S, 3, NB>(s, row, column),
                        4 => self.tile::<S, 4, NB>(s, row, column),
                        5 => self.tile::<S, 5, NB>(s, row, column),
                        _ => self.tile::<S, 6, NB>(s, row, column),
                    }
                } else {
                    match left {
                        1 => self.tile::<S, 1, NB>(s, row, column),
                        _ => self.tile::<S, 2, NB>(s, row, column),
                    }
                }
            };
        }
        NB * LANES
    }

    /// `MR` rows by `NB` blocks; returns `MR`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        row: usize,
        column: usize,
    ) -> usize {
        let mut acc = [[s.zero(); NB]; MR];
        // SAFETY: the caller's promise: `MR` rows of `depth` products, `NB` panels, at least one valid column in each.
        unsafe {
            let a = self.a.add(row * self.a_stride);
            let mut b = self.b.add(column / LANES * self.b_panel);
            let rows: [*const f32; MR] = std::array::from_fn(|r| a.wrapping_add(r * self.a_stride));
            for k in 0..self.depth {
                let mut blocks = [s.zero(); NB];
                for n in 0..NB {
                    let b = b.wrapping_add(n * self.b_panel);
                    s.prefetch(b.wrapping_add(AHEAD));
                    blocks[n] = s.load_ptr(b);
                }
                for r in 0..MR {
                    let a = s.splat(*rows[r].add(k));
                    for n in 0..NB {
                        acc[r][n] = s.mul_add(a, blocks[n], acc[r][n]);
                    }
                }
                b = b.wrapping_add(self.b_step);
            }
            let c = self.c.add(row * self.c_stride + column);
            let added = match (self.first, self.residual) {
                (false, _) => Some(c.cast_const()),
                (true, Some(residual)) => Some(residual.add(row * self.c_stride + column)),
                (true, None) => None,
            };
            let bias = if self.last { self.bias.map(|bias| bias.add(column)) } else { None };
            let range = if self.last { self.range } else { None };
            if column + NB * LANES <= self.columns {
                self.finish(s, acc, c, added, bias, range);
            } else {
                let valid = self.columns - column;
                self.finish_part(s, acc, c, added, bias, range, valid);
            }
        }
        MR
    }

    /// Writes a full tile.
    #[inline(always)]
    unsafe fn finish<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        mut z: [[S::V; NB]; MR],
        c: *mut f32,
        added: Option<*const f32>,
        bias: Option<*const f32>,
        range: Option<[f32; 2]>,
    ) {
        if self.alpha != 1.0 {
            let alpha = s.splat(self.alpha);
            for z in z.as_flattened_mut() {
                *z = s.mul(*z, alpha);
            }
        }
        // SAFETY: the whole tile lies inside of `c`, what is added is laid out alike, and the bias has all its columns.
        unsafe {
            if let Some(added) = added {
                for r in 0..MR {
                    for n in 0..NB {
                        z[r][n] = s.add(z[r][n], s.load_ptr(added.add(r * self.c_stride + n * LANES)));
                    }
                }
            }
            if let Some(bias) = bias {
                for n in 0..NB {
                    let bias = s.load_ptr(bias.add(n * LANES));
                    for r in 0..MR {
                        z[r][n] = s.add(z[r][n], bias);
                    }
                }
            }
            if let Some([low, high]) = range {
                let (low, high) = (s.splat(low), s.splat(high));
                for z in z.as_flattened_mut() {
                    // In this order a NaN stays one.
                    *z = s.min(high, s.max(low, *z));
                }
            }
            for r in 0..MR {
                for n in 0..NB {
                    s.store_ptr(c.add(r * self.c_stride + n * LANES), z[r][n]);
                }
            }
        }
    }

    /// Writes the first `valid` columns of a tile, one by one.
    #[inline(always)]
    unsafe fn finish_part<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        z: [[S::V; NB]; MR],
        c: *mut f32,
        added: Option<*const f32>,
        bias: Option<*const f32>,
        range: Option<[f32; 2]>,
        valid: usize,
    ) {
        let mut spilled = [[[0.0f32; LANES]; NB]; MR];
        for r in 0..MR {
            for n in 0..NB {
                s.store(z[r][n], &mut spilled[r][n]);
            }
        }
        let [low, high] = range.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        for (r, row) in spilled.iter().enumerate() {
            for (i, z) in row.as_flattened()[..valid].iter().enumerate() {
                let mut z = z * self.alpha;
                // SAFETY: the first `valid` columns lie inside of `c` and of what is laid out alike.
                unsafe {
                    if let Some(added) = added {
                        z += *added.add(r * self.c_stride + i);
                    }
                    if let Some(bias) = bias {
                        z += *bias.add(i);
                    }
                    if z < low {
                        z = low;
                    }
                    if z > high {
                        z = high;
                    }
                    *c.add(r * self.c_stride + i) = z;
                }
            }
        }
    }
}
