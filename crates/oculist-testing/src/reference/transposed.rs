//! Transposed convolution and its gradients, one product at a time: every input pixel scatters over its window.

/// A transposed convolution on `[batch, c_in, height, width]` with weights `[c_in, c_out / groups, k_h, k_w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transposed {
    /// Images.
    pub batch: usize,
    /// Input channels.
    pub c_in: usize,
    /// Input height and width.
    pub size: [usize; 2],
    /// Output channels.
    pub c_out: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Strides.
    pub stride: [usize; 2],
    /// Padding at the top, left, bottom and right.
    pub padding: [usize; 4],
    /// Output padding at the bottom and at the right.
    pub output_padding: [usize; 2],
    /// Dilations.
    pub dilation: [usize; 2],
    /// Groups.
    pub groups: usize,
}

impl Transposed {
    /// Output height and width.
    ///
    /// # Panics
    /// When nothing is left of the output.
    pub fn out(&self) -> [usize; 2] {
        std::array::from_fn(|a| {
            let reach = (self.size[a] - 1) * self.stride[a] + self.dilation[a] * (self.kernel[a] - 1) + 1;
            reach + self.output_padding[a] - self.padding[a] - self.padding[a + 2]
        })
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.c_in * self.size[0] * self.size[1]
    }

    /// Elements of the weights.
    pub fn w_len(&self) -> usize {
        self.c_in * (self.c_out / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        let [h, w] = self.out();
        self.batch * self.c_out * h * w
    }

    /// Output coordinate that input coordinate `i` reaches with tap `k`, if it is not cut off.
    fn reach(&self, axis: usize, i: usize, k: usize) -> Option<usize> {
        let at = i * self.stride[axis] + k * self.dilation[axis];
        at.checked_sub(self.padding[axis]).filter(|at| *at < self.out()[axis])
    }

    /// Calls `f(index in x, index in w, index in y)` for every product.
    fn for_each(&self, mut f: impl FnMut(usize, usize, usize)) {
        let [oh, ow] = self.out();
        let (inputs, outputs) = (self.c_in / self.groups, self.c_out / self.groups);
        for n in 0..self.batch {
            for c in 0..self.c_in {
                for i in 0..self.size[0] {
                    for j in 0..self.size[1] {
                        let x = ((n * self.c_in + c) * self.size[0] + i) * self.size[1] + j;
                        for o in 0..outputs {
                            let channel = c / inputs * outputs + o;
                            for kh in 0..self.kernel[0] {
                                for kw in 0..self.kernel[1] {
                                    let w = ((c * outputs + o) * self.kernel[0] + kh) * self.kernel[1] + kw;
                                    if let (Some(h), Some(v)) = (self.reach(0, i, kh), self.reach(1, j, kw)) {
                                        f(x, w, ((n * self.c_out + channel) * oh + h) * ow + v);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// `y = bias + sum of x * w`.
    pub fn forward(&self, x: &[f64], w: &[f64], bias: &[f64]) -> Vec<f64> {
        let [h, v] = self.out();
        let mut y: Vec<f64> = (0..self.y_len()).map(|i| bias[i / (h * v) % self.c_out]).collect();
        self.for_each(|xi, wi, yi| y[yi] += x[xi] * w[wi]);
        y
    }

    /// Gradient of `sum(y * dy)` with respect to `x`.
    pub fn backward_data(&self, dy: &[f64], w: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.x_len()];
        self.for_each(|xi, wi, yi| dx[xi] += dy[yi] * w[wi]);
        dx
    }

    /// Gradient of `sum(y * dy)` with respect to `w`.
    pub fn backward_weights(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dw = vec![0.0; self.w_len()];
        self.for_each(|xi, wi, yi| dw[wi] += x[xi] * dy[yi]);
        dw
    }

    /// Gradient of `sum(y * dy)` with respect to the bias.
    pub fn backward_bias(&self, dy: &[f64]) -> Vec<f64> {
        let [h, v] = self.out();
        let mut dbias = vec![0.0; self.c_out];
        for (i, dy) in dy.iter().enumerate() {
            dbias[i / (h * v) % self.c_out] += dy;
        }
        dbias
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::norm::finite_differences;
    use crate::reference::{Noise, widen};

    #[test]
    fn a_small_one_by_hand() {
        let conv = Transposed {
            batch: 1,
            c_in: 1,
            size: [1, 2],
            c_out: 1,
            kernel: [1, 3],
            stride: [1, 2],
            padding: [0, 1, 0, 1],
            output_padding: [0, 1],
            dilation: [1, 1],
            groups: 1,
        };
        // The full result is 1, 10, 100 + 2, 20, 200; the first column is cut off, and so is none at the end.
        assert_eq!(conv.forward(&[1.0, 2.0], &[1.0, 10.0, 100.0], &[0.5]), [10.5, 102.5, 20.5, 200.5]);
    }

    #[test]
    fn gradients_are_the_differences() {
        let conv = Transposed {
            batch: 2,
            c_in: 4,
            size: [2, 3],
            c_out: 2,
            kernel: [3, 2],
            stride: [2, 1],
            padding: [1, 0, 0, 1],
            output_padding: [1, 0],
            dilation: [1, 2],
            groups: 2,
        };
        let mut noise = Noise::new(1);
        let mut values = |n| widen(&noise.vector(n));
        let (x, w, b, dy) = (values(conv.x_len()), values(conv.w_len()), values(2), values(conv.y_len()));
        let loss = |y: Vec<f64>| -> f64 { y.iter().zip(&dy).map(|(y, d)| y * d).sum() };
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-8);
        let dx = finite_differences(&|x| loss(conv.forward(x, &w, &b)), &x, 1e-3);
        assert!(close(&dx, &conv.backward_data(&dy, &w)));
        let dw = finite_differences(&|w| loss(conv.forward(&x, w, &b)), &w, 1e-3);
        assert!(close(&dw, &conv.backward_weights(&x, &dy)));
        let db = finite_differences(&|b| loss(conv.forward(&x, &w, b)), &b, 1e-3);
        assert!(close(&db, &conv.backward_bias(&dy)));
        assert!(!close(&db, &[0.0; 2]));
    }
}
