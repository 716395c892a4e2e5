use super::*;
use crate::audit::{AuditOptions, audit};
use oculist_augment::{Image, Rng};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// A picture of 5x5 patches of chance, `side` pixels a side.
fn patches(seed: u64, side: usize, brighter: u8) -> Image {
    let mut rng = Rng::keyed(&[seed]);
    let patch: Vec<u8> = (0..25).map(|_| 20 + rng.below(200) as u8 + brighter).collect();
    let pixels = (0..side * side).map(|i| patch[i / side * 5 / side * 5 + i % side * 5 / side]).collect();
    Image::new(side, side, 1, pixels).unwrap()
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
    let looks: Vec<Option<Look>> = audited
        .places
        .iter()
        .map(|place| Some(Look::of(&dataset.split(place.split).image(place.index).unwrap())))
        .collect();
    let found = look::groups(&looks, 2);
    assert_eq!(found, audited.groups);
    assert_eq!(look::groups(&looks, 1), found);
    let alone = (0..found.len() as u32).collect::<Vec<_>>();
    assert!(found.iter().zip(&alone).filter(|(a, b)| a != b).count() > 60, "there are groups to find");
}

#[test]
fn small_images_are_compared_exactly_only() {
    let pair = |side| vec![Some(Look::of(&patches(1, side, 0))), Some(Look::of(&patches(1, side, 3)))];
    assert_eq!(look::groups(&pair(32), 1), [0, 1]);
    assert_eq!(look::groups(&pair(33), 1), [0, 0]);
    let same = vec![Some(Look::of(&patches(1, 32, 0))); 2];
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
