//! Where gradients lie: buffers are shared by lifetime, since a gradient is dead once its producer has used it.

use std::collections::BTreeSet;

use super::plan::{Plan, Slot};

/// The buffers of the backward pass.
#[derive(Debug, Default)]
pub(crate) struct GradientPlan {
    /// Buffer of each slot; `None` if no gradient is needed.
    pub(crate) buffer_of: Vec<Option<usize>>,
    /// Length of each buffer in f32.
    pub(crate) lengths: Vec<usize>,
    /// For each step and input (in the order of `Step::inputs`): whether the gradient is added to what is there.
    pub(crate) accumulate: Vec<Vec<bool>>,
}

impl GradientPlan {
    pub(crate) fn new(plan: &Plan, batch: usize) -> Self {
        let mut result = Self {
            buffer_of: vec![None; plan.slots.len()],
            lengths: Vec::new(),
            accumulate: vec![Vec::new(); plan.steps.len()],
        };
        let mut free = BTreeSet::new();
        let mut written = vec![false; plan.slots.len()];
        written[plan.output] = true;
        result.assign(plan.output, plan.slots[plan.output].len(batch), &mut free);
        for (i, step) in plan.steps.iter().enumerate().rev() {
            if result.buffer_of[step.output()].is_none() {
                // Nothing behind it leads to the logits.
                result.accumulate[i] = vec![false; step.inputs().len()];
                continue;
            }
            for slot in step.inputs() {
                result.accumulate[i].push(written[slot]);
                if slot != plan.input && !written[slot] {
                    written[slot] = true;
                    result.assign(slot, plan.slots[slot].len(batch), &mut free);
                }
            }
            if let Some(buffer) = result.buffer_of[step.output()] {
                free.insert((result.lengths[buffer], buffer));
            }
        }
        result
    }

    /// Takes the free buffer that fits best, or a new one. `free` holds lengths and numbers of buffers.
    fn assign(&mut self, slot: Slot, len: usize, free: &mut BTreeSet<(usize, usize)>) {
        let larger = free.range((len, 0)..).next();
        let smaller = free.range(..(len, 0)).next_back();
        let best =
            [smaller, larger].into_iter().flatten().min_by_key(|(length, _)| length.abs_diff(len)).copied();
        let buffer = if let Some(found) = best {
            free.remove(&found);
            found.1
        } else {
            self.lengths.push(0);
            self.lengths.len() - 1
        };
        self.lengths[buffer] = self.lengths[buffer].max(len);
        self.buffer_of[slot] = Some(buffer);
    }
}
