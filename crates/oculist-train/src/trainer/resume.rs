//! Going on from a checkpoint: which one, whether it is believed, and what to do if it is not.

use std::path::Path;

use super::{BEST, Event, LAST, Run};
use crate::checkpoint::{self, RunState};
use crate::config::Keep;
use crate::engine::{Deployed, State};
use crate::error::TrainError;

/// Where a run stands, what is trained, and the weights and statistics that are kept.
type Loaded = (RunState, State, Deployed);

impl Run<'_> {
    /// Goes on from the checkpoint of the last epoch, or from that of the best if the last is not there.
    pub(super) fn resume(
        &mut self,
        steps: usize,
        observer: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let (Some(last), Some(best)) = (self.path(LAST), self.path(BEST)) else { return Ok(()) };
        let from_best = !last.exists();
        if from_best && !best.exists() {
            return Ok(());
        }
        let kept = best.exists().then(|| self.load(&best, steps));
        let (state, trained, chosen) = if from_best {
            kept.unwrap_or_else(|| self.load(&best, steps)).map_err(|e| begin_anew(e, &best))?
        } else {
            let (state, trained, own) = self.load(&last, steps).map_err(|e| match &kept {
                Some(Ok((state, ..))) => {
                    let epoch = state.epoch;
                    let advice = format!(
                        "remove this file, and --resume goes on from {BEST} beside it (epoch {epoch})"
                    );
                    advise(e, &advice)
                }
                _ => begin_anew(e, &last),
            })?;
            let chosen = if state.epoch > 0 {
                let (its, _, chosen) =
                    kept.unwrap_or_else(|| self.load(&best, steps)).map_err(|e| begin_anew(e, &best))?;
                let expected =
                    if self.trainer.config.keep == Keep::Best { state.best_epoch } else { state.epoch };
                // What is kept is written first, so that it may be one epoch ahead, which is then repeated.
                let ahead = state.epoch < self.trainer.config.epochs && its.epoch == state.epoch + 1;
                if its.epoch != expected && !ahead {
                    let problem = format!("expected the weights of epoch {expected}, found {}", its.epoch);
                    return Err(begin_anew(TrainError::Checkpoint { path: best.clone(), problem }, &best));
                }
                chosen
            } else {
                own
            };
            (state, trained, chosen)
        };
        self.learner.set_state(&trained)?;
        self.chosen = Some(chosen);
        observer(Event::Resumed { epoch: state.epoch, from_best });
        self.state = state;
        Ok(())
    }

    /// Reads a checkpoint and checks that it is one of this run and has all that training needs; with the weights and
    /// statistics that it keeps.
    fn load(&self, path: &Path, steps: usize) -> Result<Loaded, TrainError> {
        let (state, mut loaded) = checkpoint::load(path, self.learner.form())?;
        let problem = |problem: String| TrainError::Checkpoint { path: path.to_path_buf(), problem };
        if state.fingerprint != self.state.fingerprint {
            return Err(TrainError::OtherRun { path: path.to_path_buf() });
        }
        state.check(self.trainer.config.epochs, steps, self.metric).map_err(problem)?;
        let kept = loaded.take_kept(self.learner.form().averaged && path.ends_with(BEST));
        self.learner.form().check(&loaded.state).map_err(|e| problem(e.to_string()))?;
        Ok((state, loaded.state, kept))
    }
}

/// Says, with what is wrong with a checkpoint, how to go on.
fn advise(error: TrainError, advice: &str) -> TrainError {
    match error {
        TrainError::Checkpoint { path, problem } => {
            TrainError::Checkpoint { path, problem: format!("{problem}; {advice}") }
        }
        TrainError::Io { path, source } => {
            TrainError::Checkpoint { path, problem: format!("{source}; {advice}") }
        }
        other => other,
    }
}

/// Says that the phase must be trained anew, which gives the same result.
fn begin_anew(error: TrainError, path: &Path) -> TrainError {
    let folder = path.parent().unwrap_or(path).display();
    advise(error, &format!("remove the folder {folder}, and --resume trains this phase anew"))
}
