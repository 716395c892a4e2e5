//! WebDataset: tar files whose members `key.jpg` and `key.cls` (or `key.json`) make a sample.
//!
//! The headers are read once; an image's bytes are read from the tar where it lies, when it is asked for.
//!
//! # Source
//! The WebDataset format: members of a sample share the part of their path before the first dot of the base
//! name and follow each other. Here they need not be adjacent, but a key occurs once in a shard.

use super::assemble::{
    ClassNames, Collected, Named, classes_file, file_name, files_ending_in, note, splits_of,
};
use crate::error::{Error, Result, shortened};
use crate::location::{Location, Shard};
use crate::scan::Candidate;
use crate::{Dataset, OpenOptions, Skipped, Split};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BLOCK: u64 = 512;
/// Endings of images; other formats are not part of the layout.
const IMAGES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// Keys of a JSON member that hold the label, in order of preference.
const JSON_LABELS: [&str; 3] = ["label", "cls", "class"];
/// Largest member that is read for its label.
const MAX_LABEL_BYTES: u64 = 1 << 20;
/// Up to this many shards are kept open.
const MAX_OPEN: usize = 128;

/// One tar file, a folder of them, or shards by a pattern.
pub(super) fn open(
    root: &Path,
    shards: &[PathBuf],
    splits: &[Split],
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut samples = Vec::new();
    let mut skipped = Vec::new();
    for (path, &split) in shards.iter().zip(splits) {
        for sample in read_shard(path, shards.len() <= MAX_OPEN, &mut skipped)? {
            samples.push((split, sample));
        }
    }
    let folder = if root.is_dir() { root } else { root.parent().unwrap_or(Path::new("")) };
    // Numbers have names where a file gives them.
    let numbers = samples.iter().all(|(_, sample)| sample.label.parse::<u32>().is_ok());
    let names = if numbers { classes_file(folder)? } else { None };
    let mut classes = ClassNames::default();
    for name in names.iter().flatten() {
        classes.intern(name);
    }
    let mut named = Vec::with_capacity(samples.len());
    for (index, (split, sample)) in samples.into_iter().enumerate() {
        let class = match (&names, sample.label.parse::<u32>()) {
            (Some(names), Ok(label)) if label as usize >= names.len() => {
                let path = sample.location.display_path();
                return Err(Error::Label { path, label, index, classes: names.len() });
            }
            (Some(names), Ok(label)) => classes.intern(&names[label as usize]),
            _ => classes.intern(&sample.label),
        };
        named.push(Named { candidate: Candidate::claimed(sample.location), split, class });
    }
    let ordered = names.is_some();
    Collected::look_at(root, named, classes.names, ordered, skipped, options)?.into_dataset(options)
}

/// All `*.tar` in a folder, with the split that each name begins with.
pub(super) fn open_folder(folder: &Path, options: &OpenOptions) -> Result<Dataset> {
    let shards = files_ending_in(folder, ".tar")?;
    let splits = splits_of(folder, &shards)?;
    open(folder, &shards, &splits, options)
}

/// True if the folder itself holds tar files.
pub(super) fn is_tar_folder(folder: &Path) -> bool {
    files_ending_in(folder, ".tar").is_ok_and(|files| !files.is_empty())
}

/// The shards of a pattern such as `train-{000..009}.tar`; None if it is none.
///
/// # Errors
/// A pattern whose range is none; a shard that is not there.
pub(super) fn expand(path: &Path) -> Result<Option<Vec<PathBuf>>> {
    let name = file_name(path);
    let Some((before, (range, after))) =
        name.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return Ok(None);
    };
    if !after.to_ascii_lowercase().ends_with(".tar") {
        return Ok(None);
    }
    let wrong = || Error::Layout {
        path: path.into(),
        expected: "one range of numbers in braces, as in {000..009}".into(),
        found: format!("{{{range}}}{after}"),
    };
    let (first, last) = range.split_once("..").ok_or_else(wrong)?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) || after.contains('{') {
        return Err(wrong());
    }
    let (low, high): (u32, u32) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    let width = first.len();
    // No one has a million shards; the range is not expanded before that is clear.
    if low > high || high - low >= 1_000_000 {
        return Err(wrong());
    }
    let shards: Vec<PathBuf> =
        (low..=high).map(|i| path.with_file_name(format!("{before}{i:0width$}{after}"))).collect();
    match shards.iter().find(|shard| !shard.is_file()) {
        Some(shard) => Err(Error::Missing { path: shard.clone() }),
        None => Ok(Some(shards)),
    }
}

struct Sample {
    location: Location,
    label: String,
}

struct Member {
    name: String,
    offset: u64,
    len: u64,
}

/// The members of one key.
#[derive(Default)]
struct Parts {
    image: Option<Member>,
    cls: Option<Member>,
    json: Option<Member>,
    /// Names of other members.
    others: Vec<String>,
}

fn read_shard(path: &Path, keep_open: bool, skipped: &mut Vec<Skipped>) -> Result<Vec<Sample>> {
    let file = oculist_files::open(path).map_err(Error::io(path))?;
    let members = index(path, &file, skipped)?;
    let shard = Arc::new(Shard { path: path.into(), file: keep_open.then_some(file) });
    let wrong = |name: &str, expected: &str, found: String| Error::Layout {
        path: path.join(name),
        expected: expected.into(),
        found,
    };
    let mut order: Vec<String> = Vec::new();
    let mut parts: BTreeMap<String, Parts> = BTreeMap::new();
    for member in members {
        let base = member.name.rfind('/').map_or(0, |slash| slash + 1);
        if member.name[base..].starts_with('.') {
            continue;
        }
        let dot = member.name[base..].find('.').map_or(member.name.len(), |dot| base + dot);
        let key = member.name[..dot].to_owned();
        let end = member.name[dot..].trim_start_matches('.').to_ascii_lowercase();
        if !parts.contains_key(&key) {
            order.push(key.clone());
        }
        let part = parts.entry(key).or_default();
        let slot = match end.as_str() {
            "cls" => &mut part.cls,
            "json" => &mut part.json,
            end if IMAGES.contains(&end) => &mut part.image,
            _ => {
                part.others.push(member.name);
                continue;
            }
        };
        if let Some(first) = slot {
            let found = format!("another one, {}", first.name);
            return Err(wrong(&member.name, "one image and one label of this key", found));
        }
        *slot = Some(member);
    }
    let mut samples = Vec::with_capacity(order.len());
    for key in order {
        let part = parts.remove(&key).unwrap_or_default();
        let label = match (&part.cls, &part.json) {
            (Some(cls), _) => Some(cls_label(&shard, cls)?),
            (None, Some(json)) => json_label(&shard, json)?,
            (None, None) => None,
        };
        match (part.image, label) {
            (Some(image), Some(label)) => {
                let Member { name, offset, len } = image;
                let location = Location::Member { shard: Arc::clone(&shard), name, offset, len };
                samples.push(Sample { location, label });
            }
            (Some(image), None) => {
                let expected =
                    "a label of this key: a member .cls, or .json with \"label\", \"cls\" or \"class\"";
                return Err(wrong(&image.name, expected, "none".into()));
            }
            (None, Some(_)) => {
                let found = if part.others.is_empty() { "none".to_owned() } else { part.others.join(", ") };
                return Err(wrong(&key, "an image .jpg, .jpeg, .png or .webp of this key", found));
            }
            (None, None) => {
                let names = part.json.map(|member| member.name).into_iter().chain(part.others);
                for name in names {
                    skipped.push(note(&path.join(name), "a member without image and label".into()));
                }
            }
        }
    }
    Ok(samples)
}

/// All regular members; the archive must be there to its end marker.
fn index(path: &Path, mut file: &File, skipped: &mut Vec<Skipped>) -> Result<Vec<Member>> {
    let total = file.metadata().map_err(Error::io(path))?.len();
    let mut start = Vec::new();
    file.take(2).read_to_end(&mut start).and_then(|_| file.rewind()).map_err(Error::io(path))?;
    if start == [0x1f, 0x8b] {
        return Err(Error::Layout {
            path: path.into(),
            expected: "a plain tar (unpack it with gunzip first)".into(),
            found: "a gzip stream".into(),
        });
    }
    let cut = |offset, detail: String| Error::Cut { path: path.into(), offset, detail };
    let mut archive = tar::Archive::new(file);
    let mut members = Vec::new();
    // Where the next header belongs.
    let mut end = 0;
    for entry in archive.entries_with_seek().map_err(Error::io(path))? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(_) if end + BLOCK > total => return Err(cut(end, "a header is not all there".into())),
            Err(err) => {
                return Err(Error::Layout {
                    path: path.into(),
                    expected: format!("a tar header at byte {end}"),
                    found: err.to_string(),
                });
            }
        };
        let name = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        let (offset, len) = (entry.raw_file_position(), entry.size());
        end = offset.saturating_add(len).div_ceil(BLOCK).saturating_mul(BLOCK);
        if offset.saturating_add(len) > total {
            let detail = format!(
                "{name} has {len} bytes, but the file ends {} bytes before its end",
                offset.saturating_add(len) - total
            );
            return Err(cut(offset, detail));
        }
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_contiguous() {
            members.push(Member { name, offset, len });
        } else if !kind.is_dir() && !kind.is_pax_global_extensions() {
            skipped.push(note(&path.join(name), "a member that is no regular file".into()));
        }
    }
    if end + BLOCK > total {
        return Err(cut(end.min(total), "the end marker (blocks of zeros) is missing".into()));
    }
    Ok(members)
}

fn read_label(shard: &Shard, member: &Member) -> Result<Vec<u8>> {
    let path = || shard.path.join(&member.name);
    if member.len > MAX_LABEL_BYTES {
        return Err(Error::Layout {
            path: path(),
            expected: format!("a label of at most {MAX_LABEL_BYTES} bytes"),
            found: format!("{} bytes", member.len),
        });
    }
    shard.read(member.offset, member.len).map_err(|source| Error::Io { path: path(), source })
}

fn label_error(shard: &Shard, member: &Member, expected: &str, found: &str) -> Error {
    Error::Layout { path: shard.path.join(&member.name), expected: expected.into(), found: shortened(found) }
}

/// A number or a name.
fn cls_label(shard: &Shard, member: &Member) -> Result<String> {
    let expected = "a class number or name in one line of text";
    let bytes = read_label(shard, member)?;
    let text = str::from_utf8(&bytes).map_err(|_| label_error(shard, member, expected, "bytes"))?;
    match text.trim() {
        "" => Err(label_error(shard, member, expected, "nothing")),
        text if text.contains('\n') => Err(label_error(shard, member, expected, "several lines")),
        text => Ok(canonical(text)),
    }
}

/// `007` and `7` are the same number.
fn canonical(text: &str) -> String {
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>().ok()).flatten();
    number.map_or_else(|| text.to_owned(), |number| number.to_string())
}

/// The label of a JSON member; None if it has no key for one.
fn json_label(shard: &Shard, member: &Member) -> Result<Option<String>> {
    let value: Value = serde_json::from_slice(&read_label(shard, member)?)
        .map_err(|err| label_error(shard, member, "JSON", &err.to_string()))?;
    let Some(label) = JSON_LABELS.iter().find_map(|key| value.get(key)) else { return Ok(None) };
    match label {
        Value::String(text) if !text.trim().is_empty() => Ok(Some(canonical(text.trim()))),
        Value::Number(number) if number.is_u64() || number.is_i64() => Ok(Some(number.to_string())),
        other => Err(label_error(
            shard,
            member,
            "one label, a whole number or text, as classification needs",
            &other.to_string(),
        )),
    }
}
