//! A head as nodes of a graph.

use oculist_graph::{Gemm, Graph, GraphError, Tensor, ValueId};

use crate::fitted::{Fitted, Model};

impl Fitted {
    /// Puts the head behind a value of the graph and gives the value of the scores; the graph's outputs stay as they are.
    ///
    /// Nodes and parameters are named `name`, `name.weight` and so on. Whoever makes the scores an output calls
    /// [`Graph::tidy`] or [`Graph::infer_shapes`] afterwards.
    ///
    /// # Shapes
    /// `features` `[N, dim]`, scores `[N, classes]`, both f32.
    ///
    /// # Errors
    /// [`GraphError`] if the value has another shape or the name is taken.
    pub fn append(&self, graph: &mut Graph, features: ValueId, name: &str) -> Result<ValueId, GraphError> {
        self.check(graph, features, name)?;
        Ok(match &self.model {
            Model::Linear(linear) => {
                let weight = Tensor::f32(&[self.classes, self.dim], linear.weights.clone());
                let bias = Tensor::f32(&[self.classes], linear.bias.clone());
                let weight = graph.add_param(format!("{name}.weight"), weight);
                let bias = graph.add_param(format!("{name}.bias"), bias);
                graph.add_node(name, Gemm::LINEAR, [features, weight, bias])
            }
        })
    }

    /// Refuses features of another shape and names that the graph has.
    fn check(&self, graph: &Graph, features: ValueId, name: &str) -> Result<(), GraphError> {
        let fail = |problem: String| {
            Err(GraphError::Node { node: name.to_owned(), op: self.kind.name(), problem })
        };
        let value = graph.value(features);
        let fits = value.shape.as_ref().is_none_or(|s| s.rank() == 2 && s.get(1).is_none_or(|d| d == self.dim));
        if !fits {
            let found = value.shape.as_ref().map(ToString::to_string).unwrap_or_default();
            return fail(format!("expected features [N, {}], found {found}", self.dim));
        }
        let prefix = format!("{name}.");
        let taken = |other: &str| other == name || other.starts_with(&prefix);
        let other = graph.values().iter().map(|v| &v.name).chain(graph.nodes().iter().map(|n| &n.name));
        match other.into_iter().find(|other| taken(other)) {
            Some(other) => fail(format!("the graph has a value or node `{other}` already")),
            None => Ok(()),
        }
    }
}
