//! Random numbers for every value of a picture.
//!
//! Number n of a key is a function of the key and n alone (a counter, not a chain), so that many are made at once. The
//! 64-bit words are those of SplitMix64 whose state starts at the key; each gives two numbers. In blocks of 128 numbers
//! the first 64 come from the words' first halves and the others from the second halves (normal numbers: cosines and
//! sines of one angle).
//!
//! # Source
//! Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014; Box, Muller: "A note on the
//! generation of random normal deviates", 1958. Logarithm, sine and cosine are their series, cut where f32 ends.

use super::lanes::{Lanes, per_isa, to_byte};

/// Words of a block.
const WORDS: usize = 64;

per_isa! {
    /// Standard normal numbers 0, 1, ... of a key; at most 6.66 in size.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn normals(key: u64, out: &mut [f32]) = fill;
    /// `x + std * n`, rounded to nearest and cut to 0..=255, n the normal number of the value's place.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn add_normal_noise(key: u64, std: f32, values: &mut [u8]) = add;
    /// `x * (1 + std * n)`, rounded to nearest and cut to 0..=255, n the normal number of the value's place.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn multiply_normal_noise(key: u64, std: f32, values: &mut [u8]) = multiply;
    /// Each value becomes, with probability `amount` (0..=1), 0 or 255 with equal chances.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn salt_and_pepper(key: u64, amount: f64, values: &mut [u8]) = hit;
}

/// The halves of the words of one block.
#[inline(always)]
fn words(key: u64, block: usize) -> [[u32; WORDS]; 2] {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let (mut high, mut low) = ([0; WORDS], [0; WORDS]);
    let first = key.wrapping_add(GOLDEN.wrapping_mul((block * WORDS) as u64 + 1));
    for i in 0..WORDS {
        let mut z = first.wrapping_add(GOLDEN.wrapping_mul(i as u64));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (high[i], low[i]) = ((z >> 32) as u32, z as u32);
    }
    [high, low]
}

/// `-2 ln(u)` for u above 0 and at most 1.
#[inline(always)]
fn minus_two_ln(u: f32) -> f32 {
    // u = m 2^e with m within a factor of sqrt 2 around 1; ln m = 2 artanh((m - 1) / (m + 1)).
    let bits = u.to_bits() as i32;
    let e = (bits - 0x3f35_04f3) >> 23;
    let m = f32::from_bits((bits - (e << 23)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    let series = (((s2 * (1.0 / 9.0) + 1.0 / 7.0) * s2 + 1.0 / 5.0) * s2 + 1.0 / 3.0) * s2 + 1.0;
    -2.0 * (e as f32 * std::f32::consts::LN_2 + 2.0 * s * series)
}

/// Sine and cosine of `turn / 2^32` of a full circle.
#[inline(always)]
fn sine_cosine(turn: u32) -> (f32, f32) {
    // The nearest quarter, and the angle from there, at most an eighth of a circle.
    let quarter = turn.wrapping_add(1 << 29) >> 30;
    let t = turn.wrapping_sub(quarter << 30) as i32 as f32 * (std::f32::consts::FRAC_PI_2 / (1 << 30) as f32);
    let t2 = t * t;
    let sin = (((t2 * (-1.0 / 5040.0) + 1.0 / 120.0) * t2 - 1.0 / 6.0) * t2 + 1.0) * t;
    let cos = (((t2 * (1.0 / 40_320.0) - 1.0 / 720.0) * t2 + 1.0 / 24.0) * t2 - 0.5) * t2 + 1.0;
    let (s, c) = if quarter & 1 == 0 { (sin, cos) } else { (cos, sin) };
    let negate = |v: f32, bit: u32| f32::from_bits(v.to_bits() ^ ((bit & 2) << 30));
    (negate(s, quarter), negate(c, quarter + 1))
}

#[inline(always)]
fn normal_block(key: u64, block: usize) -> [f32; 2 * WORDS] {
    let [high, low] = words(key, block);
    let mut out = [0.0; 2 * WORDS];
    let (cosines, sines) = out.split_at_mut(WORDS);
    for i in 0..WORDS {
        // Above 0, so that the logarithm is finite; may round to 1.
        let u = ((high[i] >> 1) as i32 as f32 + 0.5) * (1.0 / (1u32 << 31) as f32);
        let radius = minus_two_ln(u).sqrt();
        let (sin, cos) = sine_cosine(low[i]);
        cosines[i] = radius * cos;
        sines[i] = radius * sin;
    }
    out
}

#[inline(always)]
fn fill<L: Lanes>(_: L, key: u64, out: &mut [f32]) {
    for (block, out) in out.chunks_mut(2 * WORDS).enumerate() {
        out.copy_from_slice(&normal_block(key, block)[..out.len()]);
    }
}

#[inline(always)]
fn add<L: Lanes>(_: L, key: u64, std: f32, values: &mut [u8]) {
    for (block, values) in values.chunks_mut(2 * WORDS).enumerate() {
        for (v, n) in values.iter_mut().zip(normal_block(key, block)) {
            *v = to_byte(f32::from(*v) + std * n + 0.5);
        }
    }
}

#[inline(always)]
fn multiply<L: Lanes>(_: L, key: u64, std: f32, values: &mut [u8]) {
    for (block, values) in values.chunks_mut(2 * WORDS).enumerate() {
        for (v, n) in values.iter_mut().zip(normal_block(key, block)) {
            *v = to_byte(f32::from(*v) * (1.0 + std * n) + 0.5);
        }
    }
}

#[inline(always)]
fn hit<L: Lanes>(_: L, key: u64, amount: f64, values: &mut [u8]) {
    // In 1/2^31, so that a probability of 1 fits too.
    let limit = |part: f64| (part * f64::from(1u32 << 31)) as u32;
    let (black, any) = (limit(0.5 * amount), limit(amount));
    for (block, values) in values.chunks_mut(2 * WORDS).enumerate() {
        for (values, half) in values.chunks_mut(WORDS).zip(words(key, block)) {
            for (v, bits) in values.iter_mut().zip(half) {
                let at = bits >> 1;
                let color = if at < black { 0 } else { 255 };
                *v = if at < any { color } else { *v };
            }
        }
    }
}
