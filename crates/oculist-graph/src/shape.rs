//! Shapes of any rank, with a symbolic batch and other symbolic dimensions.

use std::fmt;

/// One dimension of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// The batch size, known only when the graph runs.
    Batch,
    /// A known size.
    Fixed(usize),
    /// A size that has a name ([`crate::Graph::symbols`]) and is known only when the graph runs.
    Symbol(u32),
    /// A size that only the elements of a value tell, or that was computed from a symbolic one.
    Unknown,
}

impl Dim {
    /// The size, if it is known.
    pub fn size(self) -> Option<usize> {
        if let Self::Fixed(size) = self { Some(size) } else { None }
    }

    /// The size that an unknown result has: `Fixed` of a known one.
    pub fn of(size: Option<usize>) -> Self {
        size.map_or(Self::Unknown, Self::Fixed)
    }

    /// Whether the two may be the same size when the graph runs: only two different known sizes may not.
    pub fn may_equal(self, other: Self) -> bool {
        !matches!((self, other), (Self::Fixed(a), Self::Fixed(b)) if a != b)
    }

    /// The one that says more, of two that are equal when the graph runs.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Fixed(_), _) | (_, Self::Unknown) => self,
            (_, Self::Fixed(_)) | (Self::Unknown, _) => other,
            (Self::Batch, _) | (Self::Symbol(_), Self::Symbol(_)) => self,
            (_, Self::Batch) => other,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("N"),
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(number) => write!(f, "s{number}"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// The shape of a value; the first dimension of an activation is usually [`Dim::Batch`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape from its dimensions.
    pub fn new(dims: Vec<Dim>) -> Self {
        Self(dims)
    }

    /// `[N, c, h, w]` with a symbolic batch.
    pub fn nchw(c: usize, h: usize, w: usize) -> Self {
        Self(vec![Dim::Batch, Dim::Fixed(c), Dim::Fixed(h), Dim::Fixed(w)])
    }

    /// `[N, c]` with a symbolic batch.
    pub fn nc(c: usize) -> Self {
        Self(vec![Dim::Batch, Dim::Fixed(c)])
    }

    /// A shape without a batch dimension.
    pub fn fixed(dims: &[usize]) -> Self {
        Self(dims.iter().map(|&d| Dim::Fixed(d)).collect())
    }

    /// The dimensions.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The size of dimension `axis` if it exists and is known.
    pub fn get(&self, axis: usize) -> Option<usize> {
        match self.0.get(axis) {
            Some(Dim::Fixed(d)) => Some(*d),
            _ => None,
        }
    }

    /// All sizes, if each is known.
    pub fn sizes(&self) -> Option<Vec<usize>> {
        self.0.iter().map(|d| d.size()).collect()
    }

    /// Channels of `[N, C]` or `[N, C, H, W]`.
    pub fn channels(&self) -> Option<usize> {
        self.get(1)
    }

    /// `(C, H, W)` of a four-dimensional activation; `[N, C]` counts as `(C, 1, 1)`.
    pub fn chw(&self) -> Option<(usize, usize, usize)> {
        match self.rank() {
            2 => Some((self.get(1)?, 1, 1)),
            4 => Some((self.get(1)?, self.get(2)?, self.get(3)?)),
            _ => None,
        }
    }

    /// The most elements that a value of a graph may have for one sample, 2^45: far beyond any memory, and so few that
    /// what executors make of it (padding, batches, bytes) stays within 63 bits.
    pub const MAX_ELEMENTS: usize = (isize::MAX as usize) >> 18;

    /// Number of elements for one sample: the product of all known dimensions, `usize::MAX` where that is larger.
    pub fn elements_per_sample(&self) -> usize {
        let known = self.0.iter().map(|d| d.size().unwrap_or(1));
        // Without elements, no other dimension is too large.
        if known.clone().any(|d| d == 0) { 0 } else { known.fold(1, usize::saturating_mul) }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_beyond_the_range_is_no_small_number() {
        assert_eq!(Shape::nchw(3, 5, 7).elements_per_sample(), 105);
        // 2^64 wraps to 0.
        assert_eq!(Shape::nchw(1 << 22, 1 << 21, 1 << 21).elements_per_sample(), usize::MAX);
        assert_eq!(Shape::fixed(&[1 << 40, 0, 1 << 40]).elements_per_sample(), 0);
    }
}
