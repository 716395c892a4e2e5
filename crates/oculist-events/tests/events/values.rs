//! Scalars, texts, images, and what is refused.

use std::fs;
use std::process::Command;

use oculist_events::{EventError, EventWriter, MAX_EVENT_BYTES};
use oculist_testing::python;
use serde_json::{Value, json};

use crate::{BEGIN, at, create, origin, read};

/// Numbers that a careless encoding loses: a zero is the default of protobuf, NaN has no text.
const NUMBERS: [f32; 8] =
    [0.5, 0.0, -0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, 1e-42];

#[test]
fn every_record_is_read_and_every_bit_of_a_number_arrives() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    for (step, &number) in NUMBERS.iter().enumerate() {
        writer.scalar("loss/train", step as u64, at(step as f64 / 4.0), number).unwrap();
    }
    writer.scalar("Genauigkeit äöü", i64::MAX as u64, at(9.0), 1.0).unwrap();
    writer.flush().unwrap();
    assert_eq!(writer.path().file_name().unwrap(), "events.out.tfevents.1700000000.bench.42.0");
    let Some(found) = read(&[writer.path(), dir.path()]) else { return };

    let records = found[0]["records"].as_array().unwrap();
    assert_eq!(found[0]["problem"], Value::Null);
    assert_eq!(records.len(), NUMBERS.len() + 3);
    let first = json!({"what": "file_version", "step": 0, "time": BEGIN as f64, "version": "brain.Event:2",
                       "writer": "oculist", "same": true});
    assert_eq!(records[0], first);
    assert!(records.iter().all(|record| record["same"] == true), "{records:?}");

    let accumulated = &found[1]["accumulated"];
    assert_eq!(accumulated["version"], 2.0);
    let rows = accumulated["scalars"]["loss/train"].as_array().unwrap();
    let expected: Vec<Value> = NUMBERS
        .iter()
        .enumerate()
        .map(|(step, number)| json!([step, BEGIN as f64 + step as f64 / 4.0, number.to_bits()]))
        .collect();
    assert_eq!(rows, &expected);
    assert_eq!(accumulated["scalars"]["Genauigkeit äöü"][0][0], i64::MAX);
    let steps: Vec<usize> = (0..NUMBERS.len()).collect();
    assert_eq!(found[1]["provided"]["scalars"]["."]["loss/train"], json!(steps));

    // The twin: another number, time or step is another row.
    assert_ne!(rows[0], json!([0, BEGIN as f64, 0.25f32.to_bits()]));
    assert_ne!(rows[1], rows[2], "a zero has a sign");
    assert_ne!(rows[1], json!([1, BEGIN as f64, 0]));
}

#[test]
fn a_flipped_bit_is_rejected_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    let mut ends = vec![fs::metadata(writer.path()).unwrap().len() as usize];
    for step in 0..3 {
        writer.scalar("loss", step, at(0.0), 1.0).unwrap();
        ends.push(fs::metadata(writer.path()).unwrap().len() as usize);
    }
    let good = fs::read(writer.path()).unwrap();
    // The length, its checksum, the first and last byte of the data, the checksum of the second scalar's record.
    let (begin, end) = (ends[1], ends[2]);
    let files: Vec<_> = [begin, begin + 8, begin + 12, end - 5, end - 1]
        .into_iter()
        .map(|place| {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            let path = dir.path().join(format!("flipped-{place}"));
            fs::write(&path, bytes).unwrap();
            path
        })
        .collect();
    let cut = dir.path().join("cut");
    fs::write(&cut, &good[..end - 1]).unwrap();
    let paths: Vec<_> = files.iter().chain([&cut]).map(AsRef::as_ref).chain([writer.path()]).collect();
    let Some(found) = read(&paths) else { return };
    for (path, answer) in paths.iter().zip(found.as_array().unwrap()) {
        let (records, problem) = (answer["records"].as_array().unwrap(), answer["problem"].as_str());
        if *path == writer.path() {
            assert_eq!((records.len(), problem), (5, None));
        } else {
            assert_eq!(records.len(), 3, "{}", path.display());
            assert!(problem.is_some_and(|p| p.contains("crc32 check") || p.contains("truncated record")));
        }
    }
}

#[test]
fn texts_and_images_come_back() {
    const PAINT: &str = "
import sys
from PIL import Image
for mode in ['L', 'LA', 'RGB', 'RGBA', 'P']:
    image = Image.new('RGB', (3, 2))
    image.putdata([(40 * i, 255 - 40 * i, 7 * i) for i in range(6)])
    image.convert(mode).save(f'{sys.argv[1]}/{mode}.png')
";
    let pictures = tempfile::tempdir().unwrap();
    let Some(painted) = python::run_source(PAINT, [pictures.path()]) else { return };
    let _ = painted.expect_success();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    let markdown = "| class | top-1 |\n|---|---|\n| Ü | 0.5 |\n\n\"`<b>`\"";
    writer.text("summary", 1, at(1.0), markdown).unwrap();
    writer.text("summary", 2, at(2.0), "").unwrap();
    for mode in ["L", "LA", "RGB", "RGBA", "P"] {
        let png = fs::read(pictures.path().join(format!("{mode}.png"))).unwrap();
        writer.image_png(&format!("samples/{mode}"), 7, at(3.0), &png).unwrap();
    }
    let found = read(&[dir.path(), writer.path()]).unwrap();
    let (accumulated, provided) = (&found[0]["accumulated"], &found[0]["provided"]);
    assert_eq!(accumulated["texts"], json!({"summary": [[1, markdown], [2, ""]]}));
    assert_eq!(provided["texts"]["."], json!({"summary": [1, 2]}));
    assert_eq!(provided["images"]["."].as_object().unwrap().len(), 5);
    for mode in ["L", "LA", "RGB", "RGBA", "P"] {
        let image = &accumulated["images"][format!("samples/{mode}")][0];
        assert_eq!(image["step"], 7);
        assert_eq!(image["size"], json!([2, 3]));
        assert_eq!(image["decoded"], json!([2, 3, mode]));
    }
    let pixels: Vec<u8> = (0..6).flat_map(|i| [40 * i, 255 - 40 * i, 7 * i]).collect();
    assert_eq!(accumulated["images"]["samples/RGB"][0]["pixels"], json!(pixels));
    // The twin: a lost colour would show.
    assert_ne!(accumulated["images"]["samples/L"][0]["pixels"], json!(pixels));
    assert!(found[1]["records"].as_array().unwrap().iter().all(|record| record["same"] == true));
}

#[test]
fn what_is_refused_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    let path = writer.path().to_owned();
    let before = fs::read(&path).unwrap();
    let long = "x".repeat(MAX_EVENT_BYTES + 1);
    let refused = [
        (writer.scalar("", 0, at(0.0), 1.0), "expected a tag, found nothing"),
        (
            writer.scalar("loss", u64::MAX, at(0.0), 1.0),
            "expected a step of at most 9223372036854775807, found",
        ),
        (writer.text("log", 0, at(0.0), &long), "expected at most 67108864 bytes, found 67108865"),
        (writer.text("log", 0, at(0.0), &long[..MAX_EVENT_BYTES]), "at most 67108864 are written"),
        (
            writer.image_png("a", 0, at(0.0), b"\xff\xd8\xff"),
            r"expected a PNG file, found 3 bytes `\xff\xd8\xff`",
        ),
    ];
    for (result, expected) in refused {
        let problem = result.unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
        assert!(problem.contains(path.to_str().unwrap()), "{problem}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_folder_holds_one_run() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/run");
    let first = create(&folder);
    let error = EventWriter::create(&folder, &origin(), at(5.0)).unwrap_err();
    assert!(matches!(&error, EventError::Occupied { file, .. } if first.path().ends_with(file)), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    fs::write(dir.path().join("file"), "").unwrap();
    let error = EventWriter::create(&dir.path().join("file"), &origin(), at(0.0)).unwrap_err();
    assert!(matches!(error, EventError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

/// A disk that is full in the middle of a record: a limit on the size of files stands for it.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_whole_records() {
    const LIMIT: &str = "OCULIST_EVENTS_LIMITED";
    if let Some(folder) = std::env::var_os(LIMIT) {
        let mut writer = create(folder.as_ref());
        let text = "x".repeat(100);
        let full = (0..1000).find_map(|step| writer.text("log", step, at(0.0), &text).err());
        assert!(matches!(full, Some(EventError::Write { .. })), "{full:?}");
        // What is short enough still fits.
        writer.scalar("s", 0, at(0.0), 1.0).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let this = "values::a_full_disk_leaves_whole_records";
    // Blocks of 512 or 1024 bytes, and no signal: the write itself fails.
    let run = "trap '' XFSZ; ulimit -f 4; exec \"$0\" --exact \"$1\" --nocapture";
    let limited = Command::new("sh")
        .args(["-c", run])
        .arg(std::env::current_exe().unwrap())
        .arg(this)
        .env(LIMIT, dir.path())
        .output()
        .unwrap();
    assert!(limited.status.success(), "{}", String::from_utf8_lossy(&limited.stderr));
    let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let Some(found) = read(&[&file]) else { return };
    assert_eq!(found[0]["problem"], Value::Null);
    assert!(found[0]["records"].as_array().unwrap().len() > 5);
}
