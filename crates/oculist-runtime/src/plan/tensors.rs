//! Running a plan on tensors of any type and rank.

use oculist_graph::{Dim, Tensor as Rows};
use oculist_kernels::{nchw_to_nhwc, try_zeros};

use super::Plan;
use crate::error::RuntimeError;
use crate::lower::Entry;
use crate::options::InputLayout;

impl Plan {
    /// Runs any graph: tensors in the order of its inputs, results in the order of its outputs.
    ///
    /// # Shapes
    /// Those of the graph's inputs, images `[N, C, H, W]` whatever [`crate::PlanOptions::input_layout`] says. The batch
    /// must be the plan's; a dimension with a name may have any size, the same wherever the name stands.
    ///
    /// # Errors
    /// [`RuntimeError::Inputs`] naming the input that does not fit; [`RuntimeError::Plain`] naming the node that cannot
    /// be computed.
    pub fn run_tensors(&mut self, inputs: Vec<Rows>) -> Result<Vec<Rows>, RuntimeError> {
        self.check_inputs(&inputs)?;
        let results = match &self.entry {
            Entry::Images => self.run_image_tensor(&inputs[0]),
            Entry::Rows(slots) => {
                for (&slot, tensor) in slots.iter().zip(inputs) {
                    self.slots[slot] = Some(tensor);
                }
                self.run_steps(self.batch, &[], &mut |_| {}).and_then(|()| self.results(&[]))
            }
        };
        self.slots.fill(None);
        results
    }

    fn results(&self, input: &[f32]) -> Result<Vec<Rows>, RuntimeError> {
        (0..self.outputs.len()).map(|i| self.output_tensor(i, input)).collect()
    }

    /// Runs a plan of images on a batch of them in the graph's order.
    fn run_image_tensor(&mut self, images: &Rows) -> Result<Vec<Rows>, RuntimeError> {
        let Some(nchw) = images.as_f32() else { return Ok(Vec::new()) };
        let (c, h, w) = self.input_chw();
        let mut nhwc;
        let input = if self.layout == InputLayout::Nhwc && c > 1 && h * w > 1 {
            nhwc = try_zeros(nchw.len(), "the images").map_err(RuntimeError::Memory)?;
            nchw_to_nhwc(&self.context, self.batch, c, h * w, c, nchw, &mut nhwc);
            &nhwc[..]
        } else {
            nchw
        };
        if self.apart.is_empty() {
            self.run_steps(self.batch, input, &mut |_| {})?;
            return self.results(input);
        }
        let mut logits = vec![0.0; self.batch * self.output_len()];
        self.run(input, &mut logits)?;
        let shape = self.signature.outputs.first().cloned().unwrap_or_default();
        Ok(vec![Rows::new(shape, oculist_graph::TensorData::F32(logits))?])
    }

    fn check_inputs(&self, inputs: &[Rows]) -> Result<(), RuntimeError> {
        let wrong = |problem| Err(RuntimeError::Inputs { graph: self.name.clone(), problem });
        let expected = &self.signature.inputs;
        if inputs.len() != expected.len() {
            return wrong(format!("expected {} inputs, found {}", expected.len(), inputs.len()));
        }
        // Sizes of named dimensions, with the input that gave them.
        let mut named: Vec<(u32, usize, &str)> = Vec::new();
        for ((name, known), tensor) in expected.iter().zip(inputs) {
            let found = || format!("found {} {:?}", tensor.dtype().name(), tensor.shape());
            if tensor.dtype() != known.dtype || tensor.shape().len() != known.shape.rank() {
                return wrong(format!("input `{name}`: expected {}, {}", known.label(), found()));
            }
            for (&dim, &size) in known.shape.dims().iter().zip(tensor.shape()) {
                match dim {
                    Dim::Fixed(expected) if expected != size => {
                        return wrong(format!("input `{name}`: expected {}, {}", known.label(), found()));
                    }
                    Dim::Batch if size != self.batch => {
                        return wrong(format!(
                            "input `{name}`: the plan is for a batch of {}, found one of {size}",
                            self.batch
                        ));
                    }
                    Dim::Symbol(symbol) => match named.iter().find(|(known, ..)| *known == symbol) {
                        Some((_, other, first)) if *other != size => {
                            return wrong(format!(
                                "input `{name}` {}: expected the size {other} that input `{first}` has, {}",
                                known.label(),
                                found()
                            ));
                        }
                        Some(_) => {}
                        None => named.push((symbol, size, name)),
                    },
                    Dim::Fixed(_) | Dim::Batch | Dim::Unknown => {}
                }
            }
        }
        Ok(())
    }
}
