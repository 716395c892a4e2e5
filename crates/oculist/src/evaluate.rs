//! Runs a graph over a split: as it is, corrupted, or under several views.

pub(crate) mod corruptions;
pub(crate) mod selection;
pub(crate) mod suspicion;
pub(crate) mod tta;
pub(crate) mod views;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::error::OculistError;
use crate::images::Images;
use crate::metrics::{Evaluation, Probabilities, evaluate_as};
use crate::progress::go_on;

pub use selection::Part;
pub use tta::Tta;

/// Images per run of an evaluation.
pub(crate) const BATCH: usize = 32;

/// The logits of every image, dense `[images, classes]`: the graph ends in logits, as [`crate::Model::read`] gives it.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run; [`OculistError::Data`] if an image cannot be read.
pub fn logits(graph: &Graph, images: &Images, ctx: &Arc<Context>) -> Result<Vec<f32>, OculistError> {
    logits_until(graph, images, ctx, &AtomicBool::new(false))
}

/// As [`logits`], given up between two batches once `stop` is set.
pub(crate) fn logits_until(
    graph: &Graph,
    images: &Images,
    ctx: &Arc<Context>,
    stop: &AtomicBool,
) -> Result<Vec<f32>, OculistError> {
    let mut plan = Plan::new(graph, &PlanOptions::new(BATCH, ctx.clone()))?;
    plan.check_images()?;
    let classes = plan.output_len();
    let mut all = Vec::with_capacity(images.len() * classes);
    let input_len = plan.input_len();
    images.for_each_batch(BATCH, &mut |batch| {
        go_on(stop)?;
        let start = all.len();
        all.resize(start + batch.len() / input_len * classes, 0.0);
        plan.run(batch, &mut all[start..])?;
        finite(&all[start..], classes, &|i| images.name(start / classes + i))
    })?;
    Ok(all)
}

/// Refuses logits that are no numbers, of which every comparison would make some class.
///
/// # Errors
/// [`OculistError::NotFinite`] with the name of the first image that has one; `name` gives that of row i.
pub(crate) fn finite(
    logits: &[f32],
    classes: usize,
    name: &dyn Fn(usize) -> String,
) -> Result<(), OculistError> {
    match logits.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(at) => Err(OculistError::NotFinite { image: name(at / classes.max(1)), value: logits[at] }),
    }
}

/// Accuracy and calibration of a graph on a split, with the probabilities of a softmax.
///
/// # Errors
/// As [`logits`].
pub fn evaluate(graph: &Graph, images: &Images, ctx: &Arc<Context>) -> Result<Evaluation, OculistError> {
    evaluate_until(graph, images, ctx, &AtomicBool::new(false))
}

/// As [`evaluate`], given up between two batches once `stop` is set.
pub(crate) fn evaluate_until(
    graph: &Graph,
    images: &Images,
    ctx: &Arc<Context>,
    stop: &AtomicBool,
) -> Result<Evaluation, OculistError> {
    evaluate_with(Probabilities::Softmax, graph, images, ctx, stop)
}

/// As [`evaluate_until`], with the probabilities that the model's file gives.
pub(crate) fn evaluate_with(
    probabilities: Probabilities,
    graph: &Graph,
    images: &Images,
    ctx: &Arc<Context>,
    stop: &AtomicBool,
) -> Result<Evaluation, OculistError> {
    let all = logits_until(graph, images, ctx, stop)?;
    let classes = all.len() / images.len().max(1);
    Ok(evaluate_as(probabilities, &all, images.labels(), classes))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use oculist_augment::{ColorMode, Preprocessing};
    use oculist_data::Split;
    use oculist_graph::Shape;
    use oculist_zoo::BuildOptions;

    use super::*;

    #[test]
    fn what_is_no_number_is_refused_with_the_image() {
        let names = |i: usize| format!("image {i}");
        assert!(finite(&[0.0, -1e38, 1e38, 2.0], 2, &names).is_ok());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = finite(&[0.0, 1.0, 2.0, bad], 2, &names).unwrap_err().to_string();
            assert!(error.contains("image 1") && error.contains(&bad.to_string()), "{error}");
        }
    }

    use crate::data::Source;
    use crate::measure;
    use crate::settings::Settings;

    #[test]
    fn every_loop_can_be_stopped_and_a_fixed_batch_is_evaluated() {
        let dir = tempfile::tempdir().unwrap();
        oculist_data::fixture::write_class_folders(dir.path(), "", 3, 30, 16).unwrap();
        let settings = Settings { data: Some(dir.path().display().to_string()), ..Settings::default() };
        let source = Source::open(&settings, 1).unwrap();
        let (subset, preprocessing) =
            (source.split(Split::Train), Preprocessing::exact(ColorMode::Rgb, 16, 16));
        let mut graph = oculist_zoo::build("resnet8", &BuildOptions::new(3, (3, 16, 16))).unwrap();
        oculist_zoo::initialize(&mut graph, 0);
        let ctx = Arc::new(Context::new(1).unwrap());
        let images = Images::load(subset, &preprocessing, 1).unwrap();
        let all = logits(&graph, &images, &ctx).unwrap();
        assert_eq!(all.len(), 3 * images.len());
        let mut fixed = graph.clone();
        fixed.set_input_shape(fixed.inputs()[0], Shape::fixed(&[1, 3, 16, 16]));
        fixed.tidy().unwrap();
        let one_by_one = logits(&fixed, &images, &ctx).unwrap();
        assert!(all.iter().zip(&one_by_one).all(|(a, b)| (a - b).abs() < 1e-5));

        let stop = AtomicBool::new(true);
        let stopped = |error: OculistError| matches!(error, OculistError::Stopped { .. });
        assert!(stopped(Images::load_until(subset, &preprocessing, 1, &stop).unwrap_err()));
        assert!(stopped(logits_until(&graph, &images, &ctx, &stop).unwrap_err()));
        assert!(stopped(evaluate_until(&graph, &images, &ctx, &stop).unwrap_err()));

        // In the middle of a measurement that would take an hour.
        stop.store(false, Ordering::Relaxed);
        let began = Instant::now();
        let result = std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                stop.store(true, Ordering::Relaxed);
            });
            measure::throughput(&graph, &ctx, Duration::from_hours(1), &stop)
        });
        assert!(stopped(result.unwrap_err()));
        assert!((0.05..60.0).contains(&began.elapsed().as_secs_f64()));
    }
}
