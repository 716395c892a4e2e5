//! Rotary position embedding.

use oculist_graph::{RotaryEmbedding, Shape};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::real::{Real, finish, with_real};

/// Which elements are rotated together, and by which angles.
pub(crate) struct Pairs {
    /// Size of a head.
    pub(crate) size: usize,
    /// Pairs of each head.
    pub(crate) half: usize,
    interleaved: bool,
    heads: usize,
    len: usize,
    packed: bool,
    /// The line of angles for each position of each sample.
    lines: Vec<usize>,
}

impl Pairs {
    pub(crate) fn new(op: &RotaryEmbedding, call: &Call) -> Result<Self, Problem> {
        let (x, cos, sin) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let size = op.head(&Shape::fixed(x.shape()))?.unwrap_or(0);
        let rotated = if op.rotated == 0 { size } else { op.rotated };
        // Samples, positions, heads; four dimensions have the heads in front of the positions.
        let (n, len, heads, packed) = match *x.shape() {
            [n, heads, len, _] => (n, len, heads, false),
            [n, len, _] => (n, len, op.heads, true),
            _ => return Err(format!("expected 3 or 4 dimensions, found {:?}", x.shape()).into()),
        };
        let lines: Vec<usize> = match call.ints(3)? {
            None => (0..n * len).collect(),
            Some(positions) => {
                let known = cos.shape()[0].min(sin.shape()[0]);
                let line = |p: i64| {
                    let line = usize::try_from(p).ok().filter(|&p| p < known);
                    line.ok_or_else(|| format!("a position is {p}, there are angles for {known}"))
                };
                positions.into_iter().map(line).collect::<Result<_, _>>()?
            }
        };
        Ok(Self { size, half: rotated / 2, interleaved: op.interleaved, heads, len, packed, lines })
    }

    /// Where the angles of the `i`-th head begin, counted as the heads lie in memory.
    pub(crate) fn angles(&self, i: usize) -> usize {
        let Self { heads, len, .. } = *self;
        let line = if self.packed { i / heads } else { i / (heads * len) * len + i % len };
        self.lines[line] * self.half
    }

    /// The elements of a head that pair `j` is made of.
    pub(crate) fn pair(&self, j: usize) -> (usize, usize) {
        if self.interleaved { (2 * j, 2 * j + 1) } else { (j, j + self.half) }
    }
}

impl Forward for RotaryEmbedding {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, cos, sin) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let pairs = Pairs::new(self, call)?;
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let (cos, sin) = (T::read(cos), T::read(sin));
            let mut y = T::read(x).into_owned();
            call.ctx.for_pieces(&mut y, pairs.size, |i, part| {
                let angles = pairs.angles(i);
                for j in 0..pairs.half {
                    let (a, b) = pairs.pair(j);
                    let (c, s) = (cos[angles + j], sin[angles + j]);
                    (part[a], part[b]) = (c * part[a] - s * part[b], s * part[a] + c * part[b]);
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, Tensor};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    /// A quarter turn takes `[x1, x2]` to `[-x2, x1]`; the first line of angles turns nothing.
    #[test]
    fn pairs_turn_by_the_angle_of_their_position() {
        let x = Tensor::f32(&[1, 1, 1, 5], vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        let (cos, sin) =
            (Tensor::f32(&[2, 2], vec![1.0, 1.0, 0.0, 0.0]), Tensor::f32(&[2, 2], vec![0.0, 0.0, 1.0, 1.0]));
        let ctx = Context::new(1).unwrap();
        let apply = |interleaved, position| {
            let op = Op::from(RotaryEmbedding { interleaved, heads: 0, rotated: 4 });
            let position = Tensor::ints(vec![position]).reshaped(vec![1, 1]).unwrap();
            evaluate(&ctx, &op, &[Some(&x), Some(&cos), Some(&sin), Some(&position)], 1)
        };
        assert_eq!(apply(false, 0).unwrap()[0], x);
        assert_eq!(apply(false, 1).unwrap()[0].as_f32().unwrap(), [-3.0, -4.0, 1.0, 2.0, 5.0]);
        assert_eq!(apply(true, 1).unwrap()[0].as_f32().unwrap(), [-2.0, 1.0, -4.0, 3.0, 5.0]);
        let error = apply(true, 2).unwrap_err().to_string();
        assert!(error.contains("a position is 2, there are angles for 2"), "{error}");
    }
}
