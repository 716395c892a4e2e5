//! Operators with a state that one call hands to the next: linear attention and causal convolution.

use super::attributes::{AttributeList, Attributes};
use super::schema::{Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

const TYPES: &[DataType] = &[DataType::F32, DataType::F16, DataType::BF16];

/// How the state of [`LinearAttention`] follows from that of the position before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateRule {
    /// `s + k v^T`.
    Linear,
    /// `exp(g) s + k v^T`.
    Gated,
    /// `s + beta k (v - s^T k)^T`.
    Delta,
    /// `exp(g) s + beta k (v - exp(g) s^T k)^T`.
    GatedDelta,
}

impl UpdateRule {
    const ALL: [(&'static str, Self); 4] = [
        ("gated_delta", Self::GatedDelta),
        ("linear", Self::Linear),
        ("gated", Self::Gated),
        ("delta", Self::Delta),
    ];

    /// Whether the state decays.
    pub fn decays(self) -> bool {
        matches!(self, Self::Gated | Self::GatedDelta)
    }

    /// Whether what the state already holds is subtracted.
    pub fn corrects(self) -> bool {
        matches!(self, Self::Delta | Self::GatedDelta)
    }
}

/// Attention without softmax: a state for each head, updated with every key and value and read with every query; inputs
/// `q, k, v` and optional `state, decay, beta`, outputs the result and the last state.
///
/// # Shapes
/// `q` `[N, L, heads * d_k]`, `k` `[N, L, kv_heads * d_k]`, `v` `[N, L, kv_heads * d_v]`, state `[N, kv_heads, d_k, d_v]`,
/// `decay` `[N, L, kv_heads]` or `[N, L, kv_heads * d_k]`, `beta` `[N, L, kv_heads]` or `[N, L, 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearAttention {
    /// Heads of `q`.
    pub heads: usize,
    /// Heads of `k` and `v`.
    pub kv_heads: usize,
    /// Factor of the result; 0 for `1 / sqrt(d_k)`.
    pub scale: f32,
    /// How the state changes.
    pub rule: UpdateRule,
}

fn per_head(shape: &Shape, heads: usize) -> Result<Dim, String> {
    let &[_, _, hidden] = shape.dims() else {
        return Err(format!("expected [N, L, heads * d], found {shape}"));
    };
    match hidden.size() {
        Some(h) if h % heads != 0 => {
            Err(format!("{heads} heads cannot share the last axis of {shape} equally"))
        }
        size => Ok(Dim::of(size.map(|h| h / heads))),
    }
}

impl Operator for LinearAttention {
    fn name(&self) -> &'static str {
        "LinearAttention"
    }

    fn since(&self) -> i64 {
        27
    }

    fn arity(&self) -> (usize, usize) {
        (3, 6)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, _: usize) -> Role {
        Role::Data
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList =
            vec![("kv_num_heads", self.kv_heads.into()), ("q_num_heads", self.heads.into())];
        if self.scale != 0.0 {
            all.push(("scale", self.scale.into()));
        }
        if let Some((name, _)) = UpdateRule::ALL.iter().skip(1).find(|(_, rule)| *rule == self.rule) {
            all.push(("update_rule", (*name).into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, TYPES)?;
        given.expect(3, TYPES)?;
        let dtype = given.same_type(0, [1, 2, 4, 5])?;
        if self.kv_heads == 0 || self.heads == 0 || !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "{} heads of q cannot share {} heads of k and v equally",
                self.heads, self.kv_heads
            ));
        }
        for (i, what, needed) in [(4, "a decay", self.rule.decays()), (5, "a beta", self.rule.corrects())] {
            match (given.get(i).is_some(), needed) {
                (false, true) => return Err(format!("the update rule needs {what}, which is missing")),
                (true, false) => return Err(format!("the update rule takes no {what}", what = &what[2..])),
                (true, true) | (false, false) => {}
            }
        }
        let (q, k, v) = (given.shape(0)?, given.shape(1)?, given.shape(2)?);
        let (d_q, d_k, d_v) =
            (per_head(q, self.heads)?, per_head(k, self.kv_heads)?, per_head(v, self.kv_heads)?);
        let same = |a: &Shape| (0..2).all(|i| a.dims()[i].may_equal(q.dims()[i]));
        if !same(k) || !same(v) || !d_q.may_equal(d_k) {
            return Err(format!("the shapes of q, k and v do not fit: {q}, {k} and {v}"));
        }
        let d_k = d_q.or(d_k);
        let decays =
            [Dim::Fixed(self.kv_heads), Dim::of(d_k.size().map(|d| d.saturating_mul(self.kv_heads)))];
        let betas = [Dim::Fixed(self.kv_heads), Dim::Fixed(1)];
        for (i, what, lasts) in [(4, "a decay", decays), (5, "a beta", betas)] {
            let Some(seen) = given.get(i) else { continue };
            let fits = seen.shape.rank() == 3
                && same(seen.shape)
                && lasts.iter().any(|d| d.may_equal(seen.shape.dims()[2]));
            if !fits {
                let [one, other] = lasts;
                return Err(format!(
                    "expected {what} of shape [N, L, {one}] or [N, L, {other}], found {}",
                    seen.shape
                ));
            }
        }
        let state = Shape::new(vec![q.dims()[0], Dim::Fixed(self.kv_heads), d_k, d_v]);
        let of_state = match given.get(3) {
            None => dtype,
            Some(seen) => {
                let fits = seen.shape.rank() == 4
                    && seen.shape.dims().iter().zip(state.dims()).all(|(a, b)| a.may_equal(*b));
                if !fits {
                    return Err(format!("expected a state of shape {state}, found {}", seen.shape));
                }
                seen.dtype
            }
        };
        let hidden = Dim::of(d_v.size().map(|d| d.saturating_mul(self.heads)));
        let y = Shape::new(vec![q.dims()[0], q.dims()[1], hidden]);
        Ok(vec![Fact::new(dtype, y), Fact::new(of_state, state)])
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        let (Ok(q), Ok(v)) = (given.shape(0), given.shape(2)) else { return OpCost { macs: 0, reads: 1 } };
        let d_v = v.get(2).unwrap_or(0) / self.kv_heads.max(1);
        // Each query reads a state of d_k * d_v; each key and value write one, and read it where it corrects.
        let read = (q.elements_per_sample() as u64).saturating_mul(d_v as u64);
        let passes = if self.rule.corrects() { 2 } else { 1 };
        let write = read / self.heads.max(1) as u64 * self.kv_heads as u64;
        OpCost { macs: read.saturating_add(write.saturating_mul(passes)), reads: 1 }
    }
}

impl Read for LinearAttention {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "LinearAttention")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // How many positions are computed at once, which changes no result.
        attributes.skip(&["chunk_size"]);
        let names = UpdateRule::ALL.map(|(name, _)| name);
        let rule = UpdateRule::ALL[attributes.choice("update_rule", &names)?].1;
        Ok(Self {
            heads: attributes.size("q_num_heads")?.ok_or("the attribute `q_num_heads` is missing")?,
            kv_heads: attributes.size("kv_num_heads")?.ok_or("the attribute `kv_num_heads` is missing")?,
            scale: attributes.float_or("scale", 0.0)?,
            rule,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { heads: 1, kv_heads: 1, scale: 0.0, rule: UpdateRule::Linear }]
    }
}

/// Depthwise convolution over one axis that looks only back; inputs `x, w` and optional `b` and `state`, the elements in
/// front of `x`; outputs the result and the last `k - 1` elements.
///
/// # Shapes
/// `x` `[N, C, L]`, `w` `[C, 1, k]`, `b` `[C]`, state `[N, C, k - 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CausalConvWithState {
    /// Whether the result `y` becomes `y * sigmoid(y)`.
    pub silu: bool,
}

impl Operator for CausalConvWithState {
    fn name(&self) -> &'static str {
        "CausalConvWithState"
    }

    fn since(&self) -> i64 {
        27
    }

    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 2)
    }

    fn role(&self, i: usize) -> Role {
        if i == 1 || i == 2 { Role::Weight } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        if self.silu { vec![("activation", "silu".into())] } else { Vec::new() }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, TYPES)?;
        let dtype = given.same_type(0, 1..4)?;
        let (x, w) = (given.shape(0)?, given.shape(1)?);
        let (&[n, c, len], &[rows, one, k]) = (x.dims(), w.dims()) else {
            return Err(format!("expected [N, C, L] and a weight [C, 1, k], found {x} and {w}"));
        };
        if !rows.may_equal(c) || !one.may_equal(Dim::Fixed(1)) || k == Dim::Fixed(0) {
            return Err(format!("expected a weight of shape [{c}, 1, k], found {w}"));
        }
        if given.get(2).is_some() {
            given.vector(2, "a bias", c)?;
        }
        let state = Shape::new(vec![n, c, Dim::of(k.size().map(|k| k.saturating_sub(1)))]);
        if let Some(seen) = given.get(3)
            && (seen.shape.rank() != 3
                || !seen.shape.dims().iter().zip(state.dims()).all(|(a, b)| a.may_equal(*b)))
        {
            return Err(format!("expected a state of shape {state}, found {}", seen.shape));
        }
        Ok(vec![Fact::new(dtype, Shape::new(vec![n, c, len])), Fact::new(dtype, state)])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let k = given.shape(1).ok().and_then(|w| w.get(2)).unwrap_or(0) as u64;
        let out = outputs.first().map_or(0, |s| s.elements_per_sample()) as u64;
        OpCost { macs: out.saturating_mul(k), reads: 1 }
    }
}

impl Read for CausalConvWithState {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "CausalConvWithState")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { silu: attributes.choice("activation", &["none", "silu", "swish"])? > 0 })
    }

    fn examples() -> Vec<Self> {
        vec![Self { silu: false }]
    }
}
