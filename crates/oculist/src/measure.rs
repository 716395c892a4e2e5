//! What a model costs: parameters, multiply-adds, bytes, latency, throughput.

use std::sync::Arc;
use std::time::Duration;

use oculist_graph::Graph;
use oculist_report::Spread;
use oculist_runtime::{Context, MeasureOptions, Measurement, Plan, PlanOptions, measure};

use crate::error::OculistError;

/// Images per run when throughput is measured.
pub(crate) const THROUGHPUT_BATCH: usize = 32;

/// Latency of one image in milliseconds.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run.
pub(crate) fn latency(graph: &Graph, ctx: &Arc<Context>, time: Duration) -> Result<Spread, OculistError> {
    let m = run(graph, ctx, 1, time)?;
    let ms = 1e3;
    Ok(Spread { batch: 1, median: m.median * ms, min: m.min * ms, max: m.max * ms, runs: m.runs })
}

/// Throughput in images per second at a batch of 32.
///
/// # Errors
/// [`OculistError::Runtime`] naming the node that cannot be run.
pub(crate) fn throughput(graph: &Graph, ctx: &Arc<Context>, time: Duration) -> Result<Spread, OculistError> {
    let m = run(graph, ctx, THROUGHPUT_BATCH, time)?;
    let n = THROUGHPUT_BATCH as f64;
    // The shortest time is the highest rate.
    Ok(Spread { batch: THROUGHPUT_BATCH, median: n / m.median, min: n / m.max, max: n / m.min, runs: m.runs })
}

fn run(graph: &Graph, ctx: &Arc<Context>, batch: usize, time: Duration) -> Result<Measurement, OculistError> {
    let mut plan = Plan::new(graph, &PlanOptions::new(batch, ctx.clone()))?;
    let options = MeasureOptions { time, warm_up: time / 5, ..MeasureOptions::new(batch) };
    Ok(measure(&mut plan, &options)?)
}
