//! Smoothing of fields of f32, such as displacements.

use super::lanes::{Lanes, per_isa};

per_isa! {
    /// Convolves each row with a kernel: `to[y][x] = sum over k of kernel[k] * from[y][x + k - kernel.len() / 2]`.
    ///
    /// `columns` names the column that stands for each place of a padded row: `columns[i]` for column
    /// `i - kernel.len() / 2`; those of the row itself are not looked at. Products are added in the order of the kernel,
    /// from 0.
    ///
    /// # Panics
    /// If the processor lacks `isa`, or when `columns` does not hold `width + kernel.len() - 1` places inside the row, or
    /// the lengths of the fields differ or are no multiple of the width.
    pub fn convolve_rows(from: &[f32], to: &mut [f32], width: usize, columns: &[usize], kernel: &[f32]) = rows;
}

#[inline(always)]
fn rows<L: Lanes>(_: L, from: &[f32], to: &mut [f32], width: usize, columns: &[usize], kernel: &[f32]) {
    assert!(from.len() == to.len() && columns.len() + 1 == width + kernel.len(), "lengths");
    assert!(from.len().is_multiple_of(width), "whole rows");
    // Blocks of full length may reach behind the row; what they compute there is dropped.
    let blocks = width.div_ceil(BLOCK);
    let mut padded = vec![0.0f32; blocks * BLOCK + kernel.len()];
    for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
        let left = kernel.len() / 2;
        padded[left..left + width].copy_from_slice(from);
        for i in (0..left).chain(left + width..columns.len()) {
            padded[i] = from[columns[i]];
        }
        for (b, to) in to.chunks_mut(BLOCK).enumerate() {
            let mut sum = [0.0f32; BLOCK];
            for (window, &k) in padded[b * BLOCK..].windows(BLOCK).zip(kernel) {
                for i in 0..BLOCK {
                    sum[i] += k * window[i];
                }
            }
            to.copy_from_slice(&sum[..to.len()]);
        }
    }
}

per_isa! {
    /// Convolves each column with a kernel: as [`convolve_rows`], with rows and columns swapped.
    ///
    /// `lines` names the row that stands for each place of a padded column.
    ///
    /// # Panics
    /// If the processor lacks `isa`, or when `lines` does not hold `height + kernel.len() - 1` rows of the field, or the
    /// lengths of the fields differ or are no multiple of the width.
    pub fn convolve_columns(from: &[f32], to: &mut [f32], width: usize, lines: &[usize], kernel: &[f32]) = columns_of;
}

#[inline(always)]
fn columns_of<L: Lanes>(_: L, from: &[f32], to: &mut [f32], width: usize, lines: &[usize], kernel: &[f32]) {
    assert!(from.len() == to.len() && from.len().is_multiple_of(width), "lengths");
    assert!(lines.len() + 1 == from.len() / width + kernel.len(), "lengths");
    for (y, to) in to.chunks_exact_mut(width).enumerate() {
        let lines = &lines[y..y + kernel.len()];
        let wide = width / BLOCK * BLOCK;
        for left in (0..wide).step_by(BLOCK) {
            let sum = column_block::<BLOCK>(from, width, left, lines, kernel);
            to[left..left + BLOCK].copy_from_slice(&sum);
        }
        let whole = wide + (width - wide) / 16 * 16;
        for left in (wide..whole).step_by(16) {
            let sum = column_block::<16>(from, width, left, lines, kernel);
            to[left..left + 16].copy_from_slice(&sum);
        }
        for (left, to) in (whole..).zip(&mut to[whole..]) {
            *to = column_block::<1>(from, width, left, lines, kernel)[0];
        }
    }
}

/// Neighbouring sums down the columns from `left` on.
#[inline(always)]
fn column_block<const N: usize>(
    from: &[f32],
    width: usize,
    left: usize,
    lines: &[usize],
    kernel: &[f32],
) -> [f32; N] {
    let mut sum = [0.0f32; N];
    for (&line, &k) in lines.iter().zip(kernel) {
        let row: &[f32; N] = from[line * width + left..].first_chunk().expect("a block inside the row");
        for i in 0..N {
            sum[i] += k * row[i];
        }
    }
    sum
}

per_isa! {
    /// Numbers uniform in -1..1, `2 u - 1` with u on a grid of 2^-24: the upper 24 bits of SplitMix64's numbers, the state
    /// before the first of them being given.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    ///
    /// # Source
    /// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
    pub fn uniform_noise(state: u64, to: &mut [f32]) = noise;
}

#[inline(always)]
fn noise<L: Lanes>(_: L, state: u64, to: &mut [f32]) {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = state;
    for to in to {
        state = state.wrapping_add(GOLDEN);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let upper = ((z ^ (z >> 31)) >> 40) as i32;
        *to = 2.0 * (upper as f32 * (1.0 / (1u32 << 24) as f32)) - 1.0;
    }
}

/// Columns that are summed at a time, in registers.
const BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    /// The definition, in f64.
    fn naive(field: &[f32], width: usize, kernel: &[f32], down: bool) -> Vec<f64> {
        let height = field.len() / width;
        let len = if down { height } else { width } as isize;
        let half = (kernel.len() / 2) as isize;
        let value = |i: usize| {
            let (x, y) = (i % width, i / width);
            let taps = kernel.iter().enumerate().map(|(k, &w)| {
                let at = |c: usize| (c as isize + k as isize - half).clamp(0, len - 1) as usize;
                let tap = if down { at(y) * width + x } else { y * width + at(x) };
                f64::from(w) * f64::from(field[tap])
            });
            taps.sum()
        };
        (0..field.len()).map(value).collect()
    }

    fn places(len: usize, taps: usize) -> Vec<usize> {
        (0..len + taps - 1).map(|i| i.saturating_sub(taps / 2).min(len - 1)).collect()
    }

    #[test]
    fn noise_is_the_published_stream() {
        // The first outputs of SplitMix64 for the state 1234567, as published with other implementations.
        let published = [6457827717110365317u64, 3203168211198807973, 9817491932198370423];
        let want = published.map(|z| (2.0 * ((z >> 40) as f64 / f64::from(1 << 24)) - 1.0) as f32);
        for isa in Isa::available() {
            let mut noise = vec![0.0; 37];
            uniform_noise(isa, 1234567, &mut noise);
            assert_eq!(noise[..3], want, "{isa}");
            let mut other = vec![0.0; 37];
            uniform_noise(Isa::Portable, 1234567, &mut other);
            assert_eq!(noise, other, "{isa}");
            uniform_noise(isa, 1234568, &mut other);
            assert!(noise.iter().zip(&other).all(|(a, b)| a != b && a.abs() <= 1.0));
        }
    }

    #[test]
    fn convolutions_equal_the_definition_and_each_other() {
        for (width, height) in [(1, 1), (3, 2), (64, 3), (67, 65), (130, 9)] {
            for taps in [1, 3, 9, 31] {
                let field: Vec<f32> =
                    (0..width * height).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
                let kernel: Vec<f32> = (0..taps).map(|k| 1.0 / (k + 2) as f32).collect();
                let (columns, lines) = (places(width, taps), places(height, taps));
                let run = |isa: Isa| {
                    let (mut across, mut down) = (vec![f32::NAN; field.len()], vec![f32::NAN; field.len()]);
                    convolve_rows(isa, &field, &mut across, width, &columns, &kernel);
                    convolve_columns(isa, &field, &mut down, width, &lines, &kernel);
                    [across, down]
                };
                let want = [false, true].map(|down| naive(&field, width, &kernel, down));
                let close = |got: &[f32], want: &[f64]| {
                    got.iter().zip(want).all(|(&g, &w)| (f64::from(g) - w).abs() < 1e-5)
                };
                for isa in Isa::available() {
                    let got = run(isa);
                    assert_eq!(got, run(Isa::Portable), "{isa}");
                    for (got, want) in got.iter().zip(&want) {
                        assert!(close(got, want), "{isa} {width}x{height}, {taps} taps");
                        // The twin: one wrong value is seen.
                        let mut wrong = got.clone();
                        *wrong.last_mut().unwrap() += 1e-3;
                        assert!(!close(&wrong, want));
                    }
                }
            }
        }
    }
}
