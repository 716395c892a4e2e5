//! The trade-off plot: every candidate by cost and the run's metric on the validation split.

use oculist_metrics::{Direction, Metric, Unit};
use unicode_width::UnicodeWidthStr;

use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::measure;
use crate::svg::{Anchor, Svg, ellipsis, number, polyline};

/// One mark.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) name: String,
    /// Style class that carries the colour of its kind.
    pub(crate) class: String,
    pub(crate) mark: Mark,
    pub(crate) x: f64,
    /// The metric on the validation split.
    pub(crate) y: f64,
    /// Where most of the repetitions of a measured cost lie.
    pub(crate) range: Option<(f64, f64)>,
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
    /// What the other axis shows.
    pub(crate) metric: Metric,
    pub(crate) points: Vec<Point>,
    /// The metric of the baseline on the validation split.
    pub(crate) baseline: Option<f64>,
    /// What may be lost of it.
    pub(crate) max_drop: Option<f64>,
}

impl Plot {
    /// The worst value that is drawn to scale.
    ///
    /// Candidates that collapsed would squeeze the interesting part into a line, so what is worse than the baseline by more
    /// than eight allowed drops (at least 4 points, or 0.2 of a plain number) is put on that edge.
    pub(crate) fn edge(&self) -> f64 {
        let least = if self.metric.unit() == Unit::Percent { 4.0 } else { 0.2 };
        let room = self.max_drop.map_or(least, |d| (d * 8.0).max(least));
        match self.baseline {
            Some(baseline) => self.worse_by(baseline, room),
            None => self.metric.worst(),
        }
    }

    /// Number of points beyond [`Plot::edge`].
    pub(crate) fn beyond(&self) -> usize {
        self.points.iter().filter(|p| self.is_beyond(p.y)).count()
    }

    fn is_beyond(&self, y: f64) -> bool {
        self.metric.is_better(self.edge(), y)
    }

    fn worse_by(&self, value: f64, drop: f64) -> f64 {
        match self.metric.direction() {
            Direction::HigherIsBetter => value - drop,
            Direction::LowerIsBetter => value + drop,
        }
    }

    /// Which points no other one dominates: no other costs as little and is as good, and better in one of the two.
    ///
    /// # Source
    /// Kung, Luccio, Preparata, "On finding the maxima of a set of vectors", J. ACM 22 (1975): by rising cost, a point is
    /// on the front if it is better than all before it.
    pub(crate) fn front(&self) -> Vec<bool> {
        let known = |p: &Point| p.x.is_finite() && p.y.is_finite();
        let mut order: Vec<usize> = (0..self.points.len()).filter(|&i| known(&self.points[i])).collect();
        let point = |i: usize| (self.points[i].x, self.points[i].y);
        order.sort_by(|&a, &b| {
            let ((ax, ay), (bx, by)) = (point(a), point(b));
            // Of equal costs the best first.
            ax.total_cmp(&bx).then_with(|| self.metric.compare(by, ay))
        });
        let mut front = vec![false; self.points.len()];
        let mut best: Option<(f64, f64)> = None;
        for i in order {
            let (x, y) = point(i);
            let better = best.is_none_or(|(_, value)| self.metric.is_better(y, value));
            // Points of the same place do not dominate each other.
            if better || best == Some((x, y)) {
                front[i] = true;
                best = Some((x, y));
            }
        }
        front
    }

    /// Draws the plot.
    pub(crate) fn draw(&self, size: Size) -> String {
        let edge = self.edge();
        let drawn = |y: f64| if self.is_beyond(y) { edge } else { y };
        let limit = self.baseline.zip(self.max_drop).map(|(value, drop)| self.worse_by(value, drop));
        let shown = || self.points.iter().map(|p| drawn(p.y)).chain(limit).filter(|y| y.is_finite());
        let low = shown().fold(f64::INFINITY, f64::min);
        let high = shown().fold(f64::NEG_INFINITY, f64::max);
        let costs = self.points.iter().flat_map(|p| [Some(p.x), p.range.map(|range| range.1)]).flatten();
        let most = costs.filter(|x| x.is_finite()).map(|x| x * self.x_factor).fold(0.0, f64::max);
        let narrow = size.width < 500.0;
        // The cost axis starts at zero: distances on it are then true to scale.
        let x = Axis::round(0.0, most * 1.04, if narrow { 4 } else { 8 });
        // No metric has values below zero, and no share one above a hundred.
        let (least_pad, most) = match self.metric.unit() {
            Unit::Percent => (0.05, 100.0),
            _ => (0.005, f64::INFINITY),
        };
        let pad = ((high - low) * 0.06).max(least_pad);
        let mut frame = Frame::new(size, x, Axis::round((low - pad).max(0.0), (high + pad).min(most), 6));
        frame.right -= 6.0;

        let title = self.metric.title();
        let count = self.points.iter().filter(|p| p.mark != Mark::Baseline).count();
        let label = format!("{count} candidates by {} and validation {title}", self.x_name);
        let mut svg = Svg::new(size.width, size.height, &label);
        frame.draw(&mut svg, self.x_name, &measure::axis(self.metric));
        if let Some((limit, drop)) = limit.zip(self.max_drop) {
            let y = frame.y(limit);
            // The worse side is forbidden.
            let (top, bottom, baseline) = match self.metric.direction() {
                Direction::HigherIsBetter => (y, frame.bottom, y + 15.0),
                Direction::LowerIsBetter => (frame.top, y, y - 6.0),
            };
            svg.rect((frame.left, top), (frame.right - frame.left, bottom - top), "forbidden", "");
            svg.line((frame.left, y), (frame.right, y), "limit");
            let text = format!("max-drop {}", measure::limit(self.metric, drop));
            svg.text((frame.right - 4.0, baseline), Anchor::End, "limit-name", &text);
        }
        let front = self.front();
        let mut joined: Vec<&Point> = self
            .points
            .iter()
            .zip(&front)
            .filter(|(p, on)| **on && !self.is_beyond(p.y))
            .map(|(p, _)| p)
            .collect();
        joined.sort_by(|a, b| a.x.total_cmp(&b.x));
        let line = joined.iter().map(|p| frame.point(p.x * self.x_factor, p.y));
        if joined.len() > 1 {
            svg.path(&polyline(line), "pareto", "not dominated: no other is cheaper and as good");
        }
        // Refused ones first: what was accepted lies on top.
        for wanted in [Mark::Refused, Mark::Accepted, Mark::Baseline, Mark::Chosen] {
            for (point, on_front) in self.points.iter().zip(&front).filter(|(p, _)| p.mark == wanted) {
                let at = frame.point(point.x * self.x_factor, drawn(point.y));
                let beyond = self.is_beyond(point.y).then_some(self.metric.direction());
                // What is named stays in full colour.
                let pale =
                    if *on_front || matches!(wanted, Mark::Baseline | Mark::Chosen) { "" } else { " pale" };
                if let Some((low, high)) = point.range {
                    let ends = [low, high].map(|x| frame.point(x * self.x_factor, drawn(point.y)));
                    svg.line(ends[0], ends[1], &format!("whisker {}{pale}", point.class));
                }
                draw_mark(&mut svg, point, at, beyond, pale);
            }
        }
        let place = |p: &Point| frame.point(p.x * self.x_factor, drawn(p.y));
        for point in self.points.iter().filter(|p| matches!(p.mark, Mark::Baseline | Mark::Chosen)) {
            // Other marks only: a name may touch its own.
            let others: Vec<_> = self.points.iter().filter(|p| p.name != point.name).map(place).collect();
            name_mark(&mut svg, &frame, place(point), &point.name, &others);
        }
        svg.finish()
    }
}

/// `beyond` is set where the point lies beyond the edge, which is the lower one where higher is better.
///
/// `pale` is empty or a style class with a space before it.
fn draw_mark(svg: &mut Svg, point: &Point, (x, y): (f64, f64), beyond: Option<Direction>, pale: &str) {
    let shape = |dx: f64, dy: f64, rest: &str| format!("M{} {}{rest}z", number(x + dx), number(y + dy));
    if let Some(direction) = beyond {
        let triangle = match direction {
            Direction::HigherIsBetter => shape(-4.5, -8.0, "l9 0l-4.5 8"),
            Direction::LowerIsBetter => shape(-4.5, 8.0, "l9 0l-4.5 -8"),
        };
        return svg.path(&triangle, &format!("mark refused {}{pale}", point.class), &point.title);
    }
    match point.mark {
        Mark::Baseline => {
            svg.path(&shape(0.0, -7.5, "l7.5 7.5l-7.5 7.5l-7.5 -7.5"), "mark base", &point.title);
        }
        Mark::Chosen => {
            svg.circle((x, y), 11.0, &format!("halo {}", point.class), "");
            svg.circle((x, y), 6.5, &format!("mark {}", point.class), &point.title);
        }
        Mark::Accepted => svg.circle((x, y), 5.0, &format!("mark {}{pale}", point.class), &point.title),
        Mark::Refused => {
            svg.circle((x, y), 4.5, &format!("mark refused {}{pale}", point.class), &point.title);
        }
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
                range: None,
                title: String::new(),
            })
            .collect();
        let metric = Metric::Top1;
        Plot { x_name: "MB", x_factor: 1e-6, metric, points, baseline: Some(90.0), max_drop: Some(0.5) }
    }

    /// The definition, pair by pair.
    fn dominated(plot: &Plot, i: usize) -> bool {
        let at = &plot.points[i];
        plot.points.iter().any(|other| {
            let (cheap, good) = (other.x <= at.x, !plot.metric.is_better(at.y, other.y));
            let more = other.x < at.x || plot.metric.is_better(other.y, at.y);
            cheap && good && more
        })
    }

    #[test]
    fn the_front_is_what_no_other_point_dominates() {
        let mut state = 1u64;
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 33) % n) as f64
        };
        for metric in [Metric::Top1, Metric::LogLoss] {
            for count in 0..40 {
                // Few values, so that many are equal.
                let mut plot = plot(&(0..count).map(|_| draw(7)).collect::<Vec<_>>());
                plot.metric = metric;
                plot.points.iter_mut().for_each(|p| p.x = draw(5));
                let want: Vec<bool> = (0..count).map(|i| !dominated(&plot, i)).collect();
                assert_eq!(plot.front(), want, "{metric} {:?}", plot.points);
            }
        }
        // The other direction is another front.
        let mut one = plot(&[90.0, 80.0]);
        (one.points[0].x, one.points[1].x) = (1.0, 2.0);
        assert_eq!(one.front(), [true, false]);
        one.metric = Metric::LogLoss;
        assert_eq!(one.front(), [true, true]);
    }

    #[test]
    fn the_front_is_joined_and_the_rest_is_pale() {
        let mut plot = plot(&[89.0, 89.9, 89.5]);
        for (point, x) in plot.points.iter_mut().zip([1e6, 2e6, 3e6]) {
            point.x = x;
        }
        plot.points[0].range = Some((0.9e6, 1.2e6));
        let svg = plot.draw(Size { width: 600.0, height: 300.0 });
        let line = svg.split("<path").find(|p| p.contains("pareto")).expect("a line");
        assert_eq!(line.matches('L').count(), 1, "two points: {line}");
        assert_eq!(svg.matches(" pale\"").count(), 1, "{svg}");
        assert_eq!(svg.matches("whisker").count(), 1);
        plot.points.truncate(1);
        assert!(!plot.draw(Size { width: 600.0, height: 300.0 }).contains("pareto"), "one point is no line");
    }

    #[test]
    fn collapsed_candidates_do_not_stretch_the_axis() {
        let plot = plot(&[89.8, 88.0, 10.0]);
        assert_eq!(plot.edge(), 86.0);
        assert_eq!(plot.beyond(), 1);
        let svg = plot.draw(Size { width: 600.0, height: 300.0 });
        assert!(svg.contains(">86<") && !svg.contains(">20<"), "{svg}");
    }

    #[test]
    fn where_less_is_better_the_upper_side_is_the_bad_one() {
        let mut plot = plot(&[0.29, 0.33, 9.0]);
        (plot.metric, plot.baseline, plot.max_drop) = (Metric::LogLoss, Some(0.3), Some(0.02));
        assert_eq!(plot.edge(), 0.5);
        assert_eq!(plot.beyond(), 1);
        let svg = plot.draw(Size { width: 600.0, height: 300.0 });
        for part in ["validation log loss<", "max-drop 0.02<", "l9 0l-4.5 -8"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(!svg.contains("points<") && !svg.contains("%<") && !svg.contains(">9<"), "{svg}");
        let forbidden = svg.split("<rect").find(|r| r.contains("forbidden")).expect("a forbidden part");
        assert!(forbidden.contains("y=\"24\""), "from the upper end of the plot: {forbidden}");
        // With top-1 the same numbers are all within reach of the baseline.
        plot.metric = Metric::Top1;
        assert_eq!(plot.beyond(), 0);
    }

    #[test]
    fn no_points_and_no_baseline_still_draw() {
        let mut empty = plot(&[]);
        empty.baseline = None;
        let svg = empty.draw(Size { width: 600.0, height: 300.0 });
        assert!(svg.ends_with("</svg>") && !svg.contains("NaN"));
    }
}
