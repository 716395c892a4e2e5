//! Takes the model that the session was given.

use super::Stage;
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::session::Session;

/// Takes the model that the settings of the session name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Load;

impl Stage for Load {
    fn kind(&self) -> &'static str {
        "load"
    }

    fn title(&self, _session: &Session<'_>, _before: &Candidate) -> String {
        "Take the given model as the baseline".into()
    }

    fn check(&self, session: &Session<'_>) -> Result<(), OculistError> {
        match session.given() {
            Some(_) => Ok(()),
            None => Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: "expected a model to take (the setting `model`), found none".into(),
            }),
        }
    }

    fn expects(&self, _before: super::Expected) -> Result<super::Expected, OculistError> {
        Ok(super::Expected::F32)
    }

    fn leaves(
        &self,
        _session: &Session<'_>,
        _before: Option<String>,
    ) -> Result<Option<String>, OculistError> {
        // The given model, which is checked by itself.
        Ok(None)
    }

    fn run(&self, session: &Session<'_>, _before: &Candidate) -> Result<Candidate, OculistError> {
        self.check(session)?;
        let graph = session.given().map(|model| model.graph.clone());
        let Some(graph) = graph else { return Ok(Candidate::nothing()) };
        let mut after = Candidate::nothing().followed_by(session.model(graph));
        after.name = "baseline".into();
        after.label = "baseline".into();
        after.kind = "baseline".into();
        after.what = format!("{} as given", session.config().arch);
        Ok(after)
    }

    fn plan(&self, session: &Session<'_>, before: &super::Draft) -> Result<super::Planned, OculistError> {
        self.check(session)?;
        let mut planned = super::Planned::new(before.clone());
        planned.after.graph = session.given().map(|model| model.graph.clone());
        planned.what = format!("take {} as given", session.config().arch);
        Ok(planned)
    }
}
