//! Clouds by midpoint displacement.

use super::plane::Plane;
use crate::Rng;

/// A cloud of `width` x `height` values, cut from a square of a power of two and scaled to 0..=1 there.
///
/// Midpoint displacement on a torus: from step to step the displacement falls by the factor `decay`, so that a large
/// decay gives smooth clouds.
///
/// # Source
/// Fournier, Fussell, Carpenter 1982 (diamond-square), with the displacements of the ImageNet-C generator.
pub(super) fn plasma(width: usize, height: usize, decay: f32, rng: &mut Rng) -> Plane {
    let side = width.max(height).next_power_of_two();
    let mut map = Plane::filled(side, side, 0.0);
    let mut wibble = 100.0f32;
    let mut step = side;
    while step >= 2 {
        let half = step / 2;
        let range = wibble * wibble;
        // The side is a power of two.
        let at = |x: usize, y: usize| (y & (side - 1)) * side + (x & (side - 1));
        // Middles of squares.
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let v = &map.values;
                let sum = v[at(x, y)] + v[at(x + step, y)] + v[at(x, y + step)] + v[at(x + step, y + step)];
                map.values[at(x + half, y + half)] = sum / 4.0 + rng.range(-range, range);
            }
        }
        // Middles of sides: two corners and the two square middles beside them.
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let v = &map.values;
                let top = v[at(x, y)]
                    + v[at(x + step, y)]
                    + v[at(x + half, y + half)]
                    + v[at(x + half, y + side - half)];
                let left = v[at(x, y)]
                    + v[at(x, y + step)]
                    + v[at(x + half, y + half)]
                    + v[at(x + side - half, y + half)];
                map.values[at(x + half, y)] = top / 4.0 + rng.range(-range, range);
                map.values[at(x, y + half)] = left / 4.0 + rng.range(-range, range);
            }
        }
        step = half;
        wibble /= decay;
    }
    let map = map.normalized();
    let values = (0..height).flat_map(|y| map.row(y)[..width].iter().copied()).collect();
    Plane { width, height, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_decay_is_smooth() {
        let roughness = |decay| {
            let cloud = plasma(64, 64, decay, &mut Rng::keyed(&[4]));
            assert!(cloud.values.iter().all(|v| (0.0..=1.0).contains(v)));
            let steps = (0..64).flat_map(|y| cloud.row(y).windows(2).map(|w| (w[1] - w[0]).abs()));
            steps.sum::<f32>() / (64.0 * 63.0)
        };
        let (rough, smooth) = (roughness(1.2), roughness(3.0));
        assert!(smooth < 0.5 * rough, "{smooth} {rough}");
        assert_eq!(plasma(1, 1, 2.0, &mut Rng::keyed(&[4])).values, [0.0]);
    }
}
