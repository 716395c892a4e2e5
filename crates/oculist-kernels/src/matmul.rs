//! Products of dense matrices: `C = f(alpha * A B + bias + residual)`, batched, each side as it lies or transposed.
//!
//! The columns of `B` are packed into panels of sixteen, once for weights that stay ([`PackedMatrix`]) and else by each
//! worker for the columns of its task. The depth is cut into parts whose panels fit the first-level cache; the rows
//! of `A` in a task fit the second. A transposed `A` is brought into rows part by part. One row is multiplied without packing.
//!
//! How a sum is cut follows from the shape alone: results do not depend on the number of threads.
//!
//! # Source
//! Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008.

mod pack;
mod packed;
mod task;
pub(crate) mod tile;
mod vector;

pub(crate) use pack::{load_part, pack_columns};
pub use packed::PackedMatrix;

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::KernelError;
use crate::context::{Context, SendPtr};
use crate::function::Function;
use crate::layout::{LANES, check_elements, product};
use crate::simd::dispatch;
use task::Task;

/// The most products of a part of a sum: sixteen columns of so many take 18 KiB.
const PART: usize = 288;
/// f32 of the rows of a task that one part touches: 224 KiB.
const TASK_ROWS: usize = 56 * 1024;
/// The most columns of a task.
const TASK_COLUMNS: usize = 512;
/// f32 of packed columns that a task should not exceed: 2 MiB.
const TASK_PANELS: usize = 512 * 1024;
/// Products below which a task is not worth handing to another thread.
const TASK_PRODUCTS: usize = 100_000;
/// Rows up to which an untransposed `B` is read where it lies, since each panel is read once.
const UNPACKED_ROWS: usize = 6;

/// The matrices of a product.
///
/// `A` is `[m, k]`, or `[k, m]` where it is transposed; `B` is `[k, n]`, or `[n, k]`; `C` is `[m, n]`. Each is row-major
/// with a stride from row to row, which may leave elements between them unread and unwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Matmul {
    /// Rows of `C`.
    pub m: usize,
    /// Columns of `C`.
    pub n: usize,
    /// Products of a sum.
    pub k: usize,
    /// f32 from one stored row of `A` to the next.
    pub a_stride: usize,
    /// f32 from one stored row of `B` to the next.
    pub b_stride: usize,
    /// f32 from one row of `C` to the next.
    pub c_stride: usize,
    /// Whether `A` is stored transposed.
    pub a_transposed: bool,
    /// Whether `B` is stored transposed.
    pub b_transposed: bool,
}

impl Matmul {
    /// A product of matrices without gaps, none transposed.
    pub const fn new(m: usize, n: usize, k: usize) -> Self {
        Self { m, n, k, a_stride: k, b_stride: n, c_stride: n, a_transposed: false, b_transposed: false }
    }

    /// The same product with `A` or `B` transposed, without gaps.
    #[must_use]
    pub const fn transposed(self, a: bool, b: bool) -> Self {
        Self {
            a_stride: if a { self.m } else { self.k },
            b_stride: if b { self.k } else { self.n },
            a_transposed: a,
            b_transposed: b,
            ..self
        }
    }

    /// f32 from the first to the last element of `A`.
    pub const fn a_len(&self) -> usize {
        let [rows, columns] = if self.a_transposed { [self.k, self.m] } else { [self.m, self.k] };
        extent(rows, columns, self.a_stride)
    }

    /// f32 from the first to the last element of `B`.
    pub const fn b_len(&self) -> usize {
        let [rows, columns] = if self.b_transposed { [self.n, self.k] } else { [self.k, self.n] };
        extent(rows, columns, self.b_stride)
    }

    /// f32 from the first to the last element of `C`.
    pub const fn c_len(&self) -> usize {
        extent(self.m, self.n, self.c_stride)
    }
}

/// f32 from the first to the last element of a matrix; `usize::MAX` if they cannot be counted.
pub(crate) const fn extent(rows: usize, columns: usize, stride: usize) -> usize {
    if rows == 0 || columns == 0 { 0 } else { product(&[rows - 1, stride]).saturating_add(columns) }
}

/// Where the matrices of one product of a batch start, in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MatmulStart {
    /// In the slice of `A`; several products may share it.
    pub a: usize,
    /// In the slice of `B`; several products may share it. 0 with a [`PackedMatrix`].
    pub b: usize,
    /// In the slice of `C`.
    pub c: usize,
}

/// The right side of a product.
#[derive(Debug, Clone, Copy)]
pub enum Right<'a> {
    /// As the product describes it.
    Plain(&'a [f32]),
    /// Packed before, the same for the whole batch.
    Packed(&'a PackedMatrix),
}

/// What is added to a product besides its bias.
#[derive(Debug, Clone, Copy, Default)]
pub enum Added<'a> {
    /// Nothing: `C` is overwritten.
    #[default]
    Nothing,
    /// What `C` holds.
    Output,
    /// A slice laid out as `C`.
    Slice(&'a [f32]),
}

/// What happens to the sums of a product: `f(alpha * sum + bias + added)`.
#[derive(Debug, Clone, Copy)]
pub struct MatmulEpilogue<'a> {
    /// Factor of the sums.
    pub alpha: f32,
    /// `[n]`, one value a column.
    pub bias: Option<&'a [f32]>,
    /// Added before the function.
    pub added: Added<'a>,
    /// Applied last.
    pub function: Function,
}

impl Default for MatmulEpilogue<'_> {
    fn default() -> Self {
        Self { alpha: 1.0, bias: None, added: Added::Nothing, function: Function::default() }
    }
}

/// A checked product, cut into tasks.
#[derive(Debug, Clone)]
pub struct MatmulPlan {
    /// With the rows of the whole batch where it is one matrix.
    shape: Matmul,
    starts: Vec<MatmulStart>,
    /// f32 that the slices must have.
    lens: [usize; 3],
    /// Rows and columns of a task.
    task: [usize; 2],
    threads: usize,
}

fn fail(reason: String) -> KernelError {
    KernelError::Geometry { operation: "matrix product", reason }
}

impl MatmulPlan {
    /// Plans a product of two matrices.
    ///
    /// # Errors
    /// As [`MatmulPlan::batched`].
    pub fn new(ctx: &Context, shape: Matmul) -> Result<Self, KernelError> {
        Self::batched(ctx, shape, &[MatmulStart::default()])
    }

    /// Plans a batch of products of one shape.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a stride is smaller than its row, a matrix exceeds
    /// [`MAX_ELEMENTS`](crate::MAX_ELEMENTS), or results may overlap: counted in rows of `C`, the results must start in
    /// columns at least `n` apart and, in the same column, in rows at least `m` apart.
    pub fn batched(ctx: &Context, shape: Matmul, starts: &[MatmulStart]) -> Result<Self, KernelError> {
        let Matmul { m, n, k, .. } = shape;
        let a_row = if shape.a_transposed { m } else { k };
        let b_row = if shape.b_transposed { k } else { n };
        for (name, stride, row) in
            [("A", shape.a_stride, a_row), ("B", shape.b_stride, b_row), ("C", shape.c_stride, n)]
        {
            if stride < row {
                return Err(fail(format!("expected a stride of {name} of at least {row}, found {stride}")));
            }
        }
        let end = |f: fn(&MatmulStart) -> usize, len: usize| {
            starts.iter().map(|s| f(s).saturating_add(len)).max().unwrap_or(0)
        };
        let empty = starts.is_empty() || m == 0 || n == 0;
        let lens = if empty {
            [0; 3]
        } else {
            [end(|s| s.a, shape.a_len()), end(|s| s.b, shape.b_len()), end(|s| s.c, shape.c_len())]
        };
        let panels = product(&[k.max(1), n.div_ceil(LANES), LANES]);
        check_elements(
            "matrix product",
            &[("A", lens[0]), ("B", lens[1]), ("C", lens[2]), ("the packed B", panels)],
        )?;
        let starts = if empty { &[] } else { starts };
        check_apart(&shape, starts.iter().map(|s| s.c))?;
        let (shape, starts) = merged(shape, starts);
        let task = cut(&shape, starts.len(), ctx.threads());
        Ok(Self { shape, starts, lens, task, threads: ctx.threads() })
    }

    /// f32 of scratch that [`MatmulPlan::run`] needs with a plain right side; with a packed one, the same is enough.
    pub fn scratch_len(&self) -> usize {
        self.threads * self.worker_len().iter().sum::<usize>() + LANES
    }

    /// f32 of packed columns and of rows of an `A` that is transposed or copied, for every worker.
    fn worker_len(&self) -> [usize; 2] {
        let [rows, columns] = self.task;
        let Matmul { m, k, .. } = self.shape;
        let columns = if m == 1 && !self.shape.a_transposed { 0 } else { columns };
        let copied = self.shape.a_transposed || copies_rows(&self.shape);
        let rows = if copied { rows.next_multiple_of(LANES) * rows_stride(k) } else { 0 };
        [columns * k, rows]
    }

    /// Computes the products.
    ///
    /// # Panics
    /// When a slice is shorter than the geometry says, a packed right side has another shape or a batch with several right
    /// sides, or the context has more threads than the one of the plan.
    pub fn run(
        &self,
        ctx: &Context,
        a: &[f32],
        b: Right,
        epilogue: &MatmulEpilogue,
        c: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Matmul { m, n, k, .. } = self.shape;
        assert!(a.len() >= self.lens[0], "A has {} f32, expected {}", a.len(), self.lens[0]);
        assert!(c.len() >= self.lens[2], "C has {} f32, expected {}", c.len(), self.lens[2]);
        match b {
            Right::Plain(b) => {
                assert!(b.len() >= self.lens[1], "B has {} f32, expected {}", b.len(), self.lens[1]);
            }
            Right::Packed(packed) => {
                let one = self.starts.iter().all(|s| s.b == 0);
                assert!(one && packed.shape() == [k, n], "packed B of another product");
            }
        }
        if let Some(bias) = epilogue.bias {
            assert!(bias.len() >= n, "bias of {} values for {n} columns", bias.len());
        }
        if let Added::Slice(added) = epilogue.added {
            assert!(added.len() >= self.lens[2], "added {} f32 to {}", added.len(), self.lens[2]);
        }
        assert!(ctx.threads() <= self.threads, "the plan was made for {} threads", self.threads);
        assert!(scratch.len() >= self.scratch_len(), "scratch of a matrix product");
        let start = scratch.as_ptr().align_offset(64).min(LANES);
        let (scratch, worker_len) = (SendPtr(scratch[start..].as_mut_ptr()), self.worker_len());
        let c = SendPtr(c.as_mut_ptr());
        let [row_tasks, column_tasks] = [m.div_ceil(self.task[0]), n.div_ceil(self.task[1])];
        // Which columns of which `B` a worker packed last; 0 for none.
        let packed: Vec<AtomicUsize> = (0..ctx.threads()).map(|_| AtomicUsize::new(0)).collect();
        ctx.run(self.starts.len() * column_tasks * row_tasks, |task, worker| {
            let (columns_task, row_task) = (task / row_tasks, task % row_tasks);
            let start = &self.starts[columns_task / column_tasks];
            let column = columns_task % column_tasks * self.task[1];
            let row = row_task * self.task[0];
            let number = columns_task + 1;
            let is_packed = packed[worker].swap(number, Ordering::Relaxed) == number;
            let [panels, rows] = worker_len;
            // SAFETY: each worker has its own part of the scratch, whose length was checked above.
            let scratch = unsafe {
                std::slice::from_raw_parts_mut(scratch.get().add(worker * (panels + rows)), panels + rows)
            };
            let (panels, rows) = scratch.split_at_mut(panels);
            dispatch(
                ctx,
                Task {
                    shape: &self.shape,
                    a: &a[start.a..],
                    b: match b {
                        Right::Plain(b) => Right::Plain(&b[start.b..]),
                        Right::Packed(b) => Right::Packed(b),
                    },
                    // SAFETY: the start lies inside of `c`, whose length was checked above.
                    c: unsafe { c.get().add(start.c) },
                    added: match epilogue.added {
                        Added::Slice(added) => Added::Slice(&added[start.c..]),
                        other => other,
                    },
                    epilogue,
                    rows: (row, self.task[0].min(m - row)),
                    columns: (column, self.task[1].min(n - column)),
                    panels,
                    is_packed,
                    row_scratch: rows,
                },
            );
        });
    }
}

/// f32 from one row of a transposed `A` to the next where it was brought into rows: no power of two, so that the rows
/// fall into different sets of the cache.
fn rows_stride(k: usize) -> usize {
    part(k).next_multiple_of(LANES) + LANES
}

/// Whether the rows of an untransposed `A` are brought closer together: those whose stride is a multiple of 2 KiB fall into the same
/// sets of the cache.
fn copies_rows(shape: &Matmul) -> bool {
    !shape.a_transposed
        && shape.a_stride.is_multiple_of(512)
        && shape.m > UNPACKED_ROWS
        && shape.n >= 4 * LANES
}

/// Products of a part of a sum of `k`.
pub(crate) fn part(k: usize) -> usize {
    k.div_ceil(k.div_ceil(PART).max(1)).max(1)
}

/// Rows and columns of a task.
fn cut(shape: &Matmul, batch: usize, threads: usize) -> [usize; 2] {
    let Matmul { m, n, k, .. } = *shape;
    let panels = n.div_ceil(LANES).max(1);
    let mut rows = (TASK_ROWS / part(k)).clamp(12, 504) / 12 * 12;
    rows = even(m, rows, 6);
    let mut columns = even(panels, (TASK_PANELS / LANES / k.max(1)).clamp(2, TASK_COLUMNS / LANES), 2);
    let products = product(&[m, n, k, batch]);
    let wanted = (4 * threads).min(products / TASK_PRODUCTS).max(1);
    let tasks = |rows: usize, columns: usize| batch * m.div_ceil(rows) * panels.div_ceil(columns);
    if threads > 1 {
        while tasks(rows, columns) < wanted && columns > 4 {
            columns = even(panels, columns.div_ceil(2), 2);
        }
        while tasks(rows, columns) < wanted && rows > 24 {
            rows = even(m, rows.div_ceil(2), 6);
        }
    }
    [rows, columns * LANES]
}

/// The size of equal parts of `n`, of at most about `most`, in steps.
fn even(n: usize, most: usize, step: usize) -> usize {
    n.div_ceil(n.div_ceil(most).max(1)).next_multiple_of(step).max(step)
}

/// Refuses results that may overlap.
pub(crate) fn check_apart(shape: &Matmul, starts: impl Iterator<Item = usize>) -> Result<(), KernelError> {
    let Matmul { m, n, c_stride, .. } = *shape;
    let stride = c_stride.max(1);
    let mut places: Vec<[usize; 2]> = starts.map(|c| [c % stride, c / stride]).collect();
    if places.len() < 2 {
        return Ok(());
    }
    places.sort_unstable();
    if places.iter().any(|[column, _]| column + n > c_stride) {
        return Err(fail(format!("a result of {n} columns crosses the end of a row of {c_stride}")));
    }
    for pair in places.windows(2) {
        let ([column, row], [next_column, next_row]) = (pair[0], pair[1]);
        let apart = if column == next_column { next_row - row >= m } else { next_column - column >= n };
        if !apart {
            return Err(fail(format!(
                "results of {m} rows and {n} columns overlap: one starts at row {row}, column {column}, another at row {next_row}, column {next_column}"
            )));
        }
    }
    Ok(())
}

/// One product in place of a batch that shares `B` and whose rows follow on each other.
fn merged(shape: Matmul, starts: &[MatmulStart]) -> (Matmul, Vec<MatmulStart>) {
    let follow = |pair: &[MatmulStart]| {
        let (a, c) = (shape.m * shape.a_stride, shape.m * shape.c_stride);
        pair[0].b == pair[1].b && pair[1].a == pair[0].a + a && pair[1].c == pair[0].c + c
    };
    if starts.len() > 1 && !shape.a_transposed && starts.windows(2).all(follow) {
        (Matmul { m: shape.m * starts.len(), ..shape }, vec![starts[0]])
    } else {
        (shape, starts.to_vec())
    }
}
