//! What a model costs: parameters, multiply-adds, bytes, latency, throughput.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use oculist_graph::{Dim, Graph, Tensor, TensorData};
use oculist_kernels::try_zeros;
use oculist_report::Spread;
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::error::OculistError;
use crate::progress::go_on;

/// Images per run when throughput is measured.
pub(crate) const THROUGHPUT_BATCH: usize = 32;
/// Runs that are counted at least, unless a single one takes very long.
const MIN_RUNS: usize = 5;
/// Runs that are enough for a measurement of up to two seconds; longer ones take more in proportion.
const MAX_RUNS: usize = 1000;

/// Latency of one image in milliseconds.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run.
pub(crate) fn latency(
    graph: &Graph,
    ctx: &Arc<Context>,
    time: Duration,
    stop: &AtomicBool,
) -> Result<Spread, OculistError> {
    Ok(seconds(graph, ctx, 1, time, stop)?.map(|s| 1e3 * s))
}

/// Throughput in images per second at a batch of 32.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run.
pub(crate) fn throughput(
    graph: &Graph,
    ctx: &Arc<Context>,
    time: Duration,
    stop: &AtomicBool,
) -> Result<Spread, OculistError> {
    // The shortest time is the highest rate.
    Ok(seconds(graph, ctx, THROUGHPUT_BATCH, time, stop)?.map(|s| THROUGHPUT_BATCH as f64 / s))
}

/// Seconds that a run of `batch` images takes: a fifth of `time` to warm up, then runs until `time` is over or there are
/// enough, at least [`MIN_RUNS`] unless these would take more than ten times `time`. Given up between two runs once `stop` is set, which `oculist_runtime::measure` cannot do.
fn seconds(
    graph: &Graph,
    ctx: &Arc<Context>,
    batch: usize,
    time: Duration,
    stop: &AtomicBool,
) -> Result<Spread, OculistError> {
    let mut plan = Plan::new(graph, &PlanOptions::new(batch, ctx.clone()))?;
    let images = plan.check_images().is_ok();
    let tensors = if images { Vec::new() } else { tensors(graph, batch)? };
    let mut input = try_zeros(batch * plan.input_len(), "the images of a measurement")?;
    input.iter_mut().enumerate().for_each(|(i, x)| *x = number(i));
    let mut output = vec![0.0; batch * plan.output_len()];
    let mut run = || -> Result<f64, OculistError> {
        go_on(stop)?;
        let given = tensors.clone();
        let began = Instant::now();
        if images {
            plan.run(&input, &mut output)?;
        } else {
            plan.run_tensors(given)?;
        }
        Ok(began.elapsed().as_secs_f64())
    };
    let began = Instant::now();
    loop {
        run()?;
        if began.elapsed() >= time / 5 {
            break;
        }
    }
    let enough = MAX_RUNS.max((time.as_secs_f64() * MAX_RUNS as f64 / 2.0) as usize);
    let mut runs = Vec::new();
    let began = Instant::now();
    let few = |runs: usize| runs == 0 || (runs < MIN_RUNS && began.elapsed() < 10 * time);
    while few(runs.len()) || (began.elapsed() < time && runs.len() < enough) {
        runs.push(run()?);
    }
    Ok(spread(batch, runs))
}

/// The spread of repeated measurements; zero of none.
///
/// The tenth and nine tenths are linear between the two nearest of the sorted runs: at `q (n - 1)`, counted from 0.
///
/// # Source
/// Hyndman, Fan, "Sample quantiles in statistical packages", definition 7; the default of `numpy.percentile`.
pub(crate) fn spread(batch: usize, mut runs: Vec<f64>) -> Spread {
    runs.sort_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (runs.first(), runs.last()) else {
        return Spread { batch, ..Spread::default() };
    };
    let at = |q: f64| {
        let place = q * (runs.len() - 1) as f64;
        let (low, high) = (place.floor() as usize, place.ceil() as usize);
        runs[low] + (runs[high] - runs[low]) * (place - place.floor())
    };
    let (p10, p90) = (Some(at(0.1)), Some(at(0.9)));
    Spread { batch, median: at(0.5), min, max, runs: runs.len(), p10, p90 }
}

/// The numbers that a model is measured with.
fn number(i: usize) -> f32 {
    (i * 37 % 256) as f32 / 255.0
}

/// Inputs for a graph that is no matter of images.
fn tensors(graph: &Graph, batch: usize) -> Result<Vec<Tensor>, OculistError> {
    let mut all = Vec::new();
    for &input in graph.inputs() {
        let value = graph.value(input);
        let open = || OculistError::Setting {
            name: "bench".into(),
            problem: format!(
                "its input `{}` {} takes any size, and none is known to measure with",
                value.name,
                graph.type_of(input)
            )
            .into(),
        };
        let mut sizes = Vec::new();
        for dim in graph.shape(input).dims() {
            sizes.push(match dim {
                Dim::Batch => batch,
                Dim::Fixed(size) => *size,
                Dim::Symbol(_) | Dim::Unknown => return Err(open()),
            });
        }
        let len = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size)).ok_or_else(open)?;
        let mut data = TensorData::zeros(value.dtype, len);
        if let TensorData::F32(values) = &mut data {
            values.iter_mut().enumerate().for_each(|(i, x)| *x = number(i));
        }
        all.push(Tensor::new(sizes, data)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.percentile([3, 1.5, 9, 4, 2, 8, 2.5], [10, 50, 90])` is 1.8, 3, 8.4.
    #[test]
    fn tenths_are_numpys() {
        let found = spread(1, vec![3.0, 1.5, 9.0, 4.0, 2.0, 8.0, 2.5]);
        let close = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-12;
        assert!(
            close(found.p10, 1.8) && close(Some(found.median), 3.0) && close(found.p90, 8.4),
            "{found:?}"
        );
        assert_eq!((found.min, found.max, found.runs), (1.5, 9.0, 7));
        // The nearest of the runs alone would be another number.
        assert!(!close(found.p10, 1.5) && !close(found.p90, 9.0) && !close(found.p90, 8.0));
        assert_eq!(spread(1, vec![2.0]).p90, Some(2.0));
        assert_eq!(spread(4, Vec::new()), Spread { batch: 4, ..Spread::default() });
    }
}
