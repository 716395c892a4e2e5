//! Manifests as people write them: rows that are wrong, quotes that are not closed, other names and delimiters.

use oculist_data::{Dataset, Error, OpenOptions, SkipKind, fixture, read_manifest};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of 40 images, `cat/0.png` to `dog/19.png`, and the rows that name them.
fn images() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = Vec::new();
    for (class, name) in ["cat", "dog"].iter().enumerate() {
        fs::create_dir(folder.path().join(name)).unwrap();
        for i in 0..20 {
            let file = format!("{name}/{i}.png");
            let image = fixture::class_image(class, 8, 3, i);
            fixture::write_image(&folder.path().join(&file), &image).unwrap();
            rows.push(format!("{file},{name}"));
        }
    }
    (folder, rows)
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn csv(rows: &[String]) -> String {
    format!("file_name,label\n{}\n", rows.join("\n"))
}

fn open(path: &Path) -> Dataset {
    Dataset::open_path(path, &OpenOptions::default()).unwrap_or_else(|err| panic!("{err}"))
}

fn message(path: &Path) -> String {
    match Dataset::open_path(path, &OpenOptions::default()) {
        Ok(dataset) => panic!("{} was read: {:?}", path.display(), dataset.summary()),
        Err(err) => err.to_string(),
    }
}

/// Images and what was left out, and the notes.
fn counts(dataset: &Dataset) -> (usize, usize, Vec<&str>) {
    let notes = dataset.notes().map(|note| note.reason.as_str()).collect();
    (dataset.summary().images(), dataset.left_out().count(), notes)
}

#[test]
fn a_quote_that_is_not_closed_is_an_error_with_its_row() {
    let (folder, rows) = images();
    assert_eq!(counts(&open(&write(folder.path(), "whole.csv", csv(&rows)))), (40, 0, vec![]));
    let broken = |edits: &[(usize, &str, &str)]| {
        let mut rows = rows.clone();
        for &(row, from, to) in edits {
            assert!(rows[row - 1].contains(from));
            rows[row - 1] = rows[row - 1].replacen(from, to, 1);
        }
        message(&write(folder.path(), "broken.csv", csv(&rows)))
    };
    // To the end of the file: row 6 is in line 7.
    let text = broken(&[(6, ",cat", ",\"cat")]);
    assert!(
        text.contains("broken.csv, line 7: expected the quote that opens in row 6 to be closed"),
        "{text}"
    );
    assert!(text.contains("found the end of the file"), "{text}");
    let text = broken(&[(1, "cat/", "\"cat/")]);
    assert!(text.contains("line 2: expected the quote that opens in row 1 to be closed"), "{text}");
    // To the quote that opens another field, which is no end of one.
    let text = broken(&[(6, ",cat", ",\"cat"), (9, ",cat", ",\"cat\"")]);
    assert!(text.contains("line 7: expected the quote that opens in row 6 to be closed"), "{text}");
    assert!(text.contains("text behind the next quote, in line 10"), "{text}");
    // To a stray quote at the end of a row: sound CSV, but rows lie within a field.
    let text = broken(&[(6, ",cat", ",\"cat"), (9, ",cat", ",cat\"")]);
    assert!(text.contains("line 7: expected a quote that is closed before the next row"), "{text}");
    assert!(text.contains("a field with the row cat/6.png,cat"), "{text}");
    // In the last row, before a line that ends, and in the header.
    let text = broken(&[(40, ",dog", ",\"dog")]);
    assert!(text.contains("line 41: expected the quote that opens in row 40"), "{text}");
    let text = message(&write(folder.path(), "broken.csv", csv(&rows).replacen(",label", ",\"label", 1)));
    assert!(text.contains("line 1: expected"), "{text}");
}

#[test]
fn quotes_that_are_closed_are_read() {
    let (folder, rows) = images();
    let mut text = String::from("caption,file_name,label\n");
    for (i, row) in rows.iter().enumerate() {
        let (file, label) = row.split_once(',').unwrap();
        let caption = match i % 5 {
            0 => "\"two\nlines, with a comma\"",
            1 => "\"he said \"\"yes\"\"\"",
            2 => "6\" tall",
            3 => "\"a \"stray\" one\"",
            _ => "",
        };
        text.extend([caption, ",\"", file, "\",\"", label, "\"\r\n"]);
    }
    let dataset = open(&write(folder.path(), "list.csv", &text));
    assert_eq!(counts(&dataset), (40, 0, vec!["columns not used: caption"]));
    assert_eq!(dataset.class_names(), ["cat", "dog"]);
}

#[test]
fn a_column_without_use_is_no_file_that_is_left_out() {
    let (folder, rows) = images();
    let rows: Vec<String> = rows.iter().map(|row| format!("{row},me")).collect();
    let path = write(folder.path(), "l.csv", format!("file_name,label,photographer\n{}\n", rows.join("\n")));
    let dataset = open(&path);
    assert_eq!(counts(&dataset), (40, 0, vec!["columns not used: photographer"]));
    let text = dataset.summary().to_string();
    assert!(!text.contains("left out"), "{text}");
    assert_eq!(text.matches("photographer").count(), 1, "{text}");
}

#[test]
fn rows_that_are_wrong_are_counted_with_their_reason() {
    let (folder, rows) = images();
    fs::write(folder.path().join("cat/0.png"), "no image").unwrap();
    // One of each kind.
    let bad = [
        ("only.png", "expected 2 fields as in the header, found 1"),
        ("cat/1.png,cat,more", "expected 2 fields as in the header, found 3"),
        (",cat", "expected a file name"),
        ("cat/2.png,", "expected exactly one label"),
        ("cat/2.png,cat;dog", "expected exactly one label"),
        ("nowhere.png,cat", "cannot be read"),
        (
            "dog/3.png,cat",
            "expected one label and one split of each file, found dog/3.png: cat, but dog in line",
        ),
    ];
    let mut all: Vec<String> = bad.iter().map(|(row, _)| (*row).to_owned()).collect();
    all.extend(rows.clone());
    let path = write(folder.path(), "bad.csv", csv(&all));
    let text = message(&path);
    // The image that is none is the eighth; `dog/3.png` is one file.
    assert!(text.contains("8 of 46 images are unreadable, more than 5 %"), "{text}");
    assert!(text.contains("bad.csv/line 2 (expected 2 fields as in the header, found 1)"), "{text}");
    assert!(
        text.contains("also 2 x expected exactly one label") && text.contains("bad.csv/line 5"),
        "{text}"
    );
    let mut options = OpenOptions::default();
    options.max_unreadable = 0.2;
    let dataset = Dataset::open_path(&path, &options).unwrap();
    assert_eq!(dataset.summary().images(), 38);
    for (i, (row, reason)) in bad.iter().enumerate() {
        let found = dataset.left_out().find(|skip| {
            skip.path.ends_with(format!("line {}", i + 2)) || skip.path.ends_with("nowhere.png") && i == 5
        });
        let found = found.unwrap_or_else(|| panic!("{row}: {:?}", dataset.skipped()));
        assert!(found.reason.contains(reason) && found.kind == SkipKind::Unreadable, "{found:?}");
    }
    // The limit holds to the row: two of 42 are within 5 %, three of 43 are not, and none is without it.
    for (count, within) in [(2, true), (3, false)] {
        fs::write(folder.path().join("cat/0.png"), fs::read(folder.path().join("cat/1.png")).unwrap())
            .unwrap();
        let mut all = rows.clone();
        all.extend(bad[..count].iter().map(|(row, _)| (*row).to_owned()));
        let path = write(folder.path(), "some.csv", csv(&all));
        assert_eq!(Dataset::open_path(&path, &OpenOptions::default()).is_ok(), within, "{count}");
        let mut strict = OpenOptions::default();
        strict.strict = true;
        assert!(matches!(Dataset::open_path(&path, &strict), Err(Error::Strict { .. })));
    }
}

#[test]
fn rows_that_say_the_same_count_once() {
    let (folder, mut rows) = images();
    rows.extend([rows[3].clone(), rows[3].clone(), rows[30].clone()]);
    let dataset = open(&write(folder.path(), "l.csv", csv(&rows)));
    let note = "3 rows name a file again and count once, the first is cat/3.png in line 5";
    assert_eq!(counts(&dataset), (40, 0, vec![note]));
    // In two splits, a file would be learnt and then asked for.
    let mut rows: Vec<String> = rows[..40].iter().map(|row| format!("{row},train")).collect();
    for row in [1, 2, 21, 22] {
        rows[row] = rows[row].replace("train", "val");
        rows[row + 5] = rows[row + 5].replace("train", "test");
    }
    rows.push("cat/4.png,cat,test".into());
    let path = write(folder.path(), "l.csv", format!("file_name,label,split\n{}\n", rows.join("\n")));
    let dataset = open(&path);
    let lost: Vec<String> = dataset.left_out().map(|skip| skip.reason.clone()).collect();
    assert_eq!(
        lost,
        ["expected one label and one split of each file, found cat/4.png: train, but test in line 42"]
    );
}

#[test]
fn columns_go_by_the_names_that_people_use() {
    let (folder, rows) = images();
    let headers = [
        ("file_name,label", 0),
        ("filename,Label", 0),
        (" File Name , LABEL ", 0),
        ("path,class", 2),
        ("image,category", 2),
        ("filepaths,labels", 2),
        ("Image Path,Class-Name", 2),
    ];
    for (header, notes) in headers {
        for (bom, end) in [("", "\n"), ("\u{feff}", "\r\n")] {
            for (delimiter, said) in [(",", 0), (";", 1), ("\t", 1)] {
                let text =
                    format!("{header}\n{}\n", rows.join("\n")).replace(',', delimiter).replace('\n', end);
                let dataset = open(&write(folder.path(), "l.csv", format!("{bom}{text}")));
                let (images, lost, told) = counts(&dataset);
                assert_eq!(
                    (images, lost, told.len()),
                    (40, 0, notes + said),
                    "{header} {delimiter:?} {told:?}"
                );
                assert_eq!(dataset.class_names(), ["cat", "dog"]);
            }
        }
    }
    let text = format!("sep=;\nfile_name;label\n{}\n", rows.join("\n").replace(',', ";"));
    assert_eq!(counts(&open(&write(folder.path(), "l.csv", text))), (40, 0, vec![]));
    let blank = open(&write(folder.path(), "l.csv", format!("{},\n , \n\n,\n", csv(&rows))));
    assert_eq!(counts(&blank), (40, 0, vec!["3 rows without anything in them"]));
    let split = |i: usize| ["train", "valid", "test", "train"][i % 4];
    let table: Vec<String> =
        rows.iter().enumerate().map(|(i, row)| format!("{i},{row},{}", split(i))).collect();
    let path =
        write(folder.path(), "l.csv", format!("class id,filepaths,labels,data set\n{}\n", table.join("\n")));
    let dataset = open(&path);
    assert_eq!([dataset.train().len(), dataset.val().len(), dataset.test().len()], [20, 10, 10]);
    assert!(dataset.notes().any(|note| note.reason == "the column \"data set\" is read as split"));
    // A column of that name that holds something else is one without use.
    let table: Vec<String> = rows.iter().map(|row| format!("{row},autumn")).collect();
    let path = write(folder.path(), "l.csv", format!("file_name,label,set\n{}\n", table.join("\n")));
    assert_eq!(counts(&open(&path)), (40, 0, vec!["columns not used: set"]));
    // The name of the format comes first; among others, the choice is the user's.
    let table: Vec<String> = rows.iter().map(|row| format!("{row},x")).collect();
    let path = write(folder.path(), "l.csv", format!("file_name,label,path\n{}\n", table.join("\n")));
    assert_eq!(counts(&open(&path)), (40, 0, vec!["columns not used: path"]));
    let path = write(folder.path(), "l.csv", format!("file_name,category,class\n{}\n", table.join("\n")));
    assert!(
        message(&path)
            .contains("expected one column for label (or one that is called so), found category, class")
    );
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let (file, label) = row.split_once(',').unwrap();
            format!("{{\"Image\":\"{file}\",\"class\":\"{label}\",\"n\":1}}")
        })
        .collect();
    let dataset = open(&write(folder.path(), "l.jsonl", format!("\u{feff}{}\r\n", lines.join("\r\n"))));
    let notes = vec![
        "columns not used: n",
        "the key \"Image\" is read as file_name",
        "the key \"class\" is read as label",
    ];
    assert_eq!(counts(&dataset), (40, 0, notes));
}

#[test]
fn other_encodings_are_named() {
    let (folder, mut rows) = images();
    for (name, text) in
        [("l.csv", csv(&rows)), ("l.jsonl", "{\"file_name\":\"cat/0.png\",\"label\":\"cat\"}\n".into())]
    {
        let utf16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
        };
        for bytes in [
            utf16(&[0xff, 0xfe], u16::to_le_bytes),
            utf16(&[0xfe, 0xff], u16::to_be_bytes),
            utf16(&[], u16::to_le_bytes),
        ] {
            let text = message(&write(folder.path(), name, bytes));
            assert!(text.contains("line 1: expected text in UTF-8, found UTF-16"), "{text}");
        }
    }
    // A row in Latin-1 is a row less.
    let mut bytes = csv(&rows).into_bytes();
    bytes.extend(b"cat/\xe9.png,cat\n");
    let dataset = open(&write(folder.path(), "l.csv", bytes));
    let lost: Vec<&str> = dataset.left_out().map(|skip| skip.reason.as_str()).collect();
    assert_eq!(lost, ["expected UTF-8, found other bytes (Latin-1?)"]);
    rows.truncate(0);
}

#[test]
fn lines_of_json_that_are_wrong_are_counted() {
    let (folder, rows) = images();
    let mut lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let (file, label) = row.split_once(',').unwrap();
            format!("{{\"file_name\":\"{file}\",\"label\":\"{label}\"}}")
        })
        .collect();
    lines.insert(7, "{\"file_name\":\"cat/0.p".into());
    lines.insert(9, "{\"file_name\":\"cat/1.png\"}".into());
    let path = write(folder.path(), "l.jsonl", lines.join("\n"));
    let dataset = open(&path);
    assert_eq!(counts(&dataset).0, 40);
    let lost: Vec<_> = dataset.left_out().map(|skip| (skip.path.clone(), skip.reason.as_str())).collect();
    assert!(
        lost[0].0 == path.join("line 8")
            && lost[0].1.starts_with("expected a JSON object, found broken JSON")
    );
    assert_eq!(lost[1], (path.join("line 10"), "expected the key label, found file_name"));
    assert_eq!(read_manifest(&path).unwrap().bad.len(), 2);
    lines.insert(11, "7".into());
    let text = message(&write(folder.path(), "l.jsonl", lines.join("\n")));
    assert!(text.contains("3 of 43 images are unreadable"), "{text}");
}

/// Rows of `columns` in this order, with a quote before a field of row 4 and one behind a field of a later row.
fn with_quotes(columns: &[&str], rows: &[String], open: usize, last_row: usize, close: usize) -> String {
    let mut text = format!("{}\n", columns.join(","));
    for (i, row) in rows.iter().enumerate() {
        let (file, label) = row.split_once(',').unwrap();
        let mut fields: Vec<String> = columns
            .iter()
            .map(|column| match *column {
                "file_name" => file.to_owned(),
                "label" => label.to_owned(),
                _ => "n".to_owned(),
            })
            .collect();
        if i == 3 {
            fields[open].insert(0, '"');
        }
        if i == last_row {
            fields[close].push('"');
        }
        text.extend([fields.join(",").as_str(), "\n"]);
    }
    text
}

#[test]
fn rows_within_a_field_are_found_in_every_column() {
    let (folder, rows) = images();
    // The same images by names that tell nothing.
    let mut plain = Vec::new();
    for row in &rows {
        let (file, label) = row.split_once(',').unwrap();
        let name = file.replace(".png", "").replace('/', "_");
        fs::copy(folder.path().join(file), folder.path().join(&name)).unwrap();
        plain.push(format!("{name},{label}"));
    }
    let orders: [&[&str]; 8] = [
        &["file_name", "label"],
        &["label", "file_name"],
        &["file_name", "note", "label"],
        &["label", "note", "file_name"],
        &["note", "label", "file_name"],
        &["note", "file_name", "label"],
        &["file_name", "label", "note"],
        &["a", "note", "label", "b", "file_name"],
    ];
    for rows in [&rows, &plain] {
        for columns in orders {
            let whole = with_quotes(columns, rows, 0, 3, 0);
            assert_eq!(open(&write(folder.path(), "l.csv", whole)).summary().images(), 40, "{columns:?}");
            for last_row in [4, 5, 30] {
                for (open, close) in (0..columns.len()).flat_map(|o| (0..columns.len()).map(move |c| (o, c)))
                {
                    let text = message(&write(
                        folder.path(),
                        "l.csv",
                        with_quotes(columns, rows, open, last_row, close),
                    ));
                    let wanted = "line 5: expected a quote that is closed before the next row";
                    assert!(text.contains(wanted), "{columns:?} {open} {last_row} {close}: {text}");
                }
            }
        }
    }
}

#[test]
fn notes_of_several_lines_are_no_rows() {
    let (folder, rows) = images();
    let notes = [
        "two\nlines, \"\"q\"\" and, comma",
        "a cat, a dog\nand, a third",
        "x\r\n\r\ny",
        "\nn",
        "n,\n",
        "a\nb\nc, d",
    ];
    for columns in
        [["file_name", "note", "label"], ["note", "file_name", "label"], ["file_name", "label", "note"]]
    {
        let mut text = format!("{}\n", columns.join(","));
        for (i, row) in rows.iter().enumerate() {
            let (file, label) = row.split_once(',').unwrap();
            let note = format!("\"{}\"", notes[i % notes.len()]);
            let field = |column: &&str| match *column {
                "file_name" => file.to_owned(),
                "label" => label.to_owned(),
                _ => note.clone(),
            };
            text.extend([columns.iter().map(field).collect::<Vec<_>>().join(",").as_str(), "\n"]);
        }
        let dataset = open(&write(folder.path(), "l.csv", text));
        assert_eq!((dataset.summary().images(), dataset.left_out().count()), (40, 0), "{columns:?}");
    }
}

#[test]
fn one_array_of_json_is_named_as_such() {
    let (folder, _) = images();
    for text in ["[{\"file_name\":\"cat/0.png\",\"label\":\"cat\"}]", "\n [\n{\"file_name\":1}\n]\n"] {
        let text = message(&write(folder.path(), "l.jsonl", text));
        assert!(text.contains("expected JSON Lines") && text.contains("found a JSON array"), "{text}");
    }
}

#[test]
fn contradictions_are_one_reason() {
    let (folder, rows) = images();
    let other = |row: &String| row.replace(",cat", ",fox").replace(",dog", ",fox");
    let all: Vec<String> = rows.iter().cloned().chain(rows.iter().map(other)).collect();
    let text = message(&write(folder.path(), "l.csv", csv(&all)));
    assert!(text.contains("found cat/0.png: cat, but fox in line 42"), "{text}");
    assert!(!text.contains("also") && !text.contains("more reasons"), "{text}");
}
