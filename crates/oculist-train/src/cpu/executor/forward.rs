//! The forward pass.

use std::sync::Arc;

use oculist_kernels::{
    AdaptivePooling, ChannelCopy, Epilogue, activation_forward, adaptive_average_pool, add, average_pool,
    batch_statistics, channel_scale, copy_channels, flatten, fold_scale_shift, max_pool, pick_channels,
    scale_shift,
};

use super::plan::{Map, Step};
use super::{Executor, Mode, dropout, gated_rows};

impl Executor {
    /// Runs a training step's forward pass: batch statistics, running statistics updated, dropout drawn from
    /// `dropout_seed`. Returns the logits, `[batch, logits_stride]`.
    ///
    /// # Shapes
    /// `images`: `[batch, height, width, channels]`, dense.
    pub fn forward_train(&mut self, images: &[f32], dropout_seed: u64) -> &[f32] {
        self.dropout_seed = dropout_seed;
        self.run(images, Mode::Train)
    }

    /// Runs the network as deployed: running statistics, no dropout. Fewer images than the batch are allowed; the
    /// logits of the missing ones are meaningless.
    pub fn forward_eval(&mut self, images: &[f32]) -> &[f32] {
        self.run(images, Mode::Eval)
    }

    pub(super) fn run(&mut self, images: &[f32], mode: Mode) -> &[f32] {
        self.load(images);
        for i in 0..self.plan.steps.len() {
            self.step(i, mode);
        }
        &self.activations[self.plan.output]
    }

    pub(super) fn step(&mut self, i: usize, mode: Mode) {
        if let Step::Rows(step) = &self.plan.steps[i] {
            let step = Arc::clone(step);
            return self.rows_forward(&step, mode);
        }
        let ctx = &*self.ctx;
        let batch = self.batch;
        let slots = &self.plan.slots;
        let step = &self.plan.steps[i];
        // The output leaves its place while the inputs are borrowed.
        let Some(y_slot) = step.output() else { return };
        let mut out = std::mem::take(&mut self.activations[y_slot]);
        let act = &self.activations;
        match step {
            Step::Conv { x, weights, bias, plan, .. } => {
                let w = &self.weights[self.plan.weights.get(*weights).range()];
                let bias = bias.map(|b| &self.weights[self.plan.weights.get(b).range()]);
                let epilogue = Epilogue { bias, ..Epilogue::default() };
                plan.forward(ctx, &act[*x], w, &epilogue, &mut out, &mut self.scratch);
            }
            Step::Norm {
                x,
                gamma,
                beta,
                running_mean,
                running_var,
                epsilon,
                momentum,
                saved,
                residual,
                activation,
                ..
            } => {
                let map = slots[*x];
                let rows = map.rows(batch);
                let gamma = &self.weights[self.plan.weights.get(*gamma).range()];
                let beta = &self.weights[self.plan.weights.get(*beta).range()];
                let mean_range = self.plan.stats.get(*running_mean).range();
                let var_range = self.plan.stats.get(*running_var).range();
                let saved = &mut self.saved_norms[*saved];
                let follows = self.following[*running_mean] && self.following[*running_var];
                if mode == Mode::Train && follows {
                    batch_statistics(ctx, rows, &act[*x], &mut saved.mean, &mut saved.variance);
                    let n = rows.rows as f32;
                    let unbiased = if rows.rows > 1 { n / (n - 1.0) } else { 1.0 };
                    if let Some(moments) = &mut self.moments {
                        let at = [mean_range.start, var_range.start];
                        let channels = ..map.channels;
                        moments.add(at, rows.rows, &saved.mean[channels], &saved.variance[channels]);
                    } else {
                        for c in 0..map.channels {
                            let (m, v) = (&mut self.stats[mean_range.start + c], saved.mean[c]);
                            *m = momentum * *m + (1.0 - momentum) * v;
                            let v = saved.variance[c] * unbiased;
                            let var = &mut self.stats[var_range.start + c];
                            *var = momentum * *var + (1.0 - momentum) * v;
                        }
                    }
                } else {
                    saved.mean.copy_from_slice(&self.stats[mean_range]);
                    saved.variance.copy_from_slice(&self.stats[var_range]);
                }
                for (inv_std, variance) in saved.inv_std.iter_mut().zip(&saved.variance) {
                    *inv_std = 1.0 / (variance + epsilon).sqrt();
                }
                fold_scale_shift(
                    gamma,
                    beta,
                    &saved.mean,
                    &saved.inv_std,
                    &mut saved.scale,
                    &mut saved.shift,
                );
                let residual = residual.map(|r| &act[r][..]);
                scale_shift(ctx, rows, &act[*x], &saved.scale, &saved.shift, residual, *activation, &mut out);
            }
            Step::Activation { x, activation, .. } => {
                activation_forward(ctx, slots[*x].rows(batch), *activation, &act[*x], &mut out);
            }
            Step::Add { a, b, .. } => add(ctx, &act[*a], &act[*b], &mut out),
            Step::Gate { x, gate, .. } => {
                let rows = gated_rows(slots[*x], slots[*gate], batch);
                channel_scale(ctx, rows, batch, &act[*x], &act[*gate], &mut out);
            }
            Step::Flatten { x, .. } => {
                let Map { channels, stride, .. } = slots[*x];
                flatten(ctx, batch, channels, slots[*x].pixels(), stride, &act[*x], &mut out);
            }
            Step::Concat { inputs, y } => {
                for (slot, begin) in inputs {
                    let map = slots[*slot];
                    let copy = ChannelCopy {
                        rows: batch * map.pixels(),
                        channels: map.channels,
                        src_stride: map.stride,
                        src_offset: 0,
                        dst_stride: slots[*y].stride,
                        dst_offset: *begin,
                    };
                    copy_channels(ctx, copy, &act[*slot], &mut out, false);
                }
            }
            Step::MaxPool { x, pool, saved, .. } => {
                max_pool(ctx, pool, &act[*x], &mut out, Some(&mut self.saved_maxima[*saved]));
            }
            Step::AveragePool { x, pool, count_include_pad, .. } => {
                average_pool(ctx, pool, *count_include_pad, &act[*x], &mut out);
            }
            Step::GlobalAveragePool { x, .. } => {
                let map = slots[*x];
                let pool = AdaptivePooling::global(batch, [map.height, map.width], map.channels);
                adaptive_average_pool(ctx, &pool, &act[*x], &mut out);
            }
            Step::Dropout { x, ratio, key, .. } => {
                // Deployed, the layers behind see everything: that is what they are to be normalised by.
                if mode == Mode::Train && self.moments.is_none() {
                    dropout(self.dropout_seed, *key, *ratio, &act[*x], &mut out, false);
                } else {
                    out.copy_from_slice(&act[*x]);
                }
            }
            Step::PickChannels { x, picked, y } => {
                let (from, to) = (slots[*x], slots[*y]);
                let rows = batch * from.pixels();
                pick_channels(ctx, rows, picked, (&act[*x], from.stride), (&mut out, to.stride));
            }
            Step::PadChannels { x, before, y } => {
                let map = slots[*x];
                let copy = ChannelCopy {
                    rows: batch * map.pixels(),
                    channels: map.channels,
                    src_stride: map.stride,
                    src_offset: 0,
                    dst_stride: slots[*y].stride,
                    dst_offset: *before,
                };
                // The added channels are zero since the buffer was made and nothing else writes them.
                copy_channels(ctx, copy, &act[*x], &mut out, false);
            }
            // Run above.
            Step::Rows(_) => {}
        }
        self.activations[y_slot] = out;
    }
}
