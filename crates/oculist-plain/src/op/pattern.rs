//! Patterns within matrices and along axes.

use oculist_graph::op::axis;
use oculist_graph::{DataType, Det, EyeLike, OneHot, ReverseSequence, Tensor, TensorData, Trilu};

use crate::along::Along;
use crate::call::{Call, Forward, Outcome};
use crate::cast::cast;
use crate::element::{Element, Wide, expect_number, same_type, with_elements};

impl Forward for OneHot {
    fn forward(&self, call: &Call) -> Outcome {
        let (indices, depth, values) = (call.input(0)?, call.input(1)?, call.input(2)?);
        let depth = depth.to_f64s().first().map_or(0, |&d| d.max(0.0) as usize);
        let at = axis(self.axis, indices.shape().len() + 1)?;
        let mut out = indices.shape().to_vec();
        out.insert(at, depth);
        let len = call.room(values.dtype(), &out)?;
        let along = Along::new(&out, at);
        let numbers: Vec<i128> =
            with_elements!(indices.data(), v: T => v.iter().map(|x: &T| x.widen().to_i128()).collect());
        let depth = depth as i128;
        let data = same_type!(values.data(), v => {
            let &[off, on] = v.as_slice() else {
                return Err(format!("expected off and on, found {} values", v.len()).into());
            };
            let mut y = vec![off; len];
            for (line, &index) in numbers.iter().enumerate() {
                let from_front = if index < 0 { index + depth } else { index };
                if (0..depth).contains(&from_front) {
                    y[along.at(line, from_front as usize)] = on;
                }
            }
            y
        });
        Ok(vec![Tensor::new(out, data)?])
    }
}

impl Forward for EyeLike {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let dtype = self.dtype.unwrap_or(x.dtype());
        expect_number(dtype, true)?;
        let len = call.room(dtype, x.shape())?;
        let columns = x.shape().last().copied().unwrap_or(1);
        let data = with_elements!(&TensorData::zeros(dtype, 0), none: T => {
            let mut y = none.clone();
            y.resize(len, T::default());
            for (row, line) in y.chunks_mut(columns.max(1)).enumerate() {
                let column = usize::try_from((row as i64).saturating_add(self.k)).ok();
                if let Some(place) = column.and_then(|c| line.get_mut(c)) {
                    *place = T::narrow(<T as Element>::Wide::ONE);
                }
            }
            T::wrap(y)
        });
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

/// The zero of an element's type.
fn zero_like<T: Default>(_: T) -> T {
    T::default()
}

impl Forward for Trilu {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(x.dtype(), x.shape())?;
        let k = call.ints(1)?.and_then(|k| k.first().copied()).unwrap_or(0);
        let &[.., rows, columns] = x.shape() else {
            return Err(format!("expected at least 2 dimensions, found {:?}", x.shape()).into());
        };
        let data = same_type!(x.data(), v => {
            let mut y = v.clone();
            for (line, y) in y.chunks_mut(columns.max(1)).enumerate() {
                // The upper triangle begins at this column, the lower one ends at it.
                let diagonal = ((line % rows.max(1)) as i64).saturating_add(k);
                let first = usize::try_from(if self.upper { diagonal } else { diagonal.saturating_add(1) }).unwrap_or(0);
                let first = first.min(columns);
                for zero in if self.upper { &mut y[..first] } else { &mut y[first..] } {
                    *zero = zero_like(*zero);
                }
            }
            y
        });
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

impl Forward for ReverseSequence {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(DataType::U64, x.shape())?;
        let batch_first = self.batch_first()?;
        let &[first, second, ref rest @ ..] = x.shape() else {
            return Err(format!("expected at least 2 dimensions, found {:?}", x.shape()).into());
        };
        let (batch, time) = if batch_first { (first, second) } else { (second, first) };
        let lens = call.ints(1)?.unwrap_or_default();
        if lens.len() != batch {
            return Err(format!("expected {batch} lengths, found {}", lens.len()).into());
        }
        if let Some(len) = lens.iter().find(|&&n| usize::try_from(n).map_or(true, |n| n > time)) {
            return Err(format!("a length is {len}, a sequence has {time} elements").into());
        }
        let inner: usize = rest.iter().product();
        let place = |a: usize, b: usize| {
            let (i, t) = if batch_first { (a, b) } else { (b, a) };
            let len = lens[i] as usize;
            let t = if t < len { len - 1 - t } else { t };
            let (a, b) = if batch_first { (i, t) } else { (t, i) };
            (a * second + b) * inner
        };
        let places = (0..first).flat_map(|a| (0..second).map(move |b| (a, b)));
        let places = places.flat_map(|(a, b)| (0..inner).map(move |i| place(a, b) + i));
        Ok(vec![Tensor::new(x.shape().to_vec(), x.data().pick(places))?])
    }
}

/// The determinant of a matrix of `n` rows, by elimination with the largest pivot.
pub(crate) fn determinant(matrix: &mut [f64], n: usize) -> f64 {
    let mut product = 1.0;
    for k in 0..n {
        let size = |row: &usize| matrix[row * n + k].abs();
        let pivot = (k..n).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(k);
        if pivot != k {
            for column in 0..n {
                matrix.swap(k * n + column, pivot * n + column);
            }
            product = -product;
        }
        let head = matrix[k * n + k];
        product *= head;
        if head == 0.0 {
            return product;
        }
        for row in k + 1..n {
            let factor = matrix[row * n + k] / head;
            for column in k..n {
                matrix[row * n + column] -= factor * matrix[k * n + column];
            }
        }
    }
    product
}

impl Forward for Det {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(DataType::F64, x.shape())?;
        let &[ref batch @ .., n, columns] = x.shape() else {
            return Err(format!("expected square matrices, found {:?}", x.shape()).into());
        };
        if n != columns {
            return Err(format!("expected square matrices, found {:?}", x.shape()).into());
        }
        let len = call.room(DataType::F64, batch)?;
        let mut all = x.to_f64s();
        let dets = if n == 0 {
            // The product of nothing.
            vec![1.0; len]
        } else {
            all.chunks_mut(n * n).map(|matrix| determinant(matrix, n)).collect()
        };
        Ok(vec![cast(&Tensor::new(batch.to_vec(), TensorData::F64(dets))?, x.dtype())])
    }
}

#[cfg(test)]
mod tests {
    use oculist_graph::Op;
    use oculist_kernels::Context;

    use super::*;

    fn of(op: impl Into<Op>, inputs: &[&Tensor]) -> Tensor {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(|&x| Some(x)).collect();
        crate::evaluate(&Context::new(1).unwrap(), &op.into(), &inputs, 1).unwrap().remove(0)
    }

    #[test]
    fn indices_beyond_the_depth_are_off() {
        let y = of(
            OneHot { axis: 0 },
            &[&Tensor::ints(vec![1, -1, 3, -4]), &Tensor::ints(vec![3]), &Tensor::i8(&[2], vec![0, 7])],
        );
        assert_eq!((y.shape(), y.as_i8().unwrap()), (&[3, 4][..], &[0, 0, 0, 0, 7, 0, 0, 0, 0, 7, 0, 0][..]));
    }

    #[test]
    fn triangles_and_diagonals() {
        // numpy.triu(x, 1), numpy.tril(x, -1), numpy.eye(2, 3, 1).
        let x = Tensor::i8(&[2, 3], vec![1, 2, 3, 4, 5, 6]);
        let k = |k: i64| Tensor::ints(vec![k]).reshaped(vec![]).unwrap();
        assert_eq!(of(Trilu { upper: true }, &[&x, &k(1)]).as_i8().unwrap(), [0, 2, 3, 0, 0, 6]);
        assert_eq!(of(Trilu { upper: false }, &[&x, &k(-1)]).as_i8().unwrap(), [0, 0, 0, 4, 0, 0]);
        assert_eq!(of(Trilu { upper: true }, &[&x, &k(i64::MIN)]).as_i8().unwrap(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(of(EyeLike { dtype: None, k: 1 }, &[&x]).as_i8().unwrap(), [0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn sequences_are_reversed_up_to_their_length() {
        // ONNX's example for batch_axis 0.
        let x = Tensor::i8(&[2, 4], vec![0, 1, 2, 3, 4, 5, 6, 7]);
        let op = ReverseSequence { batch_axis: 0, time_axis: 1 };
        assert_eq!(of(op, &[&x, &Tensor::ints(vec![1, 3])]).as_i8().unwrap(), [0, 1, 2, 3, 6, 5, 4, 7]);
    }

    #[test]
    fn determinants_have_a_sign() {
        let x = Tensor::f32(&[2, 2, 2], vec![0.0, 1.0, 2.0, 3.0, 1.0, 2.0, 2.0, 4.0]);
        assert_eq!(of(Det, &[&x]).as_f32().unwrap(), [-2.0, 0.0]);
    }
}
