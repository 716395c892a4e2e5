//! Images of Python, as arrays or of Pillow, and back as what they were.

use numpy::ndarray::{ArrayD, IxDyn};
use numpy::{
    IntoPyArray, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods,
};
use oculist_augment::Image;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use crate::error::{Failure, Result};

/// What an image was, so that the result becomes the same.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// `uint8` of shape `(height, width)`.
    Grey,
    /// `uint8` of shape `(height, width, channels)`.
    Array,
    /// An image of Pillow in this mode.
    Pillow(&'static str),
}

/// The pixels of an image, where they lie or copied.
#[derive(Debug)]
pub(crate) enum Pixels<'py> {
    /// In an array of C order.
    Array(PyReadonlyArrayDyn<'py, u8>),
    /// In the bytes of an object of Python.
    Bytes(Bound<'py, PyBytes>),
}

/// An image of Python.
#[derive(Debug)]
pub(crate) struct Picture<'py> {
    pub(crate) kind: Kind,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) channels: usize,
    pixels: Pixels<'py>,
}

impl<'py> Picture<'py> {
    /// Looks at an array or an image of Pillow; `what` names it in errors.
    ///
    /// # Errors
    /// Anything else, another type of numbers, another number of axes or channels.
    pub(crate) fn of(object: &Bound<'py, PyAny>, what: &str) -> Result<Self> {
        if let Ok(array) = object.cast::<PyArrayDyn<u8>>() {
            return Self::of_array(array, what);
        }
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            let expected = "expected uint8 (0 to 255)";
            return Err(Failure::Data(format!("{what}: {expected}, found an array of {}", array.dtype())));
        }
        if is_pillow(object)? {
            return Self::of_pillow(object, what);
        }
        let found = object.get_type().fully_qualified_name()?;
        let expected =
            "a uint8 array of shape (height, width) or (height, width, channels), or an image of Pillow";
        Err(Failure::Data(format!("{what}: expected {expected}, found {found}")))
    }

    fn of_array(array: &Bound<'py, PyArrayDyn<u8>>, what: &str) -> Result<Self> {
        let (kind, height, width, channels) = match *array.shape() {
            [height, width] => (Kind::Grey, height, width, 1),
            [height, width, channels @ (1 | 3 | 4)] => (Kind::Array, height, width, channels),
            ref shape => {
                let expected = "expected (height, width) or (height, width, 1, 3 or 4 channels)";
                return Err(Failure::Data(format!("{what}: {expected}, found an array of shape {shape:?}")));
            }
        };
        if width == 0 || height == 0 {
            return Err(oculist_augment::Error::EmptyImage { width, height }.into());
        }
        let pixels = if array.is_c_contiguous() {
            array.try_readonly()
        } else {
            array.call_method0("copy")?.cast_into::<PyArrayDyn<u8>>().map_err(PyErr::from)?.try_readonly()
        };
        let pixels = pixels.map_err(|e| Failure::Data(format!("{what}: {e}")))?;
        Ok(Self { kind, width, height, channels, pixels: Pixels::Array(pixels) })
    }

    fn of_pillow(object: &Bound<'py, PyAny>, what: &str) -> Result<Self> {
        let mode: String = object.getattr("mode")?.extract()?;
        let (mode, channels) = match mode.as_str() {
            "L" => ("L", 1),
            "RGB" => ("RGB", 3),
            "RGBA" => ("RGBA", 4),
            _ => {
                let expected = "expected an image of Pillow in mode L, RGB or RGBA";
                let hint = "image.convert(\"RGB\") makes one";
                return Err(Failure::Data(format!("{what}: {expected}, found {mode}; {hint}")));
            }
        };
        let (width, height): (usize, usize) = object.getattr("size")?.extract()?;
        let bytes = object.call_method0("tobytes")?.cast_into::<PyBytes>().map_err(PyErr::from)?;
        if bytes.as_bytes().len() != width * height * channels {
            return Err(Failure::Data(format!("{what}: the image of Pillow has bytes of another size")));
        }
        Ok(Self { kind: Kind::Pillow(mode), width, height, channels, pixels: Pixels::Bytes(bytes) })
    }

    /// All bytes, HWC.
    ///
    /// # Errors
    /// None for what [`Picture::of`] gave.
    pub(crate) fn bytes(&self) -> Result<&[u8]> {
        match &self.pixels {
            Pixels::Array(array) => array.as_slice().map_err(|e| Failure::Data(e.to_string())),
            Pixels::Bytes(bytes) => Ok(bytes.as_bytes()),
        }
    }

    /// The image with pixels of its own.
    ///
    /// # Errors
    /// A side of 0.
    pub(crate) fn to_image(&self) -> Result<Image> {
        Ok(Image::new(self.width, self.height, self.channels, self.bytes()?.to_vec())?)
    }
}

impl Kind {
    /// The image as what this kind says.
    ///
    /// # Errors
    /// Those of Python.
    pub(crate) fn give<'py>(&self, py: Python<'py>, image: Image) -> Result<Bound<'py, PyAny>> {
        let (width, height, channels) = (image.width(), image.height(), image.channels());
        if let Self::Pillow(mode) = self {
            static FROM_BYTES: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
            let make = FROM_BYTES
                .get_or_try_init(py, || py.import("PIL.Image")?.getattr("frombytes").map(Bound::unbind))?;
            let bytes = PyBytes::new(py, image.pixels());
            return Ok(make.bind(py).call1((*mode, (width, height), bytes))?);
        }
        Ok(array(py, self.shape(width, height, channels), image.into_pixels())?.into_any())
    }

    /// Values of an image in the shape of this kind; of images of Pillow with their channels, if there are several.
    ///
    /// # Errors
    /// None where the values are as many as the shape says.
    pub(crate) fn give_values<'py>(
        &self,
        py: Python<'py>,
        (width, height, channels): (usize, usize, usize),
        values: Vec<f32>,
    ) -> Result<Bound<'py, PyAny>> {
        Ok(array(py, self.shape(width, height, channels), values)?.into_any())
    }

    fn shape(&self, width: usize, height: usize, channels: usize) -> IxDyn {
        match self {
            Self::Grey => IxDyn(&[height, width]),
            Self::Pillow(_) if channels == 1 => IxDyn(&[height, width]),
            Self::Array | Self::Pillow(_) => IxDyn(&[height, width, channels]),
        }
    }
}

/// An array that takes the values over without copying them.
///
/// # Errors
/// Values that are not as many as the shape says.
pub(crate) fn array<T: numpy::Element>(
    py: Python<'_>,
    shape: IxDyn,
    values: Vec<T>,
) -> Result<Bound<'_, PyArrayDyn<T>>> {
    let values = ArrayD::from_shape_vec(shape, values).map_err(|e| Failure::Other(e.to_string()))?;
    Ok(values.into_pyarray(py))
}

/// Whether an object is an image of Pillow. Where Pillow was not imported, there is none.
pub(crate) fn is_pillow(object: &Bound<'_, PyAny>) -> Result<bool> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = object.py();
    let class = if let Some(class) = CLASS.get(py) {
        class
    } else {
        let modules = py.import("sys")?.getattr("modules")?;
        let module = modules.call_method1("get", ("PIL.Image",))?;
        if module.is_none() {
            return Ok(false);
        }
        let class = module.getattr("Image")?.cast_into::<PyType>().map_err(PyErr::from)?.unbind();
        CLASS.get_or_init(py, || class)
    };
    Ok(object.is_instance(class.bind(py))?)
}
