//! Sums of products in Einstein's notation: the gradient of each factor is such a sum of the others and that of the result.

use oculist_graph::{Einsum, Op, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

/// The letters of axes.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A term of an equation.
fn term(numbers: &[usize]) -> Result<String, Problem> {
    let letter = |&n: &usize| LETTERS.get(n).map(|&c| char::from(c));
    let all: Option<String> = numbers.iter().map(letter).collect();
    all.ok_or_else(|| Problem::Text("an equation has more than 52 axes".to_owned()))
}

impl Backward for Einsum {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dy = reverse.only()?;
        let inputs = (0..reverse.len()).map(|i| reverse.input(i)).collect::<Result<Vec<_>, _>>()?;
        let terms = self.terms(&inputs.iter().map(|t| t.shape().len()).collect::<Vec<_>>())?;
        // Sizes of the axes; those of 1 are broadcast.
        let mut sizes = vec![1; terms.axes];
        for (input, numbers) in inputs.iter().zip(&terms.inputs) {
            for (&size, &n) in input.shape().iter().zip(numbers) {
                sizes[n] = if sizes[n] == 1 { size } else { sizes[n] };
            }
        }
        reverse.each(|i| {
            let (input, numbers) = (inputs[i], &terms.inputs[i]);
            if (1..numbers.len()).any(|a| numbers[..a].contains(&numbers[a])) {
                return Err("the gradient of a diagonal is not known".into());
            }
            let mut factors: Vec<(Tensor, Vec<usize>)> = vec![(dy.clone(), terms.output.clone())];
            for (j, other) in inputs.iter().enumerate().filter(|&(j, _)| j != i) {
                factors.push(((*other).clone(), terms.inputs[j].clone()));
            }
            // Axes that the input alone has were summed over: the gradient is the same all along them.
            let known = |n: &usize| factors.iter().any(|(_, numbers)| numbers.contains(n));
            let alone: Vec<usize> = numbers.iter().copied().filter(|n| !known(n)).collect();
            if !alone.is_empty() {
                let shape: Vec<usize> = alone.iter().map(|&n| sizes[n]).collect();
                let ones: Tensor = with_real!(input.dtype(), T => {
                    finish(&shape, vec![T::ONE; shape.iter().product()], input.dtype())?
                });
                factors.push((ones, alone));
            }
            // Axes along which the input was broadcast are summed over.
            let own: Vec<usize> = numbers
                .iter()
                .zip(input.shape())
                .filter(|&(&n, &d)| d == sizes[n])
                .map(|(&n, _)| n)
                .collect();
            let left = factors.iter().map(|(_, numbers)| term(numbers)).collect::<Result<Vec<_>, _>>()?;
            let equation = format!("{}->{}", left.join(","), term(&own)?);
            let given: Vec<Option<&Tensor>> = factors.iter().map(|(t, _)| Some(t)).collect();
            let mut all = crate::evaluate(reverse.ctx, &Op::Einsum(Self { equation }), &given, 1)?;
            let result = all.pop().ok_or_else(|| Problem::Text("no result".to_owned()))?;
            Ok(Some(result.reshaped(input.shape().to_vec())?))
        })
    }
}
