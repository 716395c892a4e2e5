//! Numbers and choices out of bytes. Behind the end there are zeros.

use oculist_graph::op::Attribute;
use oculist_graph::{DataType, Tensor, TensorData};

/// Bytes that are read from the front.
pub(crate) struct Bytes<'a>(&'a [u8]);

/// Integers at which arithmetic ends.
const EDGES: [i64; 20] = [
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    i64::MIN + 1,
    1 << 31,
    (1 << 31) - 1,
    -(1 << 31),
    1 << 32,
    (1 << 32) - 1,
    1 << 44,
    1 << 45,
    (1 << 45) + 1,
    1 << 61,
    1 << 62,
    255,
    256,
    1000,
    1 << 16,
    1 << 20,
    -1000,
];

const FLOATS: [f32; 16] = [
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -0.0,
    1e-5,
    3.7,
    -2.5,
    1e30,
    f32::MAX,
    f32::MIN_POSITIVE,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    0.333,
];

/// Texts that attributes know, and some that they do not.
const TEXTS: [&str; 64] = [
    "",
    "NOTSET",
    "SAME_UPPER",
    "SAME_LOWER",
    "VALID",
    "constant",
    "reflect",
    "edge",
    "wrap",
    "nearest",
    "linear",
    "cubic",
    "bilinear",
    "bicubic",
    "half_pixel",
    "half_pixel_symmetric",
    "align_corners",
    "asymmetric",
    "pytorch_half_pixel",
    "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
    "output_half_pixel",
    "floor",
    "ceil",
    "round_prefer_floor",
    "round_prefer_ceil",
    "DCR",
    "CRD",
    "none",
    "add",
    "mul",
    "max",
    "min",
    "mean",
    "sum",
    "tanh",
    "Relu",
    "Sigmoid",
    "LeakyRelu",
    "Clip",
    "HardSigmoid",
    "zeros",
    "border",
    "reflection",
    "LEFT",
    "RIGHT",
    "stretch",
    "not_larger",
    "not_smaller",
    "avg",
    "gated",
    "delta",
    "gated_delta",
    "silu",
    "swish",
    "ij,jk->ik",
    "bij,bjk->bik",
    "...ii->...i",
    "i,i->",
    "ij->ji",
    "ij,ij",
    "...,...->...",
    "MEAN",
    "SUM",
];

impl<'a> Bytes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `n`, which is at most 65536.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let byte = usize::from(self.byte());
        let number = if n > 256 { byte << 8 | usize::from(self.byte()) } else { byte };
        number % n.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn whole(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Mostly a small integer, else one at the end of some range, or any.
    pub(crate) fn int(&mut self) -> i64 {
        match self.byte() {
            small @ 0..=207 => i64::from(small % 13) - 4,
            edge @ 208..=247 => EDGES[usize::from(edge) % EDGES.len()],
            _ => self.whole() as i64,
        }
    }

    pub(crate) fn float(&mut self) -> f32 {
        match self.byte() {
            known @ 0..=239 => FLOATS[usize::from(known) % FLOATS.len()],
            _ => f32::from_bits(self.whole() as u32),
        }
    }

    pub(crate) fn text(&mut self) -> String {
        match self.below(TEXTS.len() + 1) {
            known if known < TEXTS.len() => TEXTS[known].to_owned(),
            _ => (0..self.below(12))
                .map(|_| self.pick(&['i', 'j', 'k', 'A', ',', '.', '-', '>', ' ']))
                .collect(),
        }
    }

    pub(crate) fn dtype(&mut self) -> DataType {
        match self.byte() {
            0..=159 => DataType::F32,
            160..=199 => DataType::I64,
            other => DataType::ALL[usize::from(other) % DataType::ALL.len()],
        }
    }

    /// A tensor of a shape; nothing is taken for more than 65536 elements, which become none.
    pub(crate) fn tensor(&mut self, dtype: DataType, shape: Vec<usize>) -> Tensor {
        let len = shape.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
        let (len, shape) = if len > 1 << 16 { (0, vec![0]) } else { (len, shape) };
        let few = len <= 24;
        // Large tensors repeat a few numbers.
        let floats: Vec<f32> = (0..len.min(if few { 24 } else { 4 })).map(|_| self.float()).collect();
        let float = |i: usize| floats[i % floats.len()];
        macro_rules! ints {
            ($variant:ident) => {{
                let ints: Vec<i64> = (0..floats.len()).map(|_| self.int()).collect();
                TensorData::$variant((0..len).map(|i| ints[i % ints.len()] as _).collect())
            }};
        }
        let data = match dtype {
            DataType::F32 => TensorData::F32((0..len).map(float).collect()),
            DataType::F64 => TensorData::F64((0..len).map(|i| float(i).into()).collect()),
            DataType::Bool => TensorData::Bool((0..len).map(|i| float(i) > 0.0).collect()),
            DataType::I64 => ints!(I64),
            DataType::I32 => ints!(I32),
            DataType::I16 => ints!(I16),
            DataType::I8 => ints!(I8),
            DataType::U64 => ints!(U64),
            DataType::U32 => ints!(U32),
            DataType::U16 => ints!(U16),
            DataType::U8 => ints!(U8),
            other @ (DataType::F16 | DataType::BF16 | DataType::U4 | DataType::I4) => {
                TensorData::zeros(other, len)
            }
        };
        Tensor::new(shape, data).expect("as many elements as the shape has")
    }

    /// Another value of the kind of an attribute, or sometimes of another kind.
    pub(crate) fn attribute(&mut self, like: &Attribute) -> Attribute {
        let kind = match (self.byte(), like) {
            (0..=249, Attribute::Int(_)) => 0,
            (0..=249, Attribute::Ints(_)) => 1,
            (0..=249, Attribute::Float(_)) => 2,
            (0..=249, Attribute::Floats(_)) => 3,
            (0..=249, Attribute::Text(_)) => 4,
            (0..=249, Attribute::Tensor(_)) => 5,
            (0..=249, Attribute::Texts(_)) => 6,
            (other, _) => usize::from(other) % 6,
        };
        match kind {
            0 => Attribute::Int(self.int()),
            1 => Attribute::Ints((0..self.below(7)).map(|_| self.int()).collect()),
            2 => Attribute::Float(self.float()),
            3 => Attribute::Floats((0..self.below(5)).map(|_| self.float()).collect()),
            4 => Attribute::Text(self.text()),
            6 => Attribute::Texts((0..self.below(5)).map(|_| self.text()).collect()),
            _ => {
                let dtype = self.dtype();
                let shape = (0..self.below(3)).map(|_| self.below(4)).collect();
                Attribute::Tensor(self.tensor(dtype, shape))
            }
        }
    }
}
