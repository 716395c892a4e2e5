//! What came of reading and writing the tests' models.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Numbers of models, as the Python side has counted them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct RoundTrip {
    /// Per engine, written models that compute what the originals do.
    same: BTreeMap<String, usize>,
    /// Why ONNX Runtime does not run the originals that another engine runs.
    not_run: BTreeMap<String, usize>,
    /// Why it cannot be told.
    untold: BTreeMap<String, usize>,
    /// Tests whose written models compute something else.
    wrong: Vec<String>,
}

impl RoundTrip {
    /// # Errors
    /// If the file is not there, or names models that compute something else.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| path.display().to_string())?;
        let read: Self = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        if !read.wrong.is_empty() {
            bail!(
                "{} written models do not compute what they did: {}",
                read.wrong.len(),
                read.wrong.join(", ")
            );
        }
        Ok(read)
    }

    /// The section of the page.
    pub(crate) fn section(&self) -> String {
        let mut text = "\n## Round trip\n\n\
            Every model above that can be read is written again and run before and after, in ONNX Runtime with nothing \
            optimised: types, shapes and names of inputs must be the same, integers equal, floats within 1e-5, and ONNX's \
            checker must accept what is written if it accepts the original. What ONNX Runtime does not run, the package's \
            reference evaluator does. Each time, four spoilt models (another operator, weights off by a thousandth, another \
            name, another type) must be found. The networks hold one whose weights lie in a file of their own.\n\n\
            | | models |\n|---|---:|\n"
            .to_owned();
        for (engine, n) in &self.same {
            let _ = writeln!(text, "| the same in {engine} | {n} |");
        }
        let _ = writeln!(text, "| different | {} |", self.wrong.len());
        for (reason, n) in &self.untold {
            let _ = writeln!(text, "| cannot be told: {reason} | {n} |");
        }
        text.push_str("\nWhy ONNX Runtime does not run an original:\n\n| reason | models |\n|---|---:|\n");
        for (reason, n) in &self.not_run {
            let _ = writeln!(text, "| {reason} | {n} |");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_and_a_wrong_model_is_an_error() {
        let folder = std::env::temp_dir().join(format!("oculist-roundtrip-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("roundtrip.json");
        let text = r#"{"same": {"ONNX Runtime": 3}, "not_run": {"no kernel": 2}, "untold": {"drawn": 1}, "wrong": []}"#;
        fs::write(&path, text).unwrap();
        let section = RoundTrip::read(&path).unwrap().section();
        for line in [
            "| the same in ONNX Runtime | 3 |",
            "| no kernel | 2 |",
            "told: drawn | 1 |",
            "| different | 0 |",
        ] {
            assert!(section.contains(line), "{section}");
        }
        fs::write(&path, text.replace("[]", r#"["test_add"]"#)).unwrap();
        assert!(RoundTrip::read(&path).unwrap_err().to_string().contains("test_add"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
