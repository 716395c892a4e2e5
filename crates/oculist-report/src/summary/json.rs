//! Reading and writing a summary as JSON.

use crate::{ReportError, RunSummary};

/// Version of the schema that this crate writes, and the highest it reads.
///
/// It rises when a field changes its meaning or goes away; new fields alone do not raise it.
pub const SCHEMA_VERSION: u32 = 2;

impl RunSummary {
    /// The same summary without its pictures: what `summary.json` holds.
    #[must_use]
    pub fn without_pictures(&self) -> RunSummary {
        let mut bare = self.clone();
        for sample in &mut bare.samples {
            sample.png = None;
        }
        for sample in &mut bare.augmented_samples {
            sample.png = None;
            sample.original = None;
        }
        bare
    }

    /// The text of `summary.json`: indented, without pictures, ending in a newline.
    ///
    /// # Errors
    /// [`ReportError::Json`] if the serializer fails, which plain structs do not make it do.
    pub fn to_summary_json(&self) -> Result<String, ReportError> {
        let mut text = serde_json::to_string_pretty(&self.without_pictures())?;
        text.push('\n');
        Ok(text)
    }

    /// The text of `report-data.json`: compact, with pictures as base64.
    ///
    /// # Errors
    /// As [`RunSummary::to_summary_json`].
    pub fn to_data_json(&self) -> Result<String, ReportError> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads either file back.
    ///
    /// # Errors
    /// [`ReportError::Json`] for text that is no summary, [`ReportError::NewerSchema`] for one that a newer
    /// version wrote.
    pub fn from_json(text: &str) -> Result<RunSummary, ReportError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema_version: u32,
        }
        // The version is read first, alone: a newer file may hold fields whose type has changed.
        let Version { schema_version: found } = serde_json::from_str(text)?;
        if found > SCHEMA_VERSION {
            return Err(ReportError::NewerSchema { found, supported: SCHEMA_VERSION });
        }
        Ok(serde_json::from_str(text)?)
    }
}
