//! The operators: names and semantics are ONNX's.
//!
//! Each has a room in the folder of this module: a struct (or a family of them) that answers what all stages ask
//! ([`Operator`]). A new operator is a struct with its two traits in its family's file and one line in the list below;
//! `docs/adding-operators.md` says what else it touches.

mod attention;
mod attributes;
mod binarizer;
mod binary;
mod cast;
mod choose;
mod clip;
mod conv;
mod conv_transpose;
mod crop;
mod cumulative;
mod deform_conv;
mod depth;
mod einsum;
mod expand;
mod flex_attention;
mod fused;
mod gated;
mod gather;
mod generate;
mod grid;
mod group_norm;
mod integer;
mod layer_norm;
mod layout;
mod linear;
mod linear_attention;
mod loss;
mod lp_pool;
mod matmul;
mod norm;
mod order;
mod pad;
mod pattern;
mod pool;
mod precision;
mod prune;
mod qlinear;
mod quantization;
mod quantize;
mod reduce;
mod regions;
mod reshape;
mod resize;
mod response;
mod rotary;
mod scatter;
mod schema;
mod shape_of;
mod signal;
mod skip_norm;
mod slice;
mod softmax;
mod transpose;
mod tree_ensemble;
mod trees;
mod types;
mod unary;
mod unpool;
mod variadic;
mod window;

pub use attention::{Attention, Scores};
pub use attributes::{Attribute, AttributeList, Attributes};
pub use binarizer::Binarizer;
pub use binary::Binary;
pub use cast::{BitCast, Cast, CastLike};
pub use choose::{Compress, NonZero, Where};
pub use clip::Clip;
pub use conv::Conv;
pub use conv_transpose::ConvTranspose;
pub use crop::CenterCropPad;
pub use cumulative::{Cumulative, CumulativeKind};
pub use deform_conv::DeformConv;
pub use depth::{DepthToSpace, SpaceToDepth};
pub use einsum::{Einsum, Terms};
pub use expand::{Expand, Tile};
pub use flex_attention::FlexAttention;
pub use fused::{FusedActivation, FusedConv, FusedGemm};
pub use gated::{BiasGelu, SwiGlu};
pub use gather::{ArrayFeatureExtractor, Gather, GatherElements, GatherND};
pub use generate::{Constant, ConstantOfShape, Range};
pub use grid::{AffineGrid, GridSample, Outside, Sampling};
pub use group_norm::{GroupNormalization, InstanceNormalization};
pub use integer::{ConvInteger, DynamicQuantizeLinear, IntegerMatMul, QLinearConv};
pub use layer_norm::{LayerNormalization, RmsNormalization};
pub use layout::{Concat, Dropout, Flatten, Identity};
pub use linear::Gemm;
pub use linear_attention::{CausalConvWithState, LinearAttention, UpdateRule};
pub use loss::{Loss, LossKind, LossReduction};
pub use lp_pool::LpPool;
pub use matmul::{FusedMatMul, MatMul};
pub use norm::BatchNormalization;
pub use order::{ArgReduce, TopK, Unique};
pub use pad::{Pad, PadMode};
pub use pattern::{Det, EyeLike, OneHot, ReverseSequence, Trilu};
pub use pool::{AveragePool, GlobalPool, MaxPool};
pub use prune::{Port, Tie, Ties};
pub use qlinear::QLinear;
pub use quantization::Quantization;
pub use quantize::{DequantizeLinear, QuantizeLinear};
pub use reduce::{Reduce, ReduceKind};
pub use regions::{NonMaxSuppression, RoiAlign};
pub use reshape::{Reshape, Squeeze, Unsqueeze};
pub use resize::{AspectRatio, Coordinates, Interpolation, Resize, Resized, Rounding};
pub use response::{LpNormalization, Lrn, MeanVarianceNormalization};
pub use rotary::RotaryEmbedding;
pub use scatter::{Reduction, ScatterElements, ScatterND, TensorScatter};
pub use schema::{FLOATS, Fact, Given, Item, MAX_ITEMS, OpCost, Operator, Read, Role, Seen, Written, axis};
pub use shape_of::{ShapeOf, SizeOf};
pub use signal::{Dft, MelWeightMatrix, SignalWindow, SignalWindowKind, Stft};
pub use skip_norm::SkipLayerNormalization;
pub use slice::{Slice, Split};
pub use softmax::{Softmax, SoftmaxKind};
pub use transpose::Transpose;
pub use tree_ensemble::{AfterVotes, TreeEnsembleClassifier};
pub use trees::{Branch, Compare, Trees, Vote};
pub use unary::Unary;
pub use unpool::{Col2Im, MaxUnpool};
pub use variadic::Variadic;
pub use window::{Padding, Plane, Window};

macro_rules! operators {
    ($($variant:ident),* $(,)?) => {
        /// An operator with its attributes. Inputs are listed in ONNX order.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`type@", stringify!($variant), "`].")] $variant($variant),)*
        }

        $(impl From<$variant> for Op {
            fn from(op: $variant) -> Self {
                Self::$variant(op)
            }
        })*

        impl Op {
            fn operator(&self) -> &(dyn Operator + 'static) {
                match self {
                    $(Self::$variant(op) => op,)*
                }
            }

            /// Reads an operator of a file; `None` if no operator has that domain and name.
            ///
            /// # Errors
            /// An attribute that is missing, of the wrong kind or not supported.
            pub fn read(written: &Written, attributes: &mut Attributes) -> Result<Option<Self>, String> {
                let name = (written.domain, written.name);
                $(if <$variant as Read>::NAMES.contains(&name) {
                    return <$variant as Read>::read(written, attributes).map(|op| Some(op.into()));
                })*
                Ok(None)
            }

            /// Domains and names of all operators.
            pub fn names() -> Vec<(&'static str, &'static str)> {
                [$(<$variant as Read>::NAMES),*].concat()
            }

            /// One of each operator with usual attributes: what tests run through every stage.
            pub fn all() -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend(<$variant as Read>::examples().into_iter().map(Self::from));)*
                all
            }
        }
    };
}

// One line per family of operators, by the file that holds them.
operators! {
    // conv.rs, linear.rs
    Conv, Gemm,
    // conv_transpose.rs, deform_conv.rs, matmul.rs, einsum.rs
    ConvTranspose, DeformConv, MatMul, FusedMatMul, Einsum,
    // attention.rs, flex_attention.rs, linear_attention.rs, rotary.rs, gated.rs
    Attention, FlexAttention, LinearAttention, CausalConvWithState, RotaryEmbedding, SwiGlu, BiasGelu,
    // fused.rs
    FusedConv, FusedGemm,
    // norm.rs, group_norm.rs, layer_norm.rs, skip_norm.rs, response.rs
    BatchNormalization, InstanceNormalization, GroupNormalization, LayerNormalization, RmsNormalization,
    LpNormalization, Lrn, MeanVarianceNormalization,
    // unary.rs, binary.rs, softmax.rs, loss.rs
    Unary, Binary, Softmax, Loss,
    SkipLayerNormalization,
    // unary.rs, binary.rs, softmax.rs
    // unary.rs, binary.rs, softmax.rs, loss.rs
    // pool.rs, lp_pool.rs
    MaxPool, AveragePool, GlobalPool, LpPool,
    // layout.rs, pad.rs
    Concat, Flatten, Identity, Dropout, Pad,
    // quantize.rs
    QuantizeLinear, DequantizeLinear,
    // clip.rs, variadic.rs, choose.rs, cast.rs
    Clip, Variadic, Where, Compress, NonZero, Cast, CastLike, BitCast,
    // reduce.rs, order.rs, cumulative.rs
    Reduce, ArgReduce, TopK, Unique, Cumulative,
    // shape_of.rs, generate.rs, pattern.rs, signal.rs
    ShapeOf, SizeOf, Constant, ConstantOfShape, Range, OneHot, EyeLike, Trilu, ReverseSequence, Det, SignalWindow,
    MelWeightMatrix, Dft, Stft,
    // reshape.rs
    Reshape, Squeeze, Unsqueeze,
    // transpose.rs
    Transpose,
    // slice.rs
    Slice, Split,
    // gather.rs
    Gather, GatherElements, GatherND, ArrayFeatureExtractor,
    // scatter.rs
    ScatterElements, ScatterND, TensorScatter,
    // expand.rs
    Expand, Tile,
    // depth.rs
    DepthToSpace, SpaceToDepth,
    // resize.rs
    Resize,
    // grid.rs
    GridSample, AffineGrid,
    // crop.rs
    CenterCropPad,
    // unpool.rs
    MaxUnpool, Col2Im,
    // regions.rs
    RoiAlign, NonMaxSuppression,
    // binarizer.rs
    Binarizer,
    // tree_ensemble.rs
    TreeEnsembleClassifier,
    // integer.rs
    ConvInteger, QLinearConv, IntegerMatMul, DynamicQuantizeLinear,
    // qlinear.rs
    QLinear,
}

impl std::ops::Deref for Op {
    type Target = dyn Operator + 'static;

    fn deref(&self) -> &Self::Target {
        self.operator()
    }
}
