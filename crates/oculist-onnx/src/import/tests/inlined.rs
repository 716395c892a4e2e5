//! Functions and branches that are put in place.

use super::{attribute, good, graph, node};
use crate::proto::{
    AttributeProto, AttributeType, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto,
    ValueInfoProto,
};

fn call(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..NodeProto::default()
    }
}

fn ops(model: ModelProto) -> Vec<(String, String)> {
    let read = graph(model).unwrap_or_else(|e| panic!("{e}"));
    read.nodes().iter().take(4).map(|n| (n.op.name().to_owned(), n.name.clone())).collect()
}

/// `Elu` with an attribute of the caller, then `Relu`.
fn function(name: &str, inner: NodeProto) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("local".into()),
        input: vec!["x".into()],
        output: vec!["z".into()],
        node: vec![inner, call("Relu", &["y"], &["z"])],
        ..FunctionProto::default()
    }
}

#[test]
fn a_function_of_the_model_is_put_in_place() {
    let mut model = good();
    let mut elu = call("Elu", &["x"], &["y"]);
    elu.attribute.push(AttributeProto {
        ref_attr_name: Some("slope".into()),
        ..attribute("alpha", AttributeType::Float)
    });
    model.functions.push(function("Smooth", elu));
    let relu = node(&mut model, "relu");
    (relu.op_type, relu.domain) = (Some("Smooth".into()), Some("local".into()));
    relu.attribute.push(AttributeProto { f: Some(0.5), ..attribute("slope", AttributeType::Float) });
    let read = graph(model.clone()).expect("a function");
    assert_eq!(
        read.nodes()[0].op,
        oculist_graph::Op::Unary(oculist_graph::Unary::Elu { alpha: 0.5 }),
        "{}",
        read.dump()
    );
    let names = ops(model);
    assert_eq!(names[0], ("Elu".into(), "relu/Elu".into()));
    assert_eq!(names[1], ("Relu".into(), "relu/Relu".into()));
    assert!(read.find("relu.out").is_some(), "the result keeps the caller's name");
}

#[test]
fn a_function_that_calls_itself_ends() {
    let mut model = good();
    let mut inner = call("Endless", &["x"], &["y"]);
    inner.domain = Some("local".into());
    model.functions.push(function("Endless", inner));
    let relu = node(&mut model, "relu");
    (relu.op_type, relu.domain) = (Some("Endless".into()), Some("local".into()));
    let error = graph(model).expect_err("it has no end").to_string();
    assert!(error.ends_with("functions and branches lie more than 32 deep in each other"), "{error}");
}

#[test]
fn functions_that_multiply_are_refused() {
    let mut model = good();
    // Each calls the next one twice, and the last does nothing: 2^25 calls and no node.
    for i in 0..25 {
        let mut calls =
            vec![call(&format!("F{}", i + 1), &["x"], &["y"]), call(&format!("F{}", i + 1), &["x"], &["z"])];
        for node in &mut calls {
            node.domain = Some("local".into());
        }
        let mut function = function(&format!("F{i}"), calls.remove(0));
        function.node.truncate(1);
        function.node.append(&mut calls);
        model.functions.push(function);
    }
    let mut last = function("F25", call("Relu", &["x"], &["z"]));
    last.node.clear();
    model.functions.push(last);
    let relu = node(&mut model, "relu");
    (relu.op_type, relu.domain) = (Some("F0".into()), Some("local".into()));
    let error = graph(model).expect_err("it grows without end").to_string();
    assert!(error.contains("more than 262144 nodes"), "{error}");
}

fn branch(nodes: Vec<NodeProto>, output: &str) -> AttributeProto {
    let output = ValueInfoProto { name: Some(output.into()), r#type: None };
    let g = GraphProto { node: nodes, output: vec![output], ..GraphProto::default() };
    AttributeProto { g: Some(Box::new(g)), ..attribute("", AttributeType::Graph) }
}

/// The good model with its `Relu` within an `If`: then `Abs` and `Relu`, else the input as it is.
fn with_if(condition: Option<u8>) -> ModelProto {
    let mut model = good();
    let named =
        |name: &str, attribute: AttributeProto| AttributeProto { name: Some(name.into()), ..attribute };
    // The inner name is one that the model has as well.
    let then = branch(vec![call("Abs", &["input"], &["conv.out"]), call("Relu", &["conv.out"], &["r"])], "r");
    let otherwise = branch(vec![], "input");
    let relu = node(&mut model, "relu");
    relu.op_type = Some("If".into());
    relu.input = vec!["condition".into()];
    relu.attribute = vec![named("then_branch", then), named("else_branch", otherwise)];
    if let Some(value) = condition {
        model.graph.as_mut().expect("a graph").initializer.push(TensorProto {
            name: Some("condition".into()),
            data_type: Some(9),
            raw_data: Some(vec![value]),
            ..TensorProto::default()
        });
    }
    model
}

#[test]
fn the_branch_of_a_constant_condition_is_put_in_place() {
    let names = ops(with_if(Some(1)));
    assert_eq!(names[0], ("Abs".into(), "relu/Abs".into()));
    assert_eq!(names[1], ("Relu".into(), "relu/Relu".into()));
    assert_eq!(names[2].0, "Conv");
    let names = ops(with_if(Some(0)));
    assert_eq!(names[0].0, "Identity");
    assert_eq!(names[1].0, "Conv");
}

#[test]
fn a_condition_that_is_computed_is_control_flow() {
    let error = graph(with_if(None)).expect_err("an open condition").to_string();
    assert!(
        error.starts_with("node `relu`: the operator If is not supported: it is control flow"),
        "{error}"
    );
}
