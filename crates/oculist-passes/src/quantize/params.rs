//! From a range of real numbers to scale and zero_point.

/// The smallest and largest value that a tensor took in calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Lower end.
    pub min: f32,
    /// Upper end.
    pub max: f32,
}

impl Range {
    /// A range from its ends.
    pub fn new(min: f32, max: f32) -> Self {
        Self { min, max }
    }
}

/// Scale and zero_point of a u8 tensor: `x = (q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QParams {
    /// Width of one level.
    pub scale: f32,
    /// The level that stands for 0.
    pub zero_point: u8,
}

impl QParams {
    /// Parameters whose 256 levels cover `range` and contain 0 exactly; a range that is only `{0}` gets scale 1.
    ///
    /// `bounds` are those of a fused activation: the range is cut to them, and the scale is rounded down rather
    /// than up where the last level would pass the upper bound, so that saturating does the activation's work.
    ///
    /// # Errors
    /// What is wrong with the range, in words: not finite, or its ends exchanged.
    pub fn asymmetric_u8(range: Range, bounds: Option<(f32, f32)>) -> Result<Self, String> {
        let (min, max) = (range.min, range.max);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(format!("expected a finite range with min <= max, found {min}..{max}"));
        }
        let (mut lo, mut hi) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        if let Some((a, b)) = bounds
            && a <= 0.0
            && b >= 0.0
        {
            (lo, hi) = (lo.max(f64::from(a)), hi.min(f64::from(b)));
        }
        let scale = (hi - lo) / 255.0;
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Ok(Self { scale: 1.0, zero_point: 0 });
        }
        let zero_point = (-lo / scale).round_ties_even().clamp(0.0, 255.0) as u8;
        let mut scale = scale as f32;
        if let Some((_, b)) = bounds
            && hi >= f64::from(b)
            && (255.0 - f32::from(zero_point)) * scale > b
            && zero_point == 0
        {
            scale = scale.next_down();
        }
        Ok(Self { scale, zero_point })
    }

    /// `saturate(round_half_even(x / scale) + zero_point)`.
    pub fn quantize(self, x: f32) -> u8 {
        ((x / self.scale).round_ties_even() + f32::from(self.zero_point)).clamp(0.0, 255.0) as u8
    }

    /// `(q - zero_point) * scale`.
    pub fn dequantize(self, q: u8) -> f32 {
        (f32::from(q) - f32::from(self.zero_point)) * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_the_range_and_holds_zero() {
        let p = QParams::asymmetric_u8(Range::new(-1.0, 3.0), None).unwrap();
        assert_eq!(p.zero_point, 64);
        assert_eq!(p.dequantize(p.zero_point), 0.0);
        assert_eq!((p.quantize(-1.0), p.quantize(3.0), p.quantize(99.0)), (0, 255, 255));
        let positive = QParams::asymmetric_u8(Range::new(0.5, 2.0), None).unwrap();
        assert_eq!((positive.zero_point, positive.quantize(2.0)), (0, 255));
        let nothing = QParams::asymmetric_u8(Range::new(0.0, 0.0), None).unwrap();
        assert_eq!((nothing.scale, nothing.zero_point), (1.0, 0));
    }

    #[test]
    fn levels_stay_inside_a_fused_clip() {
        for max in [6.0f32, 1.0, 5.999_999, 3.3, 0.1, 7.0, 123.456] {
            let p = QParams::asymmetric_u8(Range::new(0.0, max.next_up()), Some((0.0, max))).unwrap();
            assert!(p.scale * 255.0 <= max, "255 levels of {} pass {max}", p.scale);
            assert!(p.scale * 255.0 > max * 0.999_999);
        }
    }

    #[test]
    fn refuses_what_is_no_range() {
        for (a, b) in [(f32::NAN, 1.0), (0.0, f32::INFINITY), (1.0, -1.0)] {
            assert!(QParams::asymmetric_u8(Range::new(a, b), None).is_err());
        }
    }
}
