//! Looking at intermediate values, for the calibration of a quantiser.

use oculist_graph::ValueId;

/// An intermediate value of one run.
///
/// # Shapes
/// `data`: `[images, height, width, channel_stride]`; channels from `channels` to `channel_stride` are padding.
/// A value of shape `[N, C * H * W]` that a `Flatten` made of a map is shown as that map; a matrix `[N * T, C]` of several
/// rows for each image as `T` pixels, one above the other; one of another rank, `[N, ...]`, as one pixel with all its
/// elements as channels.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// The value of the planned graph.
    pub value: ValueId,
    /// Number of images.
    pub images: usize,
    /// Height of the map; 1 for `[N, C]`.
    pub height: usize,
    /// Width of the map; 1 for `[N, C]`.
    pub width: usize,
    /// Number of channels.
    pub channels: usize,
    /// Distance of two pixels in `data`.
    pub channel_stride: usize,
    /// The elements.
    pub data: &'a [f32],
}

impl<'a> Observed<'a> {
    /// The pixels of all images, each `channels` long.
    pub fn pixels(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let channels = self.channels;
        self.data.chunks_exact(self.channel_stride).map(move |pixel| &pixel[..channels])
    }

    /// The elements in the graph's order `[images, channels, height, width]`.
    pub fn to_nchw(&self) -> Vec<f32> {
        let map = self.height * self.width;
        let mut out = vec![0.0; self.images * self.channels * map];
        for (i, pixel) in self.pixels().enumerate() {
            let (image, at) = (i / map, i % map);
            for (c, &value) in pixel.iter().enumerate() {
                out[(image * self.channels + c) * map + at] = value;
            }
        }
        out
    }
}
