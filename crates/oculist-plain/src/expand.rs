//! Values broadcast to a shape.

use crate::window::advance;

/// The elements of a value of shape `from` broadcast to shape `to`, which has at least as many axes.
pub(crate) fn expanded<T: Copy>(x: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    if from == to {
        return x.to_vec();
    }
    let steps = steps(from, to);
    let mut at = vec![0; to.len()];
    (0..to.iter().product())
        .map(|_| {
            let i: usize = at.iter().zip(&steps).map(|(&a, &s)| a * s).sum();
            advance(&mut at, |a| to[a]);
            x[i]
        })
        .collect()
}

/// For each axis of `to`, how far apart its neighbours lie in a value of shape `from`: 0 where it is broadcast.
pub(crate) fn steps(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; to.len()];
    let mut step = 1;
    for (&size, slot) in from.iter().rev().zip(steps.iter_mut().rev()) {
        if size != 1 {
            *slot = step;
        }
        step *= size;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_size_one_and_missing_ones_repeat() {
        assert_eq!(expanded(&[1, 2], &[2, 1], &[2, 2, 3]), [1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
        assert_eq!(expanded(&[7], &[], &[3]), [7, 7, 7]);
    }
}
