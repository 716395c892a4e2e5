//! Padding.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{Fact, Given, Operator, Read, Role, Written, axis};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// What stands in the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// A constant, 0 unless input 2 gives another.
    Constant,
    /// The elements mirrored at the border, which is not repeated.
    Reflect,
    /// The element at the border.
    Edge,
    /// The elements from the other end.
    Wrap,
}

/// Elements added before and behind each axis; negative numbers cut off.
///
/// Inputs `x, pads, value, axes`: `pads` holds the numbers before all axes, then those behind; `axes` says which axes,
/// all of them if it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// What stands in the padding.
    pub mode: PadMode,
}

impl Pad {
    /// Zeros or another constant.
    pub const CONSTANT: Self = Self { mode: PadMode::Constant };

    /// Elements before and behind each axis, if the inputs are known.
    ///
    /// # Errors
    /// If there are not two numbers for each axis.
    pub fn amounts(&self, given: &Given) -> Result<Option<Vec<(i64, i64)>>, String> {
        let rank = given.shape(0)?.rank();
        let Some(pads) = given.ints(1) else { return Ok(None) };
        let axes = match given.get(3) {
            None => (0..rank).collect(),
            Some(_) => match given.ints(3) {
                None => return Ok(None),
                Some(axes) => axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
            },
        };
        if pads.len() != 2 * axes.len() {
            return Err(format!(
                "expected {} paddings, two for each axis, found {}",
                2 * axes.len(),
                pads.len()
            ));
        }
        let mut all = vec![(0, 0); rank];
        for (i, &a) in axes.iter().enumerate() {
            all[a] = (pads[i], pads[i + axes.len()]);
        }
        Ok(Some(all))
    }
}

impl Pad {
    /// Elements added before and behind the channels, if it adds zero channels to `[N, C, H, W]` of f32 and nothing else.
    pub fn channels(&self, given: &Given) -> Option<(usize, usize)> {
        if self.mode != PadMode::Constant || given.dtype(0) != Ok(DataType::F32) {
            return None;
        }
        if let Some(value) = given.get(2)
            && !value.tensor.is_some_and(|t| t.as_f32() == Some(&[0.0]))
        {
            return None;
        }
        match self.amounts(given).ok()??[..] {
            [(0, 0), (before, behind), (0, 0), (0, 0)] => {
                Some((before.try_into().ok()?, behind.try_into().ok()?))
            }
            _ => None,
        }
    }
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn since(&self) -> i64 {
        if self.mode == PadMode::Wrap { 19 } else { 2 }
    }

    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        match self.mode {
            PadMode::Constant => Vec::new(),
            PadMode::Reflect => vec![("mode", "reflect".into())],
            PadMode::Edge => vec![("mode", "edge".into())],
            PadMode::Wrap => vec![("mode", "wrap".into())],
        }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let x = given.shape(0)?;
        given.expect(1, &[DataType::I64])?;
        let dims = match self.amounts(given)? {
            None => vec![Dim::Unknown; x.rank()],
            Some(amounts) => x
                .dims()
                .iter()
                .zip(amounts)
                .map(|(&dim, (before, behind))| match dim {
                    _ if (before, behind) == (0, 0) => Ok(dim),
                    Dim::Fixed(size) => {
                        let out = i128::from(before) + i128::from(behind) + size as i128;
                        if out < 0 {
                            return Err(format!("padding by {before} and {behind} leaves nothing of {x}"));
                        }
                        Ok(Dim::Fixed(usize::try_from(out).unwrap_or(usize::MAX)))
                    }
                    Dim::Batch | Dim::Symbol(_) | Dim::Unknown => Ok(Dim::Unknown),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Ok(Some(amounts)) = self.amounts(given) else { return Ties::Unknown };
        if self.mode != PadMode::Constant || given.get(2).is_some() {
            return Ties::Unknown;
        }
        let mut ties = Vec::new();
        for (a, (before, _)) in amounts.into_iter().enumerate() {
            let Ok(before) = usize::try_from(before) else { return Ties::Unknown };
            ties.push(Tie::Shifted(Port::Input(0, a), Port::Output(0, a), before));
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Moves
    }

    fn keeps_elements(&self, given: &Given) -> bool {
        self.amounts(given).ok().flatten().is_some_and(|all| all.iter().all(|&amounts| amounts == (0, 0)))
    }

    fn works_on_bytes(&self, given: &Given, _: &[&Shape]) -> bool {
        self.channels(given).is_some()
    }
}

impl Read for Pad {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Pad")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let modes = [PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap];
        Ok(Self { mode: modes[attributes.choice("mode", &["constant", "reflect", "edge", "wrap"])?] })
    }

    fn examples() -> Vec<Self> {
        vec![Self::CONSTANT]
    }
}
