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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;

    #[test]
    fn axes_are_exchanged() {
        let x = Tensor::u8(&[2, 3, 1], vec![1, 2, 3, 4, 5, 6]);
        let y = run(Transpose::new(&[1, 2, 0]), &[&x]).unwrap();
        assert_eq!(y, Tensor::u8(&[3, 1, 2], vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(run(Transpose { order: None }, &[&x]).unwrap().shape(), [1, 3, 2]);
        // Nothing moves where an axis of size 1 does.
        assert_eq!(run(Transpose::new(&[2, 0, -2]), &[&x]).unwrap(), x.reshaped(vec![1, 2, 3]).unwrap());
        assert!(run(Transpose::new(&[0, 0, 1]), &[&x]).unwrap_err().contains("named twice"));
    }
}
