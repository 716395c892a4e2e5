//! `cargo xtask golden`: makes the golden files again.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::{process, venv, workspace};

pub(crate) const ARGUMENTS: &str = "[NAME]";
pub(crate) const ABOUT: &str = "Makes golden/*.json and the models of other exporters again, or only NAME\n\
                                 (architectures, zoo, pretrained, training_step, kernels, mix, losses, multi_label, consistency,\n\
                                 tuning, exports, exported, exported_keras, metrics, heads). Installs PyTorch, several gigabytes, into\n\
                                target/golden-venv, Keras for exported_keras into target/golden-keras-venv, and\n\
                                scikit-learn for metrics and heads into target/golden-metrics-venv.";

/// The scripts by name, with their paths from the root; each writes into its own folder.
const SCRIPTS: [(&str, &str); 15] = [
    ("architectures", "golden/architectures.py"),
    ("zoo", "golden/zoo.py"),
    ("pretrained", "golden/pretrained.py"),
    ("training_step", "golden/training_step.py"),
    ("kernels", "golden/kernels.py"),
    ("mix", "golden/mix.py"),
    ("losses", "golden/losses.py"),
    ("multi_label", "golden/multi_label.py"),
    ("consistency", "golden/consistency.py"),
    ("tuning", "golden/tuning.py"),
    ("exports", "crates/oculist-onnx/tests/exports/export.py"),
    ("exported", "golden/exported.py"),
    (KERAS, "golden/exported_keras.py"),
    (METRICS, "golden/metrics.py"),
    (HEADS, "golden/heads.py"),
];

/// The script that needs Keras and tf2onnx instead of PyTorch.
const KERAS: &str = "exported_keras";
/// The scripts that need scikit-learn instead, and no gigabytes.
const METRICS: &str = "metrics";
const HEADS: &str = "heads";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let scripts = chosen(arguments)?;
    for (name, script) in scripts {
        println!("==> {script}");
        let (environment, requirements) = match name {
            KERAS => ("golden-keras-venv", "requirements-keras.txt"),
            METRICS | HEADS => ("golden-metrics-venv", "requirements-metrics.txt"),
            _ => ("golden-venv", "requirements-golden.txt"),
        };
        let python = venv::ensure(environment, requirements)?;
        let start = Instant::now();
        process::run(Command::new(&python).arg("-B").arg(workspace::root().join(script)))?;
        println!("    done in {}", process::human(start.elapsed()));
    }
    Ok(())
}

fn chosen(arguments: &[String]) -> Result<Vec<(&'static str, &'static str)>> {
    match arguments {
        [] => Ok(SCRIPTS.to_vec()),
        [name] => {
            let found = SCRIPTS.into_iter().filter(|(n, _)| n == name).collect::<Vec<_>>();
            if found.is_empty() {
                let known = SCRIPTS.map(|(n, _)| n).join(", ");
                bail!("there is no golden script `{name}`; there are {known}");
            }
            Ok(found)
        }
        _ => bail!("expected at most one name, found {}", arguments.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_is_there_and_can_be_chosen() {
        for (name, path) in SCRIPTS {
            assert!(workspace::root().join(path).is_file(), "{path}");
            assert_eq!(chosen(&[name.to_owned()]).unwrap(), [(name, path)]);
            assert!(ABOUT.contains(name), "{name} is not in the help");
        }
        assert_eq!(chosen(&[]).unwrap().len(), SCRIPTS.len());
    }

    #[test]
    fn no_script_that_makes_files_is_forgotten() {
        let exports = workspace::root().join("crates/oculist-onnx/tests/exports");
        let python = std::fs::read_dir(exports).unwrap().map(|e| e.unwrap().path());
        let scripts: Vec<_> = python.filter(|p| p.extension().is_some_and(|e| e == "py")).collect();
        let known: Vec<_> = SCRIPTS.iter().map(|(_, path)| workspace::root().join(path)).collect();
        assert!(!scripts.is_empty() && scripts.iter().all(|s| known.contains(s)), "{scripts:?}");
    }
}
