//! COCO annotations as labels of whole images: an image shows the categories that are annotated in it.
//!
//! Where an object lies in its image does not matter here, so that crowds and boxes without area count, and annotations need
//! no box at all. An image without annotations shows nothing.

use super::lists::{Files, leave_out};
use super::{classes_of, of_annotation};
use crate::coco::read_presence;
use crate::error::Result;
use crate::open::assemble::{ClassNames, Collected, Named, lost, note};
use crate::{Dataset, OpenOptions, Skipped, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) fn open(
    root: &Path,
    lists: &[(PathBuf, Split)],
    mut skipped: Vec<Skipped>,
    options: &OpenOptions,
) -> Result<Dataset> {
    let mut classes = ClassNames::default();
    let mut files = Files::default();
    let mut labels: Vec<Vec<u32>> = Vec::new();
    for (path, split) in lists {
        let mut coco = read_presence(path)?;
        leave_out(path, &mut coco, &options.left_out, &mut skipped);
        let class_of = classes_of(&coco, &mut classes);
        if coco.unusable_entries > 0 {
            let reason = format!("{} entries without id or name not used", coco.unusable_entries);
            skipped.push(note(path, reason));
        }
        skipped.extend(coco.bad.iter().map(|bad| lost(of_annotation(path, bad.id), bad.reason.clone())));
        let wanted = coco.images.iter().map(|image| image.id).collect();
        let index = files.add(path, &coco, &wanted, *split, options, &mut skipped)?;
        labels.resize(files.candidates.len(), Vec::new());
        // Images that another split has already are told once each.
        let mut elsewhere: BTreeMap<u64, Split> = BTreeMap::new();
        for (&id, &(file, _)) in &index {
            if files.splits[file] != *split {
                elsewhere.insert(id, files.splits[file]);
            }
        }
        for (id, other) in &elsewhere {
            let reason = format!("expected an image in one split, found one of {other} and {split}");
            skipped.push(lost(path.join(format!("image {id}")), reason));
        }
        for annotation in coco.annotations.iter().filter(|a| !elsewhere.contains_key(&a.image_id)) {
            labels[index[&annotation.image_id].0].push(class_of[&annotation.category_id]);
        }
        let without = index.values().filter(|(file, _)| labels[*file].is_empty()).count();
        if without > 0 {
            skipped.push(note(
                path,
                format!("{without} images without an annotation, read as showing no class"),
            ));
        }
    }
    let each = files.candidates.into_iter().zip(files.splits).zip(labels);
    let named = each.map(|((candidate, split), mut labels)| {
        labels.sort_unstable();
        labels.dedup();
        Named { candidate, split, classes: labels.into() }
    });
    Collected::look_at(root, named.collect(), classes.names, true, skipped, options)?.into_dataset(options)
}
