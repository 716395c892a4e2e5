//! What files of other tools say of their model: in their metadata, or in a file beside it.
//!
//! | tool | where | what |
//! |---|---|---|
//! | Ultralytics | metadata `names`, `imgsz`, `task` | classes, size; its classifiers take `unit` |
//! | Hugging Face transformers | `config.json`, `preprocessor_config.json` beside the model or in the folder above | `id2label`, mean, std, size, crop |
//! | timm | `config.json` beside the model | `pretrained_cfg`: mean, std, size, crop, interpolation; `label_names` |
//!
//! Keras and tf2onnx say nothing of either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oculist_augment::{ColorMode, CropRounding, Interpolation, Preprocessing, ResizeRule};
use serde_json::{Map, Value};

use super::classes;

/// What was found, each with where it was.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    pub(super) classes: Option<(Vec<String>, String)>,
    pub(super) preprocessing: Option<(Stated, String)>,
    /// Height and width.
    pub(super) size: Option<(usize, usize)>,
    /// What stands there and could not be understood.
    pub(super) notes: Vec<String>,
}

/// A preprocessing but for what the model's input says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stated {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// What the shorter side becomes, if the middle is cut out.
    resize: Resize,
    crop: CropRounding,
    interpolation: Interpolation,
    pub(super) blue_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Resize {
    Exact,
    /// To so many pixels.
    ShorterSide(usize),
    /// To the input's side divided by this.
    Crop(f64),
}

impl Stated {
    /// With the model's input.
    ///
    /// # Errors
    /// In words, if the two contradict each other.
    pub(super) fn at(
        &self,
        (channels, height, width): (usize, usize, usize),
    ) -> Result<Preprocessing, String> {
        let color = match channels {
            1 => ColorMode::Grey,
            3 => ColorMode::Rgb,
            n => return Err(format!("expected an input of 1 or 3 channels, found {n}")),
        };
        let side = height.max(width);
        let resize = match self.resize {
            Resize::Exact => ResizeRule::Exact,
            Resize::ShorterSide(n) if n < side => ResizeRule::Exact,
            Resize::ShorterSide(n) => ResizeRule::ShorterSide(n),
            Resize::Crop(fraction) => {
                ResizeRule::ShorterSide(((side as f64 / fraction).floor() as usize).max(side))
            }
        };
        let spread = |values: &[f32]| match values {
            [one] => vec![*one; channels],
            all => all.to_vec(),
        };
        let p = Preprocessing {
            resize,
            crop: self.crop,
            interpolation: self.interpolation,
            ..Preprocessing::exact(color, width, height)
        }
        .with_statistics(spread(&self.mean), spread(&self.std));
        p.validate().map_err(|e| e.to_string())?;
        Ok(p)
    }
}

impl Foreign {
    /// Looks into the metadata of a file and beside it.
    pub(super) fn of(metadata: &BTreeMap<String, String>, path: &Path) -> Self {
        let mut found = Self::default();
        found.ultralytics(metadata);
        let (config, preprocessor) = (beside(path, "config.json"), beside(path, "preprocessor_config.json"));
        for file in [config, preprocessor].into_iter().flatten() {
            match read(&file) {
                Ok(map) => found.configuration(&map, &file),
                Err(problem) => found.notes.push(format!("{} is not used: {problem}", file.display())),
            }
        }
        found
    }

    fn ultralytics(&mut self, metadata: &BTreeMap<String, String>) {
        let Some(names) = metadata.get("names").filter(|_| metadata.contains_key("task")) else { return };
        match classes::of_python(names) {
            Ok(names) => self.classes = Some((names, "the metadata `names`".into())),
            Err(problem) => self.notes.push(format!("the metadata `names` are not used: {problem}")),
        }
        let numbers: Option<Vec<usize>> =
            metadata.get("imgsz").and_then(|text| serde_json::from_str(text).ok());
        self.size = match numbers.as_deref() {
            Some(&[side]) => Some((side, side)),
            Some(&[height, width]) => Some((height, width)),
            _ => None,
        };
        if metadata.get("task").is_some_and(|task| task == "classify") {
            // Its classification transforms: shorter side to the input's, centre crop, x/255.
            let stated = Stated {
                mean: vec![0.0],
                std: vec![1.0],
                resize: Resize::Crop(1.0),
                crop: CropRounding::Down,
                interpolation: Interpolation::Bilinear,
                blue_first: false,
            };
            self.preprocessing = Some((stated, "the metadata of Ultralytics".into()));
        }
    }

    /// `config.json` and `preprocessor_config.json`; what the first says of classes and the last of images stays.
    fn configuration(&mut self, map: &Map<String, Value>, file: &Path) {
        let place = file.display().to_string();
        let labels = match (map.get("id2label"), map.get("label_names")) {
            (Some(Value::Object(by_number)), _) => Some(classes::of_map(by_number)),
            (_, Some(Value::Array(list))) => list
                .iter()
                .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| format!("`label_names` holds {v}")))
                .collect::<Result<Vec<_>, _>>()
                .into(),
            _ => None,
        };
        match labels {
            Some(Ok(names)) if self.classes.is_none() => self.classes = Some((names, place.clone())),
            Some(Err(problem)) => self.notes.push(format!("the classes of {place} are not used: {problem}")),
            _ => {}
        }
        let timm = map.get("pretrained_cfg").and_then(Value::as_object);
        let stated = match timm {
            Some(cfg) => timm_images(cfg),
            None => transformers_images(map),
        };
        let text = |key: &str| timm.unwrap_or(map).get(key).map(Value::to_string);
        if text("crop_mode").is_some_and(|mode| mode == "\"border\"") {
            self.notes.push(format!("{place}: `crop_mode` border is taken for center"));
        }
        let cropped = map.get("do_center_crop").and_then(Value::as_bool) == Some(true);
        if let (true, Some(Value::Object(size)), Some(crop)) = (cropped, map.get("size"), text("crop_size"))
            && size.contains_key("height")
        {
            let size = text("size").unwrap_or_default();
            self.notes.push(format!(
                "{place}: images are resized straight to {crop}, not to {size} and cropped from there"
            ));
        }
        if map.get("offset").and_then(Value::as_bool) == Some(true) {
            self.notes.push(format!("{place}: `offset` is not understood and left out"));
        }
        if stated.is_none() && file.file_name().is_some_and(|n| n == "preprocessor_config.json") {
            self.notes.push(format!("{place} says no `image_mean` and `image_std`, so it is not used"));
        }
        if let Some((stated, size)) = stated {
            self.preprocessing = Some((stated, place));
            self.size = size.or(self.size);
        }
    }
}

/// A file of this name in the model's folder or, as exports to a folder `onnx` have it, in the one above.
fn beside(path: &Path, name: &str) -> Option<PathBuf> {
    let folder = path.parent()?;
    let above = folder.file_name().filter(|n| *n == "onnx").and_then(|_| folder.parent());
    [Some(folder), above].into_iter().flatten().map(|f| f.join(name)).find(|file| file.is_file())
}

/// The text of a file that describes a model, without a byte order mark.
///
/// # Errors
/// In words: what the system says, or that the file is larger than any such file is.
pub(super) fn small_text(file: &Path) -> Result<String, String> {
    const LIMIT: u64 = 16 << 20;
    let size = std::fs::metadata(file).map_err(|e| e.to_string())?.len();
    if size > LIMIT {
        return Err(format!("it has {size} bytes, expected at most {LIMIT}"));
    }
    let text = oculist_files::read_to_string(file).map_err(|e| e.to_string())?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

fn read(file: &Path) -> Result<Map<String, Value>, String> {
    let text = small_text(file)?;
    serde_json::from_str(&text).map_err(|e| format!("expected a JSON object: {e}"))
}

fn floats(value: Option<&Value>) -> Option<Vec<f32>> {
    value?.as_array()?.iter().map(|v| v.as_f64().map(|v| v as f32)).collect()
}

fn pixels(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}

/// `pretrained_cfg` of timm: `input_size` [C, H, W], `crop_pct`, `crop_mode`, `interpolation`, `mean`, `std`.
fn timm_images(cfg: &Map<String, Value>) -> Option<(Stated, Option<(usize, usize)>)> {
    let (mean, std) = (floats(cfg.get("mean"))?, floats(cfg.get("std"))?);
    let size: Option<Vec<usize>> =
        cfg.get("input_size").and_then(Value::as_array).and_then(|list| list.iter().map(pixels).collect());
    let size = size.filter(|s| s.len() == 3).map(|s| (s[1], s[2]));
    let squash = cfg.get("crop_mode").and_then(Value::as_str) == Some("squash");
    let fraction = cfg.get("crop_pct").and_then(Value::as_f64).filter(|f| (0.1..=1.0).contains(f));
    let resize = if squash { Resize::Exact } else { Resize::Crop(fraction.unwrap_or(0.875)) };
    let interpolation = match cfg.get("interpolation").and_then(Value::as_str) {
        Some("nearest") => Interpolation::Nearest,
        Some("bicubic") => Interpolation::Bicubic,
        _ => Interpolation::Bilinear,
    };
    // Its transforms are torchvision's.
    let crop = CropRounding::HalfToEven;
    Some((Stated { mean, std, resize, crop, interpolation, blue_first: false }, size))
}

/// `preprocessor_config.json`: `image_mean`, `image_std`, `size`, `do_center_crop`, `crop_size`, `resample`, `crop_pct`.
fn transformers_images(map: &Map<String, Value>) -> Option<(Stated, Option<(usize, usize)>)> {
    let flag = |key: &str, otherwise: bool| map.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
    let (mean, std) = match map.get("do_normalize").and_then(Value::as_bool) {
        Some(false) => (vec![0.0], vec![1.0]),
        _ => (floats(map.get("image_mean"))?, floats(map.get("image_std"))?),
    };
    // Pixels as they are, or times a factor of their own.
    let factor = if flag("do_rescale", true) {
        map.get("rescale_factor").and_then(Value::as_f64).unwrap_or(1.0 / 255.0)
    } else {
        1.0
    };
    let unit = (255.0 * factor) as f32;
    // EfficientNet's: 1 is taken off after the factor.
    let less = if flag("rescale_offset", false) { 1.0 } else { 0.0 };
    let mean: Vec<f32> = mean.into_iter().map(|m| m + less).collect();
    let scaled = |values: Vec<f32>| values.into_iter().map(|v| v / unit).collect::<Vec<_>>();
    let both = |value: Option<&Value>| -> Option<(usize, usize)> {
        match value? {
            Value::Object(size) => Some((pixels(size.get("height")?)?, pixels(size.get("width")?)?)),
            Value::Array(list) => Some((pixels(list.first()?)?, pixels(list.get(1)?)?)),
            one => pixels(one).map(|n| (n, n)),
        }
    };
    let shortest =
        map.get("size").and_then(|size| size.get("shortest_edge").and_then(pixels).or_else(|| pixels(size)));
    let (resize, size) =
        match (both(map.get("crop_size")).filter(|_| flag("do_center_crop", false)), shortest) {
            (Some(crop), Some(side)) => (Resize::ShorterSide(side), Some(crop)),
            // ConvNeXt's: below 384 pixels the side is that of the input divided by `crop_pct`.
            (None, Some(side)) if map.contains_key("crop_pct") && side < 384 => {
                let fraction =
                    map.get("crop_pct").and_then(Value::as_f64).filter(|f| (0.1..=1.0).contains(f));
                (Resize::Crop(fraction.unwrap_or(0.875)), Some((side, side)))
            }
            (crop, _) => (Resize::Exact, crop.or_else(|| both(map.get("size")))),
        };
    let interpolation = match map.get("resample").and_then(Value::as_u64) {
        Some(0) => Interpolation::Nearest,
        Some(3) => Interpolation::Bicubic,
        _ => Interpolation::Bilinear,
    };
    let blue_first = flag("do_flip_channel_order", false);
    let (mut mean, mut std) = (scaled(mean), scaled(std));
    if blue_first {
        // Theirs are in the order of the model's input.
        mean.reverse();
        std.reverse();
    }
    let crop = CropRounding::Down;
    Some((Stated { mean, std, resize, crop, interpolation, blue_first }, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn ultralytics_names_and_sizes() {
        let metadata = [("names", "{0: 'cat', 1: 'dog'}"), ("imgsz", "[64, 96]"), ("task", "classify")];
        let metadata = metadata.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let found = Foreign::of(&metadata, Path::new("m.onnx"));
        assert_eq!(found.classes.unwrap().0, ["cat", "dog"]);
        assert_eq!(found.size, Some((64, 96)));
        let p = found.preprocessing.unwrap().0.at((3, 64, 64)).unwrap();
        assert_eq!((p.mean, p.std, p.resize), (vec![0.0; 3], vec![1.0; 3], ResizeRule::ShorterSide(64)));
        let broken = [("names", "[]"), ("task", "detect")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let found = Foreign::of(&broken, Path::new("m.onnx"));
        assert!(found.classes.is_none() && found.preprocessing.is_none() && found.notes.len() == 1);
    }

    /// As the processors of ViT, ResNet and ConvNeXt on the Hub write it.
    #[test]
    fn processors_of_transformers() {
        let vit = r#"{"do_normalize": true, "do_rescale": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 0.00392156862745098,
            "size": {"height": 224, "width": 224}}"#;
        let (stated, size) = transformers_images(&map(vit)).unwrap();
        assert_eq!(size, Some((224, 224)));
        let p = stated.at((3, 224, 224)).unwrap();
        assert!(p.mean.iter().all(|m| (m - 0.5).abs() < 1e-6), "{p:?}");
        assert_eq!((p.resize, p.interpolation), (ResizeRule::Exact, Interpolation::Bilinear));
        let clip = r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "image_mean": [0.4, 0.4, 0.4],
            "image_std": [0.2, 0.2, 0.2], "resample": 3, "size": {"shortest_edge": 256}}"#;
        let p = transformers_images(&map(clip)).unwrap().0.at((3, 224, 224)).unwrap();
        assert_eq!((p.resize, p.interpolation), (ResizeRule::ShorterSide(256), Interpolation::Bicubic));
        let convnext = r#"{"crop_pct": 0.875, "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": {"shortest_edge": 224}}"#;
        let p = transformers_images(&map(convnext)).unwrap().0.at((3, 224, 224)).unwrap();
        assert_eq!(p.resize, ResizeRule::ShorterSide(256));
        let raw = r#"{"do_rescale": false, "image_mean": [127.5, 127.5, 127.5], "image_std": [127.5, 127.5, 127.5]}"#;
        let p = transformers_images(&map(raw)).unwrap().0.at((3, 32, 32)).unwrap();
        assert!(p.mean.iter().chain(&p.std).all(|m| (m - 0.5).abs() < 1e-6), "{p:?}");
        assert!(transformers_images(&map("{}")).is_none());
        let offset = r#"{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25],
            "rescale_factor": 0.00784313725490196, "rescale_offset": true}"#;
        let p = transformers_images(&map(offset)).unwrap().0.at((3, 32, 32)).unwrap();
        // A pixel of 200: (200 / 127.5 - 1 - 0.5) / 0.25.
        assert!(((200.0 / 255.0 - p.mean[0]) / p.std[0] - 0.274_509_8).abs() < 1e-5, "{p:?}");
        let flipped =
            r#"{"do_flip_channel_order": true, "do_normalize": false, "size": {"height": 8, "width": 8}}"#;
        let stated = transformers_images(&map(flipped)).unwrap().0;
        assert!(stated.blue_first && stated.at((3, 8, 8)).unwrap().std == [1.0; 3]);
    }

    #[test]
    fn the_configuration_of_timm() {
        let text = r#"{"architecture": "resnet18", "num_classes": 2, "label_names": ["cat", "dog"], "pretrained_cfg":
            {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95, "crop_mode": "center",
             "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}"#;
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("onnx")).unwrap();
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        for model in ["model.onnx", "onnx/model.onnx"] {
            let found = Foreign::of(&BTreeMap::new(), &dir.path().join(model));
            assert_eq!(found.classes.unwrap().0, ["cat", "dog"]);
            let p = found.preprocessing.unwrap().0.at((3, 224, 224)).unwrap();
            // timm floors 224 / 0.95.
            assert_eq!(p.resize, ResizeRule::ShorterSide(235));
            assert_eq!((p.interpolation, p.mean), (Interpolation::Bicubic, vec![0.485, 0.456, 0.406]));
        }
        std::fs::write(dir.path().join("config.json"), "{").unwrap();
        let found = Foreign::of(&BTreeMap::new(), &dir.path().join("model.onnx"));
        assert!(found.notes[0].contains("config.json is not used"), "{:?}", found.notes);
    }
}
