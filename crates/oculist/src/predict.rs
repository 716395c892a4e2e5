//! Uses a finished model: on a split with labels, or on image files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oculist_data::{DEFAULT_MAX_PIXELS, Exclude, SkipKind, Skipped, Task, decode_file, path_text, walk};
use oculist_kernels::try_zeros;
use oculist_metrics::Scores;
use oculist_report::terminal::{Prediction, Rejection};
use oculist_report::{Guess, Model as ModelFacts, Robustness, TtaResult};
use oculist_runtime::{Plan, PlanOptions};
use serde::Serialize;

use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::evaluate::corruptions::{corrupted, normalised, severities};
use crate::evaluate::selection::{Selection, select};
use crate::evaluate::suspicion::suspicions;
use crate::evaluate::tta::{Sum, augmented};
use crate::evaluate::views::{Judge, Prepared, View};
use crate::evaluate::{BATCH, Part, Tta, finite, logits_until};
use crate::files::{check_free_beside, write};
use crate::images::Images;
use crate::judging::{Answers, OfTask};
use crate::measure;
use crate::message::{Message, setting};
use crate::model_file::{Model, ModelOptions, Opened, file_name};
use crate::predictions;
use crate::progress::Watch;
use crate::reject::Reject;
use crate::settings::{ByteSize, IsaName, Settings, context};
use crate::summary::{Measured, counted};
use crate::transfer::similar::Gallery;

/// What to evaluate beside the accuracy on the images as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EvaluateOptions {
    /// Which images.
    pub part: Part,
    /// Leave out images of classes that the model does not know; without, they are an error.
    pub skip_unknown: bool,
    /// Also under the 15 corruptions of the robustness benchmarks, at these severities (1..=5; none given: all).
    pub corruptions: Option<Vec<u8>>,
    /// With `corruptions`, a model whose errors under them are those that the errors are divided by.
    pub baseline: Option<PathBuf>,
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
/// [`OculistError::Model`] if the data have classes that the model does not know; [`OculistError::Setting`] for a severity,
/// a pipeline or a split that cannot be used; otherwise as reading model and data.
pub fn evaluate_file(
    path: &Path,
    settings: &Settings,
    options: &EvaluateOptions,
    watch: &mut Watch<'_>,
) -> Result<Evaluated, OculistError> {
    evaluate_model(path, None, settings, options, watch).map_err(|e| e.of_model(path))
}

/// Evaluates a model file on data that are open already, such as [`Source::of_images_for`] gives them.
///
/// # Errors
/// As [`evaluate_file`].
pub fn evaluate_source(
    path: &Path,
    source: Source,
    settings: &Settings,
    options: &EvaluateOptions,
    watch: &mut Watch<'_>,
) -> Result<Evaluated, OculistError> {
    evaluate_model(path, Some(source), settings, options, watch).map_err(|e| e.of_model(path))
}

fn evaluate_model(
    path: &Path,
    source: Option<Source>,
    settings: &Settings,
    options: &EvaluateOptions,
    watch: &mut Watch<'_>,
) -> Result<Evaluated, OculistError> {
    settings.validate()?;
    let severities = options.corruptions.as_deref().map(severities).transpose()?;
    let ctx = settings.context()?;
    let Opened { mut model, notes, own } = Model::open_for(path, &ModelOptions::of(settings), BATCH, &ctx)?;
    for note in &notes {
        watch.note(note.marked());
    }
    let settings = &Settings { task: settings.task.or(Some(model.task)), ..settings.clone() };
    if settings.task == Some(Task::MultiLabel) && model.head.is_softmax() {
        watch.warn("the file ends in a Softmax, which tells one class: it is left out, and each class judged by itself");
    }
    if settings.task == Some(Task::MultiLabel) && (severities.is_some() || options.tta.is_some()) {
        let name = if severities.is_some() { "corruptions" } else { "tta" };
        return Err(wrong(name, "expected images with one label each, found any number of them"));
    }
    if options.baseline.is_some() && severities.is_none() {
        return Err(wrong("baseline", "expected corruptions with it, under which the two are compared"));
    }
    let beside = source.as_ref().map(|source| source.dataset().clone());
    let views = options.tta.as_ref().map(|tta| tta.views(&model.preprocessing)).transpose()?;
    let threads = settings.threads();
    let Selection { images: selected, data, part, unknown } =
        select((path, &mut model), source, settings, options.part, options.skip_unknown, watch)?;
    let images = Images::load_until(&selected, &model.preprocessing, threads, watch.stop)?;
    if images.len() < selected.len() {
        let lost = counted(selected.len() - images.len(), "image", "images");
        watch.warn(&format!("{lost} could not be decoded and are not measured"));
    }
    let probabilities = model.probabilities();
    let test = Answers::of(&logits_until(&model.graph, &images, &ctx, watch.stop)?, &images, probabilities);
    let count = images.len();
    drop(images);
    let seed = settings.seed.unwrap_or(0);
    if let OfTask::One(found) = &test.of_task {
        for line in suspicions(&model, found, &selected, (!own, seed), (&ctx, threads), watch.stop)? {
            watch.warn(&line);
        }
    }
    let (mut robustness, mut tta) = (None, None);
    if severities.is_some() || views.is_some() {
        let images = Prepared::load(&selected, &model.preprocessing, threads, watch.stop)?;
        let mut judge = Judge::new(&model.graph, &ctx)?;
        let (classes, seed) = (model.class_names.len(), settings.seed.unwrap_or(0));
        if let Some(severities) = severities {
            let mut found = corrupted(&mut judge, &images, classes, &severities, seed, watch)?;
            if let Some(path) = &options.baseline {
                let base = of_baseline(path, beside.map(Source::of), settings, options, &severities, watch)
                    .map_err(|e| e.of_model(path))?;
                if base.images != found.images {
                    let problem = format!(
                        "expected a model that knows the classes of the same {} images, found {}",
                        found.images, base.images
                    );
                    return Err(OculistError::Model { path: path.clone(), problem: problem.into() });
                }
                found.normalised = Some(normalised(&found, &base, file_name(path)));
            }
            robustness = Some(found);
        }
        if let (Some(views), Some(kind)) = (views, &options.tta) {
            let name = kind.name();
            tta =
                Some(augmented(&mut judge, &images, (classes, probabilities), (&name, &views), seed, watch)?);
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
        val: Scores::new(),
        params: cost.params,
        macs: cost.macs,
        bytes,
        latency: measure::latency(&model.graph, &ctx, time, watch.stop)?,
        throughput: measure::throughput(&model.graph, &ctx, time, watch.stop)?,
        reject: None,
        test: Some(test),
        probabilities: Vec::new(),
    };
    let facts = measured.facts(&model.class_names, None);
    let class_names = model.class_names;
    Ok(Evaluated { model: facts, data, split: part, images: count, unknown, class_names, robustness, tta })
}

/// Accuracy of another model under the same corruptions of the same images, each made as its own preprocessing has it.
fn of_baseline(
    path: &Path,
    source: Option<Source>,
    settings: &Settings,
    options: &EvaluateOptions,
    severities: &[u8],
    watch: &mut Watch<'_>,
) -> Result<Robustness, OculistError> {
    let ctx = settings.context()?;
    // What the first model's file leaves open is said of that one alone.
    let Opened { mut model, notes, .. } = Model::open_for(path, &ModelOptions::default(), BATCH, &ctx)?;
    for note in &notes {
        watch.note(note.marked());
    }
    let selected =
        select((path, &mut model), source, settings, options.part, options.skip_unknown, watch)?.images;
    let images = Prepared::load(&selected, &model.preprocessing, settings.threads(), watch.stop)?;
    let mut judge = Judge::new(&model.graph, &ctx)?;
    let seed = settings.seed.unwrap_or(0);
    corrupted(&mut judge, &images, model.class_names.len(), severities, seed, watch)
}

/// How `predict` works.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PredictOptions {
    /// How many classes to list per image.
    pub top: usize,
    /// Whether an unreadable image is an error.
    pub strict: bool,
    /// Threads.
    pub threads: usize,
    /// Bytes of memory that the plan may take; without it, what the machine has.
    pub max_memory: Option<ByteSize>,
    /// With which instructions networks are computed.
    pub isa: IsaName,
    /// Test-time augmentation; its draws depend on the seed and are the same for all images.
    pub tta: Option<Tta>,
    /// Seed of these draws.
    pub seed: u64,
    /// What the model's file does not say.
    pub reading: ModelOptions,
    /// A CSV file for the answers; one that is there is replaced.
    pub csv: Option<PathBuf>,
    /// Whether to say that an image is none of the classes, by the threshold in the model's file.
    pub reject: bool,
    /// A data set whose images, as many as `top`, are named that are most like each image.
    pub similar: Option<String>,
    /// Where features of these are kept, if anywhere.
    pub feature_cache: Option<PathBuf>,
}

impl PredictOptions {
    /// The likeliest three classes, unreadable files told and passed over; threads, memory, seed and what the model's file
    /// does not say are those of settings.
    pub fn of(settings: &Settings) -> Self {
        Self {
            top: 3,
            strict: settings.strict.unwrap_or(false),
            threads: settings.threads(),
            max_memory: settings.max_memory,
            isa: settings.isa.unwrap_or_default(),
            tta: None,
            seed: settings.seed.unwrap_or(0),
            reading: ModelOptions::of(settings),
            csv: None,
            reject: false,
            similar: None,
            feature_cache: settings.feature_cache.clone(),
        }
    }
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self {
            top: 3,
            strict: false,
            threads: Settings::default().threads(),
            max_memory: None,
            isa: IsaName::default(),
            tta: None,
            seed: 0,
            reading: ModelOptions::default(),
            csv: None,
            reject: false,
            similar: None,
            feature_cache: None,
        }
    }
}

/// What `predict` found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicted {
    /// What was assumed to read the model, one line each.
    pub notes: Vec<Message>,
    /// One entry for each file, in the order of the paths given; those that could not be read say why.
    pub predictions: Vec<Prediction>,
    /// Which entries are paths given that are not there, or are neither files nor folders with files.
    pub missing: Vec<usize>,
    /// Which entries are files given by name that cannot be read as images.
    pub unreadable: Vec<usize>,
    /// What was passed over in folders and is no image file: links that lead nowhere new, results of oculist and so on.
    pub passed: Vec<Skipped>,
    /// The classes in the order of the model's logits.
    pub class_names: Vec<String>,
    /// Whether an image may have several labels.
    pub several: bool,
    /// Whether it was asked which images are none of the classes.
    pub rejects: bool,
    /// Where a CSV file was asked for, the probability of each class for each of `predictions`; none where there is no answer.
    pub probabilities: Vec<Vec<f32>>,
}

/// The likeliest classes of image files; folders are searched through by the rules of [`oculist_data::walk`].
///
/// # Errors
/// With `strict`, [`OculistError::Image`] for the first unreadable file; otherwise as reading the model.
pub fn predict_files(
    model: &Path,
    paths: &[PathBuf],
    options: &PredictOptions,
) -> Result<Predicted, OculistError> {
    predict_with(model, paths, options).map_err(|e| e.of_model(model))
}

fn predict_with(path: &Path, paths: &[PathBuf], options: &PredictOptions) -> Result<Predicted, OculistError> {
    let ctx = context(options.threads, options.max_memory, options.isa)?;
    let Opened { model, notes, .. } = Model::open_for(path, &options.reading, 1, &ctx)?;
    let reject = if options.reject { Some(threshold(path, &model, options)?) } else { None };
    let views = match &options.tta {
        Some(tta) => tta.views(&model.preprocessing)?,
        None => vec![View::Plain],
    };
    let mut gallery = match &options.similar {
        Some(data) => Some(Gallery::of(&model, data, &gallery_settings(options), &ctx)?),
        None => None,
    };
    let mut plan = Plan::new(&model.graph, &PlanOptions::new(1, ctx))?;
    let mut logits = vec![0.0; plan.output_len()];
    let mut input = try_zeros(model.preprocessing.len(), "the image that the model is given")?;
    let probabilities = model.probabilities();
    let mut found = Predicted { notes, ..Predicted::default() };
    if model.numbered {
        found.notes.push(
            format!(
                "the model does not name its classes: these are their numbers, from 0; name them with {}",
                setting("classes")
            )
            .into(),
        );
    }
    let (files, passed) = files(paths);
    found.passed = passed;
    (found.class_names, found.several) = (model.class_names.clone(), model.task == Task::MultiLabel);
    found.rejects = options.reject;
    if let Some(csv) = &options.csv {
        check_csv(csv, path, files.iter().map(|file| file.path.as_path()))?;
    }
    for File { path, problem, missing, named } in files {
        let mut probabilities_of_all = Vec::new();
        if missing {
            found.missing.push(found.predictions.len());
        }
        let image = match problem {
            Some(problem) => Err(problem),
            None => decode_file(&path, DEFAULT_MAX_PIXELS).map_err(|err| err.to_string()),
        };
        let (text, escaped) = path_text(&path);
        let mut prediction = Prediction { path: text, escaped, ..Prediction::default() };
        match image {
            Ok(image) => {
                let mut sum = Sum::new(probabilities, 1, logits.len());
                for view in &views {
                    let image = view.apply(image.clone(), &model.preprocessing, options.seed, 0)?;
                    model.preprocessing.normalize_into(&image, &mut input);
                    plan.run(&input, &mut logits)?;
                    finite(&logits, logits.len(), &|_| path.display().to_string())?;
                    sum.add(&logits);
                }
                if let Some(gallery) = &mut gallery {
                    let name = path.display().to_string();
                    prediction.similar = gallery.nearest(&model, image.clone(), &name, options.top.max(1))?;
                }
                prediction.reject = reject.map(|reject| {
                    let score = model.reject_score(&logits);
                    Rejection {
                        score: f64::from(score),
                        threshold: f64::from(reject.threshold),
                        none_of_these: reject.rejects(score),
                    }
                });
                let top = options.top.max(1);
                let mean = (views.len() > 1).then(|| sum.logits());
                let logits = mean.as_deref().unwrap_or(&logits);
                if options.csv.is_some() {
                    probabilities_of_all = probabilities.of(logits);
                }
                let answer = model.answer(logits, top);
                let name = |class: usize| model.class_names[class].clone();
                prediction.labels = answer.labels.map(|labels| labels.into_iter().map(name).collect());
                let guess = |(class, p): (usize, f32)| Guess { class: name(class), confidence: f64::from(p) };
                prediction.top = answer.top.into_iter().map(guess).collect();
            }
            Err(problem) if options.strict => return Err(OculistError::Image { path, problem }),
            Err(problem) => {
                prediction.error = Some(problem);
                if named && !missing {
                    found.unreadable.push(found.predictions.len());
                }
            }
        }
        found.predictions.push(prediction);
        if options.csv.is_some() {
            found.probabilities.push(probabilities_of_all);
        }
    }
    if let Some(csv) = &options.csv {
        let text = predictions::of_files(&found).map_err(|e| wrong_file(csv, e.to_string()))?;
        write(csv, &text)?;
    }
    Ok(found)
}

/// How the images are read that others are compared with.
fn gallery_settings(options: &PredictOptions) -> Settings {
    Settings {
        threads: Some(options.threads),
        max_memory: options.max_memory,
        isa: Some(options.isa),
        feature_cache: options.feature_cache.clone(),
        seed: Some(options.seed),
        ..Settings::default()
    }
}

/// Refuses to write the answers over what they are made of, or into a folder that another process is writing.
fn check_csv<'a>(
    csv: &Path,
    model: &Path,
    images: impl Iterator<Item = &'a Path>,
) -> Result<(), OculistError> {
    check_free_beside(csv)?;
    if csv.is_dir() {
        return Err(wrong_file(csv, "expected a file to write, found a folder".into()));
    }
    let Ok(there) = csv.canonicalize() else { return Ok(()) };
    let same = |path: &Path| path.canonicalize().is_ok_and(|path| path == there);
    if same(model) {
        return Err(wrong_file(csv, "is the model; choose another file for the answers".into()));
    }
    // Only what looks like it is looked up: there may be very many images.
    let named = |path: &&Path| path.file_name() == csv.file_name() || path.file_name() == there.file_name();
    if images.filter(named).any(same) {
        return Err(wrong_file(csv, "is one of the images; choose another file for the answers".into()));
    }
    Ok(())
}

fn wrong_file(path: &Path, problem: String) -> OculistError {
    OculistError::Output { path: path.to_path_buf(), problem: problem.into() }
}

/// The threshold below which an image is none of the classes of a model, read from `path`.
fn threshold(path: &Path, model: &Model, options: &PredictOptions) -> Result<Reject, OculistError> {
    if options.tta.is_some() {
        return Err(wrong(
            "reject",
            format!("expected no {} with it: the threshold is of images as they are", setting("tta")),
        ));
    }
    model.rejection().map_err(|problem| OculistError::Model { path: path.to_path_buf(), problem })
}

/// A file to classify, or a name that cannot be.
struct File {
    path: PathBuf,
    /// Why not.
    problem: Option<String>,
    /// The user named it, and there is nothing to read.
    missing: bool,
    /// The user named it, and not only a folder that it is in.
    named: bool,
}

/// The files named, and those in the folders named, in natural order within each folder; and what was passed over there.
fn files(paths: &[PathBuf]) -> (Vec<File>, Vec<Skipped>) {
    let (mut all, mut passed) = (Vec::new(), Vec::new());
    for path in paths {
        let missing =
            |problem: String| File { path: path.clone(), problem: Some(problem), missing: true, named: true };
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => match walk(path, &Exclude::default()) {
                Ok(found) if found.files.is_empty() && found.skipped.is_empty() => {
                    all.push(missing("the folder holds no files".into()));
                }
                Ok(found) => {
                    let (unread, other): (Vec<_>, Vec<_>) =
                        found.skipped.into_iter().partition(|skip| skip.kind == SkipKind::Unreadable);
                    passed.extend(other);
                    let files: Vec<PathBuf> = found.files.into_iter().map(|file| file.path).collect();
                    let files = if found.links { each_once(path, &files, &mut passed) } else { files };
                    let readable = files.into_iter().map(|path| (path, None));
                    let listed =
                        readable.chain(unread.into_iter().map(|skip| (skip.path, Some(skip.reason))));
                    all.extend(listed.map(|(path, problem)| File {
                        path,
                        problem,
                        missing: false,
                        named: false,
                    }));
                }
                Err(oculist_data::Error::Io { source, .. }) => all.push(missing(source.to_string())),
                Err(err) => all.push(missing(err.to_string())),
            },
            Ok(meta) => match oculist_files::irregular(meta.file_type()) {
                Some(found) => {
                    all.push(missing(format!("expected an image file or a folder, found {found}")));
                }
                None => {
                    all.push(File { path: path.clone(), problem: None, missing: false, named: true });
                }
            },
            Err(err) => all.push(missing(err.to_string())),
        }
    }
    (all, passed)
}

/// Without the paths that lead through links to a file that is there already: the way without links counts, or the first.
fn each_once(root: &Path, files: &[PathBuf], passed: &mut Vec<Skipped>) -> Vec<PathBuf> {
    let real_root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let real: Vec<PathBuf> =
        files.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let is_direct =
        |at: usize| files[at].strip_prefix(root).is_ok_and(|below| real_root.join(below) == real[at]);
    let mut first: BTreeMap<&Path, usize> = BTreeMap::new();
    for at in (0..files.len()).filter(|at| is_direct(*at)).chain(0..files.len()) {
        first.entry(&real[at]).or_insert(at);
    }
    let mut kept = Vec::new();
    for (at, path) in files.iter().enumerate() {
        let known = first[real[at].as_path()];
        if known == at {
            kept.push(path.clone());
        } else {
            let reason = format!("a link to {}, answered once", files[known].display());
            passed.push(Skipped { path: path.clone(), reason, kind: SkipKind::Unused });
        }
    }
    kept
}
