//! An engine that keeps nothing but the state in the graph's layout.
//!
//! Each call loads a new learner of the CPU, gives it the state, and takes the state away again. So whatever a step needs
//! goes through the form that engines share, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use oculist_data::Batch;
use oculist_graph::Graph;
use oculist_train::{
    Cpu, Deployed, Engine, Learner, LossOf, Setup, State, StateForm, Tensors, TrainError, Tuning, Update,
};

#[derive(Debug)]
pub(in super::super) struct Converting {
    cpu: Cpu,
    identity: String,
    /// Learners that were loaded and thrown away.
    loads: Arc<AtomicUsize>,
}

impl Converting {
    /// With the bits of `cpu`, which is said by its identity.
    pub(in super::super) fn new(cpu: &Cpu) -> Self {
        Self { cpu: cpu.clone(), identity: cpu.identity(), loads: Arc::default() }
    }

    /// The same under another name.
    pub(in super::super) fn named(self, identity: &str) -> Self {
        Self { identity: identity.to_owned(), ..self }
    }

    pub(in super::super) fn loads(&self) -> usize {
        self.loads.load(Ordering::Relaxed)
    }
}

impl Engine for Converting {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn check(&self, graph: &Graph, rows: usize) -> Result<usize, TrainError> {
        self.cpu.check(graph, rows)
    }

    fn load(&self, graph: &Graph, setup: &Setup<'_>) -> Result<Box<dyn Learner>, TrainError> {
        let first = self.cpu.load(graph, setup)?;
        Ok(Box::new(Stateless {
            cpu: self.cpu.clone(),
            graph: graph.clone(),
            teacher: setup.teacher.cloned(),
            setup: super::alone(setup),
            tuning: setup.tuning.clone(),
            state: first.state()?,
            first,
            loads: self.loads.clone(),
        }))
    }
}

#[derive(Debug)]
struct Stateless {
    cpu: Cpu,
    graph: Graph,
    teacher: Option<Graph>,
    setup: Setup<'static>,
    tuning: Tuning,
    state: State,
    /// Asked for what does not change.
    first: Box<dyn Learner>,
    loads: Arc<AtomicUsize>,
}

impl Stateless {
    fn anew(&self) -> Result<Box<dyn Learner>, TrainError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let mut learner = self.cpu.load(
            &self.graph,
            &Setup { teacher: self.teacher.as_ref(), tuning: &self.tuning, ..self.setup },
        )?;
        learner.set_state(&self.state)?;
        Ok(learner)
    }
}

impl Learner for Stateless {
    fn form(&self) -> &StateForm {
        self.first.form()
    }

    fn classes(&self) -> usize {
        self.first.classes()
    }

    fn input(&self) -> [usize; 3] {
        self.first.input()
    }

    fn statistics_window(&self) -> Option<f64> {
        self.first.statistics_window()
    }

    fn step(&mut self, images: &[f32], update: Update, loss: &mut LossOf<'_>) -> Result<f64, TrainError> {
        let mut learner = self.anew()?;
        let loss = learner.step(images, update, loss)?;
        self.state = learner.state()?;
        Ok(loss)
    }

    fn gradients(&mut self, images: &[f32], loss: &mut LossOf<'_>) -> Result<Tensors, TrainError> {
        self.anew()?.gradients(images, loss)
    }

    fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>, TrainError> {
        self.anew()?.logits(images)
    }

    fn measure_statistics(
        &mut self,
        batches: &mut dyn Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<usize, TrainError> {
        let mut learner = self.anew()?;
        let images = learner.measure_statistics(batches)?;
        self.state = learner.state()?;
        Ok(images)
    }

    fn deployed(&self) -> Result<Deployed, TrainError> {
        self.anew()?.deployed()
    }

    fn state(&self) -> Result<State, TrainError> {
        Ok(self.state.clone())
    }

    fn set_state(&mut self, state: &State) -> Result<(), TrainError> {
        self.form().check(state)?;
        self.state = state.clone();
        Ok(())
    }
}
