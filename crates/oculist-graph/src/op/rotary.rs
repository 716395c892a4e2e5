//! Rotary position embedding.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Rotates pairs of elements of each head by angles that grow with the position: `[cos * x1 - sin * x2, sin * x1 + cos *
/// x2]`; inputs `x, cos, sin` and optional `positions`.
///
/// # Shapes
/// `x` `[N, heads, L, d]` or `[N, L, heads * d]`; `cos` and `sin` `[positions, rotated / 2]` with `positions` `[N, L]`,
/// otherwise `[N, L, rotated / 2]`.
///
/// # Source
/// Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotaryEmbedding {
    /// Whether the elements of a pair lie next to each other, otherwise half of the rotated ones apart.
    pub interleaved: bool,
    /// Number of heads, where `x` has three dimensions; 0 otherwise.
    pub heads: usize,
    /// How many elements of each head are rotated; 0 for all.
    pub rotated: usize,
}

impl RotaryEmbedding {
    /// Size of a head of a value of this shape, if it is known.
    ///
    /// # Errors
    /// If the heads cannot share the last axis, or the rotated elements are no pairs within a head.
    pub fn head(&self, x: &Shape) -> Result<Option<usize>, String> {
        let size = match x.dims() {
            [_, _, _, d] => d.size(),
            [_, _, hidden] => {
                if self.heads == 0 {
                    return Err("x has 3 dimensions, the attribute `num_heads` is missing".to_owned());
                }
                if hidden.size().is_some_and(|h| h % self.heads != 0) {
                    return Err(format!("{} heads cannot share the last axis of {x} equally", self.heads));
                }
                hidden.size().map(|h| h / self.heads)
            }
            _ => return Err(format!("expected x of 3 or 4 dimensions, found {x}")),
        };
        if let Some(size) = size {
            let rotated = if self.rotated == 0 { size } else { self.rotated };
            if rotated > size || rotated % 2 != 0 {
                return Err(format!("{rotated} elements of a head of {size} are no pairs to rotate"));
            }
        }
        Ok(size)
    }
}

impl Operator for RotaryEmbedding {
    fn name(&self) -> &'static str {
        "RotaryEmbedding"
    }

    fn since(&self) -> i64 {
        23
    }

    fn arity(&self) -> (usize, usize) {
        (3, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 3 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.interleaved {
            all.push(("interleaved", true.into()));
        }
        if self.heads != 0 {
            all.push(("num_heads", self.heads.into()));
        }
        if self.rotated != 0 {
            all.push(("rotary_embedding_dim", self.rotated.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1, 2])?;
        let x = given.shape(0)?;
        let size = self.head(x)?;
        let half =
            if self.rotated == 0 { Dim::of(size.map(|s| s / 2)) } else { Dim::Fixed(self.rotated / 2) };
        let (n, len) = (x.dims()[0], x.dims()[x.rank() - 2]);
        // Of [N, L, hidden] the positions are the second axis, of [N, heads, L, d] the third: the last but one of both.
        let expected = if given.get(3).is_some() { vec![Dim::Unknown, half] } else { vec![n, len, half] };
        for (i, what) in [(1, "cosines"), (2, "sines")] {
            let shape = given.shape(i)?;
            if shape.rank() != expected.len()
                || !shape.dims().iter().zip(&expected).all(|(a, b)| a.may_equal(*b))
            {
                return Err(format!("expected {what} of shape {}, found {shape}", Shape::new(expected)));
            }
        }
        if let Some(seen) = given.get(3) {
            given.expect(3, &[DataType::I64])?;
            let fits = seen.shape.rank() == 2
                && seen.shape.dims()[0].may_equal(n)
                && seen.shape.dims()[1].may_equal(len);
            if !fits {
                return Err(format!("expected positions of shape [{n}, {len}], found {}", seen.shape));
            }
        }
        Ok(vec![Fact::new(dtype, x.clone())])
    }
}

impl Read for RotaryEmbedding {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "RotaryEmbedding")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            interleaved: attributes.flag("interleaved", false)?,
            heads: attributes.size("num_heads")?.unwrap_or(0),
            rotated: attributes.size("rotary_embedding_dim")?.unwrap_or(0),
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { interleaved: false, heads: 0, rotated: 0 }]
    }
}
