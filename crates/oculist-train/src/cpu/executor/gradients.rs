//! Where gradients lie: buffers are shared by lifetime, since a gradient is dead once its producer has used it.

use std::collections::BTreeSet;

use super::plan::{Plan, Slot, Step};
use super::rows::RowStep;

/// The buffers of the backward pass.
#[derive(Debug, Default)]
pub(crate) struct GradientPlan {
    /// Buffer of each slot; `None` if no gradient is needed.
    pub(crate) buffer_of: Vec<Option<usize>>,
    /// Length of each buffer in f32.
    pub(crate) lengths: Vec<usize>,
    /// For each step and input (in the order of `Step::inputs`): whether the gradient is added to what is there.
    pub(crate) accumulate: Vec<Vec<bool>>,
    /// For each step, whether what it makes leads to the logits.
    pub(crate) leads: Vec<bool>,
}

impl GradientPlan {
    pub(crate) fn new(plan: &Plan, batch: usize) -> Self {
        let mut result = Self {
            buffer_of: vec![None; plan.slots.len()],
            lengths: Vec::new(),
            accumulate: vec![Vec::new(); plan.steps.len()],
            leads: vec![false; plan.steps.len()],
        };
        // Row-major values whose gradients are computed.
        let mut reached = vec![false; plan.rows.len()];
        let mut free = BTreeSet::new();
        let mut written = vec![false; plan.slots.len()];
        written[plan.output] = true;
        result.assign(plan.output, plan.slots[plan.output].len(batch), &mut free);
        for (i, step) in plan.steps.iter().enumerate().rev() {
            let rows = if let Step::Rows(rows) = step { Some(&**rows) } else { None };
            let reaches = |row: &usize| reached[*row];
            let leads = step.output().is_some_and(|slot| result.buffer_of[slot].is_some())
                || rows.is_some_and(|rows| rows.rows_out().iter().any(reaches));
            result.leads[i] = leads;
            if !leads {
                // Nothing behind it leads to the logits.
                result.accumulate[i] = vec![false; step.inputs().len()];
                continue;
            }
            for row in rows.map(RowStep::rows_in).unwrap_or_default() {
                reached[row] |= plan.rows[row].carries;
            }
            for slot in step.inputs() {
                result.accumulate[i].push(written[slot]);
                if slot != plan.input && !written[slot] {
                    written[slot] = true;
                    result.assign(slot, plan.slots[slot].len(batch), &mut free);
                }
            }
            if let Some(buffer) = step.output().and_then(|slot| result.buffer_of[slot]) {
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
