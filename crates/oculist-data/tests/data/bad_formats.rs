//! Manifests, archives and tables that are not as they should be.

use oculist_data::{CocoMask, Dataset, Error, OpenOptions, SkipKind, fixture};
use std::fs;
use std::path::{Path, PathBuf};

fn message(path: &Path) -> String {
    match Dataset::open_path(path, &OpenOptions::default()) {
        Ok(dataset) => panic!("{} was read: {dataset:?}", path.display()),
        Err(err) => err.to_string(),
    }
}

#[track_caller]
fn says(path: &Path, parts: &[&str]) {
    let text = message(path);
    assert!(parts.iter().all(|part| text.contains(part)), "{text}\nlacks one of {parts:?}");
}

/// A folder with 20 images a.png and so on, of two classes.
fn images() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20).map(|i| format!("{i}.png")).collect();
    for (i, name) in names.iter().enumerate() {
        fixture::write_image(&folder.path().join(name), &fixture::class_image(i % 2, 8, 3, i as u64))
            .unwrap();
    }
    (folder, names)
}

fn read_all(folder: &Path, names: &[String]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
}

fn rows(names: &[String]) -> String {
    let rows: Vec<String> =
        names.iter().enumerate().map(|(i, name)| format!("{name},class{}\n", i % 2)).collect();
    rows.concat()
}

#[test]
fn manifests_that_lie() {
    let (folder, names) = images();
    let path = folder.path().join("list.csv");
    let good = rows(&names);
    let csv = |text: &str| fs::write(&path, text).unwrap();
    csv(&format!("file_name,label\n{good}"));
    assert!(Dataset::open_path(&path, &OpenOptions::default()).is_ok());

    csv("");
    says(&path, &["list.csv, line 1: expected a header with the columns file_name and label"]);
    csv(&format!("where,what,extra\n{good}"));
    says(&path, &["line 1: expected a header", "found where, what, extra"]);
    csv(&good);
    says(&path, &["line 1: expected a header", "found 0.png, class0", "without a header"]);
    csv("file_name,label,label\n");
    says(&path, &["each column once", "\"label\" twice"]);
    csv("file_name,label\n");
    says(&path, &["at least one labelled image"]);
    csv("file_name,label\n0.png,a\n1.png\n");
    says(&path, &["1 of 2 images are unreadable", "line 3 (expected 2 fields as in the header, found 1)"]);
    csv("file_name,label\n0.png,a\n1.png,b;c\n");
    says(&path, &["line 3 (expected exactly one label", "found 2: b; c"]);
    csv("file_name,label\n0.png,\n");
    says(&path, &["line 2 (expected exactly one label", "found none"]);
    csv("file_name,label\n,a\n");
    says(&path, &["line 2 (expected a file name"]);
    csv(&format!(
        "file_name,label\n{}",
        good.replace("4.png,class0", "3.png,class0").replace("6.png", "5.png")
    ));
    says(
        &path,
        &[
            "line 5 (expected one label and one split of each file, found 3.png: class1, but class0 in line 6)",
        ],
    );
    csv(&format!("file_name,label\n{good}gone/x.png,class0\ngone/y.png,class0\n"));
    says(&path, &["line 22 names", "gone/x.png", "2 of 22 files are missing"]);
    csv("file_name,label,split\n0.png,a,train\n1.png,b,nowhere\n");
    says(&path, &["line 3 (expected the split train, val or test, found \"nowhere\""]);
    csv("file_name,label,split\n0.png,a,test\n1.png,b,test\n");
    says(&path, &["too few images to fill the train split"]);
    fs::write(&path, b"file_name,label\n0.png,\xff\xfe\n").unwrap();
    says(&path, &["line 2 (expected UTF-8"]);
    // A class that only the test split has.
    let with_split = good.replace('\n', ",train\n");
    fs::copy(folder.path().join("0.png"), folder.path().join("new.png")).unwrap();
    csv(&format!("file_name,label,split\n{with_split}new.png,ghost,test\n"));
    says(
        &path,
        &["class \"ghost\" is in the test split but not in the training split", "cannot be recognised"],
    );
    csv(&format!("file_name,label\n{}", rows(&names).replace("class1", "class0")));
    says(&path, &["found only the class \"class0\""]);

    let path = folder.path().join("list.jsonl");
    let jsonl = |text: &str| fs::write(&path, text).unwrap();
    jsonl("{\"file_name\":\"0.png\",\"label\":\"a\"}\n{\"file_name\":\"1.png\"}\n");
    says(&path, &["list.jsonl/line 2 (expected the key label, found file_name"]);
    jsonl("{\"which\":\"0.png\",\"label\":\"a\"}\n");
    says(&path, &["line 1 (expected the key file_name, found label, which"]);
    jsonl("{\"file_name\":\"0.png\",\"label\":[\"a\",\"b\"]}\n");
    says(&path, &["line 1 (expected exactly one label", "found 2: a; b"]);
    jsonl("\n[1]\n");
    says(&path, &["line 2 (expected a JSON object, found [1]"]);
    jsonl(&format!("[{}1]\n", "1,".repeat(5000)));
    assert!(message(&path).len() < 500);
    jsonl("{\"file_name\":\"0.png\",\"lab");
    says(&path, &["line 1 (expected a JSON object, found broken JSON"]);
    for (label, found) in [("true", "true"), ("null", "null"), ("\"\"", "\"\""), ("[[1]]", "[1]")] {
        jsonl(&format!("{{\"file_name\":\"0.png\",\"label\":{label}}}\n"));
        says(&path, &["line 1 (expected a label", found]);
    }
    jsonl(
        "{\"file_name\":\"0.png\",\"label\":1,\"split\":\"train\"}\n{\"file_name\":\"1.png\",\"label\":2}\n",
    );
    says(&path, &["line 2 (expected a split as in the other rows, found none"]);
    says(&folder.path().join("list.txt"), &["no such file"]);
    fs::write(folder.path().join("list.txt"), "").unwrap();
    says(&folder.path().join("list.txt"), &["*.csv", "found another file"]);
}

/// A PNG header that declares 50,000 x 50,000 pixels.
fn bomb() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = 50_000u32.to_be_bytes();
    for (kind, data) in [
        (b"IHDR", [&size[..], &size, &[8, 2, 0, 0, 0]].concat()),
        (b"IDAT", vec![0x78, 0x9c, 0x63, 0, 0]),
        (b"IEND", vec![]),
    ] {
        let body = [kind.as_slice(), &data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(&body);
        png.extend(crc.sum().to_be_bytes());
    }
    png
}

#[test]
fn images_named_by_a_source_that_are_none_are_listed_and_limited() {
    let (folder, names) = images();
    let png = fs::read(folder.path().join("0.png")).unwrap();
    let bad: [(&str, &[u8], &str); 5] = [
        ("zero.png", b"", "the file is empty"),
        ("cut.png", &png[..png.len() / 2], "truncated PNG image"),
        ("text.jpg", b"this is text", "not an image"),
        ("notes.txt", b"this is text", "not an image"),
        ("bomb.png", &bomb(), "declared size 50000x50000 is over the limit"),
    ];
    let mut all = names;
    for (name, bytes, _) in bad {
        fs::write(folder.path().join(name), bytes).unwrap();
        all.push(name.to_owned());
    }
    // A PNG that is called JPEG is an image all the same.
    fs::write(folder.path().join("misnamed.jpg"), &png).unwrap();
    all.push("misnamed.jpg".to_owned());
    let csv = folder.path().join("list.csv");
    fs::write(&csv, format!("file_name,label\n{}", rows(&all))).unwrap();
    let tar = folder.path().join("list.tar");
    write_tar(&tar, &read_all(folder.path(), &all));
    // Five of 26 are more than the default limit.
    says(&csv, &["5 of 26 images are unreadable, more than 5 %", "zero.png"]);
    let mut options = OpenOptions::default();
    options.max_unreadable = 0.3;
    for path in [&csv, &tar] {
        // Text files are no images for a tar: there, notes.txt is a label without an image.
        let dataset = Dataset::open_path(path, &options).unwrap();
        for (name, _, reason) in bad.iter().filter(|(name, ..)| *path == csv || *name != "notes.txt") {
            let (stem, end) = name.split_once('.').unwrap();
            let named = |file: &str| file.starts_with(stem) && file.ends_with(end);
            let of_name = |path: &Path| named(&path.file_name().unwrap().to_string_lossy());
            let found = dataset.skipped().iter().find(|skip| of_name(&skip.path)).unwrap();
            assert!(found.reason.contains(reason), "{found:?}");
            assert_eq!(found.kind, SkipKind::Unreadable);
        }
        assert_eq!(dataset.summary().images(), 21);
    }
}

/// A tar by the `tar` crate: images as they are named, each with a `.cls` of its class.
fn write_tar(path: &Path, files: &[(String, Vec<u8>)]) {
    let mut builder = tar::Builder::new(fs::File::create(path).unwrap());
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    for (i, (name, bytes)) in files.iter().enumerate() {
        let (key, end) = name.split_once('.').unwrap();
        add(&format!("{key}{i}.{end}"), bytes);
        if end != "txt" {
            add(&format!("{key}{i}.cls"), format!("class{}", i % 2).as_bytes());
        }
    }
    builder.into_inner().unwrap();
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn tar_files_that_are_cut_short_or_lie() {
    let (folder, names) = images();
    let path = folder.path().join("x.tar");
    let files = read_all(folder.path(), &names);
    write_tar(&path, &files);
    let whole = fs::read(&path).unwrap();
    assert!(Dataset::open_path(&path, &OpenOptions::default()).is_ok());
    // Wherever it is cut, that is said; at 700 the first member's data is not all there, at 512 nor anything.
    for cut in [1, 100, 511, 513, 700, 1024, 1030, 1536, whole.len() / 2, whole.len() - 1024] {
        fs::write(&path, &whole[..cut]).unwrap();
        let err = Dataset::open_path(&path, &OpenOptions::default()).unwrap_err();
        let Error::Cut { offset, .. } = err else { panic!("cut at {cut}: {err}") };
        assert!(offset <= cut as u64, "{err}");
        assert!(err.to_string().contains("x.tar: the archive is cut short at byte"), "{err}");
    }
    fs::write(&path, &whole[..700]).unwrap();
    let len = files[0].1.len();
    says(
        &path,
        &[
            "cut short at byte 512",
            &format!("00.png has {len} bytes"),
            &format!("{} bytes before", len - 188),
        ],
    );
    fs::write(&path, &whole[..whole.len() - 1024]).unwrap();
    says(&path, &["the end marker (blocks of zeros) is missing"]);
    fs::write(&path, "").unwrap();
    says(&path, &["cut short at byte 0"]);
    let mut damaged = whole.clone();
    damaged[3] ^= 8;
    fs::write(&path, &damaged).unwrap();
    says(&path, &["expected a tar header at byte 0", "checksum"]);
    fs::write(&path, [&[0x1f, 0x8b][..], &whole].concat()).unwrap();
    says(&path, &["expected a plain tar", "found a gzip stream"]);

    let png = &files[0].1[..];
    type Members<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Members, &[&str]); 9] = [
        (&[("a.png", png)], &["x.tar/a.png (expected a label of this key"]),
        (&[("a.png", png), ("a.json", b"{\"caption\":\"x\"}")], &["x.tar/a.png (expected a label"]),
        (&[("a.cls", b"1"), ("a.bmp", png)], &["x.tar/a (expected an image", "found a.bmp"]),
        (&[("a.png", png), ("a.jpg", png), ("a.cls", b"1")], &["2 of 2", "a (expected one image", "a.jpg"]),
        (&[("a.png", png), ("a.cls", b" ")], &["a.cls (expected a class number or name", "nothing"]),
        (&[("a.png", png), ("a.cls", b"\xff")], &["a.cls (expected a class number or name", "bytes"]),
        (&[("a.png", png), ("a.json", b"{")], &["a.json (expected JSON"]),
        (&[("a.png", png), ("a.json", b"{\"label\":[1,2]}")], &["a.json (expected one label", "[1,2]"]),
        (&[("readme.txt", b"x")], &["at least one labelled image"]),
    ];
    for (members, parts) in cases {
        fs::write(&path, tar_of(members)).unwrap();
        says(&path, parts);
    }
    // A number without a name.
    fs::write(&path, tar_of(&[("a.png", png), ("a.cls", b"2")])).unwrap();
    fs::write(folder.path().join("classes.txt"), "zero\none\n").unwrap();
    says(&path, &["a.png (expected a label below 2, as classes.txt names 2 classes, found 2)"]);
    fs::write(folder.path().join("classes.txt"), "\n").unwrap();
    says(&path, &["classes.txt: expected the name of a class in each line, found none"]);
}

#[test]
fn patterns_and_names_of_shards() {
    let (folder, names) = images();
    let root = folder.path();
    let files = read_all(root, &names);
    for i in [8, 9, 10] {
        write_tar(&root.join(format!("s-{i:02}.tar")), &files);
    }
    let dataset = Dataset::open_path(&root.join("s-{08..10}.tar"), &OpenOptions::default()).unwrap();
    assert_eq!(dataset.summary().images(), 60);
    says(&root.join("s-{08..12}.tar"), &["s-11.tar: no such file"]);
    says(&root.join("s-{8..10}.tar"), &["s-8.tar: no such file"]);
    for pattern in
        ["s-{10..08}.tar", "s-{a..b}.tar", "s-{08,09}.tar", "s-{0..99999999}.tar", "{0..1}{0..1}.tar"]
    {
        says(&root.join(pattern), &["expected one range of numbers in braces"]);
    }
    says(&root.join("s-{08..10}"), &["no such file or folder"]);
    fs::rename(root.join("s-08.tar"), root.join("test-08.tar")).unwrap();
    says(root, &["name to begin with its split", "found s-09.tar"]);
}

#[test]
fn more_shards_than_files_may_be_open() {
    let (folder, names) = images();
    let files = read_all(folder.path(), &names[..2]);
    for i in 0..1100 {
        write_tar(&folder.path().join(format!("{i}.tar")), &files);
    }
    let dataset = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap();
    assert_eq!(dataset.summary().images(), 2200);
    // Natural order of the shards; what is read late is the image of the class that the label says.
    for i in [0, dataset.train().len() - 1] {
        let class = dataset.train().label(i) as usize;
        let want = fixture::class_image(class, 8, 3, class as u64);
        assert_eq!(dataset.train().image(i).unwrap(), want, "{}", dataset.train().name(i));
    }
}

#[test]
fn cifar_files_that_lie() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let record = |label: u8| [vec![label], vec![label * 20; 3072]].concat();
    let batch = |labels: &[u8]| labels.iter().flat_map(|&label| record(label)).collect::<Vec<u8>>();
    let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
    write("data_batch_1.bin", &batch(&[0, 1].repeat(10)));
    says(root, &["batches.meta.txt: no such file"]);
    write("batches.meta.txt", b"a\nb\n");
    let dataset = Dataset::open_path(root, &OpenOptions::default()).unwrap();
    assert_eq!((dataset.class_names(), dataset.train().len()), (&["a".to_owned(), "b".to_owned()][..], 12));
    write("data_batch_3.bin", &batch(&[0, 1]));
    says(root, &["data_batch_2.bin: no such file"]);
    write("data_batch_2.bin", &batch(&[0, 1, 2]));
    // One wrong label of 25 is an image less; three are too many.
    let dataset = Dataset::open_path(root, &OpenOptions::default()).unwrap();
    let lost: Vec<String> =
        dataset.left_out().map(|s| format!("{} {}", s.path.display(), s.reason)).collect();
    assert!(
        lost.len() == 1
            && lost[0].contains("image 22 expected a label from 0 to 1")
            && lost[0].ends_with("found 2"),
        "{lost:?}"
    );
    write("data_batch_2.bin", &batch(&[2, 1, 2]));
    says(root, &["2 of 25 images are unreadable", "expected a label from 0 to 1", "found 2"]);
    write("data_batch_2.bin", &batch(&[0, 1])[..6000]);
    says(
        root,
        &[
            "data_batch_2.bin: expected a whole number of records of 3073 bytes",
            "6000 bytes (1 and 2927 more)",
        ],
    );
    write("data_batch_2.bin", b"");
    says(root, &["data_batch_2.bin: expected a whole number of records"]);
    let folder = tempfile::tempdir().unwrap();
    for name in ["data_batch_1", "batches.meta"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    says(folder.path(), &["the binary version of CIFAR", "found the Python version"]);
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet").join(name)
}

#[test]
fn parquet_without_images_or_labels() {
    let cases: [(&str, &[&str]); 8] = [
        ("paths_only", &["6 of 6", "row 0 (expected the image's bytes", "stored by path only"]),
        ("no_image", &["image bytes in a column image.bytes", "found the columns path, label"]),
        ("no_label", &["expected a column label", "image.bytes, image.path, caption"]),
        ("several", &["one label a row in the column label", "a list"]),
        ("null_label", &["row 2 (expected a label, found none"]),
        ("hidden", &["row 0 (expected a label of at least 0, found -1"]),
        ("float_label", &["text or whole numbers"]),
        ("range", &["row 2 (expected a label from 0 to 2, found 3"]),
    ];
    for (name, parts) in cases {
        let file = format!("bad_{name}.parquet");
        says(&golden(&file), &[&[file.as_str()], parts].concat());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let whole = fs::read(golden("snappy.parquet")).unwrap();
    for cut in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        says(&path, &["x.parquet: expected Parquet"]);
    }
    // Damage anywhere is an error or something readable, but no panic.
    let mut rng = oculist_augment::Rng::keyed(&[5]);
    let mut refused = 0;
    for _ in 0..200 {
        let mut bad = whole.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bad.len());
            bad[at] = rng.next_u64() as u8;
        }
        fs::write(&path, &bad).unwrap();
        refused += usize::from(Dataset::open_path(&path, &OpenOptions::default()).is_err());
    }
    assert!(refused > 50, "{refused}");
    fs::write(&path, &whole).unwrap();
    let mut options = OpenOptions::default();
    options.max_encoded_bytes = 1000;
    let text = Dataset::open_path(&path, &options).unwrap_err().to_string();
    assert!(text.contains("at most 1000 bytes of encoded images"), "{text}");
    fs::write(folder.path().join("train.parquet"), &whole).unwrap();
    says(folder.path(), &["name to begin with its split", "found x.parquet"]);
}

/// A golden file whose columns claim another compression, by its number in the footer.
fn with_codec(name: &str, from: u8, to: u8) -> Vec<u8> {
    let mut bytes = fs::read(golden(name)).unwrap();
    let mut changed = 0;
    for column in [&b"bytes"[..], b"label"] {
        // In the footer the compression is the field behind the column's name, doubled as signed numbers are.
        let wanted = [column, &[0x15, 2 * from]].concat();
        for at in 0..bytes.len() - wanted.len() {
            if bytes[at..].starts_with(&wanted) {
                bytes[at + wanted.len() - 1] = 2 * to;
                changed += 1;
            }
        }
    }
    assert_eq!(changed, 6, "three row groups");
    bytes
}

#[test]
fn a_compression_that_is_not_read_is_named() {
    const SNAPPY: u8 = 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    // The number that was there is read.
    fs::write(&path, with_codec("snappy.parquet", SNAPPY, SNAPPY)).unwrap();
    assert!(Dataset::open_path(&path, &OpenOptions::default()).is_ok());
    fs::write(&path, with_codec("snappy.parquet", SNAPPY, 3)).unwrap();
    says(
        &path,
        &[
            "x.parquet: expected a column without compression or with snappy",
            "found LZO in the column image.bytes",
        ],
    );
    fs::write(&path, with_codec("snappy.parquet", SNAPPY, 9)).unwrap();
    says(&path, &["x.parquet: expected Parquet", "9"]);
    // Data of one compression that are said to be of another are an error, too.
    for (codec, number) in [("gzip", 2), ("brotli", 4), ("lz4_raw", 7), ("zstd", 6)] {
        fs::write(&path, with_codec("snappy.parquet", SNAPPY, number)).unwrap();
        assert!(message(&path).contains("x.parquet: expected Parquet"), "{codec}");
    }
}

#[test]
fn metadata_of_image_folders_that_lie() {
    let (folder, names) = images();
    let root = folder.path();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    };
    let good = format!("file_name,label\n{}", rows(&names));
    write("metadata.csv", &good);
    let dataset = Dataset::open_path(root, &OpenOptions::default()).unwrap();
    assert!(dataset.skipped().is_empty(), "{:?}", dataset.skipped());
    assert_eq!(dataset.summary().images(), 20);

    write("metadata.csv", &good.replace("label", "what"));
    says(
        root,
        &["metadata.csv, line 1: expected a header with the columns file_name and label", "file_name, what"],
    );
    write("metadata.csv", &good.replace("7.png", "gone.png"));
    says(root, &["metadata.csv: line 9 names", "gone.png", "2 of 20 files are missing"]);
    write("metadata.csv", &good.replace("3.png,class1", "3.png,"));
    says(root, &["2 of 20 images are unreadable", "metadata.csv/line 5 (expected exactly one label"]);
    write("metadata.csv", &good);
    write("metadata.jsonl", "");
    says(root, &["expected one metadata file, found metadata.csv and metadata.jsonl"]);
    fs::remove_file(root.join("metadata.jsonl")).unwrap();

    // Metadata here and there.
    for name in ["train/a.png", "train/b.png", "validation/cat/a.png", "validation/dog/a.png"] {
        write(name, "");
        fs::copy(root.join("0.png"), root.join(name)).unwrap();
    }
    write("train/metadata.csv", "file_name,label\na.png,cat\nb.png,dog\n");
    says(
        root,
        &[
            "in the folder itself or in its split folders, not in both",
            "metadata.csv and",
            "train/metadata.csv",
        ],
    );
    fs::remove_file(root.join("metadata.csv")).unwrap();
    says(root, &["in every split folder or in none", "train/metadata.csv, but none in", "validation"]);
    write("validation/metadata.csv", "file_name,label,split\ncat/a.png,cat,val\ndog/a.png,dog,test\n");
    says(root, &["validation/metadata.csv/line 3 (expected the split val, as the folder says", "found test"]);
    write("validation/metadata.csv", "file_name,label\ncat/a.png,cat\ndog/a.png,owl\n");
    says(root, &["class \"owl\" is in the val split but not in the training split"]);
    // Some names tell a split and others do not.
    fs::remove_file(root.join("train/metadata.csv")).unwrap();
    fs::remove_file(root.join("validation/metadata.csv")).unwrap();
    write("metadata.csv", "file_name,label\ntrain/a.png,cat\n1.png,dog\n");
    says(root, &["metadata.csv/line 3 (expected a file below the folder of a split", "found 1.png"]);
    // What is not named is told; folders of classes mean nothing.
    write("metadata.csv", &good.replace("class0", "dog").replace("class1", "owl"));
    let dataset = Dataset::open_path(root, &OpenOptions::default()).unwrap();
    assert_eq!(dataset.class_names(), ["dog", "owl"]);
    let told: Vec<&str> = dataset.skipped().iter().map(|skip| skip.reason.as_str()).collect();
    assert!(
        told.len() == 1 && told[0].starts_with("4 images beside it not named and not used, such as "),
        "{told:?}"
    );
}

#[test]
fn coco_files_that_lie() {
    let (folder, _) = images();
    let path = folder.path().join("a.json");
    let write = |image: &str, annotation: &str| {
        let text = format!(
            "{{\"images\":[{image}],\"categories\":[{{\"id\":1,\"name\":\"a\"}},{{\"id\":2,\"name\":\"b\"}}],\"annotations\":[{annotation}]}}"
        );
        fs::write(&path, text).unwrap();
    };
    let image = "{\"id\":5,\"file_name\":\"0.png\"}";
    let annotation = |fields: &str| format!("{{\"id\":9,\"image_id\":5,\"category_id\":1,{fields}}}");
    fs::write(&path, "{\"images\":[]}").unwrap();
    says(&path, &["a.json: expected COCO annotations", "annotations"]);
    write(image, &annotation("\"bbox\":[1,2,3]"));
    says(&path, &["1 of 1", "annotation 9 (expected x, y, width and height as the bbox"]);
    write(image, &annotation("\"bbox\":[1,2,3,-1]"));
    says(&path, &["1 of 1", "annotation 9 (expected x, y, width and height as the bbox"]);
    write(image, &annotation("\"bbox\":[50,2,3,3]"));
    says(&path, &["annotation 9 (expected a box that touches its image", "50.0", "in 8x8"]);
    write(image, &annotation("\"bbox\":[1,2,3,3]").replace("\"image_id\":5", "\"image_id\":6"));
    says(&path, &["annotation 9 (expected the id of an image, found the unknown id 6"]);
    write(image, &annotation("\"bbox\":[1,2,3,3]").replace("\"category_id\":1", "\"category_id\":3"));
    says(&path, &["annotation 9 (expected the id of a category, found the unknown id 3"]);
    let other = image.replace("0.png", "1.png");
    write(&format!("{image},{image},{other}"), &annotation("\"bbox\":[1,2,3,3]"));
    says(&path, &["annotation 9 (expected the id of one image, found 5, which two files have"]);
    write(&image.replace("0.png", "gone.png"), &annotation("\"bbox\":[1,2,3,3]"));
    says(&path, &["image 5 names gone.png", "1 of 1 files are missing"]);
    // Outlines are not used for classes; the library says of each what is wrong with it.
    for (mask, found) in [
        ("[[1,2,3,4]]", "a polygon of 4 numbers"),
        ("{\"size\":[2,2],\"counts\":[3]}", "runs of 3 pixels for a mask of 2x2"),
        ("{\"size\":[2,2],\"counts\":\"a\"}", "ends within a number"),
        ("{\"size\":[2,2],\"counts\":\"\\u00e9\"}", "the character code 195"),
        ("\"none\"", "neither polygons nor runs"),
        ("[[1,NaN,3,4,5,6]]", "neither polygons nor runs"),
    ] {
        write(image, &annotation(&format!("\"bbox\":[1,2,3,3],\"segmentation\":{mask}")));
        says(&path, &["too few images to fill the val split (1 training images to draw it from)"]);
        let coco = oculist_data::read_coco(&path).unwrap();
        let CocoMask::Broken(reason) = &coco.annotations[0].mask else { panic!("{coco:?}") };
        assert!(reason.contains(found), "{reason}");
    }
    write(image, "");
    says(&path, &["at least one labelled image"]);
    write(image, &annotation("\"bbox\":[1,2,3,3]"));
    says(&path, &["too few images to fill the val split (1 training images to draw it from)"]);
}

#[test]
fn every_coco_class_keeps_an_image_for_training() {
    let (folder, names) = images();
    let path = folder.path().join("a.json");
    let image = |i: usize| format!("{{\"id\":{i},\"file_name\":\"{}\"}}", names[i]);
    let listed: Vec<String> = (0..20).map(image).collect();
    // Each image of class c counts for b or d, which are rarer; without care all of c could be drawn.
    let boxes = (0..20).map(|i| (i, 1)).chain([(7, 3), (7, 3), (8, 3), (7, 2), (9, 2), (8, 4), (10, 4)]);
    let boxes: Vec<String> = boxes
        .enumerate()
        .map(|(n, (i, class))| {
            // The two boxes of one class in image 7 are not the same.
            let width = 3 + n % 2;
            format!("{{\"image_id\":{i},\"category_id\":{class},\"bbox\":[1,1,{width},4]}}")
        })
        .collect();
    let classes = "{\"id\":1,\"name\":\"a\"},{\"id\":2,\"name\":\"b\"},{\"id\":3,\"name\":\"c\"},{\"id\":4,\"name\":\"d\"}";
    let (listed, boxes) = (listed.join(","), boxes.join(","));
    let text = format!("{{\"images\":[{listed}],\"annotations\":[{boxes}],\"categories\":[{classes}]}}");
    fs::write(&path, text).unwrap();
    for seed in 0..30 {
        let mut options = OpenOptions::default();
        options.seed = seed;
        let dataset = Dataset::open_path(&path, &options).unwrap();
        assert!(dataset.train().class_counts().iter().all(|&count| count > 0));
        assert_eq!(dataset.summary().images(), 27);
        assert!(dataset.val().len() >= 2 && dataset.test().len() >= 2);
    }
}
