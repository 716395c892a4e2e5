//! Which files of a repository are fetched.

use crate::HubError;

/// Files beside a model that say what its classes are and how images become its input.
const SETTINGS: [&str; 2] = ["config.json", "preprocessor_config.json"];
/// How the index of weights in several files ends.
const INDEX: &str = ".index.json";
/// Most near names that an error lists.
const MOST_NEAR: usize = 5;
/// Most names that are compared for that.
const MOST_COMPARED: usize = 2000;

/// The files that belong to a model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The model itself.
    pub(crate) model: String,
    /// Data that the model cannot be read without.
    pub(crate) data: Vec<String>,
    /// What says more about it.
    pub(crate) settings: Vec<String>,
    /// What was chosen among several.
    pub(crate) note: Option<String>,
}

impl Plan {
    /// For the named file, or for the model that the list of all files tells.
    ///
    /// # Errors
    /// [`HubError::NoFile`] if the named file is not in the list, [`HubError::Ambiguous`] and [`HubError::NoModel`] if
    /// none was named and no rule chooses one.
    pub(crate) fn new(repository: &str, named: Option<&str>, list: &[String]) -> Result<Self, HubError> {
        let (model, note) = match named {
            Some(file) if list.iter().any(|f| f == file) => (file.to_owned(), None),
            Some(file) => {
                let near = near(file, list);
                return Err(HubError::NoFile {
                    repository: repository.to_owned(),
                    file: file.to_owned(),
                    near,
                });
            }
            None => choose(repository, list)?,
        };
        let data = list.iter().filter(|file| is_data_of(&model, file)).cloned().collect();
        let folder = model.rsplit_once('/').map_or("", |(folder, _)| folder);
        let settings = list.iter().filter(|file| {
            let (parent, name) = file.rsplit_once('/').unwrap_or(("", file));
            (parent.is_empty() || parent == folder) && SETTINGS.contains(&name) && **file != model
        });
        let settings = settings.cloned().collect();
        Ok(Self { model, data, settings, note })
    }

    /// Whether the data may be no links: those of an ONNX model, which must not lead out of its folder.
    pub(crate) fn data_is_read_as_files(&self) -> bool {
        !self.model.ends_with(INDEX)
    }

    /// All of them, what cannot be done without first.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.model).chain(&self.data).chain(&self.settings)
    }
}

/// Whether a file is one of several that hold the weights of `model`: of `x.safetensors`, those are
/// `x-00001-of-00002.safetensors` and so on.
fn is_part_of(model: &str, file: &str) -> bool {
    let Some((stem, ending)) = model.rsplit_once('.') else { return false };
    let numbers = file
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(ending)?.strip_suffix('.')?.strip_prefix('-'))
        .and_then(|rest| rest.split_once("-of-"));
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    numbers.is_some_and(|(part, all)| is_number(part) && is_number(all))
}

/// Whether a model cannot be read without a file: parts of the weights that it is the index of, or tensors of an ONNX model,
/// which are `model.onnx_data`, its parts `model.onnx_data_1`, or `model.onnx.data`.
fn is_data_of(model: &str, file: &str) -> bool {
    if let Some(weights) = model.strip_suffix(INDEX) {
        return is_part_of(weights, file);
    }
    if !model.to_ascii_lowercase().ends_with(".onnx") {
        return false;
    }
    match file.strip_prefix(model) {
        Some("_data" | ".data") => true,
        Some(rest) => rest
            .strip_prefix("_data_")
            .is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())),
        None => false,
    }
}

fn choose(repository: &str, list: &[String]) -> Result<(String, Option<String>), HubError> {
    let ending =
        |end: &str| list.iter().filter(|f| f.to_ascii_lowercase().ends_with(end)).collect::<Vec<_>>();
    let (onnx, safetensors) = (ending(".onnx"), ending(".safetensors"));
    let only = |of: &[&String]| if let [one] = of { Some((*one).clone()) } else { None };
    let known = |name: &str| list.iter().find(|file| *file == name).cloned();
    let chosen = only(&onnx)
        .or_else(|| known("model.onnx"))
        .or_else(|| known("onnx/model.onnx"))
        .or_else(|| known("model.safetensors"))
        .or_else(|| known("model.safetensors.index.json"))
        .or_else(|| only(&safetensors))
        .or_else(|| known("pytorch_model.bin"))
        .or_else(|| known("pytorch_model.bin.index.json"));
    // Parts of a model are none.
    let indices: Vec<&str> = list.iter().filter_map(|file| file.strip_suffix(INDEX)).collect();
    let is_part = |file: &str| indices.iter().any(|model| is_part_of(model, file));
    let models: Vec<_> = list.iter().filter(|file| is_model(file) && !is_part(file)).cloned().collect();
    match chosen {
        Some(file) => {
            let others: Vec<_> = models.iter().filter(|m| **m != file).map(|m| format!("`{m}`")).collect();
            let note = match others.len() {
                0 => None,
                1..=4 => Some(format!("`{file}` was chosen; there are also {}", others.join(", "))),
                n => Some(format!("`{file}` was chosen; there are {n} other models")),
            };
            Ok((file, note))
        }
        None if models.is_empty() => {
            Err(HubError::NoModel { repository: repository.to_owned(), found: list.to_vec() })
        }
        None => Err(HubError::Ambiguous { repository: repository.to_owned(), choices: models }),
    }
}

/// Whether a file's name is one of a model that can be read.
fn is_model(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    match name.rsplit_once('.') {
        Some((_, "onnx" | "safetensors" | "pth" | "pt")) => true,
        Some((stem, "bin")) => stem.starts_with("pytorch_model"),
        Some((stem, "json")) => stem.ends_with(".safetensors.index") || stem.ends_with(".bin.index"),
        _ => false,
    }
}

/// Names that may be meant: those in the folder that was named, then the nearest ones, else the models.
pub(crate) fn near(asked: &str, list: &[String]) -> Vec<String> {
    let lower = |text: &str| text.to_lowercase();
    let base = |text: &str| text.rsplit('/').next().unwrap_or(text).to_lowercase();
    let within: Vec<_> = list.iter().filter(|f| f.starts_with(&format!("{asked}/"))).cloned().collect();
    let mut found = if within.is_empty() {
        let mut ranked: Vec<_> = list
            .iter()
            .take(MOST_COMPARED)
            .map(|file| {
                let whole = distance(&lower(asked), &lower(file));
                (whole.min(distance(&base(asked), &base(file))), file)
            })
            .filter(|(far, _)| *far <= 3.max(base(asked).chars().count() / 4))
            .collect();
        ranked.sort();
        ranked.into_iter().map(|(_, file)| file.clone()).collect()
    } else {
        within
    };
    if found.is_empty() {
        found = list.iter().filter(|file| is_model(file)).cloned().collect();
    }
    found.truncate(MOST_NEAR);
    found
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.chars().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, d) in b.iter().enumerate() {
            let here = (before + usize::from(c != *d)).min(row[j] + 1).min(row[j + 1] + 1);
            before = std::mem::replace(&mut row[j + 1], here);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(files: &[&str]) -> Vec<String> {
        files.iter().map(|&f| f.to_owned()).collect()
    }

    fn chosen(files: &[&str]) -> Option<String> {
        Plan::new("a/b", None, &list(files)).ok().map(|plan| plan.model)
    }

    #[test]
    fn the_list_decides() {
        for (files, want) in [
            (&["README.md", "deep/net.onnx", "model.safetensors"][..], Some("deep/net.onnx")),
            (&["model.onnx", "onnx/model.onnx", "x.onnx"], Some("model.onnx")),
            (&["onnx/model.onnx", "onnx/model_quantized.onnx"], Some("onnx/model.onnx")),
            (&["a.onnx", "b.onnx"], None),
            (&["a.onnx", "b.onnx", "model.safetensors"], Some("model.safetensors")),
            (&["model.safetensors", "x.safetensors"], Some("model.safetensors")),
            (&["x.safetensors", "pytorch_model.bin"], Some("x.safetensors")),
            (&["x.safetensors", "y.safetensors", "pytorch_model.bin"], Some("pytorch_model.bin")),
            (&["x.safetensors", "y.safetensors"], None),
            (&["README.md"], None),
            (
                &["x-00001-of-00002.safetensors", "model.safetensors.index.json"],
                Some("model.safetensors.index.json"),
            ),
            (&["model.safetensors", "model.safetensors.index.json"], Some("model.safetensors")),
            (&["pytorch_model.bin.index.json", "x.json"], Some("pytorch_model.bin.index.json")),
        ] {
            assert_eq!(chosen(files).as_deref(), want, "{files:?}");
        }
        let err = |files: &[&str]| Plan::new("a/b", None, &list(files)).unwrap_err().to_string();
        assert_eq!(
            err(&["a.onnx", "b.onnx", "x.txt"]),
            "`a/b` has several models; name one of them, hf:a/b/FILE: `a.onnx`, `b.onnx`"
        );
        assert!(err(&["README.md"]).ends_with("found `README.md`"));
    }

    #[test]
    fn what_belongs_to_a_model_comes_with_it() {
        let files = list(&[
            "config.json",
            "onnx/config.json",
            "onnx/preprocessor_config.json",
            "other/config.json",
            "onnx/model.onnx",
            "onnx/model.onnx_data",
            "onnx/model.onnx_data_1",
            "onnx/model.onnx.data",
            "onnx/model.onnx_data_x",
            "onnx/model.onnx_data_",
            "model.onnx.data",
            "onnx/model.onnx.data.txt",
        ]);
        let plan = Plan::new("a/b", None, &files).unwrap();
        assert_eq!(plan.model, "onnx/model.onnx");
        assert_eq!(plan.data, ["onnx/model.onnx_data", "onnx/model.onnx_data_1", "onnx/model.onnx.data"]);
        assert_eq!(plan.settings, ["config.json", "onnx/config.json", "onnx/preprocessor_config.json"]);
        let weights = Plan::new("a/b", Some("w.bin"), &list(&["w.bin", "w.bin_data"])).unwrap();
        assert_eq!((weights.data.len(), weights.note), (0, None));
    }

    #[test]
    fn parts_come_with_their_index_and_are_no_models_themselves() {
        let files = list(&[
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model-1-of-2.safetensors",
            "model-0000x-of-00002.safetensors",
            "model-00001-of-00002.bin",
            "other-00001-of-00002.safetensors",
            "sub/model-00001-of-00002.safetensors",
            "model.safetensors.index.json",
            "config.json",
        ]);
        let plan = Plan::new("a/b", None, &files).unwrap();
        assert_eq!(plan.model, "model.safetensors.index.json");
        assert_eq!(plan.data, files[..2]);
        assert!(!plan.data_is_read_as_files());
        let note = plan.note.unwrap();
        assert!(
            note.ends_with(
                "there are also `model-1-of-2.safetensors`, `model-0000x-of-00002.safetensors`, \
            `other-00001-of-00002.safetensors`, `sub/model-00001-of-00002.safetensors`"
            ),
            "{note}"
        );
    }

    #[test]
    fn near_names_are_told() {
        let files = list(&["model.onnx", "onnx/model.onnx", "onnx/x.onnx", "config.json", "README.md"]);
        assert_eq!(near("modle.onnx", &files), ["model.onnx", "onnx/model.onnx"]);
        assert_eq!(near("onnx", &files), ["onnx/model.onnx", "onnx/x.onnx"]);
        assert_eq!(near("Config.JSON", &files), ["config.json"]);
        assert_eq!(near("something_else", &files), ["model.onnx", "onnx/model.onnx", "onnx/x.onnx"]);
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
