//! Regions of interest: gradients of the map and of the regions' corners.

use oculist_graph::{DataType, RoiAlign};

use super::{Backward, Gradients, Reverse};
use crate::op::grid::{Tap, of_reals, reals};
use crate::op::regions::{Region, largest};

/// The gradients of a map and of the regions, as they are added up.
struct Sums {
    dx: Vec<f64>,
    drois: Vec<f64>,
}

impl Sums {
    /// Adds what flows through one pixel of a sample. `corner` is its place in the map; `shares` says how far down (and
    /// to the right) between the region's ends the sample lies, `ends` where the gradients of its four numbers stand.
    fn add(
        &mut self,
        g: f64,
        (row, column): (Tap, Tap),
        at: usize,
        value: f64,
        shares: [f64; 2],
        ends: usize,
    ) {
        self.dx[at] += g * row.weight * column.weight;
        let down = g * value * row.slope * column.weight;
        let right = g * value * row.weight * column.slope;
        let [lower, wide] = shares;
        for (k, flow) in
            [right * (1.0 - wide), down * (1.0 - lower), right * wide, down * lower].into_iter().enumerate()
        {
            self.drois[ends + k] += flow;
        }
    }
}

impl Backward for RoiAlign {
    /// The number of samples of a cell counts as given, also where it follows from the region's size.
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, rois, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        let named = reverse.call().ints(2)?.ok_or("input 2 is missing")?;
        let &[n, c, h, w] = x.shape() else { return Err("expected [N, C, H, W]".into()) };
        reverse.call().room(DataType::F64, &[x.len(), 2])?;
        let (values, regions, gradient) = (reals(x)?, reals(rois)?, reals(dy)?);
        let mut sums = Sums { dx: vec![0.0; values.len()], drois: vec![0.0; regions.len()] };
        let cells = self.height * self.width;
        for (r, (place, &sample)) in regions.chunks_exact(4).zip(&named).enumerate() {
            if gradient.is_empty() || values.is_empty() {
                break;
            }
            let region = Region::new(self, place, sample, [n, h, w])?;
            let [each_h, each_w] = region.each;
            let count = (each_h * each_w).max(1) as f64;
            // How far between both ends of the region a sample lies; only the first end moves one of least size.
            let share = |cell: usize, i: usize, each: usize, all: usize, a: usize| {
                let inside = (cell as f64 + (i as f64 + 0.5) / each as f64) / all as f64;
                if region.grows[a] { inside } else { 0.0 }
            };
            for channel in 0..c {
                let from = (region.sample * c + channel) * h * w;
                let map = &values[from..][..h * w];
                for i in 0..cells {
                    let cell = [i / self.width, i % self.width];
                    let g = gradient[(r * c + channel) * cells + i];
                    let chosen = if self.max { largest(&region, cell, map, w) } else { None };
                    for (iy, ix) in (0..each_h).flat_map(|iy| (0..each_w).map(move |ix| (iy, ix))) {
                        let Some(corners) = region.corners(cell, [iy, ix]) else { continue };
                        let shares = [
                            share(cell[0], iy, each_h, self.height, 0),
                            share(cell[1], ix, each_w, self.width, 1),
                        ];
                        for (k, corner) in corners.into_iter().enumerate() {
                            let at = corner.0.at * w + corner.1.at;
                            let g = match chosen {
                                None => g / count,
                                Some((_, best)) if best == [iy, ix, k] => g,
                                Some(_) => continue,
                            };
                            sums.add(g, corner, from + at, values[from + at], shares, r * 4);
                        }
                    }
                }
            }
        }
        let scale = f64::from(self.spatial_scale);
        sums.drois.iter_mut().for_each(|d| *d *= scale);
        let mut all = [Some(sums.dx), Some(sums.drois)];
        reverse.each(|i| {
            let input = reverse.input(i)?;
            let values = all.get_mut(i).and_then(Option::take).unwrap_or_default();
            of_reals(values, input.shape().to_vec(), input.dtype()).map(Some)
        })
    }
}
