//! A session: data, seed, threads and those who watch. Stages work in it; it needs no folder and no command line.

mod checks;
mod costs;
mod open;
mod shared;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oculist_data::Split;
use oculist_graph::Graph;
use oculist_report::Step;
use oculist_runtime::Context;
use oculist_train::Engine;

use crate::candidate::Candidate;
use crate::config::{Config, DataFacts};
use crate::data::Source;
use crate::error::OculistError;
use crate::images::Images;
use crate::metrics::Probabilities;
use crate::model_file::Model;
use crate::progress::{Progress, Watch, go_on};
use crate::recipe::Recipe;
use crate::settings::Settings;
use crate::sink::{Keeper, Sinks};
use crate::stage::Stage;
use crate::transfer::Carried;
use crate::transfer::features::Contents;
use crate::transfer::pick;
use crate::transfer::seen::{SEEN_KEY, Seen};
use shared::Shared;

pub use open::SessionBuilder;

/// Data, settings and threads that stages work with, and the sinks that watch them.
///
/// ```
/// use oculist::{Metric, Recipe, Session, Settings};
///
/// let settings = Settings {
///     data: Some("demo".into()),
///     arch: Some("resnet8".into()),
///     epochs: Some(1),
///     width: Some(0.25),
///     ..Settings::default()
/// };
/// let session = Session::open(settings)?;
/// let trained = session.run(&Recipe::train())?;
/// assert!(trained.value(Metric::Top1) > 20.0);
/// # Ok::<(), oculist::OculistError>(())
/// ```
#[derive(Debug)]
pub struct Session<'a> {
    /// The settings as they were asked for.
    asked: Settings,
    /// The same with what a given model decides; they hold where a stage says nothing.
    settings: Settings,
    facts: DataFacts,
    config: Config,
    ctx: Arc<Context>,
    /// What trains.
    engine: Box<dyn Engine>,
    source: Source,
    given: Option<(PathBuf, Model)>,
    /// The model for another task that is carried over from.
    carried: Option<Carried>,
    val: OnceCell<Images>,
    test: OnceCell<Images>,
    shared: Shared,
    sinks: Sinks<'a>,
    keeper: RefCell<Option<Rc<dyn Keeper>>>,
    stop: Stop<'a>,
    /// Stages announced so far.
    announced: Cell<usize>,
    /// Names of trainings, which have checkpoints and must not be mixed up.
    phases: RefCell<BTreeSet<String>>,
    began: Instant,
}

impl std::fmt::Debug for dyn Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("resumes", &self.resumes()).finish()
    }
}

/// Stops a session from another thread; see [`Session::canceller`].
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<AtomicBool>);

impl Canceller {
    /// Asks the session to stop after the step of training, batch of images or timed run that is at work.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is looked at to see whether to stop.
#[derive(Debug)]
enum Stop<'a> {
    Own(Canceller),
    Callers(&'a AtomicBool),
}

impl Stop<'_> {
    fn flag(&self) -> &AtomicBool {
        match self {
            Self::Own(canceller) => &canceller.0,
            Self::Callers(flag) => flag,
        }
    }
}

impl<'a> Session<'a> {
    /// Opens the data that the settings name, with nobody watching.
    ///
    /// # Errors
    /// [`OculistError`] naming what is wrong with the settings, the data or the model.
    pub fn open(settings: Settings) -> Result<Self, OculistError> {
        Self::builder(settings).open()
    }

    /// A session with sinks, or on data that are in memory.
    pub fn builder(settings: Settings) -> SessionBuilder<'a> {
        SessionBuilder::new(settings)
    }

    /// Asks the session to stop: the stage at work ends with [`OculistError::Stopped`] after its current step.
    pub fn cancel(&self) {
        self.stop.flag().store(true, Ordering::Relaxed);
    }

    /// What can cancel this session from another thread; `None` where the caller of a verb has a flag of its own.
    pub fn canceller(&self) -> Option<Canceller> {
        match &self.stop {
            Stop::Own(canceller) => Some(canceller.clone()),
            Stop::Callers(_) => None,
        }
    }

    /// Runs a recipe: its stages one after the other, from nothing.
    ///
    /// # Errors
    /// [`OculistError`] of the first stage or sink that fails.
    pub fn run(&self, recipe: &Recipe) -> Result<Candidate, OculistError> {
        self.check_recipe(recipe)?;
        self.sinks.ready(self)?;
        self.sinks.begin(self, recipe)?;
        *self.keeper.borrow_mut() = self.sinks.keeper();
        let work = || {
            // What cannot be read is said before any training.
            self.val()?;
            if self.has_test() {
                self.test()?;
            }
            let mut candidate = Candidate::nothing();
            for stage in recipe.stages() {
                candidate = self.step(stage.as_ref(), &candidate)?;
            }
            self.sinks.finish(self, &candidate)?;
            self.sinks.check()?;
            Ok(candidate)
        };
        let resumable = self.keeper.borrow().is_some();
        work().map_err(|e: OculistError| if resumable { e.resumable() } else { e })
    }

    /// Runs one stage: announces it, measures what comes out of it, and says what it changed.
    ///
    /// # Errors
    /// That of the stage, or of a sink.
    pub fn step(&self, stage: &dyn Stage, before: &Candidate) -> Result<Candidate, OculistError> {
        go_on(self.stop())?;
        self.announce(&stage.title(self, before));
        let began = Instant::now();
        let mut after = stage.run(self, before)?;
        self.appraise(&mut after)?;
        stage.examine(self, &mut after)?;
        if after.complete && !after.told {
            let before = before.lineage().find(|candidate| candidate.complete && candidate.model.is_some());
            let doings = Some(after.doings()).filter(|doings| !doings.is_empty());
            let what = doings.unwrap_or_else(|| stage.title(self, &after));
            self.note_step(&stage.step_name(&after), what, began, before, Some(&after));
        }
        self.sinks.check()?;
        Ok(after)
    }

    /// Says what a step changed and what it cost.
    pub(crate) fn note_step(
        &self,
        name: &str,
        what_changed: String,
        began: Instant,
        before: Option<&Candidate>,
        after: Option<&Candidate>,
    ) {
        let metric = self.config.metric;
        let step = Step {
            name: name.to_owned(),
            what_changed,
            cost: began.elapsed().as_secs_f64(),
            before: before.map(|candidate| candidate.state(metric)),
            after: after.map(|candidate| candidate.state(metric)),
        };
        self.tell(&Progress::Step(&step));
        self.note(&oculist_report::terminal::step_line(&step, metric));
    }

    /// Announces a stage with the next number.
    pub(crate) fn announce(&self, title: &str) {
        self.announced.set(self.announced.get() + 1);
        self.tell(&Progress::Stage { number: self.announced.get(), title });
    }

    /// Tells all sinks.
    pub fn tell(&self, event: &Progress<'_>) {
        self.sinks.tell(event);
    }

    /// Tells all sinks a fact worth a line.
    pub fn note(&self, text: &str) {
        self.tell(&Progress::Note(&text.into()));
    }

    /// Tells all sinks what the user should know about.
    pub fn warn(&self, text: &str) {
        self.tell(&Progress::Warning(&text.into()));
    }

    /// Gives a part of the library that talks to a [`Watch`] one that tells all sinks.
    pub(crate) fn watched<T>(&self, work: impl FnOnce(&mut Watch<'_>) -> T) -> T {
        let mut observer = |progress: Progress<'_>| self.tell(&progress);
        work(&mut Watch { observer: &mut observer, stop: self.stop() })
    }

    /// Set once the session is to stop; a stage of one's own looks at it in every loop that takes time.
    pub fn stop(&self) -> &AtomicBool {
        self.stop.flag()
    }

    /// The images of the validation split, as the network sees them.
    ///
    /// # Errors
    /// [`OculistError::Data`] if they cannot be read.
    pub fn val(&self) -> Result<&Images, OculistError> {
        self.images(Split::Val, &self.val)
    }

    /// Whether there are test images: not where none were to be drawn of data that have none.
    pub fn has_test(&self) -> bool {
        !self.source.split(Split::Test).is_empty()
    }

    /// The images of the test split, as the network sees them; they decide nothing.
    ///
    /// # Errors
    /// [`OculistError::Data`] if they cannot be read, or there are none.
    pub fn test(&self) -> Result<&Images, OculistError> {
        self.images(Split::Test, &self.test)
    }

    fn images<'s>(&'s self, split: Split, cell: &'s OnceCell<Images>) -> Result<&'s Images, OculistError> {
        if let Some(images) = cell.get() {
            return Ok(images);
        }
        let images = Images::load_until(
            self.source.split(split),
            &self.config.preprocessing,
            self.ctx.threads(),
            self.stop(),
        )?;
        Ok(cell.get_or_init(|| images))
    }

    /// A value that several candidates share, computed the first time that it is asked for.
    ///
    /// # Errors
    /// That of `compute`.
    pub(crate) fn shared<T: 'static>(
        &self,
        name: &str,
        compute: impl FnOnce() -> Result<T, OculistError>,
    ) -> Result<Rc<T>, OculistError> {
        self.shared.get(name, compute)
    }

    /// The settings of the whole session, as they were asked for.
    #[expect(clippy::misnamed_getters, reason = "what was decided since is not what was asked for")]
    pub fn settings(&self) -> &Settings {
        &self.asked
    }

    /// Everything that was decided for the session.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is decided where a stage has settings of its own.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn config_with(&self, own: &Settings) -> Result<Config, OculistError> {
        if *own == Settings::default() {
            return Ok(self.config.clone());
        }
        let mut config = Config::resolve(&own.clone().over(self.settings.clone()), &self.facts)?;
        config.preprocessing.clone_from(&self.config.preprocessing);
        if own.arch.is_none() {
            config.arch.clone_from(&self.config.arch);
        }
        Ok(config)
    }

    /// The data.
    pub fn source(&self) -> &Source {
        &self.source
    }

    pub(crate) fn ctx(&self) -> &Arc<Context> {
        &self.ctx
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    pub(crate) fn given(&self) -> Option<&Model> {
        self.given.as_ref().map(|(_, model)| model)
    }

    pub(crate) fn carried(&self) -> Option<&Carried> {
        self.carried.as_ref()
    }

    /// Where features are kept from one run to the next, if anywhere.
    pub(crate) fn feature_folder(&self) -> Option<PathBuf> {
        pick::folder(&self.settings)
    }

    /// The content of every image, where it is known or features are kept by it.
    ///
    /// # Errors
    /// [`OculistError::Data`] naming a file that cannot be read; [`OculistError::Stopped`].
    pub(crate) fn contents(&self) -> Result<Option<&Contents>, OculistError> {
        if let (None, Some(_)) = (self.source.contents(), self.feature_folder()) {
            self.watched(|watch| self.source.read_contents(self.ctx.threads(), watch))?;
        }
        Ok(self.source.contents())
    }

    /// Notes in a graph's metadata which images it was trained on, beside those of before, where their content is known.
    pub(crate) fn mark_trained(&self, graph: &mut Graph) {
        let Some(contents) = self.source.contents() else { return };
        let before = Seen::from_metadata(&graph.metadata).unwrap_or_default();
        let seen = before.and(Seen::of(contents.split(Split::Train)));
        graph.metadata.insert(SEEN_KEY.into(), seen.to_text());
    }

    /// A model of this session around a graph that was trained on its images.
    pub(crate) fn trained(&self, mut graph: Graph) -> Model {
        self.mark_trained(&mut graph);
        self.model(graph)
    }

    pub(crate) fn given_path(&self) -> Option<&Path> {
        self.given.as_ref().map(|(path, _)| path.as_path())
    }

    pub(crate) fn keeper(&self) -> Option<Rc<dyn Keeper>> {
        self.keeper.borrow().clone()
    }

    /// Bytes of decoded images kept from one epoch to the next.
    pub(crate) fn cache_bytes(&self) -> u64 {
        self.settings.cache.map_or(0, |size| size.0)
    }

    /// Time of each final measurement.
    pub(crate) fn measure_time(&self) -> Duration {
        /// Seconds if the settings do not say.
        const SECONDS: f64 = 2.0;
        Duration::from_secs_f64(self.settings.measure_seconds.unwrap_or(SECONDS))
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// A name for a training that no other of this session has.
    pub(crate) fn phase_name(&self, wanted: &str) -> String {
        let mut phases = self.phases.borrow_mut();
        let mut name = wanted.to_owned();
        let mut n = 1;
        while !phases.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}-{n}");
        }
        name
    }

    /// The probabilities that the models of this session give.
    pub(crate) fn probabilities(&self) -> Probabilities {
        self.given().map(Model::probabilities).unwrap_or_default()
    }

    /// A model of this session around a graph: its classes, its preprocessing.
    pub fn model(&self, graph: Graph) -> Model {
        Model {
            graph,
            head: self.given().map(|model| model.head.clone()).unwrap_or_default(),
            preprocessing: self.config.preprocessing.clone(),
            class_names: self.source.class_names().to_vec(),
            numbered: false,
            arch: self.config.arch.clone(),
            task: self.config.task,
            reject: None,
        }
    }
}
