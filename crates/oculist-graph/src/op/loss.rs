//! Losses of classifications.

use super::attributes::{AttributeList, Attributes};
use super::schema::{FLOATS, Fact, Given, Operator, Read, Role, Written};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

/// What a loss is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// Logarithms of probabilities.
    NegativeLogLikelihood,
    /// Scores before a softmax; output 1 is the logarithm of that.
    SoftmaxCrossEntropy,
}

/// How the losses of the samples become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossReduction {
    /// The sum divided by the sum of the samples' weights.
    Mean,
    /// The sum.
    Sum,
    /// They do not.
    None,
}

/// `-weight[label] * log p[label]`; inputs `x, labels` and, if classes differ in weight, `weight`.
///
/// # Shapes
/// `x` `[N, C, ...]`, `labels` `[N, ...]`, `weight` `[C]`; the result is that of the labels, or a scalar once reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What it is computed from.
    pub kind: LossKind,
    /// How the losses become one.
    pub reduction: LossReduction,
    /// A label that counts for nothing.
    pub ignore: Option<i64>,
}

impl Operator for Loss {
    fn name(&self) -> &'static str {
        match self.kind {
            LossKind::NegativeLogLikelihood => "NegativeLogLikelihoodLoss",
            LossKind::SoftmaxCrossEntropy => "SoftmaxCrossEntropyLoss",
        }
    }

    fn since(&self) -> i64 {
        12
    }

    fn arity(&self) -> (usize, usize) {
        (2, 3)
    }

    fn outputs(&self) -> (usize, usize) {
        match self.kind {
            LossKind::NegativeLogLikelihood => (1, 1),
            LossKind::SoftmaxCrossEntropy => (1, 2),
        }
    }

    fn role(&self, i: usize) -> Role {
        if i == 2 { Role::Argument } else { Role::Data }
    }

    fn attributes(&self) -> AttributeList {
        let mut all: AttributeList = Vec::new();
        if let Some(label) = self.ignore {
            all.push(("ignore_index", label.into()));
        }
        match self.reduction {
            LossReduction::Mean => {}
            LossReduction::Sum => all.push(("reduction", "sum".into())),
            LossReduction::None => all.push(("reduction", "none".into())),
        }
        all
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, FLOATS)?;
        given.expect(1, &[DataType::I32, DataType::I64])?;
        let dtype = given.same_type(0, [2])?;
        let (x, labels) = (given.shape(0)?, given.shape(1)?);
        let Some((&classes, rest)) = x.dims().get(1..).and_then(<[Dim]>::split_first) else {
            return Err(format!("expected input 0 of shape [N, C, ...], found {x}"));
        };
        let mut dims = vec![x.dims()[0]];
        dims.extend(rest);
        if labels.rank() != dims.len() || !labels.dims().iter().zip(&dims).all(|(a, &b)| a.may_equal(b)) {
            return Err(format!("expected labels of shape {}, found {labels}", Shape::new(dims)));
        }
        if given.get(2).is_some() {
            given.vector(2, "a weight of each class", classes)?;
        }
        for (dim, &label) in dims.iter_mut().zip(labels.dims()) {
            *dim = dim.or(label);
        }
        let shape = Shape::new(if self.reduction == LossReduction::None { dims } else { Vec::new() });
        let mut facts = vec![Fact::new(dtype, shape)];
        if self.kind == LossKind::SoftmaxCrossEntropy {
            facts.push(Fact::new(dtype, x.clone()));
        }
        Ok(facts)
    }
}

impl Read for Loss {
    const NAMES: &'static [(&'static str, &'static str)] =
        &[("", "NegativeLogLikelihoodLoss"), ("", "SoftmaxCrossEntropyLoss")];

    fn read(written: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        let kind = match written.name {
            "NegativeLogLikelihoodLoss" => LossKind::NegativeLogLikelihood,
            _ => LossKind::SoftmaxCrossEntropy,
        };
        let reductions = [LossReduction::Mean, LossReduction::Sum, LossReduction::None];
        let reduction = reductions[attributes.choice("reduction", &["mean", "sum", "none"])?];
        Ok(Self { kind, reduction, ignore: attributes.int("ignore_index")? })
    }

    fn examples() -> Vec<Self> {
        [LossKind::NegativeLogLikelihood, LossKind::SoftmaxCrossEntropy]
            .map(|kind| Self { kind, reduction: LossReduction::Mean, ignore: None })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::Seen;
    use super::*;

    fn shapes(loss: Loss, x: &Shape, labels: &Shape) -> Result<Vec<String>, String> {
        let seen = |dtype, shape| Some(Seen { name: "", dtype, shape, items: None, tensor: None });
        let inputs = vec![seen(DataType::F32, x), seen(DataType::I64, labels)];
        let facts = loss.infer(&Given { inputs, outputs: 1 })?;
        Ok(facts.iter().map(|f| f.shape.to_string()).collect())
    }

    #[test]
    fn only_a_loss_that_is_not_reduced_has_the_shape_of_the_labels() {
        let (x, labels) = (Shape::nchw(5, 2, 3), Shape::new(vec![Dim::Batch, Dim::Fixed(2), Dim::Fixed(3)]));
        let [likelihood, entropy] = Loss::examples()[..] else { panic!("two kinds") };
        assert_eq!(shapes(entropy, &x, &labels).unwrap(), ["[]", "[N, 5, 2, 3]"]);
        let each = Loss { reduction: LossReduction::None, ..likelihood };
        assert_eq!(shapes(each, &x, &labels).unwrap(), ["[N, 2, 3]"]);
        let wrong = shapes(each, &x, &Shape::nc(2)).unwrap_err();
        assert_eq!(wrong, "expected labels of shape [N, 2, 3], found [N, 2]");
    }
}
