//! A check of labels tells what it knows while it goes on, and goes on where it was interrupted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use oculist::report::AuditReport;
use oculist::{AUDIT_FILE, CheckOptions, LabelOptions, OculistError, Progress, Settings, Watch, check_data};
use oculist_data::fixture::write_class_folders;

/// Checks the labels; stops when a note contains `until`. What was noted comes with the result.
fn check(
    data: &Path,
    output: &Path,
    until: Option<&str>,
) -> (Result<AuditReport, OculistError>, Vec<String>) {
    let settings = Settings {
        data: Some(data.display().to_string()),
        image_size: Some(16),
        threads: Some(1),
        ..Settings::default()
    };
    let mut labels = LabelOptions::default();
    (labels.folds, labels.epochs) = (3, Some(1));
    let mut options = CheckOptions::new(output);
    options.labels = Some(labels);
    let stop = AtomicBool::new(false);
    let mut notes = Vec::new();
    let mut observer = |progress: Progress<'_>| {
        if let Progress::Note(text) = progress {
            notes.push(text.to_string());
            if until.is_some_and(|place| text.to_string().contains(place)) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    let result = check_data(&settings, &options, &mut Watch { observer: &mut observer, stop: &stop });
    (result.map(|checked| checked.report), notes)
}

fn so_far(output: &Path) -> AuditReport {
    let text = std::fs::read_to_string(output.join("audit-so-far.json")).expect("an audit");
    serde_json::from_str(&text).expect("an audit")
}

#[test]
fn an_interrupted_check_goes_on_from_its_last_fold() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, whole, parts) = (dir.path().join("data"), dir.path().join("whole"), dir.path().join("parts"));
    write_class_folders(&data, "", 3, 20, 16).expect("images");
    let (want, notes) = check(&data, &whole, None);
    let want = want.expect("an audit");
    assert!(notes.iter().any(|note| note.starts_with("labels: about ")), "{notes:?}");
    assert_eq!(want.labels.as_ref().map(|labels| labels.folds_done), Some(3));

    let (stopped, _) = check(&data, &parts, Some("fold 2 of 3: agrees"));
    assert!(matches!(stopped, Err(OculistError::Stopped { .. })), "{stopped:?}");
    let so_far = so_far(&parts).labels.expect("labels");
    assert!(!parts.join(AUDIT_FILE).exists(), "only what is complete has this name");
    assert_eq!((so_far.folds_done, so_far.folds), (2, 3));
    assert!(so_far.images > 0 && so_far.images < 60);

    let (rest, notes) = check(&data, &parts, None);
    let known = notes.iter().filter(|note| note.contains("known from the check that was interrupted"));
    assert_eq!(known.count(), 2);
    // To the same bytes: what was kept is what was computed.
    assert_eq!(rest.expect("an audit").to_json().expect("JSON"), want.to_json().expect("JSON"));
    let left = std::fs::read_dir(&parts).expect("a folder").flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("so-far")).collect();
    assert!(left.is_empty(), "{left:?}");

    // The twin: where a label has changed, nothing that was known is used.
    let (stopped, _) = check(&data, &parts, Some("fold 2 of 3: agrees"));
    assert!(stopped.is_err());
    std::fs::rename(data.join("class0/0.png"), data.join("class1/moved.png")).expect("moved");
    let (again, notes) = check(&data, &parts, None);
    assert!(again.is_ok());
    assert!(!notes.iter().any(|note| note.contains("interrupted")), "{notes:?}");
}
