//! Smoothing of fields of f32, such as displacements.

vectorized! {
    /// Convolves each row with a kernel: `to[y][x] = sum over k of kernel[k] * from[y][x + k - kernel.len() / 2]`.
    ///
    /// `columns` names the column that stands for each place of a padded row: `columns[i]` for column
    /// `i - kernel.len() / 2`. Products are added in the order of the kernel, from 0.
    ///
    /// # Panics
    /// When `columns` does not hold `width + kernel.len() - 1` places inside the row, or the lengths of the fields
    /// differ or are no multiple of the width.
    pub fn convolve_rows(from: &[f32], to: &mut [f32], width: usize, columns: &[usize], kernel: &[f32]) {
        assert!(from.len() == to.len() && columns.len() + 1 == width + kernel.len(), "lengths");
        assert!(from.len().is_multiple_of(width), "whole rows");
        // Blocks of full length may reach behind the row; what they compute there is dropped.
        let blocks = width.div_ceil(BLOCK);
        let mut padded = vec![0.0f32; blocks * BLOCK + kernel.len()];
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            padded.iter_mut().zip(columns).for_each(|(p, &x)| *p = from[x]);
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
}

vectorized! {
    /// Convolves each column with a kernel: as [`convolve_rows`], with rows and columns swapped.
    ///
    /// `lines` names the row that stands for each place of a padded column.
    ///
    /// # Panics
    /// When `lines` does not hold `height + kernel.len() - 1` rows of the field, or the lengths of the fields differ or
    /// are no multiple of the width.
    pub fn convolve_columns(from: &[f32], to: &mut [f32], width: usize, lines: &[usize], kernel: &[f32]) {
        assert!(from.len() == to.len() && from.len().is_multiple_of(width), "lengths");
        assert!(lines.len() + 1 == from.len() / width + kernel.len(), "lengths");
        let last = from.len() - width;
        for (y, to) in to.chunks_exact_mut(width).enumerate() {
            let lines = &lines[y..y + kernel.len()];
            let whole = width / BLOCK * BLOCK;
            for left in (0..whole).step_by(BLOCK) {
                let mut sum = [0.0f32; BLOCK];
                for (&line, &k) in lines.iter().zip(kernel) {
                    let row: &[f32; BLOCK] = from[line * width + left..].first_chunk().expect("a block");
                    for i in 0..BLOCK {
                        sum[i] += k * row[i];
                    }
                }
                to[left..left + BLOCK].copy_from_slice(&sum);
            }
            let to = &mut to[whole..];
            to.fill(0.0);
            for (&line, &k) in lines.iter().zip(kernel) {
                let row = &from[(line * width).min(last) + whole..][..to.len()];
                to.iter_mut().zip(row).for_each(|(o, v)| *o += k * v);
            }
        }
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
