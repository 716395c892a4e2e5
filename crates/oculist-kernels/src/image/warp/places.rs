//! Places of a row of output pixels, as fixed-point numbers.

use super::super::lanes::{Lanes, per_isa};

/// Fractional bits of a place.
pub const PLACE_BITS: u32 = 11;

/// Places are cut to this many pixels left and right of the origin.
const FARTHEST: f64 = (1 << (30 - PLACE_BITS)) as f64;

/// A place, given in pixels, as a fixed-point number rounded to nearest (ties to even), cut to ±2^19 pixels.
#[inline(always)]
pub fn place(pixels: f64) -> i32 {
    // Adding 1.5 * 2^52 leaves the rounded integer in the low bits of the float, which vectorises where a checked
    // conversion does not.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (pixels.clamp(-FARTHEST, FARTHEST) * f64::from(1 << PLACE_BITS) + SHIFT).to_bits() as i32
}

per_isa! {
    /// Fills in the places `start + i * step`, both in pixels and rounded to 2^-32 pixel; halves are rounded up.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn walk(start: f64, step: f64, places: &mut [i32]) = walked;
}

#[inline(always)]
fn walked<L: Lanes>(_: L, start: f64, step: f64, places: &mut [i32]) {
    const FINE: u32 = 32;
    const DROP: u32 = FINE - PLACE_BITS;
    const HALF: i64 = 1 << (DROP - 1);
    const LIMIT: i64 = 1 << (30 + DROP);
    // With both bounds no sum below overflows.
    let fixed = |v: f64, bound: i64| ((v * (1u64 << FINE) as f64).round() as i64).clamp(-bound, bound);
    let len = places.len().max(1) as i64;
    let mut at = fixed(start, 1 << 61) + HALF;
    let step = fixed(step, (1 << 61) / len);
    let end = at + step * (len - 1);
    if at.abs().max(end.abs()) < LIMIT {
        for place in places {
            *place = (at as u64 >> DROP) as i32;
            at += step;
        }
    } else {
        for place in places {
            *place = (at.clamp(-LIMIT, LIMIT - 1) >> DROP) as i32;
            at += step;
        }
    }
}

per_isa! {
    /// Fills in the places of row y under a projective map.
    ///
    /// With (u, v, w) = matrix (x, y, 1) pixel x shows the place (u / w, v / w). What lies behind the viewer (w up to
    /// 1e-9) is infinitely far away.
    ///
    /// # Panics
    /// If the processor lacks `isa`, or when the slices differ in length.
    pub fn project(matrix: &[[f64; 3]; 3], y: usize, xs: &mut [i32], ys: &mut [i32]) = projected;
}

#[inline(always)]
fn projected<L: Lanes>(_: L, matrix: &[[f64; 3]; 3], y: usize, xs: &mut [i32], ys: &mut [i32]) {
    assert_eq!(xs.len(), ys.len());
    let [[au, bu], [av, bv], [aw, bw]] = matrix.map(|m| [m[0], m[1] * y as f64 + m[2]]);
    for (x, (at_x, at_y)) in xs.iter_mut().zip(ys).enumerate() {
        let x = f64::from(x as i32);
        let depth = bw + aw * x;
        let near = if depth > 1e-9 { 1.0 / depth } else { f64::NEG_INFINITY };
        *at_x = place((bu + au * x) * near);
        *at_y = place((bv + av * x) * near);
    }
}

per_isa! {
    /// Fills in the places `start + i * step + strength * field[i]`, all in pixels.
    ///
    /// # Panics
    /// If the processor lacks `isa`, or when the slices differ in length.
    pub fn displace(start: f64, step: f64, strength: f64, field: &[f32], places: &mut [i32]) = displaced;
}

#[inline(always)]
fn displaced<L: Lanes>(_: L, start: f64, step: f64, strength: f64, field: &[f32], places: &mut [i32]) {
    assert_eq!(field.len(), places.len());
    for (i, (at, &d)) in places.iter_mut().zip(field).enumerate() {
        *at = place(start + step * f64::from(i as i32) + strength * f64::from(d));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    const ONE: f64 = (1 << PLACE_BITS) as f64;

    #[test]
    fn places_are_rounded_and_cut() {
        for v in [0.0, 1.25, -3.5, 1000.1, -0.3, 0.000_24] {
            assert_eq!(place(v), (v * ONE).round_ties_even() as i32, "{v}");
        }
        assert_eq!((place(1e300), place(-1e300)), (1 << 30, -(1 << 30)));
    }

    #[test]
    fn rows_of_places_equal_their_formulas() {
        let in_range = |p: &i32| (-(1 << 30)..=1 << 30).contains(p);
        let close = |p: i32, v: f64| (f64::from(p) - v.clamp(-FARTHEST, FARTHEST) * ONE).abs() < 0.51;
        for isa in Isa::available() {
            for len in [1, 7, 50] {
                let mut places = vec![0; len];
                for (start, step) in [(0.0, 1.0), (-3.7, 0.001), (1e5, -7.3), (1e18, 1e18), (-1e300, 1e300)] {
                    walk(isa, start, step, &mut places);
                    assert!(places.iter().all(in_range));
                    for (i, &p) in places.iter().enumerate().filter(|_| start.abs() < 1e17) {
                        assert!(close(p, start + step * i as f64), "{isa} {start} {step} {i}: {p}");
                        assert!(!close(p + 2, start + step * i as f64));
                    }
                }
                let field: Vec<f32> = (0..len).map(|i| (i as f32 * 0.7).sin()).collect();
                displace(isa, 2.0, 0.5, 1e3, &field, &mut places);
                for (i, &p) in places.iter().enumerate() {
                    assert!(close(p, 2.0 + 0.5 * i as f64 + 1e3 * f64::from(field[i])), "{isa} {i}");
                }
                displace(isa, 2.0, 0.5, f64::MAX, &field, &mut places);
                assert!(places.iter().all(in_range));
                let matrix = [[1.1, 0.2, 3.0], [-0.1, 0.9, 2.0], [-0.04, 0.001, 1.0]];
                let mut ys = vec![0; len];
                project(isa, &matrix, 3, &mut places, &mut ys);
                for (i, (&px, &py)) in places.iter().zip(&ys).enumerate() {
                    let at = |m: [f64; 3]| m[0] * i as f64 + m[1] * 3.0 + m[2];
                    let [u, v, w] = matrix.map(at);
                    let seen = w > 1e-9;
                    assert_eq!(seen, close(px, u / w), "{isa} {i}");
                    assert!(if seen { close(py, v / w) } else { px == -(1 << 30) }, "{isa} {i}");
                }
            }
        }
    }
}
