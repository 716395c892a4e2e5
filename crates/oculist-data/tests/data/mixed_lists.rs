//! Lists of several labels an image whose rows are of different kinds, broken or not to be read at all.

use oculist_data::{Dataset, LabelForm, OpenOptions, Purpose, Split, Task, fixture, read_manifest_for};
use std::fs;
use std::path::{Path, PathBuf};

const IMAGES: usize = 24;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..IMAGES {
        let image = fixture::class_image(i % 3, 8, 3, i as u64);
        fixture::write_image(&folder.path().join(format!("{i}.png")), &image).unwrap();
    }
    folder
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::default();
    (options.task, options.purpose) = (Task::MultiLabel, Purpose::Evaluate);
    options
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Rows of JSON with these values as labels, again and again.
fn jsonl(folder: &Path, labels: &[&str]) -> PathBuf {
    let row = |i: usize| format!("{{\"file_name\": \"{i}.png\", \"label\": {}}}\n", labels[i % labels.len()]);
    write(folder, "list.jsonl", (0..IMAGES).map(row).collect::<String>())
}

/// Rows of CSV with these fields as labels, again and again.
fn csv(folder: &Path, labels: &[&str]) -> PathBuf {
    let row = |i: usize| format!("{i}.png,\"{}\"\n", labels[i % labels.len()].replace('"', "\"\""));
    write(folder, "list.csv", "file_name,label\n".to_owned() + &(0..IMAGES).map(row).collect::<String>())
}

fn open(path: &Path, options: &OpenOptions) -> Dataset {
    Dataset::open_path(path, options).unwrap_or_else(|err| panic!("{err}"))
}

fn message(path: &Path, options: &OpenOptions) -> String {
    Dataset::open_path(path, options)
        .err()
        .map_or_else(|| panic!("{} was read", path.display()), |e| e.to_string())
}

/// The labels of the first images.
fn labels(path: &Path, options: &OpenOptions, count: usize) -> Vec<String> {
    let manifest = read_manifest_for(path, options).unwrap();
    manifest.rows.iter().take(count).map(|row| row.labels.join("/")).collect()
}

#[test]
fn nothing_beside_lists_is_no_label() {
    let folder = folder();
    for empty in ["null", "\"\"", "\" \"", "[]"] {
        let path = jsonl(folder.path(), &["[\"a\", \"b\"]", empty, "\"b\""]);
        assert_eq!(labels(&path, &options(), 3), ["a/b", "", "b"], "{empty}");
        assert_eq!(open(&path, &options()).class_names(), ["a", "b"], "{empty}");
    }
}

#[test]
fn texts_with_separators_beside_lists_are_asked_about() {
    let folder = folder();
    let as_form = |form| {
        let mut options = options();
        options.label_form = Some(form);
        options
    };
    for (text, form, name) in [
        ("a;b", LabelForm::Semicolons, "semicolons"),
        ("a|b", LabelForm::Bars, "bars"),
        ("a, b", LabelForm::Commas, "commas"),
    ] {
        let path = jsonl(folder.path(), &["[\"a\", \"b\"]", "\"a\"", &format!("\"{text}\"")]);
        let told = message(&path, &options());
        assert!(told.contains("list.jsonl") && told.contains("line 1 has a list"), "{told}");
        assert!(told.contains(&format!("the text {text} of line 3")), "{told}");
        assert!(
            told.contains("--label-form one") && told.contains(&format!("--label-form {name}")),
            "{told}"
        );
        assert_eq!(labels(&path, &as_form(form), 3), ["a/b", "a", "a/b"]);
        assert_eq!(labels(&path, &as_form(LabelForm::One), 3), ["a/b", "a", text]);
    }
    // What a list has as one label is one in a text, too.
    let path = jsonl(folder.path(), &["[\"a, b\", \"c\"]", "\"a, b\"", "\"c\""]);
    assert_eq!(labels(&path, &options(), 3), ["a, b/c", "a, b", "c"]);
    // A text of nothing but a list is a list.
    let path = jsonl(folder.path(), &["[\"a\", \"b\"]", "\"['a']\""]);
    assert_eq!(labels(&path, &options(), 2), ["a/b", "a"]);
}

#[test]
fn a_broken_list_is_a_fault_of_its_row() {
    let folder = folder();
    for broken in ["[\"a\", \"b\"", "\"a\", \"b\"]", "['a', 'b'", "[\"a\" \"b\"]", "['a', b]]"] {
        let path = csv(folder.path(), &["[\"a\", \"b\"]", "[\"b\"]", broken]);
        let told = message(&path, &options());
        assert!(
            told.contains("line 4") && told.contains("expected a list of labels (json)"),
            "{broken}: {told}"
        );
        // Also where it is the only list.
        let path = csv(folder.path(), &[broken]);
        let told = message(&path, &options());
        assert!(told.contains("line 2") && told.contains("a list of labels"), "{broken}: {told}");
    }
    // One row of many is left out with its line, as other rows that say nothing.
    let many: Vec<&str> = (0..IMAGES).map(|i| if i == 5 { "[1, 2" } else { "[1, 2]" }).collect();
    let mut tolerant = options();
    tolerant.max_unreadable = 0.2;
    let dataset = open(&csv(folder.path(), &many), &tolerant);
    let left_out: Vec<String> = dataset.left_out().map(|s| s.path.display().to_string()).collect();
    assert!(matches!(&left_out[..], [one] if one.ends_with("line 7")), "{left_out:?}");
    // Brackets that are part of a name stay.
    let path = csv(folder.path(), &["cat [big]", "[other]", "dog", "cat [big]|dog"]);
    assert_eq!(labels(&path, &options(), 4), ["cat [big]", "[other]", "dog", "cat [big]/dog"]);
    assert_eq!(open(&path, &options()).split(Split::Train).len(), IMAGES);
}

#[test]
fn one_list_among_texts_says_nothing_of_the_others() {
    let folder = folder();
    let all = |one: &str| -> Vec<String> {
        (0..IMAGES).map(|i| if i == 5 { one.to_owned() } else { ["a;b", "b"][i % 2].to_owned() }).collect()
    };
    let path = |one: &str| csv(folder.path(), &all(one).iter().map(String::as_str).collect::<Vec<_>>());
    // A whole list is read as one.
    let read = labels(&path("[\"a\", \"c\"]"), &options(), 7);
    assert_eq!(read[3..], ["b", "a/b", "a/c", "a/b"]);
    // A broken one is a fault of its row alone.
    let list = read_manifest_for(&path("[\"a\", \"c\""), &options()).unwrap();
    assert_eq!((list.rows.len(), list.bad.len(), list.bad[0].line), (IMAGES - 1, 1, 7));
    assert!(list.rows.iter().all(|row| !row.labels.iter().any(|label| label.contains(['[', ';']))));
    // What the user says goes before what a text looks like.
    let mut one = options();
    one.label_form = Some(LabelForm::One);
    assert_eq!(labels(&path("['a']"), &one, 6)[4..], ["a;b", "['a']"]);
}

#[test]
fn where_no_row_can_be_read_the_cause_is_told() {
    let folder = folder();
    let root = folder.path();
    let latin: Vec<u8> =
        (0..IMAGES).flat_map(|i| [format!("{i}.png,caf").as_bytes(), b"\xe9;th\xe9\n"].concat()).collect();
    let deep = format!("{{\"file_name\": \"1.png\", \"label\": {}1{}}}\n", "[".repeat(500), "]".repeat(500));
    let lists = [
        (write(root, "latin.csv", [b"file_name,label\n".as_slice(), &latin].concat()), "Latin-1"),
        (write(root, "broken.jsonl", "{\"file_name\": \"1.png\", \"label\"\n".repeat(3)), "broken JSON"),
        (write(root, "deep.jsonl", deep.repeat(3)), "recursion limit"),
        (write(root, "header.csv", "file_name,label\n"), "at least one labelled image"),
        (write(root, "columns.csv", "file_name,cat,dog\n"), "at least one labelled image"),
    ];
    for (path, cause) in lists {
        let mut forced = options();
        forced.label_form = Some(LabelForm::Columns);
        for options in [options(), forced] {
            let told = message(&path, &options);
            assert!(told.contains(cause), "{}: {told}", path.display());
            assert!(!told.contains("found the columns"), "{told}");
        }
    }
    // Rows that can be read and have nothing more than a file.
    let row = |i: usize| format!("{{\"file_name\": \"{i}.png\"}}\n");
    let told = message(&write(root, "bare.jsonl", (0..IMAGES).map(row).collect::<String>()), &options());
    assert!(told.contains("found no column but those of files and splits"), "{told}");
}
