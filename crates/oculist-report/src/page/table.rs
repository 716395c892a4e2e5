//! The before/after table alone, for a notebook or a page of one's own.

use minijinja::value::Serde;
use serde::Serialize;

use crate::comparison::Comparison;
use crate::page::{environment_with_templates, measured};
use crate::{ReportError, RunSummary, verdict};

/// What its template uses.
#[derive(Serialize)]
struct TableContext {
    verdict: String,
    comparison: Option<Comparison>,
    measured: String,
}

/// The before/after table as a piece of HTML with its own few styles, under the verdict: for notebooks (`_repr_html_`) and
/// for pages of one's own.
///
/// It needs nothing else and changes nothing around it: its styles hold within it, its colours are those of the text
/// around. All strings are escaped. A run without models gets its verdict alone.
///
/// # Panics
/// If a template of this crate fails, which no content of the summary makes it do.
pub fn table_html(run: &RunSummary) -> String {
    render(run).expect("the template of the table is part of the program")
}

fn render(run: &RunSummary) -> Result<String, ReportError> {
    let comparison = Comparison::new(run).recommended_first();
    let context = TableContext {
        verdict: verdict(run),
        comparison: (!comparison.rows.is_empty()).then_some(comparison),
        measured: measured(run),
    };
    Ok(environment_with_templates()?.get_template("table.html")?.render(Serde(context))?)
}
