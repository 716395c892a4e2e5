//! What the stages of a run share: data, settings, folder, and the facts collected for the report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use oculist_data::{LoaderConfig, Split};
use oculist_files::{Seal, seal, utc_text};
use oculist_graph::Graph;
use oculist_report::{RunSummary, Step, StepState};
use oculist_runtime::{Context, Plan, PlanOptions};
use oculist_train::{Executor, Mode, OptimizerConfig};
use oculist_zoo::BuildOptions;

use super::inputs::Inputs;
use super::{RunOptions, resume};
use crate::compress::candidate::{Candidate, Cost};
use crate::data::{Source, facts, preprocessing_text};
use crate::error::OculistError;
use crate::evaluate::BATCH;
use crate::files::check_no_images_of;
use crate::images::{Images, ahead_bytes, reading_bytes};
use crate::measure;
use crate::metrics::Probabilities;
use crate::model_file::{Model, ModelOptions, softmax_as_logits};
use crate::progress::{Progress, Watch, go_on};
use crate::recipe::Recipe;
use crate::run_folder::{CONFIG_FILE, Existing, INPUTS_FILE, RunFolder, SETTINGS_FILE};
use crate::settings::Settings;

/// Seconds that one latency measurement of a candidate takes.
const LATENCY_TIME: Duration = Duration::from_millis(500);
/// Seconds of each final measurement if the settings do not say.
const MEASURE_SECONDS: f64 = 2.0;
/// Bytes that a run writes beside its models and checkpoints: report, pictures, metrics.
const REPORT_BYTES: u64 = 20_000_000;

/// A run in progress.
pub(crate) struct Run {
    pub(crate) ctx: Arc<Context>,
    pub(crate) folder: RunFolder,
    pub(crate) resume: bool,
    pub(crate) source: Source,
    pub(crate) recipe: Recipe,
    pub(crate) val: Images,
    pub(crate) test: Images,
    /// Bytes of decoded images kept from one epoch to the next.
    pub(crate) cache_bytes: u64,
    /// Time of each final measurement.
    pub(crate) measure_time: Duration,
    /// The model to start from, if one was given.
    pub(crate) given: Option<Model>,
    /// Its file.
    pub(crate) given_path: Option<PathBuf>,
    pub(crate) summary: RunSummary,
    stage: usize,
}

impl Run {
    /// Reads the data, decides every setting and prepares the folder: everything that can be refused is refused
    /// here, before any training.
    pub(crate) fn prepare(
        settings: &Settings,
        options: &RunOptions,
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        settings.validate()?;
        RunFolder::check(&options.output, options.existing)?;
        watch.tell(Progress::Stage { number: 1, title: "Read the data" });
        let threads = settings.threads();
        let ctx = settings.context()?;
        let reading = ModelOptions::of(settings);
        let opened =
            settings.model.as_deref().map(|path| Model::open_for(path, &reading, BATCH, &ctx)).transpose()?;
        let mut given = opened.map(|opened| {
            for note in &opened.notes {
                watch.note(note);
            }
            opened.model
        });
        let mut source = Source::open(settings, threads)?;
        check_no_images_of(&options.output, source.dataset())?;
        for line in source.describe_lines() {
            watch.note(&line);
        }
        if let (Some(model), Some(path)) = (&mut given, &settings.model) {
            model.adopt_classes(source.class_names(), watch);
            source = model.order_classes(path, source, true, watch)?;
        }
        let resume = options.existing == Existing::Resume;
        // Until the folder is touched there is something to continue only if there was before.
        let go_on = |stop| go_on(stop).map_err(|e| if resume { e.resumable() } else { e });
        go_on(watch.stop)?;
        let mut facts = facts(&source, settings)?;
        let mut decided = settings.clone();
        if let Some(model) = &given {
            model_fits(model, settings)?;
            if options.verb != "train" {
                is_trainable(model, &ctx, settings)?;
            }
            // A given model, not the images, says how to train: its input and its family.
            facts.preprocessing = model.preprocessing.clone();
            if decided.arch.is_none() && oculist_zoo::find(&model.arch).is_ok() {
                decided.arch = Some(model.arch.clone());
            }
        }
        let mut recipe = Recipe::resolve(&decided, &facts)?;
        if let Some(model) = &given {
            recipe.preprocessing = model.preprocessing.clone();
            recipe.arch.clone_from(&model.arch);
        }
        go_on(watch.stop)?;
        // Before there is a folder, which would stand in the way of the corrected command.
        if given.is_none() {
            fits_memory(&recipe, &source, &ctx)?;
        }
        let folder = RunFolder::prepare(&options.output, options.existing, &options.verb, watch)?;
        let before = if resume { resume::inputs_of(&folder)? } else { None };
        let known = before.as_ref().filter(|_| !options.verify);
        let inputs = Inputs::read(settings, source.dataset(), known, watch)
            .map_err(|e| if resume { e.resumable() } else { e })?;
        if resume {
            resume::check(&folder, &recipe, settings, (before.as_ref(), &inputs))?;
        }
        source.identify(inputs.digest());
        if options.existing == Existing::Replace {
            folder.clear()?;
        }
        let needed = needed_bytes(&recipe, &source, given.as_ref(), options.verb != "train")?;
        let warnings: Vec<String> =
            batch_warning(settings, &recipe).into_iter().chain(folder.space_warning(needed)).collect();
        for warning in &warnings {
            watch.warn(warning);
        }
        let toml = |text: &str| seal(text, Seal::Toml);
        folder.write(CONFIG_FILE, toml(&recipe.to_toml()).as_bytes())?;
        folder.write(SETTINGS_FILE, toml(&recipe.settings(settings).to_toml()).as_bytes())?;
        folder.write(INPUTS_FILE, seal(&inputs.to_lines(), Seal::Json).as_bytes())?;
        let images = |split| {
            Images::load_until(source.split(split), &recipe.preprocessing, threads, watch.stop)
                .map_err(OculistError::resumable)
        };
        let (val, test) = (images(Split::Val)?, images(Split::Test)?);
        let p = &recipe.preprocessing;
        let summary = RunSummary {
            oculist_version: env!("CARGO_PKG_VERSION").into(),
            verb: options.verb.clone(),
            command: options.command.clone(),
            config: recipe.to_toml(),
            seed: recipe.seed,
            threads,
            cpu: oculist_runtime::cpu_name(),
            started: utc_text(SystemTime::now()),
            arch: recipe.arch.clone(),
            data: source.facts_for_report(),
            input: oculist_report::Input {
                height: p.height,
                width: p.width,
                channels: p.channels(),
                preprocessing: preprocessing_text(p),
                mean: p.mean.iter().map(|&x| f64::from(x)).collect(),
                std: p.std.iter().map(|&x| f64::from(x)).collect(),
            },
            max_drop: Some(recipe.compression.max_drop),
            target: Some(format!("{:?}", recipe.compression.target).to_lowercase()),
            warnings,
            ..RunSummary::default()
        };
        let measure_time = Duration::from_secs_f64(settings.measure_seconds.unwrap_or(MEASURE_SECONDS));
        let cache_bytes = settings.cache.map_or(0, |size| size.0);
        Ok(Self {
            ctx,
            folder,
            resume,
            source,
            recipe,
            val,
            test,
            cache_bytes,
            measure_time,
            given,
            given_path: settings.model.clone(),
            summary,
            stage: 1,
        })
    }

    /// Announces the next stage.
    pub(crate) fn stage(&mut self, title: &str, watch: &mut Watch<'_>) {
        self.stage += 1;
        watch.tell(Progress::Stage { number: self.stage, title });
    }

    /// The probabilities that the models of this run give.
    pub(crate) fn probabilities(&self) -> Probabilities {
        self.given.as_ref().map(|model| model.head.probabilities()).unwrap_or_default()
    }

    /// A model of this run around a graph.
    pub(crate) fn model(&self, graph: Graph) -> Model {
        Model {
            graph,
            head: self.given.as_ref().map(|model| model.head.clone()).unwrap_or_default(),
            preprocessing: self.recipe.preprocessing.clone(),
            class_names: self.source.class_names().to_vec(),
            numbered: false,
            arch: self.recipe.arch.clone(),
        }
    }

    /// What a graph costs on this machine.
    pub(crate) fn cost(&self, graph: &Graph, stop: &AtomicBool) -> Result<Cost, OculistError> {
        let count = graph.cost();
        Ok(Cost {
            params: count.params,
            macs: count.macs,
            bytes: self.model(graph.clone()).file_bytes()?,
            latency: measure::latency(graph, &self.ctx, LATENCY_TIME, stop)?,
        })
    }

    /// Records a step with what it changed and what it cost, and says so.
    pub(crate) fn step(
        &mut self,
        name: &str,
        what_changed: String,
        began: Instant,
        before: Option<&Candidate>,
        after: Option<&Candidate>,
        watch: &mut Watch<'_>,
    ) {
        let state = |c: &Candidate| StepState {
            val_top1: Some(c.val_top1),
            params: Some(c.cost.params),
            macs: Some(c.cost.macs),
            bytes: Some(c.cost.bytes),
            latency_ms: Some(c.cost.latency.median),
        };
        let step = Step {
            name: name.to_owned(),
            what_changed,
            cost: began.elapsed().as_secs_f64(),
            before: before.map(state),
            after: after.map(state),
        };
        watch.note(&oculist_report::terminal::step_line(&step));
        self.summary.steps.push(step);
    }
}

/// Flags that contradict a given model are refused rather than ignored.
fn model_fits(model: &Model, settings: &Settings) -> Result<(), OculistError> {
    let path = settings.model.clone().unwrap_or_default();
    if model.is_int8() {
        return Err(OculistError::Model {
            path,
            problem: "it is quantised already; start from the f32 model of the same run".into(),
        });
    }
    Ok(())
}

/// Refuses a model that runs but that pruned forms of it could not be trained of.
fn is_trainable(model: &Model, ctx: &Arc<Context>, settings: &Settings) -> Result<(), OculistError> {
    let path = settings.model.clone().unwrap_or_default();
    // Two images: pruned forms of it need less than it does itself.
    Executor::check(ctx, &model.graph, 2, Mode::Train).map_err(|e| OculistError::from(e).of_model(&path))?;
    match softmax_as_logits(&model.graph) {
        None => Ok(()),
        Some(node) => Err(OculistError::Model {
            path,
            problem: format!(
                "it cannot be trained on: its last Softmax reads the probabilities of another one (node `{}`), where \
                 training needs logits",
                node.name
            ),
        }),
    }
}

/// Refuses a network of the zoo that cannot be trained or run in the memory that there may be, before any is taken.
fn fits_memory(recipe: &Recipe, source: &Source, ctx: &Arc<Context>) -> Result<(), OculistError> {
    let graph = oculist_zoo::build(&recipe.arch, &build_options(recipe, source))?;
    let rows = recipe.train.rows();
    let training = Executor::check(ctx, &graph, rows, Mode::Train)?;
    let images = LoaderConfig::training(
        rows,
        recipe.train.loader_workers,
        recipe.seed,
        recipe.augmentation.clone(),
        recipe.preprocessing.clone(),
    );
    let what =
        format!("training `{}` on batches of {rows} images, with those that are read ahead,", graph.name());
    ctx.check_memory(&what, training.saturating_add(ahead_bytes(&images)))?;
    let running = Plan::check(&graph, &PlanOptions::new(BATCH, ctx.clone()))?;
    let what =
        format!("running `{}` on batches of {BATCH} images, with those that are read ahead,", graph.name());
    let images = reading_bytes(&recipe.preprocessing, ctx.threads());
    Ok(ctx.check_memory(&what, running.saturating_add(images))?)
}

/// How the zoo builds the network of a recipe.
fn build_options(recipe: &Recipe, source: &Source) -> BuildOptions {
    let p = &recipe.preprocessing;
    BuildOptions::new(source.class_names().len(), (p.channels(), p.height, p.width)).with_width(recipe.width)
}

/// What to say if the batch size that was asked for is more than there are training images.
fn batch_warning(settings: &Settings, recipe: &Recipe) -> Option<String> {
    let (asked, used) = (settings.batch_size?, recipe.train.batch_size);
    (asked > used).then(|| {
        format!("--batch-size {asked} is more than the {used} training images; batches of {used} are used")
    })
}

/// An estimate of what the run writes: models, and the checkpoints of the baseline and, if it compresses, of candidates.
fn needed_bytes(
    recipe: &Recipe,
    source: &Source,
    given: Option<&Model>,
    compresses: bool,
) -> Result<u64, OculistError> {
    let params = if let Some(model) = given {
        model.graph.cost().params
    } else {
        oculist_zoo::build(&recipe.arch, &build_options(recipe, source))?.cost().params
    };
    let weights = 4 * params;
    let moments = if matches!(recipe.train.optimizer, OptimizerConfig::AdamW { .. }) { 2 } else { 1 };
    let last = weights * (1 + moments + u64::from(recipe.train.ema_decay > 0.0));
    // That of the weights that are kept has as much as the last one.
    let phase = 2 * last;
    let phases =
        u64::from(given.is_none()) + if compresses { recipe.compression.candidates as u64 } else { 0 };
    let models = if compresses { 3 * weights } else { 2 * weights };
    // One file more, since each is written beside the one that it replaces.
    Ok(phases * phase + last + models + REPORT_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_estimated_without_the_candidates_of_compression() {
        let dir = tempfile::tempdir().unwrap();
        oculist_data::fixture::write_class_folders(dir.path(), "", 2, 12, 32).unwrap();
        let settings = Settings {
            data: Some(dir.path().display().to_string()),
            arch: Some("resnet18".into()),
            threads: Some(1),
            ..Settings::default()
        };
        let source = Source::open(&settings, 1).unwrap();
        let recipe = Recipe::resolve(&settings, &facts(&source, &settings).unwrap()).unwrap();
        let megabytes = |compresses| needed_bytes(&recipe, &source, None, compresses).unwrap() / 1_000_000;
        // 11.2 million parameters are 45 MB: with momentum and average three times that in `last` and in `best`, once
        // more while one is written, and two models.
        assert!((300..600).contains(&megabytes(false)), "{}", megabytes(false));
        assert!(megabytes(true) > 2 * megabytes(false), "{}", megabytes(true));
    }
}
