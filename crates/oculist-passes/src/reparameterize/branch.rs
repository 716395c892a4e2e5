//! One branch of a sum: a convolution, perhaps with a normalisation behind it, or a normalisation alone.

use oculist_graph::{BatchNormalization, Conv, Graph, Node, NodeId, Op, Padding, Tensor, ValueId};

/// A branch that is linear in its input.
pub(super) struct Branch {
    /// What it reads.
    pub(super) input: ValueId,
    /// Its convolution; a normalisation alone has none.
    pub(super) conv: Option<Conv>,
    /// The node that makes its result.
    node: NodeId,
}

/// A branch as a convolution of a given size.
pub(super) struct Part {
    /// Filters, and channels that each reads.
    pub(super) channels: (usize, usize),
    /// `[c_out, c_in / groups, k_h, k_w]`, row-major.
    pub(super) weight: Vec<f64>,
    pub(super) bias: Vec<f64>,
}

impl Branch {
    /// The branch that ends with node `n`.
    pub(super) fn of(graph: &Graph, producers: &[Option<NodeId>], uses: &[usize], n: NodeId) -> Option<Self> {
        let node = &graph.nodes()[n];
        let own = |node: &Node| {
            node.inputs.iter().skip(1).all(|v| graph.param(v).is_some() && uses[v.index()] == 1)
        };
        if !own(node) || node.outputs.len() != 1 {
            return None;
        }
        match &node.op {
            Op::Conv(conv) if is_centred(conv) => {
                Some(Self { input: node.inputs[0], conv: Some(conv.clone()), node: n })
            }
            Op::BatchNormalization(norm) if !norm.training => {
                // One behind a convolution of its own is folded into it before branches are added.
                let before = producers[node.inputs[0].index()].filter(|_| uses[node.inputs[0].index()] == 1);
                if let Some(p) = before
                    && let Op::Conv(conv) = &graph.nodes()[p].op
                {
                    let fits = is_centred(conv) && own(&graph.nodes()[p]);
                    let input = graph.nodes()[p].inputs[0];
                    return fits.then(|| Self { input, conv: Some(conv.clone()), node: p });
                }
                Some(Self { input: node.inputs[0], conv: None, node: n })
            }
            _ => None,
        }
    }

    /// The branch as a convolution with `groups` and a window of `kernel`; `None` if a number is missing.
    pub(super) fn as_convolution(&self, graph: &Graph, groups: usize, kernel: [usize; 2]) -> Option<Part> {
        let node = &graph.nodes()[self.node];
        let param = |i: usize| node.inputs.get(i).and_then(|v| graph.param(v)).and_then(Tensor::as_f32);
        let [height, width] = kernel;
        let Some(conv) = &self.conv else {
            let Op::BatchNormalization(BatchNormalization { epsilon, .. }) = node.op else { return None };
            let [gamma, beta, mean, variance] = [param(1)?, param(2)?, param(3)?, param(4)?];
            let channels = gamma.len();
            let group = channels / groups;
            let mut part = Part::zeros((channels, group), kernel);
            for c in 0..channels {
                let factor = f64::from(gamma[c]) / (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
                let middle = (height / 2) * width + width / 2;
                part.weight[(c * group + c % group) * height * width + middle] = factor;
                part.bias[c] = f64::from(beta[c]) - factor * f64::from(mean[c]);
            }
            return Some(part);
        };
        let weight = param(1)?;
        let shape = graph.param(node.inputs[1])?.shape();
        let (c_out, c_in, h, w) = (shape[0], shape[1], conv.window.kernel[0], conv.window.kernel[1]);
        let mut part = Part::zeros((c_out, c_in), kernel);
        let (top, left) = ((height - h) / 2, (width - w) / 2);
        for (i, &value) in weight.iter().enumerate() {
            let (filter, y, x) = (i / (h * w), i / w % h, i % w);
            part.weight[filter * height * width + (top + y) * width + left + x] = f64::from(value);
        }
        if let Some(bias) = param(2) {
            for (b, &value) in part.bias.iter_mut().zip(bias) {
                *b = f64::from(value);
            }
        }
        Some(part)
    }
}

impl Part {
    fn zeros((c_out, c_in): (usize, usize), [h, w]: [usize; 2]) -> Self {
        Self { channels: (c_out, c_in), weight: vec![0.0; c_out * c_in * h * w], bias: vec![0.0; c_out] }
    }
}

/// Whether the window has odd sides and is padded by half of them, without dilation.
fn is_centred(conv: &Conv) -> bool {
    let window = &conv.window;
    let [h, w] = window.kernel[..] else { return false };
    let odd = h % 2 == 1 && w % 2 == 1;
    let padded = match &window.padding {
        Padding::Explicit(pads) => pads[..] == [h / 2, w / 2, h / 2, w / 2],
        Padding::Valid => h == 1 && w == 1,
        Padding::SameUpper | Padding::SameLower => false,
    };
    odd && padded && window.dilation == [1, 1]
}
