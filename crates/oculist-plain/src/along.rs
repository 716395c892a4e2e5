//! A tensor seen along one axis.

/// The sizes before, along and behind an axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Along {
    pub(crate) outer: usize,
    pub(crate) len: usize,
    pub(crate) inner: usize,
}

impl Along {
    /// `axis` must be one of the shape's.
    pub(crate) fn new(shape: &[usize], axis: usize) -> Self {
        let product = |sizes: &[usize]| sizes.iter().product();
        Self { outer: product(&shape[..axis]), len: shape[axis], inner: product(&shape[axis + 1..]) }
    }

    /// Number of lines along the axis.
    pub(crate) fn lines(self) -> usize {
        self.outer * self.inner
    }

    /// Position of the first element of a line; the others follow at a distance of `inner`.
    pub(crate) fn line(self, line: usize) -> usize {
        line / self.inner * self.len * self.inner + line % self.inner
    }

    /// Position of element `k` of a line.
    pub(crate) fn at(self, line: usize, k: usize) -> usize {
        self.line(line) + k * self.inner
    }
}
