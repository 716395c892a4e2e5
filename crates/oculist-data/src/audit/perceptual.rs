//! A 64-bit hash of how an image looks.

use super::THUMBNAIL;

/// Frequencies per direction.
const LOW: usize = 8;

/// Perceptual hash of a thumbnail of 32x32 grey levels: which of its 8x8 lowest frequencies are above their median.
///
/// With `F` the two-dimensional cosine transform (type II, not normalised) of the thumbnail, bit `63 - (8 v + u)` is
/// set where `F[v][u] > median(F[0..8][0..8])`; the median of 64 values is the mean of the middle two. Values that
/// differ from 0 by rounding errors only count as 0.
///
/// # Panics
/// If the thumbnail does not have 1024 pixels.
///
/// # Source
/// `phash` of the Python package imagehash 4.3; the thumbnail is averaged by area where that one uses Lanczos' filter.
pub fn dct_hash(thumbnail: &[u8]) -> u64 {
    assert_eq!(thumbnail.len(), THUMBNAIL * THUMBNAIL, "a thumbnail of 32x32");
    // Angles repeat after 4 * 32 steps of pi / 64.
    let steps: Vec<f64> = (0..4 * THUMBNAIL)
        .map(|i| (i as f64 * std::f64::consts::PI / (2 * THUMBNAIL) as f64).cos())
        .collect();
    let cosine = |k: usize, x: usize| steps[k * (2 * x + 1) % (4 * THUMBNAIL)];
    let mut rows = [[0f64; LOW]; THUMBNAIL];
    for (line, out) in thumbnail.chunks_exact(THUMBNAIL).zip(&mut rows) {
        for (u, out) in out.iter_mut().enumerate() {
            *out = line.iter().enumerate().map(|(x, &v)| f64::from(v) * cosine(u, x)).sum();
        }
    }
    let mut low = [0f64; LOW * LOW];
    for v in 0..LOW {
        for u in 0..LOW {
            let sum: f64 = (0..THUMBNAIL).map(|y| rows[y][u] * cosine(v, y)).sum();
            low[v * LOW + u] = if sum.abs() < 1e-6 { 0.0 } else { sum };
        }
    }
    let mut sorted = low;
    sorted.sort_by(f64::total_cmp);
    let median = f64::midpoint(sorted[31], sorted[32]);
    low.iter().fold(0, |bits, &f| bits << 1 | u64::from(f > median))
}
