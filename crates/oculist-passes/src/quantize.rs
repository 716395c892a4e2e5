//! Post-training quantisation of a graph to int8 in Q/DQ form.
//!
//! The caller prepares the graph ([`crate::remove_identity`], [`crate::fold_batch_norm`]), runs it on calibration
//! images while a [`crate::Calibrator`] watches the values of [`quantizable_values`], optionally corrects the
//! biases ([`crate::correct_bias`]), and calls [`quantize`]. The result is a graph of float operators between
//! `DequantizeLinear` and `QuantizeLinear`; an executor that knows the patterns below runs it in integers.
//!
//! # Q/DQ patterns
//!
//! `DQ` is `DequantizeLinear`, `Q` is `QuantizeLinear`. Every activation is u8 with one scale and one zero_point
//! (scalars of rank 0, f32 and u8); `Q` and `DQ` of one value read the *same* scale and zero_point parameters.
//! Weights are i8 with a scale per output channel (`axis` 0, zero points all 0), biases i32 with scale
//! `f32(scale_x * scale_w[o])` (zero points all 0). In `[a | b]` exactly one is present, in `[a | b]?` at most one.
//!
//! | pattern | meaning |
//! |---|---|
//! | `Q(x) -> DQ` | entry: the graph input, or the output of a float node that an integer node reads |
//! | `Conv(DQ(x), DQ(w), DQ(b)?) -> [Relu \| Clip]? -> Q` | convolution; without activation the `Q` follows directly |
//! | `Gemm(DQ(x), DQ(w), DQ(b)?) -> [Relu \| Clip]? -> Q` | fully connected layer, output read by integer nodes |
//! | `Gemm(DQ(x), DQ(w), DQ(b)?)`, no `Q` behind it | the classifier: i32 accumulators times `scale_x * scale_w[o]` are the f32 output |
//! | `Add(DQ(x), DQ(y)) -> [Relu \| Clip]? -> Q` | residual addition; `x` and `y` may be one value |
//! | `Mul(DQ(x), DQ(gate)) -> Q` | product, the gate `[N, C, 1, 1]` or of `x`'s shape |
//! | `Concat(DQ(x1), DQ(x2), ...) -> Q` | each part is requantised to the output's scale |
//! | `[AveragePool \| GlobalAveragePool](DQ(x)) -> Q` | mean, with output parameters of its own |
//! | `[MaxPool \| Flatten \| PadChannels](DQ(x)) -> Q` | moves bytes: `Q` reads the same scale and zero_point parameters as `DQ`; added channels hold the zero_point |
//! | `[Relu \| Clip \| HardSwish \| HardSigmoid \| Sigmoid](DQ(x)) -> Q` | a function of one byte: a table of 256 entries |
//! | `f(DQ(x), ...)`, any other node | a float node reading integer values (a layer kept in f32, `Softmax`, ...) |
//!
//! Further guarantees, so that a matcher can stay simple:
//! - The `Relu` or `Clip` of a pattern is the only reader of the `Conv`, `Gemm` or `Add` before it, and the `Q` is
//!   the only reader of what it quantises; a graph output may be the output of a `DQ` but never feeds one.
//! - Behind `Relu` the zero_point is 0; behind `Clip(min, max)` with `min <= 0 <= max` the 256 levels lie within
//!   `min..=max`. So saturation to u8 already does the activation's work.
//! - A `DQ` of an activation may have many readers; a `DQ` of a weight or bias has one, unless the float weight had
//!   several.
//! - A node is integer or float as a whole: it reads either only `DQ` outputs or is listed as float above. When the
//!   producer of a value is integer, every reader reads its `DQ`; when it is float, float readers read the float
//!   value and integer readers its `Q -> DQ`.
//!
//! ONNX Runtime (CPU, opset 17) turns these into `QLinearConv`, `QGemm` (u8 or f32 output), `QLinearAdd`,
//! `QLinearMul`, `QLinearConcat`, `QLinearAveragePool`, `QLinearGlobalAveragePool`, `QLinearSigmoid` and byte-wise
//! `MaxPool` and `Flatten`; it drops the `Relu` or `Clip`. It has no integer form of `HardSwish`, `HardSigmoid` and
//! `Pad` and computes them in f32 between `DQ` and `Q`.

mod params;
mod placement;
mod weights;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use oculist_graph::{DataType, DequantizeLinear, Graph, Node, NodeId, Op, QuantizeLinear, Tensor, ValueId};

use crate::edit::{Names, consumer_counts, has_weight_rows};
use crate::{PassError, Result};
pub use params::{QParams, Range};
use placement::Placement;
pub use weights::{WeightRange, weight_scales};

/// Name of the pass in errors.
const PASS: &str = "quantize";

/// What to quantise, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuantizeOptions {
    /// Names of nodes that stay in f32.
    pub keep_f32: BTreeSet<String>,
    /// If given, only these nodes (and the `Relu` or `Clip` that follows one of them) become int8.
    pub only: Option<BTreeSet<String>>,
    /// Integers that weights use.
    pub weights: WeightRange,
}

/// The values that need a calibrated range, in order of [`ValueId`], whatever [`QuantizeOptions`] say.
///
/// These are the graph inputs and the outputs of nodes, except graph outputs, values that only a fused `Relu` or
/// `Clip` reads, and values behind the last convolution or fully connected layer.
///
/// # Errors
/// [`PassError::Unsupported`] if the graph holds Q/DQ nodes already or a foldable normalisation is left to fold
/// first; [`PassError::Graph`] if it is invalid.
pub fn quantizable_values(graph: &Graph) -> Result<Vec<ValueId>> {
    graph.check()?;
    placement::candidates(graph)
}

/// Quantises a float graph; see the module's table of patterns.
///
/// # What it does
/// Inserts `Q -> DQ` behind activations, stores weights as i8 and biases as i32 behind `DQ`. With `lo = min(0, min)`,
/// `hi = max(0, max)` of a value's range: `scale = (hi - lo) / 255`, `zero_point = round(-lo / scale)`. Weights:
/// `scale_w[o] = max|w[o]| / 127`, `q = round(w / scale_w[o])`; biases: `round(b / (scale_x * scale_w[o]))`.
/// Rounding is to nearest, ties to even.
///
/// # Applies when
/// The node is a `Conv` or `Gemm` whose weight is an f32 parameter, or another operator of the table that lies
/// between such nodes; not named in [`QuantizeOptions::keep_f32`], and named in [`QuantizeOptions::only`] if that is
/// given. Other nodes stay in f32 and read dequantised values.
///
/// # Preserves
/// The function up to quantisation: every quantised value differs by at most half its scale while it lies in its
/// calibrated range, and saturates outside. Names of inputs, float outputs, weights and compute nodes.
///
/// # Source
/// Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
/// Inference"; formulas and placement as ONNX Runtime's static quantiser with u8 activations and per-channel
/// symmetric i8 weights. Deviation: a channel whose weights are so small that its bias would leave the i32 range
/// (or are all zero) gets a larger weight scale.
///
/// # Errors
/// [`PassError::Data`] if a needed range is missing or not finite; [`PassError::Option`] if an option names a node
/// that does not exist; [`PassError::Unsupported`] as for [`quantizable_values`]; [`PassError::Graph`] if the graph
/// is invalid.
pub fn quantize(
    graph: &Graph,
    ranges: &BTreeMap<ValueId, Range>,
    options: &QuantizeOptions,
) -> Result<Graph> {
    graph.check()?;
    let placement = Placement::new(graph, options)?;
    let mut writer = Writer::new(graph, &placement);
    for (i, node) in graph.nodes().iter().enumerate() {
        if i == 0 {
            for &input in graph.inputs() {
                writer.entry(input, ranges)?;
            }
        }
        writer.node(i, node, options)?;
        for &output in &node.outputs {
            writer.entry(output, ranges)?;
        }
    }
    writer.finish()
}

/// The `Conv` and `Gemm` nodes that become int8.
pub(crate) fn integer_layers(graph: &Graph, options: &QuantizeOptions) -> Result<Vec<NodeId>> {
    let placement = Placement::new(graph, options)?;
    let is_layer = |i: &NodeId| has_weight_rows(graph, &graph.nodes()[*i]);
    Ok((0..graph.nodes().len()).filter(|i| placement.integer[*i]).filter(is_layer).collect())
}

/// A float weight after quantising and dequantising.
pub(crate) fn rounded_weights(weight: &Tensor, range: WeightRange) -> Vec<f32> {
    let scales = weight_scales(weight, range);
    let q = weights::quantize_weight(weight, &scales, range);
    let row = (weight.len() / scales.len().max(1)).max(1);
    q.as_i8().unwrap_or_default().iter().enumerate().map(|(i, &q)| f32::from(q) * scales[i / row]).collect()
}

/// Builds the quantised graph next to the float one, in its order.
struct Writer<'a> {
    graph: &'a Graph,
    placement: &'a Placement,
    out: Graph,
    nodes: Vec<Node>,
    uses: Vec<usize>,
    /// Scale and zero_point parameters of each quantised value of the float graph.
    params: BTreeMap<ValueId, (QParams, ValueId, ValueId)>,
    /// The `DQ` output of each quantised value.
    dequantized: BTreeMap<ValueId, ValueId>,
    /// The `DQ` output of each quantised weight, and its scales.
    weights: BTreeMap<ValueId, (ValueId, Vec<f32>)>,
    /// Constants that several nodes share, by a name that says what they hold.
    constants: BTreeMap<String, ValueId>,
    names: Names,
    /// Names of the float graph's nodes.
    node_names: HashSet<&'a str>,
    counter: usize,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph, placement: &'a Placement) -> Self {
        Self {
            graph,
            placement,
            out: graph.clone(),
            nodes: Vec::new(),
            uses: consumer_counts(graph),
            params: BTreeMap::new(),
            dequantized: BTreeMap::new(),
            weights: BTreeMap::new(),
            constants: BTreeMap::new(),
            names: Names::of(graph),
            node_names: graph.nodes().iter().map(|n| n.name.as_str()).collect(),
            counter: 0,
        }
    }

    /// Places `Q -> DQ` behind a value that needs it.
    fn entry(&mut self, value: ValueId, ranges: &BTreeMap<ValueId, Range>) -> Result<()> {
        if !self.placement.quantized[value.index()] {
            return Ok(());
        }
        let (params, scale, zero_point) = if let Some(source) = self.placement.same_as[value.index()] {
            self.params[&source]
        } else {
            let name = || self.graph.value(value).name.clone();
            let range = ranges.get(&value).ok_or_else(|| PassError::Data {
                pass: PASS,
                value: name(),
                problem: "expected a calibrated range, found none".into(),
            })?;
            let bounds = self.placement.bounds[value.index()];
            let params = QParams::asymmetric_u8(*range, bounds).map_err(|problem| PassError::Data {
                pass: PASS,
                value: name(),
                problem,
            })?;
            let scale = self.constant(&format!("s{:08x}", params.scale.to_bits()), || {
                Tensor::f32(&[], vec![params.scale])
            });
            let zero_point = self
                .constant(&format!("z{}", params.zero_point), || Tensor::u8(&[], vec![params.zero_point]));
            (params, scale, zero_point)
        };
        let q = self.push(
            "q",
            QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 },
            vec![value, scale, zero_point],
        );
        let dq = self.push("d", DequantizeLinear::along(1), vec![q, scale, zero_point]);
        self.params.insert(value, (params, scale, zero_point));
        self.dequantized.insert(value, dq);
        Ok(())
    }

    /// Copies a node, its inputs replaced by dequantised values where that is its form.
    fn node(&mut self, i: usize, node: &Node, options: &QuantizeOptions) -> Result<()> {
        let integer = self.placement.integer[i];
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for slot in node.inputs.slots() {
            inputs.push(slot.map(|v| match self.dequantized.get(&v) {
                Some(&dq) if integer || self.placement.from_integer[v.index()] => dq,
                _ => v,
            }));
        }
        if integer && has_weight_rows(self.graph, node) {
            let x = self.params[&node.inputs[0]].0;
            let (w, b) = self.layer(node, x, options)?;
            inputs[1] = Some(w);
            if b.is_some() {
                inputs[2] = b;
            }
        }
        let inputs = inputs.into();
        self.nodes.push(Node {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs: node.outputs.clone(),
        });
        Ok(())
    }

    /// Quantises weight and bias of a layer; returns the outputs of their `DQ` nodes.
    fn layer(
        &mut self,
        node: &Node,
        x: QParams,
        options: &QuantizeOptions,
    ) -> Result<(ValueId, Option<ValueId>)> {
        let graph = self.graph;
        let float = |v: ValueId| {
            graph.param(v).filter(|t| t.as_f32().is_some()).ok_or_else(|| PassError::Unsupported {
                pass: PASS,
                node: node.name.clone(),
                op: node.op.name(),
                problem: format!("expected `{}` to be an f32 parameter", graph.value(v).name),
            })
        };
        let (weight, bias) = (node.inputs[1], node.inputs.get(2));
        let w = float(weight)?;
        let b = bias.map(&float).transpose()?;
        let scales = weights::scales_for(w, b.and_then(Tensor::as_f32), x.scale, options.weights);
        let channels = scales.len();
        let scale_of = |scales: &[f32]| Tensor::f32(&[scales.len()], scales.to_vec());
        // A weight that several layers read is stored once, unless their biases ask for different scales.
        let w_dq = if let Some((dq, stored)) = self.weights.get(&weight)
            && *stored == scales
        {
            *dq
        } else {
            let q = self.replace_param(weight, weights::quantize_weight(w, &scales, options.weights));
            let scale = self.param("ws", scale_of(&scales));
            let zero = self.constant(&format!("zw{channels}"), || Tensor::i8(&[channels], vec![0; channels]));
            let dq = self.push("w", DequantizeLinear::along(0), vec![q, scale, zero]);
            self.weights.insert(weight, (dq, scales.clone()));
            dq
        };
        let b_dq = if let (Some(bias), Some(values)) = (bias, b.and_then(Tensor::as_f32)) {
            let bias_scales: Vec<f32> = scales.iter().map(|s| x.scale * s).collect();
            let q = self.replace_param(bias, weights::quantize_bias(values, &bias_scales));
            let scale = self.param("bs", scale_of(&bias_scales));
            let zero =
                self.constant(&format!("zb{channels}"), || Tensor::i32(&[channels], vec![0; channels]));
            Some(self.push("b", DequantizeLinear::along(0), vec![q, scale, zero]))
        } else {
            None
        };
        Ok((w_dq, b_dq))
    }

    /// Stores a quantised tensor under the float parameter's name if nothing else reads that parameter.
    fn replace_param(&mut self, old: ValueId, tensor: Tensor) -> ValueId {
        if self.uses[old.index()] == 1 {
            self.out.set_param(old, tensor);
            return old;
        }
        let name = self.names.fresh(&format!("{}.q", self.graph.value(old).name));
        self.out.add_param(name, tensor)
    }

    fn param(&mut self, prefix: &str, tensor: Tensor) -> ValueId {
        self.counter += 1;
        let name = self.names.fresh(&format!("{prefix}{}", self.counter));
        self.out.add_param(name, tensor)
    }

    fn constant(&mut self, key: &str, tensor: impl FnOnce() -> Tensor) -> ValueId {
        if let Some(&v) = self.constants.get(key) {
            return v;
        }
        let name = self.names.fresh(key);
        let v = self.out.add_param(name, tensor());
        self.constants.insert(key.to_owned(), v);
        v
    }

    fn push(&mut self, prefix: &str, op: impl Into<Op>, inputs: Vec<ValueId>) -> ValueId {
        // Short names: in a small model, names of Q/DQ nodes would weigh as much as a layer.
        self.counter += 1;
        let mut name = format!("{prefix}{}", self.counter);
        while self.node_names.contains(name.as_str()) {
            name.push('_');
        }
        let value = self.names.fresh(&name);
        let output = self.out.add_activation(value);
        self.nodes.push(Node { name, op: op.into(), inputs: inputs.into(), outputs: vec![output] });
        output
    }

    fn finish(mut self) -> Result<Graph> {
        // An output that integers make is what `DQ` gives of it: that takes its place and name, and the layer's result the
        // other's.
        let outputs: BTreeSet<ValueId> = self.graph.outputs().iter().copied().collect();
        for output in outputs.into_iter().filter(|v| self.placement.from_integer[v.index()]) {
            let Some(&dq) = self.dequantized.get(&output) else { continue };
            for node in &mut self.nodes {
                for v in node.inputs.iter_mut().chain(&mut node.outputs) {
                    *v = match *v {
                        v if v == output => dq,
                        v if v == dq => output,
                        v => v,
                    };
                }
            }
        }
        self.out.edit().replace_nodes(self.nodes);
        self.out.set_outputs(self.graph.outputs().to_vec());
        self.out.tidy()?;
        self.out.check()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests;
