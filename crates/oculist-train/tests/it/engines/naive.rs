//! An engine without any kernel: the interpreter runs the graph in f64, and gradients are differences of its answers.
//!
//! It knows networks without statistics and dropout, images of one channel, and plain SGD with momentum.

use std::collections::BTreeMap;

use oculist_data::Batch;
use oculist_graph::{Graph, Tensor, ValueId};
use oculist_testing::interpret::{self, Array};
use oculist_train::{
    Answers, Deployed, Engine, Learner, LossOf, OptimizerConfig, Setup, State, StateForm, Tensors,
    TrainError, Update,
};

/// How far a weight is moved to see what the logits do.
const STEP: f32 = 1.0 / 65536.0;

#[derive(Debug)]
pub(in super::super) struct Naive {
    /// A factor on the momentum: 1, or what is to be noticed.
    pub(in super::super) momentum: f32,
}

impl Engine for Naive {
    fn identity(&self) -> String {
        "interpreter".into()
    }

    fn check(&self, _graph: &Graph, _rows: usize) -> Result<usize, TrainError> {
        Ok(0)
    }

    fn load(&self, graph: &Graph, setup: &Setup<'_>) -> Result<Box<dyn Learner>, TrainError> {
        let OptimizerConfig::Sgd { momentum, nesterov: false } = setup.optimizer else {
            panic!("expected plain momentum, found {:?}", setup.optimizer);
        };
        let (c, h, w) = graph.input_chw().expect("images");
        assert!(c == 1 && setup.teacher.is_none(), "one channel, no teacher");
        let weights: Tensors =
            graph.params().map(|(_, value, tensor)| (value.name.clone(), tensor.clone())).collect();
        let zeros: Tensors =
            weights.iter().map(|(name, t)| (name.clone(), Tensor::filled(t.shape(), 0.0))).collect();
        let averaged = setup.ema_decay > 0.0;
        let form = StateForm {
            weights: weights.iter().map(|(name, t)| (name.clone(), t.shape().to_vec())).collect(),
            stats: BTreeMap::new(),
            moments: 1,
            averaged,
        };
        let average = if averaged { weights.clone() } else { Tensors::new() };
        let state = State { weights, first: zeros, averaged: average, ..State::default() };
        Ok(Box::new(Interpreted {
            ids: graph.params().map(|(id, value, _)| (value.name.clone(), id)).collect(),
            graph: graph.clone(),
            setup: super::alone(setup),
            momentum: momentum * self.momentum,
            input: [h, w, 1],
            form,
            state,
        }))
    }
}

#[derive(Debug)]
struct Interpreted {
    graph: Graph,
    ids: BTreeMap<String, ValueId>,
    setup: Setup<'static>,
    momentum: f32,
    input: [usize; 3],
    form: StateForm,
    state: State,
}

impl Interpreted {
    fn put(&mut self, weights: &Tensors) {
        for (name, tensor) in weights {
            self.graph.set_param(self.ids[name], tensor.clone());
        }
    }

    fn run(&self, images: &[f32]) -> Vec<f64> {
        let [h, w, _] = self.input;
        let x = Array::from_f32(&[images.len() / (h * w), 1, h, w], images);
        interpret::run(&self.graph, &[x]).output(0).data().to_vec()
    }

    /// The loss, and the slope of each weight.
    fn slopes(&mut self, images: &[f32], loss: &mut LossOf<'_>) -> (f64, BTreeMap<String, Vec<f64>>) {
        let weights = self.state.weights.clone();
        self.put(&weights);
        let logits: Vec<f32> = self.run(images).iter().map(|z| *z as f32).collect();
        let mut dlogits = vec![0.0; logits.len()];
        let value = loss(Answers { logits: &logits, teacher: None }, &mut dlogits);
        let mut slopes = BTreeMap::new();
        for (name, tensor) in &weights {
            let own = tensor.as_f32().expect("floats");
            let mut of_all = Vec::new();
            for i in 0..own.len() {
                let mut at = |step: f32| {
                    let mut moved = own.to_vec();
                    moved[i] += step;
                    let place = f64::from(moved[i]);
                    self.graph.set_param(self.ids[name], Tensor::f32(tensor.shape(), moved));
                    (place, self.run(images))
                };
                let ((to, up), (from, down)) = (at(STEP), at(-STEP));
                let rise: f64 =
                    up.iter().zip(&down).zip(&dlogits).map(|((u, d), g)| (u - d) * f64::from(*g)).sum();
                of_all.push(rise / (to - from));
            }
            self.graph.set_param(self.ids[name], tensor.clone());
            slopes.insert(name.clone(), of_all);
        }
        (value, slopes)
    }

    /// `mean = d * mean + (1 - d) * now`.
    fn average(&mut self) {
        self.state.averaged_updates += 1;
        let t = self.state.averaged_updates as f32;
        let d = self.setup.ema_decay.min((t - 1.0) / (t + 8.0));
        for (name, mean) in &mut self.state.averaged {
            let now = self.state.weights[name].as_f32().expect("floats");
            for (m, w) in mean.as_f32_mut().expect("floats").iter_mut().zip(now) {
                *m = d * *m + (1.0 - d) * w;
            }
        }
    }
}

impl Learner for Interpreted {
    fn form(&self) -> &StateForm {
        &self.form
    }

    fn classes(&self) -> usize {
        let [h, w, _] = self.input;
        self.run(&vec![0.0; h * w]).len()
    }

    fn input(&self) -> [usize; 3] {
        self.input
    }

    fn statistics_window(&self) -> Option<f64> {
        None
    }

    fn step(&mut self, images: &[f32], update: Update, loss: &mut LossOf<'_>) -> Result<f64, TrainError> {
        let (value, slopes) = self.slopes(images, loss);
        let norm = slopes.values().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let clip = f64::from(self.setup.clip_norm);
        let factor = if clip > 0.0 { (clip / (norm + 1e-6)).min(1.0) } else { 1.0 };
        for (name, slopes) in slopes {
            let weights = self.state.weights.get_mut(&name).expect("a weight");
            let decay = if weights.shape().len() > 1 { self.setup.weight_decay } else { 0.0 };
            let moments = self.state.first.get_mut(&name).expect("a moment");
            let pairs = weights.as_f32_mut().expect("floats").iter_mut();
            for ((w, v), g) in pairs.zip(moments.as_f32_mut().expect("floats")).zip(slopes) {
                *v = self.momentum * *v + (factor * g) as f32 + decay * *w;
                *w -= update.lr * *v;
            }
        }
        self.state.updates += 1;
        if self.form.averaged {
            self.average();
        }
        Ok(value)
    }

    fn gradients(&mut self, images: &[f32], loss: &mut LossOf<'_>) -> Result<Tensors, TrainError> {
        let (_, slopes) = self.slopes(images, loss);
        let tensor = |(name, slopes): (String, Vec<f64>)| {
            let data = slopes.into_iter().map(|g| g as f32).collect();
            let shape = &self.form.weights[&name];
            let tensor = Tensor::f32(shape, data);
            (name, tensor)
        };
        Ok(slopes.into_iter().map(tensor).collect())
    }

    fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>, TrainError> {
        let deployed = self.deployed()?.weights;
        self.put(&deployed);
        Ok(self.run(images).iter().map(|z| *z as f32).collect())
    }

    fn measure_statistics(
        &mut self,
        _batches: &mut dyn Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<usize, TrainError> {
        panic!("there are no statistics")
    }

    fn deployed(&self) -> Result<Deployed, TrainError> {
        let State { weights, averaged, .. } = &self.state;
        let weights = if self.form.averaged { averaged.clone() } else { weights.clone() };
        Ok(Deployed { weights, ..Deployed::default() })
    }

    fn state(&self) -> Result<State, TrainError> {
        Ok(self.state.clone())
    }

    fn set_state(&mut self, state: &State) -> Result<(), TrainError> {
        self.form.check(state)?;
        self.state = state.clone();
        Ok(())
    }
}
