//! The before/after table, for page and terminal alike.

use oculist_metrics::Metric;
use serde::Serialize;

use crate::{Model, RunSummary, Spread, format, measure};

/// Models as columns, measures as rows.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) precision: String,
    pub(crate) recommended: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) label: String,
    /// What is meant, where the label is terse.
    pub(crate) hint: String,
    /// What the ranges of all cells are; empty where they have none.
    pub(crate) range: &'static str,
    /// One cell for each column.
    pub(crate) cells: Vec<Cell>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Cell {
    /// The formatted value.
    pub(crate) text: String,
    /// The unrounded value, for machines; empty if absent or not finite.
    pub(crate) value: String,
    /// The range of a repeated measurement; empty otherwise.
    pub(crate) spread: String,
    /// The difference from the baseline; empty in the baseline's own column.
    pub(crate) delta: String,
    /// `better`, `worse` or `same`, the style class of the difference.
    pub(crate) tone: &'static str,
}

/// How a measure is compared with the baseline's.
#[derive(Clone, Copy)]
enum Delta {
    /// Difference in the metric's unit, better in its direction.
    Of(Metric),
    /// Plain difference, less is better.
    Less,
    /// Factor by which it fell, less is better; the words for a fall and a rise.
    Factor(&'static str, &'static str),
    /// Factor by which it rose, more is better; the words for a rise and a fall.
    Gain(&'static str, &'static str),
    /// Not compared.
    None,
}

impl Comparison {
    /// The same with the recommended model first: what is cut off on a narrow page is not what one looks for.
    #[must_use]
    pub(crate) fn recommended_first(mut self) -> Self {
        if let Some(at) = self.columns.iter().position(|column| column.recommended) {
            self.columns[..=at].rotate_right(1);
            self.rows.iter_mut().for_each(|row| row.cells[..=at].rotate_right(1));
        }
        self
    }

    /// The table of all models of a run in the run's order; no rows if it has none.
    pub(crate) fn new(run: &RunSummary) -> Self {
        let models = &run.models;
        if models.is_empty() {
            return Comparison { columns: Vec::new(), rows: Vec::new() };
        }
        let base = run.baseline().and_then(|b| models.iter().position(|m| m.name == b.name)).unwrap_or(0);
        let recommended = run.recommended_model().map(|m| m.name.as_str());
        let columns = models
            .iter()
            .map(|m| Column {
                name: m.name.clone(),
                file: m.file.clone(),
                precision: m.precision.clone(),
                recommended: models.len() > 1 && Some(m.name.as_str()) == recommended,
            })
            .collect();

        let mut table = Builder { models, base, rows: Vec::new() };
        table.metrics(run);
        table.costs();
        table.speeds();
        Comparison { columns, rows: table.rows }
    }
}

impl Comparison {
    /// The models of several runs, compared with the first: `runs` holds them under the names of their runs, and what the
    /// first run says of task and metric. Differences stand only where the test images or the machine are the same.
    pub(crate) fn across(runs: &RunSummary, same_test: bool, same_machine: bool) -> Self {
        let models = &runs.models;
        if models.is_empty() {
            return Comparison { columns: Vec::new(), rows: Vec::new() };
        }
        let columns = models.iter().map(|m| Column {
            name: m.name.clone(),
            file: m.file.clone(),
            precision: m.precision.clone(),
            recommended: false,
        });
        let columns = columns.collect();
        let mut table = Builder { models, base: 0, rows: Vec::new() };
        table.metrics(runs);
        // What only the others' task has.
        for metric in Metric::ALL.into_iter().filter(|metric| !runs.task.metrics().contains(metric)) {
            table.metric(metric);
        }
        if !same_test {
            table.without_differences(0);
        }
        table.costs();
        let timed = table.rows.len();
        table.speeds();
        if !same_machine {
            table.without_differences(timed);
        }
        Comparison { columns, rows: table.rows }
    }
}

struct Builder<'a> {
    models: &'a [Model],
    base: usize,
    rows: Vec<Row>,
}

impl Builder<'_> {
    /// Adds what the models are made of.
    fn costs(&mut self) {
        self.integer("Parameters", "", ("fewer", "more"), format::count, |m| m.params);
        self.integer("MACs", "multiply-accumulates an image", ("fewer", "more"), format::count, |m| m.macs);
        self.integer("File", "", ("smaller", "larger"), format::bytes, |m| m.bytes);
    }

    /// Adds what was timed.
    fn speeds(&mut self) {
        self.spread("Latency", Delta::Factor("faster", "slower"), " ms", |m| m.latency_ms);
        self.spread("Throughput", Delta::Gain("faster", "slower"), " images/s", |m| m.images_per_s);
    }

    /// Takes the differences out of the rows from `first` on.
    fn without_differences(&mut self, first: usize) {
        for cell in self.rows[first..].iter_mut().flat_map(|row| &mut row.cells) {
            (cell.delta, cell.tone) = (String::new(), "same");
        }
    }

    /// Adds the metric that decided, the hit rates, what decisions rest on, and whatever else was measured.
    fn metrics(&mut self, run: &RunSummary) {
        let deciding = run.deciding_metric();
        let top_5_says_something = run.data.classes == 0 || run.data.classes > 5;
        let others = run.task.metrics().iter().copied();
        let others = others.filter(|&m| m != deciding && (m != Metric::Top5 || top_5_says_something));
        let (hit_rates, rest): (Vec<_>, Vec<_>) =
            others.partition(|metric| matches!(metric, Metric::Top1 | Metric::Top5));
        self.metric(deciding);
        for metric in hit_rates {
            self.metric(metric);
        }
        let label = format!("Validation {}", deciding.title());
        let validated = |m: &Model| m.val_score(deciding);
        self.row(&label, "what decisions rest on", Delta::Of(deciding), |v| deciding.format(v), validated);
        self.row("Agreement", "same answer as the baseline", Delta::None, format::percent, |m| {
            m.agreement_with_baseline
        });
        for metric in rest.iter().copied().filter(|&m| m == Metric::Ece) {
            // Where it does not decide it is a share, as the bins of the diagram below are.
            let share = |m: &Model| m.ece.or_else(|| m.scores.get(metric).map(|percent| percent / 100.0));
            self.row("ECE", "expected calibration error, 0 to 1", Delta::Less, |v| format!("{v:.4}"), share);
        }
        for metric in rest.into_iter().filter(|&m| m != Metric::Ece) {
            self.metric(metric);
        }
    }

    /// Adds a row of a metric on the test split.
    fn metric(&mut self, metric: Metric) {
        let (label, hint) = (measure::label(metric), measure::hint(metric));
        self.row(&label, hint, Delta::Of(metric), |v| metric.format(v), |m| m.score(metric));
    }

    /// Adds a row of plain numbers, unless no model has one.
    fn row(
        &mut self,
        label: &str,
        hint: &str,
        delta: Delta,
        text: impl Fn(f64) -> String,
        value: impl Fn(&Model) -> Option<f64>,
    ) {
        let values: Vec<_> = self.models.iter().map(value).collect();
        if values.iter().all(Option::is_none) {
            return;
        }
        let texts = values.iter().map(|v| v.map(&text)).collect::<Vec<_>>();
        self.push(label, hint, delta, &values, &texts, &vec![String::new(); values.len()]);
    }

    fn integer(
        &mut self,
        label: &str,
        hint: &str,
        (down, up): (&'static str, &'static str),
        text: impl Fn(u64) -> String,
        value: impl Fn(&Model) -> u64,
    ) {
        let numbers: Vec<_> = self.models.iter().map(value).collect();
        let values: Vec<_> = numbers.iter().map(|&n| Some(n as f64)).collect();
        let texts: Vec<_> = numbers.iter().map(|&n| Some(text(n))).collect();
        let empty = vec![String::new(); numbers.len()];
        self.push(label, hint, Delta::Factor(down, up), &values, &texts, &empty);
    }

    fn spread(&mut self, label: &str, delta: Delta, unit: &str, value: impl Fn(&Model) -> Option<Spread>) {
        let spreads: Vec<_> = self.models.iter().map(value).collect();
        let Some(first) = spreads.iter().flatten().next() else { return };
        let values: Vec<_> = spreads.iter().map(|s| s.map(|s| s.median)).collect();
        let texts: Vec<_> =
            spreads.iter().map(|s| s.map(|s| format!("{}{unit}", format::sig3(s.median)))).collect();
        // One label stands for all cells: where one model has no tenths, as of an older file, all show their extremes.
        let tenths = spreads.iter().flatten().all(has_tenths);
        let extremes = |s: &Spread| Spread { p10: None, p90: None, ..*s };
        let shown = |s: &Spread| if tenths { *s } else { extremes(s) };
        let ranges: Vec<_> =
            spreads.iter().map(|s| s.as_ref().map_or(String::new(), |s| range(shown(s)))).collect();
        let label = format!("{label}, batch {}", first.batch);
        let range_name = range_name(&shown(first));
        let same_runs = spreads.iter().flatten().all(|s| s.runs == first.runs);
        let hint = if first.runs > 0 && same_runs {
            format!("median of {} runs; {range_name}", format::grouped(first.runs as u64))
        } else {
            format!("median; {range_name}")
        };
        self.push(&label, &hint, delta, &values, &texts, &ranges);
        if let Some(row) = self.rows.last_mut() {
            row.range = range_name;
        }
    }

    fn push(
        &mut self,
        label: &str,
        hint: &str,
        delta: Delta,
        values: &[Option<f64>],
        texts: &[Option<String>],
        spreads: &[String],
    ) {
        let base = values[self.base];
        let cells = (0..values.len())
            .map(|i| {
                let (delta, tone) = match (base, values[i]) {
                    (Some(before), Some(after)) if i != self.base => delta.compare(before, after),
                    _ => (String::new(), "same"),
                };
                Cell {
                    text: texts[i].clone().unwrap_or_else(|| format::NONE.to_string()),
                    value: values[i].filter(|v| v.is_finite()).map_or(String::new(), |v| v.to_string()),
                    spread: spreads[i].clone(),
                    delta,
                    tone,
                }
            })
            .collect();
        self.rows.push(Row { label: label.to_string(), hint: hint.to_string(), range: "", cells });
    }
}

impl Delta {
    /// The difference in words, and whether it is better or worse.
    fn compare(self, before: f64, after: f64) -> (String, &'static str) {
        let (text, gain) = match self {
            Delta::Of(metric) => return measure::change(metric, before, after),
            Delta::Less => (format::signed(after - before, 4), before - after),
            Delta::Factor(down, up) => (format::factor(before / after, down, up), before - after),
            Delta::Gain(up, down) => (format::factor(after / before, up, down), after - before),
            Delta::None => return (String::new(), "same"),
        };
        let unchanged = text == "same" || text.starts_with('±') || text == format::NONE;
        let tone = if unchanged {
            "same"
        } else if gain > 0.0 {
            "better"
        } else {
            "worse"
        };
        (text, tone)
    }
}

/// Between which values most of the runs lie: `0.812–0.971`; see [`range_name`].
pub(crate) fn range(spread: Spread) -> String {
    let (low, high) = spread.p10.zip(spread.p90).unwrap_or((spread.min, spread.max));
    between(low, high)
}

/// Which values [`range`] gives: one slow run of hundreds says little, so it is the tenths where they are known.
pub(crate) fn range_name(spread: &Spread) -> &'static str {
    if has_tenths(spread) { "10th–90th percentile" } else { "smallest–largest" }
}

fn has_tenths(spread: &Spread) -> bool {
    spread.p10.and(spread.p90).is_some()
}

/// Two numbers as the ends of a range.
pub(crate) fn between(low: f64, high: f64) -> String {
    format!("{}–{}", format::sig3(low), format::sig3(high))
}

/// A latency with the range of its repetitions, where they are known: `0.834 ms (0.812–0.971)`.
pub(crate) fn latency(median: f64, spread: Option<Spread>) -> String {
    let text = format::milliseconds(median);
    match spread.filter(|spread| spread.runs > 1) {
        Some(spread) => format!("{text} ({})", range(spread)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tone_follows_the_direction_of_the_measure() {
        assert_eq!(Delta::Of(Metric::Top1).compare(90.0, 89.0), ("−1.00 points".into(), "worse"));
        assert_eq!(Delta::Of(Metric::LogLoss).compare(0.5, 0.25), ("−0.250".into(), "better"));
        assert_eq!(Delta::Less.compare(0.05, 0.03), ("−0.0200".into(), "better"));
        assert_eq!(Delta::Factor("faster", "slower").compare(1.0, 2.0), ("2.0× slower".into(), "worse"));
        assert_eq!(Delta::Gain("faster", "slower").compare(100.0, 300.0), ("3.0× faster".into(), "better"));
        assert_eq!(Delta::Factor("smaller", "larger").compare(100.0, 100.0), ("same".into(), "same"));
    }

    #[test]
    fn rows_without_numbers_are_left_out() {
        let (top1, top5) = (Some(50.0), Some(80.0));
        let model = Model { name: "baseline".into(), top1, top5, ..Model::default() };
        let table = Comparison::new(&RunSummary { models: vec![model], ..RunSummary::default() });
        let labels: Vec<_> = table.rows.iter().map(|r| r.label.as_str()).collect();
        assert_eq!(labels, ["Top-1", "Top-5", "Parameters", "MACs", "File"]);
    }

    #[test]
    fn ranges_of_one_row_are_all_of_one_kind() {
        let spread = |p10, p90| Spread { median: 2.0, min: 1.0, max: 9.0, p10, p90, runs: 50, batch: 1 };
        let model =
            |name: &str, spread| Model { name: name.into(), latency_ms: Some(spread), ..Model::default() };
        let new = model("new", spread(Some(1.5), Some(3.0)));
        let old = model("old", Spread { runs: 20, ..spread(None, None) });
        let row = |models: &[&Model]| {
            let models = models.iter().copied().cloned().collect();
            let table = Comparison::new(&RunSummary { models, ..RunSummary::default() });
            let row = table.rows.into_iter().find(|row| row.label.starts_with("Latency")).unwrap();
            (row.cells.into_iter().map(|cell| cell.spread).collect::<Vec<_>>(), row.range, row.hint)
        };
        let tenths = ("1.50–3.00", "10th–90th percentile");
        let found = row(&[&new, &new]);
        assert_eq!(found.0, [tenths.0; 2]);
        assert_eq!((found.1, found.2.as_str()), (tenths.1, "median of 50 runs; 10th–90th percentile"));
        // Whichever comes first, the label holds for both, and so does the number of runs.
        for models in [[&new, &old], [&old, &new]] {
            let found = row(&models);
            assert_eq!(found.0, ["1.00–9.00"; 2]);
            assert_eq!((found.1, found.2.as_str()), ("smallest–largest", "median; smallest–largest"));
        }
    }
}
