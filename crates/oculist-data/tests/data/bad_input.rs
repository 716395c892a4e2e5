//! What happens with data that is not as it should be.

use oculist_augment::{ColorMode, Image, Pipeline, Preprocessing};
use oculist_data::{
    DEFAULT_MAX_PIXELS, Dataset, DecodeError, Error, Loader, LoaderConfig, OpenOptions, Purpose, SkipKind,
    Split, Verify, decode_image, fixture, read_idx_images, read_idx_labels,
};
use std::fs;
use std::path::Path;

fn open(path: &Path) -> Result<Dataset, Error> {
    Dataset::open_path(path, &OpenOptions::default())
}

fn message(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

/// An unsplit folder of two classes with 40 images each.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 40, 12).unwrap();
    folder
}

#[test]
fn missing_folders_and_files_in_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let text = message(&nowhere);
    assert!(text.contains("nowhere: no such file or folder") && text.contains("demo"), "{text}");
    fs::write(&nowhere, "").unwrap();
    assert!(matches!(open(&nowhere), Err(Error::NotAFolder { .. })));
    let mut options = OpenOptions::default();
    options.data_dir = Some(folder.path().join("elsewhere"));
    let text = Dataset::open("fashion-mnist", &options).unwrap_err().to_string();
    assert!(text.contains("elsewhere: no such file or folder"), "{text}");
}

#[test]
fn folders_without_classes_with_one_class_or_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert!(matches!(open(root), Err(Error::NoClasses { .. })), "an empty folder");
    fs::write(root.join("a.png"), "x").unwrap();
    assert!(matches!(open(root), Err(Error::NoClasses { .. })), "files without class folders");
    fixture::write_class_folders(root, "", 1, 5, 8).unwrap();
    let text = message(root);
    assert!(text.contains("found only the class \"class0\""), "{text}");
    fs::create_dir(root.join("class1")).unwrap();
    // A folder without files is as good as none.
    let text = message(root);
    assert!(text.contains("found only the class \"class0\""), "{text}");
    fs::write(root.join("class1/broken.png"), "x").unwrap();
    let mut options = OpenOptions::default();
    options.max_unreadable = 0.5;
    let text = Dataset::open_path(root, &options).unwrap_err().to_string();
    assert!(text.contains("class \"class1\" has no readable image in the train split: "), "{text}");
    assert!(
        text.ends_with("broken.png: not an image (expected JPEG, PNG, WebP, BMP, TIFF or GIF)"),
        "{text}"
    );
}

#[test]
fn a_class_folder_that_is_empty_in_one_split_is_like_an_absent_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fixture::write_class_folders(root, "train", 3, 10, 8).unwrap();
    fixture::write_class_folders(root, "val", 2, 4, 8).unwrap();
    fixture::write_class_folders(root, "test", 2, 4, 8).unwrap();
    fs::create_dir(root.join("val/class2")).unwrap();
    let dataset = open(root).unwrap();
    assert_eq!(dataset.val().class_counts(), [4, 4, 0]);
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    // Each split once, whether the folder is there and empty or not there at all.
    assert!(
        notes[0].contains("val split has no image of 1 of 3 classes: \"class2\" (10 images"),
        "{notes:?}"
    );
    assert!(notes[1].contains("test split has no image of 1 of 3 classes") && notes.len() == 2, "{notes:?}");
    // What is opened to be measured on says nothing of what is missing, so that the empty folder is told.
    let mut options = OpenOptions::default();
    options.purpose = Purpose::Evaluate;
    let dataset = Dataset::open_path(root, &options).unwrap();
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    assert_eq!(notes, ["class \"class2\" has no file in the val split"]);
    assert_eq!(dataset.left_out().count(), 0);
    // What is empty in training cannot be learnt.
    fs::remove_dir_all(root.join("train/class1")).unwrap();
    fs::create_dir(root.join("train/class1")).unwrap();
    assert!(message(root).contains("class \"class1\" is in the val split but not in the training split"));
}

#[test]
fn a_class_that_training_never_shows() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fixture::write_class_folders(root, "train", 2, 10, 8).unwrap();
    fixture::write_class_folders(root, "test", 3, 4, 8).unwrap();
    let text = message(root);
    assert!(text.contains("class \"class2\" is in the test split but not in the training split"), "{text}");
    fs::remove_dir_all(root.join("train")).unwrap();
    let text = message(root);
    assert!(text.contains("found the test split alone, expected images to train on"), "{text}");
}

#[test]
fn two_validation_folders_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val", "valid"] {
        fixture::write_class_folders(folder.path(), part, 2, 4, 8).unwrap();
    }
    let text = message(folder.path());
    assert!(text.contains("val is the val split") && text.contains("--exclude val)"), "{text}");
}

#[test]
fn a_few_unreadable_files_are_skipped_and_listed() {
    let folder = folder();
    let root = folder.path();
    let png = fs::read(root.join("class0/0.png")).unwrap();
    fs::write(root.join("class0/cut.png"), &png[..png.len() / 2]).unwrap();
    fs::write(root.join("class1/no image.jpg"), "this is text").unwrap();
    fs::write(root.join("class1/zero.jpg"), "").unwrap();
    fs::write(root.join("class1/notes"), "beside the point").unwrap();
    fs::write(root.join("class1/.hidden"), "not looked at").unwrap();
    let dataset = open(root).unwrap();
    let listed: Vec<(String, &str, SkipKind)> = dataset
        .skipped()
        .iter()
        .map(|s| (s.path.file_name().unwrap().to_string_lossy().into_owned(), s.reason.as_str(), s.kind))
        .collect();
    assert_eq!(
        listed,
        [
            ("cut.png".to_owned(), "truncated PNG image: the file ends within a chunk", SkipKind::Unreadable),
            (
                "no image.jpg".to_owned(),
                "not an image (expected JPEG, PNG, WebP, BMP, TIFF or GIF)",
                SkipKind::Unreadable
            ),
            (
                "notes".to_owned(),
                "not an image (expected JPEG, PNG, WebP, BMP, TIFF or GIF)",
                SkipKind::NotAnImage
            ),
            ("zero.jpg".to_owned(), "the file is empty", SkipKind::Unreadable),
        ]
    );
    let summary = dataset.summary();
    assert_eq!((summary.images(), summary.skipped.len()), (80, 4));
    let text = summary.to_string();
    assert!(text.contains("left out: 4") && text.contains("cut.png: truncated PNG"), "{text}");

    let mut strict = OpenOptions::default();
    strict.strict = true;
    let text = Dataset::open_path(root, &strict).unwrap_err().to_string();
    assert!(text.contains("cut.png: truncated PNG") && text.contains("4 of 84"), "{text}");
}

#[test]
fn too_many_unreadable_files_are_an_error() {
    let folder = folder();
    for i in 0..5 {
        fs::write(folder.path().join(format!("class1/bad{i}.png")), "x").unwrap();
    }
    let text = message(folder.path());
    assert!(
        text.contains("5 of 85 images are unreadable, more than 5 %") && text.contains("bad0.png"),
        "{text}"
    );
    // Other files do not count towards the limit.
    for i in 0..5 {
        let bad = folder.path().join(format!("class1/bad{i}.png"));
        fs::rename(&bad, bad.with_extension("json")).unwrap();
    }
    for i in 0..20 {
        fs::write(folder.path().join(format!("class1/notes{i}.txt")), "").unwrap();
    }
    let dataset = open(folder.path()).unwrap();
    // Their names say that they are no samples: one line tells of all.
    assert_eq!((dataset.skipped().len(), dataset.left_out().count()), (1, 0));
    let text = dataset.summary().to_string();
    let line = "25 files among the images are none by their names and were not used, such as";
    assert!(text.contains(line) && !text.contains("left out"), "{text}");
    let mut strict = OpenOptions::default();
    strict.strict = true;
    assert!(Dataset::open_path(folder.path(), &strict).is_ok());
    // A file without an ending might have been one.
    for i in 0..21 {
        fs::write(folder.path().join(format!("class1/thing{i}")), "x").unwrap();
    }
    let text = open(folder.path()).unwrap().summary().to_string();
    assert!(text.contains("left out: 21") && text.contains("  and 1 more\n"), "{text}");
    assert!(Dataset::open_path(folder.path(), &strict).is_err());
}

#[test]
fn a_class_whose_images_are_all_unreadable_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 40, 8).unwrap();
    fs::create_dir(folder.path().join("class2")).unwrap();
    fs::write(folder.path().join("class2/only.png"), "x").unwrap();
    let text = message(folder.path());
    assert!(text.contains("class \"class2\" has no readable image"), "{text}");
}

#[test]
fn too_few_images_to_split() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 1, 8).unwrap();
    let text = message(folder.path());
    assert!(text.contains("too few images to fill the val split"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_is_an_unreadable_file() {
    let folder = folder();
    std::os::unix::fs::symlink(folder.path().join("missing.png"), folder.path().join("class0/link.png"))
        .unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.skipped().len(), 1);
    assert!(dataset.skipped()[0].reason.contains("a link to nothing"), "{:?}", dataset.skipped());
}

/// A picture that no format stores in a few bytes.
fn noisy() -> Image {
    fixture::class_image(4, 64, 3, 1)
}

#[test]
fn every_format_cut_short_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["jpg", "png", "webp", "bmp", "tiff", "gif"] {
        let path = folder.path().join(format!("whole.{kind}"));
        fixture::write_image(&path, &noisy()).unwrap();
        let bytes = fs::read(&path).unwrap();
        assert!(decode_image(&bytes, DEFAULT_MAX_PIXELS).is_ok(), "{kind}");
        for part in [0.02, 0.1, 0.5, 0.9, 0.98] {
            let cut = &bytes[..(bytes.len() as f64 * part) as usize];
            let result = decode_image(cut, DEFAULT_MAX_PIXELS);
            assert!(result.is_err(), "{kind} cut to {part}: {result:?}");
        }
    }
}

#[test]
fn random_damage_is_an_error_or_an_image_but_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = oculist_augment::Rng::keyed(&[11]);
    for kind in ["jpg", "png", "webp", "bmp", "tiff", "gif"] {
        let path = folder.path().join(format!("whole.{kind}"));
        fixture::write_image(&path, &fixture::class_image(1, 20, 3, 1)).unwrap();
        let bytes = fs::read(&path).unwrap();
        for _ in 0..300 {
            let mut bad = bytes.clone();
            for _ in 0..=rng.below(6) {
                let at = rng.below(bad.len());
                bad[at] = rng.next_u64() as u8;
            }
            if let Ok(image) = decode_image(&bad, 1_000_000) {
                assert!(image.width() * image.height() <= 1_000_000);
            }
        }
    }
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    // A PNG header that declares 50,000 x 50,000 pixels, with a valid checksum, and nothing behind it.
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        png.extend((data.len() as u32).to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        png.extend(&body);
        png.extend(crc.sum().to_be_bytes());
    };
    let header = [&50_000u32.to_be_bytes()[..], &50_000u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    chunk(b"IHDR", &header);
    chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0]);
    chunk(b"IEND", &[]);
    let err = decode_image(&png, DEFAULT_MAX_PIXELS).unwrap_err();
    assert!(matches!(err, DecodeError::TooLarge { width: 50_000, height: 50_000, .. }), "{err}");
    assert_eq!(err.to_string(), "declared size 50000x50000 is over the limit of 100000000 pixels");

    // A BMP of 30,000 x 30,000, and a GIF of 65,535 x 65,535.
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bmp.extend(30_000u32.to_le_bytes().iter().chain(&30_000u32.to_le_bytes()).chain(&[1, 0, 24, 0]));
    bmp.extend([0; 24]);
    let mut gif = b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec();
    gif.extend(b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0\x3b");
    for bytes in [bmp, gif] {
        let err = decode_image(&bytes, DEFAULT_MAX_PIXELS).unwrap_err();
        assert!(matches!(err, DecodeError::TooLarge { .. }), "{err}");
    }
}

#[test]
fn idx_files_that_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let images = root.join("train-images-idx3-ubyte.gz");
    let labels = root.join("train-labels-idx1-ubyte");
    let pixels: Vec<u8> = (0..40 * 12).map(|i| i as u8).collect();
    let classes: Vec<u8> = (0..40).map(|i| i % 2).collect();
    let good = || {
        fixture::write_idx_images(&images, 4, 3, &pixels).unwrap();
        fixture::write_idx_labels(&labels, &classes).unwrap();
    };
    good();
    let dataset = open(root).unwrap();
    assert_eq!(dataset.class_names(), ["0", "1"]);
    assert_eq!([28, 6, 6], [dataset.train().len(), dataset.val().len(), dataset.test().len()]);
    assert_eq!(dataset.train().size(0), (4, 3));

    fixture::write_idx(&images, 0x0d03, &[40, 3, 4], &pixels).unwrap();
    let text = message(root);
    assert!(
        text.contains("expected the IDX magic number 0x00000803") && text.contains("0x00000d03"),
        "{text}"
    );

    for count in [39, 41, u32::MAX] {
        fixture::write_idx(&images, 0x0803, &[count, 3, 4], &pixels).unwrap();
        let text = message(root);
        let want = format!("the IDX header promises {} bytes", u64::from(count) * 12);
        assert!(text.contains(&want) && text.contains("train-images-idx3-ubyte.gz"), "{text}");
    }
    fixture::write_idx(&images, 0x0803, &[0, 3, 4], &[]).unwrap();
    assert!(matches!(open(root), Err(Error::IdxShape { .. })));
    fixture::write_idx(&images, 0x0803, &[u32::MAX; 3], &pixels).unwrap();
    assert!(open(root).is_err());

    good();
    fixture::write_idx_labels(&labels, &classes[..39]).unwrap();
    let text = message(root);
    assert!(text.contains("40 images, but 39 labels"), "{text}");
    fixture::write_idx(&labels, 0x0803, &[40], &classes).unwrap();
    let text = message(root);
    assert!(text.contains("expected the IDX magic number 0x00000801"), "{text}");
    fixture::write_idx_labels(&labels, &[1; 40]).unwrap();
    assert!(matches!(open(root), Err(Error::OneClass { .. })));
    // Labels with gaps, and from 1, are the classes that they are.
    for (factor, start, names) in [(2, 0, ["0", "2"]), (1, 1, ["1", "2"]), (50, 7, ["7", "57"])] {
        fixture::write_idx_labels(&labels, &classes.iter().map(|c| c * factor + start).collect::<Vec<_>>())
            .unwrap();
        let dataset = open(root).unwrap();
        assert_eq!(dataset.class_names(), names);
        assert_eq!(dataset.train().class_counts(), [14, 14]);
    }
    fs::remove_file(&labels).unwrap();
    assert!(message(root).contains("train-labels-idx1-ubyte.gz: no such file"));

    good();
    fs::write(root.join("classes.txt"), "only one\n").unwrap();
    let text = message(root);
    assert!(
        text.contains("20 of 40 images are unreadable")
            && text.contains("image 1 (expected a label from 0 to 0"),
        "{text}"
    );
    // Two names for the labels 1 and 2.
    fs::write(root.join("classes.txt"), "even\nodd\n").unwrap();
    fixture::write_idx_labels(&labels, &classes.iter().map(|c| c + 1).collect::<Vec<_>>()).unwrap();
    let dataset = open(root).unwrap();
    assert_eq!(
        (dataset.class_names(), dataset.train().class_counts()),
        (&["even".into(), "odd".into()][..], vec![14, 14])
    );
    assert!(dataset.notes().any(|note| note.reason.contains("the first name is that of label 1")));
    // With a label 0, too, there is a name too few.
    let mut three: Vec<u8> = classes.iter().map(|c| c + 1).collect();
    three[4..8].fill(0);
    fixture::write_idx_labels(&labels, &three).unwrap();
    assert!(message(root).contains("18 of 40 images are unreadable"));
    good();
    fs::write(root.join("classes.txt"), "even\nodd\n").unwrap();
    assert_eq!(open(root).unwrap().class_names(), ["even", "odd"]);

    fixture::write_idx_images(&root.join("t10k-images-idx3-ubyte"), 4, 3, &pixels[..24]).unwrap();
    fixture::write_idx_labels(&root.join("t10k-labels-idx1-ubyte"), &[0, 2]).unwrap();
    let dataset = open(root).unwrap();
    let lost: Vec<_> = dataset.left_out().collect();
    assert!(lost.len() == 1 && lost[0].path.ends_with("t10k-labels-idx1-ubyte/image 1"), "{lost:?}");
    assert!(lost[0].reason.contains("expected a label from 0 to 1") && lost[0].reason.contains("found 2"));
}

#[test]
fn gzip_streams_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.gz");
    fixture::write_idx_images(&path, 16, 16, noisy().pixels()).unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let text = read_idx_images(&path).unwrap_err().to_string();
    assert!(text.contains("the IDX header promises 12288 bytes of data, found"), "{text}");
    // All the data is there, but not the checksum.
    fs::write(&path, &bytes[..bytes.len() - 4]).unwrap();
    assert!(read_idx_images(&path).is_err());
    fs::write(&path, &bytes[..6]).unwrap();
    assert!(read_idx_images(&path).is_err());
    fs::write(&path, [0, 0]).unwrap();
    let text = read_idx_labels(&path).unwrap_err().to_string();
    assert!(text.contains("the file ends within its IDX header"), "{text}");
}

#[test]
fn options_outside_their_ranges() {
    let mut options = OpenOptions::default();
    options.val_fraction = Some(1.0);
    assert!(Dataset::open("demo", &options).unwrap_err().to_string().contains("val_fraction"));
    options.val_fraction = Some(0.6);
    options.test_fraction = 0.5;
    assert!(
        Dataset::open("demo", &options).unwrap_err().to_string().contains("val_fraction + test_fraction")
    );
    options.val_fraction = Some(f64::NAN);
    assert!(Dataset::open("demo", &options).is_err());
}

fn config(workers: usize) -> LoaderConfig {
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 12, 12);
    LoaderConfig::training(8, workers, 3, Pipeline::small_images(12, true), preprocessing)
}

/// A folder whose file is damaged after it was opened.
fn damaged_later(damaged: usize) -> (tempfile::TempDir, Dataset) {
    let folder = folder();
    let mut options = OpenOptions::default();
    options.verify = Verify::Headers;
    let dataset = Dataset::open_path(folder.path(), &options).unwrap();
    for i in 0..damaged {
        fs::write(dataset.train().path(5 + i).unwrap(), "gone").unwrap();
    }
    (folder, dataset)
}

#[test]
fn a_file_damaged_after_opening_is_replaced_in_training() {
    let (_folder, dataset) = damaged_later(2);
    let train = dataset.train();
    assert_eq!(train.len(), 56);
    let run = |workers| {
        let mut epoch = Loader::new(train.clone(), config(workers)).unwrap().epoch(0);
        let batches: Vec<_> = epoch.by_ref().map(Result::unwrap).collect();
        (batches, epoch.unreadable().collect::<Vec<_>>())
    };
    let (batches, unreadable) = run(0);
    assert_eq!(unreadable, [5, 6]);
    assert!(batches.len() == 7 && batches.iter().all(|batch| batch.len() == 8));
    assert!(batches.iter().all(|batch| !batch.indices.contains(&5) && !batch.indices.contains(&6)));
    assert!(run(3).0 == batches, "the same with three workers");
    let summary = dataset.summary();
    assert_eq!(summary.skipped.len(), 2);
    assert!(summary.skipped[0].1.contains("not an image"), "{:?}", summary.skipped);
}

#[test]
fn a_file_damaged_after_opening_is_left_out_in_evaluation() {
    let (_folder, dataset) = damaged_later(1);
    let all = Loader::load_all(dataset.train(), &config(0).preprocessing, 2).unwrap();
    let want: Vec<usize> = (0..56).filter(|&i| i != 5).collect();
    assert_eq!(all.indices, want);
    let image = dataset.train().image(6).unwrap();
    let row = config(0).preprocessing.apply(&image).unwrap();
    assert!(all.images[5 * row.len()..6 * row.len()] == row);
    assert_eq!(all.len(), 55);
}

#[test]
fn too_many_files_damaged_after_opening_end_the_epoch() {
    let (_folder, dataset) = damaged_later(4);
    for workers in [0, 2] {
        let epoch = Loader::new(dataset.train().clone(), config(workers)).unwrap().epoch(0);
        let results: Vec<_> = epoch.collect();
        let text = results.last().unwrap().as_ref().unwrap_err().to_string();
        assert!(text.contains("of 56 images are unreadable, more than 5 %"), "{text}");
    }
}

#[test]
fn all_splits_are_told_by_name() {
    assert_eq!(Split::ALL.map(Split::name), ["train", "val", "test"]);
}
