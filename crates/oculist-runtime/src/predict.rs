//! Running more images than one batch holds.

use crate::error::RuntimeError;
use crate::plan::Plan;

impl Plan {
    /// Refuses a plan that does not turn images into rows of floats, of this batch, before its sizes are relied on.
    ///
    /// # Errors
    /// [`RuntimeError::Model`] with what speaks against it, such as a batch that the graph fixes.
    pub fn check_images(&self) -> Result<(), RuntimeError> {
        match &self.signature.images {
            Ok(_) => Ok(()),
            Err(problem) => Err(RuntimeError::Model { graph: self.name.clone(), problem: problem.clone() }),
        }
    }

    /// Runs any number of images, batch by batch; returns dense `[n, classes]`.
    ///
    /// # Errors
    /// [`RuntimeError::Length`] when `images` is no whole number of images; otherwise as [`Plan::run`].
    pub fn predict(&mut self, images: &[f32]) -> Result<Vec<f32>, RuntimeError> {
        self.check_images()?;
        let (input_len, output_len) = (self.input_len(), self.output_len());
        if !images.len().is_multiple_of(input_len) {
            return Err(RuntimeError::Length {
                what: "input images",
                expected: format!("a multiple of {input_len}"),
                found: images.len(),
            });
        }
        let mut output = vec![0.0; images.len() / input_len * output_len];
        let batch = self.batch();
        for (x, y) in images.chunks(batch * input_len).zip(output.chunks_mut(batch * output_len)) {
            self.run(x, y)?;
        }
        Ok(output)
    }
}

/// The index of the largest of each row of `classes` scores; the first of equals.
///
/// # Panics
/// When `classes` is 0.
pub fn top1(scores: &[f32], classes: usize) -> Vec<usize> {
    scores
        .chunks_exact(classes)
        .map(|row| (0..classes).fold(0, |best, i| if row[i] > row[best] { i } else { best }))
        .collect()
}
