//! Windows put back where they were taken from.

use oculist_graph::{Col2Im, DataType, MaxUnpool, Tensor};

use super::grid::{of_reals, reals};
use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, Element, FILL, moved, same_type, strides};

/// Numbers of an input as sizes.
fn sizes(call: &Call, i: usize) -> Result<Option<Vec<usize>>, Problem> {
    let Some(ints) = call.ints(i)? else { return Ok(None) };
    let size = |&n: &i64| usize::try_from(n).map_err(|_| Problem::from(format!("a size is {n}")));
    ints.iter().map(size).collect::<Result<_, _>>().map(Some)
}

impl Forward for MaxUnpool {
    fn forward(&self, call: &Call) -> Outcome {
        fn placed<T: Element>(x: &[T], at: &[usize], len: usize) -> Vec<T> {
            let mut y = vec![T::default(); len];
            for (&x, &at) in x.iter().zip(at) {
                y[at] = x;
            }
            y
        }
        let (x, positions) = (call.input(0)?, call.ints(1)?.ok_or("input 1 is missing")?);
        let mut own = x.shape().to_vec();
        for (a, size) in own.iter_mut().skip(2).enumerate() {
            *size = self.unpooled(a, *size)?;
        }
        let len = call.room(x.dtype(), &own)?;
        let inside = |&p: &i64| {
            let at = usize::try_from(p).ok().filter(|&at| at < len);
            at.ok_or_else(|| Problem::from(format!("the position is {p}, the result has {len} elements")))
        };
        let at = positions.iter().map(inside).collect::<Result<Vec<_>, _>>()?;
        let y = Tensor::new(own.clone(), same_type!(x.data(), v => placed(v, &at, len)))?;
        let Some(shape) = sizes(call, 2)?.filter(|shape| *shape != own) else { return Ok(vec![y]) };
        // A larger result has zeros behind.
        call.room(x.dtype(), &shape)?;
        let own_strides = strides(&own);
        let along = |a: usize| {
            let position = |i: usize| if i < own[a] { i * own_strides[a] } else { FILL };
            Along::Listed((0..shape[a]).map(position).collect())
        };
        let along = (0..shape.len()).map(along).collect();
        Ok(vec![Tensor::new(shape, moved(call.ctx, y.data(), along, None))?])
    }
}

impl Forward for Col2Im {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let missing = "the sizes of image and block are missing";
        let (image, block) = (sizes(call, 1)?.ok_or(missing)?, sizes(call, 2)?.ok_or(missing)?);
        let rank = image.len();
        let window = self.window(&block, rank)?;
        let taps = window.taps();
        let (samples, channels) = (x.shape()[0], x.shape()[1] / taps.max(1));
        let shape = [&[samples, channels], &image[..]].concat();
        let len = call.room(DataType::F64, &shape)?;
        let mut counts = Vec::with_capacity(rank);
        for (a, &size) in image.iter().enumerate() {
            counts.push(window.output_size(a, size, false)?);
        }
        let blocks = counts.iter().fold(1, |n: usize, &k| n.saturating_mul(k));
        if blocks != x.shape()[2] {
            return Err(format!("an image of {image:?} has {blocks} blocks, found {}", x.shape()[2]).into());
        }
        let values = reals(x)?;
        let (image_strides, block_strides, count_strides) =
            (strides(&image), strides(&block), strides(&counts));
        // Where an element of a block stands in the image, if it is no padding.
        let position = |tap: usize, at: usize| {
            let mut position = 0;
            for a in 0..rank {
                let inside = tap / block_strides[a] % block[a] * window.dilation[a];
                let corner = at / count_strides[a] % counts[a] * window.stride[a];
                let i = (corner + inside).checked_sub(window.padding_of(a, image[a]).0)?;
                position += if i < image[a] { i * image_strides[a] } else { return None };
            }
            Some(position)
        };
        let plane: usize = image.iter().product();
        let mut y = vec![0.0; len];
        for tap in 0..taps {
            for at in 0..blocks {
                let Some(position) = position(tap, at) else { continue };
                for map in 0..samples * channels {
                    y[map * plane + position] += values[(map * taps + tap) * blocks + at];
                }
            }
        }
        Ok(vec![of_reals(y, shape, x.dtype())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use oculist_graph::Window;

    #[test]
    fn maxima_return_to_their_places() {
        // The example of ONNX.
        let x = Tensor::f32(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let at = Tensor::ints(vec![5, 7, 13, 15]).reshaped(vec![1, 1, 2, 2]).unwrap();
        let op = MaxUnpool { window: Window::square(2, 2, 0) };
        let y = run(op.clone(), &[&x, &at]).unwrap();
        let rows = [[0.0; 4], [0.0, 1.0, 0.0, 2.0], [0.0; 4], [0.0, 3.0, 0.0, 4.0]];
        assert_eq!(y, Tensor::f32(&[1, 1, 4, 4], rows.concat()));
        let y = run(op.clone(), &[&x, &at, &Tensor::ints(vec![1, 1, 5, 5])]).unwrap();
        assert_eq!((y.shape(), y.as_f32().unwrap()[8]), (&[1, 1, 5, 5][..], 2.0));
        let far = Tensor::ints(vec![5, 7, 13, 16]).reshaped(vec![1, 1, 2, 2]).unwrap();
        assert!(run(op, &[&x, &far]).unwrap_err().contains("the position is 16"));
    }

    #[test]
    fn blocks_that_overlap_add_up() {
        let op = Col2Im { dilation: Vec::new(), padding: Vec::new(), stride: Vec::new() };
        let x = Tensor::f32(&[1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
        let y = run(op, &[&x, &Tensor::ints(vec![1, 3]), &Tensor::ints(vec![1, 2])]).unwrap();
        assert_eq!(y, Tensor::f32(&[1, 1, 1, 3], vec![1.0, 5.0, 4.0]));
    }
}
