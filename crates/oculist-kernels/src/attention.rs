//! Scaled dot-product attention: `y = softmax(scale * q k^T + mask) v` for every head.
//!
//! A task is some queries of a head. The keys and values of the head are packed once for each worker; the scores of the
//! queries stay in the second-level cache from the first product through the softmax to the second, and never form a
//! matrix in memory. Heads may lie between each other, as in a tensor `[N, T, heads * dim]`.
//!
//! # Source
//! Vaswani et al., "Attention Is All You Need", 2017.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::KernelError;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, check_elements, product};
use crate::matmul::tile::Block;
use crate::matmul::{Matmul, check_apart, extent, pack_columns, part};
use crate::rows::softmax_row;
use crate::simd::{Kernel, Simd, dispatch};

/// f32 of the scores of a task: 64 KiB.
const SCORES: usize = 16 * 1024;

/// The sizes of one head, and the strides of the tensors that hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Rows of `q` and `y`.
    pub queries: usize,
    /// Rows of `k` and `v`.
    pub keys: usize,
    /// Columns of `q` and `k`.
    pub dim: usize,
    /// Columns of `v` and `y`.
    pub value_dim: usize,
    /// f32 from one row to the next of `q`, `k`, `v` and `y`.
    pub strides: [usize; 4],
    /// f32 from the mask of one query to that of the next; 0 where all share it.
    pub mask_stride: usize,
    /// Factor of the scores, usually `1 / sqrt(dim)`.
    pub scale: f32,
    /// With `Some(past)`, query `i` sees the first `i + past + 1` keys alone.
    pub causal: Option<usize>,
}

/// Where one head starts in each slice, in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AttentionStart {
    /// In the queries.
    pub q: usize,
    /// In the keys; several heads may share them.
    pub k: usize,
    /// In the values; several heads may share them.
    pub v: usize,
    /// In the result.
    pub y: usize,
    /// In the mask, if there is one.
    pub mask: usize,
}

/// Checked attention, cut into tasks.
#[derive(Debug, Clone)]
pub struct AttentionPlan {
    shape: Attention,
    starts: Vec<AttentionStart>,
    /// f32 that `q`, `k`, `v`, `y` and the mask must have.
    lens: [usize; 5],
    rows: usize,
    threads: usize,
}

impl AttentionPlan {
    /// Plans the heads of all images of a batch.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a stride is smaller than its row, something exceeds
    /// [`MAX_ELEMENTS`](crate::MAX_ELEMENTS), or results may overlap (as for [`MatmulPlan`](crate::MatmulPlan)).
    pub fn new(ctx: &Context, shape: Attention, starts: &[AttentionStart]) -> Result<Self, KernelError> {
        let Attention { queries, keys, dim, value_dim, strides, .. } = shape;
        let sizes = [(queries, dim), (keys, dim), (keys, value_dim), (queries, value_dim)];
        for ((name, stride), (_, row)) in ["q", "k", "v", "y"].iter().zip(strides).zip(sizes) {
            if stride < row {
                let reason = format!("expected a stride of {name} of at least {row}, found {stride}");
                return Err(KernelError::Geometry { operation: "attention", reason });
            }
        }
        let empty = queries == 0 || value_dim == 0;
        let starts = if empty { &[] } else { starts };
        let end = |f: fn(&AttentionStart) -> usize, len: usize| {
            starts.iter().map(|s| f(s).saturating_add(len)).max().unwrap_or(0)
        };
        let len = |i: usize| extent(sizes[i].0, sizes[i].1, strides[i]);
        let lens = [
            end(|s| s.q, len(0)),
            end(|s| s.k, len(1)),
            end(|s| s.v, len(2)),
            end(|s| s.y, len(3)),
            end(|s| s.mask, extent(queries, keys, shape.mask_stride)),
        ];
        let [keys_len, values_len] = packed_len(&shape);
        let rows = (SCORES / keys.max(1)).clamp(6, 48) / 6 * 6;
        check_elements(
            "attention",
            &[
                ("the queries", lens[0]),
                ("the keys", lens[1].max(keys_len)),
                ("the values", lens[2].max(values_len)),
                ("the result", lens[3]),
                ("the mask", lens[4]),
                ("the scores", product(&[rows, score_stride(keys)])),
            ],
        )?;
        let result = Matmul { c_stride: strides[3], ..Matmul::new(queries, value_dim, 1) };
        check_apart(&result, starts.iter().map(|s| s.y))?;
        Ok(Self { shape, starts: starts.to_vec(), lens, rows, threads: ctx.threads() })
    }

    /// f32 of scratch that [`AttentionPlan::run`] needs.
    pub fn scratch_len(&self) -> usize {
        self.threads * self.worker_len() + LANES
    }

    fn worker_len(&self) -> usize {
        packed_len(&self.shape).iter().sum::<usize>() + self.rows * score_stride(self.shape.keys)
    }

    /// Computes all heads. The result of a query that sees no key is 0.
    ///
    /// # Panics
    /// When a slice is shorter than the geometry says or the context has more threads than the one of the plan.
    pub fn run(
        &self,
        ctx: &Context,
        [q, k, v]: [&[f32]; 3],
        mask: Option<&[f32]>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let found = [q.len(), k.len(), v.len(), y.len(), mask.map_or(usize::MAX, <[f32]>::len)];
        for ((name, found), len) in ["q", "k", "v", "y", "the mask"].iter().zip(found).zip(self.lens) {
            assert!(found >= len, "{name} has {found} f32, expected {len}");
        }
        assert!(ctx.threads() <= self.threads, "the plan was made for {} threads", self.threads);
        assert!(scratch.len() >= self.scratch_len(), "scratch of an attention");
        let start = scratch.as_ptr().align_offset(64).min(LANES);
        let (scratch, worker_len) = (SendPtr(scratch[start..].as_mut_ptr()), self.worker_len());
        let y = SendPtr(y.as_mut_ptr());
        let row_tasks = self.shape.queries.div_ceil(self.rows);
        // Whose keys and values a worker packed last; 0 for none.
        let packed: Vec<AtomicUsize> = (0..ctx.threads()).map(|_| AtomicUsize::new(0)).collect();
        ctx.run(self.starts.len() * row_tasks, |task, worker| {
            let (head, row) = (task / row_tasks, task % row_tasks * self.rows);
            let start = &self.starts[head];
            let is_packed = packed[worker].swap(head + 1, Ordering::Relaxed) == head + 1;
            // SAFETY: each worker has its own part of the scratch, whose length was checked above.
            let scratch =
                unsafe { std::slice::from_raw_parts_mut(scratch.get().add(worker * worker_len), worker_len) };
            let [keys, values] = packed_len(&self.shape);
            let (keys, rest) = scratch.split_at_mut(keys);
            let (values, scores) = rest.split_at_mut(values);
            dispatch(
                ctx,
                Task {
                    shape: &self.shape,
                    q: &q[start.q..],
                    k: &k[start.k..],
                    v: &v[start.v..],
                    mask: mask.map(|mask| &mask[start.mask..]),
                    // SAFETY: the start lies inside of `y`, whose length was checked above.
                    y: unsafe { y.get().add(start.y) },
                    rows: (row, self.rows.min(self.shape.queries - row)),
                    keys,
                    values,
                    is_packed,
                    scores,
                },
            );
        });
    }
}

/// f32 of packed keys and values.
fn packed_len(shape: &Attention) -> [usize; 2] {
    let blocks = |n: usize| n.div_ceil(LANES);
    [product(&[blocks(shape.keys), LANES, shape.dim]), product(&[blocks(shape.value_dim), LANES, shape.keys])]
}

/// f32 from the scores of one query to those of the next.
fn score_stride(keys: usize) -> usize {
    keys.div_ceil(LANES).saturating_add(1).saturating_mul(LANES)
}

/// Some queries of one head.
struct Task<'a> {
    shape: &'a Attention,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    mask: Option<&'a [f32]>,
    /// The start of the head; no other task touches the rows of this one.
    y: *mut f32,
    /// First and number.
    rows: (usize, usize),
    keys: &'a mut [f32],
    values: &'a mut [f32],
    /// Whether `keys` and `values` are those of this head already.
    is_packed: bool,
    scores: &'a mut [f32],
}

impl Kernel for Task<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Attention { keys, dim, value_dim, strides, mask_stride, causal, .. } = *self.shape;
        let [q_stride, k_stride, v_stride, y_stride] = strides;
        let ((row, rows), stride) = (self.rows, score_stride(keys));
        if !self.is_packed {
            pack_columns(s, self.k, k_stride, true, dim, 0, keys, self.keys);
            pack_columns(s, self.v, v_stride, false, keys, 0, value_dim, self.values);
        }
        let plain = Block {
            a: if dim == 0 { self.q.as_ptr() } else { self.q[row * q_stride..].as_ptr() },
            a_stride: q_stride,
            rows,
            b: self.keys.as_ptr(),
            b_step: LANES,
            b_panel: dim * LANES,
            depth: dim,
            columns: keys,
            c: self.scores.as_mut_ptr(),
            c_stride: stride,
            residual: None,
            bias: None,
            alpha: self.shape.scale,
            range: None,
            first: true,
            last: true,
        };
        // SAFETY: the lengths of all slices were checked by the plan; the keys are packed with `dim` rows a panel, and
        // the scores have room for `rows` rows.
        unsafe { plain.run(s) };
        for (r, scores) in self.scores.chunks_exact_mut(stride).take(rows).enumerate() {
            let seen = causal.map_or(keys, |past| keys.min((row + r).saturating_add(past).saturating_add(1)));
            let (scores, unseen) = scores[..keys].split_at_mut(seen);
            let mask = self.mask.filter(|_| seen > 0).map(|mask| &mask[(row + r) * mask_stride..][..seen]);
            softmax_row(s, 1.0, mask, scores, 0.0);
            unseen.fill(0.0);
        }
        let (mut from, most) = (0, part(keys));
        loop {
            let depth = most.min(keys - from);
            let block = Block {
                a: self.scores.as_ptr().wrapping_add(from),
                a_stride: stride,
                b: self.values.as_ptr().wrapping_add(from * LANES),
                b_panel: keys * LANES,
                depth,
                columns: value_dim,
                // SAFETY: `y` holds these rows, as the plan checked.
                c: unsafe { self.y.add(row * y_stride) },
                c_stride: y_stride,
                alpha: 1.0,
                first: from == 0,
                last: from + depth == keys,
                ..plain
            };
            // SAFETY: as above; the values are packed with `keys` rows a panel, and these rows of `y` are this task's.
            unsafe { block.run(s) };
            from += depth;
            if from == keys {
                break;
            }
        }
    }
}
