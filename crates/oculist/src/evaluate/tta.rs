//! Test-time augmentation: the mean of what the network says of several views of an image.

use std::path::PathBuf;

use oculist_augment::{Border, Pipeline, Preprocessing, Transform};
use oculist_report::TtaResult;

use super::views::{Judge, Prepared, View};
use crate::config::read_pipeline;
use crate::error::{OculistError, wrong};
use crate::metrics::{Probabilities, evaluate_as, evaluate_logits};
use crate::progress::{Progress, Watch};

/// Which views of an image are judged; the image itself is always the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tta {
    /// The image and its mirror image: 2 views.
    Flip,
    /// The image and four windows shifted towards its corners by an eighth of the sides: 5 views.
    Crops,
    /// The views of [`Tta::Crops`] and their mirror images: 10 views.
    FlipCrops,
    /// The image and `views - 1` draws from the pipeline in a TOML or JSON file, the same draws for all images.
    Pipeline {
        /// The file.
        path: PathBuf,
        /// Views with the image itself, at least 2.
        views: usize,
    },
}

impl Tta {
    /// A name for tables: as typed.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Flip => "flip".into(),
            Self::Crops => "crops".into(),
            Self::FlipCrops => "flip-crops".into(),
            Self::Pipeline { path, .. } => path.display().to_string(),
        }
    }

    /// The views of images at the network's size.
    ///
    /// # Errors
    /// [`OculistError::Setting`] for a file that is no pipeline, or fewer than 2 views.
    pub(crate) fn views(&self, preprocessing: &Preprocessing) -> Result<Vec<View>, OculistError> {
        let crops = || corners(preprocessing.width, preprocessing.height);
        let fixed = |views: Vec<Vec<Transform>>| {
            std::iter::once(View::Plain).chain(views.into_iter().map(View::Fixed)).collect()
        };
        let flip = Transform::HorizontalFlip;
        Ok(match self {
            Self::Flip => fixed(vec![vec![flip]]),
            Self::Crops => fixed(crops()),
            Self::FlipCrops => {
                let mirrored = std::iter::once(Vec::new()).chain(crops()).map(|mut view| {
                    view.push(flip.clone());
                    view
                });
                fixed(crops().into_iter().chain(mirrored).collect())
            }
            Self::Pipeline { path, views } => {
                if *views < 2 {
                    let problem = format!("expected at least 2, found {views}");
                    return Err(wrong("tta_views", problem));
                }
                let pipeline: Pipeline = read_pipeline("tta", path)?;
                let drawn = (1..*views).map(|view| View::Drawn {
                    pipeline: pipeline.clone(),
                    epoch: view as u64,
                    each: false,
                });
                std::iter::once(View::Plain).chain(drawn).collect()
            }
        })
    }
}

/// Windows shifted towards the four corners; what they show beyond the image repeats its edge.
fn corners(width: usize, height: usize) -> Vec<Vec<Transform>> {
    // As far as training's padded crops go.
    let shift = |side: usize| ((side + 4) / 8).max(1) as isize;
    let (x, y) = (shift(width), shift(height));
    [(-x, -y), (x, -y), (-x, y), (x, y)]
        .map(|(left, top)| vec![Transform::Crop { left, top, width, height, border: Border::Edge }])
        .to_vec()
}

/// The sum of probabilities over views.
pub(crate) struct Sum {
    probabilities: Probabilities,
    total: Vec<f64>,
    classes: usize,
    views: usize,
}

impl Sum {
    pub(crate) fn new(probabilities: Probabilities, images: usize, classes: usize) -> Self {
        Self { probabilities, total: vec![0.0; images * classes], classes, views: 0 }
    }

    /// Adds what was said of all images under one view, in order.
    pub(crate) fn add(&mut self, logits: &[f32]) {
        for (sum, row) in self.total.chunks_exact_mut(self.classes).zip(logits.chunks_exact(self.classes)) {
            sum.iter_mut().zip(self.probabilities.of(row)).for_each(|(sum, p)| *sum += f64::from(p));
        }
        self.views += 1;
    }

    /// Logits that have the mean probabilities as theirs.
    pub(crate) fn logits(&self) -> Vec<f32> {
        let n = self.views.max(1) as f64;
        self.total.iter().map(|&sum| self.probabilities.logit(sum / n)).collect()
    }
}

/// Accuracy with and without test-time augmentation.
///
/// # Errors
/// As for [`Prepared::logits`].
pub(crate) fn augmented(
    judge: &mut Judge,
    images: &Prepared,
    (classes, probabilities): (usize, Probabilities),
    (name, views): (&str, &[View]),
    seed: u64,
    watch: &mut Watch<'_>,
) -> Result<TtaResult, OculistError> {
    let mut sum = Sum::new(probabilities, images.labels().len(), classes);
    let mut without = 0.0;
    for (i, view) in views.iter().enumerate() {
        let logits = images.logits(judge, view, seed, watch.stop)?;
        if i == 0 {
            without = evaluate_logits(&logits, images.labels(), classes).top1;
        }
        sum.add(&logits);
        watch.tell(Progress::Work { what: "views", done: i + 1, total: views.len() });
    }
    let with = evaluate_as(probabilities, &sum.logits(), images.labels(), classes);
    Ok(TtaResult {
        name: name.to_owned(),
        views: views.len(),
        seed,
        top1_without: without,
        top1: with.top1,
        top5: with.top5,
        ece: with.ece / 100.0,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use oculist_augment::{ColorMode, Image};
    use oculist_runtime::Context;

    use super::super::views::tests::{distance, one_by_one, parts};
    use super::*;

    #[test]
    fn probabilities_not_logits_are_averaged() {
        let mut sum = Sum::new(Probabilities::Softmax, 1, 2);
        // 0.9 and 0.1, then 0.2 and 0.8: 0.55 and 0.45 on average.
        sum.add(&[9f32.ln(), 0.0]);
        sum.add(&[0.0, 4f32.ln()]);
        let mean: Vec<f32> = sum.logits().iter().map(|x| x.exp()).collect();
        assert!((mean[0] - 0.55).abs() < 1e-6 && (mean[1] - 0.45).abs() < 1e-6, "{mean:?}");
        // The mean of the logits would give 0.6.
        assert!((1.5f32 / 2.5 - mean[0]).abs() > 0.04);
    }

    #[test]
    fn windows_go_to_the_corners_and_keep_the_size() {
        let image = Image::new(16, 8, 1, (0..128).collect()).unwrap();
        let tops: Vec<u8> = corners(16, 8)
            .iter()
            .map(|view| {
                let moved = Transform::apply_all(view, image.clone()).unwrap();
                assert_eq!((moved.width(), moved.height()), (16, 8));
                moved.pixel(4, 4)[0]
            })
            .collect();
        // Pixel (4, 4) is 68; the shifts are 2 pixels along x and 1 along y.
        assert_eq!(tops, [68 - 2 - 16, 68 + 2 - 16, 68 - 2 + 16, 68 + 2 + 16]);
        let p = Preprocessing::exact(ColorMode::Grey, 16, 8);
        let n = |tta: Tta| tta.views(&p).unwrap().len();
        assert_eq!((n(Tta::Flip), n(Tta::Crops), n(Tta::FlipCrops)), (2, 5, 10));
        // All ten differ.
        let mut seen: Vec<Vec<u8>> = Tta::FlipCrops
            .views(&p)
            .unwrap()
            .iter()
            .map(|v| v.apply(image.clone(), &p, 0, 0).unwrap().into_pixels())
            .collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 10);
    }

    #[test]
    fn the_mean_is_that_of_views_judged_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let (subset, preprocessing, graph) = parts(dir.path());
        let stop = AtomicBool::new(false);
        let ctx = Arc::new(Context::new(1).unwrap());
        let images = Prepared::load(&subset, &preprocessing, 2, &stop).unwrap();
        let mut judge = Judge::new(&graph, &ctx).unwrap();
        let views = Tta::Flip.views(&preprocessing).unwrap();
        let mut sum = Sum::new(Probabilities::Softmax, subset.len(), 3);
        for view in &views {
            sum.add(&images.logits(&mut judge, view, 0, &stop).unwrap());
        }
        let plain = one_by_one(&subset, &preprocessing, &graph, &|_, image| image);
        let mirrored = one_by_one(&subset, &preprocessing, &graph, &|_, image| {
            let (w, h, c) = (image.width(), image.height(), image.channels());
            let mut pixels = Vec::new();
            for y in 0..h {
                for x in (0..w).rev() {
                    pixels.extend_from_slice(image.pixel(x, y));
                }
            }
            Image::new(w, h, c, pixels).unwrap()
        });
        let probabilities = |logits: &[f32]| -> Vec<f32> {
            let of = |row: &[f32]| {
                let sum: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                row.iter().map(|&x| (f64::from(x).exp() / sum) as f32).collect::<Vec<f32>>()
            };
            logits.chunks_exact(3).flat_map(of).collect()
        };
        let (a, b) = (probabilities(&plain), probabilities(&mirrored));
        let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| f32::midpoint(*a, *b)).collect();
        let got: Vec<f32> = sum.logits().iter().map(|x| x.exp()).collect();
        assert!(distance(&got, &want) < 1e-4, "{}", distance(&got, &want));
        assert!(distance(&got, &a) > 1e-3, "one view alone would pass");
        let mut ignore = |_: Progress<'_>| {};
        let watch = &mut Watch { observer: &mut ignore, stop: &stop };
        let result =
            augmented(&mut judge, &images, (3, Probabilities::Softmax), ("flip", &views), 0, watch).unwrap();
        let top1 = |p: &[f32]| evaluate_logits(p, subset.labels(), 3).top1;
        assert!((result.top1 - top1(&want)).abs() < 1e-9 && (result.top1_without - top1(&a)).abs() < 1e-9);
    }
}
