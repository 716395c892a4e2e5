//! Losses of classifications.

use oculist_graph::op::{Loss, LossKind, LossReduction};
use oculist_graph::{DataType, Softmax, SoftmaxKind, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::cast::cast;

fn wide(tensor: &Tensor) -> Vec<f64> {
    match cast(tensor, DataType::F64).into_data() {
        TensorData::F64(v) => v,
        _ => Vec::new(),
    }
}

/// Losses and weights of the samples, from logarithms of probabilities `[N, C, inner]`.
fn losses(loss: &Loss, call: &Call, log: &Tensor) -> Result<(Vec<f64>, Vec<f64>), Problem> {
    let labels = call.ints(1)?.unwrap_or_default();
    let (shape, values) = (log.shape(), wide(log));
    let classes = shape.get(1).copied().ok_or("expected [N, C, ...]")?;
    let inner: usize = shape[2..].iter().product();
    let weights = call.get(2).map(wide);
    let mut all = (Vec::with_capacity(labels.len()), Vec::with_capacity(labels.len()));
    for (i, &label) in labels.iter().enumerate() {
        let (value, weight) = if Some(label) == loss.ignore {
            (0.0, 0.0)
        } else {
            let class = usize::try_from(label).ok().filter(|&c| c < classes);
            let class = class.ok_or_else(|| format!("a label is {label}, there are {classes} classes"))?;
            let weight = weights.as_ref().and_then(|w| w.get(class)).copied().unwrap_or(1.0);
            (-weight * values[(i / inner * classes + class) * inner + i % inner], weight)
        };
        all.0.push(value);
        all.1.push(weight);
    }
    Ok(all)
}

impl Forward for Loss {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(DataType::F64, x.shape())?;
        let log = match self.kind {
            LossKind::NegativeLogLikelihood => x.clone(),
            LossKind::SoftmaxCrossEntropy => {
                let softmax = Softmax { kind: SoftmaxKind::LogSoftmax, axis: 1, flatten: false };
                softmax.forward(call)?.swap_remove(0)
            }
        };
        let (each, weights) = losses(self, call, &log)?;
        let sum: f64 = each.iter().sum();
        let (shape, data) = match self.reduction {
            LossReduction::None => (call.input(1)?.shape().to_vec(), each),
            LossReduction::Sum => (Vec::new(), vec![sum]),
            LossReduction::Mean => (Vec::new(), vec![sum / weights.iter().sum::<f64>()]),
        };
        let result = cast(&Tensor::new(shape, TensorData::F64(data))?, x.dtype());
        Ok(match self.kind {
            LossKind::NegativeLogLikelihood => vec![result],
            LossKind::SoftmaxCrossEntropy => vec![result, log],
        })
    }
}
