//! Boxes of Python in the formats that are usual, and back.

use numpy::ndarray::Axis;
use numpy::{PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods};
use oculist_augment::BoundingBox;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::{Failure, Result, kind_of};

/// How the four numbers of a box are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BoxFormat {
    /// Left, top, right, bottom in pixels.
    PascalVoc,
    /// Left, top, width, height in pixels.
    Coco,
    /// Left, top, right, bottom as parts of the image's sides.
    Albumentations,
    /// Centre, width, height as parts of the image's sides.
    Yolo,
}

impl BoxFormat {
    const ALL: [(&'static str, Self); 4] = [
        ("pascal_voc", Self::PascalVoc),
        ("coco", Self::Coco),
        ("albumentations", Self::Albumentations),
        ("yolo", Self::Yolo),
    ];

    /// A format by its name.
    ///
    /// # Errors
    /// Another name.
    pub(crate) fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        let known = Self::ALL.map(|(known, _)| known).join(", ");
        let wrong = || Failure::Setting(format!("bbox_format: expected {known}, found {name:?}"));
        found.map(|(_, format)| *format).ok_or_else(wrong)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }

    fn is_relative(self) -> bool {
        matches!(self, Self::Albumentations | Self::Yolo)
    }

    /// The edges in pixels of an image of this size.
    fn edges(self, numbers: [f64; 4], size: (usize, usize)) -> BoundingBox {
        let (width, height) = if self.is_relative() { (size.0 as f64, size.1 as f64) } else { (1.0, 1.0) };
        let [a, b, c, d] = numbers;
        let [a, b, c, d] = [a * width, b * height, c * width, d * height];
        let edges = match self {
            Self::PascalVoc | Self::Albumentations => [a, b, c, d],
            Self::Coco => [a, b, a + c, b + d],
            Self::Yolo => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        };
        edges.map(|v| v as f32)
    }

    /// The four numbers of edges in pixels.
    fn numbers(self, edges: BoundingBox, size: (usize, usize)) -> [f64; 4] {
        let [left, top, right, bottom] = edges.map(f64::from);
        let [a, b, c, d] = match self {
            Self::PascalVoc | Self::Albumentations => [left, top, right, bottom],
            Self::Coco => [left, top, right - left, bottom - top],
            Self::Yolo => {
                [f64::midpoint(left, right), f64::midpoint(top, bottom), right - left, bottom - top]
            }
        };
        if !self.is_relative() {
            return [a, b, c, d];
        }
        let (width, height) = (size.0 as f64, size.1 as f64);
        [a / width, b / height, c / width, d / height]
    }
}

/// Boxes as they were given: in an array, or in a list of sequences whose first four elements are numbers.
pub(super) enum Boxes<'py> {
    Array { array: Bound<'py, PyAny>, float: bool },
    List(Vec<Bound<'py, PyAny>>),
}

impl<'py> Boxes<'py> {
    pub(super) fn of(object: &Bound<'py, PyAny>) -> Result<Self> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            let shape = array.shape();
            if !matches!(*shape, [_, columns] if columns >= 4) && !matches!(*shape, [0]) {
                let expected = "expected an array of shape (boxes, 4 or more)";
                return Err(Failure::Data(format!("bboxes: {expected}, found {shape:?}")));
            }
            let float = array.dtype().kind() == b'f';
            return Ok(Self::Array { array: object.clone(), float });
        }
        let boxes = object.try_iter().map_err(|_| {
            Failure::Data(format!("bboxes: expected an array or a list of boxes, found {}", kind_of(object)))
        })?;
        Ok(Self::List(boxes.collect::<PyResult<_>>()?))
    }

    /// The edges of all boxes in pixels of an image of this size.
    pub(super) fn edges(&self, format: BoxFormat, size: (usize, usize)) -> Result<Vec<BoundingBox>> {
        match self {
            Self::Array { array, .. } => {
                let numbers = array.call_method1("astype", ("float64",))?;
                let numbers = numbers.cast::<PyArrayDyn<f64>>().map_err(PyErr::from)?.to_owned_array();
                if numbers.is_empty() {
                    return Ok(Vec::new());
                }
                let rows = numbers.axis_iter(Axis(0));
                Ok(rows.map(|row| format.edges([row[0], row[1], row[2], row[3]], size)).collect())
            }
            Self::List(boxes) => {
                let each = |(i, edges): (usize, &Bound<'py, PyAny>)| {
                    let number = |at: usize| edges.get_item(at)?.extract::<f64>();
                    let numbers = || PyResult::Ok([number(0)?, number(1)?, number(2)?, number(3)?]);
                    let wrong = |e: PyErr| {
                        Failure::Data(format!("bboxes: box {i}: expected at least four numbers: {e}"))
                    };
                    Ok(format.edges(numbers().map_err(wrong)?, size))
                };
                boxes.iter().enumerate().map(each).collect()
            }
        }
    }

    /// What is left of the boxes, in the form that they had; what stood behind the four numbers goes along.
    pub(super) fn give(
        &self,
        py: Python<'py>,
        moved: &[Option<BoundingBox>],
        format: BoxFormat,
        size: (usize, usize),
    ) -> Result<Bound<'py, PyAny>> {
        let kept = || moved.iter().enumerate().filter_map(|(i, edges)| edges.map(|edges| (i, edges)));
        match self {
            Self::Array { array, float } => {
                let kept: Vec<_> = kept().collect();
                let at: Vec<usize> = kept.iter().map(|(i, _)| *i).collect();
                let rows = pick(array, &at)?;
                let rows = if *float { rows } else { rows.call_method1("astype", ("float32",))? };
                for (row, (_, edges)) in kept.into_iter().enumerate() {
                    for (column, number) in format.numbers(edges, size).into_iter().enumerate() {
                        rows.set_item((row, column), number)?;
                    }
                }
                Ok(rows)
            }
            Self::List(boxes) => {
                let list = PyList::empty(py);
                for (i, edges) in kept() {
                    let rest = boxes[i].try_iter()?.skip(4);
                    let numbers = format.numbers(edges, size).map(|v| v.into_pyobject(py));
                    let mut all = Vec::new();
                    for number in numbers {
                        all.push(number.map_err(PyErr::from)?.into_any());
                    }
                    for item in rest {
                        all.push(item?);
                    }
                    list.append(PyTuple::new(py, all)?)?;
                }
                Ok(list.into_any())
            }
        }
    }
}

/// The rows or elements at these places of an array or of any other sequence, which becomes a list.
pub(super) fn pick<'py>(sequence: &Bound<'py, PyAny>, at: &[usize]) -> Result<Bound<'py, PyAny>> {
    let py = sequence.py();
    if sequence.cast::<PyUntypedArray>().is_ok() {
        let at = numpy::PyArray1::from_iter(py, at.iter().map(|&i| i as i64));
        return Ok(sequence.get_item(at)?);
    }
    let list = PyList::empty(py);
    for &i in at {
        list.append(sequence.get_item(i)?)?;
    }
    Ok(list.into_any())
}
