//! The frame: size, components and how they are coded.

use crate::segment::{byte, word};
use crate::{Error, Result};

/// What a frame header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Coefficients come in several scans, bit by bit.
    pub(crate) progressive: bool,
    pub(crate) components: Vec<Component>,
}

/// One component of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Blocks across and down in a minimum coded unit.
    pub(crate) h: usize,
    pub(crate) v: usize,
    pub(crate) quantization: usize,
}

impl Frame {
    /// Reads the segment behind a start-of-frame marker.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for codings, sample depths, numbers of components and ratios of sampling factors that are
    /// not decoded here; [`Error::Corrupt`] for values outside their range.
    pub(crate) fn parse(marker: u8, mut segment: &[u8]) -> Result<Self> {
        let segment = &mut segment;
        let progressive = match marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc3 => return Err(Error::Unsupported("lossless coding")),
            0xc9 | 0xca => return Err(Error::Unsupported("arithmetic coding")),
            0xcb => return Err(Error::Unsupported("lossless arithmetic coding")),
            _ => return Err(Error::Unsupported("hierarchical coding")),
        };
        match byte(segment)? {
            8 => {}
            12 => return Err(Error::Unsupported("samples of 12 bits")),
            _ => return Err(Error::Unsupported("samples of neither 8 nor 12 bits")),
        }
        let (height, width) = (word(segment)?, word(segment)?);
        if height == 0 {
            return Err(Error::Unsupported("a number of lines after the scan"));
        }
        if width == 0 {
            return Err(Error::Corrupt("a width of 0"));
        }
        let count = byte(segment)?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(Error::Unsupported("a number of components other than 1, 3 and 4"));
        }
        let mut components = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (id, factors, quantization) = (byte(segment)?, byte(segment)?, byte(segment)?);
            let (h, v) = (usize::from(factors >> 4), usize::from(factors & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quantization > 3 {
                return Err(Error::Corrupt("a component outside its ranges"));
            }
            components.push(Component { id, h, v, quantization: usize::from(quantization) });
        }
        if let [grey] = &mut components[..] {
            // A scan of one component is not interleaved: its factors mean nothing.
            (grey.h, grey.v) = (1, 1);
        }
        let frame = Self { width, height, progressive, components };
        let most = frame.most();
        if frame.components.iter().any(|c| !most.0.is_multiple_of(c.h) || !most.1.is_multiple_of(c.v)) {
            return Err(Error::Unsupported("sampling factors without a whole ratio"));
        }
        Ok(frame)
    }

    /// The largest sampling factors across and down.
    pub(crate) fn most(&self) -> (usize, usize) {
        let most = |factor: fn(&Component) -> usize| self.components.iter().map(factor).max().unwrap_or(1);
        (most(|c| c.h), most(|c| c.v))
    }

    /// Minimum coded units across and down, where all components are interleaved.
    pub(crate) fn units(&self) -> (usize, usize) {
        let most = self.most();
        (self.width.div_ceil(8 * most.0), self.height.div_ceil(8 * most.1))
    }

    /// Blocks across and down in a scan of this component alone.
    pub(crate) fn blocks(&self, component: usize) -> (usize, usize) {
        let (Component { h, v, .. }, most) = (self.components[component], self.most());
        ((self.width * h).div_ceil(8 * most.0), (self.height * v).div_ceil(8 * most.1))
    }
}
