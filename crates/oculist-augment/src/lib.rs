//! Image augmentation: pure functions of image, parameters and an explicit generator.
//!
//! Three layers, each usable alone:
//!
//! - [`geometry`], [`mod@color`], [`mod@erase`], [`quality`] and [`mix`]: one function per operation, all parameters
//!   given;
//! - [`Op`] and [`Transform`]: an operation with ranges, and the same operation after its parameters
//!   were drawn (a `Transform` can be stored, shown and replayed);
//! - [`Pipeline`]: a list of operations with probabilities, readable and writable as TOML and JSON.
//!
//! # Operations
//!
//! | group | operations (names as in files) |
//! |---|---|
//! | mirror and turn | `horizontal_flip`, `vertical_flip`, `transpose`, `quarter_turns` |
//! | affine | `rotate`, `scale`, `translate`, `shear`, `shift_scale_rotate`, `affine` |
//! | bend | `perspective`, `elastic`, `grid_distortion` |
//! | cut and resize | `pad`, `random_crop`, `center_crop`, `random_resized_crop`, `resize`, `resize_shorter` |
//! | one value at a time | `brightness`, `gamma`, `invert`, `posterize`, `solarize`, `rgb_shift`, `color_temperature`, `lighting`, `channel_drop` |
//! | with statistics | `contrast`, `equalize`, `auto_contrast`, `clahe` |
//! | one pixel at a time | `saturation`, `hue`, `color_jitter`, `to_grey`, `channel_shuffle` |
//! | neighbours | `sharpness`, `gaussian_blur`, `motion_blur`, `defocus_blur`, `downscale`, `jpeg_compression` |
//! | noise and weather | `gaussian_noise`, `speckle_noise`, `shot_noise`, `impulse_noise`, `fog`, `rain`, `corrupt` |
//! | cover | `random_erasing`, `cutout`, `coarse_dropout`, `grid_dropout` |
//! | compose | `sequence`, `one_of`, `some_of` |
//! | policies | `trivial_augment_wide`, `rand_augment`, `auto_augment`, `aug_mix`, `three_augment` |
//!
//! The structs in [`mod@op`] document the parameters. Mixing images of different classes ([`mix`]) works on batches and
//! is no `Op`. Warps sample with [`Interpolation`] and continue the image by [`Border`].
//!
//! ```
//! use oculist_augment::{Image, Pipeline, SampleKey};
//!
//! let pipeline: Pipeline = toml::from_str(r#"
//!     [[steps]]
//!     op = "random_crop"
//!     width = 32
//!     height = 32
//!     padding = 4
//!     [[steps]]
//!     op = "one_of"
//!     probability = 0.8
//!     choices = [
//!         { op = "rand_augment", weight = 3.0 },
//!         { op = "sequence", steps = [
//!             { op = "color_jitter", brightness = 0.3, hue = 0.05 },
//!             { op = "random_erasing", probability = 0.25, fill = "noise" },
//!         ] },
//!     ]
//! "#)?;
//! pipeline.validate()?;
//! let image = Image::filled(32, 32, 3, 90)?;
//! let augmented = pipeline.apply(image, SampleKey { seed: 1, epoch: 0, sample: 5 })?;
//! assert_eq!((augmented.width(), augmented.height()), (32, 32));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod views;

pub use corruption::Corruption;
pub use error::{Error, Result};
pub use geometry::{Border, Interpolation, Resampling};
pub use image::{Image, ImageRef};
pub use op::{Op, Step};
pub use pipeline::{Pipeline, Start};
pub use preprocessing::{ColorMode, CropRounding, Preprocessing, Reading, ResizeRule};
pub use rng::{Rng, SampleKey};
pub use transform::{BoundingBox, Effect, Transform};
