//! Regions of interest: what detectors do with boxes.

use oculist_graph::{DataType, NonMaxSuppression, RoiAlign, Tensor};

use super::grid::{of_reals, reals};
use crate::call::{Call, Forward, Outcome, Problem};

/// The samples of all cells of one region along one axis: two pixels with their weights; `None` outside of the map.
fn samples(start: f64, cell: f64, cells: usize, each: usize, size: usize) -> Vec<Option<[(usize, f64); 2]>> {
    let sample = |i: usize| {
        let (at, k) = ((i / each) as f64, (i % each) as f64);
        let x = start + at * cell + (k + 0.5) * cell / each as f64;
        if !(-1.0..=size as f64).contains(&x) {
            return None;
        }
        let x = x.max(0.0);
        let low = (x as usize).min(size - 1);
        let high = (low + 1).min(size - 1);
        let t = if high == low { 0.0 } else { x - low as f64 };
        Some([(low, 1.0 - t), (high, t)])
    };
    (0..cells * each).map(sample).collect()
}

impl Forward for RoiAlign {
    fn forward(&self, call: &Call) -> Outcome {
        /// Samples of one region, beyond which its size is no size of a region.
        const MOST: f64 = (1u64 << 20) as f64;
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
        let scale = f64::from(self.spatial_scale);
        let offset = if self.half_pixel { 0.5 } else { 0.0 };
        let mut y = Vec::with_capacity(shape.iter().product());
        for (region, &sample) in regions.chunks_exact(4).zip(&named) {
            let sample = usize::try_from(sample)
                .ok()
                .filter(|&s| s < n)
                .ok_or_else(|| Problem::from(format!("a region is of sample {sample}, there are {n}")))?;
            let [left, top, right, bottom] = [0, 1, 2, 3].map(|i| region[i] * scale - offset);
            let (mut wide, mut high) = (right - left, bottom - top);
            if !self.half_pixel {
                wide = wide.max(1.0);
                high = high.max(1.0);
            }
            let (cell_h, cell_w) = (high / self.height as f64, wide / self.width as f64);
            let each = |cell: f64| match self.sampling_ratio {
                0 => cell.ceil().max(0.0),
                ratio => ratio as f64,
            };
            let (each_h, each_w) = (each(cell_h), each(cell_w));
            // Not a number is too many as well.
            let few = |n: f64| n <= MOST;
            if !(few(each_h * self.height as f64) && few(each_w * self.width as f64) && few(each_h * each_w))
            {
                return Err(format!("a region of {wide} times {high} pixels needs too many samples").into());
            }
            let (each_h, each_w) = (each_h as usize, each_w as usize);
            let rows = samples(top, cell_h, self.height, each_h.max(1), h);
            let columns = samples(left, cell_w, self.width, each_w.max(1), w);
            for channel in 0..c {
                let map = &values[(sample * c + channel) * h * w..][..h * w];
                for i in 0..self.height * self.width {
                    let (row, column) = (i / self.width, i % self.width);
                    let mut sum = 0.0;
                    let mut largest: Option<f64> = None;
                    for iy in 0..each_h {
                        for ix in 0..each_w {
                            let pair = rows[row * each_h + iy].zip(columns[column * each_w + ix]);
                            let parts = pair.map_or([0.0; 4], |([a, b], [p, q])| {
                                [(a, p), (a, q), (b, p), (b, q)].map(|((y, v), (x, u))| {
                                    if v * u == 0.0 { 0.0 } else { v * u * map[y * w + x] }
                                })
                            });
                            sum += parts.iter().sum::<f64>();
                            // The maximum is that of the weighted corners, as ONNX's reference has it.
                            let corner = parts.into_iter().fold(f64::NEG_INFINITY, f64::max);
                            largest = Some(largest.map_or(corner, |l| l.max(corner)));
                        }
                    }
                    let count = (each_h * each_w).max(1) as f64;
                    y.push(if self.max { largest.unwrap_or(0.0) } else { sum / count });
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
