//! Rotary position embedding.

use oculist_graph::{RotaryEmbedding, Shape};

use crate::call::{Call, Forward, Outcome};
use crate::real::{Real, finish, with_real};

impl Forward for RotaryEmbedding {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, cos, sin) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let size = self.head(&Shape::fixed(x.shape()))?.unwrap_or(0);
        let rotated = if self.rotated == 0 { size } else { self.rotated };
        let half = rotated / 2;
        // Samples, positions, heads; four dimensions have the heads in front of the positions.
        let (n, len, heads, packed) = match *x.shape() {
            [n, heads, len, _] => (n, len, heads, false),
            [n, len, _] => (n, len, self.heads, true),
            _ => return Err(format!("expected 3 or 4 dimensions, found {:?}", x.shape()).into()),
        };
        // The line of angles for each position of each sample.
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
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let (cos, sin) = (T::read(cos), T::read(sin));
            let mut y = T::read(x).into_owned();
            call.ctx.for_pieces(&mut y, size, |i, part| {
                let line = if packed { i / heads } else { i / (heads * len) * len + i % len };
                let angles = lines[line] * half;
                for j in 0..half {
                    let (a, b) = if self.interleaved { (2 * j, 2 * j + 1) } else { (j, j + half) };
                    let (c, s) = (cos[angles + j], sin[angles + j]);
                    (part[a], part[b]) = (c * part[a] - s * part[b], s * part[a] + c * part[b]);
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}
