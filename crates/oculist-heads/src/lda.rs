//! Linear discriminant analysis with shrinkage.
//!
//! Classes are normal with one covariance, `sum_c prior_c S_c`, where `S_c` is the covariance of the class's rows, each feature
//! scaled to variance 1, shrunk towards a multiple of the identity as Ledoit and Wolf do, and scaled back:
//! `score_c(x) = w_c^T (x - m) - w_c^T (m_c - m) / 2 + log prior_c` with `w_c = S^-1 (m_c - m)` and the mean `m` of the classes' means,
//! which all scores have in common: without it, features that are large beside their spread would leave no digits.
//!
//! # Source
//! Ledoit and Wolf, "A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices", 2004; scikit-learn's
//! `LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")`; scores are then calibrated on held-out rows ([`crate::calibrate`]). Where rows are few, `S` is inverted by Woodbury's identity. Deviation: where the matrix is not positive definite, as with one
//! row a class, a multiple of the identity is added, or is all there is.

mod woodbury;

use std::sync::atomic::Ordering;

use oculist_kernels::{Matmul, try_zeros};

use crate::calibrate;
use crate::dense::{cholesky, solve};
use crate::error::HeadError;
use crate::fit::Task;
use crate::fitted::{Fitted, Model};
use crate::folds::Folds;
use crate::kind::HeadKind;
use crate::logistic::{largest, spread};
use crate::parallel;
use crate::product::Products;
use crate::rotation::Rotation;

/// Weights `[classes, dim]`, bias `[classes]`, and the mean of the shrinkages.
struct Learned {
    weights: Vec<f64>,
    bias: Vec<f64>,
    shrinkage: f64,
}

/// Learns a discriminant analysis.
pub(crate) fn fit(task: &Task) -> Result<Fitted, HeadError> {
    fit_by(task, Way::of(task))
}

/// How the covariance is inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By its factor, `[dim, dim]`.
    Whole,
    /// By products of rows, `[rows, rows]`.
    Rows,
}

impl Way {
    /// The one that takes less time.
    fn of(task: &Task) -> Self {
        if Rotation::pays(task.rows.len(), task.rows.dim()) { Self::Rows } else { Self::Whole }
    }

    /// The f32 that it takes.
    fn room(self, task: &Task) -> [[usize; 3]; 2] {
        let (n, d) = (task.rows.len(), task.rows.dim());
        match self {
            Self::Whole => [[1, n, d], [5, d, d]],
            Self::Rows => [[3, n, d], [woodbury::SQUARES, n, n]],
        }
    }
}

/// The f32 that [`posteriors`] takes beside them.
pub(crate) fn room(task: &Task) -> [[usize; 3]; 2] {
    Way::of(task).room(task)
}

/// Learns with the covariance inverted in a way.
fn fit_by(task: &Task, way: Way) -> Result<Fitted, HeadError> {
    let (n, d, k) = (task.rows.len(), task.rows.dim(), task.present.len());
    let at_once = task.options.threads.min(task.options.folds);
    let [rows, square] = way.room(task).map(|[count, a, b]| [at_once, count, a, b]);
    task.check_memory("a discriminant analysis", &[&rows, &square, &[at_once, 7, k, d], &[task.classes, d]])?;
    let folds = Folds::new(&task.labels, k, task.options.folds, task.options.seed);
    let held: usize = folds.held_out.iter().map(std::iter::ExactSizeIterator::len).sum();
    let judged = parallel::map(folds.held_out.len(), task.options.threads, |fold| {
        let rows: Vec<usize> = folds.learned(fold).into_iter().flatten().map(|i| folds.order[i]).collect();
        let learned = learn(task, &rows, way, 1)?;
        let held = folds.held_out[fold].clone().map(|i| folds.order[i]);
        Ok(held.flat_map(|i| scores(task, &learned, i)).collect::<Vec<f32>>())
    });
    let of_held: Vec<f32> = judged.into_iter().collect::<Result<Vec<_>, HeadError>>()?.concat();
    let labels: Vec<u32> = folds.order[..held].iter().map(|&i| task.labels[i]).collect();
    let right = of_held.chunks_exact(k).zip(&labels).filter(|(s, l)| largest(s) == **l as usize).count();
    // Of few rows the classes look further apart than they are.
    let calibration = if held > 0 { calibrate::factor(&of_held, &labels, k)? } else { 1.0 };
    let all: Vec<usize> = (0..n).collect();
    let mut learned = learn(task, &all, way, task.options.threads)?;
    learned.weights.iter_mut().chain(&mut learned.bias).for_each(|w| *w *= calibration);
    let cv_accuracy = (held > 0).then(|| right as f64 / held as f64);
    let shrinkage = format!("shrinkage {:.2} after Ledoit and Wolf", learned.shrinkage);
    let chosen = match cv_accuracy {
        Some(accuracy) => format!("{shrinkage}, {:.1}% by {}", 100.0 * accuracy, folds.words()),
        None => shrinkage,
    };
    let model = Model::Linear(spread(task, &learned.weights, &learned.bias)?);
    Ok(Fitted { kind: HeadKind::Lda, dim: d, classes: task.classes, chosen, cv_accuracy, calibration, model })
}

/// Probabilities of the classes that occur for the rows themselves, `[rows, present]`.
pub(crate) fn posteriors(task: &Task) -> Result<Vec<f64>, HeadError> {
    let all: Vec<usize> = (0..task.rows.len()).collect();
    let learned = learn(task, &all, Way::of(task), task.options.threads)?;
    if learned.weights.iter().all(|w| *w == 0.0) {
        return Err(HeadError::Range { what: "a discriminant analysis" });
    }
    let d = task.rows.dim();
    let mut posteriors = Vec::with_capacity(all.len() * task.present.len());
    for x in task.rows.values().chunks_exact(d) {
        let score = |(w, b): (&[f64], &f64)| b + w.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
        let scores: Vec<f64> = learned.weights.chunks_exact(d).zip(&learned.bias).map(score).collect();
        let most = scores.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
        posteriors.extend(scores.iter().map(|s| (s - most).exp() / sum));
    }
    Ok(posteriors)
}

/// The scores of a row.
fn scores(task: &Task, learned: &Learned, row: usize) -> Vec<f32> {
    let x = task.rows.row(row);
    learned
        .weights
        .chunks_exact(x.len())
        .zip(&learned.bias)
        .map(|(w, b)| (b + w.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>()) as f32)
        .collect()
}

/// Learns from rows, of every class at least one.
fn learn(task: &Task, rows: &[usize], way: Way, threads: usize) -> Result<Learned, HeadError> {
    let (d, k) = (task.rows.dim(), task.present.len());
    let mut members = vec![Vec::new(); k];
    for &row in rows {
        members[task.labels[row] as usize].push(row);
    }
    let mut products = Products::new(threads)?;
    let mut means = vec![0.0f64; k * d];
    // Rows whose products add up to the covariance, and what comes to its diagonal.
    let mut scaled = try_zeros(rows.len() * d, "rows of a covariance")?;
    let mut diagonal = vec![0.0f64; d];
    let (mut next, mut shrinkage) = (0, 0.0);
    for (class, members) in members.iter().enumerate() {
        if task.stop.load(Ordering::Relaxed) {
            return Err(HeadError::Stopped);
        }
        let prior = members.len() as f64 / rows.len() as f64;
        let mean = &mut means[class * d..][..d];
        let part = &mut scaled[next * d..][..members.len() * d];
        next += members.len();
        let class = Class::new(task, members, mean, part, &mut products)?;
        shrinkage += prior * class.shrinkage;
        let kept = prior * (1.0 - class.shrinkage) / members.len() as f64;
        for row in part.chunks_exact_mut(d) {
            row.iter_mut().zip(&class.scale).for_each(|(x, s)| *x = (f64::from(*x) * s * kept.sqrt()) as f32);
        }
        for (to, s) in diagonal.iter_mut().zip(&class.scale) {
            *to += prior * class.shrinkage * class.mean_variance * s * s;
        }
    }
    let centre: Vec<f64> = (0..d).map(|f| means.iter().skip(f).step_by(d).sum::<f64>() / k as f64).collect();
    for mean in means.chunks_exact_mut(d) {
        mean.iter_mut().zip(&centre).for_each(|(m, c)| *m -= c);
    }
    let weights = match way {
        // All rows are the same: nothing but how frequent classes are tells them apart.
        _ if means.iter().all(|m| *m == 0.0) && scaled.iter().all(|x| *x == 0.0) => vec![0.0; k * d],
        Way::Rows => {
            let squares = scaled.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
            let ridge = Ridge::of(squares + diagonal.iter().sum::<f64>(), &means, d);
            ridge.with(|ridge| {
                let raised: Vec<f64> = diagonal.iter().map(|v| v + ridge).collect();
                woodbury::solutions(task, &scaled, &raised, &means, threads)
            })?
        }
        Way::Whole => {
            let mut single = try_zeros(d * d, "a covariance")?;
            let shape = Matmul::new(d, d, rows.len()).transposed(true, false);
            products.run(shape, 1.0, &scaled, &scaled, false, &mut single)?;
            drop(scaled);
            let mut covariance: Vec<f64> = single.iter().map(|&c| f64::from(c)).collect();
            drop(single);
            (0..d).for_each(|i| covariance[i * d + i] += diagonal[i]);
            let ridge = Ridge::of((0..d).map(|i| covariance[i * d + i]).sum(), &means, d);
            let factor = ridge.with(|ridge| {
                let mut a = covariance.clone();
                (0..d).for_each(|i| a[i * d + i] += ridge);
                cholesky(a, d, task.stop)
            })?;
            let mut weights = means.clone();
            solve(&factor, d, &mut weights);
            weights
        }
    };
    let bias = weights.chunks_exact(d).zip(means.chunks_exact(d)).zip(&members).map(|((w, m), members)| {
        let at = |point: &[f64]| w.iter().zip(point).map(|(w, m)| w * m).sum::<f64>();
        (members.len() as f64 / rows.len() as f64).ln() - at(m) / 2.0 - at(&centre)
    });
    let bias: Vec<f64> = bias.collect();
    if weights.iter().chain(&bias).any(|w| !w.is_finite()) {
        return Err(HeadError::Range { what: "a discriminant analysis" });
    }
    Ok(Learned { weights, bias, shrinkage })
}

/// What is added to the diagonal.
struct Ridge {
    /// What it is a share of: the mean of the variances.
    unit: f64,
    /// The share to begin with.
    first: f64,
}

impl Ridge {
    /// That of a covariance by its trace and the means of the classes, less their own mean.
    fn of(trace: f64, means: &[f64], d: usize) -> Self {
        if trace > 0.0 {
            return Self { unit: trace / d as f64, first: 0.0 };
        }
        // Without variance within classes, that of the means is all that is known.
        Self { unit: means.iter().map(|m| m.powi(2)).sum::<f64>() / means.len() as f64, first: 1.0 }
    }

    /// What a way to invert gives, with as much added to the diagonal as it needs.
    fn with<T>(&self, mut inverted: impl FnMut(f64) -> Result<Option<T>, HeadError>) -> Result<T, HeadError> {
        let mut ridge = self.first;
        loop {
            if let Some(found) = inverted(ridge * self.unit)? {
                return Ok(found);
            }
            ridge = if ridge == 0.0 { 1e-6 } else { ridge * 10.0 };
            if ridge > 10.0 || self.unit.is_nan() || self.unit <= 0.0 {
                return Err(HeadError::Range { what: "a discriminant analysis" });
            }
        }
    }
}

/// What is known of the rows of a class.
struct Class {
    /// Standard deviations of the features; 1 where a feature does not vary.
    scale: Vec<f64>,
    /// How far the covariance of the scaled features is shrunk.
    shrinkage: f64,
    /// The mean of their variances.
    mean_variance: f64,
}

impl Class {
    /// Writes the mean and the centred and scaled rows.
    fn new(
        task: &Task,
        members: &[usize],
        mean: &mut [f64],
        part: &mut [f32],
        products: &mut Products,
    ) -> Result<Self, HeadError> {
        let (n, d) = (members.len(), task.rows.dim());
        for &row in members {
            mean.iter_mut().zip(task.rows.row(row)).for_each(|(m, &x)| *m += f64::from(x));
        }
        for m in &mut *mean {
            *m /= n as f64;
        }
        let mut scale = vec![0.0f64; d];
        for &row in members {
            for ((s, &x), m) in scale.iter_mut().zip(task.rows.row(row)).zip(&*mean) {
                *s += (f64::from(x) - m).powi(2);
            }
        }
        for (s, m) in scale.iter_mut().zip(&*mean) {
            *s = (*s / n as f64).sqrt();
            if *s <= f64::from(f32::EPSILON) * m.abs() || *s < 1e-30 {
                *s = 1.0;
            }
        }
        for (row, x) in members.iter().zip(part.chunks_exact_mut(d)) {
            for (f, (to, &x)) in x.iter_mut().zip(task.rows.row(*row)).enumerate() {
                *to = ((f64::from(x) - mean[f]) / scale[f]) as f32;
            }
        }
        let (shrinkage, mean_variance) = ledoit_wolf(part, n, d, products)?;
        Ok(Self { scale, shrinkage, mean_variance })
    }
}

/// The shrinkage of a covariance and the mean of its variances, of centred rows `[n, d]`.
fn ledoit_wolf(x: &[f32], n: usize, d: usize, products: &mut Products) -> Result<(f64, f64), HeadError> {
    let squares: Vec<f64> =
        x.chunks_exact(d).map(|row| row.iter().map(|&x| f64::from(x).powi(2)).sum()).collect();
    let (count, features) = (n as f64, d as f64);
    let mu = squares.iter().sum::<f64>() / count / features;
    if d == 1 || mu == 0.0 {
        return Ok((0.0, mu));
    }
    // The squares of all products of features add up to those of all products of rows.
    let side = n.min(d);
    let mut gram = try_zeros(side * side, "a covariance")?;
    let shape = if n < d {
        Matmul::new(n, n, d).transposed(false, true)
    } else {
        Matmul::new(d, d, n).transposed(true, false)
    };
    products.run(shape, 1.0, x, x, false, &mut gram)?;
    let all = gram.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>() / (count * count);
    let fourth = squares.iter().map(|s| s * s).sum::<f64>() / count;
    let beta = (fourth - all) / (count * features);
    let delta = (all - 2.0 * mu * mu * features + features * mu * mu) / features;
    let beta = beta.min(delta);
    Ok((if beta > 0.0 { beta / delta } else { 0.0 }, mu))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::golden::cases;
    use crate::options::HeadOptions;
    use crate::rows::Rows;

    /// How far the weights of the two ways are apart, relative to the largest; and those of other labels.
    fn apart(rows: Rows, labels: &[u32], classes: usize) -> [f32; 2] {
        let (options, stop) = (HeadOptions::default(), AtomicBool::new(false));
        let weights = |labels: &[u32], way| {
            let head = fit_by(&Task::new(rows, labels, classes, &options, &stop).unwrap(), way).unwrap();
            head.linear().unwrap().0.to_vec()
        };
        let want = weights(labels, Way::Whole);
        let most = want.iter().fold(0.0, |m: f32, w| m.max(w.abs()));
        let mut turned = labels.to_vec();
        turned.rotate_left(1);
        [labels, &turned].map(|labels| {
            let got = weights(labels, Way::Rows);
            got.iter().zip(&want).fold(0.0, |m: f32, (g, w)| m.max((g - w).abs())) / most
        })
    }

    #[test]
    fn both_ways_give_the_same() {
        for case in cases() {
            let [same, other] = apart(case.rows(), &case.labels, case.classes);
            assert!(same < 1e-4 && other > 1e-2, "{}: {same}, {other}", case.golden["name"]);
        }
    }

    #[test]
    fn both_ways_add_the_same_where_a_class_has_one_row() {
        let case = cases().swap_remove(3);
        let dim = 40;
        let first = |rows: usize| -> Vec<f32> {
            case.rows().values().chunks(400).take(rows).flat_map(|row| row[..dim].to_vec()).collect()
        };
        let values = first(3);
        let [same, other] = apart(Rows::new(&values, dim).unwrap(), &case.labels[..3], 3);
        assert!(same < 1e-4 && other > 0.1, "{same}, {other}");
        // Two rows have no shrinkage either. The whole matrix is singular but for the rounding of f32 then, so that the
        // ways differ; what they learned are the rows.
        let (values, options, stop) = (first(6), HeadOptions::default(), AtomicBool::new(false));
        let rows = Rows::new(&values, dim).unwrap();
        let task = Task::new(rows, &case.labels[..6], 3, &options, &stop).unwrap();
        let head = fit_by(&task, Way::Rows).unwrap();
        let scores = head.scores(rows).unwrap();
        for (scores, &label) in scores.chunks(3).zip(&task.labels) {
            assert_eq!(largest(scores), label as usize, "{scores:?}");
        }
    }

    #[test]
    fn memory_is_that_of_the_way() {
        let values: Vec<f32> = (0..12 * 2000).map(|i| (i as f32).sin()).collect();
        let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
        let options = HeadOptions { max_memory: 4 << 20, ..HeadOptions::default() };
        let stop = AtomicBool::new(false);
        let task = Task::new(Rows::new(&values, 2000).unwrap(), &labels, 3, &options, &stop).unwrap();
        assert!(fit(&task).is_ok());
        assert!(
            matches!(fit_by(&task, Way::Whole), Err(HeadError::Memory { limit, .. }) if limit == 4 << 20)
        );
    }
}
