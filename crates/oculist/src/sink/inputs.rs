//! What a run reads: the images with their labels, the model and the pipeline given. A run is continued only with the
//! same.

use std::path::{Path, PathBuf};

use oculist_data::{Dataset, Identity, KnownDigests};
use oculist_files::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::error::OculistError;
use crate::message::set_to;
use crate::progress::{Progress, Watch, flow};
use crate::settings::Settings;
use crate::transfer::features::Contents;

/// Files above which reading them is shown as work.
const SHOWN: usize = 1000;
/// Differences that are told in full.
const TOLD: usize = 3;

/// A file that was given beside the images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct GivenFile {
    /// The option that names it.
    option: String,
    path: PathBuf,
    bytes: u64,
    blake3: String,
    /// Whether nothing else belongs to it, so that its bytes say all. Unknown of a run of an older version.
    #[serde(default)]
    whole: bool,
}

/// All that a run reads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Inputs {
    files: Vec<GivenFile>,
    data: Identity,
}

impl Inputs {
    /// Reads everything but the images that `before` knows to be the same.
    ///
    /// # Errors
    /// [`OculistError::Io`] or [`OculistError::Data`] naming a file that cannot be read; [`OculistError::Stopped`].
    pub(crate) fn read(
        settings: &Settings,
        dataset: &Dataset,
        before: Option<&Self>,
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        let given = [("--model", &settings.model), ("--augmentation", &settings.augmentation)];
        let one = given.into_iter().filter_map(|(option, path)| Some((option, path.as_deref()?)));
        let sources = settings.from.iter().flatten().map(|path| ("--from", path.as_path()));
        let files =
            one.chain(sources).map(|(option, path)| given_file(option, path)).collect::<Result<_, _>>()?;
        let known = before.map_or_else(KnownDigests::default, |inputs| KnownDigests::of(&inputs.data));
        let stop = watch.stop;
        let data = Identity::of(dataset, &known, settings.threads(), &mut |done, total| {
            if total > SHOWN {
                watch.tell(Progress::Work { what: "files fingerprinted", done, total });
            }
            flow(stop)
        })?;
        Ok(Self { files, data: data.ok_or(OculistError::Stopped { resumable: false })? })
    }

    /// One digest of everything.
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        for file in &self.files {
            hasher.part(file.option.as_bytes()).part(file.blake3.as_bytes());
        }
        hasher.part(self.data.digest().to_string().as_bytes());
        hasher.finish()
    }

    /// The content of the images.
    pub(crate) fn contents(&self) -> Contents {
        Contents::of_identity(&self.data)
    }

    /// A line of JSON for the files given, then those of the data set.
    pub(crate) fn to_lines(&self) -> String {
        format!("{}\n{}", serde_json::to_string(&self.files).unwrap_or_default(), self.data.to_lines())
    }

    /// Reads [`to_lines`](Self::to_lines) back.
    pub(crate) fn from_lines(text: &str) -> Result<Self, String> {
        let (first, rest) = text.split_once('\n').ok_or("expected several lines, found one")?;
        let files = serde_json::from_str(first).map_err(|e| format!("first line: {e}"))?;
        Ok(Self { files, data: Identity::from_lines(rest)? })
    }

    /// The settings whose files are told apart by their content, so that it does not matter where they lie: both runs have
    /// one, and nothing else belongs to it.
    pub(crate) fn by_content(&self, now: &Self) -> Vec<String> {
        let both = |file: &&GivenFile| file.whole && self.files.iter().any(|old| old.option == file.option);
        now.files.iter().filter(both).map(|file| file.setting().to_owned()).collect()
    }

    /// What is different in `now`, in a sentence; None if nothing is.
    pub(crate) fn changes(&self, now: &Self) -> Option<String> {
        let mut changes = Vec::new();
        for file in &now.files {
            let of_option = |f: &&GivenFile| f.option == file.option;
            // Whether there is one at all is a setting.
            if let Some(old) = self.files.iter().find(of_option)
                && (old.bytes, &old.blake3) != (file.bytes, &file.blake3)
            {
                let told = set_to(file.setting(), file.path.display());
                // A file of the same name in another folder may be the same one moved, or a temporary one.
                let than = if old.path.file_name() == file.path.file_name() {
                    String::new()
                } else {
                    format!(" than {}", old.path.display())
                };
                changes.push(format!("{told} has other content{than}"));
            }
        }
        changes.extend(self.data.differences(&now.data));
        if changes.is_empty() {
            return None;
        }
        let more = changes.len().saturating_sub(TOLD);
        changes.truncate(TOLD);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Some(changes.join("; ") + &more)
    }
}

impl GivenFile {
    /// The name of the setting that names it.
    fn setting(&self) -> &str {
        self.option.trim_start_matches("--")
    }
}

/// Whether a file is one of several that belong together, as far as its bytes can tell: the index of several files of
/// weights is JSON, and an ONNX file names those that hold its tensors under the key `location`. A file that has the word
/// for another reason counts as one of several too, which is compared more strictly.
fn has_parts(bytes: &[u8]) -> bool {
    const KEY: &[u8] = b"location";
    bytes.trim_ascii_start().starts_with(b"{") || bytes.windows(KEY.len()).any(|window| window == KEY)
}

fn given_file(option: &str, path: &Path) -> Result<GivenFile, OculistError> {
    let bytes =
        oculist_files::read(path).map_err(|source| OculistError::Io { path: path.to_path_buf(), source })?;
    // A pipeline is one file, whatever is written in it.
    let whole = option != "--model" || !has_parts(&bytes);
    let (option, path, digest) = (option.to_owned(), path.to_path_buf(), Digest::of(&bytes));
    Ok(GivenFile { option, path, bytes: bytes.len() as u64, blake3: digest.to_string(), whole })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use oculist_data::OpenOptions;
    use oculist_data::fixture::{class_image, write_class_folders, write_image};

    use super::*;

    fn read(settings: &Settings, folder: &Path, before: Option<&Inputs>) -> Inputs {
        let dataset = Dataset::open(&folder.display().to_string(), &OpenOptions::default()).unwrap();
        let watch = &mut Watch { observer: &mut |_| {}, stop: &AtomicBool::new(false) };
        Inputs::read(settings, &dataset, before, watch).unwrap()
    }

    #[test]
    fn the_files_given_and_the_images_are_told_apart_by_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (data, model) = (dir.path().join("photos"), dir.path().join("m.onnx"));
        write_class_folders(&data, "", 2, 12, 8).unwrap();
        std::fs::write(&model, "one").unwrap();
        let settings = Settings { model: Some(model.clone()), ..Settings::default() };
        let inputs = read(&settings, &data, None);
        assert_eq!(Inputs::from_lines(&inputs.to_lines()).unwrap(), inputs);
        assert_eq!(read(&settings, &data, Some(&inputs)).digest(), inputs.digest());
        assert_eq!(inputs.changes(&read(&settings, &data, None)), None);
        std::fs::write(&model, "two").unwrap();
        let now = read(&settings, &data, None);
        assert_ne!(now.digest(), inputs.digest());
        assert_eq!(
            inputs.changes(&now),
            Some(format!("{} has other content", set_to("model", model.display())))
        );
        let moved = dir.path().join("moved.onnx");
        std::fs::write(&moved, "two").unwrap();
        let elsewhere = read(&Settings { model: Some(moved.clone()), ..Settings::default() }, &data, None);
        assert_eq!(now.changes(&elsewhere), None, "the same in another place");
        let than = format!(" has other content than {}", model.display());
        assert_eq!(inputs.changes(&elsewhere), Some(set_to("model", moved.display()) + &than));
        // More than a few are counted. None is a copy of another, which would be kept on its side of the splits.
        for i in 0..5 {
            write_image(&data.join(format!("class0/{i}.png")), &class_image(0, 8, 3, 100 + i)).unwrap();
        }
        let text = inputs.changes(&read(&settings, &data, Some(&inputs))).unwrap();
        assert!(text.contains("class0/0.png has other content") && text.ends_with("; and 3 more"), "{text}");
    }

    #[test]
    fn a_file_is_told_apart_by_its_content_where_that_is_all() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("photos");
        write_class_folders(&data, "", 2, 12, 8).unwrap();
        let with = |model: Option<&str>, pipeline: Option<&str>| {
            let file = |name: &str, text: &str| {
                let path = dir.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            };
            let settings = Settings {
                model: model.map(|text| file("m.onnx", text)),
                augmentation: pipeline.map(|text| file("p.json", text)),
                ..Settings::default()
            };
            read(&settings, &data, None)
        };
        let both = with(Some("one"), Some("{\"steps\": []}"));
        assert_eq!(both.by_content(&with(Some("two"), Some("{}"))), ["model", "augmentation"]);
        assert_eq!(both.by_content(&with(None, Some("{}"))), ["augmentation"]);
        assert!(with(None, None).by_content(&both).is_empty(), "whether there is one is a setting");
        // The weights lie in other files, which the digest does not cover.
        for several in ["{\"weight_map\": {}}", "\u{8}\u{8}: location: weights.bin"] {
            assert_eq!(both.by_content(&with(Some(several), Some("{}"))), ["augmentation"], "{several}");
        }
        // A run of an older version has no word on that, and the file of now is as good.
        let old = Inputs::from_lines(&both.to_lines().replace(",\"whole\":true", "")).unwrap();
        assert_eq!(old.by_content(&both), ["model", "augmentation"]);
        assert_ne!(old, both);
    }
}
