//! The models beside one answer for every image: a small table under the verdict.

use serde::Serialize;

use crate::{Metric, RunSummary, format, measure};

#[derive(Debug, Serialize)]
pub(super) struct ChanceTable {
    /// What is compared, in a sentence.
    pub(super) lead: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<ChanceRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChanceRow {
    pub(super) name: String,
    pub(super) cells: Vec<String>,
}

impl ChanceTable {
    /// `None` where no model was compared.
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let chance = run.models.iter().find_map(|model| model.chance.as_ref())?;
        let metric = chance.metric();
        let several = metric == Metric::Map;
        let rows = run.models.iter().filter_map(|model| Some((model, model.chance.as_ref()?)));
        let value = |model: &crate::Model, metric| measure::text(metric, model.score(metric));
        let rows = rows.map(|(model, chance)| {
            let cells = if several {
                vec![value(model, metric), value(model, Metric::MacroF1)]
            } else {
                let [low, high] = chance.interval.unwrap_or_default();
                vec![
                    format!("{} ({low:.1} to {high:.1}%)", value(model, metric)),
                    value(model, Metric::BalancedAccuracy),
                    measure::text(Metric::BalancedAccuracy, chance.balanced_accuracy),
                    value(model, Metric::MacroF1),
                ]
            };
            ChanceRow { name: model.name.clone(), cells }
        });
        let head: &[&str] = if several {
            &["mAP", "Macro F1"]
        } else {
            &["Top-1 (95% interval)", "Balanced accuracy", "of these answers by chance", "Macro F1"]
        };
        let images = format::grouped(chance.images);
        let rate = metric.format(chance.rate);
        let lead = if several {
            format!("The same answer for every image has an mAP of {rate} on the {images} test images.")
        } else {
            let answer = oculist_text::name(&chance.answer);
            format!("Majority rate: {rate} of the {images} test images are of {answer}, the commonest class.")
        };
        Some(Self { lead, head: head.iter().map(|&text| text.to_owned()).collect(), rows: rows.collect() })
    }
}
