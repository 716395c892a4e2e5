//! Which layers suffer most from int8: each is quantised alone and the network looked at again.

use std::collections::{BTreeMap, BTreeSet};

use oculist_graph::{Graph, Op, ValueId};
use oculist_metrics::Metric;
use oculist_passes::{QuantizeOptions, Range};
use oculist_report::LayerSensitivity;

use super::{Calibrated, options};
use crate::error::OculistError;
use crate::judging::Judge;
use crate::progress::{Progress, Watch};

/// Validation images that the scan looks at; more would make it slow for deep networks.
pub(crate) const IMAGES: usize = 1000;

/// The layers by what they lose in int8 when all others stay in f32, the worst first.
///
/// The order is by the rise of the loss, which sees changes that do not yet flip an answer; the reported number is how
/// much of the metric is lost.
pub(crate) fn ranking(
    calibrated: &Calibrated,
    ranges: &BTreeMap<ValueId, Range>,
    judge: &Judge<'_>,
    watch: &mut Watch<'_>,
) -> Result<Vec<LayerSensitivity>, OculistError> {
    let (subset, metric) = (judge.images.some(IMAGES)?, judge.metric);
    let judge = judge.on(&subset);
    // The loss sees changes that do not yet flip an answer.
    let both = |graph: &Graph| -> Result<(f64, f64), OculistError> {
        let scores = judge.scores(graph)?;
        Ok((judge.value(&scores), scores.get(Metric::LogLoss).unwrap_or(f64::NAN)))
    };
    let (value, loss) = both(&calibrated.folded)?;
    let layers = calibrated.layers();
    let mut scan = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let alone = QuantizeOptions { only: Some(BTreeSet::from([layer.clone()])), ..options() };
        let (layer_value, layer_loss) = both(&calibrated.quantize(ranges, &alone)?)?;
        let val_drop = metric.drop(value, layer_value);
        let entry = LayerSensitivity { layer: layer.clone(), val_drop, decision: "int8".into() };
        scan.push((layer_loss - loss, entry));
        watch.tell(Progress::Work { what: "sensitivity scan", done: i + 1, total: layers.len() });
    }
    scan.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.layer.cmp(&b.1.layer)));
    Ok(scan.into_iter().map(|(_, entry)| entry).collect())
}

/// The layers that compute in f32: their weights do not come from a `DequantizeLinear`.
pub(crate) fn float_layers(quantized: &Graph, layers: &[String]) -> BTreeSet<String> {
    let producers = quantized.producers();
    quantized
        .nodes()
        .iter()
        .filter(|n| layers.contains(&n.name))
        .filter(|n| {
            let source = producers[n.inputs[1].index()].map(|p| &quantized.nodes()[p].op);
            !matches!(source, Some(Op::DequantizeLinear(_)))
        })
        .map(|n| n.name.clone())
        .collect()
}
