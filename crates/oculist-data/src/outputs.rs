//! Telling the program's own results from data.
//!
//! `oculist train .` in a folder of photos writes to `runs/train-.` there, and audits, previews and enlarged data sets lie
//! below `runs` as well. What is found beside images must then not be read as a class of them.

use std::io::Read as _;
use std::path::Path;

/// How much of a file is read to recognise it.
const HEAD: u64 = 64 << 10;

/// What `augment apply` writes.
pub(crate) const ENLARGED: &str = "an enlarged data set";

/// A file that tells a result by what its text holds, and what the result is.
const RESULTS: [(&str, &str, &str); 9] = [
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
];

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
