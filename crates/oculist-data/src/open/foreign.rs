//! Formats that are common but not read here, recognised so that the error can name them.
//!
//! Read as class folders, an export of detection boxes would have the classes `Annotations` and `JPEGImages`, and the
//! error about them would say nothing that helps.

use crate::Error;
use std::path::Path;

/// What works for boxes.
const BOXES: &str = "export it as COCO (boxes are cut out, categories are the classes), or give the images in class folders \
                     or a CSV with file_name and label";
/// What works for an archive.
const UNPACK: &str = "unpack it and give the folder";
/// How many files of a folder are looked at.
const LOOKED_AT: usize = 50;

/// The error for a folder in such a format.
pub(super) fn folder(path: &Path) -> Option<Error> {
    let error = |format, found: &str| {
        Some(Error::Foreign { path: path.into(), format, found: found.into(), instead: BOXES })
    };
    let has = |name: &str| path.join(name).exists();
    if holds(&path.join("Annotations"), "xml", is_markup) && has("JPEGImages") {
        return error("a Pascal VOC data set", "Annotations/*.xml beside JPEGImages");
    }
    if path.join("annotations.xml").is_file() {
        return error("an export of CVAT for images", "annotations.xml");
    }
    if has("obj.data") || has("obj_train_data") {
        return error("a YOLO (Darknet) data set", "obj.data, obj_train_data");
    }
    // `images/` and `labels/`, perhaps with the splits in between, or the same within each split.
    for labels in
        ["labels", "labels/train", "labels/val", "train/labels", "valid/labels", "val/labels", "test/labels"]
    {
        let folder = path.join(labels);
        let images = path.join(labels.replace("labels", "images"));
        if images.is_dir() && holds(&folder, "txt", is_boxes) {
            return error("a YOLO data set", &format!("boxes in {labels}/*.txt beside images"));
        }
    }
    if holds(path, "xml", is_markup) && (has("images") || !has_folders(path)) {
        return error("a data set with an XML file for each image, as Pascal VOC has them", "*.xml");
    }
    if holds(path, "txt", is_boxes) && !has_folders(path) {
        return error("a YOLO data set", "boxes in *.txt beside the images");
    }
    None
}

/// The error for a file in such a format.
pub(super) fn file(path: &Path) -> Option<Error> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().find(|end| name.ends_with(*end)).map(|end| (*end).to_owned());
    let error = |format, found, instead| Some(Error::Foreign { path: path.into(), format, found, instead });
    if let Some(end) = ends(&[".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar"]) {
        return error("a packed archive", end, UNPACK);
    }
    if let Some(end) = ends(&[".xml"]) {
        return error("annotations as Pascal VOC or CVAT write them", end, BOXES);
    }
    if let Some(end) = ends(&[".yaml", ".yml"]) {
        return error("the description of a YOLO data set", end, BOXES);
    }
    if let Some(end) = ends(&[
        ".arrow",
        ".feather",
        ".tfrecord",
        ".tfrecords",
        ".h5",
        ".hdf5",
        ".mat",
        ".npz",
        ".npy",
        ".pkl",
    ]) {
        let instead = "export it as class folders, a CSV with file_name and label, or Parquet";
        return error("data of another library", end, instead);
    }
    if let Some(end) = ends(&[".xlsx", ".xls", ".ods"]) {
        return error("a spreadsheet", end, "save it as CSV with the columns file_name and label");
    }
    None
}

/// True if the folder has a file of this ending whose beginning is as it should be; hidden files do not count.
fn holds(folder: &Path, extension: &str, begins_so: impl Fn(&str) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort_unstable();
    let wanted = |path: &&std::path::PathBuf| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) && path.is_file()
    };
    names
        .iter()
        .filter(wanted)
        .take(LOOKED_AT)
        .any(|path| beginning(path).is_some_and(|text| begins_so(&text)))
}

/// Some bytes from the beginning of a file as text.
fn beginning(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    oculist_files::open(path).ok()?.take(256).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_markup(text: &str) -> bool {
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
}

/// True for a first line of a class number and at least four coordinates.
fn is_boxes(text: &str) -> bool {
    let Some(line) = text.lines().find(|line| !line.trim().is_empty()) else { return false };
    let words: Vec<&str> = line.split_whitespace().collect();
    words.len() >= 5
        && words[0].parse::<u32>().is_ok()
        && words[1..5].iter().all(|w| w.parse::<f64>().is_ok())
}

/// True if there is a folder that is not hidden.
fn has_folders(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries
        .filter_map(Result::ok)
        .any(|entry| entry.path().is_dir() && !entry.file_name().to_string_lossy().starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the error says of a folder with these files.
    fn said(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder(dir.path()).map(|error| error.to_string())
    }

    #[test]
    fn exports_of_boxes_are_named_with_what_would_work() {
        let voc =
            [("Annotations/1.xml", "<annotation>"), ("JPEGImages/1.jpg", ""), ("ImageSets/Main/a.txt", "1")];
        let cvat = [("annotations.xml", "<?xml version=\"1.0\"?>"), ("images/1.jpg", "")];
        let boxes = "0 0.5 0.5 0.25 0.25\n";
        let yolo = [("images/train/1.jpg", ""), ("labels/train/1.txt", boxes), ("data.yaml", "nc: 2")];
        let flat = [("images/1.jpg", ""), ("labels/1.txt", boxes)];
        let roboflow = [("train/images/1.jpg", ""), ("train/labels/1.txt", boxes)];
        let cases: [(&[(&str, &str)], &str); 6] = [
            (&voc, "Pascal VOC"),
            (&cvat, "CVAT"),
            (&yolo, "YOLO"),
            (&flat, "YOLO"),
            (&roboflow, "YOLO"),
            (&[("1.jpg", ""), ("1.xml", "\u{feff}<annotation/>")], "Pascal VOC"),
        ];
        for (files, format) in cases {
            let text = said(files).unwrap_or_else(|| panic!("{format} is not recognised"));
            assert!(
                text.contains(format) && text.contains("COCO") && text.contains("class folders"),
                "{text}"
            );
        }
    }

    #[test]
    fn class_folders_of_such_names_are_none_of_them() {
        assert_eq!(said(&[("images/1.jpg", ""), ("labels/1.jpg", "")]), None);
        assert_eq!(said(&[("images/1.jpg", ""), ("labels/1.txt", "a photo of a label")]), None);
        assert_eq!(said(&[("Annotations/1.jpg", ""), ("JPEGImages/1.jpg", "")]), None);
        assert_eq!(said(&[("cat/1.jpg", ""), ("dog/1.jpg", ""), ("notes.xml", "<a/>")]), None);
    }

    #[test]
    fn files_of_other_kinds_are_named() {
        for (name, word) in
            [("a.zip", "unpack"), ("b.tar.gz", "unpack"), ("c.XLSX", "CSV"), ("d.yaml", "YOLO")]
        {
            let text = file(Path::new(name)).unwrap().to_string();
            assert!(text.contains(word), "{text}");
        }
        assert!(file(Path::new("model.onnx")).is_none());
    }
}
