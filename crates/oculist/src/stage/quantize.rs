//! Quantises a model to int8.

use std::sync::Arc;

use oculist_data::Split;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::plan::{Draft, Planned};
use super::{Expected, Stage, written};
use crate::candidate::Candidate;
use crate::error::OculistError;
use crate::images::Images;
use crate::judging::Allowance;
use crate::quantization::{Quantizer, sensitivity};
use crate::session::Session;
use crate::settings::Calibration;

/// Quantises weights and activations to int8 after training.
///
/// Every calibration method asked for is tried on validation images; where int8 loses more than may be lost, the most
/// sensitive layers stay in f32.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Quantize {
    /// The calibration method; the session's if it is not set.
    pub calibration: Option<Calibration>,
    /// Training images for calibration; the session's number if it is not set.
    pub calibration_images: Option<usize>,
    /// Points of the baseline's metric below which layers go back to f32; the session's `max_drop` if it is not set.
    pub max_drop: Option<f64>,
}

impl Quantize {
    /// By one calibration method.
    pub fn by(calibration: Calibration) -> Self {
        Self { calibration: Some(calibration), ..Self::default() }
    }

    fn with_quantizer<T>(
        &self,
        session: &Session<'_>,
        before: &Candidate,
        work: impl FnOnce(&Quantizer<'_>) -> Result<T, OculistError>,
    ) -> Result<T, OculistError> {
        let config = session.config();
        let count = self.calibration_images.unwrap_or(config.compression.calibration_images);
        let calibration = session.shared(&format!("calibration on {count} images"), || {
            let subset = session.source().split(Split::Train).sample(count, config.seed)?;
            Images::load_until(&subset, &config.preprocessing, session.ctx().threads(), session.stop())
        })?;
        let max_drop = self.max_drop.unwrap_or(config.compression.max_drop);
        let metric = config.metric;
        let reference = before.baseline().map(|baseline| baseline.value(metric));
        work(&Quantizer {
            ctx: session.ctx(),
            calibration: &calibration,
            judge: session.judge()?,
            method: self.calibration.unwrap_or(config.compression.calibration),
            allowed: reference.map(|reference| Allowance { metric, reference, max_drop }),
        })
    }
}

impl Stage for Quantize {
    fn kind(&self) -> &'static str {
        "quantize"
    }

    fn title(&self, _session: &Session<'_>, before: &Candidate) -> String {
        let what = if before.kind == "baseline" { "the baseline" } else { "the model" };
        format!("Quantise {what} to int8")
    }

    fn settings(&self) -> Map<String, Value> {
        written(self)
    }

    fn check(&self, _session: &Session<'_>) -> Result<(), OculistError> {
        if let Some(max_drop) = self.max_drop.filter(|max_drop| *max_drop < 0.0) {
            return Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: format!("max_drop: expected 0 or more, found {max_drop}"),
            });
        }
        if self.calibration_images == Some(0) {
            return Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: "calibration_images: expected at least 1, found 0".into(),
            });
        }
        Ok(())
    }

    fn expects(&self, before: Expected) -> Result<Expected, OculistError> {
        before.f32_for(self.kind())?;
        Ok(Expected::Int8)
    }

    fn step_name(&self, after: &Candidate) -> String {
        match after.parent() {
            Some(before) if before.kind == "baseline" => format!("int8 of the {}", before.name),
            _ => after.name.clone(),
        }
    }

    fn run(&self, session: &Session<'_>, before: &Candidate) -> Result<Candidate, OculistError> {
        let before = before.in_f32();
        let model = before.model_for(self.kind())?;
        if model.is_int8() {
            return Err(OculistError::Stage {
                stage: self.kind().into(),
                problem: "the model is quantised already".into(),
            });
        }
        let quantized = self.with_quantizer(session, before, |quantizer| {
            session.watched(|watch| quantizer.quantize(&model.graph, watch))
        })?;
        let mut after = before.followed_by(model.with_graph(quantized.graph.clone()));
        after.name = format!("{}, int8", before.name);
        after.label = format!("{}-int8", before.label);
        after.kind = if before.kind == "baseline" { "int8".into() } else { format!("{}+int8", before.kind) };
        after.val = quantized.val.clone();
        after.quantization = Some(quantized.facts.clone());
        after.quantized = Some(Arc::new(quantized));
        Ok(after)
    }

    fn examine(&self, session: &Session<'_>, candidate: &mut Candidate) -> Result<(), OculistError> {
        let (Some(quantized), Some(before)) = (candidate.quantized.clone(), candidate.parent.clone()) else {
            return Ok(());
        };
        let Some(graph) = before.graph() else { return Ok(()) };
        candidate.sensitivity = self.with_quantizer(session, &before, |quantizer| {
            session.watched(|watch| quantizer.sensitivity(graph, &quantized, watch))
        })?;
        if let Some(facts) = &mut candidate.quantization {
            facts.sensitivity_images = session.val()?.len().min(sensitivity::IMAGES);
        }
        Ok(())
    }

    fn plan(&self, session: &Session<'_>, before: &Draft) -> Result<Planned, OculistError> {
        let mut planned = Planned::new(before.clone());
        let method = self.calibration.unwrap_or(session.config().compression.calibration);
        let methods = if method == Calibration::Auto { 3 } else { 1 };
        planned.what = "quantise to int8".into();
        if let Some(graph) = &before.graph {
            let count = self.calibration_images.unwrap_or(session.config().compression.calibration_images);
            let each = Planned::image_seconds(session, graph)?;
            // Calibration looks at every value; the methods are then compared on validation images.
            let images = 4 * count + methods * session.source().split(Split::Val).len();
            planned.seconds = each * images as f64;
        }
        Ok(planned)
    }
}
