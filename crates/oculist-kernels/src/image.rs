//! Kernels for 8-bit images in HWC order: 1 (grey), 3 (RGB) or 4 (RGBA) interleaved channels.
//!
//! They run on the calling thread: a loader works on many images at once. Each takes the instruction set as an
//! argument; one that the processor lacks is replaced by the portable path, which gives the same bits, as do all paths.

pub mod field;
pub mod flip;
pub mod warp;

/// Defines a function whose one body is compiled for every instruction set, with the choice as its first argument.
///
/// The compiler vectorises the body as far as each allows. It never contracts a product and a sum, so that all give
/// the same bits.
macro_rules! per_isa {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name(isa: $crate::Isa, $($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) {
                body($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($arg: $ty),*) {
                body($($arg),*);
            }
            match isa {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the instruction set, as was just asked.
                $crate::Isa::Avx512 if isa.is_available() => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::Isa::Avx2 if isa.is_available() => unsafe { avx2($($arg),*) },
                _ => body($($arg),*),
            }
        }
    };
}
use per_isa;
