//! Gated and biased activations.

use oculist_graph::{BiasGelu, SwiGlu, Unary};

use super::broadcast::{expanded, reduced};
use super::unary::slope;
use super::{Backward, Gradients, Reverse};
use crate::real::{Real, finish, with_real};

impl Backward for SwiGlu {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (a, b, dy) = (reverse.input(0)?, reverse.input(1)?, reverse.only()?);
        reverse.each(|i| {
            with_real!(a.dtype(), T => {
                let (x, gate, gradient) = (T::read(a), T::read(b), T::read(dy));
                let alpha = f64::from(self.alpha);
                let each = |((x, gate), g): ((&T, &T), &T)| {
                    let (x, gate, g) = (x.to_f64(), gate.to_f64(), g.to_f64());
                    T::of_f64(if i == 0 {
                        g * gate * slope(Unary::Swish { alpha: self.alpha }, x)
                    } else {
                        g * x / (1.0 + (-alpha * x).exp())
                    })
                };
                let values: Vec<T> = x.iter().zip(gate.iter()).zip(gradient.iter()).map(each).collect();
                finish(a.shape(), values, a.dtype()).map(Some)
            })
        })
    }
}

impl Backward for BiasGelu {
    fn backward(&self, reverse: &Reverse) -> Gradients {
        let (x, dy) = (reverse.input(0)?, reverse.only()?);
        let op = Unary::Gelu { tanh: *self == Self::Tanh };
        with_real!(x.dtype(), T => {
            let mut z = T::read(x).into_owned();
            if let Some(bias) = reverse.get(1) {
                let bias = expanded(&T::read(bias), bias.shape(), x.shape());
                z.iter_mut().zip(bias).for_each(|(z, b)| *z += b);
            }
            let gradient = T::read(dy);
            let each = |(z, g): (&T, &T)| T::of_f64(slope(op, z.to_f64()) * g.to_f64());
            let dz: Vec<T> = z.iter().zip(gradient.iter()).map(each).collect();
            reverse.each(|i| {
                let input = reverse.input(i)?;
                finish(input.shape(), reduced(&dz, x.shape(), input.shape()), input.dtype()).map(Some)
            })
        })
    }
}
