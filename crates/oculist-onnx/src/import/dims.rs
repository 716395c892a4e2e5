//! The dimensions of the model's inputs.

use std::collections::HashSet;

use oculist_graph::{DataType, Dim, Graph, Shape};

use crate::error::OnnxError;
use crate::proto::{Dimension, DimensionProto, TypeProto, ValueInfoProto};
use crate::tensor::{element_type, type_name};

/// An input as the file declares it.
pub(super) struct Declared<'a> {
    pub(super) name: &'a str,
    pub(super) dtype: DataType,
    dims: &'a [DimensionProto],
}

/// Element type and dimensions of an input.
pub(super) fn declared(input: &ValueInfoProto) -> Result<Declared<'_>, OnnxError> {
    let name = input.name.as_deref().unwrap_or_default();
    let owner = || format!("input `{name}`");
    let found = |found: &str| OnnxError::ElementType { owner: owner(), found: found.to_owned() };
    let Some(kind) = &input.r#type else { return Err(found("of no declaration")) };
    let Some(tensor) = &kind.tensor_type else { return Err(found(other_type(kind))) };
    let code = tensor.elem_type.unwrap_or(0);
    let dtype = element_type(code).ok_or_else(|| found(&type_name(code)))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| OnnxError::Model {
        problem: format!(
            "{}: its shape is not declared, and at least the number of dimensions must be",
            owner()
        ),
    })?;
    Ok(Declared { name, dtype, dims: &shape.dim })
}

/// Refuses an output whose declared type a graph cannot hold; one without a declaration is left to inference.
pub(super) fn check_output(output: &ValueInfoProto) -> Result<(), OnnxError> {
    let Some(kind) = &output.r#type else { return Ok(()) };
    let name = output.name.as_deref().unwrap_or_default();
    let found = |found: &str| {
        Err(OnnxError::ElementType { owner: format!("output `{name}`"), found: found.to_owned() })
    };
    match kind.tensor_type.as_ref().map(|tensor| tensor.elem_type.unwrap_or(0)) {
        Some(0) => Ok(()),
        Some(code) if element_type(code).is_none() => found(&type_name(code)),
        Some(_) => Ok(()),
        None => found(other_type(kind)),
    }
}

/// What a type is that is no tensor.
fn other_type(kind: &TypeProto) -> &'static str {
    if kind.sequence_type.is_some() {
        "sequence"
    } else if kind.map_type.is_some() {
        "map"
    } else if kind.sparse_tensor_type.is_some() {
        "sparse tensor"
    } else if kind.optional_type.is_some() {
        "optional"
    } else {
        "of no declaration"
    }
}

/// What a dimension is declared as.
enum Declaration<'a> {
    Size(usize),
    Named(&'a str),
    Open,
}

fn declaration(dim: &DimensionProto) -> Declaration<'_> {
    match &dim.value {
        // Some writers put a negative number where the size is open.
        Some(Dimension::Value(size)) => usize::try_from(*size).map_or(Declaration::Open, Declaration::Size),
        Some(Dimension::Param(name)) if !name.is_empty() && name != "?" => Declaration::Named(name),
        Some(Dimension::Param(_)) | None => Declaration::Open,
    }
}

/// Adds the inputs to the graph. An open first dimension of the first float input is the batch, and so is every other
/// dimension of its name; the others keep their names or get one from input and axis.
pub(super) fn add(graph: &mut Graph, inputs: &[Declared]) {
    let mut taken: HashSet<String> = HashSet::new();
    for dim in inputs.iter().flat_map(|input| input.dims) {
        if let Declaration::Named(name) = declaration(dim) {
            taken.insert(name.to_owned());
        }
    }
    let of_batch = |input: &&Declared| input.dims.len() >= 2;
    let leading =
        inputs.iter().filter(of_batch).find(|i| i.dtype.is_float()).or_else(|| inputs.iter().find(of_batch));
    let leading = leading.or(inputs.first().filter(|i| !i.dims.is_empty()));
    let mut open_batch = None;
    match leading.map(|input| (input.name, declaration(&input.dims[0]))) {
        Some((_, Declaration::Named(name))) => graph.set_batch_name(name),
        other => {
            let mut name = "N".to_owned();
            while taken.contains(&name) {
                name.push('_');
            }
            graph.set_batch_name(&name);
            taken.insert(name);
            open_batch =
                other.filter(|(_, d)| matches!(d, Declaration::Open)).map(|(name, _)| name.to_owned());
        }
    }
    for input in inputs {
        let mut dims = Vec::with_capacity(input.dims.len());
        for (axis, dim) in input.dims.iter().enumerate() {
            dims.push(match declaration(dim) {
                Declaration::Size(size) => Dim::Fixed(size),
                Declaration::Named(name) => graph.symbol(name),
                Declaration::Open if axis == 0 && open_batch.as_deref() == Some(input.name) => Dim::Batch,
                Declaration::Open => {
                    let mut name = format!("{}_{axis}", input.name);
                    while !taken.insert(name.clone()) {
                        name.push('_');
                    }
                    graph.symbol(&name)
                }
            });
        }
        graph.add_typed_input(input.name, input.dtype, Shape::new(dims));
    }
}
