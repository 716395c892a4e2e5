use oculist_graph::{
    AspectRatio, Attention, AveragePool, BatchNormalization, BiasGelu, Binary, Concat, Conv, ConvTranspose,
    Coordinates, Cumulative, CumulativeKind, DataType, DepthToSpace, Dropout, Einsum, Expand, Flatten,
    Gather, GatherElements, GatherND, Gemm, GlobalPool, GroupNormalization, Identity, InstanceNormalization,
    Interpolation, LayerNormalization, LpNormalization, Lrn, MatMul, MaxPool, Op, Pad, PadMode, Padding,
    Plane, Reduce, ReduceKind, Reduction, Reshape, Resize, RmsNormalization, Rounding, ScatterElements,
    Slice, Softmax, SoftmaxKind, SpaceToDepth, Split, Squeeze, SwiGlu, Tensor, TensorData, Tile, Transpose,
    Trilu, Unary, Unsqueeze, Variadic, Where, Window,
};
use oculist_kernels::Context;

use super::{Gradient, differentiable, gradient};
use crate::evaluate;

mod attended;
mod indexed;
mod recurrent;
mod sampled;
mod shaped;

/// An operator, its inputs and which of them are followed.
pub(super) struct Case {
    pub(super) op: Op,
    pub(super) inputs: Vec<Option<Tensor>>,
    pub(super) wanted: Vec<usize>,
}

/// Numbers of either sign that keep a distance from 0 and from each other, so that no kink lies within a step.
pub(super) fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for i in (1..n).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(i, (state >> 33) as usize % (i + 1));
    }
    order
        .into_iter()
        .map(|k| {
            let size = 0.13 + 1.9 * (k / 2) as f64 / n as f64 + 0.017 * k as f64 / n as f64;
            if k % 2 == 0 { size } else { -size }
        })
        .collect()
}

pub(super) fn floats(seed: u64, shape: &[usize]) -> Option<Tensor> {
    let n = shape.iter().product();
    Some(Tensor::new(shape.to_vec(), TensorData::F64(noise(seed, n))).unwrap())
}

pub(super) fn mapped(t: Option<Tensor>, f: impl Fn(f64) -> f64) -> Option<Tensor> {
    let t = t?;
    let TensorData::F64(v) = t.data() else { return None };
    let data = TensorData::F64(v.iter().map(|&v| f(v)).collect());
    Some(Tensor::new(t.shape().to_vec(), data).unwrap())
}

pub(super) fn ints(v: &[i64]) -> Option<Tensor> {
    Some(Tensor::ints(v.to_vec()))
}

/// All float inputs are followed.
pub(super) fn case(op: impl Into<Op>, inputs: Vec<Option<Tensor>>) -> Case {
    let float = |t: &Option<Tensor>| t.as_ref().is_some_and(|t| t.dtype() == DataType::F64);
    let wanted = (0..inputs.len()).filter(|&i| float(&inputs[i])).collect();
    Case { op: op.into(), inputs, wanted }
}

impl Case {
    fn run(&self, outputs: usize) -> Vec<Tensor> {
        let given: Vec<Option<&Tensor>> = self.inputs.iter().map(Option::as_ref).collect();
        let mut all = evaluate(&Context::new(2).unwrap(), &self.op, &given, outputs).unwrap();
        all.truncate(outputs);
        all
    }

    fn gradients(&self, dy: &[Tensor]) -> Vec<Option<Tensor>> {
        let given: Vec<Option<&Tensor>> = self.inputs.iter().map(Option::as_ref).collect();
        let y = self.run(dy.len());
        let wanted: Vec<bool> = (0..self.inputs.len()).map(|i| self.wanted.contains(&i)).collect();
        let (y, dy): (Vec<_>, Vec<_>) = (y.iter().map(Some).collect(), dy.iter().map(Some).collect());
        gradient(&Context::new(2).unwrap(), &self.op, &given, &y, &dy, &wanted).unwrap()
    }
}

fn values(t: &Tensor) -> &[f64] {
    if let TensorData::F64(v) = t.data() { v } else { panic!("expected f64, found {}", t.dtype().name()) }
}

/// Compares with central differences of `sum(dy * y)` along every element of every followed input; the largest
/// difference relative to `1 + |slope|`.
pub(super) fn compare(case: &Case, found: &[Option<Tensor>], dy: &[Tensor]) -> Result<f64, String> {
    const STEP: f64 = 1e-5;
    let mut largest = 0.0f64;
    let objective = |case: &Case| -> f64 {
        let y = case.run(dy.len());
        y.iter().zip(dy).map(|(y, d)| values(y).iter().zip(values(d)).map(|(a, b)| a * b).sum::<f64>()).sum()
    };
    for &i in &case.wanted {
        let Some(gradient) = &found[i] else { return Err(format!("input {i} has no gradient")) };
        let input = case.inputs[i].as_ref().unwrap();
        for k in 0..input.len() {
            let moved = |by: f64| {
                let mut data = values(input).to_vec();
                data[k] += by;
                let mut inputs = case.inputs.clone();
                inputs[i] = Some(Tensor::new(input.shape().to_vec(), TensorData::F64(data)).unwrap());
                objective(&Case { op: case.op.clone(), inputs, wanted: Vec::new() })
            };
            let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let got = values(gradient)[k];
            let difference = (got - want).abs() / (1.0 + want.abs());
            if difference.is_nan() || difference > 1e-6 {
                return Err(format!("input {i}, element {k}: the slope is {want}, not {got}"));
            }
            largest = largest.max(difference);
        }
    }
    Ok(largest)
}

/// Checks the gradients of a case, and that each of them would be rejected were one element of it wrong.
#[track_caller]
pub(super) fn check_outputs(case: &Case, outputs: usize) {
    assert_eq!(differentiable(&case.op), Gradient::Known, "{}", case.op.name());
    let dy: Vec<Tensor> =
        case.run(outputs).iter().zip(90..).map(|(y, seed)| floats(seed, y.shape()).unwrap()).collect();
    let found = case.gradients(&dy);
    match compare(case, &found, &dy) {
        Ok(largest) => println!("{}: {largest:.1e}", case.op.name()),
        Err(problem) => panic!("{:?}: {problem}", case.op),
    }
    for &i in &case.wanted {
        let Some(TensorData::F64(right)) = found[i].as_ref().map(Tensor::data) else { continue };
        let mut wrong = right.clone();
        let Some(first) = wrong.first_mut() else { continue };
        *first += 1e-3 * (1.0 + first.abs());
        let mut all = found.clone();
        all[i] =
            Some(Tensor::new(found[i].as_ref().unwrap().shape().to_vec(), TensorData::F64(wrong)).unwrap());
        let only = Case { op: case.op.clone(), inputs: case.inputs.clone(), wanted: vec![i] };
        assert!(
            compare(&only, &all, &dy).is_err(),
            "{}: a wrong gradient of input {i} passed",
            case.op.name()
        );
    }
}

#[track_caller]
pub(super) fn check(op: impl Into<Op>, inputs: Vec<Option<Tensor>>) {
    check_outputs(&case(op, inputs), 1);
}

#[test]
fn a_wrong_gradient_is_noticed() {
    let case = case(MatMul, vec![floats(1, &[2, 3]), floats(2, &[3, 2])]);
    let dy = [floats(3, &[2, 2]).unwrap()];
    let right = case.gradients(&dy);
    compare(&case, &right, &dy).unwrap();
    for i in 0..2 {
        let mut wrong = right.clone();
        wrong[i] = mapped(wrong[i].take(), |v| v * 1.001);
        assert!(compare(&case, &wrong, &dy).unwrap_err().contains(&format!("input {i}")));
        wrong[i] = None;
        assert!(compare(&case, &wrong, &dy).is_err());
    }
}

#[test]
fn functions_of_one_element() {
    for &op in Unary::ALL {
        let op = match op {
            Unary::Clip { .. } => Unary::Clip { min: -0.7, max: 0.9 },
            other => other,
        };
        if differentiable(&op.into()) == Gradient::Zero {
            continue;
        }
        let x = floats(5, &[3, 7]);
        let x = match op {
            Unary::Sqrt | Unary::Log => mapped(x, f64::abs),
            Unary::Asin | Unary::Acos | Unary::Atanh => mapped(x, |v| v / 3.0),
            Unary::Acosh => mapped(x, |v| 1.0 + v.abs()),
            // Away from the ends of the ramp.
            _ => x,
        };
        check(op, vec![x]);
    }
}

#[test]
fn functions_of_two_elements_are_summed_over_what_was_broadcast() {
    let shapes: [[&[usize]; 2]; 5] =
        [[&[2, 3], &[2, 3]], [&[2, 3], &[3]], [&[2, 1], &[1, 3]], [&[1], &[2, 2]], [&[2, 3, 2], &[3, 1]]];
    for [a, b] in shapes {
        for op in [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div] {
            check(op, vec![floats(1, a), floats(2, b)]);
        }
        // No quotient is a whole number.
        check(Binary::Mod { fmod: true }, vec![floats(1, a), mapped(floats(2, b), |v| 1.371 * v)]);
        check(Binary::Pow, vec![mapped(floats(1, a), f64::abs), floats(2, b)]);
    }
    check(Binary::PRelu, vec![floats(1, &[2, 3, 2]), floats(2, &[3, 1])]);
    for op in [Variadic::Sum, Variadic::Mean, Variadic::Min, Variadic::Max] {
        check(op, vec![floats(1, &[2, 3]), floats(2, &[3]), floats(3, &[2, 1])]);
    }
}

#[test]
fn choices() {
    let condition = Tensor::new(vec![2, 1], TensorData::Bool(vec![true, false])).unwrap();
    check(Where, vec![Some(condition), floats(1, &[2, 3]), floats(2, &[3])]);
    let scalar = |v: f64| Some(Tensor::new(Vec::new(), TensorData::F64(vec![v])).unwrap());
    check(oculist_graph::Clip, vec![floats(1, &[2, 6]), scalar(-0.6), scalar(0.7)]);
    check(oculist_graph::Clip, vec![floats(1, &[2, 6]), None, scalar(0.7)]);
}

#[test]
fn softmax_along_any_axis() {
    for kind in [SoftmaxKind::Softmax, SoftmaxKind::LogSoftmax] {
        for (axis, flatten) in [(-1, false), (0, false), (1, false), (1, true)] {
            check(Softmax { kind, axis, flatten }, vec![floats(4, &[2, 3, 4])]);
        }
    }
}

#[test]
fn reductions() {
    for &kind in ReduceKind::ALL {
        let x = || {
            let x = floats(6, &[2, 3, 2]);
            if kind == ReduceKind::LogSum { mapped(x, f64::abs) } else { x }
        };
        for keepdims in [true, false] {
            let op = Reduce { kind, keepdims, noop_with_empty_axes: false };
            check(op, vec![x(), ints(&[1])]);
            check(op, vec![x(), ints(&[-1, 0])]);
            check(op, vec![x()]);
        }
    }
    // A product with a zero moves only with that one.
    let op = Reduce { kind: ReduceKind::Prod, keepdims: true, noop_with_empty_axes: false };
    let x = Tensor::new(vec![2, 3], TensorData::F64(vec![0.0, 2.0, 3.0, 0.0, 0.0, 5.0])).unwrap();
    check(op, vec![Some(x), ints(&[1])]);
    for (exclusive, reverse) in [(false, false), (true, false), (false, true)] {
        let op = Cumulative { kind: CumulativeKind::Sum, exclusive, reverse };
        let axis = Tensor::new(Vec::new(), TensorData::I64(vec![1])).unwrap();
        check(op, vec![floats(1, &[2, 4]), Some(axis)]);
    }
}

#[test]
fn products_of_matrices() {
    for (trans_a, trans_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = Gemm { alpha: 0.5, beta: 2.0, trans_a, trans_b };
        let a: &[usize] = if trans_a { &[3, 2] } else { &[2, 3] };
        let b: &[usize] = if trans_b { &[4, 3] } else { &[3, 4] };
        for c in [&[4][..], &[2, 4], &[2, 1], &[]] {
            check(op, vec![floats(1, a), floats(2, b), floats(3, c)]);
        }
        check(op, vec![floats(1, a), floats(2, b)]);
    }
    let shapes: [[&[usize]; 2]; 8] = [
        [&[2, 3], &[3, 4]],
        [&[2, 2, 3], &[3, 4]],
        [&[2, 2, 3], &[2, 3, 2]],
        [&[2, 1, 2, 3], &[3, 3, 2]],
        [&[3], &[3, 2]],
        [&[2, 3], &[3]],
        [&[3], &[3]],
        [&[3], &[2, 3, 2]],
    ];
    for [a, b] in shapes {
        check(MatMul, vec![floats(1, a), floats(2, b)]);
    }
}

#[test]
fn einstein_sums() {
    for (equation, shapes) in [
        ("ij,jk->ik", vec![vec![2, 3], vec![3, 2]]),
        ("bij,bkj->bik", vec![vec![2, 2, 3], vec![2, 4, 3]]),
        ("ij->j", vec![vec![2, 3]]),
        ("ij,k->i", vec![vec![2, 3], vec![2]]),
        ("...ij,...jk->...ik", vec![vec![2, 2, 3], vec![1, 3, 2]]),
        ("i,j,k->ijk", vec![vec![2], vec![3], vec![2]]),
        ("ij->ji", vec![vec![2, 3]]),
    ] {
        let inputs = shapes.iter().zip(1..).map(|(s, seed)| floats(seed, s)).collect();
        check(Einsum { equation: equation.to_owned() }, inputs);
    }
}

#[test]
fn convolutions() {
    let plane = |padding| Plane { kernel: [3, 2], stride: [2, 1], padding, dilation: [1, 2] };
    let conv = Conv::plane(plane([1, 0, 2, 1]), 1);
    check(conv, vec![floats(1, &[2, 2, 5, 4]), floats(2, &[3, 2, 3, 2]), floats(3, &[3])]);
    let grouped = Conv::plane(plane([1, 1, 1, 1]), 2);
    check(grouped, vec![floats(1, &[1, 4, 4, 4]), floats(2, &[2, 2, 3, 2])]);
    let window = Window { kernel: vec![3], stride: vec![2], padding: Padding::SameUpper, dilation: vec![1] };
    check(Conv { window, groups: 3 }, vec![floats(1, &[2, 3, 6]), floats(2, &[3, 1, 3])]);
    let mut back = ConvTranspose::square(3, 2, 1);
    check(back.clone(), vec![floats(1, &[2, 2, 3, 2]), floats(2, &[2, 3, 3, 3]), floats(3, &[3])]);
    back.groups = 2;
    back.output_padding = vec![1, 1];
    check(back, vec![floats(1, &[1, 4, 2, 2]), floats(2, &[4, 1, 3, 3])]);
}

#[test]
fn gated_activations() {
    check(SwiGlu { alpha: 1.2 }, vec![floats(1, &[2, 3]), floats(2, &[2, 3])]);
    check(BiasGelu::Exact, vec![floats(1, &[2, 3]), floats(2, &[3])]);
    check(BiasGelu::Tanh, vec![floats(1, &[2, 3])]);
}

#[test]
fn pooling() {
    let x = || vec![floats(1, &[2, 2, 5, 5])];
    check(MaxPool::square(3, 2, 1), x());
    check(MaxPool { ceil_mode: true, ..MaxPool::square(2, 2, 0) }, x());
    for count_include_pad in [true, false] {
        check(AveragePool::square(3, 2, 1, count_include_pad), x());
        check(AveragePool { ceil_mode: true, ..AveragePool::square(2, 2, 0, count_include_pad) }, x());
    }
    for op in [GlobalPool::Average, GlobalPool::Max, GlobalPool::Lp(2), GlobalPool::Lp(3)] {
        check(op, vec![floats(1, &[2, 3, 2, 2])]);
    }
}

#[test]
fn normalisations() {
    let (x, c) = (|| floats(1, &[2, 4, 3]), |seed| floats(seed, &[4]));
    let op = BatchNormalization { epsilon: 0.1, momentum: 0.9, training: false };
    check(op, vec![x(), c(2), c(3), c(4), mapped(c(5), |v| v.abs() + 0.2)]);
    check(InstanceNormalization { epsilon: 0.1 }, vec![x(), c(2), c(3)]);
    for per_group in [false, true] {
        let op = GroupNormalization { groups: 2, epsilon: 0.1, stash: DataType::F32, per_group };
        let shape: &[usize] = if per_group { &[2] } else { &[4] };
        check(op, vec![x(), floats(2, shape), floats(3, shape)]);
    }
    let layer = |axis| LayerNormalization { axis, epsilon: 0.1, stash: DataType::F32 };
    check(layer(-1), vec![x(), floats(2, &[3]), floats(3, &[3])]);
    check(layer(-1), vec![x(), floats(2, &[3])]);
    check(layer(1), vec![x(), floats(2, &[4, 3]), floats(3, &[4, 3])]);
    for size in [2, 3] {
        check(Lrn { alpha: 0.3, beta: 0.75, bias: 1.0, size }, vec![x()]);
    }
    for p in [1, 2] {
        check(LpNormalization { axis: 1, p }, vec![x()]);
    }
    let rms = RmsNormalization { axis: -1, epsilon: 0.1, stash: DataType::F32 };
    check(rms, vec![x(), floats(2, &[3])]);
}

#[test]
fn elements_that_are_moved() {
    check(Identity, vec![floats(1, &[2, 3])]);
    check(Flatten::IMAGES, vec![floats(1, &[2, 3, 2])]);
    check(Dropout { ratio: 0.5 }, vec![floats(1, &[2, 3])]);
    check(Concat { axis: -1 }, vec![floats(1, &[2, 3]), floats(2, &[2, 1]), floats(3, &[2, 2])]);
    check(Pad::CONSTANT, vec![floats(1, &[2, 3]), ints(&[0, 2, 1, -1])]);
    for upper in [true, false] {
        check(Trilu { upper }, vec![floats(1, &[2, 3, 3])]);
    }
}

#[test]
fn elements_that_are_moved_by_arguments() {
    let x = || floats(1, &[2, 3, 4]);
    check(Reshape { allow_zero: false }, vec![x(), ints(&[4, -1])]);
    check(Squeeze, vec![floats(1, &[2, 1, 3]), ints(&[1])]);
    check(Unsqueeze, vec![x(), ints(&[0, -1])]);
    check(Transpose::new(&[2, 0, 1]), vec![x()]);
    check(Slice, vec![x(), ints(&[0, 3]), ints(&[1, 0]), ints(&[1, 2]), ints(&[1, -1])]);
    check_outputs(&case(Split { axis: 2, parts: None }, vec![x(), ints(&[1, 3])]), 2);
    let indices = Tensor::new(vec![2, 2], TensorData::I64(vec![2, 0, -1, 2])).unwrap();
    check(Gather { axis: 1 }, vec![x(), Some(indices.clone())]);
    check(GatherElements { axis: 1 }, vec![floats(1, &[2, 3]), Some(indices.clone())]);
    check(GatherND { batch_dims: 0 }, vec![floats(1, &[3, 3]), Some(indices.clone())]);
    let scatter = ScatterElements { axis: 1, reduction: Reduction::None };
    let distinct = Tensor::new(vec![2, 2], TensorData::I64(vec![2, 0, 1, 2])).unwrap();
    check(scatter, vec![floats(1, &[2, 3]), Some(distinct), floats(2, &[2, 2])]);
    check(Expand, vec![floats(1, &[2, 1, 3]), ints(&[2, 2, 4, 1])]);
    check(Tile, vec![floats(1, &[2, 3]), ints(&[2, 2])]);
    check(DepthToSpace { block: 2, channels_first: false }, vec![floats(1, &[1, 8, 2, 3])]);
    check(SpaceToDepth { block: 2, channels_first: false }, vec![floats(1, &[1, 2, 4, 2])]);
    for mode in [PadMode::Reflect, PadMode::Edge, PadMode::Wrap] {
        check(Pad { mode }, vec![floats(1, &[3, 4]), ints(&[1, 2, 2, 1])]);
    }
}

#[test]
fn attention() {
    let of = |op, shapes: [&[usize]; 3]| {
        case(op, shapes.iter().zip(1..).map(|(s, seed)| floats(seed, s)).collect())
    };
    let four: [&[usize]; 3] = [&[2, 2, 3, 4], &[2, 2, 5, 4], &[2, 2, 5, 3]];
    check_outputs(&of(Attention::PLAIN, four), 1);
    check_outputs(&of(Attention { softcap: 2.0, scale: Some(0.7), ..Attention::PLAIN }, four), 1);
    let grouped: [&[usize]; 3] = [&[1, 4, 3, 2], &[1, 2, 3, 2], &[1, 2, 3, 2]];
    check_outputs(&of(Attention { causal: true, ..Attention::PLAIN }, grouped), 1);
    let packed = Attention { heads: Some(2), kv_heads: Some(2), ..Attention::PLAIN };
    let mut masked = of(packed, [&[2, 3, 4], &[2, 5, 4], &[2, 5, 6]]);
    masked.inputs.push(floats(9, &[2, 1, 3, 5]));
    masked.wanted.push(3);
    check_outputs(&masked, 1);
}

#[test]
fn resizing() {
    let scales = |v: [f32; 2]| Some(Tensor::f32(&[4], vec![1.0, 1.0, v[0], v[1]]));
    let kinds =
        [Interpolation::Nearest(Rounding::PreferFloor), Interpolation::Linear, Interpolation::Cubic(-0.75)];
    for interpolation in kinds {
        for coordinates in [Coordinates::HalfPixel, Coordinates::AlignCorners, Coordinates::Asymmetric] {
            let op = Resize {
                interpolation,
                coordinates,
                antialias: false,
                exclude_outside: false,
                extrapolation: 0.0,
                axes: None,
                aspect_ratio: AspectRatio::Stretch,
            };
            let x = || floats(1, &[1, 2, 3, 4]);
            check(op.clone(), vec![x(), None, scales([2.0, 1.5])]);
            check(op.clone(), vec![x(), None, scales([0.7, 2.0])]);
            check(Resize { axes: Some(vec![2, 3]), ..op }, vec![x(), None, None, ints(&[5, 2])]);
        }
    }
}
