//! Out-of-fold probabilities: every image is judged by a model that was trained on the others.

mod kept;
mod prepared;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use oculist_augment::{Op, Preprocessing, Start};
use oculist_data::audit::Audit;
use oculist_data::{Dataset, ImageStore, Loader, LoaderConfig, Subset, grouped_parts};
use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use self::kept::{Judged, Kept};
use self::prepared::prepare;
use super::check::LabelOptions;
use super::confident::{Confident, confident_learning};
use crate::config::Config;
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::evaluate::{BATCH, finite};
use crate::images::name_of;
use crate::metrics::{argmax, softmax};
use crate::progress::{Progress, Watch, go_on};
use crate::settings::Settings;
use crate::small_model::{self, Length};
use crate::stage::time_text;
use crate::summary::counted;

/// Updates of a network when the user does not say how many epochs: what is wrong is learned last, so fewer find more.
const UPDATES: usize = 300;
/// The time of all folds is told after this share of the first one's updates.
const TIMED: usize = 20;

/// What was found, and how.
pub(super) struct LabelResult {
    /// Positions in the audit's places of the images that were judged.
    pub(super) judged: Vec<usize>,
    pub(super) confident: Confident,
    pub(super) epochs: usize,
    pub(super) folds: usize,
    /// Fewer than `folds` while the check goes on.
    pub(super) folds_done: usize,
    pub(super) top1: f64,
}

/// What an out-of-fold check needs.
pub(super) struct Check<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) audit: &'a Audit,
    pub(super) settings: &'a Settings,
    pub(super) options: &'a LabelOptions,
    /// Where what is done is kept while the rest goes on.
    pub(super) folder: &'a Path,
}

/// Something that learns from some images and judges others: a small network from scratch; features of a network that has
/// seen more would be another.
trait Judge {
    /// Learns from images, then hands the logits of every other image that can be read to `take`, with its position.
    ///
    /// # Errors
    /// As training and running a network.
    fn judge(
        &self,
        learn: &Subset,
        judge: &Subset,
        fold: usize,
        watch: &mut Watch<'_>,
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), OculistError>;
}

/// A small network that is trained from scratch for each fold.
struct FromScratch<'a> {
    recipe: &'a Config,
    ctx: &'a Arc<Context>,
    folds: usize,
}

impl Judge for FromScratch<'_> {
    fn judge(
        &self,
        learn: &Subset,
        judge: &Subset,
        fold: usize,
        watch: &mut Watch<'_>,
        take: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), OculistError> {
        let what = fold_text(fold, self.folds);
        let began = Instant::now();
        let stop = watch.stop;
        let mut told = fold > 0;
        let observer = &mut *watch.observer;
        let mut observe = |progress: Progress<'_>| {
            observer(progress);
            // One line for those who have no line that changes: what it takes, once it can be known.
            if let Progress::Work { done, total, .. } = progress
                && !told
                && done * TIMED >= total
            {
                told = true;
                let all = began.elapsed().as_secs_f64() / done as f64 * (total * self.folds) as f64;
                observer(Progress::Note(&format!("labels: about {} for all folds", time_text(all)).into()));
            }
        };
        let mut watch = Watch { observer: &mut observe, stop };
        let graph = small_model::train(learn, self.recipe, self.ctx, fold, &what, &mut watch)?;
        predict(&graph, judge, &self.recipe.preprocessing, self.ctx, &watch, take)
    }
}

fn fold_text(fold: usize, folds: usize) -> String {
    format!("labels, fold {} of {folds}", fold + 1)
}

/// Trains one model per fold and applies confident learning to what they say; `so_far` is given what is known after each
/// fold but the last.
///
/// # Errors
/// [`OculistError::Setting`] if no label can be checked, as no class has images in two folds; otherwise as training.
pub(super) fn check(
    check: &Check<'_>,
    watch: &mut Watch<'_>,
    so_far: &mut dyn FnMut(&LabelResult) -> Result<(), OculistError>,
) -> Result<LabelResult, OculistError> {
    let Check { dataset, audit, settings, options, folder } = *check;
    let all = joined(dataset, audit)?;
    let classes = all.classes();
    let folds = options.folds;
    let train_images = all.len() - all.len() / folds;
    let length = options.epochs.map_or(Length::Updates(UPDATES), Length::Epochs);
    let mut recipe = small_model::recipe(&Source::of(dataset.clone()), settings, train_images, length)?;
    // A small network learns most in few epochs from whole images; mirroring costs nothing.
    recipe.augmentation.start = Start::Prepared;
    recipe.augmentation.steps.retain(|step| step.op == Op::HorizontalFlip);
    let shares = vec![1.0 / folds as f64; folds - 1];
    // Copies of an image are judged together, so that none is judged by a model that has learned its label.
    let parts = grouped_parts(all.labels(), classes, &audit.groups, &shares, recipe.seed);
    let ctx = settings.context()?;
    let mut kept = Kept::open(folder, dataset, &recipe, folds, all.len().saturating_mul(classes), watch)?;
    watch.note(&format!(
        "labels: {folds} networks ({}), each trained for {} epochs on about {train_images} of {} images at {}x{}",
        small_model::ARCH, recipe.train.epochs, all.len(), recipe.preprocessing.width, recipe.preprocessing.height,
    ));
    let prepared = prepare(&all, &recipe.preprocessing, settings.threads(), watch)?;
    let images = match prepared {
        Some((images, rest)) => {
            recipe.preprocessing = rest;
            images
        }
        None => all.clone(),
    };
    let judge = FromScratch { recipe: &recipe, ctx: &ctx, folds };
    let mut verdicts = Verdicts::new(&all, recipe.train.epochs, folds);
    let mut alone = 0;
    for (fold, part) in parts.iter().enumerate() {
        let others: Vec<usize> = (0..folds).filter(|&f| f != fold).flat_map(|f| parts[f].clone()).collect();
        let others = images.select(&others)?;
        // A model that has seen no image of a class says nothing about a label of that class.
        let known = others.class_counts();
        let judgeable: Vec<usize> =
            part.iter().copied().filter(|&at| known[all.label(at) as usize] > 0).collect();
        alone += part.len() - judgeable.len();
        let what = fold_text(fold, folds);
        if kept.knows(fold, &judgeable, classes) {
            watch.note(&format!("{what}: known from the check that was interrupted"));
        } else {
            let mut judged = Judged::default();
            if !judgeable.is_empty() {
                judge.judge(&others, &images.select(&judgeable)?, fold, watch, &mut |i, row| {
                    judged.at.push(judgeable[i]);
                    judged.logits.extend(row.iter().map(|x| x.to_bits()));
                })?;
            }
            kept.add(fold, judged)?;
        }
        verdicts.folds_done = fold + 1;
        let Some(judged) = kept.of(fold).filter(|judged| !judged.at.is_empty()) else { continue };
        let right = verdicts.add(judged);
        let share = 100.0 * right as f64 / judged.at.len() as f64;
        watch.note(&format!("{what}: agrees with {share:.1}% of {} labels", judged.at.len()));
        if fold + 1 < folds {
            so_far(&verdicts.result())?;
        }
    }
    if alone > 0 {
        watch.warn(&format!(
            "{} cannot be checked: no image of the same class is in another fold (a class needs two that are no copies)",
            counted(alone, "label", "labels")
        ));
    }
    if alone == all.len() {
        let problem = format!(
            "expected classes of at least two images that are no copies of each other, found none among {} images",
            all.len()
        );
        kept.close();
        return Err(wrong("labels", problem));
    }
    kept.close();
    Ok(verdicts.result())
}

/// What the folds have said until now.
struct Verdicts<'a> {
    images: &'a Subset,
    probabilities: Vec<f32>,
    seen: Vec<bool>,
    right: usize,
    epochs: usize,
    folds: usize,
    folds_done: usize,
}

impl<'a> Verdicts<'a> {
    fn new(images: &'a Subset, epochs: usize, folds: usize) -> Self {
        let (n, classes) = (images.len(), images.classes());
        let probabilities = vec![0f32; n * classes];
        Self { images, probabilities, seen: vec![false; n], right: 0, epochs, folds, folds_done: 0 }
    }

    /// Adds a fold; returns with how many labels it agrees.
    fn add(&mut self, judged: &Judged) -> usize {
        let classes = self.images.classes();
        let mut right = 0;
        for (&at, bits) in judged.at.iter().zip(judged.logits.chunks_exact(classes)) {
            let row: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            self.seen[at] = true;
            right += usize::from(argmax(&row) == self.images.label(at) as usize);
            self.probabilities[at * classes..][..classes].copy_from_slice(&softmax(&row));
        }
        self.right += right;
        right
    }

    fn result(&self) -> LabelResult {
        let classes = self.images.classes();
        let judged: Vec<usize> = (0..self.seen.len()).filter(|&i| self.seen[i]).collect();
        let rows = judged.iter().flat_map(|&i| &self.probabilities[i * classes..(i + 1) * classes]);
        let rows: Vec<f32> = rows.copied().collect();
        let labels: Vec<u32> = judged.iter().map(|&i| self.images.label(i)).collect();
        LabelResult {
            confident: confident_learning(&rows, &labels, classes),
            top1: 100.0 * self.right as f64 / judged.len().max(1) as f64,
            judged,
            epochs: self.epochs,
            folds: self.folds,
            folds_done: self.folds_done,
        }
    }
}

/// Images of all splits as one store, in the order of the audit.
struct Joined {
    parts: Vec<Subset>,
    /// Part and position of each image.
    items: Vec<(u8, u32)>,
}

impl Joined {
    fn at(&self, index: usize) -> (&Subset, usize) {
        let (part, position) = self.items[index];
        (&self.parts[usize::from(part)], position as usize)
    }
}

impl ImageStore for Joined {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn image(&self, index: usize) -> Result<oculist_augment::Image, oculist_data::Error> {
        let len = self.items.len();
        if index >= len {
            return Err(oculist_data::Error::Index { index, len });
        }
        let (part, position) = self.at(index);
        part.image(position)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        let (part, position) = self.at(index);
        part.size(position)
    }

    fn name(&self, index: usize) -> String {
        let (part, position) = self.at(index);
        part.name(position)
    }
}

fn joined(dataset: &Dataset, audit: &Audit) -> Result<Subset, OculistError> {
    let parts: Vec<Subset> = oculist_data::Split::ALL.iter().map(|&s| dataset.split(s).clone()).collect();
    let items: Vec<(u8, u32)> = audit.places.iter().map(|p| (p.split as u8, p.index as u32)).collect();
    let labels: Vec<u32> = audit.places.iter().map(|p| dataset.split(p.split).label(p.index)).collect();
    let n = items.len() as u32;
    let store = Joined { parts, items };
    Ok(Subset::new(Arc::new(store), (0..n).collect(), labels, dataset.class_names().len())?)
}

/// Hands the logits of every readable image to `take`, with its position.
fn predict(
    graph: &Graph,
    images: &Subset,
    preprocessing: &Preprocessing,
    ctx: &Arc<Context>,
    watch: &Watch<'_>,
    take: &mut dyn FnMut(usize, &[f32]),
) -> Result<(), OculistError> {
    let mut plan = Plan::new(graph, &PlanOptions::new(BATCH, ctx.clone()))?;
    plan.check_images()?;
    let classes = plan.output_len();
    let config =
        LoaderConfig { max_unreadable: 1.0, ..LoaderConfig::evaluation(BATCH, 1, preprocessing.clone()) };
    let mut logits = vec![0f32; BATCH * classes];
    for batch in Loader::new(images.clone(), config)?.epoch(0) {
        go_on(watch.stop)?;
        let batch = batch?;
        let rows = &mut logits[..batch.len() * classes];
        plan.run(&batch.images, rows)?;
        finite(rows, classes, &|i| name_of(images, batch.indices[i]))?;
        for (&i, row) in batch.indices.iter().zip(rows.chunks_exact(classes)) {
            take(i, row);
        }
    }
    Ok(())
}
