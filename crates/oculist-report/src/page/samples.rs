//! Pictures: predictions on test images, and augmented training images.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{Png, RunSummary, Sample, Task, format};

/// Pictures narrower than this are shown with hard pixels, so that they are not blurred when enlarged.
const SMALL_PICTURE: u32 = 96;

#[derive(Debug, Serialize)]
pub(super) struct Samples {
    pub(super) wrong: Vec<SampleView>,
    pub(super) right: Vec<SampleView>,
    pub(super) without_pictures: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct SampleView {
    pub(super) picture: Option<Picture>,
    pub(super) source: String,
    /// What is on the picture, and the same as a sentence's end: `is Shirt`, `has person, dog`.
    pub(super) alt: String,
    pub(super) truth: String,
    pub(super) predicted: String,
    /// Confidence in the one predicted class; empty where there may be several.
    pub(super) confidence: String,
    /// The runners-up, in words.
    pub(super) others: String,
    /// The baseline's answer, where it differs.
    pub(super) baseline: Option<String>,
}

/// A picture for a template.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    src: String,
    small: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Augmented {
    pub(super) list: Vec<AugmentedView>,
}

#[derive(Debug, Serialize)]
pub(super) struct AugmentedView {
    pub(super) original: Option<Picture>,
    pub(super) picture: Option<Picture>,
    pub(super) class: String,
    pub(super) operations: String,
}

impl Samples {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        if run.samples.is_empty() {
            return None;
        }
        let (right, wrong): (Vec<&Sample>, Vec<&Sample>) =
            run.samples.iter().partition(|s| is_right(run.task, s));
        let view = match run.task {
            Task::SingleLabel => view,
            Task::MultiLabel => view_of_several,
        };
        Some(Samples {
            wrong: wrong.into_iter().map(view).collect(),
            right: right.into_iter().map(view).collect(),
            without_pictures: run.samples.iter().all(|s| s.png.is_none()),
        })
    }
}

impl Augmented {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        // Without a picture there is nothing to see: a page made from summary.json leaves these out.
        let list: Vec<_> = run
            .augmented_samples
            .iter()
            .filter(|s| s.png.is_some())
            .map(|s| AugmentedView {
                original: s.original.as_ref().map(picture),
                picture: s.png.as_ref().map(picture),
                class: s.class.clone(),
                operations: s.operations.clone(),
            })
            .collect();
        (!list.is_empty()).then_some(Augmented { list })
    }
}

/// Whether all answers are right; in which order they are named says nothing.
fn is_right(task: Task, sample: &Sample) -> bool {
    match task {
        Task::SingleLabel => sample.truth == sample.predicted,
        Task::MultiLabel => {
            let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
            set(&sample.truths) == set(&sample.predictions)
        }
    }
}

fn view_of_several(sample: &Sample) -> SampleView {
    let list = |names: &[String]| if names.is_empty() { "no label".to_owned() } else { names.join(", ") };
    let (truth, predicted) = (list(&sample.truths), list(&sample.predictions));
    let guesses = sample.top.iter().map(|g| format!("{} {}", g.class, format::share(g.confidence)));
    SampleView {
        picture: sample.png.as_ref().map(picture),
        source: sample.source.clone(),
        alt: truth.clone(),
        truth: format!("has {truth}"),
        confidence: String::new(),
        others: guesses.collect::<Vec<_>>().join(", "),
        baseline: sample.baseline_predicted.clone().filter(|b| b != &predicted),
        predicted,
    }
}

fn view(sample: &Sample) -> SampleView {
    let others: Vec<_> = sample
        .top
        .iter()
        .filter(|g| g.class != sample.predicted)
        .take(2)
        .map(|g| format!("{} {}", g.class, format::share(g.confidence)))
        .collect();
    SampleView {
        picture: sample.png.as_ref().map(picture),
        source: sample.source.clone(),
        alt: sample.truth.clone(),
        truth: format!("is {}", sample.truth),
        predicted: sample.predicted.clone(),
        confidence: format::share(sample.confidence),
        others: others.join(", "),
        baseline: sample.baseline_predicted.clone().filter(|b| b != &sample.predicted),
    }
}

/// A picture inside the page; a small one is shown with hard pixels.
pub(crate) fn picture(png: &Png) -> Picture {
    Picture { src: png.data_uri(), small: width(png).is_some_and(|w| w < SMALL_PICTURE) }
}

/// The width that the header of the file states: after the signature, length and name of its first chunk.
fn width(png: &Png) -> Option<u32> {
    let bytes = png.0.get(16..20)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
