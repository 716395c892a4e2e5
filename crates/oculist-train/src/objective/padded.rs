//! Losses are computed by kernels that want the rows of logits padded.

use oculist_kernels::channel_stride;

use crate::loss::Distillation;

/// Calls `loss` with logits, teacher's logits and gradient in padded rows, and gives the gradient back in dense ones.
pub(super) fn on_padded_rows(
    classes: usize,
    teacher: Option<&Distillation<'_>>,
    logits: &[f32],
    gradient: &mut [f32],
    loss: impl FnOnce(Option<&Distillation<'_>>, &[f32], &mut [f32]) -> f64,
) -> f64 {
    let stride = channel_stride(classes);
    if stride == classes {
        return loss(teacher, logits, gradient);
    }
    let pad = |dense: &[f32]| {
        let mut padded = vec![0.0; dense.len() / classes * stride];
        for (padded, dense) in padded.chunks_exact_mut(stride).zip(dense.chunks_exact(classes)) {
            padded[..classes].copy_from_slice(dense);
        }
        padded
    };
    let of_teacher = teacher.map(|teacher| pad(teacher.logits));
    let teacher =
        teacher.zip(of_teacher.as_deref()).map(|(teacher, logits)| Distillation { logits, ..*teacher });
    let mut padded = vec![0.0; gradient.len() / classes * stride];
    let value = loss(teacher.as_ref(), &pad(logits), &mut padded);
    for (dense, padded) in gradient.chunks_exact_mut(classes).zip(padded.chunks_exact(stride)) {
        dense.copy_from_slice(&padded[..classes]);
    }
    value
}
