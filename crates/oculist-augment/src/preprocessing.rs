//! The one way from an image to the network's input.

mod metadata;
mod normalize;
mod reading;

pub use reading::Reading;

use crate::color::{to_grey, to_rgb};
use crate::error::{Result, parameter};
use crate::geometry::{self, Border, Interpolation};
use crate::{Image, Pipeline, SampleKey, Start};
use serde::{Deserialize, Serialize};

/// The network's colour channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColorMode {
    /// One channel; colour becomes grey by Rec. 601 luma.
    Grey,
    /// Three channels; grey is repeated.
    Rgb,
}

impl ColorMode {
    /// Number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Rgb => "rgb",
        }
    }

    /// Converts an image to this mode; alpha is dropped.
    pub fn convert(self, image: Image) -> Image {
        match self {
            Self::Grey => to_grey(image),
            Self::Rgb => to_rgb(image),
        }
    }
}

/// How an image of any size comes to the network's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// Straight to width x height; the aspect ratio may change.
    Exact,
    /// The shorter side becomes this many pixels (the longer one `floor(long * n / short)`), then the
    /// middle of width x height is cut out, starting at `(side - crop) / 2`, rounded by [`CropRounding`].
    ShorterSide(usize),
}

/// How the start of a centre crop is rounded where an odd number of pixels is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CropRounding {
    /// Down.
    #[default]
    Down,
    /// To the even one of both neighbours: `int(round((side - crop) / 2.0))` in Python.
    ///
    /// # Source
    /// torchvision's `CenterCrop`, which timm uses as well.
    HalfToEven,
}

impl CropRounding {
    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::HalfToEven => "half_to_even",
        }
    }

    /// The first pixel of the middle of `want` pixels out of `have`, which are no fewer.
    fn start(self, have: usize, want: usize) -> usize {
        let left_over = have - want;
        let down = left_over / 2;
        match self {
            Self::Down => down,
            Self::HalfToEven => down + (left_over % 2) * (down % 2),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
    fn is_down(&self) -> bool {
        *self == Self::Down
    }
}

/// Preprocessing for evaluation, calibration, prediction and the exported model; in training,
/// augmentation takes the place of resizing and cropping and the rest is the same.
///
/// Order: colour mode, resize, centre crop, then `(x / 255 - mean[c]) / std[c]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Colour channels.
    pub color: ColorMode,
    /// Input width in pixels.
    pub width: usize,
    /// Input height in pixels.
    pub height: usize,
    /// The resize rule.
    pub resize: ResizeRule,
    /// How the start of the centre crop is rounded. Files and runs from before it was written round down.
    #[serde(default, skip_serializing_if = "CropRounding::is_down")]
    pub crop: CropRounding,
    /// The resampling filter, antialiased.
    pub interpolation: Interpolation,
    /// Mean per channel, in units of 0..=1.
    pub mean: Vec<f32>,
    /// Standard deviation per channel, in units of 0..=1.
    pub std: Vec<f32>,
}

impl Preprocessing {
    /// Images resized straight to `width` x `height`, mean and std 0.5.
    pub fn exact(color: ColorMode, width: usize, height: usize) -> Self {
        let channels = color.channels();
        Self {
            color,
            width,
            height,
            resize: ResizeRule::Exact,
            crop: CropRounding::Down,
            interpolation: Interpolation::Bilinear,
            mean: vec![0.5; channels],
            std: vec![0.5; channels],
        }
    }

    /// Photos: the shorter side to 8/7 of `size`, the middle of `size` x `size` (256 and 224 on ImageNet),
    /// mean and std 0.5.
    pub fn photos(color: ColorMode, size: usize) -> Self {
        let shorter = (size * 8).div_ceil(7);
        Self { resize: ResizeRule::ShorterSide(shorter), ..Self::exact(color, size, size) }
    }

    /// The same with this mean and standard deviation.
    pub fn with_statistics(mut self, mean: Vec<f32>, std: Vec<f32>) -> Self {
        self.mean = mean;
        self.std = std;
        self
    }

    /// Number of channels of the input.
    pub fn channels(&self) -> usize {
        self.color.channels()
    }

    /// Number of values of one input: height * width * channels.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels()
    }

    /// True if the input has no values (which [`validate`](Self::validate) refuses).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks sizes and statistics.
    ///
    /// # Errors
    /// The first field outside its range, by name.
    pub fn validate(&self) -> Result<()> {
        const NAME: &str = "preprocessing";
        let sides = 1..=1usize << 16;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            let found = format!("{}x{}", self.width, self.height);
            return Err(parameter(NAME, "width and height", "within 1..=65536", found));
        }
        if let ResizeRule::ShorterSide(side) = self.resize
            && !(self.width.max(self.height)..=1 << 16).contains(&side)
        {
            let expected = "at least the input's sides (and at most 65536)";
            return Err(parameter(NAME, "shorter_side", expected, side.to_string()));
        }
        let channels = self.channels();
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != channels {
                return Err(parameter(NAME, name, "one number per channel", format!("{values:?}")));
            }
            if values.iter().any(|v| !v.is_finite()) {
                return Err(parameter(NAME, name, "finite numbers", format!("{values:?}")));
            }
        }
        if self.std.iter().any(|&s| s < 1e-6) {
            return Err(parameter(NAME, "std", "above 0", format!("{:?}", self.std)));
        }
        // The largest value that an image can become; less than the largest f32, so that no order of operations passes it.
        let beyond = |(m, s): (&f32, &f32)| (m.abs() + 1.0) / s > f32::MAX / 256.0;
        if self.mean.iter().zip(&self.std).any(beyond) {
            let expected = "such that (0..1 - mean) / std is a finite number";
            return Err(parameter(
                NAME,
                "mean and std",
                expected,
                format!("{:?} and {:?}", self.mean, self.std),
            ));
        }
        Ok(())
    }

    /// Colour, resize and crop: the image as the network sees it, still bytes.
    ///
    /// # Errors
    /// Sizes outside their ranges.
    pub fn prepare(&self, image: Image) -> Result<Image> {
        let image = self.color.convert(image);
        let (width, height) = (image.width(), image.height());
        if (width, height) == (self.width, self.height) && self.resize == ResizeRule::Exact {
            return Ok(image);
        }
        match self.resize {
            ResizeRule::Exact => geometry::resize(&image, self.width, self.height, self.interpolation),
            ResizeRule::ShorterSide(side) => self.scale_and_crop(&image, side),
        }
    }

    /// Resizes by the shorter side and cuts out the middle, in one step: only what remains is computed, so
    /// that a very long image costs no more memory than any other.
    fn scale_and_crop(&self, image: &Image, side: usize) -> Result<Image> {
        let size = (image.width(), image.height());
        let short = size.0.min(size.1);
        let scaled = (size.0 * side / short, size.1 * side / short);
        if scaled == size {
            let starts = [(size.0, self.width), (size.1, self.height)].map(|(have, want)| {
                // Smaller images are filled up on all sides.
                if have < want { None } else { isize::try_from(self.crop.start(have, want)).ok() }
            });
            return match starts {
                [Some(left), Some(top)] => {
                    geometry::crop(image, left, top, self.width, self.height, Border::Edge)
                }
                _ => geometry::center_crop(image, self.width, self.height, Border::Edge),
            };
        }
        let Some(window) = self.shorter_side_window(size, side) else {
            let found = format!("{side} for an input of {}x{}", self.width, self.height);
            return Err(parameter("preprocessing", "shorter_side", "at least the input's sides", found));
        };
        geometry::resample(image, window, self.width, self.height, self.interpolation)
    }

    /// Left, top, width and height of what [`ResizeRule::ShorterSide`] keeps, in pixels of the image; None if the scaled
    /// image is smaller than the input.
    fn shorter_side_window(
        &self,
        (width, height): (usize, usize),
        side: usize,
    ) -> Option<(f64, f64, f64, f64)> {
        let short = width.min(height);
        let (scaled_width, scaled_height) = (width * side / short, height * side / short);
        if scaled_width < self.width || scaled_height < self.height {
            return None;
        }
        // Rounding must not leave the image.
        let window = |have: usize, scaled: usize, want: usize| {
            let scale = have as f64 / scaled as f64;
            let start = self.crop.start(scaled, want) as f64 * scale;
            (start, (want as f64 * scale).min(have as f64 - start))
        };
        let (left, w) = window(width, scaled_width, self.width);
        let (top, h) = window(height, scaled_height, self.height);
        Some((left, top, w, h))
    }

    /// The network's input, dense NHWC of one image: `[height][width][channels]`.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare).
    pub fn apply(&self, image: &Image) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.len()];
        self.apply_into(image.clone(), &mut out)?;
        Ok(out)
    }

    /// As [`apply`](Self::apply), into a slice of [`len`](Self::len) values.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare).
    ///
    /// # Panics
    /// If `out` has another length.
    pub fn apply_into(&self, image: Image, out: &mut [f32]) -> Result<()> {
        let prepared = self.prepare(image)?;
        self.normalize_into(&prepared, out);
        Ok(())
    }

    /// A training input: augmented, brought to the network's size if the pipeline left another, normalised.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare) and [`Pipeline::apply`].
    ///
    /// # Panics
    /// If `out` has another length than [`len`](Self::len).
    pub fn augment_into(
        &self,
        image: Image,
        pipeline: &Pipeline,
        key: SampleKey,
        out: &mut [f32],
    ) -> Result<()> {
        let image = self.augment(image, pipeline, key)?;
        self.normalize_into(&image, out);
        Ok(())
    }

    /// The image that [`augment_into`](Self::augment_into) normalises: for previews and reports.
    ///
    /// # Errors
    /// As for [`prepare`](Self::prepare) and [`Pipeline::apply`].
    pub fn augment(&self, image: Image, pipeline: &Pipeline, key: SampleKey) -> Result<Image> {
        let image = match pipeline.start {
            Start::Prepared => self.prepare(image)?,
            Start::Original => self.color.convert(image),
        };
        let image = pipeline.apply(image, key)?;
        self.fitted(image)
    }

    /// Brings what a pipeline leaves to the network's size.
    fn fitted(&self, image: Image) -> Result<Image> {
        if (image.width(), image.height()) == (self.width, self.height) {
            return Ok(image);
        }
        self.prepare(image)
    }

    /// `(x / 255 - mean[c]) / std[c]` for every value.
    ///
    /// # Panics
    /// If the image or `out` has another size than the network's input.
    pub fn normalize_into(&self, image: &Image, out: &mut [f32]) {
        assert_eq!(
            (image.width(), image.height(), image.channels()),
            (self.width, self.height, self.channels()),
            "image to normalise"
        );
        normalize::normalize(image.pixels(), &self.mean, &self.std, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize, channels: usize) -> Image {
        let pixels = (0..width * height * channels).map(|i| (i % 251) as u8).collect();
        Image::new(width, height, channels, pixels).unwrap()
    }

    #[test]
    fn any_image_comes_to_the_input_size() {
        for color in [ColorMode::Grey, ColorMode::Rgb] {
            for preprocessing in [Preprocessing::exact(color, 20, 10), Preprocessing::photos(color, 16)] {
                preprocessing.validate().unwrap();
                for (w, h) in [(1, 1), (300, 7), (20, 10), (18, 40), (16, 16)] {
                    for channels in [1, 3, 4] {
                        let out = preprocessing.apply(&ramp(w, h, channels)).unwrap();
                        assert_eq!(out.len(), preprocessing.len());
                    }
                }
            }
        }
    }

    #[test]
    fn shorter_side_keeps_the_aspect_ratio_and_the_centre() {
        let mut preprocessing = Preprocessing::photos(ColorMode::Grey, 4);
        preprocessing.resize = ResizeRule::ShorterSide(4);
        let image = ramp(8, 4, 1);
        let out = preprocessing.prepare(image.clone()).unwrap();
        assert_eq!(out, geometry::crop(&image, 2, 0, 4, 4, Border::Edge).unwrap());
    }

    #[test]
    fn crops_start_where_torchvisions_do() {
        // The first pixel of `CenterCrop(8)` of torchvision 0.29.2 for sides of 8 to 19 pixels.
        let theirs = [0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6];
        let of = |crop: CropRounding| -> Vec<usize> { (8..20).map(|side| crop.start(side, 8)).collect() };
        assert_eq!(of(CropRounding::HalfToEven), theirs);
        assert_eq!(of(CropRounding::Down), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "for a quarter another");
        // 11 of 8 pixels: with and without scaling before.
        for (width, height, side) in [(11, 8, 8), (22, 16, 8)] {
            let image = ramp(width, height, 1);
            let preprocessing = |crop| Preprocessing {
                resize: ResizeRule::ShorterSide(side),
                interpolation: Interpolation::Nearest,
                crop,
                ..Preprocessing::exact(ColorMode::Grey, 8, 8)
            };
            let resized = geometry::resize(&image, 11, 8, Interpolation::Nearest).unwrap();
            for (crop, left) in [(CropRounding::Down, 1), (CropRounding::HalfToEven, 2)] {
                let want = geometry::crop(&resized, left, 0, 8, 8, Border::Edge).unwrap();
                assert_eq!(preprocessing(crop).prepare(image.clone()).unwrap(), want, "{crop:?}");
            }
        }
    }

    #[test]
    fn scaling_and_cropping_at_once_equals_one_after_the_other() {
        for (w, h) in [(37, 91), (300, 41), (64, 64), (50, 20)] {
            for channels in [1, 3] {
                let image = ramp(w, h, channels);
                let color = if channels == 1 { ColorMode::Grey } else { ColorMode::Rgb };
                let preprocessing = Preprocessing::photos(color, 28);
                let short = w.min(h);
                let resized =
                    geometry::resize(&image, w * 32 / short, h * 32 / short, preprocessing.interpolation);
                let want = geometry::center_crop(&resized.unwrap(), 28, 28, Border::Edge).unwrap();
                assert_eq!(preprocessing.prepare(image).unwrap(), want, "{w}x{h}x{channels}");
            }
        }
    }

    #[test]
    fn a_strip_of_pixels_costs_no_memory() {
        // Scaled as a whole, this image would have 32 million columns.
        let strip = ramp(1_000_000, 1, 1);
        let out = Preprocessing::photos(ColorMode::Grey, 28).prepare(strip).unwrap();
        assert_eq!((out.width(), out.height()), (28, 28));
    }

    #[test]
    fn without_augmentation_training_sees_what_evaluation_sees() {
        let preprocessing = Preprocessing::photos(ColorMode::Rgb, 16);
        let key = SampleKey { seed: 0, epoch: 0, sample: 0 };
        let mut out = vec![0.0; preprocessing.len()];
        preprocessing.augment_into(ramp(40, 30, 3), &Pipeline::none(), key, &mut out).unwrap();
        assert_eq!(out, preprocessing.apply(&ramp(40, 30, 3)).unwrap());
    }

    #[test]
    fn bad_fields_are_named() {
        let good = Preprocessing::exact(ColorMode::Rgb, 8, 8);
        let cases: [(&str, Preprocessing); 7] = [
            ("width", Preprocessing { width: 0, ..good.clone() }),
            ("shorter_side", Preprocessing { resize: ResizeRule::ShorterSide(7), ..good.clone() }),
            ("mean", Preprocessing { mean: vec![0.5], ..good.clone() }),
            ("std", Preprocessing { std: vec![0.5, 0.0, 0.5], ..good.clone() }),
            ("std", Preprocessing { std: vec![0.5, f32::NAN, 0.5], ..good.clone() }),
            ("mean and std", Preprocessing { mean: vec![3e38; 3], std: vec![1e-4; 3], ..good.clone() }),
            ("mean and std", Preprocessing { mean: vec![0.5, -3e33, 0.5], std: vec![2e-6; 3], ..good }),
        ];
        for (name, preprocessing) in cases {
            let text = preprocessing.validate().unwrap_err().to_string();
            assert!(text.contains(name), "{text}");
        }
    }
}
