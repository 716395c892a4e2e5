//! Positions by size.

use std::cmp::Ordering;

use oculist_graph::op::axis;
use oculist_graph::{ArgReduce, DataType, Tensor, TensorData, TopK, Unique};

use crate::along::Along;
use crate::call::{Call, Forward, Outcome};
use crate::element::{NAN_KEY, keys};

impl Forward for ArgReduce {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let at = axis(self.axis, x.shape().len())?;
        let along = Along::new(x.shape(), at);
        let mut out = x.shape().to_vec();
        if self.keepdims {
            out[at] = 1;
        } else {
            out.remove(at);
        }
        let mut y = vec![0i64; call.room(DataType::I64, &out)?];
        call.room(DataType::I64, &[x.len(), 2])?;
        let mut keys = keys(x.data());
        if !self.largest {
            // A NaN is chosen in either direction, as in NumPy.
            for key in keys.iter_mut().filter(|key| **key != NAN_KEY) {
                *key = -*key;
            }
        }
        let piece = (1 << 14) / along.len.max(1) + 1;
        call.ctx.for_pieces(&mut y, piece, |p, y| {
            for (i, y) in y.iter_mut().enumerate() {
                let start = along.line(p * piece + i);
                let mut best = 0;
                for k in 1..along.len {
                    let (key, most) = (keys[start + k * along.inner], keys[start + best * along.inner]);
                    if key > most || (self.last && key == most) {
                        best = k;
                    }
                }
                *y = best as i64;
            }
        });
        Ok(vec![Tensor::new(out, TensorData::I64(y))?])
    }
}

impl Forward for TopK {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let at = axis(self.axis, x.shape().len())?;
        let along = Along::new(x.shape(), at);
        let wanted = call.ints(1)?.and_then(|k| k.first().copied());
        let k = wanted.and_then(|k| usize::try_from(k).ok()).filter(|&k| k <= along.len);
        let k = k.ok_or_else(|| format!("k is {wanted:?}, the axis has {} elements", along.len))?;
        let mut out = x.shape().to_vec();
        out[at] = k;
        let len = call.room(DataType::I64, &out)?;
        let result = Along { len: k, ..along };
        let (mut indices, mut places) = (vec![0i64; len], vec![0usize; len]);
        call.room(DataType::I64, &[x.len(), 2])?;
        let keys = keys(x.data());
        let mut line: Vec<usize> = Vec::with_capacity(along.len);
        for l in 0..if k == 0 { 0 } else { along.lines() } {
            let start = along.line(l);
            let first = |a: &usize, b: &usize| {
                let (p, q) = (keys[start + a * along.inner], keys[start + b * along.inner]);
                // Of equal elements the first comes first, whichever are wanted.
                (if self.largest { q.cmp(&p) } else { p.cmp(&q) }).then(a.cmp(b))
            };
            line.clear();
            line.extend(0..along.len);
            if k < line.len() {
                line.select_nth_unstable_by(k, first);
                line.truncate(k);
            }
            line.sort_unstable_by(first);
            for (i, &index) in line.iter().enumerate() {
                indices[result.at(l, i)] = index as i64;
                places[result.at(l, i)] = along.at(l, index);
            }
        }
        let values = Tensor::new(out.clone(), x.data().pick(places.into_iter()))?;
        Ok(vec![values, Tensor::new(out, TensorData::I64(indices))?])
    }
}

impl Forward for Unique {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let (at, along) = match self.axis {
            None => (None, Along { outer: 1, len: x.len(), inner: 1 }),
            Some(a) => {
                let a = axis(a, x.shape().len())?;
                (Some(a), Along::new(x.shape(), a))
            }
        };
        call.room(DataType::I64, &[x.len().max(along.len), 6])?;
        let keys = keys(x.data());
        let compare = |a: usize, b: usize| {
            let mut each = (0..along.lines()).map(|l| keys[along.at(l, a)].cmp(&keys[along.at(l, b)]));
            each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        // Slices in ascending order, like ones by their index, and where a new kind begins.
        let mut slices: Vec<usize> = (0..along.len).collect();
        slices.sort_unstable_by(|&a, &b| compare(a, b).then(a.cmp(&b)));
        let starts = (0..slices.len()).map(|i| i == 0 || compare(slices[i - 1], slices[i]).is_ne());
        let mut kinds: Vec<Vec<usize>> = Vec::new();
        for (&slice, start) in slices.iter().zip(starts) {
            match kinds.last_mut() {
                Some(kind) if !start => kind.push(slice),
                _ => kinds.push(vec![slice]),
            }
        }
        if !self.sorted {
            kinds.sort_unstable_by_key(|kind| kind[0]);
        }
        let firsts: Vec<usize> = kinds.iter().map(|kind| kind[0]).collect();
        let mut inverse = vec![0i64; along.len];
        for (i, &slice) in
            kinds.iter().enumerate().flat_map(|(i, kind)| kind.iter().map(move |slice| (i, slice)))
        {
            inverse[slice] = i as i64;
        }
        let values = match at {
            Some(a) => x.select(a, &firsts),
            None => Tensor::new(vec![firsts.len()], x.data().pick(firsts.iter().copied()))?,
        };
        let ints = |all: Vec<i64>| Tensor::ints(all);
        let counts = kinds.iter().map(|kind| kind.len() as i64).collect();
        Ok(vec![values, ints(firsts.iter().map(|&i| i as i64).collect()), ints(inverse), ints(counts)])
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;

    fn of(op: impl Into<Op>, inputs: &[&Tensor], outputs: usize) -> Vec<Tensor> {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(|&x| Some(x)).collect();
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), &inputs, outputs).unwrap()
    }

    #[test]
    fn ties_are_broken_as_asked() {
        let x = Tensor::i32(&[2, 3], vec![1, 5, 5, 7, 7, 2]);
        let arg = |largest, last| {
            let op = ArgReduce { largest, axis: 1, keepdims: false, last };
            of(op, &[&x], 1)[0].as_i64().unwrap().to_vec()
        };
        assert_eq!(
            (arg(true, false), arg(true, true), arg(false, false)),
            (vec![1, 0], vec![2, 1], vec![0, 2])
        );
        let op = TopK { axis: 1, largest: true, sorted: true };
        let y = of(op, &[&x, &Tensor::ints(vec![2])], 2);
        assert_eq!((y[0].as_i32().unwrap(), y[1].as_i64().unwrap()), (&[5, 5, 7, 7][..], &[1, 2, 0, 1][..]));
    }

    #[test]
    fn the_examples_of_the_document() {
        let ints = |t: &Tensor| t.to_i64s().unwrap();
        let all = |op: Unique, x: &Tensor| of(op, &[x], 4).iter().map(ints).collect::<Vec<_>>();
        let x = Tensor::ints(vec![2, 1, 1, 3, 4, 3]);
        let y = all(Unique { axis: None, sorted: false }, &x);
        assert_eq!(y, [vec![2, 1, 3, 4], vec![0, 1, 3, 4], vec![0, 1, 1, 2, 3, 2], vec![1, 2, 2, 1]]);
        let x = Tensor::i8(&[3, 3], vec![1, 0, 0, 1, 0, 0, 2, 3, 4]);
        let y = all(Unique { axis: Some(0), sorted: true }, &x);
        assert_eq!(y, [vec![1, 0, 0, 2, 3, 4], vec![0, 2], vec![0, 0, 1], vec![2, 1]]);
        let x = Tensor::i8(&[2, 4, 2], [1, 1, 0, 1, 2, 1, 0, 1].repeat(2));
        let y = all(Unique { axis: Some(1), sorted: true }, &x);
        assert_eq!(y[1..], [vec![1, 0, 2], vec![1, 0, 2, 0], vec![2, 1, 1]]);
    }
}
