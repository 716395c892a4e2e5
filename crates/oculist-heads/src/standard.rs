//! Features with mean 0 and variance 1.

use crate::rows::Rows;

/// Means and standard deviations of features.
#[derive(Debug, Clone)]
pub(crate) struct Standard {
    /// `[dim]`.
    pub(crate) mean: Vec<f64>,
    /// `[dim]`; 1 where a feature does not vary.
    pub(crate) scale: Vec<f64>,
}

impl Standard {
    /// The means and standard deviations of rows, of which there is at least one.
    ///
    /// A feature whose variance is within the rounding of its mean does not vary.
    pub(crate) fn of(rows: Rows) -> Self {
        let (n, dim) = (rows.len() as f64, rows.dim());
        let mut mean = vec![0.0; dim];
        for row in rows.values().chunks_exact(dim) {
            mean.iter_mut().zip(row).for_each(|(m, &x)| *m += f64::from(x));
        }
        for m in &mut mean {
            *m /= n;
        }
        let mut variance = vec![0.0; dim];
        for row in rows.values().chunks_exact(dim) {
            for ((v, &m), &x) in variance.iter_mut().zip(&mean).zip(row) {
                *v += (f64::from(x) - m).powi(2);
            }
        }
        let rounding = f64::from(f32::EPSILON);
        let scale = variance.iter().zip(&mean).map(|(&v, &m)| {
            let deviation = (v / n).sqrt();
            if deviation <= rounding * m.abs() || deviation < 1e-30 { 1.0 } else { deviation }
        });
        Self { scale: scale.collect(), mean }
    }

    /// A row, standardised.
    pub(crate) fn row<'a>(&'a self, rows: Rows<'a>, i: usize) -> impl Iterator<Item = f64> + 'a {
        let standard = self.mean.iter().zip(&self.scale);
        rows.row(i).iter().zip(standard).map(|(&x, (mean, scale))| (f64::from(x) - mean) / scale)
    }

    /// The rows at `order`, standardised, `[order, dim]`.
    pub(crate) fn apply(&self, rows: Rows, order: &[usize], to: &mut [f32]) {
        for (y, &i) in to.chunks_exact_mut(rows.dim()).zip(order) {
            y.iter_mut().zip(self.row(rows, i)).for_each(|(y, x)| *y = x as f32);
        }
    }

    /// Weights `[classes, dim]` and bias `[classes]` for features as they are, from those for standardised ones.
    pub(crate) fn unfold(&self, weights: &[f64], bias: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let dim = self.mean.len();
        let raw: Vec<f64> = weights.iter().enumerate().map(|(i, w)| w / self.scale[i % dim]).collect();
        let bias = bias
            .iter()
            .zip(raw.chunks_exact(dim))
            .map(|(b, w)| b - w.iter().zip(&self.mean).map(|(w, m)| w * m).sum::<f64>())
            .collect();
        (raw, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_for_standardised_features_serve_the_others() {
        let values = [1.0, 7.0, 3.0, 7.0, 8.0, 7.0];
        let rows = Rows::new(&values, 2).unwrap();
        let standard = Standard::of(rows);
        assert_eq!((standard.mean[0], standard.mean[1], standard.scale[1]), (4.0, 7.0, 1.0));
        let mut x = vec![0.0; 6];
        standard.apply(rows, &[2, 0, 1], &mut x);
        assert!((x.iter().step_by(2).map(|x| x * x).sum::<f32>() - 3.0).abs() < 1e-5, "{x:?}");
        let (w, b) = standard.unfold(&[0.5, -2.0], &[0.25]);
        let want = 0.5 * f64::from(x[0]) - 2.0 * f64::from(x[1]) + 0.25;
        assert!((w[0] * 8.0 + w[1] * 7.0 + b[0] - want).abs() < 1e-6);
    }
}
