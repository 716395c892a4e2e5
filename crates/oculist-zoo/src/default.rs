//! The network for someone who names none.

/// A network for someone who names none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suggestion {
    /// Its architecture.
    pub arch: &'static str,
    /// Factor on the architecture's number of channels.
    pub width: f64,
}

/// Shorter sides up to this are those of small images, for which one network is enough.
pub const SMALL_INPUT: usize = 40;

/// Multiply-adds of a whole training up to which a wider network is worth its time, at three forward passes for each image
/// that is shown: a quarter of an hour at 10^11 a second, which two cores with AVX-512 reach.
const BUDGET: f64 = 9e13;

/// Widths of `resnet18`, the widest that is within the budget is taken.
const WIDTHS: [f64; 3] = [1.0, 0.5, 0.25];

/// Widths of `airbench` from few to many numbers in all training images together, and from how many on they are taken.
const SMALL_WIDTHS: [(f64, f64); 2] = [(0.5, 0.0), (1.0, 1e8)];

/// A sensible network for `train` images of `input = (channels, height, width)`, each of which is shown in `epochs` epochs.
///
/// - Shorter side up to 40 pixels: `airbench`, which learns from few epochs, in plain convolutions that prune and quantise
///   well. It is as wide as the images have something to say: half of its width, and its full width from 1e8 numbers in all
///   of them together on (33,000 colour images of 32x32).
/// - Larger: `resnet18`, as wide as a training of a quarter of an hour on two cores allows, and at least a quarter of its
///   width. Plain convolutions learn from few steps; MobileNetV3's slow running statistics and depthwise layers do not, and
///   on a CPU they take longer than a `resnet18` of a quarter of its width.
///
/// The choice depends on nothing but these numbers, and on no machine.
pub fn default_for(input: (usize, usize, usize), train: usize, epochs: usize) -> Suggestion {
    let (c, h, w) = input;
    if h.min(w) <= SMALL_INPUT {
        let numbers = c as f64 * h as f64 * w as f64 * train as f64;
        let width = SMALL_WIDTHS.into_iter().rev().find(|(_, from)| numbers >= *from);
        return Suggestion { arch: "airbench", width: width.map_or(0.5, |(width, _)| width) };
    }
    // resnet18 with its small stem takes 0.56 billion multiply-adds at 32x32, with its large one 1.81 at 224x224.
    let per_pixel = if h.min(w) <= 64 { 0.56e9 / (32.0 * 32.0) } else { 1.81e9 / (224.0 * 224.0) };
    let whole = 3.0 * per_pixel * h as f64 * w as f64 * train as f64 * epochs as f64;
    let width = WIDTHS.into_iter().find(|width| whole * width * width <= BUDGET);
    Suggestion { arch: "resnet18", width: width.unwrap_or(0.25) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_follows_size_and_number() {
        let choice = |input, shown| {
            let Suggestion { arch, width } = default_for(input, shown, 1);
            (arch, width)
        };
        assert_eq!(choice((1, 28, 28), 8_500), ("airbench", 0.5));
        assert_eq!(choice((1, 28, 28), 54_000), ("airbench", 0.5));
        assert_eq!(choice((3, 32, 32), 45_000), ("airbench", 1.0));
        assert_eq!(choice((3, 40, 300), 10), ("airbench", 0.5));
        assert_eq!(choice((3, 128, 128), 30_000), ("resnet18", 1.0));
        assert_eq!(choice((3, 128, 128), 133_000), ("resnet18", 0.5));
        assert_eq!(choice((3, 128, 128), 1_000_000), ("resnet18", 0.25));
        assert_eq!(choice((3, 64, 64), 84_000), ("resnet18", 0.25));
        assert_eq!(choice((3, 224, 224), usize::MAX), ("resnet18", 0.25));
    }

    #[test]
    fn every_choice_exists() {
        for input in [(1, 8, 8), (3, 64, 64), (3, 224, 224)] {
            assert!(crate::find(default_for(input, 1000, 1).arch).is_ok());
        }
    }

    #[test]
    fn the_multiply_adds_are_those_of_the_network() {
        for (side, per_image) in [(64, 0.56e9 * 4.0), (128, 1.81e9 * (128.0 * 128.0) / (224.0 * 224.0))] {
            for width in WIDTHS {
                let options = crate::BuildOptions { width, ..crate::BuildOptions::new(2, (3, side, side)) };
                let macs = crate::build("resnet18", &options).unwrap().cost().macs as f64;
                let share = macs / (per_image * width * width);
                assert!((0.9..1.25).contains(&share), "{side} at {width}: {share}");
            }
        }
    }
}
