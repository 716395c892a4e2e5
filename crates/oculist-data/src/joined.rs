//! Images of several subsets as one store.

use crate::error::{Error, Result};
use crate::statistics::PixelFacts;
use crate::{ImageStore, Subset};
use oculist_augment::{Image, Reading};
use std::path::{Path, PathBuf};

/// The images of some subsets, one subset after the other.
pub(crate) struct JoinedStore {
    parts: Vec<Subset>,
    /// Where each part ends, counted over all.
    ends: Vec<usize>,
}

impl JoinedStore {
    pub(crate) fn new(parts: &[Subset]) -> Self {
        let mut end = 0;
        let ends = parts.iter().map(|part| {
            end += part.len();
            end
        });
        Self { ends: ends.collect(), parts: parts.to_vec() }
    }

    /// The part that has image `index`, and its position there.
    fn at(&self, index: usize) -> Option<(&Subset, usize)> {
        let part = self.ends.partition_point(|&end| end <= index);
        let begin = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.parts.get(part).map(|subset| (subset, index - begin))
    }

    fn existing(&self, index: usize) -> Result<(&Subset, usize)> {
        self.at(index).ok_or(Error::Index { index, len: self.len() })
    }
}

impl ImageStore for JoinedStore {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    fn image(&self, index: usize) -> Result<Image> {
        let (part, position) = self.existing(index)?;
        part.image(position)
    }

    fn part(
        &self,
        index: usize,
        plan: &dyn Fn(usize, usize) -> Option<Reading>,
    ) -> Result<(Image, Option<Reading>)> {
        let (part, position) = self.existing(index)?;
        part.part(position, plan)
    }

    fn size(&self, index: usize) -> (usize, usize) {
        self.at(index).map_or((0, 0), |(part, position)| part.size(position))
    }

    fn name(&self, index: usize) -> String {
        self.at(index).map_or_else(String::new, |(part, position)| part.name(position))
    }

    fn path(&self, index: usize) -> Option<&Path> {
        let (part, position) = self.at(index)?;
        part.path(position)
    }

    fn origin(&self, index: usize) -> (String, Option<[u32; 4]>) {
        self.at(index).map_or_else(Default::default, |(part, position)| part.origin(position))
    }

    fn is_part(&self, index: usize) -> bool {
        self.at(index).is_some_and(|(part, position)| part.is_part(position))
    }

    fn picture_size(&self, index: usize) -> (usize, usize) {
        self.at(index).map_or((0, 0), |(part, position)| part.picture_size(position))
    }

    fn facts(&self, index: usize) -> Option<PixelFacts> {
        self.at(index).and_then(|(part, position)| part.facts(position))
    }

    fn is_decoded(&self) -> bool {
        self.parts.iter().all(Subset::is_decoded)
    }

    fn late_failures(&self) -> Vec<(PathBuf, String)> {
        let mut stores: Vec<&Subset> = Vec::new();
        for part in &self.parts {
            if !stores.iter().any(|other| other.shares_store(part)) {
                stores.push(part);
            }
        }
        stores.into_iter().flat_map(Subset::late_failures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use std::sync::Arc;

    fn subset(name: &str, first: u8, count: u8) -> Subset {
        let pixels: Vec<u8> = (first..first + count).collect();
        let store = MemoryStore::new(name, (1, 1, 1), pixels).unwrap();
        let n = u32::from(count);
        Subset::new(Arc::new(store), (0..n).collect(), (0..n).map(|i| i % 3).collect::<Vec<_>>(), 3).unwrap()
    }

    #[test]
    fn joined_subsets_have_all_images_in_order_also_after_an_empty_part() {
        let parts = [subset("a", 10, 4), subset("b", 50, 1).select(&[]).unwrap(), subset("c", 90, 2)];
        let joined = Subset::joined(&parts).unwrap();
        let pixels: Vec<u8> = (0..joined.len()).map(|i| joined.image(i).unwrap().pixels()[0]).collect();
        assert_eq!(pixels, [10, 11, 12, 13, 90, 91]);
        assert_eq!(joined.labels(), [0, 1, 2, 0, 0, 1]);
        assert_eq!((joined.name(5), joined.size(5)), (parts[2].name(1), (1, 1)));
        assert!(joined.image(6).is_err());
        // Parts of one store stay in it.
        let half = |positions: &[usize]| parts[0].select(positions).unwrap();
        let again = Subset::joined(&[half(&[3]), half(&[0, 1])]).unwrap();
        assert!(again.shares_store(&parts[0]));
        assert_eq!(again.labels(), [0, 0, 1]);
    }

    #[test]
    fn subsets_of_other_classes_are_not_joined() {
        let other = subset("b", 0, 3).relabelled(&[Some(0), None, Some(1)], 2).unwrap();
        assert_eq!(other.labels(), [0, 1]);
        assert!(Subset::joined(&[subset("a", 0, 3), other]).is_err());
        assert!(Subset::joined(&[]).is_err());
        assert!(subset("a", 0, 3).relabelled(&[Some(0), Some(5), None], 2).is_err());
    }
}
