//! Stages: each takes a candidate and makes another.

mod best;
mod distil;
mod fine_tune;
mod fold;
pub(crate) mod levels;
mod load;
mod measure;
mod parse;
mod plan;
mod prune;
mod quantize;
mod search;
mod train;
mod transfer;

use std::fmt::Debug;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::session::Session;

pub use best::Best;
pub use distil::Distil;
pub use fine_tune::{FineTune, Teacher};
pub use fold::Fold;
pub use load::Load;
pub use measure::Measure;
pub(crate) use measure::Results;
pub(crate) use parse::stage_table;
pub use parse::{KINDS, Registry};
pub(crate) use plan::time_text;
pub use plan::{Draft, Planned};
pub use prune::Prune;
pub use quantize::Quantize;
pub use search::Search;
pub use train::Train;
pub use transfer::Transfer;

/// A step of a recipe: takes a candidate and makes another.
///
/// A stage of one's own needs [`kind`](Self::kind), [`title`](Self::title) and [`run`](Self::run); see
/// `examples/own_stage.rs`.
pub trait Stage: Debug + Send + Sync {
    /// Its name in a recipe's file, such as `fine-tune`.
    fn kind(&self) -> &str;

    /// What it is going to do, as a heading.
    fn title(&self, session: &Session<'_>, before: &Candidate) -> String;

    /// Does it: makes a candidate by [`Candidate::followed_by`], or gives back the one that it was given.
    ///
    /// # Errors
    /// [`OculistError`] naming what stands in its way; [`OculistError::OutOfReach`] if it cannot go as far as was asked,
    /// which ends a recipe, but not a search.
    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError>;

    /// Its settings as they are written into a recipe's file, without its kind.
    fn settings(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Refuses, before anything is done, what cannot be done.
    ///
    /// # Errors
    /// [`OculistError`] naming the setting.
    fn check(&self, _session: &Session<'_>) -> Result<(), OculistError> {
        Ok(())
    }

    /// What is known of its candidate before anything is done, where so much is known of the one that it is given; by
    /// default the same, of any model.
    ///
    /// # Errors
    /// [`OculistError::Stage`] if it cannot begin with that.
    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.model_for(self.kind())
    }

    /// How many stages it is, itself and those inside.
    fn count(&self) -> usize {
        1
    }

    /// Looks closer at a candidate that it has made and that is kept.
    ///
    /// # Errors
    /// As [`Stage::run`].
    fn examine(&self, _session: &Session<'_>, _candidate: &mut Candidate) -> Result<(), OculistError> {
        Ok(())
    }

    /// The same stage at a level of a search, the share of the cost that is to stay; most do not depend on it. What it is going
    /// to be given was already brought to the share `reached`, 1 if to none: a search goes on from a level that was accepted.
    fn at_level(&self, _level: f64, _reached: f64) -> Option<Arc<dyn Stage>> {
        None
    }

    /// The name of its step in the report.
    fn step_name(&self, after: &Candidate) -> String {
        after.name.clone()
    }

    /// Whether it trains the model that it is given, or a part of it.
    fn trains_what_it_is_given(&self) -> bool {
        false
    }

    /// Why its candidate cannot be trained on, in words with the setting that says so, where that is known before anything is done; `before` is
    /// the same of the one that it is given.
    ///
    /// # Errors
    /// [`OculistError::Stage`] if it trains what cannot be trained on.
    fn leaves(&self, _session: &Session<'_>, before: Option<String>) -> Result<Option<String>, OculistError> {
        match before {
            Some(problem) if self.trains_what_it_is_given() => {
                Err(OculistError::Stage { stage: self.kind().into(), problem })
            }
            before => Ok(before),
        }
    }

    /// Trainings that it has checkpoints of.
    fn trainings(&self, _session: &Session<'_>) -> usize {
        0
    }

    /// What it would do, and about how long it would take.
    ///
    /// # Errors
    /// [`OculistError`] naming what would stand in its way.
    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let _ = session;
        Ok(Planned::new(before.clone()))
    }
}

/// What is known of a candidate before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// There is no model yet.
    Nothing,
    /// A model in f32.
    F32,
    /// A model in int8.
    Int8,
    /// One of them: a search decides.
    Either,
}

impl Expected {
    /// The same, for a stage that cannot begin without a model.
    ///
    /// # Errors
    /// [`OculistError::Stage`] naming the stage.
    pub fn model_for(self, stage: &str) -> Result<Self, OculistError> {
        match self {
            Self::Nothing => Err(no_model(stage)),
            known => Ok(known),
        }
    }

    /// A model in f32, for a stage that cannot begin with one in int8. What a search may end in is no obstacle: its f32 form
    /// is taken.
    ///
    /// # Errors
    /// [`OculistError::Stage`] naming the stage.
    pub fn f32_for(self, stage: &str) -> Result<Self, OculistError> {
        match self.model_for(stage)? {
            Self::Int8 => Err(OculistError::Stage {
                stage: stage.into(),
                problem:
                    "expected a model in f32, and the stage before it quantises: put it before `quantize`"
                        .into(),
            }),
            _ => Ok(Self::F32),
        }
    }
}

/// Writes a number that is an f32 with as many digits as that needs.
fn shortest(value: &mut Value) {
    let narrow = value.as_f64().filter(|_| value.is_f64()).map(|x| (x, x as f32));
    if let Some((_, narrow)) = narrow.filter(|&(x, narrow)| f64::from(narrow).to_bits() == x.to_bits())
        && let Ok(x) = narrow.to_string().parse::<f64>()
    {
        *value = x.into();
    }
}

/// The error of a stage that has no model to begin with.
pub(crate) fn no_model(stage: &str) -> OculistError {
    OculistError::Stage {
        stage: stage.into(),
        problem: "expected a model from the stages before it, found none: begin with `train` or `load`"
            .into(),
    }
}

/// Settings as a stage writes them into a recipe's file: what has a value.
pub(crate) fn written(settings: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(mut map)) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(shortest);
            map
        }
        _ => Map::new(),
    }
}
