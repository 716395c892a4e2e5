use super::*;
use crate::Isa;

struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
}

/// Quantised coefficients of a few groups, `density` in 64 of them not 0, within `-range..=range`.
fn random(groups: usize, density: u64, range: i64, seed: u64) -> Vec<i16> {
    let mut noise = Noise(seed);
    let mut value = || {
        let v = (noise.next() as i64 % (2 * range + 1) - range) as i16;
        if noise.next() % 64 < density { v } else { 0 }
    };
    (0..groups * GROUP_LEN).map(|_| value()).collect()
}

fn table(seed: u64) -> [u16; 64] {
    let mut noise = Noise(seed);
    std::array::from_fn(|_| 1 + (noise.next() % 24) as u16)
}

const GROUPS: usize = 3;
const STRIDE: usize = GROUPS * ROW + 5;

fn run(isa: Isa, coefficients: &[i16], last: &[u8], quantization: &[u16; 64]) -> Vec<u8> {
    let mut out = vec![7; 7 * STRIDE + GROUPS * ROW];
    inverse_dct(isa, coefficients, last, quantization, &mut out, STRIDE);
    out
}

/// The definition in f64, not cut to 0..=255: the samples of block `b` of group `g`, means of `reduction` a side.
fn definition(
    coefficients: &[i16],
    quantization: &[u16; 64],
    (g, b): (usize, usize),
    reduction: usize,
) -> Vec<f64> {
    let side = 8 / reduction;
    let scale = |k: usize| if k == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
    let wave = |x: usize, u: usize| ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos();
    let mut samples = vec![0.0; side * side];
    for (y, x) in (0..64).map(|i| (i / 8, i % 8)) {
        let mut sum = 128.0;
        for (v, u) in (0..64).map(|i| (i / 8, i % 8)) {
            let c = coefficients[g * GROUP_LEN + v * ROW + b * 8 + u];
            let c = f64::from(c) * f64::from(quantization[v * 8 + u]);
            sum += scale(u) * scale(v) * c * wave(x, u) * wave(y, v) / 4.0;
        }
        samples[y / reduction * side + x / reduction] += sum / (reduction * reduction) as f64;
    }
    samples
}

/// The largest difference of samples to the definition.
fn error(coefficients: &[i16], quantization: &[u16; 64], reduction: usize, out: &[u8], stride: usize) -> f64 {
    let side = 8 / reduction;
    let mut largest = 0f64;
    for (g, b) in (0..GROUPS * GROUP_BLOCKS).map(|i| (i / GROUP_BLOCKS, i % GROUP_BLOCKS)) {
        for (i, want) in definition(coefficients, quantization, (g, b), reduction).into_iter().enumerate() {
            let got = out[i / side * stride + (g * GROUP_BLOCKS + b) * side + i % side];
            largest = largest.max((f64::from(got) - want.clamp(0.0, 255.0)).abs());
        }
    }
    largest
}

#[test]
fn portable_samples_are_those_of_the_definition() {
    for (density, range) in [(4, 90), (20, 25), (64, 8)] {
        let (coefficients, quantization) = (random(GROUPS, density, range, 5), table(3));
        let out = run(Isa::Portable, &coefficients, &[63; GROUPS], &quantization);
        let wrong = error(&coefficients, &quantization, 1, &out, STRIDE);
        assert!(wrong < 0.8, "{wrong}");
        // The twin: another block's coefficients are told apart.
        let mut other = coefficients.clone();
        other.rotate_left(8);
        assert!(error(&other, &quantization, 1, &out, STRIDE) > 10.0);
    }
}

#[test]
fn all_instruction_sets_give_the_same_samples() {
    // The last rows have coefficients that no encoder writes, where sums wrap and saturate.
    for (density, range) in [(1, 1000), (10, 60), (64, 30), (64, 2000), (64, 32767)] {
        for seed in 0..20 {
            let (coefficients, quantization) = (random(GROUPS, density, range, seed), table(seed));
            let want = run(Isa::Portable, &coefficients, &[63; GROUPS], &quantization);
            for isa in Isa::available() {
                assert!(
                    run(isa, &coefficients, &[1; GROUPS], &quantization) == want,
                    "{isa} {density} {range}"
                );
            }
        }
    }
}

#[test]
fn portable_means_alone_need_no_transform() {
    for value in [-32768, -1024, -77, -1, 0, 1, 3, 500, 1023, 9000, 32767] {
        let mut coefficients = vec![0; GROUPS * GROUP_LEN];
        for group in coefficients.chunks_exact_mut(GROUP_LEN) {
            for b in 0..GROUP_BLOCKS {
                group[b * 8] = value;
            }
        }
        for quantization in [[1; 64], [5; 64]] {
            for isa in Isa::available() {
                let whole = run(isa, &coefficients, &[1; GROUPS], &quantization);
                assert_eq!(run(isa, &coefficients, &[0; GROUPS], &quantization), whole, "{isa} {value}");
            }
        }
    }
}

#[test]
fn portable_reduced_samples_are_means() {
    for reduction in [2, 4, 8] {
        for (density, range) in [(4, 90), (20, 25), (64, 8)] {
            let (coefficients, quantization) = (random(GROUPS, density, range, 9), table(4));
            let stride = GROUPS * GROUP_BLOCKS * 8 / reduction + 3;
            let mut out = vec![0; 8 / reduction * stride];
            inverse_dct_reduced(&coefficients, &quantization, reduction, &mut out, stride);
            let wrong = error(&coefficients, &quantization, reduction, &out, stride);
            assert!(wrong < 0.8, "{reduction}: {wrong}");
            // The twin: the samples of another block are told apart.
            out.rotate_left(8 / reduction);
            assert!(error(&coefficients, &quantization, reduction, &out, stride) > 10.0);
        }
    }
}
