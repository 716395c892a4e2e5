//! Windows that slide over any number of spatial axes: convolutions and pooling.

use super::attributes::{Attribute, AttributeList, Attributes};
use crate::shape::{Dim, Shape};

/// Zero (or minus infinity) padding around the spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Padding {
    /// Before each axis, then behind each axis: `[top, left, bottom, right]` in two dimensions.
    Explicit(Vec<usize>),
    /// As much as makes the output `ceil(input / stride)`; what is left over lies behind.
    SameUpper,
    /// The same with what is left over in front.
    SameLower,
    /// None.
    Valid,
}

/// A window: kernel, stride, padding and dilation per spatial axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Size of the kernel along each spatial axis.
    pub kernel: Vec<usize>,
    /// Stride along each axis.
    pub stride: Vec<usize>,
    /// Padding.
    pub padding: Padding,
    /// Distance of the kernel's elements along each axis.
    pub dilation: Vec<usize>,
}

/// A window over height and width with its padding in numbers, as the fast kernels take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plane {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride along height and width.
    pub stride: [usize; 2],
    /// Padding: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Dilation along height and width.
    pub dilation: [usize; 2],
}

impl From<Plane> for Window {
    fn from(plane: Plane) -> Self {
        Self {
            kernel: plane.kernel.to_vec(),
            stride: plane.stride.to_vec(),
            padding: Padding::Explicit(plane.padding.to_vec()),
            dilation: plane.dilation.to_vec(),
        }
    }
}

impl Window {
    /// A square kernel over two axes with one stride and symmetric padding, no dilation.
    pub fn square(kernel: usize, stride: usize, padding: usize) -> Self {
        Plane { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 4], dilation: [1; 2] }.into()
    }

    /// The window with the kernel of a weight whose spatial sizes are `kernel`, where the file leaves the kernel to the
    /// weight; lists that the file leaves out with it get their defaults.
    #[must_use]
    pub fn filled(&self, kernel: &[usize]) -> Self {
        if !self.kernel.is_empty() {
            return self.clone();
        }
        let rank = kernel.len();
        let or_ones = |list: &[usize]| if list.is_empty() { vec![1; rank] } else { list.to_vec() };
        let padding = match &self.padding {
            Padding::Explicit(p) if p.is_empty() => Padding::Explicit(vec![0; rank.saturating_mul(2)]),
            other => other.clone(),
        };
        Self {
            kernel: kernel.to_vec(),
            stride: or_ones(&self.stride),
            padding,
            dilation: or_ones(&self.dilation),
        }
    }

    /// The window over the spatial axes of a weight `[c_out, c_in / groups, ...]`.
    ///
    /// # Errors
    /// If the weight has another kernel, or the file leaves the kernel to a weight whose sizes are not known.
    pub(super) fn of_weight(&self, weight: &Shape) -> Result<Self, String> {
        let spatial = weight.dims().get(2..).unwrap_or_default();
        if self.kernel.is_empty() {
            let sizes: Option<Vec<usize>> = spatial.iter().map(|d| d.size()).collect();
            return sizes.map(|kernel| self.filled(&kernel)).ok_or_else(|| {
                format!("the attribute `kernel_shape` is missing and the weight is {weight}")
            });
        }
        let fits = spatial.iter().zip(&self.kernel).all(|(d, &k)| d.may_equal(Dim::Fixed(k)));
        if spatial.len() == self.rank() && fits {
            Ok(self.clone())
        } else {
            Err(format!("kernel {:?} does not match the weight {weight}", self.kernel))
        }
    }

    /// Number of spatial axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }

    /// Elements of the kernel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().fold(1, |n: usize, &k| n.saturating_mul(k))
    }

    /// Padding in front of and behind `axis` for an input of `size`.
    pub fn padding_of(&self, axis: usize, size: usize) -> (usize, usize) {
        let same = || {
            let stride = self.stride[axis].max(1);
            let reach = self.reach(axis);
            let out = size.div_ceil(stride);
            (out.saturating_sub(1).saturating_mul(stride).saturating_add(reach)).saturating_sub(size)
        };
        match &self.padding {
            Padding::Explicit(p) => (p[axis], p[axis + self.rank()]),
            Padding::Valid => (0, 0),
            Padding::SameUpper => (same() / 2, same() - same() / 2),
            Padding::SameLower => (same() - same() / 2, same() / 2),
        }
    }

    /// Elements that the dilated kernel reaches over along an axis.
    pub fn reach(&self, axis: usize) -> usize {
        self.dilation[axis].saturating_mul(self.kernel[axis].saturating_sub(1)).saturating_add(1)
    }

    /// The window over maps of this height and width; `None` if it has not two axes.
    pub fn plane(&self, size: [usize; 2]) -> Option<Plane> {
        let kernel: [usize; 2] = self.kernel[..].try_into().ok()?;
        let (top, bottom) = self.padding_of(0, size[0]);
        let (left, right) = self.padding_of(1, size[1]);
        Some(Plane {
            kernel,
            stride: [self.stride[0], self.stride[1]],
            padding: [top, left, bottom, right],
            dilation: [self.dilation[0], self.dilation[1]],
        })
    }

    /// Refuses windows without elements and lists of different lengths, for a value with `spatial` spatial axes.
    pub(super) fn check(&self, spatial: usize) -> Result<(), String> {
        if self.rank() != spatial {
            return Err(format!("the kernel has {} axes, the input {spatial} spatial ones", self.rank()));
        }
        if self.stride.len() != spatial || self.dilation.len() != spatial {
            return Err("kernel, stride and dilation differ in their number of axes".to_owned());
        }
        if matches!(&self.padding, Padding::Explicit(p) if p.len() != 2 * spatial) {
            return Err(format!("expected {} paddings, two for each axis", 2 * spatial));
        }
        if self.kernel.iter().chain(&self.stride).chain(&self.dilation).any(|&v| v == 0) {
            return Err("kernel, stride and dilation must be at least 1".to_owned());
        }
        Ok(())
    }

    /// Size of the output along `axis` for an input of `size`; the window may hang over the end with `ceil_mode`.
    ///
    /// # Errors
    /// If the window does not fit.
    pub fn output_size(&self, axis: usize, size: usize, ceil_mode: bool) -> Result<usize, String> {
        // Saturating: attributes may come from a damaged model file.
        let (before, behind) = self.padding_of(axis, size);
        let padded = size.saturating_add(before).saturating_add(behind);
        let (reach, stride) = (self.reach(axis), self.stride[axis]);
        if padded < reach {
            return Err(format!(
                "the window reaches over {reach} pixels, the padded input has only {padded} (input {size})"
            ));
        }
        let mut out = ((padded - reach) / stride).saturating_add(1);
        if ceil_mode {
            out = (padded - reach).div_ceil(stride).saturating_add(1);
            // A window must begin within the input or the padding in front of it.
            if (out - 1).saturating_mul(stride) >= size.saturating_add(before) {
                out -= 1;
            }
        }
        Ok(out)
    }

    /// The spatial sizes of the output.
    ///
    /// # Errors
    /// If the window does not fit.
    pub(super) fn output(&self, x: &Shape, ceil_mode: bool) -> Result<Vec<Dim>, String> {
        if x.rank() < 3 {
            return Err(format!("expected [N, C, ...] with spatial axes, found {x}"));
        }
        self.check(x.rank() - 2)?;
        x.dims()[2..]
            .iter()
            .enumerate()
            .map(|(axis, dim)| match dim {
                Dim::Fixed(0) => Err(format!("expected at least one element, found the shape {x}")),
                Dim::Fixed(size) => self
                    .output_size(axis, *size, ceil_mode)
                    .map(Dim::Fixed)
                    .map_err(|e| format!("{e}; input {x}")),
                Dim::Batch | Dim::Symbol(_) | Dim::Unknown => Ok(Dim::Unknown),
            })
            .collect()
    }

    /// Reads the attributes of a window; `kernel` is used where the file gives none.
    ///
    /// # Errors
    /// An attribute of the wrong kind.
    pub(super) fn read(attributes: &mut Attributes, kernel: Option<Vec<usize>>) -> Result<Self, String> {
        let kernel =
            attributes.sizes("kernel_shape")?.or(kernel).ok_or("the attribute `kernel_shape` is missing")?;
        let rank = kernel.len();
        let auto = attributes.choice("auto_pad", &["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"])?;
        let pads = attributes.sizes("pads")?;
        let padding = match auto {
            0 => Padding::Explicit(pads.unwrap_or_else(|| vec![0; 2 * rank])),
            1 => Padding::SameUpper,
            2 => Padding::SameLower,
            _ => Padding::Valid,
        };
        Ok(Self {
            stride: attributes.sizes("strides")?.unwrap_or_else(|| vec![1; rank]),
            dilation: attributes.sizes("dilations")?.unwrap_or_else(|| vec![1; rank]),
            kernel,
            padding,
        })
    }

    /// The attributes that differ from their defaults, and the kernel.
    pub(super) fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if !self.kernel.is_empty() {
            all.push(("kernel_shape", self.kernel.as_slice().into()));
        }
        if self.stride.iter().any(|&s| s != 1) {
            all.push(("strides", self.stride.as_slice().into()));
        }
        match &self.padding {
            Padding::Explicit(p) if p.iter().all(|&p| p == 0) => {}
            Padding::Explicit(p) => all.push(("pads", p.as_slice().into())),
            Padding::SameUpper => all.push(("auto_pad", Attribute::from("SAME_UPPER"))),
            Padding::SameLower => all.push(("auto_pad", Attribute::from("SAME_LOWER"))),
            Padding::Valid => all.push(("auto_pad", Attribute::from("VALID"))),
        }
        if self.dilation.iter().any(|&d| d != 1) {
            all.push(("dilations", self.dilation.as_slice().into()));
        }
        all
    }
}
