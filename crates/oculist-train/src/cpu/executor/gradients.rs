//! Which gradients are computed, and where they lie: buffers are shared by lifetime, since a gradient is dead once its
//! producer has used it.

use std::collections::BTreeSet;

use super::plan::{Plan, Slot, Step};
use super::rows::RowStep;

/// What the backward pass is run for: nothing is computed in front of the first parameter that is trained.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// For each parameter, whether it is trained.
    pub(crate) weights: Vec<bool>,
    /// For each slot, whether a trained parameter has a part in it.
    pub(crate) slots: Vec<bool>,
    /// The same for row-major values, of those that carry gradients.
    pub(crate) rows: Vec<bool>,
    /// For each step, whether it has a trained parameter or stands behind one.
    pub(crate) steps: Vec<bool>,
}

impl Wanted {
    pub(crate) fn new(plan: &Plan, weights: Vec<bool>) -> Self {
        let (mut slots, mut rows) = (vec![false; plan.slots.len()], vec![false; plan.rows.len()]);
        let steps = plan.steps.iter().map(|step| {
            let in_rows = if let Step::Rows(step) = step { Some(&**step) } else { None };
            let wanted = step.parameters().into_iter().any(|p| weights[p])
                || step.inputs().into_iter().any(|slot| slots[slot])
                || in_rows.is_some_and(|step| step.rows_in().into_iter().any(|row| rows[row]));
            if let Some(slot) = step.output() {
                slots[slot] = wanted;
            }
            for &row in in_rows.map(RowStep::rows_out).unwrap_or_default() {
                rows[row] = wanted && plan.rows[row].carries;
            }
            wanted
        });
        let steps = steps.collect();
        Self { weights, slots, rows, steps }
    }
}

/// The buffers of the backward pass.
#[derive(Debug, Default)]
pub(crate) struct GradientPlan {
    /// Buffer of each slot; `None` if no gradient is needed.
    pub(crate) buffer_of: Vec<Option<usize>>,
    /// Length of each buffer in f32.
    pub(crate) lengths: Vec<usize>,
    /// For each step and input (in the order of `Step::inputs`): whether the gradient is added to what is there.
    pub(crate) accumulate: Vec<Vec<bool>>,
    /// For each step, whether what it makes leads to the logits and depends on what is trained.
    pub(crate) leads: Vec<bool>,
}

impl GradientPlan {
    /// The buffers for all that is ever wanted.
    pub(crate) fn new(plan: &Plan, batch: usize, wanted: &Wanted) -> Self {
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
            let leads = wanted.steps[i]
                && (step.output().is_some_and(|slot| result.buffer_of[slot].is_some())
                    || rows.is_some_and(|rows| rows.rows_out().iter().any(reaches)));
            result.leads[i] = leads;
            if !leads {
                // Nothing behind it leads to the logits, or nothing in front of it is trained.
                result.accumulate[i] = vec![false; step.inputs().len()];
                continue;
            }
            for row in rows.map(RowStep::rows_in).unwrap_or_default() {
                reached[row] |= wanted.rows[row];
            }
            for slot in step.inputs() {
                result.accumulate[i].push(written[slot]);
                if wanted.slots[slot] && !written[slot] {
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
