//! Sources against files written by independent tools: Python's csv, json and tarfile live, Parquet by pyarrow
//! and run-length codes by pycocotools as golden files (scripts in `tests/golden`).

use oculist_augment::color;
use oculist_data::{CocoMask, Dataset, OpenOptions, Rle, SkipKind, Split, read_coco, read_manifest};
use oculist_testing::python;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A class and RGB pixels.
type Labelled = (String, Vec<u8>);

/// What a source should hold: images of some splits together, and the class names.
#[derive(Clone)]
struct Expected {
    splits: Vec<(Vec<Split>, Vec<Labelled>)>,
    classes: Vec<String>,
}

fn open(path: &Path) -> Dataset {
    match Dataset::open_path(path, &OpenOptions::default()) {
        Ok(dataset) => dataset,
        Err(err) => panic!("{err}"),
    }
}

fn held(dataset: &Dataset, splits: &[Split]) -> Vec<Labelled> {
    let mut all = Vec::new();
    for &split in splits {
        let subset = dataset.split(split);
        for i in 0..subset.len() {
            let image = subset.image(i).unwrap();
            assert_eq!(subset.size(i), (image.width(), image.height()), "{}", subset.name(i));
            let class = dataset.class_names()[subset.label(i) as usize].clone();
            all.push((class, color::to_rgb(image).into_pixels()));
        }
    }
    all.sort();
    all
}

fn check(dataset: &Dataset, expected: &Expected) -> Result<(), String> {
    if dataset.class_names() != expected.classes {
        return Err(format!("classes {:?} for {:?}", dataset.class_names(), expected.classes));
    }
    for (splits, images) in &expected.splits {
        let mut images = images.clone();
        images.sort();
        let found = held(dataset, splits);
        if found != images {
            return Err(format!("{splits:?}: {} images for {}, or others", found.len(), images.len()));
        }
    }
    Ok(())
}

/// Ways in which a source could be read wrongly.
fn wrong(expected: &Expected) -> Vec<Expected> {
    let mut ways = vec![expected.clone(); 4];
    let first = &mut ways[0].splits[0].1;
    let other = first.iter().position(|(class, _)| *class != first[0].0).expect("two classes");
    let class = first[0].0.clone();
    first[0].0 = std::mem::replace(&mut first[other].0, class);
    ways[1].splits[0].1[0].1[0] ^= 1;
    ways[2].splits[0].1.pop();
    ways[3].classes.reverse();
    ways
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn splits_named(names: &str) -> Vec<Split> {
    let all = Split::ALL.into_iter();
    all.filter(|split| names == "all" || names.split('+').any(|name| name == split.name())).collect()
}

/// The sources that the script wrote; None without Python.
fn written(folder: &Path) -> Option<Vec<(PathBuf, Expected)>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/sources.py");
    let listed = python::run_file(&script, [folder])?.expect_success().json();
    let pictures: Vec<Vec<u8>> = texts(&listed["pictures"]).iter().map(|text| hex(text)).collect();
    let sources = listed["sources"].as_object().unwrap().iter().map(|(path, source)| {
        let splits = source["splits"].as_object().unwrap().iter().map(|(names, images)| {
            let image = |pair: &Value| {
                let number = pair[1].as_u64().unwrap() as usize;
                (pair[0].as_str().unwrap().to_owned(), pictures[number].clone())
            };
            (splits_named(names), images.as_array().unwrap().iter().map(image).collect())
        });
        (folder.join(path), Expected { splits: splits.collect(), classes: texts(&source["classes"]) })
    });
    Some(sources.collect())
}

#[test]
fn sources_hold_what_python_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let Some(sources) = written(folder.path()) else { return };
    assert_eq!(sources.len(), 16);
    for (path, expected) in &sources {
        let dataset = open(path);
        if let Err(err) = check(&dataset, expected) {
            panic!("{}: {err}", path.display());
        }
        for (i, wrong) in wrong(expected).iter().enumerate() {
            assert!(check(&dataset, wrong).is_err(), "{}: wrong way {i} was not seen", path.display());
        }
        assert!(Split::ALL.iter().all(|&split| !dataset.split(split).is_empty()), "{}", path.display());
    }
}

#[test]
fn coco_boxes_of_an_image_stay_together_and_what_is_not_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    if written(folder.path()).is_none() {
        return;
    }
    for path in ["coco", "coco/annotations/instances_train2017.json"] {
        let dataset = open(&folder.path().join(path));
        let images = Split::ALL.map(|split| {
            let subset = dataset.split(split);
            let file = |i| subset.name(i).split_once('#').unwrap().0.to_owned();
            (0..subset.len()).map(file).collect::<BTreeSet<String>>()
        });
        for (i, j) in [(0, 1), (0, 2), (1, 2)] {
            assert!(images[i].is_disjoint(&images[j]), "{path}");
        }
        let notes: Vec<&str> = dataset.skipped().iter().map(|skip| skip.reason.as_str()).collect();
        let wanted = [
            "1 crowd boxes not used",
            "1 boxes without area not used",
            "1 images without a box not used",
            "class \"boat\" is declared but has no image",
        ];
        assert!(wanted.iter().all(|text| notes.contains(text)), "{notes:?}");
        assert!(dataset.skipped().iter().all(|skip| skip.kind == SkipKind::Unused));
        // Not even strict reading minds what is only told.
        let mut strict = OpenOptions::default();
        strict.strict = true;
        assert!(Dataset::open_path(&folder.path().join(path), &strict).is_ok());
    }
    let coco = read_coco(&folder.path().join("coco/annotations/instances_val2017.json")).unwrap();
    assert_eq!((coco.images.len(), coco.categories.len(), coco.annotations.len()), (21, 4, 62));
    let annotation = &coco.annotations[0];
    let [x, y, w, h] = annotation.bbox;
    assert_eq!(annotation.mask, CocoMask::Polygons(vec![vec![[x, y], [x + w, y], [x + w, y + h]]]));
    let CocoMask::Rle(rle) = &coco.annotations[60].mask else { panic!("{:?}", coco.annotations[60]) };
    assert_eq!((rle.size(), rle.area()), ((31, 20), 600));
}

#[test]
fn manifests_tell_ignored_columns_and_several_labels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    std::fs::write(&path, "file_name,size,label,who\n a.png ,3, cat ; dog;,x\nb.png,4,,y\n").unwrap();
    let manifest = read_manifest(&path).unwrap();
    assert_eq!(manifest.ignored, ["size", "who"]);
    assert_eq!(manifest.rows[0].labels, ["cat", "dog"]);
    assert_eq!((manifest.rows[0].file_name.as_str(), manifest.rows[0].line), ("a.png", 2));
    assert!(manifest.rows[1].labels.is_empty());
    let path = folder.path().join("m.jsonl");
    std::fs::write(&path, "\n{\"file_name\":\"a;b.png\",\"label\":[\"x;y\",3],\"z\":1,\"b\":null}\r\n")
        .unwrap();
    let manifest = read_manifest(&path).unwrap();
    assert_eq!(manifest.ignored, ["b", "z"]);
    assert_eq!(manifest.rows[0].labels, ["x;y", "3"]);
    assert_eq!((manifest.rows[0].file_name.as_str(), manifest.rows[0].line), ("a;b.png", 2));
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden_json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

#[test]
fn parquet_holds_what_pyarrow_wrote() {
    let listed = golden_json("parquet/expected.json");
    let rows = |file: &str| -> Vec<Labelled> {
        let rows = listed[file].as_array().unwrap().iter();
        rows.map(|row| (row[0].as_str().unwrap().to_owned(), hex(row[1].as_str().unwrap()))).collect()
    };
    let all = vec![Split::Train, Split::Val, Split::Test];
    let names = ["zebra", "ant", "mole"].map(str::to_owned).to_vec();
    let one = |file: &str, classes: Vec<String>| (file.to_owned(), vec![(all.clone(), rows(file))], classes);
    let part = |part: &str| rows(&format!("split/data/{part}.parquet"));
    let train = [part("train-00000-of-00002"), part("train-00001-of-00002")].concat();
    let by_split = vec![
        (vec![Split::Train], train),
        (vec![Split::Val], part("validation-00000-of-00001")),
        (vec![Split::Test], part("test-00000-of-00001")),
    ];
    let cases = [
        one("snappy.parquet", names.clone()),
        one("gzip.parquet", names.clone()),
        one("brotli.parquet", names.clone()),
        one("lz4.parquet", names.clone()),
        one("zstd.parquet", names.clone()),
        one("plain.parquet", names.clone()),
        one("text.parquet", (0..3).map(|i| format!("kind {i}")).collect()),
        one("fine.parquet", (0..3).map(|i| i.to_string()).collect()),
        ("split".to_owned(), by_split.clone(), names.clone()),
        ("split/data".to_owned(), by_split, names),
    ];
    for (file, splits, classes) in cases {
        let expected = Expected { splits, classes };
        let dataset = open(&golden("parquet").join(&file));
        assert_eq!(check(&dataset, &expected), Ok(()), "{file}");
        for (i, wrong) in wrong(&expected).iter().enumerate() {
            assert!(check(&dataset, wrong).is_err(), "{file}: wrong way {i} was not seen");
        }
    }
    let dataset = open(&golden("parquet/snappy.parquet"));
    assert!(dataset.train().name(0).contains("snappy.parquet/row "), "{}", dataset.train().name(0));
    assert_eq!(dataset.train().path(0), None);
}

/// Masks from pycocotools: plain and compressed code, and the rows of the mask as hexadecimal numbers behind a 1.
#[test]
fn run_length_codes_are_those_of_pycocotools() {
    for case in golden_json("rle.json").as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (width, height) = (size("width"), size("height"));
        let counts: Vec<u32> = serde_json::from_value(case["counts"].clone()).unwrap();
        let text = case["text"].as_str().unwrap();
        let rle = Rle::from_compressed(width, height, text).unwrap();
        assert_eq!(rle.counts(), counts);
        assert_eq!(Rle::from_counts(width, height, counts.clone()).unwrap(), rle);
        assert_eq!(rle.area(), case["area"].as_u64().unwrap());
        let bits = |row: &str| -> Vec<u8> {
            let bits = row.chars().flat_map(|c| {
                let digit = c.to_digit(16).unwrap();
                (0..4).rev().map(move |bit| (digit >> bit & 1) as u8)
            });
            bits.skip_while(|&bit| bit == 0).skip(1).collect()
        };
        let mask: Vec<u8> = texts(&case["rows"]).iter().flat_map(|row| bits(row)).collect();
        assert_eq!(mask.len(), width * height);
        assert_eq!(rle.to_mask(), mask);
        // Rows for columns, or runs that begin with 1, would be another mask.
        if width > 1 && height > 1 && counts.len() > 2 {
            let turned = Rle::from_counts(height, width, counts.clone()).unwrap().to_mask();
            assert_ne!(turned, mask);
        }
        let inverted: Vec<u8> = mask.iter().map(|bit| 1 - bit).collect();
        assert_ne!(rle.to_mask(), inverted);
        // Codes that are cut, or are for another size, are refused.
        assert!(Rle::from_compressed(width, height, &text[..text.len() - 1]).is_err());
        assert!(Rle::from_compressed(width + 1, height, text).is_err());
    }
    for text in ["0 1", "\u{e9}", "o", "oooooooooooooooo0", "N1"] {
        assert!(Rle::from_compressed(1, 1, text).is_err(), "{text}");
    }
}
