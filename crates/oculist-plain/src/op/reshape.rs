//! The same elements in another shape: they are shared, not copied.

use oculist_graph::{Item, Reshape, Shape, Squeeze, Unsqueeze};

use crate::call::{Call, Forward, Outcome, Problem};

impl Forward for Reshape {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let target = call.ints(1)?.ok_or("input 1 is missing")?;
        let items: Vec<Item> = target.into_iter().map(Item::Known).collect();
        let shape = Shape::new(self.dims(&Shape::fixed(x.shape()), &items)?);
        let sizes = shape.sizes().ok_or_else(|| Problem::from(format!("the shape {shape} is not known")))?;
        Ok(vec![x.reshaped(sizes)?])
    }
}

impl Forward for Squeeze {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let kept = Self::kept(&Shape::fixed(x.shape()), call.ints(1)?.as_deref())?;
        Ok(vec![x.reshaped(kept.into_iter().map(|a| x.shape()[a]).collect())?])
    }
}

impl Forward for Unsqueeze {
    fn forward(&self, call: &Call) -> Outcome {
        let x = call.input(0)?;
        let axes = call.ints(1)?.ok_or("input 1 is missing")?;
        let sources = Self::sources(x.shape().len(), &axes)?;
        Ok(vec![x.reshaped(sources.into_iter().map(|a| a.map_or(1, |a| x.shape()[a])).collect())?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::run;
    use oculist_graph::Tensor;

    #[test]
    fn elements_are_shared_in_another_shape() {
        let x = Tensor::f32(&[2, 3], (0..6u8).map(f32::from).collect());
        let y = run(Reshape::COPYING, &[&x, &Tensor::ints(vec![-1, 2])]).unwrap();
        assert_eq!(y, Tensor::f32(&[3, 2], (0..6u8).map(f32::from).collect()));
        let y = run(Unsqueeze, &[&x, &Tensor::ints(vec![-1, 1])]).unwrap();
        assert_eq!(y.shape(), [2, 1, 3, 1]);
        assert_eq!(run(Squeeze, &[&y]).unwrap(), x);
        assert!(
            run(Reshape::COPYING, &[&x, &Tensor::ints(vec![4, -1])]).unwrap_err().contains("shared by 4")
        );
    }
}
