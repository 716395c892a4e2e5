//! What a caller may choose about an architecture.

use crate::error::ZooError;

/// How the first layers treat the image's resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stem {
    /// [`Stem::Small`] if the shorter side has at most 64 pixels, else [`Stem::Large`].
    #[default]
    Auto,
    /// Little or no reduction in the first layers, as is usual for CIFAR.
    Small,
    /// The published form for 224x224.
    Large,
}

/// What normalises where an architecture has batch normalisation. LayerNorm stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalization {
    /// The architecture's own.
    #[default]
    Own,
    /// Group normalisation with this many groups; where they do not divide the channels, with their greatest common
    /// divisor.
    ///
    /// # Source
    /// Wu, He: Group Normalization, 2018 (arXiv 1803.08494), which has 32.
    Group(usize),
    /// Instance normalisation with gamma and beta. A map of one pixel becomes beta.
    ///
    /// # Source
    /// Ulyanov, Vedaldi, Lempitsky: Instance Normalization, 2016 (arXiv 1607.08022).
    Instance,
}

/// How the last map becomes a vector, in architectures that average it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Head {
    /// Global average pooling.
    #[default]
    Average,
    /// Spatial pyramid pooling: the maxima of 1x1, 2x2 and 4x4 bins, 21 numbers a channel.
    ///
    /// # Source
    /// He, Zhang, Ren, Sun: Spatial Pyramid Pooling in Deep Convolutional Networks, 2014 (arXiv 1406.4729). Bins are those of
    /// PyTorch's `AdaptiveMaxPool2d`, which cover maps of any size; the paper's formula does not.
    SpatialPyramid,
}

/// Choices for [`crate::build`].
#[derive(Debug, Clone, PartialEq)]
pub struct BuildOptions {
    /// Number of classes, at least 1.
    pub num_classes: usize,
    /// Input as `(channels, height, width)`.
    pub input: (usize, usize, usize),
    /// Form of the first layers.
    pub stem: Stem,
    /// Factor on the number of channels (1.0 is the published width), rounded to multiples of 8.
    pub width: f64,
    /// Dropout before the fully connected layers, 0..1; `None` is the architecture's own (0 in the residual networks).
    pub dropout: Option<f32>,
    /// What stands for batch normalisation.
    pub normalization: Normalization,
    /// How the last map becomes a vector.
    pub head: Head,
}

impl BuildOptions {
    /// The published form of an architecture for `num_classes` and `input = (channels, height, width)`.
    pub fn new(num_classes: usize, input: (usize, usize, usize)) -> Self {
        Self {
            num_classes,
            input,
            stem: Stem::Auto,
            width: 1.0,
            dropout: None,
            normalization: Normalization::Own,
            head: Head::Average,
        }
    }

    /// The same with another stem.
    pub fn with_stem(mut self, stem: Stem) -> Self {
        self.stem = stem;
        self
    }

    /// The same with another width.
    pub fn with_width(mut self, width: f64) -> Self {
        self.width = width;
        self
    }

    /// The same with another dropout ratio.
    pub fn with_dropout(mut self, ratio: f32) -> Self {
        self.dropout = Some(ratio);
        self
    }

    /// The same with another normalisation.
    pub fn with_normalization(mut self, normalization: Normalization) -> Self {
        self.normalization = normalization;
        self
    }

    /// The same with another head.
    pub fn with_head(mut self, head: Head) -> Self {
        self.head = head;
        self
    }

    /// Whether the small stem is used.
    pub(crate) fn small_stem(&self) -> bool {
        match self.stem {
            Stem::Auto => self.short_side() <= 64,
            Stem::Small => true,
            Stem::Large => false,
        }
    }

    /// Whether, besides the small stem, the first layer that halves the map does not: up to 32 pixels.
    pub(crate) fn tiny(&self) -> bool {
        self.small_stem() && self.short_side() <= 32
    }

    /// The shorter side of the input in pixels.
    pub(crate) fn short_side(&self) -> usize {
        self.input.1.min(self.input.2)
    }

    /// Refuses values that no architecture can be built with.
    pub(crate) fn validate(&self) -> Result<(), ZooError> {
        let (c, h, w) = self.input;
        let refuse = |option, expected, found| Err(ZooError::Option { option, expected, found });
        if self.num_classes == 0 {
            return refuse("num_classes", "at least 1", "0".into());
        }
        if c == 0 || h == 0 || w == 0 {
            return refuse("input", "channels, height and width of at least 1", format!("{c}x{h}x{w}"));
        }
        if !(self.width.is_finite() && self.width > 0.0 && self.width <= 16.0) {
            return refuse("width", "a factor above 0 and at most 16", self.width.to_string());
        }
        if let Some(ratio) = self.dropout
            && !(0.0..1.0).contains(&ratio)
        {
            return refuse("dropout", "a ratio of at least 0 and below 1", ratio.to_string());
        }
        if self.normalization == Normalization::Group(0) {
            return refuse("normalization", "at least one group", "0".into());
        }
        Ok(())
    }
}
