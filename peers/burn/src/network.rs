//! A graph that trains with Burn's tensors and tape.

use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Tensor, TensorData};
use oculist_graph::{
    BatchNormalization, Binary, Dim, Dropout, Gemm, GlobalPool, Graph, Node, Op, Tensor as GraphTensor,
    Unary, ValueId,
};

use crate::error::PeerError;
use crate::loss::cross_entropy;
use crate::operators::{
    Activation, average_pool, convolution, element_wise, gemm, global_average_pool, max_pool, pad_channels,
};
use crate::optimizer::Sgd;

/// A trainable parameter, flat; it takes its shape where it is used.
#[derive(Debug)]
struct Parameter {
    value: Tensor<1>,
    shape: Vec<usize>,
    grad: Option<Tensor<1>>,
    velocity: Option<Tensor<1>>,
}

/// A graph with its parameters on a device.
///
/// The element `i` of each table belongs to the graph's value `i`.
#[derive(Debug)]
pub struct Network {
    graph: Graph,
    device: Device,
    input: [usize; 3],
    parameters: Vec<Option<Parameter>>,
    /// Running means and variances, which have no gradient.
    statistics: Vec<Option<Tensor<1>>>,
}

impl Network {
    /// Takes over the parameters of `graph`; `device` decides where it runs.
    ///
    /// # Errors
    /// [`PeerError::Unsupported`] naming a node without training rule, [`PeerError::Graph`] if the graph has more
    /// than one input or output.
    pub fn new(graph: &Graph, device: Device) -> Result<Self, PeerError> {
        let form = |problem: String| PeerError::Graph { graph: graph.name().to_owned(), problem };
        if graph.inputs().len() != 1 || graph.outputs().len() != 1 {
            let found = (graph.inputs().len(), graph.outputs().len());
            return Err(form(format!("expected one input and one output, found {found:?}")));
        }
        let (c, h, w) = graph.input_chw().ok_or_else(|| form("expected an image as input".into()))?;
        let output = graph.shape(graph.outputs()[0]);
        if !matches!(output.dims(), [Dim::Batch, Dim::Fixed(_)]) {
            return Err(form(format!("expected [N, classes] as output, found {output}")));
        }
        let device = device.autodiff();
        let mut network = Self {
            input: [c, h, w],
            parameters: graph.values().iter().map(|_| None).collect(),
            statistics: vec![None; graph.values().len()],
            graph: graph.clone(),
            device,
        };
        for node in graph.nodes() {
            network.adopt(node)?;
        }
        Ok(network)
    }

    /// Checks a node and takes over its parameters.
    fn adopt(&mut self, node: &Node) -> Result<(), PeerError> {
        let fail =
            |problem| Err(PeerError::Unsupported { node: node.name.clone(), op: node.op.name(), problem });
        let data = match &node.op {
            Op::Conv(_) | Op::BatchNormalization(_) => 1,
            Op::Gemm(gemm) if *gemm == Gemm::LINEAR => 1,
            Op::Pad(_) if self.graph.channel_padding(node).is_some() => 1,
            Op::MaxPool(pool) if pool.ceil_mode => return fail("windows that hang over are not known here"),
            Op::AveragePool(pool) if pool.ceil_mode => {
                return fail("windows that hang over are not known here");
            }
            Op::Softmax(_) => return fail("the loss takes logits; end the network before the softmax"),
            Op::QuantizeLinear(_) | Op::DequantizeLinear(_) => {
                return fail("quantised graphs are not trained");
            }
            Op::Dropout(Dropout { ratio }) if !(0.0..1.0).contains(ratio) => {
                return fail("expected a ratio in 0..1");
            }
            Op::Unary(
                Unary::Relu
                | Unary::Clip { .. }
                | Unary::HardSigmoid { .. }
                | Unary::HardSwish
                | Unary::Sigmoid,
            )
            | Op::Binary(Binary::Add | Binary::Mul)
            | Op::Concat(_)
            | Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::GlobalPool(GlobalPool::Average)
            | Op::Flatten(_)
            | Op::Dropout(_)
            | Op::Identity(_) => node.inputs.len(),
            _ => return fail("no rule for this operator"),
        };
        if node.inputs.iter().take(data).any(|v| self.graph.param(v).is_some()) {
            return fail("expected an activation, found a constant");
        }
        for (i, v) in node.inputs.iter().enumerate().skip(data).filter(|_| !matches!(node.op, Op::Pad(_))) {
            let Some((tensor, values)) = self.graph.param(v).and_then(|t| Some((t, t.as_f32()?))) else {
                return fail("expected float parameters");
            };
            let flat = TensorData::new(values.to_vec(), [values.len()]);
            if matches!(node.op, Op::BatchNormalization(_)) && i >= 3 {
                self.statistics[v.index()] = Some(Tensor::from_data(flat, &self.device).inner());
            } else {
                let value = Tensor::from_data(flat, &self.device).require_grad();
                let shape = tensor.shape().to_vec();
                self.parameters[v.index()] = Some(Parameter { value, shape, grad: None, velocity: None });
            }
        }
        Ok(())
    }

    /// The device, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Images as a tensor on the device.
    ///
    /// # Shapes
    /// `images`: `[batch, channels, height, width]`, row-major.
    pub fn images(&self, images: &[f32]) -> Tensor<4> {
        let [c, h, w] = self.input;
        let batch = images.len() / (c * h * w);
        Tensor::from_data(TensorData::new(images.to_vec(), [batch, c, h, w]), &self.device)
    }

    /// Forward with batch statistics, loss, backward: keeps the gradients and updates the running statistics.
    /// Returns the loss.
    ///
    /// # Shapes
    /// `images`: `[batch, channels, height, width]`; `targets`: `[batch, classes]`.
    ///
    /// # Errors
    /// [`PeerError::Read`] if the device does not give the loss back.
    pub fn forward_backward(&mut self, images: Tensor<4>, targets: Tensor<2>) -> Result<f64, PeerError> {
        let loss = cross_entropy(self.forward(images), targets);
        let mut grads = loss.backward();
        for parameter in self.parameters.iter_mut().flatten() {
            parameter.grad = parameter.value.grad_remove(&mut grads);
        }
        let loss = loss.try_into_scalar::<f32>().map_err(|e| PeerError::Read(e.to_string()))?;
        Ok(f64::from(loss))
    }

    /// Updates the parameters by the gradients of the last backward pass.
    pub fn update(&mut self, sgd: Sgd) {
        for parameter in self.parameters.iter_mut().flatten() {
            let Some(grad) = parameter.grad.take() else { continue };
            // Weights have two dimensions or more; norms and biases, which do not decay, have one.
            let decays = parameter.shape.len() > 1;
            let (value, velocity) =
                sgd.apply(parameter.value.clone().inner(), grad, parameter.velocity.take(), decays);
            parameter.value = Tensor::from_inner(value).require_grad();
            parameter.velocity = Some(velocity);
        }
    }

    /// The gradients of the last backward pass that no update has taken yet, in the graph's layout.
    ///
    /// # Errors
    /// [`PeerError::Read`] if the device does not give one back.
    pub fn gradient_tensors(&self) -> Result<Vec<(ValueId, GraphTensor)>, PeerError> {
        let mut tensors = Vec::new();
        for (id, parameter) in self.graph.value_ids().zip(&self.parameters) {
            if let Some(Parameter { grad: Some(grad), shape, .. }) = parameter {
                tensors.push((id, GraphTensor::f32(shape, read(grad.clone())?)));
            }
        }
        Ok(tensors)
    }

    /// Writes parameters and running statistics back into a graph of the same structure.
    ///
    /// # Errors
    /// [`PeerError::Read`] if the device does not give one back.
    pub fn store(&self, graph: &mut Graph) -> Result<(), PeerError> {
        for (id, parameter) in self.graph.value_ids().zip(&self.parameters) {
            if let Some(p) = parameter {
                graph.set_param(id, GraphTensor::f32(&p.shape, read(p.value.clone().inner())?));
            }
        }
        for (id, statistic) in self.graph.value_ids().zip(&self.statistics) {
            if let Some(s) = statistic {
                let values = read(s.clone())?;
                graph.set_param(id, GraphTensor::f32(&[values.len()], values));
            }
        }
        Ok(())
    }

    fn forward(&mut self, images: Tensor<4>) -> Tensor<2> {
        let consumers = self.graph.consumers();
        let mut values: Vec<Option<Activation>> = vec![None; self.graph.values().len()];
        values[self.graph.inputs()[0].index()] = Some(Activation::Map(images));
        for n in 0..self.graph.nodes().len() {
            let node = self.graph.nodes()[n].clone();
            // The last reader takes the value, so that Burn may reuse its memory.
            let mut arguments = Vec::new();
            for (i, v) in node.inputs.iter().enumerate() {
                let value = &mut values[v.index()];
                let last =
                    consumers[v.index()].last() == Some(&n) && node.inputs.iter().skip(i + 1).all(|w| w != v);
                arguments.extend(if last { value.take() } else { value.clone() });
            }
            values[node.output().index()] = Some(self.run(&node, arguments));
        }
        let output = values[self.graph.outputs()[0].index()].take();
        output.expect("the graph's last node has written its output").rows()
    }

    /// Runs one node; `arguments` are its inputs without the parameters.
    fn run(&mut self, node: &Node, arguments: Vec<Activation>) -> Activation {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().expect("a tidy graph computes inputs before they are read");
        match &node.op {
            Op::Conv(conv) => {
                let w = self.shaped::<4>(node.inputs[1]);
                Activation::Map(convolution(conv, next().map(), w, self.bias(node)))
            }
            Op::Gemm(_) => {
                Activation::Rows(gemm(next().rows(), self.shaped(node.inputs[1]), self.bias(node)))
            }
            Op::BatchNormalization(BatchNormalization { epsilon, momentum, .. }) => {
                Activation::Map(self.batch_norm(node, next().map(), *epsilon, *momentum))
            }
            Op::Binary(Binary::Add) => match (next(), next()) {
                (Activation::Rows(a), b) => Activation::Rows(a + b.rows()),
                (Activation::Map(a), b) => Activation::Map(a + b.map()),
            },
            Op::Binary(Binary::Mul) => match (next(), next()) {
                (Activation::Rows(a), b) => Activation::Rows(a * b.rows()),
                (Activation::Map(a), b) => Activation::Map(a * b.map()),
            },
            Op::Concat(_) => match next() {
                Activation::Rows(first) => {
                    let rest = arguments.map(Activation::rows);
                    Activation::Rows(Tensor::cat(std::iter::once(first).chain(rest).collect(), 1))
                }
                Activation::Map(first) => {
                    let rest = arguments.map(Activation::map);
                    Activation::Map(Tensor::cat(std::iter::once(first).chain(rest).collect(), 1))
                }
            },
            Op::MaxPool(pool) => Activation::Map(max_pool(pool, next().map())),
            Op::AveragePool(pool) => Activation::Map(average_pool(pool, next().map())),
            Op::GlobalPool(_) => Activation::Map(global_average_pool(next().map())),
            Op::Pad(_) => {
                let (before, after) = self.graph.channel_padding(node).unwrap_or_default();
                Activation::Map(pad_channels(before, after, next().map()))
            }
            Op::Flatten(_) => {
                let x = next().map();
                let [n, c, h, w] = x.dims();
                Activation::Rows(x.reshape([n, c * h * w]))
            }
            op => {
                let done = match next() {
                    Activation::Rows(x) => element_wise(op, x).map(Activation::Rows),
                    Activation::Map(x) => element_wise(op, x).map(Activation::Map),
                };
                done.expect("`new` refuses what has no rule")
            }
        }
    }

    /// Batch normalisation with the batch's statistics.
    ///
    /// The running variance takes the unbiased variance of the batch, as PyTorch does; Burn's own module takes the
    /// biased one.
    fn batch_norm(&mut self, node: &Node, x: Tensor<4>, epsilon: f32, momentum: f32) -> Tensor<4> {
        let [n, _, h, w] = x.dims();
        let count = (n * h * w) as f32;
        let unbiased = if count > 1.0 { count / (count - 1.0) } else { 1.0 };
        let (gamma, beta) = (self.shaped(node.inputs[1]), self.shaped(node.inputs[2]));
        let out = batch_norm_train(x, gamma, beta, f64::from(epsilon));
        for (value, batch, factor) in
            [(node.inputs[3], out.mean, 1.0), (node.inputs[4], out.variance, unbiased)]
        {
            let running = &mut self.statistics[value.index()];
            let batch = batch.inner().mul_scalar((1.0 - momentum) * factor);
            *running = running.take().map(|r| r.mul_scalar(momentum) + batch);
        }
        out.output
    }

    /// A parameter in its shape.
    fn shaped<const D: usize>(&self, value: ValueId) -> Tensor<D> {
        let p = self.parameters[value.index()].as_ref().expect("`new` takes over every parameter");
        let shape: [usize; D] = p.shape[..].try_into().expect("shape inference has checked the rank");
        p.value.clone().reshape(shape)
    }

    fn bias(&self, node: &Node) -> Option<Tensor<1>> {
        node.inputs.get(2).map(|b| self.shaped(b))
    }
}

fn read(tensor: Tensor<1>) -> Result<Vec<f32>, PeerError> {
    tensor.try_into_vec_as::<f32>().map_err(|e| PeerError::Read(e.to_string()))
}
