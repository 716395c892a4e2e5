//! The architecture for someone who names none.

/// Multiply-accumulates of one epoch up to which the larger network is worth its time: training costs about three
/// forward passes, so this is a minute or less on two cores at 100 GFLOP/s.
const EPOCH_BUDGET: f64 = 5e11;

/// A sensible architecture for images of `input = (channels, height, width)` and `n_images` of them to train on.
///
/// - Shorter side up to 40 pixels: `resnet20`. It reaches more than nine tenths of what far larger networks reach on
///   such images with 0.27 million parameters, trains from scratch without tuning, and prunes and quantises well.
/// - Larger, and so few images that an epoch of `resnet18` stays short (about 800 at 128x128): `resnet18`. Plain
///   convolutions learn from few steps; MobileNetV3's slow running statistics and depthwise layers do not.
/// - Larger otherwise: `mobilenet_v3_small`, thirty times less work an image than `resnet18`, which decides whether
///   training ends within the hour on a CPU.
pub fn default_for(input: (usize, usize, usize), n_images: usize) -> &'static str {
    let (_, h, w) = input;
    if h.min(w) <= 40 {
        return "resnet20";
    }
    // resnet18 with its small stem takes 0.56 billion multiply-accumulates at 32x32, with its large one 1.81 at 224x224.
    let per_pixel = if h.min(w) <= 64 { 0.56e9 / (32.0 * 32.0) } else { 1.81e9 / (224.0 * 224.0) };
    let epoch = per_pixel * h as f64 * w as f64 * n_images as f64;
    if epoch <= EPOCH_BUDGET { "resnet18" } else { "mobilenet_v3_small" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_follows_size_and_number() {
        assert_eq!(default_for((1, 28, 28), 60_000), "resnet20");
        assert_eq!(default_for((3, 40, 300), 10), "resnet20");
        assert_eq!(default_for((3, 128, 128), 500), "resnet18");
        assert_eq!(default_for((3, 128, 128), 2_000), "mobilenet_v3_small");
        assert_eq!(default_for((3, 224, 224), 100_000), "mobilenet_v3_small");
        assert_eq!(default_for((3, 64, 64), 2_000), "mobilenet_v3_small");
    }

    #[test]
    fn every_choice_exists() {
        for input in [(1, 8, 8), (3, 64, 64), (3, 224, 224)] {
            for n in [1, 1_000, 1_000_000] {
                assert!(crate::find(default_for(input, n)).is_ok());
            }
        }
    }
}
