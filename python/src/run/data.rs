//! Settings and images as Python gives them.

use std::path::{Path, PathBuf};

use oculist::{
    DataSettings, Image, MachineSettings, Model, Purpose, ReadingSettings, SeedSettings, Settings, Source,
    SourceSettings,
};
use oculist_data::{DEFAULT_MAX_PIXELS, decode_file};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde_json::{Map, Value};

use super::shown;
use crate::error::{Failure, Result};
use crate::image::Picture;
use crate::message::shown as told;

/// Settings of a JSON object, named as in a file of them.
///
/// # Errors
/// A name that is none, or a value that does not fit its name.
pub(super) fn settings(text: &str) -> Result<Settings> {
    let map: Map<String, Value> = serde_json::from_str(text).map_err(|e| Failure::Setting(e.to_string()))?;
    let mut settings = Settings::default();
    for (name, value) in map {
        if !Settings::NAMES.contains(&name.as_str()) {
            let known = Settings::NAMES.join(", ");
            return Err(Failure::Setting(format!("{name}: unknown setting, expected one of {known}")));
        }
        let entry = Value::Object(Map::from_iter([(name.clone(), value)]));
        let set: Settings =
            serde_json::from_value(entry).map_err(|e| Failure::Setting(format!("{name}: {e}")))?;
        settings = set.over(settings);
    }
    settings.validate().map_err(|e| Failure::Setting(told(&e.message())))?;
    Ok(settings)
}

/// What of a network's settings says how a file is read.
const OF_FILE: [&str; 2] = ["arch", "image_size"];

/// Settings of a measurement.
///
/// # Errors
/// As [`settings`]; a setting that means nothing to a measurement.
pub(super) fn settings_of_evaluation(text: &str) -> Result<Settings> {
    let found = settings(text)?;
    let known: Vec<&str> = [
        SourceSettings::NAMES,
        DataSettings::NAMES,
        MachineSettings::NAMES,
        SeedSettings::NAMES,
        ReadingSettings::NAMES,
        &OF_FILE,
    ]
    .concat();
    if let Some(name) = Settings::NAMES
        .iter()
        .find(|name| !known.contains(*name) && found.only(&[*name]) != Settings::default())
    {
        let known = known.join(", ");
        return Err(Failure::Setting(format!(
            "{name}: means nothing to a measurement, expected one of {known}"
        )));
    }
    Ok(found)
}

/// Images in memory, with the classes of each.
pub(crate) struct Given {
    images: Vec<Picked>,
    labels: Vec<Vec<u32>>,
    class_names: Vec<String>,
}

/// An image, or the file of one.
enum Picked {
    Image(Image),
    File(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for Given {
    type Error = PyErr;

    /// Of `(images, labels, class names)`.
    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let tuple = object.cast::<PyTuple>()?;
        let mut images = Vec::new();
        for (i, image) in tuple.get_item(0)?.try_iter()?.enumerate() {
            let image = image?;
            images.push(match image.extract::<PathBuf>() {
                Ok(path) => Picked::File(path),
                Err(_) => Picked::Image(Picture::of(&image, &format!("images[{i}]"))?.to_image()?),
            });
        }
        Ok(Self { images, labels: tuple.get_item(1)?.extract()?, class_names: tuple.get_item(2)?.extract()? })
    }
}

impl Given {
    /// The data set that they are, with the task of the model that is given where the settings name none.
    ///
    /// # Errors
    /// A file that cannot be read; images that make no data set for the purpose.
    pub(super) fn source(
        self,
        settings: &Settings,
        purpose: Purpose,
        model: Option<&Path>,
    ) -> Result<Source> {
        let mut settings = settings.clone();
        if let (None, Some(model)) = (settings.task, model) {
            settings.task = Some(Model::task_of(model)?);
        }
        let read = |picked| match picked {
            Picked::Image(image) => Ok(image),
            Picked::File(path) => decode_file(&path, DEFAULT_MAX_PIXELS)
                .map_err(|e| Failure::Data(format!("image {}: {e}", shown(&path)))),
        };
        let images: Result<Vec<Image>> = self.images.into_iter().map(read).collect();
        Ok(Source::of_images_for(images?, self.labels, &[], self.class_names, &settings, purpose)?)
    }
}
