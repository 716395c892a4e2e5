//! Regions of interest: what detectors do with boxes.

use oculist_graph::{DataType, NonMaxSuppression, RoiAlign, Tensor};

use super::grid::{Tap, of_reals, reals};
use crate::call::{Call, Forward, Outcome, Problem};

/// The two pixels that a sample is made of along an axis; `None` outside of the map.
type Pair = Option<[Tap; 2]>;

/// The samples of all cells of one region along one axis.
fn samples(start: f64, cell: f64, cells: usize, each: usize, size: usize) -> Vec<Pair> {
    let sample = |i: usize| {
        let (at, k) = ((i / each) as f64, (i % each) as f64);
        let x = start + at * cell + (k + 0.5) * cell / each as f64;
        if !(-1.0..=size as f64).contains(&x) {
            return None;
        }
        // In front of the first pixel and behind the last one nothing changes.
        let moves = x > 0.0;
        let x = x.max(0.0);
        let low = (x as usize).min(size - 1);
        let high = (low + 1).min(size - 1);
        let (t, slope) = if high == low { (0.0, 0.0) } else { (x - low as f64, f64::from(u8::from(moves))) };
        Some([Tap { at: low, weight: 1.0 - t, slope: -slope }, Tap { at: high, weight: t, slope }])
    };
    (0..cells * each).map(sample).collect()
}

/// The samples of a region.
pub(crate) struct Region {
    /// The sample of the batch that it lies in.
    pub(crate) sample: usize,
    /// Samples of a cell along both axes.
    pub(crate) each: [usize; 2],
    rows: Vec<Pair>,
    columns: Vec<Pair>,
    /// Along both axes, whether the size is that of the region and no least size.
    pub(crate) grows: [bool; 2],
}

impl Region {
    /// A region `[x1, y1, x2, y2]` of a map of `[n, h, w]`.
    pub(crate) fn new(
        op: &RoiAlign,
        place: &[f64],
        sample: i64,
        [n, h, w]: [usize; 3],
    ) -> Result<Self, Problem> {
        /// Samples of one region, beyond which its size is no size of a region.
        const MOST: f64 = (1u64 << 20) as f64;
        let sample = usize::try_from(sample)
            .ok()
            .filter(|&s| s < n)
            .ok_or_else(|| Problem::from(format!("a region is of sample {sample}, there are {n}")))?;
        let scale = f64::from(op.spatial_scale);
        let offset = if op.half_pixel { 0.5 } else { 0.0 };
        let [left, top, right, bottom] = [0, 1, 2, 3].map(|i| place[i] * scale - offset);
        let (mut wide, mut high) = (right - left, bottom - top);
        let grows = [high, wide].map(|size| op.half_pixel || size > 1.0);
        if !op.half_pixel {
            wide = wide.max(1.0);
            high = high.max(1.0);
        }
        let (cell_h, cell_w) = (high / op.height as f64, wide / op.width as f64);
        let each = |cell: f64| match op.sampling_ratio {
            0 => cell.ceil().max(0.0),
            ratio => ratio as f64,
        };
        let (each_h, each_w) = (each(cell_h), each(cell_w));
        // Not a number is too many as well.
        let few = |n: f64| n <= MOST;
        if !(few(each_h * op.height as f64) && few(each_w * op.width as f64) && few(each_h * each_w)) {
            return Err(format!("a region of {wide} times {high} pixels needs too many samples").into());
        }
        let (each_h, each_w) = (each_h as usize, each_w as usize);
        Ok(Self {
            sample,
            each: [each_h, each_w],
            rows: samples(top, cell_h, op.height, each_h.max(1), h),
            columns: samples(left, cell_w, op.width, each_w.max(1), w),
            grows,
        })
    }

    /// The four pixels of a sample of a cell: those of the upper row, then those of the lower one.
    pub(crate) fn corners(&self, [row, column]: [usize; 2], [iy, ix]: [usize; 2]) -> Option<[(Tap, Tap); 4]> {
        let pair = self.rows[row * self.each[0] + iy].zip(self.columns[column * self.each[1] + ix]);
        pair.map(|([a, b], [p, q])| [(a, p), (a, q), (b, p), (b, q)])
    }
}

/// The share of a pixel.
fn share((y, x): (Tap, Tap), map: &[f64], w: usize) -> f64 {
    let weight = y.weight * x.weight;
    if weight == 0.0 { 0.0 } else { weight * map[y.at * w + x.at] }
}

/// The largest share of any corner of the samples of a cell, with the number of the sample along both axes and of the
/// corner: the maximum is that of the weighted corners, as ONNX's reference has it. `None` where there is no sample.
pub(crate) fn largest(region: &Region, cell: [usize; 2], map: &[f64], w: usize) -> Option<(f64, [usize; 3])> {
    let mut best: Option<(f64, [usize; 3])> = None;
    for iy in 0..region.each[0] {
        for ix in 0..region.each[1] {
            // A sample outside of the map is 0.
            let corners = region.corners(cell, [iy, ix]);
            for k in 0..4 {
                let value = corners.map_or(0.0, |corners| share(corners[k], map, w));
                if best.is_none_or(|(most, _)| value > most || most.is_nan()) {
                    best = Some((value, [iy, ix, k]));
                }
            }
        }
    }
    best
}

impl Forward for RoiAlign {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, rois) = (call.input(0)?, call.input(1)?);
        let named = call.ints(2)?.ok_or("input 2 is missing")?;
        let &[n, c, h, w] = x.shape() else { return Err("expected [N, C, H, W]".into()) };
        let shape = vec![rois.shape()[0], c, self.height, self.width];
        if call.room(DataType::F64, &shape)? == 0 {
            return Ok(vec![Tensor::zeros(x.dtype(), &shape)]);
        }
        let (values, regions) = (reals(x)?, reals(rois)?);
        if values.is_empty() {
            return Err(format!("a map of {h} times {w} pixels has no regions").into());
        }
        let mut y = Vec::with_capacity(shape.iter().product());
        for (place, &sample) in regions.chunks_exact(4).zip(&named) {
            let region = Region::new(self, place, sample, [n, h, w])?;
            let [each_h, each_w] = region.each;
            let count = (each_h * each_w).max(1) as f64;
            for channel in 0..c {
                let map = &values[(region.sample * c + channel) * h * w..][..h * w];
                for i in 0..self.height * self.width {
                    let cell = [i / self.width, i % self.width];
                    if self.max {
                        y.push(largest(&region, cell, map, w).map_or(0.0, |l| l.0));
                        continue;
                    }
                    let mut sum = 0.0;
                    for iy in 0..each_h {
                        for ix in 0..each_w {
                            let corners = region.corners(cell, [iy, ix]);
                            sum += corners.map_or(0.0, |c| c.map(|c| share(c, map, w)).iter().sum::<f64>());
                        }
                    }
                    y.push(sum / count);
                }
            }
        }
        Ok(vec![of_reals(y, shape, x.dtype())?])
    }
}

/// Lowest and highest place along both axes.
fn corners(b: &[f32], center: bool) -> [f32; 4] {
    if center {
        let (x, y, w, h) = (b[0], b[1], b[2] / 2.0, b[3] / 2.0);
        [y - h, x - w, y + h, x + w]
    } else {
        [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
    }
}

/// Share of the area that both cover of the area that either covers.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let high = a[2].min(b[2]) - a[0].max(b[0]);
    let wide = a[3].min(b[3]) - a[1].max(b[1]);
    if !(high > 0.0 && wide > 0.0) {
        return 0.0;
    }
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let (both, a, b) = (high * wide, area(a), area(b));
    let either = a + b - both;
    if both <= 0.0 || a <= 0.0 || b <= 0.0 || either <= 0.0 { 0.0 } else { both / either }
}

impl Forward for NonMaxSuppression {
    fn forward(&self, call: &Call) -> Outcome {
        let (boxes, scores) = (call.input(0)?, call.input(1)?);
        let number = |i: usize| call.get(i).and_then(|t| t.to_f32s().first().copied());
        let most = call.ints(2)?.and_then(|v| v.first().copied()).unwrap_or(0);
        let most = usize::try_from(most).unwrap_or(0);
        let (from, least) = (number(3).unwrap_or(0.0), number(4));
        let count = boxes.shape()[1];
        let (samples, classes) = (scores.shape()[0], scores.shape()[1]);
        let (places, values) = (boxes.to_f32s(), scores.to_f32s());
        let mut selected = Vec::new();
        for sample in 0..if count == 0 { 0 } else { samples } {
            let corners: Vec<[f32; 4]> = places[sample * count * 4..][..count * 4]
                .chunks_exact(4)
                .map(|b| corners(b, self.center_point_box))
                .collect();
            for class in 0..classes {
                let values = &values[(sample * classes + class) * count..][..count];
                let mut order: Vec<usize> =
                    (0..count).filter(|&i| least.is_none_or(|least| values[i] > least)).collect();
                // The best first, of equal ones the first.
                order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
                let mut kept: Vec<usize> = Vec::new();
                for i in order {
                    if kept.len() >= most {
                        break;
                    }
                    if kept.iter().all(|&k| overlap(corners[i], corners[k]) <= from) {
                        kept.push(i);
                    }
                }
                selected.extend(kept.into_iter().flat_map(|i| [sample as i64, class as i64, i as i64]));
            }
        }
        let shape = vec![selected.len() / 3, 3];
        Ok(vec![Tensor::ints(selected).reshaped(shape)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{close, run};

    #[test]
    fn regions_are_means_of_samples() {
        let x = Tensor::f32(&[1, 1, 2, 2], vec![0.0, 1.0, 2.0, 3.0]);
        let roi = Tensor::f32(&[1, 4], vec![0.0, 0.0, 2.0, 2.0]);
        let first = Tensor::ints(vec![0]);
        let op = RoiAlign {
            height: 2,
            width: 2,
            sampling_ratio: 1,
            spatial_scale: 1.0,
            max: false,
            half_pixel: true,
        };
        close(&run(op, &[&x, &roi, &first]).unwrap(), &[1, 1, 2, 2], &[0.0, 1.0, 2.0, 3.0]);
        let error = run(op, &[&x, &roi, &Tensor::ints(vec![1])]).unwrap_err();
        assert!(error.contains("of sample 1, there are 1"), "{error}");
        let huge = Tensor::f32(&[1, 4], vec![0.0, 0.0, 1e30, f32::NAN]);
        let error = run(RoiAlign { sampling_ratio: 0, ..op }, &[&x, &huge, &first]).unwrap_err();
        assert!(error.contains("too many samples"), "{error}");
    }

    #[test]
    fn boxes_fall_to_better_ones() {
        // The example of ONNX.
        let boxes = [
            [0.0, 0.0, 1.0, 1.0],
            [0.0, 0.1, 1.0, 1.1],
            [0.0, -0.1, 1.0, 0.9],
            [0.0, 10.0, 1.0, 11.0],
            [0.0, 10.1, 1.0, 11.1],
            [0.0, 100.0, 1.0, 101.0],
        ];
        let boxes = Tensor::f32(&[1, 6, 4], boxes.concat());
        let scores = Tensor::f32(&[1, 1, 6], vec![0.9, 0.75, 0.6, 0.95, 0.5, 0.3]);
        let (most, from) = (Tensor::ints(vec![3]), Tensor::f32(&[1], vec![0.5]));
        let op = NonMaxSuppression { center_point_box: false };
        let y = run(op, &[&boxes, &scores, &most, &from, &Tensor::f32(&[1], vec![0.0])]).unwrap();
        assert_eq!(y, Tensor::ints(vec![0, 0, 3, 0, 0, 0, 0, 0, 5]).reshaped(vec![3, 3]).unwrap());
        assert_eq!(run(op, &[&boxes, &scores]).unwrap().shape(), [0, 3]);
    }
}
