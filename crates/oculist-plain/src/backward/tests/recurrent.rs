//! Operators that hand a state on. They take no f64, so their gradients are compared with differences of loops in f64 that
//! are written here from the formulas.

use oculist_graph::{CausalConvWithState, LinearAttention, Op, Tensor, TensorData, UpdateRule};
use oculist_kernels::Context;

use super::noise;

/// The inputs in their order.
type Inputs = Vec<Option<(Vec<usize>, Vec<f64>)>>;

/// Numbers that f32 holds exactly.
fn numbers(seed: u64, shape: &[usize]) -> Option<(Vec<usize>, Vec<f64>)> {
    let n = shape.iter().product();
    Some((shape.to_vec(), noise(seed, n).into_iter().map(|v| f64::from(v as f32 * 0.5)).collect()))
}

fn tensor(shape: &[usize], values: &[f64]) -> Tensor {
    Tensor::new(shape.to_vec(), TensorData::F32(values.iter().map(|&v| v as f32).collect())).unwrap()
}

/// Compares the operator's results with those of the loop, and its gradients with differences of the loop; `spoil` is
/// added to the first element of each gradient.
fn compare(
    op: &Op,
    inputs: &Inputs,
    naive: &dyn Fn(&Inputs) -> [Vec<f64>; 2],
    spoil: f32,
) -> Result<f64, String> {
    let given: Vec<Option<Tensor>> = inputs.iter().map(|x| x.as_ref().map(|(s, v)| tensor(s, v))).collect();
    let given: Vec<Option<&Tensor>> = given.iter().map(Option::as_ref).collect();
    let ctx = Context::new(2).unwrap();
    let y = crate::evaluate(&ctx, op, &given, 2).unwrap();
    for (found, want) in y.iter().zip(naive(inputs)) {
        for (a, b) in found.to_f64s().iter().zip(&want) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{op:?}: {a} and {b}");
        }
    }
    let flows: Vec<Vec<f64>> =
        y.iter().zip(70..).map(|(y, seed)| numbers(seed, &[y.len()]).unwrap().1).collect();
    let dy: Vec<Tensor> = y.iter().zip(&flows).map(|(y, v)| tensor(y.shape(), v)).collect();
    let (outputs, dy): (Vec<_>, Vec<_>) = (y.iter().map(Some).collect(), dy.iter().map(Some).collect());
    let found = crate::gradient(&ctx, op, &given, &outputs, &dy, &vec![true; inputs.len()]).unwrap();
    let objective = |inputs: &Inputs| -> f64 {
        naive(inputs).iter().zip(&flows).flat_map(|(y, d)| y.iter().zip(d)).map(|(a, b)| a * b).sum()
    };
    let mut largest = 0.0f64;
    for (i, input) in inputs.iter().enumerate() {
        let Some((_, values)) = input else { continue };
        let Some(gradient) = &found[i] else { return Err(format!("input {i} has no gradient")) };
        let mut gradient = gradient.to_f64s();
        gradient[0] += f64::from(spoil);
        for k in 0..values.len() {
            let moved = |by: f64| {
                let mut inputs = inputs.clone();
                if let Some((_, values)) = &mut inputs[i] {
                    values[k] += by;
                }
                objective(&inputs)
            };
            let want = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let difference = (gradient[k] - want).abs() / (1.0 + want.abs());
            if difference.is_nan() || difference > 1e-6 {
                return Err(format!("input {i}, element {k}: the slope is {want}, not {}", gradient[k]));
            }
            largest = largest.max(difference);
        }
    }
    Ok(largest)
}

#[track_caller]
fn check(op: &Op, inputs: &Inputs, naive: &dyn Fn(&Inputs) -> [Vec<f64>; 2]) {
    match compare(op, inputs, naive, 0.0) {
        Ok(largest) => println!("{}: {largest:.1e}", op.name()),
        Err(problem) => panic!("{op:?}: {problem}"),
    }
    assert!(compare(op, inputs, naive, 1e-2).is_err(), "{op:?}: a wrong gradient passed");
}

/// The state as a matrix for each head of keys, one position after the other.
fn linear_attention(op: LinearAttention, inputs: &Inputs) -> [Vec<f64>; 2] {
    let get = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let ((shape, q), (_, k), (v_shape, v)) = (get(0).unwrap(), get(1).unwrap(), get(2).unwrap());
    let (n, len) = (shape[0], shape[1]);
    let (d_k, d_v) = (shape[2] / op.heads, v_shape[2] / op.kv_heads);
    let scale = if op.scale == 0.0 { 1.0 / (d_k as f64).sqrt() } else { f64::from(op.scale) };
    let mut y = vec![0.0; n * len * op.heads * d_v];
    let mut last = Vec::new();
    for b in 0..n {
        for h in 0..op.kv_heads {
            let mut s = vec![vec![0.0; d_v]; d_k];
            if let Some((_, past)) = get(3) {
                for (d, row) in s.iter_mut().enumerate() {
                    for (e, s) in row.iter_mut().enumerate() {
                        *s = past[((b * op.kv_heads + h) * d_k + d) * d_v + e];
                    }
                }
            }
            for t in 0..len {
                let key = |d: usize| k[(b * len + t) * op.kv_heads * d_k + h * d_k + d];
                if let Some((shape, g)) = get(4) {
                    for (d, row) in s.iter_mut().enumerate() {
                        let at = if shape[2] == op.kv_heads { h } else { h * d_k + d };
                        for s in row.iter_mut() {
                            *s *= g[(b * len + t) * shape[2] + at].exp();
                        }
                    }
                }
                for e in 0..d_v {
                    let mut value = v[(b * len + t) * op.kv_heads * d_v + h * d_v + e];
                    if let Some((shape, beta)) = get(5) {
                        value -= (0..d_k).map(|d| s[d][e] * key(d)).sum::<f64>();
                        value *= beta[(b * len + t) * shape[2] + if shape[2] == 1 { 0 } else { h }];
                    }
                    for (d, row) in s.iter_mut().enumerate() {
                        row[e] += key(d) * value;
                    }
                }
                let group = op.heads / op.kv_heads;
                for head in h * group..(h + 1) * group {
                    let at = (b * len + t) * op.heads + head;
                    for e in 0..d_v {
                        y[at * d_v + e] = scale * (0..d_k).map(|d| s[d][e] * q[at * d_k + d]).sum::<f64>();
                    }
                }
            }
            last.extend(s.into_iter().flatten());
        }
    }
    [y, last]
}

#[test]
fn linear_attention_by_every_rule() {
    for rule in [UpdateRule::Linear, UpdateRule::Gated, UpdateRule::Delta, UpdateRule::GatedDelta] {
        for (decays, rates, past) in [(2, 2, true), (4, 1, false)] {
            let op = LinearAttention { heads: 4, kv_heads: 2, scale: if past { 0.0 } else { 0.7 }, rule };
            let inputs = vec![
                numbers(1, &[2, 3, 8]),
                numbers(2, &[2, 3, 4]),
                numbers(3, &[2, 3, 6]),
                if past { numbers(4, &[2, 2, 2, 3]) } else { None },
                if rule.decays() { numbers(5, &[2, 3, decays]) } else { None },
                if rule.corrects() { numbers(6, &[2, 3, rates]) } else { None },
            ];
            check(&op.into(), &inputs, &|inputs| linear_attention(op, inputs));
        }
    }
}

/// Each result is a sum over what lies in front of it.
fn causal_conv(op: CausalConvWithState, inputs: &Inputs) -> [Vec<f64>; 2] {
    let get = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let ((shape, x), (w_shape, w)) = (get(0).unwrap(), get(1).unwrap());
    let (n, c, len, k) = (shape[0], shape[1], shape[2], w_shape[2]);
    let (mut y, mut state) = (Vec::new(), Vec::new());
    for (b, ch) in (0..n).flat_map(|b| (0..c).map(move |ch| (b, ch))) {
        // Element `t` of the line, counted from the first one of `x`.
        let at = |t: usize, back: usize| match (t + 1).checked_sub(back + 1) {
            Some(t) => x[(b * c + ch) * len + t],
            None => get(3).map_or(0.0, |(_, past)| past[(b * c + ch) * (k - 1) + (t + k - 1 - back)]),
        };
        for t in 0..len {
            let mut z: f64 = (0..k).map(|j| w[ch * k + j] * at(t, k - 1 - j)).sum();
            z += get(2).map_or(0.0, |(_, bias)| bias[ch]);
            y.push(if op.silu { z / (1.0 + (-z).exp()) } else { z });
        }
        state.extend((0..k - 1).rev().map(|back| at(len - 1, back)));
    }
    [y, state]
}

#[test]
fn causal_convolutions_with_and_without_a_past() {
    for silu in [false, true] {
        for (bias, past) in [(true, true), (false, false), (true, false)] {
            for len in [1, 2, 5] {
                let op = CausalConvWithState { silu };
                let inputs = vec![
                    numbers(1, &[2, 3, len]),
                    numbers(2, &[3, 1, 4]),
                    if bias { numbers(3, &[3]) } else { None },
                    if past { numbers(4, &[2, 3, 3]) } else { None },
                ];
                check(&op.into(), &inputs, &|inputs| causal_conv(op, inputs));
            }
        }
    }
}
