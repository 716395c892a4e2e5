//! A CSV or JSONL manifest as a data set.

use super::assemble::{ClassNames, Collected, Named, lost, note};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::manifest::{Manifest, read_manifest_for};
use crate::scan::Candidate;
use crate::{Dataset, OpenOptions, RealPaths, Skipped, Split, Task};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Opens a manifest for classification; without splits, they are drawn.
pub(super) fn open(path: &Path, options: &OpenOptions) -> Result<Dataset> {
    let manifest = read_manifest_for(path, options)?;
    let splits: Vec<_> = manifest.rows.iter().map(|row| Ok(row.split.unwrap_or(Split::Train))).collect();
    let mut listed = Listed::default();
    listed.add(&manifest, &splits, options)?;
    listed.into_dataset(path, options)
}

/// The files of one or more manifests: exactly one label a file, or any number of them.
#[derive(Default)]
pub(super) struct Listed {
    classes: ClassNames,
    /// Whether a manifest declares the classes, and with them their order.
    declared: bool,
    named: Vec<Named>,
    /// What is lost or worth telling.
    pub(super) skipped: Vec<Skipped>,
}

/// The rows of one file.
struct OneFile<'a> {
    line: u64,
    /// Without repeats; in the order of the rows.
    labels: Vec<&'a str>,
    split: Split,
    /// Further rows that say the same.
    repeats: usize,
    /// What another row says of it, if it says something else.
    contradiction: Option<String>,
}

impl Listed {
    /// Adds the files of a manifest, with the split of each row or the reason why it has none.
    ///
    /// A row without label or with several where an image has one, and a file that is not there or of which rows say
    /// different things, is listed as lost. Rows that say the same count once. Where an image may have several labels and
    /// every row has one at most, the rows of a file say its labels together.
    ///
    /// # Errors
    /// More missing files than the options allow.
    pub(super) fn add(
        &mut self,
        manifest: &Manifest,
        splits: &[Result<Split, String>],
        options: &OpenOptions,
    ) -> Result<()> {
        let path = &manifest.path;
        let folder = path.parent().unwrap_or(Path::new(""));
        let several = options.task == Task::MultiLabel;
        let together =
            several && manifest.classes.is_none() && manifest.rows.iter().all(|row| row.labels.len() <= 1);
        for name in manifest.classes.iter().flatten() {
            self.classes.intern(name);
        }
        self.declared |= manifest.classes.is_some();
        let place = |line: u64| path.join(format!("line {line}"));
        let bad = manifest.bad.iter().map(|row| lost(place(row.line), row.reason.clone()));
        self.skipped.extend(bad);
        // A file is known by where it really lies; one that is not there, by what is written.
        let mut real = RealPaths::default();
        let mut files: BTreeMap<PathBuf, OneFile> = BTreeMap::new();
        let mut order: Vec<(PathBuf, &str)> = Vec::with_capacity(manifest.rows.len());
        let mut excluded: BTreeMap<&str, usize> = BTreeMap::new();
        let mut joined = 0usize;
        for (row, split) in manifest.rows.iter().zip(splits) {
            let name = Path::new(&row.file_name);
            if let Some(pattern) = options.left_out.of_name(name.strip_prefix(folder).unwrap_or(name)) {
                *excluded.entry(pattern).or_default() += 1;
                continue;
            }
            let split = match split {
                Ok(split) => *split,
                Err(reason) => {
                    self.skipped.push(lost(place(row.line), reason.clone()));
                    continue;
                }
            };
            let labels: Vec<&str> = row.labels.iter().map(String::as_str).collect();
            if !several && labels.len() != 1 {
                let found = match labels.len() {
                    0 => "none".to_owned(),
                    n => format!("{n}: {}", labels.join("; ")),
                };
                let reason = format!(
                    "expected exactly one label, as classification needs (several or none: --task multi-label), \
                     found {found}"
                );
                self.skipped.push(lost(place(row.line), reason));
                continue;
            }
            let file = folder.join(&row.file_name);
            let known = real.of(&file).unwrap_or(file);
            match files.get_mut(&known) {
                Some(first) if first.labels == labels && first.split == split => first.repeats += 1,
                Some(first) if together && first.split == split => {
                    for label in labels {
                        if !first.labels.contains(&label) {
                            first.labels.push(label);
                        }
                    }
                    joined += 1;
                }
                Some(first) if first.contradiction.is_none() => {
                    let text = |labels: &[&str]| match labels {
                        [] => "no label".to_owned(),
                        labels => labels.join("; "),
                    };
                    let (before, now) = if together || first.labels == labels {
                        (first.split.name().to_owned(), split.name().to_owned())
                    } else {
                        (text(&first.labels), text(&labels))
                    };
                    first.contradiction = Some(format!("{before}, but {now} in line {}", row.line));
                }
                Some(_) => {}
                None => {
                    let line = row.line;
                    let first = OneFile { line, labels, split, repeats: 0, contradiction: None };
                    order.push((known.clone(), &row.file_name));
                    files.insert(known, first);
                }
            }
        }
        let mut missing: Vec<(u64, PathBuf)> = Vec::new();
        let mut unlabelled = 0usize;
        // Where this is frequent, it is how several labels are written, and no mistake.
        let contradictory = files.values().filter(|file| file.contradiction.is_some()).count();
        let hint = if !several && contradictory * 3 > files.len() {
            " (several labels of an image: --task multi-label)"
        } else {
            ""
        };
        let mut repeated: Option<(usize, &str, u64)> = None;
        for (known, name) in &order {
            let OneFile { line, labels, split, repeats, contradiction } = &files[known];
            if *repeats > 0 {
                repeated.get_or_insert((0, name, *line)).0 += repeats;
            }
            let file = folder.join(name);
            if let Some(contradiction) = contradiction {
                let reason = format!(
                    "expected one label and one split of each file{hint}, found {name}: {contradiction}"
                );
                self.skipped.push(lost(place(*line), reason));
                continue;
            }
            if !file.is_file() {
                missing.push((*line, file.clone()));
            }
            // A file that is not there is found unreadable when it is looked at, like any other that is.
            let candidate = Candidate::claimed(Location::File(file));
            let classes: Vec<u32> = labels.iter().map(|label| self.classes.intern(label)).collect();
            unlabelled += usize::from(classes.is_empty());
            self.named.push(Named { candidate, split: *split, classes: classes.into() });
        }
        let left_out: usize = excluded.values().sum();
        for (pattern, count) in excluded {
            self.skipped.push(note(path, format!("{count} rows left out by --exclude {pattern}")));
        }
        let (count, total) = (missing.len(), manifest.rows.len() - left_out + manifest.bad.len());
        let too_many = options.strict || count as f64 > options.max_unreadable * total as f64;
        if let (true, Some((line, file))) = (too_many, missing.into_iter().next()) {
            let (path, place) = (path.clone(), format!("line {line}"));
            return Err(Error::MissingFiles { path, place, file, count, total });
        }
        if let Some((count, name, line)) = repeated {
            let reason =
                format!("{count} rows name a file again and count once, the first is {name} in line {line}");
            self.skipped.push(note(path, reason));
        }
        if joined > 0 {
            let reason = format!("{joined} rows give a file that is named before a further label");
            self.skipped.push(note(path, reason));
        }
        if unlabelled > 0 {
            let reason = format!("{unlabelled} images without a label, read as showing no class");
            self.skipped.push(note(path, reason));
        }
        if !manifest.ignored.is_empty() {
            self.skipped.push(note(path, format!("columns not used: {}", names(&manifest.ignored))));
        }
        self.skipped.extend(manifest.notes.iter().map(|text| note(path, text.clone())));
        Ok(())
    }

    /// Looks at every file.
    pub(super) fn into_dataset(self, root: &Path, options: &OpenOptions) -> Result<Dataset> {
        Collected::look_at(root, self.named, self.classes.names, self.declared, self.skipped, options)?
            .into_dataset(options)
    }
}

/// Names in a line of bearable length.
fn names(all: &[String]) -> String {
    crate::error::shortened(&all.join(", "))
}
