//! Curves of several runs in one plot.

use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::format;
use crate::svg::{Svg, polyline};

/// Number of colours that the style sheet has for kinds of things.
const COLOURS: usize = 5;

/// The curve of one run: a value for each of its epochs, NaN where there is none.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) values: Vec<f64>,
}

/// The style class of the line of run `index`: five colours, then the same ones dashed, then dotted.
pub(crate) fn class(index: usize) -> String {
    let dash = ["", " dashed", " dotted"][index / COLOURS % 3];
    format!("line run k{}{dash}", index % COLOURS + 1)
}

/// Draws the curves over the epochs of each run, counted on through its phases.
pub(crate) fn draw(curves: &[Curve], y_name: &str, unit: &str, size: Size) -> String {
    let finite = || curves.iter().flat_map(|c| &c.values).copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let most = curves.iter().map(|c| c.values.len()).max().unwrap_or(0).max(1) as f64;
    let x = Axis::whole(0.5, most + 0.5, if size.width < 400.0 { 5 } else { 8 });
    let frame = Frame::new(size, x, Axis::round(low, high, 5));
    let label = format!("{y_name} of {} runs over their epochs", curves.len());
    let mut svg = Svg::new(size.width, size.height, &label);
    frame.draw(&mut svg, "epoch", y_name);
    for curve in curves {
        let points = curve.values.iter().enumerate().map(|(i, &value)| frame.point(i as f64 + 1.0, value));
        svg.path(&polyline(points), &curve.class, &curve.name);
        for (i, &value) in curve.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let title = format!("{}, epoch {}: {}{unit}", curve.name, i + 1, format::sig3(value));
            let class = curve.class.replacen("line run", "dot run", 1);
            svg.circle(frame.point(i as f64 + 1.0, value), 1.8, &class, &title);
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_own_line() {
        let classes: std::collections::BTreeSet<_> = (0..15).map(class).collect();
        assert_eq!(classes.len(), 15);
    }

    #[test]
    fn a_gap_and_a_short_run_draw() {
        let curve =
            |name: &str, values: &[f64]| Curve { name: name.into(), class: class(0), values: values.into() };
        let curves = [curve("<a>", &[1.0, f64::NAN, 3.0]), curve("b", &[2.0]), curve("c", &[])];
        let svg = draw(&curves, "loss", "", Size { width: 300.0, height: 200.0 });
        assert!(!svg.contains("NaN") && svg.contains("&lt;a&gt;, epoch 3: 3.00"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3);
        let none = draw(&[], "loss", "", Size { width: 300.0, height: 200.0 });
        assert!(!none.contains("NaN") && !none.contains("inf"), "{none}");
    }
}
