//! Plans of a model and the threads that run them, in whichever process this is.
//!
//! The threads of a pool do not survive a fork: in the child the plans of the parent are forgotten, without dropping them
//! (which would wait for threads that are not there), and made anew. A plan of one thread has no such threads and stays in
//! use, unless the fork happened while it ran.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use oculist::{Model as Classifier, OculistError};
use oculist_runtime::{Context, Plan, PlanOptions};
use pyo3::prelude::*;

use super::features::Features;
use super::input::Chunk;
use crate::error::{Failure, Result};

/// Images per run at most.
pub(super) const BATCH: usize = 32;

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Logits,
    Features,
}

/// A model's plans. The lock is held for moments only, and never without the interpreter's, so that no fork finds it held.
pub(super) struct Session {
    threads: usize,
    running: Mutex<Option<Arc<Process>>>,
}

/// What belongs to one process.
struct Process {
    id: u32,
    context: Arc<Context>,
    /// Held while a plan runs.
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    logits: Sizes,
    features: Option<(Features, Sizes)>,
}

/// A plan for one image, and one for several.
#[derive(Default)]
struct Sizes {
    one: Option<Plan>,
    several: Option<Plan>,
}

impl Session {
    /// A session without plans yet; looks whether the model, read from `path`, can be planned for an image.
    ///
    /// # Errors
    /// A number of threads that cannot be; a model that needs more than there is.
    pub(super) fn new(threads: usize, path: &Path, model: &Classifier) -> Result<Self> {
        let process = Process::new(threads)?;
        Plan::check(&model.graph, &PlanOptions::new(1, Arc::clone(&process.context)))
            .map_err(|e| Failure::Model(format!("model {}: {e}", path.display())))?;
        Ok(Self { threads, running: Mutex::new(Some(Arc::new(process))) })
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// One row for each image of a chunk that could be read.
    ///
    /// # Errors
    /// As running a plan; logits that are no numbers.
    pub(super) fn run(
        &self,
        py: Python<'_>,
        model: &Classifier,
        output: Output,
        chunk: &Chunk,
    ) -> Result<Vec<f32>> {
        let process = self.process()?;
        py.detach(|| process.run(model, output, chunk))
    }

    /// The plans of this process.
    fn process(&self) -> Result<Arc<Process>> {
        let mut running = lock(&self.running);
        if let Some(process) = running.as_ref()
            && (process.is_here() || (self.threads == 1 && process.is_idle()))
        {
            return Ok(Arc::clone(process));
        }
        let process = Arc::new(Process::new(self.threads)?);
        std::mem::forget(running.replace(Arc::clone(&process)));
        Ok(process)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let running = lock(&self.running).take();
        if running.as_ref().is_some_and(|process| self.threads > 1 && !process.is_here()) {
            std::mem::forget(running);
        }
    }
}

impl Process {
    fn new(threads: usize) -> Result<Self> {
        let context = Context::new(threads).map_err(|e| Failure::Setting(e.to_string()))?;
        Ok(Self { id: std::process::id(), context: Arc::new(context), plans: Mutex::default() })
    }

    fn is_here(&self) -> bool {
        self.id == std::process::id()
    }

    /// Whether no plan runs, or ran when this process was forked.
    fn is_idle(&self) -> bool {
        !matches!(self.plans.try_lock(), Err(TryLockError::WouldBlock))
    }

    fn run(&self, model: &Classifier, output: Output, chunk: &Chunk) -> Result<Vec<f32>> {
        let mut plans = lock(&self.plans);
        match output {
            Output::Logits => {
                let rows = plans.logits.run(&model.graph, &self.context, chunk)?;
                let classes = model.class_names.len().max(1);
                match rows.iter().position(|v| !v.is_finite()) {
                    Some(at) => {
                        let (image, value) = (chunk.name(at / classes), rows[at]);
                        Err(OculistError::NotFinite { image, value }.into())
                    }
                    None => Ok(rows),
                }
            }
            Output::Features => {
                let (features, sizes) = match &mut plans.features {
                    Some(there) => there,
                    none => none.insert((Features::of(&model.graph)?, Sizes::default())),
                };
                let rows = sizes.run(&features.graph, &self.context, chunk)?;
                Ok(features.pool(&rows, chunk.images()))
            }
        }
    }
}

impl Sizes {
    /// Runs all images of a chunk: several at a time where they fill at least half of a plan's batch.
    fn run(
        &mut self,
        graph: &oculist_graph::Graph,
        context: &Arc<Context>,
        chunk: &Chunk,
    ) -> Result<Vec<f32>> {
        let (input, len) = (&chunk.input, chunk.image_len);
        let n = input.len().checked_div(len).unwrap_or(0);
        if n == 0 {
            return Ok(Vec::new());
        }
        let make = |batch| Plan::new(graph, &PlanOptions::new(batch, Arc::clone(context)));
        if n > 1 && self.several.as_ref().is_none_or(|plan| plan.batch() < n) {
            self.several = None;
            self.several = Some(make(n.next_power_of_two().min(BATCH))?);
        }
        let plan = match &mut self.several {
            Some(plan) if n > 1 && 2 * n > plan.batch() => plan,
            _ => match &mut self.one {
                Some(plan) => plan,
                none => none.insert(make(1)?),
            },
        };
        let (batch, each) = (plan.batch(), plan.output_len());
        let mut rows = vec![0.0; n * each];
        for (images, rows) in input.chunks(batch * len).zip(rows.chunks_mut(batch * each.max(1))) {
            plan.run(images, rows)?;
        }
        Ok(rows)
    }
}

/// A poisoned lock says that a run panicked; plans begin every run anew.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
