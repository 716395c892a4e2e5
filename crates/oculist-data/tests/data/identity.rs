//! What identifies a data set: any other byte, label, split or order is another one, for every kind of source.

use oculist_data::fixture::{
    class_image, write_class_folders, write_idx_images, write_idx_labels, write_image,
};
use oculist_data::{Dataset, Identity, ImageIdentity, KnownDigests, OpenOptions};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

fn identity_after(path: &Path, known: &KnownDigests) -> Identity {
    let dataset = Dataset::open_path(path, &OpenOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let identity = Identity::of(&dataset, known, 2, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(Identity::from_lines(&identity.to_lines()).unwrap(), identity, "it comes back from its file");
    identity
}

fn identity(path: &Path) -> Identity {
    identity_after(path, &KnownDigests::default())
}

/// Reads the source, changes it, and expects the words in the only difference; then the same of an unchanged one.
#[track_caller]
fn changed<R>(path: &Path, change: impl FnOnce() -> R, words: &[&str]) {
    let before = identity(path);
    let same = identity(path);
    assert_eq!((before.differences(&same), before.digest()), (Vec::new(), same.digest()));
    change();
    // What was known may spare reading, but not hide a change.
    let now = identity_after(path, &KnownDigests::of(&before));
    // But for the stamps, which files get while this runs.
    let bare = |identity: Identity| {
        let images = identity.images.into_iter().map(|image| ImageIdentity { stamp: None, ..image });
        (identity.classes, images.collect::<Vec<_>>())
    };
    assert_eq!(bare(now.clone()), bare(identity(path)));
    let text = before.differences(&now).join("; ");
    assert!(words.iter().all(|word| text.contains(word)), "{words:?} in: {text}");
    assert_ne!(before.digest(), now.digest());
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn folders() {
    let dir = tempfile::tempdir().unwrap();
    write_class_folders(dir.path(), "", 3, 20, 8).unwrap();
    let at = |name: &str| dir.path().join(name);
    let copy = || fs::copy(at("class0/4.png"), at("class0/3.png")).unwrap();
    changed(dir.path(), copy, &["class0/3.png has other content"]);
    changed(dir.path(), || fs::remove_file(at("class1/19.png")).unwrap(), &["class1/19.png is gone"]);
    let add = || fs::copy(at("class0/4.png"), at("class2/99.png")).unwrap();
    changed(dir.path(), add, &["class2/99.png is new"]);
    changed(
        dir.path(),
        || fs::rename(at("class2"), at("other")).unwrap(),
        &["the classes were class0, class1, class2"],
    );
}

#[test]
fn a_file_is_read_again_only_if_its_stamp_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    write_class_folders(dir.path(), "", 2, 12, 8).unwrap();
    assert!(identity(dir.path()).images.iter().all(|image| image.stamp.is_none()), "too young to be trusted");
    std::thread::sleep(Duration::from_millis(2100));
    let before = identity(dir.path());
    if cfg!(not(unix)) {
        return;
    }
    assert!(before.images.iter().all(|image| image.stamp.is_some()));
    // What was known is believed without reading, which shows if it is wrong.
    let mut wrong = before.clone();
    wrong.images[0].digest = before.images[1].digest;
    assert_eq!(
        identity_after(dir.path(), &KnownDigests::of(&wrong)).images[0].digest,
        before.images[1].digest
    );
    // Written anew with the same bytes: the stamp is another, the image is not.
    let file = &before.images[0].name;
    fs::write(file, fs::read(file).unwrap()).unwrap();
    let now = identity_after(dir.path(), &KnownDigests::of(&wrong));
    assert_eq!(before.differences(&now), Vec::<String>::new());
    // And it ends when it is told to.
    let dataset = Dataset::open_path(dir.path(), &OpenOptions::default()).unwrap();
    let stopped = Identity::of(&dataset, &KnownDigests::default(), 2, &mut |_, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap(), None);
}

#[test]
fn manifests() {
    let dir = tempfile::tempdir().unwrap();
    write_class_folders(dir.path(), "", 2, 10, 8).unwrap();
    let list = dir.path().join("list.csv");
    let row = |i: usize, class: usize| {
        let split = ["train", "train", "train", "val", "test"][i % 5];
        format!("class{class}/{i}.png,class{class},{split}\n")
    };
    let rows: Vec<String> = (0..20).map(|n| row(n / 2, n % 2)).collect();
    let write =
        |rows: &[String]| fs::write(&list, format!("file_name,label,split\n{}", rows.concat())).unwrap();
    write(&rows);
    let mut other = rows.clone();
    other[0] = other[0].replace(",class0", ",class1");
    changed(&list, || write(&other), &["train: ", "class0/0.png was class0, is class1"]);
    write(&rows);
    other.clone_from(&rows);
    other[0] = other[0].replace("train", "test");
    changed(&list, || write(&other), &["class0/0.png was in train, is in test"]);
    write(&rows);
    other.clone_from(&rows);
    other.swap(0, 1);
    changed(&list, || write(&other), &["another order"]);
}

#[test]
fn idx_and_cifar() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (prefix, n) in [("train", 40), ("t10k", 10)] {
        let labels: Vec<u8> = (0..n).map(|i| i % 2).collect();
        let pixels: Vec<u8> =
            labels.iter().flat_map(|&l| class_image(l.into(), 8, 1, l.into()).pixels().to_vec()).collect();
        write_idx_images(&at(&format!("{prefix}-images-idx3-ubyte")), 8, 8, &pixels).unwrap();
        write_idx_labels(&at(&format!("{prefix}-labels-idx1-ubyte")), &labels).unwrap();
    }
    changed(dir.path(), || flip(&at("train-images-idx3-ubyte"), 16 + 64 * 3), &["[3] has other content"]);
    changed(dir.path(), || flip(&at("t10k-labels-idx1-ubyte"), 8 + 4), &["test: ", "[4] was 0, is 1"]);

    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let batch = |n: u8| (0..n).flat_map(|i| [vec![i % 2], vec![i; 3072]].concat()).collect::<Vec<u8>>();
    for i in 1..=5 {
        fs::write(at(&format!("data_batch_{i}.bin")), batch(20)).unwrap();
    }
    fs::write(at("test_batch.bin"), batch(20)).unwrap();
    fs::write(at("batches.meta.txt"), "cat\ndog\n").unwrap();
    changed(dir.path(), || flip(&at("data_batch_2.bin"), 3073 * 7 + 100), &["[27] has other content"]);
    changed(dir.path(), || fs::write(at("batches.meta.txt"), "cat\nfox\n").unwrap(), &["are cat, fox"]);
}

#[test]
fn tar_shards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photos.tar");
    let write = |seed: u64, label: usize| {
        let mut tar = tar::Builder::new(fs::File::create(&path).unwrap());
        let mut append = |name: String, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, bytes).unwrap();
        };
        for i in 0..24usize {
            let file = dir.path().join("one.png");
            write_image(&file, &class_image(i % 2, 8, 3, if i == 5 { seed } else { 0 })).unwrap();
            append(format!("{i:03}.png"), &fs::read(&file).unwrap());
            let class = if i == 6 { label } else { i % 2 };
            append(format!("{i:03}.cls"), class.to_string().as_bytes());
        }
        tar.finish().unwrap();
    };
    write(5, 0);
    changed(&path, || write(6, 0), &["005.png has other content"]);
    changed(&path, || write(6, 1), &["006.png was 0, is 1"]);
}

#[test]
fn boxes_of_photos() {
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("boxes.json");
    for i in 0..12 {
        write_image(&dir.path().join(format!("{i}.png")), &class_image(0, 32, 3, i)).unwrap();
    }
    let write = |left: usize| {
        let images: Vec<String> = (0..12)
            .map(|i| format!(r#"{{"id": {i}, "file_name": "{i}.png", "width": 32, "height": 32}}"#))
            .collect();
        let boxes: Vec<String> = (0..24)
            .map(|i| {
                let (image, class, x) = (i / 2, 1 + i % 2, if i == 4 { left } else { i % 8 });
                format!(
                    r#"{{"id": {i}, "image_id": {image}, "category_id": {class}, "bbox": [{x}, 2, 12, 14], "iscrowd": 0, "area": 168}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"images": [{}], "annotations": [{}], "categories": [{{"id": 1, "name": "a"}}, {{"id": 2, "name": "b"}}]}}"#,
            images.join(", "),
            boxes.join(", ")
        );
        fs::write(&list, text).unwrap();
    };
    write(4);
    let before = identity(&list);
    assert_eq!(before.images.len(), 24);
    assert!(before.images.iter().all(|image| image.part.is_some()));
    let copy = || fs::copy(dir.path().join("4.png"), dir.path().join("3.png")).unwrap();
    changed(&list, copy, &["3.png [", "has other content"]);
    changed(&list, || write(5), &["2.png [4, 2, 16, 16] is gone", "2.png [5, 2, 17, 16] is new"]);
}

#[test]
fn the_embedded_demo() {
    let open = |seed| {
        let mut options = OpenOptions::default();
        options.seed = seed;
        let demo = Dataset::open("demo", &options).unwrap();
        let known = KnownDigests::default();
        Identity::of(&demo, &known, 2, &mut |_, _| ControlFlow::Continue(())).unwrap().unwrap()
    };
    let demo = open(0);
    assert_eq!((demo.images.len(), demo.classes.len()), (12_000, 10));
    assert_eq!(demo.digest(), open(0).digest());
    assert_ne!(demo.digest(), open(1).digest(), "other splits");
}
