//! Loss and accuracy on the validation images.

use super::TrainingData;
use crate::error::TrainError;
use crate::executor::Executor;
use crate::loss::loss_and_gradient;

/// Mean cross-entropy and top-1 in percent of the weights and statistics as they are.
pub(super) fn evaluate(executor: &mut Executor, data: &dyn TrainingData) -> Result<(f64, f64), TrainError> {
    let (classes, stride) = (executor.classes(), executor.logits_stride());
    let (mut count, mut right, mut loss) = (0usize, 0usize, 0.0);
    let mut ignored = vec![0.0; executor.logits().len()];
    for batch in data.validation()? {
        let batch = batch?;
        let n = batch.labels.len();
        let logits = executor.forward_eval(&batch.images);
        loss += loss_and_gradient(classes, &batch.labels, 0.0, None, logits, &mut ignored) * n as f64;
        for (row, &label) in logits.chunks_exact(stride).zip(&batch.labels) {
            let best = (1..classes).fold(0, |best, c| if row[c] > row[best] { c } else { best });
            right += usize::from(best == label as usize);
        }
        count += n;
    }
    executor.take_failure()?;
    let n = count.max(1) as f64;
    Ok((loss / n, 100.0 * right as f64 / n))
}
