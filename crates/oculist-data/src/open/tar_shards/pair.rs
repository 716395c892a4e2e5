//! From the members of a shard to its samples.
//!
//! # Source
//! The WebDataset format: a key ends at the first dot of the base name. By that rule `v1.24.png` and `v1.24.cls` are the
//! members `24.png` and `24.cls` of the key `v1`, together with `25.png` and `25.cls`, and one sample of many. Here an
//! image and a label whose names are the same up to the last dot make a sample of their own, so that no image is lost.

use super::index::Member;
use super::label;
use crate::location::{Location, Shard};
use crate::manifest::is_image_name;
use crate::open::assemble::{lost, note};
use crate::{Skipped, Task};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Endings of images; other formats are not part of the layout.
const IMAGES: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// An image with its labels.
pub(super) struct Sample {
    pub(super) location: Location,
    pub(super) labels: Vec<String>,
}

/// The members of one key.
#[derive(Default)]
struct Parts {
    image: Option<Member>,
    cls: Option<Member>,
    json: Option<Member>,
    /// Names of members that are there already under another name.
    doubles: Vec<String>,
    /// Names of other members.
    others: Vec<String>,
    /// Members whose names go on behind the key with more than an ending, by all but the ending.
    longer: Vec<(String, Parts)>,
}

/// The pairs of image and label in a shard. What has no partner, or more than one, is listed as lost.
pub(super) fn pair(
    shard: &Arc<Shard>,
    members: Vec<Member>,
    task: Task,
    skipped: &mut Vec<Skipped>,
) -> Vec<Sample> {
    let mut pairs = Pairs { shard, task, skipped, samples: Vec::with_capacity(members.len() / 2) };
    let mut dotted: Option<(usize, String)> = None;
    for (key, mut parts) in group(members) {
        let longer = std::mem::take(&mut parts.longer);
        // A key with an image or a label of its own may have further ones, such as a mask.
        let whole = parts.image.is_some() || parts.cls.is_some() || parts.json.is_some();
        let mut further = Vec::new();
        for (name, part) in longer {
            if part.image.is_some() && (part.cls.is_some() || part.json.is_some()) || !whole {
                let before = pairs.samples.len();
                pairs.take(&name, part, whole, &mut further);
                if pairs.samples.len() > before {
                    dotted.get_or_insert((0, name)).0 += 1;
                }
            } else {
                further.extend(part.names());
            }
        }
        parts.others.extend(further);
        if whole || !parts.others.is_empty() {
            pairs.take(&key, parts, false, &mut Vec::new());
        }
    }
    let samples = pairs.samples;
    if let Some((count, first)) = dotted {
        let reason = format!(
            "{count} keys with dots, such as {first}: each image with its label is a sample, although a key of \
             WebDataset ends at the first dot of the file's name"
        );
        skipped.push(note(&shard.path, reason));
    }
    samples
}

/// The members by key, in the order in which the keys come.
fn group(members: Vec<Member>) -> Vec<(String, Parts)> {
    let mut groups: Vec<(String, Parts)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    // By the whole name without its ending: the place of the key, and the place within.
    let mut longer: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for member in members {
        let base = member.name.rfind('/').map_or(0, |slash| slash + 1);
        if member.name[base..].starts_with('.') {
            continue;
        }
        let dot = |found: Option<usize>| found.map_or(member.name.len(), |dot| base + dot);
        let (first, last) = (dot(member.name[base..].find('.')), dot(member.name[base..].rfind('.')));
        let place = *places.entry(member.name[..first].to_owned()).or_insert_with(|| {
            groups.push((member.name[..first].to_owned(), Parts::default()));
            groups.len() - 1
        });
        let key = &mut groups[place].1;
        let end = member.name[last..].trim_start_matches('.').to_ascii_lowercase();
        let known = matches!(end.as_str(), "cls" | "json") || IMAGES.contains(&end.as_str());
        if !known {
            key.others.push(member.name);
        } else if first == last {
            key.put(member, &end);
        } else {
            let stem = member.name[..last].to_owned();
            let (_, within) = *longer.entry(stem).or_insert_with_key(|stem| {
                key.longer.push((stem.clone(), Parts::default()));
                (place, key.longer.len() - 1)
            });
            key.longer[within].1.put(member, &end);
        }
    }
    groups
}

impl Parts {
    fn put(&mut self, member: Member, end: &str) {
        let slot = match end {
            "cls" => &mut self.cls,
            "json" => &mut self.json,
            _ => &mut self.image,
        };
        match slot {
            Some(_) => self.doubles.push(member.name),
            None => *slot = Some(member),
        }
    }

    fn names(self) -> impl Iterator<Item = String> {
        let members = [self.image, self.cls, self.json].into_iter().flatten();
        members.map(|member| member.name).chain(self.doubles).chain(self.others)
    }
}

struct Pairs<'a> {
    shard: &'a Arc<Shard>,
    task: Task,
    skipped: &'a mut Vec<Skipped>,
    samples: Vec<Sample>,
}

impl Pairs<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.shard.path.join(name)
    }

    fn lose(&mut self, name: &str, reason: impl Into<String>) {
        let skip = lost(self.path(name), reason);
        self.skipped.push(skip);
    }

    /// Makes a sample of the members of a key, or lists why there is none.
    ///
    /// `part_of_another`: without a label, the members belong to the sample of a shorter key, as a mask does; then their
    /// names are put into `further`.
    fn take(&mut self, key: &str, parts: Parts, part_of_another: bool, further: &mut Vec<String>) {
        if let Some(double) = parts.doubles.first() {
            let reason = format!("expected one image and one label of this key, found {double}, too");
            for _ in 0..=parts.doubles.len() {
                self.lose(key, reason.clone());
            }
            return;
        }
        let labels = match (&parts.cls, &parts.json) {
            (Some(cls), _) => {
                label::of_text(self.shard, cls, self.task).map(Some).map_err(|reason| (&cls.name, reason))
            }
            (None, Some(json)) => {
                label::of_json(self.shard, json, self.task).map_err(|reason| (&json.name, reason))
            }
            (None, None) => Ok(None),
        };
        let labels = match labels {
            Ok(labels) => labels,
            Err((name, reason)) => return self.lose(&name.clone(), reason),
        };
        match (parts.image, labels) {
            (Some(Member { name, offset, len }), Some(labels)) => {
                let location = Location::Member { shard: Arc::clone(self.shard), name, offset, len };
                self.samples.push(Sample { location, labels });
            }
            (Some(image), None) if part_of_another => {
                further.push(image.name);
                further.extend(parts.json.map(|json| json.name));
            }
            (Some(image), None) => self.lose(
                &image.name,
                "expected a label of this key: a member .cls, or .json with \"label\", \"cls\" or \"class\", found none",
            ),
            (None, Some(_)) => {
                let found = if parts.others.is_empty() {
                    "none".to_owned()
                } else {
                    crate::error::shortened(&parts.others.join(", "))
                };
                let reason = format!("expected an image .jpg, .jpeg, .png or .webp of this key, found {found}");
                self.lose(key, reason);
            }
            (None, None) => {
                for name in parts.json.map(|member| member.name).into_iter().chain(parts.others) {
                    if is_image_name(&name) {
                        self.lose(&name, "expected a label of this key, found none");
                    } else {
                        let path = self.path(&name);
                        self.skipped.push(note(&path, "a member without image and label".into()));
                    }
                }
            }
        }
    }
}
