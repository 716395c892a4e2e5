//! Which random numbers a call draws.
//!
//! A call with an index draws what the seed, the epoch and the index say. Without, images are counted. The count begins at
//! 0 in every process, and a process that is not the first draws from a seed of its own, made of the seed and of what
//! `oculist._process.place` says of the process.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use oculist_augment::{Rng, SampleKey};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::Result;

/// "WORK": keeps the seeds of other processes apart from other uses of the seed.
const WORKER: u64 = 0x574f_524b;

/// Objects that came into this process from another one: each counts in a stream of its own, so that an object that is
/// sent to a process with every task does not draw the same again and again.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// A seed and how many images were counted. The lock is held for moments only, and never without the interpreter's.
#[derive(Debug)]
pub(super) struct Stream(Mutex<State>);

/// What a copy of a stream takes along.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    pub(super) seed: u64,
    /// The process that the other fields hold for.
    process: u32,
    /// The seed in this process; not known before the first image.
    own: Option<u64>,
    next: u64,
}

impl Stream {
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(State { seed, process: std::process::id(), own: None, next: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seed(&self) -> u64 {
        self.lock().seed
    }

    /// Begins anew; with a worker's number, this process is that worker, whatever it seems to be.
    pub(super) fn restart(&self, seed: u64, worker: Option<u64>) {
        let own = worker.map(|number| apart(seed, &[0, number]));
        *self.lock() = State { seed, process: std::process::id(), own, next: 0 };
    }

    /// Numbers that [`Stream::set_state`] makes the same stream of.
    pub(super) fn state(&self) -> (u64, u32, Option<u64>, u64) {
        let State { seed, process, own, next } = *self.lock();
        (seed, process, own, next)
    }

    pub(super) fn set_state(&self, (seed, process, own, next): (u64, u32, Option<u64>, u64)) {
        *self.lock() = State { seed, process, own, next };
    }

    /// The key of an image by its index.
    pub(super) fn at(&self, epoch: u64, index: u64) -> SampleKey {
        SampleKey { seed: self.seed(), epoch, sample: index }
    }

    /// The key of the next image.
    ///
    /// # Errors
    /// Those of Python.
    pub(super) fn next(&self, py: Python<'_>) -> Result<SampleKey> {
        let process = std::process::id();
        {
            let mut state = self.lock();
            if let State { process: same, own: Some(seed), next, .. } = *state
                && same == process
            {
                state.next += 1;
                return Ok(SampleKey { seed, epoch: 0, sample: next });
            }
        }
        // Python may switch threads in here, so the lock is not held.
        let mut place = place(py)?;
        let mut state = self.lock();
        if state.process != process {
            let arrived = ARRIVED.fetch_add(1, Ordering::Relaxed);
            if arrived > 0 {
                place.push(arrived);
            }
            *state = State { process, own: None, next: 0, ..*state };
        }
        let seed = match state.own {
            Some(seed) => seed,
            None if place.is_empty() => state.seed,
            None => apart(state.seed, &place),
        };
        state.own = Some(seed);
        let sample = state.next;
        state.next += 1;
        Ok(SampleKey { seed, epoch: 0, sample })
    }
}

/// The seed of another process.
fn apart(seed: u64, place: &[u64]) -> u64 {
    let key: Vec<u64> = [seed, WORKER].into_iter().chain(place.iter().copied()).collect();
    Rng::keyed(&key).next_u64()
}

/// What Python says of this process.
fn place(py: Python<'_>) -> Result<Vec<u64>> {
    static PLACE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(PLACE.import(py, "oculist._process", "place")?.call0()?.extract()?)
}
