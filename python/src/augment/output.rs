//! What becomes of an augmented image: itself, normalised values, a tensor of PyTorch.

use oculist_augment::{ColorMode, Image, Preprocessing};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::error::{Failure, Result};
use crate::image::Kind;

/// The form of results.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Output {
    /// Mean and standard deviation of each channel, in parts of white; one number each for all channels.
    pub(super) normalize: Option<(Vec<f32>, Vec<f32>)>,
    /// Tensors of PyTorch, channels first, instead of arrays.
    pub(super) tensor: bool,
}

/// An image after all that needs no interpreter.
pub(super) enum Done {
    Bytes(Image),
    Values((usize, usize, usize), Vec<f32>),
}

impl Output {
    /// Checks the numbers.
    pub(super) fn validate(&self) -> Result<()> {
        let Some((mean, std)) = &self.normalize else { return Ok(()) };
        if mean.len() != std.len() || !matches!(mean.len(), 1 | 3) {
            return Err(Failure::Setting(format!(
                "normalize: expected mean and std of 1 or 3 numbers each, found {mean:?} and {std:?}"
            )));
        }
        let color = if mean.len() == 1 { ColorMode::Grey } else { ColorMode::Rgb };
        let preprocessing = Preprocessing::exact(color, 1, 1).with_statistics(mean.clone(), std.clone());
        Ok(preprocessing.validate()?)
    }

    pub(super) fn finish(&self, image: Image) -> Result<Done> {
        let Some((mean, std)) = &self.normalize else { return Ok(Done::Bytes(image)) };
        let size @ (width, height, channels) = (image.width(), image.height(), image.channels());
        let color = if channels == 1 { ColorMode::Grey } else { ColorMode::Rgb };
        if !(color.channels() == channels && (mean.len() == 1 || mean.len() == channels)) {
            return Err(Failure::Data(format!(
                "normalize: expected an image of {} channels, found {channels}",
                if mean.len() == 1 { "1 or 3" } else { "3" }
            )));
        }
        let of_channels = |numbers: &Vec<f32>| {
            if numbers.len() == channels { numbers.clone() } else { vec![numbers[0]; channels] }
        };
        let preprocessing =
            Preprocessing::exact(color, width, height).with_statistics(of_channels(mean), of_channels(std));
        let mut values = Vec::new();
        values.try_reserve_exact(preprocessing.len()).map_err(|_| {
            Failure::Memory(format!("there is no memory for the {} numbers of an image", preprocessing.len()))
        })?;
        values.resize(preprocessing.len(), 0.0);
        preprocessing.normalize_into(&image, &mut values);
        Ok(Done::Values(size, values))
    }

    /// The result for Python.
    pub(super) fn give<'py>(&self, py: Python<'py>, kind: &Kind, done: Done) -> Result<Bound<'py, PyAny>> {
        let kind = match kind {
            Kind::Pillow(_) if self.tensor => &Kind::Array,
            kind => kind,
        };
        let result = match done {
            Done::Bytes(image) => kind.give(py, image)?,
            Done::Values(size, values) => kind.give_values(py, size, values)?,
        };
        if self.tensor { tensor(&result, true) } else { Ok(result) }
    }
}

/// A tensor on the memory of an array; of an image, the channels come first.
pub(super) fn tensor<'py>(array: &Bound<'py, PyAny>, image: bool) -> Result<Bound<'py, PyAny>> {
    static FROM_NUMPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = array.py();
    let tensor = FROM_NUMPY.import(py, "torch", "from_numpy")?.call1((array,))?;
    if !image {
        return Ok(tensor);
    }
    let axes: usize = tensor.call_method0("dim")?.extract()?;
    Ok(if axes == 2 {
        tensor.call_method1("unsqueeze", (0,))?
    } else {
        tensor.call_method1("permute", ((2, 0, 1),))?
    })
}
