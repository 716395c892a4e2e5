//! Learning curves: a quantity over all epochs, with the phases as bands.

use crate::Epoch;
use crate::chart::Size;
use crate::chart::axis::{Axis, Frame};
use crate::format;
use crate::svg::{Anchor, Svg, ellipsis, polyline};

/// One line of a chart: a value for each epoch, NaN where there is none.
pub(crate) struct Series {
    pub(crate) name: String,
    /// Style class of the line.
    pub(crate) class: &'static str,
    pub(crate) values: Vec<f64>,
}

/// A stretch of epochs of one phase: name, first and one past the last index into the history.
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Groups the history into phases.
pub(crate) fn phases(history: &[Epoch]) -> Vec<Phase> {
    let mut phases: Vec<Phase> = Vec::new();
    for (i, epoch) in history.iter().enumerate() {
        match phases.last_mut() {
            // A phase that starts again at a lower epoch is another phase of the same name.
            Some(last) if last.name == epoch.phase && history[i - 1].epoch < epoch.epoch => last.end = i + 1,
            _ => phases.push(Phase { name: epoch.phase.clone(), start: i, end: i + 1 }),
        }
    }
    phases
}

/// Draws the series over the epochs, counted on through all phases.
pub(crate) fn draw(
    history: &[Epoch],
    phases: &[Phase],
    series: &[Series],
    y_name: &str,
    unit: &str,
    size: Size,
) -> String {
    let finite = || series.iter().flat_map(|s| &s.values).copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    // Half an epoch of room on both sides, so that bands end between two epochs.
    let x = Axis::whole(0.5, history.len() as f64 + 0.5, if size.width < 400.0 { 5 } else { 8 });
    let mut frame = Frame::new(size, x, Axis::round(low, high, 5));
    if phases.len() > 1 {
        // Room for the names of the phases, which would cross the lines inside the plot.
        frame.top += 18.0;
    }

    let label = format!("{y_name} over {} epochs", history.len());
    let mut svg = Svg::new(size.width, size.height, &label);
    for (i, phase) in phases.iter().enumerate() {
        let (left, right) = (frame.x(phase.start as f64 + 0.5), frame.x(phase.end as f64 + 0.5));
        let class = if i % 2 == 0 { "band" } else { "band alt" };
        svg.rect((left, frame.top), (right - left, frame.bottom - frame.top), class, &phase.name);
        if i > 0 {
            svg.line((left, frame.top), (left, frame.bottom), "phase-edge");
        }
        let columns = ((right - left - 8.0) / 6.4).max(0.0) as usize;
        if phases.len() > 1 && columns >= 4 {
            let name = ellipsis(&phase.name, columns);
            svg.text((left + 2.0, frame.top - 6.0), Anchor::Start, "phase-name", &name);
        }
    }
    frame.draw(&mut svg, "epoch", y_name);
    for line in series {
        for phase in phases {
            let points = (phase.start..phase.end).map(|i| frame.point(i as f64 + 1.0, line.values[i]));
            svg.path(&polyline(points), line.class, "");
        }
        // Dots carry the exact numbers; with many epochs they are too small to hit, but still there.
        let radius = if history.len() > 60 { 1.6 } else { 2.4 };
        for (i, epoch) in history.iter().enumerate().filter(|(i, _)| line.values[*i].is_finite()) {
            let value = format::sig3(line.values[i]);
            let title = format!("{}, epoch {}: {} {value}{unit}", epoch.phase, epoch.epoch, line.name);
            svg.circle(
                frame.point(i as f64 + 1.0, line.values[i]),
                radius,
                &format!("dot {}", line.class),
                &title,
            );
        }
    }
    svg.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_phases_in_a_row_are_told_apart_by_the_epoch() {
        let epoch = |phase: &str, epoch| Epoch { phase: phase.into(), epoch, ..Epoch::default() };
        let history =
            [epoch("baseline", 1), epoch("baseline", 2), epoch("fine-tune", 1), epoch("fine-tune", 1)];
        let found: Vec<_> = phases(&history).into_iter().map(|p| (p.name, p.start, p.end)).collect();
        let want = [("baseline".into(), 0, 2), ("fine-tune".into(), 2, 3), ("fine-tune".to_string(), 3, 4)];
        assert_eq!(found, want);
    }

    #[test]
    fn a_loss_that_exploded_does_not_break_the_drawing() {
        let history = vec![Epoch { phase: "baseline".into(), epoch: 1, ..Epoch::default() }; 2];
        let series = [Series { name: "loss".into(), class: "s1", values: vec![f64::NAN, f64::INFINITY] }];
        let svg =
            draw(&history, &phases(&history), &series, "loss", "", Size { width: 300.0, height: 200.0 });
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
