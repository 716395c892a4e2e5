//! The verbs that carry over from a model for another task.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use oculist::{EstimateOptions, FeaturesOptions, Recipe, Settings, TransferSettings};

use super::recipe::watched as run_watched;
use super::{local, print, print_paths, watched};
use crate::args::{EstimateArgs, FeaturesArgs, LookArgs, TransferArgs, TransferVerb};
use crate::settings::run_options;

pub(crate) fn run(args: &TransferArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    if let Some(TransferVerb::Estimate(args)) = &args.verb {
        return estimate(args, quiet, stop);
    }
    let TransferArgs { source, data, transfer, reading, file, training, tuning, output, dry_run, verb: _ } =
        args;
    let flags = sources(transfer, quiet)?
        .over(source.source.clone().into())
        .over(data.settings())
        .over(reading.clone().into())
        .over(file.settings())
        .over(training.clone().into())
        .over(tuning.clone().into());
    let (options, settings) = run_options(output, "transfer", flags, None)?;
    if settings.from.as_ref().is_none_or(Vec::is_empty) {
        anyhow::bail!(
            "--from: expected a model to carry over from, found none on the command line or in --config: an ONNX file, or \
             weights (*.safetensors, *.pth); 'oculist zoo list' says where pretrained ones can be had"
        );
    }
    let recipe = Recipe::transfer_for(&settings);
    if *dry_run {
        let plan = watched(quiet, stop, |watch| oculist::plan_recipe(&recipe, &settings, watch))?;
        return print(&oculist::plan_text(&plan));
    }
    run_watched(quiet, stop, |watch| oculist::run_recipe(&recipe, &settings, &options, watch))
}

fn estimate(args: &EstimateArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let EstimateArgs { look, no_scratch, json } = args;
    let settings = looked_at(look, quiet)?;
    let options = EstimateOptions { scratch: !no_scratch };
    let found = watched(quiet || *json, stop, |watch| oculist::estimate_sources(&settings, &options, watch))?;
    if *json { print(&serde_json::to_string_pretty(&found)?) } else { print(&found.to_string()) }
}

pub(crate) fn features(args: &FeaturesArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let FeaturesArgs { look, output, force } = args;
    let settings = looked_at(look, quiet)?;
    let options = FeaturesOptions { output: output.clone(), force: *force };
    let written = watched(quiet, stop, |watch| oculist::write_features(&settings, &options, watch))?;
    if !quiet {
        print_paths(&written)?;
    }
    Ok(())
}

/// The settings of a verb that makes no run.
fn looked_at(look: &LookArgs, quiet: bool) -> anyhow::Result<Settings> {
    let LookArgs { source, data, transfer, reading, file } = look;
    Ok(sources(transfer, quiet)?
        .over(source.settings())
        .over(data.settings())
        .over(reading.clone().into())
        .over(file.settings()))
}

/// What was said of the sources, as local files; features are kept in the user's cache if nothing else is said.
pub(super) fn sources(transfer: &TransferSettings, quiet: bool) -> anyhow::Result<Settings> {
    let mut settings = Settings::from(transfer.clone());
    if let Some(from) = &transfer.from {
        settings.from = Some(from.iter().map(|path| local(path, quiet)).collect::<anyhow::Result<_>>()?);
        settings.feature_cache = settings.feature_cache.or_else(user_cache);
    }
    Ok(settings)
}

/// `oculist/features` in the user's cache, if there is a home.
pub(super) fn user_cache() -> Option<PathBuf> {
    let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
    cache.filter(|cache| cache.is_absolute()).map(|cache| cache.join("oculist").join("features"))
}
