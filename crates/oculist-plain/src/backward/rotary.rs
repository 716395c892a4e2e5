//! Rotary position embedding: the gradient is turned by the opposite angles.

use oculist_graph::RotaryEmbedding;

use super::{Backward, Gradients, Reverse};
use crate::op::rotary::Pairs;
use crate::real::{Real, finish, with_real};

impl Backward for RotaryEmbedding {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, cos, sin) = (reverse.input(0)?, reverse.input(1)?, reverse.input(2)?);
        let dy = reverse.only()?;
        let pairs = Pairs::new(self, &reverse.call())?;
        with_real!(x.dtype(), T => {
            let (values, gradient) = (T::read(x), T::read(dy));
            let (c_all, s_all) = (T::read(cos), T::read(sin));
            let heads = values.len().checked_div(pairs.size).unwrap_or(0);
            reverse.each(|i| {
                let input = reverse.input(i)?;
                let result: Vec<T> = if i == 0 {
                    let mut dx = gradient.to_vec();
                    reverse.ctx.for_pieces(&mut dx, pairs.size.max(1), |head, part| {
                        let angles = pairs.angles(head);
                        for j in 0..pairs.half {
                            let (a, b) = pairs.pair(j);
                            let (c, s) = (c_all[angles + j], s_all[angles + j]);
                            (part[a], part[b]) = (c * part[a] + s * part[b], c * part[b] - s * part[a]);
                        }
                    });
                    dx
                } else {
                    // Every head of a position adds to its angles.
                    let mut sums = vec![0.0; input.len()];
                    for head in 0..heads {
                        let (angles, at) = (pairs.angles(head), head * pairs.size);
                        for j in 0..pairs.half {
                            let (a, b) = pairs.pair(j);
                            let [x1, x2] = [a, b].map(|k| values[at + k].to_f64());
                            let [g1, g2] = [a, b].map(|k| gradient[at + k].to_f64());
                            sums[angles + j] += if i == 1 { g1 * x1 + g2 * x2 } else { g2 * x1 - g1 * x2 };
                        }
                    }
                    sums.into_iter().map(T::of_f64).collect()
                };
                finish(input.shape(), result, input.dtype()).map(Some)
            })
        })
    }
}
