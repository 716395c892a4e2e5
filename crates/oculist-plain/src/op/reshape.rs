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
