//! The batches of one epoch.

use super::Loader;
use super::batch::{Assembly, Batch, Failure};
use super::worker::{Shared, State, lock};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// An iterator over the batches of one epoch; dropping it stops its workers.
///
/// An `Err` is the last item.
pub struct Batches {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    unreadable: BTreeSet<u32>,
    waited: Duration,
    ended: bool,
}

impl Batches {
    pub(super) fn start(loader: &Loader, epoch: u64, start: usize) -> Self {
        let batches = loader.batches_per_epoch();
        let start = start.min(batches);
        let state = State { next: (start, 0), taken: start, assemblies: BTreeMap::new(), stop: false };
        let shared = Arc::new(Shared {
            subset: loader.subset.clone(),
            config: Arc::clone(&loader.config),
            cache: Arc::clone(&loader.cache),
            epoch,
            order: loader.places(epoch),
            batches,
            state: Mutex::new(state),
            room: Condvar::new(),
            ready: Condvar::new(),
        });
        let workers = (0..loader.config.workers).map_while(|i| {
            let shared = Arc::clone(&shared);
            // Where the system gives no more threads, fewer do the work.
            std::thread::Builder::new().name(format!("loader-{i}")).spawn(move || shared.work()).ok()
        });
        Self {
            workers: workers.collect(),
            shared,
            unreadable: BTreeSet::new(),
            waited: Duration::ZERO,
            ended: false,
        }
    }

    /// Time that the consumer spent waiting in `next` so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Places in the subset of images that could not be read so far.
    pub fn unreadable(&self) -> impl Iterator<Item = usize> + '_ {
        self.unreadable.iter().map(|&index| index as usize)
    }

    /// Batches still to come.
    pub fn remaining(&self) -> usize {
        if self.ended { 0 } else { self.shared.batches - lock(&self.shared.state).taken }
    }

    /// Waits for the next batch in order and makes room for another one.
    fn take(&mut self) -> Option<Assembly> {
        let shared = &self.shared;
        let batch = {
            let state = lock(&shared.state);
            if state.taken >= shared.batches {
                return None;
            }
            state.taken
        };
        if self.workers.is_empty() {
            shared.work_here();
        }
        let complete = |state: &State| {
            state.assemblies.get(&batch).is_some_and(|assembly| lock(assembly).remaining == 0)
        };
        let mut state = lock(&shared.state);
        while !complete(&state) {
            state = shared.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let assembly = state.assemblies.remove(&batch)?;
        state.taken = batch + 1;
        drop(state);
        shared.room.notify_all();
        let mut assembly = lock(&assembly);
        Some(std::mem::replace(&mut *assembly, Assembly::new(0, 0, 0)))
    }

    /// Counts unreadable images; too many are an error.
    fn count(&mut self, assembly: &mut Assembly) -> Result<()> {
        let mut last = None;
        // Chunks finish in any order; the message is to be the same every time.
        assembly.unreadable.sort_by_key(|unreadable| unreadable.index);
        for unreadable in assembly.unreadable.drain(..) {
            self.unreadable.insert(unreadable.index);
            last = Some(unreadable);
        }
        let (count, total) = (self.unreadable.len(), self.shared.subset.len());
        let allowed = self.shared.config.max_unreadable;
        match last {
            Some(last) if count as f64 > allowed * total as f64 => {
                let path = self.shared.subset.path(last.index as usize).map(std::path::Path::to_path_buf);
                let first = path.unwrap_or_else(|| self.shared.subset.name(last.index as usize).into());
                Err(Error::TooManyUnreadable {
                    path: first.parent().unwrap_or(&first).into(),
                    count,
                    total,
                    allowed_percent: allowed * 100.0,
                    first,
                    reason: match last.error {
                        Error::Image { source, .. } => source.to_string(),
                        other => other.to_string(),
                    },
                    others: Box::default(),
                })
            }
            _ => Ok(()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let begin = Instant::now();
        let taken = self.take();
        self.waited += begin.elapsed();
        let Some(mut assembly) = taken else {
            self.ended = true;
            return None;
        };
        let failure = match assembly.failure.take() {
            Some(Failure::Panic(panic)) => std::panic::resume_unwind(panic),
            Some(Failure::Error(error)) => Err(error),
            None => self.count(&mut assembly),
        };
        if let Err(error) = failure {
            self.ended = true;
            return Some(Err(error));
        }
        let (subset, row_len) = (&self.shared.subset, self.shared.config.preprocessing.len());
        Some(Ok(assembly.finish(row_len, subset.targets())))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        lock(&self.shared.state).stop = true;
        self.shared.room.notify_all();
        for worker in self.workers.drain(..) {
            // Panics in the work were handed to the consumer; there is nothing left to report.
            let _ = worker.join();
        }
    }
}
