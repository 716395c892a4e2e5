//! The trade-off plot: every candidate by cost and validation top-1.

use unicode_width::UnicodeWidthStr;

use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::format;
use crate::svg::{Anchor, Svg, ellipsis, number};

/// One mark.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// Style class that carries the colour of its kind.
    pub(crate) class: String,
    pub(crate) mark: Mark,
    pub(crate) x: f64,
    /// Validation top-1, percent.
    pub(crate) y: f64,
    pub(crate) title: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Baseline,
    Chosen,
    Accepted,
    Refused,
}

/// What the plot shows besides its points.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) x_name: &'static str,
    /// Factor from the points' unit to the axis' unit.
    pub(crate) x_factor: f64,
    pub(crate) points: Vec<Point>,
    /// Validation top-1 of the baseline, percent.
    pub(crate) baseline: Option<f64>,
    /// Largest allowed fall, percentage points.
    pub(crate) max_drop: Option<f64>,
}

impl Plot {
    /// The lowest value that is drawn to scale.
    ///
    /// Candidates that collapsed would squeeze the interesting part into a line, so what lies further below the
    /// baseline than eight allowed drops (at least 4 points) is put on the lower edge.
    pub(crate) fn floor(&self) -> f64 {
        let room = self.max_drop.map_or(4.0, |d| (d * 8.0).max(4.0));
        match self.baseline {
            Some(baseline) => baseline - room,
            None => f64::NEG_INFINITY,
        }
    }

    /// Number of points below [`Plot::floor`].
    pub(crate) fn below(&self) -> usize {
        self.points.iter().filter(|p| p.y < self.floor()).count()
    }

    /// Draws the plot.
    pub(crate) fn draw(&self, size: Size) -> String {
        let floor = self.floor();
        let limit = self.baseline.zip(self.max_drop).map(|(top1, drop)| top1 - drop);
        let shown = || self.points.iter().map(|p| p.y.max(floor)).chain(limit).filter(|y| y.is_finite());
        let low = shown().fold(f64::INFINITY, f64::min);
        let high = shown().fold(f64::NEG_INFINITY, f64::max);
        let most = self.points.iter().map(|p| p.x * self.x_factor).fold(0.0, f64::max);
        let narrow = size.width < 500.0;
        // The cost axis starts at zero: distances on it are then true to scale.
        let x = Axis::round(0.0, most * 1.04, if narrow { 4 } else { 8 });
        let pad = ((high - low) * 0.06).max(0.05);
        let mut frame = Frame::new(size, x, Axis::round(low - pad, (high + pad).min(100.0), 6));
        frame.right -= 6.0;

        let label = format!("{} candidates by {} and validation top-1", self.points.len(), self.x_name);
        let mut svg = Svg::new(size.width, size.height, &label);
        frame.draw(&mut svg, self.x_name, "validation top-1, %");
        if let Some((limit, drop)) = limit.zip(self.max_drop) {
            let y = frame.y(limit);
            svg.rect((frame.left, y), (frame.right - frame.left, frame.bottom - y), "forbidden", "");
            svg.line((frame.left, y), (frame.right, y), "limit");
            let text = format!("max-drop {} points", format::limit(drop));
            svg.text((frame.right - 4.0, y + 15.0), Anchor::End, "limit-name", &text);
        }
        // Refused ones first: what was accepted lies on top.
        for wanted in [Mark::Refused, Mark::Accepted, Mark::Baseline, Mark::Chosen] {
            for point in self.points.iter().filter(|p| p.mark == wanted) {
                let at = frame.point(point.x * self.x_factor, point.y.max(floor));
                draw_mark(&mut svg, point, at, point.y < floor);
            }
        }
        let place = |p: &Point| frame.point(p.x * self.x_factor, p.y.max(floor));
        for point in self.points.iter().filter(|p| matches!(p.mark, Mark::Baseline | Mark::Chosen)) {
            // Other marks only: a name may touch its own.
            let others: Vec<_> = self.points.iter().filter(|p| p.name != point.name).map(place).collect();
            name_mark(&mut svg, &frame, place(point), &point.name, &others);
        }
        svg.finish()
    }
}

fn draw_mark(svg: &mut Svg, point: &Point, (x, y): (f64, f64), below: bool) {
    let shape = |dx: f64, dy: f64, rest: &str| format!("M{} {}{rest}z", number(x + dx), number(y + dy));
    match point.mark {
        _ if below => {
            svg.path(
                &shape(-4.5, -8.0, "l9 0l-4.5 8"),
                &format!("mark refused {}", point.class),
                &point.title,
            );
        }
        Mark::Baseline => {
            svg.path(&shape(0.0, -7.5, "l7.5 7.5l-7.5 7.5l-7.5 -7.5"), "mark base", &point.title);
        }
        Mark::Chosen => {
            svg.circle((x, y), 11.0, &format!("halo {}", point.class), "");
            svg.circle((x, y), 6.5, &format!("mark {}", point.class), &point.title);
        }
        Mark::Accepted => svg.circle((x, y), 5.0, &format!("mark {}", point.class), &point.title),
        Mark::Refused => svg.circle((x, y), 4.5, &format!("mark refused {}", point.class), &point.title),
    }
}

/// Writes the name of a mark where it covers the fewest other marks.
fn name_mark(svg: &mut Svg, frame: &Frame, (x, y): (f64, f64), name: &str, marks: &[(f64, f64)]) {
    let name = ellipsis(name, 28);
    let width = name.width() as f64 * 7.2;
    let places = [
        (15.0, 4.5, Anchor::Start),
        (-15.0, 4.5, Anchor::End),
        (0.0, -17.0, Anchor::Middle),
        (0.0, 26.0, Anchor::Middle),
        (10.0, -14.0, Anchor::Start),
        (-10.0, -14.0, Anchor::End),
        (10.0, 22.0, Anchor::Start),
        (-10.0, 22.0, Anchor::End),
    ];
    let cost = |&(dx, dy, anchor): &(f64, f64, Anchor)| {
        let left = match anchor {
            Anchor::Start => x + dx,
            Anchor::Middle => x - width / 2.0,
            Anchor::End => x + dx - width,
        };
        let (right, top, bottom) = (left + width, y + dy - 12.0, y + dy + 4.0);
        let outside =
            left < frame.left || right > frame.right || top < frame.top - 6.0 || bottom > frame.bottom;
        let covered = marks
            .iter()
            .filter(|m| m.0 > left - 7.0 && m.0 < right + 7.0 && m.1 > top - 7.0 && m.1 < bottom + 7.0)
            .count();
        covered + if outside { 1000 } else { 0 }
    };
    let Some((dx, dy, anchor)) = places.into_iter().min_by_key(cost) else { return };
    svg.text((x + dx, y + dy), anchor, "mark-name", &name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(ys: &[f64]) -> Plot {
        let points = ys
            .iter()
            .map(|&y| Point {
                name: "c".into(),
                class: "k1".into(),
                mark: Mark::Refused,
                x: 1e6,
                y,
                title: String::new(),
            })
            .collect();
        Plot { x_name: "MB", x_factor: 1e-6, points, baseline: Some(90.0), max_drop: Some(0.5) }
    }

    #[test]
    fn collapsed_candidates_do_not_stretch_the_axis() {
        let plot = plot(&[89.8, 88.0, 10.0]);
        assert_eq!(plot.floor(), 86.0);
        assert_eq!(plot.below(), 1);
        let svg = plot.draw(Size { width: 600.0, height: 300.0 });
        assert!(svg.contains(">86<") && !svg.contains(">20<"), "{svg}");
    }

    #[test]
    fn no_points_and_no_baseline_still_draw() {
        let mut empty = plot(&[]);
        empty.baseline = None;
        let svg = empty.draw(Size { width: 600.0, height: 300.0 });
        assert!(svg.ends_with("</svg>") && !svg.contains("NaN"));
    }
}
