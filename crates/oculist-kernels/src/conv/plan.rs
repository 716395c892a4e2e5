//! Picking an algorithm for each pass of a convolution, once.

use std::sync::OnceLock;
use std::time::Duration;

use super::algorithm::{Algorithm, Algorithms, Pass};
use super::gather::Gather;
use super::store::Store;
use super::transpose::transpose_weights;
use super::{Conv2d, Epilogue, depthwise, direct, direct_weights, general, winograd};
use crate::buffer::Buffer;
use crate::context::Context;
use crate::layout::LANES;
use crate::{Isa, KernelError};

/// A convolution with its algorithms.
///
/// The plan belongs to contexts with no more threads than the one it was made with.
#[derive(Debug, Clone)]
pub struct ConvPlan {
    conv: Conv2d,
    algorithms: Algorithms,
    threads: usize,
    isa: Isa,
    forward: Gather,
    /// Made when a gradient first asks for it: inference never does, and a large stride has many phases.
    backward: OnceLock<Gather>,
}

/// Weights in the form that a plan's forward pass reads, made once for frozen networks.
#[derive(Debug, Clone)]
pub struct PreparedWeights {
    /// On the beginning of a cache line, so that no vector lies across two.
    data: Buffer,
}

impl PreparedWeights {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.data)
    }
}

impl ConvPlan {
    /// Plans a convolution: checks the geometry and picks the algorithms by a cost model.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] for an inconsistent geometry.
    pub fn new(ctx: &Context, conv: Conv2d) -> Result<Self, KernelError> {
        conv.check()?;
        let algorithms =
            if ctx.allows_winograd() { Algorithms::pick(&conv) } else { Algorithms::pick_exact(&conv) };
        Self::with_algorithms(ctx, conv, algorithms)
    }

    /// Plans a convolution with the algorithms that are fastest on this machine, by [`Algorithms::measure`].
    ///
    /// Plans of the same convolution may differ from run to run, and with them the last bits of results.
    ///
    /// # Errors
    /// As [`ConvPlan::new`].
    pub fn measured(ctx: &Context, conv: Conv2d, budget: Duration) -> Result<Self, KernelError> {
        Self::with_algorithms(ctx, conv, Algorithms::measure(ctx, &conv, budget)?)
    }

    /// Plans a convolution with chosen algorithms, for tests and measurements.
    ///
    /// # Errors
    /// As [`ConvPlan::new`], and [`KernelError::Algorithm`] when an algorithm cannot compute the convolution.
    pub fn with_algorithms(ctx: &Context, conv: Conv2d, algorithms: Algorithms) -> Result<Self, KernelError> {
        conv.check()?;
        for pass in Pass::ALL {
            let algorithm = algorithms.of(pass);
            if !algorithm.supports(pass, &conv) {
                return Err(KernelError::Algorithm {
                    algorithm: algorithm.name(),
                    pass: pass.name(),
                    convolution: conv.label(),
                });
            }
        }
        let forward = Gather::forward(&conv);
        Ok(Self {
            conv,
            algorithms,
            threads: ctx.threads(),
            isa: ctx.isa(),
            forward,
            backward: OnceLock::new(),
        })
    }

    /// The geometry.
    pub fn conv(&self) -> &Conv2d {
        &self.conv
    }

    /// The algorithms.
    pub fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// Geometry and algorithms in words.
    pub fn describe(&self) -> String {
        let Algorithms { forward, backward_data, backward_weights } = self.algorithms;
        format!(
            "{}: forward {}, backward data {}, backward weights {}",
            self.conv.label(),
            forward.name(),
            backward_data.name(),
            backward_weights.name()
        )
    }

    /// f32 of scratch that any pass needs.
    pub fn scratch_len(&self) -> usize {
        Pass::ALL.into_iter().map(|pass| self.pass_scratch_len(pass)).max().unwrap_or(0)
    }

    /// f32 of scratch that the forward passes need.
    pub fn forward_scratch_len(&self) -> usize {
        self.pass_scratch_len(Pass::Forward)
    }

    /// What a Winograd pass reads and writes.
    fn winograd_shape(&self, pass: Pass) -> winograd::Shape {
        let tile_size = self.algorithms.of(pass).tile_size();
        match pass {
            Pass::Forward | Pass::BackwardWeights => winograd::Shape::forward(tile_size, &self.conv),
            Pass::BackwardData => winograd::Shape::backward(tile_size, &self.conv),
        }
    }

    fn backward(&self) -> &Gather {
        self.backward.get_or_init(|| Gather::backward(&self.conv))
    }

    fn pass_scratch_len(&self, pass: Pass) -> usize {
        let (conv, threads) = (&self.conv, self.threads);
        let needed = match (self.algorithms.of(pass), pass) {
            (Algorithm::General, _) => 0,
            (Algorithm::Direct, Pass::Forward) => direct::scratch_len(&self.forward, threads),
            (Algorithm::Direct, Pass::BackwardData) => {
                conv.weights_len_transposed() + direct::scratch_len(self.backward(), threads)
            }
            (Algorithm::Direct, Pass::BackwardWeights) => direct_weights::scratch_len(conv, threads),
            (Algorithm::Depthwise, Pass::Forward) => depthwise::scratch_len(&self.forward, threads),
            (Algorithm::Depthwise, Pass::BackwardData) => depthwise::scratch_len(self.backward(), threads),
            (Algorithm::Depthwise, Pass::BackwardWeights) => depthwise::weights_scratch_len(conv),
            (Algorithm::Winograd | Algorithm::Winograd2, Pass::Forward) => {
                winograd::scratch_len(&self.winograd_shape(pass), self.isa, threads)
            }
            (Algorithm::Winograd | Algorithm::Winograd2, Pass::BackwardData) => {
                conv.weights_len_transposed()
                    + winograd::scratch_len(&self.winograd_shape(pass), self.isa, threads)
            }
            (Algorithm::Winograd | Algorithm::Winograd2, Pass::BackwardWeights) => {
                winograd::weights_scratch_len(&self.winograd_shape(pass), threads)
            }
        };
        // Room to start at the beginning of a cache line.
        if needed > 0 { needed + LANES } else { 0 }
    }

    /// Checks the scratch and the context, and gives the scratch from the beginning of a cache line on.
    fn checked_scratch<'a>(&self, ctx: &Context, pass: Pass, scratch: &'a mut [f32]) -> &'a mut [f32] {
        let needed = self.pass_scratch_len(pass);
        assert!(scratch.len() >= needed, "scratch of {}: {} of {needed}", self.conv.label(), scratch.len());
        assert!(ctx.threads() <= self.threads, "the plan was made for {} threads", self.threads);
        assert_eq!(ctx.isa(), self.isa, "the plan was made for another instruction set");
        let start = scratch.as_ptr().align_offset(64);
        if start < LANES.min(scratch.len()) { &mut scratch[start..] } else { scratch }
    }

    /// `y = f(conv(x, w) + bias + residual)`.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn forward(
        &self,
        ctx: &Context,
        x: &[f32],
        w: &[f32],
        epilogue: &Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        self.assert_lengths(x, w, y);
        epilogue.assert_fits(&self.conv);
        let scratch = self.checked_scratch(ctx, Pass::Forward, scratch);
        let conv = &self.conv;
        match self.algorithms.forward {
            Algorithm::General => general::forward(ctx, conv, x, w, epilogue, y),
            Algorithm::Direct => {
                let store = Store::forward(conv, epilogue, y);
                direct::run(ctx, &self.forward, conv.taps(), x, w, conv.x_stride, conv.c_in, store, scratch);
            }
            Algorithm::Winograd | Algorithm::Winograd2 => {
                let store = Store::forward(conv, epilogue, y);
                let shape = self.winograd_shape(Pass::Forward);
                winograd::run(ctx, &shape, x, winograd::Weights::Packed(w), store, scratch);
            }
            Algorithm::Depthwise => {
                let store = Store::forward(conv, epilogue, y);
                depthwise::forward(ctx, conv, &self.forward, x, w, store, scratch);
            }
        }
    }

    /// Whether prepared weights are transformed; else they stay packed.
    fn transforms_once(&self) -> bool {
        self.algorithms.forward.is_winograd()
            && !winograd::packed_is_faster(&self.winograd_shape(Pass::Forward), self.isa)
    }

    /// f32 that [`ConvPlan::prepare`] makes of the weights.
    pub fn prepared_len(&self) -> usize {
        if !self.transforms_once() {
            return self.conv.weights_len();
        }
        let blocks = self.conv.y_stride() / LANES;
        winograd::filter_len(self.algorithms.forward.tile_size(), self.conv.x_stride, blocks)
    }

    /// Transforms the weights for [`ConvPlan::forward_prepared`].
    ///
    /// # Panics
    /// When `w` has another length than the geometry says.
    pub fn prepare(&self, ctx: &Context, w: &[f32]) -> PreparedWeights {
        assert_eq!(w.len(), self.conv.weights_len(), "weights of {}", self.conv.label());
        if !self.transforms_once() {
            return PreparedWeights { data: Buffer::from(w) };
        }
        let blocks = self.conv.y_stride() / LANES;
        let tile_size = self.algorithms.forward.tile_size();
        let mut data = Buffer::zeroed(winograd::filter_len(tile_size, self.conv.x_stride, blocks));
        winograd::transform_filter(ctx, tile_size, self.conv.x_stride, blocks, w, &mut data);
        PreparedWeights { data }
    }

    /// [`ConvPlan::forward`] with weights from [`ConvPlan::prepare`] of the same plan.
    ///
    /// # Panics
    /// As [`ConvPlan::forward`].
    pub fn forward_prepared(
        &self,
        ctx: &Context,
        x: &[f32],
        w: &PreparedWeights,
        epilogue: &Epilogue,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        if !self.transforms_once() {
            return self.forward(ctx, x, &w.data, epilogue, y, scratch);
        }
        let conv = &self.conv;
        assert_eq!(x.len(), conv.x_len(), "input of {}", conv.label());
        assert_eq!(y.len(), conv.y_len(), "output of {}", conv.label());
        epilogue.assert_fits(conv);
        let scratch = self.checked_scratch(ctx, Pass::Forward, scratch);
        let store = Store::forward(conv, epilogue, y);
        let w = winograd::Weights::Transformed(&w.data);
        winograd::run(ctx, &self.winograd_shape(Pass::Forward), x, w, store, scratch);
    }

    /// `dx = gradient with respect to x`, or `dx += ..` with `accumulate`.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn backward_data(
        &self,
        ctx: &Context,
        dy: &[f32],
        w: &[f32],
        dx: &mut [f32],
        accumulate: bool,
        scratch: &mut [f32],
    ) {
        self.assert_lengths(dx, w, dy);
        let scratch = self.checked_scratch(ctx, Pass::BackwardData, scratch);
        let conv = &self.conv;
        match self.algorithms.backward_data {
            Algorithm::General => general::backward_data(ctx, conv, dy, w, dx, accumulate),
            Algorithm::Winograd | Algorithm::Winograd2 => {
                let shape = self.winograd_shape(Pass::BackwardData);
                let (transposed, scratch) = scratch.split_at_mut(conv.weights_len_transposed());
                transpose_weights(ctx, conv, w, true, transposed);
                let w = winograd::Weights::Packed(transposed);
                winograd::run(ctx, &shape, dy, w, Store::gradient(dx, accumulate), scratch);
            }
            Algorithm::Direct => {
                let (transposed, scratch) = scratch.split_at_mut(conv.weights_len_transposed());
                transpose_weights(ctx, conv, w, false, transposed);
                let store = Store::gradient(dx, accumulate);
                direct::run(
                    ctx,
                    self.backward(),
                    conv.taps(),
                    dy,
                    transposed,
                    conv.y_stride(),
                    conv.c_out,
                    store,
                    scratch,
                );
            }
            Algorithm::Depthwise => {
                depthwise::run(ctx, self.backward(), dy, w, Store::gradient(dx, accumulate), scratch);
            }
        }
    }

    /// `dw = gradient with respect to the packed weights`, overwritten.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, or the scratch is too short.
    pub fn backward_weights(
        &self,
        ctx: &Context,
        x: &[f32],
        dy: &[f32],
        dw: &mut [f32],
        scratch: &mut [f32],
    ) {
        self.assert_lengths(x, dw, dy);
        let scratch = self.checked_scratch(ctx, Pass::BackwardWeights, scratch);
        let conv = &self.conv;
        match self.algorithms.backward_weights {
            Algorithm::General => general::backward_weights(ctx, conv, x, dy, dw),
            Algorithm::Direct => direct_weights::run(ctx, conv, x, dy, dw, scratch),
            Algorithm::Winograd | Algorithm::Winograd2 => {
                let shape = self.winograd_shape(Pass::BackwardWeights);
                winograd::backward_weights(ctx, &shape, x, dy, dw, scratch);
            }
            Algorithm::Depthwise => depthwise::backward_weights(ctx, conv, x, dy, dw, scratch),
        }
    }

    fn assert_lengths(&self, x: &[f32], w: &[f32], y: &[f32]) {
        assert_eq!(x.len(), self.conv.x_len(), "input of {}", self.conv.label());
        assert_eq!(w.len(), self.conv.weights_len(), "weights of {}", self.conv.label());
        assert_eq!(y.len(), self.conv.y_len(), "output of {}", self.conv.label());
    }
}
