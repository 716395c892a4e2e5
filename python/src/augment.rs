//! `Augment`: the pipelines of `oculist-augment` on arrays and images of Pillow.

mod boxes;
mod masks;
mod output;
mod stream;

use oculist_augment::{ImageRef, Pipeline, SampleKey, Transform};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::argument::whole;
use crate::error::{Failure, Result, kind_of};
use crate::image::Picture;
use boxes::{BoxFormat, Boxes};
use masks::Mask;
use output::{Done, Output};
use stream::Stream;

/// The engine of `oculist.Augment`.
#[pyclass(frozen, subclass, module = "oculist._oculist")]
pub(crate) struct Augment {
    pipeline: Pipeline,
    stream: Stream,
    boxes: BoxFormat,
    labels: Vec<String>,
    background: u8,
    output: Output,
}

/// An image's key may be given; then nothing is counted.
#[derive(Default)]
struct Place {
    index: Option<u64>,
    epoch: u64,
}

#[pymethods]
impl Augment {
    #[new]
    #[pyo3(signature = (pipeline, seed, is_toml, *, bbox_format, label_fields, background, normalize, tensor))]
    fn new(
        pipeline: &str,
        seed: u64,
        is_toml: bool,
        bbox_format: &str,
        label_fields: Vec<String>,
        background: u8,
        normalize: Option<(Vec<f32>, Vec<f32>)>,
        tensor: bool,
    ) -> Result<Self> {
        let pipeline: Result<Pipeline, String> = if is_toml {
            toml::from_str(pipeline).map_err(|e| e.to_string())
        } else {
            serde_json::from_str(pipeline).map_err(|e| e.to_string())
        };
        let pipeline = pipeline.map_err(|e| Failure::Setting(e.trim_end().to_owned()))?;
        pipeline.validate()?;
        let output = Output { normalize, tensor };
        output.validate()?;
        let boxes = BoxFormat::named(bbox_format)?;
        Ok(Self { pipeline, stream: Stream::new(seed), boxes, labels: label_fields, background, output })
    }

    /// The names of all operations, as in pipelines.
    #[staticmethod]
    fn operations() -> Vec<&'static str> {
        oculist_augment::Op::NAMES.to_vec()
    }

    /// The seed.
    #[getter]
    fn seed(&self) -> u64 {
        self.stream.seed()
    }

    /// How the four numbers of a box are meant.
    #[getter]
    fn bbox_format(&self) -> &'static str {
        self.boxes.name()
    }

    /// The names under which labels of boxes are given.
    #[getter]
    fn label_fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.labels)
    }

    /// The class of a mask outside of the image.
    #[getter]
    fn background(&self) -> u8 {
        self.background
    }

    /// Mean and standard deviation by which results are normalised, or `None`.
    #[getter]
    fn normalize(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        self.output.normalize.clone()
    }

    /// Whether results are tensors of PyTorch.
    #[getter]
    fn tensor(&self) -> bool {
        self.output.tensor
    }

    /// Begins the count of images anew, with another seed if one is given.
    ///
    /// With `worker`, this process draws what the worker of that number draws.
    #[pyo3(signature = (seed=None, *, worker=None))]
    fn set_seed(&self, seed: Option<u64>, worker: Option<u64>) {
        self.stream.restart(seed.unwrap_or_else(|| self.stream.seed()), worker);
    }

    /// The pipeline as JSON.
    fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.pipeline).map_err(|e| Failure::Other(e.to_string()))
    }

    /// The pipeline as TOML.
    fn to_toml(&self) -> Result<String> {
        toml::to_string(&self.pipeline).map_err(|e| Failure::Other(e.to_string()))
    }

    fn __getstate__(&self) -> (u64, u32, Option<u64>, u64) {
        self.stream.state()
    }

    fn __setstate__(&self, state: (u64, u32, Option<u64>, u64)) {
        self.stream.set_state(state);
    }

    /// `aug(image)` gives an image, `aug(image=..., mask=..., bboxes=...)` a dictionary.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> Result<Bound<'py, PyAny>> {
        let (place, image, targets) = sorted(kwargs)?;
        match (args.len(), image) {
            (1, None) if targets.is_empty() => self.image(py, &args.get_item(0)?, &place),
            (0, Some(image)) => self.targets(py, &image, &targets, &place),
            _ => Err(PyTypeError::new_err(
                "expected aug(image), or aug(image=image, mask=mask, bboxes=boxes) for a dictionary",
            )
            .into()),
        }
    }
}

/// Names and values of what is augmented beside the image.
type Targets<'py> = Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>;

/// The index and epoch, the image, and the rest of the keywords.
fn sorted<'py>(
    kwargs: Option<&Bound<'py, PyDict>>,
) -> Result<(Place, Option<Bound<'py, PyAny>>, Targets<'py>)> {
    let (mut place, mut image, mut targets) = (Place::default(), None, Vec::new());
    for (name, value) in kwargs.into_iter().flatten() {
        let name = name.cast_into::<PyString>().map_err(PyErr::from)?;
        match name.to_cow()?.as_ref() {
            "image" => image = Some(value),
            "index" if value.is_none() => place.index = None,
            "index" => place.index = Some(whole("index", &value)?),
            "epoch" => place.epoch = whole("epoch", &value)?,
            _ => targets.push((name.clone(), value)),
        }
    }
    Ok((place, image, targets))
}

impl Augment {
    fn key(&self, py: Python<'_>, place: &Place) -> Result<SampleKey> {
        match place.index {
            Some(index) => Ok(self.stream.at(place.epoch, index)),
            None => self.stream.next(py),
        }
    }

    fn image<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        place: &Place,
    ) -> Result<Bound<'py, PyAny>> {
        let picture = Picture::of(image, "image")?;
        let key = self.key(py, place)?;
        let (width, height) = (picture.width, picture.height);
        let done = self.run(py, &picture, || self.pipeline.sample(width, height, key))?.1;
        self.output.give(py, &picture.kind, done)
    }

    /// Draws and applies without the interpreter.
    fn run(
        &self,
        py: Python<'_>,
        picture: &Picture<'_>,
        draw: impl FnOnce() -> Vec<Transform> + Send,
    ) -> Result<(Vec<Transform>, Done)> {
        let (width, height, channels) = (picture.width, picture.height, picture.channels);
        let bytes = picture.bytes()?;
        py.detach(|| {
            let transforms = draw();
            let image = ImageRef::new(width, height, channels, bytes)?;
            let done = self.output.finish(Transform::apply_all_to(&transforms, image)?)?;
            Ok((transforms, done))
        })
    }

    fn targets<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        targets: &Targets<'py>,
        place: &Place,
    ) -> Result<Bound<'py, PyAny>> {
        let picture = Picture::of(image, "image")?;
        let size @ (width, height) = (picture.width, picture.height);
        self.check_names(targets)?;
        let key = self.key(py, place)?;
        let (transforms, done) = self.run(py, &picture, || self.pipeline.sample(width, height, key))?;
        let result = PyDict::new(py);
        result.set_item("image", self.output.give(py, &picture.kind, done)?)?;
        let moved = |mask: Mask<'py>| {
            let moved = mask.moved(py, &transforms, self.background)?;
            if self.output.tensor { output::tensor(&moved, false) } else { Ok(moved) }
        };
        let mut kept = None;
        for (name, value) in targets {
            let value = match name.to_cow()?.as_ref() {
                "mask" => moved(Mask::of(value, "mask", size)?)?,
                "masks" => masks::several(value, size, moved)?,
                "bboxes" => {
                    let boxes = Boxes::of(value)?;
                    let (all, size_after) = moved_boxes(&boxes.edges(self.boxes, size)?, &transforms, size)?;
                    kept = Some(all.iter().enumerate().filter_map(|(i, e)| e.map(|_| i)).collect::<Vec<_>>());
                    let given = boxes.give(py, &all, self.boxes, size_after)?;
                    check_labels(targets, &self.labels, all.len())?;
                    given
                }
                // Labels, once it is known which boxes are left.
                _ => continue,
            };
            result.set_item(name, value)?;
        }
        for (name, value) in targets.iter().filter(|(name, _)| !result.contains(name).unwrap_or(false)) {
            let kept = kept.as_ref().ok_or_else(|| {
                Failure::Setting(format!("{name} are labels of boxes, but there are no bboxes"))
            })?;
            result.set_item(name, boxes::pick(value, kept)?)?;
        }
        Ok(result.into_any())
    }

    fn check_names(&self, targets: &Targets<'_>) -> Result<()> {
        for (name, _) in targets {
            let name = name.to_cow()?;
            if !matches!(name.as_ref(), "mask" | "masks" | "bboxes")
                && !self.labels.iter().any(|l| *l == name)
            {
                let labels = self.labels.join(", ");
                return Err(PyTypeError::new_err(format!(
                    "unknown argument {name}: expected image, mask, masks, bboxes, labels of boxes ({labels}), index, epoch"
                ))
                .into());
            }
        }
        Ok(())
    }
}

/// Boxes in their order; those that are gone are none.
type MovedBoxes = Vec<Option<oculist_augment::BoundingBox>>;

/// Where boxes go, and the size of the image that they then lie in.
fn moved_boxes(
    edges: &[oculist_augment::BoundingBox],
    transforms: &[Transform],
    size: (usize, usize),
) -> Result<(MovedBoxes, (usize, usize))> {
    let all = Transform::Sequence { transforms: transforms.to_vec() };
    Ok((all.apply_boxes(edges, size.0, size.1)?, all.output_size(size.0, size.1)))
}

/// Checks that there is a label for every box.
fn check_labels(targets: &Targets<'_>, fields: &[String], boxes: usize) -> Result<()> {
    for (name, value) in targets {
        let name = name.to_cow()?;
        if !fields.iter().any(|field| *field == name) {
            continue;
        }
        let found = match value.len() {
            Ok(found) if found == boxes => continue,
            Ok(found) => found.to_string(),
            Err(_) => kind_of(value),
        };
        return Err(Failure::Data(format!("{name}: expected one for each of {boxes} boxes, found {found}")));
    }
    Ok(())
}
