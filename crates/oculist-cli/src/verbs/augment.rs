//! `augment preview` and `augment apply`.

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use oculist::{ApplyOptions, PreviewOptions, Settings, apply_augmentation, preview_augmentation};

use super::{print, watched};
use crate::args::{AugmentVerb, PipelineArgs};
use crate::settings::{augmentation, data, default_output};

pub(crate) fn run(verb: &AugmentVerb, quiet: bool, stop: &AtomicBool) -> anyhow::Result<()> {
    match verb {
        AugmentVerb::Preview { pipeline, images, copies, output } => {
            let default = || default_output("preview", &pipeline.source.data);
            let options = PreviewOptions {
                output: output.clone().unwrap_or_else(default),
                images: *images,
                copies: *copies,
            };
            let files =
                watched(quiet, stop, |watch| preview_augmentation(&settings(pipeline), &options, watch))?;
            if quiet {
                return Ok(());
            }
            print(&files.map(|f| format!("  {}", f.display())).join("\n"))
        }
        AugmentVerb::Apply { pipeline, copies, output } => {
            let options = ApplyOptions { output: output.clone(), copies: *copies };
            let applied =
                watched(quiet, stop, |watch| apply_augmentation(&settings(pipeline), &options, watch))?;
            if quiet {
                return Ok(());
            }
            let mut text = format!("{} images in {}", applied.images, output.display());
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

fn settings(args: &PipelineArgs) -> Settings {
    let given = Settings {
        augment: args.augment.map(augmentation),
        augmentation: args.augmentation.clone(),
        image_size: args.image_size,
        ..Settings::default()
    };
    given.over(data(Some(&args.source.data), &args.data))
}
