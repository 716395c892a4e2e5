//! A threshold.

use oculist_graph::Binarizer;

use super::grid::{of_reals, reals};
use crate::call::{Call, Forward, Outcome};

impl Forward for Binarizer {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(oculist_graph::DataType::F64, x.shape())?;
        let threshold = f64::from(self.threshold);
        let y = reals(x)?.into_iter().map(|x| if x > threshold { 1.0 } else { 0.0 }).collect();
        Ok(vec![of_reals(y, x.shape().to_vec(), x.dtype())?])
    }
}
