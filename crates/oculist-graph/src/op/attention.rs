//! Scaled dot-product attention.

use super::attributes::{AttributeList, Attributes};
use super::precision;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// What the fourth output of [`Attention`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// The products of queries and keys.
    Products,
    /// The same after the soft cap.
    Capped,
    /// The same with the mask added.
    Masked,
    /// The probabilities.
    Probabilities,
}

/// `softmax(scale * q * k^T + mask) * v` for each head; inputs `q, k, v` and optional `mask, past_key, past_value,
/// valid_keys`, outputs the result, the keys and values with the past in front, and the scores.
///
/// # Shapes
/// `q` `[N, heads, L, d]` or `[N, L, heads * d]`, `k` and `v` with `kv_heads` heads and `S` positions, `mask` broadcast to
/// `[N, heads, L, S]`; each head of `k` and `v` serves `heads / kv_heads` heads of `q` that follow one another.
///
/// # Source
/// Vaswani et al., "Attention Is All You Need", 2017.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Heads of `q`, where it has three dimensions.
    pub heads: Option<usize>,
    /// Heads of `k` and `v`, where they have three dimensions.
    pub kv_heads: Option<usize>,
    /// Whether a query sees no key behind its own position.
    pub causal: bool,
    /// Factor of the products; `1 / sqrt(d)` unless given.
    pub scale: Option<f32>,
    /// Products become `cap * tanh(product / cap)` unless it is 0.
    pub softcap: f32,
    /// What the fourth output holds.
    pub scores: Scores,
    /// Type in which the softmax is computed; that of `q` unless given.
    pub softmax: Option<DataType>,
    /// How far a query sees in front of its own position.
    pub left: Option<usize>,
    /// How far a query sees behind its own position.
    pub right: Option<usize>,
}

impl Attention {
    /// With ONNX's defaults.
    pub const PLAIN: Self = Self {
        heads: None,
        kv_heads: None,
        causal: false,
        scale: None,
        softcap: 0.0,
        scores: Scores::Products,
        softmax: None,
        left: None,
        right: None,
    };
}

/// Sizes of one of `q, k, v`: samples, heads, positions, size of a head.
fn split(shape: &Shape, heads: Option<usize>, what: &str) -> Result<[Dim; 4], String> {
    match (shape.dims(), heads) {
        (&[n, heads, len, size], _) => Ok([n, heads, len, size]),
        (&[n, len, hidden], Some(heads)) => {
            if heads == 0 || hidden.size().is_some_and(|h| h % heads != 0) {
                return Err(format!("{heads} heads cannot share the last axis of {what} {shape} equally"));
            }
            Ok([n, Dim::Fixed(heads), len, Dim::of(hidden.size().map(|h| h / heads))])
        }
        (&[_, _, _], None) => Err(format!("{what} has 3 dimensions, the number of heads is missing")),
        _ => Err(format!("expected {what} of 3 or 4 dimensions, found {shape}")),
    }
}

/// The sum of two sizes, if both are known; a size that nothing is added to keeps its name.
fn sum(a: Dim, b: Dim) -> Dim {
    match (a, b) {
        (Dim::Fixed(0), other) | (other, Dim::Fixed(0)) => other,
        (a, b) => Dim::of(a.size().zip(b.size()).map(|(a, b)| a.saturating_add(b))),
    }
}

/// Shapes that inference finds.
struct Sizes {
    q: [Dim; 4],
    k: [Dim; 4],
    v: [Dim; 4],
    /// Positions of keys with those of the past.
    total: Dim,
}

impl Attention {
    fn sizes(&self, given: &Given) -> Result<Sizes, String> {
        let (q_shape, k_shape, v_shape) = (given.shape(0)?, given.shape(1)?, given.shape(2)?);
        if q_shape.rank() != k_shape.rank() || q_shape.rank() != v_shape.rank() {
            return Err(format!(
                "q, k and v differ in their number of dimensions: {q_shape}, {k_shape} and {v_shape}"
            ));
        }
        let q = split(q_shape, self.heads, "q")?;
        let k = split(k_shape, self.kv_heads, "k")?;
        let v = split(v_shape, self.kv_heads, "v")?;
        let agree = q[0].may_equal(k[0])
            && q[0].may_equal(v[0])
            && k[1].may_equal(v[1])
            && k[2].may_equal(v[2])
            && q[3].may_equal(k[3]);
        if !agree {
            return Err(format!("the shapes of q, k and v do not fit: {q_shape}, {k_shape} and {v_shape}"));
        }
        if let (Some(heads), Some(kv)) = (q[1].size(), k[1].or(v[1]).size())
            && (kv == 0 || heads % kv != 0)
        {
            return Err(format!("{heads} heads of q cannot share {kv} heads of k and v equally"));
        }
        let past = match (given.get(4), given.get(5)) {
            (None, None) => Dim::Fixed(0),
            (Some(key), Some(value)) => {
                for (seen, own, what) in [(key, &k, "past keys"), (value, &v, "past values")] {
                    let fits = seen.shape.rank() == 4
                        && [0, 1, 3].into_iter().all(|a| seen.shape.dims()[a].may_equal(own[a]));
                    if !fits {
                        let expected = Shape::new(vec![own[0], own[1], Dim::Unknown, own[3]]);
                        return Err(format!("expected {what} of shape {expected}, found {}", seen.shape));
                    }
                }
                if !key.shape.dims()[2].may_equal(value.shape.dims()[2]) {
                    return Err(format!("past keys and values differ: {} and {}", key.shape, value.shape));
                }
                key.shape.dims()[2].or(value.shape.dims()[2])
            }
            _ => return Err("past keys and past values are given together or not at all".to_owned()),
        };
        Ok(Sizes { q, k, v, total: sum(past, k[2].or(v[2])) })
    }

    fn check_mask(given: &Given, sizes: &Sizes) -> Result<(), String> {
        let Some(mask) = given.get(3) else { return Ok(()) };
        if mask.dtype != DataType::Bool && mask.dtype != given.dtype(0)? {
            return Err(format!(
                "the mask must be bool or {}, found {}",
                given.dtype(0)?.name(),
                mask.dtype.name()
            ));
        }
        let whole = [sizes.q[0], sizes.q[1], sizes.q[2], sizes.total];
        let rank = mask.shape.rank();
        let wrong = || {
            format!(
                "expected a mask that is broadcast to {}, found {}",
                Shape::new(whole.to_vec()),
                mask.shape
            )
        };
        if rank == 0 || rank > 4 {
            return Err(wrong());
        }
        for (i, &dim) in mask.shape.dims().iter().enumerate() {
            let to = whole[4 - rank + i];
            // The last axis may be shorter: the keys behind are not seen.
            let shorter = i + 1 == rank && dim.size().zip(to.size()).is_some_and(|(d, t)| d <= t);
            if dim != Dim::Fixed(1) && !dim.may_equal(to) && !shorter {
                return Err(wrong());
            }
        }
        Ok(())
    }
}

impl Operator for Attention {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn since(&self) -> i64 {
        if self.left.is_some() || self.right.is_some() { 25 } else { 23 }
    }

    fn arity(&self) -> (usize, usize) {
        (3, 7)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 6 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.causal {
            all.push(("is_causal", true.into()));
        }
        if let Some(heads) = self.kv_heads {
            all.push(("kv_num_heads", heads.into()));
        }
        if let Some(size) = self.left {
            all.push(("left_window_size", size.into()));
        }
        if let Some(heads) = self.heads {
            all.push(("q_num_heads", heads.into()));
        }
        if self.scores != Scores::Products {
            all.push(("qk_matmul_output_mode", (self.scores as usize).into()));
        }
        if let Some(size) = self.right {
            all.push(("right_window_size", size.into()));
        }
        if let Some(scale) = self.scale {
            all.push(("scale", scale.into()));
        }
        if self.softcap != 0.0 {
            all.push(("softcap", self.softcap.into()));
        }
        if let Some(dtype) = self.softmax {
            all.push(("softmax_precision", dtype.code().into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        for i in [0, 2] {
            given.expect(i, FLOATS)?;
        }
        let dtype = given.same_type(0, [1, 4])?;
        let of_values = given.same_type(2, [5])?;
        let sizes = self.sizes(given)?;
        Self::check_mask(given, &sizes)?;
        if given.get(6).is_some() {
            given.expect(6, &[DataType::I64])?;
            given.vector(6, "the numbers of valid keys", sizes.q[0])?;
            if given.get(4).is_some() {
                return Err("the numbers of valid keys cannot be used with past keys".to_owned());
            }
        }
        let (q, k, v) = (sizes.q, sizes.k, sizes.v);
        let n = q[0].or(k[0]);
        let y = if given.shape(0)?.rank() == 3 {
            vec![n, q[2], Dim::of(q[1].size().zip(v[3].size()).map(|(h, d)| h.saturating_mul(d)))]
        } else {
            vec![n, q[1], q[2], v[3]]
        };
        let cached = |d: &[Dim; 4]| Shape::new(vec![n, d[1], sizes.total, d[3]]);
        let scores = Shape::new(vec![n, q[1], q[2], sizes.total]);
        let mut facts = vec![
            Fact::new(dtype, Shape::new(y)),
            Fact::new(dtype, cached(&k)),
            Fact::new(of_values, cached(&v)),
            Fact::new(dtype, scores),
        ];
        facts.truncate(given.outputs.max(1));
        Ok(facts)
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        let Ok(sizes) = self.sizes(given) else { return OpCost { macs: 0, reads: 1 } };
        // Both products: of queries with keys, and of probabilities with values.
        let (q, d_v) = (sizes.q, sizes.v[3]);
        let each = |d: Dim| Shape::new(vec![q[0], q[1], q[2], sizes.total, d]).elements_per_sample() as u64;
        OpCost { macs: each(q[3]).saturating_add(each(d_v)), reads: 1 }
    }
}

impl Read for Attention {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Attention")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let mut window = |name: &str| match attributes.int_or(name, -1)? {
            -1 => Ok(None),
            size => usize::try_from(size)
                .map(Some)
                .map_err(|_| format!("the attribute `{name}` is {size}, expected at least -1")),
        };
        let (left, right) = (window("left_window_size")?, window("right_window_size")?);
        let scores = match attributes.int_or("qk_matmul_output_mode", 0)? {
            0 => Scores::Products,
            1 => Scores::Capped,
            2 => Scores::Masked,
            3 => Scores::Probabilities,
            mode => {
                return Err(format!("the attribute `qk_matmul_output_mode` is {mode}, supported are 0 to 3"));
            }
        };
        Ok(Self {
            heads: attributes.size("q_num_heads")?,
            kv_heads: attributes.size("kv_num_heads")?,
            causal: attributes.flag("is_causal", false)?,
            scale: attributes.float("scale")?,
            softcap: attributes.float_or("softcap", 0.0)?,
            scores,
            softmax: precision::read(attributes, "softmax_precision")?,
            left,
            right,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::PLAIN]
    }
}
