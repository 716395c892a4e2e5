//! Graph-to-graph passes: folding, channel pruning, quantisation.
//!
//! A pass takes a graph by reference and gives a new one; it does no I/O, verifies the graph before and after, and
//! either preserves the function or states its bound. Each has a file of its own and the headings *What it does*,
//! *Applies when*, *Preserves*, *Source*. Ids of values and nodes belong to one graph: take them anew from the
//! result, except where a pass says that it keeps them.
//!
//! The order for compression: prune the trained graph (batch norms still in place, so that it can be fine-tuned),
//! then [`remove_identity`], [`reparameterize`] and [`fold_batch_norm`], then calibrate and [`quantize()`].
//!
//! ```
//! use oculist_graph::{Conv, Flatten, GlobalPool, GraphBuilder};
//! use oculist_passes::*;
//!
//! let mut b = GraphBuilder::new("net");
//! let x = b.input("image", 3, 8, 8);
//! let y = b.conv("conv", x, 16, Conv::square(3, 1, 1), false);
//! let y = b.batch_norm("bn", y, 1e-5, 0.9);
//! let y = b.relu("relu", y);
//! let y = b.op("pool", GlobalPool::Average, &[y]);
//! let y = b.op("flatten", Flatten::IMAGES, &[y]);
//! let out = b.linear("fc", y, 10);
//! let graph = b.finish(out)?; // ... and trained
//!
//! // Half of the multiply-adds, in blocks of 8 channels; then fine-tune.
//! let groups = ChannelGroups::analyze(&graph)?;
//! let scores = importance(&graph, &groups, Importance::L2);
//! let options = PruneOptions { target: PruneTarget::Macs(0.5), round_to: 8, ..PruneOptions::default() };
//! let (pruned, report) = prune_channels(&graph, &groups, &scores, &options)?;
//! assert_eq!(report.layers[0].channels, (16, 8));
//!
//! // Ranges of the activations from calibration images; then integers.
//! let float = fold_batch_norm(&remove_identity(&pruned)?)?;
//! let values = quantizable_values(&float)?;
//! let mut calibrator = Calibrator::new(&float, &values);
//! for &v in &values {
//!     calibrator.observe(v, &[0.0, 0.5, 1.0])?; // what the runtime saw
//! }
//! let ranges = calibrator.ranges(CalibrationMethod::Entropy)?;
//! let int8 = quantize(&float, &ranges, &QuantizeOptions::default())?;
//! assert!(int8.cost().param_bytes < float.cost().param_bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bias_correction;
mod calibration;
mod dequantize;
mod edit;
mod error;
pub mod extractor;
mod fold_batch_norm;
mod image_layout;
mod image_type;
mod input_colors;
mod low_rank;
pub mod prune_channels;
pub mod quantize;
mod remove_identity;
mod reparameterize;
pub mod simplify;
mod single_precision;
#[cfg(test)]
mod test_models;

pub use bias_correction::correct_bias;
pub use calibration::{CalibrationMethod, Calibrator, ChannelMeans, Histogram, layer_inputs};
pub use dequantize::dequantize;
pub use error::{PassError, Result};
pub use extractor::{Classifier, Cut, Extractor, classifier, extractor, is_doubtful, pools_its_maps};
pub use fold_batch_norm::fold_batch_norm;
pub use image_layout::{LAYOUT_KEY, channels_first, channels_last_again};
pub use image_type::{
    COLORS_KEY, TYPE_KEY, blue_first_again, bytes_again, float_images, is_blue_first, red_first,
};
pub use input_colors::{Normalization, color_input, grey_input};
pub use low_rank::{Adapter, AdapterOptions, attach_adapters, merge_adapters};
pub use prune_channels::{
    ChannelGroups, Importance, PruneOptions, PruneReport, PruneTarget, Scores, importance, prune_channels,
    taylor,
};
pub use quantize::{QParams, QuantizeOptions, Range, WeightRange, quantizable_values, quantize};
pub use remove_identity::remove_identity;
pub use reparameterize::reparameterize;
pub use simplify::{open_batch, prepare, prepare_images, simplify};
pub use single_precision::single_precision;
