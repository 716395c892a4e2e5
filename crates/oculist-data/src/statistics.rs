//! What a data set's pixels are like: mean, spread, grey or colour, and the preprocessing that fits.

use crate::error::{Error, Result};
use crate::scan::in_threads;
use crate::{Dataset, Subset};
use oculist_augment::{ColorMode, Image, Preprocessing};
use std::sync::atomic::{AtomicBool, Ordering};

/// About so many images tell whether a set is grey, wherever it is asked, so that no two places answer differently.
pub(crate) const COLOR_SAMPLE: usize = 512;

/// Mean and standard deviation per channel, in units of 0..=1.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStatistics {
    /// Mean per channel.
    pub mean: Vec<f32>,
    /// Standard deviation per channel, at least 1/255.
    pub std: Vec<f32>,
}

/// Mean and standard deviation of about `max_images` images, each image counting equally.
///
/// Images that cannot be read are left out. The same for any number of threads.
///
/// # Errors
/// [`Error::NothingReadable`] if there is no image that can be read; a store that cannot go on.
pub fn channel_statistics(
    subset: &Subset,
    color: ColorMode,
    max_images: usize,
    threads: usize,
) -> Result<ChannelStatistics> {
    let channels = color.channels();
    let known = |facts: &PixelFacts| facts.moments(channels).map(<[_]>::to_vec);
    let measure = |image: Image| moments(&color.convert(image), channels);
    let images = read_some(subset, max_images, threads, known, measure, |_| false)?;
    let count = images.len() as f64;
    let mut statistics = ChannelStatistics { mean: vec![], std: vec![] };
    for c in 0..channels {
        let average = |moment: usize| images.iter().map(|m| m[c][moment]).sum::<f64>() / count;
        let mean = average(0);
        let variance = (average(1) - mean * mean).max(0.0);
        statistics.mean.push((mean / 255.0) as f32);
        // A data set of one flat colour must not divide by zero.
        statistics.std.push(((variance.sqrt() / 255.0) as f32).max(1.0 / 255.0));
    }
    Ok(statistics)
}

/// Mean of x and of x squared, per channel.
fn moments(image: &Image, channels: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![[0u64; 2]; channels];
    for pixel in image.pixels().chunks_exact(channels) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            sum[0] += u64::from(value);
            sum[1] += u64::from(value) * u64::from(value);
        }
    }
    let count = (image.width() * image.height()) as f64;
    sums.iter().map(|sum| sum.map(|s| s as f64 / count)).collect()
}

/// Grey if about `max_images` images drawn from all classes have no colour, else RGB.
///
/// A pixel has colour if its channels differ by more than 4 (JPEG files of grey scenes waver by 1 or 2).
///
/// # Errors
/// [`Error::NothingReadable`] if there is no image that can be read; a store that cannot go on.
pub fn detect_color_mode(subset: &Subset, max_images: usize, threads: usize) -> Result<ColorMode> {
    let known = |facts: &PixelFacts| Some(facts.grey);
    // One that has colour decides.
    let grey = read_some(subset, max_images, threads, known, |image| is_grey(&image), |&grey| !grey)?;
    Ok(if grey.iter().all(|&grey| grey) { ColorMode::Grey } else { ColorMode::Rgb })
}

fn is_grey(image: &Image) -> bool {
    let spread = |p: &[u8; 3]| p[0].max(p[1]).max(p[2]) - p[0].min(p[1]).min(p[2]);
    image.channels() == 1 || image.pixels().as_chunks::<3>().0.iter().all(|pixel| spread(pixel) <= 4)
}

/// What is noted of an image that is decoded anyway, so that it need not be decoded again to be known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelFacts {
    grey: bool,
    channels: usize,
    moments: [[f64; 2]; 3],
}

impl PixelFacts {
    pub(crate) fn of(image: &Image) -> Self {
        let (channels, mut all) = (image.channels(), [[0.0; 2]; 3]);
        all.iter_mut().zip(moments(image, channels)).for_each(|(to, found)| *to = found);
        Self { grey: is_grey(image), channels, moments: all }
    }

    /// Mean of x and of x squared per channel, where the image has so many channels.
    fn moments(&self, channels: usize) -> Option<&[[f64; 2]]> {
        (self.channels == channels).then(|| &self.moments[..channels.min(3)])
    }
}

/// Reads about `max_images` images, always the same ones, and leaves out what cannot be read. Only if that were all of
/// them, it goes on with the others: a statement about no image would be wrong. What is `known` of an image is not read, and
/// after a finding that is `enough` no further image is begun.
///
/// # Errors
/// [`Error::NothingReadable`]; a store that cannot go on.
fn read_some<T: Send>(
    subset: &Subset,
    max_images: usize,
    threads: usize,
    known: impl Fn(&PixelFacts) -> Option<T> + Sync,
    f: impl Fn(Image) -> T + Sync,
    enough: impl Fn(&T) -> bool + Sync,
) -> Result<Vec<T>> {
    let read = |some: &Subset| -> Result<Vec<T>> {
        let decided = AtomicBool::new(false);
        let read = in_threads(some.len(), threads.max(1), |i| {
            if decided.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let found = match some.facts(i).as_ref().and_then(&known) {
                Some(found) => found,
                None => match some.image(i) {
                    Ok(image) => f(image),
                    Err(err) if err.is_one_image() => return Ok(None),
                    Err(err) => return Err(err),
                },
            };
            decided.fetch_or(enough(&found), Ordering::Relaxed);
            Ok(Some(found))
        });
        read.into_iter().filter_map(Result::transpose).collect()
    };
    let found = read(&subset.sample(max_images, 0)?)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let all: Vec<usize> = (0..subset.len()).collect();
    for some in all.chunks(max_images.max(1)) {
        let found = read(&subset.select(some)?)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(Error::NothingReadable { images: subset.len() })
}

/// Whether a data set is grey or in colour, as [`suggest_preprocessing`] finds it.
///
/// # Errors
/// A store that cannot go on.
pub fn color_of(dataset: &Dataset, threads: usize) -> Result<ColorMode> {
    detect_color_mode(dataset.train(), COLOR_SAMPLE, threads)
}

/// The preprocessing that fits the training images.
///
/// - Colour: [`detect_color_mode`]. Mean and standard deviation: [`channel_statistics`].
/// - Images that all have one size of at most 64 pixels are taken as they are, unless `size` says otherwise.
/// - Other images come to `size` x `size`; without a `size`, to the largest multiple of 16 that is at most
///   128 and at most the median shorter side (at least 32). If all have the same, square shape they are
///   resized straight, else by the shorter side with a centre crop.
///
/// # Errors
/// A store that cannot go on, or a `size` of 0.
pub fn suggest_preprocessing(
    dataset: &Dataset,
    size: Option<usize>,
    threads: usize,
) -> Result<Preprocessing> {
    let train = dataset.train();
    let color = color_of(dataset, threads)?;
    let sizes: Vec<(usize, usize)> = (0..train.len()).map(|i| train.size(i)).collect();
    let uniform = sizes.windows(2).all(|pair| pair[0] == pair[1]);
    let square = sizes.iter().all(|&(w, h)| w == h);
    let (width, height) = sizes.first().copied().unwrap_or((32, 32));
    let preprocessing = match size {
        None if uniform && width.max(height) <= 64 => Preprocessing::exact(color, width, height),
        _ => {
            let mut shorter: Vec<usize> = sizes.iter().map(|&(w, h)| w.min(h)).collect();
            shorter.sort_unstable();
            let median = shorter.get(shorter.len() / 2).copied().unwrap_or(32);
            let size = size.unwrap_or((median.min(128) / 16 * 16).max(32));
            if square { Preprocessing::exact(color, size, size) } else { Preprocessing::photos(color, size) }
        }
    };
    let ChannelStatistics { mean, std } = channel_statistics(train, color, COLOR_SAMPLE * 4, threads)?;
    let preprocessing = preprocessing.with_statistics(mean, std);
    preprocessing.validate()?;
    Ok(preprocessing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use std::sync::Arc;

    fn subset(shape: (usize, usize, usize), pixels: Vec<u8>) -> Subset {
        let store = MemoryStore::new("test", shape, pixels).unwrap();
        let n = crate::ImageStore::len(&store) as u32;
        Subset::new(Arc::new(store), (0..n).collect(), (0..n).map(|i| i % 2).collect::<Vec<_>>(), 2).unwrap()
    }

    #[test]
    fn statistics_equal_the_definition_for_any_number_of_threads() {
        let pixels: Vec<u8> = (0..3 * 4 * 20).map(|i| (i * i % 256) as u8).collect();
        let set = subset((2, 2, 3), pixels.clone());
        let got = channel_statistics(&set, ColorMode::Rgb, 1000, 1).unwrap();
        for c in 0..3 {
            let values: Vec<f64> = pixels.iter().skip(c).step_by(3).map(|&v| f64::from(v) / 255.0).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let var = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((f64::from(got.mean[c]) - mean).abs() < 1e-6);
            assert!((f64::from(got.std[c]) - var.sqrt()).abs() < 1e-6);
        }
        assert_eq!(channel_statistics(&set, ColorMode::Rgb, 1000, 4).unwrap(), got);
    }

    #[test]
    fn many_classes_of_one_image_keep_their_colour() {
        let pixels: Vec<u8> = (0..600).flat_map(|_| [250, 20, 20]).collect();
        let store = Arc::new(MemoryStore::new("test", (1, 1, 3), pixels).unwrap());
        let set = Subset::new(store, (0..600).collect(), (0..600).collect::<Vec<_>>(), 600).unwrap();
        assert_eq!(detect_color_mode(&set, COLOR_SAMPLE, 2).unwrap(), ColorMode::Rgb);
        let found = channel_statistics(&set, ColorMode::Rgb, 50, 1).unwrap();
        assert!((found.mean[0] - 250.0 / 255.0).abs() < 1e-6, "{found:?}");
    }

    /// Images of which only the last can be read.
    struct Broken;

    impl crate::ImageStore for Broken {
        fn len(&self) -> usize {
            1000
        }

        fn image(&self, index: usize) -> Result<Image> {
            let source = crate::DecodeError::Empty;
            let error = Error::Image { path: "x.png".into(), source };
            if index == 999 { Ok(Image::new(1, 1, 3, vec![255, 0, 0])?) } else { Err(error) }
        }

        fn size(&self, _: usize) -> (usize, usize) {
            (1, 1)
        }

        fn name(&self, index: usize) -> String {
            index.to_string()
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing_about_the_rest() {
        let set = Subset::new(Arc::new(Broken), (0..1000).collect(), vec![0; 1000], 2).unwrap();
        assert_eq!(detect_color_mode(&set, 10, 2).unwrap(), ColorMode::Rgb);
        let broken = set.select(&[0, 1, 2]).unwrap();
        let error = channel_statistics(&broken, ColorMode::Rgb, 10, 1).unwrap_err().to_string();
        assert!(error.contains("none of 3 images can be read"), "{error}");
        assert!(detect_color_mode(&broken.select(&[]).unwrap(), 10, 1).is_err());
    }

    #[test]
    fn one_colourful_image_makes_the_set_colourful() {
        let mut pixels: Vec<u8> = (0..20 * 4).flat_map(|i| [i, i + 2, i + 4]).collect();
        assert_eq!(detect_color_mode(&subset((2, 2, 3), pixels.clone()), 100, 2).unwrap(), ColorMode::Grey);
        pixels[100] = 255;
        assert_eq!(detect_color_mode(&subset((2, 2, 3), pixels), 100, 2).unwrap(), ColorMode::Rgb);
        assert_eq!(detect_color_mode(&subset((2, 2, 1), vec![9; 40]), 100, 2).unwrap(), ColorMode::Grey);
    }
}
