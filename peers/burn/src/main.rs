//! `burn-peer train ARCH CHANNELS SIDE BATCH THREADS`: Burn's side of the benchmark, a process that times training
//! steps when told to. The README describes its protocol.
//!
//! Weights, images and labels come from the formula of the golden files, as on the other sides, so that the losses of
//! the first two steps can be compared before any time is believed.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use burn_peer::{Network, Sgd, smoothed_targets};
use oculist_graph::{Graph, Tensor as GraphTensor};
use oculist_testing::formula::{self, Kind};
use oculist_zoo::{BuildOptions, build};
use serde_json::{Value, json};

const USAGE: &str = "usage: burn-peer train ARCH CHANNELS SIDE BATCH THREADS";
const VERSION: &str = "burn 0.22.1 flex";
const CLASSES: usize = 10;
const LABEL_SMOOTHING: f32 = 0.1;
/// The learning rate is small, so that hundreds of steps on the same images stay finite.
const SGD: Sgd = Sgd { lr: 1e-3, momentum: 0.9, weight_decay: 5e-4, nesterov: true };

type Failure = Box<dyn std::error::Error>;

/// A network with the one batch that it trains on again and again.
struct Job {
    network: Network,
    images: Tensor<4>,
    targets: Tensor<2>,
}

impl Job {
    fn new(arch: &str, channels: usize, side: usize, batch: usize) -> Result<Self, Failure> {
        let network = Network::new(&formula_graph(arch, channels, side)?, Device::flex())?;
        let images = network.images(&formula::tensor("input", batch * channels * side * side));
        let labels: Vec<u32> = (0..CLASSES as u32).cycle().take(batch).collect();
        let targets = smoothed_targets(&labels, CLASSES, LABEL_SMOOTHING, network.device());
        Ok(Self { network, images, targets })
    }

    /// One whole training step; returns its loss.
    fn step(&mut self) -> Result<f64, Failure> {
        let loss = self.network.forward_backward(self.images.clone(), self.targets.clone())?;
        self.network.update(SGD);
        self.network.device().sync().map_err(|e| format!("{e:?}"))?;
        if loss.is_finite() { Ok(loss) } else { Err(format!("the loss became {loss}").into()) }
    }

    /// Steps for at least `seconds`, and at least one; returns the seconds of each.
    fn run(&mut self, seconds: f64) -> Result<Vec<f64>, Failure> {
        let (start, length) = (Instant::now(), Duration::try_from_secs_f64(seconds)?);
        let mut times = Vec::new();
        while times.is_empty() || start.elapsed() < length {
            let one = Instant::now();
            self.step()?;
            times.push(one.elapsed().as_secs_f64());
        }
        Ok(times)
    }
}

/// An architecture with the formula's weights and without dropout, as `oculist-bench` builds it.
fn formula_graph(arch: &str, channels: usize, side: usize) -> Result<Graph, Failure> {
    let mut graph = build(arch, &BuildOptions::new(CLASSES, (channels, side, side)).with_dropout(0.0))?;
    // The centre of the batch-norm weights keeps the logits of deep networks small.
    let gamma = if arch.starts_with("resnet") { 0.7 } else { 1.0 };
    let params: Vec<_> = graph.params().map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec())).collect();
    for (id, name, shape) in params {
        if Kind::of(&name, shape.len(), gamma).is_some() {
            graph.set_param(id, GraphTensor::f32(&shape, formula::state(&name, &shape, gamma)));
        }
    }
    Ok(graph)
}

/// The peak resident memory of this process in KiB, where Linux tells it.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn answer(value: &Value) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ["train", arch, channels, side, batch, threads] =
        args.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Err(USAGE.into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(threads.parse()?).build_global()?;
    let mut job = Job::new(arch, channels.parse()?, side.parse()?, batch.parse()?)?;
    let check = [job.step()?, job.step()?];
    answer(&json!({ "ready": true, "version": VERSION, "check": check }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["run", seconds] => {
                let times = job.run(seconds.parse()?)?;
                answer(&json!({ "times": times, "rss_kb": peak_memory() }))?;
            }
            ["quit"] => break,
            _ => return Err(format!("expected `run SECONDS` or `quit`, found `{line}`").into()),
        }
    }
    Ok(())
}
