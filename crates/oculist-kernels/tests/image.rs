//! Pixel loops against naive loops, on every instruction set, from one pixel on.
//!
//! The loops below follow the documented formulae value by value. Bytes must be equal; each comparison is also shown to
//! reject a neighbouring operation.

use oculist_kernels::Isa;
use oculist_kernels::image::{self, ByteMap, TapOffset};

/// Pixels around the sizes of registers and blocks.
const COUNTS: [usize; 9] = [1, 2, 15, 63, 64, 65, 255, 257, 1000];

fn bytes(n: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(n as u32);
    let next = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*state >> 24) as u8
    };
    // Runs of grey, black and white lie between the random pixels.
    (0..n).map(|i| if i % 97 < 12 { [0, 255, 128][i / 97 % 3] } else { next(&mut state) }).collect()
}

/// Compares an operation in place with a naive function of a pixel, on all sizes, channels and instruction sets, and
/// shows that `wrong` gives something else.
fn pixels(
    name: &str,
    all_channels: &[usize],
    run: impl Fn(Isa, &mut [u8], usize),
    want: impl Fn([u8; 3]) -> [u8; 3],
    wrong: impl Fn(Isa, &mut [u8], usize),
) {
    for &channels in all_channels {
        for n in COUNTS {
            let old = bytes(n * channels, 3);
            let mut expected = old.clone();
            for pixel in expected.chunks_mut(channels) {
                let colors = channels.min(3);
                let mut padded = [0; 3];
                padded[..colors].copy_from_slice(&pixel[..colors]);
                pixel[..colors].copy_from_slice(&want(padded)[..colors]);
            }
            for isa in Isa::available() {
                let mut got = old.clone();
                run(isa, &mut got, channels);
                assert!(got == expected, "{name}, {n} pixels of {channels} on {isa}");
                let mut off = old.clone();
                wrong(isa, &mut off, channels);
                assert!(off != expected || n < 64, "{name}: a wrong result passes, {n} pixels on {isa}");
            }
        }
    }
}

fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 32768) / 65536) as u8
}

#[test]
fn colours_are_those_of_the_formulae() {
    for factor in [0.0f32, 0.35, 1.3, 7.0] {
        pixels(
            "saturate",
            &[3, 4],
            |isa, p, c| image::saturate_colors(isa, p, c, factor),
            |p| {
                let grey = f32::from(luma(p));
                p.map(|x| (grey + factor * (f32::from(x) - grey)).clamp(0.0, 255.0) as u8)
            },
            |isa, p, c| image::saturate_colors(isa, p, c, factor + 0.1),
        );
    }
    pixels(
        "grey",
        &[3, 4],
        image::colors_to_grey,
        |p| [luma(p); 3],
        |isa, p, c| image::shuffle_colors(isa, p, c, [0, 0, 0]),
    );
    for order in [[2, 0, 1], [1, 1, 2], [0, 2, 1]] {
        pixels(
            "shuffle",
            &[3, 4],
            |isa, p, c| image::shuffle_colors(isa, p, c, order),
            |p| order.map(|c| p[usize::from(c)]),
            |isa, p, c| image::shuffle_colors(isa, p, c, [0, 1, 2]),
        );
    }
}

/// HSV by sectors in f64, with the hue turned.
fn turned([r, g, b]: [u8; 3], sixths: f64) -> [f64; 3] {
    let (r, g, b) = (f64::from(r), f64::from(g), f64::from(b));
    let (v, least) = (r.max(g).max(b), r.min(g).min(b));
    let d = v - least;
    let sector = match () {
        () if d == 0.0 => 0.0,
        () if v == r => (g - b) / d,
        () if v == g => (b - r) / d + 2.0,
        () => (r - g) / d + 4.0,
    };
    let h = (sector + sixths).rem_euclid(6.0);
    let (i, f) = (h.floor(), h - h.floor());
    let (p, q, t) = (v - d, v - d * f, v - d * (1.0 - f));
    [[v, t, p], [q, v, p], [p, v, t], [p, q, v], [t, p, v], [v, p, q]][i as usize % 6]
}

#[test]
fn hue_is_that_of_hsv_and_the_same_everywhere() {
    for sixths in [0.3f32, 2.0, 5.9] {
        for channels in [3, 4] {
            for n in COUNTS {
                let old = bytes(n * channels, 8);
                let mut portable = old.clone();
                image::turn_hue(Isa::Portable, &mut portable, channels, sixths);
                for (new, old) in portable.chunks(channels).zip(old.chunks(channels)) {
                    let want = turned([old[0], old[1], old[2]], f64::from(sixths));
                    // Rounded to nearest in f32: half a level and a little.
                    let near = new.iter().zip(want).all(|(&v, w)| (f64::from(v) - w).abs() < 0.501);
                    assert!(near, "{old:?} by {sixths}: {new:?}, expected {want:?}");
                    assert_eq!(new.get(3), old.get(3));
                    let gap = turned([old[0], old[1], old[2]], f64::from(sixths) + 0.5);
                    let saturated = old[..3].iter().max().unwrap() - old[..3].iter().min().unwrap() > 20;
                    assert!(
                        !saturated || new.iter().zip(gap).any(|(&v, w)| (f64::from(v) - w).abs() > 0.501)
                    );
                }
                for isa in Isa::available() {
                    let mut got = old.clone();
                    image::turn_hue(isa, &mut got, channels, sixths);
                    assert!(got == portable, "{n} pixels of {channels} on {isa}");
                }
            }
        }
    }
}

#[test]
fn maps_of_values_are_those_of_the_formulae() {
    let tables: [[u8; 256]; 3] =
        std::array::from_fn(|c| std::array::from_fn(|v| (v * (3 + 2 * c) + 7 * c).wrapping_mul(v + 1) as u8));
    let run = |isa, p: &mut [u8], c| match c {
        1 => image::map_values(isa, p, &tables[0]),
        _ => image::map_colors(isa, p, c, &tables),
    };
    let want = |p: [u8; 3]| std::array::from_fn(|c| tables[c][usize::from(p[c])]);
    pixels("tables", &[1, 3, 4], run, want, |isa, p, c| image::map_bytes(isa, p, c, ByteMap::Invert));
    type Naive = fn(u8, usize) -> u8;
    let maps: [(ByteMap, Naive); 4] = [
        (ByteMap::Invert, |v, _| 255 - v),
        (ByteMap::Mask(0xe0), |v, _| v / 32 * 32),
        (ByteMap::InvertFrom(100), |v, _| if v >= 100 { 255 - v } else { v }),
        (ByteMap::AddSubtract([10, 0, 255, 0], [0, 20, 155, 0]), |v, c| match c {
            0 => v.max(v.wrapping_add(10)).max(if v > 245 { 255 } else { 0 }),
            1 => v - v.min(20),
            _ => 100,
        }),
    ];
    for (map, naive) in maps {
        // Only the last tells channels apart and leaves alpha alone.
        let channels: &[usize] = if matches!(map, ByteMap::AddSubtract(..)) { &[1, 3, 4] } else { &[1, 3] };
        pixels(
            &format!("{map:?}"),
            channels,
            |isa, p, c| image::map_bytes(isa, p, c, map),
            |p| std::array::from_fn(|c| naive(p[c], c)),
            |isa, p, c| image::map_bytes(isa, p, c, ByteMap::Mask(0xf1)),
        );
    }
}

#[test]
fn sums_and_bounds_are_those_of_all_pixels() {
    let invert: [[u8; 256]; 3] = [std::array::from_fn(|v| 255 - v as u8); 3];
    for channels in [3, 4] {
        for n in COUNTS {
            let p = bytes(n * channels, 5);
            let colors: Vec<[u8; 3]> = p.chunks(channels).map(|p| [p[0], p[1], p[2]]).collect();
            let plane: Vec<u8> = colors.iter().map(|&p| luma(p)).collect();
            let total = |f: &dyn Fn([u8; 3]) -> u8| colors.iter().map(|&p| u64::from(f(p))).sum::<u64>();
            let sums: [u64; 3] = std::array::from_fn(|c| total(&|p| p[c]));
            let bounds: [(u8, u8); 3] = std::array::from_fn(|c| {
                let values = || colors.iter().map(|p| p[c]);
                (values().min().unwrap(), values().max().unwrap())
            });
            for isa in Isa::available() {
                let mut got = vec![0; n];
                image::luma(isa, &p, channels, &mut got);
                assert!(got == plane, "luma of {n} on {isa}");
                assert_eq!(image::luma_sum(isa, &p, channels, None), total(&luma), "{n} on {isa}");
                let inverted = image::luma_sum(isa, &p, channels, Some(&invert));
                assert_eq!(inverted, total(&|p| luma(p.map(|v| 255 - v))), "{n} on {isa}");
                assert_ne!(inverted, total(&luma));
                assert_eq!(image::channel_sums(isa, &p, channels), sums, "{n} on {isa}");
                assert_eq!(image::channel_bounds(isa, &p, channels), bounds, "{n} on {isa}");
                let fewer = &p[..p.len() - channels];
                assert!(n < 64 || image::channel_sums(isa, fewer, channels) != sums);
            }
        }
    }
}

/// Widths and heights, small ones and such that registers end within and behind rows.
const SIZES: [(usize, usize); 7] = [(1, 1), (1, 5), (2, 3), (3, 3), (21, 4), (22, 9), (64, 5)];

fn mirrored(i: isize, n: usize) -> usize {
    let mut i = i;
    if n == 1 {
        return 0;
    }
    while i < 0 || i >= n as isize {
        i = if i < 0 { -i } else { 2 * (n as isize - 1) - i };
    }
    i as usize
}

#[test]
fn blurs_are_sums_over_neighbours() {
    for (w, h) in SIZES {
        for channels in [1, 3, 4] {
            let old = bytes(w * h * channels, 6);
            let at = |x: isize, y: isize, c: usize| {
                u64::from(old[(mirrored(y, h) * w + mirrored(x, w)) * channels + c])
            };
            for weights in [vec![256u16], vec![128, 64], vec![60, 50, 30, 10, 8]] {
                let r = weights.len() as isize - 1;
                let weight = |d: isize| u64::from(weights[d.unsigned_abs()]);
                let mut want = Vec::new();
                for y in 0..h as isize {
                    for x in 0..w as isize {
                        for c in 0..channels {
                            let row = |dy| (-r..=r).map(|dx| weight(dx) * at(x + dx, y + dy, c)).sum::<u64>();
                            let sum: u64 = (-r..=r).map(|dy| weight(dy) * row(dy)).sum();
                            want.push(((sum + 32768) / 65536) as u8);
                        }
                    }
                }
                for isa in Isa::available() {
                    let mut got = old.clone();
                    image::blur_symmetric(isa, &mut got, w, channels, &weights);
                    assert!(got == want, "{w}x{h}x{channels}, {weights:?} on {isa}");
                    assert!(weights.len() == 1 || w < 21 || want != old);
                }
            }
            for factor in [0.0f32, 0.4, 3.0] {
                let mut want = old.clone();
                for y in 1..h.saturating_sub(1) {
                    for x in 1..w.saturating_sub(1) {
                        for c in 0..channels.min(3) {
                            let i = (y * w + x) * channels + c;
                            let (x, y) = (x as isize, y as isize);
                            let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy)));
                            let sum =
                                near.map(|(dx, dy)| at(x + dx, y + dy, c)).sum::<u64>() + 4 * at(x, y, c);
                            let b = (sum as f64 / 13.0 + 0.5).floor() as f32;
                            want[i] = (b + factor * (f32::from(old[i]) - b)).clamp(0.0, 255.0) as u8;
                        }
                    }
                }
                for isa in Isa::available() {
                    let mut got = old.clone();
                    image::sharpen_colors(isa, &mut got, w, channels, factor);
                    assert!(got == want, "{w}x{h}x{channels} by {factor} on {isa}");
                    assert!(w < 21 || want != old);
                }
            }
        }
    }
}

#[test]
fn tap_sums_follow_the_order_of_the_taps() {
    for len in [1usize, 20, 64, 100] {
        let padded: Vec<f32> = bytes(3 * len.next_multiple_of(64), 2).iter().map(|&v| f32::from(v)).collect();
        let taps: Vec<TapOffset> = (0..7)
            .map(|i| TapOffset { offset: i * len / 7 + (i % 2) * len, weight: 0.11 * i as f32 - 0.2 })
            .collect();
        let sum = |i: usize, first: f32| {
            taps.iter().fold(first, |sum, tap| sum + tap.weight * padded[tap.offset + i])
        };
        for isa in Isa::available() {
            let (mut bytes, mut floats) = (vec![0; len], vec![0.0; len]);
            image::tap_sums_to_bytes(isa, &padded, &taps, &mut bytes);
            image::tap_sums(isa, &padded, &taps, &mut floats);
            assert!((0..len).all(|i| floats[i] == sum(i, 0.0)), "{len} on {isa}");
            assert!((0..len).all(|i| bytes[i] == sum(i, 0.5).clamp(0.0, 255.0) as u8), "{len} on {isa}");
            image::tap_sums(isa, &padded, &taps[1..], &mut floats);
            assert!(
                len < 20 || (0..len).any(|i| floats[i] != sum(i, 0.0)),
                "a missing tap passes, {len} on {isa}"
            );
        }
    }
}

#[test]
fn layers_are_added_as_the_formulae_say() {
    let tint = [10.0f32, 200.0, 60.0];
    for n in COUNTS {
        let scale: Vec<f32> = (0..n).map(|i| (i % 13) as f32 * 0.1).collect();
        let offset: Vec<f32> = (0..n).map(|i| (i % 7) as f32 * 0.2 - 0.3).collect();
        for channels in [1, 3, 4] {
            let old = bytes(n * channels, 4);
            let mut want = old.clone();
            for (i, pixel) in want.chunks_mut(channels).enumerate() {
                for c in 0..channels.min(3) {
                    let v = f32::from(pixel[c]) * scale[i] + offset[i] * tint[c] + 0.5;
                    pixel[c] = v.clamp(0.0, 255.0) as u8;
                }
            }
            for isa in Isa::available() {
                let mut got = old.clone();
                image::shade_colors(isa, &mut got, channels, &scale, &offset, tint);
                assert!(got == want, "{n} of {channels} on {isa}");
                image::shade_colors(isa, &mut got, channels, &scale, &offset, tint);
                assert!(n < 63 || got != want);
            }
            if channels == 4 {
                continue;
            }
            let statistics = [[0.01f32, 0.02, 0.015], [-2.0, -1.5, 0.3]];
            for isa in Isa::available() {
                let [s, b] = [&statistics[0][..channels], &statistics[1][..channels]];
                let mut got = vec![0.0; old.len()];
                image::normalize(isa, &old, s, b, &mut got);
                let value = |i: usize, c: usize| f32::from(old[i]) * s[c] + b[c];
                assert!(
                    (0..old.len()).all(|i| got[i] == value(i, i % channels)),
                    "{n} of {channels} on {isa}"
                );
                assert!(channels == 1 || (0..old.len()).any(|i| got[i] != value(i, (i + 1) % channels)));
                image::add_weighted(isa, &mut got, &old, 0.3);
                let sum = |i: usize| value(i, i % channels) + 0.3 * f32::from(old[i]);
                assert!((0..old.len()).all(|i| got[i] == sum(i)), "{n} of {channels} on {isa}");
            }
        }
    }
}

/// Output `n` of SplitMix64 from a state, one after the other.
fn splitmix(key: u64, n: usize) -> u64 {
    let (mut state, mut z) = (key, 0);
    for _ in 0..=n {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
    }
    z
}

/// The number's word and whether it is of the first half.
fn place(n: usize) -> (usize, bool) {
    (n / 128 * 64 + n % 64, n % 128 < 64)
}

#[test]
fn normal_numbers_are_those_of_box_and_muller() {
    let want = |key: u64, n: usize| {
        let (word, first) = place(n);
        let bits = splitmix(key, word);
        let u = ((bits >> 33) as f64 + 0.5) / f64::from(1u32 << 31);
        let angle = f64::from(bits as u32) / f64::from(1u32 << 16).powi(2) * std::f64::consts::TAU;
        (-2.0 * u.ln()).sqrt() * if first { angle.cos() } else { angle.sin() }
    };
    for n in [1, 64, 129, 500] {
        let mut portable = vec![0.0; n];
        image::normals(Isa::Portable, 77, &mut portable);
        let off = |key| (0..n).map(|i| (f64::from(portable[i]) - want(key, i)).abs()).fold(0.0, f64::max);
        // Near 1 the uniform number has a grid of 2^-24, which moves radii near 0 the most.
        assert!(off(77) < 4e-4, "{}", off(77));
        assert!(off(78) > 0.1);
        for isa in Isa::available() {
            let mut got = vec![0.0; n];
            image::normals(isa, 77, &mut got);
            assert!(got == portable, "{n} numbers on {isa}");
            let old = bytes(n, 1);
            let (mut added, mut scaled) = (old.clone(), old.clone());
            image::add_normal_noise(isa, 77, 20.0, &mut added);
            image::multiply_normal_noise(isa, 77, 0.2, &mut scaled);
            for i in 0..n {
                let x = f32::from(old[i]);
                assert_eq!(added[i], (x + 20.0 * got[i] + 0.5).clamp(0.0, 255.0) as u8);
                assert_eq!(scaled[i], (x * (1.0 + 0.2 * got[i]) + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
}

#[test]
fn normal_numbers_have_the_moments_and_the_tails() {
    const N: usize = 400_000;
    let mut values = vec![0.0; N];
    image::normals(Isa::detect(), 5, &mut values);
    let mean = |f: &dyn Fn(f64) -> f64| values.iter().map(|&v| f(f64::from(v))).sum::<f64>() / N as f64;
    // Five standard errors of each mean.
    for (power, want, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0f64)] {
        let found = mean(&|v| v.powi(power));
        assert!((found - want).abs() < 5.0 * (variance / N as f64).sqrt(), "power {power}: {found}");
    }
    for (bound, part) in [(-3.0, 0.001_349_9), (-1.0, 0.158_655), (0.5, 0.691_462), (2.0, 0.977_250)] {
        let found = mean(&|v| if v < bound { 1.0 } else { 0.0 });
        let error = 5.0 * (part * (1.0 - part) / N as f64).sqrt();
        assert!((found - part).abs() < error, "{found} below {bound}, expected {part}");
    }
    // The two numbers of a word, and numbers of neighbouring words, are uncorrelated.
    for lag in [1, 64] {
        let sum: f64 = values.windows(lag + 1).map(|w| f64::from(w[0]) * f64::from(w[lag])).sum();
        assert!((sum / N as f64).abs() < 5.0 / (N as f64).sqrt(), "lag {lag}");
    }
}

#[test]
fn salt_and_pepper_fall_where_the_words_say() {
    let old = bytes(500, 9);
    for amount in [0.0, 0.04, 0.5, 1.0] {
        let want: Vec<u8> = (0..old.len())
            .map(|n| {
                let (word, first) = place(n);
                let bits = splitmix(3, word);
                let half = if first { bits >> 32 } else { bits & 0xffff_ffff };
                let u = (half >> 1) as f64 / f64::from(1u32 << 31);
                match () {
                    () if u < amount / 2.0 => 0,
                    () if u < amount => 255,
                    () => old[n],
                }
            })
            .collect();
        assert_eq!(amount == 1.0, want.iter().all(|v| matches!(v, 0 | 255)));
        for isa in Isa::available() {
            let (mut got, mut other) = (old.clone(), old.clone());
            image::salt_and_pepper(isa, 3, amount, &mut got);
            assert!(got == want, "{amount} on {isa}");
            image::salt_and_pepper(isa, 4, amount, &mut other);
            assert_eq!(other == want, amount == 0.0);
        }
    }
}

/// The loss of JPEG by its definition in f64: planes, sums over cosines for each coefficient, a filter per pixel.
fn jpeg_loss(pixels: &[u8], w: usize, channels: usize, tables: &[[u8; 64]; 2]) -> Vec<f64> {
    let h = pixels.len() / w / channels;
    let at = |x: usize, y: usize, c: usize| {
        f64::from(pixels[(y.min(h - 1) * w + x.min(w - 1)) * channels + c.min(channels - 1)])
    };
    let weights =
        [[0.299, 0.587, 0.114], [-0.168_735_9, -0.331_264_1, 0.5], [0.5, -0.418_687_6, -0.081_312_4]];
    let converted = |x: usize, y: usize, k: usize| {
        let sum = (0..3).map(|c| weights[k][c] * at(x, y, c)).sum::<f64>();
        if channels == 1 { at(x, y, 0) } else { (sum + if k == 0 { 0.0 } else { 128.0 }).round() }
    };
    let blocks = |pw: usize, ph: usize, table: &[u8; 64], value: &dyn Fn(usize, usize) -> f64| {
        let mut plane = vec![0.0; pw * ph];
        let wave = |k: usize, i: usize| {
            let scale = if k == 0 { 0.125f64.sqrt() } else { 0.5 };
            scale * ((2 * i + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
        };
        for (by, bx) in (0..ph.div_ceil(8)).flat_map(|by| (0..pw.div_ceil(8)).map(move |bx| (by, bx))) {
            let mut kept = [0.0; 64];
            for (n, kept) in kept.iter_mut().enumerate() {
                let (v, u) = (n / 8, n % 8);
                let term = |i: usize| {
                    // Columns go on in the pixels, rows in the plane.
                    let (x, y) = (bx * 8 + i % 8, (by * 8 + i / 8).min(ph - 1));
                    (value(x, y) - 128.0) * wave(u, i % 8) * wave(v, i / 8)
                };
                let q = f64::from(table[n]);
                *kept = ((0..64).map(term).sum::<f64>() / q).round() * q;
            }
            for i in 0..64 {
                let (x, y) = (bx * 8 + i % 8, by * 8 + i / 8);
                if x < pw && y < ph {
                    let sum: f64 = (0..64).map(|n| kept[n] * wave(n % 8, i % 8) * wave(n / 8, i / 8)).sum();
                    plane[y * pw + x] = (sum + 128.0).round().clamp(0.0, 255.0);
                }
            }
        }
        plane
    };
    let luma = blocks(w, h, &tables[0], &|x, y| converted(x, y, 0));
    if channels == 1 {
        return luma;
    }
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let chroma = [1, 2].map(|k| {
        blocks(cw, ch, &tables[1], &|x, y| {
            let sum: f64 = (0..4).map(|i| converted(2 * x + i % 2, 2 * y + i / 2, k)).sum();
            ((sum + 1.0 + (x % 2) as f64) / 4.0).floor()
        })
    });
    let mut out = Vec::new();
    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
        let beside = |i: usize, n: usize| {
            if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(n - 1) }
        };
        let (x2, y2) = (beside(x, cw), beside(y, ch));
        let [cb, cr] = [0, 1].map(|k| {
            let column = |x: usize| 3.0 * chroma[k][y / 2 * cw + x] + chroma[k][y2 * cw + x];
            let rounding = if x % 2 == 0 { 8.0 } else { 7.0 };
            ((3.0 * column(x / 2) + column(x2) + rounding) / 16.0).floor() - 128.0
        });
        let l = luma[y * w + x];
        let rgb = [l + 1.402 * cr, l - 0.344_136_3 * cb - 0.714_136_3 * cr, l + 1.772 * cb];
        out.extend(rgb.map(|v| v.clamp(0.0, 255.0)));
        out.extend((channels == 4).then(|| at(x, y, 3)));
    }
    out
}

#[test]
fn jpeg_loses_what_quantised_cosine_transforms_lose() {
    let coarse: [[u8; 64]; 2] = [
        std::array::from_fn(|i| 8 + 2 * (i / 8 + i % 8) as u8),
        std::array::from_fn(|i| 12 + 3 * (i % 8) as u8),
    ];
    let fine = [[1u8; 64]; 2];
    for (w, h) in [(1, 1), (3, 2), (8, 8), (17, 9), (130, 35)] {
        for channels in [1, 3, 4] {
            // Smooth, so that few coefficients lie near a half.
            let old: Vec<u8> = (0..w * h * channels)
                .map(|i| (i / channels % w * 3 + i / channels / w * 4 + i % channels * 40 + i * 7 % 5) as u8)
                .collect();
            for (tables, other) in [(&coarse, &fine), (&fine, &coarse)] {
                let want = jpeg_loss(&old, w, channels, tables);
                let mut portable = old.clone();
                image::jpeg_round_trip(Isa::Portable, &mut portable, w, channels, tables);
                let off = |got: &[u8]| {
                    let sum: f64 = got.iter().zip(&want).map(|(&g, w)| (f64::from(g) - w).powi(2)).sum();
                    (sum / want.len() as f64).sqrt()
                };
                assert!(off(&portable) < 0.8, "{w}x{h}x{channels}: off by {}", off(&portable));
                let mut wrong = old.clone();
                image::jpeg_round_trip(Isa::Portable, &mut wrong, w, channels, other);
                assert!(w < 17 || off(&wrong) > 1.0, "{w}x{h}x{channels}: {}", off(&wrong));
                for isa in Isa::available() {
                    let mut got = old.clone();
                    image::jpeg_round_trip(isa, &mut got, w, channels, tables);
                    assert!(got == portable, "{w}x{h}x{channels} on {isa}");
                }
            }
        }
    }
}
