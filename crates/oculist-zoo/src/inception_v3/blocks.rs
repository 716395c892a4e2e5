//! The five kinds of blocks of Inception-v3.

use oculist_graph::{AveragePool, Conv, Op, Plane, ValueId};

use super::basic;
use crate::layers::{Net, scaled};
use crate::options::BuildOptions;

/// Builds blocks.
pub(super) struct Blocks<'a> {
    pub(super) net: &'a mut Net,
    pub(super) options: &'a BuildOptions,
    /// Padding of what halves the map.
    pub(super) pad: usize,
}

/// One convolution of a branch: the last part of its name, its channels, the convolution.
type Step<'n> = (&'n str, usize, Conv);

/// Figure 6's 1x1 convolution.
fn point() -> Conv {
    Conv::square(1, 1, 0)
}

/// A window of `h x w` pixels at stride 1 that keeps the map.
fn window(h: usize, w: usize) -> Conv {
    let (top, left) = (h / 2, w / 2);
    let padding = [top, left, top, left];
    Conv::plane(Plane { kernel: [h, w], stride: [1; 2], padding, dilation: [1; 2] }, 1)
}

impl Blocks<'_> {
    /// Convolutions one behind the other.
    fn chain(&mut self, block: &str, mut x: ValueId, steps: &[Step<'_>]) -> ValueId {
        for (part, channels, conv) in steps {
            let channels = scaled(*channels, self.options);
            x = basic(self.net, &format!("{block}.{part}"), x, channels, conv.clone());
        }
        x
    }

    /// A convolution that halves the map.
    fn halving(&self) -> Conv {
        Conv::square(3, 2, self.pad)
    }

    /// 3x3 average pooling and a 1x1 convolution.
    fn pooled(&mut self, block: &str, x: ValueId, channels: usize) -> ValueId {
        let pool = Op::AveragePool(AveragePool::square(3, 1, 1, true));
        let y = self.net.op(&format!("{block}.pool"), pool, &[x]);
        self.chain(block, y, &[("branch_pool", channels, point())])
    }

    fn concat(&mut self, block: &str, parts: &[ValueId]) -> ValueId {
        self.net.concat(&format!("{block}.concat"), parts)
    }

    /// Figure 5 of the paper, with 5x5 as published in its code.
    pub(super) fn a(&mut self, name: &str, x: ValueId, projected: usize) -> ValueId {
        let one = self.chain(name, x, &[("branch1x1", 64, point())]);
        let five = self.chain(name, x, &[("branch5x5_1", 48, point()), ("branch5x5_2", 64, window(5, 5))]);
        let three = self.chain(
            name,
            x,
            &[
                ("branch3x3dbl_1", 64, point()),
                ("branch3x3dbl_2", 96, window(3, 3)),
                ("branch3x3dbl_3", 96, window(3, 3)),
            ],
        );
        let pooled = self.pooled(name, x, projected);
        self.concat(name, &[one, five, three, pooled])
    }

    /// Halves the map: figure 10.
    pub(super) fn b(&mut self, name: &str, x: ValueId) -> ValueId {
        let halving = self.halving();
        let one = self.chain(name, x, &[("branch3x3", 384, halving.clone())]);
        let two = self.chain(
            name,
            x,
            &[
                ("branch3x3dbl_1", 64, point()),
                ("branch3x3dbl_2", 96, window(3, 3)),
                ("branch3x3dbl_3", 96, halving),
            ],
        );
        let pooled = self.net.max_pool(&format!("{name}.pool"), x, 3, 2, self.pad);
        self.concat(name, &[one, two, pooled])
    }

    /// Figure 6 with windows of seven pixels.
    pub(super) fn c(&mut self, name: &str, x: ValueId, inner: usize) -> ValueId {
        let one = self.chain(name, x, &[("branch1x1", 192, point())]);
        let once = self.chain(
            name,
            x,
            &[
                ("branch7x7_1", inner, point()),
                ("branch7x7_2", inner, window(1, 7)),
                ("branch7x7_3", 192, window(7, 1)),
            ],
        );
        let twice = self.chain(
            name,
            x,
            &[
                ("branch7x7dbl_1", inner, point()),
                ("branch7x7dbl_2", inner, window(7, 1)),
                ("branch7x7dbl_3", inner, window(1, 7)),
                ("branch7x7dbl_4", inner, window(7, 1)),
                ("branch7x7dbl_5", 192, window(1, 7)),
            ],
        );
        let pooled = self.pooled(name, x, 192);
        self.concat(name, &[one, once, twice, pooled])
    }

    /// Halves the map.
    pub(super) fn d(&mut self, name: &str, x: ValueId) -> ValueId {
        let halving = self.halving();
        let three =
            self.chain(name, x, &[("branch3x3_1", 192, point()), ("branch3x3_2", 320, halving.clone())]);
        let seven = self.chain(
            name,
            x,
            &[
                ("branch7x7x3_1", 192, point()),
                ("branch7x7x3_2", 192, window(1, 7)),
                ("branch7x7x3_3", 192, window(7, 1)),
                ("branch7x7x3_4", 192, halving),
            ],
        );
        let pooled = self.net.max_pool(&format!("{name}.pool"), x, 3, 2, self.pad);
        self.concat(name, &[three, seven, pooled])
    }

    /// Figure 7.
    pub(super) fn e(&mut self, name: &str, x: ValueId) -> ValueId {
        let one = self.chain(name, x, &[("branch1x1", 320, point())]);
        let y = self.chain(name, x, &[("branch3x3_1", 384, point())]);
        let three = self.beside(name, y, ["branch3x3_2a", "branch3x3_2b"]);
        let y =
            self.chain(name, x, &[("branch3x3dbl_1", 448, point()), ("branch3x3dbl_2", 384, window(3, 3))]);
        let twice = self.beside(name, y, ["branch3x3dbl_3a", "branch3x3dbl_3b"]);
        let pooled = self.pooled(name, x, 192);
        self.concat(name, &[one, three, twice, pooled])
    }

    /// 1x3 beside 3x1.
    fn beside(&mut self, block: &str, x: ValueId, [across, down]: [&str; 2]) -> ValueId {
        let a = self.chain(block, x, &[(across, 384, window(1, 3))]);
        let b = self.chain(block, x, &[(down, 384, window(3, 1))]);
        self.net.concat(&format!("{block}.{across}.concat"), &[a, b])
    }
}
