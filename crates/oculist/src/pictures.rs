//! Pictures for the report: sample predictions and augmented training images.

use oculist_augment::geometry::resize;
use oculist_augment::{Image, Interpolation, SampleKey};
use oculist_data::{Split, Subset};
use oculist_graph::Graph;
use oculist_report::{AugmentedSample, Guess, Png, Sample};
use oculist_runtime::{Plan, PlanOptions};

use crate::answer::ranked;
use crate::error::OculistError;
use crate::judging::{Answers, OfTask};
use crate::metrics::Probabilities;
use crate::session::Session;

/// Longest side of a picture in the report.
const THUMBNAIL: usize = 128;
/// Right and wrong answers shown, each.
const SAMPLES: usize = 12;
/// Training images shown augmented.
const AUGMENTED: usize = 6;
/// Variants shown of each.
const VARIANTS: usize = 3;

/// Some wrong and some right answers of the recommended model on test images, spread over the split.
///
/// # Errors
/// [`OculistError::Data`] if an image cannot be read again.
pub(crate) fn samples(
    session: &Session<'_>,
    graph: &Graph,
    result: &Answers,
    baseline: &Answers,
) -> Result<Vec<Sample>, OculistError> {
    let images = session.test()?;
    let right = |i: &usize| result.is_right(*i);
    let all: Vec<usize> = (0..images.len()).collect();
    let (hits, misses): (Vec<usize>, Vec<usize>) = all.into_iter().partition(right);
    let chosen = spread(&misses, SAMPLES).into_iter().chain(spread(&hits, SAMPLES));
    let mut plan = Plan::new(graph, &PlanOptions::new(1, session.ctx().clone()))?;
    let class_names = session.source().class_names();
    let test = session.source().split(Split::Test);
    let mut logits = vec![0.0; plan.output_len()];
    let mut samples = Vec::new();
    for i in chosen {
        // A file that went away since the measurement is no reason to lose the report.
        let Ok(image) = test.image(i) else { continue };
        plan.run(&session.config().preprocessing.apply(&image)?, &mut logits)?;
        let mut sample = sample(result, baseline, i, class_names);
        sample.top = match result.of_task {
            OfTask::One(_) => guesses(session.probabilities(), &logits, class_names, 3),
            OfTask::Several(_) => guesses(Probabilities::Sigmoids, &logits, class_names, 3),
        };
        sample.png = png(&image)?;
        sample.source = short_name(test, i);
        samples.push(sample);
    }
    Ok(samples)
}

/// What two models answer on image i.
fn sample(result: &Answers, baseline: &Answers, i: usize, class_names: &[String]) -> Sample {
    let list = |classes: &[u32]| -> Vec<String> {
        classes.iter().map(|&c| class_names[c as usize].clone()).collect()
    };
    let names = |classes: &[u32]| list(classes).join(", ");
    match (&result.of_task, &baseline.of_task) {
        (OfTask::One(found), OfTask::One(before)) => Sample {
            truth: names(&[found.labels[i]]),
            predicted: names(&[found.predictions[i]]),
            confidence: f64::from(found.confidences[i]),
            baseline_predicted: Some(names(&[before.predictions[i]])),
            ..Sample::default()
        },
        (OfTask::Several(found), OfTask::Several(before)) => Sample {
            truths: list(found.targets.row(i)),
            predictions: list(&found.answer(i)),
            confidence: f64::from(found.row(i).iter().copied().fold(0.0, f32::max)),
            baseline_predicted: Some(names(&before.answer(i))),
            ..Sample::default()
        },
        _ => Sample::default(),
    }
}

/// Some training images, each with a few of its augmented forms.
///
/// # Errors
/// [`OculistError::Data`] if an image cannot be read.
pub(crate) fn augmented(session: &Session<'_>) -> Result<Vec<AugmentedSample>, OculistError> {
    let train = session.source().split(Split::Train);
    let all: Vec<usize> = (0..train.len()).collect();
    let pipeline = &session.config().augmentation;
    if pipeline.steps.is_empty() {
        return Ok(Vec::new());
    }
    let operations = pipeline.steps.iter().map(|s| s.op.name()).collect::<Vec<_>>().join(", ");
    let mut samples = Vec::new();
    for i in spread(&all, AUGMENTED) {
        let Ok(image) = train.image(i) else { continue };
        for epoch in 0..VARIANTS {
            let key = SampleKey { seed: session.config().seed, epoch: epoch as u64, sample: i as u64 };
            let changed = session.config().preprocessing.augment(image.clone(), pipeline, key)?;
            samples.push(AugmentedSample {
                png: png(&changed)?,
                original: png(&image)?,
                class: train.targets().text(i, session.source().class_names()),
                operations: operations.clone(),
            });
        }
    }
    Ok(samples)
}

/// The `k` likeliest classes of a row of logits, with the model's probabilities.
pub(crate) fn guesses(
    probabilities: Probabilities,
    logits: &[f32],
    class_names: &[String],
    k: usize,
) -> Vec<Guess> {
    let p = probabilities.of(logits);
    ranked(&p)
        .into_iter()
        .take(k)
        .map(|c| Guess { class: class_names[c].clone(), confidence: f64::from(p[c]) })
        .collect()
}

/// Up to `n` elements at equal distances.
fn spread(all: &[usize], n: usize) -> Vec<usize> {
    let n = n.min(all.len());
    (0..n).map(|i| all[i * all.len() / n]).collect()
}

/// The last two parts of a path: enough to find the file, not enough to tell where someone keeps his photos.
fn short_name(subset: &Subset, i: usize) -> String {
    let Some(path) = subset.path(i) else {
        return subset.name(i);
    };
    let parts: Vec<String> =
        path.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// A picture of at most [`THUMBNAIL`] pixels a side; `None` if it cannot be encoded.
pub(crate) fn png(image: &Image) -> Result<Option<Png>, OculistError> {
    let longest = image.width().max(image.height());
    let small = if longest > THUMBNAIL {
        let side = |n: usize| (n * THUMBNAIL / longest).max(1);
        resize(image, side(image.width()), side(image.height()), Interpolation::Bilinear)?
    } else {
        image.clone()
    };
    Ok(encode(&small).ok().map(Png))
}

/// An image as a PNG file; the error is a reason in words.
pub(crate) fn encode(image: &Image) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width() as u32, image.height() as u32);
    encoder.set_color(match image.channels() {
        1 => png::ColorType::Grayscale,
        4 => png::ColorType::Rgba,
        _ => png::ColorType::Rgb,
    });
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(image.pixels()).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_covers_the_range() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(spread(&all, 4), vec![0, 25, 50, 75]);
        assert_eq!(spread(&all[..2], 4), vec![0, 1]);
        assert!(spread(&[], 4).is_empty());
    }

    #[test]
    fn a_picture_is_a_png_of_thumbnail_size() {
        let image = Image::filled(400, 200, 3, 7).unwrap();
        let Png(bytes) = png(&image).unwrap().unwrap();
        let decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        let reader = decoder.read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (128, 64));
    }

    #[test]
    fn guesses_are_sorted_and_named() {
        let names: Vec<String> = ["a", "b", "c"].map(String::from).to_vec();
        let g = guesses(Probabilities::Softmax, &[1.0, 3.0, 2.0], &names, 2);
        assert_eq!(g.iter().map(|g| g.class.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(g[0].confidence > g[1].confidence);
        let g = guesses(Probabilities::Sigmoids, &[0.0, 3.0, -2.0], &names, 3);
        assert!((g[0].confidence - 0.952_574).abs() < 1e-5 && (g[1].confidence - 0.5).abs() < 1e-6, "{g:?}");
    }
}
