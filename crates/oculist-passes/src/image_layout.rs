//! Graphs whose images lie with their channels last, as tf2onnx writes them unless it is told otherwise.

use oculist_graph::{DataType, Dim, Graph, Node, Op, Shape, Transpose, ValueId};

use crate::edit::Names;
use crate::{PassError, Result};

const PASS: &str = "channels_first";

/// Metadata key of the order of the input's axes, `NCHW` or `NHWC`; it decides where sizes and operators leave it open.
pub const LAYOUT_KEY: &str = "oculist.input_layout";
const FIRST: &str = "NCHW";
const LAST: &str = "NHWC";

/// From `[N, C, H, W]` to `[N, H, W, C]`, and back.
const TO_LAST: [usize; 4] = [0, 2, 3, 1];
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

/// The same graph with an input `[N, C, H, W]`; `None` if its input is none of images with their channels last.
///
/// # What it does
/// The input takes the other shape and a `Transpose` brings it into the order that the graph reads; simplification cancels
/// it with the one that such graphs begin with. The metadata remember the order ([`LAYOUT_KEY`]), so that
/// [`channels_last_again`] can put it back when the graph is written.
///
/// # Applies when
/// The graph has one input, f32 of four axes whose sizes are known but for the first. What the order is says, in this order: the
/// metadata; `image`, the channels, height and width of the images that it will be given, if one order alone fits them; the
/// first operators behind the input (a `Transpose` to NCHW, or a layer that reads it as it is); an axis of 1 or 3 channels
/// at one end alone.
///
/// # Preserves
/// The function, of images in the other order.
///
/// # Errors
/// [`PassError::Data`] if the order is open, or the metadata hold another word; [`PassError::Graph`] if the graph is invalid.
pub fn channels_first(graph: &Graph, image: Option<(usize, usize, usize)>) -> Result<Option<Graph>> {
    let &[input] = graph.inputs() else { return Ok(None) };
    if !has_channels_last(graph, input, image)? {
        return Ok(None);
    }
    let mut out = reordered(graph, input, &TO_LAST)?;
    out.metadata.insert(LAYOUT_KEY.to_owned(), LAST.to_owned());
    Ok(Some(out))
}

/// The graph with its input in the order of its file: the reverse of [`channels_first`], for graphs that it has changed.
///
/// # What it does
/// The input becomes `[N, H, W, C]` and a `Transpose` stands behind it.
///
/// # Applies when
/// The metadata say that the file's order is NHWC. Otherwise the graph stays as it is.
///
/// # Preserves
/// The function, of images in the other order.
///
/// # Errors
/// [`PassError::Graph`] if the graph is invalid.
pub fn channels_last_again(graph: &Graph) -> Result<Graph> {
    match graph.inputs() {
        &[input] if graph.metadata.get(LAYOUT_KEY).is_some_and(|order| order == LAST) => {
            reordered(graph, input, &TO_FIRST)
        }
        _ => Ok(graph.clone()),
    }
}

/// The graph with its input in another order; `order` leads to the one that its readers know.
fn reordered(graph: &Graph, input: ValueId, order: &[usize; 4]) -> Result<Graph> {
    let known = graph.shape(input).dims();
    let mut dims = [Dim::Unknown; 4];
    for (&from, &dim) in order.iter().zip(known) {
        dims[from] = dim;
    }
    let mut out = graph.clone();
    out.set_input_shape(input, Shape::new(dims.to_vec()));
    let order = order.map(|axis| i64::try_from(axis).unwrap_or(i64::MAX));
    let name = &graph.value(input).name;
    let ordered = out.add_activation(Names::of(graph).fresh(&format!("{name}.ordered")));
    out.map_uses(|v| if v == input { ordered } else { v });
    let name = Names::of_nodes(graph).fresh(&format!("{name}.order"));
    out.edit().push(Node {
        name,
        op: Transpose::new(&order).into(),
        inputs: vec![input].into(),
        outputs: vec![ordered],
    });
    out.tidy()?;
    out.check()?;
    Ok(out)
}

fn has_channels_last(graph: &Graph, input: ValueId, image: Option<(usize, usize, usize)>) -> Result<bool> {
    let value = graph.value(input);
    let shape = graph.shape(input);
    let Some((a, b, c)) = shape.chw().filter(|_| shape.rank() == 4 && value.dtype == DataType::F32) else {
        return Ok(false);
    };
    let problem = |problem: String| PassError::Data { pass: PASS, value: value.name.clone(), problem };
    match graph.metadata.get(LAYOUT_KEY).map(String::as_str) {
        Some(FIRST) => return Ok(false),
        Some(LAST) => return Ok(true),
        Some(other) => {
            let text = format!("expected {FIRST} or {LAST} in the metadata `{LAYOUT_KEY}`, found {other:?}");
            return Err(problem(text));
        }
        None => {}
    }
    if let Some((channels, height, width)) = image {
        match ((a, b, c) == (channels, height, width), (a, b, c) == (height, width, channels)) {
            // Whoever compares the sizes says that neither fits.
            (true | false, false) => return Ok(false),
            (false, true) => return Ok(true),
            (true, true) => {}
        }
    }
    let channels = |size: usize| size == 1 || size == 3;
    let sizes = match (channels(a), channels(c)) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    };
    match (readers(graph, input), sizes) {
        // A graph that turns `[N, 3, H, W]` so begins with something else than a change of order.
        (Readers { turned: true, layer: false }, sizes) => Ok(sizes != Some(false)),
        (Readers { layer: true, .. }, _) => Ok(false),
        (_, Some(last)) => Ok(last),
        // Of one column or one pixel, both orders are one; sizes that no image has as channels are those of maps.
        _ if !channels(a) || [a, b, c].iter().filter(|&&size| size > 1).count() < 2 => Ok(false),
        _ => Err(problem(format!(
            "the input {shape} may be images {FIRST} of {a} channels or {LAST} of {c}, and no operator that reads it \
             tells which; write `{FIRST}` or `{LAST}` into the model's metadata as `{LAYOUT_KEY}`"
        ))),
    }
}

/// Which operators read the images first, behind those that give values of the same shape.
struct Readers {
    /// A `Transpose` from NHWC to NCHW.
    turned: bool,
    /// A layer with weights.
    layer: bool,
}

fn readers(graph: &Graph, input: ValueId) -> Readers {
    let mut found = Readers { turned: false, layer: false };
    let mut follows = vec![false; graph.values().len()];
    follows[input.index()] = true;
    // Nodes are in order.
    for node in graph.nodes() {
        let Some(first) = node.inputs.iter().find(|v| follows[v.index()]) else { continue };
        if let Op::Transpose(transpose) = &node.op {
            found.turned |= transpose.axes(4).is_ok_and(|axes| axes == TO_FIRST);
        } else if node.op.is_layer() {
            found.layer = true;
        } else {
            for &output in node.outputs.iter().filter(|&&v| graph.shape(v) == graph.shape(first)) {
                follows[output.index()] = true;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use oculist_graph::{Binary, Conv, Flatten, GraphBuilder, Tensor, Unary};
    use oculist_kernels::Context;
    use oculist_testing::formula;

    use super::*;
    use crate::simplify::simplify;

    /// A network that reads `[N, 6, 5, 3]`: scales each channel, turns the image, and classifies it.
    fn last(fixed: bool) -> Graph {
        let mut graph = Graph::new("last");
        let batch = if fixed { Dim::Fixed(2) } else { Dim::Batch };
        let dims = [batch, Dim::Fixed(6), Dim::Fixed(5), Dim::Fixed(3)];
        let x = graph.add_input("image", Shape::new(dims.to_vec()));
        let mean = graph.add_param("mean", Tensor::f32(&[3], vec![0.4, 0.5, 0.6]));
        let spread = graph.add_param("spread", Tensor::f32(&[1, 1, 3], vec![2.0, 3.0, 4.0]));
        let y = graph.add_node("centre", Binary::Sub, [x, mean]);
        let y = graph.add_node("scale", Binary::Mul, [y, spread]);
        let y = graph.add_node("turn", Transpose::new(&[0, 3, 1, 2]), [y]);
        let weight = graph.add_param("weight", formula_tensor("weight", &[4, 3, 3, 3]));
        let y = graph.add_node("conv", Conv::square(3, 1, 1), [y, weight]);
        let y = graph.add_node("relu", Unary::Relu, [y]);
        let y = graph.add_node("flat", Flatten::IMAGES, [y]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        graph
    }

    fn formula_tensor(name: &str, shape: &[usize]) -> Tensor {
        Tensor::f32(shape, formula::tensor(name, shape.iter().product()))
    }

    fn run(graph: &Graph, shape: &[usize], x: Vec<f32>) -> Vec<f32> {
        let ctx = Context::new(1).unwrap();
        oculist_plain::run(&ctx, graph, vec![Tensor::f32(shape, x)]).unwrap()[0].to_f32s()
    }

    /// `[2, 6, 5, 3]` as `[2, 3, 6, 5]`, by its definition.
    fn turned(x: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for (n, c) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
            for h in 0..6 {
                out.extend((0..5).map(|w| x[((n * 6 + h) * 5 + w) * 3 + c]));
            }
        }
        out
    }

    #[test]
    fn images_with_channels_last_are_given_with_channels_first() {
        let graph = last(false);
        let x = formula::tensor("image", 2 * 6 * 5 * 3);
        let want = run(&graph, &[2, 6, 5, 3], x.clone());
        let first = channels_first(&graph, None).unwrap().unwrap();
        assert_eq!(first.input_chw(), Some((3, 6, 5)));
        assert_eq!(run(&first, &[2, 3, 6, 5], turned(&x)), want);
        assert_ne!(run(&first, &[2, 3, 6, 5], x.clone()), want, "the order matters");
        // Nothing of the two orders is left, and the scales go on.
        let simple = simplify(&first).unwrap().graph;
        assert!(simple.nodes().iter().all(|n| n.op.name() != "Transpose"), "{}", simple.dump());
        let found = run(&simple, &[2, 3, 6, 5], turned(&x));
        let off = found.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{off}");
        // What is written takes what the file took, under the same name.
        let again = channels_last_again(&simple).unwrap();
        assert_eq!(again.value(again.inputs()[0]).name, "image");
        assert_eq!(again.shape(again.inputs()[0]), graph.shape(graph.inputs()[0]));
        let found = run(&again, &[2, 6, 5, 3], x.clone());
        let off = found.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{off}");
        // And is read again as it was.
        let twice = simplify(&channels_first(&again, None).unwrap().unwrap()).unwrap().graph;
        assert_eq!(twice.nodes().len(), simple.nodes().len());
        assert_eq!(
            channels_first(&last(true), Some((3, 6, 5))).unwrap().unwrap().input_chw(),
            Some((3, 6, 5))
        );
    }

    #[test]
    fn what_has_its_channels_first_stays() {
        let conv = |c: usize, h: usize, w: usize| {
            let mut b = GraphBuilder::new("first");
            let x = b.input("x", c, h, w);
            let y = b.conv("conv", x, 4, Conv::square(1, 1, 0), false);
            b.finish(y).unwrap()
        };
        // Sizes alone would say otherwise of the second and nothing of the others.
        for graph in [conv(3, 8, 8), conv(2, 4, 3), conv(3, 8, 3), conv(16, 8, 8)] {
            assert_eq!(channels_first(&graph, None).unwrap(), None);
        }
        let again = channels_last_again(&conv(3, 8, 8)).unwrap();
        assert_eq!(again, conv(3, 8, 8));
        let mut row = Graph::new("row");
        let x = row.add_input("x", Shape::nc(3));
        let y = row.add_node("relu", Unary::Relu, [x]);
        row.set_outputs(vec![y]);
        row.tidy().unwrap();
        assert_eq!(channels_first(&row, None).unwrap(), None);
    }

    #[test]
    fn what_is_open_is_an_error_that_names_the_choices() {
        let flat = |c: usize, h: usize, w: usize| {
            let mut b = GraphBuilder::new("flat");
            let x = b.input("pixels", c, h, w);
            let y = b.op("flat", Flatten::IMAGES, &[x]);
            b.finish(y).unwrap()
        };
        let error = channels_first(&flat(3, 8, 3), None).unwrap_err().to_string();
        for word in ["`pixels`", "[N, 3, 8, 3]", "NCHW of 3 channels or NHWC of 3", LAYOUT_KEY] {
            assert!(error.contains(word), "{word}: {error}");
        }
        let mut told = flat(3, 8, 3);
        told.metadata.insert(LAYOUT_KEY.into(), "NHWC".into());
        assert_eq!(channels_first(&told, None).unwrap().unwrap().input_chw(), Some((3, 3, 8)));
        told.metadata.insert(LAYOUT_KEY.into(), "NCHW".into());
        assert_eq!(channels_first(&told, None).unwrap(), None);
        told.metadata.insert(LAYOUT_KEY.into(), "CHWN".into());
        assert!(channels_first(&told, None).unwrap_err().to_string().contains("CHWN"));
        // What the images are settles it, as does an axis that is no number of channels.
        assert_eq!(channels_first(&flat(3, 8, 3), Some((3, 8, 3))).unwrap(), None);
        assert!(channels_first(&flat(3, 8, 3), Some((3, 3, 8))).unwrap().is_some());
        assert!(channels_first(&flat(8, 8, 3), None).unwrap().is_some());
        assert_eq!(channels_first(&flat(3, 8, 8), None).unwrap(), None);
        assert_eq!(channels_first(&flat(3, 1, 1), None).unwrap(), None);
    }
}
