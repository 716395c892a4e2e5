//! From what the user named to a data set.

mod assemble;
mod cifar;
mod coco;
mod demo;
mod folder;
mod foreign;
mod idx_folder;
mod listed;
mod metadata;
mod parquet;
mod tar_shards;

use crate::error::{Error, Result};
use crate::manifest::is_manifest;
use crate::{Dataset, OpenOptions, Split};
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
    let not_found = |err: std::io::Error| match err.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.into() },
        _ => Error::Io { path: path.into(), source: err },
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(err) => {
            let shards = tar_shards::expand(path)?.ok_or_else(|| not_found(err))?;
            let splits = vec![Split::Train; shards.len()];
            return tar_shards::open(path, &shards, &splits, options);
        }
    };
    if meta.is_dir() { open_folder(path, options) } else { open_file(path, options) }
}

/// A folder is what its files say; the first that fits decides.
fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    if idx_folder::is_idx_folder(path) {
        idx_folder::open(path, None, options)
    } else if cifar::is_cifar_folder(path) {
        cifar::open(path, options)
    } else if coco::is_coco_folder(path) {
        coco::open_folder(path, options)
    } else if tar_shards::is_tar_folder(path) {
        tar_shards::open_folder(path, options)
    } else if parquet::is_parquet_folder(path) {
        parquet::open_folder(path, options)
    } else if metadata::is_metadata_folder(path) {
        metadata::open(path, options)
    } else if let Some(error) = foreign::folder(path) {
        Err(error)
    } else {
        folder::open(path, options)
    }
}

/// A file is what its name says.
fn open_file(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    if is_manifest(path) {
        return listed::open(path, options);
    }
    let one = [path.to_path_buf()];
    match path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase().as_str() {
        "tar" => tar_shards::open(path, &one, &[Split::Train], options),
        "parquet" => parquet::open(path, &one, &[Split::Train], options),
        "json" => coco::open_file(path, options),
        _ => Err(foreign::file(path).unwrap_or_else(|| Error::NotAFolder { path: path.into() })),
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
