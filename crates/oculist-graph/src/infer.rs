//! Shape and type inference.

use crate::error::GraphError;
use crate::graph::{Graph, Node};
use crate::op::{Op, Pool};
use crate::shape::{Dim, Shape};
use crate::tensor::DataType;

impl Graph {
    /// Computes the shape and element type of every activation.
    ///
    /// # Errors
    /// [`GraphError::Node`] naming the first node whose inputs do not fit.
    pub fn infer_shapes(&mut self) -> Result<(), GraphError> {
        self.infer_shapes_from(0).map(|_| ())
    }

    /// Infers the nodes from number `first` on, for a graph that is being built and whose earlier nodes are inferred;
    /// returns the number of nodes, from which the next call can go on.
    ///
    /// # Errors
    /// As [`Graph::infer_shapes`].
    pub fn infer_shapes_from(&mut self, first: usize) -> Result<usize, GraphError> {
        if first == 0 {
            self.check_inputs()?;
        }
        for i in first..self.nodes.len() {
            let (shape, dtype) = infer_node(self, &self.nodes[i])?;
            let output = self.nodes[i].output;
            let value = &mut self.values[output.0];
            value.shape = Some(shape);
            value.dtype = dtype;
        }
        Ok(self.nodes.len())
    }

    /// Checks that the graph's inputs have elements, and not too many.
    pub(crate) fn check_inputs(&self) -> Result<(), GraphError> {
        for input in &self.inputs {
            let value = &self.values[input.0];
            if let Some(shape) = &value.shape
                && let Err(problem) = check_elements(shape)
            {
                let problem = format!("input `{}`: {problem}", value.name);
                return Err(GraphError::Structure { graph: self.name.clone(), problem });
            }
        }
        Ok(())
    }

    /// Infers only the last node, so that a builder stays linear in the number of nodes.
    pub(crate) fn infer_last(&mut self) -> Result<(), GraphError> {
        if let Some(node) = self.nodes.last() {
            let (shape, dtype) = infer_node(self, node)?;
            let value = &mut self.values[node.output.0];
            value.shape = Some(shape);
            value.dtype = dtype;
        }
        Ok(())
    }
}

struct Ctx<'a> {
    graph: &'a Graph,
    node: &'a Node,
}

impl Ctx<'_> {
    fn error(&self, problem: impl Into<String>) -> GraphError {
        GraphError::Node { node: self.node.name.clone(), op: self.node.op.name(), problem: problem.into() }
    }

    fn arity(&self, min: usize, max: usize) -> Result<(), GraphError> {
        let n = self.node.inputs.len();
        if (min..=max).contains(&n) {
            Ok(())
        } else if min == max {
            Err(self.error(format!("expected {min} inputs, found {n}")))
        } else if max == usize::MAX {
            Err(self.error(format!("expected at least {min} inputs, found {n}")))
        } else {
            Err(self.error(format!("expected {min} to {max} inputs, found {n}")))
        }
    }

    fn shape(&self, i: usize) -> Result<&Shape, GraphError> {
        let value = self.graph.value(self.node.inputs[i]);
        value.shape.as_ref().ok_or_else(|| {
            self.error(format!("input `{}` has no shape: it is produced later or never", value.name))
        })
    }

    fn dtype(&self, i: usize) -> DataType {
        self.graph.value(self.node.inputs[i]).dtype
    }

    fn expect_f32(&self, inputs: usize) -> Result<(), GraphError> {
        for i in 0..inputs.min(self.node.inputs.len()) {
            if self.dtype(i) != DataType::F32 {
                return Err(self.error(format!("input {i} must be f32, found {}", self.dtype(i).name())));
            }
        }
        Ok(())
    }

    fn nchw(&self, i: usize) -> Result<(Dim, usize, usize, usize), GraphError> {
        let shape = self.shape(i)?;
        match (shape.rank(), shape.chw()) {
            (4, Some((c, h, w))) => Ok((shape.dims()[0], c, h, w)),
            _ => Err(self.error(format!("expected input {i} of shape [N, C, H, W], found {shape}"))),
        }
    }

    fn vector(&self, i: usize, what: &str, len: usize) -> Result<(), GraphError> {
        let shape = self.shape(i)?;
        if shape.rank() == 1 && shape.get(0) == Some(len) {
            Ok(())
        } else {
            Err(self.error(format!("expected {what} of shape [{len}], found {shape}")))
        }
    }

    fn window(
        &self,
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 4],
        dilation: [usize; 2],
    ) -> Result<[usize; 2], GraphError> {
        let mut out = [0; 2];
        for a in 0..2 {
            if kernel[a] == 0 || stride[a] == 0 || dilation[a] == 0 {
                return Err(self.error("kernel, stride and dilation must be at least 1"));
            }
            // Saturating: attributes may come from a damaged model file.
            let padded = size[a].saturating_add(padding[a]).saturating_add(padding[a + 2]);
            let reach = dilation[a].saturating_mul(kernel[a] - 1).saturating_add(1);
            if padded < reach {
                return Err(self.error(format!(
                    "the window reaches over {reach} pixels, the padded input has only {padded} (input {}x{})",
                    size[0], size[1]
                )));
            }
            out[a] = ((padded - reach) / stride[a]).saturating_add(1);
        }
        Ok(out)
    }

    fn pool(&self, pool: &Pool) -> Result<Shape, GraphError> {
        self.arity(1, 1)?;
        let (n, c, h, w) = self.nchw(0)?;
        if (0..2).any(|a| pool.padding[a] >= pool.kernel[a] || pool.padding[a + 2] >= pool.kernel[a]) {
            return Err(self.error("padding must be smaller than the window"));
        }
        let [oh, ow] = self.window([h, w], pool.kernel, pool.stride, pool.padding, [1; 2])?;
        Ok(Shape::new(vec![n, Dim::Fixed(c), Dim::Fixed(oh), Dim::Fixed(ow)]))
    }
}

/// Refuses a shape without elements and one of more than [`Shape::MAX_ELEMENTS`].
fn check_elements(shape: &Shape) -> Result<(), String> {
    match shape.elements_per_sample() {
        0 => Err(format!("expected at least one element, found the shape {shape}")),
        n if n > Shape::MAX_ELEMENTS => {
            Err(format!("expected at most {} elements, found the shape {shape}", Shape::MAX_ELEMENTS))
        }
        _ => Ok(()),
    }
}

/// Shape and element type of a node's output from those of its inputs.
pub(crate) fn infer_node(graph: &Graph, node: &Node) -> Result<(Shape, DataType), GraphError> {
    let (shape, dtype) = infer_operator(graph, node)?;
    let ctx = Ctx { graph, node };
    check_elements(&shape).map_err(|problem| ctx.error(format!("its result: {problem}")))?;
    Ok((shape, dtype))
}

/// [`infer_node`] without regard to the size of the result.
fn infer_operator(graph: &Graph, node: &Node) -> Result<(Shape, DataType), GraphError> {
    let ctx = Ctx { graph, node };
    let f32_out = |shape: Shape| Ok((shape, DataType::F32));
    match &node.op {
        Op::Conv(conv) => {
            ctx.arity(2, 3)?;
            ctx.expect_f32(3)?;
            let (n, c, h, w) = ctx.nchw(0)?;
            let weight = ctx.shape(1)?.clone();
            if weight.rank() != 4 {
                return Err(ctx.error(format!(
                    "expected a weight of shape [c_out, c_in/groups, k_h, k_w], found {weight}"
                )));
            }
            let dims: Vec<usize> = (0..4).filter_map(|i| weight.get(i)).collect();
            let [c_out, c_per_group, kh, kw] = dims[..] else {
                return Err(ctx.error("the weight's shape must be known"));
            };
            if conv.groups == 0 || c_out == 0 || c_out % conv.groups != 0 {
                return Err(ctx.error(format!(
                    "weight {weight} has {c_out} output channels, which {} groups cannot share equally",
                    conv.groups
                )));
            }
            let takes = c_per_group.saturating_mul(conv.groups);
            if c != takes {
                return Err(ctx.error(format!(
                    "input has {c} channels, weight {weight} with {} groups takes {takes}",
                    conv.groups
                )));
            }
            if [kh, kw] != conv.kernel {
                return Err(ctx.error(format!("kernel {:?} does not match the weight {weight}", conv.kernel)));
            }
            if node.inputs.len() == 3 {
                ctx.vector(2, "a bias", c_out)?;
            }
            let [oh, ow] = ctx.window([h, w], conv.kernel, conv.stride, conv.padding, conv.dilation)?;
            f32_out(Shape::new(vec![n, Dim::Fixed(c_out), Dim::Fixed(oh), Dim::Fixed(ow)]))
        }
        Op::BatchNormalization { .. } => {
            ctx.arity(5, 5)?;
            ctx.expect_f32(5)?;
            let shape = ctx.shape(0)?.clone();
            let c =
                shape.channels().ok_or_else(|| ctx.error(format!("expected [N, C, ...], found {shape}")))?;
            for (i, what) in [(1, "gamma"), (2, "beta"), (3, "running_mean"), (4, "running_var")] {
                ctx.vector(i, what, c)?;
            }
            f32_out(shape)
        }
        Op::Relu
        | Op::Clip { .. }
        | Op::HardSigmoid { .. }
        | Op::HardSwish
        | Op::Sigmoid
        | Op::Dropout { .. } => {
            ctx.arity(1, 1)?;
            ctx.expect_f32(1)?;
            f32_out(ctx.shape(0)?.clone())
        }
        Op::Identity => {
            ctx.arity(1, 1)?;
            Ok((ctx.shape(0)?.clone(), ctx.dtype(0)))
        }
        Op::Softmax => {
            ctx.arity(1, 1)?;
            ctx.expect_f32(1)?;
            let shape = ctx.shape(0)?.clone();
            if shape.rank() == 2 {
                f32_out(shape)
            } else {
                Err(ctx.error(format!("expected [N, C], found {shape}")))
            }
        }
        Op::Add => {
            ctx.arity(2, 2)?;
            ctx.expect_f32(2)?;
            let (a, b) = (ctx.shape(0)?, ctx.shape(1)?);
            if a == b { f32_out(a.clone()) } else { Err(ctx.error(format!("shapes differ: {a} and {b}"))) }
        }
        Op::Mul => {
            ctx.arity(2, 2)?;
            ctx.expect_f32(2)?;
            let (a, b) = (ctx.shape(0)?, ctx.shape(1)?);
            let gate = a.rank() == 4
                && b.rank() == 4
                && a.dims()[..2] == b.dims()[..2]
                && b.get(2) == Some(1)
                && b.get(3) == Some(1);
            if a == b || gate {
                f32_out(a.clone())
            } else {
                Err(ctx
                    .error(format!("expected equal shapes or a [N, C, 1, 1] gate second, found {a} and {b}")))
            }
        }
        Op::Concat => {
            ctx.arity(1, usize::MAX)?;
            let first = ctx.shape(0)?.clone();
            let mut channels = 0;
            for i in 0..node.inputs.len() {
                let shape = ctx.shape(i)?;
                let fits = shape.rank() == first.rank()
                    && (0..shape.rank()).all(|a| a == 1 || shape.dims()[a] == first.dims()[a])
                    && ctx.dtype(i) == ctx.dtype(0);
                if !fits {
                    return Err(ctx.error(format!("inputs differ beyond the channels: {first} and {shape}")));
                }
                let more = shape.channels().ok_or_else(|| ctx.error("channels must be known"))?;
                channels = more.saturating_add(channels);
            }
            let mut dims = first.dims().to_vec();
            dims[1] = Dim::Fixed(channels);
            Ok((Shape::new(dims), ctx.dtype(0)))
        }
        Op::MaxPool(pool) => Ok((ctx.pool(pool)?, ctx.dtype(0))),
        Op::AveragePool { pool, .. } => {
            ctx.expect_f32(1)?;
            f32_out(ctx.pool(pool)?)
        }
        Op::GlobalAveragePool => {
            ctx.arity(1, 1)?;
            ctx.expect_f32(1)?;
            let (n, c, _, _) = ctx.nchw(0)?;
            f32_out(Shape::new(vec![n, Dim::Fixed(c), Dim::Fixed(1), Dim::Fixed(1)]))
        }
        Op::Flatten => {
            ctx.arity(1, 1)?;
            let (n, c, h, w) = ctx.nchw(0)?;
            Ok((Shape::new(vec![n, Dim::Fixed(c.saturating_mul(h).saturating_mul(w))]), ctx.dtype(0)))
        }
        Op::Gemm => {
            ctx.arity(2, 3)?;
            ctx.expect_f32(3)?;
            let (x, w) = (ctx.shape(0)?, ctx.shape(1)?);
            match (x.rank(), w.rank(), x.get(1), w.get(0), w.get(1)) {
                (2, 2, Some(k), Some(out), Some(k2)) if k == k2 => {
                    if node.inputs.len() == 3 {
                        ctx.vector(2, "a bias", out)?;
                    }
                    f32_out(Shape::new(vec![x.dims()[0], Dim::Fixed(out)]))
                }
                _ => Err(ctx.error(format!("expected [N, in] and a weight [out, in], found {x} and {w}"))),
            }
        }
        Op::PadChannels { before, after } => {
            ctx.arity(1, 1)?;
            ctx.expect_f32(1)?;
            let (n, c, h, w) = ctx.nchw(0)?;
            f32_out(Shape::new(vec![
                n,
                Dim::Fixed(c.saturating_add(*before).saturating_add(*after)),
                Dim::Fixed(h),
                Dim::Fixed(w),
            ]))
        }
        Op::QuantizeLinear { axis } | Op::DequantizeLinear { axis } => {
            ctx.arity(3, 3)?;
            let shape = ctx.shape(0)?.clone();
            let (scale, zero_point) = (ctx.shape(1)?, ctx.shape(2)?);
            let fits = scale == zero_point
                && (scale.rank() == 0 || (scale.rank() == 1 && scale.get(0) == shape.get(*axis)));
            if !fits {
                return Err(ctx.error(format!(
                    "scale {scale} and zero_point {zero_point} must be scalars or match axis {axis} of {shape}"
                )));
            }
            if ctx.dtype(1) != DataType::F32 {
                return Err(ctx.error(format!("scale must be f32, found {}", ctx.dtype(1).name())));
            }
            if matches!(node.op, Op::QuantizeLinear { .. }) {
                ctx.expect_f32(1)?;
                Ok((shape, ctx.dtype(2)))
            } else if ctx.dtype(0) == ctx.dtype(2) {
                f32_out(shape)
            } else {
                Err(ctx.error(format!("x is {}, zero_point {}", ctx.dtype(0).name(), ctx.dtype(2).name())))
            }
        }
    }
}

#[cfg(test)]
mod tests;
