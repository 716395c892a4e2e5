//! Optimisers on the flat, packed parameter buffer.

use oculist_kernels::Context;

use super::params::ParamSet;
use crate::optimizer::OptimizerConfig;

/// An optimiser with its state.
#[derive(Debug, Clone)]
pub struct Optimizer {
    config: OptimizerConfig,
    /// Momentum, or first moment.
    pub(super) first: Vec<f32>,
    /// Second moment; empty for SGD.
    pub(super) second: Vec<f32>,
    /// Updates done.
    pub(super) step: u64,
    /// Updates that each parameter had no part in, by its position; empty where there are none.
    pub(super) missed: Vec<u64>,
}

/// What an update is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stride {
    /// Learning rate.
    pub(super) lr: f32,
    /// Factor on the gradients.
    pub(super) grad_scale: f32,
    /// Weight decay.
    pub(super) weight_decay: f32,
}

/// What an update is to one parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Factor on the learning rate; with 0 weights and moments stay.
    pub(super) factor: f32,
    /// Whether [`Optimizer::pull`] has taken the place of weight decay, and with SGD scaled the gradients.
    pub(super) anchored: bool,
}

/// Elements per task; a fixed split makes the result independent of the number of threads.
const CHUNK: usize = 1 << 14;

impl Optimizer {
    /// A fresh state for `len` elements.
    pub fn new(config: OptimizerConfig, len: usize) -> Self {
        let second =
            if matches!(config, OptimizerConfig::AdamW { .. }) { vec![0.0; len] } else { Vec::new() };
        Self { config, first: vec![0.0; len], second, step: 0, missed: Vec::new() }
    }

    /// One update of `weights` by `grads` times `grad_scale` (gradient clipping), all in the flat layout of `set`.
    ///
    /// Weight decay applies to the parameters that decay only.
    pub fn update(
        &mut self,
        ctx: &Context,
        set: &ParamSet,
        weights: &mut [f32],
        grads: &[f32],
        grad_scale: f32,
        lr: f32,
        weight_decay: f32,
    ) {
        let pace = |_| Pace { factor: 1.0, anchored: false };
        self.update_each(ctx, set, weights, grads, Stride { lr, grad_scale, weight_decay }, pace);
    }

    /// The same with a pace for each parameter.
    pub(super) fn update_each(
        &mut self,
        ctx: &Context,
        set: &ParamSet,
        weights: &mut [f32],
        grads: &[f32],
        stride: Stride,
        pace: impl Fn(usize) -> Pace,
    ) {
        self.step += 1;
        for (i, p) in set.iter().enumerate() {
            let Pace { factor, anchored } = pace(i);
            if factor == 0.0 {
                self.missed.resize(self.missed.len().max(i + 1), 0);
                self.missed[i] += 1;
                continue;
            }
            let lr = stride.lr * factor;
            let decay = if p.decays && !anchored { stride.weight_decay } else { 0.0 };
            let scaled = anchored && matches!(self.config, OptimizerConfig::Sgd { .. });
            let grad_scale = if scaled { 1.0 } else { stride.grad_scale };
            let r = p.range();
            match self.config {
                OptimizerConfig::Sgd { momentum, nesterov } => {
                    let (w, g, v) = (&mut weights[r.clone()], &grads[r.clone()], &mut self.first[r]);
                    let parts = split2(w, g, v);
                    run(ctx, parts, |(w, g, v)| {
                        for ((w, &g), v) in w.iter_mut().zip(*g).zip(v.iter_mut()) {
                            let d = g * grad_scale + decay * *w;
                            *v = momentum * *v + d;
                            *w -= lr * if nesterov { d + momentum * *v } else { *v };
                        }
                    });
                }
                OptimizerConfig::AdamW { beta1, beta2, eps } => {
                    // A parameter's moments begin with its own first update.
                    let t = (self.step - self.missed.get(i).copied().unwrap_or(0)) as i32;
                    let rate = (f64::from(lr) / (1.0 - f64::from(beta1).powi(t))) as f32;
                    let root = ((1.0 - f64::from(beta2).powi(t)).sqrt()) as f32;
                    let shrink = 1.0 - lr * decay;
                    let (w, g) = (&mut weights[r.clone()], &grads[r.clone()]);
                    let (m, v) = (&mut self.first[r.clone()], &mut self.second[r]);
                    let parts: Vec<_> = split2(w, g, m).into_iter().zip(v.chunks_mut(CHUNK)).collect();
                    run(ctx, parts, |((w, g, m), v)| {
                        for (((w, &g), m), v) in w.iter_mut().zip(*g).zip(m.iter_mut()).zip(v.iter_mut()) {
                            let g = g * grad_scale;
                            *w *= shrink;
                            *m = beta1 * *m + (1.0 - beta1) * g;
                            *v = beta2 * *v + (1.0 - beta2) * g * g;
                            *w -= rate * *m / (v.sqrt() / root + eps);
                        }
                    });
                }
            }
        }
    }
}

impl Optimizer {
    /// Pulls a parameter towards its start in the place of weight decay, before its update: with SGD by its gradient, which
    /// is scaled along, with AdamW by its weights.
    pub(super) fn pull(
        &self,
        ctx: &Context,
        weights: &mut [f32],
        grads: &mut [f32],
        start: &[f32],
        anchor: f32,
        factor: f32,
        stride: Stride,
    ) {
        if factor == 0.0 {
            return;
        }
        let parts = weights.chunks_mut(CHUNK).zip(grads.chunks_mut(CHUNK)).zip(start.chunks(CHUNK));
        match self.config {
            OptimizerConfig::Sgd { .. } => run(ctx, parts.collect(), |((w, g), start)| {
                for ((w, g), start) in w.iter().zip(g.iter_mut()).zip(*start) {
                    *g = *g * stride.grad_scale + anchor * (w - start);
                }
            }),
            OptimizerConfig::AdamW { .. } => {
                let rate = stride.lr * factor * anchor;
                run(ctx, parts.collect(), |((w, _), start)| {
                    for (w, start) in w.iter_mut().zip(*start) {
                        *w -= rate * (*w - start);
                    }
                });
            }
        }
    }
}

type Part<'a> = (&'a mut [f32], &'a [f32], &'a mut [f32]);

fn split2<'a>(w: &'a mut [f32], g: &'a [f32], v: &'a mut [f32]) -> Vec<Part<'a>> {
    w.chunks_mut(CHUNK).zip(g.chunks(CHUNK)).zip(v.chunks_mut(CHUNK)).map(|((w, g), v)| (w, g, v)).collect()
}

/// Runs `body` on every part, on the context's threads. Each part is taken by exactly one task.
pub(super) fn run<T: Send>(ctx: &Context, parts: Vec<T>, body: impl Fn(&mut T) + Sync) {
    let parts: Vec<std::sync::Mutex<T>> = parts.into_iter().map(std::sync::Mutex::new).collect();
    ctx.run(parts.len(), |task, _| {
        if let Ok(mut part) = parts[task].lock() {
            body(&mut part);
        }
    });
}

/// Euclidean norm of all gradients, summed in f64 in a fixed order.
pub fn global_norm(ctx: &Context, grads: &[f32]) -> f64 {
    let mut sums = vec![0.0f64; grads.len().div_ceil(CHUNK)];
    let parts: Vec<_> = grads.chunks(CHUNK).zip(sums.iter_mut()).collect();
    run(ctx, parts, |(g, sum)| {
        // Sixteen accumulators, so that the loop vectorises.
        let mut lanes = [0.0f64; 16];
        let (blocks, rest) = g.as_chunks::<16>();
        for block in blocks {
            for (lane, &x) in lanes.iter_mut().zip(block) {
                *lane += f64::from(x) * f64::from(x);
            }
        }
        for (lane, &x) in lanes.iter_mut().zip(rest) {
            *lane += f64::from(x) * f64::from(x);
        }
        **sum = lanes.iter().sum();
    });
    sums.iter().sum::<f64>().sqrt()
}
