use super::*;
use crate::ImageStore;
use crate::audit::{AuditOptions, audit};
use oculist_augment::{Image, Rng};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A picture of 5x5 patches of chance, `side` pixels a side.
fn patches(seed: u64, side: usize, brighter: u8) -> Image {
    let mut rng = Rng::keyed(&[seed]);
    let patch: Vec<u8> = (0..25).map(|_| 20 + rng.below(200) as u8 + brighter).collect();
    let pixels = (0..side * side).map(|i| patch[i / side * 5 / side * 5 + i % side * 5 / side]).collect();
    Image::new(side, side, 1, pixels).unwrap()
}

fn look(image: &Image) -> Option<Box<Look>> {
    Some(Box::new(Look::of(image)))
}

/// Two classes in turns.
fn open(images: Vec<Image>, splits: &[Split], duplicates: Duplicates) -> Dataset {
    let labels = (0..images.len() as u32).map(|i| vec![i % 2]).collect();
    let options = OpenOptions { duplicates, threads: 2, ..OpenOptions::default() };
    let names = ["a", "b"].map(str::to_owned).to_vec();
    Dataset::of_images("m", images, labels, splits, names, &options).unwrap()
}

/// The split of each image by its name.
fn splits(dataset: &Dataset) -> BTreeMap<String, Split> {
    Split::ALL
        .into_iter()
        .flat_map(|split| (0..dataset.split(split).len()).map(move |i| (split, i)))
        .map(|(split, i)| (dataset.split(split).name(i), split))
        .collect()
}

#[test]
fn groups_are_those_of_the_audit() {
    // Each third image has a brighter twin, each fourth an exact one.
    let images: Vec<Image> = (0..120)
        .map(|i: u64| patches(i / 3, 40 + (i / 60) as usize * 24, if i.is_multiple_of(3) { 4 } else { 0 }))
        .chain((0..30).map(|i| patches(i * 4, 40, 0)))
        .collect();
    let dataset = open(images, &[], Duplicates::Ignore);
    let options = AuditOptions { threads: 2, ..AuditOptions::default() };
    let audited = audit(&dataset, &options, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    let looks: Vec<Option<Box<Look>>> = audited
        .places
        .iter()
        .map(|place| look(&dataset.split(place.split).image(place.index).unwrap()))
        .collect();
    let found = look::groups(&looks, 2);
    assert_eq!(found, audited.groups);
    assert_eq!(look::groups(&looks, 1), found);
    let alone = (0..found.len() as u32).collect::<Vec<_>>();
    assert!(found.iter().zip(&alone).filter(|(a, b)| a != b).count() > 60, "there are groups to find");
}

#[test]
fn small_images_are_compared_exactly_only() {
    let pair = |side| vec![look(&patches(1, side, 0)), look(&patches(1, side, 3))];
    assert_eq!(look::groups(&pair(32), 1), [0, 1]);
    assert_eq!(look::groups(&pair(33), 1), [0, 0]);
    let same = vec![look(&patches(1, 32, 0)); 2];
    assert_eq!(look::groups(&same, 1), [0, 0]);
}

#[test]
fn drawn_splits_cut_no_group_and_are_as_they_were_without_any() {
    let twins: Vec<Image> = (0..120).map(|i| patches(i / 4 * 2 + i % 2, 40, (i % 4 / 2) as u8)).collect();
    let plain = open(twins.clone(), &[], Duplicates::Ignore);
    let kept = open(twins.clone(), &[], Duplicates::Auto);
    // Images 4 n and 4 n + 2 are alike, 4 n + 1 and 4 n + 3 too.
    let apart = |dataset: &Dataset| {
        let splits = splits(dataset);
        let of = |i: usize| splits[&format!("m[{i}]")];
        (0..120).filter(|i| i % 4 < 2 && of(*i) != of(i + 2)).count()
    };
    assert!(apart(&plain) > 10);
    assert_eq!((apart(&kept), kept.alike().kept, kept.alike().cut), (0, apart(&plain), 0));
    assert!(kept.alike().leaks.is_empty() && !plain.alike().looked);
    assert_eq!(splits(&open(twins, &[], Duplicates::Find)), splits(&kept));
    let alone: Vec<Image> = (0..120).map(|i| patches(i, 40, 0)).collect();
    let as_it_was = splits(&open(alone.clone(), &[], Duplicates::Ignore));
    assert_eq!(splits(&open(alone, &[], Duplicates::Auto)), as_it_was);
}

#[test]
fn a_group_that_is_everything_is_cut_and_told() {
    // All of class 0 are one picture, and all of class 1.
    let images: Vec<Image> = (0..60).map(|i| patches(i % 2, 40, 0)).collect();
    let dataset = open(images, &[], Duplicates::Auto);
    assert!(Split::ALL.iter().all(|&split| !dataset.split(split).is_empty()));
    assert_eq!((dataset.alike().kept, dataset.alike().cut), (0, 2));
    let leak = &dataset.alike().leaks[0];
    assert_eq!(
        (leak.split, leak.repeats, leak.images, leak.exact),
        (Split::Test, Split::Train, leak.of, leak.of)
    );
    // One picture for all says itself what is wrong.
    let same = open(vec![patches(1, 40, 0); 60], &[], Duplicates::Auto);
    assert_eq!(same.alike().uniform, Split::ALL.map(|split| (split, Uniform::Identical)));
    assert!(same.alike().leaks.is_empty());
    let flat = (0..60).map(|i| Image::new(8, 8, 1, vec![i; 64]).unwrap()).collect();
    let flat = open(flat, &[], Duplicates::Auto);
    assert_eq!(flat.alike().uniform, Split::ALL.map(|split| (split, Uniform::Flat)));
}

#[test]
fn large_groups_do_not_leave_a_split_nearly_empty() {
    // Two scenes of 100 images each, and 28 images of which each has a twin two further on.
    let of = |i: usize| match i {
        0..100 => 1,
        100..200 => 2,
        _ => 3 + (i / 4 * 2 + i % 2) as u64,
    };
    let images: Vec<Image> = (0..228).map(|i| patches(of(i), 40, 0)).collect();
    let wanted = open(images.clone(), &[], Duplicates::Ignore);
    let dataset = open(images, &[], Duplicates::Auto);
    for split in [Split::Val, Split::Test] {
        let (found, wanted) = (dataset.split(split).len(), wanted.split(split).len());
        assert!(2 * found >= wanted, "{split}: {found} of {wanted}");
    }
    // The scenes are cut, and told; the twins stay together all the same.
    assert_eq!(dataset.alike().cut, 2);
    assert!(dataset.alike().kept > 0, "{:?}", dataset.alike());
    let splits = splits(&dataset);
    let side = |i: usize| splits[&format!("m[{i}]")];
    assert!((200..226).filter(|i| i % 4 < 2).all(|i| side(i) == side(i + 2)));
    // Where groups fit, none is cut, however large.
    let images: Vec<Image> = (0..228).map(|i| patches((i / 19) as u64, 40, 0)).collect();
    let dataset = open(images, &[], Duplicates::Auto);
    assert_eq!((dataset.alike().kept, dataset.alike().cut), (12, 0));
}

/// Boxes of pictures, which counts how often it decodes.
struct Boxes {
    picture: (usize, usize),
    /// The picture and the pattern of each box.
    of: Vec<(usize, u64)>,
    decoded: AtomicUsize,
}

impl ImageStore for Boxes {
    fn len(&self) -> usize {
        self.of.len()
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        Ok(patches(self.of[index].1, 40, 0))
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (40, 40)
    }

    fn name(&self, index: usize) -> String {
        format!("{}#{index}", self.of[index].0)
    }

    fn origin(&self, index: usize) -> (String, Option<[u32; 4]>) {
        (self.of[index].0.to_string(), Some([0, 0, 40, 40]))
    }

    fn is_part(&self, _index: usize) -> bool {
        true
    }

    fn picture_size(&self, _index: usize) -> (usize, usize) {
        self.picture
    }

    fn visit(&self, indices: &[usize], each: &mut dyn FnMut(Result<Image>)) {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        assert!(indices.iter().all(|&index| self.of[index].0 == self.of[indices[0]].0));
        for &index in indices {
            each(Ok(patches(self.of[index].1, 40, 0)));
        }
    }
}

/// 60 boxes of 6 pictures, whose boxes do not stand together, compared; and how many pictures were decoded for it. Of the
/// boxes for testing, the last ten, one repeats a box to train on.
fn compared_boxes(picture: (usize, usize), duplicates: Duplicates) -> (Dataset, usize) {
    let boxes = (0..60).map(|i| (i % 5 + i / 50, if i == 59 { 7 } else { i as u64 })).collect();
    let store = Arc::new(Boxes { picture, of: boxes, decoded: AtomicUsize::default() });
    let subset = |items: std::ops::Range<u32>| {
        let labels: Vec<u32> = items.clone().map(|i| i % 2).collect();
        Subset::new(Arc::<Boxes>::clone(&store), items.collect(), labels, 2).unwrap()
    };
    let dataset = Dataset {
        source: "boxes".into(),
        class_names: ["a", "b"].map(str::to_owned).to_vec(),
        train: subset(0..40),
        val: subset(40..50),
        test: subset(50..60),
        skipped: Vec::new(),
        drawn: None,
        alike: Alike::default(),
    };
    let options = OpenOptions { duplicates, threads: 2, ..OpenOptions::default() };
    (settle(dataset, &options).unwrap(), store.decoded.load(Ordering::Relaxed))
}

#[test]
fn boxes_of_one_picture_cost_one_decoding() {
    let (dataset, decoded) = compared_boxes((400, 400), Duplicates::Auto);
    // Five pictures for training, the same for validation, and in this store those of the test split are others.
    assert_eq!(decoded, 5 + 5 + 5);
    let leak = &dataset.alike().leaks[0];
    assert_eq!((leak.images, leak.exact, &leak.pairs[0]), (1, 1, &("5#59".to_owned(), "2#7".to_owned())));
}

#[test]
fn what_is_decoded_counts_and_not_how_many_boxes_it_has() {
    // 15 decodings of 190 million pixels are within the limit, and 60 would not be; then of more.
    assert!(compared_boxes((19_000, 10_000), Duplicates::Auto).0.alike().looked);
    let (dataset, decoded) = compared_boxes((30_000, 10_000), Duplicates::Auto);
    assert_eq!((dataset.alike().looked, dataset.alike().too_many, decoded), (false, 60, 0));
    assert!(compared_boxes((30_000, 10_000), Duplicates::Find).0.alike().looked);
    // The same limits hold where files are decoded when they are looked at.
    let allows = |sizes: &[(usize, usize)], n| Duplicates::Auto.allows(Cost::of(sizes.repeat(n).into_iter()));
    assert!(allows(&[(40, 40)], 200_000) && !allows(&[(40, 40)], 200_001), "thumbnails");
    assert!(allows(&[(32, 32)], 300_000), "small images have none");
    assert!(allows(&[(1000, 1000)], 3000) && !allows(&[(1000, 1000)], 3001), "pixels");
    assert!(!Duplicates::Ignore.allows(Cost::default()));
}

#[test]
fn given_splits_stay_and_what_they_share_is_told() {
    let given: Vec<Split> = (0..60).map(|i| if i < 40 { Split::Train } else { Split::Test }).collect();
    // Of the test images two are exact copies and two nearly.
    let images = (0..60).map(|i| match i {
        56 | 57 => patches(i - 50, 40, 0),
        58 | 59 => patches(i - 50, 40, 3),
        _ => patches(i, 40, 0),
    });
    let dataset = open(images.collect(), &given, Duplicates::Auto);
    assert_eq!(dataset.test().len(), 20);
    let of_test: Vec<&Leak> = dataset.alike().leaks.iter().filter(|leak| leak.split == Split::Test).collect();
    assert_eq!(of_test.iter().map(|leak| leak.images).sum::<usize>(), 4);
    assert_eq!(of_test.iter().map(|leak| leak.exact).sum::<usize>(), 2);
    assert_eq!(of_test[0].pairs[0], ("m[56]".to_owned(), "m[6]".to_owned()));
    assert!(
        open((0..60).map(|i| patches(i, 40, 0)).collect(), &given, Duplicates::Auto).alike().leaks.is_empty()
    );
}
