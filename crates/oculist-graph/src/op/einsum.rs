//! Sums of products in Einstein's notation.

use super::attributes::{AttributeList, Attributes};
use super::schema::{Fact, Given, OpCost, Operator, Read, Role, Written};
use super::types::NUMBERS;
use crate::shape::{Dim, Shape};

/// Product of all inputs, summed over the axes that the result does not have: `bij,bjk->bik`.
///
/// Each letter names an axis; a letter that a term has twice takes the diagonal; `...` stands for any axes, which are
/// broadcast. Without `->` the result has `...` and the letters that appear once, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Einsum {
    /// The equation.
    pub equation: String,
}

/// An equation for values of certain ranks: axes have numbers, those of `...` come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// For each input the number of each of its axes.
    pub inputs: Vec<Vec<usize>>,
    /// Numbers of the axes of the result.
    pub output: Vec<usize>,
    /// How many numbers there are.
    pub axes: usize,
    /// How many of them stand for `...`: their sizes are broadcast.
    pub broadcast: usize,
}

impl Einsum {
    /// The equation for inputs of these ranks.
    ///
    /// # Errors
    /// What is wrong with the equation.
    pub fn terms(&self, ranks: &[usize]) -> Result<Terms, String> {
        let text: String = self.equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return Err(format!(
                "the equation `{}` has {} terms, found {} inputs",
                self.equation,
                terms.len(),
                ranks.len()
            ));
        }
        let parts = terms.iter().map(|t| self.split(t)).collect::<Result<Vec<_>, _>>()?;
        let mut broadcast = 0;
        for (part, &rank) in parts.iter().zip(ranks) {
            let letters = part.before.len() + part.behind.len();
            if rank < letters || (rank > letters && !part.dots) {
                return Err(format!("a term of `{}` has {letters} axes, its input {rank}", self.equation));
            }
            broadcast = broadcast.max(rank - letters);
        }
        // Letters are numbered in the order of the alphabet, which is also the order of a result that is not written.
        let mut letters: Vec<char> =
            parts.iter().flat_map(|p| p.before.iter().chain(&p.behind)).copied().collect();
        letters.sort_unstable();
        let all = letters.clone();
        letters.dedup();
        let number = |c: char| letters.binary_search(&c).ok().map(|i| broadcast + i);
        let numbers = |part: &Part, dots: usize| -> Result<Vec<usize>, String> {
            let find =
                |&c: &char| number(c).ok_or_else(|| format!("no input of `{}` has `{c}`", self.equation));
            let mut list = part.before.iter().map(find).collect::<Result<Vec<_>, _>>()?;
            list.extend(broadcast - dots..broadcast);
            for c in &part.behind {
                list.push(find(c)?);
            }
            Ok(list)
        };
        let inputs = parts
            .iter()
            .zip(ranks)
            .map(|(p, &rank)| numbers(p, rank - p.before.len() - p.behind.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let output = if let Some(right) = right {
            let part = self.split(right)?;
            numbers(&part, if part.dots { broadcast } else { 0 })?
        } else {
            let once = letters.iter().filter(|c| all.iter().filter(|d| d == c).count() == 1);
            (0..broadcast).chain(once.filter_map(|&c| number(c))).collect()
        };
        if (1..output.len()).any(|i| output[..i].contains(&output[i])) {
            return Err(format!("the result of `{}` has an axis twice", self.equation));
        }
        Ok(Terms { inputs, output, axes: broadcast + letters.len(), broadcast })
    }

    fn split(&self, term: &str) -> Result<Part, String> {
        let (before, behind, dots) = match term.split_once("...") {
            Some((before, behind)) => (before, behind, true),
            None => (term, "", false),
        };
        let letters = |text: &str| -> Result<Vec<char>, String> {
            match text.chars().find(|c| !c.is_ascii_alphabetic()) {
                Some(c) => Err(format!("the equation `{}` has an unexpected `{c}`", self.equation)),
                None => Ok(text.chars().collect()),
            }
        };
        Ok(Part { before: letters(before)?, behind: letters(behind)?, dots })
    }
}

/// One term: letters before and behind the dots.
struct Part {
    before: Vec<char>,
    behind: Vec<char>,
    dots: bool,
}

impl Terms {
    /// The size of each axis.
    ///
    /// # Errors
    /// If two inputs differ in one.
    pub fn sizes(&self, shapes: &[&Shape]) -> Result<Vec<Dim>, String> {
        let mut sizes: Vec<Option<Dim>> = vec![None; self.axes];
        for (numbers, shape) in self.inputs.iter().zip(shapes) {
            for (&number, &dim) in numbers.iter().zip(shape.dims()) {
                let slot = &mut sizes[number];
                // An axis of size 1 is broadcast, also one with a letter, as numpy does.
                *slot = Some(match *slot {
                    None | Some(Dim::Fixed(1)) => dim,
                    Some(known) if dim == Dim::Fixed(1) => known,
                    Some(known) if known.may_equal(dim) => known.or(dim),
                    Some(known) => return Err(format!("an axis has the sizes {known} and {dim}")),
                });
            }
        }
        Ok(sizes.into_iter().map(|s| s.unwrap_or(Dim::Fixed(1))).collect())
    }
}

impl Einsum {
    fn analysed(&self, given: &Given) -> Result<(Terms, Vec<Dim>), String> {
        let shapes = (0..given.len()).map(|i| given.shape(i)).collect::<Result<Vec<_>, _>>()?;
        let terms = self.terms(&shapes.iter().map(|s| s.rank()).collect::<Vec<_>>())?;
        let sizes = terms.sizes(&shapes)?;
        Ok((terms, sizes))
    }
}

impl Operator for Einsum {
    fn name(&self) -> &'static str {
        "Einsum"
    }

    fn since(&self) -> i64 {
        12
    }

    fn arity(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn role(&self, _: usize) -> Role {
        Role::Operand
    }

    fn attributes(&self) -> AttributeList {
        vec![("equation", self.equation.as_str().into())]
    }

    fn infer(&self, given: &Given) -> Result<Vec<Fact>, String> {
        given.expect(0, NUMBERS)?;
        let dtype = given.same_type(0, 1..given.len())?;
        let (terms, sizes) = self.analysed(given)?;
        Ok(vec![Fact::new(dtype, Shape::new(terms.output.iter().map(|&n| sizes[n]).collect()))])
    }

    fn cost(&self, given: &Given, _: &[&Shape]) -> OpCost {
        let Ok((_, sizes)) = self.analysed(given) else { return OpCost { macs: 0, reads: 1 } };
        let products = (given.len() as u64).saturating_sub(1);
        OpCost { macs: (Shape::new(sizes).elements_per_sample() as u64).saturating_mul(products), reads: 1 }
    }
}

impl Read for Einsum {
    const NAMES: &'static [(&'static str, &'static str)] = &[("", "Einsum")];

    fn read(_: &Written, attributes: &mut Attributes) -> Result<Self, String> {
        Ok(Self { equation: attributes.text("equation")?.ok_or("the attribute `equation` is missing")? })
    }

    fn examples() -> Vec<Self> {
        vec![Self { equation: "bij,bjk->bik".to_owned() }]
    }
}
