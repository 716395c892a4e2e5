//! Convolution.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::window::{Plane, Window};
use crate::shape::Shape;

/// Convolution of `x, w` and an optional bias `b` over any number of spatial axes.
///
/// # Shapes
/// `x` `[N, c_in, ...]`, `w` `[c_out, c_in / groups, ...kernel]`, `b` `[c_out]`, result `[N, c_out, ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Kernel, stride, padding and dilation. The kernel is empty until inference where the file leaves it to the weight.
    pub window: Window,
    /// Number of groups; equal to the channels for a depthwise convolution.
    pub groups: usize,
}

impl Conv {
    /// A square kernel with one stride and symmetric padding, no dilation, one group.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Self { window: Window::square(kernel, stride, padding), groups: 1 }
    }

    /// A kernel over height and width.
    pub fn plane(plane: Plane, groups: usize) -> Self {
        Self { window: plane.into(), groups }
    }

    /// The same with `groups` groups.
    pub fn with_groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Weight }
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.window.attributes();
        if self.groups != 1 {
            all.push(("group", self.groups.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1, 2])?;
        let (x, weight) = (given.shape(0)?, given.shape(1)?);
        if x.rank() < 3 {
            return Err(format!("expected input 0 of shape [N, C, H, W], found {x}"));
        }
        if weight.rank() != x.rank() {
            return Err(format!(
                "expected a weight of shape [c_out, c_in/groups, k_h, k_w], found {weight} for {x}"
            ));
        }
        let (c_out, c_per_group) = (weight.dims()[0], weight.dims()[1]);
        if self.groups == 0 || c_out.size().is_some_and(|c| c == 0 || c % self.groups != 0) {
            return Err(format!(
                "weight {weight} has {c_out} output channels, which {} groups cannot share equally",
                self.groups
            ));
        }
        if let (Some(c), Some(per_group)) = (x.get(1), c_per_group.size()) {
            let takes = per_group.saturating_mul(self.groups);
            if c != takes {
                return Err(format!(
                    "input has {c} channels, weight {weight} with {} groups takes {takes}",
                    self.groups
                ));
            }
        }
        let window = self.window.of_weight(weight)?;
        if given.get(2).is_some() {
            given.vector(2, "a bias", c_out)?;
        }
        let mut dims = vec![x.dims()[0], c_out];
        dims.extend(window.output(x, false)?);
        Ok(vec![Fact::new(dtype, Shape::new(dims))])
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        let per_output = given
            .shape(1)
            .map_or(0, |w| (1..w.rank()).filter_map(|a| w.get(a)).fold(1, usize::saturating_mul));
        let macs = (outputs[0].elements_per_sample() as u64).saturating_mul(per_output as u64);
        OpCost { macs, reads: 1 }
    }

    fn is_layer(&self) -> bool {
        true
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let (x, rows, out) = (Port::Input(0, 1), Port::Input(1, 0), Port::Output(0, 1));
        let mut ties = vec![Tie::Same(out, rows)];
        if given.get(2).is_some() {
            ties.push(Tie::Same(out, Port::Input(2, 0)));
        }
        let channels = |shape: Option<usize>| shape.unwrap_or(0) / self.groups.max(1);
        let c_in = channels(given.shape(0).ok().and_then(|s| s.get(1)));
        let c_out = channels(outputs.first().and_then(|s| s.get(1)));
        let columns = Port::Input(1, 1);
        if self.groups == 1 {
            ties.push(Tie::Same(x, columns));
        } else if self.groups >= c_in {
            // Many small groups (depthwise is the extreme): a group goes as a whole.
            ties.push(Tie::Blocks(x, out, c_in, c_out));
            ties.push(Tie::Blocks(out, out, c_out, c_out));
        } else {
            // Few large groups: every group loses the same positions, so that groups stay equal.
            ties.push(Tie::Modulo(x, columns, c_in));
            ties.push(Tie::Modulo(out, out, c_out));
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Layer
    }

    fn has_weight_rows(&self) -> bool {
        true
    }
}

impl Read for Conv {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Conv")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let groups = attributes.size("group")?.unwrap_or(1);
        Ok(Self { window: Window::read(attributes, Some(Vec::new()))?, groups })
    }

    fn examples() -> Vec<Self> {
        vec![Self::square(3, 1, 1)]
    }
}
