//! The candidates of the search: the plot in three views and the table.

use std::fmt::Write as _;

use oculist_metrics::Direction;
use serde::Serialize;

use crate::chart::scatter::{Mark, Plot, Point};
use crate::chart::{Drawing, Size};
use crate::comparison::latency;
use crate::{Candidate, Metric, Model, RunSummary, Spread, format, measure};

const WIDE: Size = Size { width: 1040.0, height: 420.0 };
const NARROW: Size = Size { width: 340.0, height: 320.0 };
/// Number of colours the style sheet has for kinds of candidates.
const KIND_COLOURS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Tradeoff {
    pub(super) intro: String,
    /// What the values are called, and the metric's title.
    pub(super) scores: &'static str,
    pub(super) metric: &'static str,
    /// Which edge candidates that collapsed are drawn on.
    pub(super) edge: Edge,
    pub(super) views: Vec<View>,
    /// Style class and name of each kind.
    pub(super) kinds: Vec<(String, String)>,
    pub(super) has_ratio: bool,
    pub(super) has_latency: bool,
    /// How many were tried; the rows have what they were compared with too.
    pub(super) count: String,
    pub(super) rows: Vec<CandidateRow>,
}

/// Words and mark of an edge of the plot.
#[derive(Debug, Serialize)]
pub(super) struct Edge {
    pub(super) mark: &'static str,
    pub(super) side: &'static str,
    pub(super) name: &'static str,
}

/// The plot over one measure of cost.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) drawing: Drawing,
    /// Number of candidates drawn on the edge because they lie far beyond it.
    pub(super) beyond: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct CandidateRow {
    pub(super) name: String,
    pub(super) kind_class: String,
    pub(super) ratio: String,
    pub(super) value: String,
    pub(super) change: String,
    pub(super) params: String,
    pub(super) macs: String,
    pub(super) bytes: String,
    pub(super) latency: String,
    pub(super) status: &'static str,
    pub(super) reason: String,
}

impl Tradeoff {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let candidates: Vec<&Candidate> = run.candidates.iter().filter(|c| !c.is_reference()).collect();
        if candidates.is_empty() {
            return None;
        }
        let mut kinds: Vec<String> = Vec::new();
        for candidate in &candidates {
            if !kinds.contains(&candidate.kind) {
                kinds.push(candidate.kind.clone());
            }
        }
        let class = |kind: &str| {
            let index = kinds.iter().position(|k| k == kind).unwrap_or(0);
            format!("k{}", index % KIND_COLOURS + 1)
        };
        let baseline = run.baseline();
        let view =
            |id, label, x_name, factor: f64, of: &dyn Fn(&Candidate) -> Option<f64>, base: Option<f64>| {
                let plot = plot(run, (x_name, factor), &class, of, base, id == "latency");
                let enough = plot.points.iter().any(|p| p.mark != Mark::Baseline);
                enough.then(|| View {
                    id,
                    label,
                    beyond: plot.beyond(),
                    drawing: Drawing::new(WIDE, NARROW, |size| plot.draw(size)),
                })
            };
        let (mac_name, mac_factor) = if most(&candidates, baseline, |c| c.macs, |m| m.macs) >= 1e9 {
            ("MACs, billions", 1e-9)
        } else {
            ("MACs, millions", 1e-6)
        };
        let (byte_name, byte_factor) = if most(&candidates, baseline, |c| c.bytes, |m| m.bytes) >= 1e6 {
            ("file size, MB", 1e-6)
        } else {
            ("file size, kB", 1e-3)
        };
        let median = |m: &Model| m.latency_ms.map(|s| s.median);
        let views = [
            view(
                "bytes",
                "File size",
                byte_name,
                byte_factor,
                &|c| Some(c.bytes as f64),
                baseline.map(|m| m.bytes as f64),
            ),
            view("latency", "Latency", "latency, ms", 1.0, &|c| c.latency_ms, baseline.and_then(median)),
            view(
                "macs",
                "MACs",
                mac_name,
                mac_factor,
                &|c| Some(c.macs as f64),
                baseline.map(|m| m.macs as f64),
            ),
        ];
        let metric = run.deciding_metric();
        let base = baseline.and_then(|m| m.val_score(metric));
        Some(Tradeoff {
            intro: intro(run),
            scores: measure::scores(metric),
            metric: metric.title(),
            edge: edge(metric),
            views: views.into_iter().flatten().collect(),
            has_ratio: candidates.iter().any(|c| c.pruning_ratio.is_some()),
            has_latency: candidates.iter().any(|c| c.latency_ms.is_some()),
            count: format::grouped(candidates.len() as u64),
            rows: run.candidates.iter().map(|c| row(metric, c, class(&c.kind), base)).collect(),
            kinds: kinds.iter().map(|k| (class(k), k.clone())).collect(),
        })
    }
}

fn edge(metric: Metric) -> Edge {
    match metric.direction() {
        Direction::HigherIsBetter => Edge { mark: "▾", side: "below", name: "lower" },
        Direction::LowerIsBetter => Edge { mark: "▴", side: "above", name: "upper" },
    }
}

fn most(
    candidates: &[&Candidate],
    baseline: Option<&Model>,
    of: fn(&Candidate) -> u64,
    base: fn(&Model) -> u64,
) -> f64 {
    candidates.iter().map(|c| of(c)).chain(baseline.map(base)).max().unwrap_or(0) as f64
}

fn plot(
    run: &RunSummary,
    (x_name, x_factor): (&'static str, f64),
    class: &dyn Fn(&str) -> String,
    of: &dyn Fn(&Candidate) -> Option<f64>,
    base: Option<f64>,
    timed: bool,
) -> Plot {
    // Tenths, or all there are of older files.
    let ends = |s: Spread| s.p10.zip(s.p90).unwrap_or((s.min, s.max));
    let range = |spread: Option<Spread>| spread.filter(|s| timed && s.runs > 1).map(ends);
    let metric = run.deciding_metric();
    let baseline = run.baseline().and_then(|m| m.val_score(metric)).filter(|value| value.is_finite());
    let mut points: Vec<Point> = Vec::new();
    if let (Some(model), Some(x), Some(y)) = (run.baseline(), base, baseline) {
        let title = format!(
            "{}: {} validation {}, {}",
            model.name,
            metric.format(y),
            metric.title(),
            format::bytes(model.bytes)
        );
        points.push(Point {
            name: model.name.clone(),
            class: String::new(),
            mark: Mark::Baseline,
            x,
            y,
            range: range(model.latency_ms),
            title,
        });
    }
    let has_baseline = !points.is_empty();
    // What the search began from is the baseline, or else a point of its own.
    let is_baseline = |c: &Candidate| {
        has_baseline && run.baseline().is_some_and(|m| (m.bytes, m.params) == (c.bytes, c.params))
    };
    for candidate in run.candidates.iter().filter(|c| !(c.is_reference() && is_baseline(c))) {
        let Some(y) = candidate.value(metric).filter(|y| y.is_finite()) else { continue };
        let Some(x) = of(candidate).filter(|x| x.is_finite()) else { continue };
        let mark = match (candidate.chosen, candidate.accepted) {
            (true, _) => Mark::Chosen,
            (false, true) => Mark::Accepted,
            (false, false) => Mark::Refused,
        };
        points.push(Point {
            name: candidate.name.clone(),
            class: class(&candidate.kind),
            mark,
            x,
            y,
            range: range(candidate.latency),
            title: title(metric, candidate, y),
        });
    }
    Plot { x_name, x_factor, metric, points, baseline, max_drop: run.max_drop }
}

fn title(metric: Metric, candidate: &Candidate, value: f64) -> String {
    let mut text = format!(
        "{}: {} validation {}, {}, {} MACs",
        candidate.name,
        metric.format(value),
        metric.title(),
        format::bytes(candidate.bytes),
        format::count(candidate.macs)
    );
    if let Some(median) = candidate.latency_ms {
        let _ = write!(text, ", {}", latency(median, candidate.latency));
    }
    if !candidate.reason.is_empty() {
        let _ = write!(text, ". {}", candidate.reason);
    }
    text
}

fn intro(run: &RunSummary) -> String {
    let metric = run.deciding_metric();
    // What all are compared with is no candidate.
    let tried = || run.candidates.iter().filter(|c| !c.is_reference());
    let (count, accepted) = (tried().count(), tried().filter(|c| c.accepted).count());
    let mut text = match count {
        1 => "One candidate was tried".to_string(),
        _ => format!("{} candidates were tried", format::grouped(count as u64)),
    };
    match run.max_drop {
        Some(drop) => {
            let _ = write!(
                text,
                "; {accepted} kept within {} of the baseline's validation {}.",
                measure::limit(metric, drop),
                metric.title()
            );
        }
        None => {
            let _ = write!(text, "; {accepted} were accepted.");
        }
    }
    if let Some(chosen) = run.candidates.iter().find(|c| c.chosen) {
        let _ = write!(text, " Chosen: {}.", chosen.name);
    }
    if let Some(target) = &run.target {
        let _ = write!(text, " Target: {target}.");
    }
    text
}

fn row(metric: Metric, candidate: &Candidate, kind_class: String, base: Option<f64>) -> CandidateRow {
    let value = candidate.value(metric);
    CandidateRow {
        name: candidate.name.clone(),
        kind_class,
        ratio: candidate.pruning_ratio.map_or(format::NONE.to_string(), format::share),
        value: measure::text(metric, value),
        change: base
            .map_or(String::new(), |base| measure::difference(metric, base, value.unwrap_or(f64::NAN))),
        params: format::count(candidate.params),
        macs: format::count(candidate.macs),
        bytes: format::bytes(candidate.bytes),
        latency: latency(candidate.latency_ms.unwrap_or(f64::NAN), candidate.latency),
        status: match (candidate.chosen, candidate.accepted) {
            _ if candidate.is_reference() => "reference",
            (true, _) => "chosen",
            (false, true) => "accepted",
            (false, false) => "refused",
        },
        reason: if candidate.is_reference() { String::new() } else { candidate.reason.clone() },
    }
}
