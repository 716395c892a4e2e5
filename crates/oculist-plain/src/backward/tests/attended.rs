//! Attention with a past, its kept scores and its masks.

use oculist_graph::{Attention, FlexAttention, Scores, Tensor, TensorData};

use super::{Case, case, check, check_outputs, floats, ints};

fn of(op: Attention, inputs: Vec<Option<Tensor>>) -> Case {
    case(op, inputs)
}

fn past(seed: u64, shape: [usize; 4]) -> Option<Tensor> {
    floats(seed, &shape)
}

#[test]
fn keys_and_values_of_the_past_are_followed() {
    let four = || vec![floats(1, &[2, 4, 2, 3]), floats(2, &[2, 2, 2, 3]), floats(3, &[2, 2, 2, 2]), None];
    for op in [Attention::PLAIN, Attention { causal: true, softcap: 1.5, ..Attention::PLAIN }] {
        let mut inputs = four();
        inputs.extend([past(4, [2, 2, 3, 3]), past(5, [2, 2, 3, 2])]);
        for outputs in [1, 3, 4] {
            check_outputs(&of(op, inputs.clone()), outputs);
        }
    }
    // Heads side by side, with a mask over the past and what follows it.
    let op = Attention { heads: Some(2), kv_heads: Some(1), ..Attention::PLAIN };
    let inputs = vec![
        floats(1, &[2, 2, 6]),
        floats(2, &[2, 2, 3]),
        floats(3, &[2, 2, 2]),
        floats(6, &[2, 4]),
        past(4, [2, 1, 2, 3]),
        past(5, [2, 1, 2, 2]),
    ];
    for outputs in [1, 3] {
        check_outputs(&of(op, inputs.clone()), outputs);
    }
}

#[test]
fn scores_that_are_kept_send_their_gradient_back() {
    for scores in [Scores::Products, Scores::Capped, Scores::Masked, Scores::Probabilities] {
        let op = Attention { scores, softcap: 2.0, ..Attention::PLAIN };
        let mask = floats(4, &[3, 4]);
        let inputs = vec![floats(1, &[1, 2, 3, 2]), floats(2, &[1, 2, 4, 2]), floats(3, &[1, 2, 4, 3]), mask];
        check_outputs(&of(op, inputs), 4);
    }
}

#[test]
fn masks_windows_and_lengths_hide_keys() {
    let inputs = |mask: Option<Tensor>| {
        vec![floats(1, &[2, 2, 3, 2]), floats(2, &[2, 2, 4, 2]), floats(3, &[2, 2, 4, 3]), mask]
    };
    // A mask of fewer columns hides the keys behind.
    check_outputs(&of(Attention::PLAIN, inputs(floats(4, &[2, 1, 3, 3]))), 1);
    check_outputs(&of(Attention::PLAIN, inputs(floats(4, &[3, 1]))), 1);
    let seen = [true, false, true, true, false, false, false, false, true, true, true, false];
    let seen = Tensor::new(vec![3, 4], TensorData::Bool(seen.to_vec())).unwrap();
    check_outputs(&of(Attention::PLAIN, inputs(Some(seen))), 1);
    let window = Attention { left: Some(1), right: Some(1), ..Attention::PLAIN };
    check_outputs(&of(window, inputs(floats(4, &[3, 4]))), 1);
    let mut lengths = inputs(None);
    lengths.extend([None, None, ints(&[4, 3])]);
    check_outputs(&of(Attention { causal: true, ..Attention::PLAIN }, lengths), 1);
}

#[test]
fn attention_without_changes() {
    for scale in [None, Some(0.4)] {
        let op = FlexAttention { scale, softmax: None };
        check(op, vec![floats(1, &[1, 4, 2, 3]), floats(2, &[1, 2, 3, 3]), floats(3, &[1, 2, 3, 2])]);
    }
}
