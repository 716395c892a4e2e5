//! Members of archives, boxes and rows that have no partner: what is lost is counted, what is none of the samples is not.

use oculist_data::{Dataset, OpenOptions, fixture};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn png(class: usize, seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    fixture::write_image(&path, &fixture::class_image(class, 8, 3, seed)).unwrap();
    fs::read(path).unwrap()
}

fn tar(path: &Path, members: &[(String, Vec<u8>)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    builder.into_inner().unwrap();
}

/// An image and its label for each key.
fn samples(keys: &[String]) -> Vec<(String, Vec<u8>)> {
    let each = keys.iter().enumerate();
    each.flat_map(|(i, key)| {
        [(format!("{key}.png"), png(i % 2, i as u64)), (format!("{key}.cls"), vec![b'0' + (i % 2) as u8])]
    })
    .collect()
}

fn open(path: &Path) -> Dataset {
    Dataset::open_path(path, &OpenOptions::default()).unwrap_or_else(|err| panic!("{err}"))
}

/// Samples by the rule of WebDataset, `base_plus_ext`: the key ends at the first dot of the base name, and each key has
/// one sample with a field for each extension.
fn keys_of_webdataset(members: &[(String, Vec<u8>)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in members {
        let base = name.rfind('/').map_or(0, |slash| slash + 1);
        let dot = base + name[base..].find('.').unwrap();
        keys.entry(name[..dot].to_owned()).or_default().insert(name[dot + 1..].to_owned());
    }
    keys
}

#[test]
fn keys_with_dots_lose_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let mut keys: Vec<String> = (0..24).map(|i| format!("s{i}")).collect();
    keys.extend((24..30).map(|i| format!("v1.{i}")));
    let members = samples(&keys);
    tar(&path, &members);
    // By WebDataset's own rule, 24 samples have an image, and the others are fields of one.
    let theirs = keys_of_webdataset(&members);
    assert_eq!(theirs.len(), 25);
    assert_eq!(theirs["v1"].len(), 12);
    assert!(theirs["v1"].contains("24.png") && !theirs["v1"].contains("png"));
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.left_out().count()), (30, 0));
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("6 keys with dots, such as v1.24: "), "{notes:?}");
    // Each image has its own label.
    for split in oculist_data::Split::ALL {
        let subset = dataset.split(split);
        for i in 0..subset.len() {
            let name = subset.name(i);
            let number: usize = name.rsplit(['s', '.', '/']).nth(1).unwrap().parse().unwrap();
            assert_eq!(subset.label(i) as usize, number % 2, "{name}");
            assert_eq!(
                subset.image(i).unwrap(),
                fixture::class_image(number % 2, 8, 3, number as u64),
                "{name}"
            );
        }
    }
    // Folders may have dots, and a key and a longer one may both be samples.
    let mut keys: Vec<String> = (0..20).map(|i| format!("./set.v2/a.b/{i}")).collect();
    keys.extend(["set.v2/1.x.y".to_owned(), "set.v2/1".to_owned(), "set.v2/1.0".to_owned()]);
    tar(&path, &samples(&keys));
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.left_out().count()), (23, 0));
    // Masks and captions beside an image are no samples.
    let mut members = samples(&(0..20).map(|i| i.to_string()).collect::<Vec<_>>());
    members.extend((0..20).flat_map(|i| {
        [
            (format!("{i}.seg.png"), png(0, 1)),
            (format!("{i}.txt"), vec![b'x']),
            (format!("{i}.seg.json"), b"{}".to_vec()),
        ]
    }));
    tar(&path, &members);
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.skipped().len()), (20, 0), "{:?}", dataset.skipped());
}

#[test]
fn members_without_a_partner_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let mut members = samples(&(0..57).map(|i| format!("s{i}")).collect::<Vec<_>>());
    let more = [
        ("image.png", png(0, 1), "image.png", "expected a label of this key"),
        ("label.cls", b"1".to_vec(), "label", "expected an image"),
        ("v2.1.png", png(0, 1), "v2.1.png", "expected a label of this key"),
    ];
    members.extend(more.iter().map(|(name, bytes, ..)| ((*name).to_owned(), bytes.clone())));
    members.push(("readme.txt".into(), b"x".to_vec()));
    tar(&path, &members);
    // Three of 60 are 5 %, and no more.
    let dataset = open(&path);
    assert_eq!(dataset.summary().images(), 57);
    let lost: Vec<_> = dataset.left_out().collect();
    assert_eq!(lost.len(), 3);
    for (_, _, name, reason) in more {
        assert!(
            lost.iter().any(|s| s.path == path.join(name) && s.reason.starts_with(reason)),
            "{name} {lost:?}"
        );
    }
    assert!(dataset.notes().any(|note| note.path.ends_with("readme.txt")));
    members.push(("fourth.jpg".into(), png(0, 1)));
    tar(&path, &members);
    let text = Dataset::open_path(&path, &OpenOptions::default()).unwrap_err().to_string();
    assert!(text.contains("4 of 61 images are unreadable, more than 5 %; the first: "), "{text}");
    assert!(text.contains("x.tar/image.png (expected a label of this key"), "{text}");
    assert!(text.contains("also 1 x expected an image"), "{text}");
}

/// COCO annotations of images `0.png` to `39.png` of 8x8 pixels, a box each.
fn coco(folder: &Path, edit: impl Fn(usize, &str) -> Option<String>) -> std::path::PathBuf {
    let (mut images, mut boxes) = (Vec::new(), Vec::new());
    for i in 0..40 {
        let path = folder.join(format!("{i}.png"));
        fixture::write_image(&path, &fixture::class_image(i % 2, 8, 3, i as u64)).unwrap();
        images.push(format!("{{\"id\":{i},\"file_name\":\"{i}.png\",\"height\":8,\"width\":8}}"));
        let annotation = format!(
            "{{\"id\":{i},\"image_id\":{i},\"category_id\":{},\"bbox\":[1,2,4,3],\"iscrowd\":0}}",
            i % 2
        );
        boxes.push(edit(i, &annotation).unwrap_or(annotation));
    }
    let categories = "{\"id\":0,\"name\":\"a\"},{\"id\":1,\"name\":\"b\"}";
    let text = format!(
        "{{\"info\":NaN,\"images\":[{}],\"annotations\":[{}],\"categories\":[{categories}]}}",
        images.join(","),
        boxes.join(",")
    );
    let path = folder.join("a.json");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_annotation_that_is_wrong_is_one_box_less() {
    let folder = tempfile::tempdir().unwrap();
    let path = coco(folder.path(), |_, _| None);
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.skipped().len()), (40, 0));
    let wrong = [
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,NaN,4,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,2,Infinity,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,2,-Infinity,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,\"x\",4,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,null,4,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":{\"x\":1}", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,2,4,3,5]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[1,2,-4,3]", "as the bbox"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[100,2,4,3]", "a box that touches its image"),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[-9,2,4,3]", "a box that touches its image"),
        ("\"bbox\":[1,2,4,3],", "", "as the bbox"),
        ("\"image_id\":7", "\"image_id\":700", "the id of an image, found the unknown id 700"),
        ("\"image_id\":7", "\"image_id\":null", "a number as image_id"),
        ("\"image_id\":7,", "", "a number as image_id"),
        ("\"category_id\":1", "\"category_id\":5", "the id of a category, found the unknown id 5"),
        ("\"category_id\":1", "\"category_id\":-1", "a number as category_id"),
    ];
    for (from, to, reason) in wrong {
        let edited = |i: usize, text: &str| {
            let new = text.replace(from, to);
            assert!(i != 7 || new != text);
            (i == 7).then_some(new)
        };
        let dataset = open(&coco(folder.path(), edited));
        let lost: Vec<_> = dataset.left_out().collect();
        assert_eq!((dataset.summary().images(), lost.len()), (39, 1), "{to}");
        assert!(
            lost[0].path == path.join("annotation 7") && lost[0].reason.contains(reason),
            "{to}: {lost:?}"
        );
        // Three of 40 are too many.
        let edited = |i: usize, text: &str| {
            let text = text.replace("\"category_id\":0", "\"category_id\":1");
            matches!(i, 7..10).then(|| text.replace(from, to).replace(&from.replace('7', &i.to_string()), to))
        };
        let path = coco(folder.path(), edited);
        let text = Dataset::open_path(&path, &OpenOptions::default()).unwrap_err().to_string();
        assert!(text.contains("3 of 40 images are unreadable, more than 5 %"), "{to}: {text}");
    }
    // No object at all.
    let dataset = open(&coco(folder.path(), |i, _| (i == 7).then(|| "null".to_owned())));
    assert_eq!((dataset.summary().images(), dataset.left_out().count()), (39, 1));
}

#[test]
fn boxes_are_clipped_and_what_is_not_used_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let harmless = [
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[-3,-2,400,1e9]", (8, 8)),
        ("\"bbox\":[1,2,4,3]", "\"bbox\":[6.5,2,4,3]", (2, 3)),
        ("\"iscrowd\":0", "\"iscrowd\":false", (4, 3)),
        ("\"id\":7,", "\"id\":\"seven\",", (4, 3)),
        ("\"id\":7,", "\"id\":-7,\"area\":NaN,\"score\":-Infinity,", (4, 3)),
        ("\"image_id\":7", "\"image_id\":7.0", (4, 3)),
        ("\"image_id\":7", "\"image_id\":\"7\"", (4, 3)),
        ("\"iscrowd\":0", "\"segmentation\":[[1,2,3]]", (4, 3)),
        ("\"iscrowd\":0", "\"segmentation\":{\"size\":[1,1],\"counts\":\"\\u00e9\"}", (4, 3)),
        ("\"iscrowd\":0", "\"segmentation\":\"NaN\",\"keypoints\":[NaN,{\"a\":[]}]", (4, 3)),
    ];
    for (from, to, size) in harmless {
        let edited = |i: usize, text: &str| (i == 7).then(|| text.replacen(from, to, 1));
        let dataset = open(&coco(folder.path(), edited));
        assert_eq!(
            (dataset.summary().images(), dataset.skipped().len()),
            (40, 0),
            "{to} {:?}",
            dataset.skipped()
        );
        let found = oculist_data::Split::ALL.iter().any(|&split| {
            let subset = dataset.split(split);
            (0..subset.len()).any(|i| subset.name(i).contains("/7.png#") && subset.size(i) == size)
        });
        assert!(found, "{to}");
    }
    // A missing image loses its boxes, and no others.
    let path = coco(folder.path(), |_, _| None);
    fs::remove_file(folder.path().join("7.png")).unwrap();
    let dataset = open(&path);
    let lost: Vec<_> = dataset.left_out().collect();
    assert_eq!((dataset.summary().images(), lost.len()), (39, 1));
    assert!(lost[0].path.ends_with("7.png#7") && lost[0].reason.starts_with("cannot be read"), "{lost:?}");
}

#[test]
fn archives_put_together_are_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let keys: Vec<String> = (0..48).map(|i| format!("s{i}")).collect();
    let mut whole = Vec::new();
    for part in samples(&keys).chunks(48) {
        tar(&path, part);
        whole.extend(fs::read(&path).unwrap());
    }
    fs::write(&path, &whole).unwrap();
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.left_out().count()), (48, 0));
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    assert!(notes.len() == 1 && notes[0].starts_with("read on behind the end marker at byte "), "{notes:?}");
    // Zeros fill an archive up; anything else behind its end is no archive.
    fs::write(&path, [whole.clone(), vec![0; 2_000_123]].concat()).unwrap();
    assert_eq!(open(&path).summary().images(), 48);
    fs::write(&path, [&whole[..], &[7; 700]].concat()).unwrap();
    let text = Dataset::open_path(&path, &OpenOptions::default()).unwrap_err().to_string();
    assert!(text.contains("behind the end marker"), "{text}");
}

/// A header as the formats before POSIX have it, with the bytes of the member behind it.
fn raw_member(name: &[u8], kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..107].copy_from_slice(b"0000644");
    header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
    header[136..147].copy_from_slice(b"00000000000");
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    if kind == b'S' {
        header[257..265].copy_from_slice(b"ustar  \0");
        // One piece of all the bytes, behind a hole of a megabyte.
        header[386..397].copy_from_slice(format!("{:011o}", 1 << 20).as_bytes());
        header[398..409].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[483..494].copy_from_slice(format!("{:011o}", (1 << 20) + bytes.len()).as_bytes());
    }
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let padding = vec![0; bytes.len().next_multiple_of(512) - bytes.len()];
    [&header[..], bytes, &padding].concat()
}

#[test]
fn names_that_are_no_unicode_stay_apart_and_sparse_members_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    let mut bytes = Vec::new();
    for i in 0..32u8 {
        let name = |end: &[u8]| [&[0xe0 + i], end].concat();
        bytes.extend(raw_member(&name(b".png"), b'0', &png(usize::from(i % 2), u64::from(i))));
        bytes.extend(raw_member(&name(b".cls"), b'0', &[b'0' + i % 2]));
    }
    let end = [0; 1024];
    fs::write(&path, [&bytes[..], &end].concat()).unwrap();
    let dataset = open(&path);
    assert_eq!((dataset.summary().images(), dataset.left_out().count()), (32, 0));
    assert!(dataset.train().name(0).contains("\\xE"), "{}", dataset.train().name(0));
    bytes.extend(raw_member(b"sparse.png", b'S', &png(0, 77)));
    fs::write(&path, [&bytes[..], &end].concat()).unwrap();
    let dataset = open(&path);
    let lost: Vec<&str> = dataset.left_out().map(|skip| skip.reason.as_str()).collect();
    assert_eq!(dataset.summary().images(), 32);
    assert!(lost.len() == 1 && lost[0].contains("a sparse one"), "{lost:?}");
}

#[test]
fn shards_may_lie_in_folders_of_splits() {
    let folder = tempfile::tempdir().unwrap();
    for (i, split) in ["Training", "test"].iter().enumerate() {
        fs::create_dir(folder.path().join(split)).unwrap();
        let keys: Vec<String> = (0..30).map(|k| format!("s{i}-{k}")).collect();
        tar(&folder.path().join(split).join("0-of-1.tar"), &samples(&keys));
    }
    let dataset = open(folder.path());
    assert_eq!((dataset.summary().images(), dataset.test().len()), (60, 30));
}

#[test]
fn lists_of_coco_have_the_names_of_splits_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["Training", "valid", "Testing"] {
        fs::create_dir(folder.path().join(split)).unwrap();
        let list = coco(&folder.path().join(split), |_, _| None);
        fs::rename(&list, list.with_file_name("_annotations.coco.json")).unwrap();
    }
    fs::create_dir(folder.path().join("extra")).unwrap();
    let list = "_annotations.coco.json";
    fs::copy(folder.path().join("valid").join(list), folder.path().join("extra").join(list)).unwrap();
    let dataset = open(folder.path());
    assert_eq!([dataset.train().len(), dataset.val().len(), dataset.test().len()], [40; 3]);
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    assert_eq!(notes, ["annotation files not read: extra/_annotations.coco.json"]);
    // The only list of a folder is all of it, whatever it is called.
    let folder = tempfile::tempdir().unwrap();
    for inner in ["annotations", "images"] {
        fs::create_dir(folder.path().join(inner)).unwrap();
    }
    let list = coco(&folder.path().join("images"), |_, _| None);
    let default = folder.path().join("annotations/instances_default.json");
    fs::rename(&list, &default).unwrap();
    assert_eq!(open(folder.path()).summary().images(), 40);
    // One image may not be in two splits.
    fs::copy(&default, folder.path().join("annotations/instances_train.json")).unwrap();
    fs::rename(&default, folder.path().join("annotations/instances_holdout.json")).unwrap();
    let text = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap_err().to_string();
    assert!(text.contains("expected an image in one split, found one of"), "{text}");
}

#[test]
fn an_image_and_a_box_that_are_named_twice_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = coco(folder.path(), |_, _| None);
    let once = fs::read_to_string(&path).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&once.replace("NaN", "0")).unwrap();
    let images = value["images"].as_array_mut().unwrap();
    for image in images.clone() {
        let mut again = image.clone();
        again["id"] = (100 + image["id"].as_u64().unwrap()).into();
        again["file_name"] = format!("./{}", image["file_name"].as_str().unwrap()).into();
        images.push(again);
    }
    let boxes = value["annotations"].as_array_mut().unwrap();
    for annotation in boxes.clone() {
        let id = annotation["id"].as_u64().unwrap();
        for (at, bbox) in [(100, "[1,2,4,3]"), (200, "[0,0,5,5]")] {
            let mut again = annotation.clone();
            again["id"] = (at + id).into();
            again["image_id"] = (100 + id).into();
            again["bbox"] = serde_json::from_str(bbox).unwrap();
            boxes.push(again);
        }
    }
    fs::write(&path, value.to_string()).unwrap();
    let dataset = open(&path);
    let images: Vec<BTreeSet<String>> = oculist_data::Split::ALL
        .iter()
        .map(|&split| {
            let subset = dataset.split(split);
            let file = |i| {
                let name = subset.name(i);
                Path::new(name.split('#').next().unwrap()).canonicalize().unwrap().display().to_string()
            };
            (0..subset.len()).map(file).collect()
        })
        .collect();
    assert!(
        images[0].is_disjoint(&images[1])
            && images[0].is_disjoint(&images[2])
            && images[1].is_disjoint(&images[2])
    );
    assert_eq!(images.iter().map(BTreeSet::len).sum::<usize>(), 40);
    assert_eq!(dataset.summary().images(), 80);
    let notes: Vec<&str> = dataset.notes().map(|note| note.reason.as_str()).collect();
    assert!(notes.iter().any(|note| note.starts_with("40 images name a file again")), "{notes:?}");
    assert!(notes.iter().any(|note| note.starts_with("40 boxes are there again")), "{notes:?}");
}
