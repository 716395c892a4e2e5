//! Windows of signals and the weights of mel spectra.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Item, Operator, Read, Role, Written};
use super::types::{INDICES, NUMBERS, coded, expect_scalar, scalar};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// Which window; `t` goes from 0 to 2 pi.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalWindowKind {
    /// `0.5 - 0.5 cos t`.
    Hann,
    /// `25/46 - 21/46 cos t`.
    Hamming,
    /// `0.42 - 0.5 cos t + 0.08 cos 2t`.
    Blackman,
}

/// A window that a signal is multiplied with; the input is its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalWindow {
    /// Which window.
    pub kind: SignalWindowKind,
    /// Whether the end of the period is left out, as repeated windows need it; otherwise it is the last element.
    pub periodic: bool,
    /// Element type of the result.
    pub dtype: DataType,
}

/// The attribute that gives an element type, `f32` if it is left out.
fn output_datatype(attributes: &mut Attributes) -> Result<DataType, String> {
    let dtype = coded("output_datatype", attributes.int_or("output_datatype", DataType::F32.code())?)?;
    if NUMBERS.contains(&dtype) {
        return Ok(dtype);
    }
    Err(format!("the attribute `output_datatype` must be a type of numbers, found {}", dtype.name()))
}

/// A size that a scalar input gives; negative numbers are refused.
fn size(given: &Given, i: usize, what: &str) -> Result<Dim, String> {
    given.expect(i, INDICES)?;
    expect_scalar(given, i, what)?;
    match given.items(i).and_then(|items| items.first().copied()) {
        Some(Item::Known(n)) if n < 0 => Err(format!("{what} must be at least 0, found {n}")),
        Some(item) => Ok(item.dim()),
        None => Ok(Dim::Unknown),
    }
}

/// Number of frequencies of a real signal of `n` elements: `n / 2 + 1`.
fn one_sided(n: Dim) -> Dim {
    Dim::of(n.size().map(|n| n / 2 + 1))
}

impl Operator for SignalWindow {
    fn name(&self) -> &'static str {
        match self.kind {
            SignalWindowKind::Hann => "HannWindow",
            SignalWindowKind::Hamming => "HammingWindow",
            SignalWindowKind::Blackman => "BlackmanWindow",
        }
    }

    fn since(&self) -> i64 {
        17
    }

    fn arity(&self) -> (usize, usize) {
        (1, 1)
    }

    fn role(&self, _: usize) -> Role {
        Role::Argument
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.dtype != DataType::F32 {
            all.push(("output_datatype", self.dtype.code().into()));
        }
        if !self.periodic {
            all.push(("periodic", self.periodic.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        Ok(vec![Fact::new(self.dtype, Shape::new(vec![size(given, 0, "the length")?]))])
    }
}

impl Read for SignalWindow {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "HannWindow"), ("", "HammingWindow"), ("", "BlackmanWindow")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let kind = match written.name {
            "HannWindow" => SignalWindowKind::Hann,
            "HammingWindow" => SignalWindowKind::Hamming,
            _ => SignalWindowKind::Blackman,
        };
        let periodic = attributes.flag("periodic", true)?;
        Ok(Self { kind, periodic, dtype: output_datatype(attributes)? })
    }

    fn examples() -> Vec<Self> {
        [SignalWindowKind::Hann, SignalWindowKind::Hamming, SignalWindowKind::Blackman]
            .map(|kind| Self { kind, periodic: true, dtype: DataType::F32 })
            .to_vec()
    }
}

/// Triangles that sum frequencies to bands of equal width on the mel scale, `2595 log10(1 + f / 700)`.
///
/// Inputs `bands, dft_length, sample_rate, lowest, highest`; the result is `[dft_length / 2 + 1, bands]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MelWeightMatrix {
    /// Element type of the result.
    pub dtype: DataType,
}

impl Operator for MelWeightMatrix {
    fn name(&self) -> &'static str {
        "MelWeightMatrix"
    }

    fn since(&self) -> i64 {
        17
    }

    fn arity(&self) -> (usize, usize) {
        (5, 5)
    }

    fn role(&self, _: usize) -> Role {
        Role::Argument
    }

    fn attributes(&self) -> AttributeList {
        if self.dtype == DataType::F32 {
            Vec::new()
        } else {
            vec![("output_datatype", self.dtype.code().into())]
        }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        let bands = size(given, 0, "the number of bands")?;
        let length = size(given, 1, "the length")?;
        size(given, 2, "the sample rate")?;
        for i in [3, 4] {
            given.expect(i, FLOATS)?;
            expect_scalar(given, i, "a frequency")?;
        }
        Ok(vec![Fact::new(self.dtype, Shape::new(vec![one_sided(length), bands]))])
    }
}

impl Read for MelWeightMatrix {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "MelWeightMatrix")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { dtype: output_datatype(attributes)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { dtype: DataType::F32 }]
    }
}

/// The discrete Fourier transform `y_k = sum_n exp(-2 pi i k n / N) x_n` along an axis, or its inverse.
///
/// Inputs `x`, the length `N` and the axis. The last axis of `x` has size 1 (real numbers) or 2 (real and imaginary
/// part).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dft {
    /// Whether it is the inverse, `1 / N` times the sum with the other sign.
    pub inverse: bool,
    /// Whether only the first half of the frequencies is there, which is enough for real signals.
    pub onesided: bool,
}

impl Dft {
    /// The axis of a value of `rank` dimensions; the last dimension, which holds real and imaginary part, is none.
    ///
    /// # Errors
    /// If it lies outside.
    pub fn along(axis: i64, rank: usize) -> Result<usize, String> {
        match super::axis(axis, rank)? {
            a if a + 1 < rank => Ok(a),
            _ => Err(format!("the axis is {axis}, which holds real and imaginary part")),
        }
    }

    /// The length of the transform where no input gives it: that of the axis, or of the signal that has so many
    /// frequencies.
    pub fn default_len(&self, axis: usize) -> usize {
        if self.inverse && self.onesided { axis.saturating_sub(1).saturating_mul(2) } else { axis }
    }
}

/// Refuses a last dimension that is neither 1 (real) nor 2 (complex).
fn expect_parts(x: &Shape) -> Result<(), String> {
    match x.dims().last() {
        Some(parts) if parts.size().is_none_or(|n| n == 1 || n == 2) => Ok(()),
        _ => Err(format!("the last dimension must be 1 or 2, for real and imaginary part, found {x}")),
    }
}

impl Operator for Dft {
    fn name(&self) -> &'static str {
        "DFT"
    }

    fn since(&self) -> i64 {
        17
    }

    fn arity(&self) -> (usize, usize) {
        (1, 3)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if self.inverse {
            all.push(("inverse", self.inverse.into()));
        }
        if self.onesided {
            all.push(("onesided", self.onesided.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.expect(2, INDICES)?;
        expect_scalar(given, 2, "the axis")?;
        let x = given.shape(0)?;
        expect_parts(x)?;
        if self.onesided && !self.inverse && x.dims().last() == Some(&Dim::Fixed(2)) {
            return Err("a one-sided transform is that of real numbers, found complex ones".to_owned());
        }
        let dtype = given.dtype(0)?;
        let parts = Dim::Fixed(if self.inverse && self.onesided { 1 } else { 2 });
        let along = if given.get(2).is_some() { scalar(given, 2) } else { Some(-2) };
        let Some(along) = along else {
            let mut dims = vec![Dim::Unknown; x.rank()];
            dims[x.rank() - 1] = parts;
            return Ok(vec![Fact::new(dtype, Shape::new(dims))]);
        };
        let along = Self::along(along, x.rank())?;
        let default = match x.dims()[along] {
            Dim::Fixed(n) => Dim::Fixed(self.default_len(n)),
            _ if self.inverse && self.onesided => Dim::Unknown,
            other => other,
        };
        let len = if given.get(1).is_some() { size(given, 1, "the length")? } else { default };
        if len == Dim::Fixed(0) {
            return Err("the length of the transform is 0".to_owned());
        }
        let mut dims = x.dims().to_vec();
        dims[along] = if self.onesided && !self.inverse { one_sided(len) } else { len };
        dims[x.rank() - 1] = parts;
        Ok(vec![Fact::new(dtype, Shape::new(dims))])
    }
}

impl Read for Dft {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "DFT")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self {
            inverse: attributes.flag("inverse", false)?,
            onesided: attributes.flag("onesided", false)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { inverse: false, onesided: false }]
    }
}

/// Fourier transforms of the frames of a signal; inputs `signal, step` and, if given, a window and the frame's length.
///
/// The signal is `[batch, length, 1 or 2]`, the result `[batch, frames, frequencies, 2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stft {
    /// Whether only the first half of the frequencies is there.
    pub onesided: bool,
}

impl Stft {
    /// Number of whole frames in a signal.
    ///
    /// # Errors
    /// If the step or the frame is 0, or the frame is longer than the signal.
    pub fn frames(signal: usize, frame: usize, step: usize) -> Result<usize, String> {
        if step == 0 || frame == 0 || frame > signal {
            return Err(format!(
                "a signal of {signal} elements has no frames of {frame} with the step {step}"
            ));
        }
        Ok((signal - frame) / step + 1)
    }
}

impl Operator for Stft {
    fn name(&self) -> &'static str {
        "STFT"
    }

    fn since(&self) -> i64 {
        17
    }

    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 0 { Role::Data } else { Role::Argument }
    }

    fn attributes(&self) -> AttributeList {
        if self.onesided { Vec::new() } else { vec![("onesided", self.onesided.into())] }
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        let dtype = given.same_type(0, [2])?;
        let x = given.shape(0)?;
        let &[batch, len, parts] = x.dims() else {
            return Err(format!("expected a signal [batch, length, 1 or 2], found {x}"));
        };
        expect_parts(x)?;
        if self.onesided && parts == Dim::Fixed(2) {
            return Err("a one-sided transform is that of real numbers, found complex ones".to_owned());
        }
        let step = size(given, 1, "the step")?;
        let mut frame =
            if given.get(3).is_some() { size(given, 3, "the length of a frame")? } else { Dim::Unknown };
        if given.get(2).is_some() {
            given.vector(2, "a window", frame)?;
            frame = frame.or(given.shape(2)?.dims()[0]);
        } else if given.get(3).is_none() {
            frame = len;
        }
        let frames = match (len.size(), frame.size(), step.size()) {
            (Some(len), Some(frame), Some(step)) => Dim::Fixed(Self::frames(len, frame, step)?),
            _ => Dim::Unknown,
        };
        let bins = if self.onesided { one_sided(frame) } else { frame };
        Ok(vec![Fact::new(dtype, Shape::new(vec![batch, frames, bins, Dim::Fixed(2)]))])
    }
}

impl Read for Stft {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "STFT")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { onesided: attributes.flag("onesided", true)? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { onesided: true }]
    }
}
