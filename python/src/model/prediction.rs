//! What a model says of an image.

use oculist::{Answer, Model as Classifier, Reject};
use pyo3::prelude::*;

/// What a model says of an image.
#[pyclass(frozen, module = "oculist")]
#[derive(Debug)]
pub(crate) struct Prediction {
    path: Option<String>,
    /// Classes with their numbers and probabilities, the likeliest first.
    top: Vec<(String, usize, f32)>,
    error: Option<String>,
    /// The classes that are answered, of a model that tells any number of them.
    labels: Option<Vec<String>>,
    /// The score by which it is of a class or not, and whether it is none, where that was asked.
    reject: Option<(f32, bool)>,
}

/// What a prediction is made of, for pickles.
type Parts =
    (Option<String>, Vec<(String, usize, f32)>, Option<String>, Option<Vec<String>>, Option<(f32, bool)>);

#[pymethods]
impl Prediction {
    #[new]
    #[pyo3(signature = (path, top, error, labels=None, reject=None))]
    fn new(
        path: Option<String>,
        top: Vec<(String, usize, f32)>,
        error: Option<String>,
        labels: Option<Vec<String>>,
        reject: Option<(f32, bool)>,
    ) -> Self {
        Self { path, top, error, labels, reject }
    }

    fn __getnewargs__(&self) -> Parts {
        (self.path.clone(), self.top.clone(), self.error.clone(), self.labels.clone(), self.reject)
    }

    /// The likeliest class; `None` for an image that could not be read, and for one that is none of the classes.
    #[getter]
    fn class_name(&self) -> Option<&str> {
        self.answer().map(|(name, ..)| name.as_str())
    }

    /// The number of the likeliest class.
    #[getter]
    fn class_index(&self) -> Option<usize> {
        self.answer().map(|(_, index, _)| *index)
    }

    /// The probability of the likeliest class.
    #[getter]
    fn probability(&self) -> Option<f32> {
        self.answer().map(|(.., probability)| *probability)
    }

    /// Of a model with several labels for each image, those of probability 0.5 and more, the likeliest first; `None` of others.
    #[getter]
    fn labels(&self) -> Option<Vec<String>> {
        self.labels.clone()
    }

    /// The likeliest classes with their probabilities, the likeliest first; with several labels, at least all `labels`.
    #[getter]
    fn top(&self) -> Vec<(&str, f32)> {
        self.top.iter().map(|(name, _, probability)| (name.as_str(), *probability)).collect()
    }

    /// With `reject=True`, whether the image is none of the classes; `top` tells the likeliest all the same. Else `None`.
    #[getter]
    fn rejected(&self) -> Option<bool> {
        self.reject.map(|(_, rejected)| rejected)
    }

    /// With `reject=True`, what was compared with the model's threshold: an image with less is none of the classes.
    #[getter]
    fn score(&self) -> Option<f32> {
        self.reject.map(|(score, _)| score)
    }

    /// The file of the image, if it was one.
    #[getter]
    fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Why the image could not be read, with `strict=False`.
    #[getter]
    fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn __repr__(&self) -> String {
        let path = self.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        if let Some(labels) = &self.labels {
            let one = |(name, _, p): &(String, usize, f32)| format!("{name} {:.1}%", 100.0 * p);
            let told: Vec<String> = self.top.iter().take(labels.len()).map(one).collect();
            let told = if told.is_empty() { "no label".to_owned() } else { told.join(", ") };
            return format!("Prediction({path}{told})");
        }
        if self.rejected() == Some(true) {
            return format!("Prediction({path}none of these)");
        }
        match (self.top.first(), &self.error) {
            (Some((name, _, probability)), _) => {
                format!("Prediction({path}{name} {:.1}%)", 100.0 * probability)
            }
            (None, error) => format!("Prediction({path}{})", error.as_deref().unwrap_or("nothing")),
        }
    }
}

impl Prediction {
    /// The likeliest class, if the image is of one.
    fn answer(&self) -> Option<&(String, usize, f32)> {
        if self.rejected() == Some(true) { None } else { self.top.first() }
    }

    /// The `count` likeliest classes of a row of logits; with `reject`, also whether it is none of them.
    pub(super) fn of(
        logits: &[f32],
        model: &Classifier,
        count: usize,
        reject: Option<Reject>,
        path: Option<String>,
    ) -> Self {
        let Answer { top, labels, .. } = model.answer(logits, count);
        let name = |class: usize| model.class_names[class].clone();
        let labels = labels.map(|labels| labels.into_iter().map(name).collect());
        let top = top.into_iter().map(|(class, p)| (name(class), class, p)).collect();
        let reject = reject.map(|reject| {
            let score = model.reject_score(logits);
            (score, reject.rejects(score))
        });
        Self { path, top, error: None, labels, reject }
    }

    pub(super) fn failed(path: Option<String>, error: String) -> Self {
        Self { path, top: Vec::new(), error: Some(error), labels: None, reject: None }
    }
}

/// The probabilities of a row of logits, as `oculist predict` tells them.
pub(super) fn probabilities(logits: &[f32], model: &Classifier) -> Vec<f32> {
    model.probabilities().of(logits)
}
