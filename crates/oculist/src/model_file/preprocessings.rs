//! Preprocessings by the names that other tools know them by, and as files.

use std::path::Path;

use oculist_augment::{ColorMode, CropRounding, Interpolation, Preprocessing, ResizeRule};
use serde::Deserialize;

use crate::files::toml_problem;

/// The names, with what each means.
pub const PREPROCESSINGS: [(&str, &str); 6] = [
    (
        "imagenet",
        "PyTorch's: x/255, mean 0.485,0.456,0.406, std 0.229,0.224,0.225; shorter side, centre crop",
    ),
    ("inception", "x/255, mean and std 0.5, so -1 to 1; shorter side, centre crop"),
    ("caffe", "blue first, less 103.939,116.779,123.68, not divided; resized as it is"),
    ("tf", "x/127.5 - 1, so -1 to 1, Keras' mode `tf`; resized as it is"),
    ("unit", "x/255, so 0 to 1; shorter side, centre crop"),
    ("none", "0 to 255 as they are, for a model that scales them itself; resized as it is"),
];

/// Sides below which an image is resized as it is: there is no border to cut off.
const SMALL: usize = 96;

/// How images become the input, and whether blue comes first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) preprocessing: Preprocessing,
    pub(crate) blue_first: bool,
}

/// A preprocessing by name or from a file, for an input of channels, height and width.
///
/// # Errors
/// In words: an unknown name, a file that cannot be read, or one that contradicts the input.
pub(crate) fn choose(text: &str, input: (usize, usize, usize)) -> Result<Chosen, String> {
    if let Some((name, _)) = PREPROCESSINGS.iter().find(|(name, _)| *name == text) {
        return named(name, input);
    }
    let path = Path::new(text);
    let is_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml")) || path.is_file();
    if !is_file {
        let names = PREPROCESSINGS.map(|(name, _)| name).join(", ");
        return Err(format!("expected {names} or a TOML file, found `{text}`"));
    }
    let content = super::foreign::small_text(path).map_err(|e| format!("{text}: {e}"))?;
    from_toml(&content, input).map_err(|problem| format!("{text}: {problem}"))
}

/// A preprocessing by its name.
///
/// # Errors
/// In words, for numbers of three channels and an input of another number.
pub(crate) fn named(name: &str, (channels, height, width): (usize, usize, usize)) -> Result<Chosen, String> {
    let color = match channels {
        1 => ColorMode::Grey,
        3 => ColorMode::Rgb,
        n => return Err(format!("expected an input of 1 or 3 channels, found {n}")),
    };
    let all = |value: f32| vec![value; channels];
    let (mean, std) = match name {
        "imagenet" => (vec![0.485, 0.456, 0.406], vec![0.229, 0.224, 0.225]),
        "inception" | "tf" => (all(0.5), all(0.5)),
        // In the order of our images, red first.
        "caffe" => ([123.68f32, 116.779, 103.939].map(|m| m / 255.0).to_vec(), all(1.0 / 255.0)),
        "unit" => (all(0.0), all(1.0)),
        _ => (all(0.0), all(1.0 / 255.0)),
    };
    if mean.len() != channels {
        return Err(format!("`{name}` is for colour images of 3 channels, the model takes {channels}"));
    }
    let exact = Preprocessing::exact(color, width, height);
    let cropped = matches!(name, "imagenet" | "inception" | "unit") && width.min(height) >= SMALL;
    let resize =
        if cropped { ResizeRule::ShorterSide((width.max(height) * 8).div_ceil(7)) } else { exact.resize };
    // These two are torchvision's and timm's.
    let torch = matches!(name, "imagenet" | "inception");
    let crop = if torch { CropRounding::HalfToEven } else { CropRounding::Down };
    let preprocessing = Preprocessing { resize, crop, ..exact }.with_statistics(mean, std);
    preprocessing.validate().map_err(|e| e.to_string())?;
    Ok(Chosen { preprocessing, blue_first: name == "caffe" })
}

/// A preprocessing as a user writes it; what is absent is that of `based_on`, or of the model's input.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    based_on: Option<String>,
    color: Option<String>,
    width: Option<usize>,
    height: Option<usize>,
    resize: Option<String>,
    shorter_side: Option<usize>,
    interpolation: Option<Interpolation>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    /// What a pixel is multiplied with before mean and std: 1/255 unless it is said.
    scale: Option<f32>,
}

/// Reads [`File`].
fn from_toml(text: &str, input: (usize, usize, usize)) -> Result<Chosen, String> {
    let file: File = toml::from_str(text).map_err(|e| toml_problem(&e, text))?;
    let base = file.based_on.as_deref().unwrap_or("unit");
    if !PREPROCESSINGS.iter().any(|(name, _)| *name == base) {
        let names = PREPROCESSINGS.map(|(name, _)| name).join(", ");
        return Err(format!("`based_on`: expected {names}, found `{base}`"));
    }
    let (channels, height, width) = input;
    let Chosen { mut preprocessing, mut blue_first } = named(base, input)?;
    for (key, given, takes) in [("width", file.width, width), ("height", file.height, height)] {
        if given.is_some_and(|n| n != takes) {
            let given = given.unwrap_or_default();
            return Err(format!("`{key}` is {given}, the model's input has {takes}"));
        }
    }
    if let Some(color) = file.color.as_deref() {
        let expected = match color {
            "grey" | "gray" => 1,
            "rgb" | "bgr" => 3,
            _ => return Err(format!("`color`: expected rgb, bgr or grey, found `{color}`")),
        };
        if expected != channels {
            return Err(format!("`color` is {color} ({expected} channels), the model takes {channels}"));
        }
        blue_first = color == "bgr";
    }
    match (file.resize.as_deref(), file.shorter_side) {
        (Some("exact"), None) => preprocessing.resize = ResizeRule::Exact,
        (None | Some("shorter_side"), Some(side)) => preprocessing.resize = ResizeRule::ShorterSide(side),
        (None, None) => {}
        (Some("exact"), Some(_)) => return Err("`shorter_side` contradicts `resize = \"exact\"`".into()),
        (Some("shorter_side"), None) => {
            return Err("`resize = \"shorter_side\"` wants the number of pixels as `shorter_side`".into());
        }
        (Some(other), _) => {
            return Err(format!("`resize`: expected exact or shorter_side, found `{other}`"));
        }
    }
    if let Some(interpolation) = file.interpolation {
        preprocessing.interpolation = interpolation;
    }
    for (key, given) in [("mean", &file.mean), ("std", &file.std)] {
        if let Some(values) = given
            && values.len() != channels
        {
            let found = values.len();
            return Err(format!("`{key}` has {found} numbers, the model's input {channels} channels"));
        }
    }
    // (x * scale - mean) / std = (x / 255 - mean / (255 scale)) / (std / (255 scale)), in the file's order of colours.
    if file.scale.is_some() && file.based_on.is_some() && (file.mean.is_none() || file.std.is_none()) {
        return Err(
            "`scale` gives other units than those of `based_on`: say `mean` and `std` in them too".into()
        );
    }
    // Names that leave pixels as they are have means in units of pixels.
    let own = if matches!(base, "none" | "caffe") { 255.0 } else { 1.0 };
    let unit = file.scale.map_or(own, |scale| 255.0 * scale);
    if !(unit.is_finite() && unit > 0.0) {
        return Err(format!("`scale`: expected a number above 0, found {}", file.scale.unwrap_or_default()));
    }
    let ordered = |values: Vec<f32>| -> Vec<f32> {
        let scaled = values.into_iter().map(|v| v / unit);
        if blue_first { scaled.rev().collect() } else { scaled.collect() }
    };
    if let Some(mean) = file.mean {
        preprocessing.mean = ordered(mean);
    }
    if let Some(std) = file.std {
        preprocessing.std = ordered(std);
    } else if file.scale.is_some() {
        preprocessing.std = vec![1.0 / unit; channels];
    }
    preprocessing.validate().map_err(|e| e.to_string())?;
    Ok(Chosen { preprocessing, blue_first })
}

/// The preprocessing in words, for a line on the terminal.
pub(crate) fn describe(chosen: &Chosen) -> String {
    let p = &chosen.preprocessing;
    let numbers = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    let resize = match p.resize {
        ResizeRule::Exact => "resized as it is".to_owned(),
        ResizeRule::ShorterSide(side) => format!("shorter side to {side}, centre crop"),
    };
    let color = match (p.color, chosen.blue_first) {
        (ColorMode::Grey, _) => "grey",
        (ColorMode::Rgb, false) => "rgb",
        (ColorMode::Rgb, true) => "bgr",
    };
    let (mean, std) = (numbers(&p.mean), numbers(&p.std));
    format!(
        "{color} {}x{}, {resize}, {}, (x/255 - {mean}) / {std}",
        p.width,
        p.height,
        p.interpolation.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a pixel of three colours becomes.
    fn of_pixel(chosen: &Chosen, rgb: [f32; 3]) -> Vec<f32> {
        let p = &chosen.preprocessing;
        let mut out: Vec<f32> = (0..3).map(|c| (rgb[c] / 255.0 - p.mean[c]) / p.std[c]).collect();
        if chosen.blue_first {
            out.reverse();
        }
        out
    }

    fn near(a: &[f32], b: &[f32]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs().max(1.0))
    }

    /// The numbers of torchvision's and timm's transforms and of `keras.applications.imagenet_utils.preprocess_input`,
    /// computed by hand for a pixel of red 10, green 100, blue 250.
    #[test]
    fn each_name_means_what_its_tool_does() {
        let pixel = [10.0, 100.0, 250.0];
        let expected: [(&str, [f32; 3]); 6] = [
            ("imagenet", [-1.946_657_7, -0.285_014, 2.552_854]),
            ("inception", [-0.921_568_6, -0.215_686_3, 0.960_784_3]),
            ("caffe", [250.0 - 103.939, 100.0 - 116.779, 10.0 - 123.68]),
            ("tf", [-0.921_568_6, -0.215_686_3, 0.960_784_3]),
            ("unit", [0.039_215_7, 0.392_156_9, 0.980_392_2]),
            ("none", [10.0, 100.0, 250.0]),
        ];
        for (name, want) in expected {
            let chosen = choose(name, (3, 224, 224)).unwrap();
            let got = of_pixel(&chosen, pixel);
            assert!(near(&got, &want), "{name}: {got:?}");
            assert!(!near(&of_pixel(&chosen, [11.0, 100.0, 250.0]), &want), "{name}: any pixel passes");
        }
        let rule = |name, side| choose(name, (3, side, side)).unwrap().preprocessing.resize;
        assert_eq!(rule("imagenet", 224), ResizeRule::ShorterSide(256));
        assert_eq!(rule("imagenet", 32), ResizeRule::Exact);
        assert_eq!(rule("tf", 224), ResizeRule::Exact);
    }

    #[test]
    fn a_file_says_it_in_its_own_units() {
        let caffe =
            from_toml("color = \"bgr\"\nscale = 1.0\nmean = [103.939, 116.779, 123.68]", (3, 8, 8)).unwrap();
        let same = choose("caffe", (3, 8, 8)).unwrap();
        assert!(near(&caffe.preprocessing.mean, &same.preprocessing.mean), "{caffe:?}");
        assert!(near(&caffe.preprocessing.std, &same.preprocessing.std) && caffe.blue_first);
        // 0 to 255 as they are, then centred: the mean is in these units.
        let text = "based_on = \"none\"\nmean = [123.675, 116.28, 103.53]\nstd = [58.395, 57.12, 57.375]";
        let (raw, same) = (from_toml(text, (3, 8, 8)).unwrap(), choose("imagenet", (3, 8, 8)).unwrap());
        assert!(near(&raw.preprocessing.mean, &same.preprocessing.mean), "{raw:?}");
        assert!(near(&raw.preprocessing.std, &same.preprocessing.std));
        let text = "based_on = \"imagenet\"\nresize = \"exact\"\ninterpolation = \"bicubic\"\nwidth = 8";
        let chosen = from_toml(text, (3, 8, 8)).unwrap();
        assert_eq!(chosen.preprocessing.interpolation, Interpolation::Bicubic);
        assert!(describe(&chosen).contains("0.485,0.456,0.406"), "{}", describe(&chosen));
    }

    #[test]
    fn contradictions_are_named() {
        for (text, word) in [
            ("width = 9", "`width` is 9, the model's input has 8"),
            ("mean = [0.5]", "`mean` has 1 numbers, the model's input 3 channels"),
            ("color = \"grey\"", "the model takes 3"),
            ("color = \"blue\"", "found `blue`"),
            ("resize = \"exact\"\nshorter_side = 9", "contradicts"),
            ("resize = \"shorter_side\"", "wants the number of pixels"),
            ("shorter_side = 4", "shorter_side"),
            ("based_on = \"keras\"", "found `keras`"),
            ("scale = 0.0", "above 0"),
            ("based_on = \"imagenet\"\nscale = 1.0", "say `mean` and `std`"),
            ("std = [0.0, 1.0, 1.0]", "std"),
            ("meen = [1]", "meen"),
        ] {
            let problem = from_toml(text, (3, 8, 8)).unwrap_err();
            assert!(problem.contains(word), "{text}: {problem}");
        }
        assert!(choose("imagenet", (1, 8, 8)).unwrap_err().contains("3 channels, the model takes 1"));
        assert!(choose("imgnet", (3, 8, 8)).unwrap_err().contains("found `imgnet`"));
        assert!(choose("unit", (4, 8, 8)).unwrap_err().contains("found 4"));
        assert!(choose("missing.toml", (3, 8, 8)).unwrap_err().contains("missing.toml"));
    }
}
