//! Other element types.

use oculist_graph::{BitCast, Cast, CastLike, DataType, Tensor, TensorData};

use crate::call::{Call, Forward, Outcome};
use crate::cast::cast;
use crate::element::{Element, with_elements};

impl Forward for Cast {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(self.to, x.shape())?;
        Ok(vec![cast(x, self.to)])
    }
}

impl Forward for CastLike {
    fn forward(&self, call: &Call) -> Outcome {
        let (x, to) = (call.input(0)?, call.input(1)?.dtype());
        call.room(to, x.shape())?;
        Ok(vec![cast(x, to)])
    }
}

impl Forward for BitCast {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        call.room(DataType::U64, x.shape())?;
        let bits: Vec<u64> = with_elements!(x.data(), v: T => v.iter().map(|&x| Element::bits(x)).collect());
        let data = match self.to {
            DataType::U4 => TensorData::U4(bits.into_iter().map(|b| b as u8 & 15).collect()),
            // The low four bits with their sign.
            DataType::I4 => TensorData::I4(bits.into_iter().map(|b| ((b as i8) << 4) >> 4).collect()),
            to => with_elements!(&TensorData::zeros(to, 0), v: T => {
                // The empty vector only tells the type.
                debug_assert!(v.is_empty());
                <T as Element>::wrap(bits.into_iter().map(<T as Element>::of_bits).collect())
            }),
        };
        Ok(vec![Tensor::new(x.shape().to_vec(), data)?])
    }
}

#[cfg(test)]
mod tests {
    use oculist_kernels::Context;

    use super::*;

    #[test]
    fn bits_stay() {
        let ctx = Context::new(1).unwrap();
        let of = |to, x: &Tensor| {
            crate::evaluate(&ctx, &BitCast { to }.into(), &[Some(x)], 1).map(|mut y| y.remove(0))
        };
        let x = Tensor::f32(&[2], vec![1.0, -2.0]);
        let y = of(DataType::I32, &x).unwrap();
        assert_eq!(y.as_i32().unwrap(), [0x3f80_0000, -0x4000_0000]);
        assert_eq!(of(DataType::F32, &y).unwrap(), x);
        assert_eq!(of(DataType::U8, &Tensor::i8(&[2], vec![-1, 1])).unwrap().as_u8().unwrap(), [255, 1]);
        assert!(of(DataType::F64, &x).is_err());
    }
}
