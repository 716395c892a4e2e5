//! Folds batch normalisation into the convolution or fully connected layer before it.

use oculist_graph::{BatchNormalization, Graph, Node, NodeId, Op, Tensor, ValueId};

use crate::Result;
use crate::edit::{Names, consumer_counts, has_weight_rows};

/// Folds every foldable `BatchNormalization`; the others stay.
///
/// # What it does
/// With `k[o] = gamma[o] / sqrt(running_var[o] + epsilon)` the weight becomes `k[o] * w[o, ...]` and the bias
/// `k[o] * (b[o] - running_mean[o]) + beta[o]` (a bias is added where there was none). Computed in f64, stored
/// as f32.
///
/// # Applies when
/// The normalisation reads the output of a `Conv` or `Gemm` that nothing else reads and that is no graph output,
/// and weight and bias are parameters that no other node reads. Of several normalisations in a row each is folded.
///
/// # Preserves
/// The function in inference, up to the rounding of the folded parameters to f32. Names of values and nodes that
/// remain; a new bias is called `{node}.bias`.
///
/// # Source
/// Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
/// Inference", section 3.2, equation 14.
///
/// # Errors
/// [`crate::PassError::Graph`] if the graph is invalid.
pub fn fold_batch_norm(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let mut names = Names::of(graph);
    let mut producers = graph.producers();
    let uses = consumer_counts(graph);
    for (i, node) in graph.nodes().iter().enumerate() {
        let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = &node.op else { continue };
        // The layer is looked at as it is by now: of several normalisations in a row it may have taken one in already.
        let Some(p) = layer_before(&out, &producers, &uses, node) else { continue };
        let layer = out.nodes()[p].clone();
        let [Some(gamma), Some(beta), Some(mean), Some(var)] =
            [1, 2, 3, 4].map(|k| graph.param(node.inputs[k]).and_then(Tensor::as_f32))
        else {
            continue;
        };
        let factor: Vec<f64> = gamma
            .iter()
            .zip(var)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(*epsilon)).sqrt())
            .collect();
        let channels = factor.len();
        let weight = layer.inputs[1];
        if let Some(w) = out.param_mut(weight).and_then(Tensor::as_f32_mut) {
            let per_channel = w.len() / channels;
            for (row, k) in w.chunks_mut(per_channel.max(1)).zip(&factor) {
                for x in row {
                    *x = (f64::from(*x) * k) as f32;
                }
            }
        }
        let old_bias = layer.inputs.get(2).and_then(|b| out.param(b)).and_then(Tensor::as_f32);
        let bias: Vec<f32> = (0..channels)
            .map(|c| {
                let b = old_bias.map_or(0.0, |b| f64::from(b[c]));
                (factor[c] * (b - f64::from(mean[c])) + f64::from(beta[c])) as f32
            })
            .collect();
        let tensor = Tensor::f32(&[channels], bias);
        if let Some(b) = layer.inputs.get(2) {
            out.set_param(b, tensor);
        } else {
            let name = names.fresh(&format!("{}.bias", layer.name));
            let b = out.add_param(name, tensor);
            out.edit().set_input(p, 2, Some(b));
        }
        // The layer takes over the normalisation's output, so that later passes and readers find its name.
        out.edit().set_output(p, node.output());
        producers[node.output().index()] = Some(p);
        // The normalisation is about to be dropped; its output must be out of the way.
        let spare = out.add_activation(names.fresh(&format!("{}.folded", node.name)));
        out.edit().set_output(i, spare);
    }
    out.tidy()?;
    out.check()?;
    Ok(out)
}

/// For each node: the layer that it can be folded into, if it is a normalisation behind one.
pub(crate) fn foldable(graph: &Graph) -> Vec<Option<NodeId>> {
    let (producers, uses) = (graph.producers(), consumer_counts(graph));
    graph.nodes().iter().map(|node| layer_before(graph, &producers, &uses, node)).collect()
}

/// The layer before a normalisation that can take it in. Values that are newer than `uses` are read once.
fn layer_before(graph: &Graph, producers: &[Option<NodeId>], uses: &[usize], node: &Node) -> Option<NodeId> {
    if !matches!(node.op, Op::BatchNormalization(_)) {
        return None;
    }
    let p = producers[node.inputs[0].index()]?;
    let layer = &graph.nodes()[p];
    let once = |v: ValueId| uses.get(v.index()).is_none_or(|&n| n == 1);
    let f32s = |v: ValueId| graph.param(v).is_some_and(|t| t.as_f32().is_some());
    let folds = matches!(node.op, Op::BatchNormalization(norm) if !norm.training)
        && has_weight_rows(graph, layer)
        && once(layer.output())
        && layer.inputs.iter().skip(1).all(once)
        && node.inputs.iter().skip(1).all(f32s);
    folds.then_some(p)
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Conv, GraphBuilder};

    use super::*;
    use crate::test_models as models;
    use crate::test_models::{distance, output};

    #[test]
    fn folding_preserves_the_function() {
        for graph in models::all() {
            let folded = fold_batch_norm(&graph).unwrap();
            let left = folded.nodes().iter().filter(|n| matches!(n.op, Op::BatchNormalization(_))).count();
            assert_eq!(left, 0, "{}", graph.name());
            let off = distance(&output(&folded), &output(&graph));
            assert!(off < 1e-6, "{}: {off}", graph.name());
            // The twin: one wrong bias is seen.
            let mut wrong = folded.clone();
            let bias = wrong.nodes()[0].inputs[2];
            wrong.param_mut(bias).unwrap().as_f32_mut().unwrap()[0] += 0.1;
            assert!(distance(&output(&wrong), &output(&graph)) > 1e-4);
        }
    }

    fn conv_bn(also_read: bool) -> Graph {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 4, 4);
        let y = b.conv("conv", x, 2, Conv::square(1, 1, 0), false);
        let z = b.batch_norm("bn", y, 1e-5, 0.9);
        let out = if also_read { b.add("add", z, y) } else { b.relu("relu", z) };
        models::fill(b.finish(out).unwrap())
    }

    #[test]
    fn dump_before_and_after() {
        let graph = conv_bn(false);
        let before = "graph net
  input x: f32[N, 2, 4, 4]
  conv.out: f32[N, 2, 4, 4] = Conv[kernel_shape=[1, 1]](x, conv.weight f32[2, 2, 1, 1])
  bn.out: f32[N, 2, 4, 4] = BatchNormalization[epsilon=1e-5 momentum=0.9](conv.out, bn.weight f32[2], bn.bias f32[2], \
                      bn.running_mean f32[2], bn.running_var f32[2])
  relu.out: f32[N, 2, 4, 4] = Relu(bn.out)
  output relu.out
";
        assert_eq!(graph.dump(), before);
        let after = "graph net
  input x: f32[N, 2, 4, 4]
  bn.out: f32[N, 2, 4, 4] = Conv[kernel_shape=[1, 1]](x, conv.weight f32[2, 2, 1, 1], conv.bias f32[2])
  relu.out: f32[N, 2, 4, 4] = Relu(bn.out)
  output relu.out
";
        assert_eq!(fold_batch_norm(&graph).unwrap().dump(), after);
    }

    #[test]
    fn norms_in_a_row_all_go() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 2, 4, 4);
        let y = b.conv("conv", x, 3, Conv::square(1, 1, 0), false);
        let y = b.batch_norm("one", y, 1e-5, 0.9);
        let y = b.batch_norm("two", y, 1e-3, 0.9);
        let y = b.batch_norm("three", y, 1e-2, 0.9);
        let graph = models::fill(b.finish(y).unwrap());
        let folded = fold_batch_norm(&graph).unwrap();
        assert_eq!(folded.nodes().len(), 1);
        assert!(distance(&output(&folded), &output(&graph)) < 1e-6);
    }

    #[test]
    fn a_convolution_with_another_reader_keeps_its_norm() {
        let graph = conv_bn(true);
        assert_eq!(fold_batch_norm(&graph).unwrap(), graph);
    }
}
