//! Instruction sets for pixel loops.
//!
//! Most loops here are plain Rust, compiled once for each instruction set by [`per_isa`]. What the compiler does not
//! find by itself is a method of [`Lanes`].

#[cfg(target_arch = "x86_64")]
mod avx2_table;

use crate::Isa;

/// Pixels that are taken apart at once.
pub(super) const GROUP: usize = 64;

/// What the loops need beyond plain Rust. Values other than [`Portable`] prove the instruction set.
///
/// The methods are `inline(always)` without a target feature of their own, so that they become part of the function
/// that [`per_isa`] compiles.
pub(super) trait Lanes: Copy {
    /// Whether [`Lanes::look_up`] is fast enough to take pixels apart for it.
    const FAST_TABLES: bool = false;

    /// Takes 64 pixels of three channels apart.
    #[inline(always)]
    fn split(self, pixels: &[u8; 3 * GROUP], [r, g, b]: [&mut [u8; GROUP]; 3]) {
        for (i, &[x, y, z]) in pixels.as_chunks::<3>().0.iter().enumerate() {
            (r[i], g[i], b[i]) = (x, y, z);
        }
    }

    /// Puts 64 pixels together.
    #[inline(always)]
    fn merge(self, [r, g, b]: [&[u8; GROUP]; 3], pixels: &mut [u8; 3 * GROUP]) {
        for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = [r[i], g[i], b[i]];
        }
    }

    /// Replaces each value by its entry.
    #[inline(always)]
    fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
        for v in values {
            *v = table[usize::from(*v)];
        }
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Lanes for Portable {}

/// The instruction sets that loops are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VBMI; without VBMI the AVX2 loops run.
    #[cfg(target_arch = "x86_64")]
    Vbmi,
}

impl Level {
    /// The level for an instruction set.
    ///
    /// # Panics
    /// When the processor lacks it.
    pub(super) fn of(isa: Isa) -> Self {
        assert!(isa.is_available(), "this processor has no {isa}");
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if is_x86_feature_detected!("avx512vbmi") => Self::Vbmi,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx2 => Self::Avx2,
            _ => Self::Portable,
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::avx2_table;
    use super::{GROUP, Lanes};
    use core::arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_mask_permutexvar_epi8,
        _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8,
        _mm512_storeu_si512,
    };

    /// Proof of AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(in crate::image) struct Avx2(());

    impl Avx2 {
        /// # Safety
        /// The processor has AVX2 and FMA.
        #[inline(always)]
        pub(in crate::image) unsafe fn new() -> Self {
            Self(())
        }
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
            // SAFETY: `self` proves AVX2.
            unsafe { avx2_table::look_up(table, values) }
        }
    }

    /// Proof of AVX-512 F, BW, DQ, VL and VBMI.
    #[derive(Clone, Copy)]
    pub(in crate::image) struct Vbmi(());

    /// For each channel the place of each pixel's value; places from 128 on lie in the third register, whose mask
    /// follows. Both shuffles look at the low bits only, so one index serves both.
    const SPLIT: [([u8; GROUP], u64); 3] = {
        let mut all = [([0; GROUP], 0); 3];
        let mut i = 0;
        while i < 3 * GROUP {
            all[i % 3].0[i / 3] = i as u8;
            all[i % 3].1 |= ((i >= 128) as u64) << (i / 3);
            i += 1;
        }
        all
    };

    /// For each register of pixels the value's pixel, from 64 on that of green; the mask is of blue.
    const MERGE: [([u8; GROUP], u64); 3] = {
        let mut all = [([0; GROUP], 0); 3];
        let mut i = 0;
        while i < 3 * GROUP {
            all[i / GROUP].0[i % GROUP] = (i / 3 + if i % 3 == 1 { 64 } else { 0 }) as u8;
            all[i / GROUP].1 |= ((i % 3 == 2) as u64) << (i % GROUP);
            i += 1;
        }
        all
    };

    #[expect(clippy::unused_self, reason = "`self` is the proof of the instruction set")]
    impl Vbmi {
        /// # Safety
        /// The processor has AVX-512 F, BW, DQ, VL and VBMI.
        #[inline(always)]
        pub(in crate::image) unsafe fn new() -> Self {
            Self(())
        }

        #[inline(always)]
        fn load(self, bytes: &[u8; GROUP]) -> __m512i {
            // SAFETY: `self` proves the instruction set; the array holds 64 bytes; no alignment is needed.
            unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
        }

        #[inline(always)]
        fn store(self, v: __m512i, bytes: &mut [u8; GROUP]) {
            // SAFETY: as for `load`.
            unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), v) }
        }

        /// Bytes of the first two registers, and of the third where the mask says so.
        #[inline(always)]
        fn pick(self, (places, third): &([u8; GROUP], u64), [a, b, c]: [__m512i; 3]) -> __m512i {
            let places = self.load(places);
            // SAFETY: `self` proves the instruction set.
            unsafe { _mm512_mask_permutexvar_epi8(_mm512_permutex2var_epi8(a, places, b), *third, places, c) }
        }
    }

    impl Lanes for Vbmi {
        const FAST_TABLES: bool = true;

        #[inline(always)]
        fn split(self, pixels: &[u8; 3 * GROUP], planes: [&mut [u8; GROUP]; 3]) {
            let parts = pixels.as_chunks::<GROUP>().0;
            let registers = [self.load(&parts[0]), self.load(&parts[1]), self.load(&parts[2])];
            for (plane, places) in planes.into_iter().zip(&SPLIT) {
                self.store(self.pick(places, registers), plane);
            }
        }

        #[inline(always)]
        fn merge(self, planes: [&[u8; GROUP]; 3], pixels: &mut [u8; 3 * GROUP]) {
            let [r, g, b] = planes;
            let registers = [self.load(r), self.load(g), self.load(b)];
            for (part, places) in pixels.as_chunks_mut::<GROUP>().0.iter_mut().zip(&MERGE) {
                self.store(self.pick(places, registers), part);
            }
        }

        #[inline(always)]
        fn look_up(self, table: &[u8; 256], values: &mut [u8]) {
            let quarters = table.as_chunks::<GROUP>().0;
            let t = [
                self.load(&quarters[0]),
                self.load(&quarters[1]),
                self.load(&quarters[2]),
                self.load(&quarters[3]),
            ];
            // SAFETY: `self` proves the instruction set.
            let entry = |v: __m512i| unsafe {
                let (low, high) =
                    (_mm512_permutex2var_epi8(t[0], v, t[1]), _mm512_permutex2var_epi8(t[2], v, t[3]));
                _mm512_mask_blend_epi8(_mm512_movepi8_mask(v), low, high)
            };
            let (groups, rest) = values.as_chunks_mut::<GROUP>();
            for group in groups {
                self.store(entry(self.load(group)), group);
            }
            let mask = (1u64 << rest.len()) - 1;
            // SAFETY: `self` proves the instruction set; only bytes of `rest`, fewer than 64, are read and written.
            unsafe {
                let v = _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast());
                _mm512_mask_storeu_epi8(rest.as_mut_ptr().cast(), mask, entry(v));
            }
        }
    }
}

/// Defines functions that run `body(lanes, arguments)`, compiled for each instruction set.
macro_rules! per_isa {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(isa: $crate::Isa, $($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma")]
            fn vbmi($($arg: $type),*) $(-> $out)? {
                // SAFETY: this function is compiled for these features, so its caller has them.
                $body(unsafe { $crate::image::lanes::x86::Vbmi::new() }, $($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                // SAFETY: as above.
                $body(unsafe { $crate::image::lanes::x86::Avx2::new() }, $($arg),*)
            }
            match $crate::image::lanes::Level::of(isa) {
                // SAFETY: a level is one that the processor has.
                #[cfg(target_arch = "x86_64")]
                $crate::image::lanes::Level::Vbmi => unsafe { vbmi($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::image::lanes::Level::Avx2 => unsafe { avx2($($arg),*) },
                $crate::image::lanes::Level::Portable => $body($crate::image::lanes::Portable, $($arg),*),
            }
        }
    )*};
}
pub(super) use per_isa;

/// A float cut to 0..=255, without its fraction; not-a-number is 0.
#[inline(always)]
pub(super) fn to_byte(v: f32) -> u8 {
    let v = if v > 0.0 { v } else { 0.0 };
    let v = if v < 255.0 { v } else { 255.0 };
    // SAFETY: the comparisons leave a number of 0..=255; not-a-number fails the first.
    unsafe { v.to_int_unchecked::<i32>() as u8 }
}
