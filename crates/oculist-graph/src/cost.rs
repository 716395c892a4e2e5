//! The cost account: multiply-adds, parameters, bytes.

use crate::graph::{Graph, NodeId};
use crate::op::Op;

/// Cost of one node for one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCost {
    /// Multiply-accumulate operations of convolutions and fully connected layers (biases are not counted).
    pub macs: u64,
    /// Elements of the parameters that the node reads (running statistics are not counted).
    pub params: u64,
    /// Bytes of the output activation.
    pub activation_bytes: u64,
}

/// Cost of a graph for one sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cost {
    /// Per node, in the graph's order.
    pub nodes: Vec<(NodeId, NodeCost)>,
    /// Sum of [`NodeCost::macs`].
    pub macs: u64,
    /// Number of trainable parameter elements (weights, biases, gamma, beta), each counted once.
    pub params: u64,
    /// Bytes of all parameters and constants, running statistics included.
    pub param_bytes: u64,
}

impl Graph {
    /// Counts the work of one sample.
    ///
    /// The count is the one that torchvision's model pages use: one multiply-accumulate for each product in a
    /// convolution or fully connected layer; normalisation, activations and pooling are not counted. Weights
    /// behind a `DequantizeLinear` count as parameters; scales and zero points do not.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let producers = self.producers();
        let mut counted = vec![false; self.values.len()];
        for (i, node) in self.nodes.iter().enumerate() {
            let mut c = NodeCost {
                activation_bytes: (self.shape(node.output).elements_per_sample()
                    * self.value(node.output).dtype.size()) as u64,
                ..NodeCost::default()
            };
            let out = self.shape(node.output);
            match &node.op {
                Op::Conv(_) => {
                    let weight = self.shape(node.inputs[1]);
                    let per_output: usize = (1..4).filter_map(|a| weight.get(a)).product();
                    c.macs = (out.elements_per_sample() * per_output) as u64;
                }
                Op::Gemm => {
                    c.macs =
                        (out.elements_per_sample() * self.shape(node.inputs[1]).get(1).unwrap_or(0)) as u64;
                }
                _ => {}
            }
            let trainable = match &node.op {
                Op::Conv(_) | Op::Gemm => 1..node.inputs.len(),
                Op::BatchNormalization { .. } => 1..3,
                _ => 0..0,
            };
            for &input in &node.inputs[trainable] {
                // A quantised weight is a constant behind a DequantizeLinear node.
                let source = match producers[input.0].map(|p| &self.nodes[p]) {
                    Some(p) if matches!(p.op, Op::DequantizeLinear { .. }) => p.inputs[0],
                    _ => input,
                };
                if let Some(t) = self.param(source)
                    && !counted[source.0]
                {
                    counted[source.0] = true;
                    c.params += t.len() as u64;
                }
            }
            cost.macs += c.macs;
            cost.params += c.params;
            cost.nodes.push((i, c));
        }
        cost.param_bytes = self.params().map(|(_, _, t)| t.bytes() as u64).sum();
        cost
    }
}
