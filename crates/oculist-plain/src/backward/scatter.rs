//! Elements written by index that are added, multiplied or compared with what is there.

use oculist_graph::op::{Reduction, axis};
use oculist_graph::{Op, ScatterElements, ScatterND};

use super::movement::followed;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::op::gather::{element_positions, indices, tuple_positions};
use crate::real::{Real, finish, with_real};

/// The gradients of data and updates, with the position that each update is written to.
///
/// Of a product each factor gets that of the others. Of a maximum the elements that are it share, as in a reduction.
fn reduced(reverse: &Reverse, how: Reduction, positions: &[usize]) -> Gradients {
    let (data, updates, y, dy) = (reverse.input(0)?, reverse.input(2)?, reverse.output(0)?, reverse.only()?);
    with_real!(data.dtype(), T => {
        let (own, new) = (T::read(data), T::read(updates));
        let (results, gradient) = (T::read(y), T::read(dy));
        // Of each position the product of the factors that are not 0 and how many are, or how many are the result.
        let mut products = vec![(1.0f64, 0usize); if how == Reduction::Mul { own.len() } else { 0 }];
        let mut ties = vec![0.0f64; if matches!(how, Reduction::Max | Reduction::Min) { own.len() } else { 0 }];
        let elements = || own.iter().copied().enumerate().chain(positions.iter().copied().zip(new.iter().copied()));
        for (at, v) in elements() {
            if let Some((product, zeros)) = products.get_mut(at) {
                if v == T::ZERO { *zeros += 1 } else { *product *= v.to_f64() }
            }
            if let Some(ties) = ties.get_mut(at) {
                *ties += if v == results[at] { 1.0 } else { 0.0 };
            }
        }
        let slope = |at: usize, v: T| match how {
            Reduction::None | Reduction::Add => 1.0,
            Reduction::Mul => match products[at] {
                (product, 0) => product / v.to_f64(),
                (product, 1) if v == T::ZERO => product,
                _ => 0.0,
            },
            Reduction::Max | Reduction::Min if v == results[at] => 1.0 / ties[at],
            Reduction::Max | Reduction::Min => 0.0,
        };
        let flow = |(at, v): (usize, T)| T::of_f64(slope(at, v) * gradient[at].to_f64());
        reverse.each(|i| {
            let input = reverse.input(i)?;
            let first = if i == 0 { 0 } else { own.len() };
            let result: Vec<T> = elements().skip(first).take(input.len()).map(flow).collect();
            finish(input.shape(), result, input.dtype()).map(Some)
        })
    })
}

impl Backward for ScatterElements {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        if self.reduction == Reduction::None {
            return followed(&Op::ScatterElements(*self), reverse, &[0, 2]);
        }
        let (data, named) = (reverse.input(0)?, reverse.input(1)?);
        let a = axis(self.axis, data.shape().len())?;
        let positions = element_positions(&indices(&reverse.call(), 1)?, named.shape(), data.shape(), a)?;
        reduced(reverse, self.reduction, &positions)
    }
}

impl Backward for ScatterND {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        if self.reduction == Reduction::None {
            return followed(&Op::ScatterND(*self), reverse, &[0, 2]);
        }
        let (data, named, updates) = (reverse.input(0)?, reverse.input(1)?, reverse.input(2)?);
        if updates.is_empty() {
            return reduced(reverse, self.reduction, &[]);
        }
        let (begins, inner) = tuple_positions(&indices(&reverse.call(), 1)?, named.shape(), data.shape(), 0)?;
        let positions: Vec<usize> = begins.iter().flat_map(|&begin| begin..begin + inner).collect();
        if positions.len() != updates.len() {
            return Err(Problem::Text(format!(
                "{} positions for {} updates",
                positions.len(),
                updates.len()
            )));
        }
        reduced(reverse, self.reduction, &positions)
    }
}
