//! How a pixel is made of the pixels around its place.

use super::{ONE, PLACE_BITS};

/// A filter over `TAPS` x `TAPS` pixels.
pub(super) trait Filter<const C: usize>: Copy {
    const TAPS: usize;
    /// The first tap, in pixels, and the place's fraction past the tap that the weights count from.
    fn split(place: i32) -> (isize, i32);
    /// The pixel from the rows of taps that start at `at` and lie `stride` pixels apart.
    fn inside(source: &[[u8; C]], at: usize, stride: usize, fx: i32, fy: i32) -> [u8; C];
    /// The pixel from any taps: `tap(i, j)` is the one in column i, row j.
    fn anywhere(tap: impl Fn(usize, usize) -> [u8; C], fx: i32, fy: i32) -> [u8; C];
}

#[derive(Clone, Copy)]
pub(super) struct Nearest;

impl<const C: usize> Filter<C> for Nearest {
    const TAPS: usize = 1;

    #[inline(always)]
    fn split(place: i32) -> (isize, i32) {
        (((place + ONE / 2) >> PLACE_BITS) as isize, 0)
    }

    #[inline(always)]
    fn inside(source: &[[u8; C]], at: usize, _: usize, _: i32, _: i32) -> [u8; C] {
        source[at]
    }

    #[inline(always)]
    fn anywhere(tap: impl Fn(usize, usize) -> [u8; C], _: i32, _: i32) -> [u8; C] {
        tap(0, 0)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Bilinear;

impl<const C: usize> Filter<C> for Bilinear {
    const TAPS: usize = 2;

    #[inline(always)]
    fn split(place: i32) -> (isize, i32) {
        ((place >> PLACE_BITS) as isize, place & (ONE - 1))
    }

    #[inline(always)]
    fn inside(source: &[[u8; C]], at: usize, stride: usize, fx: i32, fy: i32) -> [u8; C] {
        let (top, bottom) = (&source[at..at + 2], &source[at + stride..at + stride + 2]);
        bilinear([top[0], top[1], bottom[0], bottom[1]], fx, fy)
    }

    #[inline(always)]
    fn anywhere(tap: impl Fn(usize, usize) -> [u8; C], fx: i32, fy: i32) -> [u8; C] {
        bilinear([tap(0, 0), tap(1, 0), tap(0, 1), tap(1, 1)], fx, fy)
    }
}

#[inline(always)]
fn bilinear<const C: usize>(taps: [[u8; C]; 4], fx: i32, fy: i32) -> [u8; C] {
    std::array::from_fn(|c| {
        let [a, b, d, e] = taps.map(|tap| i32::from(tap[c]));
        let top = a * ONE + (b - a) * fx;
        let bottom = d * ONE + (e - d) * fx;
        ((top * ONE + (bottom - top) * fy + ONE * ONE / 2) >> (2 * PLACE_BITS)) as u8
    })
}

#[derive(Clone, Copy)]
pub(super) struct Bicubic;

impl<const C: usize> Filter<C> for Bicubic {
    const TAPS: usize = 4;

    #[inline(always)]
    fn split(place: i32) -> (isize, i32) {
        ((place >> PLACE_BITS) as isize - 1, place & (ONE - 1))
    }

    #[inline(always)]
    fn inside(source: &[[u8; C]], at: usize, stride: usize, fx: i32, fy: i32) -> [u8; C] {
        let row = |j: usize| &source[at + j * stride..at + j * stride + 4];
        bicubic([row(0), row(1), row(2), row(3)], fx, fy)
    }

    #[inline(always)]
    fn anywhere(tap: impl Fn(usize, usize) -> [u8; C], fx: i32, fy: i32) -> [u8; C] {
        let rows: [[[u8; C]; 4]; 4] = std::array::from_fn(|j| std::array::from_fn(|i| tap(i, j)));
        bicubic([&rows[0], &rows[1], &rows[2], &rows[3]], fx, fy)
    }
}

#[inline(always)]
fn bicubic<const C: usize>(rows: [&[[u8; C]]; 4], fx: i32, fy: i32) -> [u8; C] {
    let (wx, wy) = (cubic(fx), cubic(fy));
    let mut sum = [0.5f32; C];
    for (row, wy) in rows.into_iter().zip(wy) {
        for (tap, wx) in row.iter().zip(wx) {
            for c in 0..C {
                sum[c] += f32::from(tap[c]) * (wx * wy);
            }
        }
    }
    sum.map(|v| v as u8)
}

/// The weights of the four pixels around a place, a = -0.75.
#[inline(always)]
fn cubic(fraction: i32) -> [f32; 4] {
    const A: f32 = -0.75;
    let t = fraction as f32 * (1.0 / ONE as f32);
    let far = |d: f32| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let near = |d: f32| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubic_weights_sum_to_one_and_meet_the_pixels() {
        assert_eq!(cubic(0), [0.0, 1.0, 0.0, 0.0]);
        for fraction in (0..ONE).step_by(37) {
            assert!((cubic(fraction).iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
