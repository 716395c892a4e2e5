//! What a worker does: take the next chunk, fill its rows, put them in place.

use super::LoaderConfig;
use super::batch::{Assembly, Failure, Unreadable};
use super::cache::Cache;
use super::sampling::{Place, Sampling};
use crate::Subset;
use crate::error::Result;
use oculist_augment::SampleKey;
use oculist_kernels::try_zeros;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Images that one worker does at a time; small enough that the first batch of an epoch is shared out.
pub(super) const CHUNK: usize = 16;

/// How many following images are tried in place of one that cannot be read.
const SUBSTITUTES: usize = 8;

/// What all workers and the consumer of an epoch share.
pub(super) struct Shared {
    pub(super) subset: Subset,
    pub(super) config: Arc<LoaderConfig>,
    pub(super) epoch: u64,
    pub(super) cache: Arc<Cache>,
    pub(super) order: Vec<Place>,
    /// Batches of the epoch, the first ones perhaps skipped.
    pub(super) batches: usize,
    pub(super) state: Mutex<State>,
    /// Signalled when the window moves on.
    pub(super) room: Condvar,
    /// Signalled when a batch is complete.
    pub(super) ready: Condvar,
}

/// The part that changes.
pub(super) struct State {
    /// The next chunk to hand out.
    pub(super) next: (usize, usize),
    /// Batches that the consumer has taken, counted from the epoch's first.
    pub(super) taken: usize,
    pub(super) assemblies: BTreeMap<usize, Arc<Mutex<Assembly>>>,
    pub(super) stop: bool,
}

/// Rows of one batch.
struct Chunk {
    assembly: Arc<Mutex<Assembly>>,
    batch: usize,
    rows: Range<usize>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A poisoned lock means that a thread panicked between two consistent states; panics in the work itself
    // are caught before they get here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn batch_len(&self, batch: usize) -> usize {
        self.config.batch_size.min(self.order.len() - batch * self.config.batch_size)
    }

    /// Hands out the next chunk: waits for room, or (without `wait`) gives None where there is none.
    fn next_chunk(&self, wait: bool) -> Option<Chunk> {
        let mut state = lock(&self.state);
        loop {
            let (batch, chunk) = state.next;
            if state.stop || batch >= self.batches {
                return None;
            }
            if batch < state.taken + self.config.prefetch.max(1) {
                let rows = self.batch_len(batch);
                let chunks = rows.div_ceil(CHUNK);
                let row_len = self.config.preprocessing.len();
                let assembly = state
                    .assemblies
                    .entry(batch)
                    .or_insert_with(|| Arc::new(Mutex::new(Assembly::new(rows, row_len, chunks))));
                let assembly = Arc::clone(assembly);
                state.next = if chunk + 1 < chunks { (batch, chunk + 1) } else { (batch + 1, 0) };
                return Some(Chunk { assembly, batch, rows: chunk * CHUNK..rows.min((chunk + 1) * CHUNK) });
            }
            if !wait {
                return None;
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does chunks until there are no more.
    pub(super) fn work(&self) {
        let mut scratch = Vec::new();
        while let Some(chunk) = self.next_chunk(true) {
            self.process(&chunk, &mut scratch);
        }
    }

    /// Does all the chunks that there is room for, in the calling thread.
    pub(super) fn work_here(&self) {
        let mut scratch = Vec::new();
        while let Some(chunk) = self.next_chunk(false) {
            self.process(&chunk, &mut scratch);
        }
    }

    fn process(&self, chunk: &Chunk, scratch: &mut Vec<f32>) {
        let row_len = self.config.preprocessing.len();
        let len = chunk.rows.len() * row_len;
        let failed = lock(&chunk.assembly).failure.is_some();
        if failed {
            return self.finish(chunk, |_| {});
        }
        if scratch.len() < len {
            // What it held goes first.
            *scratch = Vec::new();
            match try_zeros(len, &format!("{} images of a batch", chunk.rows.len())) {
                Ok(zeros) => *scratch = zeros,
                Err(error) => {
                    return self.finish(chunk, |a| a.failure = Some(Failure::Error(error.into())));
                }
            }
        }
        let scratch = &mut scratch[..len];
        let mut filled = Vec::with_capacity(chunk.rows.len());
        let mut unreadable = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            for (place, row) in chunk.rows.clone().zip(scratch.chunks_exact_mut(row_len)) {
                let place = chunk.batch * self.config.batch_size + place;
                filled.push(self.fill(place, row, &mut unreadable)?);
            }
            Ok(())
        }));
        self.finish(chunk, |assembly| {
            match result {
                Ok(Ok(())) => {
                    assembly.images[chunk.rows.start * row_len..chunk.rows.end * row_len]
                        .copy_from_slice(scratch);
                    assembly.rows[chunk.rows.clone()].copy_from_slice(&filled);
                }
                Ok(Err(error)) => assembly.failure = Some(Failure::Error(error)),
                Err(panic) => assembly.failure = Some(Failure::Panic(panic)),
            }
            assembly.unreadable.append(&mut unreadable);
        });
    }

    /// Lets `put` write what became of a chunk, which is then done; tells the consumer when it was the last.
    fn finish(&self, chunk: &Chunk, put: impl FnOnce(&mut Assembly)) {
        let mut assembly = lock(&chunk.assembly);
        put(&mut assembly);
        assembly.remaining -= 1;
        if assembly.remaining == 0 {
            drop(assembly);
            // Taking the lock orders this signal after the consumer's look at the assembly.
            drop(lock(&self.state));
            self.ready.notify_all();
        }
    }

    /// Fills one row; gives the image that fills it, or None if there is none.
    ///
    /// Where the order is random, an unreadable image is replaced by the next one in the order, so that
    /// batches stay full; where it is not, its place is left out, so that nothing is counted twice. Where images are
    /// repeated, the repeats of the one are replaced by those of the other in their order.
    fn fill(&self, place: usize, row: &mut [f32], unreadable: &mut Vec<Unreadable>) -> Result<Option<u32>> {
        let span = if self.config.shuffle { self.order.len() } else { 1 };
        let mut tries = SUBSTITUTES + 1;
        for offset in (0..span).step_by(self.config.sampling.times()) {
            let Place { index, repeat } = self.order[(place + offset) % self.order.len()];
            if unreadable.iter().any(|other| other.index == index) {
                continue;
            }
            if tries == 0 {
                break;
            }
            tries -= 1;
            let LoaderConfig { preprocessing, pipeline, seed, sampling, .. } = &*self.config;
            // Views that are compared share the draws of their first steps, and are made of whole images.
            let view = match *sampling {
                Sampling::Views { shared, .. } => Some((shared, repeat)),
                _ => None,
            };
            let draw = if view.is_some() { 0 } else { repeat };
            let sample = u64::from(draw) << 32 | u64::from(index);
            let key = SampleKey { seed: *seed, epoch: self.epoch, sample };
            let plan = |width, height| {
                let size = (width, height);
                view.is_none()
                    .then(|| preprocessing.reading(pipeline, key, size, self.config.reduces()))
                    .flatten()
            };
            let (image, reading) = match self.cache.image(&self.subset, index as usize, &plan) {
                Ok(found) => found,
                Err(error) if error.is_one_image() => {
                    unreadable.push(Unreadable { index, error });
                    continue;
                }
                Err(error) => return Err(error),
            };
            match (view, reading) {
                (Some(view), _) => preprocessing.augment_view_into(image, pipeline, key, view, row)?,
                (None, Some(reading)) => preprocessing.augment_read_into(image, &reading, row)?,
                (None, None) => preprocessing.augment_into(image, pipeline, key, row)?,
            }
            return Ok(Some(index));
        }
        Ok(None)
    }
}
