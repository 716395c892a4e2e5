//! What is known before any buffer is made: the plan, its rules, and whether it may take so much memory.

use std::sync::Arc;

use oculist_graph::Graph;
use oculist_kernels::Context;

use super::Mode;
use super::gradients::{GradientPlan, Wanted};
use super::plan::{self, Plan};
use super::rows::RowStep;
use crate::cpu::rules::Rules;
use crate::error::TrainError;
use crate::tuning::Tuning;

/// The plan of a graph that may be executed, and, for training, of its gradients.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) gradients: GradientPlan,
    pub(super) rules: Rules,
    /// Bytes of all buffers.
    pub(super) bytes: usize,
}

pub(super) fn planned(
    ctx: &Arc<Context>,
    graph: &Graph,
    batch: usize,
    mode: Mode,
    tuning: &Tuning,
) -> Result<Planned, TrainError> {
    let train = mode == Mode::Train;
    if train {
        plan::check(graph)?;
    }
    let plan = Plan::new(ctx, graph, batch)?;
    if train && plan.weights.is_empty() {
        return Err(TrainError::NothingToTrain { graph: graph.name().to_owned() });
    }
    let rules = Rules::new(&plan.weights, &plan.stats, tuning)?;
    let wanted = Wanted::new(&plan, rules.trained());
    let gradients = if train { GradientPlan::new(&plan, batch, &wanted) } else { GradientPlan::default() };
    for (step, _) in plan.steps.iter().zip(&gradients.leads).filter(|(_, leads)| **leads) {
        if let plan::Step::Rows(step) = step
            && let RowStep::Plain(step) = &**step
            && oculist_plain::differentiable(&step.op) == oculist_plain::Gradient::Unknown
        {
            return Err(TrainError::Unsupported {
                node: step.node.clone(),
                op: step.op.name(),
                problem: "its gradient is not known".to_owned(),
            });
        }
    }
    let start = if rules.anchors() { plan.weights.len() } else { 0 };
    let bytes = check_memory(ctx, graph, &plan, &gradients, start, batch, mode)?;
    Ok(Planned { plan, gradients, rules, bytes })
}

/// What an executor does, in words.
pub(super) fn purpose(graph: &Graph, batch: usize, mode: Mode) -> String {
    let work = match mode {
        Mode::Train => "training",
        Mode::Eval => "running",
    };
    format!("{work} `{}` on batches of {batch} images", graph.name())
}

/// Refuses a plan whose buffers need more memory than the context allows, before they are made; returns their bytes.
fn check_memory(
    ctx: &Context,
    graph: &Graph,
    plan: &Plan,
    gradients: &GradientPlan,
    start: usize,
    batch: usize,
    mode: Mode,
) -> Result<usize, TrainError> {
    let sum = |lengths: &mut dyn Iterator<Item = usize>| lengths.fold(0, usize::saturating_add);
    let activations = sum(&mut plan.slots.iter().map(|m| m.len(batch)));
    let largest = plan.slots.iter().map(|m| m.len(batch)).max().unwrap_or(0);
    let train = mode == Mode::Train;
    let (copies, spare) = if train { (2, largest) } else { (1, 0) };
    let floats = [
        plan.weights.len().saturating_mul(copies),
        start,
        plan.stats.len(),
        activations,
        sum(&mut gradients.lengths.iter().copied()),
        plan.scratch,
        spare,
    ];
    let maxima = sum(&mut plan.steps.iter().map(|step| match step {
        plan::Step::MaxPool { y, .. } => plan.slots[*y].len(batch),
        _ => 0,
    }));
    let bytes = sum(&mut floats.into_iter())
        .saturating_mul(4)
        .saturating_add(maxima.saturating_mul(2))
        .saturating_add(plan.row_bytes(train));
    ctx.check_memory(&purpose(graph, batch, mode), bytes)?;
    Ok(bytes)
}
