//! Graph-to-graph passes: folding, channel pruning, quantisation.
//!
//! A pass takes a graph by reference and gives a new one; it does no I/O, verifies the graph before and after, and
//! either preserves the function or states its bound. Each has a file of its own and the headings *What it does*,
//! *Applies when*, *Preserves*, *Source*. Ids of values and nodes belong to one graph: take them anew from the
//! result, except where a pass says that it keeps them.
//!
//! The order for compression: prune the trained graph (batch norms still in place, so that it can be fine-tuned),
//! then [`remove_identity`] and [`fold_batch_norm`], then calibrate and [`quantize()`].

mod bias_correction;
mod calibration;
mod edit;
mod error;
mod fold_batch_norm;
pub mod prune_channels;
pub mod quantize;
mod remove_identity;
#[cfg(test)]
mod test_models;

pub use bias_correction::correct_bias;
pub use calibration::{CalibrationMethod, Calibrator, ChannelMeans, Histogram, layer_inputs};
pub use error::{PassError, Result};
pub use fold_batch_norm::fold_batch_norm;
pub use prune_channels::{
    ChannelGroups, Importance, PruneOptions, PruneReport, PruneTarget, importance, prune_channels, taylor,
};
pub use quantize::{QParams, QuantizeOptions, Range, WeightRange, quantizable_values, quantize};
pub use remove_identity::remove_identity;
