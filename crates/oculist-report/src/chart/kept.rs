//! How many images each threshold would keep.

use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::svg::{Svg, polyline};
use crate::{Reject, format};

/// Draws the share of validation images that is kept over the threshold, and marks the threshold that was chosen.
pub(crate) fn draw(reject: &Reject, size: Size) -> String {
    let ends = reject.curve.first().zip(reject.curve.last());
    let (low, high) = ends.map_or((0.0, 1.0), |(first, last)| (first[0], last[0]));
    let frame = Frame::new(size, Axis::round(low, high, 5), Axis::round(0.0, 100.0, 5));
    let mut svg = Svg::new(size.width, size.height, "Images kept over the threshold");
    frame.draw(&mut svg, "threshold", "validation images kept, %");
    let at = reject.threshold.clamp(frame.x.min, frame.x.max);
    svg.line(frame.point(at, 0.0), frame.point(at, 100.0), "ideal");
    svg.path(&polyline(reject.curve.iter().map(|&[x, y]| frame.point(x, y))), "line s1", "");
    for &[x, y] in &reject.curve {
        let title = format!("{} kept with {}", format::percent(y), format::sig3(x));
        svg.circle(frame.point(x, y), 2.0, "dot line s1", &title);
    }
    svg.finish()
}
