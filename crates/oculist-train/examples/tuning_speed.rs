//! Speed of a training step by what is trained, on random images: `tuning_speed ARCH SIDE CHANNELS BATCH THREADS STEPS`.

use std::sync::Arc;
use std::time::Instant;

use oculist_graph::Graph;
use oculist_kernels::Context;
use oculist_passes::{AdapterOptions, attach_adapters};
use oculist_testing::formula;
use oculist_train::{
    Executor, Mode, NormTraining, Optimizer, OptimizerConfig, ParameterKind, Tuning, layers,
    loss_and_gradient,
};
use oculist_zoo::{BuildOptions, build, initialize};

const TRAINED: [ParameterKind; 3] = [ParameterKind::Weight, ParameterKind::Vector, ParameterKind::BatchNorm];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let arch = args.first().map_or("resnet20", String::as_str);
    let (side, channels, batch) = (number(1, 32), number(2, 3), number(3, 64));
    let (threads, steps) = (number(4, 2), number(5, 10));
    let mut graph = build(arch, &BuildOptions::new(10, (channels, side, side)))?;
    initialize(&mut graph, 0);
    let ctx = Arc::new(Context::new(threads)?);
    let groups = layers(&graph);
    let init = |name: &str, shape: &[usize]| formula::tensor(name, shape.iter().product());
    let (adapted, adapters) =
        attach_adapters(&graph, AdapterOptions { rank: 8, alpha: 8.0 }, |_| true, init)?;
    let own: Vec<&str> = adapters.iter().flat_map(|a| [a.a.as_str(), a.b.as_str()]).collect();
    let with_adapters = layers(&adapted);
    let others = with_adapters.iter().flat_map(|layer| layer.names(&TRAINED)).filter(|n| !own.contains(n));
    let plain = Tuning::default;
    let fixed = |tuning: Tuning| tuning.batch_norm(&groups, NormTraining::Statistics);
    let front = |layer: usize| groups[..layer].iter().flat_map(|layer| layer.names(&TRAINED));
    let ways: [(&str, &Graph, Tuning); 7] = [
        ("all", &graph, plain()),
        ("all, frozen statistics", &graph, fixed(plain())),
        ("last half of the layers", &graph, fixed(plain().frozen(front(groups.len() / 2)))),
        ("last quarter of the layers", &graph, fixed(plain().frozen(front(groups.len() * 3 / 4)))),
        ("biases and head", &graph, fixed(plain().biases(&groups))),
        ("head", &graph, fixed(plain().head(&groups))),
        ("adapters of rank 8", &adapted, fixed(plain()).frozen(others)),
    ];
    println!("{arch} {side}x{side}x{channels} batch {batch}, {threads} threads, {} layers", groups.len());
    for (name, graph, tuning) in ways {
        let mut executor = Executor::tuned(ctx.clone(), graph, batch, Mode::Train, &tuning)?;
        let mut optimizer = Optimizer::new(OptimizerConfig::sgd(), executor.params().len());
        let images = formula::tensor("images", batch * side * side * channels);
        let labels: Vec<u32> = (0..batch as u32).map(|i| i % 10).collect();
        let mut gradient = vec![0.0; executor.logits().len()];
        let mut times = Vec::new();
        // The first step touches the memory for the first time.
        for step in 0..=steps {
            let start = Instant::now();
            executor.forward_train(&images, step as u64);
            let forward = start.elapsed().as_secs_f64();
            loss_and_gradient(10, &labels, 0.1, None, executor.logits(), &mut gradient);
            executor.backward(&gradient);
            executor.update(&mut optimizer, 1.0, 1e-3, 5e-4);
            if step > 0 {
                times.push((start.elapsed().as_secs_f64(), forward));
            }
        }
        // The fastest: what others did on the machine meanwhile is in the rest.
        let best = |time: &dyn Fn(&(f64, f64)) -> f64| times.iter().map(time).fold(f64::INFINITY, f64::min);
        println!(
            "{name:28} {:8.1} ms a step, {:8.1} ms of it forward, {:6.0} MB",
            1e3 * best(&|t| t.0),
            1e3 * best(&|t| t.1),
            executor.bytes() as f64 / 1e6
        );
    }
    Ok(())
}
