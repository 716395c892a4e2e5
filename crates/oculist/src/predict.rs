//! Uses a finished model: on a split with labels, or on image files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use oculist_data::{DEFAULT_MAX_PIXELS, decode_file, natural_cmp};
use oculist_report::terminal::Prediction;
use oculist_report::{Model as ModelFacts, Robustness, TtaResult};
use oculist_runtime::{Plan, PlanOptions};
use serde::Serialize;

use crate::error::OculistError;
use crate::evaluate::corruptions::{corrupted, severities};
use crate::evaluate::selection::{Selection, select};
use crate::evaluate::tta::{Sum, augmented};
use crate::evaluate::views::{Judge, Prepared, View};
use crate::evaluate::{BATCH, Part, Tta, evaluate_until};
use crate::images::Images;
use crate::measure;
use crate::model_file::{Model, file_name};
use crate::pictures::guesses;
use crate::progress::Watch;
use crate::settings::{ByteSize, Settings, context};
use crate::summary::{Measured, counted};

/// What to evaluate beside the accuracy on the images as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EvaluateOptions {
    /// Which images.
    pub part: Part,
    /// Leave out images of classes that the model does not know; without, they are an error.
    pub skip_unknown: bool,
    /// Also under the 15 corruptions of the robustness benchmarks, at these severities (1..=5; none given: all).
    pub corruptions: Option<Vec<u8>>,
    /// Also with test-time augmentation.
    pub tta: Option<Tta>,
}

/// What `eval` found.
#[derive(Debug, Clone, Serialize)]
pub struct Evaluated {
    /// The facts for a table.
    #[serde(flatten)]
    pub model: ModelFacts,
    /// The data as they were named.
    pub data: String,
    /// Which images were measured: `train`, `val`, `test` or `all`.
    pub split: &'static str,
    /// Images measured.
    pub images: usize,
    /// Images of classes that the model does not know, left out.
    pub unknown: usize,
    /// Class names in label order.
    #[serde(skip)]
    pub class_names: Vec<String>,
    /// Accuracy under corruptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub robustness: Option<Robustness>,
    /// Accuracy with test-time augmentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tta: Option<TtaResult>,
}

/// Evaluates a model file on the images that the data give, matching their classes by name.
///
/// # Errors
/// [`OculistError::Model`] if the data have classes that the model does not know; [`OculistError::Option`] for a severity,
/// a pipeline or a split that cannot be used; otherwise as reading model and data.
pub fn evaluate_file(
    path: &Path,
    settings: &Settings,
    options: &EvaluateOptions,
    watch: &mut Watch<'_>,
) -> Result<Evaluated, OculistError> {
    settings.validate()?;
    let severities = options.corruptions.as_deref().map(severities).transpose()?;
    let ctx = settings.context()?;
    let model = Model::read_for(path, BATCH, &ctx)?;
    let views = options.tta.as_ref().map(|tta| tta.views(&model.preprocessing)).transpose()?;
    let threads = settings.threads();
    let Selection { images: selected, data, part, unknown } =
        select((path, &model), settings, options.part, options.skip_unknown, watch)?;
    let images = Images::load_until(&selected, &model.preprocessing, threads, watch.stop)?;
    if images.len() < selected.len() {
        let lost = counted(selected.len() - images.len(), "image", "images");
        watch.warn(&format!("{lost} could not be decoded and are not measured"));
    }
    let test = evaluate_until(&model.graph, &images, &ctx, watch.stop)?;
    let count = images.len();
    drop(images);
    let (mut robustness, mut tta) = (None, None);
    if severities.is_some() || views.is_some() {
        let images = Prepared::load(&selected, &model.preprocessing, threads, watch.stop)?;
        let mut judge = Judge::new(&model.graph, &ctx)?;
        let (classes, seed) = (model.class_names.len(), settings.seed.unwrap_or(0));
        if let Some(severities) = severities {
            robustness = Some(corrupted(&mut judge, &images, classes, &severities, seed, watch)?);
        }
        if let (Some(views), Some(kind)) = (views, &options.tta) {
            let name = kind.name();
            tta = Some(augmented(&mut judge, &images, classes, (&name, &views), seed, watch)?);
        }
    }
    let cost = model.graph.cost();
    let bytes = std::fs::metadata(path)
        .map_err(|source| OculistError::Io { path: path.to_path_buf(), source })?
        .len();
    let time = Duration::from_millis(500);
    let measured = Measured {
        name: "model",
        file: file_name(path),
        precision: if model.is_int8() { "int8" } else { "f32" },
        val_top1: None,
        params: cost.params,
        macs: cost.macs,
        bytes,
        latency: measure::latency(&model.graph, &ctx, time, watch.stop)?,
        throughput: measure::throughput(&model.graph, &ctx, time, watch.stop)?,
        test,
    };
    let facts = measured.facts(&model.class_names, None);
    let class_names = model.class_names;
    Ok(Evaluated { model: facts, data, split: part, images: count, unknown, class_names, robustness, tta })
}

/// How `predict` works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredictOptions {
    /// How many classes to list per image.
    pub top: usize,
    /// Whether an unreadable image is an error.
    pub strict: bool,
    /// Threads.
    pub threads: usize,
    /// Bytes of memory that the plan may take; without it, what the machine has.
    pub max_memory: Option<ByteSize>,
    /// Test-time augmentation; its draws depend on the seed and are the same for all images.
    pub tta: Option<Tta>,
    /// Seed of these draws.
    pub seed: u64,
}

/// The likeliest classes of image files; folders are searched through.
///
/// # Errors
/// [`OculistError::Io`] for a path that does not exist or a folder without files; with `strict`,
/// [`OculistError::Image`] for the first unreadable file.
pub fn predict_files(
    model: &Path,
    paths: &[PathBuf],
    options: &PredictOptions,
) -> Result<Vec<Prediction>, OculistError> {
    let ctx = context(options.threads, options.max_memory)?;
    let model = Model::read_for(model, 1, &ctx)?;
    let views = match &options.tta {
        Some(tta) => tta.views(&model.preprocessing)?,
        None => vec![View::Plain],
    };
    let mut plan = Plan::new(&model.graph, &PlanOptions::new(1, ctx))?;
    let mut logits = vec![0.0; plan.output_len()];
    let mut input = vec![0.0; model.preprocessing.len()];
    let mut predictions = Vec::new();
    for path in files(paths)? {
        let shown = path.display().to_string();
        match decode_file(&path, DEFAULT_MAX_PIXELS) {
            Ok(image) => {
                let mut sum = Sum::new(1, logits.len());
                for view in &views {
                    let image = view.apply(image.clone(), &model.preprocessing, options.seed, 0)?;
                    model.preprocessing.normalize_into(&image, &mut input);
                    plan.run(&input, &mut logits)?;
                    sum.add(&logits);
                }
                let answer = if views.len() == 1 { &logits } else { &sum.log_mean() };
                let top = guesses(answer, &model.class_names, options.top.max(1));
                predictions.push(Prediction { path: shown, top, error: None });
            }
            Err(e) if options.strict => return Err(OculistError::Image { path, problem: e.to_string() }),
            Err(e) => {
                predictions.push(Prediction { path: shown, top: Vec::new(), error: Some(e.to_string()) });
            }
        }
    }
    Ok(predictions)
}

/// The files named, and those in the folders named, in natural order within each folder.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, OculistError> {
    let mut all = Vec::new();
    for path in paths {
        let before = all.len();
        collect(path, &mut all)?;
        if all.len() == before {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "the folder holds no files");
            return Err(OculistError::Io { path: path.clone(), source });
        }
    }
    Ok(all)
}

fn collect(path: &Path, all: &mut Vec<PathBuf>) -> Result<(), OculistError> {
    let io = |source| OculistError::Io { path: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        all.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(io)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(io)?;
    entries.retain(|p| !file_name(p).starts_with('.'));
    entries.sort_by(|a, b| natural_cmp(&a.to_string_lossy(), &b.to_string_lossy()));
    entries.iter().try_for_each(|entry| collect(entry, all))
}
