//! Prints the rounding errors of the 3x3 convolution algorithms against naive f64 loops.
//!
//! `cargo run --release -p oculist-kernels --example numerics`
//!
//! One row for an instruction set, algorithm and pass: the largest and the mean of max|error| / max|reference| over odd
//! sizes and 16 to 512 channels. The input is non-negative, as behind a ReLU; weights and gradients are uniform in
//! -1..1.

use oculist_kernels::{
    Algorithm, Algorithms, Context, Conv2d, ConvPlan, Epilogue, Isa, KernelError, Pass, nchw_to_nhwc,
    nhwc_to_nchw, pack_weights, unpack_weights,
};
use oculist_testing::reference::conv::Conv;
use oculist_testing::reference::{Noise, relative_error, widen};

const ALGORITHMS: [Algorithm; 3] = [Algorithm::Direct, Algorithm::Winograd2, Algorithm::Winograd];
/// Batch, height, width, channels in and out; the channels are multiples of sixteen.
const SHAPES: [(usize, [usize; 2], [usize; 2]); 10] = [
    (4, [28, 28], [16, 16]),
    (2, [13, 9], [16, 32]),
    (3, [14, 14], [32, 32]),
    (2, [17, 15], [64, 64]),
    (2, [7, 7], [128, 128]),
    (1, [14, 13], [128, 64]),
    (2, [8, 8], [256, 128]),
    (1, [7, 7], [256, 256]),
    (1, [7, 7], [512, 128]),
    (2, [4, 4], [512, 512]),
];

fn main() -> Result<(), KernelError> {
    let contexts =
        Isa::available().into_iter().map(|isa| Context::with_isa(2, isa)).collect::<Result<Vec<_>, _>>()?;
    let mut errors = vec![[[(0.0f64, 0.0f64); 3]; ALGORITHMS.len()]; contexts.len()];
    let mut noise = Noise::new(1);
    for shape in SHAPES {
        let problem = Problem::new(shape, &mut noise);
        for (ctx, errors) in contexts.iter().zip(&mut errors) {
            for (algorithm, errors) in ALGORITHMS.into_iter().zip(errors) {
                for (found, (worst, sum)) in problem.errors(ctx, algorithm)?.into_iter().zip(errors) {
                    *worst = worst.max(found);
                    *sum += found;
                }
            }
        }
    }
    println!("{:<9} {:<13} {:<17} {:>8} {:>8}", "isa", "algorithm", "pass", "largest", "mean");
    for (ctx, errors) in contexts.iter().zip(errors) {
        for (algorithm, errors) in ALGORITHMS.into_iter().zip(errors) {
            for (pass, (worst, sum)) in Pass::ALL.into_iter().zip(errors) {
                let (isa, mean) = (ctx.isa().name(), sum / SHAPES.len() as f64);
                println!("{isa:<9} {:<13} {:<17} {worst:>8.1e} {mean:>8.1e}", algorithm.name(), pass.name());
            }
        }
    }
    Ok(())
}

struct Problem {
    conv: Conv2d,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
    want: [Vec<f64>; 3],
}

impl Problem {
    fn new((batch, size, channels): (usize, [usize; 2], [usize; 2]), noise: &mut Noise) -> Self {
        let naive = Conv {
            batch,
            c_in: channels[0],
            size,
            c_out: channels[1],
            kernel: [3; 2],
            stride: [1; 2],
            padding: [1; 4],
            dilation: [1; 2],
            groups: 1,
        };
        let x: Vec<f32> = noise.vector(naive.x_len()).into_iter().map(|v| v.max(0.0)).collect();
        let (w, dy) = (noise.vector(naive.w_len()), noise.vector(naive.y_len()));
        let want = [
            naive.forward(&widen(&x), &widen(&w)),
            naive.backward_data(&widen(&dy), &widen(&w)),
            naive.backward_weights(&widen(&x), &widen(&dy)),
        ];
        Self { conv: Conv2d::square(batch, size, channels, 3, 1, 1), x, w, dy, want }
    }

    fn errors(&self, ctx: &Context, algorithm: Algorithm) -> Result<[f64; 3], KernelError> {
        let conv = self.conv;
        let pixels = conv.height * conv.width;
        let nhwc = |channels: usize, from: &[f32]| {
            let mut to = vec![0.0; from.len()];
            nchw_to_nhwc(ctx, conv.batch, channels, pixels, channels, from, &mut to);
            to
        };
        let nchw = |channels: usize, from: &[f32]| {
            let mut to = vec![0.0; from.len()];
            nhwc_to_nchw(ctx, conv.batch, channels, pixels, channels, from, &mut to);
            to
        };
        let plan = ConvPlan::with_algorithms(ctx, conv, Algorithms::all(algorithm))?;
        let (x, dy, w) = (nhwc(conv.c_in, &self.x), nhwc(conv.c_out, &self.dy), pack_weights(&conv, &self.w));
        let mut scratch = vec![0.0; plan.scratch_len()];
        let (mut y, mut dx) = (vec![0.0; conv.y_len()], vec![0.0; conv.x_len()]);
        let mut dw = vec![0.0; conv.weights_len()];
        plan.forward(ctx, &x, &w, &Epilogue::default(), &mut y, &mut scratch);
        plan.backward_data(ctx, &dy, &w, &mut dx, false, &mut scratch);
        plan.backward_weights(ctx, &x, &dy, &mut dw, &mut scratch);
        Ok([
            relative_error(&nchw(conv.c_out, &y), &self.want[0]),
            relative_error(&nchw(conv.c_in, &dx), &self.want[1]),
            relative_error(&unpack_weights(&conv, &dw), &self.want[2]),
        ])
    }
}
