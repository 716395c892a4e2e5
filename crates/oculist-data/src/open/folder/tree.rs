//! A folder with all that lies below it, from one walk.

use crate::error::Result;
use crate::{Exclude, Skipped, WalkedFile, natural_cmp_os, walk};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// A folder: its files and its folders, each in natural order.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) path: PathBuf,
    pub(crate) files: Vec<WalkedFile>,
    pub(crate) folders: Vec<Tree>,
    /// Whether something in it was passed over and named, so that it is not empty for the user.
    pub(crate) passed_over: bool,
}

/// A tree, and what the walk has to tell.
pub(crate) struct Read {
    pub(crate) tree: Tree,
    pub(crate) skipped: Vec<Skipped>,
    /// Whether links were followed.
    pub(crate) links: bool,
}

impl Tree {
    /// Walks through a folder.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(crate) fn read(root: &Path, exclude: &Exclude) -> Result<Read> {
        let found = walk(root, exclude)?;
        let mut tree = Self { path: root.into(), ..Self::default() };
        for folder in found.folders {
            if let Ok(below) = folder.strip_prefix(root) {
                tree.folder(below);
            }
        }
        for file in found.files {
            let below = file.path.parent().and_then(|folder| folder.strip_prefix(root).ok());
            if let Some(below) = below.map(Path::to_path_buf) {
                tree.folder(&below).files.push(file);
            }
        }
        for skip in &found.skipped {
            let below = skip.path.parent().and_then(|folder| folder.strip_prefix(root).ok());
            if let Some(below) = below.map(Path::to_path_buf) {
                tree.folder(&below).passed_over = true;
            }
        }
        tree.sort();
        Ok(Read { tree, skipped: found.skipped, links: found.links })
    }

    /// The folder at the end of a way down; made where it is not there.
    fn folder(&mut self, below: &Path) -> &mut Self {
        let mut at = self;
        for part in below.components() {
            let path = at.path.join(part);
            // The walk goes through one folder after the other, so that the one sought is nearly always the last.
            let known = at.folders.iter().rposition(|folder| folder.path == path);
            let index = known.unwrap_or_else(|| {
                at.folders.push(Self { path, ..Self::default() });
                at.folders.len() - 1
            });
            at = &mut at.folders[index];
        }
        at
    }

    fn sort(&mut self) {
        self.folders.sort_by(|a, b| natural_cmp_os(a.os_name(), b.os_name()));
        self.folders.iter_mut().for_each(Self::sort);
    }

    /// The last part of the path.
    pub(crate) fn os_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// The same, to be compared with the names of other folders.
    pub(crate) fn key(&self) -> OsString {
        self.os_name().to_owned()
    }

    /// The last part of the path as text.
    pub(crate) fn name(&self) -> String {
        self.os_name().to_string_lossy().into_owned()
    }

    /// Files that lie directly in it and may be images by their names.
    pub(crate) fn own_images(&self) -> usize {
        self.files.iter().filter(|file| may_be_an_image(&file.path)).count()
    }

    /// Files in it and below it that may be images by their names.
    pub(crate) fn images(&self) -> usize {
        self.own_images() + self.folders.iter().map(Self::images).sum::<usize>()
    }

    /// True if there is no file in it or below it.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.iter().all(Self::is_empty)
    }

    /// The folders with images in or below them.
    pub(crate) fn with_images(&self) -> Vec<&Self> {
        self.folders.iter().filter(|folder| folder.images() > 0).collect()
    }

    /// All files in it and below it, in the order of a walk: names in natural order, files and folders together.
    pub(crate) fn all_files(&self) -> Vec<&WalkedFile> {
        let mut all = Vec::new();
        self.collect(&mut all);
        all
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a WalkedFile>) {
        let name_of = |file: &'a WalkedFile| file.path.file_name().unwrap_or_default();
        let mut folders = self.folders.iter().peekable();
        for file in &self.files {
            let before = |folder: &&Self| natural_cmp_os(folder.os_name(), name_of(file)).is_lt();
            while let Some(folder) = folders.next_if(before) {
                folder.collect(all);
            }
            all.push(file);
        }
        folders.for_each(|folder| folder.collect(all));
    }
}

/// False for names of texts, tables, archives, programs and models; images often have no ending at all.
pub(crate) fn may_be_an_image(path: &Path) -> bool {
    const ENDINGS: &str = " txt md rst csv tsv json jsonl ndjson xml yaml yml toml ini cfg conf log html htm css js py ipynb \
        sh bat r m c h rs zip tar gz tgz bz2 xz 7z rar parquet arrow feather sqlite db pdf doc docx xls xlsx ppt pptx odt \
        npy npz h5 hdf5 mat pkl pickle pt pth onnx pb tflite safetensors ckpt bin names data lst md5 sha256 tfrecord ";
    const NAMES: [&str; 8] =
        ["readme", "license", "licence", "copying", "notice", "changelog", "makefile", "authors"];
    let lower = |text: Option<&OsStr>| text.unwrap_or_default().to_string_lossy().to_lowercase();
    match lower(path.extension()).as_str() {
        "" => !NAMES.contains(&lower(path.file_name()).as_str()),
        ending => !ENDINGS.contains(&format!(" {ending} ")),
    }
}
