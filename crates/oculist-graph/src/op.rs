//! The operators: names and semantics are ONNX's.
//!
//! Each has a room in the folder of this module: a struct (or a family of them) that answers what all stages ask
//! ([`Operator`]). A new operator is a struct with its two traits in its family's file and one line in the list below;
//! `docs/adding-operators.md` says what else it touches.

mod attributes;
mod binarizer;
mod binary;
mod conv;
mod crop;
mod depth;
mod expand;
mod gather;
mod grid;
mod layout;
mod linear;
mod norm;
mod pad;
mod pool;
mod prune;
mod quantization;
mod quantize;
mod regions;
mod reshape;
mod resize;
mod scatter;
mod schema;
mod slice;
mod softmax;
mod transpose;
mod unary;
mod unpool;
mod window;

pub use attributes::{Attribute, AttributeList, Attributes};
pub use binarizer::Binarizer;
pub use binary::Binary;
pub use conv::Conv;
pub use crop::CenterCropPad;
pub use depth::{DepthToSpace, SpaceToDepth};
pub use expand::{Expand, Tile};
pub use gather::{ArrayFeatureExtractor, Gather, GatherElements, GatherND};
pub use grid::{AffineGrid, GridSample, Outside, Sampling};
pub use layout::{Concat, Dropout, Flatten, Identity};
pub use linear::Gemm;
pub use norm::BatchNormalization;
pub use pad::{Pad, PadMode};
pub use pool::{AveragePool, GlobalPool, MaxPool};
pub use prune::{Port, Tie, Ties};
pub use quantization::Quantization;
pub use quantize::{DequantizeLinear, QuantizeLinear};
pub use regions::{NonMaxSuppression, RoiAlign};
pub use reshape::{Reshape, Squeeze, Unsqueeze};
pub use resize::{AspectRatio, Coordinates, Interpolation, Resize, Resized, Rounding};
pub use scatter::{Reduction, ScatterElements, ScatterND, TensorScatter};
pub use schema::{FLOATS, Fact, Given, Item, MAX_ITEMS, OpCost, Operator, Read, Role, Seen, Written, axis};
pub use slice::{Slice, Split};
pub use softmax::{Softmax, SoftmaxKind};
pub use transpose::Transpose;
pub use unary::Unary;
pub use unpool::{Col2Im, MaxUnpool};
pub use window::{Padding, Plane, Window};

macro_rules! operators {
    ($($variant:ident),* $(,)?) => {
        /// An operator with its attributes. Inputs are listed in ONNX order.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $(#[doc = concat!("See [`struct@", stringify!($variant), "`].")] $variant($variant),)*
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
    // norm.rs
    BatchNormalization,
    // unary.rs, binary.rs, softmax.rs
    Unary, Binary, Softmax,
    // pool.rs
    MaxPool, AveragePool, GlobalPool,
    // layout.rs, pad.rs
    Concat, Flatten, Identity, Dropout, Pad,
    // quantize.rs
    QuantizeLinear, DequantizeLinear,
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
}

impl std::ops::Deref for Op {
    type Target = dyn Operator + 'static;

    fn deref(&self) -> &Self::Target {
        self.operator()
    }
}
