//! The inputs of a node.

use crate::graph::ValueId;

/// What a node reads, in ONNX order; optional inputs may be left out.
///
/// Indexing gives the input that an operator cannot do without; [`Inputs::get`] one that may be missing. Iteration is
/// over those that are there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs(Vec<Option<ValueId>>);

impl Inputs {
    /// Number of listed inputs, left out ones in the middle included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Input `i`, if it is there.
    pub fn get(&self, i: usize) -> Option<ValueId> {
        self.0.get(i).copied().flatten()
    }

    /// The inputs that are there.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ValueId> + '_ {
        self.0.iter().copied().flatten()
    }

    /// The inputs that are there, for changing them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut ValueId> {
        self.0.iter_mut().flatten()
    }

    /// All places, left out ones included.
    pub fn slots(&self) -> &[Option<ValueId>] {
        &self.0
    }

    /// Sets input `i`; places before it that were not listed are left out.
    pub fn set(&mut self, i: usize, value: Option<ValueId>) {
        if self.0.len() <= i {
            self.0.resize(i + 1, None);
        }
        self.0[i] = value;
        while self.0.last() == Some(&None) {
            self.0.pop();
        }
    }

    /// Adds an input behind the others.
    pub fn push(&mut self, value: ValueId) {
        self.0.push(Some(value));
    }
}

impl From<Vec<ValueId>> for Inputs {
    fn from(values: Vec<ValueId>) -> Self {
        Self(values.into_iter().map(Some).collect())
    }
}

impl From<Vec<Option<ValueId>>> for Inputs {
    fn from(mut values: Vec<Option<ValueId>>) -> Self {
        while values.last() == Some(&None) {
            values.pop();
        }
        Self(values)
    }
}

impl<const N: usize> From<[ValueId; N]> for Inputs {
    fn from(values: [ValueId; N]) -> Self {
        values.to_vec().into()
    }
}

impl std::ops::Index<usize> for Inputs {
    type Output = ValueId;

    /// # Panics
    /// If input `i` is not there.
    fn index(&self, i: usize) -> &ValueId {
        self.0[i].as_ref().expect("the operator has this input")
    }
}

impl std::ops::IndexMut<usize> for Inputs {
    /// # Panics
    /// If input `i` is not there.
    fn index_mut(&mut self, i: usize) -> &mut ValueId {
        self.0[i].as_mut().expect("the operator has this input")
    }
}

impl<'a> IntoIterator for &'a Inputs {
    type Item = ValueId;
    type IntoIter = std::iter::Flatten<std::iter::Copied<std::slice::Iter<'a, Option<ValueId>>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().copied().flatten()
    }
}
