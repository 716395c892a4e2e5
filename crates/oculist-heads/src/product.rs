//! Products of matrices in f32, on the kernels.

use oculist_kernels::{Added, Context, KernelError, Matmul, MatmulEpilogue, MatmulPlan, Right, try_zeros};

/// Threads and scratch for products.
#[derive(Debug)]
pub(crate) struct Products {
    context: Context,
    scratch: Vec<f32>,
}

impl Products {
    /// Products on `threads` threads, which do not change their results.
    pub(crate) fn new(threads: usize) -> Result<Self, KernelError> {
        Ok(Self { context: Context::new(threads)?, scratch: Vec::new() })
    }

    /// `c = alpha * a * b`, or `c += alpha * a * b` where it is to be added.
    pub(crate) fn run(
        &mut self,
        shape: Matmul,
        alpha: f32,
        a: &[f32],
        b: &[f32],
        adds: bool,
        c: &mut [f32],
    ) -> Result<(), KernelError> {
        if shape.m == 0 || shape.n == 0 {
            return Ok(());
        }
        let plan = MatmulPlan::new(&self.context, shape)?;
        if self.scratch.len() < plan.scratch_len() {
            self.scratch = try_zeros(plan.scratch_len(), "scratch of a matrix product")?;
        }
        let added = if adds { Added::Output } else { Added::Nothing };
        let epilogue = MatmulEpilogue { alpha, added, ..MatmulEpilogue::default() };
        plan.run(&self.context, a, Right::Plain(b), &epilogue, c, &mut self.scratch);
        Ok(())
    }
}
