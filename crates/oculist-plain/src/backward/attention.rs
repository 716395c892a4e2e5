//! Scaled dot-product attention.

use oculist_graph::{Attention, DataType, FlexAttention, Op, Scores, Tensor};

use super::broadcast::sum_to;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::gemm::{Size, block, transposed};
use crate::heads::Heads;
use crate::op::attention::cached;
use crate::real::{Real, finish, with_real};

/// `a * b` of `[m, k]` and `[k, n]`.
fn times<T: Real>(a: &[T], b: &[T], [m, k, n]: [usize; 3]) -> Vec<T> {
    let mut c = vec![T::ZERO; m * n];
    block(Size::packed(m, n, k), a, b, &mut c);
    c
}

/// The scores at a stage, `[N, heads, L, S]`.
fn scores(op: Attention, reverse: &Reverse, stage: Scores) -> Result<Tensor, Problem> {
    let op = Op::Attention(Attention { scores: stage, ..op });
    let mut all = crate::evaluate(reverse.ctx, &op, reverse.inputs, 4)?;
    all.pop().filter(|_| all.len() == 3).ok_or_else(|| Problem::Text("no scores".to_owned()))
}

/// What flows back to the keys and values of all heads, and to the queries and the mask.
struct Sums<T> {
    dq: Vec<T>,
    dk: Vec<T>,
    dv: Vec<T>,
    dmask: Vec<T>,
}

/// A gradient of one of the outputs behind the first, as numbers.
fn flow<'a, T: Real>(reverse: &Reverse<'a>, i: usize) -> Option<std::borrow::Cow<'a, [T]>> {
    reverse.gradient_of(i).map(T::read)
}

/// The part of the keys or values of all heads that is the past, and the rest as it was given.
fn parted<T: Real>(all: &[T], whole: Heads, given: Heads) -> [Vec<T>; 2] {
    let before = whole.len - given.len;
    let mut parts = [Vec::new(), vec![T::ZERO; given.n * given.count * given.len * given.size]];
    for (sample, head) in (0..whole.n).flat_map(|s| (0..whole.count).map(move |h| (s, h))) {
        let matrix = whole.matrix(all, sample, head);
        let (past, rest) = matrix.split_at(before * whole.size);
        parts[0].extend_from_slice(past);
        given.add(&mut parts[1], sample, head, rest);
    }
    parts
}

fn by_type<T: Real>(op: Attention, reverse: &Reverse) -> Gradients {
    let [q, k, v] = [reverse.input(0)?, reverse.input(1)?, reverse.input(2)?];
    let queries = Heads::of(q, op.heads)?;
    let (given_keys, given_values) = (Heads::of(k, op.kv_heads)?, Heads::of(v, op.kv_heads)?);
    let results = Heads::of(reverse.output(0)?, op.heads)?;
    let call = reverse.call();
    let (ks, _) = cached::<T>(&call, k, given_keys, reverse.get(4))?;
    let (vs, _) = cached::<T>(&call, v, given_values, reverse.get(5))?;
    let columns = given_keys.len + reverse.get(4).map_or(0, |past| past.shape()[2]);
    let keys = Heads { len: columns, packed: false, ..given_keys };
    let values = Heads { len: columns, packed: false, ..given_values };
    let shares = scores(op, reverse, Scores::Probabilities)?;
    let capped = if op.softcap == 0.0 { None } else { Some(scores(op, reverse, Scores::Capped)?) };
    let rows = queries.len;
    let factor = op.scale.map_or_else(|| 1.0 / (queries.size as f64).sqrt(), f64::from);
    let (xs, gs) = (T::read(q), flow::<T>(reverse, 0));
    let (probabilities, capped) = (T::read(&shares), capped.as_ref().map(T::read));
    let mut sums = Sums {
        dq: vec![T::ZERO; q.len()],
        dk: flow::<T>(reverse, 1).map_or_else(|| vec![T::ZERO; ks.len()], std::borrow::Cow::into_owned),
        dv: flow::<T>(reverse, 2).map_or_else(|| vec![T::ZERO; vs.len()], std::borrow::Cow::into_owned),
        dmask: vec![T::ZERO; shares.len()],
    };
    // Scores that are an output have a gradient of their own.
    let of_scores = flow::<T>(reverse, 3);
    let kept = if of_scores.is_some() { Some(T::read(reverse.output(3)?)) } else { None };
    let add = |stage: Scores, at: usize, ds: &mut [T]| {
        let (Some(more), Some(kept)) = (&of_scores, &kept) else { return };
        if op.scores == stage {
            for ((d, &more), &score) in ds.iter_mut().zip(&more[at..]).zip(&kept[at..]) {
                // What is not seen is no number that could move.
                if score != T::NEG_INFINITY {
                    *d += more;
                }
            }
        }
    };
    let shared = (queries.count / keys.count.max(1)).max(1);
    for (sample, head) in (0..queries.n).flat_map(|s| (0..queries.count).map(move |h| (s, h))) {
        let at = (sample * queries.count + head) * rows * columns;
        let p = &probabilities[at..][..rows * columns];
        let mut ds = vec![T::ZERO; rows * columns];
        if let Some(gs) = &gs {
            let g = results.matrix(gs, sample, head);
            let turned = transposed(p, rows, columns);
            let part = times(&turned, &g, [columns, rows, values.size]);
            values.add(&mut sums.dv, sample, head / shared, &part);
            let v = transposed(&values.matrix(&vs, sample, head / shared), columns, values.size);
            ds = times(&g, &v, [rows, values.size, columns]);
        }
        add(Scores::Probabilities, at, &mut ds);
        for (ds, p) in ds.chunks_exact_mut(columns.max(1)).zip(p.chunks_exact(columns.max(1))) {
            let along: f64 = ds.iter().zip(p).map(|(d, p)| d.to_f64() * p.to_f64()).sum();
            ds.iter_mut().zip(p).for_each(|(d, &p)| *d = p * (*d - T::of_f64(along)));
        }
        add(Scores::Masked, at, &mut ds);
        sums.dmask[at..][..ds.len()].copy_from_slice(&ds);
        add(Scores::Capped, at, &mut ds);
        if let Some(capped) = &capped {
            let cap = f64::from(op.softcap);
            for (d, c) in ds.iter_mut().zip(&capped[at..]) {
                *d = T::of_f64(d.to_f64() * (1.0 - (c.to_f64() / cap).powi(2)));
            }
        }
        add(Scores::Products, at, &mut ds);
        for d in &mut ds {
            *d *= T::of_f64(factor);
        }
        let k = keys.matrix(&ks, sample, head / shared);
        queries.add(&mut sums.dq, sample, head, &times(&ds, &k, [rows, columns, keys.size]));
        let x = queries.matrix(&xs, sample, head);
        let turned = transposed(&ds, rows, columns);
        keys.add(&mut sums.dk, sample, head / shared, &times(&turned, &x, [columns, rows, keys.size]));
    }
    let Sums { dq, dk, dv, dmask } = sums;
    let [past_k, dk] = parted(&dk, keys, given_keys);
    let [past_v, dv] = parted(&dv, values, given_values);
    let mut all = [Some(dq), Some(dk), Some(dv), None, Some(past_k), Some(past_v)];
    reverse.each(|i| {
        let input = reverse.input(i)?;
        match all.get_mut(i).and_then(Option::take) {
            Some(values) => finish(input.shape(), values, input.dtype()).map(Some),
            None if i == 3 => {
                let mut shape = shares.shape().to_vec();
                let mut part = dmask.clone();
                let width = input.shape().last().copied().unwrap_or(1);
                if width > 1 && width < columns {
                    // Keys behind a mask that is shorter are not seen.
                    part = dmask.chunks_exact(columns).flat_map(|row| row[..width].iter().copied()).collect();
                    shape[3] = width;
                }
                sum_to(&finish(&shape, part, input.dtype())?, input.shape()).map(Some)
            }
            None => Err(format!("input {i} has no gradient rule").into()),
        }
    })
}

impl Backward for Attention {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let types = [reverse.input(0)?.dtype(), reverse.input(2)?.dtype()];
        let dtype = if types.contains(&DataType::F64) { DataType::F64 } else { types[0] };
        with_real!(dtype, T => by_type::<T>(*self, reverse))
    }
}

impl Backward for FlexAttention {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        self.attention().backward(reverse)
    }
}
