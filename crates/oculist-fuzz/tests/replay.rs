//! Every target on everything that is kept in `fuzz`, and on files that are made of these by chance.
//!
//! `FUZZ_ROUNDS` asks for more or fewer changed files than usual.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oculist_fuzz::Mutator;

/// A target.
type Target = fn(&[u8]);

/// What takes longer is a hang. Debug builds on a busy machine are slow.
const LONGEST: Duration = Duration::from_mins(1);

/// The files of a target by folder and name.
fn files(target: &str) -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut files = BTreeMap::new();
    for kind in ["corpus", "regressions"] {
        let Ok(entries) = fs::read_dir(root.join(kind).join(target)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            // What a fuzzer running here adds has no ending.
            if path.extension().is_some() {
                let name = path.file_name().unwrap().display();
                files.insert(format!("{kind}/{target}/{name}"), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What is wrong with a target on some bytes.
fn fault(target: Target, bytes: &[u8]) -> Option<String> {
    let start = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let taken = start.elapsed();
    match result {
        Err(panic) => Some(
            panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic")
                .to_owned(),
        ),
        Ok(()) if taken > LONGEST => Some(format!("it took {taken:?}")),
        Ok(()) => None,
    }
}

fn replay(target: Target, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    files.iter().filter_map(|(name, bytes)| Some(format!("{name}: {}", fault(target, bytes)?))).collect()
}

/// Runs a target on changed files; what fails is kept, to be looked at and to become a regression.
fn change(target: Target, name: &str, files: &BTreeMap<String, Vec<u8>>, rounds: usize) -> Vec<String> {
    let files: Vec<Vec<u8>> = files.values().cloned().collect();
    let mut mutator = Mutator::new(20_261_130);
    let mut faults = Vec::new();
    for round in 0..rounds {
        let bytes = mutator.changed(&files, 4096);
        if let Some(problem) = fault(target, &bytes) {
            let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{round}"));
            fs::write(&kept, &bytes).unwrap();
            faults.push(format!("{}: {problem}", kept.display()));
        }
    }
    faults
}

fn check(target: Target, name: &str, rounds: usize) {
    let rounds = std::env::var("FUZZ_ROUNDS").map_or(rounds, |n| n.parse().expect("FUZZ_ROUNDS is a number"));
    let files = files(name);
    assert!(files.len() > 20, "only {} files for {name}", files.len());
    let faults = [replay(target, &files), change(target, name, &files, rounds)].concat();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn onnx() {
    check(oculist_fuzz::onnx, "onnx", 6000);
}

#[test]
fn graph() {
    check(oculist_fuzz::graph, "graph", 6000);
}

#[test]
fn jpeg() {
    check(oculist_fuzz::jpeg, "jpeg", 6000);
}

#[test]
fn weights() {
    check(oculist_fuzz::weights, "weights", 6000);
}

/// A decoder with two faults: one that a kept file shows, one that only a changed file shows.
fn faulty(bytes: &[u8]) {
    assert!(bytes != b"kept", "a file that is kept");
    assert!(!bytes.starts_with(b"go") || bytes.len() < 6, "a file that is changed");
}

#[test]
fn faults_are_found_in_kept_and_in_changed_files() {
    let named = |name: &str, bytes: &[u8]| (name.to_owned(), bytes.to_vec());
    let kept = BTreeMap::from([named("good", b"good"), named("bad", b"kept")]);
    assert_eq!(replay(faulty, &kept), ["bad: a file that is kept"]);
    let good = BTreeMap::from([named("good", b"good")]);
    assert!(replay(faulty, &good).is_empty());
    let found = change(faulty, "faulty", &good, 200);
    assert!(
        !found.is_empty() && found.iter().all(|fault| fault.ends_with("a file that is changed")),
        "{found:?}"
    );
    let hang = |_: &[u8]| std::thread::sleep(Duration::from_millis(1));
    assert_eq!(fault(hang, b""), None);
}
