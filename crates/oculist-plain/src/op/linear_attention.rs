//! Linear attention and causal convolution, which hand a state on.

use oculist_graph::{CausalConvWithState, LinearAttention, Tensor};

use crate::call::{Call, Forward, Outcome};
use crate::real::{Real, finish, round_to};

impl Forward for LinearAttention {
    fn forward(&self, call: &Call) -> Outcome {
        let (q, k, v) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let &[n, len, hidden] = q.shape() else {
            return Err(format!("expected q of 3 dimensions, found {:?}", q.shape()).into());
        };
        let (d_k, d_v) = (hidden / self.heads, v.shape()[2] / self.kv_heads);
        let group = self.heads / self.kv_heads;
        let state_shape = [n, self.kv_heads, d_k, d_v];
        let state_len = d_k.saturating_mul(d_v);
        call.room(q.dtype(), &state_shape)?;
        let shape = [n, len, self.heads.saturating_mul(d_v)];
        call.room(q.dtype(), &shape)?;
        let (queries, keys, values) = (f32::read(q), f32::read(k), f32::read(v));
        let (past, decay, beta) = (call.get(3).map(f32::read), call.get(4), call.get(5));
        let decay = decay.map(|d| (f32::read(d), d.shape()[2]));
        let beta = beta.map(|b| (f32::read(b), b.shape()[2]));
        let scale = if self.scale == 0.0 { 1.0 / (d_k.max(1) as f32).sqrt() } else { self.scale };
        // For each head of keys its results, then its state.
        let results = group * len * d_v;
        let mut work = vec![0.0f32; n * self.kv_heads * (results + state_len)];
        call.ctx.for_pieces(&mut work, results + state_len, |i, part| {
            let (sample, head) = (i / self.kv_heads, i % self.kv_heads);
            let (out, state) = part.split_at_mut(results);
            if let Some(past) = &past {
                state.copy_from_slice(&past[i * state_len..][..state_len]);
            }
            for t in 0..len {
                let at = sample * len + t;
                let key = &keys[(at * self.kv_heads + head) * d_k..][..d_k];
                let mut value = values[(at * self.kv_heads + head) * d_v..][..d_v].to_vec();
                if let Some((decay, last)) = &decay {
                    for (d, row) in state.chunks_mut(d_v.max(1)).enumerate() {
                        let within = if *last == self.kv_heads { head } else { head * d_k + d };
                        let factor = decay[at * last + within].exp();
                        for s in &mut *row {
                            *s *= factor;
                        }
                    }
                }
                if let Some((beta, last)) = &beta {
                    let rate = beta[at * last + if *last == 1 { 0 } else { head }];
                    for (row, &k) in state.chunks(d_v.max(1)).zip(key) {
                        value.iter_mut().zip(row).for_each(|(v, &s)| *v -= s * k);
                    }
                    for v in &mut value {
                        *v *= rate;
                    }
                }
                for (row, &k) in state.chunks_mut(d_v.max(1)).zip(key) {
                    row.iter_mut().zip(&value).for_each(|(s, &v)| *s += k * v);
                }
                for g in 0..group {
                    let query = &queries[(at * self.heads + head * group + g) * d_k..][..d_k];
                    let line = &mut out[(g * len + t) * d_v..][..d_v];
                    for (row, &q) in state.chunks(d_v.max(1)).zip(query) {
                        line.iter_mut().zip(row).for_each(|(y, &s)| *y += q * s);
                    }
                    for y in &mut *line {
                        *y *= scale;
                    }
                }
            }
        });
        let mut y = vec![0.0f32; shape.iter().product()];
        let mut state = Vec::with_capacity(state_shape.iter().product());
        for (i, part) in work.chunks((results + state_len).max(1)).enumerate() {
            let (sample, head) = (i / self.kv_heads, i % self.kv_heads);
            let (out, last) = part.split_at(results);
            state.extend_from_slice(last);
            for (j, line) in out.chunks(d_v.max(1)).enumerate() {
                let (g, t) = (j / len, j % len);
                let to = ((sample * len + t) * self.heads + head * group + g) * d_v;
                y[to..to + d_v].copy_from_slice(line);
            }
        }
        let of_state = call.get(3).map_or(q.dtype(), Tensor::dtype);
        Ok(vec![finish(&shape, y, q.dtype())?, finish(&state_shape, state, of_state)?])
    }
}

impl Forward for CausalConvWithState {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, w) = (call.input(0)?, call.input(1)?);
        let &[n, c, len] = x.shape() else {
            return Err(format!("expected x of 3 dimensions, found {:?}", x.shape()).into());
        };
        let before = w.shape()[2].saturating_sub(1);
        let state_shape = [n, c, before];
        call.room(x.dtype(), &[n, c, len.saturating_add(before)])?;
        call.room(x.dtype(), &state_shape)?;
        let (values, weight) = (f32::read(x), f32::read(w));
        let (bias, past) = (call.get(2).map(f32::read), call.get(3).map(f32::read));
        let mut y = vec![0.0f32; n * c * len];
        let mut state = Vec::with_capacity(n * c * before);
        for i in 0..n * c {
            let mut line = match &past {
                Some(past) => past[i * before..][..before].to_vec(),
                None => vec![0.0; before],
            };
            line.extend_from_slice(&values[i * len..][..len]);
            let kernel = &weight[i % c * (before + 1)..][..=before];
            let bias = bias.as_ref().map_or(0.0, |b| b[i % c]);
            for (t, y) in y[i * len..][..len].iter_mut().enumerate() {
                *y = bias + line[t..].iter().zip(kernel).map(|(x, w)| x * w).sum::<f32>();
            }
            state.extend_from_slice(&line[len..]);
        }
        if self.silu {
            // The convolution ends in the type of `x`.
            round_to(&mut y, x.dtype());
            for v in &mut y {
                *v /= 1.0 + (-*v).exp();
            }
        }
        Ok(vec![finish(x.shape(), y, x.dtype())?, finish(&state_shape, state, x.dtype())?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Op, UpdateRule};
    use oculist_kernels::Context;

    use super::*;
    use crate::evaluate;

    /// One head of size 1: the state is a number.
    #[test]
    fn rules_of_the_state() {
        let line = |values: &[f32]| Tensor::f32(&[1, values.len(), 1], values.to_vec());
        let (q, k, v) = (line(&[1.0, 2.0]), line(&[1.0, 3.0]), line(&[2.0, 1.0]));
        let decay = line(&[0.0, 0.5f32.ln()]);
        let beta = line(&[0.5, 0.5]);
        let cases = [
            (UpdateRule::Linear, [2.0, 5.0]),
            (UpdateRule::Gated, [2.0, 4.0]),
            // 0.5 * 2, then 1 + 0.5 * 3 * (1 - 3 * 1).
            (UpdateRule::Delta, [1.0, -2.0]),
            // The same with the state halved before: 0.5 + 0.5 * 3 * (1 - 3 * 0.5).
            (UpdateRule::GatedDelta, [1.0, -0.25]),
        ];
        for (rule, states) in cases {
            let op = Op::from(LinearAttention { heads: 1, kv_heads: 1, scale: 1.0, rule });
            let inputs = [
                Some(&q),
                Some(&k),
                Some(&v),
                None,
                rule.decays().then_some(&decay),
                rule.corrects().then_some(&beta),
            ];
            let found = evaluate(&Context::new(1).unwrap(), &op, &inputs, 2).unwrap();
            let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{rule:?}: {a} and {b}");
            close(found[1].as_f32().unwrap()[0], states[1]);
            close(found[0].as_f32().unwrap()[0], states[0]);
            close(found[0].as_f32().unwrap()[1], 2.0 * states[1]);
        }
    }

    #[test]
    fn a_convolution_in_two_calls_is_one_call() {
        let w = Tensor::f32(&[1, 1, 3], vec![1.0, 10.0, 100.0]);
        let op = Op::from(CausalConvWithState { silu: false });
        let apply = |x: &[f32], state: Option<&Tensor>| {
            let x = Tensor::f32(&[1, 1, x.len()], x.to_vec());
            evaluate(&Context::new(1).unwrap(), &op, &[Some(&x), Some(&w), None, state], 2).unwrap()
        };
        assert_eq!(apply(&[1.0, 2.0, 3.0], None)[0].as_f32().unwrap(), [100.0, 210.0, 321.0]);
        let first = apply(&[1.0], None);
        assert_eq!(first[1].as_f32().unwrap(), [0.0, 1.0]);
        assert_eq!(apply(&[2.0, 3.0], Some(&first[1]))[0].as_f32().unwrap(), [210.0, 321.0]);
    }
}
