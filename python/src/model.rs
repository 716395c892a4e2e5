//! `Model`: a file of any tool as a classifier of images.

mod features;
mod input;
mod prediction;
mod session;

use std::path::{Path, PathBuf};

use numpy::ndarray::IxDyn;
use oculist::{Model as Classifier, ModelOptions, Opened};
use oculist_hub::{Hub, Spec};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList, PyTuple};

use crate::error::{Failure, Result};
use crate::image::array;
use input::Inputs;
pub(crate) use prediction::Prediction;
use session::{Output, Session};

/// A classifier of images from a model file of any tool.
///
/// ``Model("model.onnx")`` reads files that Oculist wrote, which say all that is needed; for others, what the file does not
/// say is given here, as with ``oculist predict``. ``model.notes`` tells what was assumed.
///
/// A model may be held by several threads, which take turns, and by processes that were forked or started anew: there it
/// makes its own threads, and a pickled model is read again from its file.
///
/// Parameters
/// ----------
/// path
///     An ONNX file, a file of weights (``.safetensors``, ``.pth``) together with ``arch``, or ``"hf:OWNER/NAME"``, a model of
///     the Hugging Face Hub.
/// classes
///     Class names in the order of the logits: a list, or a file of names.
/// preprocessing
///     How images become the input: ``"imagenet"``, ``"inception"``, ``"caffe"``, ``"tf"``, ``"unit"``, ``"none"`` or a TOML file.
/// logits
///     Name of the output that classifies, of a model with several.
/// image_size
///     Side of the square input in pixels, for a model that takes any.
/// threads
///     Threads that compute; results depend on nothing else but, in the last bits, on this number.
/// arch
///     Name of the architecture of a file that holds weights alone.
/// state_dict
///     Which of several sets of weights in such a file.
/// partial
///     Whether such a file may lack weights, or have others.
#[pyclass(frozen, module = "oculist", name = "Model")]
pub(crate) struct Model {
    classifier: Classifier,
    notes: Vec<String>,
    options: ModelOptions,
    /// As given; a file as its whole path.
    path: PathBuf,
    names: Option<Vec<String>>,
    session: Session,
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (path, *, classes=None, preprocessing=None, logits=None, image_size=None, threads=1, arch=None, state_dict=None, partial=false))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        classes: Option<&Bound<'_, PyAny>>,
        preprocessing: Option<PathBuf>,
        logits: Option<String>,
        image_size: Option<usize>,
        threads: usize,
        arch: Option<String>,
        state_dict: Option<String>,
        partial: bool,
    ) -> Result<Self> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        // A list of names may hold commas; a text or path means what it means to `--classes`.
        let (names, classes) = match classes {
            None => (None, None),
            Some(classes) => match classes.extract::<PathBuf>() {
                Ok(one) => (None, Some(text(one))),
                Err(_) => (Some(classes.extract::<Vec<String>>()?), None),
            },
        };
        let preprocessing = preprocessing.map(text);
        let options = ModelOptions { classes, preprocessing, logits, image_size, arch, state_dict, partial };
        py.detach(|| Self::open(path, options, names, threads))
    }

    /// Class names in the order of the logits; their numbers as texts if the model does not name them.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.classifier.class_names)
    }

    /// How images become the input: sizes, colours, resizing, mean and standard deviation in parts of white.
    #[getter]
    fn preprocessing<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>> {
        let text = serde_json::to_string(&self.classifier.preprocessing);
        let text = text.map_err(|e| Failure::Other(e.to_string()))?;
        Ok(py.import("json")?.call_method1("loads", (text,))?)
    }

    /// What was assumed to read the file, a line each.
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.notes)
    }

    /// Name of the architecture.
    #[getter]
    fn arch(&self) -> &str {
        &self.classifier.arch
    }

    /// The file that was read.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Threads that compute.
    #[getter]
    fn threads(&self) -> usize {
        self.session.threads()
    }

    /// The likeliest classes of images.
    ///
    /// ``images`` is one image or a list of them: paths of files, folders (all images in them), images of Pillow, arrays of
    /// shape ``(height, width)`` or ``(height, width, channels)``; or an array of several, ``(n, height, width, channels)``.
    /// Returns a list of ``Prediction``, each with the ``top`` likeliest classes. With ``strict=False`` an image that cannot
    /// be read is no exception but a prediction with an ``error``.
    #[pyo3(signature = (images, *, top=3, strict=true))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        top: usize,
        strict: bool,
    ) -> Result<Bound<'py, PyList>> {
        let mut inputs = Inputs::of(images)?;
        let results = PyList::empty(py);
        while let Some(chunk) = inputs.next_chunk(py, &self.classifier.preprocessing, strict)? {
            let rows = self.session.run(py, &self.classifier, Output::Logits, &chunk)?;
            let mut rows = rows.chunks(self.classifier.class_names.len().max(1));
            for place in chunk.places {
                let found = match place.problem {
                    Some(problem) => Prediction::failed(place.path, problem),
                    None => {
                        Prediction::of(rows.next().unwrap_or(&[]), &self.classifier, top.max(1), place.path)
                    }
                };
                results.append(Py::new(py, found)?)?;
            }
            py.check_signals()?;
        }
        Ok(results)
    }

    /// The logits of images, ``float32`` of shape ``(images, classes)``.
    ///
    /// ``images`` is as in ``predict``; or ``float32`` of shape ``(n, channels, height, width)``, the network's input itself,
    /// preprocessed already, red first.
    fn logits<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let (rows, n) = self.rows(py, images, Output::Logits)?;
        let columns = self.classifier.class_names.len();
        Ok(array(py, IxDyn(&[n, columns]), rows)?.into_any())
    }

    /// The probabilities of images, ``float32`` of shape ``(images, classes)``; ``images`` as in ``logits``.
    ///
    /// They are a softmax of the logits; where the file judges every class by itself (a Sigmoid at its end), its numbers.
    fn probabilities<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let (mut rows, n) = self.rows(py, images, Output::Logits)?;
        let columns = self.classifier.class_names.len();
        for row in rows.chunks_mut(columns.max(1)) {
            row.copy_from_slice(&prediction::probabilities(row, &self.classifier));
        }
        Ok(array(py, IxDyn(&[n, columns]), rows)?.into_any())
    }

    /// What the last fully connected layer sees of images, ``float32`` of shape ``(images, features)``; ``images`` as in
    /// ``logits``. Where that is a map, its mean over all places.
    fn features<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let (rows, n) = self.rows(py, images, Output::Features)?;
        let columns = rows.len().checked_div(n).unwrap_or(0);
        Ok(array(py, IxDyn(&[n, columns]), rows)?.into_any())
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let ModelOptions { classes, preprocessing, logits, image_size, arch, state_dict, partial } =
            &self.options;
        let how = [
            (
                "classes",
                match &self.names {
                    Some(names) => names.into_pyobject(py)?.into_any(),
                    None => classes.into_pyobject(py)?.into_any(),
                },
            ),
            ("preprocessing", preprocessing.into_pyobject(py)?.into_any()),
            ("logits", logits.into_pyobject(py)?.into_any()),
            ("image_size", image_size.into_pyobject(py)?.into_any()),
            ("threads", self.session.threads().into_pyobject(py)?.into_any()),
            ("arch", arch.into_pyobject(py)?.into_any()),
            ("state_dict", state_dict.into_pyobject(py)?.into_any()),
            ("partial", partial.into_pyobject(py)?.to_owned().into_any()),
        ];
        Ok((PyTuple::new(py, [&self.path])?, how.into_py_dict(py)?))
    }

    fn __repr__(&self) -> String {
        let p = &self.classifier.preprocessing;
        let (classes, threads) = (self.classifier.class_names.len(), self.session.threads());
        let path = self.path.display();
        let (channels, arch) = (p.channels(), &self.classifier.arch);
        format!(
            "Model({path}: {arch}, {channels}x{}x{} to {classes} classes, threads={threads})",
            p.height, p.width
        )
    }
}

impl Model {
    fn open(
        given: PathBuf,
        options: ModelOptions,
        names: Option<Vec<String>>,
        threads: usize,
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let (file, path) = local(&given, &mut notes)?;
        let Opened { mut model, notes: assumed, .. } = Classifier::open(&file, &options)?;
        notes.extend(assumed.iter().map(ToString::to_string));
        if let Some(names) = &names {
            let (found, count) = (names.len(), model.class_names.len());
            if found != count {
                let problem = format!("expected {count} names, one for each logit, found {found}");
                return Err(Failure::Setting(format!("classes: {problem}")));
            }
            model.class_names.clone_from(names);
            model.numbered = false;
        }
        let session = Session::new(threads, &file, &model)?;
        Ok(Self { classifier: model, notes, options, path, names, session })
    }

    /// One row for each image, and their number.
    fn rows(&self, py: Python<'_>, images: &Bound<'_, PyAny>, output: Output) -> Result<(Vec<f32>, usize)> {
        let mut inputs = Inputs::of(images)?;
        let (mut all, mut n) = (Vec::new(), 0);
        while let Some(chunk) = inputs.next_chunk(py, &self.classifier.preprocessing, true)? {
            all.extend(self.session.run(py, &self.classifier, output, &chunk)?);
            n += chunk.places.len();
            py.check_signals()?;
        }
        Ok((all, n))
    }
}

/// The file of a model, fetched from the Hub if its name says so, and the path by which another process finds it.
fn local(given: &Path, notes: &mut Vec<String>) -> Result<(PathBuf, PathBuf)> {
    let of_hub = |e: oculist_hub::HubError| Failure::Model(e.to_string());
    if let Some(spec) = given.to_str().map(Spec::parse).transpose().map_err(of_hub)?.flatten() {
        let fetched = Hub::from_env().and_then(|hub| hub.fetch(&spec, &mut |_| ())).map_err(of_hub)?;
        notes.extend(fetched.notes);
        notes.push(format!("{spec} is {}", fetched.path.display()));
        return Ok((fetched.path, given.to_path_buf()));
    }
    let whole = std::path::absolute(given).unwrap_or_else(|_| given.to_path_buf());
    Ok((given.to_path_buf(), whole))
}
