//! Errors about data that hold no classes as they are given: what lies there, and what would work.

use oculist_data::{Dataset, Error, OpenOptions, fixture};
use std::fs;
use std::path::Path;

fn message(path: &Path) -> String {
    Dataset::open_path(path, &OpenOptions::default()).unwrap_err().to_string()
}

/// Pictures in a folder without class folders, named as their class and a number.
fn pictures(folder: &Path, count: usize) -> Vec<String> {
    let made = tempfile::tempdir().unwrap();
    fixture::write_class_folders(made.path(), "", 1, count, 8).unwrap();
    fs::create_dir_all(folder).unwrap();
    let move_one = |i: usize| {
        let name = format!("{i}.png");
        fs::copy(made.path().join("class0").join(&name), folder.join(&name)).unwrap();
        name
    };
    (0..count).map(move_one).collect()
}

fn list(path: &Path, names: &[String], label: impl Fn(usize) -> String) {
    let mut text = "file_name,label\n".to_owned();
    for (i, name) in names.iter().enumerate() {
        text.extend([name.as_str(), ",", &label(i), "\n"]);
    }
    fs::write(path, text).unwrap();
}

#[test]
fn a_list_beside_pictures_is_named() {
    let cat_or_dog = |i: usize| ["cat", "dog"][i % 2].to_owned();
    let dir = tempfile::tempdir().unwrap();
    let names = pictures(dir.path(), 40);
    assert!(!message(dir.path()).contains("list"));
    list(&dir.path().join("labels.csv"), &names, cat_or_dog);
    let text = message(dir.path());
    assert!(text.contains("found no class folders") && text.contains("labels.csv lies there"), "{text}");
    assert!(text.ends_with("give it instead of the folder"), "{text}");
    let given = Dataset::open_path(&dir.path().join("labels.csv"), &OpenOptions::default()).unwrap();
    assert_eq!(given.class_names(), ["cat", "dog"], "the advice works");

    // In a folder of pictures, once named from the list's folder and once from their own.
    let dir = tempfile::tempdir().unwrap();
    let names = pictures(&dir.path().join("images"), 40);
    let file = dir.path().join("labels.csv");
    list(&file, &names, cat_or_dog);
    let text = message(dir.path());
    assert!(text.contains("0.png must be written images/0.png"), "{text}");
    list(&file, &names.iter().map(|name| format!("images/{name}")).collect::<Vec<_>>(), cat_or_dog);
    assert!(message(dir.path()).ends_with("give it instead of the folder"), "{}", message(dir.path()));
    // A table of something else is no list of labels, and the error says what it lacks.
    fs::write(&file, "id,breed\n1,pug\n").unwrap();
    let text = message(dir.path());
    assert!(text.contains("cannot be read as one of labels") && text.contains("found id, breed"), "{text}");
}

#[test]
fn splits_of_pictures_without_classes_are_no_two_classes() {
    let dir = tempfile::tempdir().unwrap();
    let names = pictures(&dir.path().join("train"), 10);
    pictures(&dir.path().join("test"), 10);
    let text = message(dir.path());
    assert!(text.contains("found images in test, train themselves, which tell no class"), "{text}");
    assert!(!text.contains("--layout classes"), "{text}");
    list(
        &dir.path().join("train.csv"),
        &names.iter().map(|n| format!("train/{n}")).collect::<Vec<_>>(),
        |i| (i % 2).to_string(),
    );
    assert!(message(dir.path()).contains("train.csv lies there"), "{}", message(dir.path()));
}

#[test]
fn what_was_left_out_by_the_user_is_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    fixture::write_class_folders(dir.path(), "", 2, 10, 8).unwrap();
    let with = |pattern: &str| {
        let mut options = OpenOptions::default();
        options.exclude = vec![pattern.into()];
        Dataset::open_path(dir.path(), &options).unwrap_err().to_string()
    };
    let text = with("*");
    assert!(
        text.contains("found no class folders") && text.contains("--exclude left out 2 names there"),
        "{text}"
    );
    let text = with("class1");
    assert!(
        text.contains("found only the class") && text.contains("--exclude left out 1 name there"),
        "{text}"
    );
}

#[test]
fn a_class_of_missing_files_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = pictures(dir.path(), 40);
    names.push("gone.png".into());
    list(&dir.path().join("a.csv"), &names, |i| if i == 40 { "odd".into() } else { (i % 2).to_string() });
    let text = message(&dir.path().join("a.csv"));
    assert!(text.contains("class \"odd\" has no readable image in the train split: "), "{text}");
    assert!(text.contains("gone.png: "), "{text}");
}

#[test]
fn measurements_are_refused_wherever_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let names = pictures(dir.path(), 40);
    let refused = |file: &str, text: String| {
        let path = dir.path().join(file);
        fs::write(&path, text).unwrap();
        let error = Dataset::open_path(&path, &OpenOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Continuous { .. }), "{file}: {error}");
    };
    let value = |i: usize| format!("{}.{:03}", i / 9, (i * 617) % 1000);
    let rows = |row: &dyn Fn(usize, &str) -> String| {
        names.iter().enumerate().map(|(i, name)| row(i, name)).collect::<Vec<_>>().join("\n")
    };
    let json = |i: usize, name: &str| format!("{{\"file_name\": \"{name}\", \"label\": {}}}", value(i));
    refused("a.jsonl", rows(&json));
    let split = |i: usize, name: &str| format!("{name},{},{}", value(i), ["train", "val", "test"][i % 3]);
    refused("b.csv", format!("file_name,label,split\n{}", rows(&split)));
    let some_missing = |i: usize, name: &str| {
        let label = if i.is_multiple_of(5) { "nan".to_owned() } else { value(i) };
        format!("{name},{label}")
    };
    refused("c.csv", format!("file_name,label\n{}", rows(&some_missing)));
    let unit = |i: usize, name: &str| format!("{name},{} mm", value(i));
    refused("d.csv", format!("file_name,label\n{}", rows(&unit)));
}

#[test]
fn hardly_an_image_for_each_class_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let names = pictures(dir.path(), 40);
    let file = dir.path().join("a.csv");
    list(&file, &names, |i| format!("id{i}"));
    let text = message(&file);
    assert!(text.contains("too few images to fill") && text.contains("40 classes for 40 images"), "{text}");
    list(&file, &names, |i| (i % 15).to_string());
    let dataset = Dataset::open_path(&file, &OpenOptions::default()).unwrap();
    let told = |dataset: &Dataset| dataset.notes().any(|n| n.reason.contains("15 classes for 40 images"));
    assert!(told(&dataset));
    list(&file, &names, |i| (i % 5).to_string());
    assert_eq!(Dataset::open_path(&file, &OpenOptions::default()).unwrap().notes().count(), 0);
}
