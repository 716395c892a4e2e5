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
    fn paddings_beyond_memory_are_refused() {
        let mut window = Window::square(3, 1, 0);
        window.stride = vec![1 << 62; 2];
        assert!(Grid::new(&window, &[5, 5], &[3, 3]).is_err());
    }
}
