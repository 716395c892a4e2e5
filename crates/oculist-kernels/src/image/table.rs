//! Maps of single values.

use super::color::planar;
use super::lanes::{Lanes, per_isa};

/// A map of bytes that is arithmetic instead of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteMap {
    /// `255 - x`.
    Invert,
    /// `x & mask`.
    Mask(u8),
    /// `255 - x` from this value on.
    InvertFrom(u8),
    /// Adds, then subtracts, cut to 0..=255 each time; one number per channel, 0 for alpha.
    AddSubtract([u8; 4], [u8; 4]),
}

per_isa! {
    /// Maps every byte; [`ByteMap::AddSubtract`] takes the channels in turn.
    ///
    /// # Panics
    /// If there are not 1..=4 channels, or the processor lacks `isa`.
    pub fn map_bytes(pixels: &mut [u8], channels: usize, map: ByteMap) = arithmetic;
    /// Replaces every byte by its entry.
    ///
    /// # Panics
    /// If the processor lacks `isa`.
    pub fn map_values(values: &mut [u8], table: &[u8; 256]) = one_table;
    /// Replaces the colours by their entries, with a table per channel.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn map_colors(pixels: &mut [u8], channels: usize, tables: &[[u8; 256]; 3]) = three_tables;
}

/// A whole number of pixels and of registers.
const PATTERN: usize = 192;

#[inline(always)]
fn arithmetic<L: Lanes>(_: L, pixels: &mut [u8], channels: usize, map: ByteMap) {
    assert!((1..=4).contains(&channels), "{channels} channels");
    match map {
        ByteMap::Invert => {
            for v in pixels {
                *v = !*v;
            }
        }
        ByteMap::Mask(mask) => {
            for v in pixels {
                *v &= mask;
            }
        }
        ByteMap::InvertFrom(from) => {
            for v in pixels {
                *v ^= if *v < from { 0 } else { 255 };
            }
        }
        ByteMap::AddSubtract(add, subtract) => {
            let add: [u8; PATTERN] = std::array::from_fn(|i| add[i % channels]);
            let subtract: [u8; PATTERN] = std::array::from_fn(|i| subtract[i % channels]);
            let (blocks, rest) = pixels.as_chunks_mut::<PATTERN>();
            for block in blocks {
                for i in 0..PATTERN {
                    block[i] = block[i].saturating_add(add[i]).saturating_sub(subtract[i]);
                }
            }
            for (v, (&a, &s)) in rest.iter_mut().zip(add.iter().zip(&subtract)) {
                *v = v.saturating_add(a).saturating_sub(s);
            }
        }
    }
}

#[inline(always)]
fn one_table<L: Lanes>(lanes: L, values: &mut [u8], table: &[u8; 256]) {
    lanes.look_up(table, values);
}

#[inline(always)]
fn three_tables<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize, tables: &[[u8; 256]; 3]) {
    if L::FAST_TABLES {
        planar(lanes, pixels, channels, |_, planes| {
            for (plane, table) in planes.iter_mut().zip(tables) {
                lanes.look_up(table, plane);
            }
        });
        return;
    }
    assert!(matches!(channels, 3 | 4), "{channels} channels");
    for pixel in pixels.chunks_exact_mut(channels) {
        for (v, table) in pixel.iter_mut().zip(tables) {
            *v = table[usize::from(*v)];
        }
    }
}
