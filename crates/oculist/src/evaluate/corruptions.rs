//! Accuracy under the corruptions of the robustness benchmarks.

use oculist_augment::Corruption;
use oculist_report::{CorruptionResult, Normalised, Robustness, SeverityResult};

use super::views::{Judge, Prepared, View};
use crate::error::OculistError;
use crate::metrics::evaluate_logits;
use crate::progress::{Progress, Watch};

/// Checks severities and gives them in order, each once; all five if there are none.
///
/// # Errors
/// [`OculistError::Setting`] for one outside 1..=5.
pub(crate) fn severities(given: &[u8]) -> Result<Vec<u8>, OculistError> {
    if let Some(wrong) = given.iter().find(|s| !(1..=5).contains(*s)) {
        let problem = format!("expected 1 to 5, found {wrong}");
        return Err(crate::error::wrong("severity", problem));
    }
    let mut all = if given.is_empty() { vec![1, 2, 3, 4, 5] } else { given.to_vec() };
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Top-1 under every corruption at these severities.
///
/// The image is corrupted at the network's size, after resizing, as the published sets are.
///
/// # Errors
/// As for [`Prepared::logits`].
pub(crate) fn corrupted(
    judge: &mut Judge,
    images: &Prepared,
    classes: usize,
    severities: &[u8],
    seed: u64,
    watch: &mut Watch<'_>,
) -> Result<Robustness, OculistError> {
    let total = Corruption::ALL.len() * severities.len();
    let mut done = 0;
    let stop = watch.stop;
    let mut top1 = |view: &View| {
        let logits = images.logits(judge, view, seed, stop)?;
        Ok::<f64, OculistError>(evaluate_logits(&logits, images.labels(), classes).top1)
    };
    let clean_top1 = top1(&View::Plain)?;
    let mut corruptions = Vec::new();
    for corruption in Corruption::ALL {
        let mut of = Vec::new();
        for &severity in severities {
            of.push(SeverityResult { severity, top1: top1(&View::Corrupted(corruption, severity))? });
            done += 1;
            (watch.observer)(Progress::Work { what: "corruptions", done, total });
        }
        corruptions.push(CorruptionResult {
            corruption: corruption.name().to_owned(),
            top1: mean(of.iter().map(|s| s.top1)),
            severities: of,
        });
    }
    let mean_top1 = mean(corruptions.iter().map(|c| c.top1));
    Ok(Robustness {
        seed,
        images: images.labels().len(),
        clean_top1,
        mean_top1,
        mean_corruption_error: 100.0 - mean_top1,
        normalised: None,
        corruptions,
    })
}

/// The errors in percent of those of a baseline on the same images, corruptions and severities.
///
/// Of corruption c, `CE_c = 100 * sum over severities s of E_(c,s) / sum of the baseline's E_(c,s)`; their mean is the mean
/// corruption error.
///
/// # Source
/// Hendrycks and Dietterich 2019, whose baseline is AlexNet.
pub(crate) fn normalised(of: &Robustness, baseline: &Robustness, name: String) -> Normalised {
    let errors = |c: &CorruptionResult| c.severities.iter().map(|s| 100.0 - s.top1).sum::<f64>();
    let corruption_errors: Vec<Option<f64>> = of
        .corruptions
        .iter()
        .zip(&baseline.corruptions)
        .map(|(own, base)| Some(errors(base)).filter(|&sum| sum > 0.0).map(|sum| 100.0 * errors(own) / sum))
        .collect();
    let known: Option<Vec<f64>> = corruption_errors.iter().copied().collect();
    Normalised {
        baseline: name,
        clean_top1: baseline.clean_top1,
        mean_top1: baseline.mean_top1,
        mean_corruption_error: known.map(|all| mean(all.into_iter())),
        corruption_errors,
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1) as f64;
    values.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use oculist_runtime::Context;

    use super::super::views::tests::{one_by_one, parts};
    use super::*;
    use crate::metrics::argmax;

    #[test]
    fn errors_are_divided_by_those_of_the_baseline() {
        let of = |top1: [[f64; 2]; 2]| Robustness {
            corruptions: top1
                .map(|two| CorruptionResult {
                    severities: two.map(|top1| SeverityResult { severity: 1, top1 }).into(),
                    ..CorruptionResult::default()
                })
                .into(),
            ..Robustness::default()
        };
        let base = of([[60.0, 20.0], [90.0, 50.0]]);
        let found = normalised(&of([[80.0, 50.0], [70.0, 60.0]]), &base, "b".into());
        // 70 / 120 and 70 / 60; the quotient of all errors (140 / 180) is not their mean.
        let expected = [100.0 * 70.0 / 120.0, 100.0 * 70.0 / 60.0];
        for (got, want) in found.corruption_errors.iter().zip(expected) {
            assert!((got.unwrap() - want).abs() < 1e-9);
        }
        let mean = found.mean_corruption_error.unwrap();
        assert!((mean - 87.5).abs() < 1e-9 && (mean - 100.0 * 140.0 / 180.0).abs() > 1.0, "{mean}");
        let faultless = normalised(&base, &of([[100.0; 2], [50.0; 2]]), "b".into());
        assert_eq!((faultless.corruption_errors[0], faultless.mean_corruption_error), (None, None));
    }

    #[test]
    fn severities_are_checked_sorted_and_unique() {
        assert_eq!(severities(&[]).unwrap(), [1, 2, 3, 4, 5]);
        assert_eq!(severities(&[5, 1, 5]).unwrap(), [1, 5]);
        assert!(severities(&[0]).is_err() && severities(&[1, 6]).is_err());
    }

    #[test]
    fn every_cell_is_the_accuracy_on_images_corrupted_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let (subset, preprocessing, graph) = parts(dir.path());
        let stop = AtomicBool::new(false);
        let ctx = Arc::new(Context::new(1).unwrap());
        let images = Prepared::load(&subset, &preprocessing, 2, &stop).unwrap();
        let mut judge = Judge::new(&graph, &ctx).unwrap();
        let mut works = 0;
        let mut count = |p: Progress<'_>| works += usize::from(matches!(p, Progress::Work { total: 30, .. }));
        let watch = &mut Watch { observer: &mut count, stop: &stop };
        let got = corrupted(&mut judge, &images, 3, &[2, 5], 7, watch).unwrap();
        assert_eq!((works, got.corruptions.len(), got.images), (30, 15, subset.len()));
        // Deterministic corruptions, by hand.
        let (mut all, mut differs) = (0, 0);
        for (corruption, result) in Corruption::ALL.iter().zip(&got.corruptions) {
            assert_eq!(result.corruption, corruption.name());
            let two = &result.severities;
            assert_eq!((two[0].severity, two[1].severity), (2, 5));
            assert!((result.top1 - f64::midpoint(two[0].top1, two[1].top1)).abs() < 1e-9);
            if corruption.is_random() {
                continue;
            }
            for cell in two {
                let logits = one_by_one(&subset, &preprocessing, &graph, &|_, image| {
                    corruption.apply(&image, cell.severity, 0).unwrap()
                });
                let answers = logits.chunks_exact(3).map(argmax);
                let right = answers
                    .zip(subset.labels())
                    .filter(|(answer, label)| *answer == **label as usize)
                    .count();
                let top1 = 100.0 * right as f64 / subset.len() as f64;
                assert!((cell.top1 - top1).abs() < 1e-9, "{corruption} {}", cell.severity);
                all += 1;
                differs += usize::from((top1 - got.clean_top1).abs() > 1e-9);
            }
        }
        // The clean accuracy in every cell would not pass.
        assert!(all == 12 && differs > 0, "{differs} of {all}");
        let sum: f64 = got.corruptions.iter().flat_map(|c| &c.severities).map(|s| s.top1).sum();
        assert!((got.mean_corruption_error - (100.0 - sum / 30.0)).abs() < 1e-9);
    }
}
