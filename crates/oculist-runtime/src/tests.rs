//! Plans against the naive interpreter, on every instruction set and several thread counts.

mod float;
mod interface;
mod mixed;
mod quantized;
mod tokens;

use std::sync::Arc;

use oculist_graph::{Graph, GraphBuilder, Tensor, ValueId};
use oculist_kernels::{Context, Isa};
use oculist_testing::formula::{self, Kind};
use oculist_testing::interpret::{self, Array};

use crate::{InputLayout, Plan, PlanOptions};

/// Builds a graph on an image of `c` x `h` x `w` and fills its parameters from the formula.
fn graph(c: usize, h: usize, w: usize, build: impl FnOnce(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("test");
    let x = b.input("input", c, h, w);
    let y = build(&mut b, x);
    let mut graph = b.finish(y).expect("a valid graph");
    let params: Vec<(ValueId, String, Vec<usize>)> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        if Kind::of(&name, shape.len(), 1.0).is_some() {
            graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 1.0)));
        }
    }
    graph
}

/// `n` images in NCHW order.
fn images(graph: &Graph, n: usize) -> Vec<f32> {
    let (c, h, w) = graph.input_chw().expect("an image input");
    formula::tensor("input", n * c * h * w)
}

/// The interpreter's run.
fn reference(graph: &Graph, images: &[f32]) -> interpret::Run {
    let (c, h, w) = graph.input_chw().expect("an image input");
    interpret::run(graph, &[Array::from_f32(&[images.len() / (c * h * w), c, h, w], images)])
}

fn context(threads: usize, isa: Isa) -> Arc<Context> {
    Arc::new(Context::with_isa(threads, isa).expect("an available instruction set"))
}

/// The plan's output for NCHW images.
fn planned(graph: &Graph, images: &[f32], batch: usize, context: Arc<Context>) -> Vec<f32> {
    let options = PlanOptions::new(batch, context).with_input_layout(InputLayout::Nchw);
    Plan::new(graph, &options).expect("a plan").predict(images).expect("a run")
}

/// Largest difference relative to the largest reference value.
fn error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len(), "number of outputs");
    let largest = want.iter().fold(0.0, |m: f64, w| m.max(w.abs()));
    assert!(largest > 0.0, "the reference is zero everywhere");
    let worst = got.iter().zip(want).map(|(&g, w)| (f64::from(g) - w).abs());
    // A NaN is as wrong as can be.
    worst.fold(0.0, |m, d| {
        if d <= m {
            m
        } else if d.is_nan() {
            f64::INFINITY
        } else {
            d
        }
    }) / largest
}

/// Asserts that the plan agrees with the interpreter everywhere, and the same bits for any number of threads.
fn check(graph: &Graph) {
    let images = images(graph, 3);
    let want = reference(graph, &images);
    let want = want.output(0).data();
    for isa in Isa::available() {
        let one = planned(graph, &images, 3, context(1, isa));
        let e = error(&one, want);
        assert!(e < 2e-5, "error {e:e} with {isa}");
        for threads in [2, 3] {
            assert!(planned(graph, &images, 3, context(threads, isa)) == one, "{threads} threads with {isa}");
        }
    }
}
