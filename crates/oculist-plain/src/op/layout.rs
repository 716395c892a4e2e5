//! Elements moved or kept.

use oculist_graph::op::axis;
use oculist_graph::{Flatten, Identity};

use crate::call::{Call, Forward, Outcome};

impl Forward for Identity {
    fn forward(&self, call: &Call) -> Outcome {
        Ok(vec![call.input(0)?.clone()])
    }
}

impl Forward for Flatten {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let rank = x.shape().len();
        let at = if usize::try_from(self.axis) == Ok(rank) { rank } else { axis(self.axis, rank)? };
        let (rows, columns) = x.shape().split_at(at);
        Ok(vec![x.reshaped(vec![rows.iter().product(), columns.iter().product()])?])
    }
}
