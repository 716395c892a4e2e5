//! The text form, for tests and for people.

use std::fmt::Write;

use crate::graph::{Graph, ValueId, ValueKind};
use crate::op::Op;

impl Graph {
    /// One line per input, node and output: operator, attributes, input names, output shape.
    pub fn dump(&self) -> String {
        let mut out = String::new();
        let shape = |id: ValueId| {
            let v = self.value(id);
            format!("{}{}", v.dtype.name(), v.shape.as_ref().map_or("?".into(), ToString::to_string))
        };
        let _ = writeln!(out, "graph {}", self.name);
        for &input in &self.inputs {
            let _ = writeln!(out, "  input {}: {}", self.value(input).name, shape(input));
        }
        for node in &self.nodes {
            let inputs: Vec<String> = node
                .inputs
                .iter()
                .map(|&v| {
                    let value = self.value(v);
                    if matches!(value.kind, ValueKind::Param(_)) {
                        format!("{} {}", value.name, shape(v))
                    } else {
                        value.name.clone()
                    }
                })
                .collect();
            let _ = writeln!(
                out,
                "  {}: {} = {}{}({})",
                self.value(node.output).name,
                shape(node.output),
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

fn attributes(op: &Op) -> String {
    match op {
        Op::Conv(c) => {
            let mut s = format!("[{}x{}", c.kernel[0], c.kernel[1]);
            if c.stride != [1, 1] {
                let _ = write!(s, " s{}x{}", c.stride[0], c.stride[1]);
            }
            if c.padding != [0; 4] {
                let _ = write!(s, " p{:?}", c.padding);
            }
            if c.dilation != [1, 1] {
                let _ = write!(s, " d{}x{}", c.dilation[0], c.dilation[1]);
            }
            if c.groups != 1 {
                let _ = write!(s, " g{}", c.groups);
            }
            s + "]"
        }
        Op::MaxPool(p) | Op::AveragePool { pool: p, .. } => {
            format!("[{}x{} s{}x{} p{:?}]", p.kernel[0], p.kernel[1], p.stride[0], p.stride[1], p.padding)
        }
        Op::Clip { min, max } => format!("[{min}..{max}]"),
        Op::PadChannels { before, after } => format!("[{before}+{after}]"),
        _ => String::new(),
    }
}
