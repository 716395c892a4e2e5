//! What a data set is, image by image: where each stands, what it is called and what its bytes are.

mod difference;

use crate::error::Result;
use crate::{Dataset, Split, Subset};
use oculist_files::{Digest, Hasher, Stamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files that are read between two messages about progress.
const CHUNK: usize = 512;

/// One image as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageIdentity {
    /// Where it is used.
    pub split: Split,
    /// Its class, or all of its labels as [`Targets::text`](crate::Targets::text) writes them.
    pub class: String,
    /// The file, the archive's member, or the file and the row that its bytes are of.
    pub name: String,
    /// The box `[left, top, right, bottom]`, if it is only a part of that picture.
    pub part: Option<[u32; 4]>,
    /// Number of its stored bytes.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
    /// What tells without reading that they are the same; absent for what is in memory and for what has just changed.
    pub stamp: Option<Stamp>,
}

/// A data set as it was read: its classes, and its images in the order of the splits.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Class names in label order.
    pub classes: Vec<String>,
    /// All images.
    pub images: Vec<ImageIdentity>,
}

/// An image's line in a file.
#[derive(Serialize, Deserialize)]
struct Line<'a>(
    std::borrow::Cow<'a, str>,
    std::borrow::Cow<'a, str>,
    std::borrow::Cow<'a, str>,
    u64,
    String,
    Option<(u64, i64, i64, u64)>,
    Option<[u32; 4]>,
);

/// The digests of files that were read before, with what tells that they are the same.
#[derive(Debug, Clone, Default)]
pub struct KnownDigests(HashMap<String, (Stamp, u64, Digest)>);

impl KnownDigests {
    /// Those of an identity whose files have stamps.
    pub fn of(identity: &Identity) -> Self {
        let known =
            |image: &ImageIdentity| Some((image.name.clone(), (image.stamp?, image.size, image.digest)));
        Self(identity.images.iter().filter_map(known).collect())
    }
}

impl Identity {
    /// Reads the stored bytes of all images but of those that are known to be the same.
    ///
    /// `progress` is told how many files of how many are done and may end the work; then there is no identity.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) naming a file that cannot be read.
    pub fn of(
        dataset: &Dataset,
        known: &KnownDigests,
        threads: usize,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let mut images = Vec::new();
        // Each file once, however many images are parts of it.
        let mut files: Vec<(&Subset, usize)> = Vec::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut file_of = Vec::new();
        for split in Split::ALL {
            let subset = dataset.split(split);
            for i in 0..subset.len() {
                let (name, part) = subset.origin(i);
                let number = *numbers.entry(name.clone()).or_insert_with(|| {
                    files.push((subset, i));
                    files.len() - 1
                });
                file_of.push(number);
                let class = subset.targets().text(i, dataset.class_names());
                images.push(ImageIdentity {
                    split,
                    class,
                    name,
                    part,
                    size: 0,
                    digest: Digest::of(&[]),
                    stamp: None,
                });
            }
        }
        let mut names = vec![""; files.len()];
        for (name, &number) in &numbers {
            names[number] = name;
        }
        let mut contents = Vec::with_capacity(files.len());
        for (chunk, names) in files.chunks(CHUNK).zip(names.chunks(CHUNK)) {
            contents.extend(read_all(chunk, names, known, threads)?);
            if progress(contents.len(), files.len()).is_break() {
                return Ok(None);
            }
        }
        for (image, &file) in images.iter_mut().zip(&file_of) {
            (image.size, image.digest, image.stamp) = contents[file];
        }
        Ok(Some(Self { classes: dataset.class_names().to_vec(), images }))
    }

    /// One digest of all that decides a result: classes, and each image's place, class, name, part and bytes.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.part(&(self.classes.len() as u64).to_le_bytes());
        for class in &self.classes {
            hasher.part(class.as_bytes());
        }
        for image in &self.images {
            hasher
                .part(image.split.name().as_bytes())
                .part(image.class.as_bytes())
                .part(image.name.as_bytes());
            hasher.part(format!("{:?} {} {}", image.part, image.size, image.digest).as_bytes());
        }
        hasher.finish()
    }

    /// A line of JSON for the classes and one for each image: `[split, class, name, bytes, BLAKE3, stamp, box]`.
    pub fn to_lines(&self) -> String {
        let mut text = serde_json::to_string(&self.classes).unwrap_or_default();
        for image in &self.images {
            let line = Line(
                image.split.name().into(),
                image.class.as_str().into(),
                image.name.as_str().into(),
                image.size,
                image.digest.to_string(),
                image.stamp.map(|s| (s.size, s.modified, s.changed, s.inode)),
                image.part,
            );
            text.push('\n');
            text += &serde_json::to_string(&line).unwrap_or_default();
        }
        text.push('\n');
        text
    }

    /// Reads [`to_lines`](Self::to_lines) back.
    ///
    /// # Errors
    /// The number of the line that cannot be read, and why.
    pub fn from_lines(text: &str) -> std::result::Result<Self, String> {
        let mut lines = text.lines();
        let first = lines.next().ok_or("expected the classes in line 1, found nothing")?;
        let classes = serde_json::from_str(first).map_err(|e| format!("line 1: {e}"))?;
        let image = |(i, line): (usize, &str)| {
            let wrong = |problem: String| format!("line {}: {problem}", i + 2);
            let Line(split, class, name, size, digest, stamp, part) =
                serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
            let split = Split::ALL
                .into_iter()
                .find(|s| s.name() == split)
                .ok_or_else(|| wrong(format!("expected a split, found {split}")))?;
            Ok(ImageIdentity {
                split,
                class: class.into_owned(),
                name: name.into_owned(),
                part,
                size,
                digest: digest.parse().map_err(wrong)?,
                stamp: stamp.map(|(size, modified, changed, inode)| Stamp { size, modified, changed, inode }),
            })
        };
        let images = lines.enumerate().map(image).collect::<std::result::Result<_, String>>()?;
        Ok(Self { classes, images })
    }
}

/// Size, digest and stamp of a file.
type Content = (u64, Digest, Option<Stamp>);

/// The contents of some files, in several threads.
fn read_all(
    files: &[(&Subset, usize)],
    names: &[&str],
    known: &KnownDigests,
    threads: usize,
) -> Result<Vec<Content>> {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((subset, index)) = files.get(at) else { break };
            let content = read(subset, *index, names[at], known);
            found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, content));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    // In their order, so that of several errors always the same is told.
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, content)| content).collect()
}

fn read(subset: &Subset, index: usize, name: &str, known: &KnownDigests) -> Result<Content> {
    // Before the bytes: if the file changes while it is read, its stamp is the old one.
    let stamp = subset.stamp(index);
    if let (Some(stamp), Some((old, size, digest))) = (stamp, known.0.get(name))
        && stamp == *old
    {
        return Ok((*size, *digest, Some(stamp)));
    }
    let bytes = subset.encoded(index)?;
    Ok((bytes.len() as u64, Digest::of(&bytes), stamp))
}
