//! Convolution of byte images with a few weighted taps.

use super::plane::Edge;
use crate::Image;
use oculist_kernels::Isa;
use oculist_kernels::image::{self as kernels, TapOffset};

/// One weight of a kernel and which neighbour it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tap {
    pub(crate) dx: isize,
    pub(crate) dy: isize,
    pub(crate) weight: f32,
}

/// Mirrors an index without repeating the edge.
pub(crate) fn reflect(i: isize, len: usize) -> usize {
    let n = len as isize;
    if (0..n).contains(&i) {
        return i as usize;
    }
    let period = (2 * (n - 1)).max(1);
    let m = i.rem_euclid(period);
    (if m < n { m } else { period - m }) as usize
}

/// `sum of weight * pixel(x + dx, y + dy)`, rounded to nearest, every channel alike.
pub(crate) fn convolve(image: &mut Image, taps: &[Tap], edge: Edge) {
    let (width, channels, isa) = (image.width(), image.channels(), Isa::detect());
    let read = |from: &[u8], to: &mut [f32]| kernels::widen(isa, from, to);
    let write = |rows: &[f32], taps: &[TapOffset], out: &mut [u8]| {
        kernels::tap_sums_to_bytes(isa, rows, taps, out);
    };
    convolve_rows(image.pixels_mut(), width, channels, taps, edge, read, write);
}

/// Convolves in place: `read` makes floats of a row, `write` makes a row of the sums over them.
///
/// Only the rows that the kernel reaches are kept as floats. A place beyond the edge stands for one that is not farther
/// away, so that these rows suffice.
pub(super) fn convolve_rows<T>(
    values: &mut [T],
    width: usize,
    channels: usize,
    taps: &[Tap],
    edge: Edge,
    read: impl Fn(&[T], &mut [f32]),
    write: impl Fn(&[f32], &[TapOffset], &mut [T]),
) {
    let reach = |f: fn(&Tap) -> isize| taps.iter().map(|t| f(t).unsigned_abs()).max().unwrap_or(0);
    let (rx, ry) = (reach(|t| t.dx), reach(|t| t.dy));
    let len = width * channels;
    let height = values.len() / len;
    let kept = height.min(2 * ry + 1);
    // Sums are taken 64 at a time.
    let stride = len.next_multiple_of(64) + 2 * rx * channels;
    let mut rows = vec![0.0f32; stride * kept];
    let mut offsets = Vec::with_capacity(taps.len());
    let mut ready = 0;
    for y in 0..height {
        while ready < height && ready <= y + ry {
            let row = &mut rows[ready % kept * stride..][..len + 2 * rx * channels];
            read(&values[ready * len..][..len], &mut row[rx * channels..][..len]);
            edge.pad(row, rx, width, channels);
            ready += 1;
        }
        offsets.clear();
        offsets.extend(taps.iter().map(|tap| {
            let row = edge.resolve(y as isize + tap.dy, height) % kept;
            let offset = row * stride + rx.wrapping_add_signed(tap.dx) * channels;
            TapOffset { offset, weight: tap.weight }
        }));
        write(&rows, &offsets, &mut values[y * len..][..len]);
    }
}
