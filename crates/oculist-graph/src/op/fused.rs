//! Layers with an activation behind them, of `com.microsoft`.

use super::attributes::{AttributeList, Attributes};
use super::conv::Conv;
use super::linear::Gemm;
use super::schema::{Fact, Given, OpCost, Operator, Read, Role, Written};
use crate::shape::Shape;

/// The function behind a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FusedActivation {
    /// None.
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x` or `alpha * x` where `x` is negative.
    LeakyRelu(f32),
    /// Within two bounds.
    Clip(f32, f32),
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid(f32, f32),
}

impl FusedActivation {
    /// From its name and its numbers; those that the file leaves out are ONNX's defaults.
    fn new(name: &str, numbers: &[f32]) -> Result<Self, String> {
        let number = |i: usize, default: f32| numbers.get(i).copied().unwrap_or(default);
        Ok(match name {
            "" => Self::Identity,
            "Relu" => Self::Relu,
            "Tanh" => Self::Tanh,
            "Sigmoid" => Self::Sigmoid,
            "LeakyRelu" => Self::LeakyRelu(number(0, 0.01)),
            "Clip" => Self::Clip(number(0, f32::MIN), number(1, f32::MAX)),
            "HardSigmoid" => Self::HardSigmoid(number(0, 0.2), number(1, 0.5)),
            other => {
                return Err(format!(
                    "the activation is `{other}`, supported are Relu, Tanh, Sigmoid, LeakyRelu, Clip, HardSigmoid"
                ));
            }
        })
    }

    /// Its name, empty for none, and its numbers.
    pub fn parts(self) -> (&'static str, Vec<f32>) {
        match self {
            Self::Identity => ("", Vec::new()),
            Self::Relu => ("Relu", Vec::new()),
            Self::Tanh => ("Tanh", Vec::new()),
            Self::Sigmoid => ("Sigmoid", Vec::new()),
            Self::LeakyRelu(alpha) => ("LeakyRelu", vec![alpha]),
            Self::Clip(low, high) => ("Clip", vec![low, high]),
            Self::HardSigmoid(alpha, beta) => ("HardSigmoid", vec![alpha, beta]),
        }
    }

    /// Its value.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::Identity => x,
            Self::Relu => x.max(0.0),
            Self::Tanh => x.tanh(),
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::LeakyRelu(alpha) => {
                if x < 0.0 {
                    f64::from(alpha) * x
                } else {
                    x
                }
            }
            Self::Clip(low, high) => x.max(low.into()).min(high.into()),
            Self::HardSigmoid(alpha, beta) => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        }
    }
}

/// A convolution, a value added to its result (input 3), and an activation.
#[derive(Debug, Clone, PartialEq)]
pub struct FusedConv {
    /// The convolution.
    pub conv: Conv,
    /// The activation.
    pub activation: FusedActivation,
}

/// A fully connected layer and an activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedGemm {
    /// The layer.
    pub gemm: Gemm,
    /// The activation.
    pub activation: FusedActivation,
}

impl Operator for FusedConv {
    fn name(&self) -> &'static str {
        "FusedConv"
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 4)
    }

    fn role(&self, i: usize) -> Role {
        if i == 3 { Role::Data } else { self.conv.role(i) }
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.conv.attributes();
        let (name, numbers) = self.activation.parts();
        if !name.is_empty() {
            all.push(("activation", name.into()));
        }
        if !numbers.is_empty() {
            all.push(("activation_params", numbers.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.same_type(0, [3])?;
        let facts = self.conv.infer(given)?;
        if let (Some(seen), Some(fact)) = (given.get(3), facts.first()) {
            let fits = seen.shape.rank() == fact.shape.rank()
                && seen.shape.dims().iter().zip(fact.shape.dims()).all(|(a, b)| a.may_equal(*b));
            if !fits {
                return Err(format!("expected a value of shape {} to add, found {}", fact.shape, seen.shape));
            }
        }
        Ok(facts)
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        self.conv.cost(given, outputs)
    }
}

impl Read for FusedConv {
    const NAMES: &'static [(&'static str, &'static str)] = &[("com.microsoft", "FusedConv")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let name = attributes.text("activation")?.unwrap_or_default();
        let numbers = attributes.floats("activation_params")?.unwrap_or_default();
        Ok(Self {
            conv: Conv::read(written, attributes)?,
            activation: FusedActivation::new(&name, &numbers)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { conv: Conv::square(3, 1, 1), activation: FusedActivation::Relu }]
    }
}

/// The names of the numbers of an activation of [`FusedGemm`].
const NUMBERS: [&str; 3] = ["activation_alpha", "activation_beta", "activation_gamma"];

impl Operator for FusedGemm {
    fn name(&self) -> &'static str {
        "FusedGemm"
    }

    fn domain(&self) -> &'static str {
        "com.microsoft"
    }

    fn since(&self) -> i64 {
        1
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn role(&self, i: usize) -> Role {
        self.gemm.role(i)
    }

    fn attributes(&self) -> AttributeList {
        let mut all = self.gemm.attributes();
        let (name, numbers) = self.activation.parts();
        if !name.is_empty() {
            all.push(("activation", name.into()));
        }
        all.extend(NUMBERS.into_iter().zip(numbers).map(|(name, number)| (name, number.into())));
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, super::schema::FLOATS)?;
        self.gemm.infer(given)
    }

    fn cost(&self, given: &Given, outputs: &[&Shape]) -> OpCost {
        self.gemm.cost(given, outputs)
    }
}

impl Read for FusedGemm {
    const NAMES: &'static [(&'static str, &'static str)] = &[("com.microsoft", "FusedGemm")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let name = attributes.text("activation")?.unwrap_or_default();
        let mut numbers = Vec::new();
        for number in NUMBERS {
            numbers.extend(attributes.float(number)?);
        }
        Ok(Self {
            gemm: Gemm::read(written, attributes)?,
            activation: FusedActivation::new(&name, &numbers)?,
        })
    }

    fn examples() -> Vec<Self> {
        vec![Self { gemm: Gemm::LINEAR, activation: FusedActivation::Relu }]
    }
}
