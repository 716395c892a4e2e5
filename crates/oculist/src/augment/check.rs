//! `augment check`: which operations make a classifier confuse which classes.

mod compare;
mod operations;

use std::path::PathBuf;
use std::sync::Arc;

use oculist_augment::{Pipeline, Preprocessing, Start, Step};
use oculist_data::{Split, Subset};
use oculist_graph::Graph;
use oculist_report::{AUGMENT_CHECK_VERSION, AugmentCheck, AugmentOperation, render_augment_check_html};
use oculist_runtime::Context;

use crate::config::read_pipeline;
use crate::data::Source;
use crate::deciding::Deciding;
use crate::error::OculistError;
use crate::evaluate::BATCH;
use crate::evaluate::views::{Judge, Prepared, View};
use crate::files::{check_free, check_free_beside, check_no_images_of, take_folder, tidy_beside, write};
use crate::metrics::argmax;
use crate::model_file::{Model, ModelOptions};
use crate::pictures::png;
use crate::progress::{Progress, Watch, go_on};
use crate::settings::{Augmentation, Settings};
use crate::small_model::{self, Length};
use crate::summary::counted;

/// The page of a check.
pub const AUGMENT_CHECK_PAGE_FILE: &str = "augment-check.html";
/// The data of a check.
pub const AUGMENT_CHECK_FILE: &str = "augment-check.json";
/// Updates of the small network when the user does not say how many epochs.
const UPDATES: usize = 1600;

/// How to check.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AugmentCheckOptions {
    /// Folder for the two files; those of an earlier check are replaced.
    pub output: PathBuf,
    /// Another place for the JSON.
    pub json: Option<PathBuf>,
    /// The classifier; without, a small one is trained on the training images as they are.
    pub model: Option<PathBuf>,
    /// Epochs of the small one; without a value so many that it gets 1600 updates, but 4 to 40.
    pub epochs: Option<usize>,
    /// Validation images that are looked at, at the most, with all classes in proportion.
    pub images: usize,
}

impl AugmentCheckOptions {
    /// A small classifier of its own, at most 2,000 images.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self { output: output.into(), json: None, model: None, epochs: None, images: 2000 }
    }
}

/// What was found and where it is.
#[derive(Debug)]
pub struct AugmentChecked {
    /// The report.
    pub report: AugmentCheck,
    /// The files written.
    pub files: Vec<PathBuf>,
}

/// Applies operations to validation images and compares a classifier's answers with those for the images as they are.
///
/// The operations are the steps of the pipeline file in the settings, each alone and applied to every image, or without
/// a file all operations at a usual strength. No label is changed, and test images are not looked at.
///
/// # Errors
/// [`OculistError::Setting`] for a file that is no pipeline; [`OculistError::Model`] for a model that does not know a class
/// of the data; [`OculistError::Output`] if a file cannot be written; [`OculistError::Stopped`].
pub fn check_augmentation(
    settings: &Settings,
    options: &AugmentCheckOptions,
    watch: &mut Watch<'_>,
) -> Result<AugmentChecked, OculistError> {
    settings.validate()?;
    settings.one_label()?;
    let pipeline = match &settings.augmentation {
        Some(path) => read_pipeline("augmentation", path)?,
        None => Pipeline {
            start: Start::Prepared,
            steps: operations::usual().map_err(|problem| OculistError::Setting {
                name: "augment check".into(),
                problem: problem.into(),
            })?,
        },
    };
    check_free(&options.output)?;
    options.json.as_deref().map_or(Ok(()), check_free_beside)?;
    let threads = settings.threads();
    let ctx = settings.context()?;
    let reading = ModelOptions::of(settings);
    let read = |path| Ok::<_, OculistError>((path, Model::open_for(path, &reading, BATCH, &ctx)?));
    let mut model = match options.model.as_deref().map(read).transpose()? {
        Some((path, opened)) => {
            for note in &opened.notes {
                watch.note(note.marked());
            }
            Some((path, opened.model))
        }
        None => None,
    };
    let (source, val) = if let Some((path, model)) = &mut model {
        let Deciding { source, val, .. } = Deciding::open(settings, (*path, model), watch)?;
        (source, val)
    } else {
        let source = Source::open(settings, threads)?;
        for line in source.describe_lines() {
            watch.note(&line);
        }
        let val = source.split(Split::Val).clone();
        (source, val)
    };
    check_no_images_of(&options.output, source.dataset())?;
    // Only now: a folder that is made within the data set must not be taken for a class.
    let _taken = take_folder(&options.output, &[], "augment check", watch)?;
    if let Some(json) = &options.json {
        tidy_beside(json, watch);
    }
    let seed = settings.seed.unwrap_or(0);
    let all = val.len();
    let val = val.sample(options.images, seed)?;
    watch.note(&format!(
        "looking at {} of {}",
        val.len(),
        counted(all, "validation image", "validation images")
    ));
    let (graph, preprocessing, classifier) = match model {
        Some((path, model)) => (model.graph, model.preprocessing, path.display().to_string()),
        None => train_classifier(&source, settings, options, &ctx, watch)?,
    };
    let images = Prepared::load(&val, &preprocessing, threads, watch.stop)?;
    let mut judge = Judge::new(&graph, &ctx)?;
    let names = source.class_names();
    let mut answers = |view: &View, watch: &Watch<'_>| -> Result<Vec<usize>, OculistError> {
        let logits = images.logits(&mut judge, view, seed, watch.stop)?;
        Ok(logits.chunks_exact(names.len()).map(argmax).collect())
    };
    let labels = images.labels();
    let before = answers(&View::Plain, watch)?;
    let mut report = AugmentCheck {
        schema_version: AUGMENT_CHECK_VERSION,
        oculist_version: env!("CARGO_PKG_VERSION").to_owned(),
        data: source.dataset().source().to_owned(),
        seed,
        classifier,
        images: labels.len(),
        caution: compare::caution(labels),
        top1: top1(&before, labels),
        ..AugmentCheck::default()
    };
    for (i, step) in pipeline.steps.iter().enumerate() {
        go_on(watch.stop)?;
        let alone =
            Pipeline { start: pipeline.start, steps: vec![Step { probability: 1.0, op: step.op.clone() }] };
        let view = View::Drawn { pipeline: alone, epoch: i as u64, each: true };
        let after = answers(&view, watch)?;
        let (verdict, classes, mut pairs) = compare::compare(labels, &before, &after, names);
        for pair in &mut pairs {
            // The first image that the pair is about.
            let is = |at: &usize| {
                names[labels[*at] as usize] == pair.class
                    && names[after[*at]] == pair.called
                    && before[*at] != after[*at]
            };
            if let Some(at) = (0..labels.len()).find(is) {
                (pair.image, pair.original, pair.changed) =
                    example(images.subset(), at, &view, &preprocessing, seed)?;
            }
        }
        report.operations.push(AugmentOperation {
            operation: step.op.name().to_owned(),
            parameters: serde_json::to_value(&step.op).unwrap_or_default(),
            verdict,
            top1_after: top1(&after, labels),
            classes,
            pairs,
        });
        watch.tell(Progress::Work { what: "operations", done: i + 1, total: pipeline.steps.len() });
    }
    let json = options.json.clone().unwrap_or_else(|| options.output.join(AUGMENT_CHECK_FILE));
    write(&json, report.to_json()?.as_bytes())?;
    let page = options.output.join(AUGMENT_CHECK_PAGE_FILE);
    write(&page, render_augment_check_html(&report)?.as_bytes())?;
    Ok(AugmentChecked { report, files: vec![page, json] })
}

/// A small network that judges, its preprocessing, and what it is in words.
fn train_classifier(
    source: &Source,
    settings: &Settings,
    options: &AugmentCheckOptions,
    ctx: &Arc<Context>,
    watch: &mut Watch<'_>,
) -> Result<(Graph, Preprocessing, String), OculistError> {
    let plain = Settings { augment: Some(Augmentation::None), augmentation: None, ..settings.clone() };
    let train = source.split(Split::Train);
    let length = options.epochs.map_or(Length::Updates(UPDATES), Length::Epochs);
    let recipe = small_model::recipe(source, &plain, train.len(), length)?;
    let graph = small_model::train(train, &recipe, ctx, 0, "classifier", watch)?;
    let epochs = counted(recipe.train.epochs, "epoch", "epochs");
    let what = format!("{}, {epochs} on {} images as they are", small_model::ARCH, train.len());
    Ok((graph, recipe.preprocessing, what))
}

fn top1(answers: &[usize], labels: &[u32]) -> f64 {
    let right = answers.iter().zip(labels).filter(|(a, l)| **a == **l as usize).count();
    100.0 * right as f64 / labels.len().max(1) as f64
}

/// Name and pictures of an image before and after.
type Example = (String, Option<oculist_report::Png>, Option<oculist_report::Png>);

fn example(
    images: &Subset,
    at: usize,
    view: &View,
    preprocessing: &Preprocessing,
    seed: u64,
) -> Result<Example, OculistError> {
    let image = images.image(at)?;
    let original = png(&preprocessing.prepare(image.clone())?)?;
    let changed = png(&view.apply(image, preprocessing, seed, at as u64)?)?;
    Ok((images.name(at), original, changed))
}
