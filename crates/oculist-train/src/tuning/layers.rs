//! The parameters of a graph by their distance from the input, told from the graph's structure.

use oculist_graph::{Graph, Node, Op, Role};

use crate::cpu::trained_parameters;

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ParameterKind {
    /// A weight of more than one axis.
    Weight,
    /// A bias, or gamma or beta of a normalisation without running statistics.
    Vector,
    /// Gamma or beta of a batch normalisation.
    BatchNorm,
    /// A running mean or variance.
    Statistic,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the graph.
    pub name: String,
    /// What it is.
    pub kind: ParameterKind,
}

/// Parameters that are equally far from the input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Layer {
    /// In the order of the nodes that read them.
    pub parameters: Vec<Parameter>,
}

impl Layer {
    /// Names of the parameters of some kinds.
    pub fn names<'a>(&'a self, kinds: &'a [ParameterKind]) -> impl Iterator<Item = &'a str> {
        self.parameters.iter().filter(|p| kinds.contains(&p.kind)).map(|p| p.name.as_str())
    }
}

/// The trained parameters of a graph and its running statistics, from the input to the output.
///
/// A convolution or matrix product with a weight lies one layer behind the furthest of the values that it reads; layers
/// that are equally far (the two paths of a block) are one. Norms, sums and the like belong to the layer behind which they
/// stand, those in front of all to the first. The last layer is the head: whatever computes logits has no layer behind it.
pub fn layers(graph: &Graph) -> Vec<Layer> {
    let trained = trained_parameters(graph);
    let mut depth = vec![0usize; graph.values().len()];
    let mut placed = vec![false; graph.values().len()];
    let mut layers = vec![Layer::default()];
    for node in graph.nodes() {
        let inputs = || node.inputs.slots().iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?)));
        let before = inputs().map(|(_, v)| depth[v.index()]).max().unwrap_or(0);
        let multiplies = inputs().any(|(i, v)| trained[v.index()] && multiplies(graph, node, i));
        let own = before + usize::from(multiplies);
        for output in &node.outputs {
            depth[output.index()] = own;
        }
        let normalises = inputs().any(|(i, _)| node.op.role(i) == Role::Statistic);
        for (i, value) in inputs() {
            let statistic = node.op.role(i) == Role::Statistic && graph.param(value).is_some();
            if placed[value.index()] || !(statistic || trained[value.index()]) {
                continue;
            }
            placed[value.index()] = true;
            let kind = if statistic {
                ParameterKind::Statistic
            } else if normalises {
                ParameterKind::BatchNorm
            } else if is_matrix(graph, node, i) {
                ParameterKind::Weight
            } else {
                ParameterKind::Vector
            };
            let place = own.saturating_sub(1);
            if layers.len() <= place {
                layers.resize(place + 1, Layer::default());
            }
            let name = graph.value(value).name.clone();
            layers[place].parameters.push(Parameter { name, kind });
        }
    }
    layers.retain(|layer| !layer.parameters.is_empty());
    layers
}

/// Whether input `i` is a parameter with more than one axis: a layer's own weight, or whatever is longer than 1 along two.
fn is_matrix(graph: &Graph, node: &Node, i: usize) -> bool {
    let Some(tensor) = node.inputs.get(i).and_then(|v| graph.param(v)) else { return false };
    let shape = tensor.shape();
    let of_layer = node.op.role(i) == Role::Weight && shape.len() > 1;
    of_layer || shape.iter().filter(|&&d| d > 1).count() > 1
}

/// Whether a node multiplies by input `i` as a layer does, instead of element by element.
fn multiplies(graph: &Graph, node: &Node, i: usize) -> bool {
    is_matrix(graph, node, i) && !matches!(node.op, Op::Binary(_))
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Conv, Flatten, GlobalPool, GraphBuilder};

    use super::*;

    #[test]
    fn layers_follow_the_longest_path_and_norms_their_layer() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 3, 8, 8);
        let x = b.batch_norm("bn0", x, 1e-5, 0.9);
        let a = b.conv("conv1", x, 4, Conv::square(3, 1, 1), true);
        let a = b.batch_norm("bn1", a, 1e-5, 0.9);
        let a = b.relu("relu", a);
        let y = b.conv("conv2", a, 8, Conv::square(3, 2, 1), false);
        let y = b.batch_norm("bn2", y, 1e-5, 0.9);
        let s = b.conv("shortcut", a, 8, Conv::square(1, 2, 0), false);
        let y = b.add("add", y, s);
        let y = b.op("pool", GlobalPool::Average, &[y]);
        let y = b.op("flatten", Flatten::IMAGES, &[y]);
        let out = b.linear("fc", y, 5);
        let layers = layers(&b.finish(out).unwrap());
        let all = [
            ParameterKind::Weight,
            ParameterKind::Vector,
            ParameterKind::BatchNorm,
            ParameterKind::Statistic,
        ];
        let names: Vec<String> =
            layers.iter().map(|layer| layer.names(&all).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            names,
            [
                "bn0.weight bn0.bias bn0.running_mean bn0.running_var conv1.weight conv1.bias bn1.weight bn1.bias \
                 bn1.running_mean bn1.running_var",
                "conv2.weight bn2.weight bn2.bias bn2.running_mean bn2.running_var shortcut.weight",
                "fc.weight fc.bias",
            ]
        );
        assert_eq!(layers[0].names(&[ParameterKind::Vector]).collect::<Vec<_>>(), ["conv1.bias"]);
        assert_eq!(
            layers[1].names(&[ParameterKind::BatchNorm]).collect::<Vec<_>>(),
            ["bn2.weight", "bn2.bias"]
        );
    }
}
