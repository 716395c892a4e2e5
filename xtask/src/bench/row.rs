//! One comparison, and its JSON.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Ours against one peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) bench: String,
    pub(crate) case: String,
    pub(crate) unit: String,
    pub(crate) ours: f64,
    /// Least and greatest of the rounds.
    pub(crate) spread: [f64; 2],
    /// Name with version; `None` where nobody was compared with.
    pub(crate) peer: Option<String>,
    pub(crate) peer_value: Option<f64>,
    /// How many times better ours is; above 1 is better whatever the unit.
    pub(crate) ratio: Option<f64>,
    pub(crate) floor: Option<f64>,
    /// Why there is no value of the peer's.
    pub(crate) failure: Option<String>,
}

impl Row {
    fn json(&self) -> Value {
        json!({
            "bench": self.bench,
            "case": self.case,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "peer_value": self.peer_value,
            "ratio": self.ratio,
        })
    }
}

/// Writes the rows, whole or not at all.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> Result<()> {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    replace(path, &text)
}

/// Writes a text beside its place and moves it there.
pub(crate) fn replace(path: &Path, text: &str) -> Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_fields_that_were_promised() {
        let row = Row {
            bench: "train".into(),
            case: "a".into(),
            unit: "images/s".into(),
            ours: 2.0,
            spread: [1.0, 3.0],
            peer: Some("torch 2".into()),
            peer_value: Some(1.0),
            ratio: Some(2.0),
            floor: None,
            failure: None,
        };
        let value = row.json();
        let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["bench", "case", "ours", "peer", "peer_value", "ratio", "unit"]);
    }
}
