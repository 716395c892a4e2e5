use crate::{
    AveragePool, BatchNormalization, Binary, Cast, Concat, Conv, DataType, DequantizeLinear, Dim, Dropout,
    Flatten, Gemm, GlobalPool, Graph, Identity, MaxPool, Op, Pad, Plane, QuantizeLinear, Reshape, Shape,
    ShapeOf, Softmax, Tensor, TensorData, Unary, ValueId,
};

/// A graph with one node over the given inputs; returns the output's shape and type, or the error's text.
fn infer(op: Op, inputs: impl FnOnce(&mut Graph) -> Vec<ValueId>) -> Result<(Shape, DataType), String> {
    let mut graph = Graph::new("test");
    let inputs = inputs(&mut graph);
    let output = graph.add_node("node", op, inputs);
    graph.infer_shapes().map_err(|e| e.to_string())?;
    Ok((graph.shape(output).clone(), graph.value(output).dtype))
}

fn image(graph: &mut Graph, c: usize, h: usize, w: usize) -> ValueId {
    let name = format!("x{}", graph.values().len());
    graph.add_input(name, Shape::nchw(c, h, w))
}

fn param(graph: &mut Graph, shape: &[usize]) -> ValueId {
    let name = format!("p{}", graph.values().len());
    graph.add_param(name, Tensor::filled(shape, 0.5))
}

fn bytes(graph: &mut Graph, shape: &[usize]) -> ValueId {
    let name = format!("q{}", graph.values().len());
    graph.add_param(name, Tensor::u8(shape, vec![0; shape.iter().product()]))
}

/// A 3x3 convolution with padding 1 and this dilation.
fn dilated(dilation: usize) -> Conv {
    Conv::plane(Plane { kernel: [3; 2], stride: [1; 2], padding: [1; 4], dilation: [dilation; 2] }, 1)
}

#[track_caller]
fn gives(result: Result<(Shape, DataType), String>, shape: &Shape) {
    assert_eq!(result.expect("must fit"), (shape.clone(), DataType::F32));
}

#[track_caller]
fn fails(result: Result<(Shape, DataType), String>, words: &str) {
    let error = result.expect_err("must be refused");
    assert!(error.starts_with("node `node` ("), "the message names the node: {error}");
    assert!(error.contains(words), "expected `{words}` in: {error}");
}

#[test]
fn conv_follows_the_window_formula_on_each_axis() {
    let plane = Plane { kernel: [3, 5], stride: [2, 1], padding: [1, 2, 0, 1], dilation: [1, 2] };
    let conv = Conv::plane(plane, 2);
    // height (9 + 1 + 0 - 3) / 2 + 1 = 4, width (11 + 2 + 1 - 9) / 1 + 1 = 6
    let shape = infer(Op::Conv(conv), |g| vec![image(g, 4, 9, 11), param(g, &[6, 2, 3, 5]), param(g, &[6])]);
    gives(shape, &Shape::nchw(6, 4, 6));
}

#[test]
fn conv_refuses_what_does_not_fit() {
    let conv = |c: Conv, x: [usize; 3], w: &[usize], b: Option<usize>| {
        infer(Op::Conv(c), |g| {
            let mut inputs = vec![image(g, x[0], x[1], x[2]), param(g, w)];
            inputs.extend(b.map(|b| param(g, &[b])));
            inputs
        })
    };
    let square = Conv::square(3, 1, 1);
    fails(conv(square.clone(), [3, 8, 8], &[4, 2, 3, 3], None), "input has 3 channels");
    fails(conv(square.clone().with_groups(2), [4, 8, 8], &[5, 2, 3, 3], None), "cannot share");
    fails(conv(square.clone().with_groups(0), [4, 8, 8], &[4, 2, 3, 3], None), "cannot share");
    fails(conv(square.clone(), [4, 8, 8], &[0, 4, 3, 3], None), "cannot share");
    fails(conv(square.clone(), [4, 8, 8], &[4, 4, 5, 5], None), "does not match the weight");
    fails(conv(square.clone(), [4, 8, 8], &[4, 4, 9], None), "[c_out, c_in/groups, k_h, k_w]");
    fails(conv(square.clone(), [4, 8, 8], &[4, 4, 3, 3], Some(3)), "a bias of shape [4]");
    fails(conv(Conv::square(3, 0, 1), [4, 8, 8], &[4, 4, 3, 3], None), "at least 1");
    fails(conv(Conv::square(7, 1, 0), [4, 6, 8], &[4, 4, 7, 7], None), "reaches over 7 pixels");
    let huge = dilated(usize::MAX);
    fails(conv(huge, [4, 8, 8], &[4, 4, 3, 3], None), "reaches over");
    fails(infer(Op::Conv(square.clone()), |g| vec![image(g, 4, 8, 8)]), "expected 2 to 3 inputs, found 1");
    let flat =
        infer(Op::Conv(square.clone()), |g| vec![g.add_input("x", Shape::nc(4)), param(g, &[4, 4, 3, 3])]);
    fails(flat, "[N, C, H, W], found [N, 4]");
    let typed = infer(Op::Conv(square), |g| vec![image(g, 4, 8, 8), bytes(g, &[4, 4, 3, 3])]);
    fails(typed, "input 1 must be f32, found u8");
}

#[test]
fn batch_normalization_keeps_the_shape() {
    let norm = Op::BatchNormalization(BatchNormalization { epsilon: 1e-5, momentum: 0.9, training: false });
    let run = |lengths: [usize; 4]| {
        infer(norm.clone(), |g| {
            let mut inputs = vec![image(g, 4, 5, 6)];
            inputs.extend(lengths.map(|n| param(g, &[n])));
            inputs
        })
    };
    gives(run([4; 4]), &Shape::nchw(4, 5, 6));
    fails(run([3, 4, 4, 4]), "gamma of shape [4], found [3]");
    fails(run([4, 3, 4, 4]), "beta of shape [4]");
    fails(run([4, 4, 3, 4]), "running_mean of shape [4]");
    fails(run([4, 4, 4, 3]), "running_var of shape [4]");
    let flat = infer(norm.clone(), |g| {
        let mut inputs = vec![g.add_input("x", Shape::nc(4))];
        inputs.extend([4; 4].map(|n| param(g, &[n])));
        inputs
    });
    gives(flat, &Shape::nc(4));
    fails(infer(norm, |g| vec![image(g, 4, 5, 6)]), "expected 5 inputs, found 1");
}

#[test]
fn elementwise_operators_keep_the_shape_and_take_one_input() {
    for op in [
        Op::Unary(Unary::Relu),
        Op::Unary(Unary::Clip { min: 0.0, max: 6.0 }),
        Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }),
        Op::Unary(Unary::HardSwish),
        Op::Unary(Unary::Sigmoid),
        Op::Dropout(Dropout { ratio: 0.5 }),
    ] {
        gives(infer(op.clone(), |g| vec![image(g, 3, 4, 5)]), &Shape::nchw(3, 4, 5));
        fails(infer(op.clone(), |g| (0..4).map(|_| image(g, 3, 4, 5)).collect()), ", found 4");
        let types = infer(op.clone(), |g| vec![bytes(g, &[3])]);
        if matches!(op, Op::Unary(Unary::Relu) | Op::Dropout(_)) {
            assert_eq!(types, Ok((Shape::fixed(&[3]), DataType::U8)));
        } else {
            fails(types, "must be f32 or f64 or f16 or bf16, found u8");
        }
    }
}

#[test]
fn identity_keeps_shape_and_type() {
    let result = infer(Op::Identity(Identity), |g| vec![bytes(g, &[3, 2])]);
    assert_eq!(result, Ok((Shape::fixed(&[3, 2]), DataType::U8)));
    fails(infer(Op::Identity(Identity), |_| vec![]), "expected 1 input, found 0");
}

#[test]
fn softmax_takes_any_axis_that_is_there() {
    let along = |axis| Op::Softmax(Softmax::along(axis));
    gives(infer(along(1), |g| vec![g.add_input("x", Shape::nc(7))]), &Shape::nc(7));
    gives(infer(along(-1), |g| vec![image(g, 7, 1, 3)]), &Shape::nchw(7, 1, 3));
    fails(infer(along(4), |g| vec![image(g, 7, 1, 1)]), "the axis is 4, the value has 4 dimensions");
    fails(infer(along(-5), |g| vec![image(g, 7, 1, 1)]), "the axis is -5");
}

#[test]
fn add_takes_equal_shapes() {
    gives(
        infer(Op::Binary(Binary::Add), |g| vec![image(g, 3, 4, 5), image(g, 3, 4, 5)]),
        &Shape::nchw(3, 4, 5),
    );
    fails(infer(Op::Binary(Binary::Add), |g| vec![image(g, 3, 4, 5), image(g, 3, 5, 4)]), "shapes differ");
    fails(infer(Op::Binary(Binary::Add), |g| vec![image(g, 3, 4, 5)]), "expected 2 inputs");
    fails(infer(Op::Binary(Binary::Add), |g| vec![image(g, 3, 4, 5), bytes(g, &[3])]), "input 1 must be f32");
}

#[test]
fn shapes_are_broadcast_as_numpy_does_it() {
    let mul = |a: [usize; 3], b: [usize; 3]| {
        infer(Op::Binary(Binary::Mul), |g| vec![image(g, a[0], a[1], a[2]), image(g, b[0], b[1], b[2])])
    };
    gives(mul([3, 4, 5], [3, 4, 5]), &Shape::nchw(3, 4, 5));
    gives(mul([3, 4, 5], [3, 1, 1]), &Shape::nchw(3, 4, 5));
    gives(mul([3, 1, 1], [3, 4, 5]), &Shape::nchw(3, 4, 5));
    gives(mul([3, 4, 5], [1, 4, 1]), &Shape::nchw(3, 4, 5));
    fails(mul([3, 4, 5], [2, 1, 1]), "shapes differ");
    let vector = infer(Op::Binary(Binary::Add), |g| vec![param(g, &[5]), image(g, 3, 4, 5)]);
    gives(vector, &Shape::nchw(3, 4, 5));
    let compared = infer(Op::Binary(Binary::Less), |g| vec![image(g, 3, 4, 5), param(g, &[])]);
    assert_eq!(compared, Ok((Shape::nchw(3, 4, 5), DataType::Bool)));
}

#[test]
fn concat_adds_channels() {
    let three = infer(Op::Concat(Concat::CHANNELS), |g| {
        vec![image(g, 3, 4, 5), image(g, 2, 4, 5), image(g, 1, 4, 5)]
    });
    gives(three, &Shape::nchw(6, 4, 5));
    fails(
        infer(Op::Concat(Concat::CHANNELS), |g| vec![image(g, 3, 4, 5), image(g, 3, 5, 5)]),
        "differ beyond axis 1",
    );
    fails(
        infer(Op::Concat(Concat::CHANNELS), |g| vec![image(g, 3, 4, 5), g.add_input("f", Shape::nc(3))]),
        "differ beyond",
    );
    fails(
        infer(Op::Concat(Concat::CHANNELS), |g| vec![param(g, &[3]), bytes(g, &[3])]),
        "the axis is 1, the value has 1 dimensions",
    );
    fails(
        infer(Op::Concat(Concat::CHANNELS), |g| vec![param(g, &[3, 2]), bytes(g, &[3, 2])]),
        "input 1 must be f32, found u8",
    );
    fails(infer(Op::Concat(Concat::CHANNELS), |_| vec![]), "expected at least 1 input, found 0");
}

#[test]
fn pooling_follows_the_window_formula() {
    let plane = Plane { kernel: [3, 2], stride: [2, 2], padding: [1, 0, 0, 1], dilation: [1, 1] };
    let pool = MaxPool { window: plane.into(), ..MaxPool::square(1, 1, 0) };
    // height (7 + 1 + 0 - 3) / 2 + 1 = 3, width (8 + 0 + 1 - 2) / 2 + 1 = 4
    gives(infer(Op::MaxPool(pool.clone()), |g| vec![image(g, 3, 7, 8)]), &Shape::nchw(3, 3, 4));
    let mean = AveragePool { window: plane.into(), ceil_mode: false, count_include_pad: true }.into();
    gives(infer(mean, |g| vec![image(g, 3, 7, 8)]), &Shape::nchw(3, 3, 4));
    let wide = MaxPool::square(2, 2, 2);
    fails(infer(Op::MaxPool(wide), |g| vec![image(g, 3, 7, 8)]), "padding must be smaller");
    fails(infer(Op::MaxPool(MaxPool::square(9, 1, 0)), |g| vec![image(g, 3, 7, 8)]), "reaches over 9 pixels");
    fails(infer(Op::MaxPool(MaxPool::square(0, 1, 0)), |g| vec![image(g, 3, 7, 8)]), "at least 1");
    fails(infer(Op::MaxPool(MaxPool::square(2, 0, 0)), |g| vec![image(g, 3, 7, 8)]), "at least 1");
    let flat = infer(Op::MaxPool(MaxPool::square(1, 1, 0)), |g| vec![g.add_input("x", Shape::nc(3))]);
    fails(flat, "expected [N, C, ...] with spatial axes, found [N, 3]");
    // One more window hangs over the end: (8 - 3) / 2 rounded up, plus 1.
    let over = MaxPool { ceil_mode: true, ..MaxPool::square(3, 2, 0) };
    gives(infer(Op::MaxPool(over), |g| vec![image(g, 3, 8, 9)]), &Shape::nchw(3, 4, 4));
}

#[test]
fn global_average_pool_flatten_and_pad_take_images() {
    gives(infer(Op::GlobalPool(GlobalPool::Average), |g| vec![image(g, 3, 7, 8)]), &Shape::nchw(3, 1, 1));
    gives(infer(Op::Flatten(Flatten::IMAGES), |g| vec![image(g, 3, 7, 8)]), &Shape::nc(168));
    gives(
        infer(Op::Flatten(Flatten { axis: 4 }), |g| vec![param(g, &[2, 3, 4, 5])]),
        &Shape::fixed(&[120, 1]),
    );
    gives(
        infer(Op::Flatten(Flatten { axis: -3 }), |g| vec![param(g, &[2, 3, 4, 5])]),
        &Shape::fixed(&[2, 60]),
    );
    fails(infer(Op::Flatten(Flatten { axis: 5 }), |g| vec![param(g, &[2, 3])]), "the axis is 5");
    gives(pad(&[0, 2, 0, 0, 0, 4, 0, 0]), &Shape::nchw(9, 7, 8));
    gives(pad(&[0, 0, 1, 1, 0, 0, -2, 1]), &Shape::nchw(3, 6, 10));
    fails(pad(&[0, 2, 0, 0]), "expected 8 paddings");
    fails(pad(&[0, 0, 0, 0, 0, 0, -8, 0]), "leaves nothing");
    let flat = infer(Op::GlobalPool(GlobalPool::Average), |g| vec![g.add_input("x", Shape::fixed(&[3]))]);
    fails(flat, "expected [N, C, ...], found [3]");
}

/// An image of 3 channels, 7 rows and 8 columns, padded.
fn pad(pads: &[i64]) -> Result<(Shape, DataType), String> {
    infer(Op::Pad(Pad::CONSTANT), |g| {
        let x = image(g, 3, 7, 8);
        vec![x, g.add_param("pads", Tensor::ints(pads.to_vec()))]
    })
}

#[test]
fn gemm_multiplies_by_the_transposed_weight() {
    let gemm = |x: usize, w: &[usize], b: Option<usize>| {
        infer(Op::Gemm(Gemm::LINEAR), |g| {
            let mut inputs = vec![g.add_input("x", Shape::nc(x)), param(g, w)];
            inputs.extend(b.map(|b| param(g, &[b])));
            inputs
        })
    };
    gives(gemm(12, &[5, 12], Some(5)), &Shape::nc(5));
    gives(gemm(12, &[5, 12], None), &Shape::nc(5));
    fails(gemm(12, &[12, 5], None), "expected [N, in] and a weight [out, in], found [N, 12] and [12, 5]");
    fails(gemm(12, &[5, 12], Some(4)), "a bias that is broadcast to [N, 5]");
    fails(
        infer(Op::Gemm(Gemm::LINEAR), |g| vec![image(g, 12, 1, 1), param(g, &[5, 12])]),
        "expected [N, in]",
    );
    // An open size may be the one that is needed when the graph runs.
    let with_bias = |rows: fn(&mut Graph) -> Dim| {
        infer(Op::Gemm(Gemm::LINEAR), |g| {
            let rows = rows(g);
            let x = g.add_input("x", Shape::nc(12));
            vec![x, param(g, &[5, 12]), g.add_input("bias", Shape::new(vec![rows, Dim::Fixed(5)]))]
        })
    };
    gives(with_bias(|g| g.symbol("rows")), &Shape::nc(5));
    gives(with_bias(|_| Dim::Fixed(1)), &Shape::nc(5));
}

#[test]
fn quantize_and_dequantize_check_scale_and_types() {
    let quantize = |axis, scale: &[usize], zero: &[usize]| {
        infer(Op::QuantizeLinear(QuantizeLinear { axis, block: 0, dtype: DataType::U8 }), |g| {
            vec![image(g, 3, 4, 5), param(g, scale), bytes(g, zero)]
        })
    };
    assert_eq!(quantize(1, &[], &[]), Ok((Shape::nchw(3, 4, 5), DataType::U8)));
    assert_eq!(quantize(1, &[3], &[3]), Ok((Shape::nchw(3, 4, 5), DataType::U8)));
    fails(quantize(2, &[3], &[3]), "must be scalars or match axis 2");
    fails(quantize(1, &[3], &[]), "must be scalars or match");
    let scale_type =
        infer(Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }), |g| {
            vec![image(g, 3, 4, 5), bytes(g, &[]), bytes(g, &[])]
        });
    fails(scale_type, "input 1 must be f32");
    let dequantize = |zero: TensorData| {
        infer(Op::DequantizeLinear(DequantizeLinear::along(0)), |g| {
            let zero = g.add_param("zero", Tensor::new(vec![6], zero).unwrap());
            vec![bytes(g, &[6, 2]), param(g, &[6]), zero]
        })
    };
    gives(dequantize(TensorData::U8(vec![0; 6])), &Shape::fixed(&[6, 2]));
    fails(dequantize(TensorData::I8(vec![0; 6])), "x is u8, zero_point i8");
}

#[test]
fn a_fixed_batch_travels_through() {
    let mut graph = Graph::new("test");
    let dims = [1, 3, 8, 8].map(Dim::Fixed).to_vec();
    let x = graph.add_input("x", Shape::new(dims));
    let y = graph.add_node("pool", Op::MaxPool(MaxPool::square(2, 2, 0)), vec![x]);
    graph.infer_shapes().unwrap();
    assert_eq!(graph.shape(y), &Shape::fixed(&[1, 3, 4, 4]));
}

#[test]
fn a_batch_travels_through_shapes_of_32_bits() {
    let of = |to: DataType| {
        let mut graph = Graph::new("test");
        let x = image(&mut graph, 2, 3, 4);
        let batch = graph.add_node("batch", ShapeOf { start: 0, end: Some(1) }, [x]);
        let batch = graph.add_node("narrow", Cast { to }, [batch]);
        let rest = graph.add_param("rest", Tensor::ints(vec![6, 4]));
        let rest = graph.add_node("narrow_rest", Cast { to }, [rest]);
        let target = graph.add_node("target", Concat { axis: 0 }, [batch, rest]);
        let target = graph.add_node("wide", Cast { to: DataType::I64 }, [target]);
        let y = graph.add_node("reshape", Reshape::COPYING, [x, target]);
        graph.infer_shapes().unwrap();
        graph.shape(y).clone()
    };
    let known = Shape::new(vec![Dim::Batch, Dim::Fixed(6), Dim::Fixed(4)]);
    assert_eq!(of(DataType::I64), known);
    assert_eq!(of(DataType::I32), known);
    assert_ne!(of(DataType::F32), known);
}

#[test]
fn an_input_without_shape_is_named() {
    let mut graph = Graph::new("test");
    let orphan = graph.add_activation("orphan");
    graph.add_node("relu", Op::Unary(Unary::Relu), vec![orphan]);
    let error = graph.infer_shapes().unwrap_err().to_string();
    assert!(error.contains("`relu`") && error.contains("`orphan`"), "{error}");
}

#[test]
fn a_result_beyond_memory_is_refused_at_its_node() {
    // Padding of a 1x1 kernel, as a damaged file may have it: 2^64 elements and more.
    let padded = |padding: [usize; 4]| {
        let plane = Plane { kernel: [1; 2], stride: [1; 2], padding, dilation: [1; 2] };
        infer(Op::Conv(Conv::plane(plane, 1)), |g| vec![image(g, 1, 32, 32), param(g, &[21_648, 1, 1, 1])])
    };
    gives(padded([1; 4]), &Shape::nchw(21_648, 34, 34));
    fails(padded([12_764_823, 16_688_841, 12_764_824, 16_688_841]), "its result: expected at most");
    for n in [1 << 40, 1 << 62, usize::MAX] {
        fails(padded([n; 4]), "its result: expected at most");
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        fails(pad(&[0, n, 0, 0, 0, n, 0, 0]), "at most");
    }
    let pool = |kernel, stride, padding| {
        let window = Plane { kernel, stride, padding, dilation: [1; 2] }.into();
        infer(Op::MaxPool(MaxPool { window, ..MaxPool::square(1, 1, 0) }), |g| vec![image(g, 3, 8, 8)])
    };
    gives(pool([2; 2], [1 << 62; 2], [0; 4]), &Shape::nchw(3, 1, 1));
    fails(pool([1 << 62; 2], [1; 2], [(1 << 62) - 1; 4]), "at most");
    fails(pool([usize::MAX; 2], [1; 2], [0; 4]), "reaches over");
    let far = infer(Op::Conv(dilated(usize::MAX)), |g| vec![image(g, 1, 8, 8), param(g, &[1, 1, 3, 3])]);
    fails(far, "reaches over");
    let joined = infer(Op::Concat(Concat::CHANNELS), |g| {
        let x = image(g, 1 << 44, 1, 1);
        vec![x, x, x]
    });
    fails(joined, "at most");
}

#[test]
fn an_input_with_too_many_elements_is_named() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("picture", Shape::nchw(1 << 22, 1 << 22, 1 << 22));
    graph.add_node("relu", Op::Unary(Unary::Relu), vec![x]);
    let error = graph.infer_shapes().unwrap_err().to_string();
    assert!(error.contains("input `picture`") && error.contains("at most"), "{error}");
    // Beside a size of 0 the others count as well: a file holds no more than 63 bits of them.
    for sizes in [&[0, 1 << 63][..], &[1 << 30, 0, 1 << 30], &[usize::MAX, 0]] {
        let mut graph = Graph::new("test");
        graph.add_input("none", Shape::fixed(sizes));
        let error = graph.infer_shapes().unwrap_err().to_string();
        assert!(error.contains("input `none`") && error.contains("at most"), "{error}");
    }
    let mut graph = Graph::new("test");
    graph.add_input("none", Shape::fixed(&[1 << 20, 0, 1 << 20]));
    graph.infer_shapes().unwrap();
    // Without elements there is no window to put.
    fails(infer(Op::MaxPool(MaxPool::square(1, 1, 0)), |g| vec![image(g, 3, 0, 8)]), "at least one element");
}

#[test]
fn a_bound_batch_is_known_everywhere() {
    let mut graph = Graph::new("test");
    let x = graph.add_input("x", Shape::nchw(3, 4, 5));
    let y = graph.add_node("flatten", Op::Flatten(Flatten::IMAGES), vec![x]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let bound = graph.with_batch(7).unwrap();
    assert_eq!(bound.shape(y), &Shape::fixed(&[7, 60]));
    assert_eq!(graph.shape(y), &Shape::nc(60));
}

#[test]
fn scales_that_are_not_known_have_the_right_count() {
    let resize = |scales: &'static [usize]| {
        infer(Op::Resize(crate::Resize::REPEAT), move |g| {
            vec![image(g, 3, 4, 4), param(g, &[0]), g.add_input("scales", Shape::fixed(scales))]
        })
    };
    fails(resize(&[]), "expected scales of shape [4], found []");
    fails(resize(&[2]), "expected scales of shape [4], found [2]");
    assert_eq!(resize(&[4]).unwrap().0.rank(), 4);
}
