//! How far features are from neural collapse.

use std::sync::atomic::AtomicBool;

use crate::dense::nuclear_norm;
use crate::error::HeadError;
use crate::estimate::wide;
use crate::fit::Task;
use crate::lda;
use crate::options::HeadOptions;
use crate::rows::Rows;

/// Three measures of one source: how close its features are to what fine-tuning on the task ends in. The larger, the
/// closer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Collapse {
    /// Of the collapse of variability within classes: `-sum_c |Z_c|_*`, where `Z_c` `[rows of c, classes]` are posteriors and
    /// `|.|_*` is the nuclear norm.
    pub variability: f64,
    /// Of the geometry (SELI): `|H|_*` of the features.
    pub geometry: f64,
    /// Of the classifier by the nearest centre: the mean posterior at the label.
    pub centre: f64,
}

/// The measures of a source's features.
///
/// The posterior is the softmax of `-(h - m_c)^T S^-1 (h - m_c) / 2 + log prior_c` over the classes that occur.
///
/// # Errors
/// As [`fit`](crate::fit()).
///
/// # Source
/// Wang et al., "How Far Pre-trained Models Are from Neural Collapse on the Target Dataset Informs their Transferability",
/// 2023. Deviations: features are not reduced to principal components before; `S` is the shrunk covariance of
/// [`HeadKind::Lda`](crate::HeadKind::Lda).
pub fn collapse(
    rows: Rows,
    labels: &[u32],
    classes: usize,
    options: &HeadOptions,
    stop: &AtomicBool,
) -> Result<Collapse, HeadError> {
    options.check()?;
    let task = Task::new(rows, labels, classes, options, stop)?;
    let (n, d, k) = (rows.len(), rows.dim(), task.present.len());
    let side = n.min(d);
    // The posteriors first, then the features in f64, as they are and turned.
    let [rows_of, square] = lda::room(&task);
    task.check_memory("NCTI", &[&rows_of, &square, &[4, n, d], &[4, side, side], &[2, n, k], &[7, k, d]])?;
    let posterior = lda::posteriors(&task)?;
    let own = |(row, &label): (&[f64], &u32)| row[label as usize];
    let centre = posterior.chunks_exact(k).zip(&task.labels).map(own).sum::<f64>() / n as f64;
    let mut variability = 0.0;
    for class in 0..k {
        let of_class = posterior.chunks_exact(k).zip(&task.labels).filter(|(_, l)| **l as usize == class);
        let rows: Vec<f64> = of_class.flat_map(|(row, _)| row.iter().copied()).collect();
        variability -= nuclear_norm(&rows, k, options.threads, stop)?;
    }
    let geometry = nuclear_norm(&wide(rows), d, options.threads, stop)?;
    Ok(Collapse { variability, geometry, centre })
}

/// NCTI of several sources of one task: the three measures, each scaled to `0.0..=1.0` over the sources, added up.
///
/// A measure that is the same for all sources counts as 0.
///
/// # Source
/// As [`collapse`].
pub fn ncti(sources: &[Collapse]) -> Vec<f64> {
    let scaled = |measure: fn(&Collapse) -> f64| -> Vec<f64> {
        let all: Vec<f64> = sources.iter().map(measure).collect();
        let (least, most) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), &x| (a.min(x), b.max(x)));
        all.iter().map(|x| if most > least { (x - least) / (most - least) } else { 0.0 }).collect()
    };
    let [a, b, c] = [scaled(|s| s.variability), scaled(|s| s.geometry), scaled(|s| s.centre)];
    (0..sources.len()).map(|i| a[i] + b[i] + c[i]).collect()
}
