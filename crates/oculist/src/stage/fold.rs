//! Folds batch normalisation into the layers before it, and parallel branches into one.

use oculist_passes::{fold_batch_norm, remove_identity, reparameterize};

use super::plan::{Draft, Planned};
use super::{Expected, Stage};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::session::Session;

/// Folds batch normalisation into the convolutions before it, and branches that are trained side by side into one convolution, which
/// changes no answer beyond rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fold;

impl Stage for Fold {
    fn kind(&self) -> &'static str {
        "fold"
    }

    fn title(&self, _session: &Session<'_>, _before: &Candidate) -> String {
        "Fold batch normalisation".into()
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.f32_for(self.kind())
    }

    fn run(&self, _session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let before = before.in_f32();
        let model = before.model_for(self.kind())?;
        let graph = fold_batch_norm(&reparameterize(&remove_identity(&model.graph)?)?)?;
        let folded = model.graph.nodes().len() - graph.nodes().len();
        let mut after = before.followed_by(model.with_graph(graph));
        after.name = format!("{}, folded", before.name);
        after.label = format!("{}-folded", before.label);
        after.what = format!("{folded} nodes folded");
        after.complete = before.complete;
        Ok(after)
    }

    fn plan(&self, _session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let mut planned = Planned::new(before.clone());
        planned.what = "fold batch normalisation".into();
        Ok(planned)
    }
}
