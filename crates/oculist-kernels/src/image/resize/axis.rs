//! Where the pixels of a resized row or column come from.

use super::WEIGHT_BITS;
use std::ops::Range;

/// A filter's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// `1 - |x|` up to 1: bilinear.
    Triangle,
    /// Cubic convolution with a = -1/2: Catmull-Rom.
    Cubic,
}

impl Kernel {
    /// Half the width.
    fn radius(self) -> f64 {
        match self {
            Self::Triangle => 1.0,
            Self::Cubic => 2.0,
        }
    }

    #[inline(always)]
    fn at(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            Self::Triangle => (1.0 - x).max(0.0),
            Self::Cubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Cubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Cubic => 0.0,
        }
    }
}

/// The weights along one axis: each of `len` new pixels is a weighted mean of neighbouring old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    side: usize,
    spans: Vec<(u32, u32)>,
    /// `stride` weights for each new pixel, in 1/2^14; those behind its span are 0.
    weights: Vec<i16>,
    stride: usize,
    reach: usize,
}

impl Axis {
    /// Resizes the window `start..start + window` of an axis of `side` pixels to `len` pixels.
    ///
    /// New pixel i lies at `c = start + (i + 1/2) r` with `r = window / len`. The old pixel whose middle is at x weighs
    /// `k((x - c) / max(r, 1))`, divided by the sum of all weights; so the filter is as wide as a new pixel if that is
    /// wider than an old one (antialiasing). It may look at pixels outside of the window, not outside of the axis. Without
    /// `antialias` the filter is as wide as for old pixels whatever r is: weights are `k(x - c)`.
    ///
    /// # Panics
    /// If `side` or `len` is 0 or not below 2^31, or the window is empty or not inside the axis.
    ///
    /// # Source
    /// Pillow's `Image.resize` with `box`. Deviation: weights have 14 bits instead of 22, with errors carried so that they
    /// still sum to 1.
    pub fn new(
        kernel: Kernel,
        side: usize,
        (start, window): (f64, f64),
        len: usize,
        antialias: bool,
    ) -> Self {
        assert!((1..1 << 31).contains(&side) && (1..1 << 31).contains(&len), "{side} to {len} pixels");
        assert!(
            start >= 0.0 && window > 0.0 && start + window <= side as f64 * (1.0 + 1e-9),
            "a window of {window} at {start} of {side} pixels"
        );
        let ratio = window / len as f64;
        let width = if antialias { ratio.max(1.0) } else { 1.0 };
        let (support, narrow) = (kernel.radius() * width, 1.0 / width);
        let most = (side as f64).min((2.0 * support).ceil() + 1.0) as usize;
        let mut spans = Vec::with_capacity(len);
        let mut weights = vec![0i16; len * most];
        let mut sums = vec![0.0f64; most];
        let mut reach = 1;
        for (i, weights) in weights.chunks_exact_mut(most).enumerate() {
            let centre = start + (i as f64 + 0.5) * ratio;
            let first = ((centre - support + 0.5).max(0.0) as usize).min(side - 1);
            let end = ((centre + support + 0.5) as usize).clamp(first + 1, side).min(first + most);
            let middle = first as f64 + 0.5 - centre;
            let mut total = 0.0;
            for (k, sum) in sums[..end - first].iter_mut().enumerate() {
                total += kernel.at((middle + k as f64) * narrow);
                *sum = total;
            }
            // Differences of rounded sums: their errors do not add up.
            let scale = f64::from(1 << WEIGHT_BITS) / total;
            let mut before = 0;
            for (weight, &sum) in weights.iter_mut().zip(&sums[..end - first]) {
                let rounded = round(sum * scale);
                *weight = (rounded - before) as i16;
                before = rounded;
            }
            // Pixels that do not count any more are not read.
            let leading = weights[..end - first].iter().take_while(|&&w| w == 0).count();
            if leading > 0 {
                weights[..end - first].rotate_left(leading);
            }
            let used = weights[..end - first].iter().rposition(|&w| w != 0).map_or(1, |last| last + 1);
            reach = reach.max(used);
            spans.push(((first + leading) as u32, (first + leading + used) as u32));
        }
        Self { side, spans, weights, stride: most, reach }
    }

    /// The same pixels in reverse order.
    #[must_use]
    pub fn mirrored(mut self) -> Self {
        self.spans.reverse();
        let (mut front, mut back) = (0, self.len());
        while front + 1 < back {
            back -= 1;
            let (a, b) = self.weights.split_at_mut(back * self.stride);
            a[front * self.stride..][..self.stride].swap_with_slice(&mut b[..self.stride]);
            front += 1;
        }
        self
    }

    /// Old pixels.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    /// New pixels.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The most old pixels that a new one is made of.
    pub(super) fn reach(&self) -> usize {
        self.reach
    }

    /// Whether new pixels are means: no weight is negative.
    pub(super) fn is_mean(&self) -> bool {
        self.weights.iter().all(|&w| w >= 0)
    }

    /// Whether no new pixel begins at an older one than the new pixel before it.
    pub(super) fn ascends(&self) -> bool {
        self.spans.is_sorted_by_key(|span| span.0)
    }

    /// The old pixels that new pixel i is made of.
    #[inline(always)]
    pub(super) fn span(&self, i: usize) -> Range<usize> {
        self.spans[i].0 as usize..self.spans[i].1 as usize
    }

    /// Their weights, and zeros behind them.
    #[inline(always)]
    pub(super) fn weights(&self, i: usize) -> &[i16] {
        &self.weights[i * self.stride..][..self.reach]
    }
}

/// Rounded to nearest, ties to even, within 2^31.
#[inline(always)]
fn round(v: f64) -> i32 {
    // As in `warp::places::place`.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (v + SHIFT).to_bits() as i32
}
