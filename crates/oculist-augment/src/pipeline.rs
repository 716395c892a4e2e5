//! Operations in a row, each with a probability.

use crate::error::Result;
use crate::geometry::{Border, Interpolation};
use crate::op::{ColorJitter, RandomCrop, RandomResizedCrop, ShiftScaleRotate};
use crate::{Image, Op, SampleKey, Step, Transform};
use serde::{Deserialize, Serialize};

/// Which image a pipeline starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// The image as the network will see it: resized and cropped by the preprocessing already.
    #[default]
    Prepared,
    /// The image as it lies in the file; the pipeline itself resizes (random resized crop).
    Original,
}

/// An augmentation recipe. As TOML:
///
/// ```
/// let pipeline: oculist_augment::Pipeline = toml::from_str(r#"
///     start = "original"
///     [[steps]]
///     op = "random_resized_crop"
///     width = 96
///     height = 96
///     scale = [0.35, 1.0]
///     ratio = [0.75, 1.3333]
///     [[steps]]
///     op = "horizontal_flip"
///     probability = 0.5
/// "#).unwrap();
/// assert_eq!(pipeline.steps.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Which image the steps start from.
    #[serde(default)]
    pub start: Start,
    /// The steps, in order.
    #[serde(default)]
    pub steps: Vec<Step>,
}

impl Pipeline {
    /// No augmentation.
    pub fn none() -> Self {
        Self::default()
    }

    /// For small images of fixed size (28x28, 32x32): a crop after padding by an eighth, a horizontal
    /// flip if `flip`, and every second time a turn by up to 10 degrees with scaling by 0.9 to 1.1.
    ///
    /// # Source
    /// Pad, crop and flip: He et al., "Deep residual learning", section 4.2 (4 pixels at 32x32).
    pub fn small_images(size: usize, flip: bool) -> Self {
        let border = Border::Constant(0);
        let padding = ((size + 4) / 8).max(1);
        let mut steps = vec![Step {
            probability: 1.0,
            op: RandomCrop { width: size, height: size, padding, border }.into(),
        }];
        if flip {
            steps.push(Step { probability: 0.5, op: Op::HorizontalFlip });
        }
        let interpolation = Interpolation::Bilinear;
        let turn = ShiftScaleRotate { shift: 0.0, scale: (0.9, 1.1), degrees: 10.0, interpolation, border };
        steps.push(Step { probability: 0.5, op: turn.into() });
        Self { start: Start::Prepared, steps }
    }

    /// For photos of any size: random resized crop, horizontal flip, colour jitter.
    ///
    /// The least area is 0.35 of the photo (0.08 is usual for hundreds of epochs on ImageNet, and too hard
    /// for the short trainings of small data sets).
    pub fn photos(size: usize) -> Self {
        let crop = RandomResizedCrop {
            width: size,
            height: size,
            scale: (0.35, 1.0),
            ratio: (0.75, 4.0 / 3.0),
            interpolation: Interpolation::Bilinear,
            antialias: true,
        };
        let jitter = ColorJitter { brightness: 0.3, contrast: 0.3, saturation: 0.3, hue: 0.03 };
        Self {
            start: Start::Original,
            steps: vec![
                Step { probability: 1.0, op: crop.into() },
                Step { probability: 0.5, op: Op::HorizontalFlip },
                Step { probability: 0.8, op: jitter.into() },
            ],
        }
    }

    /// Checks every probability and range.
    ///
    /// # Errors
    /// The first parameter outside its range, by name.
    pub fn validate(&self) -> Result<()> {
        self.steps.iter().try_for_each(Step::validate)
    }

    /// Draws all parameters for one sample of the given size.
    ///
    /// Step i draws from its own generator, keyed by (seed, epoch, sample, i). Nested steps are laid out in one
    /// list.
    pub fn sample(&self, mut width: usize, mut height: usize, key: SampleKey) -> Vec<Transform> {
        let mut transforms = Vec::with_capacity(self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            if let Some(transform) = step.sample(width, height, &mut key.operation(i as u64)) {
                (width, height) = transform.output_size(width, height);
                transform.flatten_into(&mut transforms);
            }
        }
        transforms
    }

    /// Draws parameters for this sample and applies them with [`Transform::apply_all`].
    ///
    /// # Errors
    /// As for [`Transform::apply`]; none for a pipeline that [`validate`](Self::validate) accepts.
    pub fn apply(&self, image: Image, key: SampleKey) -> Result<Image> {
        let transforms = self.sample(image.width(), image.height(), key);
        Transform::apply_all(&transforms, image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: usize, height: usize, channels: usize) -> Image {
        let mut rng = crate::Rng::keyed(&[width as u64, channels as u64]);
        let pixels = (0..width * height * channels).map(|_| rng.next_u64() as u8).collect();
        Image::new(width, height, channels, pixels).unwrap()
    }

    #[test]
    fn presets_are_valid_and_survive_toml() {
        for pipeline in [
            Pipeline::none(),
            Pipeline::small_images(28, false),
            Pipeline::small_images(32, true),
            Pipeline::photos(96),
        ] {
            pipeline.validate().unwrap();
            let text = toml::to_string(&pipeline).unwrap();
            assert_eq!(toml::from_str::<Pipeline>(&text).unwrap(), pipeline, "{text}");
        }
        assert!(toml::from_str::<Pipeline>("[[steps]]\nop = \"no_such_thing\"").is_err());
    }

    #[test]
    fn the_same_key_gives_the_same_image_and_another_key_another() {
        let pipeline = Pipeline::small_images(28, true);
        let image = noise(28, 28, 1);
        let key = SampleKey { seed: 1, epoch: 2, sample: 3 };
        let out = pipeline.apply(image.clone(), key).unwrap();
        assert_eq!(pipeline.apply(image.clone(), key).unwrap(), out);
        for other in
            [SampleKey { seed: 0, ..key }, SampleKey { epoch: 0, ..key }, SampleKey { sample: 0, ..key }]
        {
            assert_ne!(pipeline.apply(image.clone(), other).unwrap(), out);
        }
    }

    #[test]
    fn a_step_draws_the_same_whatever_the_steps_before_it_do() {
        let key = SampleKey { seed: 1, epoch: 0, sample: 9 };
        let mut pipeline = Pipeline::small_images(28, true);
        pipeline.steps[2].probability = 1.0;
        pipeline.steps[1].probability = 0.0;
        let without = pipeline.sample(28, 28, key);
        pipeline.steps[1].probability = 1.0;
        let with = pipeline.sample(28, 28, key);
        assert_eq!((without.len(), with.len()), (2, 3));
        assert_eq!(without[1], with[2]);
    }

    #[test]
    fn any_size_from_one_pixel_up_comes_out_as_documented() {
        for (width, height) in [(1, 1), (1, 40), (33, 2), (50, 60)] {
            for channels in [1, 3, 4] {
                for sample in 0..20 {
                    let key = SampleKey { seed: 5, epoch: 0, sample };
                    let photo = Pipeline::photos(16).apply(noise(width, height, channels), key).unwrap();
                    assert_eq!((photo.width(), photo.height(), photo.channels()), (16, 16, channels));
                    let small =
                        Pipeline::small_images(32, true).apply(noise(width, height, channels), key).unwrap();
                    assert_eq!((small.width(), small.height(), small.channels()), (32, 32, channels));
                }
            }
        }
    }

    #[test]
    fn probabilities_outside_the_unit_interval_are_refused() {
        let mut pipeline = Pipeline::photos(8);
        pipeline.steps[1].probability = 1.5;
        let text = pipeline.validate().unwrap_err().to_string();
        assert_eq!(text, "horizontal_flip: probability must be within 0..=1, found 1.5");
    }
}
