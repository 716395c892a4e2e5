//! Weighted sums of rows: the second half of separable filters.

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
                let at = |i: usize| pair.starts[i] + first + half * (P::BYTES / 2);
                // SAFETY: whole blocks of both rows lie in the buffer, as asserted.
                let [a, b] = unsafe { [0, 1].map(|i| packed.load_shorts(rows.as_ptr().add(at(i)))) };
                let [low, high] = packed.zip_shorts(a, b);
                sums[2 * half] = packed.add_words(sums[2 * half], packed.short_products(low, weights));
                sums[2 * half + 1] =
                    packed.add_words(sums[2 * half + 1], packed.short_products(high, weights));
            }
        }
        let by = packed.words(shift);
        let [a, b, c, d] = sums.map(|sum| packed.shift(sum, by));
        let bytes = packed.narrow_shorts([packed.narrow_words([a, b]), packed.narrow_words([c, d])]);
        let bytes = if ZIPPED { bytes } else { packed.bytes_in_order(bytes) };
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
}
