//! The table of sources: how each is recognised and opened. A new one is a row here.

use super::{cifar, coco, folder, idx_folder, listed, metadata, parquet, tar_shards};
use crate::error::Result;
use crate::layout::Layout;
use crate::manifest::is_manifest;
use crate::{Dataset, Exclude, OpenOptions, Split};
use std::path::Path;

/// One kind of source.
pub(super) struct Source {
    /// What it is called.
    pub(super) layout: Layout,
    /// Whether a folder is one, by the files in it.
    pub(super) is_folder: fn(&Path, &Exclude) -> bool,
    pub(super) open_folder: fn(&Path, &OpenOptions) -> Result<Dataset>,
    /// Whether a file is one, by its name.
    pub(super) is_file: fn(&Path) -> bool,
    pub(super) open_file: fn(&Path, &OpenOptions) -> Result<Dataset>,
    /// Whether its images may have several labels.
    pub(super) several_labels: bool,
    /// Whether its images have names of their own, which patterns may fit.
    pub(super) named: bool,
}

/// All sources, in the order in which they are offered. Class folders are what a folder is taken for where it is nothing else,
/// so they are recognised by nothing.
pub(super) const SOURCES: [Source; 9] = [
    Source { open_folder: |path, options| folder::open(path, Some(Layout::Classes), options), ..FOLDERS },
    Source {
        layout: Layout::Splits,
        open_folder: |path, options| folder::open(path, Some(Layout::Splits), options),
        ..FOLDERS
    },
    Source {
        layout: Layout::Inner,
        open_folder: |path, options| folder::open(path, Some(Layout::Inner), options),
        ..FOLDERS
    },
    Source {
        layout: Layout::Metadata,
        is_folder: |path, _| metadata::is_metadata_folder(path),
        open_folder: metadata::open,
        is_file: is_manifest,
        open_file: listed::open,
        several_labels: true,
        ..FOLDERS
    },
    Source {
        layout: Layout::Idx,
        is_folder: |path, _| idx_folder::is_idx_folder(path),
        open_folder: |path, options| idx_folder::open(path, None, options),
        named: false,
        ..FOLDERS
    },
    Source {
        layout: Layout::Cifar,
        is_folder: |path, _| cifar::is_cifar_folder(path),
        open_folder: cifar::open,
        named: false,
        ..FOLDERS
    },
    Source {
        layout: Layout::Coco,
        is_folder: coco::is_coco_folder,
        open_folder: coco::open_folder,
        is_file: |path| has_extension(path, "json"),
        open_file: coco::open_file,
        several_labels: true,
        ..FOLDERS
    },
    Source {
        layout: Layout::Tar,
        is_folder: tar_shards::is_tar_folder,
        open_folder: tar_shards::open_folder,
        is_file: |path| has_extension(path, "tar"),
        open_file: |path, options| tar_shards::open(path, &[path.to_path_buf()], &[Split::Train], options),
        several_labels: true,
        ..FOLDERS
    },
    Source {
        layout: Layout::Parquet,
        is_folder: parquet::is_parquet_folder,
        open_folder: parquet::open_folder,
        is_file: |path| has_extension(path, "parquet"),
        open_file: |path, options| parquet::open(path, &[path.to_path_buf()], &[Split::Train], options),
        named: false,
        ..FOLDERS
    },
];

/// Class folders: what the rows say where they say nothing else.
const FOLDERS: Source = Source {
    layout: Layout::Classes,
    is_folder: |_, _| false,
    open_folder: |path, options| folder::open(path, None, options),
    is_file: |_| false,
    open_file: |path, _| Err(crate::Error::NotAFolder { path: path.into() }),
    several_labels: false,
    named: true,
};

impl Source {
    /// The source of a layout.
    pub(super) fn of(layout: Layout) -> &'static Self {
        // A test looks for every layout.
        SOURCES.iter().find(|source| source.layout == layout).unwrap_or(&SOURCES[0])
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_has_its_row_in_the_order_of_all() {
        let rows: Vec<Layout> = SOURCES.iter().map(|source| source.layout).collect();
        assert_eq!(rows.len(), Layout::ALL.len());
        for layout in Layout::ALL {
            assert_eq!(Source::of(layout).layout, layout);
        }
    }

    #[test]
    fn a_file_is_of_one_source_at_most() {
        for name in ["a.csv", "a.jsonl", "a.TAR", "a.parquet", "a.json", "a.txt", "a"] {
            let fitting = SOURCES.iter().filter(|source| (source.is_file)(Path::new(name))).count();
            assert!(fitting <= 1, "{name}");
        }
    }
}
