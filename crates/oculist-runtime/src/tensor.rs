//! Intermediate results as the plan sees them.

use oculist_kernels::channel_stride;

/// Index into the plan's tensors.
pub(crate) type TensorId = usize;

/// How the elements are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Format {
    /// 32-bit floats.
    F32,
    /// Bytes; what they mean is known to the steps that read them.
    U8,
}

/// One intermediate result, `[batch, height, width, stride]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tensor {
    /// Channels without padding.
    pub(crate) channels: usize,
    /// Height and width.
    pub(crate) size: [usize; 2],
    /// Channels with padding.
    pub(crate) stride: usize,
    /// Element type.
    pub(crate) format: Format,
}

impl Tensor {
    /// Floats in the kernels' layout.
    pub(crate) fn f32(channels: usize, size: [usize; 2]) -> Self {
        Self { channels, size, stride: channel_stride(channels), format: Format::F32 }
    }

    /// Floats without padding.
    pub(crate) fn dense(channels: usize, size: [usize; 2]) -> Self {
        Self { channels, size, stride: channels, format: Format::F32 }
    }

    /// Bytes in the kernels' layout.
    pub(crate) fn u8(channels: usize, size: [usize; 2]) -> Self {
        Self { channels, size, stride: channel_stride(channels), format: Format::U8 }
    }

    /// Pixels of one image; this and the other sizes are `usize::MAX` where they would be larger.
    pub(crate) fn pixels(&self) -> usize {
        self.size[0].saturating_mul(self.size[1])
    }

    /// Elements of one image, padding included.
    pub(crate) fn image_len(&self) -> usize {
        self.pixels().saturating_mul(self.stride)
    }

    /// Bytes of one image.
    pub(crate) fn image_bytes(&self) -> usize {
        match self.format {
            Format::F32 => self.image_len().saturating_mul(4),
            Format::U8 => self.image_len(),
        }
    }

    /// The shape in words.
    pub(crate) fn label(&self) -> String {
        let name = match self.format {
            Format::F32 => "f32",
            Format::U8 => "u8",
        };
        format!("{name} {}x{}x{}", self.channels, self.size[0], self.size[1])
    }
}
