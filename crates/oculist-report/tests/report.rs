//! The report as its readers get it: files against the documented schema, the page in a real HTML parser.

#[path = "../examples/sample_report/sample_run.rs"]
mod sample_run;

#[path = "report/audit.rs"]
mod audit;
#[path = "report/contrast.rs"]
mod contrast;
#[path = "report/dom.rs"]
mod dom;
#[path = "report/labels.rs"]
mod labels;
#[path = "report/metric.rs"]
mod metric;
#[path = "report/page.rs"]
mod page;
#[path = "report/runs.rs"]
mod runs;
#[path = "report/schema.rs"]
mod schema;
#[path = "report/tables.rs"]
mod tables;
