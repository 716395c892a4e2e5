//! Latency and throughput of model files.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use oculist_report::terminal::BenchResult;
use oculist_runtime::{Plan, PlanOptions};

use crate::error::OculistError;
use crate::measure;
use crate::message::Message;
use crate::model_file::{ModelOptions, is_int8, read_to_run};
use crate::settings::{ByteSize, IsaName, context};

/// What `bench` found.
#[derive(Debug, Clone)]
pub struct Benched {
    /// Two for each file: one image, and a batch of 32.
    pub results: Vec<BenchResult>,
    /// The plan of each file in words.
    pub plans: Vec<String>,
    /// What was assumed to read the files, one line each.
    pub notes: Vec<Message>,
}

/// Measures each file at batch 1 and batch 32.
///
/// Any ONNX file that the runtime supports will do, with any number of inputs and outputs; it need not be made by Oculist.
///
/// # Errors
/// [`OculistError::Onnx`] or [`OculistError::Model`] naming the file, and the node if it is one's fault.
pub fn bench_files(
    models: &[PathBuf],
    threads: usize,
    max_memory: Option<ByteSize>,
    isa: IsaName,
    time: Duration,
    reading: &ModelOptions,
) -> Result<Benched, OculistError> {
    let ctx = context(threads, max_memory, isa)?;
    let stop = &AtomicBool::new(false);
    let (mut results, mut plans) = (Vec::new(), Vec::new());
    // All are read before any is measured: a wrong name should not cost the time of those before it.
    let mut graphs = Vec::new();
    let mut notes = Vec::new();
    for path in models {
        let (graph, found) = read_to_run(path, reading)?;
        graphs.push(graph);
        notes.extend(found.iter().map(|note| Message::from(format!("{}: {note}", path.display()))));
    }
    // And all are planned at both batches, for the same reason.
    for (path, graph) in models.iter().zip(&graphs) {
        for batch in [1, measure::THROUGHPUT_BATCH] {
            Plan::check(graph, &PlanOptions::new(batch, ctx.clone()))
                .map_err(|e| OculistError::from(e).of_model(path))?;
        }
    }
    for (path, graph) in models.iter().zip(graphs) {
        let of_file = |e: OculistError| e.of_model(path);
        let latency = measure::latency(&graph, &ctx, time, stop).map_err(of_file)?;
        let rate = measure::throughput(&graph, &ctx, time, stop).map_err(of_file)?;
        let precision = if is_int8(&graph) { "int8" } else { "f32" };
        let batch = rate.batch as f64;
        let result = |latency_ms, images_per_s| BenchResult {
            // As typed: two runs have models of the same file name.
            model: path.display().to_string(),
            precision: precision.into(),
            threads,
            latency_ms,
            images_per_s,
        };
        let single = latency.map(|ms| 1e3 / ms);
        let batched = rate.map(|rate| 1e3 * batch / rate);
        results.push(result(latency, single));
        results.push(result(batched, rate));
        plans.push(Plan::new(&graph, &PlanOptions::new(1, ctx.clone()))?.describe());
    }
    Ok(Benched { results, plans, notes })
}
