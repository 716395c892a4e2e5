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
pub(super) enum ParamLayout {
    /// A convolution's weights; fully connected layers are convolutions that cover the map.
    Weights(Box<Conv2d>),
    /// One number per channel, padded with zeros.
    Channels(usize),
    /// As many numbers, row-major as in the graph: what plain steps read.
    Rows(usize),
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
    pub(super) layout: ParamLayout,
    pub(super) shape: Vec<usize>,
    pub(super) offset: usize,
    pub(super) len: usize,
    /// How many inputs of nodes it is: the gradients of all of them are added.
    pub(super) readers: usize,
}

impl ParamLayout {
    fn len(&self) -> usize {
        match self {
            Self::Weights(conv) => conv.weights_len(),
            Self::Channels(c) => channel_stride(*c),
            Self::Rows(n) => *n,
        }
    }

    /// Elements of the tensor in the graph's layout.
    fn elements(&self) -> usize {
        match self {
            Self::Weights(conv) => conv.c_out * (conv.c_in / conv.groups) * conv.taps(),
            Self::Channels(n) | Self::Rows(n) => *n,
        }
    }

    /// Whether every element lies at the same place.
    fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Weights(a), Self::Weights(b)) => {
                let form =
                    |conv: &Conv2d| (conv.c_out, conv.c_in / conv.groups, conv.taps(), conv.is_depthwise());
                form(a) == form(b) && a.weights_len() == b.weights_len()
            }
            (Self::Channels(a), Self::Channels(b)) | (Self::Rows(a), Self::Rows(b)) => a == b,
            (Self::Weights(_) | Self::Channels(_) | Self::Rows(_), _) => false,
        }
    }
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
            ParamLayout::Rows(_) => out.copy_from_slice(tensor),
        }
    }

    /// The packed elements as a tensor of the graph's layout.
    pub fn unpack(&self, packed: &[f32]) -> Tensor {
        let data = match &self.layout {
            ParamLayout::Weights(conv) => unpack_weights(conv, packed),
            ParamLayout::Channels(n) | ParamLayout::Rows(n) => packed[..*n].to_vec(),
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
    /// Adds a parameter, or a reader to one that is there; what is wrong with it in words.
    pub(super) fn add(
        &mut self,
        graph: &Graph,
        value: ValueId,
        layout: ParamLayout,
        decays: bool,
    ) -> Result<usize, String> {
        let name = &graph.value(value).name;
        if let Some(&i) = self.positions.get(&value) {
            let shared = &mut self.params[i];
            if !shared.layout.agrees(&layout) {
                return Err(format!("it shares `{name}` with a node that reads it in another form"));
            }
            shared.readers += 1;
            return Ok(i);
        }
        let Some(tensor) = graph.param(value) else {
            return Err(format!("expected a parameter, found the computed value `{name}`"));
        };
        if tensor.as_f32().map(<[f32]>::len) != Some(layout.elements()) {
            return Err(format!(
                "expected {} numbers in `{name}`, found {} of shape {:?}",
                layout.elements(),
                tensor.dtype().name(),
                tensor.shape()
            ));
        }
        let (shape, len) = (tensor.shape().to_vec(), layout.len());
        let (name, offset) = (name.clone(), self.len);
        self.positions.insert(value, self.params.len());
        self.params.push(Param { name, value, decays, layout, shape, offset, len, readers: 1 });
        self.len = self.len.saturating_add(len);
        Ok(self.params.len() - 1)
    }

    /// Adds a parameter for a plain step, which reads any layout; weight decay applies to what has more than one axis.
    pub(super) fn add_rows(&mut self, graph: &Graph, value: ValueId) -> Result<usize, String> {
        if let Some(&i) = self.positions.get(&value) {
            self.params[i].readers += 1;
            return Ok(i);
        }
        let tensor = graph.param(value);
        let long = tensor.map_or(0, |t| t.shape().iter().filter(|&&d| d > 1).count());
        self.add(graph, value, ParamLayout::Rows(tensor.map_or(0, Tensor::len)), long > 1)
    }

    /// Whether a node may read a value in this layout: others do not read it in another one.
    pub(super) fn fits(&self, value: ValueId, layout: &ParamLayout) -> bool {
        self.positions.get(&value).is_none_or(|&i| self.params[i].layout.agrees(layout))
    }

    /// Whether a value is one of the parameters.
    pub(super) fn holds(&self, value: ValueId) -> bool {
        self.positions.contains_key(&value)
    }

    /// The parameters in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Param> {
        self.params.iter()
    }

    pub(super) fn get(&self, i: usize) -> &Param {
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
