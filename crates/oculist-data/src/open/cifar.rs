//! The binary version of CIFAR-10 and CIFAR-100.
//!
//! # Source
//! Krizhevsky's description: each record is one label byte (CIFAR-10) or a coarse and a fine one (CIFAR-100),
//! then 1024 bytes of red, of green and of blue, each 32 rows of 32. The fine labels are the classes.

use super::idx_folder::{Names, Pair, build};
use crate::error::{Error, Result};
use crate::idx::IdxImages;
use crate::limits::{MAX_NAMES, open_bounded, read_text};
use crate::{Dataset, OpenOptions, Purpose};
use std::io::Read;
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

/// Which of the two.
struct Kind {
    label_bytes: usize,
    names: &'static str,
    test: &'static str,
}

const TEN: Kind = Kind { label_bytes: 1, names: "batches.meta.txt", test: "test_batch.bin" };
const HUNDRED: Kind = Kind { label_bytes: 2, names: "fine_label_names.txt", test: "test.bin" };

fn kind_of(folder: &Path) -> Option<&'static Kind> {
    let has = |name: &str| folder.join(name).is_file();
    if has("test_batch.bin") || (1..=9).any(|i| has(&format!("data_batch_{i}.bin"))) {
        Some(&TEN)
    } else if has("train.bin") || has(HUNDRED.names) {
        Some(&HUNDRED)
    } else {
        None
    }
}

/// True if any of the files of the binary version is there, or those of the Python version.
pub(super) fn is_cifar_folder(folder: &Path) -> bool {
    kind_of(folder).is_some() || is_python_version(folder)
}

fn is_python_version(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("batches.meta") && has("data_batch_1") || has("meta") && has("train") && has("test")
}

pub(super) fn open(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let Some(kind) = kind_of(folder) else {
        return Err(Error::Layout {
            path: folder.into(),
            expected: "the binary version of CIFAR (data_batch_1.bin or train.bin)".into(),
            found: "the Python version (pickled files)".into(),
        });
    };
    let names_path = folder.join(kind.names);
    if !names_path.exists() {
        return Err(Error::Missing { path: names_path });
    }
    let names = read_text(&names_path, MAX_NAMES, "a list of class names")?;
    let names: Vec<String> =
        names.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let train_files = if kind.label_bytes == 1 { batches(folder) } else { vec![folder.join("train.bin")] };
    let mut budget = options.max_encoded_bytes;
    // A model can be measured on the test file alone.
    let absent = options.purpose == Purpose::Evaluate && !train_files.iter().any(|path| path.is_file());
    let train = if absent {
        None
    } else {
        let (mut labels, mut pixels) = (Vec::new(), Vec::new());
        for path in &train_files {
            read(path, kind, &mut budget, &mut labels, &mut pixels)?;
        }
        let one = train_files.len() == 1;
        let shown = if one { train_files[0].clone() } else { folder.join("data_batch_*.bin") };
        Some(pair(shown, &labels, pixels)?)
    };
    let test_path = folder.join(kind.test);
    let test = if test_path.is_file() {
        let (mut labels, mut pixels) = (Vec::new(), Vec::new());
        read(&test_path, kind, &mut budget, &mut labels, &mut pixels)?;
        Some(pair(test_path, &labels, pixels)?)
    } else {
        None
    };
    build(folder, train, test, Names::FromZero(names), options)
}

/// `data_batch_1.bin` up to the last one there, so that one missing in between is an error; at least the first.
fn batches(folder: &Path) -> Vec<PathBuf> {
    let path = |i: usize| folder.join(format!("data_batch_{i}.bin"));
    let last = (1..=99).rev().find(|&i| path(i).is_file()).unwrap_or(1);
    (1..=last).map(path).collect()
}

fn pair(path: PathBuf, labels: &[u8], pixels: Vec<u8>) -> Result<Pair> {
    let images = IdxImages { width: SIDE, height: SIDE, channels: 3, count: labels.len(), pixels };
    Pair::new(path.clone(), images, path, labels)
}

/// Appends the records of one file: planes become interleaved pixels.
fn read(
    path: &Path,
    kind: &Kind,
    budget: &mut u64,
    labels: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
) -> Result<()> {
    if !path.exists() {
        return Err(Error::Missing { path: path.into() });
    }
    let (file, len) =
        open_bounded(path, *budget, "images in memory (max_encoded_bytes, --max-image-bytes), in all,")?;
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes).map_err(Error::io(path))?;
    *budget -= len;
    let record = kind.label_bytes + 3 * PLANE;
    if bytes.is_empty() || bytes.len() % record != 0 {
        return Err(Error::Layout {
            path: path.into(),
            expected: format!("a whole number of records of {record} bytes"),
            found: format!(
                "{} bytes ({} and {} more)",
                bytes.len(),
                bytes.len() / record,
                bytes.len() % record
            ),
        });
    }
    pixels.reserve(bytes.len() / record * 3 * PLANE);
    for record in bytes.chunks_exact(record) {
        let (label, planes) = record.split_at(kind.label_bytes);
        labels.push(label[kind.label_bytes - 1]);
        for i in 0..PLANE {
            pixels.extend([planes[i], planes[PLANE + i], planes[2 * PLANE + i]]);
        }
    }
    Ok(())
}
