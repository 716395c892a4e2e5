//! Preprocessing as key/value text, for a model file's metadata.

use super::{ColorMode, CropRounding, Preprocessing, ResizeRule};
use crate::Interpolation;
use crate::error::{Error, Result};
use std::collections::BTreeMap;

const COLOR: &str = "oculist.color";
const WIDTH: &str = "oculist.input_width";
const HEIGHT: &str = "oculist.input_height";
const RESIZE: &str = "oculist.resize";
const CROP: &str = "oculist.crop";
const INTERPOLATION: &str = "oculist.interpolation";
const MEAN: &str = "oculist.mean";
const STD: &str = "oculist.std";

impl Preprocessing {
    /// The preprocessing as metadata. The keys, whose meaning is fixed:
    ///
    /// | key | value |
    /// |---|---|
    /// | `oculist.color` | `grey` or `rgb` |
    /// | `oculist.input_width`, `oculist.input_height` | pixels |
    /// | `oculist.resize` | `exact`, or `shorter_side:N` followed by a centre crop |
    /// | `oculist.crop` | how the start of the crop is rounded: `down` (also without this key) or `half_to_even` |
    /// | `oculist.interpolation` | `nearest`, `bilinear` or `bicubic` (antialiased, as Pillow) |
    /// | `oculist.mean`, `oculist.std` | one number per channel, commas between, units of 0..=1 |
    ///
    /// Numbers are written with as many digits as give the same f32 back.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        let resize = match self.resize {
            ResizeRule::Exact => "exact".to_owned(),
            ResizeRule::ShorterSide(side) => format!("shorter_side:{side}"),
        };
        // Only where it is not what a file without it means.
        let crop = (self.crop != CropRounding::Down).then(|| (CROP, self.crop.name().to_owned()));
        [
            (COLOR, self.color.name().to_owned()),
            (WIDTH, self.width.to_string()),
            (HEIGHT, self.height.to_string()),
            (RESIZE, resize),
            (INTERPOLATION, self.interpolation.name().to_owned()),
            (MEAN, numbers(&self.mean)),
            (STD, numbers(&self.std)),
        ]
        .into_iter()
        .chain(crop)
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    /// Reads what [`to_metadata`](Self::to_metadata) wrote; other keys are ignored.
    ///
    /// # Errors
    /// A key that is missing or whose value is not as documented.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self> {
        let get = |key: &'static str| metadata.get(key).map(String::as_str).ok_or(Error::MissingKey { key });
        let wrong = |key: &'static str, expected: &'static str| {
            move |found: &str| Error::MetadataValue { key, expected, found: found.to_owned() }
        };
        let size = |key: &'static str| {
            let text = get(key)?;
            text.parse::<usize>().map_err(|_| wrong(key, "a number of pixels")(text))
        };
        let numbers = |key: &'static str| {
            let text = get(key)?;
            text.split(',')
                .map(|part| part.trim().parse::<f32>().map_err(|_| wrong(key, "numbers with commas")(text)))
                .collect::<Result<Vec<_>>>()
        };
        let color = match get(COLOR)? {
            "grey" => ColorMode::Grey,
            "rgb" => ColorMode::Rgb,
            other => return Err(wrong(COLOR, "grey or rgb")(other)),
        };
        let text = get(RESIZE)?;
        let resize = if text == "exact" {
            ResizeRule::Exact
        } else {
            let side = text.strip_prefix("shorter_side:").and_then(|side| side.parse().ok());
            ResizeRule::ShorterSide(side.ok_or_else(|| wrong(RESIZE, "exact or shorter_side:N")(text))?)
        };
        let crop = match metadata.get(CROP).map_or("down", String::as_str) {
            "down" => CropRounding::Down,
            "half_to_even" => CropRounding::HalfToEven,
            other => return Err(wrong(CROP, "down or half_to_even")(other)),
        };
        let interpolation = match get(INTERPOLATION)? {
            "nearest" => Interpolation::Nearest,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            other => return Err(wrong(INTERPOLATION, "nearest, bilinear or bicubic")(other)),
        };
        let preprocessing = Self {
            color,
            width: size(WIDTH)?,
            height: size(HEIGHT)?,
            resize,
            crop,
            interpolation,
            mean: numbers(MEAN)?,
            std: numbers(STD)?,
        };
        preprocessing.validate()?;
        Ok(preprocessing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Preprocessing {
        Preprocessing::photos(ColorMode::Rgb, 224)
            .with_statistics(vec![0.485, 0.456, 0.1 + 0.2], vec![0.229, 0.224, 1.0 / 3.0])
    }

    #[test]
    fn metadata_gives_the_same_preprocessing_back() {
        let rounded = Preprocessing { crop: CropRounding::HalfToEven, ..example() };
        for preprocessing in [example(), rounded, Preprocessing::exact(ColorMode::Grey, 28, 30)] {
            let metadata = preprocessing.to_metadata();
            assert_eq!(metadata.contains_key(CROP), preprocessing.crop == CropRounding::HalfToEven);
            assert_eq!(Preprocessing::from_metadata(&metadata).unwrap(), preprocessing);
        }
        assert_eq!(example().to_metadata()["oculist.resize"], "shorter_side:256");
    }

    #[test]
    fn missing_and_wrong_values_are_named() {
        let full = example().to_metadata();
        for key in full.keys() {
            let mut metadata = full.clone();
            metadata.remove(key);
            let text = Preprocessing::from_metadata(&metadata).unwrap_err().to_string();
            assert!(text.contains(key.as_str()), "{text}");
            metadata.insert(key.clone(), "nonsense".into());
            let text = Preprocessing::from_metadata(&metadata).unwrap_err().to_string();
            assert!(text.contains(key.as_str()) && text.contains("nonsense"), "{text}");
        }
        let mut metadata = full;
        metadata.insert(CROP.into(), "up".into());
        let text = Preprocessing::from_metadata(&metadata).unwrap_err().to_string();
        assert!(text.contains(CROP) && text.contains("up"), "{text}");
    }
}
