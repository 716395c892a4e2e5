//! What the components of an image mean.

use crate::frame::Component;

/// The meaning of one, three or four components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Grey,
    /// Luma and chroma.
    Ycc,
    /// Red, green and blue as they are.
    Rgb,
    /// The complements of ink and of black.
    Cmyk,
    /// Luma and chroma of the complements of ink, and the complement of black.
    Ycck,
}

/// What of a file's segments tells how its components are to be read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hints {
    jfif: bool,
    /// The transform: 0 none, 1 luma and chroma, 2 that and black.
    adobe: Option<u8>,
}

impl Hints {
    /// Looks at a segment.
    pub(crate) fn look(&mut self, marker: u8, segment: &[u8]) {
        match marker {
            0xe0 if segment.starts_with(b"JFIF\0") && segment.len() >= 14 => self.jfif = true,
            0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => self.adobe = Some(segment[11]),
            _ => {}
        }
    }

    /// The meaning by libjpeg's rules: JFIF before Adobe's marker before the components' names, and luma and chroma
    /// where nothing tells.
    pub(crate) fn meaning(self, components: &[Component]) -> Meaning {
        match components {
            [_] => Meaning::Grey,
            [a, b, c] => {
                let plain = match self.adobe {
                    _ if self.jfif => false,
                    Some(transform) => transform == 0,
                    None => [a.id, b.id, c.id] == *b"RGB",
                };
                if plain { Meaning::Rgb } else { Meaning::Ycc }
            }
            _ => match self.adobe {
                None | Some(0) => Meaning::Cmyk,
                Some(_) => Meaning::Ycck,
            },
        }
    }
}

/// A value of ink on paper: `(black - (255 - ink) black / 255)`, rounded, of the complements.
///
/// # Source
/// Pillow's conversion of CMYK, with its rounding.
#[inline]
pub(crate) fn inked(ink: u8, black: u8) -> u8 {
    let product = u32::from(255 - ink) * u32::from(black) + 128;
    black.saturating_sub((((product >> 8) + product) >> 8) as u8)
}
