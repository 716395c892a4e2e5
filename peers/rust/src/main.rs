//! Inference in rten and tract: `rust-peers RUNTIME MODEL.onnx BATCH THREADS`.
//!
//! Speaks the benchmark's protocol (see `crates/oculist-bench/src/server.rs`).

use std::io::{BufRead, Write};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

type Job = Box<dyn FnMut() -> Result<Vec<f32>>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runtime, model, batch, threads] = arguments.as_slice() else {
        bail!("usage: rust-peers rten|tract MODEL.onnx BATCH THREADS");
    };
    let (batch, threads) = (batch.parse()?, threads.parse()?);
    let (version, classes, mut job) = match runtime.as_str() {
        "rten" => rten_job(model, batch, threads)?,
        "tract" => tract_job(model, batch, threads)?,
        other => bail!("expected rten or tract, found `{other}`"),
    };
    let first = job()?;
    serve(json!({"version": version, "check": first[..classes], "ready": true}), &mut job)
}

fn serve(about: Value, job: &mut Job) -> Result<()> {
    let say = |value: Value| -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{value}")?;
        Ok(out.flush()?)
    };
    say(about)?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let Some(seconds) = line.strip_prefix("run ") else { break };
        let seconds: f64 = seconds.parse()?;
        let (mut times, start) = (Vec::new(), Instant::now());
        while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
            let one = Instant::now();
            job()?;
            times.push(one.elapsed().as_secs_f64());
        }
        say(json!({"times": times, "rss_kb": peak_kb(), "faults": 0}))?;
    }
    Ok(())
}

fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The formula of golden/README.md for the tensor called `input`.
fn images(len: usize) -> Vec<f32> {
    let seed = "input".bytes().fold(0xcbf2_9ce4_8422_2325u64, |s, b| (s ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (1..=len as u64)
        .map(|i| {
            let z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn rten_job(model: &str, batch: usize, threads: usize) -> Result<(String, usize, Job)> {
    use rten_tensor::prelude::*;
    let model = rten::ModelOptions::with_all_ops().prepack_weights(true).load_file(model)?;
    let shape = model.input_shape(0).context("the model has no input shape")?;
    let mut dims = vec![batch];
    for d in &shape[1..] {
        match d {
            rten::Dimension::Fixed(n) => dims.push(*n),
            rten::Dimension::Symbolic(name) => bail!("the size `{name}` of the input is not fixed"),
        }
    }
    let input = rten_tensor::Tensor::from_data(&dims[..], images(dims.iter().product()));
    let pool = std::sync::Arc::new(rten::ThreadPool::with_num_threads(threads));
    let mut job: Job = Box::new(move || {
        let options = rten::RunOptions::default().with_thread_pool(Some(pool.clone()));
        let output: rten_tensor::Tensor<f32> = model.run_one(input.view().into(), Some(options))?.try_into()?;
        Ok(output.to_vec())
    });
    let classes = job()?.len() / batch;
    Ok(("rten 0.27".into(), classes, job))
}

fn tract_job(model: &str, batch: usize, threads: usize) -> Result<(String, usize, Job)> {
    use tract_onnx::prelude::*;
    use tract_onnx::tract_core::internal::DimLike;
    use tract_onnx::tract_hir::infer::Factoid;
    if threads > 1 {
        tract_linalg::multithread::set_default_executor(tract_linalg::multithread::Executor::multithread(threads));
    }
    let mut model = tract_onnx::onnx().with_ignore_value_info(true).model_for_path(model)?;
    let fact = model.input_fact(0)?.clone();
    let mut dims = fact.shape.dims().map(|d| d.concretize().and_then(|d| d.to_usize().ok())).collect::<Vec<_>>();
    dims[0] = Some(batch);
    let dims = dims.into_iter().collect::<Option<Vec<_>>>().context("the size of the input is not fixed")?;
    model.set_input_fact(0, f32::fact(&dims).into())?;
    let plan = model.into_optimized()?.into_runnable()?;
    let input = Tensor::from_shape(&dims, &images(dims.iter().product()))?;
    let mut job: Job = Box::new(move || {
        let outputs = plan.run(tvec!(input.clone().into()))?;
        Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    });
    let classes = job()?.len() / batch;
    Ok(("tract 0.23".into(), classes, job))
}
