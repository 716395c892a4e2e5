//! Scaled dot-product attention.

use oculist_graph::{Attention, Op, Scores, Tensor};

use super::broadcast::sum_to;
use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::gemm::{Size, block, transposed};
use crate::heads::Heads;
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

fn by_type<T: Real>(op: Attention, reverse: &Reverse) -> Gradients {
    let [q, k, v] = [reverse.input(0)?, reverse.input(1)?, reverse.input(2)?];
    let dy = reverse.only()?;
    let queries = Heads::of(q, op.heads)?;
    let (keys, values) = (Heads::of(k, op.kv_heads)?, Heads::of(v, op.kv_heads)?);
    let results = Heads::of(dy, op.heads)?;
    let shares = scores(op, reverse, Scores::Probabilities)?;
    let capped = if op.softcap == 0.0 { None } else { Some(scores(op, reverse, Scores::Capped)?) };
    let (rows, columns) = (queries.len, keys.len);
    let factor = op.scale.map_or_else(|| 1.0 / (queries.size as f64).sqrt(), f64::from);
    let (xs, ks, vs, gs) = (T::read(q), T::read(k), T::read(v), T::read(dy));
    let (probabilities, capped) = (T::read(&shares), capped.as_ref().map(T::read));
    let zeros = |t: &Tensor| vec![T::ZERO; t.len()];
    let (mut dq, mut dk, mut dv) = (zeros(q), zeros(k), zeros(v));
    let mut dmask = zeros(&shares);
    let shared = (queries.count / keys.count.max(1)).max(1);
    for sample in 0..queries.n {
        for head in 0..queries.count {
            let at = (sample * queries.count + head) * rows * columns;
            let p = &probabilities[at..][..rows * columns];
            let g = results.matrix(&gs, sample, head);
            let turned = transposed(p, rows, columns);
            values.add(&mut dv, sample, head / shared, &times(&turned, &g, [columns, rows, values.size]));
            let v = transposed(&values.matrix(&vs, sample, head / shared), columns, values.size);
            let mut ds = times(&g, &v, [rows, values.size, columns]);
            for (ds, p) in ds.chunks_exact_mut(columns.max(1)).zip(p.chunks_exact(columns.max(1))) {
                let along: f64 = ds.iter().zip(p).map(|(d, p)| d.to_f64() * p.to_f64()).sum();
                ds.iter_mut().zip(p).for_each(|(d, &p)| *d = p * (*d - T::of_f64(along)));
            }
            dmask[at..][..ds.len()].copy_from_slice(&ds);
            if let Some(capped) = &capped {
                let cap = f64::from(op.softcap);
                for (d, c) in ds.iter_mut().zip(&capped[at..]) {
                    *d = T::of_f64(d.to_f64() * (1.0 - (c.to_f64() / cap).powi(2)));
                }
            }
            for d in &mut ds {
                *d *= T::of_f64(factor);
            }
            let k = keys.matrix(&ks, sample, head / shared);
            queries.add(&mut dq, sample, head, &times(&ds, &k, [rows, columns, keys.size]));
            let x = queries.matrix(&xs, sample, head);
            let turned = transposed(&ds, rows, columns);
            keys.add(&mut dk, sample, head / shared, &times(&turned, &x, [columns, rows, keys.size]));
        }
    }
    let mut all = [Some(dq), Some(dk), Some(dv)];
    reverse.each(|i| {
        let input = reverse.input(i)?;
        match all.get_mut(i).and_then(Option::take) {
            Some(values) => finish(input.shape(), values, input.dtype()).map(Some),
            // A mask that is shorter than the keys has no rule.
            None if i == 3 && input.shape().last().is_some_and(|&d| d == 1 || d == columns) => {
                let whole = finish(shares.shape(), dmask.clone(), input.dtype())?;
                sum_to(&whole, input.shape()).map(Some)
            }
            None => Err(format!("input {i} has no gradient rule").into()),
        }
    })
}

impl Backward for Attention {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        if reverse.get(4).is_some() || reverse.get(5).is_some() {
            return Err("keys and values of the past have no gradient rule".into());
        }
        let dtype = reverse.input(0)?.dtype();
        with_real!(dtype, T => by_type::<T>(*self, reverse))
    }
}
