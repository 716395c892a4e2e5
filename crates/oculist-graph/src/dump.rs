//! The text form, for tests and for people.

use std::fmt::Write;

use crate::graph::{Graph, ValueId, ValueKind};
use crate::op::Op;
use crate::shape::Dim;

impl Graph {
    /// Element type and shape of a value in words, such as `f32[N, 3, height, width]`: the batch is `N`, other symbolic
    /// dimensions have their names, `?` is a size that only the data tell.
    pub fn type_of(&self, id: ValueId) -> String {
        let value = self.value(id);
        let Some(shape) = &value.shape else { return format!("{}?", value.dtype.name()) };
        let dims: Vec<String> = shape
            .dims()
            .iter()
            .map(|dim| match dim {
                Dim::Symbol(number) => {
                    self.symbols.get(*number as usize).cloned().unwrap_or_else(|| dim.to_string())
                }
                Dim::Batch | Dim::Fixed(_) | Dim::Unknown => dim.to_string(),
            })
            .collect();
        format!("{}[{}]", value.dtype.name(), dims.join(", "))
    }

    /// One line per input, node and output: operator, attributes, input names, output shape.
    ///
    /// Attributes are ONNX's; those at their default are left out.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        let shape = |id: ValueId| self.type_of(id);
        let _ = writeln!(out, "graph {}", self.name);
        for &input in &self.inputs {
            let _ = writeln!(out, "  input {}: {}", self.value(input).name, shape(input));
        }
        for node in &self.nodes {
            let inputs: Vec<String> = node
                .inputs
                .slots()
                .iter()
                .map(|slot| {
                    let Some(v) = *slot else { return "-".to_owned() };
                    let value = self.value(v);
                    if matches!(value.kind, ValueKind::Param(_)) {
                        format!("{} {}", value.name, shape(v))
                    } else {
                        value.name.clone()
                    }
                })
                .collect();
            let outputs: Vec<String> =
                node.outputs.iter().map(|&v| format!("{}: {}", self.value(v).name, shape(v))).collect();
            let _ = writeln!(
                out,
                "  {} = {}{}({})",
                outputs.join(", "),
                node.op.name(),
                attributes(&node.op),
                inputs.join(", ")
            );
        }
        for &output in &self.outputs {
            let _ = writeln!(out, "  output {}", self.value(output).name);
        }
        out
    }
}

/// The attributes as ONNX names them.
fn attributes(op: &Op) -> String {
    let all: Vec<String> = op.attributes().iter().map(|(name, value)| format!("{name}={value}")).collect();
    if all.is_empty() { String::new() } else { format!("[{}]", all.join(" ")) }
}

#[cfg(test)]
mod tests {
    use crate::{
        AveragePool, Binary, Conv, Dim, Dropout, Flatten, Graph, GraphBuilder, Op, Plane, Shape, Unary,
    };

    #[test]
    fn the_text_form_shows_operators_attributes_and_shapes() {
        let mut b = GraphBuilder::new("net");
        let x = b.input("image", 3, 9, 9);
        let plane = Plane { kernel: [3, 3], stride: [2, 2], padding: [2, 1, 2, 1], dilation: [2, 1] };
        let wide = Conv::plane(plane, 1);
        let y = b.conv("stem", x, 4, wide, true);
        let y = b.batch_norm("norm", y, 0.001, 0.99);
        let y = b.op("act", Op::Unary(Unary::Clip { min: 0.0, max: 6.0 }), &[y]);
        let z = b.conv("depthwise", y, 4, Conv::square(1, 1, 0).with_groups(4), false);
        let z = b.batch_norm("norm2", z, 1e-5, 0.9);
        let z = b.op("gate", Op::Unary(Unary::HardSigmoid { alpha: 0.25, beta: 0.5 }), &[z]);
        let y = b.op("scale", Op::Binary(Binary::Mul), &[y, z]);
        let y = b.max_pool("pool", y, 3, 2, 1);
        let y = b.op("mean", AveragePool::square(2, 1, 0, true), &[y]);
        let y = b.pad_channels("pad", y, 1, 2);
        let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
        let y = b.op("dropout", Op::Dropout(Dropout { ratio: 0.2 }), &[y]);
        let y = b.linear("fc", y, 2);
        let text = b.finish(y).unwrap().dump();
        let norm = |name: &str| {
            format!(
                "{name}.weight f32[4], {name}.bias f32[4], {name}.running_mean f32[4], {name}.running_var f32[4]"
            )
        };
        let want = [
            "graph net".to_owned(),
            "  input image: f32[N, 3, 9, 9]".to_owned(),
            "  stem.out: f32[N, 4, 5, 5] = Conv[kernel_shape=[3, 3] strides=[2, 2] pads=[2, 1, 2, 1] dilations=[2, 1]](image, stem.weight f32[4, 3, 3, 3], \
             stem.bias f32[4])"
                .to_owned(),
            format!(
                "  norm.out: f32[N, 4, 5, 5] = BatchNormalization[epsilon=0.001 momentum=0.99](stem.out, {})",
                norm("norm")
            ),
            "  act.out: f32[N, 4, 5, 5] = Clip[min=0.0 max=6.0](norm.out)".to_owned(),
            "  depthwise.out: f32[N, 4, 5, 5] = Conv[kernel_shape=[1, 1] group=4](act.out, depthwise.weight f32[4, 1, 1, 1])".to_owned(),
            format!("  norm2.out: f32[N, 4, 5, 5] = BatchNormalization[epsilon=1e-5 momentum=0.9](depthwise.out, {})", norm("norm2")),
            "  gate.out: f32[N, 4, 5, 5] = HardSigmoid[alpha=0.25 beta=0.5](norm2.out)".to_owned(),
            "  scale.out: f32[N, 4, 5, 5] = Mul(act.out, gate.out)".to_owned(),
            "  pool.out: f32[N, 4, 3, 3] = MaxPool[kernel_shape=[3, 3] strides=[2, 2] pads=[1, 1, 1, 1]](scale.out)".to_owned(),
            "  mean.out: f32[N, 4, 2, 2] = AveragePool[kernel_shape=[2, 2] count_include_pad=1](pool.out)".to_owned(),
            "  pad.out: f32[N, 7, 2, 2] = Pad(mean.out, pad.pads i64[8])".to_owned(),
            "  flatten.out: f32[N, 28] = Flatten(pad.out)".to_owned(),
            "  dropout.out: f32[N, 28] = Dropout[ratio=0.2](flatten.out)".to_owned(),
            "  fc.out: f32[N, 2] = Gemm[transB=1](dropout.out, fc.weight f32[2, 28], fc.bias f32[2])".to_owned(),
            "  output fc.out".to_owned(),
        ]
        .join("\n")
            + "\n";
        assert_eq!(text, want);
    }

    #[test]
    fn symbolic_dimensions_have_their_names() {
        let mut graph = Graph::new("net");
        let (height, width) = (graph.symbol("height"), graph.symbol("width"));
        let x = graph.add_input("x", Shape::new(vec![Dim::Batch, Dim::Fixed(3), height, width]));
        let y = graph.add_node("relu", Unary::Relu, [x]);
        graph.set_outputs(vec![y]);
        graph.tidy().unwrap();
        let y = graph.outputs()[0];
        assert_eq!(graph.type_of(y), "f32[N, 3, height, width]");
        assert!(graph.dump().contains("relu.out: f32[N, 3, height, width] = Relu(x)"), "{}", graph.dump());
    }
}
