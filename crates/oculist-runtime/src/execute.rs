//! Running one step.

use oculist_kernels::{
    AdaptivePooling, ChannelCopy, Rows, activation_forward, adaptive_average_pool, add, add_assign,
    average_pool, channel_scale, copy_channels, fill_zero, max_pool, nchw_to_nhwc, nhwc_to_nchw,
    pad_channels, scale_shift, softmax, unpad_channels,
};

use crate::plan::Plan;
use crate::step::{Step, Work, pooling};
use crate::tensor::Tensor;

impl Plan {
    /// Runs step `i` for the whole batch; `input` is the caller's slice.
    pub(crate) fn execute(&mut self, i: usize, input: &[f32]) {
        let Self { context, batch, tensors, steps, arena, scratch, .. } = self;
        let (ctx, batch) = (&**context, *batch);
        let Step { inputs, output, work, .. } = &steps[i];
        let (x_shape, y_shape) = (&tensors[inputs[0]], &tensors[*output]);
        let (x_len, y_len) = (batch * x_shape.image_len(), batch * y_shape.image_len());
        let rows = |tensor: &Tensor| Rows::new(batch * tensor.pixels(), tensor.channels);
        match work {
            Work::PadPixels => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                pad_channels(ctx, batch * x_shape.pixels(), x_shape.channels, &x[..x_len], &mut y[..y_len]);
            }
            Work::ToNhwc => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let Tensor { channels, stride, .. } = *y_shape;
                nchw_to_nhwc(ctx, batch, channels, y_shape.pixels(), stride, &x[..x_len], &mut y[..y_len]);
            }
            Work::Flatten => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                flatten(batch, x_shape, y_shape.stride, x, y);
            }
            Work::Conv(conv) => {
                if conv.residual {
                    let ([x, residual], y) = arena.split([inputs[0], inputs[1]], *output, input);
                    let epilogue = conv.epilogue(Some(&residual[..y_len]));
                    let y = &mut y[..y_len];
                    conv.plan.forward_prepared(ctx, &x[..x_len], &conv.weights, &epilogue, y, scratch);
                } else {
                    let ([x], y) = arena.split([inputs[0]], *output, input);
                    let y = &mut y[..y_len];
                    let epilogue = conv.epilogue(None);
                    conv.plan.forward_prepared(ctx, &x[..x_len], &conv.weights, &epilogue, y, scratch);
                }
            }
            Work::Affine(affine) => {
                let second = inputs.get(1).copied().filter(|_| affine.residual);
                let ([x, residual], y) =
                    arena.split([inputs[0], second.unwrap_or(inputs[0])], *output, input);
                let residual = second.map(|_| &residual[..y_len]);
                let (scale, shift, f) = (&affine.scale, &affine.shift, affine.activation);
                scale_shift(ctx, rows(x_shape), &x[..x_len], scale, shift, residual, f, &mut y[..y_len]);
            }
            Work::Activation(activation) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                activation_forward(ctx, rows(x_shape), *activation, x, y);
            }
            Work::Add => {
                if arena.same_place(inputs[0], *output) {
                    let ([b], y) = arena.split([inputs[1]], *output, input);
                    add_assign(ctx, &b[..y_len], &mut y[..y_len]);
                } else {
                    let ([a, b], y) = arena.split([inputs[0], inputs[1]], *output, input);
                    add(ctx, &a[..y_len], &b[..y_len], &mut y[..y_len]);
                }
            }
            Work::Multiply => {
                // Seen as one row of many channels for each image, the gate has as many elements as the image.
                let ([a, b], y) = arena.split([inputs[0], inputs[1]], *output, input);
                let shape = Rows::new(batch, x_shape.image_len());
                channel_scale(ctx, shape, batch, &a[..y_len], &b[..y_len], &mut y[..y_len]);
            }
            Work::Gate => {
                let ([x, gate], y) = arena.split([inputs[0], inputs[1]], *output, input);
                channel_scale(ctx, rows(x_shape), batch, &x[..x_len], gate, &mut y[..y_len]);
            }
            Work::Concat => {
                let (_, y) = arena.split([], *output, input);
                if y_shape.channels < y_shape.stride {
                    fill_zero(ctx, &mut y[..y_len]);
                }
                let mut dst_offset = 0;
                for &id in inputs {
                    let ([x], y) = arena.split([id], *output, input);
                    let copy = copy_into(batch, &tensors[id], y_shape, dst_offset);
                    copy_channels(ctx, copy, x, &mut y[..y_len], false);
                    dst_offset += tensors[id].channels;
                }
            }
            Work::PadChannels { before } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                fill_zero(ctx, &mut y[..y_len]);
                copy_channels(ctx, copy_into(batch, x_shape, y_shape, *before), x, &mut y[..y_len], false);
            }
            Work::MaxPool(pool) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                max_pool(ctx, &pooling(pool, batch, x_shape), &x[..x_len], &mut y[..y_len], None);
            }
            Work::AveragePool { pool, count_include_pad } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let pool = pooling(pool, batch, x_shape);
                average_pool(ctx, &pool, *count_include_pad, &x[..x_len], &mut y[..y_len]);
            }
            Work::GlobalAveragePool => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let pool = AdaptivePooling::global(batch, x_shape.size, x_shape.channels);
                adaptive_average_pool(ctx, &pool, &x[..x_len], &mut y[..y_len]);
            }
            Work::Softmax => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                softmax(rows(x_shape), 1.0, &x[..x_len], &mut y[..y_len]);
            }
        }
    }

    /// Copies the output of `n` images to the caller, without padding and in the graph's order.
    pub(crate) fn write_output(&self, n: usize, input: &[f32], out: &mut [f32]) {
        let shape = &self.tensors[self.output];
        let y = &self.arena.read(self.output, input)[..n * shape.image_len()];
        let Tensor { channels, stride, .. } = *shape;
        match shape.pixels() {
            1 if stride == channels => out.copy_from_slice(y),
            1 => unpad_channels(&self.context, n, channels, y, out),
            pixels => nhwc_to_nchw(&self.context, n, channels, pixels, stride, y, out),
        }
    }
}

fn copy_into(batch: usize, x: &Tensor, y: &Tensor, dst_offset: usize) -> ChannelCopy {
    ChannelCopy {
        rows: batch * x.pixels(),
        channels: x.channels,
        src_stride: x.stride,
        src_offset: 0,
        dst_stride: y.stride,
        dst_offset,
    }
}

/// `[batch, pixels, stride]` to `[batch, y_stride]` in the order channel, pixel; the padding becomes 0.
fn flatten(batch: usize, shape: &Tensor, y_stride: usize, x: &[f32], y: &mut [f32]) {
    let (pixels, channels) = (shape.pixels(), shape.channels);
    for n in 0..batch {
        let image = &x[n * shape.image_len()..][..shape.image_len()];
        let row = &mut y[n * y_stride..][..y_stride];
        for (p, pixel) in image.chunks_exact(shape.stride).enumerate() {
            for (c, &value) in pixel[..channels].iter().enumerate() {
                row[c * pixels + p] = value;
            }
        }
        row[channels * pixels..].fill(0.0);
    }
}
