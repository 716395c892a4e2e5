//! From accumulators to results.

use super::{IntBias, IntConv, IntFinish, IntTarget, IntThen};
use crate::activation::Activation;
use crate::context::SendPtr;
use crate::int8::Quant;
use crate::int8::elementwise::{Sum, divide};
use crate::int8::simd::IntSimd;
use crate::layout::LANES;

/// The constants of the last stage of a convolution.
#[derive(Debug, Clone)]
pub(super) struct Finish {
    /// Factor of each output channel, `[c_out / 16][16]`.
    multiplier: Vec<[f32; LANES]>,
    /// Added after scaling, or nothing.
    shift: Option<Vec<[f32; LANES]>>,
    mode: Mode,
    /// No accumulator becomes so large that it leaves 31 bits when it is scaled.
    moderate: bool,
}

/// A range of levels around a zero point: `low..=high` are relative to it.
#[derive(Debug, Clone, Copy)]
struct Levels {
    zero_point: i32,
    low: f32,
    high: f32,
}

impl Levels {
    fn new(zero_point: u8, low: u8, high: u8) -> Self {
        let zero = f32::from(zero_point);
        Self { zero_point: i32::from(zero_point), low: f32::from(low) - zero, high: f32::from(high) - zero }
    }

    /// Zero point, least and greatest byte.
    fn bytes(self) -> (u8, u8, u8) {
        let zero = self.zero_point as f32;
        (self.zero_point as u8, (self.low + zero) as u8, (self.high + zero) as u8)
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    /// The multiplier holds the result's scale.
    Plain(Levels),
    /// The multiplier gives real values.
    Activated { activation: Activation, scale: f32, levels: Levels },
    /// As `Plain`, then a function of the byte, quantised again.
    Applied { levels: Levels, x_scale: f32, activation: Activation, scale: f32, y: Levels },
    /// As `Plain`, then the sum with the addend, within two bytes.
    Residual { levels: Levels, sum: Sum, own_first: bool, low: f32, high: f32 },
    /// The multiplier gives real values.
    Real(Activation),
}

/// Raw places of the result and of the tensor added.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) u8: SendPtr<u8>,
    pub(super) f32: SendPtr<f32>,
    pub(super) residual: SendPtr<u8>,
}

impl Finish {
    /// Checks and prepares the constants; the error is a reason in words.
    pub(super) fn new(problem: &IntConv) -> Result<Self, String> {
        let conv = &problem.conv;
        let blocks = conv.y_stride() / LANES;
        let x_scale = problem.x.scale;
        let (mode, divisor) = match problem.finish {
            IntFinish::F32 { activation } => {
                if !activation.keeps_zero() {
                    return Err(format!("{activation:?} does not keep zero"));
                }
                (Mode::Real(activation), None)
            }
            IntFinish::U8 { y, activation, low, high, then } => {
                let positive = |q: Quant| q.scale.is_finite() && q.scale > 0.0;
                if !positive(y) || low > high {
                    return Err(format!(
                        "expected a positive scale and low <= high, found {y:?}, {low}..={high}"
                    ));
                }
                let levels = Levels::new(y.zero_point, low, high);
                match (activation, then) {
                    (Activation::Identity, None) => (Mode::Plain(levels), Some(y.scale)),
                    (activation, None) => (Mode::Activated { activation, scale: y.scale, levels }, None),
                    (Activation::Identity, Some(IntThen::Apply { activation, y: end })) => {
                        if !positive(end) {
                            return Err(format!("expected a positive scale, found {end:?}"));
                        }
                        let end_levels = Levels::new(end.zero_point, 0, 255);
                        let (x_scale, scale) = (y.scale, end.scale);
                        (Mode::Applied { levels, x_scale, activation, scale, y: end_levels }, Some(y.scale))
                    }
                    (Activation::Identity, Some(IntThen::Add(r))) => {
                        if !positive(r.addend) || !positive(r.sum) || r.low > r.high {
                            return Err(format!("expected positive scales and low <= high, found {r:?}"));
                        }
                        let (a, b) = if r.own_first { (y, r.addend) } else { (r.addend, y) };
                        let mode = Mode::Residual {
                            levels,
                            sum: Sum::new(a, b, r.sum),
                            own_first: r.own_first,
                            low: f32::from(r.low),
                            high: f32::from(r.high),
                        };
                        (mode, Some(y.scale))
                    }
                    (activation, Some(_)) => {
                        return Err(format!("{activation:?} and something after it is not supported"));
                    }
                }
            }
        };
        let mut multiplier = vec![[0.0; LANES]; blocks];
        for o in 0..conv.c_out {
            let w_scale = problem.weight_scales[if problem.weight_scales.len() == 1 { 0 } else { o }];
            let real = x_scale * w_scale;
            multiplier[o / LANES][o % LANES] = divisor.map_or(real, |scale| real / scale);
        }
        let shift = match problem.bias {
            IntBias::Real(bias) => {
                if bias.len() != conv.c_out {
                    return Err(format!("expected {} biases, found {}", conv.c_out, bias.len()));
                }
                let mut shift = vec![[0.0; LANES]; blocks];
                for (o, b) in bias.iter().enumerate() {
                    shift[o / LANES][o % LANES] = divisor.map_or(*b, |scale| b / scale);
                }
                Some(shift)
            }
            _ => None,
        };
        let mut finish = Self { multiplier, shift, mode, moderate: false };
        finish.moderate = finish.is_moderate(problem);
        Ok(finish)
    }

    /// Whether every scaled accumulator lies within 31 bits, so that it can be rounded before it is clamped.
    fn is_moderate(&self, problem: &IntConv) -> bool {
        const LIMIT: f64 = (1u32 << 30) as f64;
        if let Mode::Residual { sum, .. } = self.mode
            && sum.bound() >= LIMIT
        {
            return false;
        }
        let per_output = problem.weights.len() / problem.conv.c_out;
        problem.weights.chunks_exact(per_output.max(1)).enumerate().all(|(o, weights)| {
            let sum: f64 = weights.iter().map(|&w| 2.0 * 255.0 * f64::from(w).abs()).sum();
            let bias = match problem.bias {
                IntBias::Steps(steps) => f64::from(steps[o]).abs(),
                _ => 0.0,
            };
            let at = |values: &[[f32; LANES]]| f64::from(values[o / LANES][o % LANES]).abs();
            let shift = self.shift.as_deref().map_or(0.0, at);
            (sum + bias) * at(&self.multiplier) + shift < LIMIT
        })
    }

    /// Checks the slices of a run.
    pub(super) fn target(&self, y: IntTarget, len: usize, residual: Option<&[u8]>) -> Target {
        let mut target = Target {
            u8: SendPtr(std::ptr::null_mut()),
            f32: SendPtr(std::ptr::null_mut()),
            residual: SendPtr(std::ptr::null_mut()),
        };
        match (y, self.mode) {
            (IntTarget::F32(y), Mode::Real(_)) => target.f32 = SendPtr(y[..len].as_mut_ptr()),
            (IntTarget::U8(y), mode) if !matches!(mode, Mode::Real(_)) => {
                target.u8 = SendPtr(y[..len].as_mut_ptr());
            }
            _ => panic!("the target has another element type than the plan"),
        }
        match (residual, self.mode) {
            // The residual is only read.
            (Some(r), Mode::Residual { .. }) => target.residual = SendPtr(r.as_ptr().cast_mut()),
            (None, Mode::Residual { .. }) | (Some(_), _) => panic!("residual given and planned differ"),
            (None, _) => {}
        }
        target
    }

    /// Finishes rows of accumulators of the blocks from `block` on and stores them: the first row at element `at` of
    /// the target, the next ones `stride` elements apart.
    ///
    /// # Safety
    /// The rows lie inside the target and are written by no other thread.
    #[inline(always)]
    pub(super) unsafe fn store<S: IntSimd, const NB: usize>(
        &self,
        s: S,
        sums: &[[[f32; LANES]; NB]],
        block: usize,
        target: &Target,
        at: usize,
        stride: usize,
    ) {
        // One loop for each mode, so that the decision is made once.
        macro_rules! rows {
            ($t:ident, $at:ident => $body:expr) => {
                for b in 0..NB {
                    let multiplier = s.block(&self.multiplier[block + b]);
                    let shift = self.shift.as_ref().map(|shift| &shift[block + b]);
                    for (r, row) in sums.iter().enumerate() {
                        let $at = at + r * stride + b * LANES;
                        let mut $t = s.mul(s.block(&row[b]), multiplier);
                        if let Some(shift) = shift {
                            $t = s.add($t, s.block(shift));
                        }
                        $body
                    }
                }
            };
        }
        // Four vectors at a time become 64 bytes: packing saturates, which is most of the clamping. Where a tile has
        // four or two blocks, they lie side by side in the target.
        macro_rules! packed {
            ($t:ident, $at:ident, $levels:expr => $body:expr) => {{
                let (zero_point, low, high) = $levels;
                let (y, last) = (target.u8.get(), sums.len() - 1);
                let (columns, rows) = const {
                    match NB {
                        4 => (4, 1),
                        2 => (2, 2),
                        _ => (1, 4),
                    }
                };
                for b in (0..NB).step_by(columns) {
                    let mut multiplier = [s.splat(0.0); 4];
                    let mut shift = [s.splat(0.0); 4];
                    for i in 0..4 {
                        multiplier[i] = s.block(&self.multiplier[block + b + i % columns]);
                        if let Some(values) = &self.shift {
                            shift[i] = s.block(&values[block + b + i % columns]);
                        }
                    }
                    let mut first = 0;
                    while first <= last {
                        let mut x = [s.splat(0.0); 4];
                        let mut to = [y; 4];
                        for i in 0..4 {
                            // What is left of the last rows repeats the last one.
                            let r = (first + i / columns).min(last);
                            let $at = at + r * stride + (b + i % columns) * LANES;
                            let mut $t = s.mul(s.block(&sums[r][b + i % columns]), multiplier[i]);
                            if self.shift.is_some() {
                                $t = s.add($t, shift[i]);
                            }
                            x[i] = $body;
                            to[i] = y.add($at);
                        }
                        let q = s.quantize(x, zero_point, low, high);
                        match columns {
                            4 => s.store_whole(q, to[0]),
                            2 => s.store_halves(q, [to[0], to[2]]),
                            _ => s.store_quarters(q, to),
                        }
                        first += rows;
                    }
                }
            }};
        }
        // SAFETY: the caller vouches for the rows.
        unsafe {
            match self.mode {
                Mode::Plain(levels) if self.moderate => {
                    packed!(t, _at, levels.bytes() => t);
                }
                Mode::Residual { levels, sum, own_first, low, high } if self.moderate => {
                    packed!(t, at, (0, low as u8, high as u8) => {
                        let own = s.add(s.round(clamp(s, t, levels)), s.splat(levels.zero_point as f32));
                        let addend = s.load_u8(target.residual.get().add(at));
                        if own_first { sum.apply(s, own, addend) } else { sum.apply(s, addend, own) }
                    });
                }
                Mode::Plain(levels) => {
                    rows!(t, at => store_levels(s, t, levels, target.u8.get().add(at)));
                }
                Mode::Activated { activation, scale, levels } => {
                    rows!(t, at => {
                        let y = divide(s, activate(s, activation, t), scale, levels.low, levels.high);
                        s.store_u8(y, s.splat_i32(levels.zero_point), target.u8.get().add(at));
                    });
                }
                Mode::Applied { levels, x_scale, activation, scale, y } => {
                    rows!(t, at => {
                        let x = s.mul(s.round(clamp(s, t, levels)), s.splat(x_scale));
                        let t = divide(s, activate(s, activation, x), scale, y.low, y.high);
                        s.store_u8(t, s.splat_i32(y.zero_point), target.u8.get().add(at));
                    });
                }
                Mode::Residual { levels, sum, own_first, low, high } => {
                    rows!(t, at => {
                        let own = s.add(s.round(clamp(s, t, levels)), s.splat(levels.zero_point as f32));
                        let addend = s.load_u8(target.residual.get().add(at));
                        let total =
                            if own_first { sum.apply(s, own, addend) } else { sum.apply(s, addend, own) };
                        let total = s.min(s.max(total, s.splat(low)), s.splat(high));
                        s.store_u8(total, s.splat_i32(0), target.u8.get().add(at));
                    });
                }
                Mode::Real(activation) => {
                    rows!(t, at => s.store_f32(activate(s, activation, t), target.f32.get().add(at)));
                }
            }
        }
    }
}

#[inline(always)]
fn clamp<S: IntSimd>(s: S, x: S::F, levels: Levels) -> S::F {
    s.min(s.max(x, s.splat(levels.low)), s.splat(levels.high))
}

/// Clamping before rounding is the same as after it, because the bounds are integers.
///
/// # Safety
/// Sixteen bytes are writable at `p`.
#[inline(always)]
unsafe fn store_levels<S: IntSimd>(s: S, x: S::F, levels: Levels, p: *mut u8) {
    // SAFETY: the caller vouches for the bytes; the clamped sums lie in 0..=255.
    unsafe { s.store_u8(clamp(s, x, levels), s.splat_i32(levels.zero_point), p) };
}

/// `f(x)`, not contracted.
#[inline(always)]
fn activate<S: IntSimd>(s: S, activation: Activation, x: S::F) -> S::F {
    let unit = |z: S::F| s.min(s.max(z, s.splat(0.0)), s.splat(1.0));
    match activation {
        Activation::Identity => x,
        Activation::Relu => s.max(x, s.splat(0.0)),
        Activation::Clip { min, max } => s.min(s.max(x, s.splat(min)), s.splat(max)),
        Activation::HardSwish => s.mul(x, unit(s.add(s.mul(x, s.splat(1.0 / 6.0)), s.splat(0.5)))),
        Activation::HardSigmoid { alpha, beta } => unit(s.add(s.mul(x, s.splat(alpha)), s.splat(beta))),
        Activation::Sigmoid => {
            let lanes = s.to_array(x).map(|z| Activation::Sigmoid.apply(z));
            s.block(&lanes)
        }
    }
}
