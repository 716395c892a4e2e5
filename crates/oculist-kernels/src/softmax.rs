//! Softmax and the cross-entropy loss.

use crate::layout::Rows;

/// What a classifier should have answered.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a> {
    /// A class index per row, smoothed: the target distribution is
    /// `(1 - smoothing) * one_hot + smoothing / classes`.
    Labels {
        /// `[rows]`, each below the number of classes.
        labels: &'a [u32],
        /// Label smoothing, 0..=1.
        smoothing: f32,
    },
    /// A distribution per row, `[rows, stride]`, padded lanes 0.
    Soft(&'a [f32]),
}

/// `log(sum(exp(row * factor)))` and the row's maximum times `factor`, in f64.
fn log_sum_exp(row: &[f32], factor: f64) -> f64 {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let max = f64::from(max) * factor;
    max + row.iter().map(|z| (f64::from(*z) * factor - max).exp()).sum::<f64>().ln()
}

/// `y = softmax(x / temperature)` over the classes of each row; padded lanes 0.
///
/// # Shapes
/// `x`, `y`: `[rows, stride]`, `shape.channels` is the number of classes.
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn softmax(shape: Rows, temperature: f32, x: &[f32], y: &mut [f32]) {
    per_row(shape, temperature, x, y, f64::exp);
}

/// `y = log(softmax(x / temperature))` over the classes of each row; padded lanes 0.
///
/// # Shapes
/// As [`softmax`].
///
/// # Panics
/// When a slice is shorter than the shape says.
pub fn log_softmax(shape: Rows, temperature: f32, x: &[f32], y: &mut [f32]) {
    per_row(shape, temperature, x, y, |z| z);
}

fn per_row(shape: Rows, temperature: f32, x: &[f32], y: &mut [f32], f: impl Fn(f64) -> f64) {
    if shape.is_empty() {
        return;
    }
    let (stride, k) = (shape.stride(), shape.channels);
    let factor = 1.0 / f64::from(temperature);
    let (x, y) = (&x[..shape.len()], &mut y[..shape.len()]);
    for (x, y) in x.chunks_exact(stride).zip(y.chunks_exact_mut(stride)) {
        let norm = log_sum_exp(&x[..k], factor);
        for (y, x) in y[..k].iter_mut().zip(x) {
            *y = f(f64::from(*x) * factor - norm) as f32;
        }
        y[k..].fill(0.0);
    }
}

/// Cross-entropy `-sum over classes of target * log(softmax(logits / temperature))`: returns the sum over rows.
///
/// `losses` gets the loss of each row; `dlogits` gets `gradient_factor * d(sum)/dlogits`, so pass
/// `1 / rows` for the gradient of the mean.
///
/// # Shapes
/// `logits`, `dlogits`: `[rows, stride]`, `shape.channels` is the number of classes; `losses`: `[rows]`.
///
/// # Panics
/// When a slice is shorter than the shape says, or a label is not below the number of classes.
pub fn softmax_cross_entropy(
    shape: Rows,
    temperature: f32,
    logits: &[f32],
    targets: Targets,
    gradient_factor: f32,
    mut dlogits: Option<&mut [f32]>,
    mut losses: Option<&mut [f32]>,
) -> f64 {
    let (stride, k) = (shape.stride(), shape.channels);
    let factor = 1.0 / f64::from(temperature);
    let mut total = 0.0;
    for row in 0..shape.rows {
        let x = &logits[row * stride..][..k];
        let target = |c: usize| match targets {
            Targets::Labels { labels, smoothing } => {
                let label = labels[row] as usize;
                assert!(label < k, "label {label} of row {row} is not below {k} classes");
                let smoothing = f64::from(smoothing);
                smoothing / k as f64 + if c == label { 1.0 - smoothing } else { 0.0 }
            }
            Targets::Soft(soft) => f64::from(soft[row * stride + c]),
        };
        let norm = log_sum_exp(x, factor);
        let mut loss = 0.0;
        let mut mass = 0.0;
        for (c, x) in x.iter().enumerate() {
            let t = target(c);
            mass += t;
            loss -= t * (f64::from(*x) * factor - norm);
        }
        total += loss;
        if let Some(losses) = &mut losses {
            losses[row] = loss as f32;
        }
        if let Some(dlogits) = &mut dlogits {
            let dlogits = &mut dlogits[row * stride..][..stride];
            for (c, x) in x.iter().enumerate() {
                let p = (f64::from(*x) * factor - norm).exp();
                dlogits[c] = (f64::from(gradient_factor) * factor * (mass * p - target(c))) as f32;
            }
            dlogits[k..].fill(0.0);
        }
    }
    total
}
