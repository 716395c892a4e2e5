//! AugMix's loss: three views of an image are to be answered alike.

use oculist_kernels::Rows;

use super::Criterion;
use crate::config::VIEWS;

impl Criterion {
    /// The mean loss of a batch in which each image has three views, and its gradient with respect to the logits.
    ///
    /// `L = 1 / n * sum over images of l(z_0) + weight * JS(p_0, p_1, p_2)` with this criterion's loss l on the first
    /// view, `p_v = softmax(z_v)` and the Jensen-Shannon divergence
    /// `JS = 1/3 * sum over v of KL(p_v || (p_0 + p_1 + p_2) / 3)`, which lies between 0 and ln 3. The gradient of JS
    /// with respect to the logits of view v is `p_v * (log(p_v / m) - KL(p_v || m)) / 3`, m being the mean. The gradient
    /// goes through all three views.
    ///
    /// # Shapes
    /// `logits`, `gradient`: `[labels.len() * 3, stride]`, the three views of an image in a row; padded lanes of the
    /// gradient are 0.
    ///
    /// # Panics
    /// If a label is not below the number of classes, or a slice is shorter than the shape says.
    ///
    /// # Source
    /// Hendrycks et al., "AugMix", ICLR 2020, equation 2. Their code bounds m from below by 1e-7; here logarithms are
    /// taken of logits in f64, which needs no bound.
    pub fn consistency_loss_and_gradient(
        &self,
        labels: &[u32],
        weight: f32,
        logits: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        let shape = Rows::new(labels.len(), self.classes);
        let stride = shape.stride();
        let group = VIEWS * stride;
        assert!(logits.len() >= labels.len() * group && gradient.len() >= labels.len() * group);
        let logits = &logits[..labels.len() * group];
        let first: Vec<f32> =
            logits.chunks_exact(group).flat_map(|views| &views[..stride]).copied().collect();
        let mut first_gradient = vec![0.0; shape.len()];
        let loss = self.loss_and_gradient(labels, None, &first, &mut first_gradient);
        let scale = f64::from(weight) / labels.len() as f64;
        let mut divergence = 0.0;
        let mut scratch = [const { Vec::new() }; VIEWS];
        for ((views, gradient), first) in logits
            .chunks_exact(group)
            .zip(gradient.chunks_exact_mut(group))
            .zip(first_gradient.chunks(stride))
        {
            divergence += jensen_shannon(self.classes, stride, views, scale, gradient, &mut scratch);
            gradient.iter_mut().zip(first).for_each(|(g, first)| *g += first);
        }
        loss + scale * divergence
    }
}

/// The divergence of the views of one image; writes its gradient times `scale`.
fn jensen_shannon(
    k: usize,
    stride: usize,
    views: &[f32],
    scale: f64,
    gradient: &mut [f32],
    log_p: &mut [Vec<f64>; VIEWS],
) -> f64 {
    for (log_p, z) in log_p.iter_mut().zip(views.chunks_exact(stride)) {
        let largest = z[..k].iter().fold(f32::NEG_INFINITY, |m, z| m.max(*z));
        let sum: f64 = z[..k].iter().map(|z| f64::from(z - largest).exp()).sum();
        log_p.clear();
        log_p.extend(z[..k].iter().map(|z| f64::from(z - largest) - sum.ln()));
    }
    // log m by its largest term, so that it is as exact as the logits where all three are tiny.
    let log_mean: Vec<f64> = (0..k)
        .map(|c| {
            let largest = log_p.iter().fold(f64::NEG_INFINITY, |m, log_p| m.max(log_p[c]));
            let sum: f64 = log_p.iter().map(|log_p| (log_p[c] - largest).exp()).sum();
            largest + (sum / VIEWS as f64).ln()
        })
        .collect();
    let mut total = 0.0;
    for (log_p, g) in log_p.iter().zip(gradient.chunks_exact_mut(stride)) {
        let terms = || log_p.iter().zip(&log_mean).map(|(log_p, log_m)| (log_p.exp(), log_p - log_m));
        let divergence: f64 = terms().map(|(p, log_ratio)| p * log_ratio).sum();
        for (g, (p, log_ratio)) in g.iter_mut().zip(terms()) {
            *g = (scale / VIEWS as f64 * p * (log_ratio - divergence)) as f32;
        }
        g[k..].fill(0.0);
        total += divergence / VIEWS as f64;
    }
    total
}
