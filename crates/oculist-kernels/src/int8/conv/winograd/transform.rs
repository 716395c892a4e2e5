//! Into the transformed domain and back.

use super::{POINTS, Task, wide};
use crate::int8::simd::IntSimd;
use crate::layout::LANES;

/// i16 of the longest vector.
pub(super) const MOST_HALVES: usize = 32;
/// The inverse of 9 modulo 2^32.
const NINTH: i32 = 954_437_177;

/// `B^T d` along one axis.
#[inline(always)]
fn input<S: IntSimd>(s: S, d: [S::H; 6]) -> [S::H; 6] {
    let times5 = |x: S::H| s.add16(s.shl16::<2>(x), x);
    let even = s.sub16(d[4], s.shl16::<2>(d[2]));
    let odd = s.sub16(d[3], s.shl16::<2>(d[1]));
    let near = s.sub16(d[4], d[2]);
    let far = s.shl16::<1>(s.sub16(d[3], d[1]));
    [
        s.add16(s.sub16(s.shl16::<2>(d[0]), times5(d[2])), d[4]),
        s.add16(even, odd),
        s.sub16(even, odd),
        s.add16(near, far),
        s.sub16(near, far),
        s.add16(s.sub16(s.shl16::<2>(d[1]), times5(d[3])), d[5]),
    ]
}

/// `A^T m` along one axis with the factors of the weights' rows worked in; the results are 24, 12, 6 and 6 times
/// the wanted ones.
#[inline(always)]
fn output<S: IntSimd>(s: S, m: [S::I; 6]) -> [S::I; 4] {
    let times6 = |x: S::I| s.add32(s.shl32::<2>(x), s.shl32::<1>(x));
    let (p, q) = (s.add32(m[1], m[2]), s.sub32(m[1], m[2]));
    let (r, t) = (s.add32(m[3], m[4]), s.sub32(m[3], m[4]));
    [
        s.add32(s.sub32(times6(m[0]), s.shl32::<2>(p)), r),
        s.sub32(t, s.shl32::<1>(q)),
        s.sub32(r, p),
        s.add32(s.sub32(s.shl32::<1>(t), q), times6(m[5])),
    ]
}

impl Task<'_> {
    /// Image, first output row and first output column of a tile.
    fn place(&self, tile: usize) -> [usize; 3] {
        let [rows, columns] = self.shape.tiles;
        [tile / (rows * columns), tile / columns % rows * 4, tile % columns * 4]
    }

    /// Writes the transformed input of a tile, all channels, `point_stride` apart, and perhaps sixteen i16 more, which
    /// are the next tile's.
    ///
    /// # Safety
    /// `to` is writable for the channels, rounded up to `HALVES`, at every point.
    #[inline(always)]
    pub(super) unsafe fn transform_input<S: IntSimd>(&self, s: S, tile: usize, to: *mut i16) {
        let conv = &self.job.plan.conv;
        let [image, y, x] = self.place(tile);
        let pixels = &self.job.x[image * conv.height * conv.width * conv.x_stride..];
        // Padding reads the same zero points for every block of channels.
        let zero = [self.job.plan.x_zero_point; MOST_HALVES];
        let mut from = [zero.as_ptr(); POINTS];
        let mut step = [0; POINTS];
        for k in 0..POINTS {
            let (iy, ix) =
                ((y + k / 6).wrapping_sub(conv.padding[0]), (x + k % 6).wrapping_sub(conv.padding[1]));
            if iy < conv.height && ix < conv.width {
                from[k] = pixels[(iy * conv.width + ix) * conv.x_stride..][..conv.x_stride].as_ptr();
                step[k] = 1;
            }
        }
        let stride = self.shape.point_stride();
        // Both passes go through memory: 36 vectors fit no register file.
        let mut half = [[0i16; MOST_HALVES]; POINTS];
        let half = half.as_mut_ptr().cast::<i16>();
        for first in (0..self.shape.channels).step_by(S::HALVES) {
            let count = self.shape.channels - first;
            // SAFETY: every pixel was sliced with all its channels, of which `count` are left; `half` holds the points;
            // the caller vouches for the target.
            unsafe {
                for j in 0..6 {
                    let d = |i: usize| s.load_u8_i16(from[6 * i + j].add(first * step[6 * i + j]), count);
                    let d = [d(0), d(1), d(2), d(3), d(4), d(5)];
                    let [v0, v1, v2, v3, v4, v5] = input(s, d);
                    let to = half.add(j * S::HALVES);
                    s.store_i16(v0, to);
                    s.store_i16(v1, to.add(6 * S::HALVES));
                    s.store_i16(v2, to.add(12 * S::HALVES));
                    s.store_i16(v3, to.add(18 * S::HALVES));
                    s.store_i16(v4, to.add(24 * S::HALVES));
                    s.store_i16(v5, to.add(30 * S::HALVES));
                }
                for i in 0..6 {
                    let d = half.add(6 * i * S::HALVES);
                    let d = [
                        s.load_i16(d),
                        s.load_i16(d.add(S::HALVES)),
                        s.load_i16(d.add(2 * S::HALVES)),
                        s.load_i16(d.add(3 * S::HALVES)),
                        s.load_i16(d.add(4 * S::HALVES)),
                        s.load_i16(d.add(5 * S::HALVES)),
                    ];
                    let [v0, v1, v2, v3, v4, v5] = input(s, d);
                    let to = to.add(6 * i * stride + first);
                    s.store_i16(v0, to);
                    s.store_i16(v1, to.add(stride));
                    s.store_i16(v2, to.add(2 * stride));
                    s.store_i16(v3, to.add(3 * stride));
                    s.store_i16(v4, to.add(4 * stride));
                    s.store_i16(v5, to.add(5 * stride));
                }
            }
        }
    }

    /// Transforms the products of a tile for one block of output channels back and stores the results.
    ///
    /// # Safety
    /// `products` is readable at every point, `chunk` tiles of `wide` blocks apart; the tile is this task's alone.
    #[inline(always)]
    pub(super) unsafe fn transform_output<S: IntSimd>(
        &self,
        s: S,
        tile: usize,
        block: usize,
        products: *const i32,
    ) {
        let plan = self.job.plan;
        let conv = &plan.conv;
        let [image, y, x] = self.place(tile);
        let (height, width) = (conv.out_height(), conv.out_width());
        let stride = self.shape.chunk * wide::<S>() * LANES;
        let init = s.load_i32(&self.init[block]);
        let mut half = [[0i32; LANES]; 24];
        let half = half.as_mut_ptr().cast::<i32>();
        for j in 0..6 {
            // SAFETY: the caller vouches for the products; `half` holds four rows of six.
            unsafe {
                let m = products.add(j * stride);
                let m = [
                    s.load_i32_ptr(m),
                    s.load_i32_ptr(m.add(6 * stride)),
                    s.load_i32_ptr(m.add(12 * stride)),
                    s.load_i32_ptr(m.add(18 * stride)),
                    s.load_i32_ptr(m.add(24 * stride)),
                    s.load_i32_ptr(m.add(30 * stride)),
                ];
                let [y0, y1, y2, y3] = output(s, m);
                let to = half.add(j * LANES);
                s.store_i32(y0, to);
                s.store_i32(y1, to.add(6 * LANES));
                s.store_i32(y2, to.add(12 * LANES));
                s.store_i32(y3, to.add(18 * LANES));
            }
        }
        let columns = (width - x).min(4);
        for i in 0..(height - y).min(4) {
            // 9 * 2^k times the sums, k from both axes; this factor leaves 2^(3 + k) of the columns alone.
            let factor = s.splat_i32(NINTH.wrapping_shl(3 - SHIFT[i]));
            let at = ((image * height + y + i) * width + x) * conv.y_stride() + block * LANES;
            // SAFETY: `half` holds four rows of six; the stored pixels lie inside the output and in this tile alone.
            unsafe {
                let m = half.add(6 * i * LANES);
                let m = [
                    s.load_i32_ptr(m),
                    s.load_i32_ptr(m.add(LANES)),
                    s.load_i32_ptr(m.add(2 * LANES)),
                    s.load_i32_ptr(m.add(3 * LANES)),
                    s.load_i32_ptr(m.add(4 * LANES)),
                    s.load_i32_ptr(m.add(5 * LANES)),
                ];
                let [y0, y1, y2, y3] = output(s, m);
                let sums = [
                    s.shr32::<6>(s.mul32(y0, factor)),
                    s.shr32::<5>(s.mul32(y1, factor)),
                    s.shr32::<4>(s.mul32(y2, factor)),
                    s.shr32::<4>(s.mul32(y3, factor)),
                ];
                let mut row = [[[0.0f32; LANES]; 1]; 4];
                for (sum, row) in sums.into_iter().zip(&mut row) {
                    s.store_f32(s.to_f32(s.add32(sum, init)), row[0].as_mut_ptr());
                }
                plan.finish.store(s, &row[..columns], block, &self.job.target, at, conv.y_stride());
            }
        }
    }
}

/// The powers of two in 24, 12, 6 and 6.
const SHIFT: [u32; 4] = [3, 2, 1, 1];
