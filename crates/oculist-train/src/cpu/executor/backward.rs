//! The backward pass.

use std::ops::Range;
use std::sync::Arc;

use oculist_kernels::{
    AdaptivePooling, BatchNormBackward, BatchNormGradients, Buffer, ChannelCopy, activation_backward,
    adaptive_average_pool_backward, add_assign, average_pool_backward, batch_norm_backward,
    channel_scale_backward, column_sums, copy_channels, fixed_norm_backward, flatten_backward,
    max_pool_backward, pick_channels_backward,
};

use super::plan::{Map, Slot, Step};
use super::{Executor, dropout, gated_rows};
use crate::cpu::params::Param;

impl Executor {
    /// Runs the backward pass of the last [`Executor::forward_train`] from the gradient of the logits and leaves
    /// the parameters' gradients in the flat buffer (overwritten).
    ///
    /// # Shapes
    /// `dlogits`: `[batch, logits_stride]`, padded lanes 0.
    ///
    /// # Panics
    /// If the executor was made for evaluation only.
    pub fn backward(&mut self, dlogits: &[f32]) {
        self.begin_backward(dlogits);
        for i in (0..self.plan.steps.len()).rev() {
            self.step_backward(i);
        }
    }

    /// Clears the parameters' gradients and takes the gradient of the logits.
    pub(super) fn begin_backward(&mut self, dlogits: &[f32]) {
        assert!(!self.grads.is_empty(), "the executor was planned for evaluation");
        self.grads.fill(0.0);
        self.rows.clear_gradients();
        let output = self.plan.output;
        let len = self.plan.slots[output].len(self.batch);
        if let Some(buffer) = self.gradients.buffer_of[output] {
            self.gradient_buffers[buffer][..len].copy_from_slice(&dlogits[..len]);
        }
    }

    pub(super) fn step_backward(&mut self, i: usize) {
        if !self.wanted.steps[i] {
            return;
        }
        if let Step::Rows(step) = &self.plan.steps[i] {
            if self.gradients.leads[i] {
                let step = Arc::clone(step);
                self.rows_backward(i, &step);
            }
            return;
        }
        let Some(output) = self.plan.steps[i].output() else { return };
        let Some(buffer) = self.gradients.buffer_of[output] else {
            return;
        };
        // Both gradients leave their places while the rest of the executor is borrowed.
        let dy_buffer = std::mem::take(&mut self.gradient_buffers[buffer]);
        let dy = &dy_buffer[..self.plan.slots[output].len(self.batch)];
        let inputs = self.plan.steps[i].inputs();
        for (position, &slot) in inputs.iter().enumerate() {
            // A fused residual is written together with the normalisation's own input.
            if position == 1 && matches!(self.plan.steps[i], Step::Norm { .. }) {
                continue;
            }
            let accumulate = self.gradients.accumulate[i][position];
            let mut dx_buffer = self.take(slot);
            let len = self.plan.slots[slot].len(self.batch).min(dx_buffer.len());
            self.input_backward(i, position, slot, dy, &mut dx_buffer[..len], accumulate);
            self.give(slot, dx_buffer);
        }
        self.gradient_buffers[buffer] = dy_buffer;
    }

    fn take(&mut self, slot: Slot) -> Buffer {
        self.gradients.buffer_of[slot]
            .filter(|_| self.wanted.slots[slot])
            .map(|b| std::mem::take(&mut self.gradient_buffers[b]))
            .unwrap_or_default()
    }

    fn give(&mut self, slot: Slot, buffer: Buffer) {
        if let Some(b) = self.gradients.buffer_of[slot].filter(|_| self.wanted.slots[slot]) {
            self.gradient_buffers[b] = buffer;
        }
    }

    /// The gradient of input `position` of step `i`, and those of the step's parameters along with the first.
    /// `dx` is empty where no gradient is needed (the image, and what only frozen parameters have a part in).
    fn input_backward(
        &mut self,
        i: usize,
        position: usize,
        slot: Slot,
        dy: &[f32],
        dx: &mut [f32],
        accumulate: bool,
    ) {
        let batch = self.batch;
        let slots = &self.plan.slots;
        let act = &self.activations;
        let ctx = &*self.ctx;
        let wanted = !dx.is_empty();
        match &self.plan.steps[i] {
            Step::Conv { x, weights, bias, plan, y } => {
                let trained = self.wanted.weights[*weights];
                let weights = self.plan.weights.get(*weights);
                let scratch = &mut self.scratch;
                if trained {
                    add_gradient(&mut self.grads, weights, |dw| {
                        plan.backward_weights(ctx, &act[*x], dy, dw, scratch);
                    });
                }
                if let Some(bias) = bias.filter(|&bias| self.wanted.weights[bias]) {
                    add_gradient(&mut self.grads, self.plan.weights.get(bias), |db| {
                        column_sums(ctx, slots[*y].rows(batch), dy, db);
                    });
                }
                if wanted {
                    let w = &self.weights[weights.range()];
                    plan.backward_data(ctx, dy, w, dx, accumulate, &mut self.scratch);
                }
            }
            Step::Norm { .. } => self.norm_backward(i, dy, dx, accumulate),
            Step::Activation { x, activation, .. } if wanted => {
                activation_backward(ctx, slots[*x].rows(batch), *activation, &act[*x], dy, dx, accumulate);
            }
            Step::Add { .. } if wanted => {
                if accumulate {
                    add_assign(ctx, dy, dx);
                } else {
                    dx.copy_from_slice(dy);
                }
            }
            Step::Gate { x, gate, .. } if wanted => {
                // Both gradients come out of one pass; the one that is not asked for lands in the spare buffer.
                let rows = gated_rows(slots[*x], slots[*gate], batch);
                let (x_len, gate_len) = (slots[*x].len(batch), slots[*gate].len(batch));
                let (x, gate) = (&act[*x], &act[*gate]);
                if position == 0 {
                    let dgate = &mut self.spare[..gate_len];
                    channel_scale_backward(ctx, rows, batch, x, gate, dy, dx, accumulate, dgate);
                } else if x_len == gate_len {
                    // The factors of an element-wise product may change places.
                    let ignored = &mut self.spare[..x_len];
                    channel_scale_backward(ctx, rows, batch, gate, x, dy, dx, accumulate, ignored);
                } else {
                    let mut dgate = vec![0.0; gate_len];
                    let ignored = &mut self.spare[..x_len];
                    channel_scale_backward(ctx, rows, batch, x, gate, dy, ignored, false, &mut dgate);
                    if accumulate {
                        add_assign(ctx, &dgate, dx);
                    } else {
                        dx.copy_from_slice(&dgate);
                    }
                }
            }
            Step::Flatten { x, .. } if wanted => {
                let Map { channels, stride, .. } = slots[*x];
                flatten_backward(ctx, batch, channels, slots[*x].pixels(), stride, dy, dx, accumulate);
            }
            Step::Concat { inputs, y } if wanted => {
                let map = slots[slot];
                let copy = ChannelCopy {
                    rows: batch * map.pixels(),
                    channels: map.channels,
                    src_stride: slots[*y].stride,
                    src_offset: inputs[position].1,
                    dst_stride: map.stride,
                    dst_offset: 0,
                };
                slice_gradient(ctx, copy, dy, dx, accumulate);
            }
            Step::PickChannels { picked, y, .. } if wanted => {
                let (from, to) = (slots[slot], slots[*y]);
                let rows = batch * from.pixels();
                pick_channels_backward(ctx, rows, picked, (dy, to.stride), (dx, from.stride), accumulate);
            }
            Step::PadChannels { before, y, .. } if wanted => {
                let map = slots[slot];
                let copy = ChannelCopy {
                    rows: batch * map.pixels(),
                    channels: map.channels,
                    src_stride: slots[*y].stride,
                    src_offset: *before,
                    dst_stride: map.stride,
                    dst_offset: 0,
                };
                slice_gradient(ctx, copy, dy, dx, accumulate);
            }
            Step::MaxPool { pool, saved, .. } if wanted => {
                max_pool_backward(ctx, pool, dy, &self.saved_maxima[*saved], dx, accumulate);
            }
            Step::AveragePool { pool, count_include_pad, .. } if wanted => {
                average_pool_backward(ctx, pool, *count_include_pad, dy, dx, accumulate);
            }
            Step::GlobalAveragePool { x, .. } if wanted => {
                let map = slots[*x];
                let pool = AdaptivePooling::global(batch, [map.height, map.width], map.channels);
                adaptive_average_pool_backward(ctx, &pool, dy, dx, accumulate);
            }
            Step::Dropout { ratio, key, .. } if wanted => {
                dropout(self.dropout_seed, *key, *ratio, dy, dx, accumulate);
            }
            _ => {}
        }
    }

    fn norm_backward(&mut self, i: usize, dy: &[f32], dx: &mut [f32], accumulate: bool) {
        let Step::Norm { x, gamma, beta, running_mean, running_var, saved, residual, activation, y, .. } =
            &self.plan.steps[i]
        else {
            return;
        };
        let trained = [gamma, beta].map(|&parameter| self.wanted.weights[parameter]);
        let (gamma, beta) = (self.plan.weights.get(*gamma), self.plan.weights.get(*beta));
        let residual = *residual;
        let residual_accumulate = residual.is_some() && self.gradients.accumulate[i][1];
        let residual_buffer = residual.filter(|&slot| self.wanted.slots[slot]);
        let mut residual_buffer = residual_buffer.and_then(|slot| self.gradients.buffer_of[slot]).map(|b| {
            let buffer = std::mem::take(&mut self.gradient_buffers[b]);
            (b, buffer)
        });
        let rows = self.plan.slots[*x].rows(self.batch);
        let saved = &self.saved_norms[*saved];
        let input = BatchNormBackward {
            x: &self.activations[*x],
            y: &self.activations[*y],
            residual: residual.map(|r| &self.activations[r][..]),
            dy,
            gamma: &self.weights[gamma.range()],
            beta: &self.weights[beta.range()],
            mean: &saved.mean,
            inv_std: &saved.inv_std,
            activation: *activation,
        };
        let ctx = &*self.ctx;
        // Their gradients land beside the others where these are added up, or stay zero.
        let shared = gamma.readers > 1 || beta.readers > 1 || trained != [true; 2];
        let mut own = if shared { vec![0.0; gamma.len + beta.len] } else { Vec::new() };
        let [dgamma, dbeta] = if shared {
            own.split_at_mut(gamma.len).into()
        } else {
            disjoint(&mut self.grads, gamma.range(), beta.range())
        };
        let spare = &mut self.spare[..rows.len()];
        // A gradient that others have written already, or that nobody wants, goes through the spare buffer.
        let direct = !accumulate && dx.len() == rows.len();
        let target = if direct { &mut *dx } else { &mut *spare };
        let output = BatchNormGradients {
            dx: target,
            dgamma,
            dbeta,
            dresidual: residual_buffer.as_mut().map(|(_, b)| (&mut b[..rows.len()], residual_accumulate)),
        };
        if self.following[*running_mean] && self.following[*running_var] {
            batch_norm_backward(ctx, rows, &input, output);
        } else {
            fixed_norm_backward(ctx, rows, &input, output);
        }
        if shared {
            let (dgamma, dbeta) = own.split_at(gamma.len);
            for ((param, gradient), trained) in [(gamma, dgamma), (beta, dbeta)].into_iter().zip(trained) {
                if !trained {
                    continue;
                }
                self.grads[param.range()].iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            }
        }
        if !direct && !dx.is_empty() {
            add_assign(ctx, spare, dx);
        }
        if let Some((b, buffer)) = residual_buffer {
            self.gradient_buffers[b] = buffer;
        }
    }
}

fn slice_gradient(
    ctx: &oculist_kernels::Context,
    copy: ChannelCopy,
    dy: &[f32],
    dx: &mut [f32],
    accumulate: bool,
) {
    if !accumulate {
        oculist_kernels::fill_zero(ctx, dx);
    }
    copy_channels(ctx, copy, dy, dx, accumulate);
}

/// Lets `write` compute the gradient of a parameter, which is added to those of its other readers if there are any.
fn add_gradient(grads: &mut [f32], param: &Param, write: impl FnOnce(&mut [f32])) {
    let sum = &mut grads[param.range()];
    if param.readers == 1 {
        return write(sum);
    }
    let mut own = vec![0.0; param.len];
    write(&mut own);
    sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
}

fn disjoint(flat: &mut [f32], a: Range<usize>, b: Range<usize>) -> [&mut [f32]; 2] {
    flat.get_disjoint_mut([a, b]).expect("parameters do not overlap")
}
