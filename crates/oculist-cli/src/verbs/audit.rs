//! `data check`, `data split` and `data fix`.

use std::sync::atomic::AtomicBool;

use oculist::{
    CheckOptions, FixOptions, Grouping, LabelOptions, SplitOptions, check_data, fix_data, split_data,
};
use oculist_report::{Align, Table};
use oculist_text::visible;

use super::{print, print_paths, watched};
use crate::args::{CheckArgs, FixArgs, SplitArgs};
use crate::settings::default_output;

pub(crate) fn check(args: &CheckArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let output = args.output.clone().unwrap_or_else(|| default_output("check", args.source.name()));
    let mut options = CheckOptions::new(output);
    options.json.clone_from(&args.json);
    options.labels = args.labels.then(|| {
        let mut labels = LabelOptions::default();
        (labels.folds, labels.epochs) = (args.folds, args.epochs);
        labels
    });
    let settings = args.source.settings().over(args.data.settings());
    let checked = watched(quiet, stop, |watch| check_data(&settings, &options, watch))?;
    print(&checked.report.table())?;
    if quiet {
        return Ok(());
    }
    print_paths(&checked.files)
}

pub(crate) fn split(args: &SplitArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let expression = args.groups_regex.clone().map(Grouping::Expression);
    let mut options = SplitOptions::new(&args.output);
    options.force = args.force;
    options.fractions = [args.train, args.val, args.test];
    options.groups = args.groups.clone().map(Grouping::Column).or(expression);
    options.duplicates = args.keep_duplicates_together;
    let settings = args.source.settings().over(args.data.settings());
    let splits = watched(quiet, stop, |watch| split_data(&settings, &options, watch))?;
    if quiet {
        return Ok(());
    }
    let right = Align::Right;
    let mut table = Table::new(&[("class", Align::Left), ("train", right), ("val", right), ("test", right)]);
    for (class, name) in splits.classes.iter().enumerate() {
        let counts = splits.counts.iter().map(|counts| counts[class].to_string());
        table.row(std::iter::once(name.clone()).chain(counts));
    }
    let all = splits.counts.iter().map(|counts| counts.iter().sum::<usize>().to_string());
    table.row(std::iter::once("all".to_owned()).chain(all));
    print(&table.to_string())?;
    if options.groups.is_some() || options.duplicates {
        print(&format!("{} groups of several images were kept together", splits.groups))?;
    }
    print(&visible(&options.output.display().to_string()))
}

pub(crate) fn fix(args: &FixArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut options = FixOptions::new(&args.audit, &args.output);
    options.apply.clone_from(&args.apply);
    options.relabel.clone_from(&args.relabel);
    options.force = args.force;
    let fixed = watched(quiet, stop, |watch| fix_data(&options, args.threads, watch))?;
    if quiet {
        return Ok(());
    }
    let mut table = Table::new(&[("what", Align::Left), ("images", Align::Right)]);
    for (kind, n) in &fixed.left_out {
        table.row([format!("left out: {kind}"), n.to_string()]);
    }
    table.row(["new label".to_owned(), fixed.relabelled.to_string()]);
    table.row(["in the manifest".to_owned(), fixed.kept.to_string()]);
    print(&table.to_string())?;
    print(&visible(&options.output.display().to_string()))
}
