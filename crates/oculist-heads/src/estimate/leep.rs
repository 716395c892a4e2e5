//! The log expected empirical prediction.

use crate::error::HeadError;
use crate::rows::Rows;

/// LEEP: the mean of `log sum_z P(y_i | z) theta_i(z)`, where `theta` are the probabilities of the source's own classes
/// and `P(y | z) = sum_{i: y_i = y} theta_i(z) / sum_i theta_i(z)`.
///
/// # Shapes
/// `theta` `[rows, source classes]`, each row of numbers that are not negative and add up to 1.
///
/// # Errors
/// [`HeadError`] if there are no rows, labels do not fit, or `theta` holds a negative number or a row of other sum.
///
/// # Source
/// Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations", 2020.
pub fn leep(theta: Rows, labels: &[u32], classes: usize) -> Result<f64, HeadError> {
    theta.check_labels(labels, classes)?;
    let wrong = |found: String| HeadError::Option { name: "theta", expected: "rows of probabilities", found };
    if theta.is_empty() {
        return Err(wrong("no rows".to_owned()));
    }
    let (n, sources) = (theta.len() as f64, theta.dim());
    for i in 0..theta.len() {
        let sum: f64 = theta.row(i).iter().map(|&t| f64::from(t)).sum();
        if (sum - 1.0).abs() > 1e-3 || theta.row(i).iter().any(|&t| t < 0.0) {
            return Err(wrong(format!("row {i} with the sum {sum}")));
        }
    }
    // Only classes that occur have a share.
    let mut present: Vec<u32> = labels.to_vec();
    present.sort_unstable();
    present.dedup();
    let place = |label: u32| present.binary_search(&label).unwrap_or(0);
    let mut joint = vec![0.0f64; present.len() * sources];
    let mut marginal = vec![0.0f64; sources];
    for (i, &label) in labels.iter().enumerate() {
        let own = &mut joint[place(label) * sources..][..sources];
        for ((j, m), &t) in own.iter_mut().zip(&mut marginal).zip(theta.row(i)) {
            *j += f64::from(t);
            *m += f64::from(t);
        }
    }
    let score = labels.iter().enumerate().map(|(i, &label)| {
        let own = &joint[place(label) * sources..][..sources];
        let of = own.iter().zip(&marginal).zip(theta.row(i)).filter(|((_, m), _)| **m > 0.0);
        of.map(|((j, m), &t)| j / m * f64::from(t)).sum::<f64>().ln()
    });
    Ok(score.sum::<f64>() / n)
}
