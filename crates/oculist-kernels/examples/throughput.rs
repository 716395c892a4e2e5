//! Prints the speed of every convolution shape, pass and algorithm, beside the machine's FMA peak.
//!
//! `cargo run --release -p oculist-kernels --example throughput -- [--threads N] [--isa NAME] [--set NAME]
//! [--pass NAME] [--algorithm NAME] [--choices] [--budget MILLISECONDS] [FILTER]`
//!
//! Sets: `resnet20` (the default), `resnet18`, `mobilenet`, `stem`, `batch1`, `networks` (all of ResNet-18, 20 and 50,
//! VGG and MobileNetV2, batch 128, 32 and 1), `norm`, `pool`, `block8` and `block1` (inverted residual blocks at 224 pixels, fused against layer by layer). The numbers are GFLOP/s of the direct
//! convolution (two operations a product), so Winograd may exceed the peak; best and median of the rounds. After each shape, or alone with `--choices`, come
//! the cost model's choice and the measured best of each pass, with `!` where the latter is more than 10% faster and `~`
//! where it is up to 10% faster.

use std::time::{Duration, Instant};

use oculist_kernels::{
    Activation, AdaptivePooling, Algorithm, Algorithms, BatchNormBackward, BatchNormGradients, BlockLayer,
    BlockLayers, BlockPlan, Buffer, Context, Conv2d, ConvPlan, Epilogue, InvertedResidual, Isa, KernelError,
    Pass, Pooling, Rows, adaptive_average_pool, average_pool, average_pool_backward, batch_norm_backward,
    batch_statistics, max_pool, max_pool_backward, measure, scale_shift,
};

struct Options {
    threads: usize,
    isa: Isa,
    set: String,
    pass: String,
    algorithm: String,
    filter: String,
    /// Print only the model's choice against the measured best.
    choices: bool,
    /// Milliseconds for a measured choice.
    budget: u64,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        isa: Isa::detect(),
        set: "resnet20".into(),
        pass: String::new(),
        algorithm: String::new(),
        filter: String::new(),
        choices: false,
        budget: 100,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--threads" => options.threads = value()?.parse().map_err(|e| format!("--threads: {e}"))?,
            "--isa" => {
                let name = value()?;
                let found = Isa::available().into_iter().find(|isa| isa.name() == name);
                options.isa = found.ok_or(format!("{name} is not available here"))?;
            }
            "--set" => options.set = value()?,
            "--pass" => options.pass = value()?,
            "--algorithm" => options.algorithm = value()?,
            "--choices" => options.choices = true,
            "--budget" => options.budget = value()?.parse().map_err(|e| format!("--budget: {e}"))?,
            filter => options.filter = filter.into(),
        }
    }
    Ok(options)
}

/// The shapes of ResNet-18 and 20, VGG and MobileNetV2 on small images, for training, and of ResNet-18 and 50 on 224
/// pixels, for inference on one image.
fn networks() -> Vec<Conv2d> {
    let square = |b, s, i, o, k, st: usize| Conv2d::square(b, [s, s], [i, o], k, st, k / 2);
    let mut all = Vec::new();
    for batch in [32, 128] {
        for (size, channels) in [(32, 16), (16, 32), (8, 64), (28, 16), (14, 32), (7, 64)] {
            all.push(square(batch, size, channels, channels, 3, 1));
            all.push(square(batch, size, channels, 2 * channels, 3, 2));
        }
        for (size, c) in [(32, 64), (16, 128), (8, 256), (4, 512), (2, 512)] {
            all.push(square(batch, size, c, c, 3, 1));
            all.push(square(batch, size, c / 2, c, 3, 1));
        }
        for (size, c_in, c_out) in [(32, 16, 96), (32, 96, 24), (16, 32, 192), (8, 64, 384), (4, 160, 960)] {
            all.push(square(batch, size, c_in, c_out, 1, 1));
            all.push(Conv2d { groups: c_out, ..square(batch, size, c_out, c_out, 3, 1) });
        }
    }
    for (size, c) in
        [(56, 64), (28, 128), (14, 256), (7, 512), (32, 64), (16, 128), (8, 256), (4, 512), (2, 512)]
    {
        all.push(square(1, size, c, c, 3, 1));
    }
    for (size, c) in [(32, 16), (16, 32), (8, 64)] {
        all.push(square(1, size, c, c, 3, 1));
    }
    for (size, c) in [(56, 64), (28, 128), (14, 256), (7, 512)] {
        all.push(square(1, size, c, 4 * c, 1, 1));
        all.push(square(1, size, 4 * c, c, 1, 1));
    }
    for (size, c_in, c_out) in
        [(224, 64, 64), (112, 128, 128), (56, 256, 256), (28, 512, 512), (14, 512, 512)]
    {
        all.push(square(1, size, c_in, c_out, 3, 1));
    }
    all
}

fn shapes(set: &str) -> Vec<Conv2d> {
    let square = |b, s, i, o, k, st: usize| Conv2d::square(b, [s, s], [i, o], k, st, k / 2);
    let depthwise = |b, s, c, st| Conv2d { groups: c, ..square(b, s, c, c, 3, st) };
    match set {
        "networks" => networks(),
        "resnet18" => vec![
            square(32, 32, 64, 64, 3, 1),
            square(32, 32, 64, 128, 3, 2),
            square(32, 16, 128, 128, 3, 1),
            square(32, 16, 128, 256, 3, 2),
            square(32, 8, 256, 256, 3, 1),
            square(32, 8, 256, 512, 3, 2),
            square(32, 4, 512, 512, 3, 1),
            square(32, 32, 64, 128, 1, 2),
        ],
        "mobilenet" => vec![
            square(32, 32, 16, 96, 1, 1),
            depthwise(32, 32, 96, 1),
            square(32, 32, 96, 24, 1, 1),
            depthwise(32, 32, 144, 2),
            square(32, 16, 144, 32, 1, 1),
            square(32, 8, 64, 384, 1, 1),
            depthwise(32, 8, 384, 1),
            square(32, 8, 384, 64, 1, 1),
            square(32, 4, 160, 960, 1, 1),
            depthwise(32, 4, 960, 1),
            square(32, 4, 960, 320, 1, 1),
        ],
        "stem" => vec![
            Conv2d { x_stride: 3, ..square(32, 32, 3, 64, 3, 1) },
            Conv2d { x_stride: 3, ..square(8, 224, 3, 64, 7, 2) },
            Conv2d { x_stride: 3, ..square(8, 224, 3, 32, 3, 2) },
            Conv2d { x_stride: 1, ..square(128, 28, 1, 16, 3, 1) },
        ],
        "batch1" => vec![
            square(1, 56, 64, 64, 3, 1),
            square(1, 28, 128, 128, 3, 1),
            square(1, 14, 256, 256, 3, 1),
            square(1, 7, 512, 512, 3, 1),
            square(1, 14, 256, 512, 3, 2),
            square(1, 28, 16, 16, 3, 1),
            square(1, 7, 64, 64, 3, 1),
            square(1, 7, 960, 160, 1, 1),
            depthwise(1, 56, 144, 1),
            square(1, 1, 512, 1000, 1, 1),
        ],
        _ => vec![
            Conv2d { x_stride: 1, ..square(128, 28, 1, 16, 3, 1) },
            square(128, 28, 16, 16, 3, 1),
            square(128, 28, 16, 32, 3, 2),
            square(128, 14, 32, 32, 3, 1),
            square(128, 14, 32, 64, 3, 2),
            square(128, 7, 64, 64, 3, 1),
            square(128, 28, 16, 32, 1, 2),
            square(128, 1, 64, 10, 1, 1),
        ],
    }
}

/// Seconds that this thread was on a processor, where Linux tells it.
fn on_processor() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse::<f64>().ok().map(|ns| ns * 1e-9)
}

/// Best and median seconds of a few rounds; on one thread, instead of the median, the mean time on the processor,
/// which a busy machine does not blur.
fn time(ctx: &Context, mut body: impl FnMut()) -> (f64, f64) {
    body();
    let mut rounds = Vec::new();
    let start = Instant::now();
    let before = on_processor();
    while rounds.len() < 25 || (start.elapsed() < Duration::from_millis(200) && rounds.len() < 500) {
        let round = Instant::now();
        body();
        rounds.push(round.elapsed().as_secs_f64());
    }
    let used = on_processor().zip(before).map(|(after, before)| (after - before) / rounds.len() as f64);
    rounds.sort_by(f64::total_cmp);
    let median = rounds[rounds.len() / 2];
    // The clock ticks every few milliseconds.
    let used = used.filter(|_| ctx.threads() == 1 && rounds.len() > 20);
    (rounds[0], used.unwrap_or(median))
}

/// One line a pass: the model's choice and the measured best; `!` where the latter is more than 10% faster.
fn compare_choices(ctx: &Context, conv: &Conv2d, options: &Options) -> Result<(), KernelError> {
    let flops = 2.0 * conv.macs() as f64 * 1e-9;
    let line = |name: &str, picked: Algorithm, times: &[(Algorithm, Duration)]| {
        let speed = |t: Duration| flops / t.as_secs_f64();
        let (Some((_, best)), Some((_, time))) = (times.first(), times.iter().find(|(a, _)| *a == picked))
        else {
            return;
        };
        let mark = match time.as_secs_f64() / best.as_secs_f64() {
            ratio if ratio > 1.1 => '!',
            ratio if ratio > 1.0 => '~',
            _ => ' ',
        };
        let all: Vec<String> = times.iter().map(|(a, t)| format!("{} {:.1}", a.name(), speed(*t))).collect();
        println!(
            "{:<34} {name:<17} model {:<13} {:>7.1} {mark} measured {} GF/s",
            conv.label(),
            picked.name(),
            speed(*time),
            all.join(", ")
        );
    };
    let budget = Duration::from_millis(options.budget);
    for pass in Pass::ALL {
        if pass.name().contains(&options.pass) && !(pass == Pass::BackwardData && conv.x_stride < 16) {
            let times = Algorithm::measure(ctx, pass, conv, budget)?;
            line(pass.name(), Algorithm::pick(pass, conv), &times);
        }
    }
    if "prepared".contains(&options.pass) {
        let times = Algorithm::measure_prepared(ctx, conv, budget)?;
        line("  prepared", Algorithm::pick(Pass::Forward, conv), &times);
    }
    Ok(())
}

fn bench_conv(ctx: &Context, conv: Conv2d, options: &Options) {
    let noise = |n: usize, seed: usize| {
        let mut values = Buffer::zeroed(n);
        for (i, v) in values.iter_mut().enumerate() {
            *v = ((i * 7919 + seed) % 1009) as f32 / 504.0 - 1.0;
        }
        values
    };
    let (mut x, w) = (noise(conv.x_len(), 1), noise(conv.weights_len(), 2));
    let mut y = noise(conv.y_len(), 3);
    let mut dw = Buffer::zeroed(w.len());
    let picked = Algorithms::pick(&conv);
    for pass in Pass::ALL {
        for algorithm in [Algorithm::Direct, Algorithm::Depthwise, Algorithm::Winograd, Algorithm::Winograd2]
        {
            let wanted = pass.name().contains(&options.pass) && algorithm.name().contains(&options.algorithm);
            if !wanted || !algorithm.supports(pass, &conv) {
                continue;
            }
            let all = Algorithms {
                forward: if pass == Pass::Forward { algorithm } else { picked.forward },
                backward_data: if pass == Pass::BackwardData { algorithm } else { picked.backward_data },
                backward_weights: if pass == Pass::BackwardWeights {
                    algorithm
                } else {
                    picked.backward_weights
                },
            };
            let plan = match ConvPlan::with_algorithms(ctx, conv, all) {
                Ok(plan) => plan,
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            };
            let mut scratch = Buffer::zeroed(plan.scratch_len());
            let epilogue = Epilogue::default();
            let (best, median) = match pass {
                Pass::Forward => time(ctx, || plan.forward(ctx, &x, &w, &epilogue, &mut y, &mut scratch)),
                Pass::BackwardData => {
                    time(ctx, || plan.backward_data(ctx, &y, &w, &mut x, false, &mut scratch))
                }
                Pass::BackwardWeights => {
                    time(ctx, || plan.backward_weights(ctx, &x, &y, &mut dw, &mut scratch))
                }
            };
            let flops = 2.0 * conv.macs() as f64 * 1e-9;
            let mark = if picked.of(pass) == algorithm { '*' } else { ' ' };
            println!(
                "{:<34} {:<17}{mark}{:<13} {:>7.1} {:>7.1} GF/s {:>8.3} ms",
                conv.label(),
                pass.name(),
                algorithm.name(),
                flops / best,
                flops / median,
                best * 1e3
            );
            if pass == Pass::Forward {
                let prepared = plan.prepare(ctx, &w);
                let (best, _) =
                    time(ctx, || plan.forward_prepared(ctx, &x, &prepared, &epilogue, &mut y, &mut scratch));
                println!("{:<34} {:<31} {:>7.1}", "", "  prepared", flops / best);
            }
        }
    }
}

/// The inverted residual blocks of MobileNetV2 at 224 pixels: size, channels in, wide, out, stride.
const BLOCKS: [(usize, [usize; 3], usize); 9] = [
    (112, [32, 32, 16], 1),
    (112, [16, 96, 24], 2),
    (56, [24, 144, 24], 1),
    (56, [24, 144, 32], 2),
    (28, [32, 192, 32], 1),
    (14, [64, 384, 64], 1),
    (14, [96, 576, 96], 1),
    (14, [96, 576, 160], 2),
    (7, [160, 960, 160], 1),
];

fn bench_blocks(ctx: &Context, batch: usize) -> Result<(), KernelError> {
    for (size, [c_in, wide, c_out], stride) in BLOCKS {
        let expand = (wide != c_in).then(|| Conv2d::square(batch, [size; 2], [c_in, wide], 1, 1, 0));
        let depthwise = Conv2d { groups: wide, ..Conv2d::square(batch, [size; 2], [wide; 2], 3, stride, 1) };
        let out = depthwise.out_height();
        let project = Conv2d::square(batch, [out; 2], [wide, c_out], 1, 1, 0);
        let block = InvertedResidual { expand, depthwise, project };
        let convs: Vec<Conv2d> = expand.into_iter().chain([depthwise, project]).collect();
        let weights: Vec<Vec<f32>> = convs.iter().map(|c| vec![0.01; c.weights_len()]).collect();
        let activation = Activation::Clip { min: 0.0, max: 6.0 };
        let plans = convs.iter().map(|c| ConvPlan::new(ctx, *c)).collect::<Result<Vec<_>, _>>()?;
        let mut maps: Vec<Vec<f32>> = vec![vec![0.5; convs[0].x_len()]];
        maps.extend(convs.iter().map(|c| vec![0.0; c.y_len()]));
        let fused = BlockPlan::new(ctx, block)?;
        let needed = plans.iter().map(ConvPlan::scratch_len).max().unwrap_or(0).max(fused.scratch_len());
        let mut scratch = vec![0.0; needed];
        let layered = time(ctx, || {
            for (i, plan) in plans.iter().enumerate() {
                let (before, after) = maps.split_at_mut(i + 1);
                let epilogue = Epilogue { activation, ..Epilogue::default() };
                plan.forward(ctx, &before[i], &weights[i], &epilogue, &mut after[0], &mut scratch);
            }
        });
        let layer = |i: usize| BlockLayer { weights: &weights[i], bias: None, activation };
        let first = usize::from(expand.is_some());
        let layers = BlockLayers {
            expand: expand.map(|_| layer(0)),
            depthwise: layer(first),
            project: layer(first + 1),
            residual: None,
        };
        let (before, after) = maps.split_at_mut(1);
        let last = after.len() - 1;
        let fused_time = time(ctx, || fused.run(ctx, &before[0], &layers, &mut after[last], &mut scratch));
        println!(
            "{c_in:>3} -> {wide:>3} -> {c_out:>3} @{size:<3} s{stride} b{batch}  layers {:>8.3} {:>8.3} ms  fused {:>8.3} {:>8.3} ms  {:.2}",
            layered.0 * 1e3,
            layered.1 * 1e3,
            fused_time.0 * 1e3,
            fused_time.1 * 1e3,
            layered.0 / fused_time.0
        );
    }
    Ok(())
}

fn bench_norm(ctx: &Context) {
    for (rows, channels) in [(128 * 784, 16), (128 * 196, 32), (128 * 49, 64), (32 * 1024, 64)] {
        let shape = Rows::new(rows, channels);
        let mut x = Buffer::zeroed(shape.len());
        for (i, v) in x.iter_mut().enumerate() {
            *v = (i % 977) as f32;
        }
        let (dy, residual) = (x.clone(), x.clone());
        let (mut y, mut dx) = (Buffer::zeroed(x.len()), Buffer::zeroed(x.len()));
        let mut v = vec![vec![1.0; channels]; 4];
        let [a, b, c, d] = &mut v[..] else { continue };
        let bytes = std::mem::size_of_val(&*x) as f64;
        let report = |name: &str, passes: f64, (best, median): (f64, f64)| {
            println!(
                "{rows:>7} x {channels:<4} {name:<28} {:>7.1} {:>7.1} GB/s {:>8.3} ms",
                passes * bytes / best * 1e-9,
                passes * bytes / median * 1e-9,
                best * 1e3
            );
        };
        report("statistics", 1.0, time(ctx, || batch_statistics(ctx, shape, &x, a, b)));
        let relu = Activation::Relu;
        report("apply, relu", 2.0, time(ctx, || scale_shift(ctx, shape, &x, a, b, None, relu, &mut y)));
        let r = Some(&*residual);
        report(
            "apply, residual, relu",
            3.0,
            time(ctx, || scale_shift(ctx, shape, &x, a, b, r, relu, &mut y)),
        );
        for (name, residual) in [("backward, relu", None), ("backward, residual, relu", r)] {
            let mut dresidual = residual.map(Buffer::from);
            let passes = if residual.is_some() { 8.0 } else { 5.0 };
            let (mut dgamma, mut dbeta) = (vec![0.0; channels], vec![0.0; channels]);
            let input = BatchNormBackward {
                x: &x,
                y: &y,
                residual,
                dy: &dy,
                gamma: a,
                beta: b,
                mean: c,
                inv_std: d,
                activation: relu,
            };
            let timed = time(ctx, || {
                let output = BatchNormGradients {
                    dx: &mut dx,
                    dgamma: &mut dgamma,
                    dbeta: &mut dbeta,
                    dresidual: dresidual.as_deref_mut().map(|d| (d, false)),
                };
                batch_norm_backward(ctx, shape, &input, output);
            });
            report(name, passes, timed);
        }
    }
}

fn bench_pool(ctx: &Context) {
    for (size, channels, kernel, stride) in [(32, 64, 2, 2), (56, 64, 3, 2)] {
        let pool = Pooling {
            batch: 32,
            height: size,
            width: size,
            channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2 * (kernel % 2); 4],
        };
        let mut x = Buffer::zeroed(pool.x_len());
        for (i, v) in x.iter_mut().enumerate() {
            *v = (i * 7919 % 977) as f32;
        }
        let mut y = Buffer::zeroed(pool.y_len());
        let mut dx = Buffer::zeroed(pool.x_len());
        let mut argmax = vec![0; pool.y_len()];
        let bytes = 4.0 * (x.len() + y.len()) as f64;
        let report = |name: &str, (best, median): (f64, f64)| {
            println!(
                "{channels:>3} @{size} k{kernel} s{stride}  {name:<28} {:>7.1} {:>7.1} GB/s {:>8.3} ms",
                bytes / best * 1e-9,
                bytes / median * 1e-9,
                best * 1e3
            );
        };
        report("max", time(ctx, || max_pool(ctx, &pool, &x, &mut y, None)));
        report("max with positions", time(ctx, || max_pool(ctx, &pool, &x, &mut y, Some(&mut argmax))));
        report("max, backward", time(ctx, || max_pool_backward(ctx, &pool, &y, &argmax, &mut dx, false)));
        report("average", time(ctx, || average_pool(ctx, &pool, true, &x, &mut y)));
        report(
            "average, backward",
            time(ctx, || average_pool_backward(ctx, &pool, true, &y, &mut dx, false)),
        );
        let global = AdaptivePooling::global(pool.batch, [size; 2], channels);
        let mut means = Buffer::zeroed(pool.batch * channels);
        report("global average", time(ctx, || adaptive_average_pool(ctx, &global, &x, &mut means)));
    }
}

fn main() {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            std::process::exit(2);
        }
    };
    let ctx = match Context::with_isa(options.threads, options.isa) {
        Ok(ctx) => ctx,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    println!("{} threads, {}, FMA peak {:.0} GFLOP/s", ctx.threads(), ctx.isa(), measure::fma_peak(&ctx));
    if options.set == "norm" {
        bench_norm(&ctx);
        return;
    }
    if options.set == "pool" {
        bench_pool(&ctx);
        return;
    }
    if let Some(batch) = options.set.strip_prefix("block") {
        if let Err(error) = bench_blocks(&ctx, batch.parse().unwrap_or(1)) {
            eprintln!("{error}");
        }
        return;
    }
    for conv in shapes(&options.set) {
        if conv.label().contains(&options.filter) {
            if !options.choices {
                bench_conv(&ctx, conv, &options);
            }
            if let Err(error) = compare_choices(&ctx, &conv, &options) {
                eprintln!("{error}");
            }
        }
    }
}
