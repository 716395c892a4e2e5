//! Opening a session: the data are read, the model too, and every setting is decided.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use oculist_train::{Cpu, Engine};

use super::shared::Shared;
use super::{Canceller, Session, Stop};
use crate::class_match::list_up_to;
use crate::config::Config;
use crate::data::{Source, facts};
use crate::error::{OculistError, wrong};
use crate::evaluate::BATCH;
use crate::message::set_to;
use crate::model_file::{Model, ModelOptions};
use crate::progress::{Progress, Watch, go_on};
use crate::settings::Settings;
use crate::sink::{Sink, Sinks};
use crate::transfer::pick;

/// Classes that a run names at its beginning; of more it says how many.
const CLASSES_NAMED: usize = 20;

/// Opens a [`Session`].
#[derive(Debug)]
pub struct SessionBuilder<'a> {
    settings: Settings,
    source: Option<Source>,
    engine: Option<Box<dyn Engine>>,
    sinks: Sinks<'a>,
    stop: Stop<'a>,
}

impl<'a> SessionBuilder<'a> {
    pub(super) fn new(settings: Settings) -> Self {
        let (sinks, stop) = (Sinks::default(), Stop::Own(Canceller::default()));
        Self { settings, source: None, engine: None, sinks, stop }
    }

    /// Adds one who watches; all are told everything in the order in which they were added.
    #[must_use]
    pub fn sink(self, sink: impl Sink + 'a) -> Self {
        self.sinks.add(Box::new(sink));
        self
    }

    /// Takes data that are open already instead of those that the settings name.
    #[must_use]
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Trains on another [`Engine`](crate::engine::Engine) than the CPU. What is measured and deployed still runs on the CPU.
    #[must_use]
    pub fn engine(mut self, engine: impl Engine + 'static) -> Self {
        self.engine = Some(Box::new(engine));
        self
    }

    /// Takes what can cancel the session, so that opening it can be cancelled too.
    #[must_use]
    pub fn canceller(mut self, canceller: Canceller) -> Self {
        self.stop = Stop::Own(canceller);
        self
    }

    /// Looks at a flag of the caller to see whether to stop.
    #[must_use]
    pub fn stop_flag(mut self, flag: &'a AtomicBool) -> Self {
        self.stop = Stop::Callers(flag);
        self
    }

    /// Reads the data and the model, if one is named, and decides every setting.
    ///
    /// # Errors
    /// [`OculistError`] naming what is wrong with the settings, the data or the model.
    pub fn open(self) -> Result<Session<'a>, OculistError> {
        let began = Instant::now();
        let Self { settings, source, engine, sinks, stop } = self;
        settings.validate()?;
        if let (Some(_), Some(model)) = (&settings.from, &settings.model) {
            let expected =
                "expected a model for another task, or one for this one with it instead, found both";
            return Err(wrong("from", format!("{expected} ({})", set_to("model", model.display()))));
        }
        sinks.tell(&Progress::Stage { number: 1, title: "Read the data" });
        let mut observer = |progress: Progress<'_>| sinks.tell(&progress);
        let watch = &mut Watch { observer: &mut observer, stop: stop.flag() };
        let threads = settings.threads();
        let ctx = settings.context()?;
        let reading = ModelOptions::of(&settings);
        let opened =
            settings.model.as_deref().map(|path| Model::open_for(path, &reading, BATCH, &ctx)).transpose()?;
        let mut given = opened.map(|opened| {
            for note in &opened.notes {
                watch.note(note.marked());
            }
            opened.model
        });
        let mut source =
            source.map_or_else(|| Source::open(&of_task(&settings, given.as_ref()), threads), Ok)?;
        let warnings = source.warnings();
        for line in source.describe_lines().iter().filter(|line| !warnings.contains(line)) {
            watch.note(line);
        }
        for line in &warnings {
            watch.warn(line);
        }
        if let (Some(model), Some(path)) = (&mut given, &settings.model) {
            model.adopt_classes(source.class_names(), watch);
            source = model.order_classes(path, source, true, watch)?;
        }
        watch.note(&format!("classes: {}", list_up_to(CLASSES_NAMED, source.class_names())));
        go_on(watch.stop)?;
        let mut facts = facts(&source, &settings)?;
        let mut decided = settings.clone();
        let sources = settings.from.as_deref().unwrap_or_default();
        let color = facts.preprocessing.color;
        let carried = pick::pick(sources, &settings, &source, color, &ctx, watch)?;
        if let Some(carried) = &carried {
            // Its preprocessing holds as it is, and its family says how to train.
            facts.preprocessing = carried.model.preprocessing.clone();
            let known = oculist_zoo::find(&carried.model.arch).ok();
            decided.arch = known.map(|info| info.name.to_owned());
        }
        if let (Some(model), Some(path)) = (&given, &decided.model) {
            if model.is_int8() {
                return Err(OculistError::Model {
                    path: path.clone(),
                    problem: "it is quantised already; start from the f32 model of the same run".into(),
                });
            }
            // A given model, not the images, says how to train: its input and its family.
            facts.preprocessing = model.preprocessing.clone();
            if decided.arch.is_none() && oculist_zoo::find(&model.arch).is_ok() {
                decided.arch = Some(model.arch.clone());
            }
        }
        let mut config = Config::resolve(&decided, &facts)?;
        if let Some(model) = &given {
            config.preprocessing = model.preprocessing.clone();
            config.arch.clone_from(&model.arch);
        }
        if let Some(carried) = &carried {
            config.preprocessing = carried.model.preprocessing.clone();
            config.arch.clone_from(&carried.model.arch);
        }
        go_on(watch.stop)?;
        let given = decided.model.clone().zip(given);
        Ok(Session {
            asked: settings,
            settings: decided,
            facts,
            config,
            engine: engine.unwrap_or_else(|| Box::new(Cpu::new(ctx.clone()))),
            ctx,
            source,
            given,
            carried,
            val: OnceCell::new(),
            test: OnceCell::new(),
            shared: Shared::default(),
            sinks,
            keeper: RefCell::new(None),
            stop,
            announced: Cell::new(1),
            phases: RefCell::new(BTreeSet::new()),
            began,
        })
    }
}

/// The settings, with the task of the model that is given where they name none.
fn of_task(settings: &Settings, given: Option<&Model>) -> Settings {
    let task = settings.task.or(given.map(|model| model.task));
    Settings { task, ..settings.clone() }
}
