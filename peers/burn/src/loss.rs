//! Softmax cross-entropy with label smoothing.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};

/// The smoothed targets `q = (1 - e) * onehot + e / K`.
///
/// # Shapes
/// `[labels.len(), classes]`.
///
/// # Panics
/// If a label is not below `classes`.
///
/// # Source
/// Szegedy et al. 2016.
pub fn smoothed_targets(labels: &[u32], classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
    let mut targets = vec![smoothing / classes as f32; labels.len() * classes];
    for (row, &label) in targets.chunks_mut(classes).zip(labels) {
        row[label as usize] += 1.0 - smoothing;
    }
    Tensor::from_data(TensorData::new(targets, [labels.len(), classes]), device)
}

/// The mean over the batch of `-sum_k q_k log softmax(logits)_k`.
///
/// # Shapes
/// `logits`, `targets`: `[batch, classes]`; the result has one element.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let batch = logits.dims()[0];
    (log_softmax(logits, 1) * targets).sum().div_scalar(-(batch as f32))
}
