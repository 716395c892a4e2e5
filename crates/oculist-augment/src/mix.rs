//! Mixing several images into one: MixUp, CutMix, mosaic.
//!
//! A batch is mixed with itself: image i with image `pairing[i]`. The draws ([`beta`], [`pairing`], [`cut_box`]) and the
//! mixing ([`mixup`], [`cutmix`], [`soft_labels`]) are separate, so that a mixture can be stored and repeated.

use crate::color::to_rgb;
use crate::error::{Result, parameter};
use crate::quality::sampling::{normal_pair, unit};
use crate::{Image, Interpolation, Rng, geometry};

/// Draws from Gamma(shape, 1), shape above 0.
///
/// # Source
/// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000; for a shape below 1 with their
/// boost, here in logarithms, since the number itself may be too small for a float.
fn log_gamma_draw(shape: f64, rng: &mut Rng) -> f64 {
    if shape < 1.0 {
        let boost = (1.0 - unit(rng)).ln() / shape;
        return log_gamma_draw(shape + 1.0, rng) + boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal_pair(rng).0;
        let v = (1.0 + c * x).powi(3);
        if v <= 0.0 {
            continue;
        }
        let u = 1.0 - unit(rng);
        if u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return (d * v).ln();
        }
    }
}

/// Draws a number in 0..=1 from the distribution Beta(a, b).
///
/// # Errors
/// An a or b that is not above 0 and at most 10^6.
///
/// # Source
/// G / (G + H) for independent gamma variables G and H of shapes a and b.
pub fn beta(a: f64, b: f64, rng: &mut Rng) -> Result<f64> {
    for (name, value) in [("a", a), ("b", b)] {
        if !(value > 0.0 && value <= 1e6) {
            return Err(parameter("beta", name, "above 0, at most 10^6", value.to_string()));
        }
    }
    let (g, h) = (log_gamma_draw(a, rng), log_gamma_draw(b, rng));
    Ok(1.0 / (1.0 + (h - g).exp()))
}

/// Which image each image of a batch of `n` is mixed with: a random permutation.
pub fn pairing(n: usize, rng: &mut Rng) -> Vec<usize> {
    let mut partners: Vec<usize> = (0..n).collect();
    rng.shuffle(&mut partners);
    partners
}

/// The size of a batch's images: `[height][width][channels]` dense floats each, NHWC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Channels of a pixel.
    pub channels: usize,
}

impl Shape {
    /// Floats of one image.
    fn len(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// A window of pixels, ends excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutBox {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Column after the last.
    pub right: usize,
    /// Row after the last.
    pub bottom: usize,
}

impl CutBox {
    /// The part of an image's area that lies outside the window: the weight that the image keeps.
    pub fn kept(self, width: usize, height: usize) -> f64 {
        1.0 - ((self.right - self.left) * (self.bottom - self.top)) as f64 / (width * height) as f64
    }
}

/// The window of CutMix about the pixel (x, y) for a weight `lambda` in 0..=1 of the image that stays.
///
/// It reaches `0.5 sqrt(1 - lambda)` of each side both ways, cut to whole pixels and to the image. The weight that
/// counts is [`CutBox::kept`].
///
/// # Panics
/// If x or y lies outside the image.
///
/// # Source
/// Yun et al., "CutMix", ICCV 2019, as torchvision rounds it.
pub fn cut_box(width: usize, height: usize, lambda: f64, x: usize, y: usize) -> CutBox {
    assert!(x < width && y < height, "pixel ({x}, {y}) of {width}x{height}");
    let reach = 0.5 * (1.0 - lambda.clamp(0.0, 1.0)).sqrt();
    let (rx, ry) = ((reach * width as f64) as usize, (reach * height as f64) as usize);
    CutBox {
        left: x.saturating_sub(rx),
        top: y.saturating_sub(ry),
        right: (x + rx).min(width),
        bottom: (y + ry).min(height),
    }
}

/// Draws the window's middle and gives [`cut_box`].
pub fn random_cut_box(shape: Shape, lambda: f64, rng: &mut Rng) -> CutBox {
    let (x, y) = (rng.below(shape.width), rng.below(shape.height));
    cut_box(shape.width, shape.height, lambda, x, y)
}

fn check(images: usize, row: usize, partners: &[usize]) -> Result<()> {
    if images != partners.len() * row {
        let found = format!("{images} floats for {} images of {row}", partners.len());
        return Err(parameter("mix", "images", "as many as the pairing has", found));
    }
    match partners.iter().find(|&&p| p >= partners.len()) {
        Some(p) => Err(parameter("mix", "pairing", "indices of the batch", p.to_string())),
        None => Ok(()),
    }
}

/// Mixes every image with its partner: `lambda x_i + (1 - lambda) x_partner(i)`.
///
/// `images` are dense floats, one image after the other, each `len / partners.len()` long.
///
/// # Errors
/// A lambda outside 0..=1, a pairing that does not fit the batch.
///
/// # Source
/// Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018.
pub fn mixup(images: &mut [f32], partners: &[usize], lambda: f64) -> Result<()> {
    if !(0.0..=1.0).contains(&lambda) {
        return Err(parameter("mixup", "lambda", "within 0..=1", lambda.to_string()));
    }
    let row = images.len().checked_div(partners.len()).unwrap_or(0);
    check(images.len(), row, partners)?;
    let original = images.to_vec();
    let (keep, give) = (lambda as f32, (1.0 - lambda) as f32);
    for (image, &partner) in images.chunks_exact_mut(row.max(1)).zip(partners) {
        for (x, y) in image.iter_mut().zip(&original[partner * row..][..row]) {
            *x = keep * *x + give * y;
        }
    }
    Ok(())
}

/// Copies a window of every image's partner into the image.
///
/// # Errors
/// A pairing that does not fit the batch, a window outside the image.
///
/// # Source
/// Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", ICCV 2019.
pub fn cutmix(images: &mut [f32], shape: Shape, partners: &[usize], window: CutBox) -> Result<()> {
    let CutBox { left, top, right, bottom } = window;
    if left > right || top > bottom || right > shape.width || bottom > shape.height {
        return Err(parameter("cutmix", "window", "inside the image", format!("{window:?} of {shape:?}")));
    }
    check(images.len(), shape.len(), partners)?;
    let line = (right - left) * shape.channels;
    // Only the windows are kept aside.
    let mut cut = Vec::with_capacity(partners.len() * line * (bottom - top));
    let start = |y: usize| (y * shape.width + left) * shape.channels;
    for image in images.chunks_exact(shape.len().max(1)) {
        for y in top..bottom {
            cut.extend_from_slice(&image[start(y)..][..line]);
        }
    }
    for (image, &partner) in images.chunks_exact_mut(shape.len().max(1)).zip(partners) {
        for y in top..bottom {
            let from = (partner * (bottom - top) + y - top) * line;
            image[start(y)..][..line].copy_from_slice(&cut[from..][..line]);
        }
    }
    Ok(())
}

/// Soft labels `[batch, classes]` of a mixture: `lambda hot(labels_i) + (1 - lambda) hot(labels_partner(i))`, where hot is 1
/// for the classes of an image (one, or any number) and 0 for the others.
///
/// # Errors
/// A lambda outside 0..=1, a pairing that does not fit the labels, a label that is no class.
pub fn soft_labels(labels: &[&[u32]], classes: usize, partners: &[usize], lambda: f64) -> Result<Vec<f32>> {
    if !(0.0..=1.0).contains(&lambda) {
        return Err(parameter("soft labels", "lambda", "within 0..=1", lambda.to_string()));
    }
    check(labels.len(), 1, partners)?;
    if let Some(label) = labels.iter().copied().flatten().find(|&&label| label as usize >= classes) {
        return Err(parameter("soft labels", "label", "below the number of classes", label.to_string()));
    }
    let mut soft = vec![0.0; labels.len() * classes];
    for (i, row) in soft.chunks_exact_mut(classes.max(1)).enumerate() {
        for (of, weight) in [(i, lambda as f32), (partners[i], (1.0 - lambda) as f32)] {
            labels[of].iter().for_each(|&label| row[label as usize] += weight);
        }
    }
    Ok(soft)
}

/// Four images around a point: each is resized to fill its quarter.
///
/// The order is upper left, upper right, lower left, lower right; `(x, y)` is the first pixel of the lower right one. If
/// the channels differ, all become RGB. A label in proportion to the areas is the caller's to form.
///
/// # Errors
/// A point that leaves a quarter without pixels.
///
/// # Source
/// Bochkovskiy et al., "YOLOv4", 2020; there the quarters are crops, here whole images.
pub fn mosaic(images: [&Image; 4], width: usize, height: usize, x: usize, y: usize) -> Result<Image> {
    if !(1..width).contains(&x) || !(1..height).contains(&y) {
        return Err(parameter(
            "mosaic",
            "point",
            "inside the picture",
            format!("({x}, {y}) of {width}x{height}"),
        ));
    }
    let same = images.iter().all(|image| image.channels() == images[0].channels());
    let channels = if same { images[0].channels() } else { 3 };
    let mut out = Image::filled(width, height, channels, 0)?;
    let corners = [(0, 0, x, y), (x, 0, width - x, y), (0, y, x, height - y), (x, y, width - x, height - y)];
    for (image, (left, top, w, h)) in images.into_iter().zip(corners) {
        let resized = geometry::resize(image, w, h, Interpolation::Bilinear)?;
        let resized = if same { resized } else { to_rgb(resized) };
        let line = w * channels;
        for (i, row) in resized.pixels().chunks_exact(line).enumerate() {
            let start = ((top + i) * width + left) * channels;
            out.pixels_mut()[start..start + line].copy_from_slice(row);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_has_its_mean_and_variance() {
        const N: usize = 100_000;
        for (a, b) in [(0.1, 0.1), (0.2, 0.2), (1.0, 1.0), (2.0, 5.0), (0.5, 3.0), (40.0, 40.0)] {
            let mut rng = Rng::keyed(&[8]);
            let values: Vec<f64> = (0..N).map(|_| beta(a, b, &mut rng).unwrap()).collect();
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)));
            let mean = values.iter().sum::<f64>() / N as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / N as f64;
            let fits = |a: f64, b: f64| {
                let (m, v) = (a / (a + b), a * b / ((a + b).powi(2) * (a + b + 1.0)));
                (mean - m).abs() < 5.0 * (v / N as f64).sqrt() && (variance - v).abs() < 0.03 * v
            };
            assert!(fits(a, b), "Beta({a}, {b}): {mean} {variance}");
            assert!(!fits(1.2 * a, 1.2 * b) && !fits(a, 1.2 * b), "Beta({a}, {b}): {mean} {variance}");
        }
    }

    #[test]
    fn beta_has_its_quantiles() {
        const N: usize = 100_000;
        // Distribution functions in closed form: uniform, arcsine, and x^2 (3 - 2 x).
        let arcsine = |x: f64| 2.0 / std::f64::consts::PI * x.sqrt().asin();
        type Cdf<'a> = &'a dyn Fn(f64) -> f64;
        let known: [(f64, Cdf<'_>); 3] =
            [(1.0, &|x| x), (0.5, &arcsine), (2.0, &|x| x * x * (3.0 - 2.0 * x))];
        for (alpha, cdf) in known {
            let mut rng = Rng::keyed(&[21]);
            let mut values: Vec<f64> = (0..N).map(|_| beta(alpha, alpha, &mut rng).unwrap()).collect();
            values.sort_unstable_by(f64::total_cmp);
            for part in [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99] {
                let quantile = values[(part * N as f64) as usize];
                assert!((cdf(quantile) - part).abs() < 0.006, "Beta({alpha}, {alpha}) at {part}: {quantile}");
            }
        }
        assert!(beta(0.0, 1.0, &mut Rng::keyed(&[1])).is_err());
        assert!(beta(1.0, f64::NAN, &mut Rng::keyed(&[1])).is_err());
    }

    #[test]
    fn pairs_are_a_permutation_that_depends_on_the_key() {
        let draw = |key| pairing(64, &mut Rng::keyed(&[key]));
        let mut sorted = draw(1);
        assert_ne!(sorted, draw(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn windows_have_the_area_they_should() {
        let window = cut_box(100, 40, 0.75, 50, 20);
        assert_eq!(window, CutBox { left: 25, top: 10, right: 75, bottom: 30 });
        assert_eq!(window.kept(100, 40), 0.75);
        assert_eq!(cut_box(8, 8, 0.0, 0, 7), CutBox { left: 0, top: 3, right: 4, bottom: 8 });
        let none = cut_box(8, 8, 1.0, 3, 3);
        assert_eq!(none.kept(8, 8), 1.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let shape = Shape { height: 2, width: 2, channels: 1 };
        let window = CutBox { left: 0, top: 0, right: 2, bottom: 2 };
        assert!(mixup(&mut [0.0; 7], &[0, 1], 0.5).is_err());
        assert!(mixup(&mut [0.0; 8], &[0, 2], 0.5).is_err());
        assert!(mixup(&mut [0.0; 8], &[0, 1], 1.5).is_err());
        assert!(cutmix(&mut [0.0; 7], shape, &[1, 0], window).is_err());
        assert!(cutmix(&mut [0.0; 8], shape, &[1, 0], CutBox { right: 3, ..window }).is_err());
        assert!(soft_labels(&[&[0], &[3]], 3, &[1, 0], 0.5).is_err());
        assert!(soft_labels(&[&[0], &[2]], 3, &[0], 0.5).is_err());
        mixup(&mut [], &[], 0.5).unwrap();
        cutmix(&mut [], shape, &[], window).unwrap();
    }

    #[test]
    fn a_mosaic_shows_each_image_in_its_corner() {
        let flat = |v| Image::filled(5, 3, 3, v).unwrap();
        let (a, b, c, d) = (flat(10), flat(20), flat(30), Image::filled(2, 2, 1, 40).unwrap());
        let out = mosaic([&a, &b, &c, &d], 9, 7, 4, 3).unwrap();
        assert_eq!((out.width(), out.height(), out.channels()), (9, 7, 3));
        for y in 0..7 {
            for x in 0..9 {
                let want = [[10, 20], [30, 40]][usize::from(y >= 3)][usize::from(x >= 4)];
                assert_eq!(out.pixel(x, y), [want; 3], "({x}, {y})");
            }
        }
        assert!(mosaic([&a, &b, &c, &d], 9, 7, 0, 3).is_err());
        assert!(mosaic([&a, &b, &c, &d], 9, 7, 4, 7).is_err());
    }
}
