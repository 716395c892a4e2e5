//! The first convolution of a network starts as the whitening of the training images' patches.

use std::sync::atomic::AtomicBool;

use oculist_augment::Pipeline;
use oculist_data::{Loader, LoaderConfig, Split};
use oculist_graph::{Graph, Op, Tensor, ValueId};
use oculist_heads::symmetric_eigen;
use oculist_zoo::WHITENING;

use crate::config::Config;
use crate::error::OculistError;
use crate::progress::go_on;
use crate::session::Session;

/// Training images that are looked at, at most.
const IMAGES: usize = 1000;
/// Patches that are measured, at most.
const PATCHES: usize = 500_000;
/// Images of a batch.
const BATCH: usize = 50;
/// Added to the variances, so that what hardly varies is not blown up.
const EPSILON: f64 = 5e-4;

/// The weight of the layer, and the sides of its window.
fn find(graph: &Graph) -> Option<(ValueId, [usize; 2])> {
    let node = graph.nodes().iter().find(|node| node.name == WHITENING)?;
    let Op::Conv(conv) = &node.op else { return None };
    let kernel = conv.window.kernel.as_slice().try_into().ok()?;
    (conv.groups == 1).then_some((node.inputs.get(1)?, kernel))
}

/// Makes the filters of the layer, if the network has it, `v_i / sqrt(lambda_i + 5e-4)` and the same with the other sign, for
/// the eigenvectors `v_i` and eigenvalues `lambda_i` of `E[p p^T]`, the strongest first, over patches `p` of training images as
/// the network is given them, not augmented.
///
/// With fewer filters than twice the numbers of a patch the weakest are left out.
///
/// # Errors
/// [`OculistError::Data`] where images cannot be read.
///
/// # Source
/// David Page, "How to train your ResNet 8: bag of tricks", 2019; both signs after tysam-code's hlb-CIFAR10, 2023.
pub(crate) fn whiten(session: &Session<'_>, graph: &mut Graph, config: &Config) -> Result<(), OculistError> {
    let Some((weight, kernel)) = find(graph) else { return Ok(()) };
    let p = &config.preprocessing;
    let subset = session.source().split(Split::Train).clone();
    // In a random order, because folders are read class by class.
    let batch = BATCH.min(subset.len().max(1));
    let loading = LoaderConfig::training(batch, 1, config.seed, Pipeline::none(), p.clone());
    let images = IMAGES.min(subset.len());
    let loader = Loader::new(subset, loading)?;
    let mut moments = Moments::new((p.height, p.width, p.channels()), kernel, images);
    let mut seen = 0;
    for batch in loader.epoch(0) {
        go_on(session.stop())?;
        let batch = batch?;
        moments.add(&batch.images);
        seen += batch.len();
        if seen >= images {
            break;
        }
    }
    let filters = moments.filters(session.stop())?;
    if let Some(values) = graph.param_mut(weight).and_then(Tensor::as_f32_mut) {
        let half = values.len() / 2;
        let (plus, minus) = values.split_at_mut(half);
        for ((plus, minus), filter) in plus.iter_mut().zip(minus).zip(filters) {
            (*plus, *minus) = (filter, -filter);
        }
    }
    Ok(())
}

/// `E[p p^T]` of patches.
struct Moments {
    image: (usize, usize, usize),
    kernel: [usize; 2],
    /// Every so many positions a patch is taken.
    step: usize,
    patches: usize,
    sums: Vec<f64>,
}

impl Moments {
    /// Of `images` images of `(height, width, channels)`.
    fn new(image: (usize, usize, usize), kernel: [usize; 2], images: usize) -> Self {
        let n = kernel[0] * kernel[1] * image.2;
        let positions = image.0.saturating_sub(kernel[0] - 1) * image.1.saturating_sub(kernel[1] - 1);
        let step = positions.saturating_mul(images).div_ceil(PATCHES).max(1);
        Self { image, kernel, step, patches: 0, sums: vec![0.0; n * n] }
    }

    /// The patches of `[images][height][width][channels]`.
    fn add(&mut self, images: &[f32]) {
        let (h, w, c) = self.image;
        let [kh, kw] = self.kernel;
        let n = kh * kw * c;
        let columns = (w + 1).saturating_sub(kw);
        let positions = (h + 1).saturating_sub(kh) * columns;
        let mut patch = vec![0.0; n];
        for image in images.chunks_exact(h * w * c) {
            for position in (0..positions).step_by(self.step) {
                let (y, x) = (position / columns, position % columns);
                // In the order of a filter: channel, row, column.
                for (i, value) in patch.iter_mut().enumerate() {
                    let (channel, ky, kx) = (i / (kh * kw), i / kw % kh, i % kw);
                    *value = f64::from(image[((y + ky) * w + x + kx) * c + channel]);
                }
                for (sums, &a) in self.sums.chunks_exact_mut(n).zip(&patch) {
                    for (sum, &b) in sums.iter_mut().zip(&patch) {
                        *sum += a * b;
                    }
                }
                self.patches += 1;
            }
        }
    }

    /// The filters one after the other, those of the largest variance first.
    fn filters(self, stop: &AtomicBool) -> Result<Vec<f32>, OculistError> {
        let n = self.kernel[0] * self.kernel[1] * self.image.2;
        let mean = self.sums.iter().map(|sum| sum / self.patches.max(1) as f64).collect();
        let (values, vectors) = symmetric_eigen(mean, n, stop)?;
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        let filter = |&i: &usize| {
            let scale = 1.0 / (values[i].max(0.0) + EPSILON).sqrt();
            vectors[i * n..][..n].iter().map(move |v| (v * scale) as f32)
        };
        Ok(order.iter().flat_map(filter).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: (usize, usize, usize) = (9, 7, 2);

    /// Images whose neighbours and channels are alike.
    fn images() -> Vec<f32> {
        let mut random = 1u64;
        let mut noise = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let mut last = 0.0;
        (0..40 * 9 * 7 * 2)
            .map(|_| {
                last = 0.8 * last + noise();
                last
            })
            .collect()
    }

    /// The mean of `r_i r_j` over all patches, for responses `r = F p`, by a plain loop.
    fn covariance(images: &[f32], filters: &[f32]) -> Vec<f64> {
        let (h, w, c) = IMAGE;
        let n = 4 * c;
        let (mut sums, mut count) = (vec![0.0; n * n], 0.0);
        for image in images.chunks_exact(h * w * c) {
            for y in 0..h - 1 {
                for x in 0..w - 1 {
                    let response = |f: usize| -> f64 {
                        let mut sum = 0.0;
                        for channel in 0..c {
                            for (t, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
                                let pixel = f64::from(image[((y + dy) * w + x + dx) * c + channel]);
                                sum += pixel * f64::from(filters[f * n + channel * 4 + t]);
                            }
                        }
                        sum
                    };
                    let responses: Vec<f64> = (0..n).map(response).collect();
                    for i in 0..n {
                        for j in 0..n {
                            sums[i * n + j] += responses[i] * responses[j];
                        }
                    }
                    count += 1.0;
                }
            }
        }
        sums.iter().map(|s| s / count).collect()
    }

    /// Largest distance from the identity, but for what [`EPSILON`] takes away.
    fn distance(covariance: &[f64]) -> f64 {
        let n = 4 * IMAGE.2;
        let of = |(i, c): (usize, &f64)| (c - if i / n == i % n { 1.0 } else { 0.0 }).abs();
        covariance.iter().enumerate().map(of).fold(0.0, f64::max)
    }

    #[test]
    fn responses_are_white() {
        let images = images();
        let mut moments = Moments::new(IMAGE, [2, 2], 40);
        for some in images.chunks(7 * 9 * 7 * 2) {
            moments.add(some);
        }
        assert_eq!((moments.step, moments.patches), (1, 40 * 8 * 6));
        let mut filters = moments.filters(&AtomicBool::new(false)).unwrap();
        let found = distance(&covariance(&images, &filters));
        assert!(found < 0.02, "{found}");
        // A filter that is a little off is not white.
        filters[5] += 0.2;
        assert!(distance(&covariance(&images, &filters)) > 0.05);
    }

    #[test]
    fn large_images_are_sampled_and_constant_ones_are_no_trouble() {
        let moments = Moments::new((1000, 1000, 3), [2, 2], 1000);
        assert!((1_990..2_010).contains(&moments.step), "{}", moments.step);
        let mut moments = Moments::new(IMAGE, [2, 2], 1);
        moments.add(&[0.0; 9 * 7 * 2]);
        assert!(moments.filters(&AtomicBool::new(false)).unwrap().iter().all(|f| f.is_finite()));
    }
}
