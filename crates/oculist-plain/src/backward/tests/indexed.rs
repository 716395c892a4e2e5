//! Operators that choose, write or sort by index.

use oculist_graph::op::{Loss, LossKind, LossReduction};
use oculist_graph::{
    Cumulative, CumulativeKind, OneHot, Range, Reduction, ScatterElements, ScatterND, Tensor, TensorData,
    TopK,
};

use super::{check, floats, ints};

fn tensor(shape: &[usize], data: Vec<f64>) -> Option<Tensor> {
    Some(Tensor::new(shape.to_vec(), TensorData::F64(data)).unwrap())
}

fn indices(shape: &[usize], data: Vec<i64>) -> Option<Tensor> {
    Some(Tensor::new(shape.to_vec(), TensorData::I64(data)).unwrap())
}

#[test]
fn the_largest_elements_send_their_gradient_home() {
    for largest in [true, false] {
        for axis in [0, 1, -1] {
            check(TopK { axis, largest, sorted: true }, vec![floats(1, &[3, 4, 2]), ints(&[2])]);
        }
    }
}

/// The indices may be known from the forward pass or not: both ways must agree.
#[test]
fn indices_of_the_forward_pass_are_used() {
    let op = TopK { axis: -1, largest: true, sorted: true }.into();
    let (x, k) = (floats(3, &[2, 5]).unwrap(), Tensor::ints(vec![3]));
    let ctx = oculist_kernels::Context::new(1).unwrap();
    let given = [Some(&x), Some(&k)];
    let y = crate::evaluate(&ctx, &op, &given, 2).unwrap();
    let dy = floats(4, &[2, 3]).unwrap();
    let with = |outputs: &[Option<&Tensor>], dy: &[Option<&Tensor>]| {
        crate::gradient(&ctx, &op, &given, outputs, dy, &[true, false]).unwrap()
    };
    let known = with(&[Some(&y[0]), Some(&y[1])], &[Some(&dy), None]);
    assert_eq!(known, with(&[Some(&y[0])], &[Some(&dy)]));
    let reversed = Tensor::new(vec![2, 3], TensorData::I64(vec![0, 1, 2, 0, 1, 2])).unwrap();
    assert_ne!(known, with(&[Some(&y[0]), Some(&reversed)], &[Some(&dy), None]));
}

#[test]
fn updates_are_added_multiplied_or_compared() {
    for reduction in [Reduction::Add, Reduction::Mul, Reduction::Min, Reduction::Max] {
        // Some places are written twice, others never.
        let at = || indices(&[3, 2], vec![0, 1, 0, -1, 2, 1]);
        check(ScatterElements { axis: 0, reduction }, vec![floats(1, &[4, 3]), at(), floats(2, &[3, 2])]);
        check(
            ScatterElements { axis: 1, reduction },
            vec![floats(1, &[4, 3]), indices(&[2, 3], vec![0, 0, 2, 1, 0, 1]), floats(2, &[2, 3])],
        );
        let tuples = || indices(&[3, 1], vec![1, 0, 1]);
        check(ScatterND { reduction }, vec![floats(1, &[3, 4]), tuples(), floats(2, &[3, 4])]);
        let tuples = || indices(&[2, 2, 2], vec![1, 0, 1, 0, 0, 2, 1, 0]);
        check(ScatterND { reduction }, vec![floats(1, &[2, 3, 2]), tuples(), floats(2, &[2, 2, 2])]);
    }
    let written = indices(&[2, 1], vec![2, 0]);
    check(ScatterND { reduction: Reduction::None }, vec![floats(1, &[3, 2]), written, floats(2, &[2, 2])]);
}

#[test]
fn a_product_with_zeros_moves_only_with_the_only_one() {
    let op = ScatterElements { axis: 0, reduction: Reduction::Mul };
    let (data, updates) = (tensor(&[3], vec![0.0, 2.0, 0.0]), tensor(&[4], vec![3.0, 0.0, 5.0, 0.0]));
    check(op, vec![data, indices(&[4], vec![0, 1, 1, 2]), updates]);
}

#[test]
fn running_products_with_and_without_zeros() {
    let axis = |a: i64| Some(Tensor::new(Vec::new(), TensorData::I64(vec![a])).unwrap());
    for exclusive in [false, true] {
        for reverse in [false, true] {
            let op = Cumulative { kind: CumulativeKind::Prod, exclusive, reverse };
            check(op, vec![floats(1, &[2, 4, 3]), axis(1)]);
            check(op, vec![floats(1, &[2, 4]), axis(-1)]);
            check(op, vec![tensor(&[5], vec![2.0, 0.0, 3.0, 0.0, 5.0]), axis(0)]);
        }
    }
}

#[test]
fn values_set_by_index_and_ranges() {
    for axis in [0, -1] {
        check(OneHot { axis }, vec![ints(&[1, 0, 5, -1]), ints(&[3]), floats(1, &[2])]);
    }
    // Indices may be floats, which are not followed.
    let mut floating = super::case(OneHot { axis: 0 }, vec![floats(3, &[2]), ints(&[3]), floats(1, &[2])]);
    floating.wanted = vec![2];
    super::check_outputs(&floating, 1);
    let scalar = |v: f64| tensor(&[], vec![v]);
    check(Range, vec![scalar(0.5), scalar(2.1), scalar(0.37)]);
}

#[test]
fn losses_of_labels() {
    let labels = || indices(&[3, 2], vec![0, 3, 2, 1, 3, 3]);
    for kind in [LossKind::NegativeLogLikelihood, LossKind::SoftmaxCrossEntropy] {
        for reduction in [LossReduction::Mean, LossReduction::Sum, LossReduction::None] {
            for ignore in [None, Some(3)] {
                let op = Loss { kind, reduction, ignore };
                let outputs = if kind == LossKind::SoftmaxCrossEntropy { 2 } else { 1 };
                let weighted = vec![floats(1, &[3, 4, 2]), labels(), floats(2, &[4])];
                for inputs in [weighted, vec![floats(1, &[3, 4, 2]), labels()]] {
                    check(op, inputs.clone());
                    super::check_outputs(&super::case(op, inputs), outputs);
                }
            }
        }
    }
}
