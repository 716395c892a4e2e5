//! The verbs that make a run folder: optimize, train, compress.

use std::sync::atomic::AtomicBool;

use oculist::{Finished, Progress, Recipe, Settings, Watch};
use oculist_report::terminal;

use super::{local, no_pretrained, one_network, print, print_paths};
use crate::args::{CompressArgs, OptimizeArgs, TrainArgs};
use crate::settings::{compression, data, network, reading, run_options, training};
use crate::terminal::Terminal;

pub(crate) fn optimize(args: &OptimizeArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    one_network(args.model.as_deref(), args.network.arch.as_ref());
    no_pretrained(args.network.pretrained.as_ref(), args.network.arch.as_ref());
    let model = args.model.as_deref().map(|model| local(model, quiet)).transpose()?;
    let flags = Settings { model, ..Settings::default() }
        .over(data(args.source.data.as_deref(), &args.data))
        .over(reading(&args.reading, None, None))
        .over(network(&args.network))
        .over(training(&args.training))
        .over(compression(&args.compression));
    let recipe = args.recipe.as_deref().map(Recipe::read).transpose()?;
    let (options, settings) = run_options(&args.output, "optimize", flags, recipe.as_ref())?;
    let recipe = recipe.unwrap_or_else(|| Recipe::optimize_for(&settings));
    if args.dry_run {
        let mut terminal = Terminal::new(quiet);
        let mut show = |p: Progress<'_>| terminal.show(&p);
        let plan = oculist::plan_recipe(&recipe, &settings, &mut Watch { observer: &mut show, stop })?;
        terminal.clear();
        return print(&oculist::plan_text(&plan));
    }
    watched(quiet, stop, |watch| oculist::run_recipe(&recipe, &settings, &options, watch))
}

pub(crate) fn compress(args: &CompressArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    one_network(args.model.as_deref(), args.arch.as_ref());
    let model = args.model.as_deref().map(|model| local(model, quiet)).transpose()?;
    let flags = Settings { model, ..Settings::default() }
        .over(data(args.source.data.as_deref(), &args.data))
        .over(reading(&args.reading, args.arch.as_ref(), args.image_size))
        .over(training(&args.training))
        .over(compression(&args.compression));
    let (options, settings) = run_options(&args.output, "compress", flags, None)?;
    if settings.model.is_none() {
        anyhow::bail!("--model: expected the trained model, found none on the command line or in --config");
    }
    watched(quiet, stop, |watch| oculist::optimize(&settings, &options, watch))
}

pub(crate) fn train(args: &TrainArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    no_pretrained(args.network.pretrained.as_ref(), args.network.arch.as_ref());
    let flags = data(args.source.data.as_deref(), &args.data)
        .over(network(&args.network))
        .over(training(&args.training));
    let (options, settings) = run_options(&args.output, "train", flags, None)?;
    watched(quiet, stop, |watch| oculist::train(&settings, &options, watch))
}

/// Runs a recipe with progress on standard error and prints its table and where its files are.
fn watched(
    quiet: bool,
    stop: &AtomicBool,
    recipe: impl FnOnce(&mut Watch<'_>) -> Result<Finished, oculist::OculistError>,
) -> anyhow::Result<()> {
    let mut terminal = Terminal::new(quiet);
    let mut show = |p: Progress<'_>| terminal.show(&p);
    let finished = recipe(&mut Watch { observer: &mut show, stop })?;
    terminal.clear();
    if !quiet {
        print(&format!("\n{}", terminal::before_after(&finished.summary)))?;
        print_paths(&finished.files)?;
    }
    Ok(())
}
