//! Graphs whose images are bytes, and graphs that want blue first.

use oculist_graph::{Cast, DataType, Gather, Graph, Node, Op, Tensor, TensorData, ValueId};

use crate::edit::Names;
use crate::{PassError, Result};

/// Metadata key of the input's element type where it is not f32: `u8`, images as bytes 0 to 255.
pub const TYPE_KEY: &str = "oculist.input_type";
/// Metadata key of the order of the input's colours: `RGB` or `BGR`; without it, `RGB`.
pub const COLORS_KEY: &str = "oculist.input_colors";
const BYTES: &str = "u8";
const BGR: &str = "BGR";

/// The same graph with an f32 input that takes the numbers 0 to 255; `None` if its one input is none of bytes.
///
/// # What it does
/// The input and all that only moves or picks its elements become f32, up to the casts to floats that such graphs begin
/// with. The metadata remember it ([`TYPE_KEY`]), so that [`bytes_again`] can put it back when the graph is written.
///
/// # Applies when
/// The graph has one input, of u8.
///
/// # Preserves
/// The function, of whole numbers 0 to 255.
///
/// # Errors
/// [`PassError::Data`] if an operator computes with the bytes themselves; [`PassError::Graph`] if the graph is invalid.
pub fn float_images(graph: &Graph) -> Result<Option<Graph>> {
    graph.check()?;
    let &[input] = graph.inputs() else { return Ok(None) };
    if graph.value(input).dtype != DataType::U8 {
        return Ok(None);
    }
    let mut out = graph.clone();
    out.set_input_type(input, DataType::F32);
    let same_outputs = |out: &Graph| {
        let types = |g: &Graph| g.outputs().iter().map(|&v| g.value(v).dtype).collect::<Vec<_>>();
        types(out) == types(graph)
    };
    if let Err(problem) = out.tidy().and_then(|()| out.check()) {
        return Err(as_bytes(graph, input, &problem.to_string()));
    }
    // What compares, divides or counts bytes would do so with floats now.
    let mut bytes = vec![false; graph.values().len()];
    bytes[input.index()] = true;
    // Nodes are in order.
    for node in graph.nodes() {
        if !node.inputs.iter().any(|v| bytes[v.index()]) {
            continue;
        }
        if let Op::Cast(cast) = &node.op {
            // Integers that hold every byte may be counted with afterwards, those that do not may wrap.
            let whole = matches!(cast.to, DataType::I16 | DataType::I32 | DataType::I64)
                || matches!(cast.to, DataType::U16 | DataType::U32 | DataType::U64);
            if cast.to.is_float() || whole {
                continue;
            }
        }
        if !moves(&node.op) {
            let problem = format!("node `{}` ({}) computes with them", node.name, node.op.name());
            return Err(as_bytes(graph, input, &problem));
        }
        for output in &node.outputs {
            bytes[output.index()] = graph.value(*output).dtype == DataType::U8;
        }
    }
    if !same_outputs(&out) {
        return Err(as_bytes(graph, input, "they are given out"));
    }
    out.metadata.insert(TYPE_KEY.to_owned(), BYTES.to_owned());
    Ok(Some(out))
}

/// Whether an operator gives elements of its first input as they are.
fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity(_)
            | Op::Reshape(_)
            | Op::Flatten(_)
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Transpose(_)
            | Op::Slice(_)
            | Op::Split(_)
            | Op::Concat(_)
            | Op::Gather(_)
            | Op::Pad(_)
            | Op::ShapeOf(_)
            | Op::SizeOf(_)
    )
}

fn as_bytes(graph: &Graph, input: ValueId, problem: &str) -> PassError {
    PassError::Data {
        pass: "float_images",
        value: graph.value(input).name.clone(),
        problem: format!("expected bytes that become floats before anything is computed of them: {problem}"),
    }
}

/// The graph with the input type of its file: the reverse of [`float_images`].
///
/// # What it does
/// The input becomes u8 and a `Cast` to f32 stands behind it.
///
/// # Applies when
/// The metadata say that the file's input is u8. Otherwise the graph stays as it is.
///
/// # Preserves
/// The function, of whole numbers 0 to 255.
///
/// # Errors
/// [`PassError::Graph`] if the graph is invalid.
pub fn bytes_again(graph: &Graph) -> Result<Graph> {
    let &[input] = graph.inputs() else { return Ok(graph.clone()) };
    if graph.metadata.get(TYPE_KEY).is_none_or(|kind| kind != BYTES) {
        return Ok(graph.clone());
    }
    let mut out = graph.clone();
    out.set_input_type(input, DataType::U8);
    behind(&mut out, input, "float", Cast { to: DataType::F32 }.into(), &[])?;
    Ok(out)
}

/// The same graph for images with red first, where it wants blue first.
///
/// # What it does
/// A `Gather` that turns the colours stands behind the input, or one that does so goes. The metadata say whether the
/// file's order is the other one ([`COLORS_KEY`]).
///
/// # Applies when
/// The graph has one input `[N, 3, H, W]`.
///
/// # Preserves
/// The function, of images with the other order of colours.
///
/// # Errors
/// [`PassError::Data`] for another input; [`PassError::Graph`] if the graph is invalid.
pub fn red_first(graph: &Graph) -> Result<Graph> {
    let mut out = turned(graph)?;
    out.metadata.insert(COLORS_KEY.to_owned(), BGR.to_owned());
    Ok(out)
}

/// Whether a graph's file wants blue first.
pub fn is_blue_first(graph: &Graph) -> bool {
    graph.metadata.get(COLORS_KEY).is_some_and(|order| order == BGR)
}

/// The graph with the order of colours of its file: the reverse of [`red_first`], for graphs that it has changed.
///
/// # Applies when
/// The metadata say that the file's order is BGR. Otherwise the graph stays as it is.
///
/// # Errors
/// As [`red_first`].
pub fn blue_first_again(graph: &Graph) -> Result<Graph> {
    if is_blue_first(graph) { turned(graph) } else { Ok(graph.clone()) }
}

fn turned(graph: &Graph) -> Result<Graph> {
    graph.check()?;
    let &[input] = graph.inputs() else {
        return Err(PassError::Data {
            pass: "red_first",
            value: graph.name().to_owned(),
            problem: format!("expected one input, found {}", graph.inputs().len()),
        });
    };
    if graph.shape(input).get(1) != Some(3) || graph.shape(input).rank() != 4 {
        return Err(PassError::Data {
            pass: "red_first",
            value: graph.value(input).name.clone(),
            problem: format!("expected images [N, 3, H, W], found {}", graph.type_of(input)),
        });
    }
    let mut out = graph.clone();
    let readers: Vec<&Node> =
        graph.nodes().iter().filter(|node| node.inputs.iter().any(|v| v == input)).collect();
    if let [node] = readers[..]
        && is_turn(graph, node)
        && !graph.outputs().contains(&input)
        && !graph.outputs().contains(&node.output())
    {
        out.replace_uses(node.output(), input);
        out.tidy()?;
        out.check()?;
        return Ok(out);
    }
    let order = Tensor::new(vec![3], TensorData::I64(vec![2, 1, 0]))?;
    behind(&mut out, input, "colors", Gather { axis: 1 }.into(), &[order])?;
    Ok(out)
}

/// Whether a node turns the colours of an image.
fn is_turn(graph: &Graph, node: &Node) -> bool {
    let order = || node.inputs.get(1).and_then(|v| graph.param(v)).and_then(Tensor::to_i64s);
    matches!(&node.op, Op::Gather(gather) if gather.axis == 1)
        && order().is_some_and(|order| order == [2, 1, 0])
}

/// Puts a node between the input and all that reads it.
fn behind(out: &mut Graph, input: ValueId, what: &str, op: Op, params: &[Tensor]) -> Result<()> {
    let name = out.value(input).name.clone();
    let mut names = Names::of(out);
    let mut inputs = vec![input];
    for tensor in params {
        inputs.push(out.add_param(names.fresh(&format!("{name}.{what}.order")), tensor.clone()));
    }
    let y = out.add_activation(names.fresh(&format!("{name}.{what}")));
    out.map_uses(|v| if v == input { y } else { v });
    let name = Names::of_nodes(out).fresh(&format!("{name}.{what}"));
    out.edit().push(Node { name, op, inputs: inputs.into(), outputs: vec![y] });
    out.tidy()?;
    out.check()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Binary, Conv, GraphBuilder, Shape, Transpose};
    use oculist_kernels::Context;
    use oculist_testing::formula;

    use super::*;
    use crate::simplify::simplify;

    fn run(graph: &Graph, x: Tensor) -> Vec<f32> {
        oculist_plain::run(&Context::new(1).unwrap(), graph, vec![x]).unwrap()[0].to_f32s()
    }

    fn pixels() -> Vec<u8> {
        (0..60u8).map(|i| i.wrapping_mul(77)).collect()
    }

    /// Bytes `[1, 4, 5, 3]`, turned, made floats and centred.
    fn bytes() -> Graph {
        let mut graph = Graph::new("bytes");
        let x = graph.add_typed_input("image", DataType::U8, Shape::fixed(&[1, 4, 5, 3]));
        let y = graph.add_node("turn", Transpose::new(&[0, 3, 1, 2]), [x]);
        let y = graph.add_node("float", Cast { to: DataType::F32 }, [y]);
        let mean = graph.add_param("mean", Tensor::f32(&[1, 3, 1, 1], vec![100.0, 110.0, 120.0]));
        let y = graph.add_node("centre", Binary::Sub, [y, mean]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    }

    #[test]
    fn images_of_bytes_are_given_as_numbers() {
        let graph = bytes();
        let x = Tensor::new(vec![1, 4, 5, 3], TensorData::U8(pixels())).unwrap();
        let want = run(&graph, x.clone());
        let float = float_images(&graph).unwrap().unwrap();
        assert_eq!(float.value(float.inputs()[0]).dtype, DataType::F32);
        let numbers = Tensor::f32(&[1, 4, 5, 3], pixels().into_iter().map(f32::from).collect());
        let simple = simplify(&float).unwrap().graph;
        assert_eq!(run(&simple, numbers.clone()), want);
        assert_ne!(run(&simple, Tensor::filled(&[1, 4, 5, 3], 7.0)), want);
        let again = bytes_again(&simple).unwrap();
        assert_eq!(run(&again, x), want);
        assert_eq!(again.value(again.inputs()[0]).name, "image");
        // Floats stay as they are.
        assert_eq!(float_images(&float).unwrap(), None);
        let mut plain = float.clone();
        plain.metadata.clear();
        assert_eq!(bytes_again(&plain).unwrap(), plain);
    }

    #[test]
    fn what_computes_with_bytes_is_refused() {
        let mut graph = Graph::new("bytes");
        let x = graph.add_typed_input("image", DataType::U8, Shape::fixed(&[1, 3, 4, 4]));
        let scale = graph.add_param("scale", Tensor::f32(&[], vec![0.5]));
        let y = graph.add_node("dequantize", oculist_graph::DequantizeLinear::along(1), [x, scale]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        let error = float_images(&graph).unwrap_err().to_string();
        assert!(error.contains("`image`") && error.contains("dequantize"), "{error}");
        let mut given = Graph::new("given");
        let x = given.add_typed_input("image", DataType::U8, Shape::fixed(&[1, 3]));
        let y = given.add_node("same", oculist_graph::Identity, [x]);
        given.set_outputs(vec![y]);
        given.tidy().unwrap();
        assert!(float_images(&given).unwrap_err().to_string().contains("given out"));
    }

    #[test]
    fn colours_are_turned_and_turned_back() {
        let mut b = GraphBuilder::new("caffe");
        let x = b.input("data", 3, 4, 5);
        let y = b.conv("conv", x, 2, Conv::square(3, 1, 1), true);
        let mut graph = b.finish(y).unwrap();
        let params: Vec<_> =
            graph.params().map(|(id, v, t)| (id, v.name.clone(), t.shape().to_vec())).collect();
        for (id, name, shape) in params {
            let values = formula::tensor(&name, shape.iter().product());
            graph.set_param(id, Tensor::f32(&shape, values));
        }
        let x = formula::tensor("x", 60);
        let turned: Vec<f32> = x.chunks(20).rev().flatten().copied().collect();
        let tensor = |x: &[f32]| Tensor::f32(&[1, 3, 4, 5], x.to_vec());
        let want = run(&graph, tensor(&x));
        let red = red_first(&graph).unwrap();
        assert!(is_blue_first(&red) && !is_blue_first(&graph));
        assert_eq!(run(&red, tensor(&turned)), want);
        assert_ne!(run(&red, tensor(&x)), want);
        let again = blue_first_again(&red).unwrap();
        assert_eq!((again.nodes(), run(&again, tensor(&x))), (graph.nodes(), want));
        assert_eq!(blue_first_again(&graph).unwrap(), graph);
        let mut grey = GraphBuilder::new("grey");
        let x = grey.input("data", 1, 4, 5);
        let y = grey.relu("relu", x);
        assert!(red_first(&grey.finish(y).unwrap()).unwrap_err().to_string().contains("[N, 3, H, W]"));
    }
}
