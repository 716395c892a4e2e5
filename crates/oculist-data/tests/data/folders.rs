//! Folders of images, called and laid out as people do it.

use oculist_data::{Dataset, Duplicates, Error, Layout, OpenOptions, Purpose, Split, fixture};
use std::fs;
use std::path::Path;

/// Writes pictures: `folder` and how many.
fn make(root: &Path, folders: &[(&str, usize)]) {
    for &(folder, count) in folders {
        let path = root.join(folder);
        fs::create_dir_all(&path).unwrap();
        for i in 0..count {
            fixture::write_image(
                &path.join(format!("{i}.png")),
                &fixture::class_image(i % 3, 8, 3, i as u64),
            )
            .unwrap();
        }
    }
}

fn made(folders: &[(&str, usize)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), folders);
    folder
}

fn open(root: &Path) -> Result<Dataset, Error> {
    // The pictures are alike; what is asked here is which are read.
    let mut options = OpenOptions::default();
    options.duplicates = Duplicates::Ignore;
    Dataset::open_path(root, &options)
}

fn open_as(root: &Path, layout: Layout) -> Result<Dataset, Error> {
    let mut options = OpenOptions::default();
    options.layout = Some(layout);
    Dataset::open_path(root, &options)
}

/// Images of each split.
fn sizes(dataset: &Dataset) -> [usize; 3] {
    Split::ALL.map(|split| dataset.split(split).len())
}

/// What is told of the set, as one text.
fn told(dataset: &Dataset) -> String {
    assert!(dataset.skipped().iter().all(|skip| skip.kind.is_note()), "{:?}", dataset.skipped());
    let lines: Vec<String> =
        dataset.skipped().iter().map(|skip| format!("{}: {}", skip.path.display(), skip.reason)).collect();
    lines.join("\n")
}

#[test]
fn splits_are_called_many_things() {
    for (train, test) in [
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("train_images", "test_images"),
        ("training-images", "images_test"),
        ("TRAIN", "HoldOut"),
        ("trn", "eval"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/images", "test/images"),
        ("asl_train", "asl_test"),
        ("archive/train", "archive/test"),
        ("images/train", "images/test"),
    ] {
        let paths =
            [(train, "cat"), (train, "dog"), (test, "cat"), (test, "dog")].map(|(a, b)| format!("{a}/{b}"));
        let folder = made(&[(&paths[0], 10), (&paths[1], 10), (&paths[2], 3), (&paths[3], 3)]);
        let dataset = open(folder.path()).unwrap();
        assert_eq!(dataset.class_names(), ["cat", "dog"], "{train}");
        assert_eq!(sizes(&dataset), [18, 2, 6], "{train}");
        let (test_name, told) = (dataset.test().name(0), told(&dataset));
        assert!(test_name.contains(&*test.replace('/', std::path::MAIN_SEPARATOR_STR)), "{test_name}");
        if train != "TRAIN" {
            assert!(!told.is_empty(), "what was taken for what is said: {train}");
        }
    }
}

#[test]
fn validation_folders_and_evaluation_beside_a_test() {
    for val in ["dev", "val_set", "Validation", "valid"] {
        let (cat, dog) = (format!("{val}/cat"), format!("{val}/dog"));
        let folder = made(&[
            ("train/cat", 10),
            ("train/dog", 10),
            (&cat, 2),
            (&dog, 2),
            ("test/cat", 3),
            ("test/dog", 3),
        ]);
        assert_eq!(sizes(&open(folder.path()).unwrap()), [20, 4, 6], "{val}");
    }
    // What some call the test split is the validation split beside one.
    let folder =
        made(&[("train/a", 10), ("train/b", 10), ("eval/a", 2), ("eval/b", 2), ("test/a", 3), ("test/b", 3)]);
    assert_eq!(sizes(&open(folder.path()).unwrap()), [20, 4, 6]);
    make(folder.path(), &[("val/a", 1), ("val/b", 1)]);
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(
        text.contains("two ways") && text.contains("--exclude eval") && text.contains("--exclude test"),
        "{text}"
    );
    let mut options = OpenOptions::default();
    options.exclude = vec!["eval".into()];
    let dataset = Dataset::open_path(folder.path(), &options).unwrap();
    assert_eq!(sizes(&dataset), [20, 2, 6]);
    assert!(told(&dataset).contains("eval: left out by --exclude eval"), "{}", told(&dataset));
}

#[test]
fn classes_may_be_called_like_splits() {
    for names in [["best", "test", "x"], ["bus", "car", "train"], ["eval", "train", "z"]] {
        let folder = made(&names.map(|name| (name, 20)));
        let dataset = open(folder.path()).unwrap();
        assert_eq!(dataset.class_names(), names);
        assert_eq!(sizes(&dataset), [42, 9, 9]);
    }
    // Even among the classes of splits.
    let folder = made(&[("train/test", 10), ("train/train", 10), ("test/test", 2), ("test/train", 2)]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["test", "train"].map(str::to_owned)[..], [18, 2, 4])
    );
    // Nothing but folders of splits with images in them: classes only if told so.
    let folder = made(&[("train", 20), ("test", 20)]);
    let text = open(folder.path()).unwrap_err().to_string();
    // Not offered: whoever has unsorted splits and follows the advice trains to tell training from test images.
    assert!(text.contains("which tell no class") && !text.contains("--layout classes"), "{text}");
    assert_eq!(open_as(folder.path(), Layout::Classes).unwrap().class_names(), ["test", "train"]);
}

#[test]
fn a_class_with_folders_that_is_called_train_is_a_question() {
    let folder = made(&[("train/steam", 9), ("train/diesel", 9), ("car/old", 9), ("bus/red", 9)]);
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(
        text.contains("--layout splits") && text.contains("--layout classes") && text.contains("car"),
        "{text}"
    );
    assert_eq!(open_as(folder.path(), Layout::Classes).unwrap().class_names(), ["bus", "car", "train"]);
    let splits = open_as(folder.path(), Layout::Splits).unwrap();
    assert_eq!(splits.class_names(), ["diesel", "steam"]);
    assert!(told(&splits).contains("bus: a folder beside the splits, not read"), "{}", told(&splits));
}

#[test]
fn what_is_not_read_is_said() {
    let folder = made(&[
        ("train/cat", 10),
        ("train/dog/poodle", 5),
        ("train/dog/beagle", 5),
        ("test/cat", 2),
        ("test/dog", 2),
        ("unlabelled", 3),
        ("train", 1),
        ("test/rare", 0),
    ]);
    fs::write(folder.path().join("README.txt"), "x").unwrap();
    fs::write(folder.path().join("Thumbs.db"), "x").unwrap();
    fs::write(folder.path().join("train/cat/desktop.ini"), "x").unwrap();
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["cat", "dog"].map(str::to_owned)[..], [18, 2, 4])
    );
    let told = told(&dataset);
    for words in [
        "unlabelled: a folder beside the splits, not read (3 files",
        "1 file beside the folders belong to no class: README.txt",
        "1 file beside the folders belong to no class: 0.png",
        "2 folders within class folders (dog/beagle, dog/poodle): their images are of the outer folder's class",
        "rare: class \"rare\" has no file in the test split",
    ] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    assert!(!told.contains("Thumbs") && !told.contains("desktop"), "{told}");
}

#[test]
fn training_classes_beside_a_folder_of_another_split() {
    let folder = made(&[("cat", 10), ("dog", 10), ("test/cat", 3), ("test/dog", 3)]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["cat", "dog"].map(str::to_owned)[..], [18, 2, 6])
    );
    assert!(told(&dataset).contains("cat, dog are the classes of the train split"));
}

#[test]
fn splits_within_classes() {
    let folder = made(&[("cat/train", 10), ("cat/test", 3), ("dog/train", 10), ("dog/test", 3)]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["cat", "dog"].map(str::to_owned)[..], [18, 2, 6])
    );
    let merged = open_as(folder.path(), Layout::Classes).unwrap();
    assert_eq!(sizes(&merged).iter().sum::<usize>(), 26);
}

#[test]
fn a_test_split_alone_is_for_measuring() {
    let folder = made(&[("test/a", 12), ("test/b", 12)]);
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("found the test split alone") && text.contains("`eval`"), "{text}");
    let mut options = OpenOptions::default();
    options.purpose = Purpose::Evaluate;
    if let Err(err) = Dataset::open_path(folder.path(), &options) {
        assert!(!matches!(err, Error::NoTraining { .. }), "{err}");
    }
}

#[test]
fn two_formats_in_one_folder_are_a_question() {
    let folder = made(&[("rose", 20), ("tulip", 20)]);
    fs::write(folder.path().join("backup.tar"), [0; 1024]).unwrap();
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("class folders (rose, tulip; --layout classes); or tar files"), "{text}");
    assert!(text.contains("--layout tar"), "{text}");
    let dataset = open_as(folder.path(), Layout::Classes).unwrap();
    assert_eq!(sizes(&dataset).iter().sum::<usize>(), 40);
    assert!(told(&dataset).contains("backup.tar"), "{}", told(&dataset));
    let text = open_as(folder.path(), Layout::Tar).unwrap_err().to_string();
    assert!(text.contains("at least one labelled image"), "{text}");
    assert!("tars".parse::<Layout>().unwrap_err().to_string().contains("classes, splits"));
    assert_eq!("splits".parse::<Layout>().unwrap(), Layout::Splits);
}

#[test]
fn folders_of_systems_and_masks() {
    let folder = made(&[("cat", 20), ("dog", 20), ("cat/@eaDir/thumbs", 5), ("__MACOSX/cat", 5)]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["cat", "dog"].map(str::to_owned)[..], [28, 6, 6])
    );
    assert!(
        told(&dataset).contains("@eaDir: ") && told(&dataset).contains("__MACOSX: "),
        "{}",
        told(&dataset)
    );

    let masks = made(&[("dog", 20), ("cat", 10)]);
    for i in 0..10 {
        let picture = masks.path().join(format!("cat/{i}.png"));
        fs::copy(&picture, masks.path().join(format!("cat/{i}_mask.png"))).unwrap();
    }
    let text = open(masks.path()).unwrap_err().to_string();
    assert!(text.contains("cat/0_mask.png is the mask of 0.png (10 such files"), "{text}");
    assert!(text.contains("--exclude '*mask*'") && text.contains("--layout classes"), "{text}");
    assert_eq!(sizes(&open_as(masks.path(), Layout::Classes).unwrap()).iter().sum::<usize>(), 40);
    let mut options = OpenOptions::default();
    options.exclude = vec!["*mask*".into()];
    let dataset = Dataset::open_path(masks.path(), &options).unwrap();
    assert_eq!(sizes(&dataset).iter().sum::<usize>(), 30);
    assert!(told(&dataset).contains("left out by --exclude *mask* (and 9 more)"), "{}", told(&dataset));

    let beside = made(&[("images", 10), ("masks", 10)]);
    assert!(matches!(open(beside.path()), Err(Error::Ambiguous { .. })));
    let inside = made(&[("cat/images", 10), ("cat/masks", 10), ("dog/images", 10), ("dog/masks", 10)]);
    assert!(matches!(open(inside.path()), Err(Error::Ambiguous { .. })));
}

#[test]
fn results_of_the_program_are_no_data() {
    let folder = made(&[
        ("cat", 20),
        ("dog", 20),
        ("runs/preview-.", 1),
        ("runs/train-./checkpoints", 4),
        ("cat/audit", 1),
    ]);
    let root = folder.path();
    // A preview has one picture; an audit that oculist has made bears the mark of a result.
    fs::rename(root.join("runs/preview-./0.png"), root.join("runs/preview-./preview.png")).unwrap();
    fs::write(root.join("cat/audit/.oculist-result"), "data check").unwrap();
    fs::write(root.join("runs/preview-./preview.html"), "<!doctype html><title>Augmentation of .</title>")
        .unwrap();
    fs::write(root.join("runs/train-./config.toml"), "seed = 1\n[preprocessing]\n").unwrap();
    fs::write(root.join("cat/audit/audit.json"), "{\"schema_version\": 1, \"oculist_version\": \"0.1.0\"}")
        .unwrap();
    let dataset = open(root).unwrap();
    assert_eq!(
        (dataset.class_names(), sizes(&dataset)),
        (&["cat", "dog"].map(str::to_owned)[..], [28, 6, 6])
    );
    let told = told(&dataset);
    assert!(told.contains("a run of oculist, not read as data") && told.contains("a preview of"), "{told}");
    assert!(told.contains("audit: an audit of oculist"), "{told}");
    // Files that only bear such a name tell nothing.
    fs::create_dir(root.join("config")).unwrap();
    fs::write(root.join("dog/config.toml"), "mine = 1").unwrap();
    make(root, &[("bird", 20)]);
    fs::write(root.join("bird/preview.html"), "<!doctype html><title>Birds</title>").unwrap();
    fs::remove_dir(root.join("config")).unwrap();
    assert_eq!(open(root).unwrap().class_names(), ["bird", "cat", "dog"]);
}

#[cfg(unix)]
#[test]
fn names_are_their_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = made(&[("plain", 14)]);
    let root = folder.path();
    for name in [&b"\xe9t\xe9"[..], b"\xe8t\xe8", "\u{e9}".as_bytes(), "e\u{301}".as_bytes()] {
        fs::create_dir(root.join(OsStr::from_bytes(name))).unwrap();
        for i in 0..14 {
            fs::copy(
                root.join(format!("plain/{i}.png")),
                root.join(OsStr::from_bytes(name)).join(format!("{i}.png")),
            )
            .unwrap();
        }
    }
    let dataset = open(root).unwrap();
    assert_eq!(dataset.class_names(), ["\\xE8t\\xE8", "\\xE9t\\xE9", "e\u{301}", "plain", "\u{e9}"]);
    assert_eq!(dataset.summary().images(), 70);
    let text = dataset.summary().to_string();
    assert!(text.contains("\ne\\u{301}") && text.contains("\n\\u{e9}"), "{text}");
}

#[cfg(unix)]
#[test]
fn links_and_what_is_no_file() {
    use std::os::unix::fs::symlink;
    let folder = made(&[("train/cat", 10), ("train/dog", 10), ("test/cat", 2), ("test/dog", 2)]);
    let root = folder.path();
    symlink("0.png", root.join("train/cat/again.png")).unwrap();
    symlink("../../train/dog/3.png", root.join("test/dog/leak.png")).unwrap();
    symlink("..", root.join("train/cat/loop")).unwrap();
    symlink("nowhere", root.join("train/dog/notes")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("train/dog/socket")).unwrap();
    let dataset = open(root).unwrap();
    assert_eq!(sizes(&dataset), [18, 2, 5]);
    let text: String = dataset.summary().to_string();
    for words in [
        "1 links to files that are read already",
        "train/cat/again.png is",
        "1 files are read in two splits or classes",
        "leak.png is",
        "loop: a link back to",
        "notes: a link to nothing",
        "socket: a socket, no regular file",
    ] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
}

#[test]
fn a_file_is_itself_however_its_path_is_written() {
    let folder = made(&[("cat", 15), ("dog", 15)]);
    let list = folder.path().join("spellings.csv");
    let rows = |dog: &str| {
        let mut text = String::from("file_name,label\n");
        for class in ["cat", "dog"] {
            for i in 0..15 {
                let last = if class == "dog" && i == 14 { dog } else { class };
                for (spelling, label) in [("", class), ("./", class), ("cat/../", last)] {
                    text.extend([spelling, class, "/", &i.to_string(), ".png,", label, "\n"]);
                }
            }
        }
        text
    };
    fs::write(&list, rows("dog")).unwrap();
    let dataset = open(&list).unwrap();
    assert_eq!(sizes(&dataset).iter().sum::<usize>(), 30);
    let told = told(&dataset);
    assert!(told.contains("60 rows name a file again and count once"), "{told}");
    fs::write(&list, rows("cat")).unwrap();
    let dataset = open(&list).unwrap();
    let left_out: Vec<String> = dataset.left_out().map(|skip| skip.reason.clone()).collect();
    assert_eq!(
        left_out,
        ["expected one label and one split of each file, found dog/14.png: dog, but cat in line 91"]
    );
}

/// The error of a folder that can be read in two ways, which must hold these words.
fn asks(root: &Path, words: &[&str]) {
    let err = open(root).unwrap_err();
    let text = err.to_string();
    assert!(matches!(err, Error::Ambiguous { .. }), "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in {text}");
}

#[test]
fn a_result_beside_images_takes_no_class_away() {
    let folder = made(&[("cat", 20), ("dog", 20)]);
    let root = folder.path();
    fs::write(root.join("cat/audit.json"), "{\"oculist_version\": \"0.1.0\"}").unwrap();
    fs::write(root.join("cat/preview.png"), "").unwrap();
    let dataset = open(root).unwrap();
    assert_eq!((dataset.class_names().len(), sizes(&dataset).iter().sum::<usize>()), (2, 40));
    let told = told(&dataset);
    assert!(told.contains("cat: holds an audit of oculist, whose files are not read as data"), "{told}");
    // Without images of its own it is a result; that it was passed over says the error, too.
    fs::create_dir(root.join("only")).unwrap();
    fs::rename(root.join("cat/audit.json"), root.join("only/audit.json")).unwrap();
    fs::remove_dir_all(root.join("cat")).unwrap();
    let text = open(root).unwrap_err().to_string();
    assert!(text.contains("only the class \"dog\"") && text.contains("only: an audit of oculist"), "{text}");
    let text = open(&root.join("only")).unwrap_err().to_string();
    assert!(text.contains("expected a data set, found an audit of oculist"), "{text}");
}

#[test]
fn masks_beside_class_folders_are_a_question() {
    let one = made(&[("cat", 10), ("dog", 10), ("masks", 10)]);
    asks(one.path(), &["masks: masks of", "--exclude masks)", "--layout classes"]);
    let each =
        made(&[("train/cat", 10), ("train/cat_masks", 10), ("train/dog", 10), ("train/dog_masks", 10)]);
    asks(each.path(), &["--exclude cat_masks --exclude dog_masks", "--layout"]);
    let beside = made(&[("images/cat", 10), ("images/dog", 10), ("masks/cat", 10), ("masks/dog", 10)]);
    asks(beside.path(), &["masks of the pictures in images", "--exclude masks)"]);
    let mut options = OpenOptions::default();
    options.exclude = vec!["masks".into()];
    for folder in [&one, &beside] {
        let dataset = Dataset::open_path(folder.path(), &options).unwrap();
        assert_eq!(dataset.class_names(), ["cat", "dog"]);
    }
    let splits = made(&[("train/image", 9), ("train/mask", 9), ("test/image", 9), ("test/mask", 9)]);
    asks(splits.path(), &["train/image, train/mask, test/image and 1 more"]);
    // Faces with and without masks, and things called so whose files are called otherwise, are classes.
    let faces = made(&[("mask", 20), ("no_mask", 20)]);
    assert_eq!(open(faces.path()).unwrap().class_names(), ["mask", "no_mask"]);
    let things = made(&[("cat", 20), ("dog", 20), ("masks", 20)]);
    for i in 0..20 {
        let name = |stem: String| things.path().join(format!("masks/{stem}.png"));
        fs::rename(name(i.to_string()), name(format!("venice{i}"))).unwrap();
    }
    assert_eq!(open(things.path()).unwrap().class_names().len(), 3);
}

#[test]
fn folders_that_hold_the_same_folders_are_a_question() {
    let folds = made(&[("fold1/a", 10), ("fold1/b", 10), ("fold2/a", 10), ("fold2/b", 10)]);
    asks(folds.path(), &["classes are a, b (--layout inner)", "--layout classes"]);
    assert_eq!(open_as(folds.path(), Layout::Classes).unwrap().class_names(), ["fold1", "fold2"]);
    let inner = open_as(folds.path(), Layout::Inner).unwrap();
    assert_eq!((inner.class_names(), sizes(&inner).iter().sum()), (&["a", "b"].map(str::to_owned)[..], 40));
    let within = made(&[
        ("fold1/train/a", 9),
        ("fold1/train/b", 9),
        ("fold1/test/a", 9),
        ("fold2/train/a", 9),
        ("fold2/train/b", 9),
        ("fold2/test/b", 9),
    ]);
    asks(within.path(), &["fold1/train", "have the classes a, b"]);
    let beside = made(&[("Training/a", 9), ("Training/b", 9), ("PublicTest/a", 9), ("PublicTest/b", 9)]);
    asks(beside.path(), &["PublicTest is not read (--layout splits", "PublicTest is a split as Training is"]);
    assert_eq!(open_as(beside.path(), Layout::Splits).unwrap().class_names(), ["a", "b"]);
    // Numbers, and breeds of each animal, are no classes that the outer folders share.
    let nested = made(&[("cat/1", 9), ("cat/2", 9), ("dog/1", 9), ("dog/2", 9)]);
    assert_eq!(open(nested.path()).unwrap().class_names(), ["cat", "dog"]);
    let breeds = made(&[("cat/siamese", 9), ("cat/manx", 9), ("dog/pug", 9), ("dog/beagle", 9)]);
    assert_eq!(open(breeds.path()).unwrap().class_names(), ["cat", "dog"]);
}

#[test]
fn a_split_without_class_folders_is_not_read() {
    for (train, test) in [("asl_train/asl_train", "asl_test/asl_test"), ("train/train", "test1/test1")] {
        let (a, b) = (format!("{train}/a"), format!("{train}/b"));
        let folder = made(&[(&a, 20), (&b, 20), (test, 5)]);
        let dataset = open(folder.path()).unwrap();
        assert_eq!((dataset.class_names().len(), sizes(&dataset).iter().sum::<usize>()), (2, 40));
        assert!(told(&dataset).contains("not read: 5 files that may be images"), "{}", told(&dataset));
        // A class of training that is called so is one.
        let named = train.split('/').next().unwrap();
        let one = format!("{train}/images");
        let folder =
            made(&[(&a, 20), (&one, 20), (&format!("{}/images", test.split('/').next().unwrap()), 5)]);
        assert_eq!(open(folder.path()).unwrap().test().len(), 5, "{named}");
    }
}

#[test]
fn idx_files_behind_the_name_of_a_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let write = |prefix: &str, count: usize| {
        let labels: Vec<u8> = (0..count).map(|i| (i % 2) as u8).collect();
        let at = |what: &str| folder.path().join(format!("{prefix}-{what}-ubyte"));
        fixture::write_idx_images(&at("images-idx3"), 4, 4, &vec![7; count * 16]).unwrap();
        fixture::write_idx_labels(&at("labels-idx1"), &labels).unwrap();
    };
    write("emnist-letters-test", 10);
    let err = open(folder.path()).unwrap_err();
    assert!(matches!(err, Error::NoTraining { found: Split::Test, .. }), "{err}");
    write("emnist-letters-train", 40);
    assert_eq!(sizes(&open(folder.path()).unwrap()), [36, 4, 10]);
    write("emnist-digits-train", 40);
    let text = open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("of one data set") && text.contains("emnist-digits-train-images"), "{text}");
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("pictures-idx3-ubyte"), "").unwrap();
    let text = open(other.path()).unwrap_err().to_string();
    assert!(text.contains("train-images-idx3-ubyte") && text.contains("found pictures-idx3"), "{text}");
}
