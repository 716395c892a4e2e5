//! Channels made from blocks of pixels, and the reverse.

use oculist_graph::{DepthToSpace, SpaceToDepth, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, moved, strides};

fn image(x: &Tensor) -> Result<[usize; 4], Problem> {
    <[usize; 4]>::try_from(x.shape()).map_err(|_| Problem::from("expected [N, C, H, W]"))
}

/// The axes of `split` in this order, as a result of `shape`.
fn reordered(call: &Call, x: &Tensor, split: &[usize; 6], order: [usize; 6], shape: [usize; 4]) -> Outcome {
    call.room(x.dtype(), &shape)?;
    let strides = strides(split);
    let along = order.iter().map(|&a| Along::all(split[a], strides[a])).collect();
    Ok(vec![Tensor::new(shape.to_vec(), moved(call.ctx, x.data(), along, None))?])
}

impl Forward for DepthToSpace {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, b) = (call.input(0)?, self.block);
        let [n, c, h, w] = image(x)?;
        let channels = c / b / b;
        let shape = [n, channels, h.saturating_mul(b), w.saturating_mul(b)];
        if self.channels_first {
            reordered(call, x, &[n, channels, b, b, h, w], [0, 1, 4, 2, 5, 3], shape)
        } else {
            reordered(call, x, &[n, b, b, channels, h, w], [0, 3, 4, 1, 5, 2], shape)
        }
    }
}

impl Forward for SpaceToDepth {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, b) = (call.input(0)?, self.block);
        let [n, c, h, w] = image(x)?;
        let shape = [n, c.saturating_mul(b).saturating_mul(b), h / b, w / b];
        let order = if self.channels_first { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
        reordered(call, x, &[n, c, h / b, b, w / b, b], order, shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use oculist_graph::Op;
    use oculist_kernels::Context;

    #[test]
    fn both_orders_are_those_of_onnx() {
        let ctx = Context::new(1).unwrap();
        let run = |op: Op, x: &Tensor| evaluate(&ctx, &op, &[Some(x)], 1).unwrap().remove(0);
        let x = Tensor::i32(&[1, 8, 1, 1], (0..8).collect());
        let y = run(DepthToSpace { block: 2, channels_first: false }.into(), &x);
        assert_eq!(y, Tensor::i32(&[1, 2, 2, 2], vec![0, 2, 4, 6, 1, 3, 5, 7]));
        assert_eq!(run(SpaceToDepth { block: 2, channels_first: false }.into(), &y), x);
        let y = run(DepthToSpace { block: 2, channels_first: true }.into(), &x);
        assert_eq!(y, Tensor::i32(&[1, 2, 2, 2], (0..8).collect()));
        assert_eq!(run(SpaceToDepth { block: 2, channels_first: true }.into(), &y), x);
    }
}
