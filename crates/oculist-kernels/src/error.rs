//! What can be refused before a kernel runs.

use crate::Isa;

/// A request that the kernels cannot serve.
///
/// Slices of the wrong length are programming errors and panic instead: the caller computes lengths from the
/// same description that the kernel gets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The instruction set is not available on this processor.
    #[error("instruction set {isa} is not available on this processor")]
    UnsupportedIsa {
        /// The one that was asked for.
        isa: Isa,
    },
    /// A pool of zero threads was asked for.
    #[error("expected at least one thread, found 0")]
    NoThreads,
    /// The operating system refused to start a thread.
    #[error("could not start worker thread {index}: {reason}")]
    Spawn {
        /// Which worker.
        index: usize,
        /// The operating system's words.
        reason: String,
    },
    /// The geometry of a convolution, a pooling or a normalisation is inconsistent.
    #[error("{operation}: {reason}")]
    Geometry {
        /// Which of them, in words.
        operation: &'static str,
        /// What was expected and found.
        reason: String,
    },
    /// Something needs more memory than it may have.
    #[error("{what} needs {needed} of memory, the limit is {limit} (--max-memory sets another)")]
    Memory {
        /// What needs it.
        what: String,
        /// How much, with a unit.
        needed: String,
        /// The limit, with a unit.
        limit: String,
    },
    /// The system does not give memory that the limit allows.
    #[error(
        "{what} needs {needed} of memory, which the system does not give; a smaller batch or smaller images need less"
    )]
    NoMemory {
        /// What needs it.
        what: String,
        /// How much, with a unit.
        needed: String,
    },
    /// The forced algorithm cannot compute this convolution.
    #[error("algorithm {algorithm} cannot compute the {pass} pass of {convolution}")]
    Algorithm {
        /// The forced algorithm.
        algorithm: &'static str,
        /// The pass.
        pass: &'static str,
        /// The convolution in words.
        convolution: String,
    },
}
