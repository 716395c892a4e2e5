//! The verbs that use a finished model: eval, predict, bench, export.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use oculist::{EvaluateOptions, ModelOptions, Part, PredictOptions, Progress, Settings, Split, Watch};
use oculist_report::terminal;
use oculist_text::visible;

use super::transfer::user_cache;
use super::{local, one_network, print, print_as_is};
use crate::args::{BenchArgs, EvalArgs, ExportArgs, PredictArgs, SplitArg};
use crate::settings::tta;
use crate::terminal::{Terminal, say, typed};

pub(crate) fn eval(args: &EvalArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut out = Terminal::new(quiet);
    let mut show = |p: Progress<'_>| out.show(&p);
    let part = match args.split {
        SplitArg::Auto => Part::Auto,
        SplitArg::All => Part::All,
        SplitArg::Train => Part::Split(Split::Train),
        SplitArg::Val => Part::Split(Split::Val),
        SplitArg::Test => Part::Split(Split::Test),
    };
    let watch = &mut Watch { observer: &mut show, stop };
    let mut options = EvaluateOptions::default();
    options.part = part;
    options.skip_unknown = args.skip_unknown;
    options.corruptions = args.corruptions.then(|| args.severity.clone());
    options.tta = tta(&args.tta);
    options.baseline = args.baseline.as_deref().map(|path| local(path, quiet)).transpose()?;
    one_network(Some(&args.model), args.file.arch.as_ref());
    let settings = Settings::from(args.reading.clone())
        .over(args.file.settings())
        .over(args.source.settings())
        .over(args.data.settings());
    let found = oculist::evaluate_file(&local(&args.model, quiet)?, &settings, &options, watch)?;
    out.clear();
    if args.json {
        return print_as_is(&serde_json::to_string_pretty(&found)?);
    }
    let mut text = terminal::evaluation(&found.model, &found.class_names);
    let more = [found.tta.map(|t| t.table()), found.robustness.map(|r| r.table())];
    for table in more.into_iter().flatten() {
        text.push('\n');
        text.push_str(&table);
    }
    print(&text)
}

pub(crate) fn predict(args: &PredictArgs, quiet: bool) -> anyhow::Result<()> {
    one_network(Some(&args.model), args.file.arch.as_ref());
    let mut options = PredictOptions::default();
    options.top = args.top;
    options.strict = args.strict;
    options.threads = Settings::from(args.machine.clone()).threads();
    options.max_memory = args.machine.max_memory;
    options.isa = args.machine.isa.unwrap_or_default();
    options.reject = args.reject;
    options.tta = tta(&args.tta);
    options.seed = args.seed.unwrap_or(0);
    options.reading = ModelOptions::of(&Settings::from(args.reading.clone()).over(args.file.settings()));
    options.csv.clone_from(&args.csv);
    options.similar.clone_from(&args.similar);
    options.feature_cache = args.similar.as_ref().and_then(|_| user_cache());
    let oculist::Predicted { notes, predictions, missing, unreadable: named, passed, .. } =
        oculist::predict_files(&local(&args.model, quiet)?, &args.images, &options)?;
    if !quiet {
        for note in &notes {
            say(&typed(note));
        }
        for skip in &passed {
            say(&format!("passed over: {}: {}", skip.path.display(), skip.reason));
        }
    }
    if predictions.is_empty() {
        anyhow::bail!("found no image file in the folders given");
    }
    if missing.len() == predictions.len() {
        anyhow::bail!(lead_nowhere(&predictions, &missing));
    }
    let unreadable = predictions.iter().filter(|p| p.error.is_some()).count();
    if args.json {
        print_as_is(&serde_json::to_string_pretty(&predictions)?)?;
    } else if let Some(csv) = &args.csv {
        if !quiet {
            print(&visible(&csv.to_string_lossy()))?;
        }
    } else {
        print(&terminal::predictions(&predictions))?;
    }
    if unreadable == predictions.len() {
        match &predictions[..] {
            [only] => anyhow::bail!("{} could not be read as an image", only.path),
            all => anyhow::bail!("none of the {} files could be read as an image", all.len()),
        }
    }
    if unreadable > 0 && !quiet {
        say(&format!("{unreadable} of {} files could not be read", predictions.len()));
    }
    // The answers are out; a path given that leads nowhere or to no image is a mistake all the same.
    let mut failed = [missing, named].concat();
    failed.sort_unstable();
    if failed.is_empty() { Ok(()) } else { anyhow::bail!(lead_nowhere(&predictions, &failed)) }
}

/// The error for paths given that cannot be read: the first, and how many there are.
fn lead_nowhere(predictions: &[terminal::Prediction], missing: &[usize]) -> String {
    let first = missing.first().map(|&at| &predictions[at]);
    let (path, why) = first.map_or(("", ""), |p| (&p.path, p.error.as_deref().unwrap_or_default()));
    match missing.len() {
        1 => format!("{path}: {why}"),
        n => format!("{n} of the paths given cannot be read, the first is {path}: {why}"),
    }
}

pub(crate) fn bench(args: &BenchArgs, quiet: bool) -> anyhow::Result<()> {
    let threads = Settings::from(args.machine.clone()).threads();
    let time = Duration::from_secs_f64(args.seconds);
    let models = args.models.iter().map(|model| local(model, quiet)).collect::<anyhow::Result<Vec<_>>>()?;
    let reading = ModelOptions::of(&args.file.settings());
    let (max_memory, isa) = (args.machine.max_memory, args.machine.isa.unwrap_or_default());
    let oculist::Benched { results, plans, notes } =
        oculist::bench_files(&models, threads, max_memory, isa, time, &reading)?;
    if !quiet {
        for note in &notes {
            say(&typed(note));
        }
    }
    if args.json {
        return print_as_is(&serde_json::to_string_pretty(&results)?);
    }
    if args.plan {
        print(&plans.join("\n"))?;
    }
    print(&terminal::bench(&results, &oculist::cpu_name()))
}

pub(crate) fn export(args: &ExportArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    one_network(Some(&args.model), args.file.arch.as_ref());
    let mut out = Terminal::new(quiet);
    let mut show = |p: Progress<'_>| out.show(&p);
    let settings = Settings {
        data: args.int8.clone().or_else(|| args.reject.clone()),
        calibration: args.calibration,
        ..Settings::default()
    };
    let settings =
        settings.over(args.data.settings()).over(args.reading.clone().into()).over(args.file.settings());
    let mut options = oculist::ExportOptions::new(&args.output);
    options.fold = args.fold;
    options.replace = args.force;
    options.reject = args.reject.is_some();
    options.opset = args.opset;
    let text = oculist::export_file(
        &local(&args.model, quiet)?,
        &settings,
        &options,
        &mut Watch { observer: &mut show, stop },
    )?;
    out.clear();
    if quiet { Ok(()) } else { print(&visible(&text)) }
}
