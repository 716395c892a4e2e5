//! A right side that is packed once.

use super::pack::pack_columns;
use super::{Matmul, fail};
use crate::KernelError;
use crate::buffer::Buffer;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, check_elements, product};
use crate::simd::{Kernel, Simd, dispatch};

/// A matrix in panels of sixteen columns, `[n / 16][k][16]`, for weights that stay as they are.
#[derive(Debug)]
pub struct PackedMatrix {
    k: usize,
    n: usize,
    panels: Buffer,
}

impl PackedMatrix {
    /// Packs the right side that `shape` describes; its rows, `m`, do not matter.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] for a stride smaller than its row or a matrix that is too large,
    /// [`KernelError::NoMemory`] when the system does not give the memory.
    ///
    /// # Panics
    /// When `b` is shorter than the shape says.
    pub fn new(ctx: &Context, shape: &Matmul, b: &[f32]) -> Result<Self, KernelError> {
        struct Pack<'a> {
            shape: &'a Matmul,
            b: &'a [f32],
            panel: usize,
            to: &'a mut [f32],
        }
        impl Kernel for Pack<'_> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                let Matmul { n, k, b_stride, b_transposed, .. } = *self.shape;
                let first = self.panel * LANES;
                pack_columns(s, self.b, b_stride, b_transposed, k, first, LANES.min(n - first), self.to);
            }
        }
        let Matmul { n, k, .. } = *shape;
        let row = if shape.b_transposed { k } else { n };
        if shape.b_stride < row {
            return Err(fail(format!("expected a stride of B of at least {row}, found {}", shape.b_stride)));
        }
        let panel_len = product(&[k, LANES]);
        let len = product(&[n.div_ceil(LANES), panel_len]);
        check_elements("matrix product", &[("B", shape.b_len()), ("the packed B", len)])?;
        assert!(b.len() >= shape.b_len(), "B has {} f32, expected {}", b.len(), shape.b_len());
        let mut panels = Buffer::try_zeroed(len, "a packed matrix")?;
        let to = SendPtr(panels.as_mut_ptr());
        let count = if k == 0 { 0 } else { n.div_ceil(LANES) };
        ctx.run(count, |panel, _| {
            // SAFETY: every task has one panel of the buffer, which has `count` of them.
            let to = unsafe { std::slice::from_raw_parts_mut(to.get().add(panel * panel_len), panel_len) };
            dispatch(ctx, Pack { shape, b, panel, to });
        });
        Ok(Self { k, n, panels })
    }

    /// Rows and columns of the matrix.
    pub fn shape(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> usize {
        self.panels.len() * size_of::<f32>()
    }

    /// The panels from that of `column` on.
    pub(super) fn panels_from(&self, column: usize) -> &[f32] {
        &self.panels[column / LANES * self.k * LANES..]
    }
}
