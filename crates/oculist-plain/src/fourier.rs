//! Discrete Fourier transforms of any length.

/// A complex number.
pub(crate) type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

/// `exp(sign * 2 pi i k / n)`.
fn root(sign: f64, k: usize, n: usize) -> Complex {
    let (sin, cos) = (sign * std::f64::consts::TAU * (k % n) as f64 / n as f64).sin_cos();
    (cos, sin)
}

/// `sum_n exp(sign * 2 pi i k n / N) x_n` for each `k`: halves by halves, the odd rest directly or as a convolution.
pub(crate) fn transform(x: &[Complex], sign: f64) -> Vec<Complex> {
    let n = x.len();
    match n {
        0 | 1 => x.to_vec(),
        _ if n.is_multiple_of(2) => {
            let part = |first: usize| x.iter().copied().skip(first).step_by(2).collect::<Vec<_>>();
            let (even, odd) = (transform(&part(0), sign), transform(&part(1), sign));
            let half = n / 2;
            (0..n)
                .map(|k| {
                    let (a, b) = (even[k % half], times(root(sign, k, n), odd[k % half]));
                    (a.0 + b.0, a.1 + b.1)
                })
                .collect()
        }
        3..=63 => (0..n)
            .map(|k| {
                x.iter().enumerate().fold((0.0, 0.0), |sum: Complex, (i, &x)| {
                    let term = times(root(sign, i * k, n), x);
                    (sum.0 + term.0, sum.1 + term.1)
                })
            })
            .collect(),
        _ => chirp(x, sign),
    }
}

/// The transform as a convolution with `exp(sign * pi i k^2 / n)`, since `2 k n = k^2 + n^2 - (k - n)^2`, which
/// transforms of a power of two compute.
fn chirp(x: &[Complex], sign: f64) -> Vec<Complex> {
    let n = x.len();
    let size = (2 * n).next_power_of_two();
    // k^2 modulo 2 n, so that the angle stays small.
    let wave = |sign: f64, k: usize| root(sign, (k as u128 * k as u128 % (2 * n as u128)) as usize, 2 * n);
    let (mut a, mut b) = (vec![(0.0, 0.0); size], vec![(0.0, 0.0); size]);
    for (k, &x) in x.iter().enumerate() {
        a[k] = times(x, wave(sign, k));
        b[k] = wave(-sign, k);
        b[(size - k) % size] = b[k];
    }
    let products: Vec<Complex> =
        transform(&a, 1.0).into_iter().zip(transform(&b, 1.0)).map(|(a, b)| times(a, b)).collect();
    let sums = transform(&products, -1.0);
    (0..n)
        .map(|k| {
            let y = times(sums[k], wave(sign, k));
            (y.0 / size as f64, y.1 / size as f64)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_the_sum() {
        for n in [1, 2, 3, 8, 12, 63, 65, 67, 130] {
            let x: Vec<Complex> = (0..n).map(|i| ((i * i % 7) as f64, (i % 5) as f64 - 2.0)).collect();
            let y = transform(&x, -1.0);
            for k in 0..n {
                let sum = (0..n).fold((0.0, 0.0), |s: Complex, i| {
                    let t = times(root(-1.0, i * k, n), x[i]);
                    (s.0 + t.0, s.1 + t.1)
                });
                assert!((y[k].0 - sum.0).abs() + (y[k].1 - sum.1).abs() < 1e-9, "{n} {k}");
            }
        }
    }
}
