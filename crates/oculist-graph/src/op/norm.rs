//! Normalisation.

use super::attributes::{AttributeList, Attributes};
use super::prune::{Port, Tie, Ties};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::Shape;

/// `gamma * (x - mean) / sqrt(var + epsilon) + beta`; inputs `x, gamma, beta, running_mean, running_var`.
///
/// # Shapes
/// `x` `[N, C, ...]`, the others `[C]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub epsilon: f32,
    /// Weight of the old running statistic (ONNX's convention: PyTorch's 0.1 is 0.9 here).
    pub momentum: f32,
    /// Whether the file asks for statistics of the batch: the node then has three outputs.
    pub training: bool,
}

impl Operator for BatchNormalization {
    fn name(&self) -> &'static str {
        "BatchNormalization"
    }

    fn since(&self) -> i64 {
        if self.training { 14 } else { 7 }
    }

    fn arity(&self) -> (usize, usize) {
        (5, 5)
    }

    fn outputs(&self) -> (usize, usize) {
        (1, 3)
    }

    fn role(&self, i: usize) -> Role {
        match i {
            0 => Role::Data,
            1 | 2 => Role::Weight,
            _ => Role::Statistic,
        }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList =
            vec![("epsilon", self.epsilon.into()), ("momentum", self.momentum.into())];
        if self.training {
            all.push(("training_mode", true.into()));
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        for i in 0..5 {
            given.expect(i, FLOATS)?;
        }
        let shape = given.shape(0)?;
        if shape.rank() < 2 {
            return Err(format!("expected [N, C, ...], found {shape}"));
        }
        let c = shape.dims()[1];
        for (i, what) in [(1, "gamma"), (2, "beta"), (3, "running_mean"), (4, "running_var")] {
            given.vector(i, what, c)?;
        }
        let mut facts = vec![Fact::new(given.dtype(0)?, shape.clone())];
        for _ in 1..given.outputs {
            facts.push(Fact::new(given.dtype(3)?, given.shape(3)?.clone()));
        }
        Ok(facts)
    }

    fn ties(&self, _: &Given, outputs: &[&Shape]) -> Ties {
        if outputs.len() > 1 {
            return Ties::Unknown;
        }
        let out = Port::Output(0, 1);
        let mut ties = vec![Tie::Same(Port::Input(0, 1), out)];
        ties.extend((1..5).map(|i| Tie::Same(out, Port::Input(i, 0))));
        Ties::Known(ties)
    }
}

impl Read for BatchNormalization {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "BatchNormalization")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        // Removed in opset 9; other values were never written by an exporter of images.
        if attributes.int_or("spatial", 1)? != 1 {
            return Err("the attribute `spatial` is 0, supported is 1".to_owned());
        }
        let op = Self {
            epsilon: attributes.float_or("epsilon", 1e-5)?,
            momentum: attributes.float_or("momentum", 0.9)?,
            training: attributes.flag("training_mode", false)?,
        };
        if written.outputs > 1 && !op.training {
            return Err(format!("{} outputs need `training_mode`", written.outputs));
        }
        Ok(op)
    }

    fn examples() -> Vec<Self> {
        vec![Self { epsilon: 1e-5, momentum: 0.9, training: false }]
    }
}
