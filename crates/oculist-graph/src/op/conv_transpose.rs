//! Transposed convolution.

use super::attributes::{Attribute, AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use super::window::{Padding, Window};
use crate::shape::{Dim, Shape};

/// Transposed convolution of `x, w` and an optional bias `b`: every element of `x` adds its multiple of the kernel to the
/// result.
///
/// # Shapes
/// `x` `[N, c_in, ...]`, `w` `[c_in, c_out / groups, ...kernel]`, `b` `[c_out]`, result `[N, c_out, ...]` with
/// `stride * (size - 1) + output_padding + reach - padding` along each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvTranspose {
    /// Kernel, stride, padding (which is cut off the result) and dilation. The kernel is empty where the file leaves it to
    /// the weight.
    pub window: Window,
    /// Number of groups.
    pub groups: usize,
    /// Elements added behind the result along each axis; empty for none.
    pub output_padding: Vec<usize>,
    /// Spatial sizes of the result, which the padding then follows from.
    pub output_shape: Option<Vec<usize>>,
}

impl ConvTranspose {
    /// A square kernel with one stride and symmetric padding, one group.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        let window = Window::square(kernel, stride, padding);
        Self { window, groups: 1, output_padding: Vec::new(), output_shape: None }
    }

    /// Size of the result and padding in front along `axis` for an input of `size`; `window` is [`Window::filled`].
    ///
    /// # Errors
    /// If nothing is left of the result.
    pub fn extent(&self, window: &Window, axis: usize, size: usize) -> Result<(usize, usize), String> {
        let (stride, reach) = (window.stride[axis], window.reach(axis));
        let added = self.output_padding.get(axis).copied().unwrap_or(0);
        let full = size.saturating_sub(1).saturating_mul(stride).saturating_add(reach).saturating_add(added);
        let asked = match (&self.output_shape, &window.padding) {
            (Some(shape), _) => shape.get(axis).copied(),
            (None, Padding::SameUpper | Padding::SameLower) => Some(size.saturating_mul(stride)),
            (None, Padding::Explicit(_) | Padding::Valid) => None,
        };
        if let Some(out) = asked {
            let total = full.saturating_sub(out);
            let half = total / 2;
            let front = if window.padding == Padding::SameUpper { half } else { total - half };
            return Ok((out, front));
        }
        let (front, behind) = match &window.padding {
            Padding::Explicit(p) => (p[axis], p[axis + window.rank()]),
            Padding::SameUpper | Padding::SameLower | Padding::Valid => (0, 0),
        };
        match full.checked_sub(front.saturating_add(behind)) {
            Some(out) if out > 0 => Ok((out, front)),
            _ => Err(format!(
                "the padding is {front} and {behind}, the result before it has only {full} elements"
            )),
        }
    }
}

impl Operator for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
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
        if self.output_padding.iter().any(|&p| p != 0) {
            all.push(("output_padding", self.output_padding.as_slice().into()));
        }
        if let Some(shape) = &self.output_shape {
            all.push(("output_shape", Attribute::from(shape.as_slice())));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [1, 2])?;
        let (x, weight) = (given.shape(0)?, given.shape(1)?);
        if x.rank() < 3 || weight.rank() != x.rank() {
            return Err(format!(
                "expected [N, C, H, W] and a weight [c_in, c_out/groups, k_h, k_w], found {x} and {weight}"
            ));
        }
        let (c_in, c_per_group) = (weight.dims()[0], weight.dims()[1]);
        if !x.dims()[1].may_equal(c_in) {
            return Err(format!("input has {} channels, the weight {weight} takes {c_in}", x.dims()[1]));
        }
        if self.groups == 0 || c_in.size().is_some_and(|c| c == 0 || c % self.groups != 0) {
            return Err(format!(
                "weight {weight} has {c_in} input channels, which {} groups cannot share equally",
                self.groups
            ));
        }
        let window = self.window.of_weight(weight)?;
        let spatial = x.rank() - 2;
        window.check(spatial)?;
        if !self.output_padding.is_empty() && self.output_padding.len() != spatial {
            return Err(format!("expected {spatial} output paddings, found {}", self.output_padding.len()));
        }
        // A whole shape is sometimes written instead of the spatial sizes.
        if self.output_shape.as_ref().is_some_and(|s| s.len() != spatial) {
            return Err(format!(
                "expected an `output_shape` of {spatial} spatial sizes, found {:?}",
                self.output_shape
            ));
        }
        let c_out = Dim::of(c_per_group.size().map(|c| c.saturating_mul(self.groups)));
        if given.get(2).is_some() {
            given.vector(2, "a bias", c_out)?;
        }
        let mut dims = vec![x.dims()[0], c_out];
        for (axis, dim) in x.dims()[2..].iter().enumerate() {
            dims.push(match dim {
                Dim::Fixed(0) => return Err(format!("expected at least one element, found the shape {x}")),
                Dim::Fixed(size) => Dim::Fixed(self.extent(&window, axis, *size)?.0),
                Dim::Batch | Dim::Symbol(_) | Dim::Unknown => {
                    Dim::of(self.output_shape.as_ref().and_then(|s| s.get(axis).copied()))
                }
            });
        }
        Ok(vec![Fact::new(dtype, Shape::new(dims))])
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        // Every element of the input meets the whole kernel of each output channel of its group.
        let (Ok(x), Ok(w)) = (given.shape(0), given.shape(1)) else { return OpCost { macs: 0, reads: 1 } };
        let each = (1..w.rank()).filter_map(|a| w.get(a)).fold(1, usize::saturating_mul);
        OpCost { macs: (x.elements_per_sample() as u64).saturating_mul(each as u64), reads: 1 }
    }

    fn is_layer(&self) -> bool {
        true
    }

    fn ties(&self, given: &Given, outputs: &[&Shape]) -> Ties {
        let (x, rows, columns, out) =
            (Port::Input(0, 1), Port::Input(1, 0), Port::Input(1, 1), Port::Output(0, 1));
        let mut ties = vec![Tie::Same(x, rows)];
        if given.get(2).is_some() {
            ties.push(Tie::Same(out, Port::Input(2, 0)));
        }
        let per_group = |size: Option<usize>| size.unwrap_or(0) / self.groups.max(1);
        let c_in = per_group(given.shape(0).ok().and_then(|s| s.get(1)));
        let c_out = per_group(outputs.first().and_then(|s| s.get(1)));
        if self.groups == 1 {
            ties.push(Tie::Same(out, columns));
        } else if self.groups >= c_in {
            // Many small groups: a group goes as a whole, and the weight's rows with it.
            ties.push(Tie::Blocks(x, out, c_in, c_out));
            ties.push(Tie::Blocks(out, out, c_out, c_out));
        } else {
            // Few large groups: every group loses the same positions.
            ties.push(Tie::Modulo(out, columns, c_out));
            ties.push(Tie::Modulo(x, x, c_in));
        }
        Ties::Known(ties)
    }

    fn quantization(&self) -> Quantization {
        Quantization::Layer
    }
}

impl Read for ConvTranspose {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "ConvTranspose")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            groups: attributes.size("group")?.unwrap_or(1),
            output_padding: attributes.sizes("output_padding")?.unwrap_or_default(),
            output_shape: attributes.sizes("output_shape")?.filter(|s| !s.is_empty()),
            window: Window::read(attributes, Some(Vec::new()))?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self::square(2, 2, 0)]
    }
}
