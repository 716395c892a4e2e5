//! Axes: ranges with round ends, ticks, and the frame of a plot.

use crate::chart::Size;
use crate::svg::{Anchor, Svg};

/// A linear axis with round ticks.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) ticks: Vec<f64>,
    step: f64,
}

impl Axis {
    /// An axis that holds `min..=max`, its ends widened to multiples of a round step (1, 2, 2.5 or 5 times a
    /// power of ten), with about `wanted` ticks.
    pub(crate) fn round(min: f64, max: f64, wanted: usize) -> Self {
        let (min, max) = widen(min, max);
        let step = round_step((max - min) / wanted as f64);
        let first = (min / step + 1e-9).floor();
        let last = (max / step - 1e-9).ceil();
        let ticks = (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect();
        Axis { min: first * step, max: last * step, ticks, step }
    }

    /// An axis that ends exactly at `min` and `max`, with ticks at the round values between.
    pub(crate) fn exact(min: f64, max: f64, wanted: usize) -> Self {
        let (min, max) = widen(min, max);
        let step = round_step((max - min) / wanted as f64);
        let first = (min / step - 1e-9).ceil();
        let last = (max / step + 1e-9).floor();
        let count = (last - first).max(0.0) as usize;
        let ticks = (0..=count).map(|i| (first + i as f64) * step).collect();
        Axis { min, max, ticks, step }
    }

    /// An axis of whole numbers, which has no ticks between them.
    pub(crate) fn whole(min: f64, max: f64, wanted: usize) -> Self {
        let mut axis = Axis::exact(min, max, wanted);
        if !is_whole(axis.step) {
            // 2.5 becomes 5, anything below 1 becomes 1.
            axis.step = if axis.step < 1.0 { 1.0 } else { 2.0 * axis.step };
            let (first, last) = ((axis.min / axis.step).ceil(), (axis.max / axis.step).floor());
            let count = (last - first).max(0.0) as usize;
            axis.ticks = (0..=count).map(|i| (first + i as f64) * axis.step).collect();
        }
        axis
    }

    /// The share `0..=1` of the axis at which `value` lies.
    pub(crate) fn share(&self, value: f64) -> f64 {
        (value - self.min) / (self.max - self.min)
    }

    /// The label of a tick, with as many decimals as the step needs.
    pub(crate) fn label(&self, tick: f64) -> String {
        let decimals = (0..8).find(|&d| is_whole(self.step * 10f64.powi(d))).unwrap_or(8) as usize;
        let text = format!("{tick:.decimals$}");
        if text.starts_with('-') { text.replacen('-', "−", 1) } else { text }
    }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 * value.abs()
}

/// A range that is finite and not empty.
fn widen(min: f64, max: f64) -> (f64, f64) {
    if !(min.is_finite() && max.is_finite()) || min > max {
        return (0.0, 1.0);
    }
    if max - min < 1e-9 * max.abs().max(1e-3) {
        let pad = if max == 0.0 { 1.0 } else { max.abs() * 0.05 };
        return (min - pad, max + pad);
    }
    (min, max)
}

/// The smallest round step that is at least `raw`.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|f| raw <= f * power * (1.0 + 1e-9)).unwrap_or(10.0);
    factor * power
}

/// The rectangle of a plot inside its drawing.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
}

impl Frame {
    /// A frame with room for tick labels on the left and below.
    pub(crate) fn new(size: Size, x: Axis, y: Axis) -> Self {
        Frame { left: 44.0, top: 24.0, right: size.width - 10.0, bottom: size.height - 40.0, x, y }
    }

    pub(crate) fn x(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.right - self.left)
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        self.bottom - self.y.share(value) * (self.bottom - self.top)
    }

    pub(crate) fn point(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x(x), self.y(y))
    }

    /// Draws grid lines, tick labels and the names of the axes.
    pub(crate) fn draw(&self, svg: &mut Svg, x_name: &str, y_name: &str) {
        for &tick in &self.y.ticks {
            let y = self.y(tick);
            svg.line((self.left, y), (self.right, y), "grid");
            svg.text((self.left - 8.0, y + 4.0), Anchor::End, "tick", &self.y.label(tick));
        }
        svg.line((self.left, self.bottom), (self.right, self.bottom), "axis");
        for &tick in &self.x.ticks {
            let x = self.x(tick);
            svg.line((x, self.bottom), (x, self.bottom + 4.0), "axis");
            svg.text((x, self.bottom + 17.0), Anchor::Middle, "tick", &self.x.label(tick));
        }
        let middle = f64::midpoint(self.left, self.right);
        svg.text((middle, self.bottom + 35.0), Anchor::Middle, "axis-name", x_name);
        svg.text((0.0, 11.0), Anchor::Start, "axis-name", y_name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_the_data() {
        let axis = Axis::round(0.13, 2.31, 5);
        assert_eq!(axis.ticks.len(), 6);
        assert_eq!((axis.min, axis.max), (0.0, 2.5));
        assert_eq!(axis.label(axis.ticks[1]), "0.5");
        assert_eq!(axis.share(1.25), 0.5);
    }

    #[test]
    fn an_exact_axis_keeps_its_ends() {
        let axis = Axis::exact(1.0, 23.0, 5);
        assert_eq!((axis.min, axis.max), (1.0, 23.0));
        assert_eq!(axis.ticks, [5.0, 10.0, 15.0, 20.0]);
    }

    #[test]
    fn epochs_have_no_halves() {
        assert_eq!(Axis::whole(1.0, 3.0, 6).ticks, [1.0, 2.0, 3.0]);
        assert_eq!(Axis::whole(0.5, 20.5, 8).ticks, [5.0, 10.0, 15.0, 20.0]);
    }

    #[test]
    fn degenerate_ranges_still_make_an_axis() {
        for (min, max) in [(5.0, 5.0), (0.0, 0.0), (f64::NAN, 1.0), (f64::INFINITY, f64::NEG_INFINITY)] {
            let axis = Axis::round(min, max, 4);
            assert!(axis.min < axis.max && axis.ticks.len() >= 2, "{min} {max}: {axis:?}");
        }
    }
}
