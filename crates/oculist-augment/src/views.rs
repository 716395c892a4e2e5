//! Several views of one sample that share the first steps of a pipeline, for losses that compare them.

use crate::error::Result;
use crate::{Image, Pipeline, Preprocessing, SampleKey, Start, Transform};

impl Pipeline {
    /// Draws view `view` of a sample: the first `shared` steps are drawn for the sample, so that all views have them
    /// alike, and the others for the view. View 0 has no step but the shared ones.
    ///
    /// Step i draws from the generator keyed by (seed, epoch, sample, i), behind the shared ones with `view` in the
    /// upper half of `sample`, which must be below 2^32.
    pub fn sample_view(
        &self,
        (mut width, mut height): (usize, usize),
        key: SampleKey,
        shared: usize,
        view: u32,
    ) -> Vec<Transform> {
        let of_view = SampleKey { sample: u64::from(view) << 32 | key.sample, ..key };
        let steps = if view == 0 { shared.min(self.steps.len()) } else { self.steps.len() };
        let mut transforms = Vec::with_capacity(steps);
        for (i, step) in self.steps[..steps].iter().enumerate() {
            let key = if i < shared { key } else { of_view };
            if let Some(transform) = step.sample(width, height, &mut key.operation(i as u64)) {
                (width, height) = transform.output_size(width, height);
                transform.flatten_into(&mut transforms);
            }
        }
        transforms
    }
}

impl Preprocessing {
    /// As [`augment_into`](Self::augment_into), for one of the views that [`Pipeline::sample_view`] draws.
    ///
    /// # Errors
    /// As for [`augment_into`](Self::augment_into).
    ///
    /// # Panics
    /// If `out` has another length than [`len`](Self::len).
    pub fn augment_view_into(
        &self,
        image: Image,
        pipeline: &Pipeline,
        key: SampleKey,
        (shared, view): (usize, u32),
        out: &mut [f32],
    ) -> Result<()> {
        let image = match pipeline.start {
            Start::Prepared => self.prepare(image)?,
            Start::Original => self.color.convert(image),
        };
        let transforms = pipeline.sample_view((image.width(), image.height()), key, shared, view);
        let image = Transform::apply_all(&transforms, image)?;
        let fits = (image.width(), image.height()) == (self.width, self.height);
        let image = if fits { image } else { self.prepare(image)? };
        self.normalize_into(&image, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{AugMix, RandomCrop};
    use crate::{Border, ColorMode, Op, Step};

    #[test]
    fn views_share_the_first_steps_and_nothing_else() {
        let crop = RandomCrop { width: 16, height: 16, padding: 4, border: Border::Edge };
        let step = |op| Step { probability: 1.0, op };
        let base = Pipeline {
            steps: vec![step(crop.into()), Step { probability: 0.5, op: Op::HorizontalFlip }],
            ..Pipeline::none()
        };
        let mut all = base.clone();
        all.steps.push(step(AugMix::default().into()));
        let pixels = (0..16 * 16 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = Image::new(16, 16, 3, pixels).unwrap();
        let preprocessing = Preprocessing::exact(ColorMode::Rgb, 16, 16);
        for sample in 0..20 {
            let key = SampleKey { seed: 3, epoch: 1, sample };
            let views: Vec<Vec<Transform>> = (0..3).map(|v| all.sample_view((16, 16), key, 2, v)).collect();
            // The first is the base alone, the same that the base draws on its own.
            assert_eq!(views[0], base.sample(16, 16, key));
            let n = views[0].len();
            for view in &views[1..] {
                assert_eq!(view[..n], views[0]);
                assert!(view.len() > n);
            }
            assert_ne!(views[1], views[2]);
            assert_ne!(all.sample(16, 16, SampleKey { sample: 1 << 32 | sample, ..key })[0], views[1][0]);
            let mut rows = vec![vec![0.0; preprocessing.len()]; 2];
            preprocessing.augment_into(image.clone(), &base, key, &mut rows[0]).unwrap();
            preprocessing.augment_view_into(image.clone(), &all, key, (2, 0), &mut rows[1]).unwrap();
            assert_eq!(rows[0], rows[1]);
            preprocessing.augment_view_into(image.clone(), &all, key, (2, 1), &mut rows[1]).unwrap();
            assert_ne!(rows[0], rows[1]);
        }
    }
}
