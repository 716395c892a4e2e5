//! Training speed of an architecture on random images: `step_speed ARCH SIDE CHANNELS BATCH THREADS STEPS
//! [ISA] [--profile]`.

use std::sync::Arc;
use std::time::Instant;

use oculist_kernels::{Context, Isa};
use oculist_testing::formula;
use oculist_train::{Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};
use oculist_zoo::{BuildOptions, build, initialize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, args): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let number = |i: usize, default: usize| args.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let arch = args.first().map_or("resnet20", String::as_str);
    let (side, channels, batch) = (number(1, 32), number(2, 3), number(3, 128));
    let (threads, steps) = (number(4, 2), number(5, 10));
    let mut graph = build(arch, &BuildOptions::new(10, (channels, side, side)))?;
    initialize(&mut graph, 0);
    let isa = Isa::available().into_iter().find(|isa| args.get(6).is_some_and(|name| isa.name() == name));
    let ctx = Arc::new(Context::with_isa(threads, isa.unwrap_or_else(Isa::detect))?);
    let mut executor = Executor::new(ctx, &graph, batch, Mode::Train)?;
    let mut optimizer = Optimizer::new(OptimizerConfig::sgd(), executor.params().len());
    let images = formula::tensor("images", batch * side * side * channels);
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 10).collect();
    let mut gradient = vec![0.0; executor.logits().len()];
    let mut times = Vec::new();
    let mut parts = [0.0f64; 3];
    for step in 0..=steps {
        let start = Instant::now();
        executor.forward_train(&images, step as u64);
        let forward = start.elapsed().as_secs_f64();
        loss_and_gradient(10, &labels, 0.1, None, executor.logits(), &mut gradient);
        executor.backward(&gradient);
        let backward = start.elapsed().as_secs_f64();
        executor.update(&mut optimizer, 1.0, 1e-3, 5e-4);
        let all = start.elapsed().as_secs_f64();
        // The first step touches the memory for the first time.
        if step > 0 {
            times.push(all);
            parts = [parts[0] + forward, parts[1] + backward - forward, parts[2] + all - backward];
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let n = times.len() as f64;
    println!(
        "{arch} {side}x{side}x{channels} batch {batch}, {threads} threads: {:.1} images/s (median), forward {:.1} ms, \
         backward {:.1} ms, update {:.1} ms, buffers {:.0} MB",
        batch as f64 / median,
        1e3 * parts[0] / n,
        1e3 * parts[1] / n,
        1e3 * parts[2] / n,
        executor.bytes() as f64 / 1e6
    );
    if options.iter().any(|o| o == "--profile") {
        println!("{}", executor.profile(&images, &gradient, steps));
    }
    Ok(())
}
