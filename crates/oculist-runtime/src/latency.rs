//! How long a run takes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use oculist_graph::Tensor;

use crate::error::RuntimeError;
use crate::lower::Entry;
use crate::plan::Plan;
use crate::rows::SlotId;

/// Limits of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Images per run; at most the plan's batch.
    pub images: usize,
    /// Time spent before anything is counted, so that caches, page tables and clock have settled.
    pub warm_up: Duration,
    /// The measurement ends after this time, but not before `min_runs` runs.
    pub time: Duration,
    /// Least number of counted runs.
    pub min_runs: usize,
    /// Largest number of counted runs.
    pub max_runs: usize,
}

impl MeasureOptions {
    /// Runs of `images` images: 0.2 s of warm-up, then up to a second or 1,000 runs, but at least 5.
    pub fn new(images: usize) -> Self {
        Self {
            images,
            warm_up: Duration::from_millis(200),
            time: Duration::from_secs(1),
            min_runs: 5,
            max_runs: 1000,
        }
    }
}

/// Times of repeated runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// Images per run.
    pub images: usize,
    /// Median time of a run, in seconds.
    pub median: f64,
    /// Shortest time of a run, in seconds.
    pub min: f64,
    /// Longest time of a run, in seconds.
    pub max: f64,
    /// Number of runs counted.
    pub runs: usize,
}

impl Measurement {
    /// Images per second at the median.
    pub fn images_per_second(&self) -> f64 {
        self.images as f64 / self.median
    }

    /// Sums up the times of runs, in seconds.
    fn of(images: usize, mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let runs = seconds.len();
        let median = f64::midpoint(seconds[(runs - 1) / 2], seconds[runs / 2]);
        Self { images, median, min: seconds[0], max: seconds[runs - 1], runs }
    }
}

/// Measures runs of a plan on images with values between 0 and 1.
///
/// Latency is a measurement with one image on a plan for one image; throughput one with a full batch.
///
/// # Errors
/// [`RuntimeError::Options`] when the plan cannot run that many images or no run is allowed.
pub fn measure(plan: &mut Plan, options: &MeasureOptions) -> Result<Measurement, RuntimeError> {
    let MeasureOptions { images, warm_up, time, min_runs, max_runs } = *options;
    if images == 0 || images > plan.batch() || max_runs == 0 || min_runs > max_runs {
        return Err(RuntimeError::Options(format!(
            "expected 1 to {} images and 1 to max_runs runs, found {images} images, {min_runs} to {max_runs} runs",
            plan.batch()
        )));
    }
    let input = test_images(images * plan.input_len());
    let mut output = vec![0.0; images * plan.output_len()];
    let start = Instant::now();
    loop {
        plan.run(&input, &mut output)?;
        if start.elapsed() >= warm_up {
            break;
        }
    }
    let mut seconds = Vec::new();
    let start = Instant::now();
    while seconds.len() < min_runs.max(1) || (start.elapsed() < time && seconds.len() < max_runs) {
        let run = Instant::now();
        plan.run(&input, &mut output)?;
        seconds.push(run.elapsed().as_secs_f64());
    }
    Ok(Measurement::of(images, seconds))
}

impl Plan {
    /// Runs the plan `runs` times on a full batch and lists the shortest time of each step, the longest first.
    ///
    /// # Errors
    /// [`RuntimeError::Options`] for 0 runs.
    pub fn profile(&mut self, runs: usize) -> Result<String, RuntimeError> {
        if runs == 0 {
            return Err(RuntimeError::Options("expected at least one run, found 0".into()));
        }
        if let Some(single) = self.apart.first() {
            let mut single = single.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let text = single.profile(runs)?;
            return Ok(format!("each thread computes whole images; one of them:\n{text}"));
        }
        let input = test_images(self.batch * self.input_len());
        let given = self.test_inputs()?;
        let mut best = vec![f64::INFINITY; self.steps.len()];
        for _ in 0..runs {
            for (slot, tensor) in &given {
                self.slots[*slot] = Some(tensor.clone());
            }
            for (i, best) in best.iter_mut().enumerate() {
                let start = Instant::now();
                self.execute(i, &input)?;
                *best = best.min(start.elapsed().as_secs_f64());
            }
        }
        self.slots.fill(None);
        let total: f64 = best.iter().sum();
        let mut order: Vec<usize> = (0..best.len()).collect();
        order.sort_by(|&a, &b| best[b].total_cmp(&best[a]));
        let mut out = format!("{:.1} us in {} steps\n", total * 1e6, order.len());
        for i in order {
            let work = &self.steps[i].work;
            let _ = writeln!(
                out,
                "{:8.1} us {:4.1}% {} {}",
                best[i] * 1e6,
                100.0 * best[i] / total,
                work.name(),
                work.detail()
            );
        }
        Ok(out)
    }
}

impl Plan {
    /// Row-major inputs for measuring: floats as [`test_images`], zeros of other types.
    fn test_inputs(&self) -> Result<Vec<(SlotId, Tensor)>, RuntimeError> {
        let Entry::Rows(slots) = &self.entry else { return Ok(Vec::new()) };
        let mut inputs = Vec::with_capacity(slots.len());
        for (&slot, (name, _)) in slots.iter().zip(&self.signature.inputs) {
            let known = &self.known[slot];
            let Some(shape) = known.shape.sizes() else {
                return Err(RuntimeError::Options(format!(
                    "input `{name}` {} has no known size, so that nothing can be measured",
                    known.label()
                )));
            };
            let mut tensor = Tensor::zeros(known.dtype, &shape);
            if let Some(floats) = tensor.as_f32_mut() {
                floats.copy_from_slice(&test_images(floats.len()));
            }
            inputs.push((slot, tensor));
        }
        Ok(inputs)
    }
}

/// Values between 0 and 1 that repeat in every run.
fn test_images(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i.wrapping_mul(2_654_435_761) >> 8) & 0xff) as f32 / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        let m = Measurement::of(4, vec![3.0, 1.0, 2.0, 10.0]);
        assert_eq!((m.median, m.min, m.max, m.runs), (2.5, 1.0, 10.0, 4));
        assert_eq!(m.images_per_second(), 1.6);
        assert_eq!(Measurement::of(1, vec![7.0, 5.0, 6.0]).median, 6.0);
    }
}
