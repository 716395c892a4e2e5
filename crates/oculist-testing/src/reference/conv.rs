//! Convolution and its gradients, one product at a time.

/// A convolution on `[batch, c_in, height, width]` with weights `[c_out, c_in / groups, k_h, k_w]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
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
    /// Dilations.
    pub dilation: [usize; 2],
    /// Groups.
    pub groups: usize,
}

/// One product of the convolution: which elements it multiplies and adds.
struct Product {
    x: usize,
    w: usize,
    y: usize,
}

impl Conv {
    /// Output height and width.
    pub fn out(&self) -> [usize; 2] {
        std::array::from_fn(|a| {
            let padded = self.size[a] + self.padding[a] + self.padding[a + 2];
            (padded - (self.kernel[a] - 1) * self.dilation[a] - 1) / self.stride[a] + 1
        })
    }

    /// Elements of the input.
    pub fn x_len(&self) -> usize {
        self.batch * self.c_in * self.size[0] * self.size[1]
    }

    /// Elements of the weights.
    pub fn w_len(&self) -> usize {
        self.c_out * (self.c_in / self.groups) * self.kernel[0] * self.kernel[1]
    }

    /// Elements of the output.
    pub fn y_len(&self) -> usize {
        let [h, w] = self.out();
        self.batch * self.c_out * h * w
    }

    /// Calls `f` for every product that does not fall on padding.
    fn for_each(&self, mut f: impl FnMut(Product)) {
        let [oh, ow] = self.out();
        let inputs = self.c_in / self.groups;
        let outputs = self.c_out / self.groups;
        for n in 0..self.batch {
            for o in 0..self.c_out {
                for c in 0..inputs {
                    let c_in = o / outputs * inputs + c;
                    for kh in 0..self.kernel[0] {
                        for kw in 0..self.kernel[1] {
                            let w = ((o * inputs + c) * self.kernel[0] + kh) * self.kernel[1] + kw;
                            for i in 0..oh {
                                let h = i * self.stride[0] + kh * self.dilation[0];
                                if h < self.padding[0] || h - self.padding[0] >= self.size[0] {
                                    continue;
                                }
                                for j in 0..ow {
                                    let v = j * self.stride[1] + kw * self.dilation[1];
                                    if v < self.padding[1] || v - self.padding[1] >= self.size[1] {
                                        continue;
                                    }
                                    let row = (n * self.c_in + c_in) * self.size[0] + h - self.padding[0];
                                    let x = row * self.size[1] + v - self.padding[1];
                                    f(Product { x, w, y: ((n * self.c_out + o) * oh + i) * ow + j });
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// `y[n, o, i, j] = sum of x * w`.
    pub fn forward(&self, x: &[f64], w: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.y_len()];
        self.for_each(|p| y[p.y] += x[p.x] * w[p.w]);
        y
    }

    /// Gradient of `sum(y * dy)` with respect to `x`.
    pub fn backward_data(&self, dy: &[f64], w: &[f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.x_len()];
        self.for_each(|p| dx[p.x] += dy[p.y] * w[p.w]);
        dx
    }

    /// Gradient of `sum(y * dy)` with respect to `w`.
    pub fn backward_weights(&self, x: &[f64], dy: &[f64]) -> Vec<f64> {
        let mut dw = vec![0.0; self.w_len()];
        self.for_each(|p| dw[p.w] += x[p.x] * dy[p.y]);
        dw
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_convolution_by_hand() {
        let conv = Conv {
            batch: 1,
            c_in: 1,
            size: [2, 3],
            c_out: 1,
            kernel: [2, 2],
            stride: [1, 1],
            padding: [0, 1, 0, 0],
            dilation: [1, 1],
            groups: 1,
        };
        let y = conv.forward(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(y, [4010.0, 5421.0, 6532.0]);
        let dx = conv.backward_data(&[1.0, 0.0, 0.0], &[1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(dx, [10.0, 0.0, 0.0, 1000.0, 0.0, 0.0]);
    }
}
