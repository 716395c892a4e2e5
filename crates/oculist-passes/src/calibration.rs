//! Collects the ranges that activations take.
//!
//! The caller runs the float graph on calibration images and shows every value of
//! [`crate::quantizable_values`] to a [`Calibrator`]; one pass over the images serves all methods. The result does
//! not depend on the order of the images, bit for bit.

mod entropy;
mod histogram;
mod means;

use std::collections::BTreeMap;

use oculist_graph::{Graph, ValueId};

use crate::quantize::Range;
use crate::{PassError, Result};
pub use histogram::Histogram;
pub use means::{ChannelMeans, layer_inputs};

/// Name of the pass in errors.
const PASS: &str = "calibration";

/// How a range is taken from what was observed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum CalibrationMethod {
    /// The smallest and largest value.
    MinMax,
    /// The middle `p` percent (0..=100, usually 99.99): `(100 - p) / 2` percent of the values may saturate at each
    /// end.
    Percentile(f64),
    /// The range whose 256 levels lose the least information: minimal Kullback-Leibler divergence.
    #[default]
    Entropy,
}

/// Observes named values and gives their ranges.
#[derive(Debug, Clone)]
pub struct Calibrator {
    observed: BTreeMap<ValueId, Histogram>,
    names: BTreeMap<ValueId, String>,
}

impl Calibrator {
    /// Observes the given values of a graph.
    pub fn new(graph: &Graph, values: &[ValueId]) -> Self {
        Self {
            observed: values.iter().map(|&v| (v, Histogram::default())).collect(),
            names: values.iter().map(|&v| (v, graph.value(v).name.clone())).collect(),
        }
    }

    /// The observed values in ascending order.
    pub fn values(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.observed.keys().copied()
    }

    /// Takes the elements of one value, in any order and as many times as there are batches.
    ///
    /// # Errors
    /// [`PassError::Data`] if an element is not finite or the value is not observed.
    pub fn observe(&mut self, value: ValueId, data: &[f32]) -> Result<()> {
        self.observe_nhwc(value, data, 1, 1)
    }

    /// The same for elements in rows of `stride` of which only the first `channels` count, such as NHWC data with
    /// padded channels.
    ///
    /// # Errors
    /// [`PassError::Data`] as [`Calibrator::observe`], and if `channels` is 0 or more than `stride`.
    pub fn observe_nhwc(
        &mut self,
        value: ValueId,
        data: &[f32],
        channels: usize,
        stride: usize,
    ) -> Result<()> {
        let name = self.names.get(&value).cloned().unwrap_or_else(|| format!("value {}", value.index()));
        let wrong = |problem: String| PassError::Data { pass: PASS, value: name, problem };
        let Some(histogram) = self.observed.get_mut(&value) else {
            return Err(wrong("expected one of the observed values".into()));
        };
        if channels == 0 || channels > stride {
            return Err(wrong(format!(
                "expected 1 to {stride} channels in rows of {stride}, found {channels}"
            )));
        }
        let added = if channels == stride {
            histogram.observe(data)
        } else {
            let dense: Vec<f32> =
                data.chunks(stride).flat_map(|row| &row[..channels.min(row.len())]).copied().collect();
            histogram.observe(&dense)
        };
        added.map_err(|bad| wrong(format!("expected finite values, found {bad}")))
    }

    /// Joins what another calibrator of the same values saw, for example on another thread.
    ///
    /// # Errors
    /// [`PassError::Data`] if the other one observes a value that this one does not.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        for (v, histogram) in &other.observed {
            let own = self.observed.get_mut(v).ok_or_else(|| PassError::Data {
                pass: PASS,
                value: other.names[v].clone(),
                problem: "expected one of the observed values".into(),
            })?;
            own.merge(histogram);
        }
        Ok(())
    }

    /// What was seen of one value.
    pub fn histogram(&self, value: ValueId) -> Option<&Histogram> {
        self.observed.get(&value)
    }

    /// The range of every observed value.
    ///
    /// # Errors
    /// [`PassError::Data`] if a value was never shown; [`PassError::Option`] if the percentile is not in 0..=100.
    pub fn ranges(&self, method: CalibrationMethod) -> Result<BTreeMap<ValueId, Range>> {
        if let CalibrationMethod::Percentile(p) = method
            && !(0.0..=100.0).contains(&p)
        {
            return Err(PassError::Option {
                pass: PASS,
                option: "percentile",
                problem: format!("expected 0 to 100 percent, found {p}"),
            });
        }
        self.observed
            .iter()
            .map(|(&v, histogram)| {
                histogram.range(method).map(|range| (v, range)).ok_or_else(|| PassError::Data {
                    pass: PASS,
                    value: self.names[&v].clone(),
                    problem: "expected calibration data, found none".into(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
