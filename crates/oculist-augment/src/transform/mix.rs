//! The weighted mean of several versions of an image.

use super::Transform;
use crate::Image;
use crate::error::{Result, parameter};
use oculist_kernels::{Isa, image};

/// See [`Transform::Mix`].
pub(super) fn mix(image: Image, original: f32, chains: &[Vec<Transform>], weights: &[f32]) -> Result<Image> {
    let found = || format!("{original} and {weights:?} for {} chains", chains.len());
    if chains.len() != weights.len() || !original.is_finite() || !weights.iter().all(|w| w.is_finite()) {
        return Err(parameter("mix", "weights", "one number per chain", found()));
    }
    let mut sum: Vec<f32> = image.pixels().iter().map(|&v| f32::from(v) * original + 0.5).collect();
    for (chain, &weight) in chains.iter().zip(weights) {
        let version = Transform::apply_all_to(chain, (&image).into())?;
        if (version.width(), version.height(), version.channels())
            != (image.width(), image.height(), image.channels())
        {
            return Err(parameter("mix", "chains", "transforms that keep the size", format!("{version:?}")));
        }
        image::add_weighted(Isa::detect(), &mut sum, version.pixels(), weight);
    }
    let mut image = image;
    image.pixels_mut().iter_mut().zip(sum).for_each(|(out, sum)| *out = sum as u8);
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::Adjustment;

    #[test]
    fn versions_are_weighted() {
        let image = Image::new(2, 1, 1, vec![0, 100]).unwrap();
        let chains = vec![vec![Transform::HorizontalFlip], vec![], vec![]];
        let weights = vec![0.25, 0.125, 0.125];
        let all = Transform::Mix { original: 0.5, chains, weights };
        assert_eq!(all.apply(image.clone()).unwrap().pixels(), [25, 75]);
        let dark = Transform::Color { adjustments: vec![Adjustment::Brightness(0.0)] };
        let half = Transform::Mix { original: 0.5, chains: vec![vec![dark]], weights: vec![0.5] };
        assert_eq!(half.apply(image.clone()).unwrap().pixels(), [0, 50]);
        let pad = Transform::Pad { left: 1, top: 0, right: 0, bottom: 0, border: crate::Border::Edge };
        for (chains, weights) in [(vec![vec![pad]], vec![0.5]), (vec![], vec![1.0])] {
            assert!(Transform::Mix { original: 0.5, chains, weights }.apply(image.clone()).is_err());
        }
    }
}
