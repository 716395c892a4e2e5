//! When the models say that an image is none of the classes.

use serde::Serialize;

use crate::chart::{Drawing, Size, kept};
use crate::{Model, RunSummary, format};

#[derive(Debug, Serialize)]
pub(super) struct Rejecting {
    /// The model that is drawn: the recommended one.
    pub(super) model: String,
    /// What is compared, in words.
    pub(super) score: String,
    pub(super) rate: String,
    pub(super) images: String,
    pub(super) drawing: Drawing,
    pub(super) rows: Vec<RejectRow>,
}

#[derive(Debug, Serialize)]
pub(super) struct RejectRow {
    pub(super) model: String,
    pub(super) threshold: String,
    pub(super) val: String,
    pub(super) test: String,
}

impl Rejecting {
    pub(super) fn new(run: &RunSummary) -> Option<Self> {
        let model = run.recommended_model()?;
        let reject = model.reject.as_ref().filter(|reject| !reject.curve.is_empty())?;
        let (wide, narrow) = (Size { width: 520.0, height: 320.0 }, Size { width: 340.0, height: 280.0 });
        Some(Self {
            model: model.name.clone(),
            score: score_text(&reject.score),
            rate: format!("{}%", reject.rate),
            images: format::grouped(reject.images),
            drawing: Drawing::new(wide, narrow, |size| kept::draw(reject, size)),
            rows: run.models.iter().filter_map(row).collect(),
        })
    }
}

/// What a score is. Of one that this version does not know nothing is said but its name.
fn score_text(score: &str) -> String {
    match score {
        "max_probability" => "the probability of the likeliest class".to_owned(),
        "energy" => {
            "the logarithm of the sum of the exponentials of the logits (the negative energy)".to_owned()
        }
        "" => "not named in the file".to_owned(),
        other => format!("\"{other}\""),
    }
}

fn row(model: &Model) -> Option<RejectRow> {
    let reject = model.reject.as_ref()?;
    Some(RejectRow {
        model: model.name.clone(),
        threshold: format::sig3(reject.threshold),
        val: format::percent(reject.val_kept),
        test: reject.test_kept.map_or_else(|| format::NONE.to_owned(), format::percent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reject;

    #[test]
    fn only_a_score_that_is_known_is_explained() {
        let text = |score: &str| {
            let reject = Reject { score: score.into(), curve: vec![[0.0, 100.0]], ..Reject::default() };
            let model = Model { reject: Some(reject), ..Model::default() };
            let run = RunSummary { models: vec![model], ..RunSummary::default() };
            Rejecting::new(&run).expect("it has a curve").score
        };
        assert!(text("energy").contains("negative energy"));
        assert!(text("max_probability").contains("likeliest class"));
        assert_eq!(text("distance"), "\"distance\"");
        assert_eq!(text(""), "not named in the file");
    }
}
