//! What is kept of an image to tell whether another one repeats it.

use crate::audit::{
    CORRELATION, FLAT, HASH_DISTANCE, THUMBNAIL, area_resize, close_groups, correlation, dct_hash, digest,
    like, moments,
};
use crate::disjoint::DisjointSets;
use oculist_augment::{Image, color};
use std::collections::HashMap;

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
pub(super) fn groups(looks: &[Option<Box<Look>>], threads: usize) -> Vec<u32> {
    let groups = DisjointSets::new(looks.len());
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
    let near =
        close_groups(&hashes, HASH_DISTANCE, threads, |a, b| similar(candidates[a].1, candidates[b].1));
    for (candidate, first) in near.numbers().into_iter().enumerate() {
        groups.join(candidates[first as usize].0, candidates[candidate].0);
    }
    groups.numbers()
}
