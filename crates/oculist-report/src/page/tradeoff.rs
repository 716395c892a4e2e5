//! The candidates of the search: the plot in three views and the table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::chart::scatter::{Mark, Plot, Point};
use crate::chart::{Drawing, Size};
use crate::{Candidate, Model, RunSummary, format};

const WIDE: Size = Size { width: 1040.0, height: 420.0 };
const NARROW: Size = Size { width: 340.0, height: 320.0 };
/// Number of colours the style sheet has for kinds of candidates.
const KIND_COLOURS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Tradeoff {
    pub(super) intro: String,
    pub(super) views: Vec<View>,
    /// Style class and name of each kind.
    pub(super) kinds: Vec<(String, String)>,
    pub(super) has_ratio: bool,
    pub(super) has_latency: bool,
    pub(super) rows: Vec<CandidateRow>,
}

/// The plot over one measure of cost.
#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) drawing: Drawing,
    /// Number of candidates drawn on the lower edge because they lie far below it.
    pub(super) below: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct CandidateRow {
    pub(super) name: String,
    pub(super) kind_class: String,
    pub(super) ratio: String,
    pub(super) val_top1: String,
    pub(super) drop: String,
    pub(super) params: String,
    pub(super) macs: String,
    pub(super) bytes: String,
    pub(super) latency: String,
    pub(super) status: &'static str,
    pub(super) reason: String,
}

impl Tradeoff {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let candidates = &run.candidates;
        if candidates.is_empty() {
            return None;
        }
        let mut kinds: Vec<String> = Vec::new();
        for candidate in candidates {
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
                let plot = plot(run, x_name, factor, &class, of, base);
                let enough = plot.points.iter().any(|p| p.mark != Mark::Baseline);
                enough.then(|| View {
                    id,
                    label,
                    below: plot.below(),
                    drawing: Drawing::new(WIDE, NARROW, |size| plot.draw(size)),
                })
            };
        let (mac_name, mac_factor) = if most(candidates, baseline, |c| c.macs, |m| m.macs) >= 1e9 {
            ("MACs, billions", 1e-9)
        } else {
            ("MACs, millions", 1e-6)
        };
        let (byte_name, byte_factor) = if most(candidates, baseline, |c| c.bytes, |m| m.bytes) >= 1e6 {
            ("file size, MB", 1e-6)
        } else {
            ("file size, kB", 1e-3)
        };
        let latency = |m: &Model| m.latency_ms.map(|s| s.median);
        let views = [
            view(
                "bytes",
                "File size",
                byte_name,
                byte_factor,
                &|c| Some(c.bytes as f64),
                baseline.map(|m| m.bytes as f64),
            ),
            view("latency", "Latency", "latency, ms", 1.0, &|c| c.latency_ms, baseline.and_then(latency)),
            view(
                "macs",
                "MACs",
                mac_name,
                mac_factor,
                &|c| Some(c.macs as f64),
                baseline.map(|m| m.macs as f64),
            ),
        ];
        let base_top1 = baseline.and_then(|m| m.val_top1);
        Some(Tradeoff {
            intro: intro(run),
            views: views.into_iter().flatten().collect(),
            has_ratio: candidates.iter().any(|c| c.pruning_ratio.is_some()),
            has_latency: candidates.iter().any(|c| c.latency_ms.is_some()),
            rows: candidates.iter().map(|c| row(c, class(&c.kind), base_top1)).collect(),
            kinds: kinds.iter().map(|k| (class(k), k.clone())).collect(),
        })
    }
}

fn most(
    candidates: &[Candidate],
    baseline: Option<&Model>,
    of: fn(&Candidate) -> u64,
    base: fn(&Model) -> u64,
) -> f64 {
    candidates.iter().map(of).chain(baseline.map(base)).max().unwrap_or(0) as f64
}

fn plot(
    run: &RunSummary,
    x_name: &'static str,
    x_factor: f64,
    class: &dyn Fn(&str) -> String,
    of: &dyn Fn(&Candidate) -> Option<f64>,
    base: Option<f64>,
) -> Plot {
    let baseline_top1 = run.baseline().and_then(|m| m.val_top1);
    let mut points: Vec<Point> = Vec::new();
    if let (Some(model), Some(x), Some(y)) = (run.baseline(), base, baseline_top1) {
        let title = format!(
            "{}: {} validation top-1, {}",
            model.name,
            format::percent(y),
            format::bytes(model.bytes)
        );
        points.push(Point {
            name: model.name.clone(),
            class: String::new(),
            mark: Mark::Baseline,
            x,
            y,
            title,
        });
    }
    for candidate in run.candidates.iter().filter(|c| c.val_top1.is_finite()) {
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
            y: candidate.val_top1,
            title: title(candidate),
        });
    }
    Plot { x_name, x_factor, points, baseline: baseline_top1, max_drop: run.max_drop }
}

fn title(candidate: &Candidate) -> String {
    let mut text = format!(
        "{}: {} validation top-1, {}, {} MACs",
        candidate.name,
        format::percent(candidate.val_top1),
        format::bytes(candidate.bytes),
        format::count(candidate.macs)
    );
    if let Some(latency) = candidate.latency_ms {
        let _ = write!(text, ", {}", format::milliseconds(latency));
    }
    if !candidate.reason.is_empty() {
        let _ = write!(text, ". {}", candidate.reason);
    }
    text
}

fn intro(run: &RunSummary) -> String {
    let count = run.candidates.len();
    let accepted = run.candidates.iter().filter(|c| c.accepted).count();
    let mut text = match count {
        1 => "One candidate was tried".to_string(),
        _ => format!("{} candidates were tried", format::grouped(count as u64)),
    };
    match run.max_drop {
        Some(drop) => {
            let _ = write!(
                text,
                "; {accepted} kept within {} points of the baseline's validation top-1.",
                format::limit(drop)
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

fn row(candidate: &Candidate, kind_class: String, base_top1: Option<f64>) -> CandidateRow {
    CandidateRow {
        name: candidate.name.clone(),
        kind_class,
        ratio: candidate.pruning_ratio.map_or(format::NONE.to_string(), format::share),
        val_top1: format::percent(candidate.val_top1),
        drop: base_top1.map_or(String::new(), |base| format::signed(candidate.val_top1 - base, 2)),
        params: format::count(candidate.params),
        macs: format::count(candidate.macs),
        bytes: format::bytes(candidate.bytes),
        latency: format::milliseconds(candidate.latency_ms.unwrap_or(f64::NAN)),
        status: match (candidate.chosen, candidate.accepted) {
            (true, _) => "chosen",
            (false, true) => "accepted",
            (false, false) => "refused",
        },
        reason: candidate.reason.clone(),
    }
}
