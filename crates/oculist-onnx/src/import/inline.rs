//! The nodes of a model in one list: functions of the model and branches of a constant condition are put in place.

use std::collections::{HashMap, HashSet};

use crate::error::{OnnxError, Unsupported};
use crate::import::{default_opset, names};
use crate::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto, TensorProto};
use crate::tensor::from_proto;

/// A node and the opset that it is written in.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) proto: NodeProto,
    pub(super) opset: i64,
}

/// Functions call functions, and branches hold branches, at most this deep.
const DEEPEST: usize = 32;
/// The most nodes that a model may grow to.
const MOST_NODES: usize = 1 << 18;

/// Domain, name and overload of a function.
type Key = (String, String, String);

/// What names and attributes mean within a function or branch.
#[derive(Debug, Clone)]
struct Scope {
    /// Names of the file that have another one in the graph.
    names: HashMap<String, String>,
    /// What stands before new names; empty in the model's own graph, where names stay.
    prefix: String,
    /// Whether names from around are seen: in branches, not in functions.
    open: bool,
    /// Attributes of the function that is called.
    attributes: HashMap<String, Option<AttributeProto>>,
    opset: i64,
    depth: usize,
}

/// Puts everything into one list.
pub(super) struct Inliner {
    functions: HashMap<Key, FunctionProto>,
    /// Constant truth values, for conditions.
    conditions: HashMap<String, bool>,
    taken: HashSet<String>,
    /// How far the search for a free name has come, by what was wished for.
    numbers: HashMap<String, usize>,
    /// Nodes, calls and branches so far: functions that call each other twice grow without making a node.
    work: usize,
    pub(super) steps: Vec<Step>,
    /// Constants of branches.
    pub(super) initializers: Vec<TensorProto>,
}

fn text(field: Option<&String>) -> String {
    field.cloned().unwrap_or_default()
}

/// The domain with ONNX's own as empty.
pub(super) fn domain(field: Option<&str>) -> &str {
    match field {
        None | Some("ai.onnx") => "",
        Some(domain) => domain,
    }
}

impl Inliner {
    pub(super) fn new(
        functions: Vec<FunctionProto>,
        graph: &GraphProto,
        initializers: &[TensorProto],
    ) -> Self {
        let mut inliner = Self {
            functions: functions
                .into_iter()
                .map(|f| {
                    let domain = domain(f.domain.as_deref()).to_owned();
                    ((domain, text(f.name.as_ref()), text(f.overload.as_ref())), f)
                })
                .collect(),
            conditions: HashMap::new(),
            taken: names(graph).map(str::to_owned).collect(),
            numbers: HashMap::new(),
            work: 0,
            steps: Vec::new(),
            initializers: Vec::new(),
        };
        for tensor in initializers {
            inliner.taken.insert(text(tensor.name.as_ref()));
            inliner.note_condition(tensor.name.as_deref().unwrap_or_default(), tensor);
        }
        inliner
    }

    /// Takes the nodes of the model's graph.
    pub(super) fn run(&mut self, nodes: Vec<NodeProto>, opset: i64) -> Result<(), OnnxError> {
        let mut scope = Scope {
            names: HashMap::new(),
            prefix: String::new(),
            open: true,
            attributes: HashMap::new(),
            opset,
            depth: 0,
        };
        self.nodes(nodes, &mut scope)
    }

    fn note_condition(&mut self, name: &str, tensor: &TensorProto) {
        if let Ok(tensor) = from_proto(name, tensor, None)
            && let oculist_graph::TensorData::Bool(values) = tensor.data()
            && let [value] = values[..]
        {
            self.conditions.insert(name.to_owned(), value);
        }
    }

    fn nodes(&mut self, nodes: Vec<NodeProto>, scope: &mut Scope) -> Result<(), OnnxError> {
        // Results get their names first, so that the order of nodes does not matter.
        if !scope.prefix.is_empty() {
            for output in nodes.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()) {
                if !scope.names.contains_key(output) {
                    let fresh = self.fresh(&scope.prefix, output);
                    scope.names.insert(output.clone(), fresh);
                }
            }
        }
        for mut node in nodes {
            Self::rename(&mut node, scope);
            let op = text(node.op_type.as_ref());
            let domain = domain(node.domain.as_deref()).to_owned();
            let key = (domain, op, text(node.overload.as_ref()));
            if let Some(function) = self.functions.get(&key).cloned() {
                self.call(&node, function, scope)?;
                continue;
            }
            match (key.0.as_str(), key.1.as_str()) {
                ("", "If") => self.branch(node, scope)?,
                ("", "Constant") => {
                    if let (Some(name), Some(tensor)) = (node.output.first(), value(&node)) {
                        let name = name.clone();
                        self.note_condition(&name, tensor);
                    }
                    self.push(node, scope)?;
                }
                _ => self.push(node, scope)?,
            }
        }
        Ok(())
    }

    fn push(&mut self, proto: NodeProto, scope: &Scope) -> Result<(), OnnxError> {
        self.count()?;
        self.steps.push(Step { proto, opset: scope.opset });
        Ok(())
    }

    fn count(&mut self) -> Result<(), OnnxError> {
        self.work += 1;
        if self.work <= MOST_NODES {
            return Ok(());
        }
        Err(OnnxError::Model {
            problem: format!(
                "the model has more than {MOST_NODES} nodes once its functions are put in place"
            ),
        })
    }

    /// Gives names and attributes of a node the meaning that they have around it.
    fn rename(node: &mut NodeProto, scope: &Scope) {
        if scope.depth == 0 {
            return;
        }
        for name in node.input.iter_mut().chain(&mut node.output).filter(|name| !name.is_empty()) {
            match scope.names.get(name) {
                Some(renamed) => name.clone_from(renamed),
                // Nothing has this name, and the error should say where.
                None if !scope.open => *name = format!("{}/{name}", scope.prefix),
                None => {}
            }
        }
        let own = text(node.name.as_ref());
        let own = if own.is_empty() { text(node.op_type.as_ref()) } else { own };
        node.name = Some(format!("{}/{own}", scope.prefix));
        node.attribute = std::mem::take(&mut node.attribute)
            .into_iter()
            .filter_map(|attribute| {
                let Some(reference) = &attribute.ref_attr_name else { return Some(attribute) };
                let mut given = scope.attributes.get(reference).cloned().flatten()?;
                given.name = attribute.name;
                Some(given)
            })
            .collect();
    }

    fn fresh(&mut self, prefix: &str, name: &str) -> String {
        let wish = format!("{prefix}/{name}");
        if self.taken.insert(wish.clone()) {
            return wish;
        }
        // The search goes on where it ended, so that many equal names cost no more than others.
        let number = self.numbers.entry(wish.clone()).or_insert(1);
        loop {
            *number += 1;
            let fresh = format!("{wish}_{number}");
            if self.taken.insert(fresh.clone()) {
                return fresh;
            }
        }
    }

    fn inner(scope: &Scope, node: &NodeProto) -> Result<(String, usize), OnnxError> {
        let depth = scope.depth + 1;
        let name = text(node.name.as_ref());
        let stem = if name.is_empty() { text(node.output.first()) } else { name.clone() };
        if depth > DEEPEST {
            return Err(OnnxError::Node {
                node: name,
                op: text(node.op_type.as_ref()),
                problem: format!("functions and branches lie more than {DEEPEST} deep in each other"),
            });
        }
        Ok((stem, depth))
    }

    fn call(&mut self, node: &NodeProto, function: FunctionProto, around: &Scope) -> Result<(), OnnxError> {
        self.count()?;
        let (prefix, depth) = Self::inner(around, node)?;
        let opset = default_opset(&function.opset_import).unwrap_or(around.opset);
        let mut scope =
            Scope { names: HashMap::new(), prefix, open: false, attributes: HashMap::new(), opset, depth };
        for (i, parameter) in function.input.iter().enumerate() {
            let given = node.input.get(i).cloned().unwrap_or_default();
            scope.names.insert(parameter.clone(), given);
        }
        for default in function.attribute_proto {
            scope.attributes.insert(text(default.name.as_ref()), Some(default));
        }
        for attribute in &node.attribute {
            scope.attributes.insert(text(attribute.name.as_ref()), Some(attribute.clone()));
        }
        let produced = produced(&function.node);
        let pairs = function.output.iter().zip(&node.output).filter(|(_, result)| !result.is_empty());
        let behind = Self::results(&mut scope, &produced, pairs);
        self.nodes(function.node, &mut scope)?;
        self.identities(behind, &scope)
    }

    fn branch(&mut self, node: NodeProto, around: &Scope) -> Result<(), OnnxError> {
        let condition = node.input.first().and_then(|name| self.conditions.get(name)).copied();
        let Some(condition) = condition else {
            return Err(OnnxError::Operator {
                node: text(node.name.as_ref()),
                op: "If".to_owned(),
                reason: Unsupported::ControlFlow,
            });
        };
        self.count()?;
        let (prefix, depth) = Self::inner(around, &node)?;
        let wanted = if condition { "then_branch" } else { "else_branch" };
        let outputs = node.output;
        let branch = node.attribute.into_iter().find(|a| a.name.as_deref() == Some(wanted)).and_then(|a| a.g);
        let mut branch = *branch.ok_or_else(|| OnnxError::Node {
            node: text(node.name.as_ref()),
            op: "If".to_owned(),
            problem: format!("the attribute `{wanted}` is missing"),
        })?;
        let mut scope = Scope { prefix, depth, open: true, ..around.clone() };
        let mut produced = produced(&branch.node);
        produced.extend(branch.initializer.iter().map(|t| text(t.name.as_ref())));
        // Names of the branch hide those around it.
        scope.names.retain(|name, _| !produced.contains(name));
        let names: Vec<String> = branch.output.iter().map(|o| text(o.name.as_ref())).collect();
        let pairs = names.iter().zip(&outputs).filter(|(_, result)| !result.is_empty());
        let behind = Self::results(&mut scope, &produced, pairs);
        for mut tensor in std::mem::take(&mut branch.initializer) {
            let name = text(tensor.name.as_ref());
            let fresh = match scope.names.get(&name) {
                Some(name) => name.clone(),
                None => self.fresh(&scope.prefix, &name),
            };
            scope.names.insert(name, fresh.clone());
            self.note_condition(&fresh, &tensor);
            tensor.name = Some(fresh);
            self.initializers.push(tensor);
        }
        self.nodes(branch.node, &mut scope)?;
        self.identities(behind, &scope)
    }

    /// Gives results of a body the names that its caller wants; returns those that need an `Identity`: what the body
    /// passes on as it is, or more than once.
    fn results<'a>(
        scope: &mut Scope,
        produced: &HashSet<String>,
        pairs: impl Iterator<Item = (&'a String, &'a String)>,
    ) -> Vec<(String, String)> {
        let mut behind = Vec::new();
        for (inside, outside) in pairs {
            if produced.contains(inside) && !scope.names.contains_key(inside) {
                scope.names.insert(inside.clone(), outside.clone());
            } else {
                behind.push((inside.clone(), outside.clone()));
            }
        }
        behind
    }

    fn identities(&mut self, pairs: Vec<(String, String)>, scope: &Scope) -> Result<(), OnnxError> {
        for (inside, outside) in pairs {
            let input = scope.names.get(&inside).cloned().unwrap_or(inside);
            let proto = NodeProto {
                input: vec![input],
                name: Some(format!("{}/{outside}", scope.prefix)),
                output: vec![outside],
                op_type: Some("Identity".to_owned()),
                ..NodeProto::default()
            };
            self.push(proto, scope)?;
        }
        Ok(())
    }
}

fn produced(nodes: &[NodeProto]) -> HashSet<String> {
    nodes.iter().flat_map(|node| node.output.iter().cloned()).collect()
}

/// The tensor of a `Constant` node.
fn value(node: &NodeProto) -> Option<&TensorProto> {
    node.attribute.iter().find(|a| a.name.as_deref() == Some("value")).and_then(|a| a.t.as_ref())
}
