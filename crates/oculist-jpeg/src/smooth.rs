//! Estimates for coefficients that a progressive file has not sent, or not to the last bit.
//!
//! The means of the 25 blocks around tell how the brightness goes on within a block. Where nothing but means is known, they
//! are corrected too.
//!
//! # Source
//! After ITU-T T.81, K.8, over 5x5 instead of 3x3 blocks; windows and rounding are those of libjpeg-turbo.

use crate::frame::Frame;
use crate::stored::Stored;

/// Weights of the means around, row by row, in 256ths of the quotient of divisors.
type Window = [[i32; 5]; 5];

/// Where a coefficient lies, row by row, with its window.
struct Estimate {
    place: usize,
    window: Window,
}

const fn e(place: usize, window: Window) -> Estimate {
    Estimate { place, window }
}

const NONE: [i32; 5] = [0; 5];

/// In zigzag order from the first on, where other coefficients than means are known.
const SOME: [Estimate; 5] = [
    e(1, [NONE, NONE, [-7, 50, 0, -50, 7], NONE, NONE]),
    e(8, [[0, 0, -7, 0, 0], [0, 0, 50, 0, 0], NONE, [0, 0, -50, 0, 0], [0, 0, 7, 0, 0]]),
    e(16, [[0, 0, -1, 0, 0], [0, 0, 13, 0, 0], [0, 0, -24, 0, 0], [0, 0, 13, 0, 0], [0, 0, -1, 0, 0]]),
    e(9, [[0, -1, 0, 1, 0], [-1, 10, 0, -10, 1], NONE, [1, -10, 0, 10, -1], [0, 1, 0, -1, 0]]),
    e(2, [NONE, NONE, [-1, 13, -24, 13, -1], NONE, NONE]),
];

/// The same where only means are known.
const MEANS_ONLY: [Estimate; 9] = [
    e(
        1,
        [[-1, -1, 0, 1, 1], [-3, 13, 0, -13, 3], [-3, 38, 0, -38, 3], [-3, 13, 0, -13, 3], [-1, -1, 0, 1, 1]],
    ),
    e(8, [[-1, -3, -3, -3, -1], [-1, 13, 38, 13, -1], NONE, [1, -13, -38, -13, 1], [1, 3, 3, 3, 1]]),
    e(16, [[0, 0, 1, 0, 0], [0, 2, 7, 2, 0], [0, -5, -14, -5, 0], [0, 2, 7, 2, 0], [0, 0, 1, 0, 0]]),
    e(9, [[-1, 0, 0, 0, 1], [0, 9, 0, -9, 0], NONE, [0, -9, 0, 9, 0], [1, 0, 0, 0, -1]]),
    e(2, [NONE, [0, 2, -5, 2, 0], [1, 7, -14, 7, 1], [0, 2, -5, 2, 0], NONE]),
    e(3, [NONE, [0, 1, 0, -1, 0], [0, 2, 0, -2, 0], [0, 1, 0, -1, 0], NONE]),
    e(10, [NONE, [0, 1, -3, 1, 0], NONE, [0, -1, 3, -1, 0], NONE]),
    e(17, [NONE, [0, 1, 0, -1, 0], [0, -3, 0, 3, 0], [0, 1, 0, -1, 0], NONE]),
    e(24, [NONE, [0, 1, 2, 1, 0], NONE, [0, -1, -2, -1, 0], NONE]),
];

/// The mean itself.
const MEAN: Window = [
    [-2, -6, -8, -6, -2],
    [-6, 6, 42, 6, -6],
    [-8, 42, 152, 42, -8],
    [-6, 6, 42, 6, -6],
    [-2, -6, -8, -6, -2],
];

/// Estimates what is open, if anything is among the first ten coefficients of any component.
pub(crate) fn estimate(all: &mut [Stored], frame: &Frame) {
    let open = all.iter().any(|stored| stored.missing[1..10].iter().any(|missing| *missing != Some(0)));
    let divisible = all.iter().all(|stored| {
        stored.quantization[0] != 0 && MEANS_ONLY.iter().all(|e| stored.quantization[e.place] != 0)
    });
    if open && divisible {
        for (stored, component) in all.iter_mut().zip(&frame.components) {
            component_of(stored, component.v);
        }
    }
}

/// Estimates one component with `v` rows of blocks in a unit.
fn component_of(stored: &mut Stored, v: usize) {
    let (across, down) = stored.real;
    let means_only = stored.missing[1..10].iter().all(Option::is_none);
    let estimates: &[Estimate] = if means_only { &MEANS_ONLY } else { &SOME };
    let mean = |stored: &Stored, row: usize, column: usize| {
        let (group, at) = stored.block(row, column);
        i32::from(group[at])
    };
    let means: Vec<i32> = (0..stored.rows)
        .flat_map(|row| (0..across).map(move |column| (row, column)))
        .map(|(r, c)| mean(stored, r, c))
        .collect();
    let divisor = |place: usize| i32::from(stored.quantization[place]);
    let divisors: Vec<i32> = estimates.iter().map(|e| divisor(e.place)).collect();
    let first = divisor(0);
    for row in 0..down {
        let rows = neighbours(row, v, down, stored.rows / v);
        for column in 0..across {
            let around: Window = std::array::from_fn(|y| {
                let means = &means[rows[y] * across..][..across];
                std::array::from_fn(|x| means[(column + x).saturating_sub(2).min(across - 1)])
            });
            let sum = |window: &Window| -> i64 {
                let products = window.as_flattened().iter().zip(around.as_flattened());
                products.map(|(w, m)| i64::from(*w) * i64::from(*m)).sum::<i64>() * i64::from(first)
            };
            let rounded = |sum: i64, divisor: i32| {
                let divisor = i64::from(divisor);
                sum.signum() * (((divisor << 7) + sum.abs()) / (divisor << 8))
            };
            let missing = stored.missing;
            let (group, at) = stored.slot(row, column);
            for ((estimate, &divisor), missing) in estimates.iter().zip(&divisors).zip(&missing[1..]) {
                let value = &mut group[estimate.place / 8 * 32 + estimate.place % 8 + at];
                if *missing == Some(0) || *value != 0 {
                    continue;
                }
                let most = missing.map_or(i64::from(i16::MAX), |bits| (1 << bits) - 1);
                *value = rounded(sum(&estimate.window), divisor).clamp(-most, most) as i16;
            }
            if means_only {
                group[at] = rounded(sum(&MEAN), first) as i16;
            }
        }
    }
}

/// The five rows around a row, of `down` rows in `units` rows of units of `v` each; beyond an end its last row repeats.
///
/// libjpeg counts the rows before a row as if all rows of units had as many as the row's own, which the last one may not
/// have; above, blocks that only fill units count as neighbours.
fn neighbours(row: usize, v: usize, down: usize, units: usize) -> [usize; 5] {
    let (unit_row, within) = (row / v, row % v);
    let own = if unit_row + 1 == units { down - unit_row * v } else { v };
    let (before, all) = (unit_row * own + within, own * units);
    let behind = all - 1 - before;
    [row - before.min(2), row - before.min(1), row, row + behind.min(1), row + behind.min(2)]
}
