//! Threads and instruction set, handed to every kernel.

use crate::layout::LANES;
use crate::memory::{self, machine_memory};
use crate::pool::Pool;
use crate::{Isa, KernelError};

/// The threads and the instruction set that kernels run on, and the memory that plans may take.
///
/// There is no global state: two contexts in one process do not know of each other. Kernels called from several
/// threads on one context take turns.
#[derive(Debug)]
pub struct Context {
    pool: Pool,
    isa: Isa,
    winograd: bool,
    max_memory: usize,
}

impl Context {
    /// A context with `threads` threads (the calling one included) and the fastest instruction set of the
    /// processor.
    ///
    /// # Errors
    /// [`KernelError::NoThreads`] for 0 threads, [`KernelError::Spawn`] when a thread cannot be started.
    pub fn new(threads: usize) -> Result<Self, KernelError> {
        Self::with_isa(threads, Isa::detect())
    }

    /// A context with a chosen instruction set, for tests and measurements.
    ///
    /// # Errors
    /// As [`Context::new`], and [`KernelError::UnsupportedIsa`] when the processor lacks `isa`.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Self, KernelError> {
        if !isa.is_available() {
            return Err(KernelError::UnsupportedIsa { isa });
        }
        Ok(Self { pool: Pool::new(threads)?, isa, winograd: true, max_memory: machine_memory() })
    }

    /// The same context, on which [`ConvPlan::new`](crate::ConvPlan::new) never picks a Winograd algorithm, to see what
    /// their rounding does.
    #[must_use]
    pub fn without_winograd(mut self) -> Self {
        self.winograd = false;
        self
    }

    /// The same context, on which a plan may take `bytes` of memory; without it, [`machine_memory`].
    #[must_use]
    pub fn with_max_memory(mut self, bytes: usize) -> Self {
        self.max_memory = bytes.min(isize::MAX as usize);
        self
    }

    /// Bytes of memory that a plan may take.
    pub fn max_memory(&self) -> usize {
        self.max_memory
    }

    /// Refuses to give `what` more memory than a plan may take.
    ///
    /// # Errors
    /// [`KernelError::Memory`] with both numbers.
    pub fn check_memory(&self, what: &str, needed: usize) -> Result<(), KernelError> {
        memory::check(what, needed, self.max_memory)
    }

    /// Whether f32 convolutions may be planned with a Winograd algorithm.
    pub fn allows_winograd(&self) -> bool {
        self.winograd
    }

    /// A context of one thread that is otherwise like this one, for work inside of a task.
    ///
    /// # Errors
    /// As [`Context::with_isa`].
    pub fn serial(&self) -> Result<Self, KernelError> {
        let Self { isa, winograd, max_memory, .. } = *self;
        Ok(Self { pool: Pool::new(1)?, isa, winograd, max_memory })
    }

    /// Number of threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// The instruction set, which the processor is known to have.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Runs `body(task, worker)` for every task in `0..n_tasks` on the pool; see [`Pool::run`].
    pub fn run(&self, n_tasks: usize, body: impl Fn(usize, usize) + Sync) {
        self.pool.run(n_tasks, &body);
    }

    /// Cuts `y` into pieces of `piece` elements (the last may be shorter) and runs `body(index, piece)` for each
    /// on the pool.
    pub fn for_pieces<T: Send>(&self, y: &mut [T], piece: usize, body: impl Fn(usize, &mut [T]) + Sync) {
        let len = y.len();
        let piece = piece.max(1);
        let base = SendPtr(y.as_mut_ptr());
        self.run(len.div_ceil(piece), |task, _| {
            let start = task * piece;
            let n = piece.min(len - start);
            // SAFETY: the pieces of different tasks do not overlap, lie inside `y`, and every task runs once.
            let part = unsafe { std::slice::from_raw_parts_mut(base.get().add(start), n) };
            body(task, part);
        });
    }

    /// A piece length for elementwise passes over `len` f32 with `stride` f32 a row: whole rows, about 32 KiB a
    /// piece. It does not depend on the number of threads, so neither does anything summed over pieces.
    pub(crate) fn piece_len(len: usize, stride: usize) -> usize {
        let stride = stride.max(LANES);
        (8192 / stride).max(1).min(len.div_ceil(stride).max(1)) * stride
    }
}

/// A raw pointer that tasks on several threads may hold; every use states why the accesses do not overlap.
pub(crate) struct SendPtr<T>(pub(crate) *mut T);

impl<T> SendPtr<T> {
    /// The pointer. A method, so that closures capture the wrapper and not its field.
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}

impl<T> Clone for SendPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SendPtr<T> {}

// SAFETY: the pointer is only dereferenced inside unsafe blocks that show that the tasks' parts are disjoint.
unsafe impl<T: Send> Send for SendPtr<T> {}
// SAFETY: as above; sharing the pointer value itself is harmless.
unsafe impl<T: Send> Sync for SendPtr<T> {}
