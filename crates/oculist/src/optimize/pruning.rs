//! Compression of the baseline: int8 as it is, then ever stronger pruning, each fine-tuned and quantised.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use oculist_data::Split;
use oculist_graph::Graph;
use oculist_passes::{
    ChannelGroups, PassError, PruneOptions, PruneReport, PruneTarget, Scores, prune_channels, taylor,
};
use oculist_report::{LayerSensitivity, Quantization};
use oculist_train::for_each_gradient;

use super::state::Run;
use crate::compress::candidate::Candidate;
use crate::compress::quantization::{Quantized, Quantizer};
use crate::compress::search::{LEVELS, LevelSearch};
use crate::error::OculistError;
use crate::evaluate::evaluate_until;
use crate::images::Images;
use crate::progress::{Watch, go_on};
use crate::settings::Target;
use crate::summary::{curve, points_text};
use crate::training::Phase;
use crate::training_data::TrainingImages;

/// Channels that a group keeps at least.
const MIN_CHANNELS: usize = 4;
/// Kept channels are a multiple of this where size or multiply-adds count.
const ROUND_TO: usize = 4;
/// Kept channels are a multiple of this where time counts: the kernels work in blocks of sixteen channels.
const ROUND_TO_FAST: usize = 16;

/// Largest share of a group's channels that may go.
const MAX_RATIO: f64 = 0.75;
/// Training batches over which importance is averaged.
const IMPORTANCE_BATCHES: usize = 20;

/// The result of compression.
#[derive(Debug)]
pub(crate) struct Compressed {
    /// The f32 model, if pruning found one that keeps the promise.
    pub(crate) f32: Option<Candidate>,
    /// The int8 model, if one keeps the promise.
    pub(crate) int8: Option<Candidate>,
    /// Whether the int8 one is the better of the two by the target.
    pub(crate) int8_is_best: bool,
    /// How the int8 model was made.
    pub(crate) quantization: Option<Quantization>,
    /// What each layer loses in int8.
    pub(crate) sensitivity: Vec<LayerSensitivity>,
    /// Widths before and after.
    pub(crate) pruned: Option<PruneReport>,
}

/// One level: the models made there.
struct Level {
    f32: Candidate,
    int8: Option<(Candidate, Quantized)>,
    report: Option<PruneReport>,
}

impl Level {
    fn accepted(&self) -> impl Iterator<Item = &Candidate> {
        std::iter::once(&self.f32).chain(self.int8.as_ref().map(|(c, _)| c)).filter(|c| c.accepted)
    }

    /// The smallest accepted figure, fewer bytes breaking ties.
    fn best(&self, target: Target) -> Option<(f64, u64)> {
        self.accepted()
            .map(|c| (c.figure(target), c.cost.bytes))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    }
}

/// Compresses the baseline as far as the promise allows.
pub(crate) fn compress(
    run: &mut Run,
    baseline: &Candidate,
    watch: &mut Watch<'_>,
) -> Result<Compressed, OculistError> {
    let max_drop = run.recipe.compression.max_drop;
    let subset =
        run.source.split(Split::Train).sample(run.recipe.compression.calibration_images, run.recipe.seed)?;
    let calibration = Images::load_until(&subset, &run.recipe.preprocessing, run.ctx.threads(), watch.stop)?;

    run.stage("Quantise the baseline to int8", watch);
    let began = Instant::now();
    let plain = Level {
        f32: baseline.clone(),
        int8: int8(run, baseline, baseline, &calibration, watch)?,
        report: None,
    };
    if let Some((candidate, _)) = &plain.int8 {
        let what = candidate.reason.clone();
        let candidate = candidate.clone();
        run.step("int8 of the baseline", what, began, Some(baseline), Some(&candidate), watch);
    }

    run.stage(
        &format!(
            "Prune channels, fine-tune with distillation (at most {} may be lost)",
            points_text(max_drop)
        ),
        watch,
    );
    let groups = ChannelGroups::analyze(&baseline.graph)?;
    let scores = scores(run, &baseline.graph, &groups, watch.stop)?;
    let mut levels = vec![plain];
    let mut search = LevelSearch::new(run.recipe.compression.candidates);
    while let Some(index) = search.next() {
        go_on(watch.stop)?;
        let target = run.recipe.compression.target;
        let level = match prune(&baseline.graph, &groups, &scores, LEVELS[index], target) {
            Ok(pruned) => Some(try_level(run, baseline, LEVELS[index], pruned, &calibration, watch)?),
            Err(e @ PassError::TargetOutOfReach { .. }) => {
                watch.note(&format!("{:.0}%: {e}", 100.0 * LEVELS[index]));
                None
            }
            Err(e) => return Err(e.into()),
        };
        search.answer(index, level.as_ref().is_some_and(|l| l.accepted().next().is_some()));
        levels.extend(level);
    }
    choose(run, baseline, levels, &calibration, watch)
}

/// Fine-tunes and quantises a pruned network.
fn try_level(
    run: &mut Run,
    baseline: &Candidate,
    keep: f64,
    (graph, report): (Graph, PruneReport),
    calibration: &Images,
    watch: &mut Watch<'_>,
) -> Result<Level, OculistError> {
    let began = Instant::now();
    let target = run.recipe.compression.target;
    let percent = (100.0 * keep).round();
    let what = if target == Target::Size { "parameters" } else { "MACs" };
    let name = format!("prune-{percent}");
    let recipe = &run.recipe;
    let data = TrainingImages::new(&run.source, recipe, &recipe.finetune, run.cache_bytes)?;
    let phase = Phase {
        name: &name,
        ctx: &run.ctx,
        config: &recipe.finetune,
        data: &data,
        teacher: Some(&baseline.graph),
        checkpoints: run.folder.file("checkpoints").join(&name),
        resume: run.resume,
    };
    let outcome = phase.run(&graph, watch)?;
    run.summary.history.extend(curve(&name, &outcome.history));
    let mut candidate = Candidate {
        name: format!("pruned to {percent}% of {what}"),
        kind: "pruned",
        keep: Some(keep),
        val_top1: evaluate_until(&outcome.graph, &run.val, &run.ctx, watch.stop)?.top1,
        cost: run.cost(&outcome.graph, watch.stop)?,
        graph: outcome.graph,
        accepted: false,
        reason: String::new(),
    };
    candidate.judge(baseline.val_top1, &baseline.cost, run.recipe.compression.max_drop);
    let what = format!("removed {} of {} channels; {}", report.removed, report.units, candidate.reason);
    run.step(&candidate.name.clone(), what, began, Some(baseline), Some(&candidate), watch);
    let began = Instant::now();
    let int8 = int8(run, &candidate, baseline, calibration, watch)?;
    if let Some((quantized, _)) = &int8 {
        let (name, reason) = (quantized.name.clone(), quantized.reason.clone());
        let quantized = quantized.clone();
        run.step(&name, reason, began, Some(&candidate), Some(&quantized), watch);
    }
    Ok(Level { f32: candidate, int8, report: Some(report) })
}

fn prune(
    graph: &Graph,
    groups: &ChannelGroups,
    scores: &[f64],
    keep: f64,
    target: Target,
) -> Result<(Graph, PruneReport), PassError> {
    let options = PruneOptions {
        target: if target == Target::Size { PruneTarget::Params(keep) } else { PruneTarget::Macs(keep) },
        scores: Scores::LossRise,
        min_channels: MIN_CHANNELS,
        round_to: if target == Target::Latency { ROUND_TO_FAST } else { ROUND_TO },
        max_ratio: MAX_RATIO,
        ..PruneOptions::default()
    };
    prune_channels(graph, groups, scores, &options)
}

/// First-order Taylor importance of the baseline's channels, averaged over training batches.
fn scores(
    run: &Run,
    graph: &Graph,
    groups: &ChannelGroups,
    stop: &AtomicBool,
) -> Result<Vec<f64>, OculistError> {
    let recipe = &run.recipe;
    let data = TrainingImages::new(&run.source, recipe, &recipe.finetune, run.cache_bytes)?;
    let mut sums = vec![0.0; groups.units.len()];
    let batch_size = recipe.finetune.batch_size;
    let add = |gradients| -> Result<(), OculistError> {
        go_on(stop)?;
        for (sum, score) in sums.iter_mut().zip(taylor(graph, groups, &gradients)?) {
            *sum += score;
        }
        Ok(())
    };
    for_each_gradient(run.ctx.clone(), graph, batch_size, &data, IMPORTANCE_BATCHES, add)?;
    Ok(sums)
}

/// Quantises a candidate and judges the result against the baseline.
fn int8(
    run: &Run,
    candidate: &Candidate,
    baseline: &Candidate,
    calibration: &Images,
    watch: &mut Watch<'_>,
) -> Result<Option<(Candidate, Quantized)>, OculistError> {
    let max_drop = run.recipe.compression.max_drop;
    let quantizer = Quantizer {
        ctx: &run.ctx,
        calibration,
        val: &run.val,
        method: run.recipe.compression.calibration,
        floor: baseline.val_top1 - max_drop,
    };
    let quantized = quantizer.quantize(&candidate.graph, watch)?;
    let mut result = Candidate {
        name: format!("{}, int8", candidate.name),
        kind: if candidate.keep.is_some() { "pruned+int8" } else { "int8" },
        keep: candidate.keep,
        graph: quantized.graph.clone(),
        val_top1: quantized.val_top1,
        cost: run.cost(&quantized.graph, watch.stop)?,
        accepted: false,
        reason: String::new(),
    };
    result.judge(baseline.val_top1, &baseline.cost, max_drop);
    Ok(Some((result, quantized)))
}

/// Picks the level with the smallest figure and records all candidates.
fn choose(
    run: &mut Run,
    baseline: &Candidate,
    levels: Vec<Level>,
    calibration: &Images,
    watch: &mut Watch<'_>,
) -> Result<Compressed, OculistError> {
    let target = run.recipe.compression.target;
    // The baseline itself is no result of compression; its int8 form is.
    let best = levels
        .iter()
        .enumerate()
        .filter_map(|(i, level)| {
            if i == 0 {
                let int8 = level.int8.as_ref().map(|(c, _)| c).filter(|c| c.accepted)?;
                Some((i, (int8.figure(target), int8.cost.bytes)))
            } else {
                level.best(target).map(|figure| (i, figure))
            }
        })
        .min_by(|a, b| a.1.0.total_cmp(&b.1.0).then(a.1.1.cmp(&b.1.1)))
        .map(|(i, _)| i);
    let mut result = Compressed {
        f32: None,
        int8: None,
        int8_is_best: false,
        quantization: None,
        sensitivity: Vec::new(),
        pruned: None,
    };
    for (i, level) in levels.into_iter().enumerate() {
        let chosen = Some(i) == best;
        let key = |c: &Candidate| (c.figure(target), c.cost.bytes);
        let int8_wins = level
            .int8
            .as_ref()
            .is_some_and(|(c, _)| c.accepted && (i == 0 || !level.f32.accepted || key(c) <= key(&level.f32)));
        record(run, &level.f32, chosen && !int8_wins && i > 0);
        if let Some((c, _)) = &level.int8 {
            record(run, c, chosen && int8_wins);
        }
        if !chosen {
            continue;
        }
        result.int8_is_best = int8_wins;
        result.pruned = level.report;
        if let Some((candidate, quantized)) = level.int8
            && candidate.accepted
        {
            let quantizer = Quantizer {
                ctx: &run.ctx,
                calibration,
                val: &run.val,
                method: run.recipe.compression.calibration,
                floor: baseline.val_top1 - run.recipe.compression.max_drop,
            };
            run.summary.sensitivity = quantizer.sensitivity(&level.f32.graph, &quantized, watch)?;
            result.sensitivity.clone_from(&run.summary.sensitivity);
            result.quantization = Some(quantized.facts);
            result.int8 = Some(candidate);
        }
        if i > 0 && (level.f32.accepted || result.int8.is_some()) {
            result.f32 = Some(level.f32);
        }
    }
    if best.is_none() {
        let text = "no compressed model kept the promise; the baseline stands";
        watch.warn(text);
        run.summary.warnings.push(text.into());
    }
    Ok(result)
}

fn record(run: &mut Run, candidate: &Candidate, chosen: bool) {
    run.summary.candidates.push(oculist_report::Candidate {
        name: candidate.name.clone(),
        kind: candidate.kind.to_owned(),
        pruning_ratio: candidate.keep.map(|keep| 1.0 - keep),
        val_top1: candidate.val_top1,
        params: candidate.cost.params,
        macs: candidate.cost.macs,
        bytes: candidate.cost.bytes,
        latency_ms: Some(candidate.cost.latency.median),
        accepted: candidate.accepted,
        chosen,
        reason: candidate.reason.clone(),
    });
}
