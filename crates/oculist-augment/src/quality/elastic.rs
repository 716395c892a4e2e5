//! Elastic distortion.

use super::at_least;
use super::plane::{Edge, Plane};
use crate::error::Result;
use crate::geometry::{Border, Interpolation, warp};
use crate::{Image, Rng};
use oculist_kernels::image::warp::places::displace;

/// Moves every pixel by a smooth random field, after a random affine map; the size stays.
///
/// The field is noise uniform in -1..1, blurred with a Gaussian of `sigma` pixels and multiplied by `alpha` pixels. The
/// affine map moves three points around the middle, a third of the shorter side away from it, by up to `jitter` pixels
/// each way. Sampling is bilinear over a mirrored border. All channels move together.
///
/// # Errors
/// An alpha, sigma or jitter outside 0..=4096.
///
/// # Source
/// Simard et al. 2003; Hendrycks and Dietterich 2019, elastic transform. The original samples twice (affine map, then
/// field); here both are composed and sampled once, which is a little sharper.
pub fn elastic(image: &Image, alpha: f32, sigma: f32, jitter: f32, seed: u64) -> Result<Image> {
    for (name, value) in [("alpha", alpha), ("sigma", sigma), ("jitter", jitter)] {
        at_least("elastic", name, value, 0.0, 4096.0)?;
    }
    let (width, height) = (image.width(), image.height());
    let mut rng = Rng::keyed(&[seed]);
    let map = random_affine(width, height, jitter, &mut rng);
    let mut field = || Plane::uniform(width, height, &mut rng).blurred(sigma, 3.0, Edge::Mirror).values;
    let (dx, dy) = (field(), field());
    let size = (width, height);
    let mut mixed = vec![0.0; width];
    Ok(warp(image.into(), size, Interpolation::Bilinear, Border::Reflect, |isa, y, xs, ys| {
        let row = y * width..(y + 1) * width;
        // The map is affine: what the field adds to a place is mapped by its linear part.
        for ([a, b, c], places) in map.iter().zip([xs, ys]) {
            for ((m, dx), dy) in mixed.iter_mut().zip(&dx[row.clone()]).zip(&dy[row.clone()]) {
                *m = a * dx + b * dy;
            }
            let start = f64::from(*b) * y as f64 + f64::from(*c);
            displace(isa, start, f64::from(*a), f64::from(alpha), &mixed, places);
        }
    }))
}

/// The map from output to input that takes three jittered points back to where they were.
///
/// Identity where the three points (nearly) lie on a line, as they do in images of fewer than three pixels a side.
fn random_affine(width: usize, height: usize, jitter: f32, rng: &mut Rng) -> [[f32; 3]; 2] {
    const IDENTITY: [[f32; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    let (cx, cy) = ((width / 2) as f64, (height / 2) as f64);
    let side = (width.min(height) / 3) as f64;
    let to = [(cx + side, cy + side), (cx + side, cy - side), (cx - side, cy - side)];
    let mut moved = |v: f64| v + f64::from(rng.range(-jitter, jitter));
    let from = to.map(|(x, y)| (moved(x), moved(y)));
    // Solves A * from = to with edges as columns: A = T * F^-1.
    let edges = |p: [(f64, f64); 3]| [p[1].0 - p[0].0, p[2].0 - p[0].0, p[1].1 - p[0].1, p[2].1 - p[0].1];
    let ([f00, f01, f10, f11], [t00, t01, t10, t11]) = (edges(from), edges(to));
    let determinant = f00 * f11 - f01 * f10;
    if determinant.abs() < 0.25 * side * side || side == 0.0 {
        return IDENTITY;
    }
    let a = [
        [(t00 * f11 - t01 * f10) / determinant, (t01 * f00 - t00 * f01) / determinant],
        [(t10 * f11 - t11 * f10) / determinant, (t11 * f00 - t10 * f01) / determinant],
    ];
    let shift = |row: [f64; 2], to: f64| to - row[0] * from[0].0 - row[1] * from[0].1;
    let shifts = [shift(a[0], to[0].0), shift(a[1], to[0].1)];
    [0, 1].map(|i| [a[i][0] as f32, a[i][1] as f32, shifts[i] as f32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_field_and_jitter_nothing_moves() {
        let image = Image::new(7, 5, 3, (0..105).map(|i| (i * 37) as u8).collect()).unwrap();
        assert_eq!(elastic(&image, 0.0, 3.0, 0.0, 1).unwrap(), image);
        assert!(elastic(&image, -1.0, 3.0, 0.0, 1).is_err());
    }

    #[test]
    fn the_affine_part_stays_within_its_jitter() {
        for seed in 0..50 {
            let map = random_affine(90, 90, 5.0, &mut Rng::keyed(&[seed]));
            // The three points enclose the middle's neighbourhood: nothing there moves much farther than they do.
            for (x, y) in [(45.0, 45.0), (60.0, 45.0), (75.0, 20.0)] {
                let sx = map[0][0] * x + map[0][1] * y + map[0][2];
                let sy = map[1][0] * x + map[1][1] * y + map[1][2];
                assert!((sx - x).abs() < 10.0 && (sy - y).abs() < 10.0, "({x}, {y}) from ({sx}, {sy})");
            }
        }
    }
}
