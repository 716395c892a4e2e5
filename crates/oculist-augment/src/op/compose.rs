//! Operations made of operations.
//!
//! Each part draws from its own generator, keyed by a number that the whole draws and the part's place: what a
//! part draws depends neither on whether its neighbours are used nor on how many numbers they draw.

use super::{Check, Draw, Op, between};
use crate::error::{Result, parameter};
use crate::{Rng, Transform};
use serde::{Deserialize, Serialize};

/// One operation and how often it is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Probability of use, 0..=1.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub probability: f32,
    /// The operation.
    #[serde(flatten)]
    pub op: Op,
}

fn always() -> f32 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_always(p: &f32) -> bool {
    *p == 1.0
}

impl Step {
    /// Checks the probability and the operation's ranges.
    ///
    /// # Errors
    /// The first parameter outside its range, by name.
    pub fn validate(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.probability) {
            let found = self.probability.to_string();
            return Err(parameter(self.op.name(), "probability", "within 0..=1", found));
        }
        self.op.validate()
    }

    /// Draws whether the step is used, and its parameters for an image of this size.
    pub fn sample(&self, width: usize, height: usize, rng: &mut Rng) -> Option<Transform> {
        rng.chance(self.probability).then(|| self.op.sample(width, height, rng))
    }
}

/// The transforms of steps in this order; each sees the size that the ones before it leave.
fn in_order<'a>(
    steps: impl Iterator<Item = (usize, &'a Step)>,
    (mut width, mut height): (usize, usize),
    key: u64,
) -> Transform {
    let mut transforms = Vec::new();
    for (i, step) in steps {
        let drawn = step.sample(width, height, &mut Rng::keyed(&[key, i as u64]));
        if let Some(transform) = drawn {
            (width, height) = transform.output_size(width, height);
            transforms.push(transform);
        }
    }
    Transform::Sequence { transforms }
}

fn check_steps(check: Check, name: &'static str, steps: &[Step]) -> Result<()> {
    check.ensure(name, !steps.is_empty(), "at least one operation", &steps.len())?;
    steps.iter().try_for_each(Step::validate)
}

/// All steps in order, each with its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Draw for Sequence {
    fn check(&self, check: Check) -> Result<()> {
        check_steps(check, "steps", &self.steps)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        in_order(self.steps.iter().enumerate(), (width, height), rng.next_u64())
    }
}

/// One of several operations and how often it is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Weight relative to the other choices', 0 or more.
    #[serde(default = "always", skip_serializing_if = "is_always")]
    pub weight: f32,
    /// The operation.
    #[serde(flatten)]
    pub op: Op,
}

/// Exactly one of several operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// The operations to choose from.
    pub choices: Vec<Choice>,
}

impl Draw for OneOf {
    fn check(&self, check: Check) -> Result<()> {
        check.ensure("choices", !self.choices.is_empty(), "at least one operation", &self.choices.len())?;
        for choice in &self.choices {
            check.number("weight", choice.weight, 0.0..=1e6, "within 0..=1000000")?;
            choice.op.validate()?;
        }
        let some = self.choices.iter().any(|choice| choice.weight > 0.0);
        check.ensure("weight", some, "above 0 for at least one choice", &0.0)
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let key = rng.next_u64();
        let total: f64 = self.choices.iter().map(|choice| f64::from(choice.weight)).sum();
        let mut left = f64::from(rng.uniform()) * total;
        let chosen = self.choices.iter().position(|choice| {
            left -= f64::from(choice.weight);
            left < 0.0
        });
        // Rounding may leave nothing chosen; then it is the last one that can be.
        let last = || self.choices.iter().rposition(|choice| choice.weight > 0.0).unwrap_or(0);
        let i = chosen.unwrap_or_else(last);
        self.choices[i].op.sample(width, height, &mut Rng::keyed(&[key, i as u64]))
    }
}

/// Some of several steps, chosen without repeats; each chosen step is then used with its own probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SomeOf {
    /// Least and largest number of steps chosen; both numbers are cut to the number of steps.
    pub count: (usize, usize),
    /// Applies the chosen steps in random order instead of the order of the list.
    #[serde(default)]
    pub shuffle: bool,
    /// The steps to choose from.
    pub steps: Vec<Step>,
}

impl Draw for SomeOf {
    fn check(&self, check: Check) -> Result<()> {
        check_steps(check, "steps", &self.steps)?;
        check.counts("count", self.count, 0..=usize::MAX, "a range min <= max")
    }

    fn draw(&self, width: usize, height: usize, rng: &mut Rng) -> Transform {
        let key = rng.next_u64();
        let most = self.steps.len();
        let count = between(rng, (self.count.0.min(most), self.count.1.min(most)));
        let mut order: Vec<usize> = (0..most).collect();
        rng.shuffle(&mut order);
        order.truncate(count);
        if !self.shuffle {
            order.sort_unstable();
        }
        in_order(order.into_iter().map(|i| (i, &self.steps[i])), (width, height), key)
    }
}
