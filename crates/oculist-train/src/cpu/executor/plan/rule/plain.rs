//! Operators without a fast rule, and what goes from maps to row-major tensors and back.

use std::sync::Arc;

use oculist_graph::op::Item;
use oculist_graph::{DataType, GraphError, NodeId, Tensor, ValueId};
use oculist_plain::{Gradient, cast, differentiable, evaluate};

use super::super::{Planner, Slot, Step, unsupported};
use super::Outcome;
use crate::cpu::executor::rows::{PlainStep, Row, RowStep, RowValue, Source};
use crate::error::TrainError;

/// Values whose elements follow from shapes: nothing has to be computed for them.
pub(super) fn known(planner: &mut Planner<'_>, n: NodeId) -> Outcome {
    let node = &planner.graph.nodes()[n];
    let tensors: Option<Vec<Tensor>> = node.outputs.iter().map(|&v| planner.known_elements(v)).collect();
    let Some(tensors) = tensors else { return Ok(false) };
    for (&value, tensor) in node.outputs.iter().zip(tensors) {
        planner.constants[value.index()] = Some(tensor);
    }
    Ok(true)
}

impl Planner<'_> {
    /// A small tensor of integers that inference has followed.
    fn known_elements(&self, value: ValueId) -> Option<Tensor> {
        let value = self.graph.value(value);
        if value.dtype.is_float() {
            return None;
        }
        let items: Option<Vec<i64>> = value.items.as_ref()?.iter().copied().map(Item::known).collect();
        let tensor = Tensor::ints(items?).reshaped(value.shape.as_ref()?.sizes()?).ok()?;
        Some(cast(&tensor, value.dtype))
    }

    fn new_row(&mut self, value: ValueId, carries: bool) -> Row {
        let known = self.graph.value(value);
        let len = known
            .shape
            .as_ref()
            .filter(|s| s.sizes().is_some())
            .map_or(0, oculist_graph::Shape::elements_per_sample);
        let bytes = len.saturating_mul(known.dtype.size());
        self.plan.rows.push(RowValue { bytes, carries: carries && known.dtype.is_float() });
        let row = self.plan.rows.len() - 1;
        self.row_of[value.index()] = Some(row);
        row
    }

    fn push(&mut self, step: RowStep) {
        self.plan.steps.push(Step::Rows(Arc::new(step)));
    }

    /// A computed value as a row-major tensor.
    fn row(&mut self, n: NodeId, value: ValueId) -> Option<Row> {
        if let Some(row) = self.row_of[value.index()] {
            return Some(row);
        }
        let x = self.slot_of[value.index()]?;
        let shape = self.graph.shape(value).sizes()?;
        let y = self.new_row(value, x != self.plan.input);
        self.push(RowStep::ToRows { node: self.graph.nodes()[n].name.clone(), x, y, shape });
        Some(y)
    }

    /// A computed value in the kernels' layout, if it can lie in it.
    pub(super) fn slot(&mut self, n: NodeId, value: ValueId) -> Option<Slot> {
        let form = self.form(value)?;
        if let Some(slot) = self.slot_of[value.index()] {
            return Some(slot);
        }
        let x = self.row_of[value.index()]?;
        let y = self.new_slot(value, form);
        self.push(RowStep::FromRows { node: self.graph.nodes()[n].name.clone(), x, y });
        Some(y)
    }

    /// Whether a computed value lies in the kernels' layout or can be brought into it.
    pub(super) fn reaches_slot(&self, value: ValueId) -> bool {
        let computed = self.slot_of[value.index()].is_some() || self.row_of[value.index()].is_some();
        computed && self.form(value).is_some()
    }

    fn source(&mut self, n: NodeId, value: ValueId) -> Result<Source, TrainError> {
        let graph = self.graph;
        if self.trained[value.index()] {
            return self.plain_weight(n, value).map(Source::Weight);
        }
        let constant = graph.param(value).or(self.constants[value.index()].as_ref());
        if let Some(constant) = constant {
            return Ok(Source::Constant(constant.clone()));
        }
        self.row(n, value).map(Source::Row).ok_or_else(|| {
            let problem = format!("nothing computes its input `{}`", graph.value(value).name);
            unsupported(&graph.nodes()[n], problem)
        })
    }

    /// The node as an operator on row-major tensors, or its constant result.
    pub(in super::super) fn plain(&mut self, n: NodeId) -> Result<(), TrainError> {
        let graph = self.graph;
        let node = &graph.nodes()[n];
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for value in node.inputs.slots() {
            inputs.push(value.map(|value| self.source(n, value)).transpose()?);
        }
        let mut moves = false;
        let mut constants = Vec::with_capacity(inputs.len());
        for source in &inputs {
            match source {
                None => constants.push(None),
                Some(Source::Constant(tensor)) => constants.push(Some(tensor)),
                Some(Source::Weight(_) | Source::Row(_)) => moves = true,
            }
        }
        if !moves {
            let results = evaluate(self.ctx, &node.op, &constants, node.outputs.len())
                .map_err(|source| TrainError::Plain { node: node.name.clone(), source })?;
            for (&value, tensor) in node.outputs.iter().zip(results) {
                self.constants[value.index()] = Some(tensor);
            }
            return Ok(());
        }
        let carrying = |source: &Option<Source>| match source {
            Some(Source::Weight(_)) => true,
            Some(Source::Row(row)) => self.plan.rows[*row].carries,
            Some(Source::Constant(_)) | None => false,
        };
        let carries = inputs.iter().any(carrying) && differentiable(&node.op) != Gradient::Zero;
        let outputs = node.outputs.iter().map(|&value| self.new_row(value, carries)).collect();
        self.push(RowStep::Plain(PlainStep {
            node: node.name.clone(),
            op: node.op.clone(),
            inputs,
            outputs,
        }));
        Ok(())
    }

    /// A constant as the logits makes no classifier.
    pub(in super::super) fn logits(&mut self, output: ValueId) -> Result<Slot, TrainError> {
        let structure = |problem: String| {
            TrainError::Graph(GraphError::Structure { graph: self.given.name().to_owned(), problem })
        };
        if self.slot_of[output.index()].is_none() && self.row_of[output.index()].is_none() {
            return Err(structure("its output does not depend on its input".into()));
        }
        let value = self.given.value(output);
        let shape = self.given.shape(output);
        let problem = structure(format!(
            "expected a classifier, one row of logits [N, classes] for each image, found the dense output {shape}"
        ));
        if value.dtype != DataType::F32 {
            return Err(structure(format!("expected logits of f32, found {}", value.dtype.name())));
        }
        let last = self.graph.nodes().len().saturating_sub(1);
        let Some(slot) = self.slot(last, output) else { return Err(problem) };
        let slot = self.flat(output, slot);
        if self.plan.slots[slot].pixels() > 1 { Err(problem) } else { Ok(slot) }
    }

    /// A row-major value with numbers zeroed at random while training.
    pub(super) fn drop_row(&mut self, n: NodeId, ratio: f32) -> bool {
        let node = &self.graph.nodes()[n];
        let (input, output) = (node.inputs[0], node.output());
        let Some(x) = self.row_of[input.index()] else { return false };
        if self.graph.value(input).dtype != DataType::F32 {
            return false;
        }
        let carries = self.plan.rows[x].carries;
        let y = self.new_row(output, carries);
        self.push(RowStep::Dropout { x, y, ratio, key: n as u64 });
        true
    }
}
