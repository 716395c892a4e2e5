//! The attributes of a node of the file.

use oculist_graph::op::Attribute;

use crate::external::Beside;
use crate::proto::{AttributeProto, AttributeType};
use crate::tensor::from_proto;

/// Name and value; the problem in words otherwise.
pub(super) fn read(
    owner: &str,
    proto: &AttributeProto,
    beside: Option<&Beside>,
) -> Result<(String, Attribute), String> {
    let name = proto.name.clone().unwrap_or_default();
    if let Some(reference) = &proto.ref_attr_name {
        return Err(format!(
            "the attribute `{name}` refers to `{reference}` of a function, and it is in none"
        ));
    }
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|e| format!("the attribute `{name}` is no text: {e}"))
    };
    let value = match kind(proto) {
        AttributeType::Int => proto.i.unwrap_or(0).into(),
        AttributeType::Ints => proto.ints.clone().into(),
        AttributeType::Float => proto.f.unwrap_or(0.0).into(),
        AttributeType::Floats => proto.floats.clone().into(),
        AttributeType::String => text(proto.s.as_deref().unwrap_or_default())?.into(),
        AttributeType::Strings => {
            proto.strings.iter().map(|s| text(s)).collect::<Result<Vec<_>, _>>()?.into()
        }
        AttributeType::Tensor => {
            let tensor = proto.t.as_ref().ok_or_else(|| format!("the attribute `{name}` has no tensor"))?;
            from_proto(owner, tensor, beside).map_err(|e| format!("the attribute `{name}`: {e}"))?.into()
        }
        other @ (AttributeType::Undefined
        | AttributeType::Graph
        | AttributeType::Tensors
        | AttributeType::Graphs
        | AttributeType::SparseTensor
        | AttributeType::SparseTensors
        | AttributeType::TypeProto
        | AttributeType::TypeProtos) => {
            return Err(format!("the attribute `{name}` is of kind {other:?}, which is not supported"));
        }
    };
    Ok((name, value))
}

/// The kind, which very old writers leave out.
fn kind(proto: &AttributeProto) -> AttributeType {
    match AttributeType::try_from(proto.r#type.unwrap_or(0)) {
        Ok(AttributeType::Undefined) => {}
        Ok(kind) => return kind,
        Err(_) => return AttributeType::Undefined,
    }
    if proto.f.is_some() {
        AttributeType::Float
    } else if proto.i.is_some() {
        AttributeType::Int
    } else if proto.s.is_some() {
        AttributeType::String
    } else if proto.t.is_some() {
        AttributeType::Tensor
    } else if proto.g.is_some() {
        AttributeType::Graph
    } else if !proto.floats.is_empty() {
        AttributeType::Floats
    } else if !proto.ints.is_empty() {
        AttributeType::Ints
    } else if !proto.strings.is_empty() {
        AttributeType::Strings
    } else {
        AttributeType::Undefined
    }
}
