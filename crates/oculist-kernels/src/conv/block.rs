//! The inverted residual block in one pass: expand (1x1), depthwise, project (1x1), band of rows by band of rows.
//!
//! The expanded map is several times as large as input and output together. Layer by layer it goes out to memory
//! and comes back twice; here a task takes a stripe of an image through the three convolutions, a few rows at a
//! time, and the expanded rows stay in the second-level cache. Rows that the next band needs again are moved, not
//! computed twice. The sums are those of the single layers, in the same order.
//!
//! # Source
//! The block is that of Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.

use super::{Algorithms, Conv2d, ConvPlan, Epilogue};
use crate::KernelError;
use crate::activation::Activation;
use crate::context::{Context, SendPtr};
use crate::layout::{LANES, channel_stride};

/// f32 of expanded and convolved rows of a band: 320 KiB.
const BAND: usize = 80 << 10;

/// f32 of the expanded map from which on fusing pays: 2 MiB.
const WORTH_FUSING: usize = 512 << 10;

/// The geometry of a block: convolutions of which each reads what the one before writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvertedResidual {
    /// The 1x1 convolution that widens; blocks with an expansion factor of 1 have none.
    pub expand: Option<Conv2d>,
    /// The depthwise convolution.
    pub depthwise: Conv2d,
    /// The 1x1 convolution that narrows.
    pub project: Conv2d,
}

impl InvertedResidual {
    /// Whether the fused block is faster than its layers: measured, it is where the expanded map of the whole batch
    /// is too large for the caches near the cores.
    pub fn is_worth_fusing(&self) -> bool {
        self.depthwise.x_len() > WORTH_FUSING
    }
}

/// Parameters of one convolution of a block.
#[derive(Debug, Clone, Copy)]
pub struct BlockLayer<'a> {
    /// Packed weights.
    pub weights: &'a [f32],
    /// Bias, `[channel_stride(c_out)]`, padded lanes 0.
    pub bias: Option<&'a [f32]>,
    /// Applied last.
    pub activation: Activation,
}

/// Parameters of a block.
#[derive(Debug, Clone, Copy)]
pub struct BlockLayers<'a> {
    /// Of the expanding convolution, if the block has one.
    pub expand: Option<BlockLayer<'a>>,
    /// Of the depthwise convolution.
    pub depthwise: BlockLayer<'a>,
    /// Of the projecting convolution.
    pub project: BlockLayer<'a>,
    /// Added to the projection before its activation, laid out as the output.
    pub residual: Option<&'a [f32]>,
}

/// One band of output rows and the plans for its height.
#[derive(Debug)]
struct Band {
    /// Output rows: first and one past the last.
    rows: (usize, usize),
    /// Rows of the depthwise input that the band reads.
    reads: (usize, usize),
    /// Rows of it that the band before left behind.
    carried: usize,
    expand: Option<ConvPlan>,
    depthwise: ConvPlan,
    project: ConvPlan,
}

/// An inverted residual block, planned for one context.
#[derive(Debug)]
pub struct BlockPlan {
    block: InvertedResidual,
    /// Contexts of one thread, one for every worker: the convolutions of a band run where the band runs.
    inner: Vec<Context>,
    /// Bands of each stripe of an image, from top to bottom.
    stripes: Vec<Vec<Band>>,
    expanded_len: usize,
    convolved_len: usize,
    inner_scratch: usize,
}

impl BlockPlan {
    /// Plans a block.
    ///
    /// # Errors
    /// [`KernelError::Geometry`] when a convolution is inconsistent, is not of the kind that its place demands, or
    /// does not fit the one before.
    pub fn new(ctx: &Context, block: InvertedResidual) -> Result<Self, KernelError> {
        check(&block)?;
        let dw = &block.depthwise;
        let (oh, ow) = (dw.out_height(), dw.out_width());
        let (row, out_row) = (dw.width * dw.x_stride, ow * dw.y_stride());
        let needed = |rows: usize| (rows - 1) * dw.stride[0] + (dw.kernel[0] - 1) * dw.dilation[0] + 1;
        let mut band_rows = 1;
        while band_rows < oh && needed(band_rows + 1) * row + (band_rows + 1) * out_row <= BAND {
            band_rows += 1;
        }
        // Whole images where there are enough of them.
        let per_image = (2 * ctx.threads()).div_ceil(dw.batch).min(oh.div_ceil(band_rows));
        let mut stripes = Vec::new();
        for stripe in 0..per_image {
            let (first, last) = (oh * stripe / per_image, oh * (stripe + 1) / per_image);
            let mut bands: Vec<Band> = Vec::new();
            for top in (first..last).step_by(band_rows) {
                let previous = bands.last().map_or(0, |band| band.reads.1);
                bands.push(band(ctx, &block, (top, (top + band_rows).min(last)), previous)?);
            }
            stripes.push(bands);
        }
        let inner = (0..ctx.threads()).map(|_| ctx.serial()).collect::<Result<_, _>>()?;
        let bands = || stripes.iter().flatten();
        let scratch = |band: &Band| {
            let expand = band.expand.as_ref().map_or(0, ConvPlan::forward_scratch_len);
            expand.max(band.depthwise.forward_scratch_len()).max(band.project.forward_scratch_len())
        };
        Ok(Self {
            inner_scratch: bands().map(scratch).max().unwrap_or(0),
            expanded_len: if block.expand.is_some() { needed(band_rows) * row } else { 0 },
            convolved_len: band_rows * out_row,
            block,
            inner,
            stripes,
        })
    }

    /// The geometry.
    pub fn block(&self) -> &InvertedResidual {
        &self.block
    }

    /// f32 of scratch that [`BlockPlan::run`] needs.
    pub fn scratch_len(&self) -> usize {
        // Room to start at the beginning of a cache line.
        self.inner.len() * self.worker_len() + LANES
    }

    fn worker_len(&self) -> usize {
        (self.expanded_len + self.convolved_len + self.inner_scratch).next_multiple_of(LANES)
    }

    /// Geometry and cut in words.
    pub fn describe(&self) -> String {
        let bands = self.stripes.first().map_or(0, Vec::len);
        format!(
            "{} -> {}: fused, {} stripes of {bands} bands an image",
            self.block.expand.map_or(self.block.depthwise.label(), |e| e.label()),
            self.block.project.label(),
            self.stripes.len()
        )
    }

    /// `y = project(depthwise(expand(x)))`, with each layer's bias and activation and the residual.
    ///
    /// # Panics
    /// When a slice has another length than the geometry says, the parameters of the expanding convolution are
    /// missing or superfluous, or the context has more threads than the one of the plan.
    pub fn run(&self, ctx: &Context, x: &[f32], layers: &BlockLayers, y: &mut [f32], scratch: &mut [f32]) {
        let InvertedResidual { expand, depthwise, project } = &self.block;
        let source = expand.as_ref().unwrap_or(depthwise);
        assert_eq!(x.len(), source.x_len(), "input of {}", source.label());
        assert_eq!(y.len(), project.y_len(), "output of {}", project.label());
        assert_eq!(expand.is_some(), layers.expand.is_some(), "parameters of the expanding convolution");
        if let Some(residual) = layers.residual {
            assert_eq!(residual.len(), y.len(), "residual of {}", project.label());
        }
        assert!(ctx.threads() <= self.inner.len(), "the plan was made for {} threads", self.inner.len());
        assert!(scratch.len() >= self.scratch_len(), "scratch of {}", self.describe());
        let start = scratch.as_ptr().align_offset(64).min(LANES);
        let (scratch, worker_len) = (SendPtr(scratch[start..].as_mut_ptr()), self.worker_len());
        let y = SendPtr(y.as_mut_ptr());
        let out_row = project.out_width() * project.y_stride();
        let stripes = self.stripes.len();
        ctx.run(depthwise.batch * stripes, |task, worker| {
            let image = task / stripes;
            // SAFETY: each worker has its own part of the scratch, whose length was checked above.
            let scratch =
                unsafe { std::slice::from_raw_parts_mut(scratch.get().add(worker * worker_len), worker_len) };
            for band in &self.stripes[task % stripes] {
                let first = (image * project.height + band.rows.0) * out_row;
                let len = (band.rows.1 - band.rows.0) * out_row;
                // SAFETY: a stripe's bands are disjoint rows of one image, and this task alone has the stripe.
                let y = unsafe { std::slice::from_raw_parts_mut(y.get().add(first), len) };
                let residual = layers.residual.map(|r| &r[first..first + len]);
                self.run_band(&self.inner[worker], band, image, x, layers, residual, y, scratch);
            }
        });
    }

    fn run_band(
        &self,
        ctx: &Context,
        band: &Band,
        image: usize,
        x: &[f32],
        layers: &BlockLayers,
        residual: Option<&[f32]>,
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let dw = &self.block.depthwise;
        let row = dw.width * dw.x_stride;
        let (expanded, rest) = scratch.split_at_mut(self.expanded_len);
        let (convolved, inner) = rest.split_at_mut(self.convolved_len);
        let (top, bottom) = band.reads;
        let input: &[f32] = match (&self.block.expand, &layers.expand) {
            (Some(conv), Some(layer)) => {
                // The carried rows end where the last band's input ended; they become the first ones.
                let kept = band.carried * row;
                if let Some(plan) = &band.expand {
                    let x_row = conv.width * conv.x_stride;
                    let first = (image * conv.height + top + band.carried) * x_row;
                    let x = &x[first..first + plan.conv().x_len()];
                    let new = &mut expanded[kept..kept + plan.conv().y_len()];
                    plan.forward(ctx, x, layer.weights, &layer.epilogue(None), new, inner);
                }
                &expanded[..(bottom - top) * row]
            }
            _ => &x[(image * dw.height + top) * row..(image * dw.height + bottom) * row],
        };
        let convolved = &mut convolved[..band.depthwise.conv().y_len()];
        let layer = &layers.depthwise;
        band.depthwise.forward(ctx, input, layer.weights, &layer.epilogue(None), convolved, inner);
        let layer = &layers.project;
        band.project.forward(ctx, convolved, layer.weights, &layer.epilogue(residual), y, inner);
        if self.block.expand.is_some() {
            // What the next band may read again: its first row lies `rows * stride` further down.
            let next_top = (band.rows.1 * dw.stride[0]).saturating_sub(dw.padding[0]).max(top);
            if next_top < bottom {
                expanded.copy_within((next_top - top) * row..(bottom - top) * row, 0);
            }
        }
    }
}

impl<'a> BlockLayer<'a> {
    fn epilogue(&self, residual: Option<&'a [f32]>) -> Epilogue<'a> {
        Epilogue { bias: self.bias, residual, activation: self.activation }
    }
}

/// Plans the convolutions of one band; `previous` is one past the last row that the band before read.
fn band(
    ctx: &Context,
    block: &InvertedResidual,
    rows: (usize, usize),
    previous: usize,
) -> Result<Band, KernelError> {
    let dw = &block.depthwise;
    let start = rows.0 * dw.stride[0];
    let end = (rows.1 - 1) * dw.stride[0] + (dw.kernel[0] - 1) * dw.dilation[0] + 1;
    // Rows above the image and below it are padding. A band may see nothing but padding; then one row serves.
    let top = start.saturating_sub(dw.padding[0]).min(dw.height - 1);
    let bottom = end.saturating_sub(dw.padding[0]).clamp(top + 1, dw.height);
    let padding = [
        dw.padding[0].saturating_sub(start),
        dw.padding[1],
        (end.saturating_sub(dw.padding[0])).saturating_sub(dw.height),
        dw.padding[3],
    ];
    let depthwise = Conv2d { batch: 1, height: bottom - top, padding, ..*dw };
    let carried = previous.saturating_sub(top).min(bottom - top);
    let one = |conv: Conv2d| {
        // Threads do not matter to the plans of a band: it runs on one.
        let serial = ctx.serial()?;
        let algorithms = Algorithms::pick(&conv);
        ConvPlan::with_algorithms(&serial, conv, algorithms)
    };
    let new_rows = bottom - top - carried;
    let expand = match block.expand {
        Some(conv) if new_rows > 0 => Some(one(Conv2d { batch: 1, height: new_rows, ..conv })?),
        _ => None,
    };
    let depthwise = one(depthwise)?;
    if depthwise.conv().out_height() != rows.1 - rows.0 {
        return Err(fail(format!("rows of {} fall on padding alone", dw.label())));
    }
    let project = one(Conv2d { batch: 1, height: rows.1 - rows.0, ..block.project })?;
    Ok(Band { rows, reads: (top, bottom), carried, expand, depthwise, project })
}

fn fail(reason: String) -> KernelError {
    KernelError::Geometry { operation: "inverted residual block", reason }
}

/// Checks that the convolutions follow on each other and are of the right kinds.
fn check(block: &InvertedResidual) -> Result<(), KernelError> {
    let pointwise = |conv: &Conv2d| {
        conv.kernel == [1, 1]
            && conv.stride == [1, 1]
            && conv.padding == [0; 4]
            && conv.groups == 1
            && conv.x_stride == channel_stride(conv.c_in)
    };
    let follows = |a: &Conv2d, b: &Conv2d| {
        (b.batch, b.height, b.width, b.c_in) == (a.batch, a.out_height(), a.out_width(), a.c_out)
    };
    let InvertedResidual { expand, depthwise, project } = block;
    for conv in expand.iter().chain([depthwise, project]) {
        conv.check()?;
    }
    for conv in expand.iter().chain([project]) {
        if !pointwise(conv) {
            return Err(fail(format!("expected a 1x1 convolution, found {}", conv.label())));
        }
    }
    if !depthwise.is_depthwise() {
        return Err(fail(format!("expected a depthwise convolution, found {}", depthwise.label())));
    }
    let pairs = expand.iter().map(|e| (e, depthwise)).chain([(depthwise, project)]);
    for (a, b) in pairs {
        if !follows(a, b) {
            return Err(fail(format!("{} does not fit the output of {}", b.label(), a.label())));
        }
    }
    Ok(())
}
