//! Times zoo networks in f32 and int8: `speed [ARCH CHANNELS SIZE]... [--isa NAME] [--threads N] [--seven-bits]
//! [--profile] [--describe] [--onnx FOLDER]`.
//!
//! Weights are random (from the formula of the golden files) and the integer networks are calibrated on random
//! images: good for times, useless for accuracy.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use oculist_graph::{Graph, Tensor};
use oculist_passes::{
    QuantizeOptions, Range, WeightRange, fold_batch_norm, quantizable_values, quantize, remove_identity,
};
use oculist_runtime::{Context, Isa, MeasureOptions, Plan, PlanOptions, cpu_name, measure};
use oculist_testing::formula::{self, Kind};
use oculist_zoo::{BuildOptions, build};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn network(arch: &str, channels: usize, size: usize) -> Result<Graph> {
    let mut graph = build(arch, &BuildOptions::new(10, (channels, size, size)))?;
    let params: Vec<_> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        if Kind::of(&name, shape.len(), 1.0).is_some() {
            graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 1.0)));
        }
    }
    Ok(fold_batch_norm(&remove_identity(&graph)?)?)
}

fn quantized(graph: &Graph, context: &Arc<Context>, weights: WeightRange) -> Result<Graph> {
    let values = quantizable_values(graph)?;
    let options = PlanOptions::new(4, Arc::clone(context)).with_observed(values);
    let mut plan = Plan::new(graph, &options)?;
    let mut ranges = BTreeMap::new();
    let mut out = vec![0.0; 4 * plan.output_len()];
    plan.run_observed(&formula::tensor("input", 4 * plan.input_len()), &mut out, &mut |o| {
        let range = o.pixels().flatten().fold((0.0f32, 0.0f32), |(a, b), &x| (a.min(x), b.max(x)));
        ranges.insert(o.value, Range::new(range.0, range.1));
    })?;
    Ok(quantize(graph, &ranges, &QuantizeOptions { weights, ..QuantizeOptions::default() })?)
}

fn main() -> Result<()> {
    let mut networks = Vec::new();
    let mut weights = WeightRange::Full;
    let mut onnx = None;
    let (mut isas, mut threads, mut profile, mut describe) = (Isa::available(), 2, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().ok_or_else(|| format!("{argument}: expected a value"));
        match argument.as_str() {
            "--isa" => {
                let name = next()?;
                isas.retain(|isa| isa.name() == name);
            }
            "--threads" => threads = next()?.parse()?,
            "--onnx" => onnx = Some(PathBuf::from(next()?)),
            "--profile" => profile = true,
            "--seven-bits" => weights = WeightRange::Reduced,
            "--describe" => describe = true,
            arch => networks.push((arch.to_owned(), next()?.parse()?, next()?.parse()?)),
        }
    }
    if networks.is_empty() {
        let all = [
            ("resnet20", 1, 28),
            ("resnet18", 3, 32),
            ("mobilenet_v2", 3, 96),
            ("mobilenet_v3_small", 3, 96),
        ];
        networks = all.map(|(name, channels, size)| (name.to_owned(), channels, size)).to_vec();
    }
    println!("{}, {threads} threads", cpu_name());
    for isa in isas {
        let context = Arc::new(Context::with_isa(threads, isa)?);
        for (arch, channels, size) in &networks {
            let float = network(arch, *channels, *size)?;
            let int = quantized(&float, &context, weights)?;
            if let Some(folder) = &onnx {
                oculist_onnx::write(&float, folder.join(format!("{arch}.onnx")))?;
                oculist_onnx::write(&int, folder.join(format!("{arch}.int8.onnx")))?;
            }
            for batch in [1, 32] {
                for (kind, graph) in [("f32", &float), ("int8", &int)] {
                    let mut plan = Plan::new(graph, &PlanOptions::new(batch, Arc::clone(&context)))?;
                    let limits =
                        MeasureOptions { time: Duration::from_millis(400), ..MeasureOptions::new(batch) };
                    let m = measure(&mut plan, &limits)?;
                    println!(
                        "{isa} {arch} {channels}x{size} {kind} batch {batch}: {:.3} ms ({:.3}..{:.3}), {:.0} images/s, \
                         arena {} KiB",
                        m.median * 1e3,
                        m.min * 1e3,
                        m.max * 1e3,
                        m.images_per_second(),
                        plan.arena_bytes() / 1024
                    );
                    if describe {
                        println!("{}", plan.describe());
                    }
                    if profile {
                        println!("{}", plan.profile(20)?);
                    }
                }
            }
        }
    }
    Ok(())
}
