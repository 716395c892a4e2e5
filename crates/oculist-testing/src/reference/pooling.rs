//! Pooling over `[batch * channels, height, width]`, window by window.

/// A pooling window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// Images times channels.
    pub planes: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Window height and width.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub padding: [usize; 4],
}

impl Pool {
    /// Output height and width.
    pub fn out(&self) -> [usize; 2] {
        std::array::from_fn(|a| {
            (self.size[a] + self.padding[a] + self.padding[a + 2] - self.kernel[a]) / self.stride[a] + 1
        })
    }

    /// For every output element, the indices of the input elements in its window.
    fn windows(&self) -> Vec<Vec<usize>> {
        let [oh, ow] = self.out();
        let mut windows = Vec::new();
        for plane in 0..self.planes {
            for i in 0..oh {
                for j in 0..ow {
                    let mut window = Vec::new();
                    for kh in 0..self.kernel[0] {
                        for kw in 0..self.kernel[1] {
                            let h = (i * self.stride[0] + kh).checked_sub(self.padding[0]);
                            let w = (j * self.stride[1] + kw).checked_sub(self.padding[1]);
                            if let (Some(h), Some(w)) = (h, w)
                                && h < self.size[0]
                                && w < self.size[1]
                            {
                                window.push((plane * self.size[0] + h) * self.size[1] + w);
                            }
                        }
                    }
                    windows.push(window);
                }
            }
        }
        windows
    }

    /// The largest value of each window.
    pub fn max(&self, x: &[f64]) -> Vec<f64> {
        self.windows().iter().map(|w| w.iter().fold(f64::NEG_INFINITY, |m, i| m.max(x[*i]))).collect()
    }

    /// Gradient of [`Pool::max`]: all to the first largest value.
    pub fn max_backward(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; x.len()];
        for (window, dy) in self.windows().iter().zip(dy) {
            let mut best = window[0];
            for i in window {
                if x[*i] > x[best] {
                    best = *i;
                }
            }
            dx[best] += dy;
        }
        dx
    }

    fn divisor(&self, window: &[usize], count_include_pad: bool) -> f64 {
        (if count_include_pad { self.kernel[0] * self.kernel[1] } else { window.len() }) as f64
    }

    /// The mean of each window.
    pub fn average(&self, x: &[f64], count_include_pad: bool) -> Vec<f64> {
        self.windows()
            .iter()
            .map(|w| w.iter().map(|i| x[*i]).sum::<f64>() / self.divisor(w, count_include_pad))
            .collect()
    }

    /// Gradient of [`Pool::average`].
    pub fn average_backward(&self, dy: &[f64], count_include_pad: bool) -> Vec<f64> {
        let mut dx = vec![0.0; self.planes * self.size[0] * self.size[1]];
        for (window, dy) in self.windows().iter().zip(dy) {
            for i in window {
                dx[*i] += dy / self.divisor(window, count_include_pad);
            }
        }
        dx
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pooling_by_hand() {
        let pool = Pool { planes: 1, size: [2, 2], kernel: [2, 2], stride: [2, 2], padding: [1, 0, 1, 0] };
        let x = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(pool.max(&x), [2.0, 4.0]);
        assert_eq!(pool.average(&x, false), [1.5, 3.5]);
        assert_eq!(pool.average(&x, true), [0.75, 1.75]);
        assert_eq!(pool.max_backward(&x, &[5.0, 7.0]), [0.0, 5.0, 0.0, 7.0]);
        assert_eq!(pool.average_backward(&[2.0, 4.0], false), [1.0, 1.0, 2.0, 2.0]);
    }
}
