//! What TensorBoard reads from our files, told by TensorBoard itself.

mod hparams;
mod resume;
mod values;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oculist_events::{EventWriter, Origin};
use oculist_testing::python;
use serde_json::Value;

/// What TensorBoard finds in folders, and which records in files; None without a Python that has it.
fn read(paths: &[&Path]) -> Option<Value> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/events/read_events.py");
    Some(python::run_file(&script, paths)?.expect_success().json())
}

/// Some seconds after the run began, or before; halves and quarters are exact in f64.
fn at(seconds: f64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs_f64(BEGIN as f64 + seconds)
}

/// When the runs of these tests began, seconds since 1970.
const BEGIN: u64 = 1_700_000_000;

fn origin() -> Origin {
    Origin { host: "bench".into(), process: 42 }
}

fn create(folder: &Path) -> EventWriter {
    EventWriter::create(folder, &origin(), at(0.0)).unwrap()
}
