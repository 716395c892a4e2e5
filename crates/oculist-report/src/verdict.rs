//! The result of a run in one sentence.

use crate::{Model, RunSummary, format, measure};

/// The verdict: `4.1× smaller, 2.3× faster, −0.2 points`.
///
/// It compares the recommended model with the baseline: file size, speed, the run's metric on the test split. A run that
/// has only one model gets that model's value and size instead. A model that is no better than one answer for every image is
/// said to be that, whatever its size.
pub fn verdict(run: &RunSummary) -> String {
    let (Some(baseline), Some(model)) = (run.baseline(), run.recommended_model()) else {
        return "No model was measured".to_string();
    };
    if model.is_no_better_than_chance()
        && let Some(remark) = model.chance_remark()
    {
        return remark;
    }
    let metric = run.deciding_metric();
    let value = |model: &Model| model.score(metric);
    if baseline.name == model.name {
        return if is_compression(run) {
            "No smaller model kept the promise: the baseline stays".to_string()
        } else {
            let bytes = format::bytes(model.bytes);
            match value(model) {
                None if run.is_untested() => format!("{bytes}, without test images to measure it on"),
                value => format!("{} {} in {bytes}", measure::text(metric, value), metric.title()),
            }
        };
    }
    let size = match format::factor(model_ratio(baseline.bytes, model.bytes), "smaller", "larger").as_str() {
        "same" => "same size".to_string(),
        text => text.to_string(),
    };
    let [before, after] = [baseline, model].map(|model| value(model).unwrap_or(f64::NAN));
    format!("{size}, {}, {}", speed(baseline, model), measure::verdict_change(metric, before, after))
}

/// The speed part: latency where both were timed, else throughput, else the work that falls away.
fn speed(baseline: &Model, model: &Model) -> String {
    let factor = match (baseline.latency_ms, model.latency_ms, baseline.images_per_s, model.images_per_s) {
        (Some(before), Some(after), _, _) => before.median / after.median,
        (_, _, Some(before), Some(after)) => after.median / before.median,
        _ => {
            let text = format::factor(model_ratio(baseline.macs, model.macs), "fewer MACs", "more MACs");
            return if text == "same" { "same MACs".to_string() } else { text };
        }
    };
    match format::factor(factor, "faster", "slower").as_str() {
        "same" => "same speed".to_string(),
        text => text.to_string(),
    }
}

/// Whether the run set out to compress, so that ending with the baseline is a finding.
fn is_compression(run: &RunSummary) -> bool {
    run.max_drop.is_some() || !run.candidates.is_empty()
}

fn model_ratio(before: u64, after: u64) -> f64 {
    before as f64 / after as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, Scores, Spread};

    fn model(name: &str, bytes: u64, top1: f64, latency: f64) -> Model {
        let spread = Spread { median: latency, min: latency, max: latency, ..Spread::default() };
        Model {
            name: name.into(),
            bytes,
            macs: bytes,
            top1: Some(top1),
            latency_ms: Some(spread),
            ..Model::default()
        }
    }

    #[test]
    fn names_size_speed_and_points() {
        let run = RunSummary {
            models: vec![model("baseline", 1000, 90.0, 2.3), model("compressed", 250, 89.8, 1.0)],
            ..RunSummary::default()
        };
        assert_eq!(verdict(&run), "4.0× smaller, 2.3× faster, −0.2 points");
    }

    #[test]
    fn a_worse_model_is_called_worse() {
        let run = RunSummary {
            models: vec![model("baseline", 1000, 90.0, 1.0), model("compressed", 2000, 90.0, 2.0)],
            ..RunSummary::default()
        };
        assert_eq!(verdict(&run), "2.0× larger, 2.0× slower, ±0.0 points");
    }

    #[test]
    fn the_metric_that_decided_is_named() {
        let mut run = RunSummary {
            metric: Metric::LogLoss,
            models: vec![model("baseline", 1000, 90.0, 1.0), model("compressed", 500, 95.0, 1.0)],
            ..RunSummary::default()
        };
        run.models[0].scores.set(Metric::LogLoss, 0.31);
        run.models[1].scores.set(Metric::LogLoss, 0.35);
        assert_eq!(verdict(&run), "2.0× smaller, same speed, log loss +0.040");
        run.models.truncate(1);
        assert_eq!(verdict(&run), "0.310 log loss in 1.00 kB");
        run.models[0].scores = Scores::new();
        assert_eq!(verdict(&run), "1.00 kB, without test images to measure it on");
        run.data.test = 9;
        assert_eq!(verdict(&run), "– log loss in 1.00 kB");
    }

    #[test]
    fn without_timings_the_work_is_compared() {
        let mut run = RunSummary {
            models: vec![model("baseline", 1000, 90.0, 1.0), model("compressed", 500, 90.0, 2.0)],
            ..RunSummary::default()
        };
        run.models[1].latency_ms = None;
        assert_eq!(verdict(&run), "2.0× smaller, 2.0× fewer MACs, ±0.0 points");
    }

    #[test]
    fn one_model_is_described_and_a_failed_search_said() {
        let mut run =
            RunSummary { models: vec![model("baseline", 1_080_000, 88.95, 1.0)], ..RunSummary::default() };
        assert_eq!(verdict(&run), "88.95% top-1 in 1.08 MB");
        run.max_drop = Some(0.5);
        assert_eq!(verdict(&run), "No smaller model kept the promise: the baseline stays");
        assert_eq!(verdict(&RunSummary::default()), "No model was measured");
    }
}
