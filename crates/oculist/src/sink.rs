//! Who watches a session: run folder, report, CSV, TensorBoard, progress. Nothing needs them to train.

pub(crate) mod csv;
pub(crate) mod folder;
pub(crate) mod inputs;
pub(crate) mod kept;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod run_folder;
pub(crate) mod tensorboard;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::progress::Progress;
use crate::recipe::Recipe;
use crate::session::Session;

/// Watches a session.
///
/// A closure that takes a [`Progress`] is one.
pub trait Sink {
    /// Before anything is touched: whether it could begin.
    ///
    /// # Errors
    /// What stands in its way.
    fn ready(&self, _session: &Session<'_>) -> Result<(), OculistError> {
        Ok(())
    }

    /// Before the first stage of a recipe: the data are read and every setting is decided.
    ///
    /// # Errors
    /// What stands in the way of the run; it does not begin then.
    fn begin(&mut self, _session: &Session<'_>, _recipe: &Recipe) -> Result<(), OculistError> {
        Ok(())
    }

    /// Something happened.
    ///
    /// # Errors
    /// What keeps the sink from noting it; the run ends after the stage that is at work.
    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError>;

    /// After the last stage of a recipe.
    ///
    /// # Errors
    /// What keeps the sink from writing its results.
    fn finish(&mut self, _session: &Session<'_>, _result: &Candidate) -> Result<(), OculistError> {
        Ok(())
    }

    /// Where stages may keep what they need to go on after a crash, if this sink has a place for it.
    fn keeper(&self) -> Option<Rc<dyn Keeper>> {
        None
    }
}

impl<F: FnMut(&Progress<'_>)> Sink for F {
    fn event(&mut self, event: &Progress<'_>) -> Result<(), OculistError> {
        self(event);
        Ok(())
    }
}

/// Keeps what stages need to go on after a crash.
pub trait Keeper {
    /// The folder for the checkpoints of a training.
    fn checkpoints(&self, phase: &str) -> PathBuf;

    /// Whether the run goes on from what was kept.
    fn resumes(&self) -> bool;

    /// What was remembered under a name.
    fn recall(&self, name: &str) -> Option<serde_json::Value>;

    /// Remembers something that would come out otherwise another time, such as a measured time on which a decision
    /// rests.
    ///
    /// # Errors
    /// [`OculistError::Output`] naming the file that cannot be written.
    fn remember(&self, name: &str, value: serde_json::Value) -> Result<(), OculistError>;
}

/// The sinks of a session.
#[derive(Default)]
pub(crate) struct Sinks<'a> {
    /// A sink is out of its place while it is called.
    all: RefCell<Vec<Option<Box<dyn Sink + 'a>>>>,
    failed: RefCell<Option<OculistError>>,
}

impl<'a> Sinks<'a> {
    pub(crate) fn add(&self, sink: Box<dyn Sink + 'a>) {
        self.all.borrow_mut().push(Some(sink));
    }

    /// Calls each sink in turn; the others can be told something meanwhile.
    fn each(
        &self,
        call: &mut dyn FnMut(&mut (dyn Sink + 'a)) -> Result<(), OculistError>,
    ) -> Result<(), OculistError> {
        let n = self.all.borrow().len();
        for i in 0..n {
            let taken = self.all.borrow_mut().get_mut(i).and_then(Option::take);
            let Some(mut sink) = taken else { continue };
            let result = call(sink.as_mut());
            self.all.borrow_mut()[i] = Some(sink);
            result?;
        }
        Ok(())
    }

    pub(crate) fn tell(&self, event: &Progress<'_>) {
        let told = self.each(&mut |sink| sink.event(event));
        if let Err(error) = told {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    /// The first failure of a sink since this was asked.
    pub(crate) fn check(&self) -> Result<(), OculistError> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }

    pub(crate) fn ready(&self, session: &Session<'_>) -> Result<(), OculistError> {
        self.each(&mut |sink| sink.ready(session))
    }

    pub(crate) fn begin(&self, session: &Session<'_>, recipe: &Recipe) -> Result<(), OculistError> {
        self.each(&mut |sink| sink.begin(session, recipe))
    }

    pub(crate) fn finish(&self, session: &Session<'_>, result: &Candidate) -> Result<(), OculistError> {
        self.each(&mut |sink| sink.finish(session, result))
    }

    pub(crate) fn keeper(&self) -> Option<Rc<dyn Keeper>> {
        self.all.borrow().iter().flatten().find_map(|sink| sink.keeper())
    }
}

impl std::fmt::Debug for Sinks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sinks").field("number", &self.all.borrow().len()).finish()
    }
}
