//! The embedded data set: a stratified part of Fashion-MNIST.
//!
//! The files in the crate's `demo` folder are IDX files as any others, made by the example `make_demo`.

use super::FASHION_MNIST_CLASSES;
use super::idx_folder::{Names, Pair, build};
use crate::error::Result;
use crate::idx::{parse_images, parse_labels};
use crate::{Dataset, OpenOptions};
use std::path::Path;

macro_rules! embedded {
    ($name:literal) => {
        (concat!("demo/", $name), include_bytes!(concat!("../../demo/", $name)))
    };
}

fn pair(images: (&str, &[u8]), labels: (&str, &[u8])) -> Result<Pair> {
    let (images_path, labels_path) = (Path::new(images.0), Path::new(labels.0));
    let parsed = parse_images(images_path, images.1)?;
    Pair::new(images_path.into(), parsed, labels_path.into(), &parse_labels(labels_path, labels.1)?)
}

pub(super) fn open(options: &OpenOptions) -> Result<Dataset> {
    let train = pair(embedded!("train-images-idx3-ubyte.gz"), embedded!("train-labels-idx1-ubyte.gz"))?;
    let test = pair(embedded!("t10k-images-idx3-ubyte.gz"), embedded!("t10k-labels-idx1-ubyte.gz"))?;
    let names = Names::FromZero(FASHION_MNIST_CLASSES.map(str::to_owned).to_vec());
    build(Path::new("demo"), Some(train), Some(test), names, options)
}
