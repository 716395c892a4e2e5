//! Training steps.

use std::sync::Arc;

use anyhow::Result;
use oculist_kernels::{Context, Isa};
use oculist_testing::formula;
use oculist_train::{Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};
use serde_json::json;

use crate::networks::{CLASSES, network, params};
use crate::server::serve;

/// Small, so that hundreds of steps on the same images stay finite.
const LEARNING_RATE: f32 = 1e-3;
const WEIGHT_DECAY: f32 = 5e-4;
const LABEL_SMOOTHING: f32 = 0.1;

/// One job is a whole step: forward, loss, backward, SGD with momentum 0.9 and weight decay.
pub(crate) fn run(
    arch: &str,
    input: (usize, usize, usize),
    batch: usize,
    threads: usize,
    isa: Isa,
) -> Result<()> {
    let graph = network(arch, input)?;
    let ctx = Arc::new(Context::with_isa(threads, isa)?);
    let mut executor = Executor::new(ctx, &graph, batch, Mode::Train)?;
    let mut optimizer = Optimizer::new(OptimizerConfig::sgd(), executor.params().len());
    let images = images(batch, input);
    let labels: Vec<u32> = (0..batch).map(|i| (i % CLASSES) as u32).collect();
    let mut gradient = vec![0.0; executor.logits().len()];
    let mut seed = 0;
    let mut step = || {
        executor.forward_train(&images, seed);
        seed += 1;
        let loss =
            loss_and_gradient(CLASSES, &labels, LABEL_SMOOTHING, None, executor.logits(), &mut gradient);
        executor.backward(&gradient);
        executor.update(&mut optimizer, 1.0, LEARNING_RATE, WEIGHT_DECAY);
        loss
    };
    let (first, second) = (step(), step());
    let about = json!({
        "version": concat!("oculist ", env!("CARGO_PKG_VERSION")),
        "isa": isa.name(),
        "params": params(&graph),
        "check": [first, second],
    });
    serve(about, || {
        step();
        Ok(())
    })
}

/// The formula's images, which are laid out NCHW, as NHWC.
fn images(batch: usize, (channels, height, width): (usize, usize, usize)) -> Vec<f32> {
    let nchw = formula::tensor("input", batch * channels * height * width);
    let mut nhwc = vec![0.0; nchw.len()];
    let area = height * width;
    for (i, x) in nchw.iter().enumerate() {
        let (image, channel, pixel) = (i / (channels * area), i / area % channels, i % area);
        nhwc[(image * area + pixel) * channels + channel] = *x;
    }
    nhwc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_change_their_layout() {
        let nchw = formula::tensor("input", 2 * 3 * 4 * 4);
        let nhwc = images(2, (3, 4, 4));
        assert_eq!(nhwc[(16 + 5) * 3 + 2], nchw[(3 + 2) * 16 + 5]);
    }
}
