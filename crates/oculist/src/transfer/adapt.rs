//! A source's batch normalisations on the images at hand.

use oculist_graph::Graph;
use oculist_train::Setup;

use crate::error::OculistError;
use crate::session::Session;
use crate::summary::counted;
use crate::training_data::TrainingImages;

/// Images over which statistics are measured, about.
const IMAGES: usize = 512;

/// The network with the running statistics of its batch normalisations measured over training images, as fine-tuning augments
/// them; as it is where it has none.
///
/// Fine-tuning normalises by the batch. What a head was taught on features by the source's own statistics is worth little there
/// where the images are of another kind: its first updates would have to undo that.
///
/// # Errors
/// [`OculistError::Train`] for a network that cannot be trained; as for reading the images.
///
/// # Source
/// Li et al., "Revisiting Batch Normalization For Practical Domain Adaptation", 2016 (AdaBN), over a sample of the images.
pub(crate) fn adapted(session: &Session<'_>, network: &Graph) -> Result<Graph, OculistError> {
    let config = session.config();
    let data = TrainingImages::new(session.source(), config, &config.finetune, session.cache_bytes())?;
    let rows = config.finetune.rows();
    let mut learner = session.engine().load(network, &Setup::plain(rows))?;
    if learner.statistics_window().is_none() {
        return Ok(network.clone());
    }
    let mut batches = oculist_train::TrainingData::epoch(&data, 0)?.take(IMAGES.div_ceil(rows).max(1));
    let images = learner.measure_statistics(&mut batches)?;
    let mut graph = network.clone();
    learner.deployed()?.store(&mut graph);
    session.note(&format!(
        "running statistics of batch normalisations measured over {}",
        counted(images, "training image", "training images")
    ));
    Ok(graph)
}
