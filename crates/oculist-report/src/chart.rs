//! The charts of the page, as inline SVG.
//!
//! Every chart is drawn twice, for a wide and for a narrow page: a drawing that is merely scaled down would
//! have unreadable text on a phone. The style sheet shows one of the two.

pub(crate) mod axis;
pub(crate) mod confusion;
pub(crate) mod curves;
pub(crate) mod kept;
pub(crate) mod overlay;
pub(crate) mod reliability;
pub(crate) mod scatter;

use serde::Serialize;

/// One chart in both sizes.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Drawing {
    /// SVG for a wide page.
    pub(crate) wide: String,
    /// SVG for a phone.
    pub(crate) narrow: String,
}

/// Size of a drawing in user units, which are about pixels of the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Drawing {
    /// Draws for both sizes.
    pub(crate) fn new(wide: Size, narrow: Size, draw: impl Fn(Size) -> String) -> Self {
        Drawing { wide: draw(wide), narrow: draw(narrow) }
    }
}
