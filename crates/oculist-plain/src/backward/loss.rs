//! Losses of classifications.

use oculist_graph::op::{Loss, LossKind, LossReduction};
use oculist_graph::{DataType, Op, Softmax, SoftmaxKind, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::op::grid::{of_reals, reals};

impl Backward for Loss {
    /// The labels have no gradient; the weights of the classes have one, also where the mean divides by their sum.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, labels) = (reverse.input(0)?, reverse.input(1)?);
        let scores = self.kind == LossKind::SoftmaxCrossEntropy;
        reverse.call().room(DataType::F64, &[x.len(), 4])?;
        let log = if scores {
            let op = Op::Softmax(Softmax { kind: SoftmaxKind::LogSoftmax, axis: 1, flatten: false });
            let wide = of_reals(reals(x)?, x.shape().to_vec(), DataType::F64)?;
            let all = crate::evaluate(reverse.ctx, &op, &[Some(&wide)], 1)?;
            reals(all.first().ok_or("no logarithms")?)?
        } else {
            reals(x)?
        };
        let classes = x.shape()[1];
        let inner: usize = x.shape()[2..].iter().product();
        let named = labels.to_i64s().ok_or("the labels must be integers")?;
        let weights = reverse.get(2).map(reals).transpose()?;
        // Of each sample that counts, its number, its class and its weight.
        let mut samples = Vec::with_capacity(named.len());
        for (i, &label) in named.iter().enumerate().filter(|(_, label)| Some(**label) != self.ignore) {
            let class = usize::try_from(label).ok().filter(|&c| c < classes);
            let class = class.ok_or_else(|| format!("a label is {label}, there are {classes} classes"))?;
            samples.push((i, class, weights.as_ref().map_or(1.0, |w| w[class])));
        }
        let place = |i: usize, class: usize| (i / inner * classes + class) * inner + i % inner;
        let total: f64 = samples.iter().map(|s| s.2).sum();
        let sum: f64 = samples.iter().map(|&(i, class, weight)| -weight * log[place(i, class)]).sum();
        let flows = reverse.gradient_of(0).map(reals).transpose()?;
        // What flows to a sample's loss before it is weighed.
        let flow = |i: usize| match (&flows, self.reduction) {
            (None, _) => 0.0,
            (Some(flows), LossReduction::None) => flows[i],
            (Some(flows), LossReduction::Sum) => flows[0],
            (Some(flows), LossReduction::Mean) => flows[0] / total,
        };
        let mut dlog = match reverse.gradient_of(1) {
            Some(gradient) if scores => reals(gradient)?,
            _ => vec![0.0; log.len()],
        };
        let mut dweights = vec![0.0; classes];
        for &(i, class, weight) in &samples {
            let at = place(i, class);
            dlog[at] -= weight * flow(i);
            let shared = if self.reduction == LossReduction::Mean { sum / total } else { 0.0 };
            dweights[class] += flow(i) * (-log[at] - shared);
        }
        if scores {
            // Through the logarithm of the softmax: every class takes its share of what flows to all of them.
            for line in 0..x.len() / classes.max(1) {
                let all: f64 = (0..classes).map(|c| dlog[place(line, c)]).sum();
                for at in (0..classes).map(|c| place(line, c)) {
                    dlog[at] -= log[at].exp() * all;
                }
            }
        }
        let mut all = [Some(dlog), None, Some(dweights)];
        reverse.each(|i| {
            let input: &Tensor = reverse.input(i)?;
            let values = all.get_mut(i).and_then(Option::take);
            values.map(|v| of_reals(v, input.shape().to_vec(), input.dtype())).transpose()
        })
    }
}
