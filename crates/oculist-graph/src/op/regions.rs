//! Regions of interest: what detectors do with boxes.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::resize::name_of;
use super::schema::{FLOATS, Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Each region of a feature map at one size: means or maxima of samples between the pixels.
///
/// # Shapes
/// `x` `[N, C, H, W]`, `rois` `[R, 4]` as `x1, y1, x2, y2`, `samples` `[R]`, result `[R, C, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoiAlign {
    /// Height of the result.
    pub height: usize,
    /// Width of the result.
    pub width: usize,
    /// Samples along each axis of a cell; 0 for as many as it has pixels.
    pub sampling_ratio: usize,
    /// Pixels of the feature map per unit of the regions.
    pub spatial_scale: f32,
    /// Whether the maximum of the samples counts, not their mean.
    pub max: bool,
    /// Whether the middle of the first pixel is 0.5, not 0.
    pub half_pixel: bool,
}

/// The boxes of each class that do not overlap a better one.
///
/// # Shapes
/// `boxes` `[N, B, 4]`, `scores` `[N, classes, B]`; optional scalars: most boxes of a class, the overlap from which a
/// box falls, the least score. The result holds sample, class and box: `[?, 3]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NonMaxSuppression {
    /// Whether boxes are middle, width and height (`x, y, w, h`), not two corners (`y, x, y, x`).
    pub center_point_box: bool,
}

const HALF_PIXELS: &[(&str, bool)] = &[("half_pixel", true), ("output_half_pixel", false)];

impl Operator for RoiAlign {
    fn name(&self) -> &'static str {
        "RoiAlign"
    }

    fn since(&self) -> i64 {
        if self.half_pixel { 16 } else { 10 }
    }

    fn arity(&self) -> (usize, usize) {
        (3, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 2 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        // Opset 10 has no such attribute and means output_half_pixel.
        let half_pixel = name_of(self.half_pixel, HALF_PIXELS).unwrap_or("half_pixel");
        let mut all: AttributeList = vec![("coordinate_transformation_mode", half_pixel.into())];
        if self.max {
            all.push(("mode", "max".into()));
        }
        if self.height != 1 {
            all.push(("output_height", self.height.into()));
        }
        if self.width != 1 {
            all.push(("output_width", self.width.into()));
        }
        if self.sampling_ratio != 0 {
            all.push(("sampling_ratio", self.sampling_ratio.into()));
        }
        if self.spatial_scale != 1.0 {
            all.push(("spatial_scale", self.spatial_scale.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.expect(2, &[DataType::I64])?;
        let dtype = given.same_type(0, [1])?;
        let (x, rois) = (given.shape(0)?, given.shape(1)?);
        if x.rank() != 4 {
            return Err(format!("expected [N, C, H, W], found {x}"));
        }
        if rois.rank() != 2 || !rois.dims()[1].may_equal(Dim::Fixed(4)) {
            return Err(format!("expected regions [R, 4], found {rois}"));
        }
        given.vector(2, "a sample for each region,", rois.dims()[0])?;
        let count = rois.dims()[0].or(given.shape(2)?.dims()[0]);
        let dims = vec![count, x.dims()[1], Dim::Fixed(self.height), Dim::Fixed(self.width)];
        Ok(vec![Fact::new(dtype, Shape::new(dims))])
    }

    fn cost(&self, _: &Given, _: &[&Shape]) -> OpCost {
        let samples = self.sampling_ratio.max(2) as u64;
        OpCost { macs: 0, reads: samples.saturating_mul(samples).saturating_mul(4) }
    }

    fn ties(&self, _: &Given, _: &[&Shape]) -> Ties {
        Ties::Known(vec![Tie::Same(Port::Input(0, 1), Port::Output(0, 1))])
    }
}

impl Read for RoiAlign {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "RoiAlign")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let half_pixel = if attributes.has("coordinate_transformation_mode") {
            super::resize::named(attributes, "coordinate_transformation_mode", HALF_PIXELS)?
        } else {
            written.opset >= 16
        };
        Ok(Self {
            height: attributes.size("output_height")?.unwrap_or(1),
            width: attributes.size("output_width")?.unwrap_or(1),
            sampling_ratio: attributes.size("sampling_ratio")?.unwrap_or(0),
            spatial_scale: attributes.float_or("spatial_scale", 1.0)?,
            max: attributes.choice("mode", &["avg", "max"])? == 1,
            half_pixel,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self {
            height: 7,
            width: 7,
            sampling_ratio: 2,
            spatial_scale: 0.25,
            max: false,
            half_pixel: true,
        }]
    }
}

impl Operator for NonMaxSuppression {
    fn name(&self) -> &'static str {
        "NonMaxSuppression"
    }

    fn since(&self) -> i64 {
        10
    }

    fn arity(&self) -> (usize, usize) {
        (2, 5)
    }

    fn role(&self, i: usize) -> Role {
        if i < 2 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.center_point_box { vec![("center_point_box", true.into())] } else { Vec::new() }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.same_type(0, [1])?;
        given.expect(2, &[DataType::I64])?;
        given.expect(3, FLOATS)?;
        given.expect(4, FLOATS)?;
        let (boxes, scores) = (given.shape(0)?, given.shape(1)?);
        let fits = boxes.rank() == 3
            && scores.rank() == 3
            && boxes.dims()[2].may_equal(Dim::Fixed(4))
            && boxes.dims()[0].may_equal(scores.dims()[0])
            && boxes.dims()[1].may_equal(scores.dims()[2]);
        if !fits {
            return Err(format!(
                "expected boxes [N, B, 4] and scores [N, classes, B], found {boxes} and {scores}"
            ));
        }
        Ok(vec![Fact::new(DataType::I64, Shape::new(vec![Dim::Unknown, Dim::Fixed(3)]))])
    }
}

impl Read for NonMaxSuppression {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "NonMaxSuppression")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { center_point_box: attributes.flag("center_point_box", false)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { center_point_box: false }]
    }
}
