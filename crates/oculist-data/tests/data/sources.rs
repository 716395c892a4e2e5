//! Opening data sets that are as they should be.

use oculist_augment::{ColorMode, Image, ResizeRule};
use oculist_data::{Dataset, OpenOptions, SkipKind, Split, Verify, fixture, suggest_preprocessing};
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

/// How many images each split of each class has.
fn counts(dataset: &Dataset) -> [Vec<usize>; 3] {
    Split::ALL.map(|split| dataset.split(split).class_counts())
}

#[test]
fn an_unsplit_folder_is_split_by_class_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 3, 20, 8).unwrap();
    let open = |seed| {
        let mut options = OpenOptions::default();
        options.seed = seed;
        Dataset::open_path(folder.path(), &options).unwrap()
    };
    let dataset = open(0);
    assert_eq!(dataset.class_names(), ["class0", "class1", "class2"]);
    assert_eq!(counts(&dataset), [vec![14; 3], vec![3; 3], vec![3; 3]]);
    let names = |dataset: &Dataset| (0..9).map(|i| dataset.val().name(i)).collect::<Vec<_>>();
    assert_eq!(names(&dataset), names(&open(0)));
    assert_ne!(names(&dataset), names(&open(1)));
    let mut all: Vec<String> = Split::ALL
        .iter()
        .flat_map(|&split| (0..dataset.split(split).len()).map(move |i| (split, i)))
        .map(|(split, i)| dataset.split(split).name(i))
        .collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 60);
    // Labels follow the folder.
    for i in 0..dataset.train().len() {
        assert!(dataset.train().name(i).contains(&format!("class{}", dataset.train().label(i))));
    }
}

#[test]
fn split_folders_are_taken_as_they_are_and_missing_ones_drawn() {
    for (name, train) in [("val", "train"), ("valid", "train"), ("validation", "train"), ("Val", "TRAIN")] {
        let folder = tempfile::tempdir().unwrap();
        for (part, per_class) in [(train, 20), (name, 4), ("test", 6)] {
            fixture::write_class_folders(folder.path(), part, 2, per_class, 8).unwrap();
        }
        let dataset = Dataset::open(folder.path().to_str().unwrap(), &OpenOptions::default()).unwrap();
        assert_eq!(counts(&dataset), [vec![20; 2], vec![4; 2], vec![6; 2]], "{name}");
        std::fs::remove_dir_all(folder.path().join(name)).unwrap();
        let dataset = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap();
        assert_eq!(counts(&dataset), [vec![18; 2], vec![2; 2], vec![6; 2]]);
        std::fs::remove_dir_all(folder.path().join("test")).unwrap();
        let dataset = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap();
        assert_eq!(counts(&dataset), [vec![14; 2], vec![3; 2], vec![3; 2]]);
    }
}

#[test]
fn images_of_all_kinds_lie_together_and_names_are_in_natural_order() {
    let folder = tempfile::tempdir().unwrap();
    for class in ["kind10", "kind9", "Kind 1"] {
        let path = folder.path().join(class).join("deeper");
        std::fs::create_dir_all(&path).unwrap();
        for (i, end) in ["png", "jpg", "bmp", "gif", "tiff", "webp"].iter().cycle().take(12).enumerate() {
            let side = 8 + i;
            fixture::write_image(&path.join(format!("{i}.{end}")), &fixture::class_image(i, side, 3, 0))
                .unwrap();
        }
    }
    let dataset = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(dataset.class_names(), ["Kind 1", "kind9", "kind10"]);
    let summary = dataset.summary();
    assert_eq!((summary.images(), summary.min_size, summary.max_size), (36, (8, 8), (19, 19)));
    assert!(
        dataset.skipped().iter().all(|skip| skip.kind == SkipKind::Unused && skip.reason.contains("/deeper"))
    );
    let text = summary.to_string();
    assert!(text.contains("36 images, 3 classes") && text.contains("width 8 to 19"), "{text}");
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 25, 8).unwrap();
    std::fs::write(folder.path().join("class1/7.png"), "x").unwrap();
    let open = |threads| {
        let mut options = OpenOptions::default();
        options.threads = threads;
        options.verify = Verify::Decode;
        Dataset::open_path(folder.path(), &options).unwrap().summary()
    };
    assert_eq!(open(1), open(7));
}

#[test]
fn preprocessing_is_suggested_from_the_images() {
    let demo = Dataset::open("demo", &OpenOptions::default()).unwrap();
    let small = suggest_preprocessing(&demo, None, 2).unwrap();
    assert_eq!(
        (small.color, small.width, small.height, small.resize),
        (ColorMode::Grey, 28, 28, ResizeRule::Exact)
    );
    // The published statistics of Fashion-MNIST's 60,000 images are 0.2860 and 0.3530.
    assert!((small.mean[0] - 0.286).abs() < 0.01 && (small.std[0] - 0.353).abs() < 0.01, "{small:?}");
    let large = suggest_preprocessing(&demo, Some(64), 2).unwrap();
    assert_eq!((large.width, large.resize), (64, ResizeRule::Exact));

    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 8, 100).unwrap();
    let open = || Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap();
    let square = suggest_preprocessing(&open(), None, 2).unwrap();
    assert_eq!((square.width, square.resize, square.color), (96, ResizeRule::Exact, ColorMode::Rgb));
    for i in 0..8 {
        let wide = Image::filled(200, 90, 3, 90).unwrap();
        fixture::write_image(&folder.path().join(format!("class0/{i}.png")), &wide).unwrap();
    }
    let photos = suggest_preprocessing(&open(), None, 2).unwrap();
    assert_eq!((photos.width, photos.resize), (96, ResizeRule::ShorterSide(110)));
    assert_eq!(photos.color, ColorMode::Rgb);
}

#[test]
fn what_was_noted_of_pixels_is_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    // Grey files, grey files of three channels, and both with colour among them.
    for (kind, colors) in [("grey", [1, 1]), ("grey in rgb", [1, 3]), ("rgb", [3, 3])] {
        let root = folder.path().join(kind);
        for i in 0..12_u8 {
            let channels = colors[usize::from(i) % 2];
            let pixel = if kind == "rgb" && i == 7 { [200, 10, 30] } else { [20 * i, 20 * i, 20 * i] };
            let pixels: Vec<u8> = (0..40 * 30).flat_map(|_| pixel[..channels].to_vec()).collect();
            let path = root.join(format!("class{}", i % 2)).join(format!("{i}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            fixture::write_image(&path, &Image::new(40, 30, channels, pixels).unwrap()).unwrap();
        }
        let found = |verify| {
            let mut options = OpenOptions::default();
            options.verify = verify;
            let dataset = Dataset::open_path(&root, &options).unwrap();
            suggest_preprocessing(&dataset, None, 2).unwrap()
        };
        // Headers alone note nothing of the pixels.
        assert_eq!(found(Verify::Decode), found(Verify::Headers), "{kind}");
    }
}

#[test]
fn fashion_mnist_where_it_is_installed() {
    // The package is optional; without it, the folder layout is covered by the IDX tests.
    let Ok(dataset) = Dataset::open("fashion-mnist", &OpenOptions::default()) else {
        println!("skipped: Debian's dataset-fashion-mnist is not installed");
        return;
    };
    assert_eq!(counts(&dataset), [vec![5400; 10], vec![600; 10], vec![1000; 10]]);
    // The demo set is a part of it, images and labels.
    let all = |dataset: &Dataset, splits: &[Split]| {
        let mut images = BTreeSet::new();
        for &split in splits {
            let subset = dataset.split(split);
            images
                .extend((0..subset.len()).map(|i| (subset.image(i).unwrap().into_pixels(), subset.label(i))));
        }
        images
    };
    let demo = Dataset::open("demo", &OpenOptions::default()).unwrap();
    for splits in [&[Split::Train, Split::Val][..], &[Split::Test]] {
        assert!(all(&demo, splits).is_subset(&all(&dataset, splits)), "{splits:?}");
    }
}
