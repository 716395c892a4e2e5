//! Every Q/DQ pattern in integers, and what fits none.
//!
//! The interpreter computes in f64, so a sum next to a tie may be rounded the other way: results may differ by one
//! level, rarely.

use std::collections::BTreeMap;

use oculist_graph::{
    AveragePool, Binary, Concat, Conv, DataType, DequantizeLinear, Flatten, Gather, Gemm, GlobalPool, Graph,
    GraphBuilder, Node, Op, QuantizeLinear, Tensor, Unary, ValueId,
};
use oculist_kernels::Isa;
use oculist_passes::{QuantizeOptions, Range, fold_batch_norm, quantizable_values, quantize};
use oculist_testing::formula;

use super::{check, context, error, graph, images, planned, reference};
use crate::{InputLayout, Plan, PlanOptions};

/// `DQ(Q(x))`.
fn qdq(b: &mut GraphBuilder, name: &str, x: ValueId, scale: f32, zero_point: u8) -> ValueId {
    let s = b.param(&format!("{name}.scale"), Tensor::f32(&[], vec![scale]));
    let z = b.param(&format!("{name}.zero"), Tensor::u8(&[], vec![zero_point]));
    let q = b.op(
        &format!("{name}.q"),
        Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }),
        &[x, s, z],
    );
    b.op(&format!("{name}.dq"), Op::DequantizeLinear(DequantizeLinear::along(1)), &[q, s, z])
}

/// A constant behind a `DequantizeLinear` along axis 0: weights as i8, biases as i32.
fn constant(b: &mut GraphBuilder, name: &str, shape: &[usize], scales: Vec<f32>, bias: bool) -> ValueId {
    let len = shape.iter().product();
    let values = formula::tensor(name, len);
    let (tensor, zeros) = if bias {
        let v = values.iter().map(|v| (v * 2000.0) as i32).collect();
        (Tensor::i32(shape, v), Tensor::i32(&[scales.len()], vec![0; scales.len()]))
    } else {
        let v = values.iter().map(|v| (v * 127.0) as i8).collect();
        (Tensor::i8(shape, v), Tensor::i8(&[scales.len()], vec![0; scales.len()]))
    };
    let x = b.param(&format!("{name}.int"), tensor);
    let s = b.param(&format!("{name}.scale"), Tensor::f32(&[scales.len()], scales));
    let z = b.param(&format!("{name}.zero"), zeros);
    b.op(name, Op::DequantizeLinear(DequantizeLinear::along(0)), &[x, s, z])
}

/// A convolution of integers; `x_scale` is the scale of `x`.
fn conv(b: &mut GraphBuilder, name: &str, x: ValueId, x_scale: f32, c_out: usize, conv: Conv) -> ValueId {
    let c_in = b.chw(x).0;
    let scales: Vec<f32> = (0..c_out).map(|o| 0.002 + 0.0003 * o as f32).collect();
    let steps = scales.iter().map(|s| x_scale * s).collect();
    let shape = [c_out, c_in / conv.groups, conv.window.kernel[0], conv.window.kernel[1]];
    let w = constant(b, &format!("{name}.w"), &shape, scales, false);
    let bias = constant(b, &format!("{name}.b"), &[c_out], steps, true);
    b.op(name, Op::Conv(conv), &[x, w, bias])
}

/// Asserts that the plan agrees with the interpreter up to one level of `step`, on every instruction set with the
/// same bits; returns the plan's steps by name.
fn check_levels(graph: &Graph, step: f32) -> Vec<&'static str> {
    let images = images(graph, 3);
    let want = reference(graph, &images);
    let want = want.output(0).data();
    let mut first: Option<Vec<f32>> = None;
    for isa in Isa::available() {
        for threads in [1, 3] {
            let got = planned(graph, &images, 3, context(threads, isa));
            let off =
                got.iter().zip(want).filter(|(g, w)| (f64::from(**g) - **w).abs() > 0.01 * f64::from(step));
            let (mut count, mut worst) = (0, 0.0);
            for (g, w) in off {
                count += 1;
                worst = (f64::from(*g) - w).abs().max(worst);
            }
            assert!(worst < 1.01 * f64::from(step), "{worst} with {isa}, a level is {step}");
            assert!(count * 50 <= want.len(), "{count} of {} are off by a level with {isa}", want.len());
            assert!(first.get_or_insert_with(|| got.clone()) == &got, "{threads} threads with {isa}");
        }
    }
    let largest = want.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    assert!(largest > 10.0 * f64::from(step), "the reference spans only {largest}");
    let options = PlanOptions::new(3, context(1, Isa::detect())).with_input_layout(InputLayout::Nchw);
    Plan::new(graph, &options).unwrap().steps.iter().map(|step| step.work.name()).collect()
}

const IN: f32 = 1.0 / 127.0;

#[test]
fn convolution_with_clamps() {
    for (clamp, act) in [
        (None, None),
        (Some(0), Some(Op::Unary(Unary::Relu))),
        (Some(40), Some(Op::Unary(Unary::Clip { min: -0.4, max: 0.9 }))),
        (None, Some(Op::Unary(Unary::HardSwish))),
        (None, Some(Op::Unary(Unary::Sigmoid))),
    ] {
        for c in [1, 3, 20] {
            let zero = clamp.unwrap_or(100);
            let g = graph(c, 9, 8, |b, x| {
                let x = qdq(b, "x", x, IN, 127);
                let y = conv(b, "conv", x, IN, 18, Conv::square(3, 1, 1));
                let y = act.iter().fold(y, |y, op| b.op("act", op.clone(), &[y]));
                qdq(b, "y", y, 0.011, zero)
            });
            let steps = check_levels(&g, 0.011);
            let input: &[_] = if c == 1 { &["quantize"] } else { &["to NHWC", "quantize"] };
            assert!(steps.ends_with(&["int8 conv", "dequantize"]), "{steps:?}");
            assert!(steps.len() == input.len() + 2 || c == 1, "{steps:?}");
        }
    }
}

#[test]
fn residual_block_in_integers() {
    let g = graph(16, 8, 8, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        let y = conv(b, "a", x, IN, 16, Conv::square(3, 1, 1));
        let y = b.relu("relu1", y);
        let y = qdq(b, "y", y, 0.01, 0);
        let y = conv(b, "b", y, 0.01, 16, Conv::square(3, 1, 1));
        let y = qdq(b, "z", y, 0.02, 110);
        let y = b.add("sum", y, x);
        let y = b.relu("relu2", y);
        let y = qdq(b, "s", y, 0.015, 0);
        let y = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[y]);
        let y = qdq(b, "p", y, 0.006, 0);
        let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
        let y = qdq(b, "f", y, 0.006, 0);
        let w = constant(b, "fc.w", &[10, 16], vec![0.004; 10], false);
        b.op("fc", Op::Gemm(Gemm::LINEAR), &[y, w])
    });
    // A level of the pooled values times a weight of 0.5 is what one tie may change, in each of 16 products.
    let steps = check_levels(&g, 0.05);
    assert_eq!(
        steps,
        ["to NHWC", "quantize", "int8 conv", "int8 conv", "int8 global average pool", "int8 conv"]
    );
}

#[test]
fn bytes_that_only_move() {
    let g = graph(20, 9, 9, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        let m = b.max_pool("max", x, 3, 2, 1);
        let m = qdq(b, "m", m, IN, 127);
        let a = b.op("avg", Op::AveragePool(AveragePool::square(3, 2, 1, false)), &[x]);
        let a = qdq(b, "a", a, 0.005, 120);
        let p = b.pad_channels("pad", m, 1, 2);
        let p = qdq(b, "p", p, IN, 127);
        let c = b.op("concat", Op::Concat(Concat::CHANNELS), &[m, a, p]);
        qdq(b, "c", c, 0.009, 125)
    });
    let steps = check_levels(&g, 0.009);
    assert!(
        steps.iter().all(|s| s.starts_with("int8") || s.contains("quantize") || *s == "to NHWC"),
        "{steps:?}"
    );
    assert!(!steps.contains(&"int8 table"), "{steps:?}");
}

#[test]
fn squeeze_and_excitation_in_integers() {
    let g = graph(24, 8, 9, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        let y = conv(b, "dw", x, IN, 24, Conv::square(5, 1, 2).with_groups(24));
        let y = qdq(b, "y", y, 0.01, 100);
        let y = b.op("swish", Op::Unary(Unary::HardSwish), &[y]);
        let y = qdq(b, "s", y, 0.008, 47);
        let p = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[y]);
        let p = qdq(b, "p", p, 0.005, 60);
        let p = conv(b, "r", p, 0.005, 8, Conv::square(1, 1, 0));
        let p = b.relu("relu", p);
        let p = qdq(b, "q", p, 0.004, 0);
        let p = conv(b, "e", p, 0.004, 24, Conv::square(1, 1, 0));
        let p = qdq(b, "t", p, 0.02, 128);
        let p = b.op("hard", Op::Unary(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }), &[p]);
        let p = qdq(b, "u", p, 1.0 / 255.0, 0);
        let y = b.op("mul", Op::Binary(Binary::Mul), &[y, p]);
        let y = qdq(b, "v", y, 0.007, 60);
        let z = b.op("square", Op::Binary(Binary::Mul), &[y, y]);
        let z = qdq(b, "w", z, 0.003, 3);
        let z = b.op("sigmoid", Op::Unary(Unary::Sigmoid), &[z]);
        qdq(b, "out", z, 1.0 / 255.0, 0)
    });
    let steps = check_levels(&g, 1.0 / 255.0);
    // The functions behind convolutions are fused; the sigmoid is a table.
    let count = |name| steps.iter().filter(|s| **s == name).count();
    assert_eq!(
        (count("int8 conv"), count("int8 table"), count("int8 gate"), count("int8 multiply")),
        (3, 1, 1, 1)
    );
    assert_eq!((count("quantize"), count("dequantize")), (1, 1));
}

#[test]
fn additions_that_no_convolution_takes() {
    let g = graph(18, 7, 5, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        let y = b.max_pool("max", x, 3, 1, 1);
        let y = b.add("sum", x, y);
        let y = b.op("clip", Op::Unary(Unary::Clip { min: -0.5, max: 0.9 }), &[y]);
        let y = qdq(b, "y", y, 0.01, 90);
        let z = b.add("twice", y, y);
        qdq(b, "z", z, 0.02, 90)
    });
    assert_eq!(
        check_levels(&g, 0.02),
        ["to NHWC", "quantize", "int8 max pool", "int8 add", "int8 add", "dequantize"]
    );
}

#[test]
fn what_fits_no_pattern_runs_in_floats() {
    let g = graph(6, 7, 5, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        // A float convolution on quantised input, its output quantised.
        let y = b.conv("float", x, 12, Conv::square(3, 1, 1), true);
        let y = qdq(b, "y", y, 0.03, 128);
        // A quantised weight on float input.
        let h = b.op("hard", Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &[y]);
        let w = constant(b, "half.w", &[12, 12, 1, 1], vec![0.002; 12], false);
        let z = b.op("half", Op::Conv(Conv::square(1, 1, 0)), &[h, w]);
        // An integer convolution whose output two floats nodes read, one of them an activation.
        let v = conv(b, "int", y, 0.03, 12, Conv::square(3, 1, 1));
        let r = b.relu("relu", v);
        let s = b.add("sum", r, v);
        let s = b.add("sum2", s, z);
        b.op("soft", Op::Unary(Unary::Sigmoid), &[s])
    });
    let images = images(&g, 2);
    let want = reference(&g, &images);
    for isa in Isa::available() {
        let got = planned(&g, &images, 2, context(2, isa));
        let e = error(&got, want.output(0).data());
        assert!(e < 1e-2, "error {e:e} with {isa}");
    }
}

#[test]
fn signed_activations_are_bytes_moved_by_half() {
    let build = |signed: bool| {
        graph(5, 6, 6, |b, x| {
            let s = b.param("s", Tensor::f32(&[], vec![IN]));
            let z = if signed { Tensor::i8(&[], vec![-9]) } else { Tensor::u8(&[], vec![119]) };
            let z = b.param("z", z);
            let q = b.op(
                "q",
                Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }),
                &[x, s, z],
            );
            let x = b.op("dq", Op::DequantizeLinear(DequantizeLinear::along(1)), &[q, s, z]);
            let y = conv(b, "conv", x, IN, 7, Conv::square(3, 1, 1));
            qdq(b, "y", y, 0.011, 100)
        })
    };
    check_levels(&build(true), 0.011);
    let images = images(&build(true), 1);
    let run = |signed| planned(&build(signed), &images, 1, context(1, Isa::detect()));
    assert_eq!(run(true), run(false));
}

#[test]
fn every_quantised_value_can_be_observed() {
    let g = graph(3, 6, 6, |b, x| {
        let x = qdq(b, "x", x, IN, 127);
        let y = conv(b, "conv", x, IN, 7, Conv::square(3, 1, 1));
        let y = b.relu("relu", y);
        qdq(b, "y", y, 0.011, 0)
    });
    let images = images(&g, 2);
    let want = reference(&g, &images);
    let floats: Vec<ValueId> = g
        .nodes()
        .iter()
        .filter(|n| !matches!(n.op, Op::QuantizeLinear(_)) && !n.name.starts_with("conv."))
        .map(Node::output)
        .collect();
    let options = PlanOptions::new(2, context(1, Isa::detect()))
        .with_input_layout(InputLayout::Nchw)
        .with_observed(floats.clone());
    let mut plan = Plan::new(&g, &options).unwrap();
    let mut seen = 0;
    let mut out = vec![0.0; 2 * plan.output_len()];
    plan.run_observed(&images, &mut out, &mut |o| {
        let e = error(&o.to_nchw(), want.get(o.value).data());
        assert!(e < 1e-2, "error {e:e} of {}", g.value(o.value).name);
        seen += 1;
    })
    .unwrap();
    assert_eq!(seen, floats.len());
}

/// Quantises a float graph with ranges taken from the interpreter.
fn quantized(float: &Graph) -> (Graph, Graph) {
    let float = fold_batch_norm(float).expect("folded");
    let values = reference(&float, &images(&float, 4));
    let ranges: BTreeMap<ValueId, Range> = quantizable_values(&float)
        .expect("values")
        .into_iter()
        .map(|v| {
            let data = values.get(v).data();
            let (min, max) = data.iter().fold((0.0f64, 0.0f64), |(a, b), &x| (a.min(x), b.max(x)));
            (v, Range::new(min as f32, max as f32))
        })
        .collect();
    let int = quantize(&float, &ranges, &QuantizeOptions::default()).expect("quantised");
    (float, int)
}

#[test]
fn a_quantised_residual_network_is_all_integers() {
    let float = graph(3, 12, 12, |b, x| {
        let block = |b: &mut GraphBuilder, name: &str, x: ValueId, c: usize, stride: usize| {
            let y = b.conv(&format!("{name}.a"), x, c, Conv::square(3, stride, 1), false);
            let y = b.batch_norm(&format!("{name}.an"), y, 1e-5, 0.9);
            let y = b.relu(&format!("{name}.ar"), y);
            let y = b.conv(&format!("{name}.b"), y, c, Conv::square(3, 1, 1), false);
            let y = b.batch_norm(&format!("{name}.bn"), y, 1e-5, 0.9);
            let s = if stride == 1 {
                x
            } else {
                let s = b.conv(&format!("{name}.s"), x, c, Conv::square(1, stride, 0), false);
                b.batch_norm(&format!("{name}.sn"), s, 1e-5, 0.9)
            };
            let y = b.add(&format!("{name}.sum"), y, s);
            b.relu(&format!("{name}.r"), y)
        };
        let x = b.conv("stem", x, 16, Conv::square(3, 1, 1), false);
        let x = b.batch_norm("stem.n", x, 1e-5, 0.9);
        let x = b.relu("stem.r", x);
        let x = block(b, "one", x, 16, 1);
        let x = block(b, "two", x, 24, 2);
        let x = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        b.linear("fc", x, 10)
    });
    check(&float);
    let (folded, int) = quantized(&float);
    let images = images(&int, 16);
    let (exact, want) = (reference(&folded, &images), reference(&int, &images));
    for isa in Isa::available() {
        let got = planned(&int, &images, 16, context(2, isa));
        let e = error(&got, want.output(0).data());
        assert!(e < 0.02, "error {e:e} against the interpreter with {isa}");
        // The integers must follow the quantised graph, not the float one.
        let quantisation = error(&got, exact.output(0).data());
        assert!(quantisation > 2.0 * e || quantisation < 0.02, "{quantisation:e} and {e:e}");
    }
    let options = PlanOptions::new(1, context(1, Isa::detect())).with_input_layout(InputLayout::Nchw);
    let plan = Plan::new(&int, &options).unwrap();
    let names: Vec<_> = plan.steps.iter().map(|s| s.work.name()).collect();
    let integer = names.iter().filter(|n| n.starts_with("int8")).count();
    // Stem, two and three convolutions, pooling, classifier.
    assert_eq!((integer, names.len()), (8, 10), "{}", plan.describe());
}

#[test]
fn channels_are_picked_as_bytes() {
    let build = |picked: Vec<i64>| {
        graph(3, 6, 5, |b, x| {
            let x = qdq(b, "x", x, 0.02, 128);
            let y = conv(b, "a", x, 0.02, 20, Conv::square(3, 1, 1));
            let y = qdq(b, "y", y, 0.05, 120);
            let picked = b.param("picked", Tensor::ints(picked));
            let y = b.op("shuffle", Gather { axis: 1 }, &[y, picked]);
            let y = qdq(b, "z", y, 0.05, 120);
            let y = conv(b, "b", y, 0.05, 7, Conv::square(1, 1, 0));
            qdq(b, "out", y, 0.1, 128)
        })
    };
    let g = build((0..20).map(|c| c % 4 * 5 + c / 4).collect());
    let pixels = images(&g, 2);
    let options = PlanOptions::new(2, context(2, Isa::detect())).with_input_layout(InputLayout::Nchw);
    let kinds: Vec<&str> =
        Plan::new(&g, &options).unwrap().steps.iter().map(|step| step.work.name()).collect();
    assert!(kinds.contains(&"pick channels") && !kinds.contains(&"plain"), "{kinds:?}");
    let x = Tensor::f32(&[2, 3, 6, 5], pixels.clone());
    let want = oculist_plain::run(&context(1, Isa::detect()), &g, vec![x]).unwrap()[0].to_f32s();
    for isa in Isa::available() {
        // Next to a tie, a level more or less.
        let holds = |graph: &Graph| {
            let got = planned(graph, &pixels, 2, context(2, isa));
            let off = || got.iter().zip(&want).map(|(g, w)| (g - w).abs()).filter(|off| *off > 1e-3);
            off().count() <= want.len() / 50 && off().all(|off| off < 0.11)
        };
        assert!(holds(&g), "{isa}");
        assert!(!holds(&build((0..20).collect())), "channels in their old order pass");
    }
}
