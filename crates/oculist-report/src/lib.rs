//! A run's numbers as HTML, JSON and terminal tables.
//!
//! The numbers come in as a [`RunSummary`], a plain struct that other crates fill. This crate computes
//! nothing but presentation: it formats, and it forms differences and ratios of the numbers it was given.
//!
//! - `summary.json`: [`RunSummary::to_summary_json`], without pictures; the schema is in
//!   `docs/summary-schema.md`.
//! - `report-data.json`: [`RunSummary::to_data_json`], the same with pictures, from which the page can be
//!   made again with [`RunSummary::from_json`].

mod error;
mod summary;

pub use error::ReportError;
pub use summary::{
    AugmentedSample, CalibrationBin, Candidate, ClassAccuracy, Data, Epoch, Guess, Input, LayerSensitivity,
    LayerWidth, Model, Png, Promise, Quantization, RunSummary, SCHEMA_VERSION, Sample, Skipped, Spread, Step,
    StepState,
};
