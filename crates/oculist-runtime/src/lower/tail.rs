//! What follows a step and can be computed while its result is still in registers.

use oculist_graph::{NodeId, ValueId};
use oculist_kernels::Activation;

use super::Lowering;
use super::op::Fast;
use crate::error::RuntimeError;

/// Batch normalisation as `y = x * scale + shift`.
#[derive(Debug, Clone)]
pub(super) struct ScaleShift {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl ScaleShift {
    /// Both in one, `first` before this.
    fn behind(mut self, first: Option<Self>) -> Self {
        if let Some(first) = first {
            for (i, (scale, shift)) in first.scale.iter().zip(first.shift).enumerate() {
                self.shift[i] += self.scale[i] * shift;
                self.scale[i] *= scale;
            }
        }
        self
    }
}

/// A chain of nodes behind a value: batch normalisation, then an addition, then an activation.
#[derive(Debug)]
pub(super) struct Tail {
    /// The last value of the chain.
    pub(super) end: ValueId,
    pub(super) scale_shift: Option<ScaleShift>,
    pub(super) residual: Option<ValueId>,
    pub(super) activation: Activation,
}

impl Lowering<'_> {
    /// The one node that reads a value which need not exist itself.
    pub(super) fn only_reader(&self, value: ValueId) -> Option<NodeId> {
        match self.consumers[value.index()][..] {
            [reader] if !self.kept[value.index()] && !self.done[reader] => Some(reader),
            _ => None,
        }
    }

    /// Scale and shift of a batch normalisation.
    pub(super) fn scale_shift(&self, id: NodeId, epsilon: f32) -> Result<ScaleShift, RuntimeError> {
        let gamma = self.constant_input(id, 1, "gamma")?.values;
        let beta = self.constant_input(id, 2, "beta")?.values;
        let mean = self.constant_input(id, 3, "running_mean")?.values;
        let var = self.constant_input(id, 4, "running_var")?.values;
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&var)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt())
            .collect();
        let shift =
            scale.iter().zip(mean).zip(beta).map(|((s, m), b)| (f64::from(b) - f64::from(m) * s) as f32);
        Ok(ScaleShift { shift: shift.collect(), scale: scale.iter().map(|&s| s as f32).collect() })
    }

    /// Takes what follows `start` (of `channels` channels and `size` pixels) into a tail and marks it as done.
    pub(super) fn take_tail(
        &mut self,
        start: ValueId,
        channels: usize,
        size: [usize; 2],
    ) -> Result<Tail, RuntimeError> {
        let mut tail =
            Tail { end: start, scale_shift: None, residual: None, activation: Activation::Identity };
        while let Some(id) = self.only_reader(tail.end) {
            let node = self.node(id);
            let plain = tail.residual.is_none() && tail.activation == Activation::Identity;
            match self.fast[id] {
                Some(Fast::Same) => {}
                Some(Fast::Norm { epsilon }) if plain && node.inputs[0] == tail.end => {
                    let next = self.scale_shift(id, epsilon)?;
                    tail.scale_shift = Some(next.behind(tail.scale_shift));
                }
                Some(Fast::Affine { op, data })
                    if plain
                        && self.form(node.output()).is_some_and(|(c, s)| same_size(c, s, channels, size)) =>
                {
                    let next = self.constant_scale_shift(id, op, data)?;
                    tail.scale_shift = Some(next.behind(tail.scale_shift));
                }
                Some(Fast::Add) if plain => {
                    let other = node.inputs[usize::from(node.inputs[0] == tail.end)];
                    if other == tail.end || !self.compute_early(other)? || !self.fits(other, channels, size) {
                        break;
                    }
                    tail.residual = Some(other);
                }
                Some(Fast::Activation(activation)) if tail.activation == Activation::Identity => {
                    tail.activation = activation;
                }
                _ => break,
            }
            self.done[id] = true;
            tail.end = node.output();
        }
        Ok(tail)
    }

    /// Whether a value is computed already and lies in memory as a tensor of this shape does.
    fn fits(&self, value: ValueId, channels: usize, size: [usize; 2]) -> bool {
        self.states[value.index()].fast().is_some_and(|tensor| {
            let tensor = &self.tensors[tensor];
            same_size(tensor.channels, tensor.size, channels, size)
        })
    }
}

/// Whether two tensors lie in memory alike; what is height and what width does not matter.
fn same_size(a_channels: usize, a: [usize; 2], b_channels: usize, b: [usize; 2]) -> bool {
    a_channels == b_channels && a[0].saturating_mul(a[1]) == b[0].saturating_mul(b[1])
}
