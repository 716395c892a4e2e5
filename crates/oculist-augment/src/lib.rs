//! Image augmentation: pure functions of image, parameters and an explicit generator.
//!
//! Three layers, each usable alone:
//!
//! - [`geometry`] and [`color`]: one function per operation, all parameters given;
//! - [`Op`] and [`Transform`]: an operation with ranges, and the same operation after its parameters
//!   were drawn (a `Transform` can be stored, shown and replayed);
//! - [`Pipeline`]: a list of operations with probabilities, readable and writable as TOML.
//!
//! [`Preprocessing`] is not augmentation: it is the one fixed way from an image to the network's input,
//! shared by training, evaluation, calibration, prediction and the exported file.
//!
//! Random parameters come from generators keyed by (seed, epoch, sample, operation), see [`SampleKey`],
//! so that neither the number of workers nor the order of samples changes a pixel.

pub mod color;
pub mod erase;
pub mod geometry;
pub mod mix;
pub mod op;
pub mod quality;

mod corruption;
mod error;
mod image;
mod pipeline;
mod policy;
mod preprocessing;
mod rng;
mod transform;

pub use corruption::Corruption;
pub use error::{Error, Result};
pub use geometry::{Border, Interpolation};
pub use image::Image;
pub use op::{Op, Step};
pub use pipeline::{Pipeline, Start};
pub use preprocessing::{ColorMode, Preprocessing, ResizeRule};
pub use rng::{Rng, SampleKey};
pub use transform::Transform;
