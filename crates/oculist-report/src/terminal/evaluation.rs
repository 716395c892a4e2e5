//! The tables of `eval`.

use std::fmt::Write as _;

use oculist_text::name;

use crate::chart::confusion;
use crate::comparison as spread;
use crate::table::ascii;
use crate::{Align, LabelScores, Metric, Model, Table, format, measure};

/// So many classes and pairs are printed; `summary.json` has them all.
const MAX_CLASSES: usize = 30;
const MAX_PAIRS: usize = 5;

/// The result of `eval`: the model's measures, its weakest classes, and what it confuses most.
///
/// `class_names` may be empty; classes then go by their number.
pub fn evaluation(model: &Model, class_names: &[String]) -> String {
    // First of all whether the numbers mean anything.
    let mut text = model.chance_remark().map_or_else(String::new, |remark| format!("{}\n\n", ascii(&remark)));
    text += &ascii(&measures(model).to_string());
    text += &classes(model);
    text += &labels(model);
    text += &confused(model, class_names);
    text
}

fn measures(model: &Model) -> Table {
    let mut table = Table::new(&[("measure", Align::Left), ("value", Align::Right)]);
    let images: u64 = model.per_class.iter().map(|class| class.count).sum();
    if images > 0 {
        table.row(["images".to_string(), format::grouped(images)]);
    }
    let first = [Metric::Top1, Metric::Top5];
    for metric in first {
        if let Some(value) = model.score(metric) {
            table.row([metric.title().to_string(), metric.format(value)]);
        }
    }
    if let Some(chance) = &model.chance {
        if let Some([low, high]) = chance.interval {
            table.row(["95% interval of accuracy".to_string(), format!("{low:.2} - {high:.2}%")]);
            let majority = format!("majority rate ({})", name(&chance.answer));
            table.row([majority, format::percent(chance.rate)]);
        } else {
            table.row(["mAP of a constant answer".to_string(), format::percent(chance.rate)]);
        }
    }
    if let Some(ece) = model.ece {
        table.row(["ECE".to_string(), format!("{ece:.4}")]);
    }
    let shown = |metric| first.contains(&metric) || (metric == Metric::Ece && model.ece.is_some());
    for (metric, value) in model.scores.iter().filter(|&(metric, _)| !shown(metric)) {
        table.row([metric.title().to_string(), metric.format(value)]);
    }
    if let Some(agreement) = model.agreement_with_baseline {
        table.row(["agreement with baseline".to_string(), format::percent(agreement)]);
    }
    table.row(["parameters".to_string(), format::count(model.params)]);
    table.row(["MACs".to_string(), format::count(model.macs)]);
    table.row(["file".to_string(), format::bytes(model.bytes)]);
    if let Some(latency) = model.latency_ms {
        let label = format!("latency, batch {}", latency.batch);
        table.row([label, spread::latency(latency.median, Some(latency))]);
    }
    if let Some(rate) = model.images_per_s {
        let label = format!("throughput, batch {}", rate.batch);
        table.row([label, format!("{} images/s", format::sig3(rate.median))]);
    }
    table
}

/// Cuts a list to the weakest, if it is long, and says so.
fn weakest<T>(order: &mut Vec<&T>, value: impl Fn(&T) -> f64) -> String {
    let all = order.len();
    if all <= MAX_CLASSES {
        return String::new();
    }
    order.sort_by(|a, b| value(a).total_cmp(&value(b)));
    order.truncate(MAX_CLASSES);
    format!("\nThe {MAX_CLASSES} weakest of {all} classes")
}

fn classes(model: &Model) -> String {
    // A class without images has no accuracy, neither 0% nor another.
    let mut order: Vec<_> = model.per_class.iter().filter(|class| class.count > 0).collect();
    if order.is_empty() {
        return String::new();
    }
    let mut text = weakest(&mut order, |class| class.accuracy);
    let mut table =
        Table::new(&[("class", Align::Left), ("accuracy", Align::Right), ("images", Align::Right)]);
    for class in order {
        table.row([
            name(&class.class).into_owned(),
            format::percent(class.accuracy),
            format::grouped(class.count),
        ]);
    }
    let _ = write!(text, "\n{table}");
    text
}

/// The classes of images with several labels.
fn labels(model: &Model) -> String {
    // Without positives there is nothing that could be found, but what is said to have the class is wrong.
    let mut order: Vec<&LabelScores> =
        model.per_label.iter().filter(|label| label.positives + label.predicted > 0).collect();
    if order.is_empty() {
        return String::new();
    }
    let mut text = weakest(&mut order, |label| label.f1);
    let right = Align::Right;
    let mut table = Table::new(&[
        ("class", Align::Left),
        ("F1", right),
        ("precision", right),
        ("recall", right),
        ("average precision", right),
        ("positives", right),
    ]);
    for label in order {
        table.row([
            name(&label.class).into_owned(),
            format::percent(label.f1),
            format::percent(label.precision),
            format::percent(label.recall),
            ascii(&measure::text(Metric::Map, label.average_precision)),
            format::grouped(label.positives),
        ]);
    }
    let _ = write!(text, "\n{table}");
    text
}

fn confused(model: &Model, class_names: &[String]) -> String {
    let pairs = confusion::most_confused_by(model, MAX_PAIRS);
    if pairs.is_empty() {
        return String::new();
    }
    let shown = |i: usize| class_names.get(i).map_or_else(|| i.to_string(), |class| name(class).into_owned());
    let mut table =
        Table::new(&[("confused most", Align::Left), ("taken for", Align::Left), ("images", Align::Right)]);
    for p in pairs {
        table.row([shown(p.truth), shown(p.predicted), format!("{} of {}", p.count, p.of)]);
    }
    format!("\n{table}")
}
