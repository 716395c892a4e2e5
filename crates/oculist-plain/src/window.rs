//! Windows over the spatial axes of actual tensors.

use oculist_graph::Window;

use crate::call::Problem;

/// No coordinate may leave this range: far beyond any memory, and sums of a few stay within 63 bits.
const LIMIT: usize = 1 << 45;

/// One spatial axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    /// Size of the input.
    pub(crate) input: usize,
    /// Size of the output.
    pub(crate) output: usize,
    /// Elements of the kernel.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Padding in front.
    pub(crate) before: usize,
    /// Padding behind.
    pub(crate) behind: usize,
}

impl Axis {
    /// Where the kernel's element `tap` lies in the input for the output's element `out`, if within.
    #[inline]
    pub(crate) fn at(self, out: usize, tap: usize) -> Option<usize> {
        (out * self.stride + tap * self.dilation).checked_sub(self.before).filter(|&i| i < self.input)
    }

    /// The elements of the output for which the kernel's element `tap` lies within the input.
    pub(crate) fn inside(self, tap: usize) -> std::ops::Range<usize> {
        let shift = tap * self.dilation;
        let first = self.before.saturating_sub(shift).div_ceil(self.stride);
        let end = (self.input + self.before).saturating_sub(shift).div_ceil(self.stride);
        let end = end.min(self.output);
        first.min(end)..end
    }
}

/// Positions of a window along one axis that lie within the input: the first, how many, and how far apart.
type Line = (usize, usize, usize);

impl Axis {
    /// The positions within the input that the window reads for the output's element `out`.
    fn line(self, out: usize) -> Line {
        let start = out * self.stride;
        let first = self.before.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.before + self.input).saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        let count = end.saturating_sub(first);
        let at = if count == 0 { 0 } else { start + first * self.dilation - self.before };
        (at, count, self.dilation)
    }

    /// How many elements of the window lie within the padded input.
    pub(crate) fn padded(self, out: usize) -> usize {
        let end = self.input + self.before + self.behind;
        end.saturating_sub(out * self.stride).div_ceil(self.dilation).min(self.kernel)
    }
}

/// All spatial axes.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    pub(crate) axes: Vec<Axis>,
}

impl Grid {
    /// A window over inputs and outputs of these sizes.
    pub(crate) fn new(window: &Window, input: &[usize], output: &[usize]) -> Result<Self, Problem> {
        let axes = (0..window.rank()).map(|a| (window.padding_of(a, input[a]), a));
        Self::with(window, input, output, axes.map(|(padding, _)| padding))
    }

    /// The same with the padding in front and behind of each axis.
    pub(crate) fn with(
        window: &Window,
        input: &[usize],
        output: &[usize],
        padding: impl Iterator<Item = (usize, usize)>,
    ) -> Result<Self, Problem> {
        let axes: Vec<Axis> = padding
            .enumerate()
            .map(|(a, (before, behind))| Axis {
                input: input[a],
                output: output[a],
                kernel: window.kernel[a],
                stride: window.stride[a],
                dilation: window.dilation[a],
                before,
                behind,
            })
            .collect();
        for axis in &axes {
            let reach = axis.dilation.saturating_mul(axis.kernel);
            let longest = axis.input.max(axis.output).saturating_mul(axis.stride).saturating_add(reach);
            if longest.saturating_add(axis.before).saturating_add(axis.behind) > LIMIT {
                return Err(format!("the window reaches beyond {LIMIT} elements").into());
            }
        }
        Ok(Self { axes })
    }

    /// Elements of one map of the input.
    pub(crate) fn inputs(&self) -> usize {
        self.axes.iter().map(|a| a.input).product()
    }

    /// Elements of one map of the output.
    pub(crate) fn outputs(&self) -> usize {
        self.axes.iter().map(|a| a.output).product()
    }

    /// Elements of the kernel.
    pub(crate) fn taps(&self) -> usize {
        self.axes.iter().map(|a| a.kernel).product()
    }

    /// Positions of an element of the kernel along the axes.
    pub(crate) fn tap(&self, tap: usize) -> Vec<usize> {
        unravel(tap, self.axes.iter().map(|a| a.kernel))
    }

    /// Positions of an element of the output along the axes.
    pub(crate) fn output(&self, i: usize) -> Vec<usize> {
        unravel(i, self.axes.iter().map(|a| a.output))
    }

    /// For each element of the output in turn, calls `each(output, positions)` with the positions in a map of the input
    /// that its window reads. They are written to one vector, which never holds more than the map.
    pub(crate) fn windows(&self, mut each: impl FnMut(usize, &[usize])) {
        let mut out = vec![0; self.axes.len()];
        let mut positions = vec![0];
        let mut longer = Vec::new();
        for i in 0..self.outputs() {
            positions.clear();
            positions.push(0);
            for (axis, &o) in self.axes.iter().zip(&out) {
                let (first, count, step) = axis.line(o);
                longer.clear();
                for &p in &positions {
                    longer.extend((0..count).map(|n| p * axis.input + first + n * step));
                }
                std::mem::swap(&mut positions, &mut longer);
            }
            each(i, &positions);
            advance(&mut out, |a| self.axes[a].output);
        }
    }

    /// Whether the window is one element that visits each element of the input in turn.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.axes.iter().all(|a| a.kernel == 1 && a.stride == 1 && a.before == 0 && a.input == a.output)
    }

    /// Calls `run(output, input, count)` for every run along the last axis in which the kernel's element `tap` lies
    /// within the input: `count` outputs from `output` on, inputs from `input` on, each `stride` apart.
    pub(crate) fn runs(&self, tap: usize, mut run: impl FnMut(usize, usize, usize)) {
        let Some((last, outer)) = self.axes.split_last() else { return };
        let taps = self.tap(tap);
        let inside = last.inside(taps[outer.len()]);
        if inside.is_empty() {
            return;
        }
        let first = inside.start * last.stride + taps[outer.len()] * last.dilation - last.before;
        let rows: usize = outer.iter().map(|a| a.output).product();
        let mut at = vec![0; outer.len()];
        for row in 0..rows {
            let mut line = Some(0);
            for ((axis, &out), &tap) in outer.iter().zip(&at).zip(&taps) {
                line = line.zip(axis.at(out, tap)).map(|(l, i)| l * axis.input + i);
            }
            if let Some(line) = line {
                run(row * last.output + inside.start, line * last.input + first, inside.len());
            }
            advance(&mut at, |a| outer[a].output);
        }
    }
}

/// The next position, the last axis first.
pub(crate) fn advance(at: &mut [usize], size: impl Fn(usize) -> usize) {
    for a in (0..at.len()).rev() {
        at[a] += 1;
        if at[a] < size(a) {
            return;
        }
        at[a] = 0;
    }
}

/// Positions along axes of an element of a row-major value.
pub(crate) fn unravel(mut i: usize, sizes: impl DoubleEndedIterator<Item = usize>) -> Vec<usize> {
    let mut at: Vec<usize> = sizes
        .rev()
        .map(|size| {
            let position = i % size.max(1);
            i /= size.max(1);
            position
        })
        .collect();
    at.reverse();
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_positions_within() {
        let window = Window::square(3, 2, 1);
        let grid = Grid::new(&window, &[5, 4], &[3, 2]).unwrap();
        for tap in 0..9 {
            let mut found = Vec::new();
            grid.runs(tap, |out, input, count| found.extend((0..count).map(|i| (out + i, input + 2 * i))));
            let mut expected = Vec::new();
            for out in 0..6 {
                let (o, t) = (grid.output(out), grid.tap(tap));
                if let (Some(y), Some(x)) = (grid.axes[0].at(o[0], t[0]), grid.axes[1].at(o[1], t[1])) {
                    expected.push((out, y * 4 + x));
                }
            }
            assert_eq!(found, expected, "tap {tap}");
        }
    }

    #[test]
    fn windows_are_the_positions_within() {
        let window = Window { dilation: vec![2, 1], ..Window::square(2, 1, 1) };
        let grid = Grid::new(&window, &[3, 2], &[3, 3]).unwrap();
        let mut found = Vec::new();
        grid.windows(|i, at| found.push((i, at.to_vec())));
        assert_eq!(found[0], (0, vec![2]));
        assert_eq!(found[4], (4, vec![0, 1, 4, 5]));
        assert_eq!(found[8], (8, vec![3]));
        assert_eq!([0, 2].map(|o| grid.axes[0].padded(o)), [2, 2]);
    }

    #[test]
    fn paddings_beyond_memory_are_refused() {
        let mut window = Window::square(3, 1, 0);
        window.stride = vec![1 << 62; 2];
        assert!(Grid::new(&window, &[5, 5], &[3, 3]).is_err());
    }
}
