//! Formats that are common but not read here, recognised so that the error can name them.
//!
//! Read as class folders, an export of detection boxes would have the classes `Annotations` and `JPEGImages`, and the
//! error about them would say nothing that helps.

use super::assemble::file_name;
use crate::Error;
use crate::split_name::split_of_folder;
use std::path::{Path, PathBuf};

/// What works for boxes.
const BOXES: &str = "export it as COCO (boxes are cut out, categories are the classes), or give the images in class folders \
                     or a CSV with file_name and label";
/// What works for an archive.
const UNPACK: &str = "unpack it and give the folder";
/// How many files or folders of a folder are looked at.
const LOOKED_AT: usize = 50;
/// How many folders further down a format may begin.
const DEEPEST: usize = 2;

/// The error for a folder in such a format, which may also begin a few folders further down (`VOCdevkit/VOC2007`).
pub(super) fn folder(path: &Path) -> Option<Error> {
    let (format, found, instead) = annotations_in(path)?;
    Some(Error::Foreign { path: path.into(), format, found, instead })
}

/// The format, what it was recognised by, and what would work.
type Recognised = (&'static str, String, String);

fn annotations_in(path: &Path) -> Option<Recognised> {
    at(path).or_else(|| in_splits(path)).or_else(|| inside(path, DEEPEST))
}

/// The same in the folders within.
fn inside(path: &Path, deepest: usize) -> Option<Recognised> {
    let all = folders(path);
    // Class folders are class folders, whatever they hold beside pictures.
    let may_hold = |folder: &&PathBuf| {
        let name = file_name(folder).to_lowercase();
        all.len() == 1 || name.starts_with("voc") || split_of_folder(&name).is_some()
    };
    let within = |folder: &Path| {
        let of_format = voc(folder).or_else(|| in_splits(folder)).or_else(|| pictures_beside(folder));
        of_format.or_else(|| if deepest > 1 { inside(folder, deepest - 1) } else { None })
    };
    all.iter().filter(may_hold).take(LOOKED_AT).find_map(|folder| {
        let (format, found, instead) = within(folder)?;
        Some((format, format!("{}: {found}", file_name(folder)), instead))
    })
}

/// The formats that begin in this folder.
fn at(path: &Path) -> Option<Recognised> {
    let recognised = |format, found: &str| Some((format, found.to_owned(), BOXES.to_owned()));
    let has = |name: &str| path.join(name).exists();
    if let Some(found) = voc(path) {
        return Some(found);
    }
    if path.join("annotations.xml").is_file() {
        return recognised("an export of CVAT for images", "annotations.xml");
    }
    if has("obj.data") || has("obj_train_data") {
        return recognised("a YOLO (Darknet) data set", "obj.data, obj_train_data");
    }
    // `images/` and `labels/`, perhaps with the splits in between, or the same within each split.
    for labels in
        ["labels", "labels/train", "labels/val", "train/labels", "valid/labels", "val/labels", "test/labels"]
    {
        let folder = path.join(labels);
        let images = path.join(labels.replace("labels", "images"));
        if images.is_dir() && holds(&folder, "txt", is_boxes) {
            return recognised("a YOLO data set", &format!("boxes in {labels}/*.txt beside images"));
        }
    }
    if (has("images") || folders(path).is_empty())
        && let Some((format, ending)) = beside_images(path)
    {
        return recognised(format, &format!("{ending} beside the images"));
    }
    pictures_beside(path)
}

fn voc(path: &Path) -> Option<Recognised> {
    let is = holds(&path.join("Annotations"), "xml", is_markup) && path.join("JPEGImages").exists();
    let found = "Annotations/*.xml beside JPEGImages".to_owned();
    is.then(|| ("a Pascal VOC data set", found, BOXES.to_owned()))
}

/// Splits whose images have their annotations beside them, with no class folders in between.
fn in_splits(path: &Path) -> Option<Recognised> {
    let all = folders(path);
    let splits = all.iter().all(|folder| split_of_folder(&file_name(folder)).is_some());
    let flat = |folder: &&PathBuf| folders(folder).is_empty();
    let of = |folder: &PathBuf| {
        let (format, ending) = beside_images(folder)?;
        let found = format!("{ending} beside the images in {}", file_name(folder));
        Some((format, found, BOXES.to_owned()))
    };
    if splits { all.iter().filter(flat).find_map(of) } else { None }
}

/// Annotations beside images: the ending, the files, the format and what tells them by their first bytes.
type Beside = (&'static str, &'static str, &'static str, fn(&str) -> bool);

/// A file of annotations for each image, in the folder of the images: the format and the files.
fn beside_images(path: &Path) -> Option<(&'static str, &'static str)> {
    let formats: [Beside; 3] = [
        ("xml", "*.xml", "a data set with an XML file for each image, as Pascal VOC has them", is_markup),
        ("txt", "*.txt", "a YOLO data set (boxes)", is_boxes),
        ("json", "*.json", "a LabelMe data set (a JSON file with shapes for each image)", is_shapes),
    ];
    let found = formats.into_iter().find(|(ending, _, _, is)| holds(path, ending, is));
    found.map(|(_, files, format, _)| (format, files))
}

/// A folder of pictures beside one of annotations, which hold one file for each picture (Stanford Dogs, Oxford Pets).
fn pictures_beside(path: &Path) -> Option<Recognised> {
    let all = folders(path);
    let called =
        |names: &[&str]| all.iter().find(|folder| names.contains(&file_name(folder).to_lowercase().as_str()));
    let pictures = called(&["images", "image", "jpegimages", "img", "pictures", "photos"])?;
    let annotations = called(&["annotation", "annotations", "bounding_boxes", "xml", "xmls"])?;
    let sub = folders(annotations);
    let marked = |folder: &PathBuf| first_file(folder).is_some_and(|file| begins_so(&file, is_markup));
    if !marked(annotations) && !sub.iter().take(LOOKED_AT).any(marked) {
        return None;
    }
    let found = format!("{} beside {}", file_name(annotations), file_name(pictures));
    let classes = folders(pictures);
    let instead = if classes.len() > 1 {
        format!(
            "the folders in {0} look like classes: to classify by them, give {0} as the folder",
            pictures.display()
        )
    } else {
        BOXES.to_owned()
    };
    Some(("a data set with annotations for each image", found, instead))
}

/// The error for a file in such a format.
pub(super) fn file(path: &Path) -> Option<Error> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let ends = |ends: &[&str]| ends.iter().find(|end| name.ends_with(*end)).map(|end| (*end).to_owned());
    let error = |format, found, instead: &str| {
        Some(Error::Foreign { path: path.into(), format, found, instead: instead.to_owned() })
    };
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

/// The folders in a folder, sorted, without hidden ones.
fn folders(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let of = |entry: std::fs::DirEntry| {
        let (path, kind) = (entry.path(), entry.file_type().ok()?);
        let is = kind.is_dir() || kind.is_symlink() && path.is_dir();
        (is && !file_name(&path).starts_with('.')).then_some(path)
    };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| of(entry.ok()?)).collect();
    found.sort_unstable();
    found
}

/// The first regular file of a folder by its name, without hidden ones.
fn first_file(path: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(path).ok()?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|path| !file_name(path).starts_with('.') && path.is_file()).min()
}

/// True if the folder has a file of this ending whose beginning is as it should be; hidden files do not count.
fn holds(folder: &Path, extension: &str, begins_so: impl Fn(&str) -> bool) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    names.sort_unstable();
    let wanted = |path: &&std::path::PathBuf| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) && path.is_file()
    };
    names.iter().filter(wanted).take(LOOKED_AT).any(|path| self::begins_so(path, &begins_so))
}

fn begins_so(path: &Path, is: impl Fn(&str) -> bool) -> bool {
    beginning(path).is_some_and(|text| is(&text))
}

/// Some bytes from the beginning of a file as text.
fn beginning(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    oculist_files::open(path).ok()?.take(4096).read_to_end(&mut bytes).ok()?;
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

/// True for the beginning of LabelMe's JSON.
fn is_shapes(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('{') && (text.contains("\"shapes\"") || text.contains("\"imagePath\""))
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
        let nested = [
            ("VOCdevkit/VOC2007/Annotations/1.xml", "<annotation>"),
            ("VOCdevkit/VOC2007/JPEGImages/1.jpg", ""),
        ];
        let splits = [("train/1.jpg", ""), ("train/1.xml", "<annotation>"), ("valid/2.jpg", "")];
        let split_boxes = [("train/1.jpg", ""), ("train/1.txt", boxes), ("val/2.jpg", "")];
        let shapes = "{\"version\": \"5\", \"flags\": {}, \"shapes\": []}";
        let cases: [(&[(&str, &str)], &str); 12] = [
            (&nested, "Pascal VOC"),
            (&splits, "Pascal VOC"),
            (&split_boxes, "YOLO"),
            (&[("1.jpg", ""), ("1.json", shapes)], "LabelMe"),
            (&[("train/1.jpg", ""), ("train/1.json", shapes), ("test/2.jpg", "")], "LabelMe"),
            (
                &[("images/1.jpg", ""), ("annotations/xmls/1.xml", "<annotation>")],
                "annotations for each image",
            ),
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
    fn class_folders_beside_annotations_are_the_folder_to_give() {
        let files = [
            ("Images/n2-pug/1.jpg", ""),
            ("Images/n3-husky/2.jpg", ""),
            // Without an ending, as in Stanford Dogs.
            ("Annotation/n2-pug/1", "<annotation>"),
        ];
        let text = said(&files).unwrap();
        assert!(text.contains("Annotation beside Images") && text.contains("Images as the folder"), "{text}");
        assert_eq!(said(&[files[0], files[1], ("Annotation/n2-pug/1", "no markup")]), None);
    }

    #[test]
    fn class_folders_of_such_names_are_none_of_them() {
        assert_eq!(said(&[("images/1.jpg", ""), ("labels/1.jpg", "")]), None);
        assert_eq!(said(&[("images/1.jpg", ""), ("labels/1.txt", "a photo of a label")]), None);
        assert_eq!(said(&[("Annotations/1.jpg", ""), ("JPEGImages/1.jpg", "")]), None);
        assert_eq!(said(&[("cat/1.jpg", ""), ("dog/1.jpg", ""), ("notes.xml", "<a/>")]), None);
        // Class folders with annotations beside the pictures are class folders all the same.
        assert_eq!(said(&[("cat/1.jpg", ""), ("cat/1.xml", "<a/>"), ("dog/1.jpg", "")]), None);
        let split = [("train/cat/1.jpg", ""), ("train/cat/1.xml", "<a/>"), ("train/dog/1.jpg", "")];
        assert_eq!(said(&split), None);
        assert_eq!(said(&[("1.jpg", ""), ("1.json", "{\"images\": []}")]), None);
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
