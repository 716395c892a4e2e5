//! Layers of transformers, on values whose channels come last.

use oculist_graph::{
    Binary, DataType, Gather, LayerNormalization, MatMul, Op, Reshape, Softmax, Tensor, TensorData,
    Transpose, ValueId,
};

use super::Net;

impl Net {
    /// The same elements in another shape; 0 copies a size.
    pub(crate) fn reshape(&mut self, name: &str, x: ValueId, to: &[i64]) -> ValueId {
        let shape = self.param(&format!("{name}.shape"), Tensor::ints(to.to_vec()));
        self.op(name, Reshape::COPYING, &[x, shape])
    }

    /// The axes in another order.
    pub(crate) fn transpose(&mut self, name: &str, x: ValueId, order: &[i64]) -> ValueId {
        self.op(name, Transpose::new(order), &[x])
    }

    /// Normalisation over the last axis, which has `channels` elements.
    ///
    /// # Source
    /// Ba, Kiros, Hinton: Layer Normalization, 2016 (arXiv 1607.06450).
    pub(crate) fn layer_norm(&mut self, name: &str, x: ValueId, channels: usize, epsilon: f32) -> ValueId {
        let (gamma, beta) = self.gamma_beta(name, channels);
        let op = LayerNormalization { axis: -1, epsilon, stash: DataType::F32 };
        self.op(name, op, &[x, gamma, beta])
    }

    /// Normalisation over the channels of `[N, C, H, W]`.
    pub(crate) fn layer_norm_2d(&mut self, name: &str, x: ValueId, epsilon: f32) -> ValueId {
        let (channels, _, _) = self.chw(x);
        let y = self.transpose(&format!("{name}.last"), x, &[0, 2, 3, 1]);
        let y = self.layer_norm(name, y, channels, epsilon);
        self.transpose(&format!("{name}.first"), y, &[0, 3, 1, 2])
    }

    /// A fully connected layer over the last axis. The weight lies as PyTorch's, `[out, in]`, and is transposed in the
    /// graph.
    pub(crate) fn dense(&mut self, name: &str, x: ValueId, from: usize, to: usize) -> ValueId {
        let weight = self.param(&format!("{name}.weight"), Tensor::filled(&[to, from], 0.0));
        let bias = self.param(&format!("{name}.bias"), Tensor::filled(&[to], 0.0));
        let weight = self.transpose(&format!("{name}.transposed"), weight, &[1, 0]);
        let y = self.op(&format!("{name}.product"), MatMul, &[x, weight]);
        self.op(name, Op::Binary(Binary::Add), &[y, bias])
    }

    /// One index of an axis, which goes.
    pub(crate) fn pick(&mut self, name: &str, x: ValueId, axis: i64, at: i64) -> ValueId {
        let index = Tensor::new(Vec::new(), TensorData::I64(vec![at])).expect("a scalar has one element");
        let index = self.param(&format!("{name}.index"), index);
        self.op(name, Gather { axis }, &[x, index])
    }

    /// Self-attention of `heads` heads: `softmax(q k^T / sqrt(d)) v` with `q, k, v` of one layer `{name}.qkv`, then
    /// `{name}.proj`.
    ///
    /// # Shapes
    /// `[N, tokens, channels]` to the same; `d = channels / heads`.
    ///
    /// # Source
    /// Vaswani et al.: Attention Is All You Need, 2017 (arXiv 1706.03762).
    pub(crate) fn self_attention(
        &mut self,
        name: &str,
        x: ValueId,
        tokens: usize,
        (channels, heads): (usize, usize),
    ) -> ValueId {
        let size = channels / heads;
        let [tokens, heads, each] = [tokens, heads, size].map(|n| n as i64);
        let y = self.dense(&format!("{name}.qkv"), x, channels, 3 * channels);
        let y = self.reshape(&format!("{name}.split"), y, &[0, tokens, 3, heads, each]);
        let y = self.transpose(&format!("{name}.heads"), y, &[2, 0, 3, 1, 4]);
        let [q, k, v] =
            [("q", 0), ("k", 1), ("v", 2)].map(|(part, at)| self.pick(&format!("{name}.{part}"), y, 0, at));
        let k = self.transpose(&format!("{name}.k.transposed"), k, &[0, 1, 3, 2]);
        let scores = self.op(&format!("{name}.scores"), MatMul, &[q, k]);
        let scale = Tensor::f32(&[], vec![1.0 / (size as f32).sqrt()]);
        let scale = self.param(&format!("{name}.scale"), scale);
        let scores = self.op(&format!("{name}.scaled"), Op::Binary(Binary::Mul), &[scores, scale]);
        let weights = self.op(&format!("{name}.softmax"), Softmax::along(-1), &[scores]);
        let y = self.op(&format!("{name}.weighted"), MatMul, &[weights, v]);
        let y = self.transpose(&format!("{name}.joined"), y, &[0, 2, 1, 3]);
        let y = self.reshape(&format!("{name}.tokens"), y, &[0, tokens, channels as i64]);
        self.dense(&format!("{name}.proj"), y, channels, channels)
    }
}
