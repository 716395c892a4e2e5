//! A run's numbers as HTML, JSON and terminal tables.
//!
//! The numbers come in as a [`RunSummary`], a plain struct that other crates fill. This crate computes
//! nothing but presentation: it formats, and it forms differences and ratios of the numbers it was given.
//!
//! - `summary.json`: [`RunSummary::to_summary_json`], without pictures; the schema is in
//!   `docs/summary-schema.md`.
//! - `report-data.json`: [`RunSummary::to_data_json`], the same with pictures, from which the page can be
//!   made again with [`RunSummary::from_json`].
//! - `report.html`: [`render_html`], one file that needs no other.
//! - A page of several runs: [`render_runs_html`].
//! - A notebook: [`table_html`], the before/after table alone.
//! - `audit.html`, `preview.html` and `augment-check.html`: [`render_audit_html`], [`render_preview_html`],
//!   [`render_augment_check_html`].
//! - The terminal: [`terminal`], and [`verdict`] for the result in one line.

mod audit;
mod augment_check;
mod chart;
mod comparison;
mod error;
mod format;
mod measure;
mod page;
mod preview;
mod robustness;
mod runs;
mod summary;
mod svg;
mod table;
pub mod terminal;
mod verdict;

pub use audit::{
    AUDIT_SCHEMA_VERSION, AuditIssue, AuditKind, AuditPartner, AuditReport, LabelCheck, render_audit_html,
};
pub use augment_check::{
    AUGMENT_CHECK_VERSION, AugmentCheck, AugmentClass, AugmentOperation, AugmentPair, AugmentVerdict,
    render_augment_check_html,
};
pub use error::ReportError;
pub use format::bytes as bytes_text;
pub use oculist_metrics::{Finding, Metric, Scores, Unit};
pub use page::{render_html, table_html};
pub use preview::{PreviewRow, render_preview_html};
pub use robustness::{CorruptionResult, Normalised, Robustness, SeverityResult, TtaResult};
pub use runs::{ComparedRun, render_runs_html, runs_table};
pub use summary::{
    AugmentedSample, CalibrationBin, Candidate, Chance, ClassAccuracy, Data, Epoch, Guess, Input,
    LabelScores, LayerSensitivity, LayerWidth, Model, Png, Promise, Quantization, Reject, Repeats,
    RunSummary, SCHEMA_VERSION, Sample, SharedImages, Skipped, Spread, Step, StepState, Task, Transfer,
    TransferHead, TransferSource,
};
pub use table::{Align, Table};
pub use verdict::verdict;
