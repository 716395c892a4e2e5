//! Contrast-limited adaptive histogram equalisation.
//!
//! Each tile of a grid has its own equalisation table, whose slope is limited by cutting the histogram and
//! spreading what was cut; a pixel is mapped by the bilinear mean of its four nearest tiles' tables.

use super::convert::luma_plane;
use crate::Image;
use crate::geometry::Border;

type Table = [u8; 256];

/// See [`super::Adjustment::Clahe`].
pub(super) fn clahe(image: &mut Image, clip: f32, columns: usize, rows: usize) {
    let (width, height) = (image.width(), image.height());
    let grey = luma_plane(image);
    let mut equalized = grey.clone();
    let (tile_width, tile_height) = (tile(width, columns, rows, height), tile(height, rows, columns, width));
    let tables = tables(&grey, width, (columns, rows), (tile_width, tile_height), clip);
    interpolate(&mut equalized, width, &tables, (columns, rows), (tile_width, tile_height));
    match image.channels() {
        1 => image.pixels_mut().copy_from_slice(&equalized),
        3 => shift::<3>(image.pixels_mut(), &grey, &equalized),
        _ => shift::<4>(image.pixels_mut(), &grey, &equalized),
    }
}

/// Length of a tile; where either side does not divide evenly, OpenCV pads both by `tiles - side % tiles`.
fn tile(side: usize, tiles: usize, other_tiles: usize, other_side: usize) -> usize {
    let even = side.is_multiple_of(tiles) && other_side.is_multiple_of(other_tiles);
    if even { side / tiles } else { (side + tiles - side % tiles) / tiles }
}

fn tables(
    grey: &[u8],
    width: usize,
    (columns, rows): (usize, usize),
    (tile_width, tile_height): (usize, usize),
    clip: f32,
) -> Vec<Table> {
    let height = grey.len() / width;
    let area = tile_width * tile_height;
    let limit = match (clip > 0.0).then(|| (f64::from(clip) * area as f64 / 256.0) as usize) {
        Some(limit) => limit.max(1),
        None => area,
    };
    // Beyond the right and the lower edge the image is mirrored.
    let inside = |i: usize, side: usize| Border::Reflect.resolve(i as isize, side).unwrap_or(0);
    let mut tables = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let mut counts = [0usize; 256];
            let (left, right) = (column * tile_width, (column + 1) * tile_width);
            for y in row * tile_height..(row + 1) * tile_height {
                let line = &grey[inside(y, height) * width..][..width];
                for &v in &line[left.min(width)..right.min(width)] {
                    counts[usize::from(v)] += 1;
                }
                (left.max(width)..right).for_each(|x| counts[usize::from(line[inside(x, width)])] += 1);
            }
            limit_counts(&mut counts, limit);
            let scale = 255.0 / area as f32;
            let mut sum = 0;
            tables.push(counts.map(|count| {
                sum += count;
                (sum as f32 * scale).round_ties_even() as u8
            }));
        }
    }
    tables
}

/// Cuts counts to `limit` and spreads the rest: an equal share for all, the remainder at even distances.
fn limit_counts(counts: &mut [usize; 256], limit: usize) {
    let cut: usize = counts.iter().map(|&n| n.saturating_sub(limit)).sum();
    let (share, remainder) = (cut / 256, cut % 256);
    for n in counts.iter_mut() {
        *n = (*n).min(limit) + share;
    }
    let step = (256 / remainder.max(1)).max(1);
    counts.iter_mut().step_by(step).take(remainder).for_each(|n| *n += 1);
}

/// The tables before and after a place, and the weight of the one after.
fn neighbours(i: usize, length: usize, tiles: usize) -> (usize, usize, f32) {
    let place = i as f32 * (1.0 / length as f32) - 0.5;
    let before = place.floor();
    let index = before as isize;
    (index.max(0) as usize, ((index + 1) as usize).min(tiles - 1), place - before)
}

fn interpolate(
    values: &mut [u8],
    width: usize,
    tables: &[Table],
    (columns, rows): (usize, usize),
    (tile_width, tile_height): (usize, usize),
) {
    let across: Vec<_> = (0..width).map(|x| neighbours(x, tile_width, columns)).collect();
    for (y, line) in values.chunks_exact_mut(width).enumerate() {
        let (above, below, down) = neighbours(y, tile_height, rows);
        let (upper, lower) = (&tables[above * columns..][..columns], &tables[below * columns..][..columns]);
        for (value, &(left, right, weight)) in line.iter_mut().zip(&across) {
            let at = |table: &Table| f32::from(table[usize::from(*value)]);
            let top = at(&upper[left]) * (1.0 - weight) + at(&upper[right]) * weight;
            let bottom = at(&lower[left]) * (1.0 - weight) + at(&lower[right]) * weight;
            *value = (top * (1.0 - down) + bottom * down).round_ties_even() as u8;
        }
    }
}

/// Adds to the colours what was added to grey.
fn shift<const C: usize>(pixels: &mut [u8], grey: &[u8], equalized: &[u8]) {
    for ((pixel, &old), &new) in pixels.as_chunks_mut::<C>().0.iter_mut().zip(grey).zip(equalized) {
        let difference = i16::from(new) - i16::from(old);
        for value in &mut pixel[..3] {
            *value = (i16::from(*value) + difference).clamp(0, 255) as u8;
        }
    }
}
