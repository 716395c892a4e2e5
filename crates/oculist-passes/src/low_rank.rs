//! Low-rank adapters: a second path beside a layer that is small enough to be trained alone, and its end in the layer.

use oculist_graph::{Binary, Conv, Gemm, Graph, Node, NodeId, Op, Tensor, ValueId};

use crate::edit::{Names, consumer_counts, has_weight_rows};
use crate::{PassError, Result};

const PASS: &str = "attach_adapters";

/// What adapters are like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdapterOptions {
    /// Rows of `A` and columns of `B`, at least 1.
    pub rank: usize,
    /// `alpha` of the factor `alpha / rank` on their product. Equal to the rank, as the source sets it at first, it costs
    /// nothing.
    pub alpha: f32,
}

/// One adapter: its layer's weight, and its own two, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// `W0`, `[c_out, ...]`.
    pub weight: String,
    /// `A`, `[rank, ...]`, called `{weight}.lora_a`.
    pub a: String,
    /// `B`, `[c_out, rank, ...]`, called `{weight}.lora_b`; zero.
    pub b: String,
}

/// Adds a low-rank path beside layers, `W0 x + (alpha / rank) B A x`.
///
/// `layer` says of the name of a weight whether its layer gets one, `init` gives the numbers of an `A` by name and shape; `B` is
/// zero, so that the network computes what it did.
///
/// # What it does
/// `A` is a layer of the same kind, kernel, stride and padding with `rank` outputs, `B` one of 1x1 behind it; the sum of both paths
/// takes the name of the layer's output.
///
/// # Applies when
/// The layer is a `Conv` of one group or a fully connected layer whose weight is a parameter that no other node reads.
///
/// # Preserves
/// The function, until `B` is trained.
///
/// # Source
/// Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1; convolutions as in Yeh et al. 2024
/// (LyCORIS, "LoRA for Conv": the kernel is in `A`).
///
/// # Errors
/// [`PassError::Option`] for a rank or an alpha out of range; [`PassError::Graph`] if the graph is invalid.
pub fn attach_adapters(
    graph: &Graph,
    options: AdapterOptions,
    layer: impl Fn(&str) -> bool,
    mut init: impl FnMut(&str, &[usize]) -> Vec<f32>,
) -> Result<(Graph, Vec<Adapter>)> {
    graph.check()?;
    let AdapterOptions { rank, alpha } = options;
    if rank == 0 {
        return Err(PassError::Option { pass: PASS, option: "rank", problem: "expected at least 1".into() });
    }
    if !(alpha > 0.0 && alpha.is_finite()) {
        let problem = format!("expected a positive number, found {alpha}");
        return Err(PassError::Option { pass: PASS, option: "alpha", problem });
    }
    let scale = alpha / rank as f32;
    let mut out = graph.clone();
    let (mut names, mut node_names) = (Names::of(graph), Names::of_nodes(graph));
    let uses = consumer_counts(graph);
    let (mut adapters, mut nodes) = (Vec::new(), Vec::new());
    for node in graph.nodes() {
        nodes.push(node.clone());
        if !is_plain_layer(graph, node) || uses[node.inputs[1].index()] != 1 {
            continue;
        }
        let (x, weight) = (node.inputs[0], node.inputs[1]);
        let name = graph.value(weight).name.clone();
        let Some(shape) = graph.param(weight).map(|w| w.shape().to_vec()).filter(|_| layer(&name)) else {
            continue;
        };
        let behind: Op = match &node.op {
            Op::Conv(conv) => pointwise(conv.window.kernel.len()).into(),
            _ => Gemm::LINEAR.into(),
        };
        let (mut a_shape, mut b_shape) = (shape.clone(), vec![1; shape.len()]);
        a_shape[0] = rank;
        (b_shape[0], b_shape[1]) = (shape[0], rank);
        let (a, b) = (names.fresh(&format!("{name}.lora_a")), names.fresh(&format!("{name}.lora_b")));
        let numbers = init(&a, &a_shape);
        let a_value = out.add_param(a.clone(), Tensor::f32(&a_shape, numbers));
        let b_value = out.add_param(b.clone(), Tensor::filled(&b_shape, 0.0));
        // The sum takes the layer's output over, and the layer a new value.
        let base = out.add_activation(names.fresh(&format!("{}.base", graph.value(node.output()).name)));
        if let Some(layer) = nodes.last_mut() {
            layer.outputs[0] = base;
        }
        let mut steps = vec![("lora_a", node.op.clone(), vec![x, a_value])];
        if scale.to_bits() != 1.0f32.to_bits() {
            let one = vec![1; graph.shape(node.output()).rank()];
            let factor =
                out.add_param(names.fresh(&format!("{name}.lora_scale")), Tensor::f32(&one, vec![scale]));
            steps.push(("lora_scale", Op::Binary(Binary::Mul), vec![factor]));
        }
        steps.push(("lora_b", behind, vec![b_value]));
        let mut low = None;
        for (part, op, mut inputs) in steps {
            inputs.splice(0..0, low);
            let name = node_names.fresh(&format!("{}.{part}", node.name));
            let output = out.add_activation(names.fresh(&format!("{name}.out")));
            nodes.push(Node { name, op, inputs: inputs.into(), outputs: vec![output] });
            low = Some(output);
        }
        nodes.push(Node {
            name: node_names.fresh(&format!("{}.lora", node.name)),
            op: Op::Binary(Binary::Add),
            inputs: [Some(base), low].to_vec().into(),
            outputs: vec![node.output()],
        });
        adapters.push(Adapter { weight: name, a, b });
    }
    out.edit().replace_nodes(nodes);
    out.tidy()?;
    out.check()?;
    Ok((out, adapters))
}

/// Takes low-rank paths into the layers beside which they stand.
///
/// # What it does
/// `W = W0 + s B A`, computed in f64 and stored as f32, where `s` is the factor between `A` and `B`, if there is one; the
/// path is dropped and the layer takes the sum's output over.
///
/// # Applies when
/// An `Add` reads a layer (`Conv` of one group, or fully connected) and a path beside it: a layer of the same kind, window and input
/// without bias, perhaps a product with one number, and a layer of 1x1 without bias. Nothing else reads what is between
/// them, nor the three weights.
///
/// # Preserves
/// The function, up to the rounding of the weights to f32; names of what remains.
///
/// # Source
/// Hu et al. 2022, section 4.1 ("no additional inference latency").
///
/// # Errors
/// [`PassError::Graph`] if the graph is invalid.
pub fn merge_adapters(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let mut out = graph.clone();
    let (producers, uses) = (graph.producers(), consumer_counts(graph));
    let inner = Inner { graph, producers: &producers, uses: &uses };
    for (n, node) in graph.nodes().iter().enumerate() {
        let Some(path) = inner.path(node) else { continue };
        let [w, a, b] = [path.weight, path.a, path.b].map(|v| graph.param(v).and_then(Tensor::as_f32));
        let (Some(w), Some(a), Some(b)) = (w, a, b) else { continue };
        let shape = graph.param(path.weight).map(|t| t.shape().to_vec()).unwrap_or_default();
        let (columns, rank) = (w.len() / shape[0].max(1), b.len() / shape[0].max(1));
        let mut merged = Vec::with_capacity(w.len());
        for (w, b) in w.chunks_exact(columns.max(1)).zip(b.chunks_exact(rank.max(1))) {
            for (column, w) in w.iter().enumerate() {
                let product: f64 = b
                    .iter()
                    .enumerate()
                    .map(|(k, b)| f64::from(*b) * f64::from(a[k * columns + column]))
                    .sum();
                merged.push((f64::from(*w) + path.scale * product) as f32);
            }
        }
        out.set_param(path.weight, Tensor::f32(&shape, merged));
        // The sum is about to be dropped; its output must be out of the way.
        let spare = out.add_activation(format!("{}.merged", node.name));
        out.edit().set_output(n, spare);
        out.edit().set_output(path.layer, node.output());
    }
    out.tidy()?;
    out.check()?;
    Ok(out)
}

/// A path beside a layer.
struct Path {
    layer: NodeId,
    weight: ValueId,
    a: ValueId,
    b: ValueId,
    scale: f64,
}

/// A graph with what is asked of its values.
struct Inner<'a> {
    graph: &'a Graph,
    producers: &'a [Option<NodeId>],
    uses: &'a [usize],
}

impl Inner<'_> {
    /// The path that a sum ends.
    fn path(&self, sum: &Node) -> Option<Path> {
        if sum.op != Op::Binary(Binary::Add) {
            return None;
        }
        let (first, second) = (sum.inputs.get(0)?, sum.inputs.get(1)?);
        self.path_of(first, second).or_else(|| self.path_of(second, first))
    }

    fn path_of(&self, base: ValueId, low: ValueId) -> Option<Path> {
        let (layer, node) = self.made_for_one(base)?;
        let (_, behind) = self.made_for_one(low)?;
        let (between, scale) = match self.made_for_one(behind.inputs.get(0)?)?.1 {
            Node { op: Op::Binary(Binary::Mul), inputs, .. } => {
                let pair = [(inputs[0], inputs[1]), (inputs[1], inputs[0])];
                pair.into_iter().find_map(|(x, factor)| Some((x, self.number(factor)?)))?
            }
            _ => (behind.inputs[0], 1.0),
        };
        let (_, before) = self.made_for_one(between)?;
        let is_layer =
            |node: &Node| is_plain_layer(self.graph, node) && self.uses[node.inputs[1].index()] == 1;
        let unbiased = |node: &Node| node.inputs.get(2).is_none();
        let fits = is_layer(node) && is_layer(before) && is_layer(behind);
        let parallel = fits
            && before.op == node.op
            && before.inputs[0] == node.inputs[0]
            && unbiased(before)
            && unbiased(behind);
        let small = match (&node.op, &behind.op) {
            (Op::Conv(conv), Op::Conv(behind)) => *behind == pointwise(conv.window.kernel.len()),
            (Op::Gemm(_), Op::Gemm(_)) => true,
            _ => false,
        };
        (parallel && small).then(|| Path {
            layer,
            weight: node.inputs[1],
            a: before.inputs[1],
            b: behind.inputs[1],
            scale,
        })
    }

    /// The node that makes a value which one node reads.
    fn made_for_one(&self, value: ValueId) -> Option<(NodeId, &Node)> {
        let n = self.producers[value.index()].filter(|_| self.uses[value.index()] == 1)?;
        Some((n, &self.graph.nodes()[n]))
    }

    /// A parameter of one number.
    fn number(&self, value: ValueId) -> Option<f64> {
        match self.graph.param(value)?.as_f32()? {
            [number] => Some(f64::from(*number)),
            _ => None,
        }
    }
}

/// A convolution of one group or a fully connected layer, with a weight of rows.
fn is_plain_layer(graph: &Graph, node: &Node) -> bool {
    has_weight_rows(graph, node)
        && match &node.op {
            Op::Conv(conv) => conv.groups == 1,
            op => *op == Op::Gemm(Gemm::LINEAR),
        }
}

/// A convolution of 1x1 over as many axes.
fn pointwise(axes: usize) -> Conv {
    let mut conv = Conv::square(1, 1, 0);
    conv.window.kernel = vec![1; axes];
    conv.window.stride = vec![1; axes];
    conv.window.dilation = vec![1; axes];
    conv.window.padding = oculist_graph::Padding::Explicit(vec![0; 2 * axes]);
    conv
}

#[cfg(test)]
mod tests;
