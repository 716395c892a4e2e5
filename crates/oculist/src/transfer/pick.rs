//! The source whose features suit the data best.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use oculist_augment::ColorMode;
use oculist_data::{Split, Subset, Task};
use oculist_heads::HeadKind;
use oculist_metrics::Metric;
use oculist_passes::Cut;
use oculist_report::TransferSource;
use oculist_runtime::Context;

use super::Carried;
use super::features::{Contents, Extraction};
use super::heads::{Lesson, head_options};
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::judging::usual_metric;
use crate::progress::Watch;
use crate::settings::Settings;

/// Training and validation images by which sources are compared, at the most.
const TRAIN: usize = 1000;
const VAL: usize = 500;

/// The folder where features are kept; the word `none` is no folder.
pub(crate) fn folder(settings: &Settings) -> Option<PathBuf> {
    settings.feature_cache.clone().filter(|path| path.as_os_str() != "none")
}

/// Opens all sources and gives the one whose features a logistic regression tells apart best on validation images; of equal
/// ones the first. A single one is taken as it is.
///
/// # Errors
/// As [`Carried::open`] and what stands in the way of running a source.
pub(crate) fn pick(
    paths: &[PathBuf],
    settings: &Settings,
    source: &Source,
    color: ColorMode,
    ctx: &Arc<Context>,
    watch: &mut Watch<'_>,
) -> Result<Option<Carried>, OculistError> {
    let mut all = Carried::open_all(paths, settings, color, ctx, watch)?;
    if all.len() < 2 {
        return Ok(all.pop());
    }
    one_label(source)?;
    let metric = settings.metric.unwrap_or_else(|| usual_metric(source.dataset().train().task()));
    let contents = match folder(settings) {
        Some(_) => Some(source.read_contents(ctx.threads(), watch)?),
        None => None,
    };
    let mut best: Option<(f64, usize)> = None;
    let mut compared = Vec::with_capacity(all.len());
    for (i, carried) in all.iter().enumerate() {
        let began = Instant::now();
        let value = probe(carried, settings, source, contents, (metric, ctx), watch)?;
        watch.note(&format!(
            "{}: {} on validation images by a logistic regression on its features, {:.1} s",
            carried.name(),
            metric.format(value),
            began.elapsed().as_secs_f64()
        ));
        compared.push(TransferSource { source: carried.name(), val: Some(value).filter(|v| v.is_finite()) });
        if best.is_none_or(|(known, _)| metric.is_better(value, known)) {
            best = Some((value, i));
        }
    }
    let Some((_, i)) = best else { return Ok(all.pop()) };
    let chosen = Carried { compared, ..all.swap_remove(i) };
    watch.note(&format!("carried over from {}, which suits the data best", chosen.name()));
    Ok(Some(chosen))
}

/// Refuses images of several labels: heads choose one class.
///
/// # Errors
/// [`OculistError::Setting`] naming the task.
pub(crate) fn one_label(source: &Source) -> Result<(), OculistError> {
    if source.dataset().train().task() == Task::SingleLabel {
        return Ok(());
    }
    Err(wrong("task", "expected images of one label each, found several: heads choose one class"))
}

/// What a logistic regression on a source's features achieves on validation images.
fn probe(
    carried: &Carried,
    settings: &Settings,
    source: &Source,
    contents: Option<&Contents>,
    (metric, ctx): (Metric, &Arc<Context>),
    watch: &mut Watch<'_>,
) -> Result<f64, OculistError> {
    let cut = settings.layer.as_deref().map_or(Cut::Classifier, Cut::At);
    let backbone = carried.backbone(cut)?;
    let folder = folder(settings);
    let extraction = Extraction {
        graph: &backbone.folded,
        preprocessing: &carried.model.preprocessing,
        ctx,
        folder: folder.as_deref(),
        precision: "f32",
    };
    let mut some = |split, most| -> Result<_, OculistError> {
        let subset = source.split(split);
        let (subset, contents) = evenly(subset, contents.map(|c| c.split(split)), most)?;
        let found = extraction.rows(&subset, contents.as_deref(), watch);
        let rows = found.map_err(|e| e.of_model(&carried.path))?;
        let labels = rows.labels(&subset);
        Ok((rows, labels))
    };
    let ((train, train_labels), (val, val_labels)) = (some(Split::Train, TRAIN)?, some(Split::Val, VAL)?);
    let classes = source.class_names().len();
    let lesson =
        Lesson { train: &train, train_labels: &train_labels, val: &val, val_labels: &val_labels, classes };
    let options = head_options(settings.seed.unwrap_or(0), ctx);
    let learned = lesson.learn(&[HeadKind::Logistic], &options, metric, watch.stop, |_| {}, |_| {})?;
    Ok(learned.first().and_then(|tried| tried.val.get(metric)).unwrap_or(f64::NAN))
}

/// At most so many images of a subset, at equal distances.
pub(super) fn evenly(
    subset: &Subset,
    contents: Option<&[String]>,
    most: usize,
) -> Result<(Subset, Option<Vec<String>>), OculistError> {
    let n = subset.len().min(most);
    let chosen: Vec<usize> = (0..n).map(|i| i * subset.len() / n).collect();
    let contents = contents.map(|all| chosen.iter().filter_map(|&i| all.get(i).cloned()).collect());
    Ok((subset.select(&chosen)?, contents))
}
