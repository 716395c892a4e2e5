//! A metric in words: what its values are called in headings, on axes and in sentences, and how two of them differ.
//!
//! Unit and direction say all that is needed but for words: what only top-1 is called ("accuracy") is decided in [`scores`],
//! [`topic`], [`hint`] and [`whose`].

use oculist_metrics::{Direction, Metric, Unit};

use crate::format;

/// The title as the beginning of a row or a heading: `Top-1`, `Log loss`, `mAP`.
pub(crate) fn label(metric: Metric) -> String {
    let title = metric.title();
    let mut rest = title.chars();
    match (rest.next(), rest.clone().next()) {
        // A word with capitals inside is written as it is.
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_uppercase().chain(rest).collect(),
        _ => title.to_owned(),
    }
}

/// What a value on the test split is, in a few words under the label.
pub(crate) fn hint(metric: Metric) -> &'static str {
    match metric {
        Metric::Top1 | Metric::Top5 => "test accuracy",
        _ => metric.description(),
    }
}

/// What all values of a table are called: `Accuracies`, `Scores`.
pub(crate) fn scores(metric: Metric) -> &'static str {
    if metric == Metric::Top1 { "Accuracies" } else { "Scores" }
}

/// The heading of a chart: `Accuracy`, `Log loss`.
pub(crate) fn topic(metric: Metric) -> String {
    if metric == Metric::Top1 { "Accuracy".to_owned() } else { label(metric) }
}

/// The name of an axis: `validation top-1, %`, `validation log loss`.
pub(crate) fn axis(metric: Metric) -> String {
    let unit = unit(metric);
    let comma = if unit.is_empty() { "" } else { ", " };
    format!("validation {}{comma}{unit}", metric.title())
}

/// What follows a number: `%` or nothing.
pub(crate) fn unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Percent => "%",
        _ => "",
    }
}

/// What follows a difference: ` points` or nothing.
pub(crate) fn difference_unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Percent => " points",
        _ => "",
    }
}

/// What is allowed to be lost, as its owner wrote it: `0.5 points`, `0.02`.
pub(crate) fn limit(metric: Metric, drop: f64) -> String {
    format!("{}{}", format::limit(drop), difference_unit(metric))
}

/// The value, or a dash where there is none.
pub(crate) fn text(metric: Metric, value: Option<f64>) -> String {
    metric.format(value.unwrap_or(f64::NAN))
}

/// A difference with its sign: `−0.20`, `+0.012`.
pub(crate) fn difference(metric: Metric, before: f64, after: f64) -> String {
    signed(metric, after - before, 2)
}

/// What was lost as the change that it makes to the value, with its sign: 0.2 of top-1 is `−0.20`.
pub(crate) fn loss(metric: Metric, drop: f64) -> String {
    let change = match metric.direction() {
        Direction::HigherIsBetter => -drop,
        Direction::LowerIsBetter => drop,
    };
    signed(metric, change, 2)
}

/// A difference with its unit, and whether it is `better`, `worse` or the `same`: `−0.20 points`, `+0.012`.
pub(crate) fn change(metric: Metric, before: f64, after: f64) -> (String, &'static str) {
    let text = difference(metric, before, after);
    let tone = tone(metric, &text, before, after);
    (with_unit(metric, text), tone)
}

/// The change as the last part of a verdict: `−0.2 points`, `−0.2 points of macro F1`, `log loss +0.012`.
pub(crate) fn verdict_change(metric: Metric, before: f64, after: f64) -> String {
    let text = with_unit(metric, signed(metric, after - before, 1));
    match metric.unit() {
        Unit::Percent => format!("{text}{}", whose(metric)),
        _ => format!("{} {text}", metric.title()),
    }
}

/// Whose points they are, where that does not go without saying.
fn whose(metric: Metric) -> String {
    if metric == Metric::Top1 { String::new() } else { format!(" of {}", metric.title()) }
}

fn with_unit(metric: Metric, text: String) -> String {
    if text == format::NONE { text } else { text + difference_unit(metric) }
}

/// `percent_decimals` are those of points; a plain number has three.
fn signed(metric: Metric, difference: f64, percent_decimals: usize) -> String {
    if difference.is_infinite() {
        return if difference > 0.0 { "+∞" } else { "−∞" }.to_owned();
    }
    let decimals = if metric.unit() == Unit::Percent { percent_decimals } else { 3 };
    format::signed(difference, decimals)
}

/// What reads the same is the same.
fn tone(metric: Metric, text: &str, before: f64, after: f64) -> &'static str {
    if text.starts_with('±') || text == format::NONE {
        "same"
    } else if metric.is_better(after, before) {
        "better"
    } else {
        "worse"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_begin_a_row() {
        let of = [Metric::Top1, Metric::LogLoss, Metric::Map, Metric::Ece, Metric::BalancedAccuracy];
        assert_eq!(of.map(label), ["Top-1", "Log loss", "mAP", "ECE", "Balanced accuracy"]);
        assert_eq!(axis(Metric::Top1), "validation top-1, %");
        assert_eq!(axis(Metric::LogLoss), "validation log loss");
        assert_eq!((topic(Metric::Top1), topic(Metric::Auc)), ("Accuracy".into(), "AUC".into()));
    }

    #[test]
    fn changes_follow_the_unit_and_the_direction() {
        assert_eq!(change(Metric::Top1, 90.0, 89.8), ("−0.20 points".into(), "worse"));
        assert_eq!(change(Metric::Ece, 3.0, 2.5), ("−0.50 points".into(), "better"));
        assert_eq!(change(Metric::LogLoss, 0.3, 0.312), ("+0.012".into(), "worse"));
        assert_eq!(change(Metric::LogLoss, 0.3, 0.3001), ("±0.000".into(), "same"));
        assert_eq!(change(Metric::LogLoss, 0.3, f64::INFINITY), ("+∞".into(), "worse"));
        assert_eq!(change(Metric::LogLoss, f64::INFINITY, f64::INFINITY), (format::NONE.into(), "same"));
        assert_eq!(change(Metric::Top1, f64::NAN, 1.0), (format::NONE.into(), "same"));
    }

    #[test]
    fn what_is_lost_is_shown_as_the_change_it_makes() {
        assert_eq!(loss(Metric::Top1, 0.2), "−0.20");
        assert_eq!(loss(Metric::LogLoss, 0.02), "+0.020");
        assert_eq!(loss(Metric::Hamming, -0.5), "−0.50");
    }

    #[test]
    fn verdicts_name_all_but_top1() {
        assert_eq!(verdict_change(Metric::Top1, 90.0, 89.8), "−0.2 points");
        assert_eq!(verdict_change(Metric::MacroF1, 90.0, 91.2), "+1.2 points of macro F1");
        assert_eq!(verdict_change(Metric::LogLoss, 0.3, 0.312), "log loss +0.012");
        assert_eq!(limit(Metric::Top1, 0.5), "0.5 points");
        assert_eq!(limit(Metric::LogLoss, 0.02), "0.02");
    }
}
