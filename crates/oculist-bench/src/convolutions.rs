//! The speed of convolutions one by one, beside the machine's peak.

use std::time::{Duration, Instant};

use anyhow::Result;
use oculist_kernels::{Buffer, Context, Conv2d, ConvPlan, Epilogue, Isa, Pass, measure};
use serde_json::{Value, json};

/// A convolution as the peers are told it: batch, side, channels in and out, kernel, stride, depthwise or not.
struct Case {
    batch: usize,
    side: usize,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    depthwise: bool,
}

const fn dense(batch: usize, side: usize, c_in: usize, c_out: usize, kernel: usize, stride: usize) -> Case {
    Case { batch, side, channels: [c_in, c_out], kernel, stride, depthwise: false }
}

const fn depthwise(batch: usize, side: usize, channels: usize, stride: usize) -> Case {
    Case { batch, side, channels: [channels; 2], kernel: 3, stride, depthwise: true }
}

/// Layers of ResNet-18 and -20, VGG and MobileNetV2; 1x1 convolutions are plain matrix products.
const CASES: [Case; 24] = [
    dense(32, 32, 3, 64, 3, 1),
    dense(32, 32, 64, 64, 3, 1),
    dense(32, 32, 64, 128, 3, 2),
    dense(32, 16, 128, 128, 3, 1),
    dense(32, 8, 256, 256, 3, 1),
    dense(32, 8, 256, 512, 3, 2),
    dense(32, 4, 512, 512, 3, 1),
    dense(128, 32, 16, 16, 3, 1),
    dense(128, 16, 32, 32, 3, 1),
    dense(128, 8, 64, 64, 3, 1),
    dense(8, 224, 3, 64, 7, 2),
    dense(8, 56, 64, 64, 3, 1),
    dense(8, 28, 128, 128, 3, 1),
    dense(8, 14, 256, 256, 3, 1),
    dense(8, 7, 512, 512, 3, 1),
    dense(8, 56, 64, 256, 1, 1),
    dense(8, 14, 1024, 256, 1, 1),
    dense(8, 112, 16, 96, 1, 1),
    dense(8, 56, 144, 24, 1, 1),
    dense(8, 14, 384, 64, 1, 1),
    dense(8, 7, 960, 160, 1, 1),
    depthwise(8, 112, 96, 2),
    depthwise(8, 56, 144, 1),
    depthwise(8, 14, 384, 1),
];

/// Prints `{"peak": GFLOP/s, "rows": [{case, pass, algorithm, gflops, ..}]}`.
pub(crate) fn run(threads: usize, isa: Isa) -> Result<()> {
    let ctx = Context::with_isa(threads, isa)?;
    let peak = measure::fma_peak(&ctx);
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(measure_case(&ctx, case)?);
    }
    println!("{}", json!({"isa": isa.name(), "peak": peak, "rows": rows}));
    Ok(())
}

fn convolution(case: &Case) -> Conv2d {
    let conv =
        Conv2d::square(case.batch, [case.side; 2], case.channels, case.kernel, case.stride, case.kernel / 2);
    let groups = if case.depthwise { case.channels[0] } else { 1 };
    // The first layer reads images with as many channels as they have.
    let x_stride = if case.channels[0] < 16 { case.channels[0] } else { conv.x_stride };
    Conv2d { groups, x_stride, ..conv }
}

fn measure_case(ctx: &Context, case: &Case) -> Result<Vec<Value>> {
    let conv = convolution(case);
    let plan = ConvPlan::new(ctx, conv)?;
    let (x, w, y) = (noise(conv.x_len(), 1), noise(conv.weights_len(), 2), noise(conv.y_len(), 3));
    let (mut dx, mut dw, mut out) = (x.clone(), w.clone(), y.clone());
    let mut scratch = Buffer::zeroed(plan.scratch_len());
    let mut rows = Vec::new();
    for pass in Pass::ALL {
        if pass == Pass::BackwardData && case.channels[0] < 16 {
            continue;
        }
        let seconds = median(|| match pass {
            Pass::Forward => plan.forward(ctx, &x, &w, &Epilogue::default(), &mut out, &mut scratch),
            Pass::BackwardData => plan.backward_data(ctx, &y, &w, &mut dx, false, &mut scratch),
            Pass::BackwardWeights => plan.backward_weights(ctx, &x, &y, &mut dw, &mut scratch),
        });
        let [c_in, c_out] = case.channels;
        rows.push(json!({
            "shape": {"batch": case.batch, "side": case.side, "c_in": c_in, "c_out": c_out,
                      "kernel": case.kernel, "stride": case.stride, "groups": conv.groups},
            "pass": pass.name(),
            "algorithm": plan.algorithms().of(pass).name(),
            "gflops": 2e-9 * conv.macs() as f64 / seconds,
        }));
    }
    Ok(rows)
}

fn noise(len: usize, seed: usize) -> Buffer {
    let mut values = Buffer::zeroed(len);
    for (i, v) in values.iter_mut().enumerate() {
        *v = ((i * 7919 + seed) % 1009) as f32 / 504.0 - 1.0;
    }
    values
}

/// Median seconds of a tenth of a second of runs, five at least.
fn median(mut body: impl FnMut()) -> f64 {
    body();
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 5 || start.elapsed() < Duration::from_millis(100) {
        let one = Instant::now();
        body();
        times.push(one.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
