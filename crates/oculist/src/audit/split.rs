//! `data split`: new splits as a manifest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oculist_data::{
    Dataset, Purpose, Split, Verify, grouped_parts, is_manifest, join_groups, read_manifest_with,
};
use regex_lite::Regex;

use super::check::run_audit;
use super::manifest::{Form, Row, to_text};
use super::{absolute, check_new, open_for};
use crate::class_match::short_list;
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::files::{check_free_beside, make_folder, tidy_beside, write};
use crate::message::setting;
use crate::progress::Watch;
use crate::settings::Settings;

/// What keeps images together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grouping {
    /// A column of the manifest that is the data set.
    Column(String),
    /// A regular expression searched in the file's name: its first group, or all that it matches, names the group.
    /// Images whose names do not match are groups of their own.
    Expression(String),
}

/// How to split.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SplitOptions {
    /// The manifest to write.
    pub output: PathBuf,
    /// Whether to replace it.
    pub force: bool,
    /// Parts of training, validation and test images; their sum is 1.
    pub fractions: [f64; 3],
    /// What keeps images together.
    pub groups: Option<Grouping>,
    /// Whether exact and near duplicates stay together.
    pub duplicates: bool,
}

impl SplitOptions {
    /// 70% for training, 15% each for validation and test, each image by itself.
    pub fn new(output: impl Into<PathBuf>) -> Self {
        Self {
            output: output.into(),
            force: false,
            fractions: [0.7, 0.15, 0.15],
            groups: None,
            duplicates: false,
        }
    }
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSplits {
    /// Class names.
    pub classes: Vec<String>,
    /// Images of each split and class: `counts[split][class]`.
    pub counts: [Vec<usize>; 3],
    /// Groups of more than one image that were kept together.
    pub groups: usize,
}

/// Splits all images of a data set anew and writes a manifest; no image is touched.
///
/// # Errors
/// [`OculistError::Setting`] for fractions that do not make 1, a data set without files, or groups that cannot be
/// found; [`OculistError::Output`] if the manifest exists or cannot be written.
pub fn split_data(
    settings: &Settings,
    options: &SplitOptions,
    watch: &mut Watch<'_>,
) -> Result<NewSplits, OculistError> {
    settings.validate()?;
    settings.one_label()?;
    let [train, val, test] = options.fractions;
    let sum = train + val + test;
    if !options.fractions.iter().all(|f| (0.0..=1.0).contains(f)) || (sum - 1.0).abs() > 1e-6 || train == 0.0
    {
        let problem = format!("expected parts of 0 to 1 that make 1, found {train} + {val} + {test} = {sum}");
        let name = ["train", "val", "test"].map(setting).join(", ").into();
        return Err(OculistError::Setting { name, problem: problem.into() });
    }
    let form = Form::of(&options.output)?;
    check_new(&options.output, options.force)?;
    // All images are split anew, so that what training needs of the source's own splits does not matter.
    let dataset = open_for(settings, Verify::Auto, Purpose::Evaluate)?;
    tell_discarded(&dataset, watch);
    let files = files(&dataset)?;
    let labels: Vec<u32> = files.iter().map(|(_, label, _)| *label).collect();
    let mut groups: Vec<u32> = (0..files.len() as u32).collect();
    if let Some(grouping) = &options.groups {
        let paths: Vec<&Path> = files.iter().map(|(path, ..)| path.as_path()).collect();
        groups = join_groups(&groups, &named_groups(&paths, grouping, settings, watch)?);
    }
    if options.duplicates {
        let audit = run_audit(&dataset, settings.threads(), watch)?;
        let by_place: BTreeMap<_, _> =
            audit.places.iter().zip(&audit.groups).map(|(p, &g)| ((p.split, p.index), g)).collect();
        let duplicates: Vec<u32> = files.iter().map(|(.., place)| by_place[place]).collect();
        groups = join_groups(&groups, &duplicates);
    }
    let classes = dataset.class_names();
    let parts = grouped_parts(&labels, classes.len(), &groups, &[train, val], settings.seed.unwrap_or(0));
    let mut home = vec![Split::Train; files.len()];
    let mut counts = [(); 3].map(|()| vec![0; classes.len()]);
    for ((part, split), counts) in parts.iter().zip(Split::ALL).zip(&mut counts) {
        for &i in part {
            home[i] = split;
            counts[labels[i] as usize] += 1;
        }
    }
    let rows: Vec<Row> = files
        .into_iter()
        .zip(home)
        .map(|((path, label, _), split)| Row { path, label: classes[label as usize].clone(), split })
        .collect();
    check_free_beside(&options.output)?;
    // The folder comes first, so that names can be made relative to it.
    make_folder(&options.output)?;
    tidy_beside(&options.output, watch);
    write(&options.output, to_text(&rows, &options.output, form)?.as_bytes())?;
    for line in Source::of(dataset.clone()).skipped_lines() {
        watch.warn(&line);
    }
    for ((split, counts), fraction) in Split::ALL.iter().zip(&counts).zip(options.fractions) {
        if fraction > 0.0 && counts.iter().all(|&n| n == 0) {
            watch.warn(&format!("the {split} split got no image: there are too few images or groups"));
        }
    }
    let untrained: Vec<&String> = (0..classes.len())
        .filter(|&c| counts[0][c] == 0 && counts[1][c] + counts[2][c] > 0)
        .map(|c| &classes[c])
        .collect();
    if !untrained.is_empty() {
        watch.warn(&format!("classes without a training image: {}", short_list(untrained)));
    }
    let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
    for &group in &groups {
        *sizes.entry(group).or_default() += 1;
    }
    let groups = sizes.values().filter(|&&n| n > 1).count();
    Ok(NewSplits { classes: classes.to_vec(), counts, groups })
}

/// Says which splits of the source are given up, and that one class is no task.
fn tell_discarded(dataset: &Dataset, watch: &mut Watch<'_>) {
    let own: Vec<String> = Split::ALL
        .into_iter()
        .filter(|&split| !dataset.split(split).is_empty())
        .map(|split| format!("{} {split}", dataset.split(split).len()))
        .collect();
    if own.len() > 1 {
        watch.warn(&format!(
            "the splits of {} ({} images) are given up: all images are split anew",
            dataset.source(),
            own.join(", ")
        ));
    }
    if let [only] = dataset.class_names() {
        watch.warn(&format!(
            "not fit for training: found only the class {only}, a classifier needs at least two"
        ));
    }
}

/// A file with its label and its place in the data set.
type File = (PathBuf, u32, (Split, usize));

/// All files of the data set in the order of their names.
///
/// # Errors
/// [`OculistError::Setting`] if images are no files of their own.
pub(super) fn files(dataset: &Dataset) -> Result<Vec<File>, OculistError> {
    let mut files = Vec::new();
    for split in Split::ALL {
        let subset = dataset.split(split);
        for i in 0..subset.len() {
            let path = subset.path(i).ok_or_else(|| {
                let problem = format!(
                    "a manifest names a file for each image, but {} holds many images in one file ({})",
                    dataset.source(),
                    subset.name(i)
                );
                wrong("data", problem)
            })?;
            files.push((path.to_path_buf(), subset.label(i), (split, i)));
        }
    }
    // The order must not depend on how the images were split before.
    files.sort_by(|a, b| oculist_data::natural_cmp(&a.0.to_string_lossy(), &b.0.to_string_lossy()));
    Ok(files)
}

/// Equal numbers for equal names of groups.
fn named_groups(
    paths: &[&Path],
    grouping: &Grouping,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<Vec<u32>, OculistError> {
    let names: Vec<Option<String>> = match grouping {
        Grouping::Expression(text) => {
            let expression = Regex::new(text).map_err(|e| wrong("groups_regex", e.to_string()))?;
            let names: Vec<Option<String>> = paths.iter().map(|path| name_of(&expression, path)).collect();
            if names.iter().all(Option::is_none) {
                let problem =
                    format!("`{text}` matches no file name, for example not {}", paths[0].display());
                return Err(wrong("groups_regex", problem));
            }
            names
        }
        Grouping::Column(column) => {
            let manifest = PathBuf::from(settings.data.as_deref().unwrap_or_default());
            if !is_manifest(&manifest) {
                let problem = format!(
                    "expected a manifest (CSV or JSON Lines) as {}, whose column it is; for folders use {}",
                    setting("data"),
                    setting("groups_regex")
                );
                return Err(wrong("groups", problem));
            }
            column_groups(&manifest, column, paths)?
        }
    };
    let unnamed = names.iter().filter(|name| name.is_none()).count();
    if unnamed > 0 {
        watch.warn(&format!("{unnamed} of {} images belong to no named group; each is its own", names.len()));
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    let n = names.len() as u32;
    Ok(names
        .iter()
        .enumerate()
        .map(|(i, name)| match name {
            None => n + i as u32,
            Some(name) => *numbers.entry(name).or_insert(i as u32),
        })
        .collect())
}

/// The first group of the expression, or all of its match, in the last part of the path.
fn name_of(expression: &Regex, path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let found = expression.captures(&name)?;
    found.get(1).or_else(|| found.get(0)).map(|m| m.as_str().to_owned())
}

/// The values of a column of a manifest for the files that it names; an empty value is none.
fn column_groups(
    manifest: &Path,
    column: &str,
    paths: &[&Path],
) -> Result<Vec<Option<String>>, OculistError> {
    let folder = manifest.parent().unwrap_or_else(|| Path::new(""));
    let rows = read_manifest_with(manifest, column)?.rows.into_iter();
    let of: BTreeMap<PathBuf, String> =
        rows.filter_map(|row| Some((absolute(&folder.join(row.file_name)), row.wanted?))).collect();
    Ok(paths.iter().map(|path| of.get(&absolute(path)).cloned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_from_names_and_columns() {
        let expression = Regex::new("^patient([0-9]+)_").unwrap();
        assert_eq!(name_of(&expression, Path::new("x/patient12_3.png")), Some("12".into()));
        assert_eq!(name_of(&expression, Path::new("patient12_3/a.png")), None, "folders do not count");
        assert_eq!(name_of(&Regex::new("^[a-z]+").unwrap(), Path::new("ab1.png")), Some("ab".into()));
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let paths = [place("a/1.png"), place("a/2.png"), place("b.png")];
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        // The reader is that of all manifests, with whatever it understands.
        for (name, text) in [
            ("m.csv", "file_name,label,patient\na/1.png,x,p1\na/2.png,y,\n"),
            ("m.csv", "Path;Class;Patient\r\na/1.png;x;p1\r\na/2.png;y;\r\n"),
            ("m.csv", "Path\tClass\tpatient\na/1.png\tx\tp1\na/2.png\ty\t\n"),
            (
                "m.jsonl",
                "{\"path\":\"a/1.png\",\"label\":\"x\",\"patient\":\"p1\"}\n{\"path\":\"a/2.png\",\"label\":\"y\"}\n",
            ),
        ] {
            std::fs::write(place(name), text).unwrap();
            let found = column_groups(&place(name), "patient", &paths).unwrap();
            assert_eq!(found, [Some("p1".to_owned()), None, None], "{text}");
            let error = column_groups(&place(name), "clinic", &paths).unwrap_err().to_string();
            assert!(error.contains("clinic") && error.contains("line 1"), "{error}");
        }
    }
}
