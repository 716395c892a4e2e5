//! Loops over the bytes of pictures: colours, tables, blurs, noise, warps, flips, resizing.
//!
//! Pixels are 8-bit and interleaved (HWC), 1, 3 or 4 channels. These functions run on the calling thread and take the
//! instruction set instead of a [`Context`](crate::Context): pictures are spread over threads by who has many of them.
//! All instruction sets give the same bytes and the same floats: products and sums are never contracted, and sums are
//! taken in one order. The fourth channel (alpha) of a pixel is left alone where the names say "colours".

mod blur;
mod color;
mod columns;
pub mod field;
pub mod flip;
mod jpeg;
mod jpeg_blocks;
mod jpeg_color;
mod lanes;
mod layer;
mod noise;
mod packed;
pub mod resize;
mod table;
pub mod warp;

pub use blur::{TapOffset, blur_symmetric, sharpen_colors, tap_sums, tap_sums_to_bytes, widen};
pub use color::{
    channel_bounds, channel_sums, colors_to_grey, luma, luma_sum, saturate_colors, shuffle_colors, turn_hue,
};
pub use jpeg::jpeg_round_trip;
pub use jpeg_blocks::{GROUP_BLOCKS, GROUP_LEN, inverse_dct, inverse_dct_reduced};
pub use jpeg_color::{between_rows, double_both, double_width, ycc_to_rgb};
pub use layer::{add_weighted, normalize, shade_colors, snow_colors};
pub use noise::{add_normal_noise, multiply_normal_noise, normals, salt_and_pepper};
pub use table::{ByteMap, map_bytes, map_colors, map_values};
