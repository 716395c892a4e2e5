//! Minimises a smooth convex function: L-BFGS with a given first guess of the inverse Hessian.
//!
//! # Source
//! Nocedal and Wright, "Numerical Optimization", 2006, algorithms 7.4 and 7.5. The step is found by halving until the
//! decrease is sufficient (3.1); values that differ by less than their rounding count as decrease, as in Hager and
//! Zhang, "A New Conjugate Gradient Method with Guaranteed Descent", 2005.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::HeadError;

/// Pairs that are remembered.
const PAIRS: usize = 12;
/// Rounding of a value of which the parts are f32, relative to it.
const ROUNDING: f64 = 2e-7;

/// When to end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The largest element of the gradient at which it has converged.
    pub(crate) gradient: f64,
    /// The most steps.
    pub(crate) steps: usize,
}

/// What is minimised.
pub(crate) trait Function {
    /// The value at `x`; the gradient goes to `gradient`.
    fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, HeadError>;

    /// Replaces a gradient by what a first guess of the inverse Hessian makes of it.
    fn precondition(&mut self, gradient: &mut [f64]) -> Result<(), HeadError>;
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The first vector plus `factor` times the second.
fn add(a: &mut [f64], factor: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

/// Two differences and what they say of the curvature.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    product: f64,
}

/// Moves `x` to the minimum, and gives the number of steps.
///
/// It ends at the limits, or where rounding hides any further decrease.
///
/// # Errors
/// [`HeadError::Stopped`] when asked to, [`HeadError::Range`] if the value at the start is not finite.
pub(crate) fn minimize(
    function: &mut impl Function,
    x: &mut [f64],
    limits: Limits,
    stop: &AtomicBool,
) -> Result<usize, HeadError> {
    let mut gradient = vec![0.0; x.len()];
    let mut value = function.value(x, &mut gradient)?;
    if !value.is_finite() {
        return Err(HeadError::Range { what: "the loss" });
    }
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    let (mut at, mut new_gradient) = (x.to_vec(), gradient.clone());
    for step in 0..limits.steps {
        if gradient.iter().all(|g| g.abs() <= limits.gradient) {
            return Ok(step);
        }
        let direction = direction(function, &gradient, &pairs)?;
        let slope = dot(&direction, &gradient);
        // Not so for finite numbers but by rounding.
        if slope.is_nan() || slope >= 0.0 {
            if pairs.is_empty() {
                return Ok(step);
            }
            pairs.clear();
            continue;
        }
        let slack = ROUNDING * value.abs();
        let mut length = 1.0;
        let mut found = None;
        for _ in 0..30 {
            if stop.load(Ordering::Relaxed) {
                return Err(HeadError::Stopped);
            }
            at.copy_from_slice(x);
            add(&mut at, length, &direction);
            let new = function.value(&at, &mut new_gradient)?;
            let falls = new <= value + 1e-4 * length * slope;
            // Close to the minimum the slope tells what the values cannot.
            let flat = new <= value + slack && dot(&new_gradient, &direction).abs() <= 0.9 * slope.abs();
            if falls || flat {
                found = Some(new);
                break;
            }
            length *= 0.5;
        }
        let Some(new) = found else {
            if pairs.is_empty() {
                return Ok(step);
            }
            pairs.clear();
            continue;
        };
        let moved: Vec<f64> = at.iter().zip(&*x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = new_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let product = dot(&moved, &change);
        if product > 1e-12 * dot(&moved, &moved).sqrt() * dot(&change, &change).sqrt() {
            if pairs.len() == PAIRS {
                pairs.pop_front();
            }
            pairs.push_back(Pair { step: moved, change, product });
        }
        x.copy_from_slice(&at);
        std::mem::swap(&mut gradient, &mut new_gradient);
        value = new;
    }
    Ok(limits.steps)
}

/// The direction of descent: minus the inverse Hessian that the pairs tell, times the gradient.
fn direction(
    function: &mut impl Function,
    gradient: &[f64],
    pairs: &VecDeque<Pair>,
) -> Result<Vec<f64>, HeadError> {
    let mut q = gradient.to_vec();
    let mut factors = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let factor = dot(&pair.step, &q) / pair.product;
        add(&mut q, -factor, &pair.change);
        factors.push(factor);
    }
    function.precondition(&mut q)?;
    for (pair, factor) in pairs.iter().zip(factors.into_iter().rev()) {
        let other = dot(&pair.change, &q) / pair.product;
        add(&mut q, factor - other, &pair.step);
    }
    for x in &mut q {
        *x = -*x;
    }
    Ok(q)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sum(exp(x_i) - c_i x_i)`, whose minimum is at `ln c_i`.
    struct Exponential(Vec<f64>);

    impl Function for Exponential {
        fn value(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64, HeadError> {
            let mut value = 0.0;
            for ((g, x), c) in gradient.iter_mut().zip(x).zip(&self.0) {
                *g = x.exp() - c;
                value += x.exp() - c * x;
            }
            Ok(value)
        }

        fn precondition(&mut self, _: &mut [f64]) -> Result<(), HeadError> {
            Ok(())
        }
    }

    #[test]
    fn the_minimum_is_found_from_far_away() {
        let c = vec![0.01, 1.0, 3.0, 200.0];
        let mut x = vec![8.0, -5.0, 0.0, 1.0];
        let limits = Limits { gradient: 1e-8, steps: 300 };
        let steps = minimize(&mut Exponential(c.clone()), &mut x, limits, &AtomicBool::new(false)).unwrap();
        assert!(steps < 100, "{steps} steps");
        for (x, c) in x.iter().zip(c) {
            assert!((x - c.ln()).abs() < 1e-5, "{x} for {}", c.ln());
        }
    }

    #[test]
    fn it_stops_when_told_to() {
        let limits = Limits { gradient: 1e-8, steps: 300 };
        let error = minimize(&mut Exponential(vec![2.0]), &mut [5.0], limits, &AtomicBool::new(true));
        assert!(matches!(error, Err(HeadError::Stopped)));
    }
}
