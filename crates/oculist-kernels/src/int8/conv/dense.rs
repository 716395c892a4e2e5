//! Convolution with one group: packing of input bands, division into tasks.
//!
//! A task computes some rows of one image for some output channels. It copies the input rows it needs into a buffer
//! of its own, with the padding written out as the zero point (and bytes widened where the instruction set needs
//! it), so that the micro-kernel meets no borders. Without padding and widening it reads the input where it lies.

use super::pairs::Pairs;
use super::tile::Tiles;
use super::{Job, task_count};
use crate::context::Context;
use crate::conv::Conv2d;
use crate::int8::simd::{BytePairs, IntKernel, IntPath, IntSimd, Line, PairKernel, dispatch, dispatch_pairs};
use crate::layout::LANES;

/// Elements of a packed band, unless one row needs more: about what the first-level cache holds.
const BAND: usize = 32 * 1024;
/// Multiply-accumulates of a core in a microsecond, roughly, with VNNI and without.
const MACS_PER_MICRO: [f64; 2] = [250e3, 50e3];
/// Bytes of weights that a core can well read again for each band.
const SMALL_WEIGHTS: usize = 128 * 1024;

/// The geometry that the kernel works on: a kernel that covers the map, or one pixel, becomes a column of pixels.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    height: usize,
    width: usize,
    /// Bytes of a pixel.
    pixel: usize,
    out: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 4],
    dilation: [usize; 2],
    /// Whether the images follow each other as if they were one.
    flat: bool,
    path: IntPath,
    taps: Vec<usize>,
}

impl Shape {
    pub(super) fn new(conv: &Conv2d, path: IntPath) -> Self {
        let one_pixel = conv.taps() == 1 && conv.stride == [1, 1] && conv.padding == [0; 4];
        let whole_map =
            conv.kernel == [conv.height, conv.width] && conv.padding == [0; 4] && conv.dilation == [1; 2];
        let mut shape = Self {
            height: conv.height,
            width: conv.width,
            pixel: conv.x_stride,
            out: [conv.out_height(), conv.out_width()],
            kernel: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            flat: one_pixel || whole_map,
            path,
            taps: Vec::new(),
        };
        if shape.flat {
            let pixels = if one_pixel { conv.height * conv.width } else { 1 };
            shape.pixel = conv.height * conv.width * conv.x_stride / pixels;
            (shape.height, shape.width, shape.out) = (pixels, 1, [pixels, 1]);
            (shape.kernel, shape.stride, shape.dilation) = ([1; 2], [1; 2], [1; 2]);
        }
        let row = shape.padded_width() * shape.pixel;
        shape.taps = (0..shape.kernel[0] * shape.kernel[1])
            .map(|t| {
                let (ky, kx) = (t / shape.kernel[1], t % shape.kernel[1]);
                ky * shape.dilation[0] * row + kx * shape.dilation[1] * shape.pixel
            })
            .collect();
        shape
    }

    /// Channels of a pixel that the micro-kernel reads: all of a column's, without padding otherwise.
    pub(super) fn input_channels(&self, conv: &Conv2d) -> usize {
        if self.pixel == conv.x_stride { conv.c_in } else { conv.x_stride }
    }

    /// Elements from a pixel's first tap to the others.
    pub(super) fn taps(&self) -> &[usize] {
        &self.taps
    }

    fn padded_width(&self) -> usize {
        self.width + self.padding[1] + self.padding[3]
    }

    /// Input rows under `rows` output rows.
    fn rows_in(&self, rows: usize) -> usize {
        (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
    }

    /// Whether the micro-kernel reads the input where it lies.
    fn direct(&self) -> bool {
        self.path.element() == 1 && self.padding == [0; 4]
    }

    /// Output rows whose packed input fits the band.
    fn most_rows(&self) -> usize {
        if self.direct() {
            return usize::MAX;
        }
        let row = self.padded_width() * self.pixel;
        let rows_in = (BAND / row).max(1);
        let reach = (self.kernel[0] - 1) * self.dilation[0] + 1;
        rows_in.saturating_sub(reach) / self.stride[0] + 1
    }

    /// Bytes of packed input of one task at most.
    pub(super) fn scratch_bytes(&self, batch: usize) -> usize {
        if self.direct() {
            return 0;
        }
        let rows = self.most_rows().min(self.out[0] * if self.flat { batch } else { 1 });
        self.rows_in(rows) * self.padded_width() * self.pixel * self.path.element()
    }
}

/// Tasks: `images x bands x splits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Partition {
    images: usize,
    /// Rows of an image.
    rows: usize,
    band_rows: usize,
    /// Blocks of output channels of a task.
    split_blocks: usize,
}

impl Partition {
    fn new(shape: &Shape, n: usize, threads: usize, blocks: usize) -> Self {
        let (images, rows) = if shape.flat { (1, n * shape.out[0]) } else { (n, shape.out[0]) };
        let mut bands = rows.div_ceil(shape.most_rows());
        let weights = blocks * LANES * shape.taps.len() * shape.pixel;
        let macs = images * rows * shape.out[1] * weights;
        let rate = MACS_PER_MICRO[usize::from(shape.path != IntPath::Vnni)];
        let target = task_count(threads, macs as f64 / rate);
        let mut wanted = target.div_ceil(images * bands);
        let mut splits = 1;
        if weights > SMALL_WEIGHTS {
            splits = wanted.min(blocks).max(1);
            wanted = wanted.div_ceil(splits);
        }
        if wanted > 1 {
            // Bands of a few rows read their borders twice.
            let least_rows = if shape.flat { 8 } else { shape.kernel[0].min(4) };
            let more = (bands * wanted).min((rows / least_rows).max(bands));
            wanted = wanted.div_ceil(more.div_ceil(bands));
            bands = more;
        }
        splits = (splits * wanted).min(blocks);
        Self { images, rows, band_rows: rows.div_ceil(bands), split_blocks: blocks.div_ceil(splits) }
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(self.band_rows)
    }
}

/// Packed weights.
#[derive(Debug, Clone)]
pub(super) enum Weights {
    Lines(Vec<Line>),
    Pairs(Pairs),
}

impl Weights {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Lines(lines) => size_of_val(lines.as_slice()),
            Self::Pairs(pairs) => pairs.bytes(),
        }
    }
}

/// Runs the job on the pool.
pub(super) fn run(ctx: &Context, job: &Job, shape: &Shape, weights: &Weights, init: &[[i32; 16]]) {
    let blocks = init.len();
    let partition = Partition::new(shape, job.images, job.threads, blocks);
    let splits = blocks.div_ceil(partition.split_blocks);
    let bands = partition.bands();
    ctx.run(partition.images * bands * splits, |task, worker| {
        let (split, place) = (task % splits, task / splits);
        let first = split * partition.split_blocks;
        let first_row = place % bands * partition.band_rows;
        let task = Task {
            job,
            shape,
            weights,
            init,
            image: place / bands,
            rows: first_row..(first_row + partition.band_rows).min(partition.rows),
            blocks: first..(first + partition.split_blocks).min(blocks),
            image_rows: partition.rows,
            worker,
        };
        match weights {
            Weights::Lines(_) => dispatch(job.plan.path, task),
            Weights::Pairs(_) => dispatch_pairs(job.plan.path, task),
        }
    });
}

struct Task<'a> {
    job: &'a Job<'a>,
    shape: &'a Shape,
    weights: &'a Weights,
    init: &'a [[i32; 16]],
    image: usize,
    rows: std::ops::Range<usize>,
    blocks: std::ops::Range<usize>,
    /// Output rows of an image.
    image_rows: usize,
    worker: usize,
}

impl IntKernel for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: IntSimd>(self, s: S) {
        let Weights::Lines(lines) = self.weights else { return };
        // SAFETY: the packed band holds all taps of the task's pixels, as does the input itself without padding;
        // tasks write different rows or different blocks.
        unsafe { self.tiles(s, lines).run(s, self.blocks.start, self.blocks.end) };
    }
}

impl PairKernel for Task<'_> {
    #[inline(always)]
    fn run<S: BytePairs>(self, s: S) {
        let Weights::Pairs(pairs) = self.weights else { return };
        // SAFETY: as above.
        unsafe { self.tiles(s, &[]).run_pairs(s, pairs, self.blocks.start, self.blocks.end) };
    }
}

impl<'a> Task<'a> {
    /// The task's pixels, after their input has been packed if need be.
    #[inline(always)]
    fn tiles<S: IntSimd>(&self, s: S, weights: &'a [Line]) -> Tiles<'a, S::E> {
        let shape = self.shape;
        let row = shape.padded_width() * shape.pixel;
        let image_bytes =
            if shape.flat { self.job.x.len() } else { shape.height * shape.width * shape.pixel };
        let x = &self.job.x[self.image * image_bytes..][..image_bytes];
        let origin = if S::BYTES && shape.direct() {
            x[self.rows.start * shape.stride[0] * row..].as_ptr().cast::<S::E>()
        } else {
            // SAFETY: every worker has a part of the scratch, long enough for the largest band.
            unsafe {
                let start = self.job.scratch.get().add(self.worker * self.job.plan.scratch_per_worker);
                let band = start.cast::<S::E>();
                self.pack(s, x, band);
                band.cast_const()
            }
        };
        let out_row = shape.out[1];
        Tiles {
            origin,
            taps: &shape.taps,
            groups: weights.len() / (self.init.len() * shape.taps.len()),
            step_x: shape.stride[1] * shape.pixel,
            step_y: shape.stride[0] * row,
            width: out_row,
            pixels: self.rows.len() * out_row,
            target_start: (self.image * self.image_rows + self.rows.start)
                * out_row
                * self.job.plan.conv.y_stride(),
            weights,
            init: self.init,
            job: self.job,
        }
    }

    /// Copies the input rows of the task, with padding.
    ///
    /// # Safety
    /// `to` is writable for the rows of a task.
    #[inline(always)]
    unsafe fn pack<S: IntSimd>(&self, s: S, x: &[u8], to: *mut S::E) {
        let shape = self.shape;
        let [top, left, _, right] = shape.padding;
        let (from_len, to_len) = (shape.width * shape.pixel, shape.padded_width() * shape.pixel);
        let height = x.len() / from_len;
        let zero = s.element(self.job.plan.x_zero_point);
        let first = self.rows.start * shape.stride[0];
        let count = shape.rows_in(self.rows.len());
        if left + right == 0 && first >= top && first - top + count <= height {
            // SAFETY: the caller vouches for the rows.
            unsafe { s.pack(&x[(first - top) * from_len..][..count * from_len], to) };
            return;
        }
        for r in 0..count {
            // SAFETY: the caller vouches for the rows.
            unsafe {
                let to = to.add(r * to_len);
                let y = (first + r).wrapping_sub(top);
                if y < height {
                    fill(to, left * shape.pixel, zero);
                    let start = to.add(left * shape.pixel);
                    s.pack(&x[y * from_len..][..from_len], start);
                    fill(start.add(from_len), right * shape.pixel, zero);
                } else {
                    fill(to, to_len, zero);
                }
            }
        }
    }
}

/// # Safety
/// `to` is writable for `len` elements.
#[inline(always)]
unsafe fn fill<E: Copy>(to: *mut E, len: usize, value: E) {
    for i in 0..len {
        // SAFETY: the caller vouches for the elements.
        unsafe { to.add(i).write(value) };
    }
}
