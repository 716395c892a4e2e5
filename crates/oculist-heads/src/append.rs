//! A head as nodes of a graph.

use oculist_graph::{
    Binary, Gather, Gemm, Graph, GraphError, MatMul, Node, Op, Reduce, ReduceKind, Softmax, SoftmaxKind,
    Tensor, TopK, Unary, Unsqueeze, ValueId, Variadic,
};

use crate::fitted::{Fitted, Model};
use crate::forest::{self, Forest};
use crate::knn::{self, Neighbours};

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
            Model::Knn(neighbours) => self.append_neighbours(neighbours, graph, features, name),
            Model::Forest(forest) => self.append_forest(forest, graph, features, name),
        })
    }

    /// Lengths, cosines with all rows, the largest of them, and what their labels say.
    fn append_neighbours(&self, knn: &Neighbours, graph: &mut Graph, x: ValueId, name: &str) -> ValueId {
        let (n, d, classes) = (knn.labels.len(), self.dim, self.classes);
        let mut rows = vec![0.0; n * d];
        for (i, row) in knn.units.chunks_exact(d).enumerate() {
            row.iter().enumerate().for_each(|(f, &u)| rows[f * n + i] = u);
        }
        let mut votes = vec![0.0; n * classes];
        for (i, &label) in knn.labels.iter().enumerate() {
            votes[i * classes + label as usize] = 1.0;
        }
        let [factor, share] = knn::smoothing(knn.k as f32, classes);
        let mut param = |what: &str, tensor| graph.add_param(format!("{name}.{what}"), tensor);
        let axis = param("axis", Tensor::ints(vec![1]));
        let short = param("short", Tensor::f32(&[], vec![knn::SHORT]));
        let rows = param("rows", Tensor::f32(&[d, n], rows));
        let k = param("k", Tensor::ints(vec![knn.k as i64]));
        let temperature = param("temperature", Tensor::f32(&[], vec![knn::TEMPERATURE]));
        let votes = param("votes", Tensor::f32(&[n, classes], votes));
        let last = param("last", Tensor::ints(vec![2]));
        let factor = param("factor", Tensor::f32(&[], vec![factor]));
        let share = param("share", Tensor::f32(&[], vec![share]));
        let mut node = |what: &str, op: Op, inputs: &[ValueId]| {
            graph.add_node(format!("{name}.{what}"), op, inputs.to_vec())
        };
        let sum = Reduce { kind: ReduceKind::Sum, keepdims: true, noop_with_empty_axes: false };
        let squares = node("squares", Binary::Mul.into(), &[x, x]);
        let square = node("square", sum.into(), &[squares, axis]);
        let length = node("length", Unary::Sqrt.into(), &[square]);
        let length = node("at_least", Variadic::Max.into(), &[length, short]);
        let unit = node("unit", Binary::Div.into(), &[x, length]);
        let cosines = node("cosines", MatMul.into(), &[unit, rows]);
        let near = graph.add_activation(format!("{name}.near.out"));
        let places = graph.add_activation(format!("{name}.places.out"));
        let top = TopK { axis: 1, largest: true, sorted: true };
        graph.edit().push(Node {
            name: format!("{name}.near"),
            op: top.into(),
            inputs: vec![cosines, k].into(),
            outputs: vec![near, places],
        });
        let mut node = |what: &str, op: Op, inputs: &[ValueId]| {
            graph.add_node(format!("{name}.{what}"), op, inputs.to_vec())
        };
        let scaled = node("scaled", Binary::Div.into(), &[near, temperature]);
        let softmax = Softmax { kind: SoftmaxKind::Softmax, axis: 1, flatten: false };
        let weights = node("weights", softmax.into(), &[scaled]);
        let weights = node("columns", Unsqueeze.into(), &[weights, last]);
        let of_each = node("of_each", Gather { axis: 0 }.into(), &[votes, places]);
        let weighted = node("weighted", Binary::Mul.into(), &[of_each, weights]);
        let total = node("total", Reduce { keepdims: false, ..sum }.into(), &[weighted, axis]);
        let total = node("shrunk", Binary::Mul.into(), &[total, factor]);
        let total = node("smooth", Binary::Add.into(), &[total, share]);
        graph.add_node(name, Unary::Log, [total])
    }

    /// The trees, and the logarithms of what they say.
    fn append_forest(&self, forest: &Forest, graph: &mut Graph, x: ValueId, name: &str) -> ValueId {
        let [shrink, share] = forest::smoothing(self.classes);
        let mut param =
            |what: &str, value| graph.add_param(format!("{name}.{what}"), Tensor::f32(&[], vec![value]));
        let (shrink, share, factor) =
            (param("shrink", shrink), param("share", share), param("factor", forest.factor));
        let labels = graph.add_activation(format!("{name}.labels"));
        let shares = graph.add_activation(format!("{name}.shares"));
        graph.edit().push(Node {
            name: format!("{name}.trees"),
            op: (*forest.ensemble).clone().into(),
            inputs: vec![x].into(),
            outputs: vec![labels, shares],
        });
        let shrunk = graph.add_node(format!("{name}.shrunk"), Binary::Mul, [shares, shrink]);
        let smooth = graph.add_node(format!("{name}.smooth"), Binary::Add, [shrunk, share]);
        let logarithm = graph.add_node(format!("{name}.log"), Unary::Log, [smooth]);
        graph.add_node(name, Binary::Mul, [logarithm, factor])
    }

    /// Refuses features of another shape and names that the graph has.
    fn check(&self, graph: &Graph, features: ValueId, name: &str) -> Result<(), GraphError> {
        let fail =
            |problem: String| Err(GraphError::Node { node: name.to_owned(), op: self.kind.name(), problem });
        let value = graph.value(features);
        let fits =
            value.shape.as_ref().is_none_or(|s| s.rank() == 2 && s.get(1).is_none_or(|d| d == self.dim));
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
