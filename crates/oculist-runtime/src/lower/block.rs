//! Inverted residual blocks: expanding, depthwise and projecting convolution as one step where that pays.

use oculist_kernels::{BlockPlan, Context, InvertedResidual};

use super::{Lowered, Place};
use crate::step::{BlockStep, ConvStep, Step, Work};

/// Replaces the convolutions of each block whose expanded map is too large for the caches.
pub(super) fn fuse_blocks(ctx: &Context, lowered: &mut Lowered) {
    let mut uses = vec![0; lowered.tensors.len()];
    let inputs = lowered.steps.iter().flat_map(|step| &step.inputs).copied();
    let leave = lowered.taps.iter().map(|tap| &tap.at).chain(&lowered.outputs);
    let leave = leave.filter_map(|at| if let Place::Fast(tensor) = at { Some(*tensor) } else { None });
    for tensor in inputs.chain(leave) {
        uses[tensor] += 1;
    }
    let mut steps: Vec<Option<Step>> = std::mem::take(&mut lowered.steps).into_iter().map(Some).collect();
    let neighbours = Neighbours::of(&steps, uses);
    for at in 0..steps.len() {
        let Some(found) = find(&steps, &neighbours, at) else { continue };
        let geometry = |i: usize| conv(&steps, i).map(|conv| *conv.plan.conv());
        let (Some(depthwise), Some(project)) = (geometry(at), geometry(found.project)) else { continue };
        let block = InvertedResidual { expand: found.expand.and_then(geometry), depthwise, project };
        if !block.is_worth_fusing() {
            continue;
        }
        // A geometry that the fused block does not know stays as it is.
        let Ok(plan) = BlockPlan::new(ctx, block) else { continue };
        let first = found.expand.unwrap_or(at);
        let input = steps[first].as_ref().map_or(0, |step| step.inputs[0]);
        let (expand, _) = found.expand.map(|i| take(&mut steps, i)).unzip();
        let (depthwise, _) = take(&mut steps, at);
        let (project, step) = take(&mut steps, found.project);
        let mut step_inputs = vec![input];
        step_inputs.extend(step.inputs.iter().skip(1));
        let work = Work::Block(Box::new(BlockStep { plan, expand, depthwise, project }));
        steps[found.project] = Some(Step { inputs: step_inputs, work, ..step });
    }
    // Values are shown before the step that came next.
    let mut left = vec![0];
    for (i, step) in steps.iter().enumerate() {
        left.push(left[i] + usize::from(step.is_some()));
    }
    for tap in &mut lowered.taps {
        tap.step = left[tap.step];
    }
    lowered.steps = steps.into_iter().flatten().collect();
    for step in &mut lowered.steps {
        if let Work::Conv(conv) = &mut step.work {
            conv.packed = Vec::new();
        }
    }
}

/// Steps around a depthwise convolution.
struct Found {
    expand: Option<usize>,
    project: usize,
}

fn conv(steps: &[Option<Step>], at: usize) -> Option<&ConvStep> {
    match &steps[at].as_ref()?.work {
        Work::Conv(conv) => Some(conv),
        _ => None,
    }
}

fn is_pointwise(conv: &ConvStep) -> bool {
    let conv = conv.plan.conv();
    conv.taps() == 1 && conv.groups == 1 && conv.stride == [1, 1] && conv.padding == [0; 4]
}

/// Which steps write and read each tensor.
struct Neighbours {
    /// How often it is read, handed out or the output.
    uses: Vec<usize>,
    writer: Vec<Option<usize>>,
    /// The step that reads it as its first input; the last of several.
    reader: Vec<Option<usize>>,
}

impl Neighbours {
    fn of(steps: &[Option<Step>], uses: Vec<usize>) -> Self {
        let mut writer: Vec<Option<usize>> = vec![None; uses.len()];
        let mut reader = writer.clone();
        for (i, step) in steps.iter().enumerate() {
            let Some(step) = step else { continue };
            if let Some(output) = step.output {
                writer[output] = Some(i);
            }
            if let Some(&first) = step.inputs.first() {
                reader[first] = Some(i);
            }
        }
        Self { uses, writer, reader }
    }
}

/// The block around step `at`, if that is a depthwise convolution whose map only the next one reads.
fn find(steps: &[Option<Step>], neighbours: &Neighbours, at: usize) -> Option<Found> {
    let Neighbours { uses, writer, reader } = neighbours;
    let depthwise = conv(steps, at)?;
    let step = steps[at].as_ref()?;
    let output = step.output?;
    if !depthwise.plan.conv().is_depthwise() || depthwise.residual || uses[output] != 1 {
        return None;
    }
    // One use and so one reader at the most.
    let project = reader[output]?;
    if !conv(steps, project).is_some_and(is_pointwise) {
        return None;
    }
    let input = step.inputs[0];
    let expand =
        writer[input].filter(|&i| conv(steps, i).is_some_and(|conv| is_pointwise(conv) && !conv.residual));
    Some(Found { expand: expand.filter(|_| uses[input] == 1), project })
}

/// Removes a convolution.
fn take(steps: &mut [Option<Step>], at: usize) -> (ConvStep, Step) {
    match steps[at].take() {
        Some(Step { node, inputs, output, work: Work::Conv(conv) }) => {
            (*conv, Step { node, inputs, output, work: Work::Add })
        }
        _ => unreachable!("`find` looks for convolutions"),
    }
}
