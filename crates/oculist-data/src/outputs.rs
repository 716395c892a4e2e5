//! Telling the program's own results from data.
//!
//! `oculist train .` in a folder of photos writes to `runs/train-.` there, and audits, previews and enlarged data sets lie
//! below `runs` as well. What is found beside images must then not be read as a class of them. A folder that holds images of
//! the user beside a result stays a folder of images, without the files of the result.

use crate::scan::named_like_an_image;
use std::io::Read as _;
use std::path::Path;

/// How much of a file is read to recognise it.
const HEAD: u64 = 64 << 10;

/// What `augment apply` writes.
pub(crate) const ENLARGED: &str = "an enlarged data set";

/// A file that tells a result by what its text holds, and what the result is.
const RESULTS: [(&str, &str, &str); 10] = [
    ("config.toml", "[preprocessing]", "a run"),
    ("summary.json", "\"oculist_version\"", "a run"),
    ("report-data.json", "\"oculist_version\"", "a run"),
    ("audit.json", "\"oculist_version\"", "an audit"),
    ("audit.html", "name=\"generator\" content=\"oculist ", "an audit"),
    ("augment-check.html", "<title>Augmentation check of ", "a check of augmentations"),
    ("preview.html", "<title>Augmentation of ", "a preview of augmentations"),
    ("augment.toml", "[preprocessing]", ENLARGED),
    // One that has just begun holds nothing else.
    (oculist_files::LOCK_FILE, "", "a result"),
    // One whose files were taken away or were never finished.
    (oculist_files::RESULT_MARK, "", "a result"),
];

/// Files that results hold beside those that tell them, in lower case.
const PARTS: [&str; 14] = [
    "report.html",
    "settings.toml",
    "inputs.jsonl",
    ".inputs.jsonl",
    "metrics.csv",
    "predictions.csv",
    "model.onnx",
    "model.int8.onnx",
    "baseline.onnx",
    "augment-check.json",
    "manifest.jsonl",
    "preview.png",
    "checkpoints",
    "candidates",
];
/// Folders below a result are looked through for images so deep.
const DEEP: usize = 4;

/// What result of the program the folder holds, in words; None for all other folders.
pub(crate) fn output_in(folder: &Path) -> Option<&'static str> {
    let holds = |name: &str, text: &str| {
        let Ok(file) = oculist_files::open(folder.join(name)) else { return false };
        let mut head = Vec::new();
        let read = file.take(HEAD).read_to_end(&mut head);
        read.is_ok() && String::from_utf8_lossy(&head).to_lowercase().contains(&text.to_lowercase())
    };
    RESULTS.iter().find(|(name, text, _)| holds(name, text)).map(|&(.., what)| what)
}

/// What a folder is that holds a result and nothing else; None for one that holds images of its own as well, which are the
/// user's. A folder that oculist made itself bears a mark, and all that lies in it is of the result.
pub(crate) fn only_output_in(folder: &Path) -> Option<&'static str> {
    let what = output_in(folder)?;
    let whole = what == ENLARGED || folder.join(oculist_files::RESULT_MARK).is_file();
    (whole || !has_images(folder, DEEP)).then_some(what)
}

/// True for a name that a result has for a file or a folder in it.
pub(crate) fn is_part(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    PARTS.contains(&name.as_str()) || RESULTS.iter().any(|(file, ..)| *file == name)
}

/// Whether there are files named like images in a folder or below it that are not those of a result.
fn has_images(folder: &Path, deep: usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let (folders, files): (Vec<_>, Vec<_>) =
        paths.filter(|path| !is_part(path) && !is_hidden(path)).partition(|path| path.is_dir());
    files.iter().any(|path| named_like_an_image(path))
        || deep > 0 && folders.iter().any(|path| only_output_in(path).is_none() && has_images(path, deep - 1))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().unwrap_or_default().to_string_lossy().starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_result_and_images_of_its_own_is_not_only_a_result() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let both = || (output_in(dir.path()), only_output_in(dir.path()));
        write("preview.png", "");
        assert_eq!(both(), (None, None));
        write("preview.html", "<title>Augmentation of x</title>");
        let preview = Some("a preview of augmentations");
        assert_eq!(both(), (preview, preview));
        write("kept/1.jpg", "");
        assert_eq!(both(), (preview, None));
        std::fs::rename(dir.path().join("kept"), dir.path().join("checkpoints")).unwrap();
        assert_eq!(both(), (preview, preview));
        write("2.PNG", "");
        assert_eq!(both(), (preview, None));
        // Made by the program: what the result held is known even where its files are gone.
        std::fs::remove_file(dir.path().join("preview.html")).unwrap();
        write(oculist_files::RESULT_MARK, "augment preview\n");
        assert_eq!(both(), (Some("a result"), Some("a result")));
    }
}
