//! Plain Rust, the reference for the other paths.

use super::{ByteLanes, IntSimd, Line};

/// The portable path; it needs no proof.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn zip<T: Copy>(a: [T; 16], b: [T; 16], f: impl Fn(T, T) -> T) -> [T; 16] {
    let mut y = a;
    for (y, b) in y.iter_mut().zip(b) {
        *y = f(*y, b);
    }
    y
}

impl IntSimd for Portable {
    type I = [i32; 16];
    type F = [f32; 16];
    type E = u8;
    type X = [u8; 4];
    type W = [u8; 64];
    type H = [i16; 16];
    type X2 = [i16; 2];
    type Q = [[u8; 16]; 4];

    const HALVES: usize = 16;
    const GROUP: usize = 4;
    const BYTES: bool = true;
    const ROWS: [usize; 4] = [4, 0, 0, 0];
    const DEPTHWISE_ROWS: usize = 1;

    #[inline(always)]
    unsafe fn pack(self, from: &[u8], to: *mut u8) {
        // SAFETY: the caller vouches for the length; packed input is a buffer of its own.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
    }

    #[inline(always)]
    fn element(self, x: u8) -> u8 {
        x
    }

    #[inline(always)]
    unsafe fn load_x(self, p: *const u8) -> [u8; 4] {
        // SAFETY: the caller vouches for four bytes.
        unsafe { p.cast::<[u8; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_w(self, p: *const Line) -> [u8; 64] {
        // SAFETY: the caller vouches for the line.
        unsafe { (*p).0 }
    }

    #[inline(always)]
    fn mac(self, mut acc: [i32; 16], x: [u8; 4], w: [u8; 64]) -> [i32; 16] {
        for (o, acc) in acc.iter_mut().enumerate() {
            for g in 0..4 {
                *acc += i32::from(x[g]) * i32::from(w[o * 4 + g] as i8);
            }
        }
        acc
    }

    #[inline(always)]
    unsafe fn load_x2(self, p: *const i16) -> [i16; 2] {
        // SAFETY: the caller vouches for two i16.
        unsafe { p.cast::<[i16; 2]>().read_unaligned() }
    }

    #[inline(always)]
    fn mac2(self, mut acc: [i32; 16], x: [i16; 2], w: [u8; 64]) -> [i32; 16] {
        for (o, acc) in acc.iter_mut().enumerate() {
            for g in 0..2 {
                let at = 4 * o + 2 * g;
                let w = i16::from_ne_bytes([w[at], w[at + 1]]);
                *acc = acc.wrapping_add(i32::from(x[g]) * i32::from(w));
            }
        }
        acc
    }

    #[inline(always)]
    unsafe fn load_u8_i16(self, p: *const u8, _count: usize) -> [i16; 16] {
        // SAFETY: the caller vouches for sixteen bytes.
        unsafe { p.cast::<[u8; 16]>().read_unaligned() }.map(i16::from)
    }

    #[inline(always)]
    unsafe fn load_i16(self, p: *const i16) -> [i16; 16] {
        // SAFETY: the caller vouches for sixteen i16.
        unsafe { p.cast::<[i16; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_i16(self, x: [i16; 16], p: *mut i16) {
        // SAFETY: the caller vouches for sixteen i16.
        unsafe { p.cast::<[i16; 16]>().write_unaligned(x) };
    }

    #[inline(always)]
    fn add16(self, a: [i16; 16], b: [i16; 16]) -> [i16; 16] {
        zip(a, b, i16::wrapping_add)
    }

    #[inline(always)]
    fn sub16(self, a: [i16; 16], b: [i16; 16]) -> [i16; 16] {
        zip(a, b, i16::wrapping_sub)
    }

    #[inline(always)]
    fn shl16<const N: u32>(self, a: [i16; 16]) -> [i16; 16] {
        a.map(|a| a << N)
    }

    #[inline(always)]
    unsafe fn load_i32_ptr(self, p: *const i32) -> [i32; 16] {
        // SAFETY: the caller vouches for sixteen i32.
        unsafe { p.cast::<[i32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_i32(self, x: [i32; 16], p: *mut i32) {
        // SAFETY: the caller vouches for sixteen i32.
        unsafe { p.cast::<[i32; 16]>().write_unaligned(x) };
    }

    #[inline(always)]
    fn add32(self, a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        zip(a, b, i32::wrapping_add)
    }

    #[inline(always)]
    fn sub32(self, a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        zip(a, b, i32::wrapping_sub)
    }

    #[inline(always)]
    fn mul32(self, a: [i32; 16], b: [i32; 16]) -> [i32; 16] {
        zip(a, b, i32::wrapping_mul)
    }

    #[inline(always)]
    fn shl32<const N: u32>(self, a: [i32; 16]) -> [i32; 16] {
        a.map(|a| a << N)
    }

    #[inline(always)]
    fn shr32<const N: u32>(self, a: [i32; 16]) -> [i32; 16] {
        a.map(|a| a >> N)
    }

    #[inline(always)]
    fn load_i32(self, x: &[i32; 16]) -> [i32; 16] {
        *x
    }

    #[inline(always)]
    fn to_f32(self, x: [i32; 16]) -> [f32; 16] {
        x.map(|x| x as f32)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    unsafe fn load_f32(self, p: *const f32) -> [f32; 16] {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe { p.cast::<[f32; 16]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_pixels<const C: usize>(self, p: *const f32) -> [f32; 16] {
        let mut y = [0.0; 16];
        for (i, y) in y.iter_mut().enumerate().filter(|(i, _)| i % 4 < C) {
            // SAFETY: the caller vouches for four pixels.
            *y = unsafe { *p.add(i / 4 * C + i % 4) };
        }
        y
    }

    #[inline(always)]
    unsafe fn store_f32(self, x: [f32; 16], p: *mut f32) {
        // SAFETY: the caller vouches for sixteen f32.
        unsafe { p.cast::<[f32; 16]>().write_unaligned(x) };
    }

    #[inline(always)]
    unsafe fn load_u8(self, p: *const u8) -> [f32; 16] {
        // SAFETY: the caller vouches for sixteen bytes.
        unsafe { p.cast::<[u8; 16]>().read_unaligned() }.map(f32::from)
    }

    #[inline(always)]
    unsafe fn store_u8(self, x: [f32; 16], offset: [i32; 16], p: *mut u8) {
        for i in 0..16 {
            // SAFETY: the caller vouches for sixteen bytes.
            unsafe { *p.add(i) = (x[i].round_ties_even() as i32 + offset[i]) as u8 };
        }
    }

    #[inline(always)]
    fn quantize(self, x: [[f32; 16]; 4], zero_point: u8, low: u8, high: u8) -> [[u8; 16]; 4] {
        let mut q = [[0; 16]; 4];
        for (q, x) in q.iter_mut().zip(x) {
            for (q, x) in q.iter_mut().zip(x) {
                let level = (x.round_ties_even() as i32).saturating_add(i32::from(zero_point));
                *q = level.clamp(i32::from(low), i32::from(high)) as u8;
            }
        }
        q
    }

    #[inline(always)]
    unsafe fn store_quarters(self, q: [[u8; 16]; 4], to: [*mut u8; 4]) {
        for (q, to) in q.iter().zip(to) {
            // SAFETY: the caller vouches for sixteen bytes.
            unsafe { std::ptr::copy_nonoverlapping(q.as_ptr(), to, 16) };
        }
    }

    #[inline(always)]
    unsafe fn store_halves(self, q: [[u8; 16]; 4], to: [*mut u8; 2]) {
        for (q, to) in q.as_flattened().chunks_exact(32).zip(to) {
            // SAFETY: the caller vouches for 32 bytes.
            unsafe { std::ptr::copy_nonoverlapping(q.as_ptr(), to, 32) };
        }
    }

    #[inline(always)]
    unsafe fn store_whole(self, q: [[u8; 16]; 4], to: *mut u8) {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe { std::ptr::copy_nonoverlapping(q.as_flattened().as_ptr(), to, 64) };
    }

    #[inline(always)]
    fn splat_i32(self, x: i32) -> [i32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn round(self, x: [f32; 16]) -> [f32; 16] {
        x.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn fma(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        // In f64 the product is exact and so, for levels and ratios of scales, is the sum; `f32::mul_add` would call
        // a function of the C library for each lane.
        std::array::from_fn(|i| (f64::from(a[i]) * f64::from(b[i]) + f64::from(c[i])) as f32)
    }

    #[inline(always)]
    fn mul_add_exact(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn any_gt(self, a: [f32; 16], b: [f32; 16]) -> bool {
        a.iter().zip(&b).any(|(a, b)| a > b)
    }

    #[inline(always)]
    unsafe fn max_u8(self, y: *mut u8, x: *const u8) {
        for i in 0..16 {
            // SAFETY: the caller vouches for sixteen bytes at both places.
            unsafe { *y.add(i) = (*y.add(i)).max(*x.add(i)) };
        }
    }
}

impl ByteLanes for Portable {
    type B = [[u8; 4]; 16];
    type O = ();

    #[inline(always)]
    fn row_order(self) {}

    #[inline(always)]
    unsafe fn load_rows(self, (): (), p: [*const u8; 4]) -> [[u8; 4]; 16] {
        let mut x = [[0; 4]; 16];
        for (lane, x) in x.iter_mut().enumerate() {
            for (x, p) in x.iter_mut().zip(p) {
                // SAFETY: the caller vouches for sixteen bytes.
                *x = unsafe { *p.add(lane) };
            }
        }
        x
    }

    #[inline(always)]
    fn mac_lanes(self, mut acc: [i32; 16], x: [[u8; 4]; 16], w: [u8; 64]) -> [i32; 16] {
        for (o, acc) in acc.iter_mut().enumerate() {
            for g in 0..4 {
                *acc += i32::from(x[o][g]) * i32::from(w[o * 4 + g] as i8);
            }
        }
        acc
    }
}
