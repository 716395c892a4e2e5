//! The learner of the CPU: an executor, an optimiser, an average, and perhaps a teacher, which is run as any model is.

use std::collections::BTreeMap;
use std::sync::Arc;

use oculist_data::Batch;
use oculist_graph::Graph;
use oculist_kernels::Context;
use oculist_runtime::{Plan, PlanOptions};

use super::ema::Ema;
use super::executor::{Executor, Mode};
use super::optimizer::Optimizer;
use super::params::{Param, ParamSet};
use crate::engine::{Answers, Deployed, Learner, LossOf, Setup, Shapes, State, StateForm, Tensors, Update};
use crate::error::TrainError;
use crate::optimizer::OptimizerConfig;

/// All buffers are flat and packed; only [`Learner::state`], [`Learner::deployed`], [`Learner::gradients`] and
/// [`Learner::set_state`] convert them.
#[derive(Debug)]
pub(super) struct CpuLearner {
    executor: Executor,
    teacher: Option<Plan>,
    optimizer: Optimizer,
    ema: Option<Ema>,
    weight_decay: f32,
    clip_norm: f32,
    form: StateForm,
    /// Gradient of the logits, padded.
    dlogits: Vec<f32>,
    /// Dense rows: the logits, the teacher's, the gradient of the former.
    rows: [Vec<f32>; 3],
}

impl CpuLearner {
    pub(super) fn new(ctx: &Arc<Context>, graph: &Graph, setup: &Setup<'_>) -> Result<Self, TrainError> {
        let executor = Executor::tuned(ctx.clone(), graph, setup.rows, Mode::Train, setup.tuning)?;
        let load = |teacher| -> Result<Plan, TrainError> {
            let plan = Plan::new(teacher, &PlanOptions::new(setup.rows, ctx.clone()))?;
            plan.check_images()?;
            Ok(plan)
        };
        let teacher = setup.teacher.map(load).transpose()?;
        let takes = |plan: &Plan| {
            let (channels, height, width) = plan.input_chw();
            [height, width, channels]
        };
        let input: [usize; 3] = executor.input_shape().into();
        if let Some(other) = teacher.as_ref().map(takes).filter(|other| *other != input) {
            return Err(TrainError::Setting {
                name: "the teacher",
                expected: "a network for images of the same height, width and channels as the one that learns",
                found: format!("{other:?} for {input:?}"),
            });
        }
        if let Some(other) = teacher.as_ref().map(Plan::output_len).filter(|n| *n != executor.classes()) {
            return Err(TrainError::Setting {
                name: "the teacher",
                expected: "a network with as many classes as the one that learns",
                found: format!("{other} for {}", executor.classes()),
            });
        }
        let optimizer = Optimizer::new(setup.optimizer, executor.weights.len());
        let ema =
            (setup.ema_decay > 0.0).then(|| Ema::new(setup.ema_decay, &executor.weights, &executor.stats));
        let form = StateForm {
            weights: shapes(executor.params()),
            stats: shapes(executor.statistics()),
            moments: match setup.optimizer {
                OptimizerConfig::Sgd { .. } => 1,
                OptimizerConfig::AdamW { .. } => 2,
            },
            averaged: ema.is_some(),
        };
        let dense = executor.batch() * executor.classes();
        Ok(Self {
            dlogits: vec![0.0; executor.logits().len()],
            rows: [dense, if teacher.is_some() { dense } else { 0 }, dense].map(|n| vec![0.0; n]),
            executor,
            teacher,
            optimizer,
            ema,
            weight_decay: setup.weight_decay,
            clip_norm: setup.clip_norm,
            form,
        })
    }

    /// Runs forward and asks for the loss.
    ///
    /// # Errors
    /// [`TrainError::Teacher`] if the teacher cannot be run.
    fn forward(&mut self, images: &[f32], seed: u64, loss: &mut LossOf<'_>) -> Result<f64, TrainError> {
        let (classes, stride) = (self.executor.classes(), self.executor.logits_stride());
        let [logits, of_teacher, gradient] = &mut self.rows;
        densify(classes, stride, self.executor.forward_train(images, seed), logits);
        if let Some(teacher) = &mut self.teacher {
            teacher.run(images, of_teacher)?;
        }
        let teacher = self.teacher.is_some().then_some(&of_teacher[..]);
        Ok(loss(Answers { logits, teacher }, gradient))
    }

    /// Runs backward from the gradient that the loss has left.
    fn backward(&mut self) {
        let (classes, stride) = (self.executor.classes(), self.executor.logits_stride());
        let [.., gradient] = &self.rows;
        // The lanes between the rows are zero from the beginning.
        for (padded, dense) in self.dlogits.chunks_exact_mut(stride).zip(gradient.chunks_exact(classes)) {
            padded[..classes].copy_from_slice(dense);
        }
        self.executor.backward(&self.dlogits);
    }

    /// Follows the gradients; returns their norm where it is no number, and does nothing then.
    fn update(&mut self, lr: f32) -> Result<(), f64> {
        let mut factor = 1.0;
        if self.clip_norm > 0.0 {
            let norm = self.executor.gradient_norm();
            if !norm.is_finite() {
                return Err(norm);
            }
            // The small constant is PyTorch's, so that both agree.
            factor = (f64::from(self.clip_norm) / (norm + 1e-6)).min(1.0) as f32;
        }
        self.executor.update(&mut self.optimizer, factor, lr, self.weight_decay);
        if let Some(ema) = &mut self.ema {
            ema.update(self.executor.context(), &self.executor.weights, &self.executor.stats);
            // The rounding of an average would move what stays.
            let [weights, stats] = self.executor.frozen();
            for range in weights {
                ema.weights[range.clone()].copy_from_slice(&self.executor.weights[range]);
            }
            for range in stats {
                ema.stats[range.clone()].copy_from_slice(&self.executor.stats[range]);
            }
        }
        Ok(())
    }

    fn take_failure(&mut self) -> Result<(), TrainError> {
        self.executor.take_failure()
    }

    /// Updates that parameters had no part in, of those that are trained later.
    fn missed(&self) -> BTreeMap<String, u64> {
        let missed = self.executor.params().iter().zip(&self.optimizer.missed).enumerate();
        let of_trained = missed.filter(|(i, (_, n))| **n > 0 && self.executor.trains(*i));
        of_trained.map(|(_, (p, n))| (p.name.clone(), *n)).collect()
    }

    /// Puts the average in the place of what is trained, or back.
    fn swap_average(&mut self) {
        if let Some(ema) = &mut self.ema {
            std::mem::swap(&mut self.executor.weights, &mut ema.weights);
            std::mem::swap(&mut self.executor.stats, &mut ema.stats);
        }
    }
}

impl Learner for CpuLearner {
    fn form(&self) -> &StateForm {
        &self.form
    }

    fn classes(&self) -> usize {
        self.executor.classes()
    }

    fn input(&self) -> [usize; 3] {
        self.executor.input_shape().into()
    }

    fn statistics_window(&self) -> Option<f64> {
        self.executor.statistics_window()
    }

    fn step(&mut self, images: &[f32], update: Update, loss: &mut LossOf<'_>) -> Result<f64, TrainError> {
        self.executor.set_epoch(update.epoch);
        let mut loss = self.forward(images, update.seed, loss)?;
        if loss.is_finite() {
            self.backward();
            if let Err(norm) = self.update(update.lr) {
                loss = norm;
            }
        }
        self.take_failure()?;
        Ok(loss)
    }

    fn gradients(&mut self, images: &[f32], loss: &mut LossOf<'_>) -> Result<Tensors, TrainError> {
        self.forward(images, 0, loss)?;
        self.backward();
        self.take_failure()?;
        Ok(unpack(self.executor.params(), &self.executor.grads))
    }

    fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>, TrainError> {
        let (classes, stride) = (self.executor.classes(), self.executor.logits_stride());
        let [height, width, channels] = self.input();
        let n = images.len() / (height * width * channels);
        self.swap_average();
        let mut dense = vec![0.0; n * classes];
        densify(classes, stride, self.executor.forward_eval(images), &mut dense);
        self.swap_average();
        self.take_failure()?;
        Ok(dense)
    }

    fn measure_statistics(
        &mut self,
        batches: &mut dyn Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<usize, TrainError> {
        self.swap_average();
        let images = self.executor.estimate_statistics(batches);
        self.swap_average();
        let images = images?;
        self.take_failure()?;
        Ok(images)
    }

    fn deployed(&self) -> Result<Deployed, TrainError> {
        let (weights, stats) = match &self.ema {
            Some(ema) => (ema.weights(), ema.stats()),
            None => (&self.executor.weights[..], &self.executor.stats[..]),
        };
        Ok(Deployed {
            weights: unpack(self.executor.params(), weights),
            stats: unpack(self.executor.statistics(), stats),
        })
    }

    fn state(&self) -> Result<State, TrainError> {
        let (weights, stats) = (self.executor.params(), self.executor.statistics());
        let average = self.ema.as_ref();
        Ok(State {
            weights: unpack(weights, &self.executor.weights),
            stats: unpack(stats, &self.executor.stats),
            first: unpack(weights, &self.optimizer.first),
            second: unpack(weights, &self.optimizer.second),
            averaged: unpack(weights, average.map_or(&[], |ema| &ema.weights)),
            averaged_stats: unpack(stats, average.map_or(&[], |ema| &ema.stats)),
            updates: self.optimizer.step,
            averaged_updates: average.map_or(0, |ema| ema.updates),
            missed: self.missed(),
        })
    }

    fn set_state(&mut self, state: &State) -> Result<(), TrainError> {
        self.form.check(state)?;
        let (weights, stats) = (self.executor.params(), self.executor.statistics());
        self.optimizer.first = pack(weights, &state.first);
        self.optimizer.second = pack(weights, &state.second);
        self.optimizer.step = state.updates;
        let missed = |p: &Param| state.missed.get(&p.name).copied().unwrap_or(0);
        self.optimizer.missed = weights.iter().map(missed).collect();
        if let Some(ema) = &mut self.ema {
            ema.weights = pack(weights, &state.averaged);
            ema.stats = pack(stats, &state.averaged_stats);
            ema.updates = state.averaged_updates;
        }
        let (weights, stats) = (pack(weights, &state.weights), pack(stats, &state.stats));
        (self.executor.weights, self.executor.stats) = (weights, stats);
        Ok(())
    }
}

fn shapes(set: &ParamSet) -> Shapes {
    set.iter().map(|p| (p.name.clone(), p.shape.clone())).collect()
}

/// The tensors of a flat buffer; none of an empty one.
fn unpack(set: &ParamSet, flat: &[f32]) -> Tensors {
    if flat.is_empty() {
        return Tensors::new();
    }
    set.iter().map(|p| (p.name.clone(), p.unpack(&flat[p.range()]))).collect()
}

/// The flat buffer of tensors that are known to fit; an empty one of none.
fn pack(set: &ParamSet, tensors: &Tensors) -> Vec<f32> {
    if tensors.is_empty() {
        return Vec::new();
    }
    let mut flat = vec![0.0; set.len()];
    for p in set {
        let tensor = tensors.get(&p.name).and_then(|tensor| tensor.as_f32()).unwrap_or(&[]);
        p.pack(tensor, &mut flat[p.range()]);
    }
    flat
}

/// The numbers of padded rows without what is between them.
fn densify(classes: usize, stride: usize, padded: &[f32], dense: &mut [f32]) {
    for (dense, padded) in dense.chunks_exact_mut(classes).zip(padded.chunks_exact(stride)) {
        dense.copy_from_slice(&padded[..classes]);
    }
}
