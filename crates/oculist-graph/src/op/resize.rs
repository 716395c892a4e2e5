//! Values sampled at other sizes.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::quantization::Quantization;
use super::reshape::axes_of;
use super::schema::{Fact, Given, Item, OpCost, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Which element is the nearest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// The nearest, of two the first.
    PreferFloor,
    /// The nearest, of two the second.
    PreferCeil,
    /// The one before.
    Floor,
    /// The one behind.
    Ceil,
}

/// How elements between those of the input are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Interpolation {
    /// The nearest element.
    Nearest(Rounding),
    /// Straight lines between neighbours.
    Linear,
    /// Cubic convolution of four neighbours with this coefficient.
    Cubic(f32),
}

/// Where an index of the result lies in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// `(i + 0.5) / scale - 0.5`.
    HalfPixel,
    /// The same about the middle of the value, where the scale leaves a fraction of a pixel.
    HalfPixelSymmetric,
    /// The same, but 0 where the result has a size of 1.
    PytorchHalfPixel,
    /// First and last elements lie on each other.
    AlignCorners,
    /// `i / scale`.
    Asymmetric,
    /// Between a start and an end that input 1 names for each axis, as shares of the input.
    CropAndResize,
}

/// What sizes mean to the ratio of the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AspectRatio {
    /// Nothing: each axis has its size.
    Stretch,
    /// One scale for all axes, none of which is larger than asked for.
    NotLarger,
    /// One scale for all axes, none of which is smaller than asked for.
    NotSmaller,
}

/// The value at another size: inputs `x, roi, scales, sizes`, of which either scales or sizes are given.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// How elements in between are made.
    pub interpolation: Interpolation,
    /// Where an index of the result lies in the input.
    pub coordinates: Coordinates,
    /// Whether the filter is widened where the result is smaller.
    pub antialias: bool,
    /// Whether neighbours outside of the input have no weight; otherwise the border is repeated.
    pub exclude_outside: bool,
    /// What stands outside of the input ([`Coordinates::CropAndResize`]).
    pub extrapolation: f32,
    /// The axes that the inputs speak of, all of them if none are named.
    pub axes: Option<Vec<i64>>,
    /// What sizes mean to the ratio of the axes.
    pub aspect_ratio: AspectRatio,
}

/// An axis of the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resized {
    /// Its size.
    pub dim: Dim,
    /// The scale, if it is known.
    pub scale: Option<f64>,
}

const ROUNDINGS: &[(&str, Rounding)] = &[
    ("round_prefer_floor", Rounding::PreferFloor),
    ("round_prefer_ceil", Rounding::PreferCeil),
    ("floor", Rounding::Floor),
    ("ceil", Rounding::Ceil),
];

const COORDINATES: &[(&str, Coordinates)] = &[
    ("half_pixel", Coordinates::HalfPixel),
    ("half_pixel_symmetric", Coordinates::HalfPixelSymmetric),
    ("pytorch_half_pixel", Coordinates::PytorchHalfPixel),
    ("align_corners", Coordinates::AlignCorners),
    ("asymmetric", Coordinates::Asymmetric),
    ("tf_crop_and_resize", Coordinates::CropAndResize),
];

const ASPECT_RATIOS: &[(&str, AspectRatio)] = &[
    ("stretch", AspectRatio::Stretch),
    ("not_larger", AspectRatio::NotLarger),
    ("not_smaller", AspectRatio::NotSmaller),
];

/// One of a table of names, the first of which is the default.
pub(super) fn named<T: Copy>(
    attributes: &mut Attributes,
    name: &str,
    table: &[(&str, T)],
) -> Result<T, String> {
    let names: Vec<&str> = table.iter().map(|(n, _)| *n).collect();
    Ok(table[attributes.choice(name, &names)?].1)
}

/// The name of an entry of a table, if it is not the default.
pub(super) fn name_of<T: Copy + PartialEq>(value: T, table: &[(&'static str, T)]) -> Option<&'static str> {
    table.iter().skip(1).find(|(_, v)| *v == value).map(|(name, _)| *name)
}

impl Resize {
    /// The nearest element at `i / scale`: what repeats pixels.
    pub const REPEAT: Self = Self {
        interpolation: Interpolation::Nearest(Rounding::Floor),
        coordinates: Coordinates::Asymmetric,
        antialias: false,
        exclude_outside: false,
        extrapolation: 0.0,
        axes: None,
        aspect_ratio: AspectRatio::Stretch,
    };

    /// The axes that the inputs speak of.
    ///
    /// # Errors
    /// If one lies outside of the value or is named twice.
    pub fn resized_axes(&self, rank: usize) -> Result<Vec<usize>, String> {
        self.axes.as_ref().map_or_else(|| Ok((0..rank).collect()), |axes| axes_of(axes, rank))
    }

    /// Size and scale of each axis of the result.
    ///
    /// # Errors
    /// If the number of scales or sizes is wrong, or a scale is not above 0.
    pub fn resized(
        &self,
        x: &Shape,
        scales: Option<&[f32]>,
        sizes: Option<&[Item]>,
    ) -> Result<Vec<Resized>, String> {
        let axes = self.resized_axes(x.rank())?;
        let mut all: Vec<Resized> = x.dims().iter().map(|&dim| Resized { dim, scale: Some(1.0) }).collect();
        let count = |what: &str, n: usize| {
            if n == axes.len() {
                Ok(())
            } else {
                Err(format!("{n} {what} are given for {} axes", axes.len()))
            }
        };
        match (scales, sizes) {
            (Some(scales), None) => {
                count("scales", scales.len())?;
                for (&a, &scale) in axes.iter().zip(scales) {
                    if !(scale > 0.0 && scale.is_finite()) {
                        return Err(format!("a scale is {scale}, expected a number above 0"));
                    }
                    let dim = match x.dims()[a] {
                        dim if scale == 1.0 => dim,
                        // Floats beyond the range become the largest size, which is refused.
                        dim => Dim::of(dim.size().map(|size| (size as f32 * scale).floor() as usize)),
                    };
                    all[a] = Resized { dim, scale: Some(scale.into()) };
                }
            }
            (None, Some(sizes)) => {
                count("sizes", sizes.len())?;
                if let Some(negative) = sizes.iter().filter_map(|i| i.known()).find(|&n| n < 0) {
                    return Err(format!("a size is {negative}, expected at least 0"));
                }
                let ratio = |(&a, item): (&usize, &Item)| {
                    Some(item.dim().size()? as f64 / x.get(a).filter(|&n| n > 0)? as f64)
                };
                let ratios: Vec<Option<f64>> = axes.iter().zip(sizes).map(ratio).collect();
                let shared = |pick: fn(f64, f64) -> f64| {
                    ratios.iter().copied().collect::<Option<Vec<f64>>>()?.into_iter().reduce(pick)
                };
                let shared = match self.aspect_ratio {
                    AspectRatio::Stretch => None,
                    AspectRatio::NotLarger => Some(shared(f64::min)),
                    AspectRatio::NotSmaller => Some(shared(f64::max)),
                };
                for (i, &a) in axes.iter().enumerate() {
                    all[a] = match shared {
                        None => Resized { dim: sizes[i].dim(), scale: ratios[i] },
                        Some(scale) => {
                            let round =
                                |size: usize, scale: f64| (scale * size as f64 + 0.5).floor() as usize;
                            let size = x.get(a).zip(scale).map(|(size, scale)| round(size, scale));
                            Resized { dim: Dim::of(size), scale }
                        }
                    };
                }
            }
            (None, None) => return Err("neither scales nor sizes are given".to_owned()),
            (Some(_), Some(_)) => {
                return Err("both scales and sizes are given, expected one of them".to_owned());
            }
        }
        Ok(all)
    }

    /// Whether an optional input is there: older opsets have empty tensors for those that are not.
    fn is_given(given: &Given, i: usize) -> bool {
        given.get(i).is_some_and(|seen| seen.shape.dims() != [Dim::Fixed(0)])
    }

    fn result(&self, given: &Given) -> Result<Vec<Resized>, String> {
        let x = given.shape(0)?;
        let unknown = || Ok(vec![Resized { dim: Dim::Unknown, scale: None }; x.rank()]);
        match (Self::is_given(given, 2), Self::is_given(given, 3)) {
            (true, false) => match given.seen(2)?.tensor {
                Some(scales) => self.resized(x, Some(&scales.to_f32s()), None),
                None => unknown(),
            },
            (false, true) => match given.items(3) {
                Some(sizes) => self.resized(x, None, Some(&sizes)),
                None => unknown(),
            },
            (scales, _) => self.resized(x, scales.then_some(&[]), scales.then_some(&[])),
        }
    }
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn since(&self) -> i64 {
        let new = self.antialias
            || self.axes.is_some()
            || self.aspect_ratio != AspectRatio::Stretch
            || self.coordinates == Coordinates::HalfPixelSymmetric;
        match (new, self.coordinates) {
            (_, Coordinates::HalfPixelSymmetric) => 19,
            (true, _) => 18,
            (false, _) => 11,
        }
    }

    fn arity(&self) -> (usize, usize) {
        (1, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        match self.interpolation {
            Interpolation::Nearest(rounding) => {
                all.extend(name_of(rounding, ROUNDINGS).map(|name| ("nearest_mode", name.into())));
            }
            Interpolation::Linear => all.push(("mode", "linear".into())),
            Interpolation::Cubic(a) => {
                all.push(("mode", "cubic".into()));
                if a != -0.75 {
                    all.push(("cubic_coeff_a", a.into()));
                }
            }
        }
        let coordinates = name_of(self.coordinates, COORDINATES);
        all.extend(coordinates.map(|name| ("coordinate_transformation_mode", name.into())));
        if self.antialias {
            all.push(("antialias", true.into()));
        }
        if self.exclude_outside {
            all.push(("exclude_outside", true.into()));
        }
        if self.extrapolation != 0.0 {
            all.push(("extrapolation_value", self.extrapolation.into()));
        }
        all.extend(self.axes.iter().map(|axes| ("axes", axes.clone().into())));
        let policy = name_of(self.aspect_ratio, ASPECT_RATIOS);
        all.extend(policy.map(|name| ("keep_aspect_ratio_policy", name.into())));
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(3, &[DataType::I64])?;
        let dims = self.result(given)?.into_iter().map(|r| r.dim).collect();
        // Where the numbers are not known, their count is.
        let axes = Dim::Fixed(self.resized_axes(given.shape(0)?.rank())?.len());
        for (i, what) in [(2, "scales"), (3, "sizes")] {
            if Self::is_given(given, i) {
                given.vector(i, what, axes)?;
            }
        }
        if self.coordinates == Coordinates::CropAndResize && !Self::is_given(given, 1) {
            return Err("the starts and ends of tf_crop_and_resize (input 1) are missing".to_owned());
        }
        Ok(vec![Fact::new(given.dtype(0)?, Shape::new(dims))])
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        let taps: u64 = match self.interpolation {
            Interpolation::Nearest(_) => 1,
            Interpolation::Linear => 2,
            Interpolation::Cubic(_) => 4,
        };
        // Only axes that change are interpolated, one after the other.
        let changed = self.result(given).map_or(0, |all| all.iter().filter(|r| r.scale != Some(1.0)).count());
        OpCost { macs: 0, reads: (taps * changed as u64).max(1) }
    }

    fn ties(&self, given: &Given, _: &[&Shape]) -> Ties {
        let Ok(resized) = self.result(given) else { return Ties::Unknown };
        // A size that is listed would have to change with the axis, a scale of 1 need not.
        let listed = Self::is_given(given, 3);
        let axes = self.resized_axes(resized.len()).unwrap_or_default();
        let stays = |a: &usize| resized[*a].scale == Some(1.0) && !(listed && axes.contains(a));
        let same = |a| Tie::Same(Port::Input(0, a), Port::Output(0, a));
        Ties::Known((0..resized.len()).filter(stays).map(same).collect())
    }

    fn quantization(&self) -> Quantization {
        match self.interpolation {
            Interpolation::Nearest(_) => Quantization::Moves,
            Interpolation::Linear | Interpolation::Cubic(_) => Quantization::Float,
        }
    }
}

impl Read for Resize {
    // Upsample is the older name: inputs `x, scales`, without the roi.
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Resize"), ("", "Upsample")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // Before opset 11, coordinates are not said: `i / scale`, and the element before.
        let old = written.name == "Upsample" || written.opset < 11;
        let rounding = if old { Rounding::Floor } else { named(attributes, "nearest_mode", ROUNDINGS)? };
        let mode = attributes.text("mode")?.unwrap_or_else(|| "nearest".to_owned());
        let a = attributes.float_or("cubic_coeff_a", -0.75)?;
        let interpolation = match mode.as_str() {
            "nearest" => Interpolation::Nearest(rounding),
            "linear" | "bilinear" | "trilinear" => Interpolation::Linear,
            "cubic" => Interpolation::Cubic(a),
            other => {
                return Err(format!(
                    "the attribute `mode` is `{other}`, supported are nearest, linear, cubic"
                ));
            }
        };
        let coordinates = match attributes.text("coordinate_transformation_mode")?.as_deref() {
            None if old => Coordinates::Asymmetric,
            None => Coordinates::HalfPixel,
            // Opset 11 had this name for what became half_pixel with the element before the middle.
            Some("tf_half_pixel_for_nn") => {
                return Err("coordinate_transformation_mode tf_half_pixel_for_nn is not supported".to_owned());
            }
            Some(text) => COORDINATES.iter().find(|(n, _)| *n == text).map(|(_, c)| *c).ok_or_else(|| {
                let names: Vec<&str> = COORDINATES.iter().map(|(n, _)| *n).collect();
                format!("coordinate_transformation_mode is `{text}`, supported are {}", names.join(", "))
            })?,
        };
        let antialias = attributes.flag("antialias", false)?;
        if antialias && matches!(interpolation, Interpolation::Nearest(_)) {
            return Err("antialias is set with the mode nearest, which has no filter".to_owned());
        }
        Ok(Self {
            interpolation,
            coordinates,
            antialias,
            exclude_outside: attributes.flag("exclude_outside", false)?,
            extrapolation: attributes.float_or("extrapolation_value", 0.0)?,
            axes: attributes.ints("axes")?,
            aspect_ratio: named(attributes, "keep_aspect_ratio_policy", ASPECT_RATIOS)?,
        })
    }

    fn examples() -> Vec<Self> {
        let linear = Self {
            interpolation: Interpolation::Linear,
            coordinates: Coordinates::HalfPixel,
            ..Self::REPEAT
        };
        vec![Self::REPEAT, linear]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_and_sizes_leave_the_batch_alone() {
        let x = Shape::nchw(3, 8, 10);
        let dims = |all: Vec<Resized>| all.into_iter().map(|r| r.dim).collect::<Vec<_>>();
        let fixed = |h, w| vec![Dim::Batch, Dim::Fixed(3), Dim::Fixed(h), Dim::Fixed(w)];
        let scales = Resize::REPEAT.resized(&x, Some(&[1.0, 1.0, 2.0, 0.55]), None).unwrap();
        assert_eq!(dims(scales), fixed(16, 5));
        let sizes = [Item::Size(Dim::Batch), Item::Known(3), Item::Known(4), Item::Known(20)];
        assert_eq!(dims(Resize::REPEAT.resized(&x, None, Some(&sizes)).unwrap()), fixed(4, 20));
        let resize = |aspect_ratio| Resize { axes: Some(vec![-2, 3]), aspect_ratio, ..Resize::REPEAT };
        let sizes = [Item::Known(4), Item::Known(20)];
        let result = |policy| dims(resize(policy).resized(&x, None, Some(&sizes)).unwrap());
        assert_eq!(result(AspectRatio::NotLarger), fixed(4, 5));
        assert_eq!(result(AspectRatio::NotSmaller), fixed(16, 20));
        let error = Resize::REPEAT.resized(&x, Some(&[2.0]), None).unwrap_err();
        assert_eq!(error, "1 scales are given for 4 axes");
    }
}
