//! Deformable convolution.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::window::Window;
use crate::shape::{Dim, Shape};

/// Convolution whose kernel elements read the input at positions shifted by `offset`, between pixels by linear
/// interpolation, each times an optional `mask`; inputs `x, w, offset`, optional `b` and `mask`.
///
/// # Shapes
/// `x` `[N, c_in, ...]`, `w` `[c_out, c_in / groups, ...kernel]`, `offset` `[N, offset_groups * taps * axes, ...out]`,
/// `b` `[c_out]`, `mask` `[N, offset_groups * taps, ...out]`, result `[N, c_out, ...out]`.
///
/// # Source
/// Dai et al., "Deformable Convolutional Networks", 2017; the mask is of version 2 (Zhu et al., 2018).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeformConv {
    /// Kernel, stride, padding and dilation. The kernel is empty where the file leaves it to the weight.
    pub window: Window,
    /// Number of groups of channels.
    pub groups: usize,
    /// Number of groups of input channels that share their offsets.
    pub offset_groups: usize,
}

impl Operator for DeformConv {
    fn name(&self) -> &'static str {
        "DeformConv"
    }

    fn since(&self) -> i64 {
        19
    }

    fn arity(&self) -> (usize, usize) {
        (3, 5)
    }

    fn role(&self, i: usize) -> Role {
        if i == 1 || i == 3 { Role::Weight } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.window.attributes();
        if self.groups != 1 {
            all.push(("group", self.groups.into()));
        }
        if self.offset_groups != 1 {
            all.push(("offset_group", self.offset_groups.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, 1..5)?;
        let (x, weight, offset) = (given.shape(0)?, given.shape(1)?, given.shape(2)?);
        if x.rank() < 3 || weight.rank() != x.rank() || offset.rank() != x.rank() {
            return Err(format!(
                "expected [N, C, H, W] with a weight and offsets of as many dimensions, found {x}, {weight} and {offset}"
            ));
        }
        let c_out = weight.dims()[0];
        if self.groups == 0 || c_out.size().is_some_and(|c| c == 0 || c % self.groups != 0) {
            return Err(format!("{} groups cannot share {c_out} output channels equally", self.groups));
        }
        if let (Some(c), Some(per_group)) = (x.get(1), weight.get(1)) {
            let takes = per_group.saturating_mul(self.groups);
            if c != takes {
                return Err(format!(
                    "input has {c} channels, weight {weight} with {} groups takes {takes}",
                    self.groups
                ));
            }
        }
        if self.offset_groups == 0 || x.get(1).is_some_and(|c| c % self.offset_groups != 0) {
            return Err(format!(
                "{} groups of offsets cannot share {} channels equally",
                self.offset_groups,
                x.dims()[1]
            ));
        }
        let window = self.window.of_weight(weight)?;
        let spatial = window.output(x, false)?;
        let per_tap = self.offset_groups.saturating_mul(window.taps());
        let lines = [("offsets", 2, per_tap.saturating_mul(window.rank())), ("a mask", 4, per_tap)];
        for (what, i, channels) in lines {
            let Some(seen) = given.get(i) else { continue };
            let mut expected = vec![x.dims()[0], Dim::Fixed(channels)];
            expected.extend(&spatial);
            let expected = Shape::new(expected);
            let fits = seen.shape.rank() == x.rank()
                && seen.shape.dims().iter().zip(expected.dims()).all(|(a, b)| a.may_equal(*b));
            if !fits {
                return Err(format!("expected {what} of shape {expected}, found {}", seen.shape));
            }
        }
        if given.get(3).is_some() {
            given.vector(3, "a bias", c_out)?;
        }
        let mut dims = vec![x.dims()[0], c_out];
        dims.extend(spatial.iter().zip(&offset.dims()[2..]).map(|(a, b)| a.or(*b)));
        Ok(vec![Fact::new(dtype, Shape::new(dims))])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let each = given
            .shape(1)
            .map_or(0, |w| (1..w.rank()).filter_map(|a| w.get(a)).fold(1, usize::saturating_mul));
        let out = outputs.first().map_or(0, |s| s.elements_per_sample());
        OpCost { macs: (out as u64).saturating_mul(each as u64), reads: 1 }
    }
}

impl Read for DeformConv {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "DeformConv")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            groups: attributes.size("group")?.unwrap_or(1),
            offset_groups: attributes.size("offset_group")?.unwrap_or(1),
            window: Window::read(attributes, Some(Vec::new()))?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { window: Window::square(3, 1, 1), groups: 1, offset_groups: 1 }]
    }
}
