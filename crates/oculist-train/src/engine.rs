//! The seam for devices: what the training loop asks of whatever trains a graph.
//!
//! An [`Engine`] loads a graph for a batch size and gives a [`Learner`], which holds the weights, their statistics, the
//! optimiser's moments, the moving average and the teacher, wherever it likes and packed as it likes. What goes in and
//! comes out has one form for all engines: images as batches hold them, logits row by row, and the state as tensors of
//! the graph's layout under the graph's names. So a checkpoint of one engine can be read by any other.
//!
//! The loop (epochs, schedule, mixing, loss, validation, choice of weights, checkpoints) knows nothing but these traits.

mod state;

use std::fmt::Debug;

use oculist_data::Batch;
use oculist_graph::Graph;

use crate::config::TrainConfig;
use crate::error::TrainError;
use crate::optimizer::OptimizerConfig;
use crate::tuning::{self, Tuning};
pub(crate) use state::same_bits;
pub use state::{Deployed, Shapes, State, StateForm, Tensors};

/// Something that trains graphs.
pub trait Engine: Debug + Send + Sync {
    /// What the bits of a result depend on beside graph, data and settings: a checkpoint is gone on with only where this
    /// is the same.
    fn identity(&self) -> String;

    /// Looks whether [`load`](Self::load) would refuse a graph for batches of so many rows, without taking memory;
    /// returns the bytes of its buffers.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    fn check(&self, graph: &Graph, rows: usize) -> Result<usize, TrainError>;

    /// Plans a graph and takes over its parameters.
    ///
    /// # Errors
    /// [`TrainError::Unsupported`] naming the node that cannot be trained; [`TrainError::NothingToTrain`];
    /// [`TrainError::Kernel`] where the memory does not suffice; [`TrainError::Graph`] for an invalid graph;
    /// [`TrainError::Setting`] for a teacher that answers with other classes; [`TrainError::Tuning`] for a rule of a
    /// parameter that is not there, or rules that leave nothing to train in the first epoch.
    fn load(&self, graph: &Graph, setup: &Setup<'_>) -> Result<Box<dyn Learner>, TrainError>;
}

/// What a learner is loaded for.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// Rows of a batch.
    pub rows: usize,
    /// The rule that updates the weights.
    pub optimizer: OptimizerConfig,
    /// Weight decay of weights with more than one axis, but for those with an anchor; norms and biases have none.
    pub weight_decay: f32,
    /// Largest norm of all gradients together; 0 for any.
    pub clip_norm: f32,
    /// Decay of the moving average of weights and statistics ([`Ema`](crate::Ema) has the formula); 0 for none.
    pub ema_decay: f32,
    /// Whose logits the loss is told beside the learner's own: any network that the engine can run, of the same input and as many
    /// classes.
    pub teacher: Option<&'a Graph>,
    /// How each parameter is trained.
    pub tuning: &'a Tuning,
}

impl<'a> Setup<'a> {
    /// What gradients need: nothing is updated.
    pub fn plain(rows: usize) -> Self {
        let optimizer = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false };
        Self {
            rows,
            optimizer,
            weight_decay: 0.0,
            clip_norm: 0.0,
            ema_decay: 0.0,
            teacher: None,
            tuning: &tuning::PLAIN,
        }
    }

    /// What a training run needs.
    pub fn of(config: &'a TrainConfig, teacher: Option<&'a Graph>) -> Self {
        let TrainConfig { optimizer, weight_decay, clip_norm, ema_decay, .. } = *config;
        let (rows, tuning) = (config.rows(), &config.tuning);
        Self { rows, optimizer, weight_decay, clip_norm, ema_decay, teacher, tuning }
    }
}

/// What the loss is told of a batch, `[rows, classes]` dense.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// The learner's logits.
    pub logits: &'a [f32],
    /// The teacher's, if there is one.
    pub teacher: Option<&'a [f32]>,
}

/// The loss of a batch; also writes its gradient with respect to the logits, `[rows, classes]` dense.
pub type LossOf<'a> = dyn FnMut(Answers<'_>, &mut [f32]) -> f64 + 'a;

/// What one update is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Learning rate.
    pub lr: f32,
    /// What dropout draws from; no two updates of a run have the same.
    pub seed: u64,
    /// Epoch, from 0: from which on a parameter is trained is told by [`Rule::from`](crate::Rule::from).
    pub epoch: usize,
}

/// A graph that is being trained.
///
/// # Shapes
/// `images`: `[rows, height, width, channels]` dense.
pub trait Learner: Debug {
    /// Names and shapes of its state.
    fn form(&self) -> &StateForm;

    /// Logits of a row.
    fn classes(&self) -> usize;

    /// Height, width and channels of an image.
    fn input(&self) -> [usize; 3];

    /// Updates after which running statistics have mostly forgotten: `1 / (1 - momentum)` of the slowest normalisation;
    /// `None` without any, or where all are frozen.
    fn statistics_window(&self) -> Option<f64>;

    /// One update: forward with the statistics of the batch, loss, backward, clipping, the optimiser's rule, the average.
    /// Parameters and statistics that are frozen in the epoch stay as they are, bit for bit, and so do their averages; they
    /// have no part in the norm of the gradients.
    ///
    /// Returns the loss. Where the loss or the norm of the gradients is no finite number, that number is returned and
    /// weights, moments and average stay as they were.
    ///
    /// # Errors
    /// [`TrainError::Plain`] naming the node that could not be computed; the state is then lost.
    fn step(&mut self, images: &[f32], update: Update, loss: &mut LossOf<'_>) -> Result<f64, TrainError>;

    /// The gradients that a step (of seed 0) would follow, by the names of the weights; nothing is updated but the
    /// running statistics.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    fn gradients(&mut self, images: &[f32], loss: &mut LossOf<'_>) -> Result<Tensors, TrainError>;

    /// The logits of the network as it is deployed: averaged weights if there are any, running statistics, no dropout.
    ///
    /// # Shapes
    /// At most as many images as a batch has; returns `[n, classes]` dense.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>, TrainError>;

    /// Replaces the running statistics of the deployed weights by mean and unbiased variance over all pixels of these
    /// batches, each normalised by itself, without dropout. Empty batches are passed over. Returns the number of images.
    ///
    /// # Errors
    /// That of the first batch that cannot be had; the statistics then stay. Else as [`step`](Self::step).
    fn measure_statistics(
        &mut self,
        batches: &mut dyn Iterator<Item = Result<Batch, TrainError>>,
    ) -> Result<usize, TrainError>;

    /// The weights and statistics that [`logits`](Self::logits) uses.
    ///
    /// # Errors
    /// [`TrainError`] where the device does not give them.
    fn deployed(&self) -> Result<Deployed, TrainError>;

    /// All that training goes on from.
    ///
    /// # Errors
    /// [`TrainError`] where the device does not give it.
    fn state(&self) -> Result<State, TrainError>;

    /// Goes on from a state, whichever engine it comes from.
    ///
    /// # Errors
    /// [`TrainError::State`] naming the tensor that is missing, of another shape or too many; nothing is taken then.
    fn set_state(&mut self, state: &State) -> Result<(), TrainError>;
}
