//! Padding.

use oculist_graph::op::axis;
use oculist_graph::{Pad, PadMode, Tensor};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::moves::{Along, FILL, moved, strides};

/// The index of the source that stands at `i`, counted from its beginning, which may lie outside.
fn source(mode: PadMode, i: i64, size: i64) -> Option<i64> {
    if size <= 0 {
        return None;
    }
    if (0..size).contains(&i) {
        return Some(i);
    }
    match mode {
        PadMode::Constant => None,
        PadMode::Edge => Some(i.clamp(0, size - 1)),
        PadMode::Wrap => Some(i.rem_euclid(size)),
        PadMode::Reflect if size == 1 => Some(0),
        PadMode::Reflect => {
            // There and back, neither end twice.
            let period = 2 * (size - 1);
            let i = i.rem_euclid(period);
            Some(if i < size { i } else { period - i })
        }
    }
}

impl Forward for Pad {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let rank = x.shape().len();
        let pads = call.ints(1)?.unwrap_or_default();
        let axes = match call.ints(3)? {
            None => (0..rank).collect(),
            Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!("expected {} paddings, found {}", 2 * axes.len(), pads.len()).into());
        }
        let mut amounts = vec![(0, 0); rank];
        for (i, &a) in axes.iter().enumerate() {
            amounts[a] = (pads[i], pads[i + axes.len()]);
        }
        let sizes: Vec<i64> = x.shape().iter().map(|&n| n as i64).collect();
        let mut shape = Vec::with_capacity(rank);
        for (&size, (before, behind)) in sizes.iter().zip(&amounts) {
            let out = i128::from(size) + i128::from(*before) + i128::from(*behind);
            let out = usize::try_from(out).map_err(|_| {
                Problem::from(format!("padding by {before} and {behind} leaves nothing of {size}"))
            })?;
            let kept = i128::from(size) + i128::from(*before.min(&0)) + i128::from(*behind.min(&0));
            if kept <= 0 && out > 0 && self.mode != PadMode::Constant {
                return Err(format!("axes {:?} hold nothing that could be repeated", x.shape()).into());
            }
            shape.push(out);
        }
        if call.room(x.dtype(), &shape)? == 0 {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        let strides = strides(x.shape());
        let along = (0..rank).map(|a| {
            let (before, behind) = amounts[a];
            if (before, behind) == (0, 0) {
                return Along::all(shape[a], strides[a]);
            }
            // What is cut off is no source of what is added.
            let first = before.saturating_neg().max(0);
            let kept = sizes[a].saturating_sub(first).saturating_add(behind.min(0));
            let position = |i: usize| {
                let i = source(self.mode, i as i64 - before.max(0), kept)?;
                Some((i + first) as usize * strides[a])
            };
            Along::Listed((0..shape[a]).map(|i| position(i).unwrap_or(FILL)).collect())
        });
        let data = moved(call.ctx, x.data(), along.collect(), call.get(2).map(Tensor::data));
        Ok(vec![Tensor::new(shape, data)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate;
    use oculist_kernels::Context;

    fn pad(mode: PadMode, shape: &[usize], pads: &[i64]) -> Result<(Vec<usize>, Vec<i32>), String> {
        let x = Tensor::i32(shape, (1..=shape.iter().product::<usize>() as i32).collect());
        let pads = Tensor::ints(pads.to_vec());
        let y = evaluate(&Context::new(1).unwrap(), &Pad { mode }.into(), &[Some(&x), Some(&pads)], 1)
            .map_err(|e| e.to_string())?;
        Ok((y[0].shape().to_vec(), y[0].as_i32().unwrap().to_vec()))
    }

    #[test]
    fn each_mode_repeats_as_numpy_does() {
        assert_eq!(pad(PadMode::Constant, &[3], &[2, 1]).unwrap().1, [0, 0, 1, 2, 3, 0]);
        assert_eq!(pad(PadMode::Edge, &[3], &[2, 1]).unwrap().1, [1, 1, 1, 2, 3, 3]);
        assert_eq!(pad(PadMode::Wrap, &[3], &[4, 1]).unwrap().1, [3, 1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(pad(PadMode::Reflect, &[3], &[5, 3]).unwrap().1, [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2]);
        assert_eq!(
            pad(PadMode::Constant, &[2, 2], &[0, 1, 1, -1]).unwrap(),
            (vec![3, 2], vec![0, 1, 0, 3, 0, 0])
        );
    }

    #[test]
    fn what_cannot_be_padded_is_refused() {
        assert!(pad(PadMode::Constant, &[2], &[-3, 0]).unwrap_err().contains("leaves nothing"));
        assert!(pad(PadMode::Edge, &[0], &[1, 1]).unwrap_err().contains("nothing that could be repeated"));
        assert!(pad(PadMode::Constant, &[2], &[i64::MAX, i64::MAX]).is_err());
    }
}
