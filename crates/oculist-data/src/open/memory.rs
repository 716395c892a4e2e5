//! Images that are in memory already.

use super::assemble::{ClassList, Collected, Entry};
use crate::error::{Error, Result};
use crate::{Dataset, ImageStore, OpenOptions, Split, Task};
use oculist_augment::Image;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Pictures of any sizes in memory.
struct Pictures {
    name: String,
    images: Vec<Image>,
}

impl ImageStore for Pictures {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.images.get(index).cloned().ok_or(Error::Index { index, len: self.images.len() })
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.images.get(index).map_or((0, 0), |image| (image.width(), image.height()))
    }

    fn name(&self, index: usize) -> String {
        format!("{}[{index}]", self.name)
    }

    fn is_decoded(&self) -> bool {
        true
    }
}

impl Dataset {
    /// A data set of images in memory, each with its classes; splits without an image are drawn as for a folder.
    ///
    /// # Shapes
    /// `labels`: the classes of each image as indices into `class_names`, exactly one with [`Task::SingleLabel`]; `splits`:
    /// that of each image, or empty if all are for training.
    ///
    /// # Errors
    /// Lists of different lengths, a label that is no class, an image of other than 1 or 3 channels, and what is refused of
    /// any data set: a single class, a class without training images, a split that stays empty.
    pub fn of_images(
        name: &str,
        images: Vec<Image>,
        labels: Vec<Vec<u32>>,
        splits: &[Split],
        class_names: Vec<String>,
        options: &OpenOptions,
    ) -> Result<Self> {
        let wrong =
            |expected, found: String| Err(Error::Option { name: "images in memory", expected, found });
        if labels.len() != images.len() {
            let found = format!("{} of {} images", labels.len(), images.len());
            return wrong("labels for each image", found);
        }
        if !splits.is_empty() && splits.len() != images.len() {
            let found = format!("{} of {} images", splits.len(), images.len());
            return wrong("a split for each image, or for none", found);
        }
        if let Some(odd) = images.iter().find(|image| !matches!(image.channels(), 1 | 3)) {
            return wrong("1 or 3 channels", odd.channels().to_string());
        }
        let mut entries = Vec::with_capacity(images.len());
        for (i, classes) in labels.into_iter().enumerate() {
            if let Some(bad) = classes.iter().find(|&&class| class as usize >= class_names.len()) {
                let found = format!("{bad} of image {i}, and {} classes", class_names.len());
                return wrong("labels below the number of classes", found);
            }
            if options.task == Task::SingleLabel && classes.len() != 1 {
                return wrong("one label for each image", format!("{} of image {i}", classes.len()));
            }
            entries.push(Entry {
                split: splits.get(i).copied().unwrap_or(Split::Train),
                classes: ClassList::from(classes),
                item: Some(i as u32),
            });
        }
        let dataset = Collected {
            root: PathBuf::from(name),
            class_names,
            ordered: true,
            entries,
            skipped: Vec::new(),
            failed: BTreeMap::new(),
            store: Arc::new(Pictures { name: name.to_owned(), images }),
        }
        .into_dataset(options)?;
        Ok(crate::thin::told(crate::alike::settle(dataset, options)?, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::class_image;

    fn images(n: usize) -> Vec<Image> {
        (0..n).map(|i| class_image(i % 2, 8 + i % 3, 3, i as u64)).collect()
    }

    fn names() -> Vec<String> {
        ["a", "b"].map(str::to_owned).to_vec()
    }

    #[test]
    fn without_a_test_fraction_there_are_no_test_images() {
        let labels: Vec<Vec<u32>> = (0..40).map(|i| vec![i % 2]).collect();
        let mut options = OpenOptions { test_fraction: 0.0, ..OpenOptions::default() };
        let of = |splits: &[Split], options: &OpenOptions, images| {
            Dataset::of_images("mine", images, labels.clone(), splits, names(), options)
        };
        let sizes = |d: &Dataset| [d.train().len(), d.val().len(), d.test().len()];
        let drawn = of(&[], &options, images(40)).unwrap();
        assert_eq!(sizes(&drawn), [34, 6, 0]);
        // The validation images are those that are drawn beside a test split.
        let both = of(&[], &OpenOptions::default(), images(40)).unwrap();
        let names_of = |s: &crate::Subset| (0..s.len()).map(|i| s.name(i)).collect::<Vec<_>>();
        assert_eq!((sizes(&both), names_of(both.val())), ([28, 6, 6], names_of(drawn.val())));
        // What the source has is kept, and no other split may be empty.
        let third = |i| if i % 3 == 0 { Split::Test } else { Split::Train };
        let given: Vec<Split> = (0..40).map(third).collect();
        assert_eq!(of(&given, &options, images(40)).unwrap().test().len(), 14);
        options.val_fraction = Some(0.0);
        assert!(matches!(
            of(&[], &options, images(40)),
            Err(crate::Error::EmptySplit { split: Split::Val, .. })
        ));
        // Images that repeat each other stay on one side here as well.
        options.val_fraction = None;
        let mut repeated = images(40);
        for i in 0..12 {
            repeated[i + 12] = repeated[i].clone();
        }
        let kept = of(&[], &options, repeated.clone()).unwrap();
        assert!(
            kept.alike().kept > 0 && kept.alike().cut == 0 && kept.test().is_empty(),
            "{:?}",
            sizes(&kept)
        );
        options.duplicates = crate::Duplicates::Ignore;
        assert_eq!(of(&[], &options, repeated).unwrap().alike().kept, 0, "twin");
    }

    #[test]
    fn splits_are_given_or_drawn() {
        let labels: Vec<Vec<u32>> = (0..40).map(|i| vec![i % 2]).collect();
        let of = |splits: &[Split]| {
            Dataset::of_images("mine", images(40), labels.clone(), splits, names(), &OpenOptions::default())
        };
        let drawn = of(&[]).unwrap();
        assert_eq!(drawn.train().len() + drawn.val().len() + drawn.test().len(), 40);
        assert!(!drawn.val().is_empty() && drawn.drawn().is_some());
        let splits: Vec<Split> = (0..40).map(|i| Split::ALL[(i / 2) % 3]).collect();
        let given = of(&splits).unwrap();
        assert_eq!(given.class_names(), names());
        assert_eq!(given.val().image(0).unwrap(), images(40)[2]);
        assert_eq!((given.val().label(0), given.val().name(1)), (0, "mine[3]".into()));
    }

    #[test]
    fn several_labels_are_taken_where_they_are_asked_for() {
        let labels: Vec<Vec<u32>> =
            (0..40u32).map(|i| (0..2).filter(|c| i >> c & 1 == 1).collect()).collect();
        let options = OpenOptions { task: Task::MultiLabel, ..OpenOptions::default() };
        let of = |options| Dataset::of_images("m", images(40), labels.clone(), &[], names(), options);
        assert_eq!(of(&options).unwrap().train().task(), Task::MultiLabel);
        assert!(of(&OpenOptions::default()).unwrap_err().to_string().contains("one label for each image"));
    }

    #[test]
    fn a_class_that_is_not_in_every_split_is_told() {
        let of = |rare: usize, images_of: usize| {
            let labels = (0..images_of + rare).map(|i| vec![u32::from(i >= images_of)]).collect();
            let options = OpenOptions::default();
            let all = images(images_of + rare);
            let dataset = Dataset::of_images("m", all, labels, &[], names(), &options).unwrap();
            dataset.notes().map(|note| note.reason.clone()).collect::<Vec<_>>().join("\n")
        };
        let text = of(1, 40);
        assert!(
            text.contains("the val split has no image of 1 of 2 classes: \"b\" (1 image in all)"),
            "{text}"
        );
        assert!(text.contains("the test split has no image of 1 of 2 classes"), "{text}");
        let text = of(2, 40);
        assert!(
            text.contains("the test split has no image") && !text.contains("the val split has"),
            "{text}"
        );
        assert!(of(3, 40).is_empty(), "three are enough for all");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let of = |labels: Vec<Vec<u32>>, splits: &[Split]| {
            let options = OpenOptions::default();
            Dataset::of_images("m", images(4), labels, splits, names(), &options).unwrap_err().to_string()
        };
        assert!(of(vec![vec![0]; 3], &[]).contains("3 of 4 images"));
        assert!(of(vec![vec![0]; 4], &[Split::Val]).contains("1 of 4 images"));
        assert!(of(vec![vec![0], vec![1], vec![2], vec![0]], &[]).contains("2 of image 2"));
    }
}
