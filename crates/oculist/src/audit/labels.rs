//! Out-of-fold probabilities: every image is judged by a model that was trained on the others.

use std::sync::Arc;

use oculist_augment::{Op, Preprocessing, Start};
use oculist_data::audit::Audit;
use oculist_data::{Dataset, ImageStore, Loader, LoaderConfig, Subset, grouped_parts};
use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use super::check::LabelOptions;
use super::confident::{Confident, confident_learning};
use crate::data::Source;
use crate::error::OculistError;
use crate::evaluate::{BATCH, finite};
use crate::images::name_of;
use crate::metrics::{argmax, softmax};
use crate::progress::{Watch, go_on};
use crate::settings::Settings;
use crate::small_model;
use crate::summary::counted;

/// What was found, and how.
pub(super) struct LabelResult {
    /// Positions in the audit's places of the images that were judged.
    pub(super) judged: Vec<usize>,
    pub(super) confident: Confident,
    pub(super) epochs: usize,
    pub(super) top1: f64,
}

/// Trains one model per fold and applies confident learning to what they say.
///
/// # Errors
/// [`OculistError::Option`] if no label can be checked, as no class has images in two folds; otherwise as training.
pub(super) fn check(
    dataset: &Dataset,
    audit: &Audit,
    settings: &Settings,
    options: &LabelOptions,
    watch: &mut Watch<'_>,
) -> Result<LabelResult, OculistError> {
    let all = joined(dataset, audit)?;
    let classes = all.classes();
    let folds = options.folds;
    let train_images = all.len() - all.len() / folds;
    let mut recipe =
        small_model::recipe(&Source::of(dataset.clone()), settings, train_images, options.epochs)?;
    // A small network learns most in few epochs from whole images; mirroring costs nothing.
    recipe.augmentation.start = Start::Prepared;
    recipe.augmentation.steps.retain(|step| step.op == Op::HorizontalFlip);
    let shares = vec![1.0 / folds as f64; folds - 1];
    // Copies of an image are judged together, so that none is judged by a model that has learned its label.
    let parts = grouped_parts(all.labels(), classes, &audit.groups, &shares, recipe.seed);
    let ctx = settings.context()?;
    let mut probabilities = vec![0f32; all.len() * classes];
    let mut seen = vec![false; all.len()];
    let (mut right, mut judged) = (0usize, 0usize);
    let mut alone = 0;
    for (fold, part) in parts.iter().enumerate() {
        let others: Vec<usize> = (0..folds).filter(|&f| f != fold).flat_map(|f| parts[f].clone()).collect();
        let others = all.select(&others)?;
        // A model that has seen no image of a class says nothing about a label of that class.
        let known = others.class_counts();
        let judgeable: Vec<usize> =
            part.iter().copied().filter(|&at| known[all.label(at) as usize] > 0).collect();
        alone += part.len() - judgeable.len();
        if judgeable.is_empty() {
            continue;
        }
        let what = format!("labels, fold {} of {folds}", fold + 1);
        let graph = small_model::train(&others, &recipe, &ctx, fold, &what, watch)?;
        let (before_right, before) = (right, judged);
        predict(&graph, &all.select(&judgeable)?, &recipe.preprocessing, &ctx, watch, &mut |i, row| {
            let at = judgeable[i];
            seen[at] = true;
            judged += 1;
            right += usize::from(argmax(row) == all.label(at) as usize);
            probabilities[at * classes..][..classes].copy_from_slice(&softmax(row));
        })?;
        let share = 100.0 * (right - before_right) as f64 / (judged - before).max(1) as f64;
        watch.note(&format!("{what}: agrees with {share:.1}% of {} labels", judged - before));
    }
    if alone > 0 {
        watch.warn(&format!(
            "{} cannot be checked: no image of the same class is in another fold (a class needs two that are no copies)",
            counted(alone, "label", "labels")
        ));
    }
    if alone == all.len() {
        return Err(OculistError::Option {
            option: "--labels".into(),
            problem: format!(
                "expected classes of at least two images that are no copies of each other, found none among {} images",
                all.len()
            ),
        });
    }
    let places: Vec<usize> = (0..all.len()).filter(|&i| seen[i]).collect();
    let rows: Vec<f32> =
        places.iter().flat_map(|&i| &probabilities[i * classes..(i + 1) * classes]).copied().collect();
    let labels: Vec<u32> = places.iter().map(|&i| all.label(i)).collect();
    Ok(LabelResult {
        confident: confident_learning(&rows, &labels, classes),
        judged: places,
        epochs: recipe.train.epochs,
        top1: 100.0 * right as f64 / judged.max(1) as f64,
    })
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
