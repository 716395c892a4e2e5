//! What a user says of a model file that does not say it itself.

use crate::settings::Settings;

/// What the file of a model leaves open: how images become its input, what its classes are called, which of its outputs
/// classifies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ModelOptions {
    /// Class names in the order of the logits: `a,b,c`, or a file with one name a line or a JSON list.
    pub classes: Option<String>,
    /// A name of [`crate::PREPROCESSINGS`], or a TOML file.
    pub preprocessing: Option<String>,
    /// Name of the output that classifies, of a model with several.
    pub logits: Option<String>,
    /// Side of the square input in pixels, for a model that takes any.
    pub image_size: Option<usize>,
    /// The architecture of a file that holds weights alone.
    pub arch: Option<String>,
    /// Which of several sets of weights in such a file, by its key.
    pub state_dict: Option<String>,
    /// Whether such a file may lack weights, or have others.
    pub partial: bool,
    /// Whether such a file may lack the weights of its last layer, of which nothing is wanted then but its features.
    pub(crate) headless: bool,
}

impl ModelOptions {
    /// What settings say of their model.
    pub fn of(settings: &Settings) -> Self {
        Self {
            classes: settings.classes.clone(),
            preprocessing: settings.preprocessing.clone(),
            logits: settings.logits.clone(),
            image_size: settings.image_size,
            arch: settings.arch.clone(),
            state_dict: settings.state_dict.clone(),
            partial: settings.partial.unwrap_or(false),
            headless: false,
        }
    }
}
