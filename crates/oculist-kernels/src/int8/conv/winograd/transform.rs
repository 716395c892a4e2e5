//! Into the transformed domain and back.

use super::{POINTS, Task};
use crate::int8::simd::IntSimd;
use crate::layout::LANES;

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

    /// Writes the transformed input of a tile, all channels, `point_stride` apart.
    ///
    /// # Safety
    /// `to` is writable for the channels at every point.
    #[inline(always)]
    pub(super) unsafe fn transform_input<S: IntSimd>(&self, s: S, tile: usize, to: *mut i16) {
        let conv = &self.job.plan.conv;
        let [image, y, x] = self.place(tile);
        let pixels = &self.job.x[image * conv.height * conv.width * conv.x_stride..];
        // Padding reads the same sixteen zero points for every block of channels.
        let zero = [self.job.plan.x_zero_point; LANES];
        let mut from = [zero.as_ptr(); POINTS];
        let mut step = [0; POINTS];
        for k in 0..POINTS {
            let (iy, ix) =
                ((y + k / 6).wrapping_sub(conv.padding[0]), (x + k % 6).wrapping_sub(conv.padding[1]));
            if iy < conv.height && ix < conv.width {
                from[k] = pixels[(iy * conv.width + ix) * conv.x_stride..][..conv.x_stride].as_ptr();
                step[k] = LANES;
            }
        }
        let stride = self.shape.point_stride();
        for block in 0..self.shape.channels / LANES {
            // SAFETY: every pixel was sliced with all its channels; the caller vouches for the target.
            unsafe {
                let mut half = [[s.load_u8_i16(zero.as_ptr()); 6]; 6];
                for j in 0..6 {
                    let mut d = half[0];
                    for (i, d) in d.iter_mut().enumerate() {
                        let k = 6 * i + j;
                        *d = s.load_u8_i16(from[k].add(block * step[k]));
                    }
                    half[j] = input(s, d);
                }
                for i in 0..6 {
                    let mut d = half[0];
                    for j in 0..6 {
                        d[j] = half[j][i];
                    }
                    for (j, v) in input(s, d).into_iter().enumerate() {
                        s.store_i16(v, to.add((6 * i + j) * stride + block * LANES));
                    }
                }
            }
        }
    }

    /// Transforms the products of a tile for one block of output channels back and stores the results.
    ///
    /// # Safety
    /// `products` is readable at every point, `chunk` tiles apart; the tile is this task's alone.
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
        let stride = self.shape.chunk * LANES;
        let init = s.load_i32(&self.init[block]);
        let ninth = s.splat_i32(NINTH);
        let mut half = [[init; 4]; 6];
        for (j, half) in half.iter_mut().enumerate() {
            let mut m = [init; 6];
            for (i, m) in m.iter_mut().enumerate() {
                // SAFETY: the caller vouches for the products.
                *m = unsafe { s.load_i32_ptr(products.add((6 * i + j) * stride)) };
            }
            *half = output(s, m);
        }
        let mut sums = [[[0.0f32; LANES]; 4]; 4];
        for i in 0..4 {
            let mut m = [init; 6];
            for j in 0..6 {
                m[j] = half[j][i];
            }
            let row = output(s, m);
            for j in 0..4 {
                // 9 * 2^k times the sum, k from both axes.
                let v = s.mul32(row[j], ninth);
                let v = match SHIFT[i] + SHIFT[j] {
                    6 => s.shr32::<6>(v),
                    5 => s.shr32::<5>(v),
                    4 => s.shr32::<4>(v),
                    3 => s.shr32::<3>(v),
                    _ => s.shr32::<2>(v),
                };
                // SAFETY: the array holds sixteen f32.
                unsafe { s.store_f32(s.to_f32(s.add32(v, init)), sums[i][j].as_mut_ptr()) };
            }
        }
        for (i, row) in sums.iter().enumerate().take(height - y) {
            for (j, sums) in row.iter().enumerate().take(width - x) {
                let at = ((image * height + y + i) * width + x + j) * conv.y_stride() + block * LANES;
                // SAFETY: the pixel lies inside the output and in this tile alone.
                unsafe { plan.finish.store(s, s.block(sums), block, &self.job.target, at) };
            }
        }
    }
}

/// The powers of two in 24, 12, 6 and 6.
const SHIFT: [u32; 4] = [3, 2, 1, 1];
