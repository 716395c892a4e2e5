//! What a checkpoint belongs to.

use oculist_data::Task;
use oculist_files::Hasher;
use oculist_graph::{Graph, TensorData};

use super::{Trainer, TrainingData};

/// Digest of everything that determines the result, weights included, so that a resumed run cannot silently mix two.
pub(super) fn fingerprint(trainer: &Trainer<'_>, graph: &Graph, data: &dyn TrainingData) -> String {
    let mut hasher = Hasher::new();
    hasher.part(serde_json::to_string(trainer.config).unwrap_or_default().as_bytes());
    hasher.part(data.describe().as_bytes());
    if data.task() != Task::SingleLabel {
        hasher.part(data.task().name().as_bytes());
    }
    hasher.part(trainer.engine.identity().as_bytes());
    for graph in [Some(graph), trainer.teacher].into_iter().flatten() {
        hasher.part(graph.dump().as_bytes());
        for (_, value, tensor) in graph.params() {
            hasher.part(value.name.as_bytes());
            macro_rules! bytes {
                ($values:expr) => {
                    $values.iter().flat_map(|x| x.to_le_bytes()).collect()
                };
            }
            let bytes: Vec<u8> = match tensor.data() {
                TensorData::F32(x) => bytes!(x),
                TensorData::F64(x) => bytes!(x),
                TensorData::F16(x) => bytes!(x),
                TensorData::BF16(x) => bytes!(x),
                TensorData::U16(x) => bytes!(x),
                TensorData::I16(x) => bytes!(x),
                TensorData::U32(x) => bytes!(x),
                TensorData::I32(x) => bytes!(x),
                TensorData::U64(x) => bytes!(x),
                TensorData::I64(x) => bytes!(x),
                TensorData::I8(x) | TensorData::I4(x) => bytes!(x),
                TensorData::U8(x) | TensorData::U4(x) => x.clone(),
                TensorData::Bool(x) => x.iter().map(|&x| x.into()).collect(),
            };
            hasher.part(&bytes);
        }
    }
    hasher.finish().to_string()
}
