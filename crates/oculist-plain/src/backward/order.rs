//! The largest or smallest elements: each gradient goes back to where its element stood.

use oculist_graph::op::axis;
use oculist_graph::{Op, Tensor, TensorData, TopK};

use super::{Backward, Gradients, Reverse};
use crate::along::Along;
use crate::call::Problem;
use crate::real::{Real, finish, with_real};

impl Backward for TopK {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let at = axis(self.axis, x.shape().len())?;
        let again: Vec<Tensor>;
        let indices = if let Ok(indices) = reverse.output(1) {
            indices
        } else {
            again = crate::evaluate(reverse.ctx, &Op::TopK(*self), reverse.inputs, 2)?;
            again.get(1).ok_or("no indices")?
        };
        let TensorData::I64(indices) = indices.data() else {
            return Err(format!("indices must be i64, found {}", indices.dtype().name()).into());
        };
        let (along, chosen) = (Along::new(x.shape(), at), Along::new(dy.shape(), at));
        reverse.first(|| {
            with_real!(x.dtype(), T => {
                let mut dx = vec![T::ZERO; x.len()];
                let gradient = T::read(dy);
                for line in 0..if gradient.is_empty() { 0 } else { chosen.lines() } {
                    for k in 0..chosen.len {
                        let from = chosen.at(line, k);
                        let index = usize::try_from(indices[from]).ok().filter(|&i| i < along.len);
                        let index = index.ok_or_else(|| Problem::Text(format!("an index is {}", indices[from])))?;
                        dx[along.at(line, index)] += gradient[from];
                    }
                }
                finish(x.shape(), dx, x.dtype())
            })
        })
    }
}
