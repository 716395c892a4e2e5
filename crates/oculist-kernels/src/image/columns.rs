//! Weighted sums of rows: the second half of separable filters.
//!
//! Loops instead of arrays' `map`: a closure that is not made part of its function has not the function's instruction set.

use super::packed::Packed;

/// Two rows and their weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowPair {
    /// Where the rows start in the buffer.
    pub(super) starts: [usize; 2],
    pub(super) weights: [i16; 2],
}

/// Values that must be readable from the start of each row: `len` in whole registers of bytes.
pub(super) fn row_stride<P: Packed>(len: usize) -> usize {
    len.next_multiple_of(P::BYTES)
}

/// Where each of `count` rows starts in a ring of `kept` rows.
pub(super) fn ring_starts(count: usize, kept: usize, stride: usize) -> Vec<usize> {
    (0..kept).map(|slot| slot * stride).cycle().take(count).collect()
}

/// `(sum of weight * row[i] + 2^19) >> 20` of two rows of values 0..=255 * 2^6 with weights that add up to 2^14, none of them
/// negative.
///
/// The same as [`sum_rows`] to the bit, in 16 bits: `a + floor(w (b - a) / 2^14)` lies between a and b, and what is cut off
/// of it does not reach the bits that are left.
///
/// # Panics
/// If a row does not have [`row_stride`] values.
#[inline(always)]
pub(super) fn mix_rows<P: Packed>(packed: P, rows: &[i16], pair: RowPair, out: &mut [u8]) {
    let needed = row_stride::<P>(out.len());
    let [a, b] = pair.starts;
    assert!(a.max(b) + needed <= rows.len(), "rows end after {} values", rows.len());
    let (weight, half) = (-2 * pair.weights[1], 1 << 5);
    let (weights, half) = (packed.short_pairs([weight; 2]), packed.short_pairs([half; 2]));
    for (block, out) in out.chunks_mut(P::BYTES).enumerate() {
        let at = block * P::BYTES;
        // SAFETY: whole blocks of both rows lie in the buffer, as asserted.
        let mixed = unsafe {
            let (a, b) = (rows.as_ptr().add(a + at), rows.as_ptr().add(b + at));
            let second = P::BYTES / 2;
            [mix(packed, a, b, [weights, half]), mix(packed, a.add(second), b.add(second), [weights, half])]
        };
        store(packed, packed.bytes_in_order(packed.narrow_shorts(mixed)), out);
    }
}

/// A register of [`mix_rows`].
///
/// # Safety
/// A register of values is readable at both places.
#[inline(always)]
unsafe fn mix<P: Packed>(
    packed: P,
    a: *const i16,
    b: *const i16,
    [weights, half]: [P::Shorts; 2],
) -> P::Shorts {
    // SAFETY: the caller vouches for the memory.
    let (a, b) = unsafe { (packed.load_shorts(a), packed.load_shorts(b)) };
    let less = packed.subtract_shorts(a, b);
    let moved = packed.high_products(packed.add_shorts(less, less), weights);
    packed.shift_shorts::<6>(packed.add_shorts(packed.add_shorts(a, half), moved))
}

/// Writes the first `out.len()` bytes, at most a register of them.
#[inline(always)]
fn store<P: Packed>(packed: P, bytes: P::Bytes, out: &mut [u8]) {
    if out.len() == P::BYTES {
        // SAFETY: as many bytes as are written.
        unsafe { packed.store_bytes(out.as_mut_ptr(), bytes) };
    } else {
        let mut whole = [0u8; 64];
        // SAFETY: a register has at most 64 bytes.
        unsafe { packed.store_bytes(whole.as_mut_ptr(), bytes) };
        out.copy_from_slice(&whole[..out.len()]);
    }
}

/// `(bias + sum of weight * row[i]) >> shift`, cut to 0..=255.
///
/// Rows hold their values in order, or, if `ZIPPED`, as zipping bytes leaves them: in blocks of [`Packed::BYTES`] values
/// first the lower halves of all lanes.
///
/// # Panics
/// If a row does not have [`row_stride`] values.
#[inline(always)]
pub(super) fn sum_rows<P: Packed, const ZIPPED: bool>(
    packed: P,
    rows: &[i16],
    pairs: &[RowPair],
    (bias, shift): (i32, i32),
    out: &mut [u8],
) {
    let needed = row_stride::<P>(out.len());
    let last = pairs.iter().flat_map(|pair| pair.starts).max().unwrap_or(0);
    assert!(last + needed <= rows.len(), "rows end after {} values", rows.len());
    for (block, out) in out.chunks_mut(P::BYTES).enumerate() {
        let first = block * P::BYTES;
        let mut sums = [packed.words(bias); 4];
        for pair in pairs {
            let weights = packed.short_pairs(pair.weights);
            for half in 0..2 {
                let [a, b] = pair.starts;
                let at = first + half * (P::BYTES / 2);
                // SAFETY: whole blocks of both rows lie in the buffer, as asserted.
                let (a, b) = unsafe {
                    (
                        packed.load_shorts(rows.as_ptr().add(a + at)),
                        packed.load_shorts(rows.as_ptr().add(b + at)),
                    )
                };
                let [low, high] = packed.zip_shorts(a, b);
                sums[2 * half] = packed.add_words(sums[2 * half], packed.short_products(low, weights));
                sums[2 * half + 1] =
                    packed.add_words(sums[2 * half + 1], packed.short_products(high, weights));
            }
        }
        let by = packed.words(shift);
        for sum in &mut sums {
            *sum = packed.shift(*sum, by);
        }
        let [a, b, c, d] = sums;
        let bytes = packed.narrow_shorts([packed.narrow_words([a, b]), packed.narrow_words([c, d])]);
        let bytes = if ZIPPED { bytes } else { packed.bytes_in_order(bytes) };
        store(packed, bytes, out);
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "as `per_isa` writes it")]
mod tests {
    use super::super::lanes::{Lanes, per_isa};
    use super::*;
    use crate::Isa;

    per_isa! {
        /// The mean of both rows of `rows`, by [`mix_rows`] and by [`sum_rows`].
        pub fn both(rows: &[i16], pair: RowPair, mixed: &mut [u8], summed: &mut [u8]) = ways;
    }

    #[inline(always)]
    fn ways<P: Lanes + Packed>(p: P, rows: &[i16], pair: RowPair, mixed: &mut [u8], summed: &mut [u8]) {
        mix_rows(p, rows, pair, mixed);
        sum_rows::<P, false>(p, rows, &[pair], (1 << 19, 20), summed);
    }

    #[test]
    fn mixing_is_summing_to_the_bit() {
        const LEN: usize = 1000;
        let (stride, top) = (1024, 255 << 6);
        let mut state = 5u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32
        };
        for weight in (0..=1 << 14).step_by(37).chain([1, (1 << 14) - 1, 1 << 14]) {
            // Mostly any values, some of them the ends.
            let mut value = || [0, top, next() % (top + 1), next() % (top + 1)][next() as usize % 4] as i16;
            let rows: Vec<i16> = (0..2 * stride).map(|_| value()).collect();
            let pair = RowPair { starts: [0, stride], weights: [(1 << 14) - weight, weight] };
            for isa in Isa::available() {
                let (mut mixed, mut summed) = ([7; LEN], [9; LEN]);
                both(isa, &rows, pair, &mut mixed, &mut summed);
                assert_eq!(mixed, summed, "{isa} {weight}");
            }
        }
    }
}
