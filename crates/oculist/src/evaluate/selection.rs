//! Which images a model is measured on, and which of its classes they have.

use std::path::Path;

use oculist_data::{Purpose, Split, Subset};

use crate::class_match::{match_classes, short_list};
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::message::{set_to, setting};
use crate::model_file::Model;
use crate::progress::Watch;
use crate::settings::Settings;
use crate::summary::counted;

/// Which images of a source are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Part {
    /// The test split if the source has one, else the validation split if it has one, else all images.
    #[default]
    Auto,
    /// One split; where the source does not have it, as training draws it by the seed.
    Split(Split),
    /// All images of all splits.
    All,
}

/// The images to measure, with the model's labels.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) images: Subset,
    /// The source as it was named.
    pub(crate) data: String,
    /// `train`, `val`, `test` or `all`.
    pub(crate) part: &'static str,
    /// Images of classes that the model does not know, left out.
    pub(crate) unknown: usize,
}

/// Opens the source, if it is not open yet, and chooses the images; says first what is measured and what was assumed.
///
/// # Errors
/// [`OculistError::Setting`] for a split that the source does not have and that cannot be drawn; [`OculistError::Model`] for
/// classes that the model does not know, unless `skip_unknown` leaves their images out.
pub(crate) fn select(
    (path, model): (&Path, &mut Model),
    source: Option<Source>,
    settings: &Settings,
    part: Part,
    skip_unknown: bool,
    watch: &mut Watch<'_>,
) -> Result<Selection, OculistError> {
    let source = source.map_or_else(|| open(settings, part), Ok)?;
    let counts = Split::ALL.map(|split| source.split(split).len());
    let (chosen, why) = match part {
        Part::Split(split) => (Some(split), ""),
        Part::All => (None, ""),
        Part::Auto if counts[Split::Test as usize] > 0 => (Some(Split::Test), ""),
        Part::Auto if counts[Split::Val as usize] > 0 => (Some(Split::Val), ", as there are no test images"),
        Part::Auto => (None, ", as there is neither a test nor a validation split"),
    };
    let images = match chosen {
        Some(split) => source.split(split).clone(),
        None => source.dataset().all()?,
    };
    let data = source.dataset().source().to_owned();
    let class_counts = images.class_counts();
    let classes = class_counts.iter().filter(|&&n| n > 0).count();
    let what = chosen.map_or("all images".to_owned(), |split| format!("the {split} split"));
    let [train, val, test] = counts;
    watch.note(&format!(
        "{data}: measuring {} in {}: {what}{why} ({train} training, {val} validation, {test} test)",
        counted(images.len(), "image", "images"),
        counted(classes, "class", "classes"),
    ));
    if part == Part::Auto && chosen.is_none() {
        let seed = settings.seed.unwrap_or(0);
        watch.note(&format!(
            "if the model was trained on this source, {} measures only what training held out (seed {seed})",
            set_to("split", "test")
        ));
    }
    for line in source.skipped_lines() {
        watch.note(&line);
    }
    if images.is_empty() {
        let problem = format!("expected images to measure in {what} of {data}, found none");
        return Err(wrong("split", problem));
    }
    let names = source.class_names();
    model.adopt_classes(names, watch);
    let matched = match_classes(&model.class_names, names, &class_counts);
    for note in &matched.notes {
        watch.note(note);
    }
    if let Some(problem) = matched.problem(&model.class_names, names, &class_counts) {
        let all = matched.unknown.len() == classes;
        if !skip_unknown || all {
            let hint = || format!("; {} leaves their images out", setting("skip_unknown"));
            let problem = if all { problem } else { problem + &hint() };
            return Err(OculistError::Model { path: path.into(), problem: problem.into() });
        }
        watch.warn(&format!("left out: {problem}"));
    }
    if !matched.absent.is_empty() {
        let absent = matched.absent.iter().map(|&at| &model.class_names[at]);
        watch.note(&format!(
            "{} of the model's {} classes have no image here: {}",
            matched.absent.len(),
            model.class_names.len(),
            short_list(absent)
        ));
    }
    let kept = images.relabelled(&matched.labels, model.class_names.len())?;
    let unknown = images.len() - kept.len();
    Ok(Selection { images: kept, data, part: chosen.map_or("all", Split::name), unknown })
}

/// The source as it is; as training sees it, where a split is asked for that training draws or draws from.
fn open(settings: &Settings, part: Part) -> Result<Source, OculistError> {
    let threads = settings.threads();
    let given = Source::open_for(settings, threads, Purpose::Evaluate)?;
    let Part::Split(split) = part else { return Ok(given) };
    let has = |split| !given.split(split).is_empty();
    let whole = split == Split::Train && !(has(Split::Val) && has(Split::Test));
    if has(split) && !whole {
        return Ok(given);
    }
    if !has(Split::Train) {
        let there: Vec<&str> = Split::ALL.into_iter().filter(|s| has(*s)).map(Split::name).collect();
        let problem = format!(
            "expected a split of {}, found {split}, which it does not have; it has {}",
            given.dataset().source(),
            there.join(" and ")
        );
        return Err(wrong("split", problem));
    }
    Source::open(settings, threads)
}
