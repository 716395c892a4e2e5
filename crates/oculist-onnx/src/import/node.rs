//! One node of the file, in the form of the newest opset.

use std::collections::HashSet;

use oculist_graph::op::{Attribute, Attributes, Written};
use oculist_graph::{DataType, Node, Op, Tensor, TensorData, Unary, ValueId, ValueKind};

use super::inline::{Step, domain};
use super::{Importer, attributes, free, refuse};
use crate::error::OnnxError;
use crate::older::{self, Kind};

/// A node while it is translated.
struct Draft<'a> {
    name: String,
    domain: &'a str,
    op: &'a str,
    opset: i64,
    inputs: Vec<Option<ValueId>>,
    attributes: Vec<(String, Attribute)>,
}

impl Draft<'_> {
    fn error(&self, problem: impl Into<String>) -> OnnxError {
        OnnxError::Node { node: self.name.clone(), op: self.full_name(), problem: problem.into() }
    }

    fn full_name(&self) -> String {
        if self.domain.is_empty() { self.op.to_owned() } else { format!("{}.{}", self.domain, self.op) }
    }

    fn is(&self, ops: &[&str]) -> bool {
        self.domain.is_empty() && ops.contains(&self.op)
    }

    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(n, _)| n == name)
    }

    fn take(&mut self, name: &str) -> Option<Attribute> {
        let at = self.attributes.iter().position(|(n, _)| n == name)?;
        Some(self.attributes.remove(at).1)
    }

    fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    fn set(&mut self, i: usize, value: Option<ValueId>) {
        if self.inputs.len() <= i {
            self.inputs.resize(i + 1, None);
        }
        self.inputs[i] = value;
        while self.inputs.last() == Some(&None) {
            self.inputs.pop();
        }
    }
}

impl Importer {
    /// Translates all nodes. Their results get their values first: files need not be in order.
    pub(super) fn nodes(&mut self, steps: &[Step]) -> Result<(), OnnxError> {
        let mut names: HashSet<String> =
            steps.iter().filter_map(|step| step.proto.name.clone()).filter(|name| !name.is_empty()).collect();
        let mut drafts = Vec::with_capacity(steps.len());
        for (position, step) in steps.iter().enumerate() {
            let draft = self.draft(position, step, &mut names)?;
            if draft.is(&["Constant"]) {
                let name = step.proto.output.first().map(String::as_str).unwrap_or_default();
                let tensor = constant(&draft)?;
                let id = self.graph.add_param(name, tensor);
                self.bind(name, id)?;
                continue;
            }
            let mut outputs = Vec::with_capacity(step.proto.output.len());
            let listed =
                step.proto.output.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            if listed == 0 {
                return Err(draft.error("it has no output"));
            }
            for name in &step.proto.output[..listed] {
                if name.is_empty() {
                    // An output that nobody wants, before one that somebody does.
                    outputs.push(None);
                    continue;
                }
                let id = self.graph.add_activation(name);
                self.bind(name, id)?;
                outputs.push(Some(id));
            }
            drafts.push((draft, outputs, step));
        }
        for (mut draft, outputs, step) in drafts {
            self.connect(&mut draft, step)?;
            let outputs: Vec<ValueId> = outputs
                .into_iter()
                .enumerate()
                .map(|(i, id)| {
                    id.unwrap_or_else(|| {
                        let stem = format!("{}.out{i}", draft.name);
                        let name = free(&mut self.taken, &mut self.numbers, &stem);
                        self.graph.add_activation(name)
                    })
                })
                .collect();
            let op = self.operator(&mut draft, outputs.len())?;
            let Draft { name, inputs, .. } = draft;
            self.graph.edit().push(Node { name, op, inputs: inputs.into(), outputs });
        }
        Ok(())
    }

    fn draft<'a>(
        &mut self,
        position: usize,
        step: &'a Step,
        names: &mut HashSet<String>,
    ) -> Result<Draft<'a>, OnnxError> {
        let op = step.proto.op_type.as_deref().unwrap_or_default();
        let name = match step.proto.name.as_deref() {
            Some(name) if !name.is_empty() && self.node_names.insert(name.to_owned()) => name.to_owned(),
            Some(name) if !name.is_empty() => free(names, &mut self.numbers, name),
            _ => free(names, &mut self.numbers, &format!("{op}_{position}")),
        };
        let domain = domain(step.proto.domain.as_deref());
        let mut draft =
            Draft { name, domain, op, opset: step.opset, inputs: Vec::new(), attributes: Vec::new() };
        if let Some(reason) = refuse::reason(domain, op) {
            return Err(OnnxError::Operator { node: draft.name.clone(), op: draft.full_name(), reason });
        }
        for proto in &step.proto.attribute {
            let read = attributes::read(&draft.name, proto, self.beside.as_ref())
                .map_err(|problem| draft.error(problem))?;
            draft.attributes.push(read);
        }
        Ok(draft)
    }

    fn connect(&mut self, draft: &mut Draft, step: &Step) -> Result<(), OnnxError> {
        for name in &step.proto.input {
            let id = match name.as_str() {
                "" => None,
                name => Some(
                    *self
                        .values
                        .get(name)
                        .ok_or_else(|| draft.error(format!("nothing produces the input `{name}`")))?,
                ),
            };
            draft.inputs.push(id);
        }
        Ok(())
    }

    /// Brings a node into the form of the newest opset and lets the operator's room read it.
    fn operator(&mut self, draft: &mut Draft, outputs: usize) -> Result<Op, OnnxError> {
        if draft.domain.is_empty() {
            self.arguments(draft)?;
        }
        if draft.is(&["Dropout"]) {
            self.fold_dropout(draft);
        }
        if let Some(clip) = self.constant_clip(draft)? {
            return Ok(clip.into());
        }
        self.kernel_shape(draft);
        while draft.inputs.last() == Some(&None) {
            draft.inputs.pop();
        }
        let written = Written {
            domain: draft.domain,
            name: draft.op,
            opset: draft.opset,
            inputs: draft.inputs.len(),
            outputs,
        };
        let all = std::mem::take(&mut draft.attributes);
        let mut attributes = Attributes::new(all).map_err(|problem| draft.error(problem))?;
        let read = Op::read(&written, &mut attributes).map_err(|problem| draft.error(problem))?;
        let op = read.ok_or_else(|| OnnxError::Operator {
            node: draft.name.clone(),
            op: draft.full_name(),
            reason: refuse::unknown(draft.domain),
        })?;
        match attributes.unread() {
            None => Ok(op),
            Some(name) => Err(draft.error(format!("the attribute `{name}` is not supported"))),
        }
    }

    /// Attributes of older opsets become constant inputs.
    fn arguments(&mut self, draft: &mut Draft) -> Result<(), OnnxError> {
        if older::scales_come_second(draft.op, draft.opset) {
            let scales = draft.input(1);
            draft.set(1, None);
            draft.set(2, scales);
        }
        for moved in older::attributes(draft.op, draft.opset) {
            let given = draft.take(moved.attribute).or(moved.default.map(Attribute::Int));
            let Some(given) = given else { continue };
            let tensor = match (moved.kind, given) {
                (Kind::Ints, Attribute::Ints(values)) => Tensor::ints(values),
                (Kind::IntVector, Attribute::Int(value)) => Tensor::ints(vec![value]),
                (Kind::IntScalar, Attribute::Int(value)) => scalar(TensorData::I64(vec![value]))?,
                (Kind::Floats, Attribute::Floats(values)) => Tensor::f32(&[values.len()], values),
                // Padding with zeros is what a missing value means.
                (Kind::Scalar, Attribute::Float(0.0)) => continue,
                (Kind::Scalar, Attribute::Float(value)) => match self.dtype(draft.input(0)) {
                    DataType::F64 => scalar(TensorData::F64(vec![value.into()]))?,
                    DataType::F16 => scalar(TensorData::F16(vec![half::f16::from_f32(value)]))?,
                    _ => scalar(TensorData::F32(vec![value]))?,
                },
                (kind, other) => {
                    return Err(draft.error(format!(
                        "the attribute `{}` is of another kind than {kind:?}: {other}",
                        moved.attribute
                    )));
                }
            };
            let id = self.made_up(&draft.name, moved.attribute, tensor);
            draft.set(moved.input, Some(id));
        }
        Ok(())
    }

    /// A value's element type as far as the file tells it; floats otherwise.
    fn dtype(&self, id: Option<ValueId>) -> DataType {
        let Some(value) = id.map(|id| self.graph.value(id)) else { return DataType::F32 };
        match value.kind {
            ValueKind::Activation => self.declared.get(&value.name).copied().unwrap_or(DataType::F32),
            ValueKind::Input | ValueKind::Param(_) => value.dtype,
        }
    }

    /// A constant ratio is an attribute, and a mode that is off is nothing.
    fn fold_dropout(&mut self, draft: &mut Draft) {
        let param = |i: usize| draft.input(i).and_then(|id| self.graph.param(id));
        let ratio = param(1).filter(|t| t.len() == 1 && t.dtype().is_float()).map(|t| t.to_f32s()[0]);
        let off = param(2).is_some_and(|t| t.to_i64s().as_deref() == Some(&[0]));
        if let Some(ratio) = ratio {
            draft.attributes.push(("ratio".to_owned(), ratio.into()));
            draft.set(1, None);
        }
        if off {
            draft.set(2, None);
        }
    }

    /// A `Clip` with constant bounds; older opsets have them as attributes.
    fn constant_clip(&self, draft: &mut Draft) -> Result<Option<Unary>, OnnxError> {
        if !draft.is(&["Clip"]) {
            return Ok(None);
        }
        if draft.opset < 11 {
            let mut bound = |name: &str, missing: f32| match draft.take(name) {
                None => Ok(missing),
                Some(Attribute::Float(bound)) => Ok(bound),
                Some(other) => {
                    Err(draft.error(format!("the attribute `{name}` must be a float, found {other}")))
                }
            };
            let (min, max) = (bound("min", f32::MIN)?, bound("max", f32::MAX)?);
            return Ok(Some(Unary::Clip { min, max }));
        }
        let bound = |i: usize, missing: f32| match draft.input(i) {
            None => Some(missing),
            Some(id) => match self.graph.param(id)?.as_f32()? {
                &[bound] if !bound.is_nan() => Some(bound),
                _ => None,
            },
        };
        // Without bounds, the element type is not known to be a float.
        let clip = match (bound(1, f32::MIN), bound(2, f32::MAX)) {
            (Some(min), Some(max)) if draft.inputs.iter().skip(1).any(Option::is_some) => {
                Unary::Clip { min, max }
            }
            _ => return Ok(None),
        };
        draft.inputs.truncate(1);
        Ok(Some(clip))
    }

    /// Convolutions may leave the size of their kernel to the weight.
    fn kernel_shape(&self, draft: &mut Draft) {
        let weight = match draft.op {
            "Conv" | "ConvTranspose" | "ConvInteger" | "DeformConv" => 1,
            "QLinearConv" => 3,
            _ => return,
        };
        if draft.has("kernel_shape") {
            return;
        }
        let shape = draft.input(weight).and_then(|id| self.graph.value(id).shape.as_ref());
        // Without a shape, the operator says what is missing.
        if let Some(kernel) =
            shape.and_then(oculist_graph::Shape::sizes).and_then(|s| s.get(2..).map(<[usize]>::to_vec))
        {
            draft.attributes.push(("kernel_shape".to_owned(), kernel.as_slice().into()));
        }
    }
}

fn scalar(data: TensorData) -> Result<Tensor, OnnxError> {
    Ok(Tensor::new(Vec::new(), data)?)
}

/// The tensor of a `Constant` node.
fn constant(draft: &Draft) -> Result<Tensor, OnnxError> {
    let [(name, value)] = &draft.attributes[..] else {
        return Err(draft.error(format!("expected one attribute, found {}", draft.attributes.len())));
    };
    let tensor = match (name.as_str(), value) {
        ("value", Attribute::Tensor(tensor)) => tensor.clone(),
        ("value_float", Attribute::Float(value)) => scalar(TensorData::F32(vec![*value]))?,
        ("value_floats", Attribute::Floats(values)) => Tensor::f32(&[values.len()], values.clone()),
        ("value_int", Attribute::Int(value)) => scalar(TensorData::I64(vec![*value]))?,
        ("value_ints", Attribute::Ints(values)) => Tensor::ints(values.clone()),
        ("value_string" | "value_strings", _) => {
            return Err(OnnxError::ElementType {
                owner: format!("node `{}` (Constant)", draft.name),
                found: "STRING".to_owned(),
            });
        }
        _ => return Err(draft.error(format!("the attribute `{name}` is no constant that is supported"))),
    };
    Ok(tensor)
}
