//! The verbs that only look: report, data show.

use std::sync::atomic::AtomicBool;

use oculist_report::terminal;
use oculist_text::visible;

use super::{print, print_as_is, watched};
use crate::args::{CompareArgs, DataArgs, ReportArgs, ReportVerb, RequiredSourceArg};

pub(crate) fn report(args: &ReportArgs, quiet: bool) -> anyhow::Result<()> {
    let run = match (&args.verb, &args.run) {
        (Some(ReportVerb::Compare(args)), _) => return compare(args, quiet),
        (None, Some(run)) => run,
        // Clap asks for one of the two.
        (None, None) => anyhow::bail!("expected the folder of a finished run, found none"),
    };
    let stop = AtomicBool::new(false);
    let (summary, path) = watched(quiet, &stop, |watch| oculist::report_again(run, args.print, watch))?;
    if quiet && !args.print {
        return Ok(());
    }
    print(&terminal::before_after(&summary))?;
    print(&terminal::candidates(&summary))?;
    if let Some(path) = path {
        print(&visible(&path.to_string_lossy()))?;
    }
    Ok(())
}

fn compare(args: &CompareArgs, quiet: bool) -> anyhow::Result<()> {
    let mut options = oculist::CompareOptions::new(&args.output);
    options.replace = args.force;
    let runs = oculist::compare_runs(&args.runs, &options)?;
    if quiet {
        return Ok(());
    }
    print(&oculist_report::runs_table(&runs))?;
    print(&visible(&args.output.to_string_lossy()))
}

pub(crate) fn data_show(source: &RequiredSourceArg, args: &DataArgs, json: bool) -> anyhow::Result<()> {
    let shown = oculist::show_data(&source.settings().over(args.settings()))?;
    if json { print_as_is(&serde_json::to_string_pretty(&shown)?) } else { print(&shown.to_string()) }
}
