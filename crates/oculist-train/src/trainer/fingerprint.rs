//! What a checkpoint belongs to.

use oculist_files::Hasher;
use oculist_graph::{Graph, TensorData};

use super::{Trainer, TrainingData};

/// Digest of everything that determines the result, weights included, so that a resumed run cannot silently mix two.
pub(super) fn fingerprint(trainer: &Trainer<'_>, graph: &Graph, data: &dyn TrainingData) -> String {
    let mut hasher = Hasher::new();
    hasher.part(serde_json::to_string(trainer.config).unwrap_or_default().as_bytes());
    hasher.part(data.describe().as_bytes());
    hasher.part(format!("{} {:?}", trainer.ctx.threads(), trainer.ctx.isa()).as_bytes());
    for graph in [Some(graph), trainer.teacher].into_iter().flatten() {
        hasher.part(graph.dump().as_bytes());
        for (_, value, tensor) in graph.params() {
            hasher.part(value.name.as_bytes());
            let bytes: Vec<u8> = match tensor.data() {
                TensorData::F32(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
                TensorData::I32(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
                TensorData::I64(x) => x.iter().flat_map(|x| x.to_le_bytes()).collect(),
                TensorData::I8(x) => x.iter().map(|x| x.cast_unsigned()).collect(),
                TensorData::U8(x) => x.clone(),
            };
            hasher.part(&bytes);
        }
    }
    hasher.finish().to_string()
}
