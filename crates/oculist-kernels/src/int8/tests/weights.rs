//! Weights small enough for products of bytes, up to the edge of what fits 16 bits and beyond.

use super::bytes;
use super::conv::{check, conv, plain, problem};
use crate::int8::{IntBias, IntFinish};
use crate::{Activation, Conv2d};

#[test]
fn groups_are_paired_only_where_their_products_fit() {
    // Outputs that leave a half of a block empty; odd numbers of groups; several taps; more pixels than a band.
    let shapes = [
        conv([64, 24], [5, 7], 1, 1, 0),
        conv([20, 40], [6, 5], 3, 2, 1),
        conv([32, 8], [57, 61], 1, 1, 0),
        conv([136, 16], [3, 3], 1, 1, 0),
    ];
    // Four weights of 32 just fit, one more does not; on the other side as well. Then all kinds next to each other.
    let kinds: [&[i8]; 6] =
        [&[32], &[33, 32, 32], &[-32], &[-33, -32, -32], &[64, 1, -64, -1, 0, 63], &[5, -7, 0]];
    for (i, conv) in shapes.into_iter().enumerate() {
        let mut p = problem(conv, 300 + i as u64);
        p.images.iter_mut().step_by(5).for_each(|x| *x = 200);
        for kind in kinds {
            for (w, b) in
                p.weights.iter_mut().zip(bytes(400 + i as u64, conv.c_out * conv.c_in * conv.taps()))
            {
                *w = kind[usize::from(b) % kind.len()];
            }
            check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
            let random = p.images.clone();
            p.images.fill(255);
            check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
            p.images = random;
        }
        // Small weights, of which some channels are as large as they may be, in runs and alone.
        for (at, w) in p.weights.iter_mut().enumerate() {
            *w = match at % 37 {
                0..=3 => 64,
                9 | 20..=25 => -64,
                _ => *w / 4,
            };
        }
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
        // One weight of eight bits, and nothing is multiplied as bytes.
        let last = p.weights.len() - 1;
        (p.weights[0], p.weights[last]) = (127, -128);
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
    }
}

#[test]
fn depthwise_weights_of_seven_bits_are_exact_as_bytes() {
    for (i, (conv, groups)) in [
        (conv([48, 48], [9, 11], 3, 1, 1), 48),
        (conv([21, 21], [10, 7], 3, 2, 1), 21),
        (conv([16, 16], [12, 13], 5, 2, 2), 16),
        (conv([33, 33], [7, 41], 5, 1, 2), 33),
        (Conv2d { dilation: [2, 3], ..conv([16, 16], [12, 13], 3, 1, 2) }, 16),
    ]
    .into_iter()
    .enumerate()
    {
        let mut p = problem(Conv2d { groups, ..conv }, 500 + i as u64);
        for w in &mut p.weights {
            *w = (*w).clamp(-64, 64);
        }
        check(&p, plain(), IntBias::Steps(&p.steps), 0.0);
        p.images.fill(255);
        for weight in [64, -64] {
            p.weights.fill(weight);
            check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
        }
        // Two rows whose products together leave 16 bits.
        p.weights.fill(65);
        check(&p, IntFinish::F32 { activation: Activation::Identity }, IntBias::None, 1e-6);
    }
}
