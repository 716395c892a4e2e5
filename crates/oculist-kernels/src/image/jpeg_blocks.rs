//! Coefficients of JPEG blocks to samples.
//!
//! # Source
//! ITU-T T.81, A.3.3. The arithmetic is that of the accurate integer transform of the Independent JPEG Group (Loeffler,
//! Ligtenberg and Moschytz, "Practical fast 1-D DCT algorithms with 11 multiplications", with 13 fractional bits and
//! intermediate results of 2 more bits) and of its reduced forms of 4x4, 2x2 and one sample, so that samples are the very
//! same as libjpeg's. Beyond what an encoder can write, intermediate results are saturated where libjpeg's C code wraps.

use super::lanes::{Portable, per_isa};

#[cfg(target_arch = "x86_64")]
mod x86;

/// Blocks that lie side by side and are transformed together.
pub const GROUP_BLOCKS: usize = 4;

/// Coefficients of a group; that of row v, block b and column u is at `v * 32 + b * 8 + u`.
pub const GROUP_LEN: usize = 64 * GROUP_BLOCKS;

/// Samples in a row of a group.
const ROW: usize = 8 * GROUP_BLOCKS;

per_isa! {
    /// Multiplies by the quantisation table (row by row), transforms and adds 128: a row of groups to eight rows of samples.
    ///
    /// `last` holds for each group the largest index, in zigzag order, of a coefficient other than 0; only whether it
    /// is 0 matters. Rows of `out` are `stride` apart; of each, 32 samples per group are written.
    ///
    /// # Panics
    /// If there are not [`GROUP_LEN`] coefficients per group, `out` is too short, or the processor lacks `isa`.
    pub fn inverse_dct(
        coefficients: &[i16], last: &[u8], quantization: &[u16; 64], out: &mut [u8], stride: usize,
    ) = all_groups;
}

/// As [`inverse_dct`], to `8 / reduction` samples a side; reductions are 2, 4 and 8.
///
/// Rows of `out` are `stride` apart; of each, `4 * 8 / reduction` samples per group are written.
///
/// # Panics
/// If there are not [`GROUP_LEN`] coefficients per group, `out` is too short, or the reduction is another one.
pub fn inverse_dct_reduced(
    coefficients: &[i16],
    quantization: &[u16; 64],
    reduction: usize,
    out: &mut [u8],
    stride: usize,
) {
    assert!(matches!(reduction, 2 | 4 | 8), "reduction {reduction}");
    let side = 8 / reduction;
    let (groups, rest) = coefficients.as_chunks::<GROUP_LEN>();
    assert!(rest.is_empty(), "{} coefficients are no whole groups", coefficients.len());
    for (g, group) in groups.iter().enumerate() {
        for b in 0..GROUP_BLOCKS {
            let block: [[i16; 8]; 8] = std::array::from_fn(|v| {
                std::array::from_fn(|u| {
                    group[v * ROW + b * 8 + u].wrapping_mul(quantization[v * 8 + u] as i16)
                })
            });
            let x = (g * GROUP_BLOCKS + b) * side;
            match reduction {
                2 => put(&quarter(&block), out, stride, x),
                4 => put(&sixteenth(&block), out, stride, x),
                _ => out[x] = to_sample((i32::from(block[0][0]) + 4) >> 3),
            }
        }
    }
}

fn put<const N: usize>(samples: &[[u8; N]; N], out: &mut [u8], stride: usize, x: usize) {
    for (y, row) in samples.iter().enumerate() {
        out[y * stride + x..][..N].copy_from_slice(row);
    }
}

/// The transform of one group.
trait Transform: Copy {
    fn group(self, group: &[i16; GROUP_LEN], quantization: &[u16; 64], out: &mut [u8], stride: usize);
}

#[inline(always)]
fn all_groups<T: Transform>(
    transform: T,
    coefficients: &[i16],
    last: &[u8],
    quantization: &[u16; 64],
    out: &mut [u8],
    stride: usize,
) {
    let (groups, rest) = coefficients.as_chunks::<GROUP_LEN>();
    assert!(
        rest.is_empty() && groups.len() == last.len(),
        "{} groups for {} coefficients",
        last.len(),
        coefficients.len()
    );
    for (g, (group, &last)) in groups.iter().zip(last).enumerate() {
        let out = &mut out[g * ROW..];
        assert!(out.len() >= 7 * stride + ROW, "room for a group");
        if last == 0 {
            constant(group, quantization[0], out, stride);
        } else {
            transform.group(group, quantization, out, stride);
        }
    }
}

/// Blocks of nothing but their means.
#[inline(always)]
fn constant(group: &[i16; GROUP_LEN], quantization: u16, out: &mut [u8], stride: usize) {
    let mut row = [0; ROW];
    for (b, samples) in row.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mean = i32::from(group[b * 8].wrapping_mul(quantization as i16));
        *samples = [to_sample((saturate(mean << PASS_BITS) + 16) >> 5); 8];
    }
    for y in 0..8 {
        out[y * stride..][..ROW].copy_from_slice(&row);
    }
}

/// Fractional bits of the constants.
const BITS: i32 = 13;

/// Fractional bits between the passes.
const PASS_BITS: i32 = 2;

/// Shifts after the first and the second pass.
const FIRST: i32 = BITS - PASS_BITS;
const SECOND: i32 = BITS + PASS_BITS + 3;

/// The constants, times 2^13 and rounded.
mod fix {
    pub(super) const F0_298: i32 = 2446;
    pub(super) const F0_390: i32 = 3196;
    pub(super) const F0_541: i32 = 4433;
    pub(super) const F0_765: i32 = 6270;
    pub(super) const F0_899: i32 = 7373;
    pub(super) const F1_175: i32 = 9633;
    pub(super) const F1_501: i32 = 12299;
    pub(super) const F1_847: i32 = 15137;
    pub(super) const F1_961: i32 = 16069;
    pub(super) const F2_053: i32 = 16819;
    pub(super) const F2_562: i32 = 20995;
    pub(super) const F3_072: i32 = 25172;
}
use fix::{F0_298, F0_390, F0_541, F0_765, F0_899, F1_175, F1_501, F1_847, F1_961, F2_053, F2_562, F3_072};

#[inline(always)]
fn saturate(v: i32) -> i32 {
    v.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[inline(always)]
fn to_sample(v: i32) -> u8 {
    (v.clamp(-128, 127) + 128) as u8
}

/// One pass over eight values of 16 bits; sums wrap.
#[inline(always)]
fn pass(x: [i32; 8], shift: i32) -> [i32; 8] {
    let round = 1 << (shift - 1);
    let pair = |a: i32, ca: i32, b: i32, cb: i32| a * ca + b * cb;
    let low = pair(x[2], F0_541, x[6], F0_541 - F1_847);
    let high = pair(x[2], F0_541 + F0_765, x[6], F0_541);
    let (sum, difference) = (((x[0] + x[4]) << BITS) + round, ((x[0] - x[4]) << BITS) + round);
    let even = [
        sum.wrapping_add(high),
        difference.wrapping_add(low),
        difference.wrapping_sub(low),
        sum.wrapping_sub(high),
    ];
    let z3 = i32::from((x[7] + x[3]) as i16);
    let z4 = i32::from((x[5] + x[1]) as i16);
    let (a, b) = (pair(z3, F1_175 - F1_961, z4, F1_175), pair(z3, F1_175, z4, F1_175 - F0_390));
    let odd = [
        pair(x[7], -F0_899, x[1], F1_501 - F0_899).wrapping_add(b),
        pair(x[5], -F2_562, x[3], F3_072 - F2_562).wrapping_add(a),
        pair(x[5], F2_053 - F2_562, x[3], -F2_562).wrapping_add(b),
        pair(x[7], F0_298 - F0_899, x[1], -F0_899).wrapping_add(a),
    ];
    std::array::from_fn(|i| {
        let v = if i < 4 { even[i].wrapping_add(odd[i]) } else { even[7 - i].wrapping_sub(odd[7 - i]) };
        saturate(v >> shift)
    })
}

impl Transform for Portable {
    #[inline(always)]
    fn group(self, group: &[i16; GROUP_LEN], quantization: &[u16; 64], out: &mut [u8], stride: usize) {
        for b in 0..GROUP_BLOCKS {
            let mut a = [[0i32; 8]; 8];
            for (v, row) in a.iter_mut().enumerate() {
                for (u, value) in row.iter_mut().enumerate() {
                    let product = group[v * ROW + b * 8 + u].wrapping_mul(quantization[v * 8 + u] as i16);
                    *value = i32::from(product);
                }
            }
            let mut columns = [[0i32; 8]; 8];
            for u in 0..8 {
                let values = pass(std::array::from_fn(|v| a[v][u]), FIRST);
                for v in 0..8 {
                    columns[v][u] = values[v];
                }
            }
            let mut samples = [[0u8; 8]; 8];
            for (row, samples) in columns.iter().zip(&mut samples) {
                *samples = pass(*row, SECOND).map(to_sample);
            }
            put(&samples, out, stride, b * 8);
        }
    }
}

fn descale(v: i32, shift: i32) -> i32 {
    v.wrapping_add(1 << (shift - 1)) >> shift
}

/// A sum of products; wraps.
fn dot<const N: usize>(x: [i32; N], c: [i32; N]) -> i32 {
    x.iter().zip(c).fold(0i32, |sum, (x, c)| sum.wrapping_add(x.wrapping_mul(c)))
}

/// The transform to 4x4 samples: from eight values those of order 4 are left out.
fn quarter(block: &[[i16; 8]; 8]) -> [[u8; 4]; 4] {
    let pass = |x: [i32; 8], shift: i32| {
        let mean = x[0].wrapping_shl(BITS as u32 + 1);
        let even = dot([x[2], x[6]], [F1_847, -F0_765]);
        let (sum, difference) = (mean.wrapping_add(even), mean.wrapping_sub(even));
        let odd = [x[7], x[5], x[3], x[1]];
        let inner = dot(odd, [-1730, 11893, -17799, 8697]);
        let outer = dot(odd, [-4176, -4926, 7373, 20995]);
        [
            sum.wrapping_add(outer),
            difference.wrapping_add(inner),
            difference.wrapping_sub(inner),
            sum.wrapping_sub(outer),
        ]
        .map(|v| descale(v, shift))
    };
    let columns: [[i32; 4]; 8] =
        std::array::from_fn(|u| pass(std::array::from_fn(|v| i32::from(block[v][u])), FIRST + 1));
    std::array::from_fn(|y| pass(std::array::from_fn(|u| columns[u][y]), SECOND + 1).map(to_sample))
}

/// The transform to 2x2 samples: of eight values the mean and the odd orders count.
fn sixteenth(block: &[[i16; 8]; 8]) -> [[u8; 2]; 2] {
    let pass = |x: [i32; 8], shift: i32| {
        let mean = x[0].wrapping_shl(BITS as u32 + 2);
        let odd = dot([x[7], x[5], x[3], x[1]], [-5906, 6967, -10426, 29692]);
        [mean.wrapping_add(odd), mean.wrapping_sub(odd)].map(|v| descale(v, shift))
    };
    let columns: [[i32; 2]; 8] =
        std::array::from_fn(|u| pass(std::array::from_fn(|v| i32::from(block[v][u])), FIRST + 2));
    std::array::from_fn(|y| pass(std::array::from_fn(|u| columns[u][y]), SECOND + 2).map(to_sample))
}

#[cfg(test)]
mod tests;
