//! Scaled dot-product attention.

use std::borrow::Cow;

use oculist_graph::{Attention, DataType, FlexAttention, Scores, Tensor};
use oculist_kernels::{AttentionPlan, AttentionStart};

use crate::call::{Call, Forward, Outcome, Problem};
use crate::gemm::{Size, transposed};
use crate::real::{Real, finish, round_to, with_real};

/// The most scores that are held at once where they are no output.
const SCORES: usize = 1 << 22;

/// Samples, heads, positions and size of a head of a value.
#[derive(Debug, Clone, Copy)]
struct Heads {
    n: usize,
    heads: usize,
    len: usize,
    size: usize,
    /// Whether heads lie side by side within a position, otherwise positions within a head.
    packed: bool,
}

impl Heads {
    fn of(x: &Tensor, heads: Option<usize>) -> Result<Self, Problem> {
        match (x.shape(), heads) {
            (&[n, heads, len, size], _) => Ok(Self { n, heads, len, size, packed: false }),
            (&[n, len, hidden], Some(heads)) if heads > 0 => {
                Ok(Self { n, heads, len, size: hidden / heads, packed: true })
            }
            (shape, _) => {
                Err(format!("expected 3 dimensions and a number of heads, or 4, found {shape:?}").into())
            }
        }
    }

    /// First element of a head and the distance from one of its positions to the next.
    fn head(&self, sample: usize, head: usize) -> (usize, usize) {
        if self.packed {
            (sample * self.len * self.heads * self.size + head * self.size, self.heads * self.size)
        } else {
            ((sample * self.heads + head) * self.len * self.size, self.size)
        }
    }
}

/// Keys or values of every head, `[N, heads, past + positions, size]`.
fn cached<T: Real>(
    call: &Call,
    x: &Tensor,
    heads: Heads,
    past: Option<&Tensor>,
) -> Result<(Vec<T>, [usize; 4]), Problem> {
    let before = past.map_or(0, |p| p.shape()[2]);
    let shape = [heads.n, heads.heads, before.saturating_add(heads.len), heads.size];
    call.room(x.dtype(), &shape)?;
    let (values, past) = (T::read(x), past.map(T::read));
    let mut all = Vec::with_capacity(shape.iter().product());
    for sample in 0..heads.n {
        for head in 0..heads.heads {
            if let Some(past) = &past {
                let len = before * heads.size;
                all.extend_from_slice(&past[(sample * heads.heads + head) * len..][..len]);
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
                    values
                        .iter_mut()
                        .for_each(|v| *v = if *v == T::ZERO { T::NEG_INFINITY } else { T::ZERO });
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
    row.iter_mut().for_each(|v| *v = *v / sum);
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
    let Heads { n, heads, len, size, packed } = queries;
    let [_, kv_heads, total, _] = key_shape;
    let value_size = value_shape[3];
    let shared = (heads / kv_heads.max(1)).max(1);
    let mut scale = op.scale.map_or_else(|| T::ONE / T::of_usize(size.max(1)).sqrt(), T::of_f32);
    let cap = T::of_f32(op.softcap);
    let shape =
        if packed { vec![n, len, heads.saturating_mul(value_size)] } else { vec![n, heads, len, value_size] };
    let mut y = vec![T::ZERO; call.room(q.dtype(), &shape)?];
    let mask = Mask::<T>::new(op, call, n, len, call.get(4).map_or(0, |p| p.shape()[2]))?;
    // ONNX stores every stage in the type of the queries, which half-width types feel: queries and keys are then scaled
    // before their product, each by the root.
    let half = matches!(q.dtype(), DataType::F16 | DataType::BF16);
    let mut q_values = T::read(q);
    let mut scaled_keys = Cow::Borrowed(&keys);
    if half && scale > T::ZERO {
        let mut root = [scale.sqrt()];
        round_to(&mut root, q.dtype());
        for values in [q_values.to_mut(), scaled_keys.to_mut()] {
            values.iter_mut().for_each(|v| *v = *v * root[0]);
            round_to(values, q.dtype());
        }
        scale = T::ONE;
    }
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
            turned = transposed(&scaled_keys[kv * total * size..][..total * size], total, size);
        }
        let value = &values[kv * total * value_size..][..total * value_size];
        let ((from, lda), (to, ldc)) = (queries.head(sample, head), result.head(sample, head));
        for first in (0..len).step_by(step) {
            let rows = step.min(len - first);
            let scores = &mut buffer[..rows * total];
            let products = Size { m: rows, n: total, k: size, lda, ldb: total, ldc: total };
            T::matmul(call.ctx, products, &q_values[from + first * lda..], &turned, scores);
            for stage in stages {
                call.ctx.for_pieces(scores, total, |i, row| {
                    match stage {
                        Scores::Products => row.iter_mut().for_each(|v| *v = *v * scale),
                        Scores::Capped if op.softcap > 0.0 => {
                            row.iter_mut().for_each(|v| *v = (*v / cap).tanh() * cap);
                        }
                        Scores::Capped => return,
                        Scores::Masked => {
                            if !mask.add(sample, head, first + i, row) {
                                row.fill(T::NEG_INFINITY);
                            }
                        }
                        Scores::Probabilities => softmax_in(row, precision),
                    }
                    if half {
                        round_to(row, q.dtype());
                    }
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
    let Heads { n, heads, len, size, packed } = queries;
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
