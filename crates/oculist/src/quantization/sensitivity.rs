//! Which layers suffer most from int8: each is quantised alone and the network looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oculist_graph::{Graph, Op, ValueId};
use oculist_passes::{QuantizeOptions, Range};
use oculist_report::LayerSensitivity;
use oculist_runtime::Context;

use super::{Calibrated, options};
use crate::error::OculistError;
use crate::evaluate::logits_until;
use crate::images::Images;
use crate::metrics::evaluate_logits;
use crate::progress::{Progress, Watch};

/// Validation images that the scan looks at; more would make it slow for deep networks.
const IMAGES: usize = 1000;

/// The layers by what they lose in int8 when all others stay in f32, the worst first.
///
/// The order is by the rise of the cross-entropy, which sees changes that do not yet flip an answer; the reported
/// number is the fall of top-1 in points.
pub(crate) fn ranking(
    calibrated: &Calibrated,
    ranges: &BTreeMap<ValueId, Range>,
    val: &Images,
    ctx: &Arc<Context>,
    watch: &mut Watch<'_>,
) -> Result<Vec<LayerSensitivity>, OculistError> {
    let subset = val.some(IMAGES)?;
    let stop = watch.stop;
    let judge = |graph: &Graph| -> Result<(f64, f64), OculistError> {
        let all = logits_until(graph, &subset, ctx, stop)?;
        let classes = all.len() / subset.len().max(1);
        let e = evaluate_logits(&all, subset.labels(), classes);
        Ok((e.top1, e.loss))
    };
    let (top1, loss) = judge(&calibrated.folded)?;
    let layers = calibrated.layers();
    let mut scan = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let alone = QuantizeOptions { only: Some(BTreeSet::from([layer.clone()])), ..options() };
        let (layer_top1, layer_loss) = judge(&calibrated.quantize(ranges, &alone)?)?;
        let entry =
            LayerSensitivity { layer: layer.clone(), val_drop: top1 - layer_top1, decision: "int8".into() };
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
