//! Integer convolution with fused requantisation, activation and residual addition.

mod dense;
mod depthwise;
mod finish;
mod grouped;
mod pack;
mod pairs;
mod tile;
mod winograd;

use crate::activation::Activation;
use crate::context::{Context, SendPtr};
use crate::conv::Conv2d;
use crate::int8::Quant;
use crate::int8::simd::{IntPath, Line, has_byte_pairs};
use crate::layout::product;
use crate::{KernelError, channel_stride};
use finish::{Finish, Target};
use pairs::Pairs;

/// Channel stride of a u8 tensor: 4 for up to 4 channels of an image, else as for floats.
pub const fn int_channel_stride(channels: usize, image: bool) -> usize {
    if image && channels <= 4 { 4 } else { channel_stride(channels) }
}

/// The bias of an integer convolution.
#[derive(Debug, Clone, Copy)]
pub enum IntBias<'a> {
    /// None.
    None,
    /// In steps of `x.scale * weight_scale[o]`, added to the accumulator.
    Steps(&'a [i32]),
    /// Real numbers, added after scaling.
    Real(&'a [f32]),
}

/// The addition of another tensor to a convolution's quantised result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntResidual {
    /// Scale and zero point of the tensor that is added.
    pub addend: Quant,
    /// Scale and zero point of the sum.
    pub sum: Quant,
    /// Least byte of the sum: its zero point for a fused ReLU.
    pub low: u8,
    /// Greatest byte of the sum.
    pub high: u8,
    /// Whether the convolution's result is the first operand, which decides the order of rounding.
    pub own_first: bool,
}

/// What follows a convolution's quantised result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntThen {
    /// Another tensor is added.
    Add(IntResidual),
    /// A function, quantised again.
    Apply {
        /// The function of the dequantised result.
        activation: Activation,
        /// Scale and zero point of its result.
        y: Quant,
    },
}

/// What becomes of the accumulators.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IntFinish {
    /// `clamp(quantize(f(v)), low, high)`, and then perhaps an addition.
    U8 {
        /// Scale and zero point of the result.
        y: Quant,
        /// Applied to the real value before quantisation.
        activation: Activation,
        /// Least byte: the zero point for a fused ReLU.
        low: u8,
        /// Greatest byte.
        high: u8,
        /// What is done with the quantised result, as if that had been stored and read again.
        then: Option<IntThen>,
    },
    /// `f(v)` as floats; `f` must keep zero.
    F32 {
        /// Applied to the real value.
        activation: Activation,
    },
}

/// An integer convolution in full.
#[derive(Debug, Clone, Copy)]
pub struct IntConv<'a> {
    /// Geometry; `batch` is the largest number of images, `x_stride` any multiple of 4 from `c_in` on.
    pub conv: Conv2d,
    /// Scale and zero point of the input.
    pub x: Quant,
    /// `[c_out, c_in / groups, k_h, k_w]`.
    pub weights: &'a [i8],
    /// One scale, or one per output channel.
    pub weight_scales: &'a [f32],
    /// The bias.
    pub bias: IntBias<'a>,
    /// What becomes of the accumulators.
    pub finish: IntFinish,
}

/// Where a convolution writes.
#[derive(Debug)]
pub enum IntTarget<'a> {
    /// `[n, out_height, out_width, channel_stride(c_out)]` bytes.
    U8(&'a mut [u8]),
    /// As many floats.
    F32(&'a mut [f32]),
}

/// How an integer convolution is computed; all give the same result, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IntAlgorithm {
    /// Sums of products, tap by tap; any geometry.
    Direct,
    /// Winograd's F(4x4, 3x3) in 16-bit integers, for 3x3 kernels of stride 1 with one group.
    Winograd,
}

/// A planned integer convolution: packed weights and constants.
#[derive(Debug, Clone)]
pub struct IntConvPlan {
    conv: Conv2d,
    /// What the kernels are compiled for.
    path: IntPath,
    /// What the context had.
    context_path: IntPath,
    kind: Kind,
    x_zero_point: u8,
    finish: Finish,
    scratch_per_worker: usize,
}

#[derive(Debug, Clone)]
enum Kind {
    /// `init`: bias minus `zero_point * sum of weights`, per block of output channels.
    Dense { weights: dense::Weights, init: Vec<[i32; 16]>, shape: dense::Shape },
    /// `init` as for `Dense`; the weights are transformed.
    Winograd { weights: Vec<Line>, init: Vec<[i32; 16]>, shape: winograd::Shape },
    /// Weights as bytes for rows of columns; `init` as for `Dense`.
    DepthwiseColumns { weights: Vec<Line>, init: Vec<[i32; 16]> },
    /// Weights `[block][tap][16]` and biases as floats: small integers are exact in them.
    Depthwise { weights: Vec<[f32; 16]>, bias: Vec<[f32; 16]> },
    /// Weights as given.
    Grouped { weights: Vec<i8>, bias: Vec<i32> },
}

/// Everything one run works on.
struct Job<'a> {
    plan: &'a IntConvPlan,
    images: usize,
    threads: usize,
    x: &'a [u8],
    target: Target,
    /// One buffer of `scratch_per_worker` f32 for each worker.
    scratch: SendPtr<f32>,
}

/// Whether no sum of two neighbouring products leaves 16 bits: always so for weights of seven bits. Neighbours are
/// channels, or rows of a depthwise window.
fn fits_bytes(problem: &IntConv) -> bool {
    let conv = &problem.conv;
    let taps = conv.taps();
    let fits = |a: i8, b: i8| {
        let (a, b) = (i32::from(a), i32::from(b));
        a.max(0) + b.max(0) <= 128 && a.min(0) + b.min(0) >= -128
    };
    if conv.is_depthwise() {
        return problem
            .weights
            .chunks_exact(taps)
            .all(|w| (0..taps).all(|t| fits(w[t], w.get(t + conv.kernel[1]).copied().unwrap_or(0))));
    }
    conv.groups == 1
        && problem.weights.chunks_exact(conv.c_in * taps).all(|weights| {
            let tap = |i: usize, t: usize| weights.get(i * taps + t).copied().unwrap_or(0);
            (0..taps).all(|t| (0..conv.c_in).step_by(2).all(|i| fits(tap(i, t), tap(i + 1, t))))
        })
}

/// Number of tasks for work of about `micros` microseconds: one for what is over before another thread has started;
/// one for each thread while the caches still hold what that thread wrote in the layer before; more, so that a thread
/// that is held up does not hold up the others, for long work.
fn task_count(threads: usize, micros: f64) -> usize {
    if threads == 1 || micros < 2.0 {
        1
    } else if micros < 60.0 * threads as f64 {
        threads
    } else {
        4 * threads
    }
}

/// Checks the geometry and the number of weights: everything else counts on them.
fn check_lengths(problem: &IntConv) -> Result<(), KernelError> {
    let conv = problem.conv;
    let fail = |reason: String| KernelError::Geometry { operation: "integer convolution", reason };
    Conv2d { x_stride: channel_stride(conv.c_in), ..conv }.check()?;
    if !conv.x_stride.is_multiple_of(4) || conv.x_stride < conv.c_in {
        return Err(fail(format!("channel stride {} for {} channels", conv.x_stride, conv.c_in)));
    }
    conv.check_size()?;
    let expected = product(&[conv.c_out, conv.c_in / conv.groups, conv.taps()]);
    if problem.weights.len() != expected {
        return Err(fail(format!("expected {expected} weights, found {}", problem.weights.len())));
    }
    Ok(())
}

impl IntConvPlan {
    /// Checks the geometry, picks an algorithm and packs the weights.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] for an inconsistent geometry, lengths that do not fit it, or scales that are not
    /// positive.
    pub fn new(ctx: &Context, problem: &IntConv) -> Result<Self, KernelError> {
        check_lengths(problem)?;
        let path = IntPath::of(ctx);
        let fast = winograd::is_faster(problem, path) && winograd::is_exact(problem);
        let algorithm = if fast { IntAlgorithm::Winograd } else { IntAlgorithm::Direct };
        Self::with_algorithm(ctx, problem, algorithm)
    }

    /// As [`IntConvPlan::new`] with a chosen algorithm, for tests and measurements.
    ///
    /// # Errors
    /// As [`IntConvPlan::new`], and [`KernelError::Algorithm`] when the algorithm cannot compute the convolution
    /// exactly.
    pub fn with_algorithm(
        ctx: &Context,
        problem: &IntConv,
        algorithm: IntAlgorithm,
    ) -> Result<Self, KernelError> {
        let conv = problem.conv;
        let fail = |reason: String| KernelError::Geometry { operation: "integer convolution", reason };
        check_lengths(problem)?;
        let scales = problem.weight_scales;
        if scales.len() != 1 && scales.len() != conv.c_out {
            return Err(fail(format!("expected 1 or {} weight scales, found {}", conv.c_out, scales.len())));
        }
        if !scales.iter().chain([&problem.x.scale]).all(|s| s.is_finite() && *s > 0.0) {
            return Err(fail("expected positive scales".into()));
        }
        let bias = match problem.bias {
            IntBias::Steps(bias) => bias.to_vec(),
            _ => vec![0; conv.c_out],
        };
        if bias.len() != conv.c_out {
            return Err(fail(format!("expected {} biases, found {}", conv.c_out, bias.len())));
        }
        let finish = Finish::new(problem).map_err(fail)?;
        let context_path = IntPath::of(ctx);
        let bytes = context_path == IntPath::Avx2 && algorithm == IntAlgorithm::Direct;
        let path = if bytes && fits_bytes(problem) { IntPath::Avx2Bytes } else { context_path };
        let kind = if algorithm == IntAlgorithm::Winograd {
            if !winograd::is_exact(problem) {
                let (algorithm, pass) = ("winograd-4x4", "integer forward");
                return Err(KernelError::Algorithm { algorithm, pass, convolution: conv.label() });
            }
            let shape = winograd::Shape::new(&conv, path);
            let weights = pack::winograd(&conv, problem.weights);
            let init = pack::init(&conv, problem.weights, &bias, problem.x.zero_point);
            Kind::Winograd { weights, init, shape }
        } else if conv.groups == 1 {
            let shape = dense::Shape::new(&conv, path);
            let inputs = shape.input_channels(&conv);
            let weights = if has_byte_pairs(path) {
                dense::Weights::Pairs(Pairs::new(&conv, inputs, shape.taps(), problem.weights))
            } else {
                dense::Weights::Lines(pack::dense(&conv, inputs, path, problem.weights))
            };
            let init = pack::init(&conv, problem.weights, &bias, problem.x.zero_point);
            Kind::Dense { weights, init, shape }
        } else if depthwise::columns::supports(&conv, path) {
            let weights = depthwise::columns::pack(&conv, problem.weights);
            let init = pack::init(&conv, problem.weights, &bias, problem.x.zero_point);
            Kind::DepthwiseColumns { weights, init }
        } else if depthwise::is_exact(&conv) {
            let (weights, bias) = pack::depthwise(&conv, problem.weights, &bias, problem.x.zero_point);
            Kind::Depthwise { weights, bias }
        } else {
            Kind::Grouped { weights: problem.weights.to_vec(), bias }
        };
        let scratch_bytes = match &kind {
            Kind::Dense { shape, .. } => shape.scratch_bytes(conv.batch),
            Kind::Winograd { shape, .. } => shape.scratch_bytes(),
            Kind::Depthwise { .. } => depthwise::scratch_bytes(&conv),
            Kind::DepthwiseColumns { .. } => depthwise::columns::scratch_bytes(&conv),
            Kind::Grouped { .. } => 0,
        };
        let scratch_per_worker = scratch_bytes.div_ceil(64) * 16;
        Ok(Self {
            conv,
            path,
            context_path,
            kind,
            x_zero_point: problem.x.zero_point,
            finish,
            scratch_per_worker,
        })
    }

    /// The geometry.
    pub fn conv(&self) -> &Conv2d {
        &self.conv
    }

    /// How it is computed, for reports.
    pub fn algorithm(&self) -> String {
        let kind = match self.kind {
            Kind::Dense { .. } => "direct",
            Kind::Winograd { .. } => "winograd-4x4",
            Kind::DepthwiseColumns { .. } => "depthwise-columns",
            Kind::Depthwise { .. } => "depthwise",
            Kind::Grouped { .. } => "grouped",
        };
        format!("int8 {kind} {}", self.path.name())
    }

    /// Bytes of weights, packed and perhaps transformed.
    pub fn weight_bytes(&self) -> usize {
        match &self.kind {
            Kind::Dense { weights, .. } => weights.bytes(),
            Kind::Winograd { weights, .. } | Kind::DepthwiseColumns { weights, .. } => {
                size_of_val(weights.as_slice())
            }
            Kind::Depthwise { weights, .. } => size_of_val(weights.as_slice()),
            Kind::Grouped { weights, .. } => size_of_val(weights.as_slice()),
        }
    }

    /// f32 of scratch for a run on `threads` threads.
    pub fn scratch_len(&self, threads: usize) -> usize {
        // One line more, so that the buffers can start on a cache line.
        if self.scratch_per_worker == 0 { 0 } else { self.scratch_per_worker * threads + 16 }
    }

    /// Convolves `n` images.
    ///
    /// # Shapes
    /// `x`: `[n, height, width, x_stride]`; `residual`: as the target, in bytes.
    ///
    /// # Panics
    /// When a slice is shorter than the geometry says, the target or residual is not the planned one, or the context
    /// has another instruction set than the one planned for.
    pub fn forward(
        &self,
        ctx: &Context,
        n: usize,
        x: &[u8],
        residual: Option<&[u8]>,
        y: IntTarget,
        scratch: &mut [f32],
    ) {
        let conv = &self.conv;
        assert!(n <= conv.batch, "{n} images on a plan for {}", conv.batch);
        assert_eq!(self.context_path, IntPath::of(ctx), "instruction set of {}", conv.label());
        let y_len = n * conv.out_height() * conv.out_width() * conv.y_stride();
        let x = &x[..n * conv.height * conv.width * conv.x_stride];
        let residual = residual.map(|r| &r[..y_len]);
        assert!(scratch.len() >= self.scratch_len(ctx.threads()), "scratch of {}", conv.label());
        let skip = scratch.as_ptr().align_offset(64).min(16);
        let start = scratch.as_mut_ptr();
        // SAFETY: a scratch that is used at all has 16 f32 more than the workers use; else nothing is skipped.
        let scratch = SendPtr(if scratch.is_empty() { start } else { unsafe { start.add(skip) } });
        let target = self.finish.target(y, y_len, residual);
        let job = Job { plan: self, images: n, threads: ctx.threads(), x, target, scratch };
        match &self.kind {
            Kind::Dense { weights, init, shape } => dense::run(ctx, &job, shape, weights, init),
            Kind::Winograd { weights, init, shape } => winograd::run(ctx, &job, shape, weights, init),
            Kind::DepthwiseColumns { weights, init } => depthwise::columns::run(ctx, &job, weights, init),
            Kind::Depthwise { weights, bias } => depthwise::run(ctx, &job, weights, bias),
            Kind::Grouped { weights, bias } => grouped::run(ctx, &job, weights, bias),
        }
    }
}
