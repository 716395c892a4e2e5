//! The plan: everything decided once, so that a run only computes.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use oculist_graph::{Dim, Graph, ValueKind};
use oculist_kernels::{Buffer, Context, try_zeros};
use oculist_text::visible;

use crate::arena::{Arena, Request};
use crate::error::RuntimeError;
use crate::lower::{Lowered, Tap, lower};
use crate::observe::Observed;
use crate::options::{InputLayout, PlanOptions};
use crate::step::Step;
use crate::tensor::{Tensor, TensorId};

/// A graph made ready to run on up to a fixed number of images.
#[derive(Debug)]
pub struct Plan {
    pub(crate) context: Arc<Context>,
    pub(crate) batch: usize,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) steps: Arc<Vec<Step>>,
    pub(crate) arena: Arena,
    pub(crate) scratch: Buffer,
    pub(crate) output: TensorId,
    taps: Vec<Tap>,
    layout: InputLayout,
    /// Holds the images of an incomplete batch.
    staging: Vec<f32>,
    name: String,
    /// Plans of a single image on one thread, as many as there are threads, if each thread computes images of its own.
    pub(crate) apart: Vec<Mutex<Self>>,
}

impl Plan {
    /// Plans `graph`, which must have one input `[N, C, H, W]` or `[N, C]` and one output.
    ///
    /// Several threads share each layer or, where the weights are few and the batch has two images for every thread,
    /// compute whole images. The two may differ in the last bits, so results are the same for the same number of threads.
    ///
    /// # Errors
    /// [`RuntimeError`] naming the node that cannot be computed, or the option that makes no sense.
    pub fn new(graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        if options.batch == 0 {
            return Err(RuntimeError::Options("expected a batch of at least 1, found 0".into()));
        }
        let draft = Draft::new(graph, options)?;
        if !draft.apart {
            return Self::allocated(graph, options, draft);
        }
        let what = plan_of(graph, options.batch);
        let single = Self::allocated(graph, &single_image(options)?, draft)?;
        let mut apart = Vec::new();
        for _ in 0..options.context.threads() {
            apart.push(Mutex::new(single.twin(&what)?));
        }
        Ok(Self { context: Arc::clone(&options.context), batch: options.batch, apart, ..single })
    }

    /// Looks whether a graph can be planned, without taking memory for what it computes: whether everything fits into the
    /// memory that a plan may take, and whether it computes for a bearable time. [`Plan::new`] asks the same first.
    /// Returns the bytes that the plan takes, with its input and output.
    ///
    /// # Errors
    /// As [`Plan::new`]: [`RuntimeError::Memory`] naming the plan or the value that is too large; [`RuntimeError::Graph`]
    /// for a graph of more than [`Graph::MAX_OPERATIONS`] operations per image.
    pub fn check(graph: &Graph, options: &PlanOptions) -> Result<usize, RuntimeError> {
        Ok(Draft::new(graph, options)?.bytes)
    }

    fn allocated(graph: &Graph, options: &PlanOptions, draft: Draft) -> Result<Self, RuntimeError> {
        let what = plan_of(graph, options.batch);
        let Draft { tensors, steps, taps, output, arena, scratch, staging, .. } = draft;
        Ok(Self {
            context: Arc::clone(&options.context),
            batch: options.batch,
            arena: arena.allocated(&what).map_err(RuntimeError::Memory)?,
            scratch: Buffer::try_zeroed(scratch, &what).map_err(RuntimeError::Memory)?,
            staging: try_zeros(staging, &what).map_err(RuntimeError::Memory)?,
            tensors,
            steps: Arc::new(steps),
            taps,
            output,
            layout: options.input_layout,
            name: graph.name().to_owned(),
            apart: Vec::new(),
        })
    }

    /// The same plan with memory of its own; constants are shared.
    fn twin(&self, what: &str) -> Result<Self, RuntimeError> {
        let serial = self.context.serial().map_err(|e| RuntimeError::Options(e.to_string()))?;
        Ok(Self {
            context: Arc::new(serial),
            batch: self.batch,
            tensors: self.tensors.clone(),
            steps: Arc::clone(&self.steps),
            arena: self.arena.twin(what).map_err(RuntimeError::Memory)?,
            scratch: Buffer::try_zeroed(self.scratch.len(), what).map_err(RuntimeError::Memory)?,
            output: self.output,
            taps: self.taps.clone(),
            layout: self.layout,
            // A plan of a single image has none.
            staging: self.staging.clone(),
            name: self.name.clone(),
            apart: Vec::new(),
        })
    }

    /// Largest number of images of one run.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Threads and instruction set.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Channels, height and width of an image.
    pub fn input_chw(&self) -> (usize, usize, usize) {
        let input = &self.tensors[0];
        (input.channels, input.size[0], input.size[1])
    }

    /// f32 of one input image.
    pub fn input_len(&self) -> usize {
        self.tensors[0].image_len()
    }

    /// f32 of one image's output: the number of classes of a classifier.
    pub fn output_len(&self) -> usize {
        let output = &self.tensors[self.output];
        output.channels * output.pixels()
    }

    /// Bytes of the arena that holds the intermediate results.
    pub fn arena_bytes(&self) -> usize {
        self.arena.bytes() * self.apart.len().max(1)
    }

    /// Bytes of scratch for the algorithms, beside the arena.
    pub fn scratch_bytes(&self) -> usize {
        4 * (self.scratch.len() + self.staging.len()) * self.apart.len().max(1)
    }

    /// Bytes that the intermediate results would take without sharing memory.
    pub fn unshared_bytes(&self) -> usize {
        let images = self.tensors.iter().skip(1).map(Tensor::image_bytes).fold(0, usize::saturating_add);
        self.batch.saturating_mul(images)
    }

    /// The steps, one a line: node, kind, result, geometry, algorithm and what is fused. Names are those of the graph, with
    /// what would break a line or steer a terminal as escapes.
    pub fn describe(&self) -> String {
        let mut out = format!(
            "plan of {} for {} images, {} threads, {} ({:?} input), arena {} KiB of {} KiB\n",
            visible(&self.name),
            self.batch,
            self.context.threads(),
            self.context.isa(),
            self.layout,
            self.arena_bytes() / 1024,
            self.unshared_bytes() / 1024,
        );
        if !self.apart.is_empty() {
            out.push_str("  every thread computes whole images, one at a time\n");
        }
        for step in self.steps.iter() {
            let result = self.tensors[step.output].label();
            let _ = writeln!(
                out,
                "  {}: {} -> {result} {}",
                visible(&step.node),
                step.work.name(),
                step.work.detail()
            );
        }
        out
    }

    /// Runs the network. Fewer images than the plan's batch are allowed but take as long as a full one: make a plan
    /// for each batch size that matters.
    ///
    /// # Shapes
    /// - `images`: dense `[n, height, width, channels]` (or NCHW, see [`PlanOptions`]), `1 <= n <= batch`
    /// - `logits`: dense `[n, classes]`; an output of rank 4 is written as `[n, channels, height, width]`
    ///
    /// # Errors
    /// [`RuntimeError::Length`] when a slice does not fit.
    pub fn run(&mut self, images: &[f32], logits: &mut [f32]) -> Result<(), RuntimeError> {
        self.run_observed(images, logits, &mut |_| {})
    }

    /// [`Plan::run`], handing the values named in [`PlanOptions::observe`] to `observer` as they are computed.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_observed(
        &mut self,
        images: &[f32],
        logits: &mut [f32],
        observer: &mut dyn FnMut(&Observed),
    ) -> Result<(), RuntimeError> {
        let len = self.input_len();
        let n = images.len() / len;
        if images.len() != n * len || n == 0 || n > self.batch {
            return Err(RuntimeError::Length {
                what: "input images",
                expected: format!("1 to {} images of {len}", self.batch),
                found: images.len(),
            });
        }
        if logits.len() != n * self.output_len() {
            return Err(RuntimeError::Length {
                what: "output",
                expected: format!("{n} x {}", self.output_len()),
                found: logits.len(),
            });
        }
        if !self.apart.is_empty() {
            let each = self.output_len();
            self.context.for_pieces(logits, each, |image, logits| {
                // As many plans as threads: one is always free.
                if let Some(mut plan) = self.apart.iter().find_map(|plan| plan.try_lock().ok()) {
                    plan.compute(1, &images[image * len..][..len], logits, &mut |_| {});
                }
            });
            return Ok(());
        }
        self.compute(n, images, logits, observer);
        Ok(())
    }

    /// The steps, for slices whose lengths were checked.
    fn compute(&mut self, n: usize, images: &[f32], logits: &mut [f32], observer: &mut dyn FnMut(&Observed)) {
        let mut staging = std::mem::take(&mut self.staging);
        let input = if n < self.batch {
            staging[..images.len()].copy_from_slice(images);
            &staging
        } else {
            images
        };
        let mut taps = 0;
        for i in 0..=self.steps.len() {
            while let Some(tap) = self.taps.get(taps).filter(|tap| tap.step == i) {
                let tensor = &self.tensors[tap.tensor];
                let data = &self.arena.read(tap.tensor, input)[..n * tensor.image_len()];
                observer(&Observed {
                    value: tap.value,
                    images: n,
                    height: tensor.size[0],
                    width: tensor.size[1],
                    channels: tensor.channels,
                    channel_stride: tensor.stride,
                    data,
                });
                taps += 1;
            }
            if i < self.steps.len() {
                self.execute(i, input);
            }
        }
        self.write_output(n, input, logits);
        self.staging = staging;
    }
}

/// A plan that is decided and has no memory yet.
struct Draft {
    tensors: Vec<Tensor>,
    steps: Vec<Step>,
    taps: Vec<Tap>,
    output: TensorId,
    arena: Arena,
    /// f32 of scratch.
    scratch: usize,
    /// f32 for the images of an incomplete batch.
    staging: usize,
    /// Bytes of all, with input and output.
    bytes: usize,
    /// Whether it is that of a single image, of which every thread gets one of its own.
    apart: bool,
}

impl Draft {
    fn new(graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        check_values(graph, options)?;
        let lowered = lower(graph, options)?;
        let draft = if options.observe.is_empty() && apart_is_faster(options, &lowered.steps) {
            Self::of_single_images(graph, options)?
        } else {
            Self::whole(lowered, options)
        };
        let what = plan_of(graph, options.batch);
        options.context.check_memory(&what, draft.bytes).map_err(RuntimeError::Memory)?;
        Ok(draft)
    }

    fn whole(lowered: Lowered, options: &PlanOptions) -> Self {
        let Lowered { tensors, steps, taps, output } = lowered;
        let arena = Arena::new(&requests(options.batch, &tensors, &steps, &taps, output));
        let threads = options.context.threads();
        let scratch = steps.iter().map(|step| step.work.scratch_len(threads)).max().unwrap_or(0);
        let input = options.batch.saturating_mul(tensors[0].image_len());
        let staging = if options.batch > 1 { input } else { 0 };
        let logits = options.batch.saturating_mul(tensors[output].image_len());
        // What a run is given and gives counts too: it is of this size because the plan is.
        let floats = [scratch, staging, input, logits].into_iter().fold(0, usize::saturating_add);
        let bytes = [weight_bytes(&steps), arena.bytes(), floats.saturating_mul(4)]
            .into_iter()
            .fold(0, usize::saturating_add);
        Self { tensors, steps, taps, output, arena, scratch, staging, bytes, apart: false }
    }

    /// The draft of a plan of which every thread computes whole images.
    fn of_single_images(graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        let alone = single_image(options)?;
        let single = Self::whole(lower(graph, &alone)?, &alone);
        let image = single.tensors[0].image_len().saturating_add(single.tensors[single.output].image_len());
        let images = image.saturating_mul(4).saturating_mul(options.batch);
        let each = single.arena.bytes().saturating_add(single.scratch.saturating_mul(4));
        let bytes = each
            .saturating_mul(options.context.threads() + 1)
            .saturating_add(weight_bytes(&single.steps))
            .saturating_add(images);
        Ok(Self { bytes, apart: true, ..single })
    }
}

/// The options of a plan for one image on one thread.
fn single_image(options: &PlanOptions) -> Result<PlanOptions, RuntimeError> {
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
fn plan_of(graph: &Graph, batch: usize) -> String {
    let images = if batch == 1 { "image" } else { "images" };
    format!("the plan of `{}` for {batch} {images}", graph.name())
}

/// Bytes of weights up to which every thread may well read all of them for each image: they stay in the caches.
const WEIGHTS_FOR_EACH: usize = 10 << 20;

/// Whether threads are faster with images of their own than with parts of each layer.
///
/// No thread waits for another then, and what a layer writes is near when the next one reads it; but the weights are
/// read by every thread for each of its images.
fn apart_is_faster(options: &PlanOptions, steps: &[Step]) -> bool {
    let threads = options.context.threads();
    threads > 1 && options.batch >= 2 * threads && weight_bytes(steps) <= WEIGHTS_FOR_EACH
}

/// Sizes and lifetimes of the tensors.
fn requests(
    batch: usize,
    tensors: &[Tensor],
    steps: &[Step],
    taps: &[Tap],
    output: TensorId,
) -> Vec<Request> {
    let mut requests: Vec<Request> = tensors
        .iter()
        .enumerate()
        .map(|(id, tensor)| Request {
            bytes: batch.saturating_mul(tensor.image_bytes()),
            life: None,
            takes_over: None,
            input: id == 0,
        })
        .collect();
    let mut touch = |id: TensorId, at: usize| {
        let life = &mut requests[id].life;
        *life = Some(life.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
    };
    for (at, step) in steps.iter().enumerate() {
        for &id in step.inputs.iter().chain([&step.output]) {
            touch(id, at);
        }
    }
    // An observed value is read before step `tap.step`: it must outlive the step before.
    for tap in taps {
        touch(tap.tensor, tap.step.saturating_sub(1));
    }
    touch(output, steps.len());
    for (at, step) in steps.iter().enumerate() {
        let first = step.inputs[0];
        let dies_here = requests[first].life.is_some_and(|(_, last)| last == at);
        if step.work.in_place()
            && dies_here
            && first != 0
            && !step.inputs[1..].contains(&first)
            && tensors[first] == tensors[step.output]
        {
            requests[step.output].takes_over = Some(first);
        }
    }
    requests
}
