//! Images of Python as the input of a network, a chunk at a time.

use std::path::{Path, PathBuf};

use numpy::ndarray::Axis;
use numpy::{PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use oculist_augment::{Image, Preprocessing};
use oculist_data::{DEFAULT_MAX_PIXELS, Exclude, decode_file, walk};
use pyo3::prelude::*;

use super::session::BATCH;
use crate::error::{Failure, Result};
use crate::image::{Picture, is_pillow};

/// All images of a call.
pub(super) enum Inputs<'py> {
    /// Files, arrays and images of Pillow, the next one last.
    Each { left: Vec<Bound<'py, PyAny>>, done: usize },
    /// The network's input itself, `[n, channels, height, width]`.
    Ready { array: Bound<'py, PyArrayDyn<f32>>, done: usize },
}

/// Images of one run.
pub(super) struct Chunk {
    /// Dense NHWC of those that could be read.
    pub(super) input: Vec<f32>,
    /// Values of one image.
    pub(super) image_len: usize,
    pub(super) places: Vec<Place>,
}

/// Where an image comes from, and why it could not be read.
pub(super) struct Place {
    pub(super) path: Option<String>,
    name: String,
    pub(super) problem: Option<String>,
}

/// An image before it is decoded.
enum Source {
    File(PathBuf),
    Image(Image),
}

impl Chunk {
    /// Images that could be read.
    pub(super) fn images(&self) -> usize {
        self.input.len().checked_div(self.image_len).unwrap_or(0)
    }

    /// What the i-th image that could be read is called.
    pub(super) fn name(&self, i: usize) -> String {
        let read = self.places.iter().filter(|place| place.problem.is_none());
        read.map(|place| place.name.clone()).nth(i).unwrap_or_default()
    }
}

impl<'py> Inputs<'py> {
    /// Looks at what was given: one image or several.
    ///
    /// # Errors
    /// A folder that cannot be searched.
    pub(super) fn of(object: &Bound<'py, PyAny>) -> Result<Self> {
        let object = as_array(object)?;
        if let Ok(array) = object.cast::<PyArrayDyn<f32>>() {
            let array = match array.ndim() {
                3 => array.call_method1("__getitem__", (object.py().None(),))?,
                4 => array.clone().into_any(),
                _ => {
                    let expected = "expected float32 of shape (n, channels, height, width)";
                    return Err(Failure::Data(format!("images: {expected}, found {:?}", array.shape())));
                }
            };
            return Ok(Self::Ready { array: array.cast_into().map_err(PyErr::from)?, done: 0 });
        }
        let several = match object.cast::<PyUntypedArray>() {
            // Three axes are those of one image where the last one can be its channels, else of several grey ones.
            Ok(array) => match *array.shape() {
                [_, _, channels] => !matches!(channels, 1 | 3 | 4),
                ref shape => shape.len() == 4,
            },
            Err(_) => object.extract::<PathBuf>().is_err() && !is_pillow(&object)?,
        };
        let mut left = Vec::new();
        if several {
            let images = object.try_iter().map_err(|_| {
                let expected = "expected an image or a list of images (paths, arrays, images of Pillow)";
                Failure::Data(format!("images: {expected}, found {}", type_name(&object)))
            })?;
            for image in images {
                expand(&image?, &mut left)?;
            }
        } else {
            expand(&object, &mut left)?;
        }
        left.reverse();
        Ok(Self::Each { left, done: 0 })
    }

    /// The next images as input; none once all are done.
    ///
    /// # Errors
    /// An image that is none; with `strict`, a file that cannot be read.
    pub(super) fn next_chunk(
        &mut self,
        py: Python<'py>,
        preprocessing: &Preprocessing,
        strict: bool,
    ) -> Result<Option<Chunk>> {
        match self {
            Self::Ready { array, done } => ready(array, done, preprocessing),
            Self::Each { left, .. } if left.is_empty() => Ok(None),
            Self::Each { left, done } => {
                let mut sources = Vec::new();
                for i in *done..*done + BATCH {
                    let Some(object) = left.pop() else { break };
                    let name = format!("images[{i}]");
                    if let Ok(path) = object.extract::<PathBuf>() {
                        sources.push((path.display().to_string(), Source::File(path)));
                    } else {
                        let image = Picture::of(&as_array(&object)?, &name)?.to_image()?;
                        sources.push((name, Source::Image(image)));
                    }
                }
                *done += sources.len();
                py.detach(|| read(sources, preprocessing, strict)).map(Some)
            }
        }
    }
}

/// Decodes and prepares images.
fn read(sources: Vec<(String, Source)>, preprocessing: &Preprocessing, strict: bool) -> Result<Chunk> {
    let image_len = preprocessing.len();
    let mut chunk = Chunk { input: Vec::new(), image_len, places: Vec::new() };
    for (name, source) in sources {
        let (path, image) = match source {
            Source::File(path) => {
                (Some(name.clone()), decode_file(&path, DEFAULT_MAX_PIXELS).map_err(|e| e.to_string()))
            }
            Source::Image(image) => (None, Ok(image)),
        };
        let problem = match image {
            Ok(image) => {
                let start = chunk.input.len();
                chunk.input.resize(start + image_len, 0.0);
                preprocessing.apply_into(image, &mut chunk.input[start..])?;
                None
            }
            Err(problem) if strict => return Err(Failure::Data(format!("image {name}: {problem}"))),
            Err(problem) => Some(problem),
        };
        chunk.places.push(Place { path, name, problem });
    }
    Ok(chunk)
}

/// The next rows of an input that is ready, as NHWC.
fn ready(
    array: &Bound<'_, PyArrayDyn<f32>>,
    done: &mut usize,
    preprocessing: &Preprocessing,
) -> Result<Option<Chunk>> {
    let (channels, height, width) = (preprocessing.channels(), preprocessing.height, preprocessing.width);
    let shape = array.shape();
    if shape[1..] != [channels, height, width] {
        return Err(Failure::Data(format!(
            "images: expected float32 of shape (n, {channels}, {height}, {width}), found {shape:?}"
        )));
    }
    let n = (shape[0] - *done).min(BATCH);
    if n == 0 {
        return Ok(None);
    }
    let images = array.try_readonly().map_err(|e| Failure::Data(format!("images: {e}")))?;
    let images = images.as_array();
    let mut input = Vec::with_capacity(n * preprocessing.len());
    for image in images.axis_iter(Axis(0)).skip(*done).take(n) {
        input.extend(image.permuted_axes(vec![1, 2, 0]).iter());
    }
    let names = (*done..*done + n).map(|i| format!("images[{i}]"));
    *done += n;
    let places = names.map(|name| Place { path: None, name, problem: None }).collect();
    Ok(Some(Chunk { input, image_len: preprocessing.len(), places }))
}

/// An array of what says that it can be one, such as a tensor of PyTorch; anything else as it is.
fn as_array<'py>(object: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    if object.cast::<PyUntypedArray>().is_ok() || is_pillow(object)? || !object.hasattr("__array__")? {
        return Ok(object.clone());
    }
    Ok(object.py().import("numpy")?.call_method1("asarray", (object,))?)
}

/// An image, or those in a folder.
fn expand<'py>(object: &Bound<'py, PyAny>, to: &mut Vec<Bound<'py, PyAny>>) -> Result<()> {
    let folder = object.extract::<PathBuf>().ok().filter(|path| path.is_dir());
    let Some(folder) = folder else {
        to.push(object.clone());
        return Ok(());
    };
    for path in files(&folder)? {
        to.push(path.into_pyobject(object.py())?.into_any());
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let found = walk(folder, &Exclude::default()).map_err(|e| Failure::Data(e.to_string()))?;
    if found.files.is_empty() {
        return Err(Failure::Data(format!("{}: the folder holds no images", folder.display())));
    }
    Ok(found.files.into_iter().map(|file| file.path).collect())
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().fully_qualified_name().map_or_else(|_| "something else".into(), |name| name.to_string())
}
