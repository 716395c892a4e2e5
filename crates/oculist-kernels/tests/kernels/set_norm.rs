//! Group, instance and layer normalisation against f64 and finite differences.

use oculist_kernels::{
    Context, GroupNorm, GroupNormBackward, Isa, KernelError, LayerNormBackward, Rows, channel_stride,
    group_norm, group_norm_backward, layer_norm, layer_norm_backward,
};
use oculist_testing::reference::norm::finite_differences;
use oculist_testing::reference::set_norm::SetNorm;
use oculist_testing::reference::{Noise, relative_error, widen};

use crate::{isa_and_thread_contexts, to_nchw, to_nhwc};

const EPS: f32 = 1e-5;

/// The results of a normalisation in the order in which they are compared.
const NAMES: [&str; 6] = ["y", "mean", "inv_std", "dx", "dgamma", "dbeta"];

/// Which normalisation.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Groups of channels, all pixels.
    Group(usize),
    /// All channels, every pixel on its own.
    Layer,
}

/// A normalisation with its inputs in NCHW.
pub(crate) struct Problem {
    pub(crate) shape: [usize; 3],
    pub(crate) kind: Kind,
    pub(crate) x: Vec<f32>,
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    pub(crate) dy: Vec<f32>,
}

/// Results without padding; activations in NCHW.
#[derive(Debug, PartialEq)]
pub(crate) struct Results {
    pub(crate) y: Vec<f32>,
    pub(crate) mean: Vec<f32>,
    pub(crate) inv_std: Vec<f32>,
    pub(crate) dx: Vec<f32>,
    pub(crate) dgamma: Vec<f32>,
    pub(crate) dbeta: Vec<f32>,
}

impl Problem {
    fn new(shape: [usize; 3], kind: Kind, offset: f32, noise: &mut Noise) -> Self {
        let [batch, channels, pixels] = shape;
        let n = batch * channels * pixels;
        Self {
            shape,
            kind,
            x: noise.vector(n).iter().map(|v| 2.0 * v + offset).collect(),
            gamma: noise.vector(channels),
            beta: noise.vector(channels),
            dy: noise.vector(n),
        }
    }

    fn reference(&self) -> SetNorm {
        match self.kind {
            Kind::Group(groups) => SetNorm::group(self.shape, groups, f64::from(EPS)),
            Kind::Layer => SetNorm::layer(self.shape, f64::from(EPS)),
        }
    }

    /// Runs both passes. The padded lanes of `gamma` and `beta` are filled with numbers that must not matter.
    pub(crate) fn run(&self, ctx: &Context) -> Results {
        let [batch, channels, pixels] = self.shape;
        let stride = channel_stride(channels);
        let (x, dy) = (to_nhwc(ctx, batch, channels, &self.x), to_nhwc(ctx, batch, channels, &self.dy));
        let pad = |v: &[f32]| {
            let mut v = v.to_vec();
            v.resize(stride, 7.0);
            v
        };
        let (gamma, beta) = (pad(&self.gamma), pad(&self.beta));
        let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
        let (mut dgamma, mut dbeta) = (vec![f32::NAN; stride], vec![f32::NAN; stride]);
        let sets = match self.kind {
            Kind::Group(groups) => batch * groups,
            Kind::Layer => batch * pixels,
        };
        let (mut mean, mut inv_std) = (vec![f32::NAN; sets], vec![f32::NAN; sets]);
        match self.kind {
            Kind::Group(groups) => {
                let shape = GroupNorm { batch, pixels, channels, groups, eps: EPS };
                group_norm(ctx, &shape, &x, &gamma, &beta, &mut y, &mut mean, &mut inv_std);
                let input =
                    GroupNormBackward { x: &x, dy: &dy, gamma: &gamma, mean: &mean, inv_std: &inv_std };
                group_norm_backward(ctx, &shape, &input, &mut dx, &mut dgamma, &mut dbeta);
            }
            Kind::Layer => {
                let shape = Rows::new(batch * pixels, channels);
                layer_norm(ctx, shape, EPS, &x, &gamma, &beta, &mut y, &mut mean, &mut inv_std);
                let input =
                    LayerNormBackward { x: &x, dy: &dy, gamma: &gamma, mean: &mean, inv_std: &inv_std };
                layer_norm_backward(ctx, shape, &input, &mut dx, &mut dgamma, &mut dbeta);
            }
        }
        assert!(dgamma[channels..].iter().chain(&dbeta[channels..]).all(|v| *v == 0.0), "padded gradients");
        dgamma.truncate(channels);
        dbeta.truncate(channels);
        let (y, dx) = (to_nchw(ctx, batch, channels, &y), to_nchw(ctx, batch, channels, &dx));
        Results { y, mean, inv_std, dx, dgamma, dbeta }
    }

    fn want(&self) -> [Vec<f64>; 6] {
        let norm = self.reference();
        let (x, gamma, beta) = (widen(&self.x), widen(&self.gamma), widen(&self.beta));
        let (mean, variance) = norm.statistics(&x);
        let inv_std = variance.iter().map(|v| 1.0 / (v + f64::from(EPS)).sqrt()).collect();
        let y = norm.forward(&x, &gamma, &beta);
        let [dx, dgamma, dbeta] = norm.backward(&x, &gamma, &widen(&self.dy));
        [y, mean, inv_std, dx, dgamma, dbeta]
    }

    /// Checks one run; `tolerance` bounds the error relative to the largest value of each result.
    fn check(&self, ctx: &Context, want: &[Vec<f64>; 6], tolerance: f64) {
        let got = self.run(ctx);
        for (name, (got, want)) in NAMES.into_iter().zip(got.in_order().into_iter().zip(want)) {
            let error = relative_error(got, want);
            assert!(
                error <= tolerance,
                "{name} off by {error:.1e}: {:?} {:?} on {} with {} threads",
                self.kind,
                self.shape,
                ctx.isa(),
                ctx.threads()
            );
        }
    }
}

impl Results {
    /// In the order of [`NAMES`] and [`Problem::want`].
    fn in_order(&self) -> [&Vec<f32>; 6] {
        [&self.y, &self.mean, &self.inv_std, &self.dx, &self.dgamma, &self.dbeta]
    }
}

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|g| n.is_multiple_of(*g)).collect()
}

#[test]
fn every_number_of_groups() {
    let mut noise = Noise::new(70);
    for channels in [1, 3, 12, 16, 30, 48] {
        for groups in divisors(channels) {
            let problem = Problem::new([2, channels, 7], Kind::Group(groups), 0.3, &mut noise);
            let want = problem.want();
            for ctx in isa_and_thread_contexts() {
                problem.check(&ctx, &want, 1e-5);
            }
        }
    }
}

#[test]
fn generated_shapes() {
    let mut noise = Noise::new(71);
    for _ in 0..60 {
        let channels = noise.between(1, 70);
        let shape = [noise.between(1, 4), channels, noise.between(1, 90)];
        let group = Problem::new(shape, Kind::Group(noise.pick(&divisors(channels))), -1.0, &mut noise);
        let layer = Problem::new(shape, Kind::Layer, -1.0, &mut noise);
        for problem in [group, layer] {
            if matches!(problem.kind, Kind::Group(g) if g == channels && shape[2] == 1) || channels == 1 {
                // One element a set, see `a_set_of_one_element`.
                continue;
            }
            let want = problem.want();
            for ctx in isa_and_thread_contexts() {
                problem.check(&ctx, &want, 2e-5);
            }
        }
    }
}

/// Nothing is left of the input but what rounding leaves, `1 / sqrt(eps)` times.
#[test]
fn a_set_of_one_element() {
    let mut noise = Noise::new(77);
    for (shape, kind) in [([3, 19, 1], Kind::Group(19)), ([3, 1, 5], Kind::Layer)] {
        let problem = Problem::new(shape, kind, 0.5, &mut noise);
        for ctx in isa_and_thread_contexts() {
            let got = problem.run(&ctx);
            let plane = shape[2];
            for (i, y) in got.y.iter().enumerate() {
                assert_eq!(*y, problem.beta[i / plane % shape[1]], "{kind:?} on {}", ctx.isa());
            }
            let bound = 2e-7 / EPS.sqrt();
            assert!(got.dx.iter().all(|d| d.abs() < bound), "{kind:?}: {:?} on {}", got.dx, ctx.isa());
            assert!(got.dgamma.iter().all(|d| *d == 0.0), "{kind:?} on {}", ctx.isa());
        }
    }
}

#[test]
fn images_of_several_chunks() {
    let mut noise = Noise::new(72);
    for (shape, groups) in
        [([3, 40, 1201], 8), ([1, 16, 5000], 16), ([1, 5, 70_000], 1), ([2, 600, 130], 3), ([70, 17, 9], 17)]
    {
        for kind in [Kind::Group(groups), Kind::Layer] {
            let problem = Problem::new(shape, kind, 0.5, &mut noise);
            let want = problem.want();
            for ctx in isa_and_thread_contexts() {
                problem.check(&ctx, &want, 2e-5);
            }
        }
    }
}

#[test]
fn a_large_mean_keeps_the_variance() {
    let mut noise = Noise::new(73);
    for kind in [Kind::Group(4), Kind::Group(20), Kind::Group(1), Kind::Layer] {
        let problem = Problem::new([2, 20, 150], kind, 300.0, &mut noise);
        let want = problem.want();
        for ctx in isa_and_thread_contexts() {
            let got = problem.run(&ctx);
            assert!(relative_error(&got.y, &want[0]) < 3e-5, "{kind:?} on {}", ctx.isa());
            assert!(relative_error(&got.inv_std, &want[2]) < 2e-6, "{kind:?} on {}", ctx.isa());
            // The saved mean is an f32: 2^-16 of a deviation of about 1.
            assert!(relative_error(&got.dx, &want[3]) < 1e-4, "{kind:?} on {}", ctx.isa());
        }
    }
}

#[test]
fn gradients_are_the_differences() {
    let mut noise = Noise::new(74);
    for kind in [Kind::Group(1), Kind::Group(3), Kind::Group(18), Kind::Layer] {
        let problem = Problem::new([2, 18, 5], kind, 0.5, &mut noise);
        let norm = problem.reference();
        let (x, gamma, beta) = (widen(&problem.x), widen(&problem.gamma), widen(&problem.beta));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&problem.dy).map(|(y, d)| y * f64::from(*d)).sum() };
        let want = [
            finite_differences(&|x| loss(norm.forward(x, &gamma, &beta)), &x, 1e-5),
            finite_differences(&|g| loss(norm.forward(&x, g, &beta)), &gamma, 1e-5),
            finite_differences(&|b| loss(norm.forward(&x, &gamma, b)), &beta, 1e-5),
        ];
        for ctx in isa_and_thread_contexts() {
            let got = problem.run(&ctx);
            for (i, (got, want)) in [&got.dx, &got.dgamma, &got.dbeta].into_iter().zip(&want).enumerate() {
                let error = relative_error(got, want);
                assert!(error < 2e-5, "gradient {i} of {kind:?} off by {error:.1e} on {}", ctx.isa());
                let wrong: Vec<f32> = got.iter().map(|v| v * 1.001).collect();
                assert!(relative_error(&wrong, want) > 2e-5, "the comparison accepts a wrong gradient");
            }
        }
    }
}

/// The twin: another grouping, and a group's mean taken over the padding too, are rejected.
#[test]
fn wrong_statistics_are_rejected() {
    let mut noise = Noise::new(75);
    let problem = Problem::new([2, 12, 9], Kind::Group(3), 0.5, &mut noise);
    let want = problem.want();
    for ctx in isa_and_thread_contexts() {
        let four = Problem { kind: Kind::Group(4), ..problem.copy() }.run(&ctx);
        assert!(relative_error(&four.y, &want[0]) > 1e-2);
        assert!(relative_error(&four.dx, &want[3]) > 1e-2);
        let right = problem.run(&ctx);
        let padded: Vec<f32> = right.mean.iter().map(|m| m * 12.0 / 16.0).collect();
        assert!(relative_error(&right.mean, &want[1]) < 1e-6 && relative_error(&padded, &want[1]) > 1e-2);
    }
}

impl Problem {
    fn copy(&self) -> Self {
        let Self { shape, kind, x, gamma, beta, dy } = self;
        let [x, gamma, beta, dy] = [x, gamma, beta, dy].map(Clone::clone);
        Self { shape: *shape, kind: *kind, x, gamma, beta, dy }
    }
}

/// Shapes small enough for Miri.
#[test]
fn portable_normalisations() {
    let mut noise = Noise::new(76);
    let ctx = Context::with_isa(2, Isa::Portable).unwrap();
    for kind in [Kind::Group(3), Kind::Layer] {
        let problem = Problem::new([2, 18, 5], kind, 0.5, &mut noise);
        problem.check(&ctx, &problem.want(), 1e-5);
    }
}

#[test]
fn nothing_to_normalise() {
    let ctx = Context::new(2).unwrap();
    let shape = GroupNorm::instance(0, 5, 3, EPS);
    assert!(shape.is_empty());
    group_norm(&ctx, &shape, &[], &[1.0; 16], &[0.0; 16], &mut [], &mut [], &mut []);
    let (mut dgamma, mut dbeta) = ([f32::NAN; 16], [f32::NAN; 16]);
    let input = GroupNormBackward { x: &[], dy: &[], gamma: &[1.0; 16], mean: &[], inv_std: &[] };
    group_norm_backward(&ctx, &shape, &input, &mut [], &mut dgamma, &mut dbeta);
    assert_eq!((dgamma, dbeta), ([0.0; 16], [0.0; 16]));
}

#[test]
fn senseless_normalisations_are_errors() {
    let good = GroupNorm { batch: 1, pixels: 4, channels: 6, groups: 3, eps: EPS };
    assert!(good.check().is_ok());
    assert_eq!(GroupNorm::layer(1, 4, 6, EPS), GroupNorm { groups: 1, ..good });
    for bad in [
        GroupNorm { groups: 4, ..good },
        GroupNorm { groups: 0, ..good },
        GroupNorm { channels: 0, ..good },
        GroupNorm { eps: 0.0, ..good },
        GroupNorm { eps: f32::NAN, ..good },
    ] {
        assert!(matches!(bad.check(), Err(KernelError::Geometry { .. })), "{bad:?}");
    }
}
