//! Forests.

use oculist_graph::{AfterVotes, DataType, Tensor, TensorData, TreeEnsembleClassifier};

use crate::call::{Call, Forward, Outcome};

/// Rows that a task takes, which go through a tree one after the other while it is in the cache.
const ROWS: usize = 64;

impl Forward for TreeEnsembleClassifier {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (rows, width, classes) = (x.shape()[0], x.shape()[1], self.labels().len());
        let len = call.room(DataType::F32, &[rows, classes])?;
        call.room(DataType::I64, &[rows, 2])?;
        let values = x.as_f32().ok_or("the rows must be f32")?;
        let mut scores = vec![0.0f32; len];
        call.ctx.for_pieces(&mut scores, ROWS * classes, |task, scores| {
            let first = task * ROWS;
            if !self.base().is_empty() {
                scores.chunks_exact_mut(classes).for_each(|row| row.copy_from_slice(self.base()));
            }
            for tree in 0..self.trees().len() {
                for (i, scores) in scores.chunks_exact_mut(classes).enumerate() {
                    for vote in self.trees().leaf(tree, &values[(first + i) * width..][..width]) {
                        scores[vote.class as usize] += vote.weight;
                    }
                }
            }
        });
        // Of equal scores the first is the largest.
        let best = |row: &[f32]| (1..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best });
        let labels = scores.chunks_exact(classes).map(|row| self.labels()[best(row)]).collect();
        match self.after() {
            AfterVotes::Nothing => {}
            AfterVotes::Softmax => scores.chunks_exact_mut(classes).for_each(softmax),
            AfterVotes::Logistic => scores.iter_mut().for_each(|s| *s = 1.0 / (1.0 + (-*s).exp())),
        }
        Ok(vec![
            Tensor::new(vec![rows], TensorData::I64(labels))?,
            Tensor::new(vec![rows, classes], TensorData::F32(scores))?,
        ])
    }
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().copied().fold(f32::MIN, f32::max);
    let mut sum = 0.0;
    for s in &mut *row {
        *s = (*s - most).exp();
        sum += *s;
    }
    for s in row {
        *s /= sum;
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::op::Read;
    use oculist_kernels::Context;

    use super::*;

    #[test]
    fn leaves_add_up_on_any_number_of_threads() {
        let op = TreeEnsembleClassifier::examples().remove(0).into();
        let rows: Vec<f32> = [0.0, -1.0, 0.5, 1.0].into_iter().cycle().take(4 * 150).collect();
        let x = Tensor::f32(&[300, 2], rows);
        for threads in [1, 3] {
            let ctx = Context::new(threads).unwrap();
            let y = crate::evaluate(&ctx, &op, &[Some(&x)], 2).unwrap();
            assert_eq!(y[0].as_i64().unwrap()[..3], [0, 2, 0]);
            assert_eq!(y[1].as_f32().unwrap()[6 * 149..], [0.5, 0.5, 0.0, 0.125, 0.0, 0.875]);
        }
        let narrow = Tensor::f32(&[1, 1], vec![0.0]);
        let error = crate::evaluate(&Context::new(1).unwrap(), &op, &[Some(&narrow)], 2).unwrap_err();
        assert!(error.to_string().contains("look at 2 features"), "{error}");
    }
}
