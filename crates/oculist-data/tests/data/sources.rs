//! Opening data sets that are as they should be.

use oculist_data::{Dataset, OpenOptions, Split};
use std::collections::BTreeSet;

#[test]
fn the_demo_set_is_balanced_and_its_splits_are_disjoint() {
    let demo = Dataset::open("demo", &OpenOptions::default()).unwrap();
    assert_eq!(demo.source(), "demo");
    assert_eq!(demo.class_names()[0], "T-shirt/top");
    assert_eq!(demo.class_names()[9], "Ankle boot");
    for (split, per_class) in [(Split::Train, 900), (Split::Val, 100), (Split::Test, 200)] {
        assert_eq!(demo.split(split).class_counts(), [per_class; 10], "{split}");
    }
    let pixels = |split| {
        let subset = demo.split(split);
        (0..subset.len()).map(|i| subset.image(i).unwrap().into_pixels()).collect::<BTreeSet<_>>()
    };
    let (train, val, test) = (pixels(Split::Train), pixels(Split::Val), pixels(Split::Test));
    assert!(train.len() > 8_900 && val.len() > 980 && test.len() > 1_980);
    assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
}

#[test]
fn the_validation_split_follows_the_seed() {
    let names = |seed| {
        let mut options = OpenOptions::default();
        options.seed = seed;
        let demo = Dataset::open("demo", &options).unwrap();
        (0..demo.val().len()).map(|i| demo.val().name(i)).collect::<Vec<_>>()
    };
    assert_eq!(names(1), names(1));
    assert_ne!(names(1), names(2));
}
