//! Operations that move pixels: one function each, all parameters given.
//!
//! Places are counted in pixels from the centre of the top left pixel: the image covers -0.5..width - 0.5.

mod affine;
mod border;
mod crop;
mod distort;
mod flip;
mod perspective;
mod resize;
mod sample;

pub use affine::{Affine, affine};
pub use border::Border;
pub use crop::{center_crop, crop, crop_mirrored, pad};
pub(crate) use distort::smooth;
pub use distort::{elastic, grid_distortion};
pub use flip::{flip_horizontal, flip_vertical, quarter_turns, transpose};
pub(crate) use flip::{flipped_horizontal, flipped_vertical};
pub use perspective::perspective;
pub(crate) use perspective::perspective_forward;
pub use resize::{Interpolation, Resampling, resize, resized_crop, resized_crop_mirrored};
pub(crate) use resize::{antialiased, is_antialiased, resample};
pub(crate) use sample::warp;
