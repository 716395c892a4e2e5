//! Classes with too few images to be in every split: told, whatever the images come from.

use crate::error::shortened;
use crate::{Dataset, OpenOptions, Purpose, SkipKind, Skipped, Split};

/// Most classes that a line names.
const NAMED: usize = 5;

/// Adds a line for each split that decides or measures and lacks classes.
pub(crate) fn told(mut dataset: Dataset, options: &OpenOptions) -> Dataset {
    if options.purpose != Purpose::Train {
        return dataset;
    }
    let counts = Split::ALL.map(|split| dataset.split(split).class_counts());
    let all = |class: usize| counts.iter().map(|counts| counts[class]).sum::<usize>();
    for split in [Split::Val, Split::Test] {
        let counts = &counts[split as usize];
        // What is empty is an error elsewhere.
        let without: Vec<usize> = (0..counts.len()).filter(|&class| counts[class] == 0).collect();
        if without.is_empty() || dataset.split(split).is_empty() {
            continue;
        }
        let named = without.iter().take(NAMED).map(|&class| {
            let images = all(class);
            let word = if images == 1 { "image" } else { "images" };
            format!("\"{}\" ({images} {word} in all)", shortened(&dataset.class_names[class]))
        });
        let mut names = named.collect::<Vec<_>>().join(", ");
        if without.len() > NAMED {
            names = format!("{names} and {} more", without.len() - NAMED);
        }
        let purpose = if split == Split::Val { "decides on" } else { "measures" };
        let reason = format!(
            "the {split} split has no image of {} of {} classes: {names}; what it {purpose} says nothing of them",
            without.len(),
            counts.len(),
        );
        dataset.skipped.push(Skipped {
            path: dataset.source.clone().into(),
            reason,
            kind: SkipKind::Lacking,
        });
    }
    dataset
}
