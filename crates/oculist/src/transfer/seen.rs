//! Which images a model was trained on, as a small sketch in its metadata: so that test images that it has seen are noticed.
//!
//! The sketch holds the [`MOST`] smallest of all digests of the training images, cut to [`BITS`] bits (a bottom-k sketch), and their
//! number. Of test images that were all trained on, about the share `MOST / number` is found; two different images are taken for one
//! with a probability of less than 1e-9 for each pair.
//!
//! # Source
//! Broder: On the Resemblance and Containment of Documents, 1997, for sketches of smallest digests.

use std::collections::{BTreeMap, BTreeSet};

/// Metadata key of the sketch: the number of images, a colon, the digests in hexadecimal.
pub(crate) const SEEN_KEY: &str = "oculist.trained_on";
/// Digests in a sketch.
const MOST: usize = 256;
/// Hexadecimal digits of each, 40 bits.
const DIGITS: usize = 10;

/// The smallest digests of the images that a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    images: usize,
    digests: BTreeSet<String>,
}

impl Seen {
    /// Of images by the hexadecimal digests of their content.
    pub(crate) fn of<'a>(contents: impl IntoIterator<Item = &'a String>) -> Self {
        let mut seen = Self::default();
        for content in contents {
            seen.images += 1;
            if let Some(digest) = content.get(..DIGITS) {
                seen.digests.insert(digest.to_owned());
            }
        }
        seen.cut()
    }

    /// Those of both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.images += other.images;
        self.digests.extend(other.digests);
        self.cut()
    }

    fn cut(mut self) -> Self {
        while self.digests.len() > MOST {
            self.digests.pop_last();
        }
        self
    }

    /// The sketch in a model's metadata; `None` where there is none that can be read.
    pub(crate) fn from_metadata(metadata: &BTreeMap<String, String>) -> Option<Self> {
        let (images, digests) = metadata.get(SEEN_KEY)?.split_once(':')?;
        let images = images.parse().ok()?;
        let hex = digests.bytes().all(|b| b.is_ascii_hexdigit()) && digests.len().is_multiple_of(DIGITS);
        let each = |digit: &[u8]| String::from_utf8_lossy(digit).into_owned();
        hex.then(|| Self { images, digests: digests.as_bytes().chunks(DIGITS).map(each).collect() }.cut())
    }

    /// The sketch as text for the metadata.
    pub(crate) fn to_text(&self) -> String {
        format!("{}:{}", self.images, self.digests.iter().map(String::as_str).collect::<String>())
    }

    /// How many of these images are in the sketch. Zero says little if it holds few of many.
    pub(crate) fn among<'a>(&self, contents: impl IntoIterator<Item = &'a String>) -> usize {
        contents.into_iter().filter(|c| c.get(..DIGITS).is_some_and(|d| self.digests.contains(d))).count()
    }

    /// The share of the training images that the sketch holds.
    pub(crate) fn share(&self) -> f64 {
        self.digests.len() as f64 / self.images.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use oculist_files::Digest;

    use super::*;

    fn contents(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|i| Digest::of(&i.to_le_bytes()).to_string()).collect()
    }

    #[test]
    fn images_that_were_trained_on_are_found_and_others_are_not() {
        let (few, many) = (Seen::of(&contents(0..100)), Seen::of(&contents(0..10_000)));
        assert_eq!((few.among(&contents(50..150)), few.share()), (50, 1.0));
        let found = many.among(&contents(0..5_000));
        assert!((90..170).contains(&found), "{found}");
        assert_eq!(many.among(&contents(10_000..20_000)), 0);
        let both = few.clone().and(Seen::of(&contents(100..200)));
        assert_eq!(both, Seen::of(&contents(0..200)));
        let metadata = BTreeMap::from([(SEEN_KEY.to_owned(), many.to_text())]);
        assert_eq!(Seen::from_metadata(&metadata), Some(many));
        for bad in ["", "x", "5:zz", "5:abc", "-1:"] {
            let metadata = BTreeMap::from([(SEEN_KEY.to_owned(), bad.to_owned())]);
            assert_eq!(Seen::from_metadata(&metadata), None, "{bad}");
        }
    }
}
