//! What the user leaves out, which splits are drawn, and what is told of both.

use oculist_data::{
    Dataset, Layout, OpenOptions, Purpose, SkipKind, fixture, read_manifest, read_manifest_with,
};
use std::fs;
use std::path::Path;

/// Images `a/p00.png` to `a/p19.png` and `b/p00.png` to `b/p19.png`, and a list of them.
fn listed() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (class, name) in ["a", "b"].iter().enumerate() {
        fs::create_dir(folder.path().join(name)).unwrap();
        for i in 0..20 {
            let file = format!("{name}/p{i:02}.png");
            fixture::write_image(&folder.path().join(&file), &fixture::class_image(class, 8, 3, i)).unwrap();
            rows.push(format!("{file},{name}"));
        }
    }
    fs::write(folder.path().join("list.csv"), format!("file_name,label\n{}\n", rows.join("\n"))).unwrap();
    (folder, rows)
}

fn options(exclude: &[&str]) -> OpenOptions {
    let mut options = OpenOptions::default();
    options.exclude = exclude.iter().map(|pattern| (*pattern).to_owned()).collect();
    options
}

fn open(path: &Path, exclude: &[&str]) -> Dataset {
    Dataset::open_path(path, &options(exclude)).unwrap_or_else(|err| panic!("{err}"))
}

fn images(dataset: &Dataset) -> usize {
    dataset.summary().images()
}

fn notes(dataset: &Dataset) -> String {
    dataset.notes().flat_map(|note| [note.reason.as_str(), "\n"]).collect()
}

#[test]
fn patterns_leave_out_rows_members_and_listed_images() {
    let (folder, rows) = listed();
    let list = folder.path().join("list.csv");
    assert_eq!(images(&open(&list, &[])), 40);
    let dataset = open(&list, &["p0*", "zzz"]);
    assert_eq!(images(&dataset), 20);
    assert!(notes(&dataset).contains("20 rows left out by --exclude p0*"), "{}", notes(&dataset));
    assert!(notes(&dataset).contains("nothing here fits --exclude zzz"), "{}", notes(&dataset));
    // The same files are left out of the folder itself, and of rows that are no use otherwise.
    let of_folder = open(folder.path(), &["p0*", "zzz"]);
    assert_eq!(images(&of_folder), 20);
    assert!(notes(&of_folder).contains("nothing here fits --exclude zzz"), "{}", notes(&of_folder));
    fs::write(&list, format!("file_name,label\n{}\nc/p00.png,\n", rows.join("\n"))).unwrap();
    assert_eq!(open(&list, &[]).left_out().count(), 1);
    assert_eq!(open(&list, &["c"]).left_out().count(), 0);
    // A folder on the way to a file, in a list with whole paths.
    let whole: Vec<String> = rows.iter().map(|row| format!("{}/{row}", folder.path().display())).collect();
    fs::write(&list, format!("file_name,label\n{}\n", whole.join("\n"))).unwrap();
    assert_eq!(images(&open(&list, &["a/p0*"])), 30);
    // COCO: an image goes with its boxes.
    let mut parts = [Vec::new(), Vec::new()];
    for (i, row) in rows.iter().enumerate() {
        let (file, class) = row.split_once(',').unwrap();
        parts[0].push(serde_json::json!({"id": i, "file_name": file, "width": 8, "height": 8}));
        let category = usize::from(class == "b");
        parts[1]
            .push(serde_json::json!({"id": i, "image_id": i, "category_id": category, "bbox": [0, 0, 8, 8]}));
    }
    let [list_images, annotations] = parts;
    let categories = serde_json::json!([{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]);
    let coco =
        serde_json::json!({"images": list_images, "annotations": annotations, "categories": categories});
    let path = folder.path().join("boxes.json");
    fs::write(&path, coco.to_string()).unwrap();
    assert_eq!((images(&open(&path, &[])), images(&open(&path, &["p0*"]))), (40, 20));
    // Tar: an image goes with its label, which would be lost alone.
    let path = folder.path().join("x.tar");
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    for row in &rows {
        let (file, class) = row.split_once(',').unwrap();
        let bytes = fs::read(folder.path().join(file)).unwrap();
        for (name, bytes) in
            [(file.to_owned(), bytes), (file.replace("png", "cls"), class.as_bytes().to_vec())]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap();
    assert_eq!(images(&open(&path, &[])), 40);
    for pattern in ["p0*", "p0*.png"] {
        let dataset = open(&path, &[pattern]);
        assert_eq!((images(&dataset), dataset.left_out().count()), (20, 0), "{:?}", dataset.skipped());
        assert!(notes(&dataset).contains("20 images left out"), "{}", notes(&dataset));
    }
}

#[test]
fn what_would_be_without_effect_is_refused() {
    let (folder, _) = listed();
    let list = folder.path().join("list.csv");
    let refused = |source: &str, options: &OpenOptions, words: &[&str]| {
        let text = Dataset::open(source, options).unwrap_err().to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    refused("demo", &options(&["p0*"]), &["--exclude", "demo", "p0*"]);
    let mut classes = OpenOptions::default();
    classes.layout = Some(Layout::Classes);
    refused(list.to_str().unwrap(), &classes, &["--layout", "list.csv", "metadata"]);
    refused("demo", &classes, &["--layout", "demo", "idx"]);
    classes.layout = Some(Layout::Metadata);
    assert_eq!(images(&Dataset::open_path(&list, &classes).unwrap()), 40);
}

#[test]
fn drawn_splits_are_told() {
    let (folder, rows) = listed();
    let list = folder.path().join("list.csv");
    let drawn = |dataset: &Dataset| dataset.drawn().unwrap_or_default().to_owned();
    let counts = |dataset: &Dataset| [dataset.train().len(), dataset.val().len(), dataset.test().len()];
    let all = open(&list, &[]);
    assert_eq!(counts(&all), [28, 6, 6]);
    assert_eq!(
        drawn(&all),
        "the source has no val and no test split: 6 and 6 of its 40 images are drawn for them, 28 stay to train on"
    );
    assert!(all.summary().to_string().contains("no val and no test split"));
    // A split that the user left empty.
    let parts = ["train", "val"];
    let split: Vec<String> =
        rows.iter().enumerate().map(|(i, row)| format!("{row},{}", parts[i % 2])).collect();
    fs::write(&list, format!("file_name,label,split\n{}\n", split.join("\n"))).unwrap();
    let two = open(&list, &[]);
    let [train, val, test] = counts(&two);
    assert_eq!((train + test, val), (20, 20));
    let words = format!("no test split: {test} of its 20 training images are drawn for it, {train} stay");
    assert!(drawn(&two).contains(&words), "{}", drawn(&two));
    let mut as_given = OpenOptions::default();
    as_given.purpose = Purpose::Evaluate;
    let given = Dataset::open_path(&list, &as_given).unwrap();
    assert_eq!((counts(&given), given.drawn()), ([20, 20, 0], None));
    // Built in: there is a test split.
    let demo = Dataset::open("demo", &OpenOptions::default()).unwrap();
    assert!(drawn(&demo).contains("no val split: 1000 of its 10000 training images"), "{}", drawn(&demo));
}

#[test]
fn images_that_are_not_read_are_told_first() {
    let folder = tempfile::tempdir().unwrap();
    for split in ["Training", "Testing"] {
        fixture::write_class_folders(folder.path(), split, 2, 10, 8).unwrap();
    }
    fs::create_dir(folder.path().join("extra")).unwrap();
    fixture::write_image(&folder.path().join("extra/1.png"), &fixture::class_image(0, 8, 3, 0)).unwrap();
    fs::write(folder.path().join("readme.md"), "text").unwrap();
    let dataset = open(folder.path(), &[]);
    let kinds: Vec<SkipKind> = dataset.notes().map(|note| note.kind).collect();
    assert!(kinds.len() > 1 && kinds[0] == SkipKind::Unread, "{:?}", dataset.skipped());
    assert!(kinds[1..].iter().all(|&kind| kind == SkipKind::Unused), "{kinds:?}");
    assert!(
        notes(&dataset).starts_with("a folder beside the splits, not read (1 files"),
        "{}",
        notes(&dataset)
    );
}

#[test]
fn lines_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    for end in ["\n", "\r\n", "\r"] {
        for (before, first) in [(String::new(), 1), (end.repeat(2), 3), (format!("sep=,{end}"), 2)] {
            if end == "\r" && before.starts_with("sep") {
                continue;
            }
            // Empty lines, and a label of two lines.
            let rows = ["file_name,label", "1.png,a", "", "2.png,\"b", "c\"", "", "", "3.png,d"];
            fs::write(&path, format!("{before}{}{end}", rows.join(end))).unwrap();
            let lines: Vec<u64> = read_manifest(&path).unwrap().rows.iter().map(|row| row.line).collect();
            assert_eq!(lines, [first + 1, first + 3, first + 7], "{end:?} {before:?}");
        }
    }
    // More rows than a buffer holds.
    let rows: Vec<String> = (0..5000).map(|i| format!("{i}.png,a\r\n")).collect();
    let text = rows.concat();
    fs::write(&path, format!("file_name,label\r\n{text}")).unwrap();
    let rows = read_manifest(&path).unwrap().rows;
    assert!(rows.iter().enumerate().all(|(i, row)| row.line == i as u64 + 2));
}

#[test]
fn a_further_column_is_read_with_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.csv");
    fs::write(&path, "Path;Class;Patient ID;x\n1.png;a; p1 ;0\n2.png;b;;0\n").unwrap();
    let manifest = read_manifest_with(&path, "patient_id").unwrap();
    let values: Vec<Option<&str>> = manifest.rows.iter().map(|row| row.wanted.as_deref()).collect();
    assert_eq!(values, [Some("p1"), None]);
    let text = read_manifest_with(&path, "clinic").unwrap_err().to_string();
    assert!(text.contains("line 1: expected a column clinic, found Path, Class, Patient ID, x"), "{text}");
}
