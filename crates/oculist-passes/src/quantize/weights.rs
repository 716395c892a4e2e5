//! Weights to i8 and biases to i32, one scale per output channel.

use oculist_graph::Tensor;

/// Integers that quantised weights use; both ranges are symmetric, so the zero point is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightRange {
    /// `-127..=127`.
    #[default]
    Full,
    /// `-64..=64`: one bit less. Products of u8 and i8 then fit pairwise into 16 bits, which machines with AVX2 but
    /// without VNNI need for exact results in ONNX Runtime.
    Reduced,
}

impl WeightRange {
    /// The largest integer.
    pub fn limit(self) -> f32 {
        match self {
            Self::Full => 127.0,
            Self::Reduced => 64.0,
        }
    }
}

/// The largest quantised bias; it leaves half of the i32 range to the accumulated products.
const BIAS_LIMIT: f64 = (1u32 << 30) as f64;
/// The quantised bias of a channel whose weights are all zero; every integer up to it is exact in f32.
const CONSTANT_BIAS: f64 = (1u32 << 23) as f64;

/// `max|w[o]| / limit` for each output channel `o` (axis 0) of a float weight; 1 for a channel of zeros.
pub fn weight_scales(weight: &Tensor, range: WeightRange) -> Vec<f32> {
    channels(weight)
        .map(|row| {
            let max = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            let scale = (2.0 * f64::from(max) / (2.0 * f64::from(range.limit()))) as f32;
            if scale < f32::MIN_POSITIVE { 1.0 } else { scale }
        })
        .collect()
}

/// [`weight_scales`], raised where the bias would otherwise leave the i32 range, and chosen for the bias alone
/// where all weights are zero.
pub(super) fn scales_for(
    weight: &Tensor,
    bias: Option<&[f32]>,
    x_scale: f32,
    range: WeightRange,
) -> Vec<f32> {
    let mut scales = weight_scales(weight, range);
    let Some(bias) = bias else { return scales };
    for ((scale, row), &b) in scales.iter_mut().zip(channels(weight)).zip(bias) {
        let bias = f64::from(b).abs() / f64::from(x_scale);
        if row.iter().all(|&w| w == 0.0) {
            let wanted = (bias / CONSTANT_BIAS) as f32;
            *scale = if wanted < f32::MIN_POSITIVE { 1.0 } else { wanted };
        } else if bias / f64::from(*scale) > BIAS_LIMIT {
            *scale = (bias / BIAS_LIMIT) as f32;
        }
    }
    scales
}

/// `clamp(round(w / scale[o]), -limit, limit)`.
pub(super) fn quantize_weight(weight: &Tensor, scales: &[f32], range: WeightRange) -> Tensor {
    let limit = range.limit();
    let data = channels(weight)
        .zip(scales)
        .flat_map(|(row, s)| row.iter().map(move |w| (w / s).round_ties_even().clamp(-limit, limit) as i8))
        .collect();
    Tensor::i8(weight.shape(), data)
}

/// `round(b / scale[o])` as i32.
pub(super) fn quantize_bias(bias: &[f32], scales: &[f32]) -> Tensor {
    let data = bias
        .iter()
        .zip(scales)
        .map(|(&b, &s)| (f64::from(b) / f64::from(s)).round_ties_even() as i32)
        .collect();
    Tensor::i32(&[bias.len()], data)
}

/// The weights that lead to each output channel.
pub(crate) fn channels(weight: &Tensor) -> impl Iterator<Item = &[f32]> {
    let n = weight.shape().first().copied().unwrap_or(0).max(1);
    let data = weight.as_f32().unwrap_or_default();
    data.chunks((data.len() / n).max(1))
}
