//! What a recipe tells while it works.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist_metrics::Metric;
use oculist_train::EpochRecord;

use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::message::Message;
use crate::sink::folder::{BASELINE_FILE, INT8_FILE, MODEL_FILE};

/// What a model is to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// What everything is compared with.
    Baseline,
    /// The same where nothing was to be made of it: the one model of the run.
    Only,
    /// What the stages made of it.
    Compressed,
    /// The same in int8.
    CompressedInt8,
}

impl Role {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline | Self::Only => "baseline",
            Self::Compressed => "compressed",
            Self::CompressedInt8 => "compressed-int8",
        }
    }

    /// The file that it has in a run folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Baseline => BASELINE_FILE,
            Self::Compressed | Self::Only => MODEL_FILE,
            Self::CompressedInt8 => INT8_FILE,
        }
    }
}

/// One message of a recipe to whoever watches.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A stage begins.
    Stage {
        /// Number of the stage, from 1.
        number: usize,
        /// What is going to happen.
        title: &'a str,
    },
    /// A fact worth a line: what was read, decided, changed, and what it cost.
    Note(&'a Message),
    /// Something the user should know about.
    Warning(&'a Message),
    /// A training step of the phase.
    TrainStep {
        /// Which training.
        phase: &'a str,
        /// From 1.
        epoch: usize,
        /// All epochs.
        epochs: usize,
        /// From 1.
        step: usize,
        /// Steps per epoch.
        steps: usize,
        /// Loss of the step.
        loss: f64,
    },
    /// A finished epoch of the phase.
    Epoch {
        /// Which training.
        phase: &'a str,
        /// What it brought.
        record: &'a EpochRecord,
        /// All epochs.
        epochs: usize,
        /// Whether it is the best so far.
        best: bool,
        /// What decides that.
        metric: Metric,
    },
    /// A training has ended.
    Trained {
        /// Which.
        phase: &'a str,
        /// Its learning curve, with the epochs before a resumption.
        history: &'a [oculist_report::Epoch],
    },
    /// A step is done: what it changed, and what it cost.
    Step(&'a oculist_report::Step),
    /// A search has tried a model.
    Tried(&'a oculist_report::Candidate),
    /// A model that is kept.
    Model {
        /// What it is to the run.
        role: Role,
        /// The model, with what is known of it.
        candidate: &'a Candidate,
    },
    /// Work of known length inside a stage.
    Work {
        /// What.
        what: &'a str,
        /// Done so far.
        done: usize,
        /// All.
        total: usize,
    },
}

/// How a recipe talks to its caller.
pub struct Watch<'a> {
    /// Gets every message.
    pub observer: &'a mut dyn FnMut(Progress<'_>),
    /// Set by the caller (Ctrl-C) to stop after the current step of training, batch of images or timed run.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("stop", &self.stop).finish_non_exhaustive()
    }
}

impl Watch<'_> {
    pub(crate) fn tell(&mut self, progress: Progress<'_>) {
        (self.observer)(progress);
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.tell(Progress::Note(&text.into()));
    }

    pub(crate) fn warn(&mut self, text: &str) {
        self.tell(Progress::Warning(&text.into()));
    }
}

/// Asked in every loop that takes time, so that Ctrl-C is heeded everywhere.
///
/// # Errors
/// [`OculistError::Stopped`] if the caller has asked to stop.
pub(crate) fn go_on(stop: &AtomicBool) -> Result<(), OculistError> {
    if stop.load(Ordering::Relaxed) { Err(OculistError::Stopped { resumable: false }) } else { Ok(()) }
}

/// The same for loops of other crates, which give nothing where they are broken off.
pub(crate) fn flow(stop: &AtomicBool) -> ControlFlow<()> {
    if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
