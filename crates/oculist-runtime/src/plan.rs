//! The plan: everything decided once, so that a run only computes.

mod draft;
mod tensors;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use oculist_graph::{Graph, Tensor as Rows};
use oculist_kernels::{Buffer, Context, try_zeros};
use oculist_text::visible;

use crate::arena::Arena;
use crate::error::RuntimeError;
use crate::lower::{Entry, Place, Tap};
use crate::observe::Observed;
use crate::options::{InputLayout, PlanOptions};
use crate::rows::{Slot, SlotId};
use crate::step::Step;
use crate::tensor::Tensor;
use draft::{Draft, plan_of, single_image};

/// What a plan takes and gives.
#[derive(Debug)]
pub(crate) struct Signature {
    /// Names, types and shapes of the graph's inputs; the batch is open.
    pub(crate) inputs: Vec<(String, Slot)>,
    /// Sizes of the outputs where they are known.
    pub(crate) outputs: Vec<Vec<usize>>,
    /// f32 of one image's output, or why it is no matter of images.
    pub(crate) images: Result<usize, String>,
}

/// A graph made ready to run on up to a fixed number of images.
#[derive(Debug)]
pub struct Plan {
    pub(crate) context: Arc<Context>,
    /// Largest number of images that the steps compute at a time.
    pub(crate) batch: usize,
    /// Largest number of images of one run; the steps are run as often as it takes.
    run_batch: usize,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) steps: Arc<Vec<Step>>,
    pub(crate) arena: Arena,
    pub(crate) scratch: Buffer,
    /// Row-major tensors that exist at the moment.
    pub(crate) slots: Vec<Option<Rows>>,
    /// What is known of them before.
    pub(crate) known: Arc<Vec<Slot>>,
    /// Per step, the slots that nobody reads behind it.
    pub(crate) freed: Arc<Vec<Vec<SlotId>>>,
    pub(crate) entry: Entry,
    pub(crate) outputs: Vec<Place>,
    pub(crate) signature: Arc<Signature>,
    taps: Vec<Tap>,
    pub(crate) layout: InputLayout,
    /// Holds the images of an incomplete batch.
    staging: Vec<f32>,
    pub(crate) name: String,
    /// Plans of a single image on one thread, as many as there are threads, if each thread computes images of its own.
    pub(crate) apart: Vec<Mutex<Self>>,
}

impl Plan {
    /// Plans `graph` for a batch of the options' size.
    ///
    /// A graph with one input of floats `[N, C, H, W]` or `[N, C]` and one output of floats with the batch first is run by
    /// [`Plan::run`]; any graph is run by [`Plan::run_tensors`]. Operators that have no kernel in the layout of images run
    /// on row-major tensors, as do values whose size is known only when the graph runs.
    ///
    /// Several threads share each layer or, where the weights are few and the batch has two images for every thread,
    /// compute whole images. The two may differ in the last bits, so results are the same for the same number of threads.
    ///
    /// A graph whose images come in batches of a fixed size is planned for that size, and run as often as the images need;
    /// an incomplete batch is filled up with what is not looked at.
    ///
    /// # Errors
    /// [`RuntimeError`] naming the node that cannot be computed, or the option that makes no sense.
    pub fn new(graph: &Graph, options: &PlanOptions) -> Result<Self, RuntimeError> {
        if options.batch == 0 {
            return Err(RuntimeError::Options("expected a batch of at least 1, found 0".into()));
        }
        let (draft, own) = Draft::of(graph, options)?;
        if !draft.apart {
            return Ok(Self { run_batch: options.batch, ..Self::allocated(graph, &own, draft)? });
        }
        let what = plan_of(graph, options.batch);
        let single = Self::allocated(graph, &single_image(options)?, draft)?;
        let mut apart = Vec::new();
        for _ in 0..options.context.threads() {
            apart.push(Mutex::new(single.twin(&what)?));
        }
        let (context, batch) = (Arc::clone(&options.context), options.batch);
        Ok(Self { context, batch, run_batch: batch, apart, ..single })
    }

    /// Looks whether a graph can be planned, without taking memory for what it computes: whether everything fits into the
    /// memory that a plan may take, and whether it computes for a bearable time. [`Plan::new`] asks the same first.
    /// Returns the bytes that the plan takes, with its input and output.
    ///
    /// # Errors
    /// As [`Plan::new`]: [`RuntimeError::Memory`] naming the plan or the value that is too large; [`RuntimeError::Graph`]
    /// for a graph of more than [`Graph::MAX_OPERATIONS`] operations per image.
    pub fn check(graph: &Graph, options: &PlanOptions) -> Result<usize, RuntimeError> {
        Ok(Draft::of(graph, options)?.0.bytes)
    }

    fn allocated(graph: &Graph, options: &PlanOptions, draft: Draft) -> Result<Self, RuntimeError> {
        let what = plan_of(graph, options.batch);
        let Draft { tensors, slots, steps, taps, entry, outputs, signature, freed, .. } = draft;
        let Draft { arena, scratch, staging, .. } = draft;
        Ok(Self {
            context: Arc::clone(&options.context),
            batch: options.batch,
            run_batch: options.batch,
            arena: arena.allocated(&what).map_err(RuntimeError::Memory)?,
            scratch: Buffer::try_zeroed(scratch, &what).map_err(RuntimeError::Memory)?,
            staging: try_zeros(staging, &what).map_err(RuntimeError::Memory)?,
            tensors,
            steps: Arc::new(steps),
            slots: vec![None; slots.len()],
            known: Arc::new(slots),
            freed: Arc::new(freed),
            entry,
            outputs,
            signature: Arc::new(signature),
            taps,
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
            run_batch: self.run_batch,
            tensors: self.tensors.clone(),
            steps: Arc::clone(&self.steps),
            arena: self.arena.twin(what).map_err(RuntimeError::Memory)?,
            scratch: Buffer::try_zeroed(self.scratch.len(), what).map_err(RuntimeError::Memory)?,
            slots: vec![None; self.slots.len()],
            known: Arc::clone(&self.known),
            freed: Arc::clone(&self.freed),
            entry: self.entry.clone(),
            outputs: self.outputs.clone(),
            signature: Arc::clone(&self.signature),
            taps: self.taps.clone(),
            layout: self.layout,
            // A plan of a single image has none.
            staging: self.staging.clone(),
            name: self.name.clone(),
            apart: Vec::new(),
        })
    }

    /// Largest number of images of one run.
    #[expect(clippy::misnamed_getters, reason = "the field of that name is that of the steps")]
    pub fn batch(&self) -> usize {
        self.run_batch
    }

    /// Threads and instruction set.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The tensor of the images, if the plan takes some.
    fn images(&self) -> Option<&Tensor> {
        if matches!(self.entry, Entry::Images) { self.tensors.first() } else { None }
    }

    /// Channels, height and width of an image; zeros for a plan that takes no images.
    pub fn input_chw(&self) -> (usize, usize, usize) {
        self.images().map_or((0, 0, 0), |input| (input.channels, input.size[0], input.size[1]))
    }

    /// f32 of one input image; 0 for a plan that takes no images.
    pub fn input_len(&self) -> usize {
        self.images().map_or(0, Tensor::image_len)
    }

    /// f32 of one image's output: the number of classes of a classifier. 0 for a plan that only
    /// [`Plan::run_tensors`] runs.
    pub fn output_len(&self) -> usize {
        self.signature.images.as_ref().map_or(0, |&len| len)
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
        let given = usize::from(self.images().is_some());
        let images = self.tensors.iter().skip(given).map(Tensor::image_bytes).fold(0, usize::saturating_add);
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
            let tensors = step.output.iter().map(|&output| self.tensors[output].label());
            let rows = step.work.slots_written().iter().map(|&slot| self.known[slot].label());
            let results = tensors.chain(rows).collect::<Vec<_>>().join(", ");
            let (node, kind) = (visible(&step.node), step.work.name());
            let _ = writeln!(out, "  {node}: {kind} -> {results} {}", step.work.detail());
        }
        out
    }

    /// Runs the network. Fewer images than the plan's batch are allowed but take as long as a full one: make a plan
    /// for each batch size that matters.
    ///
    /// # Shapes
    /// - `images`: dense `[n, height, width, channels]` (or NCHW, see [`PlanOptions`]), `1 <= n <= batch`
    /// - `logits`: dense `[n, classes]`; an output of another rank is written row-major, `[n, channels, height, width]`
    ///
    /// # Errors
    /// [`RuntimeError::Length`] when a slice does not fit; [`RuntimeError::Model`] when the graph has other inputs and
    /// outputs than one of images and one of floats for each; [`RuntimeError::Plain`] when a node cannot be computed.
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
        if let Err(problem) = &self.signature.images {
            return Err(RuntimeError::Model { graph: self.name.clone(), problem: problem.clone() });
        }
        let len = self.input_len();
        let n = images.len() / len;
        if images.len() != n * len || n == 0 || n > self.run_batch {
            return Err(RuntimeError::Length {
                what: "input images",
                expected: format!("1 to {} images of {len}", self.run_batch),
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
        let each = self.output_len();
        if self.apart.is_empty() {
            let (images, logits) = (images.chunks(self.batch * len), logits.chunks_mut(self.batch * each));
            for (images, logits) in images.zip(logits) {
                self.compute(images.len() / len, images, logits, observer)?;
            }
            return Ok(());
        }
        let failed = Mutex::new(None);
        self.context.for_pieces(logits, each, |image, logits| {
            // As many plans as threads: one is always free.
            if let Some(mut plan) = self.apart.iter().find_map(|plan| plan.try_lock().ok())
                && let Err(error) = plan.compute(1, &images[image * len..][..len], logits, &mut |_| {})
            {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// The steps and the output, for slices whose lengths were checked.
    fn compute(
        &mut self,
        n: usize,
        images: &[f32],
        logits: &mut [f32],
        observer: &mut dyn FnMut(&Observed),
    ) -> Result<(), RuntimeError> {
        let mut staging = std::mem::take(&mut self.staging);
        let input = if n < self.batch {
            staging[..images.len()].copy_from_slice(images);
            &staging
        } else {
            images
        };
        let done = self.run_steps(n, input, observer).and_then(|()| self.write_output(n, input, logits));
        self.slots.fill(None);
        self.staging = staging;
        done
    }

    /// The steps, for the images or with the inputs in their slots.
    fn run_steps(
        &mut self,
        n: usize,
        input: &[f32],
        observer: &mut dyn FnMut(&Observed),
    ) -> Result<(), RuntimeError> {
        let mut taps = 0;
        for i in 0..=self.steps.len() {
            while let Some(tap) = self.taps.get(taps).filter(|tap| tap.step == i) {
                if let Some(observed) = self.observed(tap, n, input) {
                    observer(&observed);
                }
                taps += 1;
            }
            if i < self.steps.len() {
                self.execute(i, input)?;
            }
        }
        Ok(())
    }

    /// What an observer sees of a value.
    fn observed<'a>(&'a self, tap: &'a Tap, images: usize, input: &'a [f32]) -> Option<Observed<'a>> {
        let value = tap.value;
        Some(match &tap.at {
            Place::Fast(id) => {
                let tensor = &self.tensors[*id];
                let ([height, width], channels, channel_stride) =
                    (tensor.size, tensor.channels, tensor.stride);
                let data = &self.arena.read(*id, input)[..images * tensor.image_len()];
                Observed { value, images, height, width, channels, channel_stride, data }
            }
            Place::Rows(rows) => {
                let tensor = rows.tensor(&self.slots)?;
                let data = tensor.as_f32()?;
                let len = data.len() / self.batch;
                let data = data.get(..images * len)?;
                // Several rows of a matrix for each image.
                let height = match *tensor.shape() {
                    [rows, _] => rows / self.batch,
                    _ => 1,
                };
                let channels = len / height.max(1);
                Observed { value, images, height, width: 1, channels, channel_stride: channels, data }
            }
        })
    }
}
