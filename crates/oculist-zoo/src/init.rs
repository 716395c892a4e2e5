//! Start weights.

use oculist_graph::{Binary, Conv, Graph, Node, NodeId, Op, Tensor, ValueId};

/// Choices for [`initialize_with`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InitOptions {
    /// Starts the last gamma of every residual block at 0, so that each block begins as the identity.
    ///
    /// # Source
    /// Goyal et al.: Accurate, Large Minibatch SGD, 2017 (arXiv 1706.02677), section 5.1.
    pub zero_init_residual: bool,
    /// Starts convolutions that keep the size of the map as the identity: output channel `i` is input channel `i` as long
    /// as there are input channels; the other filters are uniform within `1 / sqrt(fan_in)`.
    ///
    /// # Source
    /// Jordan 2024 (arXiv 2404.00498), section 3.1; the rest is PyTorch's usual draw, as there.
    pub identity: bool,
}

impl InitOptions {
    /// How the architecture of that name is meant to start.
    pub fn of(architecture: &str) -> Self {
        Self { identity: architecture == "airbench", ..Self::default() }
    }
}

/// Draws all weights of a graph as its architecture, by which it is called, is meant to start; see [`initialize_with`].
pub fn initialize(graph: &mut Graph, seed: u64) {
    let options = InitOptions::of(graph.name());
    initialize_with(graph, seed, options);
}

/// Draws all weights of a graph.
///
/// | parameter | value |
/// |---|---|
/// | convolution | normal, variance `2 / fan_out`, `fan_out = c_out / groups * k_h * k_w` |
/// | convolution in a graph without batch normalisation | normal, variance `2 / fan_in` |
/// | convolution of stride 1 with [`InitOptions::identity`] | identity, then uniform within `1 / sqrt(fan_in)` |
/// | classifier alone (residual networks) | uniform within `1 / sqrt(fan_in)` |
/// | linear layers with a hidden one or dropout before them | normal, deviation 0.01 |
/// | hidden linear layer in a graph without batch normalisation | normal, variance `2 / fan_in` |
/// | linear layers within transformers and ConvNeXt, class token, positions | normal, deviation 0.02 |
/// | biases, beta, running mean | 0 |
/// | gamma, running variance | 1 |
/// | a factor for each channel of a branch (`layer_scale`) | 1e-6 |
///
/// The values of a parameter depend on `seed` and on its name only, not on the order or the presence of others:
/// two graphs that share a layer's name and shape start it alike. Parameters of other operators are left as they are.
///
/// # Source
/// He et al.: Delving Deep into Rectifiers, 2015 (arXiv 1502.01852); the choice between the rows is torchvision's, with
/// three deviations. Its `fan_out` ignores groups, which gives depthwise convolutions weights so small that their first
/// updates are huge against them (behind a normalisation a weight's scale sets its effective learning rate); here
/// groups count, as in the MobileNets' reference code. Its AlexNet keeps PyTorch's default draw, under which the
/// signal shrinks in every layer; here it keeps its scale. Its biases of residual networks' classifiers are
/// uniform; here they are 0, as in the papers. The deviation of 0.02 is that of the vision transformers' and ConvNeXt's
/// papers, which also cut the normal off at two deviations.
pub fn initialize_with(graph: &mut Graph, seed: u64, options: InitOptions) {
    for (id, draw) in plan(graph, options) {
        let name = graph.value(id).name.clone();
        if let Some(values) = graph.param_mut(id).and_then(Tensor::as_f32_mut) {
            draw.fill(values, seed, &name);
        }
    }
}

/// A distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Draw {
    Constant(f32),
    /// Standard deviation.
    Normal(f64),
    /// Half-width about 0.
    Uniform(f64),
    /// Filters over `inputs` channels of `taps` pixels each: the first ones pass one channel on, the others are uniform with
    /// this half-width.
    Identity {
        inputs: usize,
        taps: usize,
        half_width: f64,
    },
}

impl Draw {
    fn fill(self, values: &mut [f32], seed: u64, name: &str) {
        let mut random = Random::new(seed, name);
        match self {
            Self::Constant(c) => values.fill(c),
            Self::Normal(deviation) => {
                for pair in values.chunks_mut(2) {
                    let normals = random.normal_pair();
                    for (v, n) in pair.iter_mut().zip(normals) {
                        *v = (deviation * n) as f32;
                    }
                }
            }
            Self::Uniform(half_width) => {
                for v in values {
                    *v = (half_width * (2.0 * random.uniform() - 1.0)) as f32;
                }
            }
            Self::Identity { inputs, taps, half_width } => {
                Self::Uniform(half_width).fill(values, seed, name);
                for (i, filter) in values.chunks_mut(inputs * taps).take(inputs).enumerate() {
                    filter.fill(0.0);
                    filter[i * taps + taps / 2] = 1.0;
                }
            }
        }
    }
}

/// Which parameter gets which distribution.
fn plan(graph: &Graph, options: InitOptions) -> Vec<(ValueId, Draw)> {
    let nodes = graph.nodes();
    let normalised = nodes.iter().any(|n| is_normalisation(&n.op));
    let linear_layers = nodes.iter().filter(|n| matches!(n.op, Op::Gemm(_))).count();
    let dropout = nodes.iter().any(|n| matches!(n.op, Op::Dropout(_)));
    let last_linear = nodes.iter().rposition(|n| matches!(n.op, Op::Gemm(_)));
    let producers = graph.producers();
    let zeroed = if options.zero_init_residual { last_norms_of_blocks(graph) } else { Vec::new() };
    let mut plan = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        match &node.op {
            Op::Conv(conv) => {
                let shape = graph.shape(node.inputs[1]);
                let window = conv.window.taps();
                let fan = if normalised {
                    shape.get(0).unwrap_or(1) / conv.groups.max(1) * window
                } else {
                    shape.get(1).unwrap_or(1) * window
                };
                let inputs = shape.get(1).unwrap_or(1);
                let draw = if options.identity && keeps_the_map(conv) {
                    let half_width = 1.0 / ((inputs * window).max(1) as f64).sqrt();
                    Draw::Identity { inputs, taps: window, half_width }
                } else {
                    Draw::Normal((2.0 / fan.max(1) as f64).sqrt())
                };
                plan.push((node.inputs[1], draw));
                plan.extend(node.inputs.get(2).map(|b| (b, Draw::Constant(0.0))));
            }
            Op::Gemm(_) => {
                let fan_in = graph.shape(node.inputs[1]).get(1).unwrap_or(1).max(1) as f64;
                let draw = if !normalised && last_linear != Some(i) {
                    Draw::Normal((2.0 / fan_in).sqrt())
                } else if linear_layers > 1 || dropout {
                    Draw::Normal(0.01)
                } else {
                    Draw::Uniform(1.0 / fan_in.sqrt())
                };
                plan.push((node.inputs[1], draw));
                plan.extend(node.inputs.get(2).map(|b| (b, Draw::Constant(0.0))));
            }
            Op::BatchNormalization(_) => {
                let gamma = if zeroed.contains(&i) { 0.0 } else { 1.0 };
                for (id, value) in node.inputs.iter().skip(1).zip([gamma, 0.0, 0.0, 1.0]) {
                    plan.push((id, Draw::Constant(value)));
                }
            }
            op if is_normalisation(op) => {
                for (id, value) in node.inputs.iter().skip(1).zip([1.0, 0.0]) {
                    plan.push((id, Draw::Constant(value)));
                }
            }
            Op::MatMul(_) => plan.extend(
                node.inputs.iter().filter_map(|v| weight_of(graph, &producers, v)).map(|w| (w, EMBEDDING)),
            ),
            Op::Expand(_) => plan.extend(learned(graph, node, 0).map(|id| (id, EMBEDDING))),
            Op::Binary(Binary::Add) => {
                let learned = (0..2).filter_map(|i| learned(graph, node, i));
                let draw = |rank: usize| if rank > 1 { EMBEDDING } else { Draw::Constant(0.0) };
                plan.extend(learned.map(|id| (id, draw(graph.shape(id).rank()))));
            }
            Op::Binary(Binary::Mul) => {
                let learned = (0..2).filter_map(|i| learned(graph, node, i));
                plan.extend(learned.map(|id| (id, Draw::Constant(LAYER_SCALE))));
            }
            _ => {}
        }
    }
    plan
}

/// Whether a convolution's output has the size of its input, pixel by pixel, and all channels meet.
fn keeps_the_map(conv: &Conv) -> bool {
    let window = &conv.window;
    let odd = window.kernel.iter().all(|k| k % 2 == 1);
    odd && conv.groups == 1 && window.stride.iter().all(|&s| s == 1)
}

/// Linear layers, tokens and positions of transformers.
const EMBEDDING: Draw = Draw::Normal(0.02);

/// Factors of branches that begin as nothing.
///
/// # Source
/// Touvron et al.: Going Deeper with Image Transformers, 2021 (arXiv 2103.17239).
const LAYER_SCALE: f32 = 1e-6;

fn is_normalisation(op: &Op) -> bool {
    matches!(
        op,
        Op::BatchNormalization(_)
            | Op::GroupNormalization(_)
            | Op::InstanceNormalization(_)
            | Op::LayerNormalization(_)
    )
}

/// Input `i` of a node, if it is a trained parameter.
fn learned(graph: &Graph, node: &Node, i: usize) -> Option<ValueId> {
    let id = node.inputs.get(i)?;
    (graph.param(id).is_some() && graph.is_weight_at(node, i)).then_some(id)
}

/// The matrix that a factor of a product is, perhaps transposed.
fn weight_of(graph: &Graph, producers: &[Option<NodeId>], factor: ValueId) -> Option<ValueId> {
    if graph.param(factor).is_some() {
        return Some(factor);
    }
    let node = &graph.nodes()[producers[factor.index()]?];
    (matches!(node.op, Op::Transpose(_)) && graph.param(node.inputs[0]).is_some()).then(|| node.inputs[0])
}

/// The normalisations that end the main branch of a residual block: of an addition's two branches the one with more
/// layers, as far as a normalisation ends it.
fn last_norms_of_blocks(graph: &Graph) -> Vec<usize> {
    let producers = graph.producers();
    let mut depth = vec![0_usize; graph.values().len()];
    let mut found = Vec::new();
    for node in graph.nodes() {
        if matches!(node.op, Op::Binary(Binary::Add))
            && let Some(main) = node.inputs.iter().max_by_key(|v| depth[v.index()])
            && let Some(producer) = producers[main.index()]
            && matches!(graph.nodes()[producer].op, Op::BatchNormalization(_))
        {
            found.push(producer);
        }
        depth[node.output().index()] = 1 + node.inputs.iter().map(|v| depth[v.index()]).max().unwrap_or(0);
    }
    found
}

/// A small generator for one parameter: SplitMix64 from a state that the seed and the name give.
///
/// # Source
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. Names are hashed with FNV-1a.
struct Random {
    state: u64,
}

impl Random {
    fn new(seed: u64, name: &str) -> Self {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, byte| {
            (h ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // One output of each, so that neighbouring seeds and like names give unrelated streams.
        let mut seed = Self { state: seed };
        let mut name = Self { state: hash };
        Self { state: seed.next() ^ name.next() }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Two independent standard normals (Box and Muller, 1958).
    fn normal_pair(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        [radius * cos, radius * sin]
    }
}

#[cfg(test)]
mod tests;
