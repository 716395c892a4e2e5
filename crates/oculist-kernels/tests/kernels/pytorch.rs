//! Single layers against PyTorch's answers in `golden/kernels.json`.

use oculist_kernels::{Context, TransposedConv2d, TransposedConvPlan};
use oculist_testing::formula::tensor;
use oculist_testing::golden::{Value, floats, load, shape};
use oculist_testing::reference::{relative_error, widen};

use crate::set_norm::{Kind, Problem as NormProblem};
use crate::transposed::Problem as TransposedProblem;
use crate::{contexts, isa_and_thread_contexts};

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap()
}

fn number(case: &Value, key: &str) -> usize {
    usize::try_from(case[key].as_u64().unwrap()).unwrap()
}

fn pair(case: &Value, key: &str) -> [usize; 2] {
    shape(&case[key]).try_into().unwrap()
}

fn cases(golden: &Value, key: &str) -> Vec<Value> {
    let cases = golden[key].as_array().unwrap().clone();
    assert!(cases.len() >= 5, "golden/kernels.json holds {} {key}", cases.len());
    cases
}

fn norm_problem(case: &Value) -> NormProblem {
    let name = text(case, "name");
    let [batch, channels, height, width] = shape(&case["shape"]).try_into().unwrap();
    let n = batch * channels * height * width;
    assert_eq!(case["eps"].as_f64(), Some(1e-5));
    NormProblem {
        shape: [batch, channels, height * width],
        kind: match text(case, "kind") {
            "layer" => Kind::Layer,
            "image" => Kind::Group(1),
            "instance" => Kind::Group(channels),
            _ => Kind::Group(number(case, "groups")),
        },
        x: tensor(&format!("{name}.x"), n),
        gamma: tensor(&format!("{name}.gamma"), channels),
        beta: tensor(&format!("{name}.beta"), channels),
        dy: tensor(&format!("{name}.dy"), n),
    }
}

/// Errors of `y`, `dx`, `dgamma`, `dbeta` relative to the largest value of each.
fn norm_errors(ctx: &Context, problem: &NormProblem, case: &Value) -> Vec<f64> {
    let got = problem.run(ctx);
    [("y", got.y), ("dx", got.dx), ("dgamma", got.dgamma), ("dbeta", got.dbeta)]
        .iter()
        .map(|(key, got)| relative_error(got, &widen(&floats(&case[*key]))))
        .collect()
}

#[test]
fn normalisations() {
    for case in cases(&load("kernels.json"), "norms") {
        let problem = norm_problem(&case);
        for ctx in isa_and_thread_contexts() {
            let errors = norm_errors(&ctx, &problem, &case);
            assert!(errors.iter().all(|e| *e < 5e-6), "{}: {errors:?} on {}", case["name"], ctx.isa());
        }
    }
}

/// The twin: an input that differs in one element is seen in every result that depends on it.
#[test]
fn a_normalisation_of_something_else_is_rejected() {
    for case in cases(&load("kernels.json"), "norms") {
        let mut problem = norm_problem(&case);
        problem.x[3] += 0.01;
        problem.dy[3] += 0.01;
        for ctx in contexts() {
            let errors = norm_errors(&ctx, &problem, &case);
            assert!(errors.iter().all(|e| *e > 1e-4), "{}: {errors:?} on {}", case["name"], ctx.isa());
        }
    }
}

fn transposed_problem(case: &Value) -> TransposedProblem {
    let name = text(case, "name");
    let [batch, c_in, height, width] = shape(&case["shape"]).try_into().unwrap();
    let [top, left] = pair(case, "padding");
    let conv = TransposedConv2d {
        batch,
        height,
        width,
        c_in,
        c_out: number(case, "c_out"),
        kernel: pair(case, "kernel"),
        stride: pair(case, "stride"),
        padding: [top, left, top, left],
        output_padding: pair(case, "output_padding"),
        dilation: pair(case, "dilation"),
        groups: number(case, "groups"),
    };
    let y_shape = [batch, conv.c_out, conv.out_height(), conv.out_width()];
    assert_eq!(shape(&case["y_shape"]), y_shape, "{name}");
    let w_len = c_in * (conv.c_out / conv.groups) * conv.kernel[0] * conv.kernel[1];
    TransposedProblem {
        conv,
        x: tensor(&format!("{name}.x"), batch * c_in * height * width),
        w: tensor(&format!("{name}.w"), w_len),
        bias: tensor(&format!("{name}.bias"), conv.c_out),
        dy: tensor(&format!("{name}.dy"), y_shape.iter().product()),
    }
}

/// Errors of `y`, `dx`, `dw`, `dbias` relative to the largest value of each.
fn transposed_errors(ctx: &Context, problem: &TransposedProblem, case: &Value) -> Vec<f64> {
    let plan = TransposedConvPlan::new(ctx, problem.conv).unwrap();
    let [y, _, dx, dw, dbias] = problem.run(ctx, &plan);
    [("y", y), ("dx", dx), ("dw", dw), ("dbias", dbias)]
        .iter()
        .map(|(key, got)| relative_error(got, &widen(&floats(&case[*key]))))
        .collect()
}

#[test]
fn transposed_convolutions() {
    for case in cases(&load("kernels.json"), "transposed") {
        let problem = transposed_problem(&case);
        for ctx in isa_and_thread_contexts() {
            let errors = transposed_errors(&ctx, &problem, &case);
            assert!(errors.iter().all(|e| *e < 5e-6), "{}: {errors:?} on {}", case["name"], ctx.isa());
        }
    }
}

/// The twin: one input that differs and gradients a hundredth too large are seen in every result.
#[test]
fn a_transposed_convolution_of_something_else_is_rejected() {
    for case in cases(&load("kernels.json"), "transposed") {
        let mut problem = transposed_problem(&case);
        *problem.x.last_mut().unwrap() += 0.01;
        // All of them, since with output padding there are outputs that no product reaches.
        problem.dy.iter_mut().for_each(|d| *d *= 1.01);
        for ctx in contexts() {
            let errors = transposed_errors(&ctx, &problem, &case);
            assert!(errors.iter().all(|e| *e > 1e-4), "{}: {errors:?} on {}", case["name"], ctx.isa());
        }
    }
}
