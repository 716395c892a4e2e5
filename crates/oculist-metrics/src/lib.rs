//! The one place where metrics are defined and computed.
//!
//! A [`Metric`] knows its name in files, its title for people, its unit and which direction is better, so that nothing
//! that selects, compares or prints needs to know one of them by name. [`classification`] and [`multi_label`] compute
//! [`Scores`] from what a model gives; [`Evaluation`] keeps the answers behind the numbers as well.
//!
//! # Conventions
//! - Shares are in percent, log losses in nats.
//! - Equal outputs: the lower class index comes first.
//! - A NaN is the least of all outputs, as if it were `-inf`: its class is never preferred, and where it is the true one,
//!   the log loss is infinite.
//! - What cannot be computed (nothing was measured, only one class occurs) is absent from [`Scores`], never a 0 or a NaN.
//! - Sums run in f64, in the order of the images.

mod calibration;
mod chance;
mod classification;
mod confusion;
mod evaluation;
mod judge;
mod metric;
mod multi_label;
mod outputs;
mod proportion;
mod ranking;
mod scores;

pub use calibration::{Bin, bins, expected_calibration_error};
pub use chance::{Finding, LabelStanding, Standing};
pub use classification::classification;
pub use evaluation::{Evaluation, agreement, evaluate, evaluate_logits};
pub use metric::{Direction, Metric, Unit, UnknownMetric};
pub use multi_label::{ClassScores, MultiLabel, Target, multi_label};
pub use outputs::{Outputs, argmax, softmax};
pub use proportion::{Interval, majority_rate, wilson_interval};
pub use ranking::{area_under_roc, average_precision};
pub use scores::Scores;
