//! Which attributes each operator reads.

use std::sync::OnceLock;

use oculist_graph::op::{Attribute, AttributeList, Attributes, Op, Written};
use oculist_graph::{DataType, Tensor};

/// An operator of a file.
pub(crate) struct Operator {
    pub(crate) domain: &'static str,
    pub(crate) name: &'static str,
    /// Attributes that it reads, each with a value of its kind.
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
    /// Attributes of usual nodes.
    pub(crate) examples: Vec<AttributeList>,
}

/// The opset in which all operators are read for this table.
const OPSET: i64 = 23;

/// Names of attributes.
const NAMES: [&str; 107] = [
    "activation",
    "activation_params",
    "align_corners",
    "allowzero",
    "alpha",
    "antialias",
    "approximate",
    "auto_pad",
    "axes",
    "axis",
    "batch_axis",
    "batch_dims",
    "beta",
    "bias",
    "block_size",
    "blocksize",
    "ceil_mode",
    "center_point_box",
    "channels_last",
    "consumed_inputs",
    "coordinate_transformation_mode",
    "count_include_pad",
    "cubic_coeff_a",
    "detect_negative",
    "detect_positive",
    "dilations",
    "direction",
    "dtype",
    "end",
    "epsilon",
    "equation",
    "exclude_outside",
    "exclusive",
    "extrapolation_value",
    "fmod",
    "gamma",
    "group",
    "ignore_index",
    "interleaved",
    "inverse",
    "is_causal",
    "is_test",
    "k",
    "keep_aspect_ratio_policy",
    "keepdims",
    "kernel_shape",
    "kv_num_heads",
    "lambd",
    "largest",
    "mode",
    "momentum",
    "nearest_mode",
    "noop_with_empty_axes",
    "normalize_variance",
    "num_groups",
    "num_heads",
    "num_outputs",
    "offset_group",
    "onesided",
    "output_datatype",
    "output_dtype",
    "output_height",
    "output_padding",
    "output_shape",
    "output_width",
    "p",
    "pads",
    "perm",
    "periodic",
    "padding_mode",
    "precision",
    "q_num_heads",
    "qk_matmul_output_mode",
    "ratio",
    "reduction",
    "reverse",
    "rotary_embedding_dim",
    "round_mode",
    "sampling_ratio",
    "saturate",
    "scale",
    "scale_is_set",
    "seed",
    "select_last_index",
    "size",
    "softcap",
    "sorted",
    "spatial",
    "spatial_scale",
    "start",
    "stash_type",
    "storage_order",
    "strides",
    "threshold",
    "time_axis",
    "to",
    "training_mode",
    "transA",
    "transB",
    "transBatchA",
    "transBatchB",
    "update_rule",
    "upper",
    "value",
    "value_ints",
    "bit_shift",
    "chunk_size",
];

/// All operators that a file may have, looked at once.
pub(crate) fn all() -> &'static [Operator] {
    static ALL: OnceLock<Vec<Operator>> = OnceLock::new();
    ALL.get_or_init(|| {
        let examples = Op::all();
        let operator = |(domain, name)| {
            let examples: Vec<AttributeList> = examples
                .iter()
                .filter(|op| op.domain() == domain && op.name() == name)
                .map(|op| op.attributes())
                .collect();
            let base = examples.first().cloned().unwrap_or_default();
            let attributes = NAMES.iter().filter_map(|&a| kind(domain, name, a, &base).map(|kind| (a, kind)));
            Operator { domain, name, attributes: attributes.collect(), examples }
        };
        // Files cannot have these yet: import reads no domain of previews.
        let written = |(domain, _): &(&str, &str)| *domain != "ai.onnx.preview";
        Op::names().into_iter().filter(written).map(operator).collect()
    })
}

/// A value of the kind that an operator wants of an attribute; `None` if it does not read it.
fn kind(domain: &str, name: &str, attribute: &str, base: &AttributeList) -> Option<Attribute> {
    let kinds = [
        Attribute::Int(1),
        Attribute::Ints(vec![1, 1]),
        Attribute::Float(1.0),
        Attribute::Floats(vec![1.0]),
        Attribute::Text(String::new()),
        Attribute::Texts(Vec::new()),
        Attribute::Tensor(Tensor::zeros(DataType::F32, &[1])),
    ];
    for kind in kinds {
        let others = base.iter().filter(|(name, _)| *name != attribute);
        let others = others.map(|(name, value)| ((*name).to_owned(), value.clone()));
        let given = others.chain([(attribute.to_owned(), kind.clone())]).collect();
        let mut attributes = Attributes::new(given).ok()?;
        let written = Written { domain, name, opset: OPSET, inputs: 2, outputs: 1 };
        let read = Op::read(&written, &mut attributes);
        let mut again = attributes.clone();
        again.skip(&base.iter().map(|(name, _)| *name).filter(|name| *name != attribute).collect::<Vec<_>>());
        if again.unread() == Some(attribute) {
            // Nobody asked for it, whatever its kind.
            return None;
        }
        let wrong = format!("the attribute `{attribute}` must be");
        if read.err().is_none_or(|problem| !problem.contains(&wrong)) {
            return Some(kind);
        }
    }
    None
}
