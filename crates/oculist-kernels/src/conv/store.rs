//! The epilogue at the moment a result leaves the registers.

use super::{Conv2d, Epilogue};
use crate::activation::{Activation, tail_mask};
use crate::layout::LANES;
use crate::simd::Simd;

/// Where and how results are written: `y = f(acc + bias + residual)`, padded lanes 0.
#[derive(Clone, Copy)]
pub(crate) struct Store {
    y: *mut f32,
    bias: Option<*const f32>,
    /// Laid out as `y`; may be `y` itself, to accumulate.
    residual: Option<*const f32>,
    activation: Activation,
    /// The block whose lanes need masking, and the mask; the block number is past the end when none does.
    masked: usize,
    mask: [f32; LANES],
    /// Nothing but the sum is written.
    plain: bool,
    /// The activation is a clamp to `range`, or HardSwish.
    registers: bool,
    range: [f32; 2],
}

// SAFETY: the pointers are read (bias, residual) or written at places that the tasks share out among themselves.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Writes a forward result; the lengths were checked by the plan.
    pub(crate) fn forward(conv: &Conv2d, epilogue: &Epilogue, y: &mut [f32]) -> Self {
        epilogue.assert_fits(conv);
        let padded = conv.c_out < conv.y_stride() && !epilogue.activation.keeps_zero();
        let range = match epilogue.activation {
            Activation::Identity => Some([f32::NEG_INFINITY, f32::INFINITY]),
            Activation::Relu => Some([0.0, f32::INFINITY]),
            Activation::Clip { min, max } => Some([min, max]),
            _ => None,
        };
        Self {
            y: y.as_mut_ptr(),
            bias: epilogue.bias.map(<[f32]>::as_ptr),
            residual: epilogue.residual.map(<[f32]>::as_ptr),
            activation: epilogue.activation,
            masked: if padded { conv.y_stride() / LANES - 1 } else { usize::MAX },
            mask: tail_mask(conv.c_out),
            plain: epilogue.bias.is_none()
                && epilogue.residual.is_none()
                && epilogue.activation == Activation::Identity,
            registers: range.is_some() || epilogue.activation == Activation::HardSwish,
            range: range.unwrap_or_default(),
        }
    }

    /// Writes or adds to a gradient.
    pub(crate) fn gradient(dx: &mut [f32], accumulate: bool) -> Self {
        let y = dx.as_mut_ptr();
        Self {
            y,
            bias: None,
            residual: accumulate.then_some(y.cast_const()),
            activation: Activation::Identity,
            masked: usize::MAX,
            mask: [1.0; LANES],
            plain: !accumulate,
            registers: true,
            range: [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// Where the results go.
    pub(crate) fn destination(&self) -> *const f32 {
        self.y
    }

    /// Whether an untouched destination already holds the result of an empty sum.
    pub(crate) fn empty_sum_is_noop(&self) -> bool {
        self.residual == Some(self.y.cast_const()) && self.bias.is_none()
    }

    /// Finishes a register tile: rows that start at elements `at`, blocks from `block` on.
    ///
    /// # Safety
    /// As [`Store::put`] for the first `valid` rows and all `NB` blocks.
    #[inline(always)]
    pub(crate) unsafe fn put_tile<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        acc: &[[S::V; NB]; MR],
        at: &[usize; MR],
        valid: usize,
        block: usize,
    ) {
        if self.plain && valid == MR {
            for r in 0..MR {
                for n in 0..NB {
                    // SAFETY: the caller vouches for the place.
                    unsafe { s.store_ptr(self.y.add(at[r] + (block + n) * LANES), acc[r][n]) };
                }
            }
            return;
        }
        if self.registers && block + NB <= self.masked {
            // SAFETY: the caller's promise.
            unsafe { self.put_registers(s, *acc, at, valid, block) };
            return;
        }
        // Through memory, so that the epilogue's code exists once and not for every register.
        let mut spilled = [[[0.0f32; LANES]; NB]; MR];
        for r in 0..MR {
            for n in 0..NB {
                s.store(acc[r][n], &mut spilled[r][n]);
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            match self.activation {
                Activation::Identity => {
                    self.put_spilled(s, Activation::Identity, &spilled, at, valid, block);
                }
                Activation::Relu => self.put_spilled(s, Activation::Relu, &spilled, at, valid, block),
                f => self.put_spilled(s, f, &spilled, at, valid, block),
            }
        }
    }

    /// The epilogue without a way through memory, for activations of few instructions: the sums of few input channels
    /// take hardly longer than it.
    ///
    /// # Safety
    /// As [`Store::put_tile`].
    #[inline(always)]
    unsafe fn put_registers<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        mut z: [[S::V; NB]; MR],
        at: &[usize; MR],
        valid: usize,
        block: usize,
    ) {
        // SAFETY: the bias has a value for every channel, the residual for every element of `y`.
        unsafe {
            if let Some(values) = self.bias {
                for n in 0..NB {
                    let bias = s.load_ptr(values.add((block + n) * LANES));
                    for r in 0..MR {
                        z[r][n] = s.add(z[r][n], bias);
                    }
                }
            }
            if let Some(residual) = self.residual {
                for r in 0..MR {
                    if r < valid {
                        for n in 0..NB {
                            let addend = s.load_ptr(residual.add(at[r] + (block + n) * LANES));
                            z[r][n] = s.add(z[r][n], addend);
                        }
                    }
                }
            }
        }
        if self.activation == Activation::HardSwish {
            for r in 0..MR {
                for n in 0..NB {
                    z[r][n] = Activation::HardSwish.apply_simd(s, z[r][n]);
                }
            }
        } else {
            let (low, high) = (s.splat(self.range[0]), s.splat(self.range[1]));
            for r in 0..MR {
                for n in 0..NB {
                    // The order of the operands keeps a NaN, as in `Activation::apply_simd`.
                    z[r][n] = s.min(high, s.max(low, z[r][n]));
                }
            }
        }
        for r in 0..MR {
            if r < valid {
                for n in 0..NB {
                    // SAFETY: the caller vouches for the place.
                    unsafe { s.store_ptr(self.y.add(at[r] + (block + n) * LANES), z[r][n]) };
                }
            }
        }
    }

    /// The epilogue of a register tile that lies in memory; a known `f` leaves no decision in the loops.
    ///
    /// # Safety
    /// As [`Store::put_tile`].
    #[inline(always)]
    unsafe fn put_spilled<S: Simd, const MR: usize, const NB: usize>(
        &self,
        s: S,
        f: Activation,
        spilled: &[[[f32; LANES]; NB]; MR],
        at: &[usize; MR],
        valid: usize,
        block: usize,
    ) {
        for n in 0..NB {
            let offset = (block + n) * LANES;
            // SAFETY: the bias has a value for every channel, the residual for every element of `y`.
            unsafe {
                // No closure: it would be compiled without the instruction set.
                let mut bias = s.zero();
                if let Some(values) = self.bias {
                    bias = s.load_ptr(values.add(offset));
                }
                let masked = block + n == self.masked;
                for r in 0..valid {
                    let mut z = s.add(s.load(&spilled[r][n]), bias);
                    if let Some(residual) = self.residual {
                        z = s.add(z, s.load_ptr(residual.add(at[r] + offset)));
                    }
                    if f != Activation::Identity {
                        z = f.apply_simd(s, z);
                    }
                    if masked {
                        z = s.mul(z, s.load(&self.mask));
                    }
                    s.store_ptr(self.y.add(at[r] + offset), z);
                }
            }
        }
    }

    /// Finishes one block of neighbouring pixels that start at element `at` and lie `step` apart.
    ///
    /// # Safety
    /// As [`Store::put`] for the first `valid` pixels.
    #[expect(clippy::match_same_arms, reason = "each arm is compiled for its one activation")]
    #[inline(always)]
    pub(crate) unsafe fn put_run<S: Simd, const N: usize>(
        &self,
        s: S,
        mut acc: [S::V; N],
        at: usize,
        step: usize,
        valid: usize,
        block: usize,
    ) {
        let at = at + block * LANES;
        // SAFETY: the bias has a value for every channel, the residual for every element of `y`.
        unsafe {
            if let Some(bias) = self.bias {
                let bias = s.load_ptr(bias.add(block * LANES));
                for r in 0..N {
                    acc[r] = s.add(acc[r], bias);
                }
            }
            if let Some(residual) = self.residual {
                for r in 0..N {
                    if r < valid {
                        acc[r] = s.add(acc[r], s.load_ptr(residual.add(at + r * step)));
                    }
                }
            }
        }
        // One decision for all pixels; loops and no closures, which would be compiled without the instruction set.
        match self.activation {
            Activation::Identity => {}
            f @ Activation::Relu => apply(s, f, &mut acc),
            f @ Activation::Clip { .. } => apply(s, f, &mut acc),
            f @ Activation::HardSwish => apply(s, f, &mut acc),
            f => apply(s, f, &mut acc),
        }
        if block == self.masked {
            let mask = s.load(&self.mask);
            for r in 0..N {
                acc[r] = s.mul(acc[r], mask);
            }
        }
        for r in 0..N {
            if r < valid {
                // SAFETY: the caller vouches for the place.
                unsafe { s.store_ptr(self.y.add(at + r * step), acc[r]) };
            }
        }
    }

    /// Finishes a block that goes to elements `at + block * 16 ..`.
    ///
    /// # Safety
    /// The elements lie inside `y`, and no other task touches them meanwhile.
    #[inline(always)]
    pub(crate) unsafe fn put<S: Simd>(&self, s: S, acc: S::V, at: usize, block: usize) {
        let at = at + block * LANES;
        let mut z = acc;
        // SAFETY: the bias has a value for every channel, the residual for every element of `y`.
        unsafe {
            if let Some(bias) = self.bias {
                z = s.add(z, s.load_ptr(bias.add(block * LANES)));
            }
            if let Some(residual) = self.residual {
                z = s.add(z, s.load_ptr(residual.add(at)));
            }
        }
        if self.activation != Activation::Identity {
            z = self.activation.apply_simd(s, z);
        }
        if block == self.masked {
            z = s.mul(z, s.load(&self.mask));
        }
        // SAFETY: the caller vouches for the place.
        unsafe { s.store_ptr(self.y.add(at), z) };
    }
}

/// The activation of every pixel; a known `f` leaves no decision in the loop.
#[inline(always)]
fn apply<S: Simd, const N: usize>(s: S, f: Activation, acc: &mut [S::V; N]) {
    for r in 0..N {
        acc[r] = f.apply_simd(s, acc[r]);
    }
}
