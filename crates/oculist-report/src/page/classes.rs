//! Classes: accuracy before and after, confusion, calibration.

use serde::Serialize;

use crate::chart::confusion::{self, MAX_DRAWN};
use crate::chart::reliability::{self, Line};
use crate::chart::{Drawing, Size};
use crate::page::hero::tone;
use crate::{ClassAccuracy, Model, RunSummary, format};

/// Up to this many classes all are shown; beyond, the weakest and those that changed most.
const MAX_LISTED: usize = 24;
/// How many of each are then shown.
const EXTREMES: usize = 12;
const MOST_CONFUSED: usize = 8;

#[derive(Debug, Serialize)]
pub(super) struct Classes {
    pub(super) groups: Vec<Group>,
    /// All classes as a plain table, if the groups leave some out.
    pub(super) all: Vec<ClassRow>,
    /// Names of the compared models: baseline, and the recommended one if it is another.
    pub(super) before: String,
    pub(super) after: Option<String>,
    /// Left and right end of the accuracy axis, percent.
    pub(super) axis: (String, String),
    pub(super) matrices: Vec<Matrix>,
    /// Why there is no matrix, if there is none but could be.
    pub(super) matrix_note: String,
    pub(super) pairs: Vec<PairRow>,
    pub(super) reliability: Option<Drawing>,
}

#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) rows: Vec<ClassRow>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct ClassRow {
    pub(super) class: String,
    pub(super) count: String,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) delta: String,
    pub(super) tone: &'static str,
    /// Places on the axis, percent of its length.
    pub(super) before_at: String,
    pub(super) after_at: String,
    pub(super) from: String,
    pub(super) length: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) drawing: Drawing,
}

#[derive(Debug, Serialize)]
pub(super) struct PairRow {
    pub(super) truth: String,
    pub(super) predicted: String,
    pub(super) count: String,
    pub(super) of: String,
    pub(super) share: String,
    /// Length of the bar, percent of the longest.
    pub(super) length: String,
    /// How often the baseline made the same mistake.
    pub(super) baseline: String,
}

impl Classes {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let before = run.baseline()?;
        let model = run.recommended_model()?;
        let pair = before.name != model.name;
        if model.per_class.is_empty() && model.confusion.is_empty() {
            return None;
        }
        let rows = class_rows(before, model, pair);
        let low = lowest(before, model);
        let (groups, all) = groups(&rows, pair);
        let shown = if pair { vec![model, before] } else { vec![model] };
        Some(Classes {
            groups,
            all,
            before: before.name.clone(),
            after: pair.then(|| model.name.clone()),
            axis: (format!("{low:.0}%"), "100%".to_string()),
            matrices: matrices(run, &shown),
            matrix_note: matrix_note(model),
            pairs: pairs(run, before, model, pair),
            reliability: reliability(before, model, pair),
        })
    }
}

/// The left end of the accuracy axis: the weakest class, rounded down to ten.
fn lowest(before: &Model, after: &Model) -> f64 {
    let all = before.per_class.iter().chain(&after.per_class).filter(|c| c.count > 0).map(|c| c.accuracy);
    let low = all.filter(|a| a.is_finite()).fold(100.0, f64::min);
    (((low - 1.0) / 10.0).floor() * 10.0).clamp(0.0, 90.0)
}

struct RankedRow {
    row: ClassRow,
    accuracy: f64,
    change: f64,
}

fn class_rows(before: &Model, after: &Model, pair: bool) -> Vec<RankedRow> {
    let low = lowest(before, after);
    let place = |accuracy: f64| ((accuracy - low) / (100.0 - low) * 100.0).clamp(0.0, 100.0);
    let old = |i: usize, class: &ClassAccuracy| -> f64 {
        match before.per_class.get(i) {
            Some(same) if same.class == class.class => same.accuracy,
            _ => f64::NAN,
        }
    };
    after
        .per_class
        .iter()
        .enumerate()
        // A class without images has no accuracy.
        .filter(|(_, class)| class.count > 0)
        .map(|(i, class)| {
            let old = if pair { old(i, class) } else { class.accuracy };
            let change = class.accuracy - old;
            let (a, b) = (place(old), place(class.accuracy));
            let text = |v: f64| format!("{v:.1}");
            let row = ClassRow {
                class: class.class.clone(),
                count: format::grouped(class.count),
                before: one_decimal(old),
                after: one_decimal(class.accuracy),
                delta: if pair { format::signed(change, 1) } else { String::new() },
                tone: tone(change, 0.05),
                before_at: text(if a.is_finite() { a } else { b }),
                after_at: text(b),
                from: text(if a.is_finite() { a.min(b) } else { b }),
                length: text(if a.is_finite() { (a - b).abs() } else { 0.0 }),
            };
            RankedRow { row, accuracy: class.accuracy, change }
        })
        .collect()
}

fn one_decimal(value: f64) -> String {
    if value.is_finite() { format!("{value:.1}%") } else { format::NONE.to_string() }
}

fn groups(rows: &[RankedRow], pair: bool) -> (Vec<Group>, Vec<ClassRow>) {
    if rows.is_empty() {
        return (Vec::new(), Vec::new());
    }
    if rows.len() <= MAX_LISTED {
        let rows = rows.iter().map(|r| r.row.clone()).collect();
        return (vec![Group { title: "", rows }], Vec::new());
    }
    let ranked = |key: fn(&RankedRow) -> f64, below: f64| -> Vec<ClassRow> {
        let mut order: Vec<&RankedRow> = rows.iter().filter(|r| key(r) < below).collect();
        order.sort_by(|a, b| key(a).total_cmp(&key(b)));
        order.into_iter().take(EXTREMES).map(|r| r.row.clone()).collect()
    };
    let mut groups = vec![Group { title: "Weakest classes", rows: ranked(|r| r.accuracy, f64::INFINITY) }];
    if pair {
        groups.push(Group { title: "Classes that lost most", rows: ranked(|r| r.change, 0.0) });
    } else {
        groups.push(Group { title: "Strongest classes", rows: ranked(|r| -r.accuracy, f64::INFINITY) });
    }
    groups.retain(|g| !g.rows.is_empty());
    (groups, rows.iter().map(|r| r.row.clone()).collect())
}

/// The names of all classes, as the matrix wants them.
fn names(run: &RunSummary, model: &Model) -> Vec<String> {
    (0..model.classes())
        .map(|i| match model.per_class.get(i) {
            Some(class) if run.data.class_names.is_empty() => class.class.clone(),
            _ => run.class_name(i),
        })
        .collect()
}

fn matrices(run: &RunSummary, models: &[&Model]) -> Vec<Matrix> {
    models
        .iter()
        .enumerate()
        .filter(|(_, m)| is_square(&m.confusion) && m.confusion.len() <= MAX_DRAWN)
        .map(|(i, model)| {
            let names = names(run, model);
            let wide = Size { width: 640.0, height: 640.0 };
            let narrow = Size { width: 340.0, height: 340.0 };
            Matrix {
                id: format!("matrix-{i}"),
                name: model.name.clone(),
                drawing: Drawing::new(wide, narrow, |size| confusion::draw(&model.confusion, &names, size)),
            }
        })
        .collect()
}

fn is_square(matrix: &[Vec<u64>]) -> bool {
    !matrix.is_empty() && matrix.iter().all(|row| row.len() == matrix.len())
}

fn matrix_note(model: &Model) -> String {
    let n = model.classes();
    if n <= MAX_DRAWN {
        return String::new();
    }
    let all = if model.confusion.is_empty() { "all mistakes are" } else { "the full one is" };
    format!(
        "A matrix of {} classes cannot be read as a picture; {all} in summary.json. These are the mistakes made most \
         often.",
        format::grouped(n as u64)
    )
}

fn pairs(run: &RunSummary, before: &Model, model: &Model, pair: bool) -> Vec<PairRow> {
    // With two classes the matrix says it all.
    if (!is_square(&model.confusion) && model.mistakes.is_empty()) || model.classes() <= 2 {
        return Vec::new();
    }
    let names = names(run, model);
    let limit = if model.classes() > MAX_DRAWN { 3 * MOST_CONFUSED } else { MOST_CONFUSED };
    let mut pairs = confusion::most_confused_by(model, limit);
    // A file may name classes that it does not have.
    pairs.retain(|p| p.truth < names.len() && p.predicted < names.len());
    let most = pairs.first().map_or(1, |p| p.count) as f64;
    let listed = |truth: usize, predicted: usize| {
        let same = |m: &&[u64; 3]| m[..2] == [truth as u64, predicted as u64];
        before.mistakes.iter().find(same).map(|m| &m[2])
    };
    let baseline_count = |truth: usize, predicted: usize| {
        let in_matrix = before.confusion.get(truth).and_then(|row| row.get(predicted));
        in_matrix.or_else(|| listed(truth, predicted)).filter(|_| pair)
    };
    pairs
        .iter()
        .map(|p| PairRow {
            truth: names[p.truth].clone(),
            predicted: names[p.predicted].clone(),
            count: format::grouped(p.count),
            of: format::grouped(p.of),
            share: format!("{:.1}%", p.count as f64 / p.of.max(1) as f64 * 100.0),
            length: format!("{:.1}", p.count as f64 / most * 100.0),
            baseline: baseline_count(p.truth, p.predicted).map_or(String::new(), |&c| format::grouped(c)),
        })
        .collect()
}

fn reliability(before: &Model, model: &Model, pair: bool) -> Option<Drawing> {
    if model.calibration.is_empty() {
        return None;
    }
    let mut lines = Vec::new();
    if pair && !before.calibration.is_empty() {
        lines.push(Line { name: &before.name, class: "line s0", bins: &before.calibration });
    }
    lines.push(Line { name: &model.name, class: "line s1", bins: &model.calibration });
    let wide = Size { width: 360.0, height: 340.0 };
    let narrow = Size { width: 340.0, height: 320.0 };
    Some(Drawing::new(wide, narrow, |size| reliability::draw(&lines, size)))
}
