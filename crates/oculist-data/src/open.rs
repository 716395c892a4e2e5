//! From what the user named to a data set.

mod assemble;
mod cifar;
mod coco;
mod demo;
mod folder;
mod foreign;
mod idx_folder;
mod label_lists;
mod labels;
mod listed;
mod memory;
mod metadata;
mod numbered;
mod parquet;
mod sources;
mod tar_shards;

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::outputs::{ENLARGED, only_output_in, output_in};
use crate::{Dataset, Exclude, OpenOptions, Split, Task};
pub(crate) use assemble::Drawn;
use assemble::note;
use sources::{SOURCES, Source};
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
        "demo" => {
            let options = &reading(options)?;
            one_label_each(Path::new("demo"), Layout::Idx, options)?;
            check_layout("demo", Layout::Idx, options)?;
            nameless("demo", demo::open(options)?, options)?
        }
        "fashion-mnist" => {
            let options = &reading(options)?;
            one_label_each(Path::new("fashion-mnist"), Layout::Idx, options)?;
            check_layout("fashion-mnist", Layout::Idx, options)?;
            let folder = options.data_dir.as_deref().unwrap_or(Path::new(FASHION_MNIST_FOLDER));
            existing_folder(folder)?;
            let names = FASHION_MNIST_CLASSES.map(str::to_owned);
            nameless("fashion-mnist", idx_folder::open(folder, Some(&names), options)?, options)?
        }
        path => open_path(Path::new(path), options)?,
    };
    source.clone_into(&mut dataset.source);
    Ok(dataset)
}

/// The options with the patterns read, so that all who look at names share one account of what fitted.
fn reading(options: &OpenOptions) -> Result<OpenOptions> {
    Ok(OpenOptions { left_out: Exclude::new(&options.exclude)?, ..options.clone() })
}

pub(crate) fn open_path(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let options = reading(options)?;
    let mut dataset = open_any(path, &options)?;
    let unfitted = options.left_out.unfitted();
    dataset
        .skipped
        .extend(unfitted.map(|pattern| note(path, format!("nothing here fits --exclude {pattern}"))));
    Ok(dataset)
}

/// Refuses patterns that nothing fits where images have no names that could: they would be without effect.
fn nameless(source: &str, dataset: Dataset, options: &OpenOptions) -> Result<Dataset> {
    match options.left_out.unfitted().next() {
        Some(pattern) => Err(Error::Option {
            name: "--exclude",
            expected: "a pattern that fits a file, as the images in IDX, CIFAR and Parquet files have no names of their own",
            found: format!("\"{pattern}\" for {source}"),
        }),
        None => Ok(dataset),
    }
}

/// Refuses a layout that is not that of a source which leaves no choice.
fn check_layout(source: &str, is: Layout, options: &OpenOptions) -> Result<()> {
    check_form(is, options)?;
    match options.layout {
        Some(layout) if layout != is => Err(Error::Option {
            name: "--layout",
            expected: "the one that the source has, or left out",
            found: format!("{layout} for {source}, which is {is} ({})", is.words()),
        }),
        _ => Ok(()),
    }
}

/// Refuses a form of labels where no list has one: it would be without effect.
fn check_form(layout: Layout, options: &OpenOptions) -> Result<()> {
    match options.label_form {
        Some(form) if layout != Layout::Metadata => Err(Error::Option {
            name: "--label-form",
            expected: "left out where labels are not written in a list in CSV or JSON Lines",
            found: format!("{form} for {}", layout.words()),
        }),
        _ => Ok(()),
    }
}

/// Refuses several labels an image of a source whose images have one.
fn one_label_each(path: &Path, layout: Layout, options: &OpenOptions) -> Result<()> {
    if options.task == Task::SingleLabel || Source::of(layout).several_labels {
        return Ok(());
    }
    Err(Error::Layout {
        path: path.into(),
        expected: "a source whose images may have several labels (a list in CSV or JSON Lines, COCO annotations or tar \
                   files), as multi-label needs"
            .into(),
        found: format!("{}, of which an image has one label", layout.words()),
    })
}

fn open_any(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let not_found = |err: std::io::Error| match err.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { path: path.into() },
        _ => Error::Io { path: path.into(), source: err },
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(err) => {
            let shards = tar_shards::expand(path)?.ok_or_else(|| not_found(err))?;
            check_layout(&path.display().to_string(), Layout::Tar, options)?;
            let splits = vec![Split::Train; shards.len()];
            return tar_shards::open(path, &shards, &splits, options);
        }
    };
    match oculist_files::irregular(meta.file_type()) {
        None => open_file(path, options),
        Some(_) if meta.is_dir() => open_folder(path, options),
        Some(found) => Err(Error::Layout {
            path: path.into(),
            expected: "a folder or a regular file".into(),
            found: found.into(),
        }),
    }
}

/// A folder is what its files say, or what the user says.
fn open_folder(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    if let Some(layout) = options.layout {
        return open_layout(path, layout, options);
    }
    // An enlarged data set of ours has a list that says more than its folders.
    let list = path.join("manifest.jsonl");
    if output_in(path) == Some(ENLARGED) && list.is_file() {
        return listed::open(&list, options);
    }
    if let Some(what) = only_output_in(path).filter(|what| *what != ENLARGED) {
        return Err(Error::Layout {
            path: path.into(),
            expected: "a data set".into(),
            found: format!("{what} of oculist; a run names its data set in settings.toml there"),
        });
    }
    let exclude = &options.left_out;
    let fitting = layouts_of(path, exclude);
    match &fitting[..] {
        [] => {
            // An archive often unpacks to one folder in another.
            if let Some(inner) = folder::only_folder(path, exclude)?
                && !layouts_of(&inner, exclude).is_empty()
            {
                let mut dataset = open_folder(&inner, options)?;
                dataset.skipped.push(note(&inner, "read as the data set: the only folder there".into()));
                return Ok(dataset);
            }
            match foreign::folder(path) {
                Some(error) => Err(error),
                None => one_label_each(path, Layout::Classes, options)
                    .and_then(|()| folder::open(path, None, options))
                    .map_err(|error| label_lists::hinted(path, error)),
            }
        }
        // Metadata speak of the images in the folders beside them.
        [Layout::Metadata] => metadata::open(path, options),
        [only] => {
            let classes = folder::class_folders(path, exclude)?;
            if classes.is_empty() {
                return open_layout(path, *only, options);
            }
            let folders = format!("class folders ({}; --layout classes)", folder::listed(&classes));
            Err(Error::Ambiguous { path: path.into(), readings: vec![folders, offered(*only)] })
        }
        several => Err(Error::Ambiguous {
            path: path.into(),
            readings: several.iter().map(|&l| offered(l)).collect(),
        }),
    }
}

fn offered(layout: Layout) -> String {
    format!("{} (--layout {layout})", layout.words())
}

/// The layouts whose files are in a folder.
fn layouts_of(path: &Path, exclude: &Exclude) -> Vec<Layout> {
    SOURCES.iter().filter(|source| (source.is_folder)(path, exclude)).map(|source| source.layout).collect()
}

fn open_layout(path: &Path, layout: Layout, options: &OpenOptions) -> Result<Dataset> {
    one_label_each(path, layout, options)?;
    check_form(layout, options)?;
    let source = Source::of(layout);
    let dataset = (source.open_folder)(path, options)?;
    if source.named { Ok(dataset) } else { nameless(&path.display().to_string(), dataset, options) }
}

/// A file is what its name says.
fn open_file(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let name = path.display().to_string();
    let Some(source) = SOURCES.iter().find(|source| (source.is_file)(path)) else {
        return Err(foreign::file(path).unwrap_or_else(|| Error::NotAFolder { path: path.into() }));
    };
    check_layout(&name, source.layout, options)?;
    one_label_each(path, source.layout, options)?;
    let dataset = (source.open_file)(path, options)?;
    if source.named { Ok(dataset) } else { nameless(&name, dataset, options) }
}

fn existing_folder(path: &Path) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Error::NotAFolder { path: path.into() }),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Err(Error::Missing { path: path.into() }),
        Err(source) => Err(Error::Io { path: path.into(), source }),
    }
}
