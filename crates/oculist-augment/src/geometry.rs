//! Operations that move pixels: one function each, all parameters given.

mod affine;
mod border;
mod crop;
mod flip;
mod resize;

pub use affine::{Affine, affine};
pub use border::Border;
pub use crop::{center_crop, crop, pad};
pub use flip::flip_horizontal;
pub(crate) use resize::resample;
pub use resize::{Interpolation, resize, resized_crop};
