//! The verbs that make a run folder: optimize, train, compress.

use std::sync::atomic::AtomicBool;

use oculist::{Finished, Progress, Recipe, Settings, StartSettings, Watch};
use oculist_report::terminal;

use super::transfer::sources;
use super::{local, no_pretrained, one_network, print, print_paths};
use crate::args::{CompressArgs, OptimizeArgs, TrainArgs};
use crate::settings::run_options;
use crate::terminal::Terminal;

pub(crate) fn optimize(args: &OptimizeArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let OptimizeArgs {
        source,
        data,
        start,
        transfer,
        reading,
        network,
        training,
        tuning,
        compression,
        output,
        recipe,
        dry_run,
    } = args;
    one_network(start.model.as_deref(), network.network.arch.as_ref());
    no_pretrained(network.pretrained.as_ref(), network.network.arch.as_ref());
    let flags = starting(start, quiet)?
        .over(sources(transfer, quiet)?)
        .over(source.clone().into())
        .over(data.settings())
        .over(reading.clone().into())
        .over(network.network.clone().into())
        .over(training.clone().into())
        .over(tuning.clone().into())
        .over(compression.clone().into());
    let recipe = recipe.as_deref().map(Recipe::read).transpose()?;
    let (options, settings) = run_options(output, "optimize", flags, recipe.as_ref())?;
    let recipe = recipe.unwrap_or_else(|| Recipe::optimize_for(&settings));
    if *dry_run {
        let mut terminal = Terminal::new(quiet);
        let mut show = |p: Progress<'_>| terminal.show(&p);
        let plan = oculist::plan_recipe(&recipe, &settings, &mut Watch { observer: &mut show, stop })?;
        terminal.clear();
        return print(&oculist::plan_text(&plan));
    }
    watched(quiet, stop, |watch| oculist::run_recipe(&recipe, &settings, &options, watch))
}

pub(crate) fn compress(args: &CompressArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let CompressArgs { source, data, start, reading, file, training, tuning, compression, output } = args;
    one_network(start.start.model.as_deref(), file.arch.as_ref());
    let flags = starting(&start.start, quiet)?
        .over(source.source.clone().into())
        .over(data.settings())
        .over(reading.clone().into())
        .over(file.settings())
        .over(training.clone().into())
        .over(tuning.clone().into())
        .over(compression.clone().into());
    let (options, settings) = run_options(output, "compress", flags, None)?;
    if settings.model.is_none() {
        anyhow::bail!("--model: expected the trained model, found none on the command line or in --config");
    }
    watched(quiet, stop, |watch| oculist::optimize(&settings, &options, watch))
}

pub(crate) fn train(args: &TrainArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let TrainArgs { source, data, network, training, output } = args;
    no_pretrained(network.pretrained.as_ref(), network.network.arch.as_ref());
    let flags = Settings::from(source.source.clone())
        .over(data.settings())
        .over(network.network.clone().into())
        .over(training.clone().into());
    let (options, settings) = run_options(output, "train", flags, None)?;
    watched(quiet, stop, |watch| oculist::train(&settings, &options, watch))
}

/// The model to begin with, as a local file.
fn starting(start: &StartSettings, quiet: bool) -> anyhow::Result<Settings> {
    let model = start.model.as_deref().map(|model| local(model, quiet)).transpose()?;
    Ok(Settings { model, ..Settings::default() })
}

/// Runs a recipe with progress on standard error and prints its table and where its files are.
pub(super) fn watched(
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
