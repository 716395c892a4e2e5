//! The cost account: multiply-adds, parameters, bytes.

use crate::error::GraphError;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, OpCost};
use crate::shape::Shape;

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

/// The product, `u64::MAX` where it is larger.
fn times(a: usize, b: usize) -> u64 {
    (a as u64).saturating_mul(b as u64)
}

impl Graph {
    /// The most operations for one sample that executors plan, 10^12.
    ///
    /// The largest published convolutional classifiers stay below half of it. A processor with two cores takes about
    /// half a minute for so many, and a training step or a batch takes a hundred times as long.
    pub const MAX_OPERATIONS: u64 = 1_000_000_000_000;

    /// Refuses a graph that would compute for hours: one of more than [`Graph::MAX_OPERATIONS`] operations.
    ///
    /// Counted are the multiply-adds of [`Graph::cost`], the elements that pooling windows read, and the elements of
    /// every input and result.
    ///
    /// # Errors
    /// [`GraphError::Structure`] with the count and the node that takes the most.
    pub fn check_operations(&self) -> Result<(), GraphError> {
        let (mut total, mut most) = (0u64, (0u64, ""));
        for (node, (_, cost)) in self.nodes.iter().zip(&self.cost().nodes) {
            let out = node.outputs.iter().map(|&v| self.shape(v).elements_per_sample());
            let out = out.fold(0, usize::saturating_add) as u64;
            let read = node.inputs.iter().next().map_or(0, |x| self.shape(x).elements_per_sample());
            let operations = cost
                .macs
                .saturating_add(out.saturating_mul(self.op_cost(node).reads))
                .saturating_add(read as u64);
            total = total.saturating_add(operations);
            if operations > most.0 {
                most = (operations, &node.name);
            }
        }
        if total <= Self::MAX_OPERATIONS {
            return Ok(());
        }
        Err(GraphError::Structure {
            graph: self.name.clone(),
            problem: format!(
                "one sample takes {:.1e} operations, of which node `{}` takes {:.1e}; at most {:.0e} are planned, for \
                 more would take hours",
                total as f64,
                most.1,
                most.0 as f64,
                Self::MAX_OPERATIONS as f64
            ),
        })
    }

    /// What the operator of a node says of its work.
    fn op_cost(&self, node: &Node) -> OpCost {
        let outputs: Vec<&Shape> = node.outputs.iter().map(|&v| self.shape(v)).collect();
        self.given(node).map_or(OpCost::default(), |given| node.op.cost(&given, &outputs))
    }

    /// Counts the work of one sample.
    ///
    /// The count is the one that torchvision's model pages use: one multiply-accumulate for each product in a
    /// convolution or fully connected layer; normalisation, activations and pooling are not counted. Weights
    /// behind a `DequantizeLinear` count as parameters; scales and zero points do not.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let producers = self.producers();
        let mut counted = vec![false; self.values.len()];
        for (n, node) in self.nodes.iter().enumerate() {
            let activation_bytes = node.outputs.iter().fold(0, |bytes: u64, &v| {
                let size = self.value(v).dtype.size();
                bytes.saturating_add(times(self.shape(v).elements_per_sample(), size))
            });
            let mut c = NodeCost { activation_bytes, macs: self.op_cost(node).macs, params: 0 };
            for (i, slot) in node.inputs.slots().iter().enumerate() {
                let Some(input) = *slot else { continue };
                if !self.is_weight_at(node, i) {
                    continue;
                }
                // A quantised weight is a constant behind a DequantizeLinear node.
                let source = match producers[input.0].map(|p| &self.nodes[p]) {
                    Some(p) if matches!(p.op, Op::DequantizeLinear(_)) => p.inputs[0],
                    _ => input,
                };
                if let Some(t) = self.param(source)
                    && !counted[source.0]
                {
                    counted[source.0] = true;
                    c.params += t.len() as u64;
                }
            }
            cost.macs = cost.macs.saturating_add(c.macs);
            cost.params += c.params;
            cost.nodes.push((n, c));
        }
        cost.param_bytes = self.params().map(|(_, _, t)| t.bytes() as u64).sum();
        cost
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Conv, DataType, DequantizeLinear, Flatten, Gemm, GlobalPool, Graph, GraphBuilder, MaxPool, Op, Shape,
        Tensor,
    };

    #[test]
    fn costs_match_hand_computed_numbers() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 3, 8, 8);
        let y = b.conv("conv", x, 16, Conv::square(3, 2, 1), true);
        let y = b.batch_norm("bn", y, 1e-5, 0.9);
        let y = b.conv("depthwise", y, 16, Conv::square(3, 1, 1).with_groups(16), false);
        let y = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[y]);
        let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
        let y = b.linear("fc", y, 10);
        let cost = b.finish(y).unwrap().cost();
        let macs: Vec<u64> = cost.nodes.iter().map(|(_, c)| c.macs).collect();
        // 16*4*4 outputs of 3*3*3 products; 16*4*4 outputs of 3*3 products; 10 outputs of 16 products.
        assert_eq!(macs, [6912, 0, 2304, 0, 0, 160]);
        assert_eq!(cost.macs, 6912 + 2304 + 160);
        let params: Vec<u64> = cost.nodes.iter().map(|(_, c)| c.params).collect();
        assert_eq!(params, [16 * 27 + 16, 32, 16 * 9, 0, 0, 170]);
        assert_eq!(cost.params, 448 + 32 + 144 + 170);
        // Running mean and variance are stored, though not trained.
        assert_eq!(cost.param_bytes, 4 * (cost.params + 32));
        let bytes: Vec<u64> = cost.nodes.iter().map(|(_, c)| c.activation_bytes).collect();
        assert_eq!(bytes, [1024, 1024, 1024, 64, 64, 40]);
    }

    #[test]
    fn a_shared_parameter_counts_once() {
        let mut g = Graph::new("shared");
        let x = g.add_input("x", Shape::nc(4));
        let w = g.add_param("w", Tensor::filled(&[4, 4], 0.0));
        let y = g.add_node("first", Op::Gemm(Gemm::LINEAR), vec![x, w]);
        let z = g.add_node("second", Op::Gemm(Gemm::LINEAR), vec![y, w]);
        g.set_outputs(vec![z]);
        g.tidy().unwrap();
        let cost = g.cost();
        assert_eq!((cost.params, cost.macs, cost.param_bytes), (16, 32, 64));
    }

    #[test]
    fn quantised_weights_count_as_parameters_of_one_byte() {
        let mut g = Graph::new("int8");
        let x = g.add_input("x", Shape::nc(4));
        let q = g.add_param("w", Tensor::i8(&[3, 4], vec![1; 12]));
        let scale = g.add_param("scale", Tensor::f32(&[3], vec![0.1; 3]));
        let zero = g.add_param("zero", Tensor::i8(&[3], vec![0; 3]));
        let w =
            g.add_node("dequantize", Op::DequantizeLinear(DequantizeLinear::along(0)), vec![q, scale, zero]);
        let y = g.add_node("fc", Op::Gemm(Gemm::LINEAR), vec![x, w]);
        g.set_outputs(vec![y]);
        g.tidy().unwrap();
        assert_eq!(g.value(w).dtype, DataType::F32);
        let cost = g.cost();
        assert_eq!((cost.params, cost.macs), (12, 12));
        assert_eq!(cost.param_bytes, 12 + 3 * 4 + 3);
    }

    #[test]
    fn what_would_take_hours_is_refused_with_the_node() {
        let graph = |side: usize, channels: usize| {
            let mut b = GraphBuilder::new("net");
            let x = b.input("x", 3, side, side);
            let y = b.conv("narrow", x, 8, Conv::square(1, 1, 0), false);
            let y = b.conv("wide", y, channels, Conv::square(3, 1, 1), false);
            b.finish(y).unwrap()
        };
        assert!(graph(1024, 64).check_operations().is_ok());
        // 2^40 pixels of 4 channels, 8 * 9 products each: 3.2e14.
        let error = graph(1 << 20, 4).check_operations().unwrap_err().to_string();
        assert!(
            error.contains("`wide`") && error.contains("operations") && error.contains("1e12"),
            "{error}"
        );
        // Windows count as well.
        let mut b = GraphBuilder::new("net");
        let x = b.input("x", 16, 8192, 8192);
        let y = b.op("pool", Op::MaxPool(MaxPool::square(255, 1, 0)), &[x]);
        let error = b.finish(y).unwrap().check_operations().unwrap_err().to_string();
        assert!(error.contains("`pool`"), "{error}");
    }
}
