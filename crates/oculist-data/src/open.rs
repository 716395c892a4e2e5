//! From what the user named to a data set.

mod demo;
mod folder;
mod idx_folder;

use crate::error::{Error, Result};
use crate::{Dataset, OpenOptions};
use std::path::Path;

/// Where Debian's package `dataset-fashion-mnist` puts its files.
const FASHION_MNIST_FOLDER: &str = "/usr/share/datasets/fashion-mnist";

/// The classes of Fashion-MNIST, by label.
const FASHION_MNIST_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

pub(crate) fn open(source: &str, options: &OpenOptions) -> Result<Dataset> {
    let mut dataset = match source {
        "demo" => demo::open(options)?,
        "fashion-mnist" => {
            let folder = options.data_dir.as_deref().unwrap_or(Path::new(FASHION_MNIST_FOLDER));
            existing_folder(folder)?;
            idx_folder::open(folder, Some(&FASHION_MNIST_CLASSES.map(str::to_owned)), options)?
        }
        path => open_path(Path::new(path), options)?,
    };
    source.clone_into(&mut dataset.source);
    Ok(dataset)
}

pub(crate) fn open_path(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    existing_folder(path)?;
    if idx_folder::is_idx_folder(path) {
        idx_folder::open(path, None, options)
    } else {
        folder::open(path, options)
    }
}

fn existing_folder(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotAFolder { path: path.into() }),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing { path: path.into() }),
        Err(source) => Err(Error::Io { path: path.into(), source }),
    }
}
