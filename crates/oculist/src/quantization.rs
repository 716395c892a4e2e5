//! Post-training quantisation of a trained graph: calibrate, correct biases, try the methods, keep layers in f32
//! where int8 costs too much.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_graph::{Graph, Op, ValueId};
use oculist_metrics::Scores;
use oculist_passes::{
    CalibrationMethod, Calibrator, ChannelMeans, QuantizeOptions, Range, WeightRange, correct_bias,
    fold_batch_norm, layer_inputs, quantizable_values, quantize, remove_identity, reparameterize,
};
use oculist_report::{LayerSensitivity, Quantization};
use oculist_runtime::{Context, Observed, Plan, PlanOptions};

pub(crate) mod sensitivity;
use crate::error::{OculistError, wrong};
use crate::evaluate::{BATCH, finite};
use crate::images::Images;
use crate::judging::{Allowance, Judge};
use crate::progress::{Watch, go_on};
use crate::settings::Calibration;

/// Share of the activations that percentile calibration keeps, percent.
const PERCENTILE: f64 = 99.99;

/// Quantises graphs of one run.
pub(crate) struct Quantizer<'a> {
    pub(crate) ctx: &'a Arc<Context>,
    /// Training images, not augmented.
    pub(crate) calibration: &'a Images,
    /// Validation images, and the metric that decides.
    pub(crate) judge: Judge<'a>,
    pub(crate) method: Calibration,
    /// What may be lost before layers go back to f32, if that is limited.
    pub(crate) allowed: Option<Allowance>,
}

/// A quantised graph.
#[derive(Debug, Clone)]
pub(crate) struct Quantized {
    pub(crate) graph: Graph,
    /// What it achieves on validation images.
    pub(crate) val: Scores,
    pub(crate) facts: Quantization,
    /// The calibration method that won.
    method: CalibrationMethod,
}

/// A graph ready for quantisation with what calibration found.
pub(crate) struct Calibrated {
    pub(crate) folded: Graph,
    calibrator: Calibrator,
    means: BTreeMap<ValueId, Vec<f64>>,
}

impl Calibrated {
    /// The Q/DQ graph by one method and options.
    pub(crate) fn quantize(
        &self,
        ranges: &BTreeMap<ValueId, Range>,
        options: &QuantizeOptions,
    ) -> Result<Graph, OculistError> {
        let corrected = correct_bias(&self.folded, &self.means, options)?;
        Ok(quantize(&corrected, ranges, options)?)
    }

    pub(crate) fn ranges(&self, method: CalibrationMethod) -> Result<BTreeMap<ValueId, Range>, OculistError> {
        Ok(self.calibrator.ranges(method)?)
    }

    /// Names of the layers with weights, in order.
    pub(crate) fn layers(&self) -> Vec<String> {
        layers(&self.folded)
    }
}

/// Weights in seven bits: products of bytes then fit pairwise into 16 bits, so that runtimes on processors without
/// VNNI, ONNX Runtime among them, compute the same sums as everywhere else.
pub(crate) fn options() -> QuantizeOptions {
    QuantizeOptions { weights: WeightRange::Reduced, ..QuantizeOptions::default() }
}

fn layers(graph: &Graph) -> Vec<String> {
    graph
        .nodes()
        .iter()
        .filter(|n| matches!(n.op, Op::Conv(_) | Op::Gemm(_)))
        .map(|n| n.name.clone())
        .collect()
}

impl Quantizer<'_> {
    /// Quantises a trained graph (batch norms still in place).
    ///
    /// Every calibration method asked for is tried on validation images and the best is kept. If the result falls
    /// below the floor although the f32 graph does not, the most sensitive layers go back to f32, one after the
    /// other, until it does not.
    pub(crate) fn quantize(&self, graph: &Graph, watch: &mut Watch<'_>) -> Result<Quantized, OculistError> {
        let calibrated = self.calibrate(graph, watch.stop)?;
        let (judge, metric) = (&self.judge, self.judge.metric);
        let better = |a: &Scores, b: &Scores| metric.is_better(judge.value(a), judge.value(b));
        let mut best: Option<(CalibrationMethod, Graph, Scores)> = None;
        for &method in self.methods() {
            go_on(watch.stop)?;
            let quantized = calibrated.quantize(&calibrated.ranges(method)?, &options())?;
            let scores = judge.scores(&quantized)?;
            watch.note(&format!("int8, {} calibration: {}", method_name(method), judge.text(&scores)));
            if best.as_ref().is_none_or(|(_, _, b)| better(&scores, b)) {
                best = Some((method, quantized, scores));
            }
        }
        let Some((method, mut quantized, mut val)) = best else {
            return Err(wrong("calibration", "no method to try"));
        };
        let keeps = |scores: &Scores| self.allowed.is_none_or(|allowed| allowed.keeps(judge.value(scores)));
        let mut keep = BTreeSet::new();
        if !keeps(&val) && keeps(&judge.scores(graph)?) {
            let ranges = calibrated.ranges(method)?;
            let ranking = sensitivity::ranking(&calibrated, &ranges, judge, watch)?;
            for entry in ranking.iter().take(ranking.len() / 2) {
                keep.insert(entry.layer.clone());
                let options = QuantizeOptions { keep_f32: keep.clone(), ..options() };
                let mixed = calibrated.quantize(&ranges, &options)?;
                let scores = judge.scores(&mixed)?;
                watch.note(&format!("{} kept in f32: {}", entry.layer, judge.text(&scores)));
                if better(&scores, &val) {
                    (quantized, val) = (mixed, scores);
                }
                if keeps(&val) {
                    break;
                }
            }
        }
        let all = calibrated.layers();
        let f32_layers = sensitivity::float_layers(&quantized, &all);
        let facts = Quantization {
            calibration: method_name(method).to_owned(),
            images: self.calibration.len(),
            weights: "per-channel symmetric int8, 7 bits used".into(),
            activations: "per-tensor uint8".into(),
            bias_correction: true,
            layers_int8: all.iter().filter(|l| !f32_layers.contains(*l)).cloned().collect(),
            layers_f32: f32_layers.into_iter().collect(),
            sensitivity_images: 0,
        };
        Ok(Quantized { graph: quantized, val, facts, method })
    }

    /// What each layer alone loses in int8, with what was decided for it.
    pub(crate) fn sensitivity(
        &self,
        graph: &Graph,
        quantized: &Quantized,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<LayerSensitivity>, OculistError> {
        let calibrated = self.calibrate(graph, watch.stop)?;
        let ranges = calibrated.ranges(quantized.method)?;
        let mut entries = sensitivity::ranking(&calibrated, &ranges, &self.judge, watch)?;
        for entry in &mut entries {
            let kept = quantized.facts.layers_f32.contains(&entry.layer);
            entry.decision = if kept { "f32".into() } else { "int8".into() };
        }
        Ok(entries)
    }

    fn methods(&self) -> &'static [CalibrationMethod] {
        match self.method {
            Calibration::Auto => &METHODS,
            Calibration::Minmax => &[CalibrationMethod::MinMax],
            Calibration::Percentile => &[CalibrationMethod::Percentile(PERCENTILE)],
            Calibration::Entropy => &[CalibrationMethod::Entropy],
        }
    }

    fn calibrate(&self, graph: &Graph, stop: &AtomicBool) -> Result<Calibrated, OculistError> {
        calibrate(self.ctx, self.calibration, graph, stop)
    }
}

/// Adds what is observed, each calibrator a part of the rows on a thread of its own; which one sees what does not matter, since
/// they are merged.
fn observe(calibrators: &mut [Calibrator], o: &Observed<'_>) -> oculist_passes::Result<()> {
    /// Values below which a thread is not worth its start.
    const LEAST: usize = 1 << 16;
    let rows = o.data.len() / o.channel_stride.max(1);
    let parts = calibrators.len().min(o.data.len() / LEAST).max(1);
    let part = rows.div_ceil(parts).max(1) * o.channel_stride.max(1);
    let add = |calibrator: &mut Calibrator, data: &[f32]| {
        calibrator.observe_nhwc(o.value, data, o.channels, o.channel_stride)
    };
    if let (1, [calibrator, ..]) = (parts, &mut *calibrators) {
        return add(calibrator, o.data);
    }
    std::thread::scope(|scope| {
        let work = calibrators.iter_mut().zip(o.data.chunks(part));
        let work: Vec<_> = work.map(|(own, data)| scope.spawn(move || add(own, data))).collect();
        work.into_iter().try_for_each(|thread| match thread.join() {
            Ok(added) => added,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// Folds the graph and watches its values on the calibration images.
pub(crate) fn calibrate(
    ctx: &Arc<Context>,
    calibration: &Images,
    graph: &Graph,
    stop: &AtomicBool,
) -> Result<Calibrated, OculistError> {
    let folded = fold_batch_norm(&reparameterize(&remove_identity(graph)?)?)?;
    let values = quantizable_values(&folded)?;
    let inputs = layer_inputs(&folded);
    let mut calibrators = vec![Calibrator::new(&folded, &values); ctx.threads()];
    let mut means = ChannelMeans::new();
    let mut observed = values.clone();
    observed.extend(inputs.iter().filter(|v| !values.contains(v)));
    let options = PlanOptions::new(BATCH, ctx.clone()).with_observed(observed);
    let mut plan = Plan::new(&folded, &options)?;
    let mut logits = vec![0.0; BATCH * plan.output_len()];
    let (input_len, classes) = (plan.input_len(), plan.output_len());
    let mut seen = 0;
    calibration.for_each_batch(BATCH, &mut |images| {
        go_on(stop)?;
        let mut failed = None;
        let n = images.len() / input_len * classes;
        plan.run_observed(images, &mut logits[..n], &mut |o| {
            let mut look = || -> oculist_passes::Result<()> {
                if values.contains(&o.value) {
                    observe(&mut calibrators, o)?;
                }
                if inputs.contains(&o.value) {
                    let features = o.channels * o.height * o.width;
                    let shape = folded.shape(o.value);
                    if shape.rank() == 2 && o.channels < features && shape.channels() == Some(features) {
                        // A flattened map: each of its positions is a feature of its own.
                        means.observe_nchw(o.value, &o.to_nchw(), features, 1)?;
                    } else {
                        means.observe_nhwc(o.value, o.data, o.channels, o.channel_stride)?;
                    }
                }
                Ok(())
            };
            if let Err(e) = look() {
                failed.get_or_insert(e);
            }
        })?;
        if let Some(e) = failed {
            return Err(e.into());
        }
        let first = seen;
        seen += n / classes.max(1);
        finite(&logits[..n], classes, &|i| calibration.name(first + i))
    })?;
    let mut calibrators = calibrators.into_iter();
    let mut calibrator = calibrators.next().unwrap_or_else(|| Calibrator::new(&folded, &values));
    calibrators.try_for_each(|other| calibrator.merge(&other))?;
    Ok(Calibrated { means: means.means(), folded, calibrator })
}

/// The methods that are tried where none is named.
pub(crate) const METHODS: [CalibrationMethod; 3] =
    [CalibrationMethod::MinMax, CalibrationMethod::Percentile(PERCENTILE), CalibrationMethod::Entropy];

/// The method's name in reports.
pub(crate) fn method_name(method: CalibrationMethod) -> &'static str {
    match method {
        CalibrationMethod::MinMax => "min-max",
        CalibrationMethod::Percentile(_) => "percentile 99.99",
        CalibrationMethod::Entropy => "entropy",
    }
}
