//! Spatial pyramid pooling.

use oculist_graph::{Concat, Flatten, MaxPool, Op, Plane, Slice, Tensor, ValueId};

use super::{Net, adaptive_window};

/// Bins along each side of the map, level by level.
const LEVELS: [usize; 3] = [1, 2, 4];

impl Net {
    /// The maxima of 1, 4 and 16 bins of each channel as one vector.
    ///
    /// Bin `i` of `n` along a side of `s` pixels spans `floor(i s / n) .. ceil((i + 1) s / n)`.
    ///
    /// # Shapes
    /// `[N, C, H, W]` to `[N, 21 C]`, level by level, in each level channel by channel.
    ///
    /// # Source
    /// He, Zhang, Ren, Sun: Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition, 2014
    /// (arXiv 1406.4729); bins as PyTorch's `AdaptiveMaxPool2d`.
    pub(super) fn spatial_pyramid(&mut self, x: ValueId) -> ValueId {
        let levels = LEVELS.map(|bins| {
            let name = format!("spp.{bins}");
            let rows = self.bins(&format!("{name}.rows"), x, 2, bins);
            let pooled = self.bins(&format!("{name}.columns"), rows, 3, bins);
            self.op(&format!("{name}.flatten"), Op::Flatten(Flatten::IMAGES), &[pooled])
        });
        self.op("spp", Concat::CHANNELS, &levels)
    }

    /// The maxima of bins along one axis: a pooling where all bins are alike, else one of each bin.
    fn bins(&mut self, name: &str, x: ValueId, axis: usize, bins: usize) -> ValueId {
        let (_, height, width) = self.chw(x);
        let size = if axis == 2 { height } else { width };
        if size == bins {
            return x;
        }
        let pool = |net: &mut Self, name: &str, x: ValueId, kernel: usize, stride: usize| {
            let (mut kernels, mut strides) = ([1; 2], [1; 2]);
            (kernels[axis - 2], strides[axis - 2]) = (kernel, stride);
            let plane = Plane { kernel: kernels, stride: strides, padding: [0; 4], dilation: [1; 2] };
            net.op(name, MaxPool { window: plane.into(), ceil_mode: false, column_major: false }, &[x])
        };
        if let Some((kernel, stride)) = adaptive_window(size, bins) {
            return pool(self, name, x, kernel, stride);
        }
        let parts: Vec<ValueId> = (0..bins)
            .map(|i| {
                let (from, to) = (i * size / bins, ((i + 1) * size).div_ceil(bins));
                let part = self.slice(&format!("{name}.{i}"), x, axis, from, to);
                pool(self, &format!("{name}.{i}.max"), part, to - from, 1)
            })
            .collect();
        self.op(name, Concat { axis: axis as i64 }, &parts)
    }

    /// Indices `from .. to` along an axis.
    pub(crate) fn slice(&mut self, name: &str, x: ValueId, axis: usize, from: usize, to: usize) -> ValueId {
        let [starts, ends, axes] = [("starts", from), ("ends", to), ("axes", axis)]
            .map(|(part, at)| self.param(&format!("{name}.{part}"), Tensor::ints(vec![at as i64])));
        self.op(name, Slice, &[x, starts, ends, axes])
    }
}
