//! What was carried over, and what was learned on it.

use serde::Serialize;

use super::Fact;
use crate::{RunSummary, format};

#[derive(Debug, Serialize)]
pub(super) struct Carried {
    /// One sentence.
    pub(super) lead: String,
    pub(super) facts: Vec<Fact>,
    pub(super) metric: &'static str,
    pub(super) heads: Vec<HeadRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct HeadRow {
    pub(super) kind: String,
    pub(super) chosen: String,
    pub(super) val: String,
    pub(super) seconds: String,
    pub(super) kept: bool,
}

impl Carried {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let transfer = run.transfer.as_ref()?;
        let metric = run.deciding_metric();
        let lead = match transfer.mode.as_str() {
            "fc" => {
                "All layers of the source were carried over, and of its last one the rows of the classes that it knows."
            }
            "finetune" => {
                "The source's layers were carried over with a new last layer, and all of it was trained on."
            }
            "gap" => {
                "The source's layers up to its last maps were carried over as they are; a new layer reads the means of the maps."
            }
            _ => {
                "The source's layers in front of its last one were carried over as they are; what was learned anew reads their features."
            }
        };
        let classes =
            format!("{}, {} classes", transfer.arch, format::grouped(transfer.source_classes as u64));
        let places = if transfer.pooled { ", means over places" } else { "" };
        let mut facts = vec![
            Fact::new("Source", transfer.source.clone()),
            Fact::new("Network", classes),
            Fact::new(
                "Features",
                format!("{} at {}{places}", format::grouped(transfer.features as u64), transfer.at),
            ),
            Fact::new("Extractor", transfer.precision.clone()),
            Fact::new("Images", transfer.preprocessing.clone()),
        ];
        let mut list = |name, classes: &[String]| {
            if !classes.is_empty() {
                facts.push(Fact::new(name, classes.join(", ")));
            }
        };
        list("Classes by name", &transfer.carried_classes);
        list("New classes", &transfer.new_classes);
        let sources = transfer.sources.iter().map(|source| {
            let value = source.val.map_or_else(|| format::NONE.to_owned(), |value| metric.format(value));
            format!("{} ({value})", source.source)
        });
        list("Sources compared", &sources.collect::<Vec<_>>());
        for reason in &transfer.left_out {
            facts.push(Fact::new("Left out", reason.clone()));
        }
        let heads = transfer.heads.iter().enumerate().map(|(i, head)| HeadRow {
            kind: head.kind.clone(),
            chosen: head.chosen.clone(),
            val: head.val.map_or_else(|| format::NONE.to_owned(), |value| metric.format(value)),
            seconds: format!("{:.1} s", head.seconds),
            kept: i == 0,
        });
        Some(Self { lead: lead.to_owned(), facts, metric: metric.title(), heads: heads.collect() })
    }
}
