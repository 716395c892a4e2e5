//! What has changed between two readings of a data set.

use super::{Identity, ImageIdentity};
use std::collections::HashMap;

/// An image's name, the box of it, and which of several of that name it is.
type Key<'a> = (&'a str, Option<[u32; 4]>, usize);

impl Identity {
    /// What is different in `now`, a sentence for each image: other labels first, then other content, what is gone,
    /// what is new, and what has moved between splits. Empty if the same images are there in the same order.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found: Vec<(u8, String)> = Vec::new();
        if self.classes != now.classes {
            let list = |names: &[String]| names.join(", ");
            found.push((0, format!("the classes were {}, are {}", list(&self.classes), list(&now.classes))));
        }
        let mut before: HashMap<Key<'_>, &ImageIdentity> = keyed(&self.images).collect();
        for (key, image) in keyed(&now.images) {
            let split = image.split.name();
            let Some(old) = before.remove(&key) else {
                found.push((3, format!("{split}: {} is new", title(image))));
                continue;
            };
            if old.class != image.class {
                let text = format!("{split}: {} was {}, is {}", title(image), old.class, image.class);
                found.push((0, text));
            } else if (old.size, old.digest) != (image.size, image.digest) {
                let text = format!("{split}: {} has other content", title(image));
                found.push((1, text));
            } else if old.split != image.split {
                let text = format!("{} was in {}, is in {split}", title(image), old.split.name());
                found.push((4, text));
            }
        }
        // In the order of the list, as a map has none.
        for (key, image) in keyed(&self.images) {
            if before.contains_key(&key) {
                found.push((2, format!("{}: {} is gone", image.split.name(), title(image))));
            }
        }
        if found.is_empty() && self.digest() != now.digest() {
            found.push((5, "the same images are there in another order".into()));
        }
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, text)| text).collect()
    }
}

/// The images with what tells them apart.
fn keyed(images: &[ImageIdentity]) -> impl Iterator<Item = (Key<'_>, &ImageIdentity)> {
    let mut seen: HashMap<(&str, Option<[u32; 4]>), usize> = HashMap::new();
    images.iter().map(move |image| {
        let times = seen.entry((&image.name, image.part)).or_default();
        *times += 1;
        ((image.name.as_str(), image.part, *times), image)
    })
}

fn title(image: &ImageIdentity) -> String {
    match image.part {
        Some([left, top, right, bottom]) => format!("{} [{left}, {top}, {right}, {bottom}]", image.name),
        None => image.name.clone(),
    }
}
