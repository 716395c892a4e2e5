//! Convolution and its data gradient as one pattern: every destination pixel gathers from source pixels.
//!
//! Forward, output pixel `o` reads input pixel `o * stride + tap * dilation - padding`. Backward, input pixel `h`
//! reads output pixel `(h + padding - tap * dilation) / stride` for the taps where the division leaves no rest.
//! Which taps these are depends on `h` modulo the stride alone, so the destination splits into `stride^2` phases,
//! each a regular grid with its own list of taps and no multiplication by inserted zeros.

use super::Conv2d;
use crate::layout::LANES;

/// One kernel position of a phase: destination grid point `g` reads source pixel `g * src_step + shift`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    /// Number of the tap in the packed weights.
    pub(crate) index: usize,
    shift: [isize; 2],
    /// `shift` in f32 of the source.
    offset: isize,
}

/// The destination pixels `origin + g * step` for `g` in `0..grid`, and the taps that reach them.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    origin: [usize; 2],
    grid: [usize; 2],
    pub(crate) taps: Vec<Tap>,
    /// Grid points from .. to which all taps lie inside of the source, by axis.
    interior: [(isize, isize); 2],
    /// Taps that follow each other in the weights and, pixel by pixel, in the source: those of a kernel row.
    run: usize,
}

/// A gathering pass over a batch.
#[derive(Debug, Clone)]
pub(crate) struct Gather {
    batch: usize,
    src: [usize; 2],
    pub(crate) src_stride: usize,
    src_step: [usize; 2],
    dst: [usize; 2],
    pub(crate) dst_stride: usize,
    dst_step: [usize; 2],
    pub(crate) phases: Vec<Phase>,
}

impl Gather {
    /// The forward pass: from `x` to `y`.
    pub(crate) fn forward(conv: &Conv2d) -> Self {
        let shift = |axis: usize, k: usize| (k * conv.dilation[axis]) as isize - conv.padding[axis] as isize;
        let out = [conv.out_height(), conv.out_width()];
        let mut gather = Self {
            batch: conv.batch,
            src: [conv.height, conv.width],
            src_stride: conv.x_stride,
            src_step: conv.stride,
            dst: out,
            dst_stride: conv.y_stride(),
            dst_step: [1, 1],
            phases: Vec::new(),
        };
        let taps = taps(conv, |kh, kw| Some([shift(0, kh), shift(1, kw)]));
        gather.push_phase([0, 0], out, taps);
        gather
    }

    /// The data gradient: from `dy` to `dx`.
    pub(crate) fn backward(conv: &Conv2d) -> Self {
        let size = [conv.height, conv.width];
        let mut gather = Self {
            batch: conv.batch,
            src: [conv.out_height(), conv.out_width()],
            src_stride: conv.y_stride(),
            src_step: [1, 1],
            dst: size,
            dst_stride: conv.x_stride,
            dst_step: conv.stride,
            phases: Vec::new(),
        };
        for ph in 0..conv.stride[0].min(size[0]) {
            for pw in 0..conv.stride[1].min(size[1]) {
                let shift = |axis: usize, phase: usize, k: usize| {
                    let at = (phase + conv.padding[axis]) as isize - (k * conv.dilation[axis]) as isize;
                    let stride = conv.stride[axis] as isize;
                    (at.rem_euclid(stride) == 0).then(|| at.div_euclid(stride))
                };
                let taps = taps(conv, |kh, kw| Some([shift(0, ph, kh)?, shift(1, pw, kw)?]));
                let grid = [(size[0] - ph).div_ceil(conv.stride[0]), (size[1] - pw).div_ceil(conv.stride[1])];
                gather.push_phase([ph, pw], grid, taps);
            }
        }
        gather
    }

    fn push_phase(&mut self, origin: [usize; 2], grid: [usize; 2], mut taps: Vec<Tap>) {
        for tap in &mut taps {
            tap.offset = (tap.shift[0] * self.src[1] as isize + tap.shift[1]) * self.src_stride as isize;
        }
        let interior = std::array::from_fn(|axis| {
            let step = self.src_step[axis] as isize;
            let low = taps.iter().map(|t| t.shift[axis]).min().unwrap_or(0);
            let high = taps.iter().map(|t| t.shift[axis]).max().unwrap_or(0);
            // The first grid point with g * step + low >= 0, and one past the last with g * step + high < size.
            (-(low.div_euclid(step)), (self.src[axis] as isize - high + step - 1).div_euclid(step))
        });
        let width = taps.iter().take_while(|t| t.shift[0] == taps[0].shift[0]).count().max(1);
        let follow = |row: &[Tap]| {
            row.windows(2)
                .all(|t| t[1].index == t[0].index + 1 && t[1].shift == [t[0].shift[0], t[0].shift[1] + 1])
        };
        let runs = taps.len().is_multiple_of(width) && taps.chunks(width).all(follow);
        self.phases.push(Phase { origin, grid, taps, interior, run: if runs { width } else { 1 } });
    }

    /// Whether pixel `i` of the destination reads pixel `i` of the source and no other.
    fn is_pointwise(&self, phase: &Phase) -> bool {
        let one_tap = matches!(phase.taps.as_slice(), [tap] if tap.shift == [0, 0]);
        one_tap
            && self.src == phase.grid
            && self.dst == phase.grid
            && phase.origin == [0, 0]
            && self.src_step == [1, 1]
            && self.dst_step == [1, 1]
    }

    /// Destination pixels of a phase over the whole batch.
    pub(crate) fn rows(&self, phase: &Phase) -> usize {
        self.batch * phase.grid[0] * phase.grid[1]
    }

    /// The largest number of taps of a phase.
    pub(crate) fn max_taps(&self) -> usize {
        self.phases.iter().map(|p| p.taps.len()).max().unwrap_or(0)
    }

    /// Writes, for the rows `first .. first + out.len()` of a phase, where each tap reads (`table[tap * n + row]`,
    /// [`None`] of the source replaced by `zero`) and which destination element the row starts at. Rows from `valid` on
    /// repeat the last valid one.
    ///
    /// Where `merge` allows it and no tap lies outside of the source, only the first tap of each kernel row is written,
    /// one after the other. The result is how many taps each of those written stands for.
    #[inline]
    pub(crate) fn fill<const N: usize>(
        &self,
        phase: &Phase,
        first: usize,
        valid: usize,
        src: *const f32,
        zero: *const f32,
        merge: bool,
        table: &mut [*const f32],
        out: &mut [usize; N],
    ) -> usize {
        let [gh, gw] = phase.grid;
        if self.is_pointwise(phase) {
            for row in 0..N {
                let pixel = first + row.min(valid - 1);
                table[row] = src.wrapping_add(pixel * self.src_stride);
                out[row] = pixel * self.dst_stride;
            }
            return 1;
        }
        let (mut image, rest) = (first / (gh * gw), first % (gh * gw));
        let (mut i, mut j) = (rest / gw, rest % gw);
        let (rows, columns) = (phase.interior[0], phase.interior[1]);
        let mut bases = [src; N];
        let mut places = [[0isize; 2]; N];
        let mut interior = true;
        for row in 0..N {
            let (h, w) = (i * self.src_step[0], j * self.src_step[1]);
            bases[row] = src.wrapping_add(((image * self.src[0] + h) * self.src[1] + w) * self.src_stride);
            places[row] = [h as isize, w as isize];
            let (si, sj) = (i as isize, j as isize);
            interior &= si >= rows.0 && si < rows.1 && sj >= columns.0 && sj < columns.1;
            let (dh, dw) = (phase.origin[0] + i * self.dst_step[0], phase.origin[1] + j * self.dst_step[1]);
            out[row] = ((image * self.dst[0] + dh) * self.dst[1] + dw) * self.dst_stride;
            if row + 1 < valid {
                j += 1;
                if j == gw {
                    j = 0;
                    i += 1;
                    if i == gh {
                        i = 0;
                        image += 1;
                    }
                }
            }
        }
        let table = table.as_chunks_mut::<N>().0;
        if interior {
            let run = if merge { phase.run } else { 1 };
            for (tap, pointers) in phase.taps.iter().step_by(run).zip(table) {
                for row in 0..N {
                    pointers[row] = bases[row].wrapping_offset(tap.offset);
                }
            }
            return run;
        }
        for (tap, pointers) in phase.taps.iter().zip(table) {
            for row in 0..N {
                // A negative coordinate wraps to a large one.
                let inside = ((places[row][0] + tap.shift[0]) as usize) < self.src[0]
                    && ((places[row][1] + tap.shift[1]) as usize) < self.src[1];
                pointers[row] = if inside { bases[row].wrapping_offset(tap.offset) } else { zero };
            }
        }
        1
    }
}

/// f32 that hold a table of `n` pointers, alignment included.
pub(crate) const fn pointer_table_len(n: usize) -> usize {
    n * size_of::<*const f32>().div_ceil(size_of::<f32>()) + LANES
}

/// Makes a table of `n` pointers, all `fill`, out of [`pointer_table_len`] f32.
pub(crate) fn pointer_table(memory: &mut [f32], n: usize, fill: *const f32) -> &mut [*const f32] {
    assert!(memory.len() >= pointer_table_len(n), "memory of a pointer table");
    let start = memory.as_mut_ptr().cast::<u8>();
    #[expect(clippy::cast_ptr_alignment, reason = "the offset makes it aligned")]
    let start = start.wrapping_add(start.align_offset(64)).cast::<*const f32>();
    // SAFETY: the length was checked with room for the alignment, and f32 and pointers may hold any bytes; the
    // slots are written before the slice is made.
    unsafe {
        for slot in 0..n {
            start.add(slot).write(fill);
        }
        std::slice::from_raw_parts_mut(start, n)
    }
}

/// The taps for which `shift` gives a position.
fn taps(conv: &Conv2d, shift: impl Fn(usize, usize) -> Option<[isize; 2]>) -> Vec<Tap> {
    let mut found = Vec::new();
    for kh in 0..conv.kernel[0] {
        for kw in 0..conv.kernel[1] {
            if let Some(shift) = shift(kh, kw) {
                found.push(Tap { index: kh * conv.kernel[1] + kw, shift, offset: 0 });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every product of the convolution appears once in the gathering tables.
    #[test]
    fn backward_phases_mirror_the_forward_pass() {
        let mut conv = Conv2d::square(1, [9, 7], [16, 16], 3, 2, 1);
        conv.dilation = [1, 2];
        conv.padding = [1, 2, 0, 1];
        let (forward, backward) = (Gather::forward(&conv), Gather::backward(&conv));
        let x = vec![0.0f32; conv.x_len()];
        let y = vec![0.0f32; conv.y_len()];
        let zero = [0.0f32; 16];
        let mut pairs = Vec::new();
        for (gather, src, swap) in [(&forward, &x, false), (&backward, &y, true)] {
            let mut found = Vec::new();
            for phase in &gather.phases {
                for row in 0..gather.rows(phase) {
                    let mut table = vec![zero.as_ptr(); phase.taps.len()];
                    let mut out = [0];
                    gather.fill(phase, row, 1, src.as_ptr(), zero.as_ptr(), false, &mut table, &mut out);
                    for (tap, pointer) in phase.taps.iter().zip(&table) {
                        if *pointer != zero.as_ptr() {
                            let at = (*pointer as usize - src.as_ptr() as usize) / 4;
                            found.push(if swap { (tap.index, out[0], at) } else { (tap.index, at, out[0]) });
                        }
                    }
                }
            }
            found.sort_unstable();
            pairs.push(found);
        }
        assert!(!pairs[0].is_empty());
        assert_eq!(pairs[0], pairs[1]);
    }
}
