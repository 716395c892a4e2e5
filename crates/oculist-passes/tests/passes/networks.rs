//! Architectures small enough for the interpreter, with every structure of their large forms.

use oculist_graph::{Graph, Tensor, ValueId};
use oculist_testing::formula;
use oculist_testing::interpret::{self, Array};
use oculist_zoo::BuildOptions;

/// Names, inputs and widths.
const NETWORKS: [(&str, (usize, usize, usize), f64); 7] = [
    ("resnet20", (3, 32, 32), 1.0),
    ("resnet18", (3, 32, 32), 0.25),
    ("resnet50", (3, 32, 32), 0.25),
    ("mobilenet_v2", (3, 32, 32), 0.5),
    ("mobilenet_v3_small", (3, 32, 32), 0.5),
    ("vgg11_bn", (3, 32, 32), 0.25),
    ("alexnet", (3, 64, 64), 0.25),
];

/// All networks, their parameters from the formula of the golden files.
pub(crate) fn all() -> Vec<Graph> {
    NETWORKS.iter().map(|&(name, input, width)| build(name, input, width)).collect()
}

/// One network.
pub(crate) fn build(name: &str, input: (usize, usize, usize), width: f64) -> Graph {
    let mut graph = oculist_zoo::build(name, &BuildOptions::new(10, input).with_width(width)).unwrap();
    let params: Vec<(ValueId, String, Vec<usize>)> = graph
        .params()
        .filter(|(_, _, t)| t.as_f32().is_some())
        .map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec()))
        .collect();
    for (id, name, shape) in params {
        graph.set_param(id, Tensor::f32(&shape, formula::state(&name, &shape, 1.0)));
    }
    graph
}

/// `n` images of values -1.7 to 1.7.
pub(crate) fn images(graph: &Graph, n: usize) -> Array {
    let (c, h, w) = graph.input_chw().unwrap();
    let x = formula::tensor("images", n * c * h * w);
    Array::new(&[n, c, h, w], x.iter().map(|&x| f64::from(x) * 1.7).collect())
}

/// The logits.
pub(crate) fn logits(graph: &Graph, x: &Array) -> Array {
    interpret::run(graph, std::slice::from_ref(x)).output(0).clone()
}

/// Largest absolute difference over the largest absolute value of `want`.
pub(crate) fn distance(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let peak = want.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let worst = got.iter().zip(want).fold(0.0f64, |m, (a, b)| m.max((a - b).abs()));
    assert!(worst.is_finite() && peak > 0.0);
    worst / peak
}
