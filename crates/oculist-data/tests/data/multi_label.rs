//! Images with several labels: every form of list, COCO's categories of whole images, archives, splits, refusals.

use oculist_augment::{ColorMode, Pipeline, Preprocessing};
use oculist_data::{
    Batch, Dataset, Error, Identity, KnownDigests, LabelForm, Loader, LoaderConfig, OpenOptions, Purpose,
    Sampling, Split, Subset, Targets, Task, fixture,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

const NAMES: [&str; 3] = ["cat", "dog", "tree"];
const IMAGES: usize = 40;

/// The labels of image i: all subsets of the three come, the empty one too.
fn labels(i: usize) -> Vec<&'static str> {
    let kept = NAMES.iter().enumerate().filter(|(c, _)| (i * 5 + i / 8) >> c & 1 == 1);
    kept.map(|(_, name)| *name).collect()
}

fn image(folder: &Path, i: usize) -> String {
    let name = format!("{i}.png");
    fixture::write_image(&folder.join(&name), &fixture::class_image(i % 9, 8, 3, i as u64)).unwrap();
    name
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    (0..IMAGES).for_each(|i| drop(image(folder.path(), i)));
    folder
}

/// The options for several labels, with changes.
fn with(change: impl Fn(&mut OpenOptions)) -> OpenOptions {
    let mut options = OpenOptions::default();
    (options.task, options.seed) = (Task::MultiLabel, 3);
    change(&mut options);
    options
}

fn options() -> OpenOptions {
    with(|_| {})
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A list with a row for each image, whose labels are written in some way.
fn list(folder: &Path, name: &str, header: &str, row: impl Fn(usize) -> String) -> PathBuf {
    let rows: Vec<String> = (0..IMAGES).map(|i| format!("{i}.png,{}", row(i))).collect();
    write(folder, name, format!("{header}\n{}\n", rows.join("\n")))
}

fn open(path: &Path, options: &OpenOptions) -> Dataset {
    Dataset::open_path(path, options).unwrap_or_else(|err| panic!("{err}"))
}

fn message(path: &Path, options: &OpenOptions) -> String {
    match Dataset::open_path(path, options) {
        Ok(dataset) => panic!("{} was read: {:?}", path.display(), dataset.summary()),
        Err(err) => err.to_string(),
    }
}

fn notes(dataset: &Dataset) -> String {
    dataset.notes().map(|note| note.reason.as_str()).collect::<Vec<_>>().join("\n")
}

/// Every image's number and labels by name.
fn read(dataset: &Dataset) -> BTreeMap<usize, Vec<String>> {
    let mut found = BTreeMap::new();
    for split in Split::ALL {
        let subset = dataset.split(split);
        assert_eq!(subset.task(), Task::MultiLabel);
        for i in 0..subset.len() {
            let number = subset.path(i).unwrap().file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let row = subset.targets().row(i).iter();
            let names = row.map(|&label| dataset.class_names()[label as usize].clone()).collect();
            assert!(found.insert(number, names).is_none(), "image {number} twice");
        }
    }
    found
}

fn expected() -> BTreeMap<usize, Vec<String>> {
    (0..IMAGES).map(|i| (i, labels(i).into_iter().map(str::to_owned).collect())).collect()
}

#[test]
fn every_form_of_list_gives_the_same_labels() {
    let folder = folder();
    let root = folder.path();
    let quoted = |i| labels(i).iter().map(|l| format!("\"\"{l}\"\"")).collect::<Vec<_>>().join(", ");
    let bits = |i: usize, no: &str| NAMES.map(|n| if labels(i).contains(&n) { "1" } else { no }).join(",");
    let long: Vec<String> = (0..IMAGES)
        .flat_map(|i| match &labels(i)[..] {
            [] => vec![format!("{i}.png,")],
            several => several.iter().map(|label| format!("{i}.png,{label}")).collect(),
        })
        .collect();
    let json_rows = |row: &dyn Fn(usize) -> Value| {
        let of = |i| {
            let mut row = row(i);
            row["file_name"] = json!(format!("{i}.png"));
            row.to_string() + "\n"
        };
        (0..IMAGES).map(of).collect::<String>()
    };
    let marks = |i: usize| {
        let of = |name: &str| (name.to_owned(), json!(u8::from(labels(i).contains(&name))));
        Value::Object(NAMES.map(of).into_iter().collect())
    };
    let lists = [
        (list(root, "a.csv", "file_name,label", |i| labels(i).join(";")), "semicolons"),
        (list(root, "b.csv", "image,labels", |i| labels(i).join(" | ")), "separated by |"),
        (list(root, "c.csv", "file,class", |i| format!("\"{}\"", labels(i).join(", "))), "commas"),
        (list(root, "d.csv", "file_name,label", |i| format!("\"[{}]\"", quoted(i))), "lists in brackets"),
        (list(root, "e.csv", "file_name,cat,dog,tree", |i| bits(i, "0")), "3 columns of 0 and 1"),
        (list(root, "f.csv", "file_name,cat,dog,tree", |i| bits(i, "-1")), "-1 is read as 0"),
        (
            list(root, "g.csv", "file_name,cat,id,dog,tree", |i| {
                let bits = bits(i, "0");
                let (first, rest) = bits.split_once(',').unwrap();
                format!("{first},{},{rest}", 1000 + i)
            }),
            "columns not used: id",
        ),
        (write(root, "h.csv", format!("file_name,label\n{}\n", long.join("\n"))), "a further label"),
        (write(root, "i.jsonl", json_rows(&|i| json!({ "label": labels(i) }))), "showing no class"),
        (
            write(
                root,
                "j.jsonl",
                json_rows(&|i| match &labels(i)[..] {
                    [] => json!({ "label": null }),
                    several => json!({ "label": several.join("|") }),
                }),
            ),
            "separated by |",
        ),
        (write(root, "k.jsonl", json_rows(&marks)), "3 columns of 0 and 1"),
        (
            write(
                root,
                "l.csv",
                (0..IMAGES).fold("file_name;label\n".to_owned(), |text, i| {
                    text + &format!("{i}.png;{}\n", labels(i).join("|"))
                }),
            ),
            "separated by |",
        ),
    ];
    for (path, note) in lists {
        let dataset = open(&path, &options());
        assert_eq!(dataset.class_names(), NAMES, "{}", path.display());
        assert_eq!(read(&dataset), expected(), "{}", path.display());
        assert!(notes(&dataset).contains(note), "{}: {}", path.display(), notes(&dataset));
        assert_eq!(dataset.left_out().count(), 0);
        // As single labels, the same file says how to ask for several.
        let text = match Dataset::open_path(&path, &OpenOptions::default()) {
            Ok(single) => notes(&single),
            Err(error) => error.to_string(),
        };
        // Of j, an empty label is what is wrong first.
        assert!(
            text.contains("--task multi-label") || path.ends_with("j.jsonl"),
            "{}: {text}",
            path.display()
        );
    }
    let several = message(&root.join("a.csv"), &OpenOptions::default());
    assert!(
        several.contains("expected exactly one label") && several.contains("--task multi-label"),
        "{several}"
    );
    let columns = message(&root.join("e.csv"), &OpenOptions::default());
    assert!(columns.contains("file_name and label") && columns.contains("--task multi-label"), "{columns}");
}

#[test]
fn two_forms_that_fit_are_an_error_that_names_both_and_the_user_chooses() {
    let folder = folder();
    let root = folder.path();
    let path = list(root, "a.csv", "file_name,label", |i| match i % 4 {
        0 => "\"cat, big;dog\"".into(),
        1 => "dog".into(),
        _ => "\"cat, big\"".into(),
    });
    let text = message(&path, &options());
    assert!(text.contains("two ways") && text.contains("--label-form semicolons"), "{text}");
    assert!(text.contains("--label-form commas") && text.contains("cat, big;dog"), "{text}");
    let as_form = |form| with(|options| options.label_form = Some(form));
    assert_eq!(open(&path, &as_form(LabelForm::Semicolons)).class_names(), ["cat, big", "dog"]);
    assert_eq!(open(&path, &as_form(LabelForm::Commas)).class_names(), ["big", "big;dog", "cat", "dog"]);
    assert_eq!(open(&path, &as_form(LabelForm::One)).class_names(), ["cat, big", "cat, big;dog", "dog"]);
    let text = message(&path, &as_form(LabelForm::Json));
    assert!(text.contains("expected a list of labels (json)"), "{text}");
    // A column of labels beside several of 0 and 1.
    let path = list(root, "b.csv", "file_name,label,dog,tree", |i| format!("cat,{},{}", i % 2, i / 2 % 2));
    let text = message(&path, &options());
    assert!(text.contains("--label-form columns") && text.contains("dog, tree"), "{text}");
    assert_eq!(open(&path, &as_form(LabelForm::Columns)).class_names(), ["dog", "tree"]);
    assert_eq!(open(&path, &as_form(LabelForm::One)).class_names(), ["cat"]);
    // A single flag is no class.
    let path = list(root, "c.csv", "file_name,label,flipped", |i| format!("{},{}", NAMES[i % 3], i % 2));
    assert_eq!(open(&path, &options()).class_names(), NAMES);
    let single = with(|o| (o.task, o.label_form) = (Task::SingleLabel, Some(LabelForm::One)));
    assert!(matches!(Dataset::open_path(&path, &single), Err(Error::Option { name: "label_form", .. })));
    let text = message(
        &list(root, "d.csv", "file_name,x,y", |i| format!("{},{}", i % 2, i % 3 / 2)),
        &as_form(LabelForm::Bars),
    );
    assert!(text.contains("a column label, for bars") && text.contains("x, y"), "{text}");
}

#[test]
fn what_is_wrong_in_a_list_is_told_with_its_line() {
    let folder = folder();
    let root = folder.path();
    let strict = with(|options| options.strict = true);
    let told = |cell: &str, row: usize| {
        let path = list(root, "x.csv", "file_name,cat,dog", |i| {
            let cell = if i == row { cell.to_owned() } else { (i % 2).to_string() };
            format!("{},{cell}", i / 2 % 2)
        });
        let dataset = open(&path, &options());
        assert_eq!((dataset.summary().images(), dataset.left_out().count()), (IMAGES - 1, 1));
        message(&path, &strict)
    };
    for (cell, found) in [("2", "2"), ("cat", "cat"), ("", "nothing"), ("-1", "-1"), ("0.5", "0.5")] {
        let text = told(cell, 4);
        let wanted = format!("line 6: expected 0 or 1 for the class \"dog\", found {found}");
        assert!(text.contains(&wanted), "{text}");
    }
    // Half of a column: more than may be lost.
    let path = list(root, "x.csv", "file_name,cat,dog", |i| format!("{},{}", i % 2, [0, 1, 2, 1][i % 4]));
    assert!(message(&path, &options()).contains("found 2"));
    // No row of a list with a key that others have.
    let text: String = (0..IMAGES)
        .map(|i| match i {
            7 => format!("{{\"file_name\": \"{i}.png\", \"cat\": 1}}\n"),
            _ => format!("{{\"file_name\": \"{i}.png\", \"cat\": {}, \"dog\": {}}}\n", i % 2, i / 2 % 2),
        })
        .collect();
    let text = message(&write(root, "x.jsonl", text), &strict);
    assert!(text.contains("line 8: expected 0 or 1 for the class \"dog\", found no such key"), "{text}");
    // Missing files, no columns, no labels at all, nothing at all.
    let path = list(root, "x.csv", "file_name,label", |i| NAMES[i % 3].into());
    let missing = fs::read_to_string(&path).unwrap().replace("5.png", "absent.png");
    let text = message(&write(root, "y.csv", missing), &options());
    assert!(text.contains("line 7 names") && text.contains("absent.png"), "{text}");
    let text = message(&list(root, "x.csv", "file_name,id,name", |i| format!("{},x{i}", i + 2)), &options());
    assert!(text.contains("a column of 0 and 1 for each class") && text.contains("id, name"), "{text}");
    let text = message(&list(root, "x.csv", "file_name,label", |_| String::new()), &options());
    assert!(text.contains("at least one labelled image"), "{text}");
    assert!(message(&write(root, "x.csv", ""), &options()).contains("an empty file"));
    assert!(message(&write(root, "x.csv", "file_name,cat\n"), &options()).contains("expected"));
    // Rows that contradict each other.
    let path = list(root, "x.csv", "file_name,label", |i| labels(i + 1).join(";"));
    let rows = fs::read_to_string(&path).unwrap() + "2.png,cat;dog\n2.png,dog\n";
    let text = message(&write(root, "x.csv", rows), &strict);
    assert!(text.contains("expected one label and one split of each file, found 2.png"), "{text}");
    // A class that only the test split has.
    let path = list(root, "x.csv", "file_name,split,label", |i| match i {
        0 => "test,tree".into(),
        _ => format!("{},{}", ["train", "val", "test"][i % 3], NAMES[i % 2]),
    });
    let text = message(&path, &options());
    assert!(text.contains("class \"tree\" is in the test split but not in the training split"), "{text}");
    let measured = with(|options| options.purpose = Purpose::Evaluate);
    assert_eq!(open(&path, &measured).class_names(), NAMES);
}

/// A set in COCO's format: photos with boxes, crowds, annotations without a box, and photos without annotations.
fn coco(root: &Path, per_image: impl Fn(usize) -> Vec<&'static str>) -> PathBuf {
    let ids: BTreeMap<&str, u64> = NAMES.into_iter().zip([17, 3, 5]).collect();
    let mut annotations = Vec::new();
    for i in 0..IMAGES {
        for (k, name) in per_image(i).into_iter().enumerate() {
            let id = annotations.len() + 1;
            annotations.push(match (i + k) % 3 {
                0 => json!({"id": id, "image_id": i, "category_id": ids[name], "bbox": [1, 1, 3, 3], "iscrowd": 1}),
                1 => json!({"id": id, "image_id": i, "category_id": ids[name]}),
                _ => json!({"id": id, "image_id": i, "category_id": ids[name], "bbox": [0, 2, 4.5, 3], "iscrowd": 0}),
            });
        }
    }
    let images: Vec<Value> = (0..IMAGES)
        .map(|i| json!({"id": i, "file_name": format!("{i}.png"), "width": 8, "height": 8}))
        .collect();
    let categories: Vec<Value> = ids
        .iter()
        .map(|(name, id)| json!({"id": id, "name": name}))
        .chain([json!({"id": 9, "name": "ufo"})])
        .collect();
    let all = json!({"images": images, "annotations": annotations, "categories": categories});
    write(root, "coco.json", all.to_string())
}

#[test]
fn coco_gives_the_categories_of_whole_images() {
    let folder = folder();
    // Every object twice: presence is no count.
    let path = coco(folder.path(), |i| labels(i).repeat(2));
    let dataset = open(&path, &options());
    // In the order of the ids; a category without an image is told.
    assert_eq!(dataset.class_names(), ["dog", "tree", "cat"]);
    assert!(notes(&dataset).contains("class \"ufo\" is declared but has no image"));
    assert!(notes(&dataset).contains("5 images without an annotation, read as showing no class"));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let found: BTreeMap<usize, Vec<String>> =
        read(&dataset).into_iter().map(|(i, n)| (i, sorted(n))).collect();
    assert_eq!(found, expected());
    assert_eq!(dataset.train().image(0).unwrap().width(), 8, "the whole image");
    let summary = dataset.summary();
    assert_eq!(summary.splits.iter().map(|split| split.unlabelled).sum::<usize>(), 5);
    assert!(summary.to_string().contains("labels an image on average, 5 images without any"), "{summary}");
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["task"], "multi-label");
    let text = message(&path, &with(|options| options.label_form = Some(LabelForm::Bars)));
    assert!(text.contains("--label-form") && text.contains("COCO"), "{text}");
    // As single labels, the same file gives a box for each annotation that has one.
    let boxes =
        open(&path, &with(|options| (options.task, options.max_unreadable) = (Task::SingleLabel, 0.9)));
    assert_eq!((boxes.task(), boxes.train().image(0).unwrap().width() < 8), (Task::SingleLabel, true));
    assert!(serde_json::to_value(boxes.summary()).unwrap().get("task").is_none());
}

#[test]
fn splits_are_drawn_by_the_seed_in_proportion() {
    let folder = folder();
    let path = list(folder.path(), "a.csv", "file_name,label", |i| labels(i).join(";"));
    let of = |seed| {
        let dataset = open(&path, &with(|options| options.seed = seed));
        Split::ALL.map(|split| {
            let subset = dataset.split(split);
            (0..subset.len()).map(|i| subset.name(i)).collect::<Vec<_>>()
        })
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
    let dataset = open(&path, &options());
    let all = dataset.all().unwrap().class_counts();
    for (split, share) in Split::ALL.into_iter().zip([0.7, 0.15, 0.15]) {
        let subset = dataset.split(split);
        assert!((subset.len() as f64 - share * IMAGES as f64).abs() <= 1.0);
        for (found, all) in subset.class_counts().into_iter().zip(&all) {
            assert!((found as f64 - share * *all as f64).abs() <= 1.5, "{found} of {all} in {split}");
        }
    }
    assert!(dataset.drawn().unwrap().contains("of its 40 images are drawn"));
    let part = dataset.train().sample(10, 0).unwrap();
    assert!((9..=11).contains(&part.len()) && part.class_counts().iter().all(|&n| n > 0));
    let (first, rest) = dataset.train().split(0.5, 1).unwrap();
    assert_eq!(first.len() + rest.len(), dataset.train().len());
}

fn batches(subset: &Subset, workers: usize) -> Vec<Batch> {
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 8, 8);
    let config = LoaderConfig::training(5, workers, 1, Pipeline::none(), preprocessing);
    Loader::new(subset.clone(), config).unwrap().epoch(0).map(Result::unwrap).collect()
}

#[test]
fn batches_carry_the_labels_of_their_images() {
    let folder = folder();
    let path = list(folder.path(), "a.csv", "file_name,label", |i| labels(i).join(";"));
    let dataset = open(&path, &options());
    let subset = dataset.train();
    let made = batches(subset, 0);
    assert_eq!(made, batches(subset, 2));
    for batch in &made {
        assert_eq!((batch.len(), batch.targets.len()), (5, 5));
        assert_eq!(batch.targets, subset.targets().select(&batch.indices));
        let Targets::Labels(sets) = &batch.targets else { panic!("{:?}", batch.targets) };
        let dense = sets.dense();
        for (i, row) in dense.chunks_exact(3).enumerate() {
            let ones: Vec<u32> = (0..3).filter(|&c| row[c as usize] == 1.0).collect();
            assert_eq!(ones, sets.row(i));
        }
    }
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 8, 8);
    let all = Loader::load_all(subset, &preprocessing, 1).unwrap();
    assert_eq!(&all.targets, subset.targets());
    let balanced = LoaderConfig {
        sampling: Sampling::Balanced,
        ..LoaderConfig::training(5, 0, 1, Pipeline::none(), preprocessing)
    };
    let text = Loader::new(subset.clone(), balanced).err().unwrap().to_string();
    assert!(text.contains("sampling") && text.contains("several labels"), "{text}");
}

#[test]
fn labels_can_be_renamed_and_are_part_of_the_identity() {
    let folder = folder();
    let path = list(folder.path(), "a.csv", "file_name,label", |i| labels(i).join(";"));
    let dataset = open(&path, &options());
    let identity = |dataset: &Dataset| {
        let mut go_on = |_, _| ControlFlow::Continue(());
        Identity::of(dataset, &KnownDigests::default(), 1, &mut go_on).unwrap().unwrap()
    };
    let one = identity(&dataset);
    assert!(one.images.iter().any(|image| image.class == "cat;dog;tree"));
    assert!(one.images.iter().any(|image| image.class.is_empty()));
    assert_eq!(Identity::from_lines(&one.to_lines()).unwrap(), one);
    let changed = fs::read_to_string(&path).unwrap().replace("cat;dog;tree", "cat;tree");
    fs::write(&path, changed).unwrap();
    assert_ne!(identity(&open(&path, &options())).digest(), one.digest());
    // Two names become one, one goes: images stay, with fewer labels.
    let new = dataset.relabelled(&[Some(0), Some(0), None], vec!["animal".into()]).unwrap();
    for split in Split::ALL {
        let (old, new) = (dataset.split(split), new.split(split));
        assert_eq!(old.len(), new.len());
        for (old, new) in old.targets().rows().zip(new.targets().rows()) {
            assert_eq!(new.is_empty(), old.iter().all(|&label| label == 2));
            assert!(new.len() <= 1);
        }
    }
    assert!(Subset::joined(&[dataset.train().clone(), new.train().clone()]).is_err());
}

#[test]
fn archives_may_hold_lists() {
    let folder = folder();
    let path = folder.path().join("a.tar");
    let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
    let mut add = |name: String, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    };
    for i in 0..IMAGES {
        add(format!("{i}.png"), &fs::read(folder.path().join(format!("{i}.png"))).unwrap());
        match i % 3 {
            0 => add(format!("{i}.cls"), labels(i).join("\n").as_bytes()),
            1 => add(format!("{i}.json"), json!({ "labels": labels(i) }).to_string().as_bytes()),
            _ => add(format!("{i}.json"), json!({ "label": labels(i) }).to_string().as_bytes()),
        }
    }
    builder.finish().unwrap();
    let dataset = open(&path, &options());
    assert_eq!((dataset.class_names(), dataset.left_out().count()), (&NAMES.map(str::to_owned)[..], 0));
    for split in Split::ALL {
        let subset = dataset.split(split);
        for i in 0..subset.len() {
            let name = subset.name(i);
            let number: usize = name.rsplit(['/', '.']).nth(1).unwrap().parse().unwrap();
            let found: Vec<&str> =
                subset.targets().row(i).iter().map(|&l| dataset.class_names()[l as usize].as_str()).collect();
            assert_eq!(found, labels(number), "{name}");
        }
    }
    let text = message(&path, &OpenOptions::default());
    assert!(text.contains("--task multi-label"), "{text}");
}

#[test]
fn sources_of_one_label_an_image_say_so() {
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 4, 8).unwrap();
    let text = message(folder.path(), &options());
    assert!(text.contains("multi-label") && text.contains("class folders"), "{text}");
    let text = Dataset::open("demo", &options()).unwrap_err().to_string();
    assert!(text.starts_with("demo: expected a source whose images may have several labels"), "{text}");
}
