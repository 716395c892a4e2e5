//! A valid graph through passes, planners and executors.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use oculist_graph::{DataType, Dim, Graph, GraphError, Tensor, TensorData, ValueId};
use oculist_kernels::Context;
use oculist_passes::{
    ChannelGroups, Importance, PruneOptions, PruneTarget, QuantizeOptions, Range, fold_batch_norm,
    importance, prune_channels, quantizable_values, quantize, remove_identity,
};
use oculist_runtime::{Plan, PlanOptions, RuntimeError};
use oculist_train::{Executor, Mode, TrainError};

/// Memory of a plan that may be run.
const AMPLE: usize = 16 << 20;

/// Memory that hardly any plan fits.
const SMALL: usize = 4 << 10;

/// The most operations of a graph that is run: a run must not be taken for a hang.
const MOST_OPERATIONS: u64 = 2_000_000;

/// The most indices of axes among which groups of channels are looked for.
const MOST_INDICES: usize = 1 << 17;

/// Contexts with [`AMPLE`] and [`SMALL`] memory. They hold nothing of a run.
fn contexts() -> &'static [Arc<Context>; 2] {
    static CONTEXTS: OnceLock<[Arc<Context>; 2]> = OnceLock::new();
    CONTEXTS.get_or_init(|| [AMPLE, SMALL].map(context))
}

fn context(bytes: usize) -> Arc<Context> {
    Arc::new(Context::new(1).expect("one thread").with_max_memory(bytes))
}

/// The graph with its batch open and simplified; that succeeds for any valid graph.
///
/// Except one whose constants, once they are computed, do not fit a node: their sizes or values were unknown before; or one with a
/// constant that is no number and becomes a weight once a node that does nothing is gone.
pub(crate) fn prepared(graph: &Graph) -> Option<Graph> {
    match oculist_passes::prepare(graph.clone()) {
        Ok(prepared) => {
            prepared.check().expect("what simplification made is valid");
            assert_eq!(names(graph, graph.inputs()), names(&prepared, prepared.inputs()), "inputs");
            assert_eq!(graph.outputs().len(), prepared.outputs().len(), "outputs");
            Some(prepared)
        }
        Err(error) => {
            let unknown = |v| graph.shape(v).dims().contains(&Dim::Unknown);
            // The first pass computes constants and changes nothing else.
            let shown = matches!(error, oculist_passes::PassError::Graph(GraphError::Node { .. }))
                && oculist_passes::simplify::simplify_up_to(graph, 1).is_err();
            let numbers = error.to_string().contains(" holds ");
            assert!(
                shown || numbers || graph.value_ids().any(unknown),
                "a valid graph cannot be prepared: {error}"
            );
            None
        }
    }
}

fn names<'a>(graph: &'a Graph, values: &[ValueId]) -> Vec<&'a str> {
    values.iter().map(|&v| graph.value(v).name.as_str()).collect()
}

/// Takes the graph through the passes of compression. They may refuse it; what they make is valid.
pub(crate) fn passed(graph: &Graph) {
    let valid = |graph: &Graph| graph.check().expect("what a pass made is valid");
    if let Ok(less) = remove_identity(graph) {
        valid(&less);
    }
    if let Ok(folded) = fold_batch_norm(graph) {
        valid(&folded);
    }
    let sizes = |v| graph.shape(v).dims().iter().filter_map(|dim| dim.size()).fold(0, usize::saturating_add);
    let indices = graph.value_ids().map(sizes).fold(0, usize::saturating_add);
    // Looking for groups takes time for every index of an axis; far too many of them are refused.
    let looked_at = !(MOST_INDICES..1 << 30).contains(&indices);
    if let Some(groups) = looked_at.then(|| ChannelGroups::analyze(graph).ok()).flatten() {
        for measure in [Importance::L1, Importance::L2, Importance::BatchNormGamma] {
            let scores = importance(graph, &groups, measure);
            let target = PruneTarget::GlobalRatio(0.5);
            let options = PruneOptions { target, min_channels: 1, ..PruneOptions::default() };
            if let Ok((pruned, _)) = prune_channels(graph, &groups, &scores, &options) {
                valid(&pruned);
            }
        }
    }
    if let Ok(values) = quantizable_values(graph) {
        let ranges: BTreeMap<ValueId, Range> =
            values.into_iter().map(|v| (v, Range::new(-1.0, 2.5))).collect();
        if let Ok(integer) = quantize(graph, &ranges, &QuantizeOptions::default()) {
            valid(&integer);
        }
    }
}

/// Plans the graph for inference and for training, and runs it where that is cheap.
///
/// Anything may be refused; what is planned keeps to its memory, and what is computed is of the shape that was inferred.
pub(crate) fn planned(graph: &Graph) {
    let cheap = graph.check_operations().is_ok() && operations(graph) <= MOST_OPERATIONS;
    for batch in [1, 3] {
        inference(graph, batch, cheap);
        for mode in [Mode::Eval, Mode::Train] {
            training(graph, batch, mode, cheap);
        }
    }
}

/// A measure of the work of one sample.
fn operations(graph: &Graph) -> u64 {
    let size = |&v: &ValueId| graph.shape(v).elements_per_sample() as u64;
    let mut total = graph.cost().macs;
    for node in graph.nodes() {
        let outputs: Vec<_> = node.outputs.iter().map(|&v| graph.shape(v)).collect();
        let reads = graph.given(node).map_or(1, |given| node.op.cost(&given, &outputs).reads);
        let made = node.outputs.iter().map(size).fold(0, u64::saturating_add);
        total = total.saturating_add(made.saturating_mul(reads.max(1)));
    }
    total
}

fn inference(graph: &Graph, batch: usize, cheap: bool) {
    let [ample, small] = contexts();
    let options = |context: &Arc<Context>| PlanOptions::new(batch, Arc::clone(context));
    run(graph, &options(small), cheap);
    let Ok(bytes) = Plan::check(graph, &options(ample)) else { return };
    assert!(bytes <= AMPLE, "a plan of {bytes} bytes is planned within {AMPLE}");
    // What follows from constants is computed while a plan is made and may take more than the plan.
    for less in [bytes, bytes.saturating_sub(1)] {
        match Plan::check(graph, &options(&context(less))) {
            Ok(again) => assert!(again <= less, "a plan of {again} bytes is planned within {less}"),
            Err(RuntimeError::Memory(_) | RuntimeError::Plain { .. }) => {}
            Err(error) => panic!("the plan of {bytes} bytes is refused another way within {less}: {error}"),
        }
    }
    run(graph, &options(ample), cheap);
}

fn run(graph: &Graph, options: &PlanOptions, cheap: bool) {
    if !cheap {
        let _ = Plan::check(graph, options);
        return;
    }
    let Ok(mut plan) = Plan::new(graph, options) else { return };
    let _ = plan.describe();
    // A batch of one may be squeezed away.
    let bound = graph.with_batch(options.batch).expect("a graph that was planned can be bound");
    let inputs = graph.inputs().iter().map(|&v| input(graph, v, options.batch)).collect();
    if let Ok(results) = plan.run_tensors(inputs) {
        assert_eq!(results.len(), graph.outputs().len(), "number of results");
        for (&output, result) in graph.outputs().iter().zip(&results) {
            // A Squeeze without axes takes an unknown size for more than 1 (docs/fuzzing.md).
            if bound.shape(output).dims().contains(&Dim::Unknown) {
                continue;
            }
            let (value, shape) = (bound.value(output), bound.shape(output));
            let fits = |(&dim, &size): (&Dim, &usize)| match dim {
                Dim::Fixed(fixed) => fixed == size,
                Dim::Batch => size == options.batch,
                Dim::Symbol(_) => size == SYMBOL,
                Dim::Unknown => true,
            };
            assert!(
                value.dtype == result.dtype()
                    && shape.rank() == result.shape().len()
                    && shape.dims().iter().zip(result.shape()).all(fits),
                "output `{}` is {} {:?}, inferred was {}",
                value.name,
                result.dtype().name(),
                result.shape(),
                bound.type_of(output),
            );
        }
    }
    let (taken, given) = (plan.input_len(), plan.output_len());
    if taken > 0 && given > 0 {
        // One image less than there may be, if there may be several.
        let n = (options.batch - 1).max(1);
        let images: Vec<f32> = (0..n * taken).map(element).collect();
        let _ = plan.run(&images, &mut vec![0.0; n * given]);
    }
}

/// What a dimension with a name is when a graph runs.
const SYMBOL: usize = 2;

/// A small number of either sign.
fn element(i: usize) -> f32 {
    (i * 7 % 11) as f32 - 4.0
}

/// Something to run a graph with.
fn input(graph: &Graph, id: ValueId, batch: usize) -> Tensor {
    let sizes: Vec<usize> = graph
        .shape(id)
        .dims()
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Batch => batch,
            Dim::Symbol(_) => SYMBOL,
            Dim::Unknown => 3,
        })
        .collect();
    let len = sizes.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
    // Plans were refused before for inputs beyond this.
    let len = if len > AMPLE { 0 } else { len };
    let sizes = if len == 0 && !sizes.contains(&0) { vec![0; sizes.len()] } else { sizes };
    let small = (0..len).map(element);
    let data = match graph.value(id).dtype {
        DataType::F32 => TensorData::F32(small.collect()),
        DataType::F64 => TensorData::F64(small.map(f64::from).collect()),
        DataType::I64 => TensorData::I64(small.map(|v| v as i64).collect()),
        DataType::I32 => TensorData::I32(small.map(|v| v as i32).collect()),
        DataType::I8 => TensorData::I8(small.map(|v| v as i8).collect()),
        DataType::U8 => TensorData::U8(small.map(|v| v as i8 as u8).collect()),
        DataType::Bool => TensorData::Bool(small.map(|v| v > 0.0).collect()),
        other @ (DataType::F16
        | DataType::BF16
        | DataType::U16
        | DataType::I16
        | DataType::U32
        | DataType::U64
        | DataType::U4
        | DataType::I4) => TensorData::zeros(other, len),
    };
    Tensor::new(sizes, data).expect("as many elements as the shape has")
}

fn training(graph: &Graph, batch: usize, mode: Mode, cheap: bool) {
    let [ample, small] = contexts();
    let _ = Executor::check(small, graph, batch, mode);
    let Ok(bytes) = Executor::check(ample, graph, batch, mode) else { return };
    assert!(bytes <= AMPLE, "an executor of {bytes} bytes is planned within {AMPLE}");
    assert!(
        Executor::check(&context(bytes), graph, batch, mode).is_ok(),
        "{bytes} bytes are refused as too few"
    );
    if let Some(less) = bytes.checked_sub(1) {
        let refused = Executor::check(&context(less), graph, batch, mode);
        assert!(matches!(refused, Err(TrainError::Kernel(_))), "{less} bytes for {bytes}: {refused:?}");
    }
    if !cheap {
        return;
    }
    let mut executor = Executor::new(Arc::clone(ample), graph, batch, mode)
        .unwrap_or_else(|e| panic!("a graph that was checked cannot be trained: {e}"));
    let Some((c, h, w)) = graph.input_chw() else { return };
    let images: Vec<f32> = (0..batch * c * h * w).map(element).collect();
    executor.forward_eval(&images);
    let _ = executor.take_failure();
    if mode == Mode::Train {
        let logits = executor.forward_train(&images, 1).len();
        executor.backward(&vec![1.0; logits]);
        let _ = executor.take_failure();
        let mut trained = graph.clone();
        executor.store(&mut trained);
    }
}
