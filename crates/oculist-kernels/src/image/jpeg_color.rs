//! Rows of luma and chroma to rows of pixels.
//!
//! # Source
//! JFIF 1.02 for the colours. Fixed point and filters are libjpeg's, with the very same results: factors of 16 fractional
//! bits, chroma by a triangle of 3/4 and 1/4.

use super::lanes::{GROUP, Lanes, per_isa};

per_isa! {
    /// `r = y + 1.402 (cr - 128)`, `g = y - 0.344136 (cb - 128) - 0.714136 (cr - 128)`, `b = y + 1.772 (cb - 128)`,
    /// interleaved.
    ///
    /// # Panics
    /// If `cb` and `cr` are shorter than `luma`, `out` is not three times as long, or the processor lacks `isa`.
    pub fn ycc_to_rgb(luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) = to_rgb;
    /// A row at twice the width: `(3 x[i] + x[i-1] + 1) >> 2`, then `(3 x[i] + x[i+1] + 2) >> 2`; ends are repeated.
    ///
    /// # Panics
    /// If the row is empty, `out` is not twice as long, or the processor lacks `isa`.
    pub fn double_width(row: &[u8], out: &mut [u8]) = wider;
    /// A row between two: `(3 near + far + bias) >> 2`.
    ///
    /// # Panics
    /// If the lengths differ, or the processor lacks `isa`.
    pub fn between_rows(near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) = between;
    /// [`between_rows`] and [`double_width`] in one step, which rounds once: with s = 3 near + far,
    /// `(3 s[i] + s[i-1] + 8) >> 4`, then `(3 s[i] + s[i+1] + 7) >> 4`.
    ///
    /// `sums` is scratch of two more than the row's length.
    ///
    /// # Panics
    /// If the rows are empty, lengths do not fit, or the processor lacks `isa`.
    pub fn double_both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) = wider_and_higher;
}

#[inline(always)]
fn to_rgb<L: Lanes>(lanes: L, luma: &[u8], cb: &[u8], cr: &[u8], out: &mut [u8]) {
    let n = luma.len();
    assert!(out.len() == 3 * n, "{} bytes for {n} pixels", out.len());
    let (cb, cr) = (&cb[..n], &cr[..n]);
    let (groups, luma_rest) = luma.as_chunks::<GROUP>();
    let (cb, cb_rest) = cb.as_chunks::<GROUP>();
    let (cr, cr_rest) = cr.as_chunks::<GROUP>();
    let (pixels, pixels_rest) = out.as_chunks_mut::<{ 3 * GROUP }>();
    for (((luma, cb), cr), pixels) in groups.iter().zip(cb).zip(cr).zip(pixels) {
        group_to_rgb(lanes, [luma, cb, cr], pixels);
    }
    if !luma_rest.is_empty() {
        let mut parts = [[0; GROUP]; 3];
        for (part, rest) in parts.iter_mut().zip([luma_rest, cb_rest, cr_rest]) {
            part[..rest.len()].copy_from_slice(rest);
        }
        let mut pixels = [0; 3 * GROUP];
        group_to_rgb(lanes, [&parts[0], &parts[1], &parts[2]], &mut pixels);
        pixels_rest.copy_from_slice(&pixels[..pixels_rest.len()]);
    }
}

/// The upper half of a product.
#[inline(always)]
fn high(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

#[inline(always)]
fn group_to_rgb<L: Lanes>(lanes: L, [luma, cb, cr]: [&[u8; GROUP]; 3], pixels: &mut [u8; 3 * GROUP]) {
    let [mut red, mut green, mut blue] = [[0; GROUP]; 3];
    let byte = |v: i16| v.clamp(0, 255) as u8;
    for i in 0..GROUP {
        let (y, cb, cr) = (i16::from(luma[i]), i16::from(cb[i]) - 128, i16::from(cr[i]) - 128);
        // Factors above 1/2 do not fit 16 bits, so whole multiples are added: 1.402 = 1 + 0.402, 1.772 = 2 - 0.228,
        // 0.714 = 1 - 0.286. Of the doubled product, the upper half's last bit is the bit to round by.
        red[i] = byte(y + cr + ((high(2 * cr, 26345) + 1) >> 1));
        blue[i] = byte(y + 2 * cb + ((high(2 * cb, -14942) + 1) >> 1));
        let product = i32::from(cb) * -22554 + i32::from(cr) * 18734 + 32768;
        green[i] = byte(y - cr + (product >> 16) as i16);
    }
    lanes.merge([&red, &green, &blue], pixels);
}

#[inline(always)]
fn wider<L: Lanes>(_: L, row: &[u8], out: &mut [u8]) {
    let n = row.len();
    let (out, rest) = out.as_chunks_mut::<2>();
    assert!(n > 0 && out.len() == n && rest.is_empty(), "{} pairs for {n} values", out.len());
    let (first, last) = (u16::from(row[0]), u16::from(row[n - 1]));
    if n == 1 {
        out[0] = [row[0]; 2];
        return;
    }
    out[0] = [row[0], ((3 * first + u16::from(row[1]) + 2) >> 2) as u8];
    out[n - 1] = [((3 * last + u16::from(row[n - 2]) + 1) >> 2) as u8, row[n - 1]];
    let m = n - 2;
    let (before, here, after) = (&row[..m], &row[1..][..m], &row[2..][..m]);
    for (i, out) in out[1..][..m].iter_mut().enumerate() {
        let x = 3 * u16::from(here[i]);
        *out = [((x + u16::from(before[i]) + 1) >> 2) as u8, ((x + u16::from(after[i]) + 2) >> 2) as u8];
    }
}

#[inline(always)]
fn between<L: Lanes>(_: L, near: &[u8], far: &[u8], bias: u16, out: &mut [u8]) {
    assert!(near.len() == out.len() && far.len() == out.len(), "rows of different lengths");
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
    }
}

#[inline(always)]
fn wider_and_higher<L: Lanes>(_: L, near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let n = near.len();
    let (out, rest) = out.as_chunks_mut::<2>();
    let fit = far.len() == n && sums.len() == n + 2 && out.len() == n && rest.is_empty();
    assert!(n > 0 && fit, "lengths do not fit {n} values");
    for ((sum, &near), &far) in sums[1..].iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    (sums[0], sums[n + 1]) = (sums[1], sums[n]);
    let (before, here, after) = (&sums[..n], &sums[1..][..n], &sums[2..][..n]);
    for (i, out) in out.iter_mut().enumerate() {
        *out = [((3 * here[i] + before[i] + 8) >> 4) as u8, ((3 * here[i] + after[i] + 7) >> 4) as u8];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    fn noise(n: usize, seed: usize) -> Vec<u8> {
        (0..n).map(|i| (((i + 1) * (seed + 7) * 2_654_435_761) >> 13) as u8).collect()
    }

    const LENGTHS: [usize; 9] = [1, 2, 3, 31, 63, 64, 65, 128, 200];

    #[test]
    fn portable_colours_are_the_formulas_rounded() {
        // Every pair of chroma at a few lumas.
        let pairs: Vec<(u8, u8)> = (0..=u8::MAX).flat_map(|a| (0..=u8::MAX).map(move |b| (a, b))).collect();
        let cb: Vec<u8> = pairs.iter().map(|p| p.0).collect();
        let cr: Vec<u8> = pairs.iter().map(|p| p.1).collect();
        for luma in [0, 1, 100, 255] {
            let luma = vec![luma; pairs.len()];
            let mut want = vec![0; 3 * pairs.len()];
            ycc_to_rgb(Isa::Portable, &luma, &cb, &cr, &mut want);
            for (i, pixel) in want.as_chunks::<3>().0.iter().enumerate() {
                let (y, cb, cr) = (f64::from(luma[i]), f64::from(cb[i]) - 128.0, f64::from(cr[i]) - 128.0);
                let exact = [y + 1.402 * cr, y - 0.344_136_286 * cb - 0.714_136_286 * cr, y + 1.772 * cb];
                for (got, exact) in pixel.iter().zip(exact) {
                    let error = (f64::from(*got) - exact.clamp(0.0, 255.0)).abs();
                    assert!(error < 0.502, "{pixel:?} {exact}");
                    // The twin: a value that is one off is rejected.
                    assert!((f64::from(*got) + 1.1 - exact.clamp(0.0, 255.0)).abs() > 0.502);
                }
            }
            for isa in Isa::available() {
                let mut got = vec![0; want.len()];
                ycc_to_rgb(isa, &luma, &cb, &cr, &mut got);
                assert!(got == want, "{isa}");
            }
        }
    }

    #[test]
    fn portable_filters_are_their_formulas() {
        for n in LENGTHS {
            let (near, far) = (noise(n, 1), noise(n, 2));
            let at = |row: &[u8], i: isize| i32::from(row[i.clamp(0, n as isize - 1) as usize]);
            let pairs = |f: &dyn Fn(isize, isize) -> i32| -> Vec<u8> {
                (0..2 * n as isize).map(|i| f(i / 2, 2 * (i % 2) - 1) as u8).collect()
            };
            let wide = pairs(&|i, side| {
                (3 * at(&near, i) + at(&near, i + side) + if side < 0 { 1 } else { 2 }) >> 2
            });
            let sum = |i| 3 * at(&near, i) + at(&far, i);
            let both = pairs(&|i, side| (3 * sum(i) + sum(i + side) + if side < 0 { 8 } else { 7 }) >> 4);
            for isa in Isa::available() {
                let mut got = vec![0; 2 * n];
                double_width(isa, &near, &mut got);
                assert_eq!(got, wide, "{isa} {n}");
                double_both(isa, &near, &far, &mut vec![0; n + 2], &mut got);
                assert_eq!(got, both, "{isa} {n}");
                for bias in [1, 2] {
                    let mut got = vec![0; n];
                    between_rows(isa, &near, &far, bias, &mut got);
                    let want: Vec<u8> =
                        (0..n as isize).map(|i| ((sum(i) + i32::from(bias)) >> 2) as u8).collect();
                    assert_eq!(got, want, "{isa} {n}");
                }
                // The twin: the rows in the other order are told apart.
                double_both(isa, &far, &near, &mut vec![0; n + 2], &mut got);
                assert_ne!(got, both);
            }
        }
    }
}
