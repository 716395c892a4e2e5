//! Data sets on disk.

use std::path::Path;

use oculist_data::fixture::{class_image, write_class_folders, write_idx_images, write_idx_labels};

pub(crate) const CLASSES: usize = 3;
pub(crate) const PER_CLASS: usize = 40;
pub(crate) const SIDE: usize = 16;

/// `CLASS/*.png`, unsplit: a bright square whose place is the class.
pub(crate) fn class_folders(root: &Path) {
    write_class_folders(root, "", CLASSES, PER_CLASS, SIDE).expect("written images");
}

/// Cuts the end off a file.
pub(crate) fn cut_short(path: &Path) {
    let bytes = std::fs::read(path).expect("a file");
    std::fs::write(path, &bytes[..bytes.len() / 2]).expect("a shorter file");
}

/// Pixels and labels of a part of a grey data set; parts differ in their noise.
pub(crate) fn grey_images(per_class: usize, part: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for i in 0..per_class {
        for class in 0..CLASSES {
            pixels.extend_from_slice(class_image(class, SIDE, 1, part * 1000 + i as u64).pixels());
            labels.push(class as u8);
        }
    }
    (pixels, labels)
}

/// The four IDX files of a data set; `ending` is empty or `.gz`.
pub(crate) fn idx_folder(root: &Path, ending: &str) {
    std::fs::create_dir_all(root).expect("a folder");
    for (part, prefix, per_class) in [(1, "train", PER_CLASS), (2, "t10k", PER_CLASS / 4)] {
        let (pixels, labels) = grey_images(per_class, part);
        let images = root.join(format!("{prefix}-images-idx3-ubyte{ending}"));
        write_idx_images(&images, SIDE, SIDE, &pixels).expect("written images");
        let file = root.join(format!("{prefix}-labels-idx1-ubyte{ending}"));
        write_idx_labels(&file, &labels).expect("written labels");
    }
}
