//! Start weights.

use oculist_graph::{Binary, Graph, Op, Tensor, ValueId};

/// Choices for [`initialize_with`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InitOptions {
    /// Starts the last gamma of every residual block at 0, so that each block begins as the identity.
    ///
    /// # Source
    /// Goyal et al.: Accurate, Large Minibatch SGD, 2017 (arXiv 1706.02677), section 5.1.
    pub zero_init_residual: bool,
}

/// Draws all weights of a graph with [`InitOptions::default`]; see [`initialize_with`].
pub fn initialize(graph: &mut Graph, seed: u64) {
    initialize_with(graph, seed, InitOptions::default());
}

/// Draws all weights of a graph.
///
/// | parameter | value |
/// |---|---|
/// | convolution | normal, variance `2 / fan_out`, `fan_out = c_out / groups * k_h * k_w` |
/// | convolution in a graph without batch normalisation | normal, variance `2 / fan_in` |
/// | classifier alone (residual networks) | uniform within `1 / sqrt(fan_in)` |
/// | linear layers with a hidden one or dropout before them | normal, deviation 0.01 |
/// | hidden linear layer in a graph without batch normalisation | normal, variance `2 / fan_in` |
/// | biases, beta, running mean | 0 |
/// | gamma, running variance | 1 |
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
/// uniform; here they are 0, as in the papers.
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
        }
    }
}

/// Which parameter gets which distribution.
fn plan(graph: &Graph, options: InitOptions) -> Vec<(ValueId, Draw)> {
    let nodes = graph.nodes();
    let normalised = nodes.iter().any(|n| matches!(n.op, Op::BatchNormalization(_)));
    let linear_layers = nodes.iter().filter(|n| matches!(n.op, Op::Gemm(_))).count();
    let dropout = nodes.iter().any(|n| matches!(n.op, Op::Dropout(_)));
    let last_linear = nodes.iter().rposition(|n| matches!(n.op, Op::Gemm(_)));
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
                plan.push((node.inputs[1], Draw::Normal((2.0 / fan.max(1) as f64).sqrt())));
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
            _ => {}
        }
    }
    plan
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
