//! Writes the embedded demo set: the first images of each class of Fashion-MNIST, as gzipped IDX files.
//!
//! `cargo run --release -p oculist-data --example make_demo -- [FASHION_MNIST_FOLDER [OUTPUT_FOLDER]]`
//!
//! The training images come from the training files, the test images from the test files, in their order,
//! so the result depends on nothing but its input and the compressor.

use flate2::{Compression, GzBuilder};
use oculist_data::{read_idx_images, read_idx_labels};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};

const CLASSES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let input = arguments.next().unwrap_or_else(|| "/usr/share/datasets/fashion-mnist".into());
    let output = arguments.next().unwrap_or_else(|| [env!("CARGO_MANIFEST_DIR"), "demo"].iter().collect());
    std::fs::create_dir_all(&output)?;
    let mut total = part(&input, &output, "train", 1000)?;
    total += part(&input, &output, "t10k", 200)?;
    println!("{total} bytes in {}", output.display());
    Ok(())
}

/// Writes `per_class` images of each class and their labels; returns the bytes written.
fn part(input: &Path, output: &Path, prefix: &str, per_class: usize) -> Result<usize, Box<dyn Error>> {
    let images_name = format!("{prefix}-images-idx3-ubyte.gz");
    let labels_name = format!("{prefix}-labels-idx1-ubyte.gz");
    let images = read_idx_images(&input.join(&images_name))?;
    let labels = read_idx_labels(&input.join(&labels_name))?;
    let mut taken = [0; CLASSES];
    let (mut pixels, mut kept) = (Vec::new(), Vec::new());
    for (image, &label) in images.pixels.chunks_exact(images.width * images.height).zip(&labels) {
        let taken = &mut taken[usize::from(label)];
        if *taken < per_class {
            *taken += 1;
            pixels.extend_from_slice(image);
            kept.push(label);
        }
    }
    if taken != [per_class; CLASSES] {
        return Err(format!("{images_name}: found {taken:?} images by class, need {per_class} each").into());
    }
    let sizes = [kept.len() as u32, images.height as u32, images.width as u32];
    Ok(write(&output.join(images_name), 0x0803, &sizes, &pixels)?
        + write(&output.join(labels_name), 0x0801, &sizes[..1], &kept)?)
}

/// Writes one IDX file; no name and time in the gzip header, so that equal input gives equal files.
fn write(path: &Path, magic: u32, sizes: &[u32], data: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(&magic.to_be_bytes())?;
    for size in sizes {
        encoder.write_all(&size.to_be_bytes())?;
    }
    encoder.write_all(data)?;
    let bytes = encoder.finish()?;
    std::fs::write(path, &bytes)?;
    Ok(bytes.len())
}
