//! Running one step.

mod rows;

use std::sync::Arc;

use bytemuck::{cast_slice, cast_slice_mut};
use oculist_kernels::int8::{
    IntChannelCopy, IntTarget, Quant, int_add, int_average_pool, int_copy_channels, int_dequantize, int_gate,
    int_global_average_pool, int_lookup, int_max_pool, int_multiply, int_quantize,
};
use oculist_kernels::{
    AdaptivePooling, ChannelCopy, Context, Rows, activation_forward, adaptive_average_pool, add, add_assign,
    average_pool, channel_scale, copy_channels, fill_zero, flatten, layer_norm, max_pool, nchw_to_nhwc,
    pad_channels, pick_channels, scale_shift, softmax,
};

use crate::error::RuntimeError;
use crate::plan::Plan;
use crate::step::{Pair, Step, Work, pooling};
use crate::tensor::{Format, Tensor};

impl Plan {
    /// Runs step `i` for the whole batch; `input` is the caller's slice.
    pub(crate) fn execute(&mut self, i: usize, input: &[f32]) -> Result<(), RuntimeError> {
        let steps = Arc::clone(&self.steps);
        let step = &steps[i];
        match &step.work {
            Work::Plain(plain) => self.run_plain(&step.node, plain)?,
            Work::ToRows { to, dtype, shape, order } => {
                self.slots[*to] = Some(self.rows_of(step.inputs[0], *dtype, shape, *order, input)?);
            }
            Work::Function(function) => self.run_function(step, *function, input)?,
            Work::FromRows { from, shape, order } => self.read_rows(step, from, shape, *order, input)?,
            _ => self.run_fast(i, input),
        }
        for &slot in &self.freed[i] {
            self.slots[slot] = None;
        }
        Ok(())
    }

    fn run_fast(&mut self, i: usize, input: &[f32]) {
        let Self { context, batch, tensors, steps, arena, scratch, .. } = self;
        let (ctx, batch) = (&**context, *batch);
        let Step { inputs, output: Some(output), work, .. } = &steps[i] else { return };
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
                flatten(ctx, batch, x_shape.channels, x_shape.pixels(), x_shape.stride, x, y);
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
            Work::Block(block) => {
                let second = inputs.get(1).copied();
                let ([x, residual], y) =
                    arena.split([inputs[0], second.unwrap_or(inputs[0])], *output, input);
                let layers = block.layers(second.map(|_| &residual[..y_len]));
                block.plan.run(ctx, &x[..x_len], &layers, &mut y[..y_len], scratch);
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
            Work::SliceChannels { first } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                if y_shape.channels < y_shape.stride {
                    fill_zero(ctx, &mut y[..y_len]);
                }
                let copy = ChannelCopy {
                    channels: y_shape.channels,
                    src_offset: *first,
                    ..copy_into(batch, x_shape, y_shape, 0)
                };
                copy_channels(ctx, copy, x, &mut y[..y_len], false);
            }
            Work::PickPixels(pixels) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let shape = (x_shape.pixels(), x_shape.stride);
                match x_shape.format {
                    Format::F32 => pick_pixels(ctx, shape, pixels, x, &mut y[..y_len]),
                    Format::U8 => {
                        pick_pixels(
                            ctx,
                            shape,
                            pixels,
                            cast_slice(x),
                            &mut cast_slice_mut::<f32, u8>(y)[..y_len],
                        );
                    }
                }
            }
            Work::PickChannels(picked) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let rows = batch * x_shape.pixels();
                match x_shape.format {
                    Format::F32 => {
                        let y = (&mut y[..y_len], y_shape.stride);
                        pick_channels(ctx, rows, picked, (&x[..x_len], x_shape.stride), y);
                    }
                    Format::U8 => {
                        let y: &mut [u8] = &mut cast_slice_mut(y)[..y_len];
                        let x: &[u8] = &cast_slice(x)[..x_len];
                        pick_channels(ctx, rows, picked, (x, x_shape.stride), (y, y_shape.stride));
                    }
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
            Work::AveragePool { plane, count_include_pad } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let pool = pooling(plane, batch, x_shape);
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
            Work::RowNorm(norm) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let (mean, rest) = scratch.split_at_mut(norm.rows);
                let (shape, y) = (rows(x_shape), &mut y[..y_len]);
                layer_norm(ctx, shape, norm.epsilon, &x[..x_len], &norm.gamma, &norm.beta, y, mean, rest);
            }
            Work::Attention(attention) => {
                let ([q, k, v], y) = arena.split([inputs[0], inputs[1], inputs[2]], *output, input);
                attention.plan.run(ctx, [q, k, v], attention.mask.as_deref(), &mut y[..y_len], scratch);
            }
            Work::Quantize(quant) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let strides = [x_shape.stride, y_shape.stride];
                int_quantize(
                    ctx,
                    rows(x_shape),
                    strides,
                    *quant,
                    &x[..x_len],
                    &mut cast_slice_mut(y)[..y_len],
                );
            }
            Work::Dequantize(quant) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                int_dequantize(ctx, rows(x_shape), *quant, &cast_slice(x)[..x_len], &mut y[..y_len]);
            }
            Work::IntConv(conv) => {
                let second = inputs.get(1).copied().filter(|_| conv.residual);
                let ([x, residual], y) =
                    arena.split([inputs[0], second.unwrap_or(inputs[0])], *output, input);
                let residual = second.map(|_| &cast_slice(residual)[..y_len]);
                let y = match y_shape.format {
                    Format::U8 => IntTarget::U8(&mut cast_slice_mut(y)[..y_len]),
                    Format::F32 => IntTarget::F32(&mut y[..y_len]),
                };
                conv.plan.forward(ctx, batch, &cast_slice(x)[..x_len], residual, y, scratch);
            }
            Work::IntAdd { quants: Pair { a, b, y: out }, levels } => {
                let ([x, z], y) = arena.split([inputs[0], inputs[1]], *output, input);
                let (x, z) = (&cast_slice(x)[..y_len], &cast_slice(z)[..y_len]);
                int_add(ctx, (x, *a), (z, *b), (&mut cast_slice_mut(y)[..y_len], *out), *levels);
            }
            Work::IntMultiply(Pair { a, b, y: out }) => {
                let ([x, z], y) = arena.split([inputs[0], inputs[1]], *output, input);
                let (x, z) = (&cast_slice(x)[..y_len], &cast_slice(z)[..y_len]);
                int_multiply(ctx, (x, *a), (z, *b), (&mut cast_slice_mut(y)[..y_len], *out));
            }
            Work::IntGate(Pair { a, b, y: out }) => {
                let ([x, gate], y) = arena.split([inputs[0], inputs[1]], *output, input);
                let (x, gate) = (&cast_slice(x)[..y_len], cast_slice(gate));
                let y = &mut cast_slice_mut(y)[..y_len];
                int_gate(ctx, rows(x_shape), batch, (x, *a), (gate, *b), (y, *out));
            }
            Work::IntConcat(tables) => {
                let mut dst_offset = 0;
                for (&id, table) in inputs.iter().zip(tables) {
                    let ([x], y) = arena.split([id], *output, input);
                    let copy = int_copy(batch, &tensors[id], y_shape, dst_offset);
                    int_copy_channels(ctx, copy, table.as_deref(), cast_slice(x), cast_slice_mut(y));
                    dst_offset += tensors[id].channels;
                }
            }
            Work::IntPadChannels { before, zero_point } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let y = &mut cast_slice_mut(y)[..y_len];
                y.fill(*zero_point);
                int_copy_channels(ctx, int_copy(batch, x_shape, y_shape, *before), None, cast_slice(x), y);
            }
            Work::IntMaxPool(pool) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let pool = pooling(pool, batch, x_shape);
                int_max_pool(ctx, &pool, &cast_slice(x)[..x_len], &mut cast_slice_mut(y)[..y_len]);
            }
            Work::IntAveragePool { plane, count_include_pad, x: x_quant, y: y_quant } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let pool = pooling(plane, batch, x_shape);
                let x = (&cast_slice(x)[..x_len], *x_quant);
                let y: (&mut [u8], Quant) = (&mut cast_slice_mut(y)[..y_len], *y_quant);
                int_average_pool(ctx, &pool, *count_include_pad, x, y);
            }
            Work::IntGlobalAveragePool { x: x_quant, y: y_quant } => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                let sizes = [batch, x_shape.pixels(), x_shape.channels];
                int_global_average_pool(ctx, sizes, (cast_slice(x), *x_quant), (cast_slice_mut(y), *y_quant));
            }
            Work::Lookup(table) => {
                let ([x], y) = arena.split([inputs[0]], *output, input);
                int_lookup(ctx, table, &cast_slice(x)[..x_len], &mut cast_slice_mut(y)[..y_len]);
            }
            Work::Function(_) | Work::Plain(_) | Work::ToRows { .. } | Work::FromRows { .. } => {}
        }
    }
}

/// `y[n, p] = x[n, pixels[p]]` for images of `size` pixels with `stride` channels.
fn pick_pixels<T: Copy + Send + Sync>(
    ctx: &Context,
    (size, stride): (usize, usize),
    pixels: &[u32],
    x: &[T],
    y: &mut [T],
) {
    ctx.for_pieces(y, pixels.len() * stride, |n, y| {
        let image = &x[n * size * stride..][..size * stride];
        for (y, &pixel) in y.chunks_exact_mut(stride).zip(pixels) {
            y.copy_from_slice(&image[pixel as usize * stride..][..stride]);
        }
    });
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

fn int_copy(batch: usize, x: &Tensor, y: &Tensor, dst_offset: usize) -> IntChannelCopy {
    IntChannelCopy {
        rows: batch * x.pixels(),
        channels: x.channels,
        src_stride: x.stride,
        dst_stride: y.stride,
        dst_offset,
    }
}
