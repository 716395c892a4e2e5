//! Sizes computed from shapes.
//!
//! Exporters write `x.view(x.size(0), -1)` as arithmetic on the shape of `x`: take the shape, pick the batch, join
//! it with -1. Sizes are followed here with the batch as an unknown; the nodes leave no trace in the graph.

use std::fmt;

use oculist_graph::Dim;

use crate::error::OnnxError;
use crate::import::Importer;
use crate::import::node::NodeContext;
use crate::import::reshape::{axes, axes_in_words};
use crate::import::values::Binding;
use crate::proto::ElementType;
use crate::tensor::{element_type, type_name};

/// One size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// The size of the batch.
    Batch,
    /// A number.
    Known(i64),
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("N"),
            Self::Known(size) => write!(f, "{size}"),
        }
    }
}

impl Importer {
    /// Input `i` as sizes: computed ones, or a constant.
    pub(super) fn extents(&self, node: &NodeContext, i: usize) -> Result<Vec<Extent>, OnnxError> {
        if let Binding::Extents(extents) = self.binding(node, i)? {
            return Ok(extents.clone());
        }
        let numbers = self.integers(node, i)?.unwrap_or_default();
        Ok(numbers.into_iter().map(Extent::Known).collect())
    }
}

pub(super) fn shape(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(1)?;
    let x = importer.activation(node, 0)?;
    let all: Vec<Extent> = importer
        .shape(x)?
        .dims()
        .iter()
        .map(|dim| match dim {
            Dim::Batch => Extent::Batch,
            Dim::Fixed(size) => Extent::Known(i64::try_from(*size).unwrap_or(i64::MAX)),
        })
        .collect();
    let rank = i64::try_from(all.len()).unwrap_or(i64::MAX);
    let (start, end) = (node.int("start", 0)?, node.int("end", rank)?);
    let position = |i: i64| {
        let from_front = if i < 0 { i.saturating_add(rank) } else { i };
        usize::try_from(from_front.clamp(0, rank)).unwrap_or(0)
    };
    let part = all.get(position(start)..position(end)).unwrap_or_default().to_vec();
    importer.alias(node, Binding::Extents(part))
}

pub(super) fn gather(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let axis = node.int("axis", 0)?;
    let Binding::Extents(from) = importer.binding(node, 0)?.clone() else {
        return Err(node.error("supported is picking sizes from a shape"));
    };
    let indices = importer.integers(node, 1)?.unwrap_or_default();
    let count = i64::try_from(from.len()).unwrap_or(i64::MAX);
    let picked: Option<Vec<Extent>> = indices
        .iter()
        .map(|&i| {
            let from_front = if i < 0 { i.checked_add(count)? } else { i };
            from.get(usize::try_from(from_front).ok()?).copied()
        })
        .collect();
    match picked {
        Some(picked) if axis == 0 => importer.alias(node, Binding::Extents(picked)),
        _ => Err(node.error(format!("it picks {indices:?} along axis {axis} from {count} sizes"))),
    }
}

/// A single size and a list of one are the same here.
pub(super) fn unsqueeze(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(2)?;
    let axes = axes(importer, node, 13)?;
    if axes.as_deref() != Some(&[0]) {
        let found = axes_in_words(axes.as_deref());
        return Err(node.error(format!("it inserts {found}, supported is axis 0 on a size")));
    }
    keep(importer, node)
}

/// A conversion between integers, or of a constant to the type that it has already.
pub(super) fn cast(importer: &mut Importer, node: &mut NodeContext) -> Result<(), OnnxError> {
    node.at_most(1)?;
    node.attributes.skip("saturate");
    let to = node.int("to", 0)?;
    let target = i32::try_from(to).ok().and_then(|to| ElementType::try_from(to).ok());
    let binding = importer.binding(node, 0)?.clone();
    let from = match &binding {
        Binding::Constant(position) => element_type(importer.tensor(*position).dtype()),
        Binding::Extents(_) => ElementType::Int64,
        Binding::Value(_) => ElementType::Undefined,
    };
    let integers = [ElementType::Int32, ElementType::Int64];
    let keeps = |to: ElementType| from == to || (integers.contains(&from) && integers.contains(&to));
    match target {
        Some(to) if from != ElementType::Undefined && keeps(to) => importer.alias(node, binding),
        _ => Err(node.error(format!(
            "it converts to {}; supported are constants and sizes that keep their type",
            type_name(i32::try_from(to).unwrap_or(-1))
        ))),
    }
}

/// Joins sizes.
pub(super) fn concat(importer: &mut Importer, node: &mut NodeContext, axis: i64) -> Result<(), OnnxError> {
    if axis != 0 {
        return Err(node.error(format!("sizes are joined along axis {axis}, supported is 0")));
    }
    let mut joined = Vec::new();
    for i in 0..node.proto.input.len() {
        joined.extend(importer.extents(node, i)?);
    }
    importer.alias(node, Binding::Extents(joined))
}

/// Passes sizes on unchanged.
pub(super) fn keep(importer: &mut Importer, node: &NodeContext) -> Result<(), OnnxError> {
    if let Binding::Value(_) = importer.binding(node, 0)? {
        return Err(node.error("supported is only the use on sizes taken from a shape"));
    }
    let sizes = importer.extents(node, 0)?;
    importer.alias(node, Binding::Extents(sizes))
}
