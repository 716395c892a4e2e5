//! What can be refused before any work is refused before any work.

use std::path::Path;

use oculist_data::LoaderConfig;
use oculist_runtime::{Plan, PlanOptions};
use oculist_train::Engine;
use oculist_zoo::BuildOptions;

use super::Session;
use crate::config::Config;
use crate::error::OculistError;
use crate::evaluate::BATCH;
use crate::images::{ahead_bytes, reading_bytes};
use crate::message::set_to;
use crate::model_file::{Model, softmax_as_logits};
use crate::recipe::Recipe;
use crate::stage::{Expected, Load, Search, Stage, written};
use crate::transfer::idle::{self, Purpose};

impl Session<'_> {
    /// Checks that a recipe can be run with what is known before its first stage.
    ///
    /// # Errors
    /// [`OculistError`] naming the stage, the model or the memory that stands in its way.
    pub(crate) fn check_recipe(&self, recipe: &Recipe) -> Result<(), OculistError> {
        let mut known = Expected::Nothing;
        let mut untrainable = None;
        for (i, stage) in recipe.stages().iter().enumerate() {
            let at = |error| recipe.error_of(i + 1, stage.as_ref(), error);
            stage.check(self).map_err(at)?;
            known = stage.expects(known).map_err(at)?;
            untrainable = stage.leaves(self, untrainable).map_err(at)?;
            self.note_contradictions(stage.as_ref());
        }
        let trains = recipe.stages().iter().any(|stage| stage.trainings(self) > 0);
        let compresses = recipe.stages().iter().any(|stage| stage.kind() == Search::default().kind());
        if self.carried().is_some() {
            for text in idle::notes(&self.asked, Purpose::Run { trains, compresses }) {
                self.note(&text);
            }
        }
        if let Some(path) = self.given_path()
            && recipe.stages().iter().all(|stage| stage.kind() != Load.kind())
        {
            return Err(OculistError::Recipe {
                name: recipe.name().to_owned(),
                problem: format!("no stage takes the model {}: expected `load` as the first", path.display()),
            });
        }
        if let Some((path, model)) = &self.given
            && recipe.stages().iter().any(|stage| stage.trains_what_it_is_given())
        {
            is_trainable(path, model, self.engine())?;
        }
        Ok(())
    }

    /// Says where a stage sets what was asked for otherwise for the whole run: the nearer one holds.
    fn note_contradictions(&self, stage: &dyn Stage) {
        let asked = written(&self.asked);
        for (name, value) in stage.settings() {
            if let Some(other) = asked.get(&name).filter(|other| **other != value) {
                let (kind, given) = (stage.kind(), set_to(&name, other));
                self.note(&format!("stage `{kind}` has {name} = {value} of its own, whatever {given} says"));
            }
        }
    }

    /// Refuses a network of the zoo that cannot be trained or run in the memory that there may be, before any is
    /// taken.
    pub(crate) fn fits_memory(&self, config: &Config) -> Result<(), OculistError> {
        let ctx = &self.ctx;
        let graph = oculist_zoo::build(&config.arch, &self.build_options(config))?;
        let rows = config.train.rows();
        let training = self.engine().check(&graph, rows)?;
        let images = LoaderConfig::training(
            rows,
            config.train.loader_workers,
            config.seed,
            config.augmentation.clone(),
            config.preprocessing.clone(),
        );
        let what = format!(
            "training `{}` on batches of {rows} images, with those that are read ahead,",
            graph.name()
        );
        ctx.check_memory(&what, training.saturating_add(ahead_bytes(&images)))?;
        let running = Plan::check(&graph, &PlanOptions::new(BATCH, ctx.clone()))?;
        let what = format!(
            "running `{}` on batches of {BATCH} images, with those that are read ahead,",
            graph.name()
        );
        let images = reading_bytes(&config.preprocessing, ctx.threads());
        Ok(ctx.check_memory(&what, running.saturating_add(images))?)
    }

    /// How the zoo builds the network of a configuration.
    pub(crate) fn build_options(&self, config: &Config) -> BuildOptions {
        let p = &config.preprocessing;
        BuildOptions::new(self.source.class_names().len(), (p.channels(), p.height, p.width))
            .with_width(config.width)
    }
}

/// Refuses a model that runs but that pruned forms of it could not be trained of.
fn is_trainable(path: &Path, model: &Model, engine: &dyn Engine) -> Result<(), OculistError> {
    // Two images: pruned forms of it need less than it does itself.
    engine.check(&model.graph, 2).map_err(|e| OculistError::from(e).of_model(path))?;
    match softmax_as_logits(&model.graph) {
        None => Ok(()),
        Some(node) => Err(OculistError::Model {
            path: path.to_path_buf(),
            problem: format!(
                "it cannot be trained on: its last Softmax reads the probabilities of another one (node `{}`), where \
                 training needs logits",
                node.name
            )
            .into(),
        }),
    }
}
