//! Products of bytes whose sums of 16 bits are widened once for two groups of input channels.
//!
//! Where bytes are multiplied in two steps, to sums of two products in 16 bits and from there to 32 bits, the second
//! step is as expensive as the first. Two groups can share it if no sum of their four products leaves 16 bits, which
//! the weights decide. So the weights of eight output channels are packed as a list of pairs of groups that fit each
//! other, and a list of the groups that are left; groups without weights are left out. The order of the groups is a
//! table of places in the input.

use super::tile::Tiles;
use crate::conv::Conv2d;
use crate::int8::simd::{BytePairs, HalfLine};
use crate::layout::LANES;

/// Input channels of a group.
const GROUP: usize = 4;
/// Output channels of a half of a block.
const HALF: usize = LANES / 2;
/// Pixels of a full tile: maps of networks have sides that 7 divides.
const ROWS: usize = 7;
/// Bytes of input and output that are passed over again for each block of output channels.
const BAND: usize = 192 * 1024;

/// Packed weights of a convolution.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// Lines of all halves of all blocks.
    lines: Vec<HalfLine>,
    /// Elements from a pixel's first tap to the group of each line.
    places: Vec<u32>,
    halves: Vec<Half>,
}

/// Eight output channels.
#[derive(Debug, Clone, Copy)]
struct Half {
    /// Its first line.
    first: usize,
    /// Pairs of lines, which come first.
    pairs: usize,
    /// Lines after them.
    singles: usize,
}

/// Sums of the positive and of the negative weights of each two products that are added in 16 bits.
type Bounds = [[i16; LANES]; 2];

fn bounds(line: &HalfLine) -> Bounds {
    let mut bounds = [[0; LANES]; 2];
    for (lane, w) in line.0.as_chunks::<2>().0.iter().enumerate() {
        for &w in w {
            bounds[usize::from(w < 0)][lane] += i16::from(w);
        }
    }
    bounds
}

/// Whether `255 * sum` stays within 16 bits on both sides.
fn fit(a: &Bounds, b: &Bounds) -> bool {
    (0..LANES).all(|i| a[0][i] + b[0][i] <= 128 && a[1][i] + b[1][i] >= -128)
}

impl Pairs {
    /// Packs the weights; `taps` are the elements from a pixel to each of its taps, `inputs` the channels that are read
    /// there.
    pub(super) fn new(conv: &Conv2d, inputs: usize, taps: &[usize], oihw: &[i8]) -> Self {
        let groups = inputs.div_ceil(GROUP);
        let conv_taps = conv.taps();
        let mut pairs = Self { lines: Vec::new(), places: Vec::new(), halves: Vec::new() };
        for half in 0..conv.y_stride() / HALF {
            let mut lines = vec![HalfLine([0; 32]); conv_taps * groups];
            for o in half * HALF..((half + 1) * HALF).min(conv.c_out) {
                for i in 0..conv.c_in {
                    for t in 0..conv_taps {
                        let line = &mut lines[t * groups + i / GROUP];
                        line.0[o % HALF * GROUP + i % GROUP] = oihw[(o * conv.c_in + i) * conv_taps + t];
                    }
                }
            }
            // A kernel that covers the map is one tap here, and its taps are channels.
            let per_tap = lines.len() / taps.len();
            let place = |line: usize| (taps[line / per_tap] + line % per_tap * GROUP) as u32;
            pairs.push(&lines, place);
        }
        pairs
    }

    /// Adds eight output channels.
    fn push(&mut self, lines: &[HalfLine], place: impl Fn(usize) -> u32) {
        let bounds: Vec<Bounds> = lines.iter().map(bounds).collect();
        let hardness =
            |i: usize| bounds[i].iter().flatten().map(|&b| i32::from(b) * i32::from(b)).sum::<i32>();
        let mut left: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].0 != [0; 32]).collect();
        // The groups that fit few others choose first, and take one that is hard to place itself.
        left.sort_by_key(|&i| std::cmp::Reverse(hardness(i)));
        let (mut paired, mut single) = (Vec::new(), Vec::new());
        while !left.is_empty() {
            let a = left.remove(0);
            match left.iter().position(|&b| fit(&bounds[a], &bounds[b])) {
                Some(at) => paired.push([a, left.remove(at)]),
                None => single.push(a),
            }
        }
        // In the order of memory, as far as that goes.
        for pair in &mut paired {
            pair.sort_unstable();
        }
        paired.sort_unstable();
        single.sort_unstable();
        self.halves.push(Half { first: self.lines.len(), pairs: paired.len(), singles: single.len() });
        for i in paired.into_iter().flatten().chain(single) {
            self.lines.push(lines[i]);
            self.places.push(place(i));
        }
    }

    /// Bytes of the packed weights.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice()) + size_of_val(self.places.as_slice())
    }
}

impl Tiles<'_, u8> {
    /// Computes blocks `first..last` for all pixels of the task.
    ///
    /// # Safety
    /// As for [`Tiles::run`], with the places of `pairs` instead of the taps.
    #[inline(always)]
    pub(super) unsafe fn run_pairs<S: BytePairs>(&self, s: S, pairs: &Pairs, first: usize, last: usize) {
        let pixel_bytes = self.step_x.min(self.step_y) + self.job.plan.conv.y_stride();
        let band = (BAND / pixel_bytes / ROWS).max(8) * ROWS;
        for start in (0..self.pixels).step_by(band) {
            let end = (start + band).min(self.pixels);
            for block in first..last {
                let (mut pixel, mut place) = (start, (start % self.width, start / self.width));
                while pixel < end {
                    let left = (end - pixel).min(ROWS);
                    // SAFETY: the caller's promise.
                    unsafe {
                        match left {
                            5.. => self.pair_tile::<S, ROWS>(s, pairs, block, pixel, left, &mut place),
                            3.. => self.pair_tile::<S, 4>(s, pairs, block, pixel, left, &mut place),
                            2 => self.pair_tile::<S, 2>(s, pairs, block, pixel, left, &mut place),
                            _ => self.pair_tile::<S, 1>(s, pairs, block, pixel, left, &mut place),
                        }
                    }
                    pixel += left;
                }
            }
        }
    }

    /// `count <= MR` pixels from `pixel` on, which lies at `place` of the task; moves `place` on.
    ///
    /// # Safety
    /// As for [`Tiles::run_pairs`].
    #[inline(always)]
    unsafe fn pair_tile<S: BytePairs, const MR: usize>(
        &self,
        s: S,
        pairs: &Pairs,
        block: usize,
        pixel: usize,
        count: usize,
        place: &mut (usize, usize),
    ) {
        let rows = self.rows::<MR>(count, place);
        let init = self.init[block].as_chunks::<HALF>().0;
        let mut sums = [[[0.0; LANES]; 1]; MR];
        // SAFETY: the caller vouches for the input; the arrays hold sixteen f32.
        unsafe {
            let low = half_sums(s, pairs, &pairs.halves[2 * block], &rows, &init[0]);
            let high = half_sums(s, pairs, &pairs.halves[2 * block + 1], &rows, &init[1]);
            for r in 0..MR {
                s.store_f32(s.to_f32(s.join(low[r], high[r])), sums[r][0].as_mut_ptr());
            }
        }
        let plan = self.job.plan;
        let stride = plan.conv.y_stride();
        let at = self.target_start + pixel * stride + block * LANES;
        // SAFETY: the caller vouches for the task's pixels.
        unsafe { plan.finish.store(s, &sums[..count], block, &self.job.target, at, stride) };
    }
}

/// The sums of eight output channels for some pixels.
///
/// # Safety
/// Four bytes are readable at each place of the half from each row.
#[inline(always)]
unsafe fn half_sums<S: BytePairs, const MR: usize>(
    s: S,
    pairs: &Pairs,
    half: &Half,
    rows: &[*const u8; MR],
    init: &[i32; HALF],
) -> [S::A; MR] {
    let count = 2 * half.pairs + half.singles;
    let places = &pairs.places[half.first..][..count];
    let lines = &pairs.lines[half.first..][..count];
    let mut acc = [s.load_half(init); MR];
    // SAFETY: there are as many places as lines; the caller vouches for the input.
    unsafe {
        let (mut place, mut line) = (places.as_ptr(), lines.as_ptr());
        for _ in 0..half.pairs {
            let at = [*place as usize, *place.add(1) as usize];
            let w = [s.load_half_line(line), s.load_half_line(line.add(1))];
            for r in 0..MR {
                let x = [s.load_x(rows[r].add(at[0])), s.load_x(rows[r].add(at[1]))];
                acc[r] = s.mac_pair(acc[r], x, w);
            }
            (place, line) = (place.add(2), line.add(2));
        }
        for _ in 0..half.singles {
            let (at, w) = (*place as usize, s.load_half_line(line));
            for r in 0..MR {
                acc[r] = s.mac_half(acc[r], s.load_x(rows[r].add(at)), w);
            }
            (place, line) = (place.add(1), line.add(1));
        }
    }
    acc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(w: [i8; 4]) -> HalfLine {
        let mut line = HalfLine([1; 32]);
        line.0[12..16].copy_from_slice(&w);
        line
    }

    #[test]
    fn a_pair_fits_up_to_the_last_bit() {
        let fits = |a, b| fit(&bounds(&line(a)), &bounds(&line(b)));
        assert!(fits([64, 64, 0, 0], [0, 0, 64, 64]));
        assert!(fits([64, 0, 0, 64], [0, 64, 64, 0]));
        assert!(!fits([64, 0, 0, 64], [1, 64, 0, 0]));
        assert!(!fits([0, 0, 64, 64], [0, 0, 0, 1]));
        assert!(fits([-64, -64, 127, 1], [127, 1, -128, 0]));
        assert!(!fits([-64, -64, 0, 0], [0, -1, 0, 0]));
        // Weights of opposite signs do not make up for each other: the inputs may be 0 and 255.
        assert!(!fits([64, 64, 0, 0], [64, -64, 0, 0]));
    }

    #[test]
    fn every_group_with_weights_is_packed_once_and_pairs_fit() {
        let conv = Conv2d::square(1, [4, 4], [40, 24], 3, 1, 1);
        let oihw: Vec<i8> =
            (0..24 * 40 * 9i32)
                .map(|i| {
                    if i % 360 < 36 {
                        0
                    } else {
                        (i * 7919 % 113 - 56) as i8 / if i % 5 == 0 { 1 } else { 3 }
                    }
                })
                .collect();
        let taps: Vec<usize> = (0..9).map(|t| 1000 * t).collect();
        let pairs = Pairs::new(&conv, 40, &taps, &oihw);
        assert_eq!(pairs.halves.len(), 4);
        for (h, half) in pairs.halves.iter().enumerate() {
            let count = 2 * half.pairs + half.singles;
            if h == 3 {
                assert_eq!(count, 0, "there are no outputs from 24 on");
                continue;
            }
            assert!(half.pairs > 0 && half.singles < 90);
            let lines = &pairs.lines[half.first..][..count];
            for pair in lines[..2 * half.pairs].as_chunks::<2>().0 {
                assert!(fit(&bounds(&pair[0]), &bounds(&pair[1])));
            }
            // The first group of every tap has no weights.
            let mut places = pairs.places[half.first..][..count].to_vec();
            places.sort_unstable();
            let all: Vec<u32> = (0..9).flat_map(|t| (1..10).map(move |g| 1000 * t + 4 * g)).collect();
            assert_eq!(places, all);
            for (line, &place) in lines.iter().zip(&pairs.places[half.first..]) {
                let (t, i) = (place as usize / 1000, place as usize % 1000);
                for (at, &w) in line.0.iter().enumerate() {
                    assert_eq!(w, oihw[((h * 8 + at / 4) * 40 + i + at % 4) * 9 + t]);
                }
            }
        }
    }
}
