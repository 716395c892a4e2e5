//! MixUp, CutMix and mosaics of training batches.

mod mosaic;

use oculist_augment::Rng;
use oculist_augment::mix::{self, Shape};
use oculist_data::Batch;

use crate::config::TrainConfig;
use crate::error::TrainError;

/// Last part of the generator's key: keeps these draws apart from those of other uses of the seed.
const KEY: u64 = 0x6d69_7875_7063_7574;

/// How a batch was mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    MixUp,
    CutMix,
}

/// Mixes a batch in place, if the settings and chance want it, and returns its soft targets `[batch, classes]`, whatever the
/// task: each label counts as much as the image that it comes with.
///
/// All draws come from a generator keyed by seed, epoch and step (both from 0), so that a resumed run mixes the same
/// batches in the same way. None if the batch was left as it is.
///
/// # Errors
/// [`TrainError::Setting`] if the settings or the batch cannot be mixed.
pub(crate) fn mix_batch(
    config: &TrainConfig,
    shape: Shape,
    classes: usize,
    batch: &mut Batch,
    epoch: usize,
    step: usize,
) -> Result<Option<Vec<f32>>, TrainError> {
    if let Some(soft) = mosaic::mosaic_batch(config, shape, classes, batch, epoch, step)? {
        return Ok(Some(soft));
    }
    let (mixup, cutmix) = (config.mixup_alpha > 0.0, config.cutmix_alpha > 0.0);
    if !mixup && !cutmix {
        return Ok(None);
    }
    let mut rng = Rng::keyed(&[config.seed, epoch as u64, step as u64, KEY]);
    // Both are always drawn, so that one setting does not shift the draws of another.
    let (wanted, switched) = (rng.chance(config.mix_probability), rng.chance(config.mix_switch));
    if !wanted {
        return Ok(None);
    }
    let kind = if cutmix && (switched || !mixup) { Kind::CutMix } else { Kind::MixUp };
    let failed = |err: oculist_augment::Error| TrainError::Setting {
        name: "mixup_alpha and cutmix_alpha",
        expected: "settings that fit the batch",
        found: err.to_string(),
    };
    let alpha = if kind == Kind::CutMix { config.cutmix_alpha } else { config.mixup_alpha };
    let lambda = mix::beta(f64::from(alpha), f64::from(alpha), &mut rng).map_err(failed)?;
    let partners = mix::pairing(batch.len(), &mut rng);
    let weight = match kind {
        Kind::MixUp => {
            mix::mixup(&mut batch.images, &partners, lambda).map_err(failed)?;
            lambda
        }
        Kind::CutMix => {
            let window = mix::random_cut_box(shape, lambda, &mut rng);
            mix::cutmix(&mut batch.images, shape, &partners, window).map_err(failed)?;
            window.kept(shape.width, shape.height)
        }
    };
    let rows: Vec<&[u32]> = batch.targets.rows().collect();
    mix::soft_labels(&rows, classes, &partners, weight).map(Some).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { height: 6, width: 5, channels: 2 };

    fn batch() -> Batch {
        let row = 6 * 5 * 2;
        let images = (0..8 * row).map(|i| (i / row) as f32 * 10.0).collect();
        Batch {
            images,
            targets: (0..8).map(|i| i % 3).collect::<Vec<u32>>().into(),
            indices: (0..8).collect(),
        }
    }

    fn mixed(config: &TrainConfig, epoch: usize, step: usize) -> (Batch, Option<Vec<f32>>) {
        let mut batch = batch();
        let soft = mix_batch(config, SHAPE, 3, &mut batch, epoch, step).unwrap();
        (batch, soft)
    }

    #[test]
    fn the_key_alone_decides() {
        let config = TrainConfig {
            mixup_alpha: 0.4,
            cutmix_alpha: 1.0,
            mix_probability: 0.7,
            ..TrainConfig::default()
        };
        let other = TrainConfig { seed: 1, ..config.clone() };
        assert_eq!(mixed(&config, 3, 4), mixed(&config, 3, 4));
        let all = |config: &TrainConfig, epoch| (0..6).map(|s| mixed(config, epoch, s)).collect::<Vec<_>>();
        assert_ne!(all(&config, 3), all(&config, 2));
        assert_ne!(all(&config, 3), all(&other, 3));
    }

    #[test]
    fn probabilities_are_kept_and_labels_follow_the_pixels() {
        let config = TrainConfig {
            mixup_alpha: 1.0,
            cutmix_alpha: 1.0,
            mix_probability: 0.8,
            ..TrainConfig::default()
        };
        let (mut plain, mut cut) = (0, 0);
        for step in 0..2000 {
            let (after, soft) = mixed(&config, 0, step);
            let Some(soft) = soft else {
                plain += 1;
                assert_eq!(after, batch());
                continue;
            };
            // CutMix leaves whole values, MixUp one value all over an image.
            let rows = after.images.chunks_exact(60);
            let uniform = rows.clone().all(|row| row.iter().all(|v| *v == row[0]));
            cut += usize::from(!uniform);
            for (i, (row, soft)) in rows.zip(soft.chunks_exact(3)).enumerate() {
                assert!((soft.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                let own = row.iter().filter(|v| **v == i as f32 * 10.0).count() as f32 / 60.0;
                assert!(uniform || soft[i % 3] + 1e-6 >= own, "{soft:?} {own}");
            }
        }
        // 2000 draws: five standard errors are 90 and 89. Windows without a pixel do not show.
        assert!((310..490).contains(&plain), "{plain}");
        assert!((600..890).contains(&cut), "{cut}");
    }

    #[test]
    fn one_kind_alone_needs_no_switch() {
        let none = TrainConfig::default();
        assert_eq!(mixed(&none, 0, 0), (batch(), None));
        let uniform = |batch: &Batch| batch.images.chunks_exact(60).all(|r| r.iter().all(|v| *v == r[0]));
        let mixup = TrainConfig { mixup_alpha: 1.0, mix_switch: 1.0, ..TrainConfig::default() };
        assert!((0..20).all(|s| uniform(&mixed(&mixup, 0, s).0)));
        let cutmix = TrainConfig { cutmix_alpha: 1.0, mix_switch: 0.0, ..TrainConfig::default() };
        assert!((0..20).any(|s| !uniform(&mixed(&cutmix, 0, s).0)));
    }
}
