//! What is decided before a plan takes memory.

use std::collections::HashSet;
use std::sync::Arc;

use oculist_graph::{DataType, Dim, Graph, Shape, ValueKind};

use super::Signature;
use crate::arena::{Arena, Request};
use crate::error::RuntimeError;
use crate::lower::{Entry, Lowered, Place, Tap, lower};
use crate::options::PlanOptions;
use crate::rows::{Slot, SlotId};
use crate::step::{Step, Work};
use crate::tensor::Tensor;

/// A plan that is decided and has no memory yet.
pub(super) struct Draft {
    pub(super) tensors: Vec<Tensor>,
    pub(super) slots: Vec<Slot>,
    pub(super) steps: Vec<Step>,
    pub(super) taps: Vec<Tap>,
    pub(super) entry: Entry,
    pub(super) outputs: Vec<Place>,
    pub(super) signature: Signature,
    /// Per step, the slots that nobody reads behind it.
    pub(super) freed: Vec<Vec<SlotId>>,
    pub(super) arena: Arena,
    /// f32 of scratch.
    pub(super) scratch: usize,
    /// f32 for the images of an incomplete batch.
    pub(super) staging: usize,
    /// Bytes of all, with input and output.
    pub(super) bytes: usize,
    /// Whether it is that of a single image, of which every thread gets one of its own.
    pub(super) apart: bool,
}

impl Draft {
    /// The draft for the options' batch, or for that which the graph fixes for its images; with the options for it.
    pub(super) fn of(graph: &Graph, options: &PlanOptions) -> Result<(Self, PlanOptions), RuntimeError> {
        if let Some(batch) = fixed_batch(graph).filter(|&n| n != options.batch) {
            let own = PlanOptions { batch, ..options.clone() };
            if let Ok(draft) = Self::unchecked(graph, &own)
                && draft.signature.images.is_ok()
            {
                return Ok((draft.checked(graph, &own)?, own));
            }
        }
        Ok((Self::unchecked(graph, options)?.checked(graph, options)?, options.clone()))
    }

    fn unchecked(graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        check_values(graph, options)?;
        let bound = graph.with_batch(options.batch)?;
        let lowered = lower(&bound, options)?;
        let draft = Self::whole(graph, &bound, lowered, options);
        if draft.may_be_apart(options) { draft.of_single_images(graph, options) } else { Ok(draft) }
    }

    /// The draft, if it fits into the memory that it may take.
    fn checked(self, graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        let what = plan_of(graph, options.batch);
        options.context.check_memory(&what, self.bytes).map_err(RuntimeError::Memory)?;
        Ok(self)
    }

    fn whole(graph: &Graph, bound: &Graph, lowered: Lowered, options: &PlanOptions) -> Self {
        let signature = Signature::new(graph, bound, &lowered.entry, options.batch);
        let arena = Arena::new(&requests(options.batch, &lowered));
        let freed = freed(&lowered);
        let threads = options.context.threads();
        let plain = plain_bytes(&lowered, &freed);
        let Lowered { tensors, slots, steps, taps, entry, outputs } = lowered;
        let scratch = steps.iter().map(|step| step.work.scratch_len(threads)).max().unwrap_or(0);
        let input = match entry {
            Entry::Images => options.batch.saturating_mul(tensors[0].image_len()),
            Entry::Rows(_) => 0,
        };
        let staging = if options.batch > 1 { input } else { 0 };
        // What a run is given and gives counts too: it is of this size because the plan is.
        let results = outputs.iter().map(|place| match place {
            Place::Fast(tensor) => options.batch.saturating_mul(tensors[*tensor].image_len()),
            Place::Rows(_) => 0,
        });
        let floats = [scratch, staging, input].into_iter().chain(results).fold(0, usize::saturating_add);
        let bytes = [weight_bytes(&steps), arena.bytes(), floats.saturating_mul(4), plain]
            .into_iter()
            .fold(0, usize::saturating_add);
        Self {
            tensors,
            slots,
            steps,
            taps,
            entry,
            outputs,
            signature,
            freed,
            arena,
            scratch,
            staging,
            bytes,
            apart: false,
        }
    }

    /// Whether threads are faster with images of their own than with parts of each layer.
    ///
    /// No thread waits for another then, and what a layer writes is near when the next one reads it; but the weights are
    /// read by every thread for each of its images. Plain steps share their work among threads themselves.
    fn may_be_apart(&self, options: &PlanOptions) -> bool {
        let threads = options.context.threads();
        threads > 1
            && options.batch >= 2 * threads
            && options.observe.is_empty()
            && self.signature.images.is_ok()
            && self.slots.is_empty()
            && matches!(self.outputs[..], [Place::Fast(_)])
            && weight_bytes(&self.steps) <= WEIGHTS_FOR_EACH
    }

    /// The draft of a plan of which every thread computes whole images.
    fn of_single_images(self, graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        let alone = single_image(options)?;
        // A graph may hold sizes that fit the whole batch alone.
        let Ok(bound) = graph.with_batch(1) else { return Ok(self) };
        let Ok(lowered) = lower(&bound, &alone) else { return Ok(self) };
        let single = Self::whole(graph, &bound, lowered, &alone);
        let &[Place::Fast(output)] = &single.outputs[..] else { return Ok(self) };
        if single.signature.images.is_err() || !single.slots.is_empty() {
            return Ok(self);
        }
        let image = single.tensors[0].image_len().saturating_add(single.tensors[output].image_len());
        let images = image.saturating_mul(4).saturating_mul(options.batch);
        let each = single.arena.bytes().saturating_add(single.scratch.saturating_mul(4));
        let bytes = each
            .saturating_mul(options.context.threads() + 1)
            .saturating_add(weight_bytes(&single.steps))
            .saturating_add(images);
        Ok(Self { bytes, apart: true, signature: self.signature, ..single })
    }
}

/// The batch that a graph fixes for its only input and output.
fn fixed_batch(graph: &Graph) -> Option<usize> {
    let (&[input], &[output]) = (graph.inputs(), graph.outputs()) else { return None };
    let first = |v| graph.shape(v).get(0).filter(|&n| n > 0);
    let open = graph.shape(input).dims().contains(&Dim::Batch);
    first(input).filter(|&n| first(output) == Some(n) && !open)
}

impl Signature {
    fn new(graph: &Graph, bound: &Graph, entry: &Entry, batch: usize) -> Self {
        let inputs = graph.inputs().iter().map(|&v| {
            let value = graph.value(v);
            let shape = value.shape.clone().unwrap_or_else(|| Shape::fixed(&[]));
            (value.name.clone(), Slot { dtype: value.dtype, shape })
        });
        let sizes = |v| bound.shape(v).sizes().unwrap_or_default();
        Self {
            inputs: inputs.collect(),
            outputs: graph.outputs().iter().map(|&v| sizes(v)).collect(),
            images: images(graph, bound, entry, batch),
        }
    }
}

/// f32 of one image's output, for a graph that turns images into floats; otherwise what speaks against it.
fn images(graph: &Graph, bound: &Graph, entry: &Entry, batch: usize) -> Result<usize, String> {
    let (&[input], &[output]) = (graph.inputs(), graph.outputs()) else {
        return Err(format!(
            "expected one input and one output, found {} and {}",
            graph.inputs().len(),
            graph.outputs().len()
        ));
    };
    if let Some(images) = graph.shape(input).get(0).filter(|&n| n != batch) {
        return Err(format!("the graph is for batches of {images}, the plan for {batch}"));
    }
    if matches!(entry, Entry::Rows(_)) {
        return Err(format!(
            "expected an input of floats [N, C, H, W] or [N, C] whose sizes are numbers but for N, found {}",
            graph.type_of(input)
        ));
    }
    // A size that happens to be that of the batch says nothing.
    let first = |v| graph.shape(v).dims().first().copied();
    let fixed = |dim: Option<Dim>| dim.is_some_and(|d| d.size().is_some());
    let batched = !fixed(first(output)) || fixed(first(input));
    match bound.shape(output).sizes().as_deref() {
        Some([n, rest @ ..]) if *n == batch && batched && graph.value(output).dtype == DataType::F32 => {
            Ok(rest.iter().product())
        }
        _ => {
            Err(format!("expected an output of floats with the batch first, found {}", graph.type_of(output)))
        }
    }
}

/// The options of a plan for one image on one thread.
pub(super) fn single_image(options: &PlanOptions) -> Result<PlanOptions, RuntimeError> {
    let serial = options.context.serial().map_err(|e| RuntimeError::Options(e.to_string()))?;
    Ok(PlanOptions { batch: 1, context: Arc::new(serial), ..options.clone() })
}

/// Bytes of the packed weights.
fn weight_bytes(steps: &[Step]) -> usize {
    steps.iter().fold(0, |sum: usize, step| sum.saturating_add(step.work.weight_bytes()))
}

/// Refuses values that alone do not fit into the memory, and graphs that compute too long, before anything is lowered.
fn check_values(graph: &Graph, options: &PlanOptions) -> Result<(), RuntimeError> {
    for value in graph.values() {
        let Some(shape) = value.shape.as_ref().filter(|_| !matches!(value.kind, ValueKind::Param(_))) else {
            continue;
        };
        let images = if shape.dims().contains(&Dim::Batch) { options.batch } else { 1 };
        // A byte for each element: what is quantised takes no more.
        let bytes = images.saturating_mul(shape.elements_per_sample());
        let what = || format!("value `{}` {shape} of {}", value.name, plan_of(graph, options.batch));
        if bytes > options.context.max_memory() {
            options.context.check_memory(&what(), bytes).map_err(RuntimeError::Memory)?;
        }
    }
    Ok(graph.check_operations()?)
}

/// What needs memory, in words.
pub(super) fn plan_of(graph: &Graph, batch: usize) -> String {
    let images = if batch == 1 { "image" } else { "images" };
    format!("the plan of `{}` for {batch} {images}", graph.name())
}

/// Bytes of weights up to which every thread may well read all of them for each image: they stay in the caches.
const WEIGHTS_FOR_EACH: usize = 10 << 20;

/// Per step, the slots that are read or filled there for the last time.
fn freed(lowered: &Lowered) -> Vec<Vec<SlotId>> {
    let mut last: Vec<Option<usize>> = vec![None; lowered.slots.len()];
    for (i, step) in lowered.steps.iter().enumerate() {
        for slot in step.work.slots_read().into_iter().chain(step.work.slots_written().iter().copied()) {
            last[slot] = Some(i);
        }
    }
    for tap in &lowered.taps {
        if let Place::Rows(rows) = &tap.at
            && let Some(slot) = rows.slot()
        {
            // Shown before the step of that number: freed behind it at the earliest.
            last[slot] = last[slot].max(Some(tap.step));
        }
    }
    for place in &lowered.outputs {
        if let Place::Rows(rows) = place
            && let Some(slot) = rows.slot()
        {
            last[slot] = Some(usize::MAX);
        }
    }
    let mut freed = vec![Vec::new(); lowered.steps.len()];
    for (slot, last) in last.into_iter().enumerate() {
        if let Some(list) = last.and_then(|i| freed.get_mut(i)) {
            list.push(slot);
        }
    }
    freed
}

/// The most bytes that row-major tensors of a known size take at once, with the constants that plain steps read.
fn plain_bytes(lowered: &Lowered, freed: &[Vec<SlotId>]) -> usize {
    let size = |slot: &SlotId| lowered.slots[*slot].bytes();
    let mut alive = match &lowered.entry {
        Entry::Images => 0,
        Entry::Rows(slots) => slots.iter().map(size).fold(0, usize::saturating_add),
    };
    let mut most = alive;
    let mut constants = HashSet::new();
    let mut constant_bytes: usize = 0;
    for (step, freed) in lowered.steps.iter().zip(freed) {
        let written = step.work.slots_written().iter().map(size);
        alive = written.fold(alive, usize::saturating_add);
        most = most.max(alive);
        alive = freed.iter().map(size).fold(alive, usize::saturating_sub);
        if let Work::Plain(plain) = &step.work {
            for tensor in plain.constants() {
                // Copies of a tensor share their elements.
                if constants.insert(std::ptr::from_ref(tensor.data())) {
                    constant_bytes = constant_bytes.saturating_add(tensor.bytes());
                }
            }
        }
    }
    most.saturating_add(constant_bytes)
}

/// Sizes and lifetimes of the tensors.
fn requests(batch: usize, lowered: &Lowered) -> Vec<Request> {
    let Lowered { tensors, steps, taps, entry, outputs, .. } = lowered;
    let images = matches!(entry, Entry::Images);
    let mut requests: Vec<Request> = tensors
        .iter()
        .enumerate()
        .map(|(id, tensor)| Request {
            bytes: batch.saturating_mul(tensor.image_bytes()),
            life: None,
            takes_over: None,
            input: images && id == 0,
        })
        .collect();
    let mut touch = |id: usize, at: usize| {
        let life = &mut requests[id].life;
        *life = Some(life.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    };
    for (at, step) in steps.iter().enumerate() {
        for &id in step.inputs.iter().chain(&step.output) {
            touch(id, at);
        }
    }
    // An observed value is read before step `tap.step`: it must outlive the step before.
    for tap in taps {
        if let Place::Fast(tensor) = tap.at {
            touch(tensor, tap.step.saturating_sub(1));
        }
    }
    for place in outputs {
        if let Place::Fast(tensor) = place {
            touch(*tensor, steps.len());
        }
    }
    for (at, step) in steps.iter().enumerate() {
        let (Some(&first), Some(output)) = (step.inputs.first(), step.output) else { continue };
        let dies_here = requests[first].life.is_some_and(|(_, last)| last == at);
        if step.work.in_place()
            && dies_here
            && !requests[first].input
            && !step.inputs[1..].contains(&first)
            && tensors[first] == tensors[output]
        {
            requests[output].takes_over = Some(first);
        }
    }
    requests
}
