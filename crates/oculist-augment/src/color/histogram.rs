//! Tables that depend on how often values occur.

use super::table::Tables;
use crate::Image;
use oculist_kernels::{Isa, image};

/// How often each value occurs in red, green and blue (grey: in the first), after a table.
pub(super) fn histograms(image: &Image, through: Option<&Tables>) -> [[u32; 256]; 3] {
    let mut counts = [[0u32; 256]; 3];
    let [r, g, b] = &mut counts;
    match image.channels() {
        1 => {
            // Two counters, since the same value often follows itself and would wait for its own count.
            let (pairs, rest) = image.pixels().as_chunks::<2>();
            for &[x, y] in pairs {
                r[usize::from(x)] += 1;
                g[usize::from(y)] += 1;
            }
            for &x in rest {
                r[usize::from(x)] += 1;
            }
            r.iter_mut().zip(std::mem::replace(g, [0; 256])).for_each(|(a, b)| *a += b);
        }
        3 => {
            for &[x, y, z] in image.pixels().as_chunks::<3>().0 {
                r[usize::from(x)] += 1;
                g[usize::from(y)] += 1;
                b[usize::from(z)] += 1;
            }
        }
        _ => {
            for &[x, y, z, _] in image.pixels().as_chunks::<4>().0 {
                r[usize::from(x)] += 1;
                g[usize::from(y)] += 1;
                b[usize::from(z)] += 1;
            }
        }
    }
    let Some(tables) = through else { return counts };
    std::array::from_fn(|c| {
        let mut mapped = [0; 256];
        for (value, &count) in counts[c].iter().enumerate() {
            mapped[usize::from(tables.get(c, value as u8))] += count;
        }
        mapped
    })
}

/// The mean of the grey image after a table, rounded half up.
pub(super) fn mean_luma(image: &Image, through: Option<&Tables>) -> u8 {
    let sum: u64 = if image.channels() == 1 {
        histograms(image, through)[0].iter().zip(0u64..).map(|(&n, v)| u64::from(n) * v).sum()
    } else {
        let tables = through.map(Tables::entries);
        image::luma_sum(Isa::detect(), image.pixels(), image.channels(), tables)
    };
    (sum as f64 / (image.width() * image.height()) as f64 + 0.5) as u8
}

/// Equalisation of each channel.
pub(super) fn equalize(counts: &[[u32; 256]; 3]) -> Tables {
    let tables: [[u8; 256]; 3] = counts.each_ref().map(|counts| {
        let total: u64 = counts.iter().map(|&n| u64::from(n)).sum();
        let highest = counts.iter().rev().copied().find(|&n| n > 0).unwrap_or(0);
        // Pixels per output level, those of the highest value left out.
        let step = (total - u64::from(highest)) / 255;
        let mut below = step / 2;
        std::array::from_fn(|value| {
            let level = below.checked_div(step).map_or(value as u8, |level| level.min(255) as u8);
            below += u64::from(counts[value]);
            level
        })
    });
    Tables::new(&tables)
}

/// The least and the largest value of red, green and blue (grey: in the first), after a table.
pub(super) fn bounds(image: &Image, through: Option<&Tables>) -> [(u8, u8); 3] {
    if image.channels() > 1 && through.is_none() {
        return image::channel_bounds(Isa::detect(), image.pixels(), image.channels());
    }
    histograms(image, through).map(|counts| {
        let low = counts.iter().position(|&n| n > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&n| n > 0).unwrap_or(0);
        (low as u8, high as u8)
    })
}

/// Stretching of each channel so that its least value is 0 and its largest 255.
pub(super) fn auto_contrast(bounds: [(u8, u8); 3]) -> Tables {
    let tables: [[u8; 256]; 3] = bounds.map(|(low, high)| {
        let scale = 255.0 / (f64::from(high) - f64::from(low));
        let offset = -f64::from(low) * scale;
        std::array::from_fn(|v| {
            if high <= low { v as u8 } else { (v as f64 * scale + offset).clamp(0.0, 255.0) as u8 }
        })
    });
    Tables::new(&tables)
}
