//! What is kept of an image to tell whether another one repeats it.

use crate::audit::{FLAT, THUMBNAIL, area_resize, close_pairs, correlation, dct_hash, digest, like, moments};
use oculist_augment::{Image, color};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Largest distance of hashes and smallest correlation of near duplicates, as of the audit.
const DISTANCE: u32 = 4;
const CORRELATION: f64 = 0.995;

/// How an image looks.
#[derive(Debug, Clone)]
pub struct Look {
    /// Digest of size and pixels.
    pub(super) content: u128,
    /// Whether all pixels are equal.
    pub(super) flat: bool,
    /// What near duplicates are told by; None where they are not looked for.
    pub(super) near: Option<Near>,
}

/// A thumbnail and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Near {
    size: (usize, usize),
    hash: u64,
    moments: (f64, f64),
    thumbnail: Box<[u8]>,
}

/// Whether near duplicates are looked for among images of this size: of those that are no larger than the thumbnail, the
/// thumbnail has all there is, and different objects of one shape are as alike as two photos of one.
pub(super) fn is_large((width, height): (usize, usize)) -> bool {
    width.max(height) > THUMBNAIL
}

impl Look {
    pub(crate) fn of(image: &Image) -> Self {
        let size = (image.width(), image.height());
        let pixels = image.pixels();
        let channels = image.channels();
        let flat = pixels.chunks_exact(channels).all(|pixel| *pixel == pixels[..channels]);
        let grey = color::to_grey(image.clone()).into_pixels();
        let equal_channels =
            channels == 1 || pixels.chunks_exact(channels).all(|p| p[0] == p[1] && p[1] == p[2]);
        let near = is_large(size).then(|| {
            let thumbnail = area_resize(&grey, size, (THUMBNAIL, THUMBNAIL));
            let moments = moments(&thumbnail);
            Near { size, hash: dct_hash(&thumbnail), moments, thumbnail: thumbnail.into_boxed_slice() }
        });
        Self {
            content: digest(size, if equal_channels { &grey } else { pixels }),
            flat,
            // Flat thumbnails show nothing that could be compared.
            near: near.filter(|near| near.moments.1 >= FLAT),
        }
    }
}

fn similar(a: &Near, b: &Near) -> bool {
    like((a.size, a.moments), (b.size, b.moments))
        && correlation((&a.thumbnail, a.moments), (&b.thumbnail, b.moments)) >= CORRELATION
}

/// For each image a number that it shares with its exact and near duplicates, also by way of others, and nothing else.
pub(super) fn groups(looks: &[Option<Look>], threads: usize) -> Vec<u32> {
    let mut groups = Groups::new(looks.len());
    let mut seen: HashMap<u128, usize> = HashMap::with_capacity(looks.len());
    let mut candidates: Vec<(usize, &Near)> = Vec::new();
    for (i, look) in looks.iter().enumerate() {
        let Some(look) = look else { continue };
        if let Some(&first) = seen.get(&look.content) {
            groups.join(first, i);
        } else {
            seen.insert(look.content, i);
            candidates.extend(look.near.as_ref().map(|near| (i, near)));
        }
    }
    let hashes: Vec<u64> = candidates.iter().map(|(_, near)| near.hash).collect();
    let joined = Mutex::new(groups);
    let lock = || joined.lock().unwrap_or_else(PoisonError::into_inner);
    // Which images end up together does not depend on the order in which pairs are found; of those that are together
    // already no thumbnails are compared, so that a thousand frames of one scene cost a thousand comparisons.
    close_pairs(&hashes, DISTANCE, threads, |a, b| {
        let ((i, a), (j, b)) = (candidates[a], candidates[b]);
        if !lock().are_together(i, j) && similar(a, b) {
            lock().join(i, j);
        }
        None
    });
    joined.into_inner().unwrap_or_else(PoisonError::into_inner).numbers()
}

/// Disjoint sets of positions; the smallest member stands for its set.
pub(crate) struct Groups(Vec<u32>);

impl Groups {
    pub(crate) fn new(n: usize) -> Self {
        Self((0..n as u32).collect())
    }

    fn find(&mut self, i: usize) -> usize {
        let mut root = i;
        while self.0[root] as usize != root {
            root = self.0[root] as usize;
        }
        let mut at = i;
        while at != root {
            at = std::mem::replace(&mut self.0[at], root as u32) as usize;
        }
        root
    }

    fn are_together(&mut self, a: usize, b: usize) -> bool {
        self.find(a) == self.find(b)
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b) as u32;
    }

    pub(crate) fn numbers(mut self) -> Vec<u32> {
        (0..self.0.len()).map(|i| self.find(i) as u32).collect()
    }
}
