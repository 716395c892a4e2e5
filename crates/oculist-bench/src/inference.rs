//! Inference on a model file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use oculist_kernels::{Context, Isa};
use oculist_runtime::{InputLayout, Plan, PlanOptions};
use oculist_testing::formula;
use serde_json::json;

use crate::server::serve;

/// One job is a run on one batch.
pub(crate) fn run(model: &Path, batch: usize, threads: usize, isa: Isa) -> Result<()> {
    let graph = oculist_onnx::read(model).with_context(|| model.display().to_string())?;
    let graph = oculist_passes::prepare(graph).with_context(|| model.display().to_string())?;
    let ctx = Arc::new(Context::with_isa(threads, isa)?);
    // As the peers get their images, though our own layout is NHWC.
    let options = PlanOptions { input_layout: InputLayout::Nchw, ..PlanOptions::new(batch, ctx) };
    let mut plan = Plan::new(&graph, &options)?;
    let images = formula::tensor("input", batch * plan.input_len());
    let mut logits = vec![0.0; batch * plan.output_len()];
    plan.run(&images, &mut logits)?;
    let about = json!({
        "version": concat!("oculist ", env!("CARGO_PKG_VERSION")),
        "isa": isa.name(),
        "check": logits[..plan.output_len()],
        "arena_bytes": plan.arena_bytes(),
    });
    serve(about, || Ok(plan.run(&images, &mut logits)?))
}
