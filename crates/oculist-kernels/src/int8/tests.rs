//! Integer kernels against plain integer loops, on every instruction set: equal bit for bit.

mod conv;
mod other;
mod portable;
mod weights;

use super::Quant;
use crate::{Context, Isa};

/// Pseudo-random bytes (SplitMix64).
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 56) as u8
        })
        .collect()
}

/// Bytes of which some are the extremes, where saturation would show.
fn harsh_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut x = bytes(seed, len);
    for (x, kind) in x.iter_mut().zip(bytes(seed + 1000, len)) {
        match kind % 4 {
            0 => *x = 255,
            1 => *x = 0,
            _ => {}
        }
    }
    x
}

/// Every instruction set with one thread and with three.
fn contexts() -> Vec<Context> {
    let all = Isa::available();
    all.into_iter().flat_map(|isa| [1, 3].map(|threads| Context::with_isa(threads, isa).unwrap())).collect()
}

fn quant(scale: f32, zero_point: u8) -> Quant {
    Quant { scale, zero_point }
}

/// The sum of two bytes as ONNX Runtime's `QLinearAdd` computes it where it has fused multiply-adds.
fn sum((a, a_quant): (u8, Quant), (b, b_quant): (u8, Quant), y: Quant, [low, high]: [u8; 2]) -> u8 {
    let (first, second) = (a_quant.scale / y.scale, b_quant.scale / y.scale);
    let zeros = first.mul_add(f32::from(a_quant.zero_point), second * f32::from(b_quant.zero_point));
    let fixed = f32::from(y.zero_point) - zeros;
    let t = first.mul_add(f32::from(a), second.mul_add(f32::from(b), fixed));
    t.round_ties_even().clamp(f32::from(low), f32::from(high)) as u8
}
