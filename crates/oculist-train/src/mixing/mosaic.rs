//! Mosaics of four images of a batch.

use oculist_augment::Rng;
use oculist_augment::mix::{self, Shape};
use oculist_data::Batch;

use crate::config::TrainConfig;
use crate::error::TrainError;

/// Last part of the generator's key: apart from MixUp and CutMix, whose draws stay as they are without mosaics.
const KEY: u64 = 0x6d6f_7361_6963;

/// Makes every image of a batch a mosaic of itself and three others, if chance wants it, and returns the soft labels
/// `[batch, classes]`: each quarter's label weighs as much as its part of the area. None if the batch was left as it is.
///
/// The point where the quarters meet is drawn for each image, uniform in the middle half of each side. Each quarter
/// shows a whole image, resized with antialiasing.
///
/// # Errors
/// [`TrainError::Setting`] if images have fewer than 2 pixels a side.
///
/// # Source
/// Bochkovskiy et al., "YOLOv4" (arXiv:2004.10934), section 3.3; there the quarters are crops, and boxes are kept.
pub(super) fn mosaic_batch(
    config: &TrainConfig,
    shape: Shape,
    classes: usize,
    batch: &mut Batch,
    epoch: usize,
    step: usize,
) -> Result<Option<Vec<f32>>, TrainError> {
    if config.mosaic_probability <= 0.0 {
        return Ok(None);
    }
    let Shape { height, width, channels } = shape;
    if width < 2 || height < 2 {
        let found = format!("{width}x{height}");
        return Err(TrainError::Setting {
            name: "mosaic_probability",
            expected: "images of at least 2x2",
            found,
        });
    }
    let mut rng = Rng::keyed(&[config.seed, epoch as u64, step as u64, KEY]);
    if !rng.chance(config.mosaic_probability) {
        return Ok(None);
    }
    let n = batch.len();
    let partners: Vec<Vec<usize>> = (0..3).map(|_| mix::pairing(n, &mut rng)).collect();
    let len = height * width * channels;
    let mut out = vec![0.0; n * len];
    let mut soft = vec![0.0; n * classes];
    for (i, (image, soft)) in out.chunks_exact_mut(len).zip(soft.chunks_exact_mut(classes)).enumerate() {
        let middle = |rng: &mut Rng, side: usize| {
            let first = (side / 4).max(1);
            first + rng.below(side - 2 * first + 1)
        };
        let (x, y) = (middle(&mut rng, width), middle(&mut rng, height));
        let quarters =
            [(0, 0, x, y), (x, 0, width - x, y), (0, y, x, height - y), (x, y, width - x, height - y)];
        let sources = [i, partners[0][i], partners[1][i], partners[2][i]];
        for (source, (left, top, w, h)) in sources.into_iter().zip(quarters) {
            let small = shrink(&batch.images[source * len..][..len], shape, w, h);
            for (row, pixels) in small.chunks_exact(w * channels).enumerate() {
                image[((top + row) * width + left) * channels..][..w * channels].copy_from_slice(pixels);
            }
            for &label in batch.targets.row(source) {
                soft[label as usize] += (w * h) as f32 / (width * height) as f32;
            }
        }
    }
    batch.images = out;
    Ok(Some(soft))
}

/// An image resized to `w` x `h`, at most its own size, with the triangle filter widened by the factor of reduction.
fn shrink(image: &[f32], shape: Shape, w: usize, h: usize) -> Vec<f32> {
    let Shape { height, width, channels } = shape;
    let columns = weights(width, w);
    let mut narrow = Vec::with_capacity(height * w * channels);
    for row in image.chunks_exact(width * channels) {
        for (first, column) in &columns {
            for c in 0..channels {
                let values = row[first * channels..].iter().skip(c).step_by(channels);
                narrow.push(column.iter().zip(values).map(|(weight, v)| weight * v).sum::<f32>());
            }
        }
    }
    let line = w * channels;
    let mut small = vec![0.0; h * line];
    for ((first, weights), out) in weights(height, h).iter().zip(small.chunks_exact_mut(line)) {
        for (weight, row) in weights.iter().zip(narrow[first * line..].chunks_exact(line)) {
            out.iter_mut().zip(row).for_each(|(out, v)| *out += weight * v);
        }
    }
    small
}

/// For each of `to` places the first of the `from` inputs that count and their weights, which sum to 1.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    let one = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        let first = (center - scale + 0.5).floor().max(0.0) as usize;
        let last = ((center + scale + 0.5).floor() as usize).min(from);
        let raw: Vec<f64> =
            (first..last).map(|i| (1.0 - ((i as f64 + 0.5 - center) / scale).abs()).max(0.0)).collect();
        let sum: f64 = raw.iter().sum();
        (first, raw.iter().map(|w| (w / sum) as f32).collect())
    };
    (0..to).map(one).collect()
}

#[cfg(test)]
mod tests {
    use oculist_augment::Image;

    use super::*;

    const SHAPE: Shape = Shape { height: 12, width: 16, channels: 3 };
    const LEN: usize = 12 * 16 * 3;

    /// Eight images of random bytes, as floats.
    fn batch() -> Batch {
        let mut rng = Rng::keyed(&[31]);
        let images = (0..8 * LEN).map(|_| rng.below(256) as f32).collect();
        Batch { images, targets: (0..8).collect::<Vec<u32>>().into(), indices: (0..8).collect() }
    }

    fn config(mosaic_probability: f32) -> TrainConfig {
        TrainConfig { mosaic_probability, ..TrainConfig::default() }
    }

    #[test]
    fn a_mosaic_is_that_of_the_augmentation_crate_up_to_rounding_and_labels_follow_the_areas() {
        let original = batch();
        let images: Vec<Image> = original
            .images
            .chunks_exact(LEN)
            .map(|v| Image::new(16, 12, 3, v.iter().map(|&v| v as u8).collect()).unwrap())
            .collect();
        for step in 0..5 {
            let mut mixed = original.clone();
            let soft = mosaic_batch(&config(1.0), SHAPE, 8, &mut mixed, 2, step).unwrap().unwrap();
            assert_eq!(mixed.targets, original.targets);
            // The same draws, in the documented order.
            let mut rng = Rng::keyed(&[0, 2, step as u64, KEY]);
            assert!(rng.chance(1.0));
            let partners: Vec<Vec<usize>> = (0..3).map(|_| mix::pairing(8, &mut rng)).collect();
            for i in 0..8 {
                let (x, y) = (4 + rng.below(9), 3 + rng.below(7));
                let of = [i, partners[0][i], partners[1][i], partners[2][i]];
                let want = mix::mosaic(of.map(|k| &images[k]), 16, 12, x, y).unwrap();
                let got = &mixed.images[i * LEN..][..LEN];
                let worst = |want: &Image| {
                    let pairs = got.iter().zip(want.pixels());
                    pairs.map(|(a, b)| (a - f32::from(*b)).abs()).fold(0.0, f32::max)
                };
                // Two roundings to whole bytes, one after each direction.
                assert!(worst(&want) < 1.1, "{}", worst(&want));
                // Twin: quarters in another order, or the point one pixel further.
                let swapped = mix::mosaic([of[1], of[0], of[2], of[3]].map(|k| &images[k]), 16, 12, x, y);
                let moved = mix::mosaic(of.map(|k| &images[k]), 16, 12, x - 1, y).unwrap();
                assert!(of[0] == of[1] || worst(&swapped.unwrap()) > 5.0);
                assert!(worst(&moved) > 5.0);
                let mut areas = [0.0; 8];
                for (k, area) in of.into_iter().zip([x * y, (16 - x) * y, x * (12 - y), (16 - x) * (12 - y)])
                {
                    areas[k] += area as f32 / 192.0;
                }
                assert!(soft[i * 8..][..8].iter().zip(areas).all(|(s, a)| (s - a).abs() < 1e-6));
            }
        }
    }

    #[test]
    fn the_probability_is_kept_and_the_key_alone_decides() {
        let run = |probability: f32, step: usize| {
            let mut batch = batch();
            let soft = mosaic_batch(&config(probability), SHAPE, 8, &mut batch, 0, step).unwrap();
            (soft.is_some(), batch)
        };
        assert_eq!(run(0.0, 0), (false, batch()));
        let changed = (0..200).filter(|&step| run(0.3, step).0).count();
        // 200 draws: five standard errors are 32.
        assert!((28..92).contains(&changed), "{changed}");
        assert_eq!(run(1.0, 7), run(1.0, 7));
        assert_ne!(run(1.0, 7).1, run(1.0, 8).1);
        let thin = Shape { height: 192, width: 1, channels: 3 };
        assert!(mosaic_batch(&config(1.0), thin, 8, &mut batch(), 0, 0).is_err());
    }
}
