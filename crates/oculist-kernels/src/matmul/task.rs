//! The part of a product that one worker computes.

use super::pack::{copy_rows, load_part, pack_columns, untranspose};
use super::tile::Block;
use super::vector::{dot_rows, times_rows};
use super::{Added, Matmul, MatmulEpilogue, Right, UNPACKED_ROWS, copies_rows, part, rows_stride};
use crate::activation::Activation;
use crate::function::{Function, apply_in_place};
use crate::layout::LANES;
use crate::simd::{Kernel, Simd};

/// Some rows and columns of one product.
pub(super) struct Task<'a> {
    pub(super) shape: &'a Matmul,
    /// From the start of the matrix on.
    pub(super) a: &'a [f32],
    /// From the start of the matrix on.
    pub(super) b: Right<'a>,
    /// The start of the matrix; no other task touches the rows and columns of this one.
    pub(super) c: *mut f32,
    /// From the start of `c` on.
    pub(super) added: Added<'a>,
    pub(super) epilogue: &'a MatmulEpilogue<'a>,
    /// First and number.
    pub(super) rows: (usize, usize),
    /// First, a multiple of sixteen, and number.
    pub(super) columns: (usize, usize),
    /// For the packed columns.
    pub(super) panels: &'a mut [f32],
    /// Whether they hold these columns already.
    pub(super) is_packed: bool,
    /// For rows of an `A` that is transposed or copied.
    pub(super) row_scratch: &'a mut [f32],
}

/// The bounds of a function that clamps, and what is left to apply where it does not.
fn clamp(function: Function) -> (Option<[f32; 2]>, Option<Function>) {
    match function {
        Function::Activation(Activation::Identity) => (None, None),
        Function::Activation(Activation::Relu) => (Some([0.0, f32::INFINITY]), None),
        Function::Activation(Activation::Clip { min, max }) => (Some([min, max]), None),
        other => (None, Some(other)),
    }
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Matmul { m, k, a_stride, b_stride, c_stride, a_transposed, b_transposed, .. } = *self.shape;
        let ((row, rows), (column, columns)) = (self.rows, self.columns);
        if let (1, false, Right::Plain(b)) = (m, a_transposed, self.b) {
            self.one_row(s, b);
            return;
        }
        let panels_len = columns.div_ceil(LANES) * k * LANES;
        // Where the panels start, the steps from one k and from one panel to the next, the columns that are read there,
        // and where the panel of the others starts.
        let (b, b_step, b_panel, direct, tail) = match self.b {
            Right::Packed(packed) => {
                let panels = packed.panels_from(column)[..panels_len].as_ptr();
                (panels, LANES, k * LANES, columns, panels)
            }
            Right::Plain(b) if m <= UNPACKED_ROWS && !b_transposed && k > 0 => {
                // The last panel is packed where a block of it would leave its row.
                let direct = columns / LANES * LANES;
                let panel = &mut self.panels[..if direct < columns { k * LANES } else { 0 }];
                pack_columns(s, b, b_stride, false, k, column + direct, columns - direct, panel);
                (b[column..].as_ptr(), b_stride, LANES, direct, panel.as_ptr())
            }
            Right::Plain(b) => {
                let panels = &mut self.panels[..panels_len];
                if !self.is_packed {
                    pack_columns(s, b, b_stride, b_transposed, k, column, columns, panels);
                }
                (panels.as_ptr(), LANES, k * LANES, columns, panels.as_ptr())
            }
        };
        let (range, function) = clamp(self.epilogue.function);
        let depth = part(k);
        let mut from = 0;
        loop {
            let depth = depth.min(k - from);
            let (a, a_stride) = if a_transposed {
                let stride = rows_stride(k);
                untranspose(s, self.a, a_stride, (row, rows), (from, depth), self.row_scratch, stride);
                (self.row_scratch.as_ptr(), stride)
            } else if copies_rows(self.shape) && depth > 0 {
                let stride = rows_stride(k);
                copy_rows(s, self.a, a_stride, (row, rows), (from, depth), self.row_scratch, stride);
                (self.row_scratch.as_ptr(), stride)
            } else if depth == 0 {
                (self.a.as_ptr(), a_stride)
            } else {
                (self.a[row * a_stride + from..].as_ptr(), a_stride)
            };
            let at = row * c_stride + column;
            // SAFETY: the lengths of all slices were checked by the plan, and the packed columns have `k` rows each. The
            // tile kernel reads `rows` rows of `depth` f32 of `a`, whole blocks of packed columns, or of `direct` columns
            // of `b` where it lies; it writes the rows and columns of this task.
            unsafe {
                let block = Block {
                    a,
                    a_stride,
                    rows,
                    b: b.wrapping_add(from * b_step),
                    b_step,
                    b_panel,
                    depth,
                    columns: direct,
                    c: self.c.add(at),
                    c_stride,
                    residual: match self.added {
                        Added::Nothing => None,
                        Added::Output => Some(self.c.add(at).cast_const()),
                        Added::Slice(added) => Some(added.as_ptr().add(at)),
                    },
                    bias: self.epilogue.bias.map(|bias| bias[column..].as_ptr()),
                    alpha: self.epilogue.alpha,
                    range,
                    first: from == 0,
                    last: from + depth == k,
                };
                block.run(s);
                if direct < columns {
                    let rest = Block {
                        b: tail.wrapping_add(from * LANES),
                        b_step: LANES,
                        b_panel: 0,
                        columns: columns - direct,
                        c: block.c.add(direct),
                        residual: block.residual.map(|r| r.add(direct)),
                        bias: block.bias.map(|b| b.add(direct)),
                        ..block
                    };
                    rest.run(s);
                }
            }
            from += depth;
            if from == k {
                break;
            }
        }
        if let Some(function) = function {
            for r in row..row + rows {
                // SAFETY: these are rows and columns of this task, and the plan checked that `c` holds them.
                let c = unsafe { std::slice::from_raw_parts_mut(self.c.add(r * c_stride + column), columns) };
                apply_in_place(s, function, c);
            }
        }
    }
}

impl Task<'_> {
    /// The products of one row with a matrix as it lies.
    #[inline(always)]
    fn one_row<S: Simd>(&self, s: S, b: &[f32]) {
        const PIECE: usize = 1024;
        let Matmul { k, b_stride, b_transposed, .. } = *self.shape;
        let (first, columns) = self.columns;
        // SAFETY: these columns belong to this task, and the plan checked that `c` holds them.
        let c = unsafe { std::slice::from_raw_parts_mut(self.c.add(first), columns) };
        let mut sums = [0.0f32; PIECE];
        for (i, c) in c.chunks_mut(PIECE).enumerate() {
            let column = first + i * PIECE;
            let sums = &mut sums[..c.len()];
            if k == 0 {
                sums.fill(0.0);
            } else if b_transposed {
                dot_rows(s, &self.a[..k], b, b_stride, column, sums);
            } else {
                times_rows(s, &self.a[..k], b, b_stride, column, sums);
            }
            let alpha = s.splat(self.epilogue.alpha);
            for (j, c) in c.chunks_mut(LANES).enumerate() {
                let at = column + j * LANES;
                let mut z = s.mul(alpha, load_part(s, &sums[j * LANES..][..c.len()]));
                match self.added {
                    Added::Nothing => {}
                    Added::Output => z = s.add(z, load_part(s, c)),
                    Added::Slice(added) => z = s.add(z, load_part(s, &added[at..][..c.len()])),
                }
                if let Some(bias) = self.epilogue.bias {
                    z = s.add(z, load_part(s, &bias[at..][..c.len()]));
                }
                let z = self.epilogue.function.apply_simd(s, z);
                if let Some(c) = c.first_chunk_mut::<LANES>() {
                    s.store(z, c);
                } else {
                    c.copy_from_slice(&s.to_array(z)[..c.len()]);
                }
            }
        }
    }
}
