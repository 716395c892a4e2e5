//! Decoded images kept from one epoch to the next, within a budget.

use crate::Subset;
use crate::error::Result;
use oculist_augment::{Image, Reading};
use std::sync::OnceLock;

/// Keeps the first images of a subset whose pixels fit the budget.
///
/// Which images are kept is decided once, from their sizes: nothing is thrown out again. In a random order every
/// image is as likely to come as any other, so no choice serves better. What is kept is what decoding gave, so
/// results are the same with and without, except that nothing is decoded at a reduced size with a cache
/// ([`LoaderConfig::reduce`](super::LoaderConfig::reduce)).
pub(super) struct Cache {
    images: Vec<OnceLock<Image>>,
}

impl Cache {
    /// A cache of at most `budget` bytes of pixels, counting 3 a pixel.
    pub(super) fn new(subset: &Subset, budget: u64) -> Self {
        let mut left = if subset.is_decoded() { 0 } else { budget };
        let fits = |i: &usize| {
            let (width, height) = subset.size(*i);
            let bytes = (width as u64).saturating_mul(height as u64).saturating_mul(3);
            let fits = bytes <= left;
            left -= bytes.min(left);
            fits
        };
        let count = (0..subset.len()).take_while(fits).count();
        Self { images: std::iter::repeat_with(OnceLock::new).take(count).collect() }
    }

    /// Image i of the subset, decoded now or before; of an image that is not kept the part that `plan` asks for.
    ///
    /// # Errors
    /// As for [`Subset::image`]; failures are not kept.
    pub(super) fn image(
        &self,
        subset: &Subset,
        index: usize,
        plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>)> {
        let Some(slot) = self.images.get(index) else { return subset.part(index, plan) };
        if let Some(image) = slot.get() {
            return Ok((image.clone(), None));
        }
        let image = subset.image(index)?;
        let (width, height) = subset.size(index);
        // A file that became larger after it was looked at stays out.
        if image.pixels().len() <= width.saturating_mul(height).saturating_mul(3) {
            // Two workers may decode the same image at once; the first one's is kept.
            let _ = slot.set(image.clone());
        }
        Ok((image, None))
    }

    /// Bytes of pixels held now.
    pub(super) fn bytes(&self) -> usize {
        self.images.iter().filter_map(OnceLock::get).map(|image| image.pixels().len()).sum()
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let held = self.images.iter().filter(|slot| slot.get().is_some()).count();
        write!(f, "Cache({held} of at most {} images)", self.images.len())
    }
}
