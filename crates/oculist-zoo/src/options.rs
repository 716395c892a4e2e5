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
}

impl BuildOptions {
    /// The published form of an architecture for `num_classes` and `input = (channels, height, width)`.
    pub fn new(num_classes: usize, input: (usize, usize, usize)) -> Self {
        Self { num_classes, input, stem: Stem::Auto, width: 1.0, dropout: None }
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

    /// Whether the small stem is used.
    pub(crate) fn small_stem(&self) -> bool {
        match self.stem {
            Stem::Auto => self.short_side() <= 64,
            Stem::Small => true,
            Stem::Large => false,
        }
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
        Ok(())
    }
}
