//! Attention: its own operator, and the nodes in which exporters write it.

use std::collections::HashSet;

use oculist_graph::{Attention as Operator, Binary, DataType, NodeId, Op, SoftmaxKind, ValueId};
use oculist_kernels::{Attention, AttentionPlan, AttentionStart, LANES};

use super::view::View;
use super::{Lowering, Order};
use crate::error::RuntimeError;
use crate::step::{AttentionStep, Work};
use crate::tensor::Tensor;

/// Attention of all heads: `y = softmax(scale * q k^T + mask) v`.
///
/// # Shapes
/// `q`: `[N, heads, T, d]`; `k`: `[N, heads, S, d]`; `v`: `[N, heads, S, d_v]`, where keys and values may have fewer heads;
/// each is a view of a value whose rows lie in the kernels' layout.
#[derive(Debug)]
struct Heads {
    q: View,
    k: View,
    v: View,
    scale: f32,
    causal: bool,
    /// A constant that is added to the scores.
    mask: Option<ValueId>,
    /// The result and its elements from one sample, head and query to the next.
    y: ValueId,
    strides: [usize; 3],
}

/// Attention that the kernel knows, until its last node is lowered.
#[derive(Debug)]
pub(super) struct PlannedHeads {
    /// The values that hold queries, keys and values.
    bases: [ValueId; 3],
    y: ValueId,
    step: AttentionStep,
}

/// The kernel's plan, and what is added to the scores.
type Planned = (AttentionPlan, Option<Vec<f32>>);

/// Nodes and values between the scores and the softmax.
struct Scores {
    product: NodeId,
    scale: f32,
    mask: Option<ValueId>,
    nodes: Vec<NodeId>,
}

impl Lowering<'_> {
    /// Looks whether a node is the softmax of an attention or one in itself, and remembers it at the node that ends it.
    pub(super) fn find_heads(&mut self, id: NodeId) -> Result<(), RuntimeError> {
        let found = match &self.node(id).op {
            Op::Softmax(_) => self.heads_around(id)?,
            Op::Attention(op) => self.heads_of(id, op)?.map(|heads| (id, heads, Vec::new())),
            _ => None,
        };
        let Some((end, heads, nodes)) = found else { return Ok(()) };
        // What the kernel would refuse stays as it is.
        let Some((plan, mask)) = self.heads_plan(&heads)? else { return Ok(()) };
        self.orders[heads.y.index()] = Order::Last;
        let (&[_, count, t, d], &[_, _, s, _]) = (&heads.q.sizes[..], &heads.k.sizes[..]) else {
            return Ok(());
        };
        let label = format!("{count} heads of {d}, {t} queries, {s} keys");
        let bases = [heads.q.base, heads.k.base, heads.v.base];
        let step = AttentionStep { plan, mask, label };
        self.heads.insert(end, PlannedHeads { bases, y: heads.y, step });
        for node in nodes {
            self.done[node] = true;
        }
        self.done[end] = false;
        Ok(())
    }

    /// Marks nodes whose results nobody reads any more.
    pub(super) fn drop_unread(&mut self) {
        if self.heads.is_empty() {
            return;
        }
        // The ends of attention read the bases of their views and nothing else.
        let bases: HashSet<ValueId> = self.heads.values().flat_map(|heads| heads.bases).collect();
        for id in (0..self.graph.nodes().len()).rev() {
            let read = |v: &ValueId| {
                self.kept[v.index()]
                    || bases.contains(v)
                    || self.consumers[v.index()].iter().any(|r| !self.done[*r] && !self.heads.contains_key(r))
            };
            if !self.done[id] && !self.heads.contains_key(&id) && !self.node(id).outputs.iter().any(read) {
                self.done[id] = true;
            }
        }
    }

    fn heads_around(&self, id: NodeId) -> Result<Option<(NodeId, Heads, Vec<NodeId>)>, RuntimeError> {
        let node = self.node(id);
        let Op::Softmax(softmax) = &node.op else { return Ok(None) };
        if softmax.kind != SoftmaxKind::Softmax
            || self.graph.shape(node.inputs[0]).rank() != 4
            || softmax.axes(4) != Ok(3..4)
        {
            return Ok(None);
        }
        let Some(scores) = self.scores_of(node.inputs[0])? else { return Ok(None) };
        let product = self.node(scores.product);
        let (Some(q), Some(k)) = (self.view(product.inputs[0])?, self.view(product.inputs[1])?) else {
            return Ok(None);
        };
        let mut nodes = scores.nodes;
        nodes.push(id);
        let Some((weighted, at)) = self.sole_reader(node.output(), &mut nodes) else { return Ok(None) };
        if !matches!(self.node(weighted).op, Op::MatMul(_)) || at != 0 {
            return Ok(None);
        }
        let Some(v) = self.view(self.node(weighted).inputs[1])? else { return Ok(None) };
        let Some((back, _)) = self.sole_reader(self.node(weighted).output(), &mut nodes) else {
            return Ok(None);
        };
        let Op::Transpose(transpose) = &self.node(back).op else { return Ok(None) };
        if transpose.axes(4).as_deref() != Ok(&[0, 2, 1, 3]) {
            return Ok(None);
        }
        let Some((end, 0)) = self.sole_reader(self.node(back).output(), &mut nodes) else { return Ok(None) };
        let (&[n, h, t, _], &[_, _, _, dv]) = (&q.sizes[..], &v.sizes[..]) else { return Ok(None) };
        let (y, width) = (self.node(end).output(), h.saturating_mul(dv));
        let joined = matches!(self.node(end).op, Op::Reshape(_))
            && self.graph.shape(y).sizes().is_some_and(|to| {
                to.last() == Some(&width) && to.len() > 1 && to.iter().product::<usize>() == n * t * width
            });
        if !joined || self.graph.value(y).dtype != DataType::F32 {
            return Ok(None);
        }
        let scale = scores.scale * q.factor * k.factor;
        let k = k.permuted(&[0, 1, 3, 2]);
        let strides = [t.saturating_mul(width), dv, width];
        Ok(Some((end, Heads { q, k, v, scale, causal: false, mask: scores.mask, y, strides }, nodes)))
    }

    /// The one node that reads a value which need not exist itself, and as which input; nodes that change nothing are
    /// passed.
    fn sole_reader(&self, mut value: ValueId, passed: &mut Vec<NodeId>) -> Option<(NodeId, usize)> {
        loop {
            let id = self.only_reader(value)?;
            let node = self.node(id);
            passed.push(id);
            if !self.keeps_elements(node) || !self.same_shape(value, node.output()) {
                return Some((id, node.inputs.slots().iter().position(|v| *v == Some(value))?));
            }
            value = node.output();
        }
    }

    /// Goes back from the softmax over a mask and factors to the product of queries and keys.
    fn scores_of(&self, mut value: ValueId) -> Result<Option<Scores>, RuntimeError> {
        let (mut scale, mut mask, mut nodes) = (1.0, None, Vec::new());
        loop {
            let Some(id) = self.producers[value.index()].filter(|_| self.only_reader(value).is_some()) else {
                return Ok(None);
            };
            let node = self.node(id);
            nodes.push(id);
            match &node.op {
                Op::MatMul(_) => return Ok(Some(Scores { product: id, scale, mask, nodes })),
                Op::Binary(op @ (Binary::Mul | Binary::Div)) => {
                    let Some((x, factor)) = self.factor(id, *op)? else { return Ok(None) };
                    // A mask that is scaled too is none that can be added at the end.
                    if mask.is_some() && scale != 1.0 {
                        return Ok(None);
                    }
                    scale *= factor;
                    value = x;
                }
                Op::Binary(Binary::Add) if mask.is_none() && scale == 1.0 => {
                    let (a, b) = (node.inputs[0], node.inputs[1]);
                    let (x, added) = if self.is_float_constant(b) { (a, b) } else { (b, a) };
                    if !self.is_float_constant(added) || !self.same_shape(x, node.output()) {
                        return Ok(None);
                    }
                    mask = Some(added);
                    value = x;
                }
                _ => return Ok(None),
            }
        }
    }

    /// Attention as an operator, without anything that the kernel does not know.
    fn heads_of(&self, id: NodeId, op: &Operator) -> Result<Option<Heads>, RuntimeError> {
        let node = self.node(id);
        let known = node.outputs.len() == 1
            && (4..7).all(|i| node.inputs.get(i).is_none())
            && op.softcap == 0.0
            && (op.left, op.right) == (None, None)
            && op.softmax.is_none_or(|t| t == DataType::F32);
        let mask = node.inputs.get(3);
        if !known || mask.is_some_and(|mask| !self.is_float_constant(mask)) {
            return Ok(None);
        }
        let mut views = Vec::with_capacity(3);
        for (i, heads) in [op.heads, op.kv_heads, op.kv_heads].into_iter().enumerate() {
            let Some(x) = node.inputs.get(i) else { return Ok(None) };
            let Some(view) = self.view(x)? else { return Ok(None) };
            let view = match (&view.sizes[..], heads) {
                (&[_, _, _, _], _) => Some(view),
                (&[n, t, c], Some(heads)) if heads > 0 && c % heads == 0 => {
                    view.reshaped(&[n, t, heads, c / heads]).map(|view| view.permuted(&[0, 2, 1, 3]))
                }
                _ => None,
            };
            let Some(view) = view else { return Ok(None) };
            views.push(view);
        }
        let Ok([q, k, v]) = <[View; 3]>::try_from(views) else { return Ok(None) };
        let (&[_, h, t, d], &[_, _, _, dv]) = (&q.sizes[..], &v.sizes[..]) else { return Ok(None) };
        let y = node.output();
        let strides = match self.graph.shape(y).rank() {
            3 => [t.saturating_mul(h).saturating_mul(dv), dv, h.saturating_mul(dv)],
            _ => [h.saturating_mul(t).saturating_mul(dv), t.saturating_mul(dv), dv],
        };
        let scale = op.scale.unwrap_or(1.0 / (d as f32).sqrt()) * q.factor * k.factor;
        Ok(Some(Heads { q, k, v, scale, causal: op.causal, mask, y, strides }))
    }

    /// The kernel's plan and the mask; `None` where the sizes or strides are none that it knows.
    fn heads_plan(&self, heads: &Heads) -> Result<Option<Planned>, RuntimeError> {
        let Heads { q, k, v, mask, y, strides, .. } = heads;
        let (&[n, h, t, d], &[_, kv_heads, s, kd], &[_, _, vs, dv]) =
            (&q.sizes[..], &k.sizes[..], &v.sizes[..])
        else {
            return Ok(None);
        };
        let fits = kv_heads > 0
            && h % kv_heads == 0
            && (k.sizes[0], v.sizes[0], v.sizes[1]) == (n, n, kv_heads)
            && (kd, vs) == (d, s)
            && [q, k, v].iter().all(|view| view.strides[3] == 1)
            && v.factor == 1.0
            && self.graph.shape(*y).sizes().is_some_and(|sizes| sizes.last().is_some_and(|c| c % LANES == 0));
        if !fits {
            return Ok(None);
        }
        let (mut added, mut mask_strides) = (None, [0; 3]);
        if let Some(mask) = mask {
            let Some(values) = self.floats(*mask)? else { return Ok(None) };
            let Some(sizes) = values.shape.sizes() else { return Ok(None) };
            let mut full = [1; 4];
            if sizes.len() > 4 {
                return Ok(None);
            }
            full[4 - sizes.len()..].copy_from_slice(&sizes);
            if full[3] != s || (0..3).any(|i| full[i] != 1 && full[i] != [n, h, t][i]) {
                return Ok(None);
            }
            let step = |i: usize| if full[i] == 1 { 0 } else { full[i + 1..].iter().product() };
            mask_strides = [step(0), step(1), step(2)];
            added = Some(values.values);
        }
        let shape = Attention {
            queries: t,
            keys: s,
            dim: d,
            value_dim: dv,
            strides: [q.strides[2], k.strides[2], v.strides[2], strides[2]],
            mask_stride: mask_strides[2],
            scale: heads.scale,
            causal: heads.causal.then_some(0),
        };
        let mut starts = Vec::with_capacity(n.saturating_mul(h));
        for sample in 0..n {
            for head in 0..h {
                let kv = head / (h / kv_heads);
                let start = |view: &View, head: usize| {
                    view.offset + sample * view.strides[0] + head * view.strides[1]
                };
                starts.push(AttentionStart {
                    q: start(q, head),
                    k: start(k, kv),
                    v: start(v, kv),
                    y: sample * strides[0] + head * strides[1],
                    mask: sample * mask_strides[0] + head * mask_strides[1],
                });
            }
        }
        Ok(AttentionPlan::new(self.ctx(), shape, &starts).ok().map(|plan| (plan, added)))
    }

    pub(super) fn lower_heads(&mut self, id: NodeId, heads: PlannedHeads) -> Result<(), RuntimeError> {
        let name = self.node(id).name.clone();
        let mut inputs = Vec::with_capacity(3);
        for base in heads.bases {
            inputs.push(self.f32(base, &name)?);
        }
        let (channels, size) = self.form(heads.y).unwrap_or_default();
        let y = self.step(&name, Work::Attention(Box::new(heads.step)), inputs, Tensor::f32(channels, size));
        self.set_f32(heads.y, y)
    }
}
