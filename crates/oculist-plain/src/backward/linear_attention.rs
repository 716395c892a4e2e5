//! Linear attention and causal convolution: back through the state, from the last position to the first.

use oculist_graph::{CausalConvWithState, DataType, LinearAttention, Tensor};

use super::{Backward, Gradients, Reverse};
use crate::call::Problem;
use crate::op::grid::{of_reals, reals};

/// The gradients of the inputs, in their order, in the inputs' types.
fn finished(reverse: &Reverse, all: &mut [Vec<f64>]) -> Gradients {
    reverse.each(|i| {
        let input = reverse.input(i)?;
        let values = all.get_mut(i).map(std::mem::take).unwrap_or_default();
        of_reals(values, input.shape().to_vec(), input.dtype()).map(Some)
    })
}

/// The numbers of an input or of a gradient, if it is there.
fn some(tensor: Option<&Tensor>) -> Result<Option<Vec<f64>>, Problem> {
    tensor.map(reals).transpose()
}

impl Backward for LinearAttention {
    /// The states of all positions of a head are computed anew and kept while it is gone through.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (q, k, v) = (reverse.input(0)?, reverse.input(1)?, reverse.input(2)?);
        let &[n, len, hidden] = q.shape() else {
            return Err(format!("expected q of 3 dimensions, found {:?}", q.shape()).into());
        };
        let (heads, group) = (self.kv_heads, self.heads / self.kv_heads);
        let (d_k, d_v) = (hidden / self.heads, v.shape()[2] / heads);
        let size = d_k * d_v;
        reverse.call().room(DataType::F64, &[len.saturating_add(2), size])?;
        let scale = if self.scale == 0.0 { 1.0 / (d_k.max(1) as f64).sqrt() } else { f64::from(self.scale) };
        let last = |i: usize| reverse.get(i).map_or(0, |t| t.shape()[2]);
        let (decays, rates) = (last(4), last(5));
        let [queries, keys, values] = [reals(q)?, reals(k)?, reals(v)?];
        let [past, decay, beta] = [some(reverse.get(3))?, some(reverse.get(4))?, some(reverse.get(5))?];
        let (dy, dstate) = (some(reverse.gradient_of(0))?, some(reverse.gradient_of(1))?);
        let mut all: Vec<Vec<f64>> =
            (0..6).map(|i| vec![0.0; reverse.get(i).map_or(0, Tensor::len)]).collect();
        for (sample, head) in (0..n).flat_map(|s| (0..heads).map(move |h| (s, h))) {
            let from = (sample * heads + head) * size;
            // Places of a position's numbers.
            let at_key = |t: usize| ((sample * len + t) * heads + head) * d_k;
            let at_value = |t: usize| ((sample * len + t) * heads + head) * d_v;
            let at_decay = |t: usize, d: usize| {
                (sample * len + t) * decays + if decays == heads { head } else { head * d_k + d }
            };
            let at_beta = |t: usize| (sample * len + t) * rates + if rates == 1 { 0 } else { head };
            let factor = |t: usize, d: usize| decay.as_ref().map_or(1.0, |g| g[at_decay(t, d)].exp());
            // What is added with a key, before it is multiplied by beta: the value less what the decayed state holds.
            let rest = |t: usize, decayed: &[f64]| -> Vec<f64> {
                let held =
                    |e: usize| -> f64 { (0..d_k).map(|d| decayed[d * d_v + e] * keys[at_key(t) + d]).sum() };
                let corrects = self.rule.corrects();
                (0..d_v).map(|e| values[at_value(t) + e] - if corrects { held(e) } else { 0.0 }).collect()
            };
            let decayed = |t: usize, state: &[f64]| -> Vec<f64> {
                (0..size).map(|i| state[i] * factor(t, i / d_v)).collect()
            };
            let mut states = Vec::with_capacity((len + 1) * size);
            match &past {
                Some(past) => states.extend_from_slice(&past[from..from + size]),
                None => states.resize(size, 0.0),
            }
            for t in 0..len {
                let before = decayed(t, &states[t * size..]);
                let rate = beta.as_ref().map_or(1.0, |b| b[at_beta(t)]);
                let rest = rest(t, &before);
                states
                    .extend((0..size).map(|i| before[i] + keys[at_key(t) + i / d_v] * rate * rest[i % d_v]));
            }
            let mut ds = dstate.as_ref().map_or_else(|| vec![0.0; size], |d| d[from..from + size].to_vec());
            for t in (0..len).rev() {
                let state = &states[(t + 1) * size..][..size];
                if let Some(dy) = &dy {
                    for head in head * group..(head + 1) * group {
                        let query = ((sample * len + t) * self.heads + head) * d_k;
                        let flow = &dy[((sample * len + t) * self.heads + head) * d_v..][..d_v];
                        for d in 0..d_k {
                            for (e, g) in flow.iter().enumerate() {
                                ds[d * d_v + e] += scale * queries[query + d] * g;
                                all[0][query + d] += scale * state[d * d_v + e] * g;
                            }
                        }
                    }
                }
                let before = decayed(t, &states[t * size..]);
                let rate = beta.as_ref().map_or(1.0, |b| b[at_beta(t)]);
                let rest = rest(t, &before);
                for e in 0..d_v {
                    let flow: f64 = (0..d_k).map(|d| ds[d * d_v + e] * keys[at_key(t) + d]).sum();
                    for d in 0..d_k {
                        all[1][at_key(t) + d] += ds[d * d_v + e] * rate * rest[e];
                    }
                    if beta.is_some() {
                        all[5][at_beta(t)] += flow * rest[e];
                    }
                    all[2][at_value(t) + e] += rate * flow;
                    if self.rule.corrects() {
                        for d in 0..d_k {
                            all[1][at_key(t) + d] -= rate * flow * before[d * d_v + e];
                            ds[d * d_v + e] -= keys[at_key(t) + d] * rate * flow;
                        }
                    }
                }
                if decay.is_some() {
                    for i in 0..size {
                        all[4][at_decay(t, i / d_v)] += ds[i] * before[i];
                        ds[i] *= factor(t, i / d_v);
                    }
                }
            }
            if past.is_some() {
                all[3][from..from + size].copy_from_slice(&ds);
            }
        }
        finished(reverse, &mut all)
    }
}

impl Backward for CausalConvWithState {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, w) = (reverse.input(0)?, reverse.input(1)?);
        let &[n, c, len] = x.shape() else {
            return Err(format!("expected x of 3 dimensions, found {:?}", x.shape()).into());
        };
        let k = w.shape()[2];
        let before = k.saturating_sub(1);
        reverse.call().room(DataType::F64, &[n, c, len.saturating_add(before)])?;
        let (values, weight) = (reals(x)?, reals(w)?);
        let [bias, past] = [some(reverse.get(2))?, some(reverse.get(3))?];
        let (dy, dstate) = (some(reverse.gradient_of(0))?, some(reverse.gradient_of(1))?);
        let mut all: Vec<Vec<f64>> =
            (0..4).map(|i| vec![0.0; reverse.get(i).map_or(0, Tensor::len)]).collect();
        for i in 0..n * c {
            let mut line =
                past.as_ref().map_or_else(|| vec![0.0; before], |p| p[i * before..][..before].to_vec());
            line.extend_from_slice(&values[i * len..][..len]);
            let kernel = &weight[i % c * k..][..k];
            let mut dline = vec![0.0; line.len()];
            if let Some(dstate) = &dstate {
                dline[len..].copy_from_slice(&dstate[i * before..][..before]);
            }
            for t in 0..if dy.is_some() { len } else { 0 } {
                let mut flow = dy.as_ref().map_or(0.0, |dy| dy[i * len + t]);
                if self.silu {
                    let sum: f64 = line[t..].iter().zip(kernel).map(|(x, w)| x * w).sum();
                    let z = sum + bias.as_ref().map_or(0.0, |b| b[i % c]);
                    let sigmoid = 1.0 / (1.0 + (-z).exp());
                    flow *= sigmoid * (1.0 + z * (1.0 - sigmoid));
                }
                for (j, w) in kernel.iter().enumerate() {
                    dline[t + j] += flow * w;
                    all[1][i % c * k + j] += flow * line[t + j];
                }
                if let Some(d) = all[2].get_mut(i % c) {
                    *d += flow;
                }
            }
            all[0][i * len..][..len].copy_from_slice(&dline[before..]);
            if past.is_some() {
                all[3][i * before..][..before].copy_from_slice(&dline[..before]);
            }
        }
        finished(reverse, &mut all)
    }
}
