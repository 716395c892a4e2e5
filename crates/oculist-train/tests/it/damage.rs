//! Damaged, foreign and missing checkpoints: an error that says how to go on, or the result of an undisturbed run.

use std::fs;
use std::path::Path;

use oculist_testing::formula;
use oculist_train::{Keep, TrainConfig, TrainError};

use super::runs::{bits, config, train};

const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";

/// Settings with which the best epoch is not the last one.
fn swinging(keep: Keep) -> TrainConfig {
    TrainConfig { lr: 0.6, min_lr: 0.6, keep, ..config(4) }
}

fn resume(config: &TrainConfig, folder: &Path) -> Result<Vec<u32>, TrainError> {
    train(config, Some(folder), true, 1, None).map(|outcome| bits(&outcome.graph))
}

#[test]
fn any_flipped_bit_is_noticed_or_changes_nothing() {
    let config = swinging(Keep::Best);
    let want = bits(&train(&config, None, false, 1, None).unwrap().graph);
    let dir = tempfile::tempdir().unwrap();
    assert!(train(&config, Some(dir.path()), false, 1, Some(2)).is_err(), "stopped");
    for name in [LAST, BEST] {
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        // All of the header's beginning, and places all over the file.
        let spread = formula::tensor(name, 150);
        let places = spread.iter().map(|x| (f64::from(x.abs().fract()) * bytes.len() as f64) as usize);
        for (i, at) in (0..150).chain(places).enumerate() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (i % 8);
            fs::write(&path, &flipped).unwrap();
            let text = resume(&config, dir.path()).expect_err("must be refused").to_string();
            assert!(text.contains(name) && text.contains("--resume"), "byte {at}: {text}");
        }
        for length in [0, 4, 8, 100, bytes.len() - 1] {
            fs::write(&path, &bytes[..length]).unwrap();
            let text = resume(&config, dir.path()).expect_err("must be refused").to_string();
            assert!(text.contains(name) && text.contains("--resume"), "cut at {length}: {text}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(resume(&config, dir.path()).unwrap(), want, "undamaged, it goes on");
}

#[test]
fn the_advice_for_a_damaged_last_checkpoint_gives_the_result_of_an_undisturbed_run() {
    for keep in [Keep::Best, Keep::Last] {
        let config = swinging(keep);
        let whole = train(&config, None, false, 1, None).unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert!(train(&config, Some(dir.path()), false, 1, Some(3)).is_err(), "stopped");
        let last = dir.path().join(LAST);
        fs::write(&last, "no checkpoint").unwrap();
        let text = resume(&config, dir.path()).unwrap_err().to_string();
        assert!(
            text.contains("remove this file") && text.contains("goes on from best.safetensors"),
            "{text}"
        );
        fs::remove_file(&last).unwrap();
        assert_eq!(resume(&config, dir.path()).unwrap(), bits(&whole.graph), "{keep:?}");
    }
}

#[test]
fn the_advice_for_damaged_kept_weights_is_to_train_anew() {
    let config = swinging(Keep::Best);
    let dir = tempfile::tempdir().unwrap();
    assert!(train(&config, Some(dir.path()), false, 1, Some(3)).is_err(), "stopped");
    for (damage, word) in [("no checkpoint", "damaged"), ("", "empty")] {
        fs::write(dir.path().join(BEST), damage).unwrap();
        let text = resume(&config, dir.path()).unwrap_err().to_string();
        assert!(
            text.contains(BEST) && text.contains(word) && text.contains("trains this phase anew"),
            "{text}"
        );
    }
    fs::remove_file(dir.path().join(BEST)).unwrap();
    let text = resume(&config, dir.path()).unwrap_err().to_string();
    assert!(text.contains(BEST) && text.contains("trains this phase anew"), "{text}");
    fs::write(dir.path().join(LAST), "no checkpoint").unwrap();
    assert!(resume(&config, dir.path()).unwrap_err().to_string().contains("trains this phase anew"));
}

#[test]
fn kept_weights_of_another_run_or_epoch_are_not_taken() {
    let config = swinging(Keep::Best);
    let [ours, others] = [0, 1].map(|seed| {
        let dir = tempfile::tempdir().unwrap();
        let config = TrainConfig { seed, ..config.clone() };
        assert!(train(&config, Some(dir.path()), false, 1, Some(3)).is_err(), "stopped");
        dir
    });
    fs::copy(others.path().join(BEST), ours.path().join(BEST)).unwrap();
    let text = resume(&config, ours.path()).unwrap_err().to_string();
    assert!(text.contains(BEST) && text.contains("other settings"), "{text}");
    // Of the same run, but from before.
    let early = tempfile::tempdir().unwrap();
    let long = swinging(Keep::Last);
    assert!(train(&long, Some(early.path()), false, 1, Some(1)).is_err(), "stopped");
    let late = tempfile::tempdir().unwrap();
    assert!(train(&long, Some(late.path()), false, 1, Some(3)).is_err(), "stopped");
    fs::copy(early.path().join(BEST), late.path().join(BEST)).unwrap();
    let text = resume(&long, late.path()).unwrap_err().to_string();
    assert!(text.contains("the weights of epoch 3, found 1"), "{text}");
}
