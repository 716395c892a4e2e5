//! Elements that are moved, repeated or left out.
//!
//! The operator itself tells where each element of the result comes from: applied to the numbers of the elements instead
//! of the elements. Their gradients are added up there.

use oculist_graph::{
    ArrayFeatureExtractor, CenterCropPad, Compress, Concat, DepthToSpace, Expand, Gather, GatherElements,
    GatherND, MaxUnpool, Op, Pad, Range, ReverseSequence, Slice, SpaceToDepth, Split, Tensor, TensorData,
    TensorScatter, Tile, Transpose, Trilu,
};

use super::broadcast::sum_to;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::cast::cast;
use crate::real::{Real, finish, with_real};

/// The same elements in another shape.
pub(super) struct Reshaped;

/// The same elements in another type.
pub(super) struct Converted;

impl Backward for Reshaped {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        reverse.first(|| Ok(dy.reshaped(x.shape().to_vec())?))
    }
}

impl Backward for Converted {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        if !dy.dtype().is_float() {
            return Ok(vec![None; reverse.len()]);
        }
        reverse.first(|| Ok(cast(dy, x.dtype())))
    }
}

/// The gradients of the inputs `moved` of an operator that only moves their elements.
pub(super) fn followed(op: &Op, reverse: &Reverse, moved: &[usize]) -> Gradients {
    // Numbers begin at 1, so that what is filled in with zeros is none.
    let mut numbers: Vec<Option<Tensor>> = vec![None; reverse.len()];
    let mut first = vec![0; reverse.len()];
    let mut next = 1usize;
    for &i in moved {
        let Some(input) = reverse.get(i) else { continue };
        first[i] = next;
        let range = next..next + input.len();
        next = range.end;
        let ids = TensorData::I64(range.map(|n| n as i64).collect());
        numbers[i] = Some(Tensor::new(input.shape().to_vec(), ids)?);
    }
    let zero = Tensor::new(Vec::new(), TensorData::I64(vec![0]))?;
    let given: Vec<Option<&Tensor>> = (0..reverse.len())
        .map(|i| {
            let argument = reverse.get(i);
            // The value that is filled in has the type of the elements.
            let filled = argument.is_some_and(|t| t.dtype().is_float());
            numbers[i].as_ref().or(if filled { Some(&zero) } else { argument })
        })
        .collect();
    let sources = crate::evaluate(reverse.ctx, op, &given, reverse.outputs.len())?;
    reverse.each(|i| {
        if !moved.contains(&i) {
            return Ok(None);
        }
        let input = reverse.input(i)?;
        with_real!(input.dtype(), T => {
            let mut dx = vec![T::ZERO; input.len()];
            for (source, gradient) in sources.iter().zip(reverse.gradients) {
                let Some(gradient) = gradient else { continue };
                let TensorData::I64(source) = source.data() else {
                    return Err("the operator does not keep the type of its elements".into());
                };
                for (&number, &g) in source.iter().zip(T::read(gradient).iter()) {
                    let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(first[i]));
                    if let Some(dx) = at.and_then(|at| dx.get_mut(at)) {
                        *dx += g;
                    }
                }
            }
            finish(input.shape(), dx, input.dtype()).map(Some)
        })
    })
}

macro_rules! moves {
    ($($op:ident: $inputs:expr;)*) => {
        $(#[allow(clippy::clone_on_copy, reason = "not all of them are small enough to be copied")]
        impl Backward for $op {
            fn backward(&self, reverse: &Reverse) -> Gradients {
                let inputs: fn(&Reverse) -> Vec<usize> = $inputs;
                followed(&Op::from(self.clone()), reverse, &inputs(reverse))
            }
        })*
    };
}

moves! {
    Concat: |reverse| (0..reverse.len()).collect();
    Pad: |_| vec![0];
    Trilu: |_| vec![0];
    ReverseSequence: |_| vec![0];
    Compress: |_| vec![0];
    Slice: |_| vec![0];
    Split: |_| vec![0];
    Gather: |_| vec![0];
    GatherElements: |_| vec![0];
    GatherND: |_| vec![0];
    ArrayFeatureExtractor: |_| vec![0];
    TensorScatter: |_| vec![0, 1];
    Tile: |_| vec![0];
    DepthToSpace: |_| vec![0];
    SpaceToDepth: |_| vec![0];
    CenterCropPad: |_| vec![0];
    MaxUnpool: |_| vec![0];
}

impl Backward for Transpose {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dy = reverse.only()?;
        let axes = self.axes(dy.shape().len())?;
        let mut back = vec![0i64; axes.len()];
        for (i, &a) in axes.iter().enumerate() {
            back[a] = i64::try_from(i).unwrap_or(i64::MAX);
        }
        reverse.first(|| {
            let back = Op::Transpose(Self::new(&back));
            let mut all = crate::evaluate(reverse.ctx, &back, &[Some(dy)], 1)?;
            all.pop().ok_or_else(|| Problem::Text("no result".to_owned()))
        })
    }
}

impl Backward for Expand {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        reverse.first(|| sum_to(dy, x.shape()))
    }
}

impl Backward for Range {
    /// Of `start + i * delta`; the end only says how many there are.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let dy = reverse.only()?;
        reverse.each(|i| {
            let input = reverse.input(i)?;
            with_real!(dy.dtype(), T => {
                let flows = T::read(dy);
                let each = flows.iter().enumerate().map(|(k, g)| match i {
                    0 => g.to_f64(),
                    1 => 0.0,
                    _ => k as f64 * g.to_f64(),
                });
                finish(input.shape(), vec![T::of_f64(each.sum())], input.dtype()).map(Some)
            })
        })
    }
}
