//! The report page: one HTML file that needs nothing else.
//!
//! Each section has a context struct of ready-formatted strings, built here from the summary, and a template in
//! `src/templates`. What the run does not have is `None`, and its section is left out.

mod chance;
mod classes;
mod compression;
mod data;
mod hero;
mod labels;
mod reject;
mod samples;
mod steps;
mod table;
mod tradeoff;
mod training;
mod transfer;

use std::fmt::Write as _;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, escape_formatter};
use oculist_text::visible_lines;
use serde::Serialize;

use crate::comparison::Comparison;
use crate::{ReportError, RunSummary, Task, format, measure, verdict};

pub(crate) use samples::{Picture, picture};
pub use table::table_html;

/// The templates by name; the name's ending turns HTML escaping on.
const TEMPLATES: [(&str, &str); 22] = [
    ("base.html", include_str!("templates/base.html")),
    ("audit.html", include_str!("templates/audit.html")),
    ("audit.css", include_str!("templates/audit.css")),
    ("augment_check.html", include_str!("templates/augment_check.html")),
    ("preview.html", include_str!("templates/preview.html")),
    ("runs.html", include_str!("templates/runs.html")),
    ("page.html", include_str!("templates/page.html")),
    ("hero.html", include_str!("templates/hero.html")),
    ("chance.html", include_str!("templates/chance.html")),
    ("comparison.html", include_str!("templates/comparison.html")),
    ("comparison_table.html", include_str!("templates/comparison_table.html")),
    ("table.html", include_str!("templates/table.html")),
    ("steps.html", include_str!("templates/steps.html")),
    ("tradeoff.html", include_str!("templates/tradeoff.html")),
    ("training.html", include_str!("templates/training.html")),
    ("classes.html", include_str!("templates/classes.html")),
    ("labels.html", include_str!("templates/labels.html")),
    ("transfer.html", include_str!("templates/transfer.html")),
    ("reject.html", include_str!("templates/reject.html")),
    ("samples.html", include_str!("templates/samples.html")),
    ("compression.html", include_str!("templates/compression.html")),
    ("data.html", include_str!("templates/data.html")),
];
const STYLE: &str = include_str!("templates/style.css");
const SCRIPT: &str = include_str!("templates/script.js");

/// What every page has, in `base.html`: title, icon, generator, links to its sections, the button for the theme.
#[derive(Debug, Serialize)]
pub(crate) struct Base {
    style: &'static str,
    script: &'static str,
    title: String,
    version: String,
    /// Anchor and name of each section that is there.
    sections: Vec<(String, String)>,
}

impl Base {
    /// A page without links, written by this version of oculist.
    pub(crate) fn new(title: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            style: STYLE,
            script: SCRIPT,
            title: title.into(),
            version: version.into(),
            sections: Vec::new(),
        }
    }

    /// The same with links to these anchors.
    pub(crate) fn with_sections<S: Into<String>>(
        mut self,
        sections: impl IntoIterator<Item = (S, S)>,
    ) -> Self {
        self.sections = sections.into_iter().map(|(id, name)| (id.into(), name.into())).collect();
        self
    }
}

/// Renders the page of this template, which extends `base.html`.
///
/// # Errors
/// [`ReportError::Template`] if the template fails.
pub(crate) fn render(template: &str, base: Base, content: impl Serialize) -> Result<String, ReportError> {
    #[derive(Serialize)]
    struct Whole<C> {
        #[serde(flatten)]
        base: Base,
        #[serde(flatten)]
        content: C,
    }
    let whole = Whole { base, content };
    Ok(environment_with_templates()?.get_template(template)?.render(Serde(whole))?)
}

/// A name and its value.
#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

impl Fact {
    fn new(name: &'static str, value: impl Into<String>) -> Self {
        Fact { name, value: value.into() }
    }
}

/// Everything the templates use.
#[derive(Serialize)]
struct Page<'a> {
    subject: String,
    hero: hero::Hero,
    comparison: Option<Comparison>,
    /// How the numbers of the comparison were measured.
    measured: String,
    warnings: &'a [String],
    steps: Option<steps::Steps>,
    tradeoff: Option<tradeoff::Tradeoff>,
    training: Option<training::Training>,
    classes: Option<classes::Classes>,
    labels: Option<labels::Labels>,
    transfer: Option<transfer::Carried>,
    reject: Option<reject::Rejecting>,
    samples: Option<samples::Samples>,
    augmented: Option<samples::Augmented>,
    compression: Option<compression::Compression>,
    data: data::DataSection,
    /// Name of the model whose answers are in `predictions.csv`; empty without it.
    predictions_of: String,
    command: &'a str,
    config: &'a str,
    environment: Vec<Fact>,
}

/// Renders `report.html`: styles, script, charts and pictures are inside, nothing is loaded from elsewhere.
///
/// Absent parts of the summary leave out their sections. All strings are escaped.
///
/// # Errors
/// [`ReportError::Template`] if a template fails, which no content of the summary makes it do.
pub fn render_html(run: &RunSummary) -> Result<String, ReportError> {
    let page = Page::new(run);
    let base = Base::new(format!("{} · {}", verdict(run), page.subject), run.oculist_version.as_str());
    render("page.html", base.with_sections(page.sections()), page)
}

/// All templates with the settings of all pages: what is not there is an error, and strings are escaped, for HTML as well as
/// what cannot be seen or turns the direction of writing around, so that no name can change how the text beside it reads.
fn environment_with_templates() -> Result<Environment<'static>, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_formatter(|out, state, value| match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => escape_formatter(out, state, &Value::from(visible_lines(text).into_owned())),
        None => escape_formatter(out, state, value),
    });
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

impl<'a> Page<'a> {
    fn new(run: &'a RunSummary) -> Self {
        let comparison = Comparison::new(run).recommended_first();
        let several = run.task == Task::MultiLabel;
        Page {
            subject: subject(run),
            hero: hero::Hero::new(run),
            comparison: (!comparison.rows.is_empty()).then_some(comparison),
            measured: measured(run),
            warnings: &run.warnings,
            steps: steps::Steps::new(run),
            tradeoff: tradeoff::Tradeoff::new(run),
            training: training::Training::new(run),
            classes: if several { None } else { classes::Classes::new(run) },
            labels: if several { labels::Labels::new(run) } else { None },
            transfer: transfer::Carried::new(run),
            reject: reject::Rejecting::new(run),
            samples: samples::Samples::new(run),
            augmented: samples::Augmented::new(run),
            compression: compression::Compression::new(run),
            data: data::DataSection::new(run),
            predictions_of: run.predictions_of.clone().unwrap_or_default(),
            command: &run.command,
            config: &run.config,
            environment: environment_facts(run),
        }
    }

    /// Anchor and name of each section that is there.
    fn sections(&self) -> Vec<(&'static str, &'static str)> {
        let all = [
            (self.comparison.is_some(), "result", "Result"),
            (self.transfer.is_some(), "transfer", "Transfer"),
            (self.steps.is_some(), "steps", "Steps"),
            (self.tradeoff.is_some(), "tradeoff", "Trade-off"),
            (self.training.is_some(), "training", "Training"),
            (self.classes.is_some() || self.labels.is_some(), "classes", "Classes"),
            (self.reject.is_some(), "reject", "None of these"),
            (self.samples.is_some() || self.augmented.is_some(), "samples", "Samples"),
            (self.compression.is_some(), "compression", "Layers"),
            (true, "data", "Data"),
            (true, "reproduce", "Reproduce"),
        ];
        all.into_iter().filter(|s| s.0).map(|(_, id, name)| (id, name)).collect()
    }
}

/// What was worked on: `ResNet-20 on demo`.
fn subject(run: &RunSummary) -> String {
    match (run.arch.is_empty(), run.data.name.is_empty()) {
        (false, false) => format!("{} on {}", run.arch, run.data.name),
        (false, true) => run.arch.clone(),
        (true, false) => run.data.name.clone(),
        (true, true) => "Oculist run".to_string(),
    }
}

/// How scores and speeds were measured, in sentences.
fn measured(run: &RunSummary) -> String {
    let scores = measure::scores(run.deciding_metric());
    let mut text = if run.is_untested() {
        format!("There are no test images, on which {} would be measured.", scores.to_lowercase())
    } else {
        format!("{scores} are measured on the {} test images.", format::grouped(run.data.test as u64))
    };
    let timed = run.models.iter().any(|m| m.latency_ms.is_some() || m.images_per_s.is_some());
    if timed {
        let threads =
            if run.threads == 1 { "1 thread".to_string() } else { format!("{} threads", run.threads) };
        let _ = write!(text, " Speeds are measured with {threads}");
        if !run.cpu.is_empty() {
            let _ = write!(text, " on {}", run.cpu);
        }
        if !run.instruction_set.is_empty() {
            let _ = write!(text, " ({})", run.instruction_set);
        }
        text.push('.');
    }
    text
}

fn environment_facts(run: &RunSummary) -> Vec<Fact> {
    let mut facts = Vec::new();
    if !run.oculist_version.is_empty() {
        facts.push(Fact::new("Oculist", run.oculist_version.clone()));
    }
    if !run.started.is_empty() {
        facts.push(Fact::new("Started", run.started.clone()));
    }
    facts.push(Fact::new("Duration", format::duration(run.duration_s)));
    facts.push(Fact::new("Seed", run.seed.to_string()));
    facts.push(Fact::new("Threads", run.threads.to_string()));
    let named = [("CPU", &run.cpu), ("Instruction set", &run.instruction_set), ("System", &run.os)];
    facts.extend(named.into_iter().filter(|fact| !fact.1.is_empty()).map(|(name, v)| Fact::new(name, v)));
    facts
}
