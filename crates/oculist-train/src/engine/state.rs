//! The state of a learner as any engine gives and takes it.

use std::collections::BTreeMap;

use oculist_graph::{Graph, Tensor, ValueId};

use crate::error::TrainError;

/// Tensors by the names that they have in the graph, in the graph's layout.
pub type Tensors = BTreeMap<String, Tensor>;

/// Shapes of such tensors.
pub type Shapes = BTreeMap<String, Vec<usize>>;

/// Weights with the statistics that belong to them: what is validated, kept and exported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployed {
    /// Trained parameters.
    pub weights: Tensors,
    /// Running means and variances.
    pub stats: Tensors,
}

impl Deployed {
    /// Puts them in the places of the graph that have their names.
    pub fn store(self, graph: &mut Graph) {
        let ids: BTreeMap<String, ValueId> =
            graph.params().map(|(id, value, _)| (value.name.clone(), id)).collect();
        for (name, tensor) in self.weights.into_iter().chain(self.stats) {
            if let Some(id) = ids.get(&name) {
                graph.set_param(*id, tensor);
            }
        }
    }
}

/// All that training goes on from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Trained parameters.
    pub weights: Tensors,
    /// Running means and variances.
    pub stats: Tensors,
    /// The optimiser's momentum or first moment, of each weight.
    pub first: Tensors,
    /// Its second moment; empty where the rule has none.
    pub second: Tensors,
    /// Moving average of the weights; empty where none is kept.
    pub averaged: Tensors,
    /// Moving average of the statistics; empty where none is kept.
    pub averaged_stats: Tensors,
    /// Updates done.
    pub updates: u64,
    /// Updates that the average has seen.
    pub averaged_updates: u64,
    /// Updates that a parameter had no part in, since it was frozen in their epochs, where there are any.
    pub missed: BTreeMap<String, u64>,
}

impl State {
    /// The tensors of each part, by the part's name in checkpoints.
    pub(crate) fn parts(&self) -> [(&'static str, &Tensors); 6] {
        [
            ("model", &self.weights),
            ("stats", &self.stats),
            ("first", &self.first),
            ("second", &self.second),
            ("ema", &self.averaged),
            ("ema_stats", &self.averaged_stats),
        ]
    }
}

/// Names and shapes of a learner's state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateForm {
    /// Of the trained parameters.
    pub weights: Shapes,
    /// Of the running statistics.
    pub stats: Shapes,
    /// Moments that the optimiser keeps of each weight: 1 or 2.
    pub moments: usize,
    /// Whether an average is kept.
    pub averaged: bool,
}

impl StateForm {
    /// Refuses a state that lacks a tensor, has one too many, or one that is not f32 of the expected shape.
    ///
    /// # Errors
    /// [`TrainError::State`] naming the tensor as it is named in checkpoints (`first.conv1.weight`).
    pub fn check(&self, state: &State) -> Result<(), TrainError> {
        let none = Shapes::new();
        let only = |wanted: bool, shapes| if wanted { shapes } else { &none };
        let expected = [
            &self.weights,
            &self.stats,
            only(self.moments > 0, &self.weights),
            only(self.moments > 1, &self.weights),
            only(self.averaged, &self.weights),
            only(self.averaged, &self.stats),
        ];
        state
            .parts()
            .into_iter()
            .zip(expected)
            .try_for_each(|((part, found), shapes)| check(part, found, shapes))
    }
}

fn check(part: &str, found: &Tensors, expected: &Shapes) -> Result<(), TrainError> {
    let fail = |name: &str, problem| Err(TrainError::State { name: format!("{part}.{name}"), problem });
    for (name, shape) in expected {
        let Some(tensor) = found.get(name) else {
            return fail(name, format!("expected f32 {shape:?}, found none"));
        };
        if tensor.as_f32().is_none() || tensor.shape() != shape {
            let (dtype, size) = (tensor.dtype().name(), tensor.shape());
            return fail(name, format!("expected f32 {shape:?}, found {dtype} {size:?}"));
        }
    }
    match found.keys().find(|name| !expected.contains_key(*name)) {
        Some(name) => fail(name, "expected none of this name, found one".to_owned()),
        None => Ok(()),
    }
}

/// Whether both hold the same numbers, bit for bit.
pub(crate) fn same_bits(a: &Tensors, b: &Tensors) -> bool {
    fn bits(tensor: &Tensor) -> impl Iterator<Item = u32> {
        tensor.as_f32().unwrap_or(&[]).iter().map(|x| x.to_bits())
    }
    let same = |((a, x), (b, y)): ((&String, &Tensor), (&String, &Tensor))| {
        a == b && x.shape() == y.shape() && bits(x).eq(bits(y))
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}
