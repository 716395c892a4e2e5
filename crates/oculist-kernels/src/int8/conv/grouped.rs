//! Any other grouped convolution, by plain loops.

use super::Job;
use crate::context::Context;
use crate::int8::simd::{IntKernel, IntSimd, dispatch};
use crate::layout::LANES;

/// Runs the job on the pool.
pub(super) fn run(ctx: &Context, job: &Job, weights: &[i8], bias: &[i32]) {
    let rows = job.images * job.plan.conv.out_height();
    ctx.run(rows, |index, _| dispatch(job.plan.path, Row { job, weights, bias, index }));
}

/// One output row.
struct Row<'a> {
    job: &'a Job<'a>,
    weights: &'a [i8],
    bias: &'a [i32],
    /// Its number among the rows of all images.
    index: usize,
}

impl IntKernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: IntSimd>(self, s: S) {
        let plan = self.job.plan;
        let conv = &plan.conv;
        for x in 0..conv.out_width() {
            for block in 0..conv.y_stride() / LANES {
                let mut acc = [0; LANES];
                for (lane, acc) in acc.iter_mut().enumerate() {
                    let o = block * LANES + lane;
                    if o < conv.c_out {
                        *acc = self.bias[o].wrapping_add(self.dot(o, x));
                    }
                }
                let at = (self.index * conv.out_width() + x) * conv.y_stride() + block * LANES;
                let sums = [[acc.map(|sum| sum as f32)]];
                // SAFETY: this task alone writes its row.
                unsafe { plan.finish.store(s, &sums, block, &self.job.target, at, 0) };
            }
        }
    }
}

impl Row<'_> {
    /// `sum of (q - zero_point) * w` for one output.
    fn dot(&self, o: usize, x: usize) -> i32 {
        let plan = self.job.plan;
        let conv = &plan.conv;
        let (image, y) = (self.index / conv.out_height(), self.index % conv.out_height());
        let per_group = conv.c_in / conv.groups;
        let first = o / (conv.c_out / conv.groups) * per_group;
        let mut sum = 0i32;
        for t in 0..conv.taps() {
            let (ky, kx) = (t / conv.kernel[1], t % conv.kernel[1]);
            let iy = (y * conv.stride[0] + ky * conv.dilation[0]).wrapping_sub(conv.padding[0]);
            let ix = (x * conv.stride[1] + kx * conv.dilation[1]).wrapping_sub(conv.padding[1]);
            if iy >= conv.height || ix >= conv.width {
                continue;
            }
            let pixel = &self.job.x[((image * conv.height + iy) * conv.width + ix) * conv.x_stride + first..];
            for i in 0..per_group {
                let q = i32::from(pixel[i]) - i32::from(plan.x_zero_point);
                sum = sum.wrapping_add(q * i32::from(self.weights[(o * per_group + i) * conv.taps() + t]));
            }
        }
        sum
    }
}
