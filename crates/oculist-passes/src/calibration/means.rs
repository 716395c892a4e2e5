//! Mean of each channel, for bias correction.

use std::collections::BTreeMap;

use oculist_graph::{Graph, ValueId};

use super::PASS;
use crate::{PassError, Result};

/// The values that convolutions and fully connected layers read, in ascending order.
pub fn layer_inputs(graph: &Graph) -> Vec<ValueId> {
    let mut inputs: Vec<ValueId> =
        graph.nodes().iter().filter(|n| n.op.has_weight_rows()).map(|n| n.inputs[0]).collect();
    inputs.sort_unstable();
    inputs.dedup();
    inputs
}

/// Running means of the channels of values, summed in f64.
#[derive(Debug, Clone, Default)]
pub struct ChannelMeans {
    sums: BTreeMap<ValueId, (Vec<f64>, u64)>,
}

impl ChannelMeans {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows of `stride` elements of which the first `channels` are the channels of one pixel: NHWC data,
    /// padded or not; `[N, C]` data count as single pixels.
    ///
    /// # Errors
    /// [`PassError::Data`] if the number of channels differs from before, is 0 or more than `stride`, or an element
    /// is not finite.
    pub fn observe_nhwc(
        &mut self,
        value: ValueId,
        data: &[f32],
        channels: usize,
        stride: usize,
    ) -> Result<()> {
        let entry = self.entry(value, channels)?;
        if channels == 0 || channels > stride {
            return Err(wrong(value, format!("expected 1 to {stride} channels, found {channels}")));
        }
        for row in data.chunks_exact(stride) {
            for (sum, &x) in entry.0.iter_mut().zip(row) {
                *sum += f64::from(x);
            }
        }
        entry.1 += (data.len() / stride) as u64;
        finite(value, &entry.0)
    }

    /// Adds planes of `pixels` elements, one for each channel of each image: NCHW data.
    ///
    /// # Errors
    /// [`PassError::Data`] as [`ChannelMeans::observe_nhwc`], and if `pixels` is 0.
    pub fn observe_nchw(
        &mut self,
        value: ValueId,
        data: &[f32],
        channels: usize,
        pixels: usize,
    ) -> Result<()> {
        let entry = self.entry(value, channels)?;
        if channels == 0 || pixels == 0 {
            return Err(wrong(value, format!("expected channels and pixels, found {channels} and {pixels}")));
        }
        for (i, plane) in data.chunks_exact(pixels).enumerate() {
            entry.0[i % channels] += plane.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
        entry.1 += (data.len() / channels) as u64;
        finite(value, &entry.0)
    }

    /// The means, channel by channel.
    pub fn means(&self) -> BTreeMap<ValueId, Vec<f64>> {
        self.sums
            .iter()
            .map(|(&v, (sums, n))| (v, sums.iter().map(|s| s / (*n).max(1) as f64).collect()))
            .collect()
    }

    fn entry(&mut self, value: ValueId, channels: usize) -> Result<&mut (Vec<f64>, u64)> {
        let entry = self.sums.entry(value).or_insert_with(|| (vec![0.0; channels], 0));
        if entry.0.len() == channels {
            Ok(entry)
        } else {
            Err(wrong(value, format!("expected {} channels as before, found {channels}", entry.0.len())))
        }
    }
}

fn wrong(value: ValueId, problem: String) -> PassError {
    PassError::Data { pass: PASS, value: format!("value {}", value.index()), problem }
}

fn finite(value: ValueId, sums: &[f64]) -> Result<()> {
    match sums.iter().find(|s| !s.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(wrong(value, format!("expected finite values, found a sum of {bad}"))),
    }
}
