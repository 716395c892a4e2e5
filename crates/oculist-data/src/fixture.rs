//! Small data sets written to disk, for tests of this and other crates.

use crate::error::{Error, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use oculist_augment::{Image, Rng};
use std::io::Write;
use std::path::Path;

/// Writes images of 1 channel as an IDX file, gzipped if the name ends in `.gz`.
///
/// # Errors
/// The operating system's.
pub fn write_idx_images(path: &Path, width: usize, height: usize, pixels: &[u8]) -> Result<()> {
    let count = pixels.len() / (width * height);
    write_idx(path, 0x0803, &[count as u32, height as u32, width as u32], pixels)
}

/// Writes labels as an IDX file, gzipped if the name ends in `.gz`.
///
/// # Errors
/// The operating system's.
pub fn write_idx_labels(path: &Path, labels: &[u8]) -> Result<()> {
    write_idx(path, 0x0801, &[labels.len() as u32], labels)
}

/// Writes an IDX file with any header, right or wrong.
///
/// # Errors
/// The operating system's.
pub fn write_idx(path: &Path, magic: u32, sizes: &[u32], data: &[u8]) -> Result<()> {
    let mut bytes = magic.to_be_bytes().to_vec();
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend_from_slice(data);
    if path.extension().is_some_and(|end| end == "gz") {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        bytes = encoder.write_all(&bytes).and_then(|()| encoder.finish()).map_err(Error::io(path))?;
    }
    std::fs::write(path, bytes).map_err(Error::io(path))
}

/// Writes an image in the format that the file's name says (`.png`, `.jpg`, `.bmp`, ...).
///
/// # Errors
/// The operating system's, or an unknown ending.
pub fn write_image(path: &Path, image: &Image) -> Result<()> {
    let color = match image.channels() {
        1 => image::ColorType::L8,
        3 => image::ColorType::Rgb8,
        _ => image::ColorType::Rgba8,
    };
    image::save_buffer(path, image.pixels(), image.width() as u32, image.height() as u32, color)
        .map_err(|err| Error::Io { path: path.into(), source: std::io::Error::other(err) })
}

/// A picture that shows its class: a bright square whose place depends on the class, on noise by the seed.
///
/// # Panics
/// For a side of 0 or channels other than 1, 3 or 4.
pub fn class_image(class: usize, side: usize, channels: usize, seed: u64) -> Image {
    let mut rng = Rng::keyed(&[0x4649_5854, seed, class as u64]);
    let mut pixels: Vec<u8> = (0..side * side * channels).map(|_| 40 + rng.below(60) as u8).collect();
    let (cell, square) = (side.div_ceil(3), side.div_ceil(3));
    let (left, top) = ((class % 3) * cell, (class / 3 % 3) * cell);
    for y in top..(top + square).min(side) {
        for x in left..(left + square).min(side) {
            let at = (y * side + x) * channels;
            pixels[at..at + channels].fill(180 + rng.below(60) as u8);
        }
    }
    match Image::new(side, side, channels, pixels) {
        Ok(image) => image,
        Err(err) => panic!("{err}"),
    }
}

/// Writes `<root>/<folder>/class<c>/<i>.png` with [`class_image`]s: `folder` is `train`, or empty for an
/// unsplit folder.
///
/// # Errors
/// The operating system's.
pub fn write_class_folders(
    root: &Path,
    folder: &str,
    classes: usize,
    per_class: usize,
    side: usize,
) -> Result<()> {
    for class in 0..classes {
        let path = root.join(folder).join(format!("class{class}"));
        std::fs::create_dir_all(&path).map_err(Error::io(&path))?;
        for i in 0..per_class {
            write_image(&path.join(format!("{i}.png")), &class_image(class, side, 3, i as u64))?;
        }
    }
    Ok(())
}
