//! A stage of one's own, in a recipe of one's own: weights rounded to half precision, judged like any other candidate.
//!
//! `cargo run --release -p oculist --example own_stage`, on the demo.

use std::sync::Arc;

use oculist::graph::{Tensor, TensorData};
use oculist::{Candidate, OculistError, Recipe, Registry, Session, Settings, Stage};

/// Rounds every weight to so many bits of its mantissa.
#[derive(Debug)]
struct Round {
    bits: u32,
}

impl Stage for Round {
    fn kind(&self) -> &'static str {
        "round"
    }

    fn title(&self, _session: &Session<'_>, _before: &Candidate) -> String {
        format!("Round weights to {} bits of mantissa", self.bits)
    }

    fn run(&self, _session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let model = before.model_for(self.kind())?;
        let mut graph = model.graph.clone();
        let weights: Vec<_> = graph.params().map(|(id, _, tensor)| (id, tensor.clone())).collect();
        let keep = u32::MAX << (23 - self.bits.min(23));
        for (id, tensor) in weights {
            if let TensorData::F32(values) = tensor.data() {
                let rounded = values.iter().map(|x| f32::from_bits(x.to_bits() & keep)).collect();
                graph.set_param(id, Tensor::f32(tensor.shape(), rounded));
            }
        }
        let mut after = before.followed_by(model.with_graph(graph));
        after.name = format!("{}, rounded to {} bits", before.name, self.bits);
        Ok(after)
    }
}

fn main() -> Result<(), OculistError> {
    let mut registry = Registry::default();
    registry.add("round", |settings, _| {
        let bits = settings.get("bits").and_then(oculist::Value::as_u64).ok_or("expected `bits`, 1 to 23")?;
        Ok(Arc::new(Round { bits: bits as u32 }))
    });
    let text = r#"
        name = "rounded"

        [[stage]]
        kind = "train"
        epochs = 1

        [[stage]]
        kind = "round"
        bits = 6
    "#;
    let recipe = Recipe::from_toml_with(text, &registry)?;
    let settings =
        Settings { data: Some("demo".into()), arch: Some("resnet8".into()), ..Settings::default() };
    let session = Session::open(settings)?;
    let rounded = session.run(&recipe)?;
    for candidate in rounded.lineage() {
        println!("{}: {:?}", candidate.name, candidate.val);
    }
    Ok(())
}
