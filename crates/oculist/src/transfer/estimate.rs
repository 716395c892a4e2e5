//! How well sources suit a data set, without training any of them.

use std::fmt;
use std::time::Instant;

use oculist_data::{Split, Subset, color_of};
use oculist_heads::{HeadError, HeadKind, Rows, estimate as measures};
use oculist_metrics::Metric;
use oculist_passes::{Cut, classifier};
use oculist_report::{Align, Table};
use serde::Serialize;

use super::Carried;
use super::features::{Extraction, FeatureRows};
use super::heads::{Lesson, head_options};
use super::idle::{self, Purpose};
use super::pick::{evenly, folder, one_label};
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::evaluate::logits_until;
use crate::images::Images;
use crate::metrics::{Probabilities, evaluate_as};
use crate::progress::{Watch, go_on};
use crate::settings::Settings;
use crate::small_model::{self, Length};

/// Training and validation images that are looked at, at the most.
const TRAIN: usize = 2000;
const VAL: usize = 1000;
/// Parts of the training images at which learning curves are measured.
const PARTS: [f64; 3] = [0.25, 0.5, 1.0];
/// Updates of the network from scratch.
const UPDATES: usize = 300;
/// Images without which nothing is trained from scratch.
const LEAST: usize = 8;
/// Nearest neighbours that vote.
const NEIGHBOURS: usize = 5;
/// Points of accuracy that images must be able to show before source and data are said to be too far apart.
const SHOWN: f64 = 10.0;
/// Standard errors of a difference that count as one.
const ERRORS: f64 = 2.0;

/// How sources are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstimateOptions {
    /// Whether a small network is trained from scratch to compare with.
    pub scratch: bool,
}

/// A source with what tells how well it suits the data. Of every measure more is better.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Its file.
    pub source: String,
    /// Features of an image.
    pub features: usize,
    /// The evidence of a linear model on the features, by image; absent where it cannot be computed, as all of these.
    pub logme: Option<f64>,
    /// The mean log-likelihood of the labels by what the source's own classes say; absent where its classifier is no layer that
    /// reads the features.
    pub leep: Option<f64>,
    /// The H-score of the features.
    pub h_score: Option<f64>,
    /// How near the features are to neural collapse, against the other sources; absent of a single one.
    pub ncti: Option<f64>,
    /// Share of training images that the classes of their nearest others name, percent.
    pub neighbours: Option<f64>,
    /// Top-1 of a logistic regression on validation images, percent, by the part of the training images.
    pub curve: Vec<(f64, f64)>,
    /// The mean of its ranks by the measures; 1 is best.
    pub rank: f64,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Sources by how well they suit the data, the best first.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimates {
    /// Training and validation images that were looked at.
    pub images: (usize, usize),
    /// The sources.
    pub sources: Vec<Estimate>,
    /// Top-1 of a small network from scratch on the same validation images, percent, by the part of the training images.
    pub scratch: Vec<(f64, f64)>,
    /// Top-1 of always naming the most frequent class, percent.
    pub majority: f64,
    /// What follows, in words.
    pub finding: String,
}

/// Ranks sources (the setting `from`) by how well their features suit a data set; nothing is trained but, to compare with, a small
/// network from scratch.
///
/// # Errors
/// [`OculistError::Setting`] without a source; otherwise as for reading the data and the models.
pub fn estimate_sources(
    settings: &Settings,
    options: &EstimateOptions,
    watch: &mut Watch<'_>,
) -> Result<Estimates, OculistError> {
    settings.validate()?;
    let paths = settings.from.as_deref().unwrap_or_default();
    if paths.is_empty() {
        return Err(wrong("from", "expected at least one model to carry over from, found none"));
    }
    for text in idle::notes(settings, Purpose::Estimate) {
        watch.note(&text);
    }
    let ctx = settings.context()?;
    let source = Source::open(settings, ctx.threads())?;
    for line in source.describe_lines() {
        watch.note(&line);
    }
    one_label(&source)?;
    let color = color_of(source.dataset(), ctx.threads())?;
    let contents = match folder(settings) {
        Some(_) => Some(source.read_contents(ctx.threads(), watch)?.clone()),
        None => None,
    };
    let of =
        |split: Split, most| evenly(source.split(split), contents.as_ref().map(|c| c.split(split)), most);
    let ((train, train_known), (val, val_known)) = (of(Split::Train, TRAIN)?, of(Split::Val, VAL)?);
    let classes = source.class_names().len();
    let heads = head_options(settings.seed.unwrap_or(0), &ctx);
    let (mut sources, mut collapses) = (Vec::new(), Vec::new());
    let cut = settings.layer.as_deref().map_or(Cut::Classifier, Cut::At);
    // All are looked at before any is run.
    let mut opened = Vec::with_capacity(paths.len());
    for carried in Carried::open_all(paths, settings, color, &ctx, watch)? {
        opened.push((carried.backbone(cut)?, carried));
    }
    for (backbone, carried) in &opened {
        go_on(watch.stop)?;
        let began = Instant::now();
        let folder = folder(settings);
        let extraction = Extraction {
            graph: &backbone.folded,
            preprocessing: &carried.model.preprocessing,
            ctx: &ctx,
            folder: folder.as_deref(),
            precision: "f32",
        };
        let of_file = |e: OculistError| e.of_model(&carried.path);
        let rows = extraction.rows(&train, train_known.as_deref(), watch).map_err(of_file)?;
        let val_rows = extraction.rows(&val, val_known.as_deref(), watch).map_err(of_file)?;
        let (labels, val_labels) = (rows.labels(&train), val_rows.labels(&val));
        let features = Rows::new(&rows.values, rows.dim)?;
        let stop = watch.stop;
        collapses.push(known(measures::collapse(features, &labels, classes, &heads, stop))?);
        let mut curve = Vec::new();
        for part in PARTS {
            let (some, some_labels) = first(&rows, &labels, part);
            let lesson = Lesson {
                train: &some,
                train_labels: &some_labels,
                val: &val_rows,
                val_labels: &val_labels,
                classes,
            };
            let learned = lesson.learn(&[HeadKind::Logistic], &heads, Metric::Top1, stop, |_| {}, |_| {});
            // A part may lack all classes but one.
            if let Some(top1) = learned.ok().and_then(|all| all.first()?.val.get(Metric::Top1)) {
                curve.push((part, top1));
            }
        }
        let neighbours =
            known(measures::neighbour_accuracy(features, &labels, classes, NEIGHBOURS, &heads, stop))?;
        watch.note(&format!(
            "{}: {} features of {} training and {} validation images looked at, {:.1} s",
            carried.name(),
            rows.dim,
            rows.len(),
            val_rows.len(),
            began.elapsed().as_secs_f64()
        ));
        sources.push(Estimate {
            source: carried.name(),
            features: rows.dim,
            logme: known(measures::log_me(features, &labels, classes, &heads, stop))?,
            leep: leep(carried, &rows, &labels, classes)?,
            h_score: known(measures::h_score(features, &labels, classes, &heads, stop))?,
            ncti: None,
            neighbours: neighbours.map(|share| 100.0 * share),
            curve,
            rank: 0.0,
            seconds: began.elapsed().as_secs_f64(),
        });
    }
    let some: Option<Vec<_>> = collapses.into_iter().collect();
    if let Some(collapses) = some.filter(|all| all.len() > 1) {
        for (estimate, ncti) in sources.iter_mut().zip(measures::ncti(&collapses)) {
            estimate.ncti = Some(ncti);
        }
    }
    rank(&mut sources);
    let scratch = if options.scratch {
        from_scratch(&source, settings, (&train, &val), &ctx, watch)?
    } else {
        Vec::new()
    };
    let counts = val.class_counts();
    let majority = 100.0 * counts.iter().copied().max().unwrap_or(0) as f64 / val.len().max(1) as f64;
    let finding = finding(&sources, &scratch, majority, val.len());
    Ok(Estimates { images: (train.len(), val.len()), sources, scratch, majority, finding })
}

/// A measure, if the numbers let it be computed.
fn known<T>(measure: Result<T, HeadError>) -> Result<Option<T>, OculistError> {
    match measure {
        Ok(value) => Ok(Some(value)),
        Err(HeadError::Range { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The first rows, as many as a part.
fn first(rows: &FeatureRows, labels: &[u32], part: f64) -> (FeatureRows, Vec<u32>) {
    let n = spread(rows.len(), part);
    let values = n.iter().flat_map(|&i| &rows.values[i * rows.dim..(i + 1) * rows.dim]).copied().collect();
    let indices = n.iter().map(|&i| rows.indices[i]).collect();
    (FeatureRows { values, dim: rows.dim, indices }, n.iter().map(|&i| labels[i]).collect())
}

/// Places at equal distances, as many as a part.
fn spread(len: usize, part: f64) -> Vec<usize> {
    let n = ((len as f64 * part).round() as usize).clamp(1.min(len), len);
    (0..n).map(|i| i * len / n).collect()
}

/// LEEP, where the source's classifier reads these features.
fn leep(
    carried: &Carried,
    rows: &FeatureRows,
    labels: &[u32],
    classes: usize,
) -> Result<Option<f64>, OculistError> {
    let Ok(own) = classifier(&carried.model.graph) else { return Ok(None) };
    if own.features != rows.dim || own.classes() < 2 || carried.model.is_headless() {
        return Ok(None);
    }
    let mut theta = Vec::with_capacity(rows.len() * own.classes());
    for row in rows.values.chunks_exact(rows.dim) {
        let logits: Vec<f64> = (0..own.classes())
            .map(|k| {
                let sum: f64 = own.row(k).iter().zip(row).map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
                sum + f64::from(own.bias[k])
            })
            .collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| (l - most).exp()).sum();
        theta.extend(logits.iter().map(|l| ((l - most).exp() / sum) as f32));
    }
    Ok(Some(measures::leep(Rows::new(&theta, own.classes())?, labels, classes)?))
}

/// Sorts by the mean rank over the measures; equal ones share a rank.
fn rank(sources: &mut [Estimate]) {
    let measures: [fn(&Estimate) -> Option<f64>; 5] =
        [|e| e.logme, |e| e.leep, |e| e.h_score, |e| e.ncti, |e| e.neighbours];
    let ranks: Vec<f64> = sources
        .iter()
        .map(|one| {
            let of = measures.iter().filter_map(|measure| {
                let value = measure(one)?;
                Some(1 + sources.iter().filter(|other| measure(other).is_some_and(|v| v > value)).count())
            });
            let of: Vec<usize> = of.collect();
            of.iter().sum::<usize>() as f64 / of.len().max(1) as f64
        })
        .collect();
    for (source, rank) in sources.iter_mut().zip(ranks) {
        source.rank = rank;
    }
    sources.sort_by(|a, b| a.rank.total_cmp(&b.rank));
}

/// The learning curve of a small network from scratch.
fn from_scratch(
    source: &Source,
    settings: &Settings,
    (train, val): (&Subset, &Subset),
    ctx: &std::sync::Arc<oculist_runtime::Context>,
    watch: &mut Watch<'_>,
) -> Result<Vec<(f64, f64)>, OculistError> {
    // What stands in the settings of the sources is not of this network.
    let plain = Settings { arch: None, image_size: None, ..settings.clone() };
    let mut curve = Vec::new();
    watch.note(&format!("from scratch: {} on parts of the training images", small_model::ARCH));
    for part in PARTS {
        let some = train.select(&spread(train.len(), part))?;
        // Fewer make no batch to normalise over.
        if some.len() < LEAST {
            continue;
        }
        let recipe = small_model::recipe(source, &plain, some.len(), Length::Updates(UPDATES))?;
        let graph = small_model::train(&some, &recipe, ctx, 0, "from scratch", watch)?;
        let images = Images::load_until(val, &recipe.preprocessing, ctx.threads(), watch.stop)?;
        let logits = logits_until(&graph, &images, ctx, watch.stop)?;
        let found = evaluate_as(Probabilities::Softmax, &logits, images.labels(), images.classes());
        curve.push((part, found.top1));
    }
    Ok(curve)
}

/// What follows from the numbers, in words.
fn finding(sources: &[Estimate], scratch: &[(f64, f64)], majority: f64, images: usize) -> String {
    let last = |curve: &[(f64, f64)]| curve.last().map(|(_, top1)| *top1);
    // The best linear model; of equal ones that of the source of better rank.
    let mut found: Option<(&Estimate, f64)> = None;
    for one in sources {
        if let Some(top1) = last(&one.curve).filter(|&top1| found.is_none_or(|(_, most)| top1 > most)) {
            found = Some((one, top1));
        }
    }
    let Some((best, top1)) = found else {
        return "too few images of several classes to say anything".into();
    };
    let error = |p: f64| ((p / 100.0) * (1.0 - p / 100.0) / images.max(1) as f64).max(0.0);
    let margin = |a: f64, b: f64| 100.0 * ERRORS * (error(a) + error(b)).sqrt();
    if top1 <= majority + margin(top1, majority) {
        let reaches =
            format!("on features of {} a linear model reaches {top1:.1}% on validation images", best.source);
        // So many images would show a difference that matters.
        if margin(majority, majority) <= SHOWN {
            return format!(
                "too far apart: {reaches}, not shown to be more than always naming the most frequent class \
                 ({majority:.1}%); train from scratch or find another source"
            );
        }
        return format!(
            "not decided: {reaches}, always naming the most frequent class {majority:.1}%, and {images} validation images \
             are too few to tell them apart"
        );
    }
    match last(scratch) {
        Some(own) if own > top1 + margin(own, top1) => format!(
            "too far apart: a small network from scratch reaches {own:.1}%, more than a linear model on features of {} \
             ({top1:.1}%); train from scratch, or let all of the source be trained on (mode finetune)",
            best.source
        ),
        Some(own) if top1 > own + margin(own, top1) => format!(
            "{} suits: a linear model on its features reaches {top1:.1}%, a small network from scratch {own:.1}%",
            best.source
        ),
        Some(own) => format!(
            "not decided: a linear model on features of {} reaches {top1:.1}%, a small network from scratch {own:.1}%, and \
             {images} validation images do not tell them apart; mode finetune may get more from the source",
            best.source
        ),
        None => format!("{} suits best: a linear model on its features reaches {top1:.1}%", best.source),
    }
}

impl fmt::Display for Estimates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percents = PARTS.map(|part| format!("{:.0}%", 100.0 * part));
        let mut head = vec!["Source", "Rank", "LogME", "LEEP", "H-score", "NCTI", "k-NN"];
        head.extend(percents.iter().map(String::as_str));
        let aligns = std::iter::once(Align::Left).chain(std::iter::repeat_n(Align::Right, head.len() - 1));
        let columns: Vec<_> = head.iter().copied().zip(aligns).collect();
        let mut table = Table::new(&columns);
        let shown = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), show);
        let at = |curve: &[(f64, f64)], part: f64| {
            let found = curve.iter().find(|(p, _)| (p - part).abs() < 1e-9);
            found.map_or_else(|| "-".to_owned(), |(_, top1)| format!("{top1:.1}%"))
        };
        for one in &self.sources {
            let mut row = vec![
                one.source.clone(),
                format!("{:.1}", one.rank),
                shown(one.logme, |x| format!("{x:.3}")),
                shown(one.leep, |x| format!("{x:.3}")),
                shown(one.h_score, |x| format!("{x:.3}")),
                shown(one.ncti, |x| format!("{x:.2}")),
                shown(one.neighbours, |x| format!("{x:.1}%")),
            ];
            row.extend(PARTS.map(|part| at(&one.curve, part)));
            table.row(row);
        }
        if !self.scratch.is_empty() {
            let mut row = vec!["from scratch".to_owned()];
            row.extend(std::iter::repeat_n("-".to_owned(), 6));
            row.extend(PARTS.map(|part| at(&self.scratch, part)));
            table.row(row);
        }
        write!(f, "{table}")?;
        writeln!(
            f,
            "\nRank: mean over what is known of LogME, LEEP, H-score, NCTI and k-NN, 1 is best. The last columns: top-1 on {} validation \
             images with a part of {} training images.\n{}",
            self.images.1, self.images.0, self.finding
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(top1: f64) -> Estimate {
        Estimate {
            source: "a.onnx".into(),
            features: 8,
            logme: None,
            leep: None,
            h_score: None,
            ncti: None,
            neighbours: None,
            curve: vec![(1.0, top1)],
            rank: 1.0,
            seconds: 0.0,
        }
    }

    #[test]
    fn what_few_images_cannot_show_is_not_decided() {
        let of = |top1, scratch: f64, images| finding(&[source(top1)], &[(1.0, scratch)], 50.0, images);
        assert!(of(100.0, 50.0, 4).starts_with("not decided"), "{}", of(100.0, 50.0, 4));
        assert!(of(51.0, 50.0, 1000).starts_with("too far apart: on features"), "{}", of(51.0, 50.0, 1000));
        assert!(of(70.0, 90.0, 1000).starts_with("too far apart: a small network"));
        assert!(of(90.0, 70.0, 1000).starts_with("a.onnx suits"));
        assert!(of(90.0, 89.0, 100).starts_with("not decided"));
    }

    #[test]
    fn sources_are_in_the_order_of_their_mean_ranks() {
        let with = |logme, leep| Estimate { logme: Some(logme), leep, ..source(50.0) };
        let mut all = [with(1.0, Some(-2.0)), with(3.0, None), with(2.0, Some(-1.0))];
        rank(&mut all);
        assert_eq!(
            all.iter().map(|one| (one.logme, one.rank)).collect::<Vec<_>>(),
            [(Some(3.0), 1.0), (Some(2.0), 1.5), (Some(1.0), 2.5)]
        );
    }
}
