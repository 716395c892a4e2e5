//! The path of strengths, and the head at the one that was chosen.

use std::ops::Range;

use oculist_kernels::{Matmul, try_zeros};

use crate::calibrate;
use crate::error::HeadError;
use crate::fit::Task;
use crate::fitted::{Fitted, Linear, Model};
use crate::folds::Folds;
use crate::kind::HeadKind;
use crate::linear::solve::Factor;
use crate::linear::{Design, Loss, Penalised};
use crate::minimize::{Limits, minimize};
use crate::parallel;
use crate::product::Products;
use crate::rotation::Rotation;
use crate::standard::Standard;

/// Strengths `C` that are tried, in this order, until one is no better than the one before; then those between the
/// best and its neighbours.
const STRENGTHS: [f64; 8] = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0];
/// From the best strength to those between.
const BETWEEN: [f64; 2] = [0.3, 3.0];
/// The strength where nothing can be held out.
const DEFAULT: f64 = 0.01;
/// The share of the loss by which a weaker penalty must be better: less is noise of the folds.
const GAIN: f64 = 1e-3;
/// Where a fold's weights have converged.
const FOLD: Limits = Limits { gradient: 1e-4, steps: 200 };

/// What a fold says of a strength.
struct Judged {
    parameters: Vec<f64>,
    /// Sum of the losses of held-out rows.
    loss: f64,
    /// Held-out rows whose largest score is the label's.
    right: usize,
    /// Of held-out rows, where they are to be calibrated.
    scores: Vec<f32>,
}

/// Learns a logistic regression, or support vector machines.
pub(crate) fn fit(task: &Task, kind: HeadKind, loss: Loss) -> Result<Fitted, HeadError> {
    fit_in(task, kind, loss, Rotation::pays(task.rows.len(), task.rows.dim()))
}

/// Learns on features as they are, or in the rows' own space.
fn fit_in(task: &Task, kind: HeadKind, loss: Loss, rotates: bool) -> Result<Fitted, HeadError> {
    let (d, k) = (task.rows.dim(), task.present.len());
    let path = Path::new(task, loss, rotates)?;
    let (strength, start, found) = match task.options.strength {
        Some(strength) => (strength, None, None),
        None if path.folds.held_out.is_empty() => (DEFAULT, None, None),
        None => {
            let mut best = path.choose()?;
            (best.strength, Some(best.parameters.swap_remove(0)), Some((best.accuracy, best.calibration)))
        }
    };
    let cv_accuracy = found.map(|(accuracy, _)| accuracy);
    let chosen = match (cv_accuracy, task.options.strength) {
        (Some(accuracy), _) => {
            format!("C = {strength} by {}, {:.1}%", path.folds.words(), 100.0 * accuracy)
        }
        (None, Some(_)) => format!("C = {strength} as given"),
        (None, None) => format!("C = {strength}, since no class has two rows to hold one out"),
    };
    let parameters = path.learn(strength, start)?;
    let (weights, bias) = parameters.split_at(k * path.design.dim);
    let (mut weights, mut bias) = match &path.rotation {
        None => path.standard.unfold(weights, bias),
        Some(rotation) => path.standard.unfold(&rotation.unfold(task.rows, &path.standard, weights), bias),
    };
    let calibration = found.map_or(1.0, |(_, calibration)| calibration);
    weights.iter_mut().chain(&mut bias).for_each(|w| *w *= calibration);
    let model = Model::Linear(spread(task, &weights, &bias)?);
    Ok(Fitted { kind, dim: d, classes: task.classes, chosen, cv_accuracy, calibration, model })
}

/// A strength, and what its folds say.
struct Best {
    strength: f64,
    loss: f64,
    accuracy: f64,
    /// The factor of the scores.
    calibration: f64,
    /// Of each fold.
    parameters: Vec<Vec<f64>>,
}

/// What all strengths share.
struct Path<'a> {
    task: &'a Task<'a>,
    loss: Loss,
    folds: Folds,
    standard: Standard,
    /// Of the design, where it is rotated.
    rotation: Option<Rotation>,
    design: Design,
    /// The mean of `x x^T` over the rows, `[dim, dim]`.
    moments: Option<Vec<f32>>,
}

impl<'a> Path<'a> {
    fn new(task: &'a Task, loss: Loss, rotates: bool) -> Result<Self, HeadError> {
        let (n, d, k) = (task.rows.len(), task.rows.dim(), task.present.len());
        // The most features of a row that is learned from.
        let side = if rotates { n.min(d) } else { d };
        let square = if side <= Factor::MAX_DIM { side } else { 0 };
        let rotated = if rotates { [[2, n, d], [Rotation::SQUARES, n, n], [2, k, d]] } else { [[0; 3]; 3] };
        // Folds at a time: rows and scores; the parameters of all folds, and f64 pairs of the minimiser.
        let at_once = task.options.threads.min(task.options.folds);
        let [wide, products, unfolded] = &rotated;
        task.check_memory(
            "a linear head",
            &[
                &[n, side],
                wide,
                products,
                &[2, square, side],
                &[at_once, n, k],
                &[60, at_once, k, side + 1],
                &[2, task.options.folds.min(n), k, side + 1],
                unfolded,
                &[2, k, d],
                &[task.classes, d],
            ],
        )?;
        let folds = Folds::new(&task.labels, k, task.options.folds, task.options.seed);
        let standard = Standard::of(task.rows);
        let threads = task.options.threads;
        let (rotation, x) = if rotates {
            let (rotation, x) = Rotation::new(task.rows, &standard, &folds.order, threads, task.stop)?;
            (Some(rotation), x)
        } else {
            let mut x = try_zeros(n * d, "standardised features")?;
            standard.apply(task.rows, &folds.order, &mut x);
            if x.iter().any(|x| !x.is_finite()) {
                return Err(HeadError::Range { what: "standardised features" });
            }
            (None, x)
        };
        let dim = x.len() / n;
        let moments = if dim <= Factor::MAX_DIM {
            let mut moments = try_zeros(dim * dim, "second moments")?;
            let shape = Matmul::new(dim, dim, n).transposed(true, false);
            let share = (1.0 / n as f64) as f32;
            Products::new(threads)?.run(shape, share, &x, &x, false, &mut moments)?;
            Some(moments)
        } else {
            None
        };
        let labels = folds.order.iter().map(|&i| task.labels[i]).collect();
        let design = Design { x, labels, dim, variance: d as f64 / dim as f64, classes: k };
        Ok(Self { task, loss, folds, standard, rotation, design, moments })
    }

    /// The penalty of the mean loss for a strength.
    fn penalty(&self, strength: f64, rows: usize) -> f64 {
        let both = self.loss == Loss::Softmax && self.design.classes == 2;
        (if both { 2.0 } else { 1.0 }) / (strength * rows as f64)
    }

    /// A first guess of the Hessian for a penalty.
    fn factor(&self, products: &mut Products, penalty: f64) -> Result<Option<Factor>, HeadError> {
        let Some(moments) = &self.moments else { return Ok(None) };
        let curvature = self.loss.curvature(self.design.classes);
        // Far enough from singular for f32; the guess is scaled by the curvature once for all.
        let ridge = (penalty / curvature).max(3e-6 * self.task.rows.dim() as f64);
        let factor = Factor::new(products, moments, ridge as f32, self.design.dim)?;
        Ok(factor)
    }

    /// The strength with the least loss of held-out rows.
    fn choose(&self) -> Result<Best, HeadError> {
        let mut best: Option<Best> = None;
        for strength in STRENGTHS {
            let start = best.as_ref().map(|b| b.parameters.as_slice());
            let next = self.judge_all(strength, start)?;
            if best.as_ref().is_some_and(|b| next.loss.is_nan() || next.loss > b.loss * (1.0 - GAIN)) {
                break;
            }
            best = Some(next);
        }
        let mut best = best.ok_or(HeadError::Range { what: "the loss of held-out rows" })?;
        let between = BETWEEN.map(|factor| rounded(best.strength * factor));
        for strength in between {
            let next = self.judge_all(strength, Some(&best.parameters))?;
            if next.loss < best.loss * (1.0 - GAIN) {
                best = next;
            }
        }
        Ok(best)
    }

    /// What the folds say of a strength, from the parameters of another.
    fn judge_all(&self, strength: f64, start: Option<&[Vec<f64>]>) -> Result<Best, HeadError> {
        let count = self.folds.held_out.len();
        let held: usize = self.folds.held_out.iter().map(Range::len).sum();
        let learned = self.design.labels.len() - held / count;
        let mut products = Products::new(self.task.options.threads)?;
        let factor = self.factor(&mut products, self.penalty(strength, learned))?;
        let judged = parallel::map(count, self.task.options.threads, |fold| {
            let start = start.map_or_else(|| vec![0.0; self.design.parameters()], |s| s[fold].clone());
            self.judge(fold, strength, start, factor.as_ref())
        });
        let judged: Vec<Judged> = judged.into_iter().collect::<Result<_, _>>()?;
        let calibration = match self.loss {
            Loss::Softmax => 1.0,
            Loss::SquaredHinge => {
                let held = &self.design.labels[..held];
                let scores = judged.iter().map(|j| j.scores.as_slice()).collect::<Vec<_>>().concat();
                calibrate::factor(&scores, held, self.design.classes)?
            }
        };
        Ok(Best {
            calibration,
            strength,
            loss: judged.iter().map(|j| j.loss).sum::<f64>() / held as f64,
            accuracy: judged.iter().map(|j| j.right).sum::<usize>() as f64 / held as f64,
            parameters: judged.into_iter().map(|j| j.parameters).collect(),
        })
    }

    /// Learns without a fold, and scores what was held out.
    fn judge(
        &self,
        fold: usize,
        strength: f64,
        mut parameters: Vec<f64>,
        factor: Option<&Factor>,
    ) -> Result<Judged, HeadError> {
        let learned = self.folds.learned(fold);
        let rows = learned.iter().map(Range::len).sum();
        let mut products = Products::new(1)?;
        let penalty = self.penalty(strength, rows);
        let mut function = Penalised::new(&self.design, &mut products, self.loss, penalty, &learned, factor)?;
        minimize(&mut function, &mut parameters, FOLD, self.task.stop)?;
        let held = &self.folds.held_out[fold];
        let k = self.design.classes;
        let mut scores = try_zeros(held.len() * k, "scores of held-out rows")?;
        let single: Vec<f32> = parameters.iter().map(|&p| p as f32).collect();
        self.design.scores(&mut products, &single, held, &mut scores)?;
        let kept = if self.loss == Loss::Softmax { Vec::new() } else { scores.clone() };
        let (mut loss, mut right) = (0.0, 0);
        for (row, &label) in scores.chunks_exact_mut(k).zip(&self.design.labels[held.clone()]) {
            right += usize::from(largest(row) == label as usize);
            loss += self.loss.value(row, label as usize);
        }
        Ok(Judged { parameters, loss, right, scores: kept })
    }

    /// Learns from all rows, from a start.
    fn learn(&self, strength: f64, start: Option<Vec<f64>>) -> Result<Vec<f64>, HeadError> {
        let mut products = Products::new(self.task.options.threads)?;
        let rows = self.design.labels.len();
        let penalty = self.penalty(strength, rows);
        let factor = self.factor(&mut products, penalty)?;
        let whole = 0..rows;
        let all = std::slice::from_ref(&whole);
        let mut function =
            Penalised::new(&self.design, &mut products, self.loss, penalty, all, factor.as_ref())?;
        let mut parameters = start.unwrap_or_else(|| vec![0.0; self.design.parameters()]);
        // A weight is as far from its best as the gradient over the penalty at the most.
        let limits = Limits { gradient: (3e-5 * penalty).clamp(1e-6, 1e-5), steps: 1000 };
        minimize(&mut function, &mut parameters, limits, self.task.stop)?;
        Ok(parameters)
    }
}

/// A strength to one digit.
fn rounded(strength: f64) -> f64 {
    format!("{strength:.0e}").parse().unwrap_or(strength)
}

/// The index of the largest score, the first of equal ones.
pub(crate) fn largest(scores: &[f32]) -> usize {
    scores.iter().enumerate().fold(0, |best, (i, s)| if *s > scores[best] { i } else { best })
}

/// Weights and bias of all classes from those of the classes that occur.
pub(crate) fn spread(task: &Task, weights: &[f64], bias: &[f64]) -> Result<Linear, HeadError> {
    let d = task.rows.dim();
    let mut linear = Linear {
        weights: try_zeros(task.classes.saturating_mul(d), "weights of a head")?,
        bias: try_zeros(task.classes, "weights of a head")?,
    };
    for (i, &class) in task.present.iter().enumerate() {
        for (to, w) in linear.weights[class * d..][..d].iter_mut().zip(&weights[i * d..]) {
            *to = *w as f32;
        }
        linear.bias[class] = bias[i] as f32;
    }
    if task.present.len() < task.classes {
        // Less likely than any other class by e^-10 on every row.
        let least = task.rows.values().chunks_exact(d).map(|x| {
            let score =
                |(w, b): (&[f64], &f64)| b + w.iter().zip(x).map(|(w, x)| w * f64::from(*x)).sum::<f64>();
            weights.chunks_exact(d).zip(bias).map(score).fold(f64::MAX, f64::min)
        });
        let absent = (least.fold(f64::MAX, f64::min) - 10.0) as f32;
        for (class, bias) in linear.bias.iter_mut().enumerate() {
            if task.present.binary_search(&class).is_err() {
                *bias = absent;
            }
        }
    }
    if linear.weights.iter().chain(&linear.bias).any(|w| !w.is_finite()) {
        return Err(HeadError::Range { what: "the weights" });
    }
    Ok(linear)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::golden::cases;
    use crate::options::HeadOptions;

    /// The largest difference of two lists of weights.
    fn apart(a: &Fitted, b: &Fitted) -> f64 {
        let ((w, bias), (v, other)) = (a.linear().unwrap(), b.linear().unwrap());
        let pairs = w.iter().chain(bias).zip(v.iter().chain(other));
        pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
    }

    #[test]
    fn what_is_learned_does_not_depend_on_the_space() {
        let stop = AtomicBool::new(false);
        for case in cases() {
            for (kind, loss) in [(HeadKind::Logistic, Loss::Softmax), (HeadKind::Svm, Loss::SquaredHinge)] {
                let learned = |strength, rotates| {
                    let options = HeadOptions { strength: Some(strength), ..HeadOptions::default() };
                    let task = Task::new(case.rows(), &case.labels, case.classes, &options, &stop).unwrap();
                    fit_in(&task, kind, loss, rotates).unwrap()
                };
                for strength in [0.01, 1.0] {
                    let (direct, rotated) = (learned(strength, false), learned(strength, true));
                    let error = apart(&direct, &rotated);
                    assert!(error < 5e-4, "{} {kind} {strength}: {error}", case.golden["name"]);
                    // Twin: another strength gives other weights.
                    let other = apart(&direct, &learned(strength * 0.1, true));
                    assert!(other > 20.0 * error, "{} {kind} {strength}: {other}", case.golden["name"]);
                }
            }
        }
    }

    #[test]
    fn copies_of_rows_are_no_new_directions() {
        let case = cases().swap_remove(3);
        let (options, stop) = (HeadOptions::default(), AtomicBool::new(false));
        let twice = [case.rows().values(), case.rows().values()].concat();
        let rows = crate::Rows::new(&twice, case.rows().dim()).unwrap();
        let labels = [case.labels.as_slice(), &case.labels].concat();
        // The penalty is a share of the rows, so that twice the rows at half the strength are the same.
        let learned = |rows, labels: &[u32], strength| {
            let options = HeadOptions { strength: Some(strength), ..options.clone() };
            let task = Task::new(rows, labels, case.classes, &options, &stop).unwrap();
            fit_in(&task, HeadKind::Logistic, Loss::Softmax, true).unwrap()
        };
        let (once, twice) = (learned(case.rows(), &case.labels, 0.1), learned(rows, &labels, 0.05));
        let error = apart(&once, &twice);
        assert!(error < 5e-4, "{error}");
    }
}
