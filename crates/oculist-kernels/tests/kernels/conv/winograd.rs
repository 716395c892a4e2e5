//! Winograd's rounding errors against naive f64 loops: the bounds that docs/kernels.md states.

use oculist_kernels::{Algorithm, Algorithms, Context, Conv2d, ConvPlan, Pass};
use oculist_testing::reference::Noise;

use super::{Problem, reference};
use crate::contexts;

/// Largest allowed error of a pass, relative to the largest value.
fn bound(algorithm: Algorithm, pass: Pass) -> f64 {
    match (algorithm, pass) {
        (Algorithm::Winograd, Pass::Forward) => 2e-5,
        (Algorithm::Winograd, _) => 1e-4,
        _ => 5e-6,
    }
}

/// Batch, height and width, channels in and out: odd sizes, 16 to 512 channels, maps that fill their tiles badly.
const SHAPES: [(usize, [usize; 2], [usize; 2]); 9] = [
    (2, [13, 9], [16, 16]),
    (1, [7, 11], [48, 17]),
    (3, [5, 5], [64, 64]),
    (1, [15, 6], [100, 40]),
    (1, [9, 7], [128, 128]),
    (1, [6, 6], [256, 64]),
    (5, [2, 2], [320, 32]),
    (1, [7, 7], [512, 48]),
    (1, [3, 5], [64, 512]),
];

/// A 3x3 convolution of a non-negative input, as behind a ReLU: its sums do not cancel, and it rounds worst.
fn problem((batch, size, channels): (usize, [usize; 2], [usize; 2]), noise: &mut Noise) -> Problem {
    let conv = Conv2d::square(batch, size, channels, 3, 1, 1);
    let x = noise.vector(reference(&conv).x_len()).into_iter().map(|v| v.max(0.0)).collect();
    Problem::with_input(conv, x, noise)
}

/// Passes whose error exceeds the bound.
fn exceeded(problem: &Problem, ctx: &Context, algorithm: Algorithm) -> Vec<String> {
    let plan = ConvPlan::with_algorithms(ctx, problem.conv, Algorithms::all(algorithm)).unwrap();
    Pass::ALL
        .into_iter()
        .zip(problem.errors(ctx, &plan))
        .filter(|(pass, error)| *error > bound(algorithm, *pass))
        .map(|(pass, error)| format!("{}: {error:.2e}", pass.name()))
        .collect()
}

fn check(shape: (usize, [usize; 2], [usize; 2]), noise: &mut Noise) {
    let problem = problem(shape, noise);
    for ctx in contexts() {
        for algorithm in [Algorithm::Winograd, Algorithm::Winograd2, Algorithm::Direct] {
            let found = exceeded(&problem, &ctx, algorithm);
            assert!(
                found.is_empty(),
                "{}, {}, {}: {found:?}",
                problem.conv.label(),
                algorithm.name(),
                ctx.isa()
            );
        }
    }
}

#[test]
fn errors_stay_within_their_bounds() {
    let mut noise = Noise::new(21);
    for shape in SHAPES {
        check(shape, &mut noise);
    }
}

/// 512 x 512 channels: frozen weights too large to be transformed beforehand.
#[test]
fn large_weights() {
    check((1, [3, 3], [512, 512]), &mut Noise::new(22));
}

/// The twin: an answer off by somewhat more than the bound, at the largest value, is rejected in its pass.
#[test]
fn errors_beyond_the_bounds_are_rejected() {
    fn spoil(values: &mut [f64], by: f64) {
        let largest = values.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        *largest *= 1.0 + by;
    }
    for algorithm in [Algorithm::Winograd, Algorithm::Winograd2] {
        for pass in Pass::ALL {
            let mut problem = problem(SHAPES[0], &mut Noise::new(23));
            let by = 2.5 * bound(algorithm, pass);
            match pass {
                Pass::Forward => spoil(&mut problem.y, by),
                Pass::BackwardData => spoil(&mut problem.dx, by),
                Pass::BackwardWeights => spoil(&mut problem.dw, by),
            }
            for ctx in contexts() {
                let found = exceeded(&problem, &ctx, algorithm);
                assert_eq!(found.len(), 1, "{}, {}: {found:?}", algorithm.name(), ctx.isa());
                assert!(found[0].starts_with(pass.name()), "{found:?}");
            }
        }
    }
}
