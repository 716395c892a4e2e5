//! Graphs of fast and plain steps: several inputs and outputs, any type and rank, sizes that only the data tell.

use std::sync::Arc;

use oculist_graph::op::{ArgReduce, NonZero, ShapeOf};
use oculist_graph::{
    Binary, Concat, Conv, DataType, DequantizeLinear, Dim, Flatten, Gather, Gemm, GlobalPool, Graph,
    GraphBuilder, Node, Op, QuantizeLinear, Reshape, Shape, Softmax, Tensor, TensorData, Unary, ValueId,
};
use oculist_testing::formula;

use super::{context, error, graph, images, planned, reference};
use crate::{InputLayout, Isa, Plan, PlanOptions, RuntimeError};

pub(super) fn options(batch: usize) -> PlanOptions {
    PlanOptions::new(batch, context(2, Isa::detect())).with_input_layout(InputLayout::Nchw)
}

pub(super) fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.steps.iter().map(|step| step.work.name()).collect()
}

/// Asserts that the plan agrees with the graph run node by node, whichever way it is called; returns the kinds of steps.
pub(super) fn check_against_plain(graph: &Graph, n: usize) -> Vec<&'static str> {
    let shape =
        graph.shape(graph.inputs()[0]).dims().iter().map(|d| d.size().unwrap_or(n)).collect::<Vec<_>>();
    let images = formula::tensor("input", shape.iter().product());
    let input = Tensor::f32(&shape, images.clone());
    let want = oculist_plain::run(&context(1, Isa::detect()), graph, vec![input.clone()]).expect("a run");
    let want: Vec<f64> = want[0].as_f32().expect("floats").iter().map(|&v| f64::from(v)).collect();
    for isa in Isa::available() {
        for batch in [1, 2, n + 1] {
            let e = error(&planned(graph, &images, batch, context(2, isa)), &want);
            assert!(e < 2e-5, "error {e:e} with {isa}, batch {batch}");
        }
        for layout in [InputLayout::Nchw, InputLayout::Nhwc] {
            let options = PlanOptions::new(n, context(2, isa)).with_input_layout(layout);
            let mut plan = Plan::new(graph, &options).expect("a plan");
            let got = plan.run_tensors(vec![input.clone()]).expect("a run");
            let e = error(got[0].as_f32().expect("floats"), &want);
            assert!(e < 2e-5, "error {e:e} with {isa}, {layout:?}");
        }
    }
    kinds(&Plan::new(graph, &options(n)).expect("a plan"))
}

#[test]
fn one_odd_operator_leaves_its_neighbours_fast() {
    let g = graph(3, 8, 7, |b, x| {
        let y = b.conv("a", x, 20, Conv::square(3, 1, 1), true);
        let y = b.relu("relu", y);
        let y = b.op("odd", Softmax::along(2), &[y]);
        let y = b.relu("after", y);
        let y = b.conv("b", y, 5, Conv::square(3, 2, 1), true);
        b.batch_norm("norm", y, 1e-5, 0.9)
    });
    let kinds = check_against_plain(&g, 3);
    assert_eq!(kinds, ["to NHWC", "conv", "to rows", "plain", "from rows", "activation", "conv"]);
}

#[test]
fn a_chain_of_plain_nodes_is_not_converted_in_between() {
    let g = graph(3, 6, 5, |b, x| {
        let y = b.conv("a", x, 20, Conv::square(3, 1, 1), true);
        let y = b.op("odd", Softmax::along(2), &[y]);
        let z = b.relu("light", y);
        let z = b.add("sum", z, y);
        let z = b.batch_norm("norm", z, 1e-5, 0.9);
        b.op("last", Unary::Exp, &[z])
    });
    let kinds = check_against_plain(&g, 2);
    assert_eq!(kinds, ["to NHWC", "conv", "to rows", "plain", "plain", "plain", "plain", "plain"]);
}

#[test]
fn broadcasting_runs_plain_and_the_same_shape_does_not() {
    let build = |shape: &[usize]| {
        graph(4, 5, 6, |b, x| {
            let y = b.conv("a", x, 18, Conv::square(3, 1, 1), true);
            let c = b.param("c", Tensor::f32(shape, formula::tensor("c", shape.iter().product())));
            let y = b.op("mul", Binary::Mul, &[c, y]);
            let y = b.op("add", Binary::Add, &[y, c]);
            let z = b.op("pool", GlobalPool::Average, &[y]);
            b.op("sub", Binary::Sub, &[y, z])
        })
    };
    for shape in [&[][..], &[1], &[6], &[18, 1, 1], &[1, 18, 5, 6], &[5, 1]] {
        let kinds = check_against_plain(&build(shape), 2);
        let plain = kinds.iter().filter(|kind| **kind == "plain").count();
        // A number for each channel is folded into the convolution.
        let folded = shape.len() != 2 && shape != [6] && shape.len() != 4;
        assert_eq!(plain, if folded { 1 } else { 3 }, "{shape:?}: {kinds:?}");
    }
}

#[test]
fn a_flattened_map_in_order_for_everything_that_is_no_layer() {
    for build in [
        (|b, f| b.batch_norm("norm", f, 1e-5, 0.9)) as fn(&mut GraphBuilder, ValueId) -> ValueId,
        |b, f| b.op("concat", Concat::CHANNELS, &[f, f]),
        |b, f| {
            let c = b.param("c", Tensor::f32(&[1, 60], formula::tensor("c", 60)));
            b.op("sum", Binary::Add, &[f, c])
        },
        |b, f| {
            let c = b.param("c", Tensor::f32(&[60], formula::tensor("c", 60)));
            let y = b.op("sum", Binary::Add, &[c, f]);
            b.linear("fc", y, 7)
        },
        |b, f| b.op("softmax", Softmax::along(-1), &[f]),
        |b, f| b.op("odd", Unary::Tanh, &[f]),
    ] {
        let g = graph(4, 4, 3, |b, x| {
            let y = b.conv("a", x, 5, Conv::square(3, 1, 1), true);
            let f = b.op("flatten", Flatten::IMAGES, &[y]);
            build(b, f)
        });
        check_against_plain(&g, 2);
    }
}

#[test]
fn products_of_every_form() {
    let w = |b: &mut GraphBuilder, shape: [usize; 2]| {
        b.param("w", Tensor::f32(&shape, formula::tensor("w", shape[0] * shape[1])))
    };
    let forms: [fn(&mut GraphBuilder, ValueId, ValueId) -> ValueId; 2] = [
        |b, x, w| b.op("product", Op::MatMul(oculist_graph::op::MatMul), &[x, w]),
        |b, x, w| {
            let c = b.param("c", Tensor::f32(&[1, 19], formula::tensor("c", 19)));
            let gemm = Gemm { alpha: 0.5, beta: -2.0, trans_a: false, trans_b: false };
            b.op("product", gemm, &[x, w, c])
        },
    ];
    for form in forms {
        let g = graph(5, 4, 3, |b, x| {
            let f = b.op("flatten", Flatten::IMAGES, &[x]);
            let w = w(b, [60, 19]);
            form(b, f, w)
        });
        assert_eq!(check_against_plain(&g, 2), ["to NHWC", "conv"]);
    }
    // Of two activations, and of a transposed one.
    let g = graph(5, 2, 2, |b, x| {
        let gemm = Gemm { trans_a: true, trans_b: false, ..Gemm::LINEAR };
        let y = b.op("conv", Unary::Relu, &[x]);
        let f = b.op("flatten", Flatten::IMAGES, &[y]);
        let w = w(b, [20, 20]);
        let y = b.op("fc", gemm, &[w, w]);
        b.op("fc2", Op::MatMul(oculist_graph::op::MatMul), &[f, y])
    });
    assert_eq!(check_against_plain(&g, 2).last(), Some(&"conv"));
}

/// Scores of images and a vector for each, the best class of each and the sum of both.
fn two_heads() -> Graph {
    let mut graph = Graph::new("heads");
    let x = graph.add_input("image", Shape::nchw(3, 6, 6));
    let v = graph.add_input("vector", Shape::nc(4));
    let w = graph.add_param("w", Tensor::f32(&[4, 3, 3, 3], formula::tensor("w", 108)));
    let y = graph.add_node("conv", Conv::square(3, 1, 1), vec![x, w]);
    let y = graph.add_node("pool", GlobalPool::Average, vec![y]);
    let y = graph.add_node("flatten", Flatten::IMAGES, vec![y]);
    let s = graph.add_node("sum", Binary::Add, vec![y, v]);
    let best = ArgReduce { axis: 1, keepdims: false, largest: true, last: false };
    let i = graph.add_node("best", Op::ArgReduce(best), vec![s]);
    graph.set_outputs(vec![s, i, v]);
    graph.tidy().expect("a valid graph");
    graph
}

#[test]
fn several_inputs_and_outputs_of_several_types() {
    let graph = two_heads();
    let inputs = |n: usize| {
        let image = Tensor::f32(&[n, 3, 6, 6], formula::tensor("image", n * 108));
        vec![image, Tensor::f32(&[n, 4], formula::tensor("vector", n * 4))]
    };
    let mut plan = Plan::new(&graph, &options(3)).unwrap();
    assert!(kinds(&plan).contains(&"conv"), "{}", plan.describe());
    let got = plan.run_tensors(inputs(3)).unwrap();
    let want = oculist_plain::run(&context(1, Isa::detect()), &graph, inputs(3)).unwrap();
    assert_eq!((got.len(), got[0].shape(), got[1].shape()), (3, &[3, 4][..], &[3][..]));
    let sums: Vec<f64> = want[0].as_f32().unwrap().iter().map(|&v| v.into()).collect();
    assert!(error(got[0].as_f32().unwrap(), &sums) < 1e-5);
    assert_eq!(got[1..], want[1..]);
    // What does not fit is named.
    for (inputs, text) in [
        (inputs(2), "input `image`: the plan is for a batch of 3, found one of 2"),
        (inputs(3)[..1].to_vec(), "expected 2 inputs, found 1"),
        (vec![inputs(3)[0].clone(); 2], "input `vector`: expected f32 [N, 4], found f32 [3, 3, 6, 6]"),
        (vec![inputs(3)[0].clone(), Tensor::zeros(DataType::I64, &[3, 4])], "found i64 [3, 4]"),
    ] {
        let e = plan.run_tensors(inputs).unwrap_err();
        assert!(matches!(e, RuntimeError::Inputs { .. }) && e.to_string().contains(text), "{e}");
    }
    let e = plan.run(&[0.0; 324], &mut [0.0; 12]).unwrap_err().to_string();
    assert!(e.contains("expected one input and one output, found 2 and 3"), "{e}");
    assert_eq!((plan.input_len(), plan.output_len()), (0, 0));
    assert!(plan.predict(&[]).is_err());
    assert!(plan.profile(2).unwrap().contains("plain"));
}

#[test]
fn a_size_that_only_the_data_tell() {
    let g = graph(2, 2, 2, |b, x| {
        let y = b.relu("relu", x);
        b.op("where", Op::NonZero(NonZero), &[y])
    });
    let mut plan = Plan::new(&g, &options(1)).unwrap();
    let image = |v: Vec<f32>| vec![Tensor::f32(&[1, 2, 2, 2], v)];
    for (values, columns) in
        [(vec![1.0; 8], 8), (vec![-1.0; 8], 0), (vec![0.0, 1.0, -1.0, 2.0, 0.0, 0.0, 3.0, 0.0], 3)]
    {
        let got = plan.run_tensors(image(values)).unwrap();
        assert_eq!(got[0].shape(), &[4, columns]);
    }
    let got = plan.run_tensors(image(vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0])).unwrap();
    assert_eq!(got[0].to_i64s().unwrap(), [0, 1, 1, 0]);
    let e = plan.run(&[0.0; 8], &mut [0.0; 8]).unwrap_err().to_string();
    assert!(e.contains("expected an output of floats with the batch first, found i64[4, ?]"), "{e}");
}

#[test]
fn named_dimensions_are_free_and_consistent() {
    let mut graph = Graph::new("tokens");
    let t = graph.symbol("tokens");
    let shape = Shape::new(vec![Dim::Batch, t, Dim::Fixed(3)]);
    let a = graph.add_input("a", shape.clone());
    let b = graph.add_input("b", shape);
    let y = graph.add_node("sum", Binary::Add, vec![a, b]);
    let y = graph.add_node("tanh", Unary::Tanh, vec![y]);
    let s = graph.add_node("shape", Op::ShapeOf(ShapeOf::ALL), vec![y]);
    graph.set_outputs(vec![y, s]);
    graph.tidy().unwrap();
    let mut plan = Plan::new(&graph, &options(2)).unwrap();
    assert!(plan.describe().contains("sum: plain -> f32 [2, s0, 3] Add"), "{}", plan.describe());
    let of = |tokens: usize| Tensor::f32(&[2, tokens, 3], formula::tensor("a", 6 * tokens));
    for tokens in [1, 5] {
        let got = plan.run_tensors(vec![of(tokens), of(tokens)]).unwrap();
        assert_eq!(got[1].to_i64s().unwrap(), [2, tokens as i64, 3]);
        let want = 2.0 * of(tokens).as_f32().unwrap()[4];
        assert!((got[0].as_f32().unwrap()[4] - want.tanh()).abs() < 1e-6);
    }
    let e = plan.run_tensors(vec![of(4), of(5)]).unwrap_err().to_string();
    assert!(e.contains("input `b`") && e.contains("expected the size 4 that input `a` has"), "{e}");
}

#[test]
fn what_follows_from_shapes_is_no_step() {
    let g = graph(4, 3, 4, |b, x| {
        let y = b.conv("a", x, 4, Conv::square(1, 1, 0), true);
        let s = b.op("shape", Op::ShapeOf(ShapeOf::ALL), &[y]);
        let s = b.op("cast", Op::Cast(oculist_graph::op::Cast { to: DataType::F32 }), &[s]);
        b.op("scale", Binary::Mul, &[y, s])
    });
    let kinds = kinds(&Plan::new(&g, &options(5)).unwrap());
    assert_eq!(kinds, ["to NHWC", "conv", "to rows", "plain"]);
    let got =
        Plan::new(&g, &options(5)).unwrap().run_tensors(vec![Tensor::filled(&[5, 4, 3, 4], 1.0)]).unwrap();
    let values = got[0].as_f32().unwrap();
    // Factors 5, 4, 3, 4 along the last axis, and the batch is the plan's.
    assert!((values[0] / values[1] - 1.25).abs() < 1e-5 && (values[2] / values[1] - 0.75).abs() < 1e-5);
}

#[test]
fn an_output_without_batch_is_no_matter_of_images() {
    let g = graph(2, 2, 3, |b, x| {
        let gemm = Gemm { trans_a: true, trans_b: false, ..Gemm::LINEAR };
        let f = b.op("flatten", Flatten::IMAGES, &[x]);
        b.op("gram", gemm, &[f, f])
    });
    // For 12 images, the matrix has as many rows as there are images.
    for batch in [3, 12] {
        let mut plan = Plan::new(&g, &options(batch)).unwrap();
        let e = plan.run(&[0.5; 12], &mut [0.0; 144]).unwrap_err().to_string();
        assert!(e.contains("expected an output of floats with the batch first, found f32[12, 12]"), "{e}");
        let got = plan.run_tensors(vec![Tensor::filled(&[batch, 2, 2, 3], 0.5)]).unwrap();
        assert_eq!(got[0], Tensor::filled(&[12, 12], 0.25 * batch as f32));
    }
}

#[test]
fn a_graph_for_one_size_of_batch_runs_as_often_as_it_takes() {
    // The batch is fixed inside as well, where no stage could open it.
    let of = |batch: usize| {
        let mut graph = Graph::new("fixed");
        let x = graph.add_input("x", Shape::fixed(&[batch, 3, 4, 4]));
        let rows = graph.add_param("rows", Tensor::ints(vec![3 * batch as i64, 16]));
        let back = graph.add_param("back", Tensor::ints(vec![batch as i64, 48]));
        let y = graph.add_node("apart", Reshape::COPYING, vec![x, rows]);
        let y = graph.add_node("relu", Unary::Relu, vec![y]);
        let y = graph.add_node("together", Reshape::COPYING, vec![y, back]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    };
    let images: Vec<f32> = (0..5 * 48).map(|i| (i * 7 % 13) as f32 - 6.0).collect();
    let want: Vec<f32> = images.iter().map(|x| x.max(0.0)).collect();
    for (fixed, most) in [(2, 2), (2, 5), (1, 5), (4, 1), (7, 5)] {
        let options = options(most).with_input_layout(InputLayout::Nchw);
        let mut plan = Plan::new(&of(fixed), &options).unwrap();
        assert_eq!(plan.batch(), most);
        plan.check_images().unwrap();
        for n in 1..=most {
            let mut got = vec![0.0; n * 48];
            plan.run(&images[..n * 48], &mut got).unwrap();
            assert_eq!(got, want[..n * 48], "{n} images, batches of {fixed}");
        }
        let e = plan.run(&images, &mut vec![0.0; 48 * 5]).err().map(|e| e.to_string());
        assert_eq!(e.is_none(), most == 5, "{e:?}");
        assert_eq!(plan.predict(&images).unwrap(), want);
    }
    // Any inputs of the size that the graph fixes.
    let mut plan = Plan::new(&of(2), &options(1)).unwrap();
    let got = plan.run_tensors(vec![Tensor::f32(&[2, 3, 4, 4], images[..96].to_vec())]).unwrap();
    assert_eq!(got[0].as_f32(), Some(&want[..96]));
}

#[test]
fn plain_steps_are_observed_and_measured() {
    let g = graph(3, 4, 5, |b, x| {
        let y = b.conv("a", x, 6, Conv::square(3, 1, 1), true);
        let y = b.op("odd", Softmax::along(2), &[y]);
        let y = b.op("exp", Unary::Exp, &[y]);
        b.conv("b", y, 2, Conv::square(1, 1, 0), true)
    });
    let images = images(&g, 2);
    let input = Tensor::f32(&[2, 3, 4, 5], images.clone());
    for name in ["odd.out", "exp.out", "a.out"] {
        let value = g.find(name).unwrap();
        let mut cut = g.clone();
        cut.set_outputs(vec![value]);
        let want = oculist_plain::run(&context(1, Isa::detect()), &cut, vec![input.clone()]).unwrap();
        let want: Vec<f64> = want[0].as_f32().unwrap().iter().map(|&v| v.into()).collect();
        let mut plan = Plan::new(&g, &options(3).with_observed(vec![value])).unwrap();
        let mut seen = 0;
        plan.run_observed(&images, &mut [0.0; 80], &mut |o| {
            assert!(error(&o.to_nchw(), &want) < 1e-5, "{name}");
            seen += 1;
        })
        .unwrap();
        assert_eq!(seen, 1);
    }
    let mut plan = Plan::new(&g, &options(2)).unwrap();
    assert!(plan.profile(2).unwrap().contains("plain Softmax"), "{}", plan.profile(1).unwrap());
}

#[test]
fn plain_values_count_as_memory() {
    let mut graph = Graph::new("wide");
    let x = graph.add_input("x", Shape::new(vec![Dim::Batch, Dim::Fixed(1000), Dim::Fixed(10)]));
    let y = graph.add_node("tanh", Unary::Tanh, vec![x]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let limited = |batch: usize, bytes: usize| {
        let context = oculist_kernels::Context::new(1).unwrap().with_max_memory(bytes);
        Plan::check(&graph, &PlanOptions::new(batch, Arc::new(context)))
    };
    // Two values of 40,000 bytes an image.
    assert_eq!(limited(10, 1 << 20).unwrap(), 800_000);
    let e = limited(20, 1 << 20).unwrap_err();
    assert!(matches!(e, RuntimeError::Memory(_)), "{e}");
}

#[test]
fn nodes_that_cannot_be_computed_are_named() {
    // Sizes that differ only when the graph runs.
    let mut graph = Graph::new("free");
    let t = graph.symbol("t");
    let u = graph.symbol("u");
    let a = graph.add_input("a", Shape::new(vec![t]));
    let b = graph.add_input("b", Shape::new(vec![u]));
    let y = graph.add_node("together", Binary::Add, vec![a, b]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let mut plan = Plan::new(&graph, &options(1)).unwrap();
    let e = plan.run_tensors(vec![Tensor::filled(&[2], 1.0), Tensor::filled(&[3], 1.0)]).unwrap_err();
    assert!(matches!(e, RuntimeError::Plain { .. }), "{e}");
    assert!(e.to_string().starts_with("node `together`: Add: "), "{e}");
    let got = plan.run_tensors(vec![Tensor::filled(&[2], 1.0), Tensor::filled(&[1], 2.0)]).unwrap();
    assert_eq!(got[0], Tensor::filled(&[2], 3.0));
}

#[test]
fn integers_pass_through() {
    let mut graph = Graph::new("integers");
    let x = graph.add_typed_input("x", DataType::I64, Shape::new(vec![Dim::Batch, Dim::Fixed(3)]));
    let y = graph.add_node("neg", Unary::Neg, vec![x]);
    graph.set_outputs(vec![y, x]);
    graph.tidy().unwrap();
    let x = Tensor::new(vec![1, 3], TensorData::I64(vec![1, -2, 3])).unwrap();
    let got = Plan::new(&graph, &options(1)).unwrap().run_tensors(vec![x.clone()]).unwrap();
    assert_eq!(got[0].to_i64s().unwrap(), [-1, 2, -3]);
    assert_eq!(got[1], x);
}

#[test]
fn the_interpreter_agrees_with_mixed_graphs() {
    let g = graph(3, 6, 7, |b, x| {
        let y = b.conv("a", x, 10, Conv::square(3, 1, 1), true);
        let z = b.op("pool", GlobalPool::Average, &[y]);
        // A sum with one number for each channel has no fast kernel.
        let y = b.op("shift", Binary::Add, &[y, z]);
        let y = b.conv("b", y, 9, Conv::square(3, 2, 1), true);
        let y = b.relu("relu", y);
        let y = b.op("flatten", Flatten::IMAGES, &[y]);
        let y = b.batch_norm("norm", y, 1e-5, 0.9);
        b.linear("fc", y, 5)
    });
    super::check(&g);
    let images = images(&g, 1);
    let got = planned(&g, &images, 1, context(1, Isa::detect()));
    assert!(error(&got, reference(&g, &images).output(0).data()) < 2e-5);
    assert!(kinds(&Plan::new(&g, &options(1)).unwrap()).contains(&"plain"));
}

#[test]
fn constants_for_each_channel_are_fused() {
    for (op, first) in [
        (Binary::Add, false),
        (Binary::Add, true),
        (Binary::Sub, false),
        (Binary::Sub, true),
        (Binary::Mul, true),
        (Binary::Div, false),
    ] {
        let g = graph(3, 4, 5, |b, x| {
            let values = formula::tensor("c", 3).iter().map(|v| v + 2.0).collect();
            let c = b.param("c", Tensor::f32(&[3, 1, 1], values));
            let affine = |b: &mut GraphBuilder, name: &str, x: ValueId| {
                b.op(name, op, &if first { [c, x] } else { [x, c] })
            };
            let y = affine(b, "before", x);
            let y = b.conv("a", y, 3, Conv::square(3, 1, 1), true);
            let y = affine(b, "behind", y);
            let y = b.batch_norm("norm", y, 1e-5, 0.9);
            let y = affine(b, "last", y);
            b.relu("relu", y)
        });
        let kinds = check_against_plain(&g, 2);
        assert_eq!(kinds, ["to NHWC", "pad pixels", "scale and shift", "conv"], "{op:?}");
    }
}

#[test]
fn functions_without_a_kernel_keep_the_layout() {
    for function in Unary::ALL {
        // Acosh begins at 1, a rounded half may go either way, and the last four are no floats.
        if matches!(function, Unary::Acosh | Unary::Round | Unary::Not | Unary::BitwiseNot)
            || matches!(function, Unary::IsNaN | Unary::IsInf { .. })
        {
            continue;
        }
        let g = graph(3, 4, 5, |b, x| {
            let y = b.conv("a", x, 10, Conv::square(3, 1, 1), true);
            let y = b.op("sigmoid", Unary::Sigmoid, &[y]);
            let y = b.op("function", *function, &[y]);
            b.conv("b", y, 4, Conv::square(1, 1, 0), true)
        });
        let kinds = check_against_plain(&g, 2);
        assert!(!kinds.contains(&"plain"), "{function:?}: {kinds:?}");
    }
}

#[test]
fn a_reshape_that_flattens_is_no_step() {
    let g = graph(3, 4, 5, |b, x| {
        let y = b.conv("a", x, 10, Conv::square(3, 1, 1), true);
        let shape = b.param("shape", Tensor::ints(vec![0, -1]));
        let y = b.op("flat", oculist_graph::Reshape { allow_zero: false }, &[y, shape]);
        let y = b.linear("fc", y, 6);
        let axes = b.param("axes", Tensor::ints(vec![2, 3]));
        let y = b.op("map", oculist_graph::Unsqueeze, &[y, axes]);
        b.conv("b", y, 4, Conv::square(1, 1, 0), true)
    });
    assert_eq!(check_against_plain(&g, 2), ["to NHWC", "conv", "conv", "conv"]);
}

#[test]
fn bytes_that_the_integer_kernels_do_not_know() {
    let quantized = |zero: &Tensor, turned: bool| {
        graph(3, 4, 4, |b, x| {
            let scales =
                if zero.len() == 1 { Tensor::f32(&[], vec![0.01]) } else { Tensor::filled(&[3], 0.1) };
            let dtype = zero.dtype();
            let (s, z) = (b.param("scale", scales), b.param("zero_point", zero.clone()));
            let mut q = b.op("quantize", QuantizeLinear { axis: 1, block: 0, dtype }, &[x, s, z]);
            if turned {
                let order = Some(vec![0, 1, 3, 2]);
                q = b.op("turned", oculist_graph::Transpose { order }, &[q]);
            }
            let y = b.op("dequantize", DequantizeLinear::along(1), &[q, s, z]);
            b.conv("a", y, 4, Conv::square(3, 1, 1), true)
        })
    };
    // A scale for each channel, and bytes that a plain step moves.
    for (zero, turned) in [
        (Tensor::u8(&[3], vec![7; 3]), false),
        (Tensor::u8(&[], vec![100]), true),
        (Tensor::i8(&[], vec![-3]), true),
    ] {
        let kinds = check_against_plain(&quantized(&zero, turned), 2);
        assert!(kinds.contains(&"plain") && kinds.last() == Some(&"conv"), "{kinds:?}");
    }
    // The bytes themselves leave the plan.
    for zero in [Tensor::u8(&[], vec![100]), Tensor::i8(&[], vec![-3])] {
        let mut g = quantized(&zero, false);
        g.set_outputs(vec![g.find("quantize.out").unwrap()]);
        g.tidy().unwrap();
        let x = Tensor::f32(&[2, 3, 4, 4], images(&g, 2));
        let got = Plan::new(&g, &options(2)).unwrap().run_tensors(vec![x.clone()]).unwrap();
        assert_eq!(got, oculist_plain::run(&context(1, Isa::detect()), &g, vec![x]).unwrap());
    }
}

#[test]
fn a_function_between_bytes_is_a_table() {
    let g = graph(3, 4, 4, |b, x| {
        let (s, z) =
            (b.param("scale", Tensor::f32(&[], vec![0.01])), b.param("zero", Tensor::u8(&[], vec![100])));
        let both = |b: &mut GraphBuilder, name: &str, x: ValueId| {
            let quantize = QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 };
            let q = b.op(&format!("{name}.q"), quantize, &[x, s, z]);
            b.op(&format!("{name}.dq"), DequantizeLinear::along(1), &[q, s, z])
        };
        let x = both(b, "x", x);
        let y = b.op("leaky", Unary::LeakyRelu { alpha: 0.3 }, &[x]);
        both(b, "y", y)
    });
    assert_eq!(check_against_plain(&g, 2), ["to NHWC", "quantize", "int8 table", "dequantize"]);
}

#[test]
fn parts_of_the_channels_stay_in_the_layout() {
    let g = graph(3, 4, 5, |b, x| {
        let y = b.conv("a", x, 40, Conv::square(3, 1, 1), true);
        let ints = |b: &mut GraphBuilder, name: &str, v: Vec<i64>| b.param(name, Tensor::ints(v));
        let (starts, ends) = (ints(b, "starts", vec![-37, 0]), ints(b, "ends", vec![18, 99]));
        let axes = ints(b, "axes", vec![1, -1]);
        let part = b.op("slice", oculist_graph::Slice, &[y, starts, ends, axes]);
        b.conv("b", part, 4, Conv::square(1, 1, 0), true)
    });
    assert_eq!(check_against_plain(&g, 2), ["to NHWC", "conv", "slice channels", "conv"]);
    let mut split = graph(3, 4, 5, |b, x| b.conv("a", x, 40, Conv::square(3, 1, 1), true));
    let y = split.outputs()[0];
    let parts = split.add_param("parts", Tensor::ints(vec![3, 20, 17]));
    let outputs: Vec<ValueId> = (0..3).map(|i| split.add_activation(format!("part{i}"))).collect();
    let joined = split.add_activation("joined");
    let op = oculist_graph::Split { axis: 1, parts: None }.into();
    let (inputs, reversed) = (vec![y, parts].into(), vec![outputs[2], outputs[0], outputs[1]]);
    let mut edit = split.edit();
    edit.push(Node { name: "split".to_owned(), op, inputs, outputs });
    let op = Concat::CHANNELS.into();
    edit.push(Node { name: "join".to_owned(), op, inputs: reversed.into(), outputs: vec![joined] });
    edit.values().set_outputs(vec![joined]);
    edit.finish().unwrap();
    let kinds = check_against_plain(&split, 2);
    assert_eq!(kinds, ["to NHWC", "conv", "slice channels", "slice channels", "slice channels", "concat"]);
}

#[test]
fn nearest_neighbours_are_picked_pixels() {
    use oculist_graph::op::{AspectRatio, Coordinates, Interpolation, Rounding};
    for (coordinates, scales) in [
        (Coordinates::Asymmetric, vec![1.0, 1.0, 2.0, 2.0]),
        (Coordinates::HalfPixel, vec![1.0, 1.0, 1.7, 0.6]),
        (Coordinates::AlignCorners, Vec::new()),
    ] {
        let g = graph(3, 5, 6, |b, x| {
            let y = b.conv("a", x, 20, Conv::square(3, 1, 1), true);
            let resize = oculist_graph::Resize {
                interpolation: Interpolation::Nearest(Rounding::Floor),
                coordinates,
                antialias: false,
                exclude_outside: false,
                extrapolation: 0.0,
                axes: None,
                aspect_ratio: AspectRatio::Stretch,
            };
            let none = b.param("none", Tensor::f32(&[0], Vec::new()));
            let y = if scales.is_empty() {
                let sizes = b.param("sizes", Tensor::ints(vec![2, 20, 9, 4]));
                b.op("resize", resize, &[y, none, none, sizes])
            } else {
                let scales = b.param("scales", Tensor::f32(&[4], scales));
                b.op("resize", resize, &[y, none, scales])
            };
            b.conv("b", y, 4, Conv::square(1, 1, 0), true)
        });
        let options = options(2);
        assert_eq!(kinds(&Plan::new(&g, &options).unwrap()), ["to NHWC", "conv", "pick pixels", "conv"]);
        let x = Tensor::f32(&[2, 3, 5, 6], images(&g, 2));
        let want = oculist_plain::run(&context(1, Isa::detect()), &g, vec![x.clone()]).unwrap();
        let want: Vec<f64> = want[0].as_f32().unwrap().iter().map(|&v| v.into()).collect();
        let got = Plan::new(&g, &options).unwrap().run_tensors(vec![x]).unwrap();
        assert!(error(got[0].as_f32().unwrap(), &want) < 1e-5);
    }
}

#[test]
fn channels_are_picked_in_the_layout_of_the_kernels() {
    let build = |picked: Vec<i64>, axis: i64| {
        graph(3, 4, 20, |b, x| {
            let y = b.conv("a", x, 20, Conv::square(3, 1, 1), true);
            let picked = b.param("picked", Tensor::ints(picked));
            let y = b.op("pick", Gather { axis }, &[y, picked]);
            b.conv("b", y, 5, Conv::square(3, 1, 1), true)
        })
    };
    let shuffled: Vec<i64> = (0..20).map(|c| c % 4 * 5 + c / 4).collect();
    // Counted from the back, twice, and more than there are.
    let odd = [vec![-1, 3, 3, -20], (0..40).map(|c| c / 2).collect()].concat();
    for picked in [shuffled.clone(), odd] {
        let kinds = check_against_plain(&build(picked.clone(), 1), 3);
        assert_eq!(kinds, ["to NHWC", "conv", "pick channels", "conv"]);
        assert_eq!(check_against_plain(&build(picked, -3), 3), kinds);
    }
    // Along the width, nothing is picked that way.
    assert!(check_against_plain(&build(shuffled, 3), 2).contains(&"plain"));
    let rows = graph(3, 2, 2, |b, x| {
        let y = b.op("flat", Flatten::IMAGES, &[x]);
        let picked = b.param("picked", Tensor::ints(vec![11, 0, 5]));
        let y = b.op("pick", Gather { axis: 1 }, &[y, picked]);
        b.linear("fc", y, 4)
    });
    assert!(!check_against_plain(&rows, 3).contains(&"plain"));
}
