//! Every path against the definition, in f64 for bilinear and in whole numbers for bicubic.

use super::*;

fn noise(len: usize, mut state: u32) -> Vec<u8> {
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// The place on the image that shows at `i`, step by step.
fn walk_back(outside: Outside, mut i: i64, n: i64) -> Option<i64> {
    loop {
        if (0..n).contains(&i) {
            return Some(i);
        }
        i = match outside {
            Outside::Constant(_) => return None,
            Outside::Edge => i + (-i).signum(),
            Outside::Reflect if n == 1 => 0,
            Outside::Reflect if i < 0 => -i,
            Outside::Reflect => 2 * (n - 1) - i,
            Outside::Symmetric if i < 0 => -1 - i,
            Outside::Symmetric => 2 * n - 1 - i,
            Outside::Wrap => i - n * i.signum(),
        };
    }
}

struct Picture {
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    channels: usize,
}

impl Picture {
    fn tap(&self, outside: Outside, x: i64, y: i64, c: usize) -> f64 {
        let found = walk_back(outside, x, self.width as i64).zip(walk_back(outside, y, self.height as i64));
        match (found, outside) {
            (Some((x, y)), _) => {
                f64::from(self.pixels[(y as usize * self.width + x as usize) * self.channels + c])
            }
            (None, Outside::Constant(value)) => f64::from(value),
            (None, _) => unreachable!("only constants stand for nothing"),
        }
    }

    /// One value by the documented formula. Bilinear sums are exact in f64.
    fn sample(&self, filter: Filter, outside: Outside, x: i32, y: i32, c: usize) -> u8 {
        let one = f64::from(ONE);
        let (px, py) = (f64::from(x) / one, f64::from(y) / one);
        let tap = |x: f64, y: f64| self.tap(outside, x as i64, y as i64, c);
        let (fx, fy) = (px - px.floor(), py - py.floor());
        match filter {
            Filter::Nearest => tap((px + 0.5).floor(), (py + 0.5).floor()) as u8,
            Filter::Bilinear => {
                let row = |y: f64| tap(px.floor(), y) * (1.0 - fx) + tap(px.floor() + 1.0, y) * fx;
                (row(py.floor()) * (1.0 - fy) + row(py.floor() + 1.0) * fy + 0.5).floor() as u8
            }
            Filter::Bicubic => {
                let (wx, wy) = (weights(fx), weights(fy));
                let row = |j: usize| {
                    let y = py.floor() + j as f64 - 1.0;
                    let sum: f64 = (0..4).map(|i| wx[i] * tap(px.floor() + i as f64 - 1.0, y)).sum();
                    (sum * 64.0 + 0.5).floor() / 64.0
                };
                ((0..4).map(|j| wy[j] * row(j)).sum::<f64>() + 0.5).floor().clamp(0.0, 255.0) as u8
            }
        }
    }
}

/// Cubic convolution with a = -3/4 by its usual formula in the distance, rounded to 2^-14; exact in f64.
fn weights(t: f64) -> [f64; 4] {
    let a = -0.75;
    let unit = 16384.0;
    let weight = |d: f64| {
        let w = if d <= 1.0 {
            (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0
        } else {
            a * (d.powi(3) - 5.0 * d.powi(2) + 8.0 * d - 4.0)
        };
        (w * unit + 0.5).floor() / unit
    };
    let (first, third, last) = (weight(1.0 + t), weight(1.0 - t), weight(2.0 - t));
    [first, 1.0 - first - third - last, third, last]
}

const FILTERS: [Filter; 3] = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic];
const OUTSIDES: [Outside; 5] =
    [Outside::Constant(91), Outside::Edge, Outside::Reflect, Outside::Symmetric, Outside::Wrap];

#[test]
fn cubic_weights_are_the_formulas() {
    for (t, found) in CUBIC.iter().enumerate() {
        let want = weights(t as f64 / f64::from(ONE)).map(|w| w * 16384.0);
        assert_eq!(found.map(f64::from), want, "{t}");
        assert_eq!(found.iter().map(|&w| i32::from(w)).sum::<i32>(), 1 << CUBIC_BITS);
    }
    assert_eq!(CUBIC[0], [0, 1 << CUBIC_BITS, 0, 0]);
}

#[test]
fn coordinates_outside_stand_for_those_inside() {
    for outside in OUTSIDES {
        for n in [1, 2, 3, 7] {
            for i in -30..40 {
                let want = walk_back(outside, i, n).map(|i| i as usize);
                assert_eq!(outside.resolve(i as isize, n as usize), want, "{outside:?} {i} of {n}");
            }
        }
    }
}

/// Rows of places: inside, across the edges, far away, and all over the place.
fn rows(width: usize, height: usize, len: usize) -> Vec<(Vec<i32>, Vec<i32>)> {
    let (w, h) = (width as f64, height as f64);
    let scattered = noise(8 * len, 5);
    let number = |i: usize| i32::from_le_bytes(scattered[4 * i..4 * i + 4].try_into().unwrap());
    let line = |(x, dx): (f64, f64), (y, dy): (f64, f64)| {
        (0..len).map(|i| (places::place(x + dx * i as f64), places::place(y + dy * i as f64))).unzip()
    };
    vec![
        line((0.0, 1.0), (h / 2.0, 0.0)),
        line((0.3, (w - 1.4) / len as f64), (0.2, (h - 1.3) / len as f64)),
        line((w + 3.0, -1.37), (-2.5, 0.81)),
        line((-3.0, 0.4), (h - 2.6, 0.05)),
        line((1e9, 0.0), (-1e9, 0.0)),
        (0..len).map(|i| (number(2 * i) >> 1, number(2 * i + 1) >> 1)).unzip(),
        (0..len).map(|i| (number(2 * i) >> 17, number(2 * i + 1) >> 17)).unzip(),
    ]
}

#[test]
fn every_path_equals_the_definition() {
    let under_miri = cfg!(miri);
    for (width, height) in [(1, 1), (2, 1), (1, 5), (3, 3), (4, 4), (5, 2), (17, 9), (40, 31)] {
        for channels in [1, 3, 4] {
            let pixels = noise(width * height * channels, (width * 7 + channels) as u32);
            let picture = Picture { pixels, width, height, channels };
            for len in [1, 7, 8, 16, 37] {
                if under_miri && (len == 16 || width > 5) {
                    continue;
                }
                for (filter, outside) in FILTERS.into_iter().flat_map(|f| OUTSIDES.map(|o| (f, o))) {
                    for (xs, ys) in rows(width, height, len) {
                        // Far places take the naive loop long; constants and edges do not care how far.
                        let far = xs.iter().chain(&ys).any(|v| v.unsigned_abs() > 1 << 22);
                        if far && outside != Outside::Constant(91) {
                            continue;
                        }
                        let want: Vec<u8> = (0..len * channels)
                            .map(|i| {
                                let (k, c) = (i / channels, i % channels);
                                picture.sample(filter, outside, xs[k], ys[k], c)
                            })
                            .collect();
                        for isa in Isa::available() {
                            let size = (width, height);
                            let sampler = Sampler::new(isa, &picture.pixels, size, channels, filter, outside);
                            let mut out = vec![7; len * channels];
                            sampler.row(&xs, &ys, &mut out);
                            let case = || format!("{isa} {filter:?} {outside:?} {size:?}x{channels} {len}");
                            assert_eq!(out, want, "{}", case());
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn places_far_away_find_pixels_of_the_image() {
    let pixels = noise(5 * 3 * 3, 1);
    let (xs, ys): (Vec<i32>, Vec<i32>) = rows(5, 3, 37).swap_remove(5);
    for (filter, outside) in FILTERS.into_iter().flat_map(|f| OUTSIDES.map(|o| (f, o))) {
        let outs = Isa::available().into_iter().map(|isa| {
            let mut out = vec![0; 37 * 3];
            Sampler::new(isa, &pixels, (5, 3), 3, filter, outside).row(&xs, &ys, &mut out);
            out
        });
        let outs: Vec<_> = outs.collect();
        assert!(outs.iter().all(|out| *out == outs[0]), "{filter:?} {outside:?}");
    }
}

#[test]
fn a_wrong_result_is_seen() {
    // The twin of the comparison above: a place 1/2048 off changes some value of a contrasty picture.
    let pixels: Vec<u8> = (0..20 * 20).map(|i| if (i / 20 + i % 20) % 2 == 0 { 0 } else { 255 }).collect();
    let picture = Picture { pixels, width: 20, height: 20, channels: 1 };
    for filter in [Filter::Bilinear, Filter::Bicubic] {
        let (xs, ys): (Vec<i32>, Vec<i32>) = rows(20, 20, 37).swap_remove(1);
        let wrong: Vec<i32> = xs.iter().map(|x| x + 1).collect();
        let want: Vec<u8> = (0..37).map(|k| picture.sample(filter, Outside::Edge, xs[k], ys[k], 0)).collect();
        for isa in Isa::available() {
            let sampler = Sampler::new(isa, &picture.pixels, (20, 20), 1, filter, Outside::Edge);
            let mut out = vec![0; 37];
            sampler.row(&wrong, &ys, &mut out);
            assert_ne!(out, want, "{isa} {filter:?}");
        }
    }
}
