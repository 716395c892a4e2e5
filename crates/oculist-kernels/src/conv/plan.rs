//! Picking an algorithm for each pass of a convolution, once.

use super::{Conv2d, Epilogue, general};
use crate::KernelError;
use crate::context::Context;

/// How a pass is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// Plain loops; any geometry.
    General,
}

impl Algorithm {
    /// Name for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::General => "general",
        }
    }
}

/// The algorithm of each pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Algorithms {
    /// `y` from `x` and weights.
    pub forward: Algorithm,
    /// `dx` from `dy` and weights.
    pub backward_data: Algorithm,
    /// `dw` from `x` and `dy`.
    pub backward_weights: Algorithm,
}

impl Algorithms {
    /// The same algorithm for every pass.
    pub const fn all(algorithm: Algorithm) -> Self {
        Self { forward: algorithm, backward_data: algorithm, backward_weights: algorithm }
    }
}

/// A convolution with its algorithms.
#[derive(Debug, Clone)]
pub struct ConvPlan {
    conv: Conv2d,
    algorithms: Algorithms,
}

/// Weights in the form that a plan's forward pass reads, made once for frozen networks.
#[derive(Debug, Clone)]
pub struct PreparedWeights {
    data: Vec<f32>,
}

impl PreparedWeights {
    /// Bytes held.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(self.data.as_slice())
    }
}

impl ConvPlan {
    /// Plans a convolution: checks the geometry and picks the algorithms by a cost model.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] for an inconsistent geometry.
    pub fn new(ctx: &Context, conv: Conv2d) -> Result<Self, KernelError> {
        Self::with_algorithms(ctx, conv, Algorithms::all(Algorithm::General))
    }

    /// Plans a convolution with chosen algorithms, for tests and measurements.
    ///
    /// # Errors
    /// As [`ConvPlan::new`], and [`KernelError::Algorithm`] when an algorithm cannot compute the convolution.
    pub fn with_algorithms(
        _ctx: &Context,
        conv: Conv2d,
        algorithms: Algorithms,
    ) -> Result<Self, KernelError> {
        conv.check()?;
        Ok(Self { conv, algorithms })
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
        0
    }

    /// f32 of scratch that the forward passes need.
    pub fn forward_scratch_len(&self) -> usize {
        0
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
        assert!(scratch.len() >= self.forward_scratch_len(), "scratch of {}", self.conv.label());
        general::forward(ctx, &self.conv, x, w, epilogue, y);
    }

    /// Transforms the weights for [`ConvPlan::forward_prepared`].
    ///
    /// # Panics
    /// When `w` has another length than the geometry says.
    pub fn prepare(&self, _ctx: &Context, w: &[f32]) -> PreparedWeights {
        assert_eq!(w.len(), self.conv.weights_len(), "weights of {}", self.conv.label());
        PreparedWeights { data: w.to_vec() }
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
        self.forward(ctx, x, &w.data, epilogue, y, scratch);
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
        assert!(scratch.len() >= self.scratch_len(), "scratch of {}", self.conv.label());
        general::backward_data(ctx, &self.conv, dy, w, dx, accumulate);
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
        assert!(scratch.len() >= self.scratch_len(), "scratch of {}", self.conv.label());
        general::backward_weights(ctx, &self.conv, x, dy, dw);
    }

    fn assert_lengths(&self, x: &[f32], w: &[f32], y: &[f32]) {
        assert_eq!(x.len(), self.conv.x_len(), "input of {}", self.conv.label());
        assert_eq!(w.len(), self.conv.weights_len(), "weights of {}", self.conv.label());
        assert_eq!(y.len(), self.conv.y_len(), "output of {}", self.conv.label());
    }
}
