//! Scaled dot-product attention.

use oculist_graph::{Attention, DataType, FlexAttention, Scores, Tensor};
use oculist_kernels::{AttentionPlan, AttentionStart};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::gemm::{Size, transposed};
use crate::heads::Heads;
use crate::real::{Real, finish, round_to, with_real};

/// The most scores that are held at once where they are no output.
const SCORES: usize = 1 << 22;

/// Keys or values of every head, `[N, heads, past + positions, size]`.
pub(crate) fn cached<T: Real>(
    call: &Call,
    x: &Tensor,
    heads: Heads,
    past: Option<&Tensor>,
) -> Result<(Vec<T>, [usize; 4]), Problem> {
    let before = past.map_or(0, |p| p.shape()[2]);
    let shape = [heads.n, heads.count, before.saturating_add(heads.len), heads.size];
    call.room(x.dtype(), &shape)?;
    let (values, past) = (T::read(x), past.map(T::read));
    let mut all = Vec::with_capacity(shape.iter().product());
    for sample in 0..heads.n {
        for head in 0..heads.count {
            if let Some(past) = &past {
                let len = before * heads.size;
                all.extend_from_slice(&past[(sample * heads.count + head) * len..][..len]);
            }
            let (start, step) = heads.head(sample, head);
            for i in 0..heads.len {
                all.extend_from_slice(&values[start + i * step..][..heads.size]);
            }
        }
    }
    Ok((all, shape))
}

/// What is added to the scores of a query.
struct Mask<T> {
    /// Added values with minus infinity where a key is not seen, and their shape.
    values: Option<(Vec<T>, [usize; 4])>,
    /// How many positions lie before the first query, per sample.
    offsets: Vec<i64>,
    /// How many keys there are, per sample.
    valid: Option<Vec<i64>>,
    causal: bool,
    left: Option<usize>,
    right: Option<usize>,
}

impl<T: Real> Mask<T> {
    fn new(op: &Attention, call: &Call, n: usize, len: usize, past: usize) -> Result<Self, Problem> {
        let values = match call.get(3) {
            None => None,
            Some(mask) => {
                let mut shape = [1; 4];
                let rank = mask.shape().len();
                if rank == 0 || rank > 4 {
                    return Err(
                        format!("expected a mask of 1 to 4 dimensions, found {:?}", mask.shape()).into()
                    );
                }
                shape[4 - rank..].copy_from_slice(mask.shape());
                let mut values = T::read(mask).into_owned();
                if mask.dtype() == DataType::Bool {
                    for v in &mut *values {
                        *v = if *v == T::ZERO { T::NEG_INFINITY } else { T::ZERO };
                    }
                }
                Some((values, shape))
            }
        };
        let valid = call.ints(6)?;
        let offsets = match &valid {
            Some(valid) => valid.iter().map(|v| v.saturating_sub(len as i64)).collect(),
            None => vec![past as i64; n],
        };
        Ok(Self { values, offsets, valid, causal: op.causal, left: op.left, right: op.right })
    }

    /// Adds to the scores of query `i`; returns whether it sees any key.
    fn add(&self, sample: usize, head: usize, i: usize, scores: &mut [T]) -> bool {
        let total = scores.len() as i64;
        let position = (i as i64).saturating_add(self.offsets[sample]);
        let reach = |size: Option<usize>, none: i64, sign: i64| {
            size.map_or(none, |s| {
                position.saturating_add(i64::try_from(s).unwrap_or(i64::MAX).saturating_mul(sign))
            })
        };
        let first = reach(self.left, 0, -1).clamp(0, total);
        let mut end = reach(self.right, total, 1).saturating_add(i64::from(self.right.is_some()));
        if self.causal {
            end = end.min(position.saturating_add(1));
        }
        if let Some(valid) = &self.valid {
            end = end.min(valid[sample]);
        }
        let (first, mut end) = (first as usize, end.clamp(0, total) as usize);
        let mut seen = first < end;
        if let Some((values, [samples, heads, rows, columns])) = &self.values {
            let at = |size: usize, i: usize| if size == 1 { 0 } else { i };
            let row = (at(*samples, sample) * heads + at(*heads, head)) * rows + at(*rows, i);
            // Keys beyond a mask that is too short are not seen.
            end = end.min(*columns);
            seen = false;
            if first < end {
                for (score, &value) in scores[first..end].iter_mut().zip(&values[row * columns + first..]) {
                    *score += value;
                    seen |= value != T::NEG_INFINITY;
                }
            }
        }
        let end = end.max(first);
        scores[..first].fill(T::NEG_INFINITY);
        scores[end..].fill(T::NEG_INFINITY);
        seen
    }
}

/// `exp(x - max) / sum`; zeros where nothing is seen.
fn softmax<T: Real>(row: &mut [T]) {
    let max = row.iter().fold(T::NEG_INFINITY, |a, &b| a.larger(b));
    if max == T::NEG_INFINITY && row.iter().all(|&v| v == T::NEG_INFINITY) {
        row.fill(T::ZERO);
        return;
    }
    let mut sum = T::ZERO;
    for v in row.iter_mut() {
        *v = (*v - max).exp();
        sum += *v;
    }
    for v in &mut *row {
        *v /= sum;
    }
}

/// The softmax in the asked type.
fn softmax_in<T: Real>(row: &mut [T], dtype: DataType) {
    let wide = std::any::TypeId::of::<T>() == std::any::TypeId::of::<f64>();
    match dtype {
        DataType::F64 if !wide => {
            let mut copy: Vec<f64> = row.iter().map(|v| v.to_f64()).collect();
            softmax(&mut copy);
            row.iter_mut().zip(copy).for_each(|(v, w)| *v = T::of_f64(w));
        }
        DataType::F16 | DataType::BF16 => {
            round_to(row, dtype);
            softmax(row);
            round_to(row, dtype);
        }
        DataType::F32 if wide => {
            let mut copy: Vec<f32> = row.iter().map(|v| v.to_f64() as f32).collect();
            softmax(&mut copy);
            row.iter_mut().zip(copy).for_each(|(v, w)| *v = T::of_f32(w));
        }
        _ => softmax(row),
    }
}

fn attend<T: Real>(op: &Attention, call: &Call) -> Outcome {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let queries = Heads::of(q, op.heads)?;
    let (keys, key_shape) = cached::<T>(call, k, Heads::of(k, op.kv_heads)?, call.get(4))?;
    let (values, value_shape) = cached::<T>(call, v, Heads::of(v, op.kv_heads)?, call.get(5))?;
    let Heads { n, count: heads, len, size, packed } = queries;
    let [_, kv_heads, total, _] = key_shape;
    let value_size = value_shape[3];
    let shared = (heads / kv_heads.max(1)).max(1);
    let scale = op.scale.map_or_else(|| T::ONE / T::of_usize(size.max(1)).sqrt(), T::of_f32);
    let cap = T::of_f32(op.softcap);
    let shape =
        if packed { vec![n, len, heads.saturating_mul(value_size)] } else { vec![n, heads, len, value_size] };
    let mut y = vec![T::ZERO; call.room(q.dtype(), &shape)?];
    let mask = Mask::<T>::new(op, call, n, len, call.get(4).map_or(0, |p| p.shape()[2]))?;
    let q_values = T::read(q);
    let result = Heads { size: value_size, ..queries };
    let keep = call.outputs > 3;
    let scores_shape = [n, heads, len, total];
    let mut kept = vec![T::ZERO; if keep { call.room(q.dtype(), &scores_shape)? } else { 0 }];
    let step = (SCORES / total.max(1)).max(1).min(len.max(1));
    call.room(DataType::F64, &[step, total])?;
    let mut buffer = vec![T::ZERO; step * total];
    let precision =
        op.softmax.unwrap_or(if q.dtype() == DataType::F64 { DataType::F64 } else { DataType::F32 });
    let stages = [Scores::Products, Scores::Capped, Scores::Masked, Scores::Probabilities];
    let mut turned = Vec::new();
    for (sample, head) in (0..n).flat_map(|s| (0..heads).map(move |h| (s, h))) {
        let kv = sample * kv_heads + head / shared;
        if head % shared == 0 {
            turned = transposed(&keys[kv * total * size..][..total * size], total, size);
        }
        let value = &values[kv * total * value_size..][..total * value_size];
        let ((from, lda), (to, ldc)) = (queries.head(sample, head), result.head(sample, head));
        for first in (0..len).step_by(step) {
            let rows = step.min(len - first);
            let scores = &mut buffer[..rows * total];
            let products = Size { m: rows, n: total, k: size, lda, ldb: total, ldc: total };
            T::matmul(call.ctx, products, &q_values[from + first * lda..], &turned, scores);
            for stage in stages {
                call.ctx.for_pieces(scores, total, |i, row| match stage {
                    Scores::Products => row.iter_mut().for_each(|v| *v *= scale),
                    Scores::Capped if op.softcap > 0.0 => {
                        for v in row {
                            *v = (*v / cap).tanh() * cap;
                        }
                    }
                    Scores::Capped => {}
                    Scores::Masked => {
                        if !mask.add(sample, head, first + i, row) {
                            row.fill(T::NEG_INFINITY);
                        }
                    }
                    Scores::Probabilities => softmax_in(row, precision),
                });
                if keep && op.scores == stage {
                    let at = ((sample * heads + head) * len + first) * total;
                    kept[at..at + rows * total].copy_from_slice(scores);
                }
            }
            let sums = Size { m: rows, n: value_size, k: total, lda: total, ldb: value_size, ldc };
            if value_size > 0 {
                T::matmul(call.ctx, sums, scores, value, &mut y[to + first * ldc..]);
            }
        }
    }
    let mut results = vec![finish(&shape, y, q.dtype())?];
    if call.outputs > 1 {
        results.push(finish(&key_shape, keys, k.dtype())?);
        results.push(finish(&value_shape, values, v.dtype())?);
    }
    if keep {
        results.push(finish(&scores_shape, kept, q.dtype())?);
    }
    Ok(results)
}

/// Attention in 32-bit floats whose scores nobody asks for, cut by no window and no cap: the kernels' way. `None` where
/// something else is asked for.
fn fast(op: &Attention, call: &Call) -> Result<Option<Vec<Tensor>>, Problem> {
    let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
    let plain = op.softcap == 0.0 && op.left.is_none() && op.right.is_none() && call.get(6).is_none();
    let narrow = matches!(op.softmax, None | Some(DataType::F32)) && call.outputs <= 3;
    let (Some(q_values), DataType::F32, DataType::F32) = (q.as_f32(), k.dtype(), v.dtype()) else {
        return Ok(None);
    };
    if !plain || !narrow {
        return Ok(None);
    }
    let queries = Heads::of(q, op.heads)?;
    let past = call.get(4).map_or(0, |p| p.shape()[2]);
    let Heads { n, count: heads, len, size, packed } = queries;
    let mask = Mask::<f32>::new(op, call, n, len, past)?;
    let (keys, key_shape) = cached::<f32>(call, k, Heads::of(k, op.kv_heads)?, call.get(4))?;
    let (values, value_shape) = cached::<f32>(call, v, Heads::of(v, op.kv_heads)?, call.get(5))?;
    let [_, kv_heads, total, _] = key_shape;
    let value_size = value_shape[3];
    // A mask of fewer columns than keys hides the others.
    if mask.values.as_ref().is_some_and(|(_, shape)| shape[3] != total) || value_shape[2] != total {
        return Ok(None);
    }
    let shape =
        if packed { vec![n, len, heads.saturating_mul(value_size)] } else { vec![n, heads, len, value_size] };
    let mut y = vec![0.0; call.room(q.dtype(), &shape)?];
    let result = Heads { size: value_size, ..queries };
    let (shared, at) =
        ((heads / kv_heads.max(1)).max(1), |size: usize, i: usize| if size == 1 { 0 } else { i });
    let mut starts = Vec::with_capacity(n.saturating_mul(heads).min(1 << 20));
    for (sample, head) in (0..n).flat_map(|s| (0..heads).map(move |h| (s, h))) {
        let kv = sample * kv_heads + head / shared;
        starts.push(AttentionStart {
            q: queries.head(sample, head).0,
            k: kv * total * size,
            v: kv * total * value_size,
            y: result.head(sample, head).0,
            mask: mask.values.as_ref().map_or(0, |(_, [samples, heads, rows, columns])| {
                (at(*samples, sample) * heads + at(*heads, head)) * rows * columns
            }),
        });
    }
    let kernel = oculist_kernels::Attention {
        queries: len,
        keys: total,
        dim: size,
        value_dim: value_size,
        strides: [queries.head(0, 0).1, size, value_size, result.head(0, 0).1],
        mask_stride: mask.values.as_ref().map_or(0, |(_, shape)| if shape[2] == 1 { 0 } else { shape[3] }),
        scale: op.scale.unwrap_or_else(|| 1.0 / (size.max(1) as f32).sqrt()),
        causal: op.causal.then_some(past),
    };
    let Ok(plan) = AttentionPlan::new(call.ctx, kernel, &starts) else { return Ok(None) };
    call.room(DataType::F32, &[plan.scratch_len()])?;
    let mut scratch = vec![0.0; plan.scratch_len()];
    let added = mask.values.as_ref().map(|(values, _)| &values[..]);
    plan.run(call.ctx, [q_values, &keys, &values], added, &mut y, &mut scratch);
    let mut results = vec![finish(&shape, y, DataType::F32)?];
    if call.outputs > 1 {
        results.push(finish(&key_shape, keys, k.dtype())?);
        results.push(finish(&value_shape, values, v.dtype())?);
    }
    Ok(Some(results))
}

impl Forward for Attention {
    fn forward(&self, call: &Call) -> Outcome {
        if let Some(results) = fast(self, call)? {
            return Ok(results);
        }
        // Values of f64 are not made narrower by queries of f32.
        let types = [call.input(0)?.dtype(), call.input(2)?.dtype()];
        let dtype = if types.contains(&DataType::F64) { DataType::F64 } else { types[0] };
        with_real!(dtype, T => attend::<T>(self, call))
    }
}

impl Forward for FlexAttention {
    fn forward(&self, call: &Call) -> Outcome {
        self.attention().forward(call)
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    fn apply(op: Attention, inputs: &[Option<&Tensor>], outputs: usize) -> Vec<Tensor> {
        evaluate(&Context::new(2).unwrap(), &Op::from(op), inputs, outputs).unwrap()
    }

    fn close(found: &Tensor, expected: &[f32]) {
        let found = found.as_f32().unwrap();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{found:?} {expected:?}");
        }
    }

    /// Keys of zero give every visible key the same weight, so that results are means of values.
    #[test]
    fn who_sees_which_key() {
        let (q, k) = (Tensor::filled(&[1, 1, 3, 2], 1.0), Tensor::filled(&[1, 1, 3, 2], 0.0));
        let v = Tensor::f32(&[1, 1, 3, 1], vec![1.0, 2.0, 6.0]);
        let of = |op: Attention, mask: Option<&Tensor>| {
            apply(op, &[Some(&q), Some(&k), Some(&v), mask], 1).remove(0)
        };
        close(&of(Attention::PLAIN, None), &[3.0, 3.0, 3.0]);
        close(&of(Attention { causal: true, ..Attention::PLAIN }, None), &[1.0, 1.5, 3.0]);
        close(&of(Attention { left: Some(1), right: Some(0), ..Attention::PLAIN }, None), &[1.0, 1.5, 4.0]);
        // A row without any key is zero; keys behind a short mask are not seen.
        let mask = Tensor::new(
            vec![3, 2],
            oculist_graph::TensorData::Bool(vec![true, true, false, true, false, false]),
        );
        close(&of(Attention::PLAIN, Some(&mask.unwrap())), &[1.5, 2.0, 0.0]);
    }

    #[test]
    fn the_past_stands_in_front_and_heads_are_shared() {
        let q = Tensor::filled(&[1, 2, 1, 1], 1.0);
        let (k, v) = (Tensor::filled(&[1, 1, 1, 1], 0.0), Tensor::filled(&[1, 1, 1, 1], 4.0));
        let (past_k, past_v) = (Tensor::filled(&[1, 1, 1, 1], 0.0), Tensor::filled(&[1, 1, 1, 1], 2.0));
        let op = Attention { causal: true, ..Attention::PLAIN };
        let found = apply(op, &[Some(&q), Some(&k), Some(&v), None, Some(&past_k), Some(&past_v)], 4);
        close(&found[0], &[3.0, 3.0]);
        assert_eq!(found[2], Tensor::f32(&[1, 1, 2, 1], vec![2.0, 4.0]));
        assert_eq!(found[3].shape(), [1, 2, 1, 2]);
    }

    #[test]
    fn scores_are_kept_from_the_asked_stage() {
        let (q, k) = (Tensor::f32(&[1, 1, 1, 1], vec![2.0]), Tensor::f32(&[1, 1, 2, 1], vec![1.0, 3.0]));
        let mask = Tensor::f32(&[1, 2], vec![0.0, -1.0]);
        let cap = 4.0f32;
        let capped = [cap * 0.5f32.tanh(), cap * 1.5f32.tanh()];
        let rest = 1.0 / (1.0 + (capped[1] - 1.0 - capped[0]).exp());
        let stages = [
            (Scores::Products, [2.0, 6.0]),
            (Scores::Capped, capped),
            (Scores::Masked, [capped[0], capped[1] - 1.0]),
            (Scores::Probabilities, [rest, 1.0 - rest]),
        ];
        for (scores, expected) in stages {
            let op = Attention { scores, softcap: cap, ..Attention::PLAIN };
            close(&apply(op, &[Some(&q), Some(&k), Some(&k), Some(&mask)], 4)[3], &expected);
        }
    }
}
