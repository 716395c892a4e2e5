//! Axes in another order.

use oculist_graph::{Tensor, Transpose};

use crate::call::{Call, Forward, Outcome};
use crate::moves::{Along, moved, strides};

impl Forward for Transpose {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let order = self.axes(x.shape().len())?;
        let strides = strides(x.shape());
        let shape: Vec<usize> = order.iter().map(|&a| x.shape()[a]).collect();
        // Axes of size 1 may go anywhere without an element moving.
        let long: Vec<usize> = order.iter().copied().filter(|&a| x.shape()[a] != 1).collect();
        if long.is_sorted() {
            return Ok(vec![x.reshaped(shape)?]);
        }
        call.room(x.dtype(), &shape)?;
        let along = order.iter().map(|&a| Along::all(x.shape()[a], strides[a])).collect();
        Ok(vec![Tensor::new(shape, moved(call.ctx, x.data(), along, None))?])
    }
}
