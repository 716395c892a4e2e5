//! One node of the graph, in the form of the file's opset.

use oculist_graph::op::{Attribute, Quantization};
use oculist_graph::{Dropout, Node, Op, Softmax, Tensor, TensorData, Unary};

use super::decompose::floats;
use super::{Exporter, attributes};
use crate::error::OnnxError;
use crate::older::{self, Kind};
use crate::proto::NodeProto;

/// What a node becomes.
struct Draft {
    /// Names of inputs; empty for one that is left out.
    inputs: Vec<String>,
    attributes: Vec<(String, Attribute)>,
}

impl Draft {
    fn set(&mut self, i: usize, name: String) {
        if self.inputs.len() <= i {
            self.inputs.resize(i + 1, String::new());
        }
        self.inputs[i] = name;
    }

    fn attribute(&mut self, name: &str, value: impl Into<Attribute>) {
        self.attributes.push((name.to_owned(), value.into()));
    }
}

impl Exporter<'_> {
    pub(super) fn node(&mut self, node: &Node) -> Result<(), OnnxError> {
        if self.names.is_left_out(node) {
            return Ok(());
        }
        let mut draft = Draft {
            inputs: Vec::new(),
            attributes: node
                .op
                .attributes()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        };
        let own = node.op.domain().is_empty();
        let moved: Vec<_> =
            if own { older::attributes(node.op.name(), self.opset).collect() } else { Vec::new() };
        // A zero point that is zero is written only where it tells the type.
        let read = self.names.inputs_written(node);
        for i in 0..read {
            let Some(id) = node.inputs.get(i) else {
                draft.inputs.push(String::new());
                continue;
            };
            if let Some(moved) = moved.iter().find(|m| m.input == i) {
                let value =
                    self.graph.param(id).and_then(|t| as_attribute(moved.kind, t)).ok_or_else(|| {
                        node.error(format!("opset {} wants `{}` as a constant", self.opset, moved.attribute))
                    })?;
                draft.attribute(moved.attribute, value);
                draft.inputs.push(String::new());
                continue;
            }
            let name = self.value(id);
            draft.inputs.push(name);
        }
        if own {
            for moved in &moved {
                // The older default differs from what a missing input means.
                if moved.default.is_some() && node.inputs.get(moved.input).is_none() {
                    let problem = format!("opset {} wants `{}` as a constant", self.opset, moved.attribute);
                    return Err(node.error(problem).into());
                }
            }
            self.special(node, &mut draft)?;
        }
        while draft.inputs.last().is_some_and(String::is_empty) {
            draft.inputs.pop();
        }
        let quantisation = node.op.quantization() == Quantization::Conversion;
        self.push(NodeProto {
            input: draft.inputs,
            output: node.outputs.iter().map(|&v| self.names.of(v).to_owned()).collect(),
            name: Some(node.name.clone()).filter(|name| !name.is_empty() && !quantisation),
            op_type: Some(node.op.name().to_owned()),
            attribute: draft
                .attributes
                .into_iter()
                .map(|(name, value)| attributes::proto(&name, value))
                .collect(),
            domain: Some(node.op.domain().to_owned()).filter(|domain| !domain.is_empty()),
            overload: None,
        });
        Ok(())
    }

    /// What the table of moved attributes does not say.
    fn special(&mut self, node: &Node, draft: &mut Draft) -> Result<(), OnnxError> {
        match &node.op {
            Op::Unary(Unary::Clip { min, max }) => {
                // A bound that no float exceeds is none; left out, it means the same.
                let open = *min <= f32::MIN && *max >= f32::MAX;
                // Without any, the element type would not be known to be a float.
                let bounds = [("min", *min, *min > f32::MIN || open), ("max", *max, *max < f32::MAX)];
                draft.attributes.clear();
                for (i, (name, bound, bounded)) in bounds.into_iter().enumerate() {
                    if !bounded {
                        continue;
                    }
                    if self.opset < 11 {
                        draft.attribute(name, bound);
                    } else {
                        let bound = self.scalar(node, bound)?;
                        draft.set(i + 1, self.constant("bound", &bound));
                    }
                }
            }
            Op::Clip(_) if self.opset < 11 => {
                for (i, name) in [(1, "min"), (2, "max")] {
                    let bound = node.inputs.get(i).and_then(|v| self.graph.param(v)).map(Tensor::to_f32s);
                    if let Some(&[bound]) = bound.as_deref() {
                        draft.attribute(name, bound);
                    }
                }
                draft.inputs.truncate(1);
            }
            // Since 12 the ratio is an input.
            Op::Dropout(Dropout { ratio }) if self.opset >= 12 => {
                draft.attributes.clear();
                if node.inputs.get(1).is_none() {
                    let ratio = scalar(TensorData::F32(vec![*ratio]))?;
                    draft.set(1, self.constant("ratio", &ratio));
                }
            }
            Op::Softmax(Softmax { axis, flatten: true, .. }) if self.opset >= 13 => {
                let rank = self.graph.shape(node.inputs[0]).rank();
                let rank = i64::try_from(rank).unwrap_or(i64::MAX);
                let from_front = if *axis < 0 { axis + rank } else { *axis };
                if from_front != rank - 1 {
                    let problem = format!(
                        "it normalises over all axes from {axis} on, which opset {} has no form for (12 and before have)",
                        self.opset
                    );
                    return Err(node.error(problem).into());
                }
            }
            // The number of outputs tells the number of parts.
            Op::Split(_) if self.opset < 18 => draft.attributes.retain(|(name, _)| name != "num_outputs"),
            // Before 13, region and scales could not be left out, only be empty.
            Op::Resize(_) if self.opset < 13 => {
                let empty = Tensor::f32(&[0], Vec::new());
                for i in 1..3 {
                    if node.inputs.get(i).is_none() {
                        draft.set(i, self.constant("empty", &empty));
                    }
                }
            }
            // One scale for all has no axis.
            Op::QuantizeLinear(_) | Op::DequantizeLinear(_)
                if self.graph.shape(node.inputs[1]).rank() == 0 =>
            {
                draft.attributes.retain(|(name, _)| name != "axis");
            }
            _ => {}
        }
        Ok(())
    }

    /// A number in the element type of a node's first input.
    fn scalar(&self, node: &Node, value: f32) -> Result<Tensor, OnnxError> {
        scalar(floats(self.graph.value(node.inputs[0]).dtype, &[value.into()]))
    }
}

fn scalar(data: TensorData) -> Result<Tensor, OnnxError> {
    Ok(Tensor::new(Vec::new(), data)?)
}

/// The attribute that a constant input was in older opsets.
fn as_attribute(kind: Kind, tensor: &Tensor) -> Option<Attribute> {
    let one = || tensor.to_i64s().filter(|v| v.len() == 1).map(|v| Attribute::Int(v[0]));
    match kind {
        Kind::Ints => tensor.to_i64s().map(Attribute::Ints),
        Kind::IntVector | Kind::IntScalar => one(),
        Kind::Floats => tensor.as_f32().map(|v| Attribute::Floats(v.to_vec())),
        Kind::Scalar => Some(tensor.to_f32s()).filter(|v| v.len() == 1).map(|v| Attribute::Float(v[0])),
    }
}
