//! Gated and biased activations.

use oculist_graph::{BiasGelu, SwiGlu};

use crate::call::{Call, Forward, Outcome};
use crate::float::Float;
use crate::real::{Real, finish, with_real};

impl Forward for SwiGlu {
    fn forward(&self, call: &Call) -> Outcome {
        let (a, b) = (call.input(0)?, call.input(1)?);
        call.room(a.dtype(), a.shape())?;
        with_real!(a.dtype(), T => {
            let alpha = T::of_f32(self.alpha);
            let b = T::read(b);
            let mut y = T::read(a).into_owned();
            y.iter_mut().zip(b.iter()).for_each(|(v, &b)| *v = *v / (T::ONE + (-(alpha * *v)).exp()) * b);
            Ok(vec![finish(a.shape(), y, a.dtype())?])
        })
    }
}

/// The error function, to about 15 digits: its series near 0, a continued fraction of the rest further out.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    if size.is_nan() || size > 6.0 {
        return if size.is_nan() { x } else { x.signum() };
    }
    let scale = 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
    if size < 2.5 {
        // 2 / sqrt(pi) * exp(-x^2) * sum of (2 x^2)^n * x / (1 * 3 * ... * (2 n + 1)).
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while f64::abs(term) > 1e-17 * f64::abs(sum) {
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        return scale * sum;
    }
    // 1 - erf(x) = exp(-x^2) / sqrt(pi) / (x + (1/2) / (x + (2/2) / (x + (3/2) / ...))).
    let fraction = (1..=60).rev().fold(size, |f, n| size + f64::from(n) / 2.0 / f);
    (1.0 - scale / 2.0 / fraction).copysign(x)
}

impl Forward for BiasGelu {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(x.dtype(), x.shape())?;
        with_real!(x.dtype(), T => {
            let bias = call.get(1).map(T::read);
            let mut y = T::read(x).into_owned();
            let len = x.shape().last().copied().unwrap_or(1);
            call.ctx.for_pieces(&mut y, len, |_, row| {
                if let Some(bias) = &bias {
                    row.iter_mut().zip(bias.iter()).for_each(|(v, &b)| *v += b);
                }
                for v in row {
                    let x = v.to_f64();
                    let inner = match self {
                        Self::Exact => erf(x * std::f64::consts::FRAC_1_SQRT_2),
                        Self::Tanh => (x * (0.797_884_560_802_865_4 + 0.035_677_408_136_300_125 * x * x)).tanh(),
                    };
                    *v = T::of_f64(0.5 * x * (1.0 + inner));
                }
            });
            Ok(vec![finish(x.shape(), y, x.dtype())?])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::erf;

    /// Values of Abramowitz and Stegun, table 7.1.
    #[test]
    fn the_error_function_has_its_known_values() {
        for (x, value) in [(0.0, 0.0), (0.5, 0.520_499_877_8), (1.0, 0.842_700_792_9), (2.0, 0.995_322_265_0)]
        {
            assert!((erf(x) - value).abs() < 1e-10, "{x}");
            assert!((erf(-x) + value).abs() < 1e-10, "{x}");
        }
        // Both branches meet.
        assert!((erf(2.499_999_999) - erf(2.5)).abs() < 1e-10);
        assert_eq!(erf(7.0), 1.0);
    }
}
