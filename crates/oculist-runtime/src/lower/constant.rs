//! Values known when the plan is made.

use std::cell::{Cell, OnceCell};

use oculist_graph::{DataType, Graph, NodeId, Shape, Tensor, ValueId, ValueKind};
use oculist_plain::{cast, evaluate};

use super::Lowering;
use crate::error::RuntimeError;

/// The values that are the same in every run: parameters, what is computed from such alone, and integers that follow from
/// shapes. Each is computed once, when it is first asked for.
#[derive(Debug)]
pub(super) struct Constants {
    /// Per value.
    known: Vec<bool>,
    /// Those computed so far; parameters stay in the graph.
    tensors: Vec<OnceCell<Tensor>>,
    /// Bytes of those.
    bytes: Cell<usize>,
}

impl Constants {
    /// Looks which values are constant.
    pub(super) fn of(graph: &Graph) -> Self {
        let values = graph.values();
        let mut known: Vec<bool> = values.iter().map(|v| matches!(v.kind, ValueKind::Param(_))).collect();
        let tensors: Vec<OnceCell<Tensor>> = values.iter().map(|_| OnceCell::new()).collect();
        for node in graph.nodes() {
            let computed = node.inputs.iter().all(|v| known[v.index()]);
            for output in &node.outputs {
                let inferred = inferred(graph, *output);
                known[output.index()] = computed || inferred.is_some();
                if let Some(tensor) = inferred {
                    let _ = tensors[output.index()].set(tensor);
                }
            }
        }
        Self { known, tensors, bytes: Cell::new(0) }
    }
}

/// The integers of a value, if inference knows each of them.
fn inferred(graph: &Graph, value: ValueId) -> Option<Tensor> {
    let value = graph.value(value);
    if !value.dtype.is_integer() {
        return None;
    }
    let ints: Vec<i64> = value.items.as_ref()?.iter().map(|item| item.known()).collect::<Option<_>>()?;
    let shape = value.shape.as_ref()?.sizes()?;
    Some(cast(&Tensor::ints(ints).reshaped(shape).ok()?, value.dtype))
}

/// A constant as floats.
#[derive(Debug, Clone)]
pub(super) struct Floats {
    pub(super) shape: Shape,
    pub(super) values: Vec<f32>,
}

impl Lowering<'_> {
    /// Whether a value is the same in every run.
    pub(super) fn is_constant(&self, value: ValueId) -> bool {
        self.constants.known[value.index()]
    }

    /// Whether a value is a constant of floats.
    pub(super) fn is_float_constant(&self, value: ValueId) -> bool {
        self.is_constant(value) && self.graph.value(value).dtype == DataType::F32
    }

    fn computed(&self, value: ValueId) -> Option<&Tensor> {
        self.graph.param(value).or_else(|| self.constants.tensors[value.index()].get())
    }

    /// The tensor of a constant; `None` for a value that differs from run to run.
    pub(super) fn constant(&self, value: ValueId) -> Result<Option<&Tensor>, RuntimeError> {
        if !self.is_constant(value) {
            return Ok(None);
        }
        // A stack of its own: a chain of constants may be long.
        let mut stack = vec![value];
        while let Some(&next) = stack.last() {
            let Some(id) = self.producers[next.index()].filter(|_| self.computed(next).is_none()) else {
                stack.pop();
                continue;
            };
            let open = stack.len();
            stack.extend(self.node(id).inputs.iter().filter(|&v| self.computed(v).is_none()));
            if stack.len() == open {
                self.compute_constants(id)?;
            }
        }
        Ok(self.computed(value))
    }

    fn compute_constants(&self, id: NodeId) -> Result<(), RuntimeError> {
        let node = self.node(id);
        let inputs: Vec<Option<&Tensor>> =
            node.inputs.slots().iter().map(|slot| slot.and_then(|v| self.computed(v))).collect();
        let results = evaluate(self.ctx(), &node.op, &inputs, node.outputs.len())
            .map_err(|source| RuntimeError::Plain { node: node.name.clone(), source })?;
        for (output, tensor) in node.outputs.iter().zip(results) {
            let bytes = self.constants.bytes.get().saturating_add(tensor.bytes());
            self.constants.bytes.set(bytes);
            let what = format!("the constants of `{}` up to node `{}`", self.graph.name(), node.name);
            self.ctx().check_memory(&what, bytes).map_err(RuntimeError::Memory)?;
            // An output whose integers inference knows is there already.
            let _ = self.constants.tensors[output.index()].set(tensor);
        }
        Ok(())
    }

    /// The floats of a constant, whatever its type.
    pub(super) fn floats(&self, value: ValueId) -> Result<Option<Floats>, RuntimeError> {
        let tensor = self.constant(value)?;
        Ok(tensor.map(|t| Floats { shape: Shape::fixed(t.shape()), values: t.to_f32s() }))
    }

    /// The constant input `i` of a node that has one.
    pub(super) fn constant_input(&self, id: NodeId, i: usize, what: &str) -> Result<Floats, RuntimeError> {
        let node = self.node(id);
        let floats = node.inputs.get(i).map_or(Ok(None), |v| self.floats(v))?;
        floats.ok_or_else(|| RuntimeError::Unsupported {
            node: node.name.clone(),
            op: node.op.name(),
            problem: format!("expected a constant {what}"),
        })
    }

    /// The only number of a constant, whatever its type.
    pub(super) fn number(&self, value: ValueId) -> Result<Option<f32>, RuntimeError> {
        Ok(self.constant(value)?.filter(|t| t.len() == 1).and_then(|t| t.to_f32s().first().copied()))
    }
}
