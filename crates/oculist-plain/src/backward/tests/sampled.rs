//! Operators that sample between elements, put blocks together or transform signals.

use oculist_graph::op::{Outside, Sampling};
use oculist_graph::{
    AffineGrid, Col2Im, DeformConv, Det, Dft, GridSample, Padding, RoiAlign, Stft, Tensor, TensorData, Window,
};

use super::{check, floats, ints, mapped};

fn tensor(shape: &[usize], data: Vec<f64>) -> Option<Tensor> {
    Some(Tensor::new(shape.to_vec(), TensorData::F64(data)).unwrap())
}

fn number(n: i64) -> Option<Tensor> {
    Some(Tensor::new(Vec::new(), TensorData::I64(vec![n])).unwrap())
}

#[test]
fn places_within_and_outside_of_a_map() {
    for sampling in [Sampling::Nearest, Sampling::Linear, Sampling::Cubic] {
        for outside in [Outside::Zeros, Outside::Border, Outside::Reflection] {
            for align_corners in [false, true] {
                let op = GridSample { sampling, outside, align_corners };
                let grid = |shape: &[usize]| mapped(floats(2, shape), |v| 0.87 * v);
                check(op, vec![floats(1, &[2, 2, 3, 4]), grid(&[2, 3, 2, 2])]);
                if sampling != Sampling::Cubic {
                    check(op, vec![floats(1, &[1, 2, 2, 3, 2]), grid(&[1, 2, 1, 3, 3])]);
                }
            }
        }
    }
}

#[test]
fn places_of_an_affine_map() {
    for align_corners in [false, true] {
        let op = AffineGrid { align_corners };
        check(op, vec![floats(1, &[2, 2, 3]), ints(&[2, 1, 3, 2])]);
        check(op, vec![floats(1, &[2, 3, 4]), ints(&[2, 5, 2, 1, 3])]);
    }
}

#[test]
fn blocks_that_overlap() {
    let plain = Col2Im { dilation: Vec::new(), padding: Vec::new(), stride: Vec::new() };
    check(plain.clone(), vec![floats(1, &[2, 8, 6]), ints(&[4, 3]), ints(&[2, 2])]);
    check(plain, vec![floats(1, &[1, 6, 3]), ints(&[5]), ints(&[3])]);
    let op = Col2Im { dilation: vec![2, 1], padding: vec![1, 0, 0, 1], stride: vec![1, 2] };
    // Rows: 4 + 1 - 3 + 1; columns: (4 + 1 - 3) / 2 + 1.
    check(op, vec![floats(1, &[1, 12, 6]), ints(&[4, 4]), ints(&[2, 3])]);
}

#[test]
fn regions_and_their_corners() {
    let rois = [[0.3, 0.2, 3.7, 4.1], [-3.9, 0.6, 2.93, 9.3], [1.1, 1.3, 1.61, 1.9]].concat();
    let samples = || ints(&[1, 0, 1]);
    for max in [false, true] {
        for half_pixel in [false, true] {
            for sampling_ratio in [0, 1, 2] {
                let op =
                    RoiAlign { height: 2, width: 3, sampling_ratio, spatial_scale: 0.71, max, half_pixel };
                check(op, vec![floats(1, &[2, 2, 5, 6]), tensor(&[3, 4], rois.clone()), samples()]);
            }
        }
    }
}

#[test]
fn convolutions_with_moved_elements() {
    let plane = Window {
        kernel: vec![2, 2],
        stride: vec![1, 2],
        padding: Padding::Explicit(vec![1, 0, 0, 1]),
        dilation: vec![2, 1],
    };
    let op = DeformConv { window: plane, groups: 2, offset_groups: 2 };
    // Rows: 4 + 1 - 3 + 1; columns: (3 + 1 - 2) / 2 + 1.
    let inputs = |bias: bool, mask: bool| {
        let mut all = vec![floats(1, &[2, 4, 4, 3]), floats(2, &[6, 2, 2, 2]), floats(3, &[2, 16, 3, 2])];
        all.push(if bias { floats(4, &[6]) } else { None });
        all.push(if mask { floats(5, &[2, 8, 3, 2]) } else { None });
        all
    };
    check(op.clone(), inputs(true, true));
    check(op.clone(), inputs(false, true));
    let mut plain = inputs(true, false);
    plain.pop();
    check(op, plain);
    let line = Window {
        kernel: vec![3],
        stride: vec![1],
        padding: Padding::Explicit(vec![1, 1]),
        dilation: vec![1],
    };
    let op = DeformConv { window: line, groups: 1, offset_groups: 1 };
    check(op, vec![floats(1, &[1, 2, 5]), floats(2, &[3, 2, 3]), floats(3, &[1, 3, 5])]);
}

#[test]
fn determinants_also_of_matrices_without_inverse() {
    check(Det, vec![floats(1, &[2, 3, 3])]);
    check(Det, vec![floats(2, &[2, 1, 1])]);
    check(Det, vec![floats(3, &[5, 5])]);
    check(Det, vec![tensor(&[3, 3], vec![1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 1.0, 0.0, 5.0])]);
    check(Det, vec![tensor(&[3, 3], vec![0.0, 0.0, 2.0, 1.0, 0.0, 3.0, 2.0, 0.0, -1.0])]);
    check(Det, vec![tensor(&[3, 3], vec![1.0, 2.0, 3.0, 2.0, 4.0, 6.0, -1.0, -2.0, -3.0])]);
    check(Det, vec![tensor(&[2, 2], vec![0.0; 4])]);
    check(Det, vec![tensor(&[2, 2], vec![0.0, 3.0, 0.0, 5.0])]);
    check(Det, vec![tensor(&[1, 1], vec![0.0])]);
}

#[test]
fn transforms_of_real_and_complex_signals() {
    for len in [5, 6] {
        for parts in [1, 2] {
            for (inverse, onesided) in [(false, false), (false, true), (true, false), (true, true)] {
                if parts == 2 && onesided && !inverse {
                    continue;
                }
                let op = Dft { inverse, onesided };
                let x = || floats(1, &[2, len, parts]);
                check(op, vec![x()]);
                for other in [3, 4, 8] {
                    check(op, vec![x(), number(other)]);
                }
                check(op, vec![floats(2, &[len, 2, parts]), None, number(0)]);
            }
        }
    }
}

#[test]
fn transforms_of_frames() {
    for onesided in [false, true] {
        let op = Stft { onesided };
        check(op, vec![floats(1, &[2, 11, 1]), number(3), floats(2, &[4])]);
        check(op, vec![floats(1, &[2, 11, 1]), number(2), floats(2, &[5]), number(5)]);
        check(op, vec![floats(1, &[1, 7, 1]), number(1), None, number(4)]);
    }
    check(Stft { onesided: false }, vec![floats(1, &[2, 9, 2]), number(2), floats(2, &[4])]);
}
