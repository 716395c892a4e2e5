//! Parameters in the kernels' layout, in one flat buffer.
//!
//! Weights lie packed for the micro-kernels and vectors are padded to the lanes; padded elements are zero and stay
//! zero, because their gradients are zero. Optimiser, moving average and gradient clipping work on the flat buffer.
//! The graph's NCHW tensors are unpacked on demand; packing and unpacking only move numbers, so a round trip is
//! exact.

use std::collections::HashMap;

use oculist_graph::{Graph, Tensor, ValueId};
use oculist_kernels::{Conv2d, channel_stride, pack_weights, unpack_weights};

/// How a parameter is laid out.
#[derive(Debug, Clone)]
pub(crate) enum ParamLayout {
    /// A convolution's weights; fully connected layers are convolutions that cover the map.
    Weights(Box<Conv2d>),
    /// One number per channel, padded with zeros.
    Channels(usize),
}

/// One parameter: its place in the flat buffer and its tensor in the graph.
#[derive(Debug, Clone)]
pub struct Param {
    /// Name in the graph.
    pub name: String,
    /// Value in the graph.
    pub value: ValueId,
    /// Whether weight decay applies: weights yes, norms and biases no.
    pub decays: bool,
    pub(crate) layout: ParamLayout,
    pub(crate) shape: Vec<usize>,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl Param {
    /// The range of its elements in the flat buffer.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.len
    }

    /// Packs a tensor of the graph's layout into `out`.
    pub fn pack(&self, tensor: &[f32], out: &mut [f32]) {
        match &self.layout {
            ParamLayout::Weights(conv) => out.copy_from_slice(&pack_weights(conv, tensor)),
            ParamLayout::Channels(c) => {
                out.fill(0.0);
                out[..*c].copy_from_slice(&tensor[..*c]);
            }
        }
    }

    /// The packed elements as a tensor of the graph's layout.
    pub fn unpack(&self, packed: &[f32]) -> Tensor {
        let data = match &self.layout {
            ParamLayout::Weights(conv) => unpack_weights(conv, packed),
            ParamLayout::Channels(c) => packed[..*c].to_vec(),
        };
        Tensor::f32(&self.shape, data)
    }
}

/// All parameters of one kind (trainable, or running statistics) in one flat buffer.
#[derive(Debug, Clone, Default)]
pub struct ParamSet {
    params: Vec<Param>,
    /// Where each value stands in `params`.
    positions: HashMap<ValueId, usize>,
    len: usize,
}

impl ParamSet {
    pub(crate) fn add(&mut self, graph: &Graph, value: ValueId, layout: ParamLayout, decays: bool) -> usize {
        if let Some(&i) = self.positions.get(&value) {
            return i;
        }
        self.positions.insert(value, self.params.len());
        let len = match &layout {
            ParamLayout::Weights(conv) => conv.weights_len(),
            ParamLayout::Channels(c) => channel_stride(*c),
        };
        let v = graph.value(value);
        let shape = graph.param(value).map(|t| t.shape().to_vec()).unwrap_or_default();
        self.params.push(Param { name: v.name.clone(), value, decays, layout, shape, offset: self.len, len });
        self.len = self.len.saturating_add(len);
        self.params.len() - 1
    }

    /// The parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.params.iter()
    }

    pub(crate) fn get(&self, i: usize) -> &Param {
        &self.params[i]
    }

    /// Length of the flat buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.params.is_empty()
    }

    /// The graph's tensors, packed into one buffer.
    pub fn pack(&self, graph: &Graph) -> Vec<f32> {
        let mut flat = vec![0.0; self.len];
        for p in &self.params {
            let tensor = graph.param(p.value).and_then(Tensor::as_f32).unwrap_or(&[]);
            p.pack(tensor, &mut flat[p.range()]);
        }
        flat
    }

    /// Writes a flat buffer back into the graph's tensors.
    pub fn unpack_into(&self, flat: &[f32], graph: &mut Graph) {
        for p in &self.params {
            graph.set_param(p.value, p.unpack(&flat[p.range()]));
        }
    }
}

impl<'a> IntoIterator for &'a ParamSet {
    type Item = &'a Param;
    type IntoIter = std::slice::Iter<'a, Param>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
