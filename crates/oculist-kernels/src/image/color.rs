//! Operations on the three colours of single pixels, and sums over them.
//!
//! Blocks of pixels are taken apart into planes of bytes, so that the loops vectorise.

use super::lanes::{GROUP, Lanes, per_isa, to_byte};

/// Pixels of a block; its planes stay in the first cache.
pub(super) const BLOCK: usize = 4 * GROUP;

pub(super) type Planes = [[u8; BLOCK]; 3];

/// Takes up to [`BLOCK`] pixels apart.
#[inline(always)]
pub(super) fn load<L: Lanes>(lanes: L, pixels: &[u8], channels: usize, planes: &mut Planes) {
    let [r, g, b] = planes;
    if channels == 4 {
        for (i, &[x, y, z, _]) in pixels.as_chunks::<4>().0.iter().enumerate() {
            (r[i], g[i], b[i]) = (x, y, z);
        }
        return;
    }
    let (groups, rest) = pixels.as_chunks::<{ 3 * GROUP }>();
    let (r4, g4, b4) =
        (r.as_chunks_mut::<GROUP>().0, g.as_chunks_mut::<GROUP>().0, b.as_chunks_mut::<GROUP>().0);
    for (((group, r), g), b) in groups.iter().zip(r4).zip(g4).zip(b4) {
        lanes.split(group, [r, g, b]);
    }
    let start = groups.len() * GROUP;
    for (i, &[x, y, z]) in rest.as_chunks::<3>().0.iter().enumerate() {
        (r[start + i], g[start + i], b[start + i]) = (x, y, z);
    }
}

/// The opposite of [`load`].
#[inline(always)]
pub(super) fn store<L: Lanes>(lanes: L, [r, g, b]: &Planes, pixels: &mut [u8], channels: usize) {
    if channels == 4 {
        for (i, [x, y, z, _]) in pixels.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            (*x, *y, *z) = (r[i], g[i], b[i]);
        }
        return;
    }
    let (groups, rest) = pixels.as_chunks_mut::<{ 3 * GROUP }>();
    let start = groups.len() * GROUP;
    let (r4, g4, b4) = (r.as_chunks::<GROUP>().0, g.as_chunks::<GROUP>().0, b.as_chunks::<GROUP>().0);
    for (((group, r), g), b) in groups.iter_mut().zip(r4).zip(g4).zip(b4) {
        lanes.merge([r, g, b], group);
    }
    for (i, pixel) in rest.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        *pixel = [r[start + i], g[start + i], b[start + i]];
    }
}

/// Calls `f` with the number of the first pixel and the planes of each block, and writes the planes back.
#[inline(always)]
pub(super) fn planar<L: Lanes>(
    lanes: L,
    pixels: &mut [u8],
    channels: usize,
    mut f: impl FnMut(usize, &mut Planes),
) {
    check(pixels, channels);
    let mut planes = [[0; BLOCK]; 3];
    for (i, block) in pixels.chunks_mut(BLOCK * channels).enumerate() {
        load(lanes, block, channels, &mut planes);
        f(i * BLOCK, &mut planes);
        store(lanes, &planes, block, channels);
    }
}

/// Calls `f` with the planes of each block and its number of pixels.
#[inline(always)]
fn planar_read<L: Lanes>(lanes: L, pixels: &[u8], channels: usize, mut f: impl FnMut(&mut Planes, usize)) {
    check(pixels, channels);
    let mut planes = [[0; BLOCK]; 3];
    for block in pixels.chunks(BLOCK * channels) {
        load(lanes, block, channels, &mut planes);
        f(&mut planes, block.len() / channels);
    }
}

fn check(pixels: &[u8], channels: usize) {
    assert!(matches!(channels, 3 | 4), "{channels} channels");
    assert!(pixels.len().is_multiple_of(channels), "{} bytes of {channels} channels", pixels.len());
}

per_isa! {
    /// `l + factor * (x - l)`, l the pixel's luma, cut to 0..=255 and truncated; f32 arithmetic in this order.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn saturate_colors(pixels: &mut [u8], channels: usize, factor: f32) = saturate;
    /// Turns the hue of HSV by `sixths` of a sixth of a circle, 0..6; f32 arithmetic, rounded to nearest.
    ///
    /// The largest and the least channel value stay, so that saturation and value stay. With chroma = max - min and h the
    /// hue in sixths, a channel is `min + chroma * clamp(|(h + k) mod 6 - 3| - 1, 0, 1)`, where k is 0 for red, 4 for green
    /// and 2 for blue.
    ///
    /// # Panics
    /// If `sixths` lies outside 0..=6, there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn turn_hue(pixels: &mut [u8], channels: usize, sixths: f32) = hue;
    /// Channel c becomes channel `order[c]`.
    ///
    /// # Panics
    /// If an index is above 2, there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn shuffle_colors(pixels: &mut [u8], channels: usize, order: [u8; 3]) = shuffle;
    /// All three colours become the luma of Rec. 601: `(19595 r + 38470 g + 7471 b + 32768) >> 16`.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn colors_to_grey(pixels: &mut [u8], channels: usize) = grey;
    /// The luma of every pixel; see [`colors_to_grey`].
    ///
    /// # Panics
    /// If `out` is not as long as there are pixels, there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn luma(pixels: &[u8], channels: usize, out: &mut [u8]) = luma_of;
    /// The sum of the luma of all pixels, after a table per channel if there are tables.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn luma_sum(pixels: &[u8], channels: usize, tables: Option<&[[u8; 256]; 3]>) -> u64 = sum_luma;
    /// The sum of each colour.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn channel_sums(pixels: &[u8], channels: usize) -> [u64; 3] = sums;
    /// The least and the largest value of each colour; `(255, 0)` without pixels.
    ///
    /// # Panics
    /// If there are not 3 or 4 channels, or the processor lacks `isa`.
    pub fn channel_bounds(pixels: &[u8], channels: usize) -> [(u8, u8); 3] = bounds;
}

#[inline(always)]
fn saturate<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize, factor: f32) {
    planar(lanes, pixels, channels, |_, [r, g, b]| {
        for i in 0..BLOCK {
            let (red, green, blue) = (f32::from(r[i]), f32::from(g[i]), f32::from(b[i]));
            // The fixed-point luma in f32: all sums are whole numbers below 2^24 and so exact.
            let sum = red * 19595.0 + green * 38470.0 + blue * 7471.0 + 32768.0;
            // SAFETY: sums of bytes times these weights lie within 0..2^24.
            let grey = (unsafe { sum.to_int_unchecked::<i32>() } >> 16) as f32;
            r[i] = to_byte(grey + factor * (red - grey));
            g[i] = to_byte(grey + factor * (green - grey));
            b[i] = to_byte(grey + factor * (blue - grey));
        }
    });
}

#[inline(always)]
fn hue<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize, sixths: f32) {
    assert!((0.0..=6.0).contains(&sixths), "turn by {sixths} sixths");
    planar(lanes, pixels, channels, |_, [r, g, b]| {
        for i in 0..BLOCK {
            let (most, least) = (r[i].max(g[i]).max(b[i]), r[i].min(g[i]).min(b[i]));
            let (red, green, blue) = (f32::from(r[i]), f32::from(g[i]), f32::from(b[i]));
            let (max, min) = (f32::from(most), f32::from(least));
            let chroma = max - min;
            // Grey pixels have no hue: any serves, since their chroma is 0.
            let part = 1.0 / if chroma > 1.0 { chroma } else { 1.0 };
            let from_blue = 4.0 + (red - green) * part;
            let from_green = 2.0 + (blue - red) * part;
            let from_red = (green - blue) * part;
            let sector = if green == max { from_green } else { from_blue };
            let sector = if red == max { from_red } else { sector };
            let h = sector + sixths;
            let h = if h < 0.0 { h + 6.0 } else { h };
            let h = if h >= 6.0 { h - 6.0 } else { h };
            let channel = |offset: f32| {
                // Distance to the channel's opposite colour, in sixths; below 1 the channel is at its least.
                let k = h + offset;
                let k = if k >= 6.0 { k - 6.0 } else { k };
                let part = (k - 3.0).abs() - 1.0;
                let part = if part > 0.0 { part } else { 0.0 };
                let part = if part < 1.0 { part } else { 1.0 };
                to_byte(min + chroma * part + 0.5)
            };
            (r[i], g[i], b[i]) = (channel(0.0), channel(4.0), channel(2.0));
        }
    });
}

#[inline(always)]
fn shuffle<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize, order: [u8; 3]) {
    assert!(order.iter().all(|&c| c < 3), "order {order:?}");
    planar(lanes, pixels, channels, |_, planes| {
        let old = *planes;
        *planes = order.map(|c| old[usize::from(c)]);
    });
}

#[inline(always)]
pub(super) fn luma_block([r, g, b]: &Planes, out: &mut [u8; BLOCK]) {
    for i in 0..BLOCK {
        let (red, green, blue) = (u32::from(r[i]), u32::from(g[i]), u32::from(b[i]));
        out[i] = ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8;
    }
}

#[inline(always)]
fn grey<L: Lanes>(lanes: L, pixels: &mut [u8], channels: usize) {
    planar(lanes, pixels, channels, |_, planes| {
        let mut y = [0; BLOCK];
        luma_block(planes, &mut y);
        *planes = [y; 3];
    });
}

#[inline(always)]
fn luma_of<L: Lanes>(lanes: L, pixels: &[u8], channels: usize, out: &mut [u8]) {
    assert_eq!(out.len().checked_mul(channels), Some(pixels.len()), "length of the luma");
    let mut rest = out;
    planar_read(lanes, pixels, channels, |planes, n| {
        let mut y = [0; BLOCK];
        luma_block(planes, &mut y);
        rest.split_off_mut(..n).expect("as many as pixels").copy_from_slice(&y[..n]);
    });
}

#[inline(always)]
fn sum_luma<L: Lanes>(lanes: L, pixels: &[u8], channels: usize, tables: Option<&[[u8; 256]; 3]>) -> u64 {
    let mut total = 0;
    planar_read(lanes, pixels, channels, |planes, n| {
        if let Some(tables) = tables {
            for (plane, table) in planes.iter_mut().zip(tables) {
                lanes.look_up(table, plane);
            }
        }
        let mut y = [0; BLOCK];
        luma_block(planes, &mut y);
        total += u64::from(sum(&y[..n]));
    });
    total
}

/// The sum of up to [`BLOCK`] bytes.
#[inline(always)]
fn sum(values: &[u8]) -> u32 {
    values.iter().map(|&v| u32::from(v)).sum()
}

#[inline(always)]
fn sums<L: Lanes>(lanes: L, pixels: &[u8], channels: usize) -> [u64; 3] {
    let mut all = [0; 3];
    planar_read(lanes, pixels, channels, |planes, n| {
        for (total, plane) in all.iter_mut().zip(planes) {
            *total += u64::from(sum(&plane[..n]));
        }
    });
    all
}

#[inline(always)]
fn bounds<L: Lanes>(lanes: L, pixels: &[u8], channels: usize) -> [(u8, u8); 3] {
    let mut all = [(255, 0); 3];
    planar_read(lanes, pixels, channels, |planes, n| {
        for ((least, most), plane) in all.iter_mut().zip(planes) {
            *least = plane[..n].iter().fold(*least, |a, &v| a.min(v));
            *most = plane[..n].iter().fold(*most, |a, &v| a.max(v));
        }
    });
    all
}
