//! Writes a model again: folded, or quantised to int8.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use oculist_data::Task;
use oculist_graph::Graph;
use oculist_passes::{channels_last_again, fold_batch_norm, remove_identity, reparameterize};
use oculist_report::bytes_text;

use crate::deciding::Deciding;
use crate::error::{OculistError, wrong};
use crate::evaluate::BATCH;
use crate::files::{check_free_beside, tidy_beside};
use crate::images::Images;
use crate::judging::{Judge, usual_metric};
use crate::message::setting;
use crate::model_file::{Model, ModelOptions, Opened, is_int8, is_own, is_weights, read_to_write};
use crate::progress::Watch;
use crate::quantization::Quantizer;
use crate::reject::Reject;
use crate::settings::Settings;
use crate::summary::counted;

/// How to export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportOptions {
    /// The file to write.
    pub output: PathBuf,
    /// Whether batch normalisation is folded into the convolutions.
    pub fold: bool,
    /// Whether an existing file may be replaced.
    pub replace: bool,
    /// Whether the data serve to measure the threshold below which an image is none of the classes, and not to quantise.
    pub reject: bool,
    /// The opset to write in; the file's own, or the newer one that a node needs, if none is asked for.
    pub opset: Option<i64>,
}

impl ExportOptions {
    /// A new file, with the model as it is.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self { output: output.into(), fold: false, replace: false, reject: false, opset: None }
    }
}

/// Exports a model; int8 if `settings.data` names a data set to calibrate on, which can also serve to measure a threshold
/// alone. Returns a sentence about the file.
///
/// # Errors
/// [`OculistError::Output`] if the file exists and may not be replaced, or cannot be written;
/// [`OculistError::Model`] if the model is quantised already or does not know a class of the data; otherwise as reading, passes and writing.
pub fn export_file(
    model: &Path,
    settings: &Settings,
    options: &ExportOptions,
    watch: &mut Watch<'_>,
) -> Result<String, OculistError> {
    export_model(model, settings, options, watch).map_err(|e| e.of_model(model))
}

fn export_model(
    model: &Path,
    settings: &Settings,
    options: &ExportOptions,
    watch: &mut Watch<'_>,
) -> Result<String, OculistError> {
    settings.validate()?;
    if options.output.exists() && !options.replace {
        return Err(OculistError::Output {
            path: options.output.clone(),
            problem: format!("exists already; choose another name or replace it with {}", setting("force"))
                .into(),
        });
    }
    check_free_beside(&options.output)?;
    check_writable(&options.output)?;
    tidy_beside(&options.output, watch);
    let path = model;
    let reading = ModelOptions::of(settings);
    let says_nothing = reading.classes.is_none() && reading.preprocessing.is_none();
    if settings.data.is_none() && says_nothing && (is_weights(path) || !is_own(&oculist_onnx::read(path)?)) {
        return export_foreign(path, &reading, options, watch);
    }
    let Opened { mut model, notes, .. } = Model::open(path, &reading)?;
    for note in &notes {
        watch.note(note.marked());
    }
    let quantizes = settings.data.is_some() && !options.reject;
    if model.is_int8() && (quantizes || options.fold) {
        return Err(OculistError::Model {
            path: path.to_path_buf(),
            problem: "it is quantised already; export from the f32 model of the same run".into(),
        });
    }
    let settings = &Settings { task: settings.task.or(Some(model.task)), ..settings.clone() };
    let mut what = String::from("as it was");
    let mut graph = model.graph.clone();
    if options.fold && !quantizes {
        graph = fold_batch_norm(&reparameterize(&remove_identity(&graph)?)?)?;
        what = "batch normalisation folded".into();
    }
    // Folding changes no answer, so the file's own threshold stays.
    let mut reject = model.reject;
    if settings.data.is_some() {
        (graph, reject) = by_data(graph, (path, &mut model), settings, (quantizes, &mut what), watch)?;
    }
    if is_weights_output(&options.output) {
        return write_weights(path, &graph, options, &what);
    }
    let model = Model { reject, ..model.with_graph(graph) };
    let written = model.write_in(&options.output, options.opset)?;
    Ok(said(&what, &written, options, watch))
}

/// Quantises the graph of a model by the data that the settings name, if it is to be, and measures when an image is none
/// of its classes; adds to `what` was done.
fn by_data(
    mut graph: Graph,
    (path, model): (&Path, &mut Model),
    settings: &Settings,
    (quantizes, what): (bool, &mut String),
    watch: &mut Watch<'_>,
) -> Result<(Graph, Option<Reject>), OculistError> {
    if !quantizes && model.task == Task::MultiLabel {
        let problem = "expected a model that tells one class of an image; this one tells any number of labels, and none of \
                       them is an answer already";
        return Err(wrong("reject", problem));
    }
    let (threads, ctx) = (settings.threads(), settings.context()?);
    model.check_size(path, BATCH, &ctx)?;
    let Deciding { train, val, .. } = Deciding::open(settings, (path, model), watch)?;
    let count = counted(val.len(), "validation image", "validation images");
    let val = Images::load_until(&val, &model.preprocessing, threads, watch.stop)?;
    let metric = settings.metric.unwrap_or_else(|| usual_metric(val.targets().task()));
    let judge = Judge { ctx: &ctx, images: &val, metric, stop: watch.stop };
    if quantizes {
        let n = settings.calibration_images.unwrap_or(512);
        let subset = train.sample(n, settings.seed.unwrap_or(0))?;
        watch.note(&format!(
            "calibration on {} of the {}, the method chosen by {count}",
            subset.len(),
            counted(train.len(), "training image", "training images"),
        ));
        let calibration = Images::load_until(&subset, &model.preprocessing, threads, watch.stop)?;
        let method = settings.calibration.unwrap_or_default();
        let quantizer = Quantizer { ctx: &ctx, calibration: &calibration, judge, method, allowed: None };
        let quantized = quantizer.quantize(&graph, watch)?;
        *what = format!(
            "int8, {} calibration on {} images, {}",
            quantized.facts.calibration,
            quantized.facts.images,
            judge.text(&quantized.val)
        );
        graph = quantized.graph;
    }
    let mut scores = model.reject_scores(&judge.logits(&graph)?);
    scores.sort_by(f32::total_cmp);
    model.set_reject(&scores);
    if let Some(reject) = model.reject {
        let _ = write!(
            what,
            ", none of its classes below {} of {} on {count}",
            reject.threshold,
            reject.score.name()
        );
    }
    Ok((graph, model.reject))
}

/// Exports a model that need not be a classifier: nothing is asked of it but that it can be read and written.
fn export_foreign(
    path: &Path,
    reading: &ModelOptions,
    options: &ExportOptions,
    watch: &mut Watch<'_>,
) -> Result<String, OculistError> {
    let (mut graph, notes) = read_to_write(path, reading)?;
    for note in &notes {
        watch.note(note);
    }
    let mut what = "as it was";
    if options.fold {
        if is_int8(&graph) {
            return Err(OculistError::Model {
                path: path.to_path_buf(),
                problem: "it is quantised already, so nothing is left to fold".into(),
            });
        }
        graph = fold_batch_norm(&reparameterize(&remove_identity(&graph)?)?)?;
        what = "batch normalisation folded";
    }
    let mut asked = oculist_onnx::ExportOptions::default();
    if let Some(opset) = options.opset {
        asked = asked.with_opset(opset);
    }
    if is_weights_output(&options.output) {
        return write_weights(path, &graph, options, what);
    }
    let graph = channels_last_again(&graph)?;
    let written = oculist_onnx::write_with(&graph, &options.output, asked)?;
    Ok(said(what, &written, options, watch))
}

/// A sentence about a written file.
fn said(
    what: &str,
    written: &oculist_onnx::Exported,
    options: &ExportOptions,
    watch: &mut Watch<'_>,
) -> String {
    if let Some(why) = &written.raised {
        watch.note(&format!("written in opset {}, newer than the file's: {why}", written.opset));
    }
    let bytes = written.bytes.len() as u64;
    format!("{}: {what}, opset {}, {}", options.output.display(), written.opset, bytes_text(bytes))
}

/// Writes the weights alone.
fn write_weights(
    path: &Path,
    graph: &Graph,
    options: &ExportOptions,
    what: &str,
) -> Result<String, OculistError> {
    let refuse =
        |problem: &str| Err(OculistError::Model { path: path.to_path_buf(), problem: problem.into() });
    if is_int8(graph) {
        return refuse(
            "its weights are quantised, and other tools have no names for such: write them to an ONNX file",
        );
    }
    if !graph.weights().contains(&true) {
        return refuse("it has no weights to write");
    }
    oculist_weights::write_safetensors(&options.output, graph)?;
    Ok(format!("{}: {what}, weights alone", options.output.display()))
}

/// Whether the weights alone are to be written.
fn is_weights_output(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
}

/// Fails if a file cannot be written there, before any work is done for it.
fn check_writable(file: &Path) -> Result<(), OculistError> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let output = |problem: String| OculistError::Output { path: file.to_path_buf(), problem: problem.into() };
    if file.is_dir() {
        return Err(output("expected a file name, found a folder".into()));
    }
    if file.exists() && !file.is_file() {
        return Err(output("expected a file name, found what is no regular file".into()));
    }
    if !folder.is_dir() {
        return Err(output(format!("the folder {} does not exist", folder.display())));
    }
    // The only sure way to know is to write; the file that is tried goes away again.
    oculist_files::check_writable(folder)
        .map_err(|e| output(format!("the folder {} is not writable: {e}", folder.display())))
}
