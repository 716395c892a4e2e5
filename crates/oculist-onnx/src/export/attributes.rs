//! Attributes as the file holds them.

use oculist_graph::op::Attribute;

use crate::proto::{AttributeProto, AttributeType};
use crate::tensor::to_proto;

/// An attribute under its name.
pub(super) fn proto(name: &str, value: Attribute) -> AttributeProto {
    let base = |kind: AttributeType| AttributeProto {
        name: Some(name.to_owned()),
        r#type: Some(kind.into()),
        ..AttributeProto::default()
    };
    match value {
        Attribute::Int(v) => AttributeProto { i: Some(v), ..base(AttributeType::Int) },
        Attribute::Ints(v) => AttributeProto { ints: v, ..base(AttributeType::Ints) },
        Attribute::Float(v) => AttributeProto { f: Some(v), ..base(AttributeType::Float) },
        Attribute::Floats(v) => AttributeProto { floats: v, ..base(AttributeType::Floats) },
        Attribute::Text(v) => AttributeProto { s: Some(v.into_bytes()), ..base(AttributeType::String) },
        Attribute::Texts(v) => {
            let strings = v.into_iter().map(String::into_bytes).collect();
            AttributeProto { strings, ..base(AttributeType::Strings) }
        }
        Attribute::Tensor(v) => AttributeProto { t: Some(to_proto("", &v)), ..base(AttributeType::Tensor) },
    }
}
