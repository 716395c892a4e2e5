//! The ways to compute a pass, which geometries each serves, and the model that picks one.

mod measure;

use super::Conv2d;
use super::winograd::TileSize;
use crate::layout::{LANES, channel_stride};

/// f32 of transformed weights that do not stay in a second-level cache.
const LARGE_WEIGHTS: f64 = 400_000.0;
/// f32 of transformed weight gradients that do not stay in a third-level cache, or take most of it.
const HUGE_WEIGHTS: f64 = 4_000_000.0;

/// One of the three computations of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pass {
    /// `y` from `x` and weights.
    Forward,
    /// `dx` from `dy` and weights.
    BackwardData,
    /// `dw` from `x` and `dy`.
    BackwardWeights,
}

impl Pass {
    /// All passes.
    pub const ALL: [Self; 3] = [Self::Forward, Self::BackwardData, Self::BackwardWeights];

    /// Name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::BackwardData => "backward data",
            Self::BackwardWeights => "backward weights",
        }
    }
}

/// How a pass is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Plain loops; any geometry.
    General,
    /// Register tiles over row pointers; one group.
    Direct,
    /// Channel by channel; as many groups as channels.
    Depthwise,
    /// Winograd's F(4x4, 3x3); 3x3 kernels with stride 1, dilation 1 and one group.
    Winograd,
    /// Winograd's F(2x2, 3x3), as exact as [`Algorithm::Direct`]; geometries as for [`Algorithm::Winograd`].
    Winograd2,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] =
        [Self::General, Self::Direct, Self::Depthwise, Self::Winograd, Self::Winograd2];

    /// Name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Direct => "direct",
            Self::Depthwise => "depthwise",
            Self::Winograd => "winograd-4x4",
            Self::Winograd2 => "winograd-2x2",
        }
    }

    /// Whether the algorithm can compute a pass of the convolution.
    pub fn supports(self, pass: Pass, conv: &Conv2d) -> bool {
        let padded = conv.x_stride == channel_stride(conv.c_in);
        match self {
            Self::General => true,
            Self::Direct => conv.groups == 1 && (padded || pass != Pass::BackwardData),
            Self::Depthwise => conv.is_depthwise(),
            Self::Winograd | Self::Winograd2 => {
                conv.groups == 1
                    && padded
                    && conv.kernel == [3, 3]
                    && conv.stride == [1, 1]
                    && conv.dilation == [1, 1]
                    && conv.padding.iter().all(|p| *p <= 2)
            }
        }
    }

    /// Whether it is one of the Winograd algorithms.
    pub(super) fn is_winograd(self) -> bool {
        matches!(self, Self::Winograd | Self::Winograd2)
    }

    /// The tile of the Winograd algorithms; 4x4 for others, which have none.
    pub(super) fn tile_size(self) -> TileSize {
        if self == Self::Winograd2 { TileSize::Two } else { TileSize::Four }
    }

    /// The cheapest algorithm of a pass.
    pub fn pick(pass: Pass, conv: &Conv2d) -> Self {
        let cost = |a: &Self| a.cost(pass, conv);
        Self::ALL
            .into_iter()
            .filter(|a| a.supports(pass, conv))
            .min_by(|a, b| cost(a).total_cmp(&cost(b)))
            .unwrap_or(Self::General)
    }

    /// Estimated cost of a pass in fused multiply-adds of sixteen lanes.
    ///
    /// A model, not a measurement: products including padding of channels and tiles, plus what Winograd's
    /// transforms cost, in the same unit. Of memory only the transformed weights are modelled, between what was measured
    /// with AVX2 and AVX-512. Frozen weights, which are transformed before, are not told apart.
    pub fn cost(self, pass: Pass, conv: &Conv2d) -> f64 {
        let (oh, ow) = (conv.out_height(), conv.out_width());
        let pixels = conv.batch as f64 * oh as f64 * ow as f64;
        let (inputs, outputs) = (conv.x_stride as f64, (conv.y_stride() / LANES) as f64);
        let direct = pixels * inputs * outputs * conv.taps() as f64;
        let winograd = |positions: f64, tile: usize, [input, output]: [f64; 2]| {
            let tiles = conv.batch as f64 * oh.div_ceil(tile) as f64 * ow.div_ceil(tile) as f64;
            let products = positions * tiles * inputs * outputs;
            let transforms = tiles * (input * inputs / LANES as f64 + output * outputs);
            // Few tiles do not pay for the transform of the weights or of their gradient.
            let weights = positions * inputs * outputs;
            let each = match (pass, weights * LANES as f64) {
                (_, small) if small <= LARGE_WEIGHTS => 1.7,
                (Pass::BackwardWeights, huge) if huge > HUGE_WEIGHTS => 25.0,
                (Pass::BackwardWeights, _) => 5.5,
                _ => 4.3,
            };
            1.15 * (products + transforms) + each * weights
        };
        match self {
            Self::General => 30.0 * direct / conv.groups as f64,
            Self::Direct => direct,
            Self::Depthwise => pixels * outputs * conv.taps() as f64,
            Self::Winograd => winograd(36.0, 4, [250.0, 200.0]),
            Self::Winograd2 => winograd(16.0, 2, [120.0, 100.0]),
        }
    }
}

/// The algorithm of each pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms {
    /// `y` from `x` and weights.
    pub forward: Algorithm,
    /// `dx` from `dy` and weights.
    pub backward_data: Algorithm,
    /// `dw` from `x` and `dy`.
    pub backward_weights: Algorithm,
}

impl Algorithms {
    /// The same algorithm for every pass.
    pub const fn all(algorithm: Algorithm) -> Self {
        Self { forward: algorithm, backward_data: algorithm, backward_weights: algorithm }
    }

    /// The cheapest algorithm of each pass.
    pub fn pick(conv: &Conv2d) -> Self {
        Self {
            forward: Algorithm::pick(Pass::Forward, conv),
            backward_data: Algorithm::pick(Pass::BackwardData, conv),
            backward_weights: Algorithm::pick(Pass::BackwardWeights, conv),
        }
    }

    /// The cheapest algorithm of each pass among those that sum the products themselves: no Winograd.
    pub fn pick_exact(conv: &Conv2d) -> Self {
        let pick = |pass| {
            let exact = |a: &Algorithm| !matches!(a, Algorithm::Winograd | Algorithm::Winograd2);
            let cost = |a: &Algorithm| a.cost(pass, conv);
            Algorithm::ALL
                .into_iter()
                .filter(|a| exact(a) && a.supports(pass, conv))
                .min_by(|a, b| cost(a).total_cmp(&cost(b)))
                .unwrap_or(Algorithm::General)
        };
        Self {
            forward: pick(Pass::Forward),
            backward_data: pick(Pass::BackwardData),
            backward_weights: pick(Pass::BackwardWeights),
        }
    }

    /// The algorithm of one pass.
    pub const fn of(&self, pass: Pass) -> Algorithm {
        match pass {
            Pass::Forward => self.forward,
            Pass::BackwardData => self.backward_data,
            Pass::BackwardWeights => self.backward_weights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Choices that measurements confirmed with AVX2 and AVX-512: batch, size, channels, and the algorithm of the
    /// forward and of the weight gradient pass.
    #[test]
    fn the_model_agrees_with_measurements() {
        use Algorithm::{Direct, Winograd, Winograd2};
        for (batch, size, channels, forward, weights) in [
            (32, 32, 64, Winograd, Winograd),
            (128, 7, 64, Winograd, Winograd),
            (32, 4, 512, Winograd, Winograd),
            (32, 2, 512, Winograd2, Winograd2),
            (1, 8, 256, Winograd, Winograd),
            (1, 14, 256, Winograd, Winograd),
            (1, 7, 512, Winograd, Direct),
            (1, 2, 512, Direct, Direct),
        ] {
            let conv = Conv2d::square(batch, [size; 2], [channels; 2], 3, 1, 1);
            assert_eq!(Algorithm::pick(Pass::Forward, &conv), forward, "{}", conv.label());
            assert_eq!(Algorithm::pick(Pass::BackwardWeights, &conv), weights, "{}", conv.label());
        }
    }
}
