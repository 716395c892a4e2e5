//! Which instruction set the kernels use, as a value.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// The last instruction set that [`Isa::detect`] names.
static LIMIT: AtomicU8 = AtomicU8::new(Isa::Avx512 as u8);

/// An instruction set with a path of its own in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain Rust, on every processor.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// The fastest instruction set of this processor, up to [`limit`](Self::limit).
    pub fn detect() -> Self {
        let last = LIMIT.load(Ordering::Relaxed);
        let may = |isa: Self| isa as u8 <= last && isa.is_available();
        if may(Self::Avx512) {
            Self::Avx512
        } else if may(Self::Avx2) {
            Self::Avx2
        } else {
            Self::Portable
        }
    }

    /// Lets [`detect`](Self::detect) name nothing beyond `last` from now on, in the whole process: for benchmarks that stand
    /// for another processor. What is given an instruction set keeps to that.
    pub fn limit(last: Self) {
        LIMIT.store(last as u8, Ordering::Relaxed);
    }

    /// All instruction sets of this processor, the portable path first; under Miri the portable path alone, since Miri
    /// does not interpret the vendors' intrinsics.
    pub fn available() -> Vec<Self> {
        [Self::Portable, Self::Avx2, Self::Avx512].into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// Whether this processor (and its operating system) has the instruction set.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(miri)]
            Self::Avx2 | Self::Avx512 => false,
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(any(target_arch = "x86_64", miri)))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Name for reports: `portable`, `avx2`, `avx512`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
