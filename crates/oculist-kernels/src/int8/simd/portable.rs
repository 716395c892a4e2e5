//! Plain Rust, the reference for the other paths.

use super::{IntSimd, Line};

/// The portable path; it needs no proof.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn map(a: [f32; 16], b: [f32; 16], f: impl Fn(f32, f32) -> f32) -> [f32; 16] {
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
    fn splat_i32(self, x: i32) -> [i32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn round(self, x: [f32; 16]) -> [f32; 16] {
        x.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn add(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        map(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn mul_add_exact(self, a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    unsafe fn max_u8(self, y: *mut u8, x: *const u8) {
        for i in 0..16 {
            // SAFETY: the caller vouches for sixteen bytes at both places.
            unsafe { *y.add(i) = (*y.add(i)).max(*x.add(i)) };
        }
    }
}
