//! What lies outside an image.

use oculist_kernels::image::warp::Outside;
use serde::{Deserialize, Serialize};

/// How pixels outside the image are made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Border {
    /// Every channel has this value.
    Constant(u8),
    /// The nearest pixel of the edge: `aaa|abcd|ddd`.
    Edge,
    /// Mirrored without repeating the edge: `dcb|abcd|cba` (NumPy's "reflect", OpenCV's `REFLECT_101`).
    #[serde(alias = "reflect_101")]
    Reflect,
    /// Mirrored with the edge repeated: `cba|abcd|dcb` (NumPy's "symmetric", OpenCV's `REFLECT`).
    Symmetric,
    /// The image again: `bcd|abcd|abc`.
    Wrap,
}

impl Default for Border {
    fn default() -> Self {
        Self::Constant(0)
    }
}

impl Border {
    /// The coordinate inside 0..len that stands for `i`, or None where the border is constant.
    pub(crate) fn resolve(self, i: isize, len: usize) -> Option<usize> {
        self.outside().resolve(i, len)
    }

    /// The same for the kernels.
    pub(crate) fn outside(self) -> Outside {
        match self {
            Self::Constant(value) => Outside::Constant(value),
            Self::Edge => Outside::Edge,
            Self::Reflect => Outside::Reflect,
            Self::Symmetric => Outside::Symmetric,
            Self::Wrap => Outside::Wrap,
        }
    }

    /// The value of a constant border, 0 for the others (which never need it).
    pub(crate) fn fill(self) -> u8 {
        match self {
            Self::Constant(value) => value,
            _ => 0,
        }
    }

    pub(crate) fn is_constant(self) -> bool {
        matches!(self, Self::Constant(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(border: Border, len: usize) -> Vec<Option<usize>> {
        (-4..len as isize + 4).map(|i| border.resolve(i, len)).collect()
    }

    #[test]
    fn borders_continue_as_documented() {
        let some = |v: &[usize]| v.iter().map(|&i| Some(i)).collect::<Vec<_>>();
        assert_eq!(line(Border::Edge, 3), some(&[0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]));
        assert_eq!(line(Border::Reflect, 3), some(&[0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]));
        assert_eq!(line(Border::Symmetric, 3), some(&[2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]));
        assert_eq!(line(Border::Wrap, 3), some(&[2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]));
        for border in [Border::Reflect, Border::Symmetric, Border::Wrap] {
            assert_eq!(line(border, 1), some(&[0; 9]));
        }
        assert_eq!(line(Border::Constant(9), 1)[3..6], [None, Some(0), None]);
    }
}
