//! Carries over what a model for another task has learned.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use oculist_data::Split;
use oculist_graph::Graph;
use oculist_heads::HeadKind;
use oculist_passes::{Classifier, Cut, classifier, pools_its_maps};
use oculist_report::{Transfer as Facts, TransferHead};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::data::preprocessing_text;
use crate::error::OculistError;
use crate::message::setting;
use crate::session::Session;
use crate::settings::{HeadName, Precision, TransferMode};
use crate::summary::counted;
use crate::transfer::adapt::adapted;
use crate::transfer::carried::{Backbone, Carried, as_run};
use crate::transfer::features::{Extraction, FeatureRows};
use crate::transfer::heads::{Lesson, chance, free_head, head_options, with_head};
use crate::transfer::int8::quantized;
use crate::transfer::pick::one_label;
use crate::transfer::rows::{Carry, carry, rows, with_linear};
use crate::transfer::seen::Seen;

/// Takes the source of the session for the task of its data: its features with a new head, or its classifier's rows by name.
///
/// Nothing is trained but the head, on features that are computed once.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Transfer {
    /// What is carried over; the session's mode if it is not set, `auto` being `features`.
    pub mode: Option<TransferMode>,
    /// What is learned on the features; the session's if it is not set.
    pub head: Option<HeadName>,
    /// Value or node of the source that gives the features; the session's if it is not set.
    pub layer: Option<String>,
    /// In what the extractor computes; the session's if it is not set.
    pub precision: Option<Precision>,
    /// Whether `auto` tries only heads that are one fully connected layer, which can be trained on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub linear: bool,
    /// Whether the statistics of its batch normalisations are first measured over the training images, which suits a network
    /// that is trained on afterwards.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub adapt: bool,
}

/// Features of training and validation images.
struct Both {
    train: FeatureRows,
    train_labels: Vec<u32>,
    val: FeatureRows,
    val_labels: Vec<u32>,
}

/// What comes out of a way of carrying over.
struct Made {
    graph: Graph,
    /// In words.
    what: String,
    facts: Facts,
}

impl Transfer {
    /// By one mode.
    pub fn by(mode: TransferMode) -> Self {
        Self { mode: Some(mode), ..Self::default() }
    }

    /// With another head.
    #[must_use]
    pub fn with_head(mut self, head: HeadName) -> Self {
        self.head = Some(head);
        self
    }

    fn mode(&self, session: &Session<'_>) -> TransferMode {
        match self.mode.or(session.settings().mode).unwrap_or_default() {
            TransferMode::Auto => TransferMode::Features,
            mode => mode,
        }
    }

    fn precision(&self, session: &Session<'_>) -> Precision {
        self.precision.or(session.settings().precision).unwrap_or_default()
    }

    fn layer<'s>(&'s self, session: &'s Session<'_>) -> Option<&'s str> {
        self.layer.as_deref().or(session.settings().layer.as_deref())
    }

    fn fail(&self, problem: impl Into<String>) -> OculistError {
        OculistError::Stage { stage: self.kind().into(), problem: problem.into() }
    }

    fn source<'s>(&self, session: &'s Session<'_>) -> Result<&'s Carried, OculistError> {
        session
            .carried()
            .ok_or_else(|| self.fail("expected a model to carry over from (the setting `from`), found none"))
    }

    /// Where it is tried among others, what it cannot do is no error: gives `problem` only then.
    fn unless_auto(session: &Session<'_>, problem: OculistError) -> Result<(), OculistError> {
        match session.settings().mode.unwrap_or_default() {
            TransferMode::Auto => Err(problem),
            _ => Ok(()),
        }
    }

    /// Where the source is cut.
    fn cut<'s>(&'s self, session: &'s Session<'_>) -> Cut<'s> {
        match (self.layer(session), self.mode(session)) {
            (Some(name), _) => Cut::At(name),
            (None, TransferMode::Gap) => Cut::Maps,
            (None, _) => Cut::Classifier,
        }
    }

    /// The features of training and validation images, computed once for a cut.
    fn features(
        &self,
        session: &Session<'_>,
        carried: &Carried,
        run: &Graph,
        precision: Precision,
    ) -> Result<Rc<Both>, OculistError> {
        let adapted = if self.adapt { " adapted" } else { "" };
        let name = format!("features {:?} {precision:?}{adapted}", self.cut(session));
        session.shared(&name, || {
            let folder = session.feature_folder();
            let contents = session.contents()?;
            let extraction = Extraction {
                graph: run,
                preprocessing: &session.config().preprocessing,
                ctx: session.ctx(),
                folder: folder.as_deref(),
                precision: if precision == Precision::Int8 { "int8" } else { "f32" },
            };
            let began = Instant::now();
            let of = |split: Split| {
                let subset = session.source().split(split);
                let known = contents.map(|contents| contents.split(split));
                let rows = session.watched(|watch| extraction.rows(subset, known, watch));
                let rows = rows.map_err(|e| e.of_model(&carried.path))?;
                let labels = rows.labels(subset);
                Ok::<_, OculistError>((rows, labels))
            };
            let ((train, train_labels), (val, val_labels)) = (of(Split::Train)?, of(Split::Val)?);
            let images = train.len() + val.len();
            session.note(&format!(
                "{} features of {} from {}, {:.1} s",
                train.dim,
                counted(images, "image", "images"),
                carried.name(),
                began.elapsed().as_secs_f64()
            ));
            Ok(Both { train, train_labels, val, val_labels })
        })
    }

    /// The heads to try.
    fn kinds(&self, session: &Session<'_>) -> Result<Vec<HeadKind>, OculistError> {
        let linear = matches!(self.mode(session), TransferMode::Finetune | TransferMode::Gap);
        let kinds = self.head.or(session.settings().head).unwrap_or_default().kinds(linear || self.linear);
        match kinds.iter().find(|kind| linear && !kind.is_linear()) {
            Some(kind) => Err(self.fail(format!(
                "head: expected one that is a fully connected layer (logistic, svm or lda), which the modes gap and finetune \
                 make, found {kind}; the mode features takes any where nothing is trained behind it"
            ))),
            None => Ok(kinds),
        }
    }

    /// A head on the features.
    fn with_features(&self, session: &Session<'_>, carried: &Carried) -> Result<Made, OculistError> {
        let mode = self.mode(session);
        let precision = self.precision(session);
        let mut backbone = carried.backbone(self.cut(session))?;
        if mode == TransferMode::Gap && self.layer(session).is_none() && pools_its_maps(&carried.model.graph)
        {
            let problem = "the source pools its maps already, so that `gap` gives what `features` gives";
            Self::unless_auto(session, OculistError::OutOfReach { problem: problem.into() })?;
            session.note(problem);
        }
        let trained_on = mode == TransferMode::Finetune;
        if self.adapt {
            backbone.network.graph = adapted(session, &backbone.network.graph)?;
            backbone.folded = as_run(&backbone.network.graph)?;
        }
        let run = if precision == Precision::Int8 && !trained_on {
            let (config, subset) = (session.config(), session.source().split(Split::Train));
            let made = quantized(
                &backbone,
                &config.preprocessing,
                subset,
                config.seed,
                session.ctx(),
                session.stop(),
            )?;
            session.note(&made.what);
            backbone.network.graph = made.graph.clone();
            made.graph
        } else {
            backbone.folded.clone()
        };
        let shown = if trained_on { Precision::F32 } else { precision };
        let both = self.features(session, carried, &run, shown)?;
        let kinds = self.kinds(session)?;
        let lesson = Lesson {
            train: &both.train,
            train_labels: &both.train_labels,
            val: &both.val,
            val_labels: &both.val_labels,
            classes: session.source().class_names().len(),
        };
        let metric = session.config().metric;
        let options = head_options(session.config().seed, session.ctx());
        let learned = lesson.learn(
            &kinds,
            &options,
            metric,
            session.stop(),
            |tried| {
                session.note(&format!(
                    "{}: {} on validation images ({}), {:.1} s",
                    tried.head.kind(),
                    metric.format(tried.val.get(metric).unwrap_or(f64::NAN)),
                    tried.head.chosen(),
                    tried.seconds
                ));
            },
            |kind| session.note(&format!("{kind}: left out, as it cannot be learned on these features")),
        )?;
        let Some(best) = learned.first() else { return Err(self.fail("head: no kind to try")) };
        if let Some(text) = chance(best.head.cv_accuracy(), lesson.train_labels, lesson.classes) {
            session.warn(&text);
        }
        let graph = with_head(&backbone.network, &best.head)?;
        let places = if backbone.network.pooled { ", means over places" } else { "" };
        let what = format!(
            "{} features of {}{places}, {} ({})",
            backbone.network.features,
            carried.name(),
            best.head.kind(),
            best.head.chosen()
        );
        let heads = learned.iter().map(|tried| TransferHead {
            kind: tried.head.kind().to_string(),
            chosen: tried.head.chosen().to_owned(),
            val: tried.val.get(metric),
            seconds: tried.seconds,
        });
        let facts = Facts { heads: heads.collect(), ..self.facts(session, carried, &backbone, shown) };
        Ok(Made { graph, what, facts })
    }

    /// What the report says of a source that was carried over.
    fn facts(
        &self,
        session: &Session<'_>,
        carried: &Carried,
        backbone: &Backbone,
        precision: Precision,
    ) -> Facts {
        let mode = match self.mode(session) {
            TransferMode::Auto | TransferMode::Features => "features",
            TransferMode::Gap => "gap",
            TransferMode::Fc => "fc",
            TransferMode::Finetune => "finetune",
        };
        Facts {
            source: carried.name(),
            arch: carried.model.arch.clone(),
            source_classes: carried.model.class_names.len(),
            mode: mode.into(),
            features: backbone.network.features,
            at: backbone.network.at.clone(),
            pooled: backbone.network.pooled,
            precision: if precision == Precision::Int8 { "int8" } else { "f32" }.into(),
            preprocessing: preprocessing_text(&carried.model.preprocessing),
            sources: carried.compared.clone(),
            ..Facts::default()
        }
    }

    /// The classifier's rows by the names of the classes.
    fn with_rows(&self, session: &Session<'_>, carried: &Carried) -> Result<Made, OculistError> {
        let (old, carry) = Self::carry(session, carried)?;
        for note in &carry.notes {
            session.note(note);
        }
        let backbone = carried.backbone(Cut::Classifier)?;
        let (empty, none) = (FeatureRows { dim: old.features, ..FeatureRows::default() }, Vec::new());
        let (weights, bias) = if carry.of.iter().all(Option::is_some) {
            rows(&old, &carry, &empty, &none)
        } else {
            let both = Transfer::by(TransferMode::Features).features(
                session,
                carried,
                &backbone.folded,
                Precision::F32,
            )?;
            rows(&old, &carry, &both.train, &both.train_labels)
        };
        let graph = with_linear(&backbone.network, &old.name, weights, bias)?;
        let carried_over = carry.of.iter().flatten().count();
        let what = format!(
            "all layers of {}, {} of {} classes by name",
            carried.name(),
            carried_over,
            carry.of.len()
        );
        let mut facts = self.facts(session, carried, &backbone, Precision::F32);
        for (name, of) in session.source().class_names().iter().zip(&carry.of) {
            let list = if of.is_some() { &mut facts.carried_classes } else { &mut facts.new_classes };
            list.push(name.clone());
        }
        Ok(Made { graph, what, facts })
    }

    /// The source's classifier, and which of its rows are of classes of the data.
    fn carry(session: &Session<'_>, carried: &Carried) -> Result<(Classifier, Carry), OculistError> {
        let model = &carried.model;
        let of_file = |problem: String| match session.settings().mode.unwrap_or_default() {
            TransferMode::Auto => OculistError::OutOfReach { problem },
            _ => OculistError::Model { path: carried.path.clone(), problem: problem.into() },
        };
        if model.is_headless() {
            let problem = "it holds no weights of a classifier, so that no class can be carried over; carry over its features";
            return Err(of_file(problem.into()));
        }
        if model.numbered {
            return Err(of_file(format!(
                "it does not name its classes, so that none can be carried over by name: name them with {}, or carry over \
                 its features",
                setting("classes")
            )));
        }
        let carry = carry(&model.class_names, session.source().class_names()).map_err(of_file)?;
        // Nothing of the classifier goes over then, which features with a head that learns do better.
        if carry.is_nothing() && session.settings().mode.unwrap_or_default() == TransferMode::Auto {
            return Err(of_file("none of the classes of the data is one of the source".into()));
        }
        let old = classifier(&model.graph).map_err(|e| of_file(e.to_string()))?;
        let features = carried.network(Cut::Classifier)?.features;
        if features != old.features {
            return Err(of_file(format!(
                "its last layer `{}` reads {} features, and an image has {features}",
                old.name, old.features
            )));
        }
        Ok((old, carry))
    }
}

impl Stage for Transfer {
    fn kind(&self) -> &'static str {
        "transfer"
    }

    fn title(&self, session: &Session<'_>, _before: &Candidate) -> String {
        let from = session.carried().map_or_else(String::new, |carried| format!(" from {}", carried.name()));
        match self.mode(session) {
            TransferMode::Fc => format!("Carry the classifier over{from}, by the names of the classes"),
            TransferMode::Gap => format!("Carry pooled maps over{from} and learn a layer on them"),
            _ if self.adapt => {
                format!("Carry features over{from}, with statistics of the data, and learn a head on them")
            }
            _ => format!("Carry features over{from} and learn a head on them"),
        }
    }

    fn settings(&self) -> Map<String, Value> {
        written(self)
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        let carried = self.source(session)?;
        one_label(session.source())?;
        if self.mode(session) == TransferMode::Fc {
            return Self::carry(session, carried).map(drop);
        }
        self.kinds(session)?;
        carried.network(self.cut(session)).map(drop)
    }

    fn expects(&self, _before: Expected) -> Result<Expected, OculistError> {
        Ok(if self.precision == Some(Precision::Int8) { Expected::Int8 } else { Expected::F32 })
    }

    fn leaves(&self, session: &Session<'_>, _before: Option<String>) -> Result<Option<String>, OculistError> {
        let mode = self.mode(session);
        if mode == TransferMode::Fc {
            return Ok(None);
        }
        let linear = |kind: &HeadKind| kind.is_linear();
        if !self.kinds(session)?.iter().all(linear) {
            let found = self.head.or(session.settings().head).unwrap_or_default();
            return Ok(Some(format!(
                "head: expected one that is a fully connected layer (logistic, svm or lda), as the network is trained on behind the \
                 transfer, found {}",
                written_name(&found)
            )));
        }
        let int8 = self.precision(session) == Precision::Int8 && mode != TransferMode::Finetune;
        Ok(int8.then(|| {
            "precision: expected f32, as the network is trained on behind the transfer (`quantize` makes int8 of it then), found \
             int8"
                .to_owned()
        }))
    }

    fn run(&self, session: &Session<'_>, _before: &Candidate) -> Result<Candidate, OculistError> {
        self.check(session)?;
        let carried = self.source(session)?;
        warn_of_seen(session, carried);
        let made = match self.mode(session) {
            TransferMode::Fc => self.with_rows(session, carried)?,
            _ => self.with_features(session, carried)?,
        };
        let mut after = Candidate::nothing().followed_by(session.trained(made.graph));
        let name = match self.mode(session) {
            TransferMode::Fc => "classifier carried over",
            TransferMode::Gap => "pooled maps carried over",
            _ if self.adapt => "features carried over, statistics of the data",
            _ => "features carried over",
        };
        after.name = name.into();
        after.label = session.phase_name("transfer");
        after.kind = "baseline".into();
        after.what = made.what;
        after.transfer = Some(Arc::new(made.facts));
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, _before: &Draft) -> Result<Planned, OculistError> {
        let carried = self.source(session)?;
        let backbone = carried.backbone(self.cut(session))?;
        let classes = session.source().class_names().len();
        let zeros = (vec![0.0; classes * backbone.network.features], vec![0.0; classes]);
        let graph = with_linear(&backbone.network, &free_head(&backbone.network.graph), zeros.0, zeros.1)?;
        let source = session.source();
        let images = source.split(Split::Train).len() + source.split(Split::Val).len();
        let mut planned = Planned::new(Draft { graph: Some(graph.clone()) });
        planned.seconds = images as f64 * Planned::image_seconds(session, &backbone.folded)?;
        planned.what = self.title(session, &Candidate::nothing());
        Ok(planned)
    }
}

/// A choice as it stands in files.
fn written_name(choice: &impl Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Warns, once in a session, where the source was trained on images that are test images here.
fn warn_of_seen(session: &Session<'_>, carried: &Carried) {
    let told = session.shared("seen test images", || {
        let seen = Seen::from_metadata(&carried.model.graph.metadata);
        let test = session.source().contents().map(|contents| contents.split(Split::Test));
        let (Some(seen), Some(test)) = (seen, test) else { return Ok(()) };
        let found = seen.among(test);
        if found > 0 {
            session.warn(&format!(
                "{} was trained on test images of these data: {} of {} found by their content, with {:.0}% of its training \
                 images known; what is measured on them is too good",
                carried.name(),
                found,
                counted(test.len(), "test image", "test images"),
                100.0 * seen.share()
            ));
        }
        Ok(())
    });
    drop(told);
}
