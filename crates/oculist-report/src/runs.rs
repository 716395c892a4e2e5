//! Several runs on one page: what they recommend, what they were told, how they learned and what they cost.

mod settings;

use serde::Serialize;

use crate::chart::overlay::{self, Curve};
use crate::chart::{Drawing, Size};
use crate::comparison::Comparison;
use crate::page::{Base, render};
use crate::{Align, Epoch, Metric, Model, ReportError, RunSummary, Table, format, measure, table};

use settings::{SettingRow, differing};

const WIDE: Size = Size { width: 520.0, height: 320.0 };
const NARROW: Size = Size { width: 340.0, height: 260.0 };

/// A run to be compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComparedRun {
    /// What it is called on the page; no two are called alike.
    pub name: String,
    /// Its numbers.
    pub summary: RunSummary,
    /// Its settings, flat: the key with the tables that it is in, and the value as text.
    pub settings: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Page {
    runs: Vec<RunView>,
    /// What the runs do not share, so that their numbers are no contest.
    notes: Vec<String>,
    comparison: Comparison,
    base: String,
    costs: Vec<CostRow>,
    settings: Vec<SettingRow>,
    same: String,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct RunView {
    name: String,
    class: String,
    what: String,
    command: String,
}

#[derive(Serialize)]
struct CostRow {
    label: &'static str,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Figure {
    title: String,
    drawing: Drawing,
}

/// Renders the page that compares runs; the differences are from the first. One file that loads nothing; all strings are
/// escaped.
///
/// # Errors
/// [`ReportError::Template`] if a template fails, which no content of the runs makes it do.
pub fn render_runs_html(runs: &[ComparedRun]) -> Result<String, ReportError> {
    let page = page(runs);
    let sections = [
        (true, "result", "Result"),
        (true, "costs", "Costs"),
        (true, "settings", "Settings"),
        (!page.figures.is_empty(), "curves", "Curves"),
        (true, "runs", "Runs"),
    ];
    let sections = sections.into_iter().filter(|section| section.0).map(|(_, id, name)| (id, name));
    let base = Base::new(format!("{} runs compared", runs.len()), env!("CARGO_PKG_VERSION"));
    render("runs.html", base.with_sections(sections), page)
}

/// The recommended models of runs for the terminal, a line each.
pub fn runs_table(runs: &[ComparedRun]) -> String {
    let right = Align::Right;
    let metric = deciding(runs);
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("recommended", Align::Left),
        (metric.title(), right),
        ("params", right),
        ("file", right),
        ("latency", right),
        ("time", right),
    ]);
    for run in runs {
        let model = run.summary.recommended_model().cloned().unwrap_or_default();
        table.row([
            run.name.clone(),
            model.name.clone(),
            table::ascii(&measure::text(metric, model.score(metric))),
            format::count(model.params),
            format::bytes(model.bytes),
            model.latency_ms.map_or("-".to_owned(), |s| table::ascii(&format::milliseconds(s.median))),
            format::duration(run.summary.duration_s),
        ]);
    }
    table.to_string()
}

/// What the first run was decided by.
fn deciding(runs: &[ComparedRun]) -> Metric {
    runs.first().map_or(Metric::Top1, |run| run.summary.deciding_metric())
}

fn page(runs: &[ComparedRun]) -> Page {
    let (settings, alike) = differing(runs);
    Page {
        runs: runs.iter().enumerate().map(|(i, run)| view(i, run)).collect(),
        notes: notes(runs),
        comparison: comparison(runs),
        base: runs.first().map_or(String::new(), |run| run.name.clone()),
        costs: costs(runs),
        settings,
        same: match alike {
            1 => "1 setting is the same in all runs".to_owned(),
            n => format!("{} settings are the same in all runs", format::grouped(n as u64)),
        },
        figures: figures(runs),
    }
}

fn view(index: usize, run: &ComparedRun) -> RunView {
    let (summary, model) = (&run.summary, run.summary.recommended_model());
    let what = [summary.verb.as_str(), &summary.arch, &summary.data.name, &summary.started];
    let mut what: Vec<String> = what.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect();
    if let Some(model) = model {
        what.push(format!("recommends {}", model.name));
    }
    RunView {
        name: run.name.clone(),
        class: overlay::class(index),
        what: what.join(" · "),
        command: summary.command.clone(),
    }
}

/// Whether all runs have the same of something.
fn same<T: PartialEq>(runs: &[ComparedRun], of: impl Fn(&RunSummary) -> T) -> bool {
    runs.windows(2).all(|pair| of(&pair[0].summary) == of(&pair[1].summary))
}

/// Whether the scores are of the same test images, as far as the summaries tell.
fn same_test(runs: &[ComparedRun]) -> bool {
    let told = same(runs, |s| (s.task, s.data.name.clone(), s.data.test, s.data.class_names.clone()));
    // Which images were drawn depends on more than the seed: on what was left out, and on what was kept together. An older
    // file tells of it the seed alone.
    let identities = || runs.iter().map(|run| run.summary.data.test_images.as_ref());
    let known = identities().all(|images| images.is_some());
    told && if known { same(runs, |s| s.data.test_images.clone()) } else { same(runs, |s| s.seed) }
}

/// Whether the speeds are of the same machine; older runs do not say which instructions they used.
fn same_machine(runs: &[ComparedRun]) -> bool {
    let mut told = runs.iter().map(|run| &run.summary.instruction_set).filter(|set| !set.is_empty());
    let first = told.next();
    same(runs, |s| (s.cpu.clone(), s.threads)) && told.all(|set| Some(set) == first)
}

fn notes(runs: &[ComparedRun]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |wrong: bool, text: &str| {
        if wrong {
            notes.push(text.to_owned());
        }
    };
    note(
        !same_test(runs),
        "The runs were measured on different test images or classes, or may have been, since they have different seeds and \
         do not say which images they drew: their scores are shown beside each other, without differences.",
    );
    note(
        !same_machine(runs),
        "The speeds were measured on different processors or with different numbers of threads: they are shown without \
         differences.",
    );
    note(
        !same(runs, RunSummary::deciding_metric),
        "The runs were decided by different metrics; see the settings.",
    );
    note(!same(runs, |s| s.oculist_version.clone()), "The runs were made by different versions of oculist.");
    notes
}

/// The recommended models side by side, each under the name of its run.
fn comparison(runs: &[ComparedRun]) -> Comparison {
    let models = runs.iter().map(|run| {
        let model = run.summary.recommended_model().cloned().unwrap_or_default();
        // The agreement is with each run's own baseline.
        Model { file: model.name, name: run.name.clone(), agreement_with_baseline: None, ..model }
    });
    let first = runs.first().map(|run| run.summary.clone()).unwrap_or_default();
    let across = RunSummary { models: models.collect(), recommended: None, ..first };
    Comparison::across(&across, same_test(runs), same_machine(runs))
}

fn costs(runs: &[ComparedRun]) -> Vec<CostRow> {
    let row = |label, text: &dyn Fn(&RunSummary) -> String| CostRow {
        label,
        cells: runs.iter().map(|run| text(&run.summary)).collect(),
    };
    let training =
        |s: &RunSummary| s.history.iter().map(|e| e.seconds).fold(0.0, |sum, seconds| sum + seconds);
    vec![
        row("Whole run", &|s| format::duration(s.duration_s)),
        row("Training", &|s| match s.history.len() {
            0 => format::NONE.to_owned(),
            _ => format::duration(training(s)),
        }),
        row("Epochs", &|s| format::grouped(s.history.len() as u64)),
        row("Time of an epoch", &|s| match s.history.len() {
            0 => format::NONE.to_owned(),
            n => format::duration(training(s) / n as f64),
        }),
        row("Candidates tried", &|s| {
            format::grouped(s.candidates.iter().filter(|c| !c.is_reference()).count() as u64)
        }),
        row("Threads", &|s| s.threads.to_string()),
        row("CPU", &|s| s.cpu.clone()),
    ]
}

fn figures(runs: &[ComparedRun]) -> Vec<Figure> {
    let figure =
        |title: String, y_name: &str, unit: &str, of: &dyn Fn(&RunSummary, &Epoch) -> Option<f64>| {
            let curve = |(i, run): (usize, &ComparedRun)| Curve {
                name: run.name.clone(),
                class: overlay::class(i),
                values: run.summary.history.iter().map(|e| of(&run.summary, e).unwrap_or(f64::NAN)).collect(),
            };
            let curves: Vec<Curve> = runs.iter().enumerate().map(curve).collect();
            let any = curves.iter().flat_map(|c| &c.values).any(|v| v.is_finite());
            any.then(|| Figure {
                title,
                drawing: Drawing::new(WIDE, NARROW, |size| overlay::draw(&curves, y_name, unit, size)),
            })
        };
    // One plot for each metric that decided somewhere: what another one decided has no values of it.
    let mut metrics: Vec<Metric> = Vec::new();
    for run in runs {
        let metric = run.summary.deciding_metric();
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    let mut all: Vec<Option<Figure>> = metrics
        .into_iter()
        .map(|metric| {
            let of = |s: &RunSummary, e: &Epoch| {
                if s.deciding_metric() == metric { e.value(metric) } else { None }
            };
            figure(measure::topic(metric), &measure::axis(metric), measure::unit(metric), &of)
        })
        .collect();
    all.push(figure("Training loss".into(), "training loss", "", &|_, e| Some(e.train_loss)));
    all.push(figure("Validation loss".into(), "validation loss", "", &|_, e| e.val_loss));
    all.push(figure("Learning rate".into(), "learning rate", "", &|_, e| Some(e.lr).filter(|lr| *lr > 0.0)));
    all.into_iter().flatten().collect()
}
