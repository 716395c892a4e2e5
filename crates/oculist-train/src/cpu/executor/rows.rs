//! Plain steps: operators on row-major tensors of any rank, forward and backward.
//!
//! Values that the kernels' layout cannot hold, and operators without a fast rule, are computed here. Tensors are made
//! anew in every step.

use oculist_graph::{DataType, Op, Tensor, TensorData};
use oculist_kernels::{add_assign, fill_zero, nchw_to_nhwc, nhwc_to_nchw, try_zeros};
use oculist_plain::{PlainError, cast, evaluate, gradient};

use super::plan::{Map, Slot};
use super::{Executor, Mode, dropout};
use crate::cpu::params::ParamSet;
use crate::error::TrainError;

/// Index of a row-major value.
pub(crate) type Row = usize;

/// What is known of a row-major value before a step.
#[derive(Debug)]
pub(crate) struct RowValue {
    /// Bytes, if the shape is known.
    pub(crate) bytes: usize,
    /// Whether a trained parameter has a part in it that a gradient can follow.
    pub(crate) carries: bool,
}

/// What a plain step reads.
#[derive(Debug)]
pub(crate) enum Source {
    /// The same in every step.
    Constant(Tensor),
    /// A trained parameter.
    Weight(usize),
    /// What an earlier step made.
    Row(Row),
}

/// An operator on row-major tensors.
#[derive(Debug)]
pub(crate) struct PlainStep {
    /// Name of the node.
    pub(crate) node: String,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<Option<Source>>,
    pub(crate) outputs: Vec<Row>,
}

/// A step that reads or makes row-major tensors.
#[derive(Debug)]
pub(crate) enum RowStep {
    /// An operator.
    Plain(PlainStep),
    /// A map as a row-major tensor of a shape.
    ToRows { node: String, x: Slot, y: Row, shape: Vec<usize> },
    /// A row-major tensor as a map.
    FromRows { node: String, x: Row, y: Slot },
    /// Numbers that are zeroed at random while training; the key distinguishes the layers of one network.
    Dropout { x: Row, y: Row, ratio: f32, key: u64 },
}

impl RowStep {
    /// The map that it reads.
    pub(crate) fn slot_in(&self) -> Option<Slot> {
        if let Self::ToRows { x, .. } = self { Some(*x) } else { None }
    }

    /// The map that it makes.
    pub(crate) fn slot_out(&self) -> Option<Slot> {
        if let Self::FromRows { y, .. } = self { Some(*y) } else { None }
    }

    /// The row-major values that it reads.
    pub(crate) fn rows_in(&self) -> Vec<Row> {
        match self {
            Self::Plain(step) => step
                .inputs
                .iter()
                .filter_map(|source| match source {
                    Some(Source::Row(row)) => Some(*row),
                    Some(Source::Constant(_) | Source::Weight(_)) | None => None,
                })
                .collect(),
            Self::ToRows { .. } => Vec::new(),
            Self::FromRows { x, .. } | Self::Dropout { x, .. } => vec![*x],
        }
    }

    /// The trained parameters that it reads.
    pub(crate) fn parameters(&self) -> Vec<usize> {
        let Self::Plain(step) = self else { return Vec::new() };
        let weight = |source: &Option<Source>| match source {
            Some(Source::Weight(i)) => Some(*i),
            Some(Source::Constant(_) | Source::Row(_)) | None => None,
        };
        step.inputs.iter().filter_map(weight).collect()
    }

    /// The row-major values that it makes.
    pub(crate) fn rows_out(&self) -> &[Row] {
        match self {
            Self::Plain(step) => &step.outputs,
            Self::ToRows { y, .. } | Self::Dropout { y, .. } => std::slice::from_ref(y),
            Self::FromRows { .. } => &[],
        }
    }

    /// What it does, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Plain(step) => format!("plain {}", step.op.name()),
            Self::ToRows { shape, .. } => format!("map to rows {shape:?}"),
            Self::FromRows { .. } => "rows to map".to_owned(),
            Self::Dropout { .. } => "plain dropout".to_owned(),
        }
    }
}

impl PlainStep {
    fn failed(&self, source: PlainError) -> TrainError {
        TrainError::Plain { node: self.node.clone(), source }
    }
}

/// The tensors of a run.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) values: Vec<Option<Tensor>>,
    gradients: Vec<Option<Tensor>>,
    /// The first thing that went wrong since it was asked for.
    pub(super) failure: Option<TrainError>,
}

impl Rows {
    pub(super) fn new(len: usize) -> Self {
        Self { values: vec![None; len], gradients: vec![None; len], failure: None }
    }

    pub(super) fn clear_gradients(&mut self) {
        self.gradients.fill(None);
    }

    fn fail(&mut self, error: TrainError) {
        self.failure.get_or_insert(error);
    }

    /// Adds to the gradient of a value.
    fn add(&mut self, row: Row, gradient: Tensor) {
        self.gradients[row] = Some(match self.gradients[row].take() {
            None => gradient,
            Some(sum) => added(sum, &gradient),
        });
    }
}

/// The sum of two tensors of one shape and float type.
fn added(mut sum: Tensor, other: &Tensor) -> Tensor {
    if let (Some(sum), Some(other)) = (sum.as_f32_mut(), other.as_f32()) {
        sum.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    } else if let (TensorData::F64(a), TensorData::F64(b)) =
        (cast(&sum, DataType::F64).data(), cast(other, DataType::F64).data())
    {
        let data = TensorData::F64(a.iter().zip(b).map(|(a, b)| a + b).collect());
        if let Ok(total) = Tensor::new(sum.shape().to_vec(), data) {
            sum = cast(&total, sum.dtype());
        }
    }
    sum
}

/// The tensors that a step reads, parameters unpacked.
fn read<'a>(step: &'a PlainStep, rows: &'a Rows, unpacked: &'a [Option<Tensor>]) -> Vec<Option<&'a Tensor>> {
    step.inputs
        .iter()
        .zip(unpacked)
        .map(|(source, weight)| match source.as_ref()? {
            Source::Constant(tensor) => Some(tensor),
            Source::Weight(_) => weight.as_ref(),
            Source::Row(row) => rows.values[*row].as_ref(),
        })
        .collect()
}

/// Parameters among the inputs of a step, in the graph's layout.
fn unpacked(step: &PlainStep, set: &ParamSet, weights: &[f32]) -> Vec<Option<Tensor>> {
    step.inputs
        .iter()
        .map(|source| match source {
            Some(Source::Weight(i)) => Some(set.get(*i).unpack(&weights[set.get(*i).range()])),
            Some(Source::Constant(_) | Source::Row(_)) | None => None,
        })
        .collect()
}

impl Executor {
    /// What went wrong in a plain step since the last call, if anything did: the results of those passes mean nothing.
    ///
    /// # Errors
    /// [`TrainError::Plain`] naming the node.
    pub fn take_failure(&mut self) -> Result<(), TrainError> {
        self.rows.failure.take().map_or(Ok(()), Err)
    }

    pub(super) fn rows_forward(&mut self, step: &RowStep, mode: Mode) {
        match step {
            RowStep::Plain(step) => self.plain_forward(step),
            RowStep::ToRows { node, x, y, shape } => self.map_to_rows(node, *x, *y, shape),
            RowStep::FromRows { node, x, y } => {
                let mut out = std::mem::take(&mut self.activations[*y]);
                self.map_of_rows(node, *x, *y, &mut out);
                self.activations[*y] = out;
            }
            RowStep::Dropout { x, y, ratio, key } => self.drop_rows(*x, *y, *ratio, *key, mode),
        }
    }

    /// The backward pass of step `i`, which leads to the logits.
    pub(super) fn rows_backward(&mut self, i: usize, step: &RowStep) {
        match step {
            RowStep::Plain(step) => self.plain_backward(step),
            RowStep::ToRows { x, y, .. } => {
                let Some(buffer) = self.gradients.buffer_of[*x].filter(|_| self.wanted.slots[*x]) else {
                    return;
                };
                let accumulate = self.gradients.accumulate[i][0];
                let mut dx = std::mem::take(&mut self.gradient_buffers[buffer]);
                let len = self.plan.slots[*x].len(self.batch);
                self.map_to_rows_backward(*x, *y, &mut dx[..len], accumulate);
                self.gradient_buffers[buffer] = dx;
            }
            RowStep::FromRows { x, y, .. } => {
                let Some(buffer) = self.gradients.buffer_of[*y].filter(|_| self.wanted.rows[*x]) else {
                    return;
                };
                let dy = std::mem::take(&mut self.gradient_buffers[buffer]);
                self.map_of_rows_backward(*x, *y, &dy);
                self.gradient_buffers[buffer] = dy;
            }
            RowStep::Dropout { x, y, ratio, key } => self.drop_rows_backward(*x, *y, *ratio, *key),
        }
    }

    /// Runs a plain step; after a failure nothing runs.
    fn plain_forward(&mut self, step: &PlainStep) {
        if self.rows.failure.is_some() {
            return;
        }
        let weights = unpacked(step, &self.plan.weights, &self.weights);
        let result = evaluate(&self.ctx, &step.op, &read(step, &self.rows, &weights), step.outputs.len());
        match result {
            Ok(results) => {
                for (&row, tensor) in step.outputs.iter().zip(results) {
                    self.rows.values[row] = Some(tensor);
                }
            }
            Err(source) => self.rows.fail(step.failed(source)),
        }
    }

    /// Adds what flows back through a plain step.
    fn plain_backward(&mut self, step: &PlainStep) {
        if self.rows.failure.is_some() {
            return;
        }
        let gradients: Vec<Option<Tensor>> =
            step.outputs.iter().map(|&row| self.rows.gradients[row].take()).collect();
        if gradients.iter().all(Option::is_none) {
            return;
        }
        let wanted: Vec<bool> = step
            .inputs
            .iter()
            .map(|source| match source {
                Some(Source::Weight(i)) => self.wanted.weights[*i],
                Some(Source::Row(row)) => self.wanted.rows[*row],
                Some(Source::Constant(_)) | None => false,
            })
            .collect();
        let weights = unpacked(step, &self.plan.weights, &self.weights);
        let outputs: Vec<Option<&Tensor>> =
            step.outputs.iter().map(|&row| self.rows.values[row].as_ref()).collect();
        let given: Vec<Option<&Tensor>> = gradients.iter().map(Option::as_ref).collect();
        let inputs = read(step, &self.rows, &weights);
        match gradient(&self.ctx, &step.op, &inputs, &outputs, &given, &wanted) {
            Ok(results) => {
                for (source, result) in step.inputs.iter().zip(results) {
                    let Some(result) = result else { continue };
                    match source {
                        Some(Source::Row(row)) => self.rows.add(*row, result),
                        Some(Source::Weight(i)) => {
                            let param = self.plan.weights.get(*i);
                            let mut packed = vec![0.0; param.len];
                            param.pack(result.as_f32().unwrap_or(&[]), &mut packed);
                            let sum = &mut self.grads[param.range()];
                            sum.iter_mut().zip(packed).for_each(|(sum, own)| *sum += own);
                        }
                        Some(Source::Constant(_)) | None => {}
                    }
                }
            }
            Err(source) => self.rows.fail(step.failed(source)),
        }
    }

    /// A map as a row-major tensor.
    fn map_to_rows(&mut self, node: &str, x: Slot, y: Row, shape: &[usize]) {
        let map = self.plan.slots[x];
        let len = self.batch * map.channels * map.pixels();
        let result = try_zeros(len, "a row-major tensor").map_err(PlainError::from).and_then(|mut data| {
            let Map { channels, stride, .. } = map;
            nhwc_to_nchw(
                &self.ctx,
                self.batch,
                channels,
                map.pixels(),
                stride,
                &self.activations[x],
                &mut data,
            );
            Ok(Tensor::new(shape.to_vec(), TensorData::F32(data))?)
        });
        match result {
            Ok(tensor) => self.rows.values[y] = Some(tensor),
            Err(source) => self.rows.fail(TrainError::Plain { node: node.to_owned(), source }),
        }
    }

    /// The gradient of a map from that of its row-major tensor.
    fn map_to_rows_backward(&mut self, x: Slot, y: Row, dx: &mut [f32], accumulate: bool) {
        let map = self.plan.slots[x];
        let gradient = self.rows.gradients[y].take();
        let Some(dy) = gradient.as_ref().and_then(Tensor::as_f32) else {
            // Nothing flows back here, but what is read later must not be what an earlier step left.
            if !accumulate {
                fill_zero(&self.ctx, dx);
            }
            return;
        };
        let Map { channels, stride, .. } = map;
        let (batch, pixels) = (self.batch, map.pixels());
        if accumulate {
            let spare = &mut self.spare[..dx.len()];
            nchw_to_nhwc(&self.ctx, batch, channels, pixels, stride, dy, spare);
            add_assign(&self.ctx, spare, dx);
        } else {
            nchw_to_nhwc(&self.ctx, batch, channels, pixels, stride, dy, dx);
        }
    }

    /// A row-major tensor as a map.
    fn map_of_rows(&mut self, node: &str, x: Row, y: Slot, out: &mut [f32]) {
        let Map { channels, stride, .. } = self.plan.slots[y];
        let pixels = self.plan.slots[y].pixels();
        let len = self.batch * channels * pixels;
        let data = self.rows.values[x].as_ref().and_then(Tensor::as_f32).filter(|data| data.len() == len);
        if let Some(data) = data {
            nchw_to_nhwc(&self.ctx, self.batch, channels, pixels, stride, data, out);
        } else {
            // The numbers of a run that has failed are none.
            out.fill(f32::NAN);
            let found = self.rows.values[x].as_ref().map_or(0, Tensor::len);
            let problem = format!("expected a value of {len} numbers, found {found}");
            let source = PlainError::Operator { op: "Reshape", problem };
            self.rows.fail(TrainError::Plain { node: node.to_owned(), source });
        }
    }

    /// The gradient of a row-major tensor from that of its map.
    fn map_of_rows_backward(&mut self, x: Row, y: Slot, dy: &[f32]) {
        let Some(value) = &self.rows.values[x] else { return };
        let shape = value.shape().to_vec();
        let Map { channels, stride, .. } = self.plan.slots[y];
        let mut data = vec![0.0; value.len()];
        nhwc_to_nchw(&self.ctx, self.batch, channels, self.plan.slots[y].pixels(), stride, dy, &mut data);
        if let Ok(gradient) = Tensor::new(shape, TensorData::F32(data)) {
            self.rows.add(x, gradient);
        }
    }

    /// Numbers that are zeroed at random while training.
    fn drop_rows(&mut self, x: Row, y: Row, ratio: f32, key: u64, mode: Mode) {
        let Some(value) = &self.rows.values[x] else { return };
        let Some(data) = value.as_f32().filter(|_| mode == Mode::Train && self.moments.is_none()) else {
            self.rows.values[y] = Some(value.clone());
            return;
        };
        let mut out = vec![0.0; data.len()];
        dropout(self.dropout_seed, key, ratio, data, &mut out, false);
        self.rows.values[y] = Some(Tensor::f32(value.shape(), out));
    }

    fn drop_rows_backward(&mut self, x: Row, y: Row, ratio: f32, key: u64) {
        let Some(gradient) = self.rows.gradients[y].take() else { return };
        let Some(dy) = gradient.as_f32() else { return };
        let mut dx = vec![0.0; dy.len()];
        dropout(self.dropout_seed, key, ratio, dy, &mut dx, false);
        self.rows.add(x, Tensor::f32(gradient.shape(), dx));
    }
}
