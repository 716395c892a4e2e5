//! What the machine can do at best, to set measurements against.

use std::time::Instant;

use crate::context::Context;
use crate::layout::LANES;
use crate::simd::{Kernel, Simd, dispatch};

/// The fused multiply-add peak of all threads together, in GFLOP/s: independent chains in registers, no memory.
///
/// Takes about a tenth of a second.
pub fn fma_peak(ctx: &Context) -> f64 {
    const ROUNDS: usize = 200_000;
    const CHAINS: usize = 14;
    struct Peak;
    impl Kernel for Peak {
        type Output = f32;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f32 {
            let (a, b) = (s.splat(std::hint::black_box(0.999)), s.splat(std::hint::black_box(0.001)));
            if S::ROWS_1 >= 14 {
                chains::<S, CHAINS>(s, a, b)
            } else {
                chains::<S, { CHAINS / 2 - 1 }>(s, a, b)
            }
        }
    }
    #[inline(always)]
    fn chains<S: Simd, const N: usize>(s: S, a: S::V, b: S::V) -> f32 {
        let mut acc = [s.zero(); N];
        for (i, acc) in acc.iter_mut().enumerate() {
            // Different values, or the compiler computes one chain for all.
            *acc = s.splat(i as f32);
        }
        for _ in 0..ROUNDS * CHAINS / N {
            for acc in &mut acc {
                *acc = s.mul_add(*acc, a, b);
            }
        }
        acc.iter().map(|v| s.to_array(*v)[0]).sum()
    }
    let threads = ctx.threads();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        ctx.run(threads, |_, _| {
            std::hint::black_box(dispatch(ctx, Peak));
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    (2 * ROUNDS * CHAINS * LANES * threads) as f64 / best * 1e-9
}
