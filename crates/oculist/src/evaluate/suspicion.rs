//! Whether a low accuracy looks like a mistake in how the model is used: a wrong preprocessing, or classes in a wrong order.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_data::Subset;
use oculist_passes::{blue_first_again, is_blue_first, red_first};
use oculist_runtime::Context;

use crate::class_match::short_list;
use crate::error::OculistError;
use crate::evaluate::evaluate_until;
use crate::images::Images;
use crate::message::{set_to, setting};
use crate::metrics::Evaluation;
use crate::model_file::Model;
use crate::model_file::preprocessings::{PREPROCESSINGS, named};

/// Images that other preprocessings are tried on.
const TRIED: usize = 200;
/// Points of top-1 that must be gained before anything is said.
const MUCH: f64 = 15.0;
/// An order of the classes must give at least this many percent: some order fits any few images to some degree.
const FITS: f64 = 50.0;

/// What is to be said of an accuracy, one line each.
///
/// - It is no better than naming the commonest class for every image.
/// - Another order of the classes would give at least [`FITS`] percent and [`MUCH`] points more.
/// - Another of [`PREPROCESSINGS`] gives [`MUCH`] points more on a sample. This is tried where the accuracy is so low, or where
///   `open` says that the model's file does not say its preprocessing itself.
///
/// # Errors
/// As for an evaluation.
pub(crate) fn suspicions(
    model: &Model,
    found: &Evaluation,
    images: &Subset,
    (open, seed): (bool, u64),
    (ctx, threads): (&Arc<Context>, usize),
    stop: &AtomicBool,
) -> Result<Vec<String>, OculistError> {
    let mut lines = Vec::new();
    let counts: Vec<u32> = found.confusion.iter().map(|row| row.iter().sum()).collect();
    let commonest = counts.iter().copied().max().unwrap_or(0);
    let trivial = 100.0 * f64::from(commonest) / found.count.max(1) as f64;
    let several = counts.iter().filter(|&&n| n > 0).count() > 1;
    let low = several && found.top1 <= trivial;
    if low {
        lines.push(format!(
            "top-1 {:.2}% is no better than naming the commonest class for every image ({trivial:.2}%)",
            found.top1
        ));
    }
    let order = if several { another_order(model, found) } else { None };
    let explained = order.is_some();
    lines.extend(order);
    if several && !explained && (low || open) && found.top1 < 100.0 - MUCH {
        lines.extend(another_preprocessing(model, images, seed, (ctx, threads), stop)?);
    }
    Ok(lines)
}

/// The order of classes that fits the predictions best, if it fits much better than the model's.
fn another_order(model: &Model, found: &Evaluation) -> Option<String> {
    let mut cells: Vec<(u32, usize, usize)> = Vec::new();
    for (truth, row) in found.confusion.iter().enumerate() {
        cells.extend(row.iter().enumerate().filter(|(_, n)| **n > 0).map(|(p, &n)| (n, truth, p)));
    }
    // The fullest first; equals in order of the classes.
    cells.sort_by_key(|&(n, truth, predicted)| (std::cmp::Reverse(n), truth, predicted));
    let classes = found.confusion.len();
    let (mut called, mut taken, mut right) = (vec![None; classes], vec![false; classes], 0u32);
    for (n, truth, predicted) in cells {
        if called[truth].is_none() && !taken[predicted] {
            called[truth] = Some(predicted);
            taken[predicted] = true;
            right += n;
        }
    }
    let fits = 100.0 * f64::from(right) / found.count.max(1) as f64;
    if fits < FITS || fits < found.top1 + MUCH {
        return None;
    }
    let name = |class: usize| &model.class_names[class];
    let moved: Vec<String> = called
        .iter()
        .enumerate()
        .filter_map(|(truth, p)| {
            p.filter(|&p| p != truth).map(|p| format!("{} for {}", name(p), name(truth)))
        })
        .collect();
    Some(format!(
        "the classes look as if they were in another order, which would give {fits:.2}%: it says {}; {} gives the \
         order of the model's logits",
        short_list(moved.iter()),
        setting("classes")
    ))
}

/// The named preprocessing that gives most on a sample, if that is much more than the model's gives.
fn another_preprocessing(
    model: &Model,
    images: &Subset,
    seed: u64,
    (ctx, threads): (&Arc<Context>, usize),
    stop: &AtomicBool,
) -> Result<Option<String>, OculistError> {
    let sample = images.sample(TRIED, seed)?;
    let own = &model.preprocessing;
    let blue = is_blue_first(&model.graph);
    let own_top1 =
        evaluate_until(&model.graph, &Images::load_until(&sample, own, threads, stop)?, ctx, stop)?.top1;
    let mut best: Option<(f64, &str)> = None;
    for (name, _) in PREPROCESSINGS {
        let Ok(other) = named(name, (own.channels(), own.height, own.width)) else { continue };
        if other.preprocessing == *own && other.blue_first == blue {
            continue;
        }
        let graph = match (other.blue_first, blue) {
            (true, false) => red_first(&model.graph)?,
            (false, true) => blue_first_again(&model.graph)?,
            _ => model.graph.clone(),
        };
        let images = Images::load_until(&sample, &other.preprocessing, threads, stop)?;
        let top1 = evaluate_until(&graph, &images, ctx, stop)?.top1;
        if best.is_none_or(|(most, _)| top1 > most) {
            best = Some((top1, name));
        }
    }
    Ok(best.filter(|(top1, _)| *top1 >= own_top1 + MUCH).map(|(top1, name)| {
        format!(
            "on {} of the images, {} gives {top1:.1}% where the one used gives {own_top1:.1}%",
            sample.len(),
            set_to("preprocessing", name)
        )
    }))
}

#[cfg(test)]
mod tests {
    use oculist_augment::{ColorMode, Preprocessing};
    use oculist_graph::Graph;

    use super::*;
    use crate::metrics::evaluate_logits;
    use crate::model_file::Head;

    fn model(names: &[&str]) -> Model {
        Model {
            graph: Graph::new("m"),
            head: Head::default(),
            preprocessing: Preprocessing::exact(ColorMode::Grey, 8, 8),
            class_names: names.iter().map(|&n| n.to_owned()).collect(),
            numbered: false,
            arch: "m".into(),
            task: oculist_data::Task::SingleLabel,
            reject: None,
        }
    }

    /// An evaluation in which class `t` is called `calls(t, i)` for its i-th image of ten.
    fn found(classes: usize, calls: impl Fn(usize, usize) -> usize) -> Evaluation {
        let (mut logits, mut labels) = (Vec::new(), Vec::new());
        for truth in 0..classes {
            for i in 0..10 {
                logits.extend((0..classes).map(|c| f32::from(u8::from(c == calls(truth, i)))));
                labels.push(truth as u32);
            }
        }
        evaluate_logits(&logits, &labels, classes)
    }

    #[test]
    fn a_turned_order_is_told_from_a_bad_model() {
        let names = model(&["cat", "dog", "owl"]);
        let turned = found(3, |t, i| if i < 8 { (t + 1) % 3 } else { t });
        let line = another_order(&names, &turned).unwrap();
        assert!(
            line.contains("80.00%") && line.contains("dog for cat") && line.contains("owl for dog"),
            "{line}"
        );
        let swapped = found(2, |t, i| if i < 8 { 1 - t } else { t });
        assert!(another_order(&model(&["a", "b"]), &swapped).is_some());
        // Right, nearly right, and without any order.
        for right in [10, 7] {
            assert_eq!(
                another_order(&names, &found(3, |t, i| if i < right { t } else { (t + 1) % 3 })),
                None
            );
        }
        assert_eq!(another_order(&names, &found(3, |t, i| (t + i) % 3)), None);
        assert_eq!(another_order(&names, &found(3, |_, _| 1)), None);
    }
}
