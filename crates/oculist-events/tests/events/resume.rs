//! Runs that were stopped and go on.

use std::fs;
use std::path::Path;

use oculist_events::EventWriter;
use serde_json::{Value, json};

use crate::{at, create, origin, read};

fn resume(folder: &Path, first_step: u64) -> EventWriter {
    // The clock was set back.
    EventWriter::resume(folder, &origin(), at(-100.0), first_step).unwrap()
}

fn write_steps(writer: &mut EventWriter, steps: std::ops::Range<u64>, value: f32) {
    for step in steps {
        writer.scalar("loss", step, at(step as f64), value).unwrap();
        writer.text("note", step, at(step as f64), &value.to_string()).unwrap();
    }
}

/// Steps and numbers of the loss, as `EventAccumulator` has them.
fn losses(found: &Value) -> Vec<(u64, f32)> {
    let rows = found["accumulated"]["scalars"]["loss"].as_array().unwrap();
    rows.iter()
        .map(|row| (row[0].as_u64().unwrap(), f32::from_bits(row[2].as_u64().unwrap() as u32)))
        .collect()
}

#[test]
fn steps_beyond_the_checkpoint_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    write_steps(&mut writer, 0..6, 1.0);
    let mut resumed = resume(dir.path(), 4);
    assert!(resumed.path() > writer.path(), "read after it");
    // Only one further step so far: step 5 of the first file must be gone all the same.
    write_steps(&mut resumed, 4..5, 2.0);
    let Some(found) = read(&[dir.path(), resumed.path()]) else { return };
    let expected = [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0)];
    assert_eq!(losses(&found[0]), expected);
    let steps = json!({"loss": [0, 1, 2, 3, 4]});
    assert_eq!(found[0]["provided"]["scalars"]["."], steps);
    assert_eq!(found[0]["provided"]["texts"]["."], json!({"note": [0, 1, 2, 3, 4]}));
    let records = found[1]["records"].as_array().unwrap();
    let begin: Vec<_> =
        records[..2].iter().map(|r| (r["what"].as_str().unwrap(), r["step"].as_u64().unwrap())).collect();
    assert_eq!(begin, [("file_version", 0), ("session_log", 4)]);
    assert!(records.iter().all(|record| record["same"] == true));
}

#[test]
fn without_the_mark_they_would_stay() {
    // The twin of the test above: the same second file without its second record.
    let (marked, plain) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_steps(&mut create(marked.path()), 0..6, 1.0);
    for entry in fs::read_dir(marked.path()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), plain.path().join(entry.file_name())).unwrap();
    }
    let mut resumed = resume(marked.path(), 4);
    write_steps(&mut resumed, 4..5, 2.0);
    let bytes = fs::read(resumed.path()).unwrap();
    let length = |at: usize| 16 + u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let first = length(0);
    let unmarked = [&bytes[..first], &bytes[first + length(first)..]].concat();
    fs::write(plain.path().join(resumed.path().file_name().unwrap()), unmarked).unwrap();
    let Some(found) = read(&[marked.path(), plain.path()]) else { return };
    assert_eq!(losses(&found[0]).len(), 5);
    assert!(losses(&found[1]).contains(&(5, 1.0)), "{:?}", losses(&found[1]));
    assert!(found[1]["provided"]["scalars"]["."]["loss"].as_array().unwrap().contains(&json!(5)));
}

#[test]
fn half_a_record_hides_nothing_that_follows() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = create(dir.path());
    write_steps(&mut writer, 0..3, 1.0);
    let path = writer.path().to_owned();
    let begin = fs::metadata(&path).unwrap().len() as usize;
    writer.scalar("loss", 3, at(3.0), 1.0).unwrap();
    drop(writer);
    let whole = fs::read(&path).unwrap();
    // In the length, in its checksum, in the data, in their checksum; and data that never reached the disk.
    let mut zeros = whole.clone();
    zeros[begin + 12..].fill(0);
    let torn = [begin + 3, begin + 10, begin + 15, whole.len() - 2].map(|end| whole[..end].to_vec());
    let mut folders = Vec::new();
    for bytes in torn.iter().chain([&zeros]) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(path.file_name().unwrap());
        fs::write(&file, bytes).unwrap();
        write_steps(&mut resume(folder.path(), 2), 2..5, 2.0);
        assert_eq!(&fs::read(&file).unwrap(), bytes, "the earlier file is left as it is");
        folders.push(folder);
    }
    let paths: Vec<_> = folders.iter().map(tempfile::TempDir::path).collect();
    let Some(found) = read(&paths) else { return };
    for answer in found.as_array().unwrap() {
        assert_eq!(losses(answer), [(0, 1.0), (1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0)]);
        assert_eq!(answer["provided"]["scalars"]["."], json!({"loss": [0, 1, 2, 3, 4]}));
    }
}

#[test]
fn a_run_may_be_stopped_often_or_have_no_events_yet() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (round, first) in [0, 3, 2, 2, 0, 1].into_iter().enumerate() {
        let mut writer = resume(dir.path(), first);
        write_steps(&mut writer, first..first + 4, round as f32);
        names.push(writer.path().to_owned());
    }
    assert!(names.is_sorted(), "{names:?}");
    let Some(found) = read(&[dir.path()]) else { return };
    assert_eq!(losses(&found[0]), [(0, 4.0), (1, 5.0), (2, 5.0), (3, 5.0), (4, 5.0)]);
    assert!(EventWriter::resume(dir.path(), &origin(), at(0.0), u64::MAX).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 6, "nothing was made");
}
