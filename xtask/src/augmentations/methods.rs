//! The rows of the table.

use serde_json::{Value, json};

use super::Data;

/// A way to augment.
#[derive(Debug)]
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What is added to flips and crops; `None` for nothing at all.
    after: Option<&'static str>,
    /// Options of `oculist train` beside the pipeline.
    pub(super) options: &'static [&'static str],
}

/// Every method but the first crops and flips before its own operation, as is usual.
pub(super) const METHODS: [Method; 7] = [
    Method { name: "none", about: "the images as they are", after: None, options: &[] },
    Method {
        name: "flips and crops",
        about: "shifts of up to 1/14 of the side by padding and cropping, mirrored with probability 1/2",
        after: Some("[]"),
        options: &[],
    },
    Method {
        name: "trivial",
        about: "and TrivialAugmentWide: one random operation of random strength",
        after: Some(r#"[{"op": "trivial_augment_wide"}]"#),
        options: &[],
    },
    Method {
        name: "rand",
        about: "and RandAugment: two random operations of magnitude 9",
        after: Some(r#"[{"op": "rand_augment"}]"#),
        options: &[],
    },
    Method {
        name: "erasing",
        about: "and random erasing with probability 1/2",
        after: Some(r#"[{"op": "random_erasing", "probability": 0.5}]"#),
        options: &[],
    },
    Method {
        name: "mixup",
        about: "and MixUp with alpha 0.2",
        after: Some("[]"),
        options: &["--mixup", "0.2"],
    },
    Method {
        name: "cutmix",
        about: "and CutMix with alpha 1",
        after: Some("[]"),
        options: &["--cutmix", "1"],
    },
];

impl Method {
    /// The pipeline for `--augmentation`; `None` for images as they are.
    pub(super) fn pipeline(&self, data: Data) -> Option<Value> {
        let after: Value = serde_json::from_str(self.after?).ok()?;
        let side = data.side();
        // Black borders would look like the faults of a solar cell.
        let border = if data == Data::Elpv { json!("reflect") } else { json!({"constant": 0}) };
        let mut steps = vec![
            json!({"op": "random_crop", "width": side, "height": side, "padding": side / 14, "border": border}),
            json!({"op": "horizontal_flip", "probability": 0.5}),
        ];
        if data == Data::Elpv {
            // A solar cell upside down is a solar cell.
            steps.push(json!({"op": "vertical_flip", "probability": 0.5}));
        }
        steps.extend(after.as_array().into_iter().flatten().cloned());
        Some(json!({"steps": steps}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pipeline_is_one_and_only_the_first_method_has_none() {
        for data in Data::ALL {
            let pipelines: Vec<Option<Value>> = METHODS.iter().map(|m| m.pipeline(data)).collect();
            assert!(pipelines[0].is_none() && pipelines[1..].iter().all(Option::is_some));
        }
        let steps = |data| METHODS[4].pipeline(data).unwrap()["steps"].as_array().unwrap().len();
        assert_eq!((steps(Data::FashionMnist), steps(Data::Elpv)), (3, 4));
    }
}
