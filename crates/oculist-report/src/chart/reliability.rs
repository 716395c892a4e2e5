//! The reliability diagram: how often the model is right at each confidence.

use crate::CalibrationBin;
use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::format;
use crate::svg::{Svg, polyline};

/// One model's bins with the style class of its line.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'static str,
    pub(crate) bins: &'a [CalibrationBin],
}

/// Draws accuracy over confidence; empty bins are left out.
pub(crate) fn draw(lines: &[Line<'_>], size: Size) -> String {
    let frame = Frame::new(size, Axis::round(0.0, 100.0, 5), Axis::round(0.0, 100.0, 5));
    let mut svg = Svg::new(size.width, size.height, "Reliability diagram");
    frame.draw(&mut svg, "confidence, %", "accuracy, %");
    svg.line(frame.point(0.0, 0.0), frame.point(100.0, 100.0), "ideal");
    for line in lines {
        let most = line.bins.iter().map(|b| b.count).max().unwrap_or(0).max(1) as f64;
        let filled: Vec<_> = line.bins.iter().filter(|b| b.count > 0).collect();
        let at = |b: &CalibrationBin| frame.point(b.confidence * 100.0, b.accuracy * 100.0);
        svg.path(&polyline(filled.iter().map(|b| at(b))), line.class, "");
        for bin in filled {
            let title = format!(
                "{}: {} images at {} confidence, {} right",
                line.name,
                format::grouped(bin.count),
                format::share(bin.confidence),
                format::share(bin.accuracy)
            );
            // Area, not radius, stands for the number of images.
            let radius = 2.0 + 4.0 * (bin.count as f64 / most).sqrt();
            svg.circle(at(bin), radius, &format!("dot {}", line.class), &title);
        }
    }
    svg.finish()
}
