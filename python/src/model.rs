//! `Model`: a file of any tool as a classifier of images.

mod features;
mod held;
mod input;
mod open;
mod prediction;
mod session;

use std::path::{Path, PathBuf};

use numpy::ndarray::IxDyn;
use oculist::{Model as Classifier, ModelOptions};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyList, PyTuple};

use crate::argument;
use crate::error::{Failure, Result};
use crate::image::array;
use crate::message::shown;
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
    /// As given; a file as its whole path. None of a model that is in memory alone.
    path: Option<PathBuf>,
    names: Option<Vec<String>>,
    session: Session,
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (path, *, classes=None, preprocessing=None, logits=None, image_size=None, threads=1, arch=None, state_dict=None, partial=false))]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = argument::file)] path: PathBuf,
        classes: Option<&Bound<'_, PyAny>>,
        #[pyo3(from_py_with = argument::preprocessing)] preprocessing: Option<PathBuf>,
        logits: Option<String>,
        #[pyo3(from_py_with = argument::image_size)] image_size: Option<usize>,
        #[pyo3(from_py_with = argument::threads)] threads: usize,
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
                Err(_) => (Some(open::names(classes)?), None),
            },
        };
        let preprocessing = preprocessing.map(text);
        let mut options = ModelOptions::default();
        options.classes = classes;
        options.preprocessing = preprocessing;
        options.logits = logits;
        options.image_size = image_size;
        options.arch = arch;
        options.state_dict = state_dict;
        options.partial = partial;
        py.detach(move || Self::open(&path, options, names, threads))
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

    /// What it tells of an image: ``"single-label"``, one class, or ``"multi-label"``, any number of them.
    #[getter]
    fn task(&self) -> &'static str {
        self.classifier.task.name()
    }

    /// The least score of an image that is still of a class, for ``predict(..., reject=True)``; ``None`` where there is none.
    #[getter]
    fn reject_threshold(&self) -> Option<f32> {
        self.classifier.rejection().ok().map(|reject| reject.threshold)
    }

    /// Name of the architecture.
    #[getter]
    fn arch(&self) -> &str {
        &self.classifier.arch
    }

    /// The file that was read; ``None`` for a model that is in memory alone.
    #[getter]
    fn path(&self) -> Option<PathBuf> {
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
    /// shape ``(height, width)`` or ``(height, width, channels)``; or an array of several, ``(n, height, width, channels)`` or,
    /// if they are wider than 4, ``(n, height, width)``.
    /// Returns a list of ``Prediction``, each with the ``top`` likeliest classes; of a model with several labels for each
    /// image, ``labels`` are those of probability 0.5 and more. With ``strict=False`` an image that cannot
    /// be read is no exception but a prediction with an ``error``. With ``reject=True`` an image whose score is below the
    /// threshold in the model's file is none of its classes: the prediction is ``rejected`` and has no ``class_name``. A model
    /// without a threshold, and one with several labels for each image, are a ``ModelError`` then.
    #[pyo3(signature = (images, *, top=3, strict=true, reject=false))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        #[pyo3(from_py_with = argument::top)] top: usize,
        strict: bool,
        reject: bool,
    ) -> Result<Bound<'py, PyList>> {
        let threshold = || self.classifier.rejection().map_err(|problem| Failure::Model(shown(&problem)));
        let reject = reject.then(threshold).transpose()?;
        let mut inputs = Inputs::of(images)?;
        let results = PyList::empty(py);
        while let Some(chunk) = inputs.next_chunk(py, &self.classifier.preprocessing, strict)? {
            let rows = self.session.run(py, &self.classifier, Output::Logits, &chunk)?;
            let mut rows = rows.chunks(self.classifier.class_names.len().max(1));
            for place in chunk.places {
                let found = if let Some(problem) = place.problem {
                    Prediction::failed(place.path, problem)
                } else {
                    let row = rows.next().unwrap_or(&[]);
                    Prediction::of(row, &self.classifier, top.max(1), reject, place.path)
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
    /// They are a softmax of the logits; where every class is judged by itself (a Sigmoid at the file's end, or several labels
    /// for each image), a sigmoid of each.
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

    /// The network's input made of images, ``float32`` of shape ``(images, channels, height, width)``, as ``logits`` takes it:
    /// decoded, resized, cropped and normalised. ``images`` is as in ``predict``.
    fn inputs<'py>(&self, py: Python<'py>, images: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let p = &self.classifier.preprocessing;
        let (channels, pixels) = (p.channels(), p.height * p.width);
        let mut inputs = Inputs::of(images)?;
        let (mut all, mut n): (Vec<f32>, usize) = (Vec::new(), 0);
        while let Some(chunk) = inputs.next_chunk(py, p, true)? {
            for image in chunk.input.chunks_exact(channels * pixels) {
                for channel in 0..channels {
                    all.extend(image.iter().skip(channel).step_by(channels));
                }
                n += 1;
            }
            py.check_signals()?;
        }
        Ok(array(py, IxDyn(&[n, channels, p.height, p.width]), all)?.into_any())
    }

    /// Writes the model as an ONNX file that says all that is needed to use it; the file appears whole or not at all.
    fn save(&self, py: Python<'_>, #[pyo3(from_py_with = argument::file)] path: PathBuf) -> Result<()> {
        py.detach(move || Ok(self.classifier.write(&path).map(|_| ())?))
    }

    /// The file that ``save`` writes, as bytes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| held::bytes(&self.classifier))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A model of what ``to_bytes`` gave: ``bytes``, a ``bytearray`` or a ``memoryview``.
    #[staticmethod]
    #[pyo3(signature = (data, threads=1))]
    fn from_bytes(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = argument::threads)] threads: usize,
    ) -> Result<Self> {
        let data = held::given(data)?;
        py.detach(|| Self::held(held::model(&data)?, threads))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Result<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (py, this) = (slf.py(), slf.get());
        if this.path.is_none() {
            let make = py.get_type::<Self>().getattr("from_bytes")?;
            let threads = this.session.threads().into_pyobject(py).map_err(PyErr::from)?.into_any();
            return Ok((make, PyTuple::new(py, [this.to_bytes(py)?.into_any(), threads])?));
        }
        let make = py.import("copyreg")?.getattr("__newobj_ex__")?;
        let (args, how) = this.__getnewargs_ex__(py)?;
        let all = [slf.get_type().into_any(), args.into_any(), how.into_any()];
        Ok((make, PyTuple::new(py, all)?))
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let ModelOptions { classes, preprocessing, logits, image_size, arch, state_dict, partial, .. } =
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
        Ok((PyTuple::new(py, [self.path.clone()])?, how.into_py_dict(py)?))
    }

    fn __repr__(&self) -> String {
        let p = &self.classifier.preprocessing;
        let (classes, threads) = (self.classifier.class_names.len(), self.session.threads());
        let path =
            self.path.as_ref().map_or_else(|| "in memory".to_owned(), |path| path.display().to_string());
        let (channels, arch) = (p.channels(), &self.classifier.arch);
        format!(
            "Model({path}: {arch}, {channels}x{}x{} to {classes} classes, threads={threads})",
            p.height, p.width
        )
    }
}

impl Model {
    /// A model that is in memory alone.
    ///
    /// # Errors
    /// A number of threads that cannot be; a model that needs more than there is.
    pub(crate) fn held(classifier: Classifier, threads: usize) -> Result<Self> {
        let session = Session::new(threads, Path::new("in memory"), &classifier)?;
        let (notes, options) = (Vec::new(), ModelOptions::default());
        Ok(Self { classifier, notes, options, path: None, names: None, session })
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
