//! What is to be said of images that repeat each other.

use oculist_data::{Alike, Dataset, Leak, Split, Uniform};
use oculist_report::{Repeats, SharedImages};

use crate::message::set_to;
use crate::summary::counted;

/// What was done, one line each.
pub(crate) fn notes(alike: &Alike) -> Vec<String> {
    let mut lines = Vec::new();
    if alike.too_many > 0 {
        lines.push(format!(
            "the {} images were not compared with each other, which would take long: exact and near duplicates may lie in two \
             splits ({} compares them)",
            alike.too_many,
            set_to("duplicates", "find")
        ));
    }
    if alike.kept > 0 {
        lines.push(format!(
            "{} of exact or near duplicates kept on one side: drawn image by image they would lie in two splits ({} does \
             that)",
            counted(alike.kept, "group", "groups"),
            set_to("duplicates", "ignore")
        ));
    }
    lines
}

/// What makes a measurement worth less than it looks, one line each.
pub(crate) fn warnings(dataset: &Dataset) -> Vec<String> {
    let alike = dataset.alike();
    let mut lines: Vec<String> = Vec::new();
    for (split, uniform) in &alike.uniform {
        let images = words(*split);
        lines.push(match uniform {
            Uniform::Identical => {
                format!(
                    "all {} {images} images have the same pixels: no class can be told from another",
                    dataset.split(*split).len()
                )
            }
            Uniform::Flat => format!(
                "each of the {} {images} images is of one colour: there is nothing to see in them",
                dataset.split(*split).len()
            ),
        });
    }
    let identical = |split| alike.uniform.contains(&(split, Uniform::Identical));
    if alike.cut > 0 && !Split::ALL.into_iter().all(identical) {
        lines.push(format!(
            "{} of exact or near duplicates in more than one split: on one side a class would be without images, or a split with \
             less than half of those that it should have",
            counted(alike.cut, "group lies", "groups lie")
        ));
    }
    lines.extend(alike.leaks.iter().map(leak));
    lines
}

fn leak(leak: &Leak) -> String {
    let pairs: Vec<String> = leak
        .pairs
        .iter()
        .map(|(a, b)| format!("{} and {}", oculist_text::visible(a), oculist_text::visible(b)))
        .collect();
    let more = if leak.images > pairs.len() { ", ..." } else { "" };
    format!(
        "{} of {} {} images repeat {} images, {} of them exactly, so that what they measure is partly known: {}{more}",
        leak.images,
        leak.of,
        words(leak.split),
        words(leak.repeats),
        leak.exact,
        pairs.join("; "),
    )
}

fn words(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Val => "validation",
        Split::Test => "test",
    }
}

/// The facts for the report; nothing where images were not compared.
pub(crate) fn facts(alike: &Alike) -> Option<Repeats> {
    let shared = |leak: &Leak| SharedImages {
        split: leak.split.name().to_owned(),
        repeats: leak.repeats.name().to_owned(),
        images: leak.images,
        exact: leak.exact,
        pairs: leak.pairs.iter().map(|(a, b)| [a.clone(), b.clone()]).collect(),
    };
    alike.looked.then(|| Repeats {
        kept: alike.kept,
        cut: alike.cut,
        shared: alike.leaks.iter().map(shared).collect(),
    })
}
