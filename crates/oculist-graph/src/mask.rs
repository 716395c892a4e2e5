//! Constants that hide elements, told from weights by their numbers.
//!
//! Exporters write the mask of attention as a constant that is added to the scores: 0 where a key is seen and a large
//! negative number where it is not. No rule on the operator tells it from a bias, so the numbers have to:
//!
//! - A number that is not finite makes a mask: no step of training could follow it.
//! - Zeros, and otherwise numbers of one sign of at least 10,000 (`-1e9`, `-10000`, `-65504`, the least f32; positive
//!   ones are subtracted).
//! - Zeros, and otherwise one and the same number of at least 100 (`-100` hides what shifted windows do not share).
//! - Factors: zeros and ones, over the last two axes (`scores * causal - 10000 * (1 - causal)`).
//!
//! Weights are none of these: trained ones do not have a few values only, and those that nobody has trained yet are all
//! equal or random. A vector of zeros, or of ones, is a weight.

use crate::tensor::{Tensor, TensorData};

/// The least size of numbers that hide what they are added to.
const LARGE: f64 = 1e4;

/// The least size of a number that hides where it is the only one beside 0.
const ONLY: f64 = 100.0;

/// Whether all numbers are 0 or fit, and both kinds are there.
fn zeros_and(numbers: impl Iterator<Item = f64>, fits: impl Fn(f64) -> bool) -> bool {
    let (mut zero, mut other) = (false, false);
    for x in numbers {
        match x {
            0.0 => zero = true,
            x if fits(x) => other = true,
            _ => return false,
        }
    }
    zero && other
}

/// Whether numbers are those of a mask; `factor` if they are multiplied by, over two axes.
fn hides(numbers: impl Iterator<Item = f64> + Clone, factor: bool) -> bool {
    if numbers.clone().any(|x| !x.is_finite()) {
        return true;
    }
    let Some(first) = numbers.clone().find(|&x| x != 0.0) else { return false };
    if first.abs() >= ONLY {
        let same_sign = |x: f64| x.abs() >= LARGE && x.is_sign_negative() == first.is_sign_negative();
        return zeros_and(numbers.clone(), same_sign) || zeros_and(numbers, |x| x == first);
    }
    factor && first == 1.0 && zeros_and(numbers, |x| x == 1.0)
}

/// Whether a constant is a mask; `factor` if it is multiplied by.
pub(crate) fn is_mask(tensor: &Tensor, factor: bool) -> bool {
    let factor = factor && matches!(*tensor.shape(), [.., rows, columns] if rows > 1 && columns > 1);
    match tensor.data() {
        TensorData::F32(v) => hides(v.iter().map(|&x| f64::from(x)), factor),
        TensorData::F64(v) => hides(v.iter().copied(), factor),
        TensorData::F16(v) => hides(v.iter().map(|x| x.to_f64()), factor),
        TensorData::BF16(v) => hides(v.iter().map(|x| x.to_f64()), factor),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use half::f16;

    use super::*;

    fn vector(v: &[f32]) -> Tensor {
        Tensor::f32(&[v.len()], v.to_vec())
    }

    #[test]
    fn large_numbers_beside_zeros_hide() {
        for hidden in [-1e4, -1e9, f32::MIN, f32::NEG_INFINITY, -65504.0, -100.0, 1e4, f32::MAX] {
            assert!(is_mask(&vector(&[0.0, hidden, 0.0, hidden]), false), "{hidden}");
        }
        // Different ones, as sums of two masks have them.
        assert!(is_mask(&vector(&[0.0, -1e4, -2e4]), false));
        assert!(is_mask(&vector(&[1.0, f32::NAN]), false));
        let half = [0.0, -65504.0].map(f16::from_f64).to_vec();
        assert!(is_mask(&Tensor::new(vec![2], TensorData::F16(half)).unwrap(), false));
        assert!(is_mask(&Tensor::new(vec![2], TensorData::F64(vec![-1e30, 0.0])).unwrap(), false));
    }

    #[test]
    fn weights_are_none() {
        for weight in [
            &[0.0, -1.0][..],
            &[0.0, -99.0],
            // Not one number, not of one sign, not beside zeros.
            &[0.0, -100.0, -200.0],
            &[0.0, -1e4, 1e4],
            &[-1e4, -1e4],
            &[0.0, -1e4, 0.5],
            &[0.0, 0.0],
            &[1.0, 1.0],
            &[],
        ] {
            assert!(!is_mask(&vector(weight), false), "{weight:?}");
            assert!(!is_mask(&vector(weight), true), "{weight:?}");
        }
    }

    #[test]
    fn factors_of_zeros_and_ones_hide_over_two_axes() {
        let lower = Tensor::f32(&[1, 2, 2], vec![1.0, 0.0, 1.0, 1.0]);
        assert!(is_mask(&lower, true));
        // Added, or of one axis, they may be weights that nobody has trained yet.
        assert!(!is_mask(&lower, false));
        assert!(!is_mask(&Tensor::f32(&[4, 1], vec![1.0, 0.0, 1.0, 1.0]), true));
        assert!(!is_mask(&Tensor::f32(&[2, 2], vec![1.0; 4]), true));
        assert!(!is_mask(&Tensor::f32(&[2, 2], vec![1.0, 0.0, 0.5, 1.0]), true));
    }
}
