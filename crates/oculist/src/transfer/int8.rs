//! Feature extractors that compute in bytes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_augment::Preprocessing;
use oculist_data::Subset;
use oculist_graph::Graph;
use oculist_passes::CalibrationMethod;
use oculist_runtime::Context;

use super::carried::Backbone;
use crate::error::OculistError;
use crate::images::Images;
use crate::quantization::{METHODS, calibrate, method_name, options as int8_options};

/// Images by which the ranges are observed.
const CALIBRATION: usize = 64;
/// Images, of these, on which the calibrations are compared.
const COMPARED: usize = 32;

/// A feature extractor in int8.
pub(crate) struct Quantized {
    pub(crate) graph: Graph,
    /// How it was calibrated, and how far its features are from those in f32, in words.
    pub(crate) what: String,
}

/// The extractor in int8, by the calibration that stays closest to the features in f32: `|f8 - f| / |f|` over all features of
/// images that are drawn by the seed.
///
/// # Errors
/// [`OculistError::Quantize`] for a graph that cannot be quantised; as for reading the images; [`OculistError::Stopped`].
pub(crate) fn quantized(
    backbone: &Backbone,
    preprocessing: &Preprocessing,
    subset: &Subset,
    seed: u64,
    ctx: &Arc<Context>,
    stop: &AtomicBool,
) -> Result<Quantized, OculistError> {
    let subset = subset.sample(CALIBRATION, seed)?;
    let images = Images::load_until(&subset, preprocessing, ctx.threads(), stop)?;
    let calibrated = calibrate(ctx, &images, &backbone.network.graph, stop)?;
    let few = Images::load_until(&subset.sample(COMPARED, seed)?, preprocessing, ctx.threads(), stop)?;
    let exact = crate::evaluate::logits_until(&backbone.folded, &few, ctx, stop)?;
    let mut best: Option<(f64, Graph, &str)> = None;
    // That of the least divergence was not the closest on MobileNetV2, and takes a second of it.
    for method in METHODS.into_iter().filter(|method| *method != CalibrationMethod::Entropy) {
        let graph = calibrated.quantize(&calibrated.ranges(method)?, &int8_options())?;
        let found = crate::evaluate::logits_until(&graph, &few, ctx, stop)?;
        let sum = |of: &mut dyn Iterator<Item = f64>| of.map(|v| v * v).sum::<f64>();
        let wrong = sum(&mut exact.iter().zip(&found).map(|(a, b)| f64::from(a - b)));
        let size = sum(&mut exact.iter().map(|&a| f64::from(a)));
        let error = (wrong / size.max(f64::MIN_POSITIVE)).sqrt();
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, graph, method_name(method)));
        }
    }
    let Some((error, graph, method)) = best else {
        return Err(OculistError::Stage {
            stage: "transfer".into(),
            problem: "no calibration method to try".into(),
        });
    };
    let percent = 100.0 * error;
    let what = format!("the extractor in int8 ({method}): features differ by {percent:.1}% of their size");
    Ok(Quantized { graph, what })
}
