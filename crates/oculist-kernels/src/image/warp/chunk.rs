//! A row of samples, cut into chunks; the portable chunk.

use super::{CUBIC, LAST_DROP, ONE, Outside, PLACE_BITS, ROW_DROP};

/// The image, and where taps can be read without a look at its edges.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) pixels: &'a [u8],
    width: usize,
    height: usize,
    /// Bytes of a row.
    pub(super) stride: usize,
    outside: Outside,
    /// The first column and row whose taps leave the image; 0 where that holds for all.
    pub(super) columns: i32,
    pub(super) lines: i32,
    /// The last byte at which the first tap may lie, so that no vector is read past the end; below 0 for none.
    pub(super) last: i32,
}

impl<'a> Source<'a> {
    pub(super) fn new(
        pixels: &'a [u8],
        (width, height): (usize, usize),
        channels: usize,
        taps: usize,
        outside: Outside,
    ) -> Self {
        assert!(matches!(channels, 1 | 3 | 4), "{channels} channels");
        assert!((1..1 << 31).contains(&width) && (1..1 << 31).contains(&height), "{width}x{height} pixels");
        let stride = width * channels;
        assert_eq!(Some(pixels.len()), stride.checked_mul(height), "bytes of the image");
        let mut source = Self { pixels, width, height, stride, outside, columns: 0, lines: 0, last: -1 };
        // Offsets are counted in 31 bits; larger images take the way of pixels near the edge everywhere.
        if pixels.len() < 1 << 31 {
            source.columns = (width as i32 + 1 - taps as i32).max(0);
            source.lines = (height as i32 + 1 - taps as i32).max(0);
            source.last = pixels.len() as i32 - ((taps - 1) * stride + bytes_read(channels, taps)) as i32;
        }
        source
    }
}

/// Bytes read at the first tap of each row of taps.
const fn bytes_read(channels: usize, taps: usize) -> usize {
    match (channels, taps) {
        (1, _) => taps,
        (_, 1) => 4,
        (_, 2) => 8,
        _ => 16,
    }
}

/// Pixels of the largest chunk.
pub(super) const MOST: usize = 16;

/// Places, offsets or weights of a chunk.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Lanes(pub(super) [i32; MOST]);

/// Taps collected pixel by pixel: `TAPS` rows of 16 bytes for each pixel of a chunk.
#[repr(C, align(64))]
struct Block([[[u8; 16]; MOST]; 4]);

/// Bytes that a chunk may write past its end.
const SPILL: usize = 4;

/// How a chunk of pixels is sampled.
pub(super) trait Path: Copy {
    /// Pixels of a chunk, at most [`MOST`].
    const PIXELS: usize;

    /// Offsets of the first taps in bytes, and a bit for each pixel whose taps can all be read there. The offsets of
    /// other pixels mean nothing.
    fn locate<const C: usize, const TAPS: usize>(
        self,
        source: &Source<'_>,
        xs: &Lanes,
        ys: &Lanes,
        offsets: &mut Lanes,
    ) -> u32;

    /// Samples a chunk whose rows of taps lie `stride` bytes apart from `base` plus the pixel's offset on.
    ///
    /// # Safety
    /// At each of the first `PIXELS` offsets, `TAPS` rows of [`bytes_read`] bytes are readable; `PIXELS * C + SPILL`
    /// bytes are writable at `out`.
    unsafe fn sample<const C: usize, const TAPS: usize>(
        self,
        base: *const u8,
        offsets: &Lanes,
        stride: usize,
        xs: &Lanes,
        ys: &Lanes,
        out: *mut u8,
    );
}

/// The first tap's column or row and the place's fraction past the tap that weights count from.
#[inline(always)]
pub(super) const fn split(taps: usize, place: i32) -> (i32, i32) {
    match taps {
        1 => ((place + ONE / 2) >> PLACE_BITS, 0),
        2 => (place >> PLACE_BITS, place & (ONE - 1)),
        _ => ((place >> PLACE_BITS) - 1, place & (ONE - 1)),
    }
}

/// Samples a row.
#[inline(always)]
pub(super) fn row<P: Path, const C: usize, const TAPS: usize>(
    path: P,
    source: &Source<'_>,
    xs: &[i32],
    ys: &[i32],
    out: &mut [u8],
) {
    assert!(xs.len() == ys.len() && out.len() == xs.len() * C);
    let n = P::PIXELS;
    let everywhere = (1u32 << n) - 1;
    let mut offsets = Lanes([0; MOST]);
    let mut block = Block([[[0; 16]; MOST]; 4]);
    let mut start = 0;
    while start < xs.len() {
        let count = n.min(xs.len() - start);
        let (px, py) = (lanes::<P>(&xs[start..], count), lanes::<P>(&ys[start..], count));
        let inside = path.locate::<C, TAPS>(source, &px, &py, &mut offsets);
        // Written to memory here, so that sampling reads each offset by itself and does not take vectors apart.
        std::hint::black_box(&mut offsets);
        let taps = if inside == everywhere {
            (source.pixels.as_ptr(), source.stride)
        } else if collect::<C, TAPS>(source, (n, inside), &offsets, &px, &py, &mut block) {
            for (k, offset) in offsets.0.iter_mut().enumerate() {
                *offset = 16 * k as i32;
            }
            (block.0.as_ptr().cast(), 16 * MOST)
        } else {
            let fill = if let Outside::Constant(value) = source.outside { value } else { 0 };
            out[start * C..(start + count) * C].fill(fill);
            start += count;
            continue;
        };
        let rest = &mut out[start * C..];
        if rest.len() >= n * C + SPILL {
            // SAFETY: the offsets are those of the block, or `locate` has found all inside the image; `rest` has room.
            // What spills over is written again with the next chunk.
            unsafe {
                path.sample::<C, TAPS>(taps.0, &offsets, taps.1, &px, &py, rest.as_mut_ptr());
            }
        } else {
            let mut last = [0u8; MOST * 4 + SPILL];
            // SAFETY: as above; `last` has room for the largest chunk.
            unsafe {
                path.sample::<C, TAPS>(taps.0, &offsets, taps.1, &px, &py, last.as_mut_ptr());
            }
            rest[..count * C].copy_from_slice(&last[..count * C]);
        }
        start += count;
    }
}

/// The first places of a row, the last of them repeated where there are too few.
#[inline(always)]
fn lanes<P: Path>(places: &[i32], count: usize) -> Lanes {
    let mut lanes = Lanes([0; MOST]);
    if count == P::PIXELS {
        lanes.0[..P::PIXELS].copy_from_slice(&places[..P::PIXELS]);
    } else {
        lanes.0[..count].copy_from_slice(&places[..count]);
        lanes.0[count..].fill(places[count - 1]);
    }
    lanes
}

/// Collects the taps of `n` pixels in the block; false if every tap of every pixel is the constant outside.
#[inline(never)]
fn collect<const C: usize, const TAPS: usize>(
    source: &Source<'_>,
    (n, inside): (usize, u32),
    offsets: &Lanes,
    xs: &Lanes,
    ys: &Lanes,
    block: &mut Block,
) -> bool {
    let constant = match source.outside {
        Outside::Constant(value) => Some(u32::from_ne_bytes([value; 4]) & mask::<C>()),
        _ => None,
    };
    let filled = [constant.unwrap_or(0) as u8; 16];
    let (width, height) = (source.width as i64, source.height as i64);
    let far = |place: i32, side: i64| {
        let first = i64::from(split(TAPS, place).0);
        first <= -(TAPS as i64) || first >= side
    };
    let all_far = || (0..n).all(|k| far(xs.0[k], width) || far(ys.0[k], height));
    if inside == 0 && constant.is_some() && all_far() {
        return false;
    }
    let fill = constant.unwrap_or(0);
    for k in 0..n {
        if inside >> k & 1 == 1 {
            for (j, rows) in block.0.iter_mut().take(TAPS).enumerate() {
                let bytes = const { bytes_read(C, TAPS) };
                let from = offsets.0[k] as usize + j * source.stride;
                rows[k][..bytes].copy_from_slice(&source.pixels[from..from + bytes]);
            }
            continue;
        }
        if constant.is_some() && (far(xs.0[k], width) || far(ys.0[k], height)) {
            for rows in block.0.iter_mut().take(TAPS) {
                rows[k] = filled;
            }
            continue;
        }
        let (x, y) = (split(TAPS, xs.0[k]).0 as isize, split(TAPS, ys.0[k]).0 as isize);
        let mut columns = [None; TAPS];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = source.outside.resolve(x + i as isize, source.width);
        }
        for (j, rows) in block.0.iter_mut().take(TAPS).enumerate() {
            let line = source.outside.resolve(y + j as isize, source.height);
            let tap = |i: usize| match (columns[i], line) {
                (Some(x), Some(y)) => pixel::<C>(source.pixels, y * source.stride + x * C),
                _ => fill,
            };
            // Each row in one or two stores as long as the loads that follow.
            if TAPS < 4 {
                let taps = (0..TAPS).fold(0u64, |taps, i| taps | u64::from(tap(i)) << (8 * C * i));
                rows[k][..8].copy_from_slice(&taps.to_le_bytes());
            } else {
                let taps = (0..TAPS).fold(0u128, |taps, i| taps | u128::from(tap(i)) << (8 * C * i));
                rows[k] = taps.to_le_bytes();
            }
        }
    }
    true
}

const fn mask<const C: usize>() -> u32 {
    if C == 4 { u32::MAX } else { (1 << (8 * C)) - 1 }
}

/// The bytes of a pixel, the first channel lowest.
#[inline(always)]
fn pixel<const C: usize>(pixels: &[u8], at: usize) -> u32 {
    if C == 1 {
        return u32::from(pixels[at]);
    }
    match pixels.get(at..at + 4) {
        Some(bytes) => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) & mask::<C>(),
        None => pixels[at..at + C].iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Path for Portable {
    const PIXELS: usize = 8;

    #[inline(always)]
    fn locate<const C: usize, const TAPS: usize>(
        self,
        source: &Source<'_>,
        xs: &Lanes,
        ys: &Lanes,
        offsets: &mut Lanes,
    ) -> u32 {
        let mut inside = 0;
        for k in 0..Self::PIXELS {
            let (x, y) = (split(TAPS, xs.0[k]).0, split(TAPS, ys.0[k]).0);
            let offset = y.wrapping_mul(source.stride as i32).wrapping_add(x.wrapping_mul(C as i32));
            offsets.0[k] = offset;
            let is_inside = (0..source.columns).contains(&x)
                && (0..source.lines).contains(&y)
                && (0..=source.last).contains(&offset);
            inside |= u32::from(is_inside) << k;
        }
        inside
    }

    #[inline(always)]
    unsafe fn sample<const C: usize, const TAPS: usize>(
        self,
        base: *const u8,
        offsets: &Lanes,
        stride: usize,
        xs: &Lanes,
        ys: &Lanes,
        out: *mut u8,
    ) {
        for k in 0..Self::PIXELS {
            // SAFETY: the caller vouches for the bytes read here.
            let tap = |i: usize, j: usize| unsafe {
                base.add(offsets.0[k] as usize + j * stride + i * C).cast::<[u8; C]>().read()
            };
            let (fx, fy) = (split(TAPS, xs.0[k]).1, split(TAPS, ys.0[k]).1);
            let pixel = match TAPS {
                1 => tap(0, 0),
                2 => bilinear([tap(0, 0), tap(1, 0), tap(0, 1), tap(1, 1)], fx, fy),
                _ => {
                    let (wx, wy) = (CUBIC[fx as usize].map(i32::from), CUBIC[fy as usize].map(i32::from));
                    bicubic(tap, wx, wy)
                }
            };
            // SAFETY: pixel k of the chunk, which the caller vouches for.
            unsafe { out.add(k * C).cast::<[u8; C]>().write(pixel) };
        }
    }
}

#[inline(always)]
fn bilinear<const C: usize>(taps: [[u8; C]; 4], fx: i32, fy: i32) -> [u8; C] {
    std::array::from_fn(|c| {
        let [a, b, d, e] = taps.map(|tap| i32::from(tap[c]));
        let top = a * ONE + (b - a) * fx;
        let bottom = d * ONE + (e - d) * fx;
        ((top * ONE + (bottom - top) * fy + ONE * ONE / 2) >> (2 * PLACE_BITS)) as u8
    })
}

#[inline(always)]
fn bicubic<const C: usize>(tap: impl Fn(usize, usize) -> [u8; C], wx: [i32; 4], wy: [i32; 4]) -> [u8; C] {
    let mut sum = [1 << (LAST_DROP - 1); C];
    for (j, wy) in wy.into_iter().enumerate() {
        let taps: [[u8; C]; 4] = std::array::from_fn(|i| tap(i, j));
        for c in 0..C {
            let row: i32 = (0..4).map(|i| i32::from(taps[i][c]) * wx[i]).sum();
            sum[c] += ((row + (1 << (ROW_DROP - 1))) >> ROW_DROP) * wy;
        }
    }
    sum.map(|sum| (sum >> LAST_DROP).clamp(0, 255) as u8)
}
