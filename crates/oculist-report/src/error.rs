//! The error type of the crate.

/// What can go wrong while a report is read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The text is not a summary: broken JSON, or a field of the wrong type.
    #[error("not a run summary (expected JSON as in docs/summary-schema.md): {0}")]
    Json(#[from] serde_json::Error),
    /// The summary was written by a newer Oculist.
    #[error("summary has schema_version {found}, this Oculist reads up to {supported}")]
    NewerSchema {
        /// The version in the file.
        found: u32,
        /// The highest version this crate reads.
        supported: u32,
    },
    /// A template of the page failed.
    #[error("the report page could not be rendered: {0}")]
    Template(#[from] minijinja::Error),
}
