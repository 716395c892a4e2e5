//! Every path against the definition in f64.

use super::*;
use crate::Isa;

fn noise(len: usize, mut state: u32) -> Vec<u8> {
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

struct Case {
    side: (usize, usize),
    window: [(f64, f64); 2],
    len: (usize, usize),
    channels: usize,
    kernel: Kernel,
    antialias: bool,
}

/// The weights of all old pixels along x (0) or y (1), by the usual formulas.
fn weights(case: &Case, axis: usize, i: usize) -> Vec<f64> {
    let (side, len) = if axis == 0 { (case.side.0, case.len.0) } else { (case.side.1, case.len.1) };
    let (start, window) = case.window[axis];
    let ratio = window / len as f64;
    let centre = start + (i as f64 + 0.5) * ratio;
    let width = if case.antialias { ratio.max(1.0) } else { 1.0 };
    let weight = |j: usize| {
        let d = ((j as f64 + 0.5 - centre) / width).abs();
        match case.kernel {
            Kernel::Triangle if d < 1.0 => 1.0 - d,
            Kernel::Cubic if d <= 1.0 => 1.5 * d.powi(3) - 2.5 * d.powi(2) + 1.0,
            Kernel::Cubic if d < 2.0 => -0.5 * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0),
            _ => 0.0,
        }
    };
    let all: Vec<f64> = (0..side).map(weight).collect();
    let total: f64 = all.iter().sum();
    all.iter().map(|w| w / total).collect()
}

impl Case {
    fn pixels(&self) -> Vec<u8> {
        noise(self.side.0 * self.side.1 * self.channels, (self.side.0 * 7 + self.channels) as u32)
    }

    fn axes(&self) -> [Axis; 2] {
        [(self.side.0, self.len.0, 0), (self.side.1, self.len.1, 1)]
            .map(|(side, len, i)| Axis::new(self.kernel, side, self.window[i], len, self.antialias))
    }

    /// The sums before they are rounded and cut.
    fn exact(&self) -> Vec<f64> {
        let pixels = self.pixels();
        let (width, c) = (self.side.0, self.channels);
        let columns: Vec<Vec<f64>> = (0..self.len.0).map(|i| weights(self, 0, i)).collect();
        let mut out = Vec::new();
        for wy in (0..self.len.1).map(|i| weights(self, 1, i)) {
            let mixed: Vec<f64> = (0..width * c)
                .map(|i| wy.iter().enumerate().map(|(y, w)| w * f64::from(pixels[y * width * c + i])).sum())
                .collect();
            for wx in &columns {
                out.extend((0..c).map(|c_| (0..width).map(|x| wx[x] * mixed[x * c + c_]).sum::<f64>()));
            }
        }
        out
    }

    fn run(&self, isa: Isa) -> Vec<u8> {
        let [columns, lines] = self.axes();
        let mut out = vec![7; self.len.0 * self.len.1 * self.channels];
        resize(isa, &self.pixels(), self.side.0, self.channels, &columns, &lines, &mut out);
        out
    }
}

/// The largest distance from the exact sums, cut to 0..=255.
fn distance(got: &[u8], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(&g, &w)| (f64::from(g) - w.clamp(0.0, 255.0)).abs()).fold(0.0, f64::max)
}

fn cases() -> Vec<Case> {
    let whole = |side: (usize, usize)| [(0.0, side.0 as f64), (0.0, side.1 as f64)];
    let mut cases = Vec::new();
    for channels in [1, 3, 4] {
        for (kernel, antialias) in [
            (Kernel::Triangle, true),
            (Kernel::Cubic, true),
            (Kernel::Triangle, false),
            (Kernel::Cubic, false),
        ] {
            for (side, len) in [
                ((1, 1), (1, 1)),
                ((1, 1), (5, 3)),
                ((7, 1), (1, 4)),
                ((2, 9), (33, 2)),
                ((40, 31), (40, 31)),
                ((40, 31), (17, 31)),
                ((50, 37), (22, 22)),
                ((22, 20), (70, 41)),
                ((131, 90), (7, 3)),
                ((300, 2), (1, 1)),
                ((150, 40), (67, 17)),
                ((90, 9), (29, 4)),
            ] {
                cases.push(Case { side, window: whole(side), len, channels, kernel, antialias });
            }
            let window = [(3.25, 20.5), (0.0, 11.75)];
            cases.push(Case { side: (40, 31), window, len: (16, 19), channels, kernel, antialias });
            let window = [(30.0, 10.0), (20.0, 11.0)];
            cases.push(Case { side: (40, 31), window, len: (64, 5), channels, kernel, antialias });
        }
    }
    cases
}

#[test]
fn every_path_is_within_a_twentieth_of_rounding() {
    for case in cases() {
        let want = case.exact();
        let first = case.run(Isa::Portable);
        let filter = (case.kernel, case.antialias);
        let name = format!("{filter:?} {:?} to {:?} {}", case.side, case.len, case.channels);
        let far = distance(&first, &want);
        assert!(far <= 0.55, "{name}: {far}");
        // The twin: one value that is off by one more is told apart.
        let mut wrong = first.clone();
        let last = wrong.last_mut().unwrap();
        *last = if *last < 128 { *last + 2 } else { *last - 2 };
        assert!(distance(&wrong, &want) > 0.55, "{name}");
        for isa in Isa::available() {
            assert_eq!(case.run(isa), first, "{isa} {name}");
        }
    }
}

#[test]
fn flat_images_stay_and_same_sizes_copy() {
    for kernel in [Kernel::Triangle, Kernel::Cubic] {
        for isa in Isa::available() {
            let (a, b) =
                (Axis::new(kernel, 61, (0.0, 61.0), 13, true), Axis::new(kernel, 9, (0.0, 9.0), 30, true));
            for value in [0, 1, 200, 255] {
                let mut out = vec![7; 13 * 30 * 3];
                resize(isa, &vec![value; 61 * 9 * 3], 61, 3, &a, &b, &mut out);
                assert!(out.iter().all(|&v| v == value), "{isa} {value}");
            }
            let pixels = noise(20 * 9 * 4, 3);
            let (a, b) =
                (Axis::new(kernel, 20, (0.0, 20.0), 20, true), Axis::new(kernel, 9, (0.0, 9.0), 9, true));
            let mut out = vec![7; pixels.len()];
            resize(isa, &pixels, 20, 4, &a, &b, &mut out);
            assert_eq!(out, pixels, "{isa}");
        }
    }
}

#[test]
fn mirrored_axes_give_the_mirror_image() {
    for case in cases() {
        let [columns, lines] = case.axes();
        let mut want = case.run(Isa::Portable);
        let (row, c) = (case.len.0 * case.channels, case.channels);
        for isa in Isa::available() {
            let mut out = vec![7; want.len()];
            let mirrored = columns.clone().mirrored();
            resize(isa, &case.pixels(), case.side.0, c, &mirrored, &lines, &mut out);
            for (out, want) in out.chunks_exact_mut(row).zip(want.chunks_exact_mut(row)) {
                let back: Vec<u8> = out.chunks_exact(c).rev().flatten().copied().collect();
                assert_eq!(back, want, "{isa}");
            }
            resize(isa, &case.pixels(), case.side.0, c, &columns, &lines.clone().mirrored(), &mut out);
            let back: Vec<u8> = out.chunks_exact(row).rev().flatten().copied().collect();
            assert_eq!(back, want, "{isa}");
        }
    }
}
