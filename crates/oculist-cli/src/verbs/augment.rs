//! `augment preview`, `augment check` and `augment apply`.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use oculist::{
    ApplyOptions, AugmentCheckOptions, PreviewOptions, Settings, apply_augmentation, check_augmentation,
    preview_augmentation,
};
use oculist_text::visible;

use super::{print, print_paths, watched};
use crate::args::{AugmentVerb, CheckAugmentArgs, PipelineArgs};
use crate::settings::default_output;

pub(crate) fn run(verb: &AugmentVerb, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    match verb {
        AugmentVerb::Preview { pipeline, images, copies, output } => {
            let default = || default_output("preview", pipeline.source.name());
            let mut options = PreviewOptions::new(output.clone().unwrap_or_else(default));
            (options.images, options.copies) = (*images, *copies);
            let files =
                watched(quiet, stop, |watch| preview_augmentation(&settings(pipeline), &options, watch))?;
            if quiet {
                return Ok(());
            }
            print_paths(&files)
        }
        AugmentVerb::Check(args) => check(args, quiet, stop),
        AugmentVerb::Apply { pipeline, copies, output } => {
            let options = ApplyOptions::new(output, *copies);
            let applied =
                watched(quiet, stop, |watch| apply_augmentation(&settings(pipeline), &options, watch))?;
            if quiet {
                return Ok(());
            }
            let mut text = format!("{} images in {}", applied.images, visible(&output.to_string_lossy()));
            if applied.kept > 0 {
                let _ = write!(text, ", {} of them from an earlier run", applied.kept);
            }
            if applied.unreadable > 0 {
                let _ = write!(text, "; {} unreadable files were left out", applied.unreadable);
            }
            print(&text)
        }
    }
}

fn check(args: &CheckAugmentArgs, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    let output = args.output.clone().unwrap_or_else(|| default_output("augment-check", args.source.name()));
    let mut options = AugmentCheckOptions::new(output);
    options.json.clone_from(&args.json);
    options.model.clone_from(&args.model);
    (options.epochs, options.images) = (args.epochs, args.images);
    let given = Settings {
        augmentation: args.augmentation.clone(),
        image_size: args.image_size,
        ..Settings::default()
    };
    let settings = given.over(args.source.settings()).over(args.data.settings());
    let checked = watched(quiet, stop, |watch| check_augmentation(&settings, &options, watch))?;
    print(&checked.report.table())?;
    if quiet {
        return Ok(());
    }
    print_paths(&checked.files)
}

fn settings(args: &PipelineArgs) -> Settings {
    let given = Settings {
        augment: args.augment,
        augmentation: args.augmentation.clone(),
        image_size: args.image_size,
        ..Settings::default()
    };
    given.over(args.source.settings()).over(args.data.settings())
}
