use oculist_graph::{AveragePool, GraphBuilder};
use oculist_testing::formula;
use oculist_testing::interpret::{self, Array};

use super::*;
use crate::test_models as models;
use crate::{ChannelMeans, layer_inputs};

/// Mean of each output channel of the float graph with its weights rounded as int8 would round them.
fn rounded(graph: &Graph) -> Graph {
    let mut out = graph.clone();
    for i in integer_layers(graph, &QuantizeOptions::default()).unwrap() {
        let weight = graph.nodes()[i].inputs[1];
        let tensor = graph.param(weight).unwrap();
        out.set_param(weight, Tensor::f32(tensor.shape(), rounded_weights(tensor, crate::WeightRange::Full)));
    }
    out
}

fn channel_means(graph: &Graph, x: &Array) -> Vec<f64> {
    let run = interpret::run(graph, std::slice::from_ref(x));
    let out = run.output(0);
    let mut means = ChannelMeans::new();
    let channels = out.shape()[1];
    let pixels = out.shape()[2..].iter().product();
    means.observe_nchw(graph.outputs()[0], &out.to_f32(), channels, pixels).unwrap();
    means.means().remove(&graph.outputs()[0]).unwrap()
}

fn measured(graph: &Graph, x: &Array) -> BTreeMap<ValueId, Vec<f64>> {
    let run = interpret::run(graph, std::slice::from_ref(x));
    let mut means = ChannelMeans::new();
    for v in layer_inputs(graph) {
        let a = run.get(v);
        means.observe_nchw(v, &a.to_f32(), a.shape()[1], a.shape()[2..].iter().product()).unwrap();
    }
    means.means()
}

fn worst(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

/// A layer on inputs of mean far from 0, so that rounding shifts its outputs.
fn one_layer(conv: Conv, constant: bool) -> (Graph, Array) {
    let mut b = GraphBuilder::new("layer");
    let x = b.input("image", 4, 6, 6);
    let y = b.conv("conv", x, 6, conv, true);
    let graph = models::fill(b.finish(y).unwrap());
    let noise = formula::tensor("noise", 4 * 36);
    let x = Array::from_fn(&[1, 4, 6, 6], |i| {
        let channel = (i / 36) as f64;
        1.0 + channel + if constant { 0.0 } else { f64::from(noise[i]) }
    });
    (graph, x)
}

#[test]
fn mean_error_of_the_weights_vanishes() {
    // Exact for 1x1 kernels on any input, and for padded ones on channels that are constant over the image.
    let cases = [
        one_layer(Conv::square(1, 1, 0), false),
        one_layer(Conv::square(3, 1, 1), true),
        one_layer(Conv::square(3, 2, 1).with_groups(2), true),
    ];
    for (graph, x) in cases {
        let corrected = correct_bias(&graph, &measured(&graph, &x), &QuantizeOptions::default()).unwrap();
        let want = channel_means(&graph, &x);
        let before = worst(&channel_means(&rounded(&graph), &x), &want);
        let after = worst(&channel_means(&rounded(&corrected), &x), &want);
        assert!(before > 1e-3, "rounding shifts the means: {before}");
        assert!(after < 1e-5, "{after}");
        // The twin: means of another input correct wrongly.
        let doubled = measured(&graph, &x.map(|v| v * 2.0));
        let wrong = correct_bias(&graph, &doubled, &QuantizeOptions::default()).unwrap();
        assert!(worst(&channel_means(&rounded(&wrong), &x), &want) > 1e-3);
    }
}

#[test]
fn a_layer_without_bias_gets_one_and_ids_stay() {
    let mut b = GraphBuilder::new("net");
    let x = b.input("image", 4, 6, 6);
    let y = b.conv("conv", x, 6, Conv::square(3, 1, 1), false);
    let y = b.relu("relu", y);
    let y = b.op("pool", Op::AveragePool(AveragePool::square(2, 2, 0, false)), &[y]);
    let graph = models::fill(b.finish(y).unwrap());
    let x = Array::from_fn(&[1, 4, 6, 6], |i| 1.0 + i as f64 / 144.0);
    let corrected = correct_bias(&graph, &measured(&graph, &x), &QuantizeOptions::default()).unwrap();
    assert_eq!(corrected.nodes()[0].inputs.len(), 3);
    assert_eq!(corrected.values()[..graph.values().len()], graph.values()[..]);
    let kept = QuantizeOptions { keep_f32: ["conv".to_owned()].into(), ..QuantizeOptions::default() };
    assert_eq!(correct_bias(&graph, &BTreeMap::new(), &kept).unwrap(), graph);
    let error = correct_bias(&graph, &BTreeMap::new(), &QuantizeOptions::default()).unwrap_err().to_string();
    assert_eq!(error, "correct_bias: `image`: expected the means of its channels, found none");
}
