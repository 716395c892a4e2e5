//! Heads of the values of attention.

use oculist_graph::Tensor;

use crate::call::Problem;
use crate::real::Real;

/// Samples, heads, positions and size of a head of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    pub(crate) n: usize,
    pub(crate) count: usize,
    pub(crate) len: usize,
    pub(crate) size: usize,
    /// Whether heads lie side by side within a position, otherwise positions within a head.
    pub(crate) packed: bool,
}

impl Heads {
    /// Those of `[N, heads, positions, size]`, or of `[N, positions, heads * size]` and a number of heads.
    pub(crate) fn of(x: &Tensor, heads: Option<usize>) -> Result<Self, Problem> {
        match (x.shape(), heads) {
            (&[n, heads, len, size], _) => Ok(Self { n, count: heads, len, size, packed: false }),
            (&[n, len, hidden], Some(heads)) if heads > 0 => {
                Ok(Self { n, count: heads, len, size: hidden / heads, packed: true })
            }
            (shape, _) => {
                Err(format!("expected 3 dimensions and a number of heads, or 4, found {shape:?}").into())
            }
        }
    }

    /// First element of a head and the distance from one of its positions to the next.
    pub(crate) fn head(self, sample: usize, head: usize) -> (usize, usize) {
        if self.packed {
            (sample * self.len * self.count * self.size + head * self.size, self.count * self.size)
        } else {
            ((sample * self.count + head) * self.len * self.size, self.size)
        }
    }

    /// First elements of the positions of a head.
    fn rows(self, sample: usize, head: usize) -> impl Iterator<Item = usize> {
        let (start, step) = self.head(sample, head);
        (0..self.len).map(move |i| start + i * step)
    }

    /// The matrix of a head, `[positions, size]`.
    pub(crate) fn matrix<T: Real>(self, x: &[T], sample: usize, head: usize) -> Vec<T> {
        self.rows(sample, head).flat_map(|at| x[at..at + self.size].iter().copied()).collect()
    }

    /// Adds to the matrix of a head.
    pub(crate) fn add<T: Real>(self, x: &mut [T], sample: usize, head: usize, part: &[T]) {
        for (at, part) in self.rows(sample, head).zip(part.chunks_exact(self.size.max(1))) {
            x[at..at + self.size].iter_mut().zip(part).for_each(|(x, &p)| *x += p);
        }
    }
}
