//! Masks of Python: bytes, or other whole numbers and truths where they fit into bytes.

use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use oculist_augment::{Image, Transform};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::error::{Failure, Result, kind_of};
use crate::image::Picture;

/// A mask and how its result becomes what the mask was.
pub(super) struct Mask<'py> {
    picture: Picture<'py>,
    /// The type of an array that was not one of bytes.
    dtype: Option<Bound<'py, PyAny>>,
}

impl<'py> Mask<'py> {
    /// Looks at a mask of an image of this size; `what` names it in errors.
    pub(super) fn of(object: &Bound<'py, PyAny>, what: &str, size: (usize, usize)) -> Result<Self> {
        let (bytes, dtype) = match object.cast::<PyUntypedArray>() {
            Ok(array) => as_bytes(array, what)?,
            Err(_) => (object.clone(), None),
        };
        let picture = Picture::of(&bytes, what)?;
        let found = (picture.width, picture.height);
        if found != size {
            return Err(Failure::Data(format!(
                "{what}: expected the size of the image, {}x{}, found {}x{}",
                size.0, size.1, found.0, found.1
            )));
        }
        Ok(Self { picture, dtype })
    }

    /// The mask moved as the image; what the image makes up outside of itself is `background`.
    pub(super) fn moved(
        &self,
        py: Python<'py>,
        transforms: &[Transform],
        background: u8,
    ) -> Result<Bound<'py, PyAny>> {
        let image = self.picture.to_image()?;
        let moved = py.detach(|| apply(image, transforms, background))?;
        let result = self.picture.kind.give(py, moved)?;
        match &self.dtype {
            Some(dtype) => Ok(result.call_method1("astype", (dtype,))?),
            None => Ok(result),
        }
    }
}

fn apply(mask: Image, transforms: &[Transform], background: u8) -> oculist_augment::Result<Image> {
    transforms.iter().try_fold(mask, |mask, transform| transform.apply_mask(mask, background))
}

/// An array of bytes, and the type that it was of, if another one.
fn as_bytes<'py>(
    array: &Bound<'py, PyUntypedArray>,
    what: &str,
) -> Result<(Bound<'py, PyAny>, Option<Bound<'py, PyAny>>)> {
    let dtype = array.dtype();
    match (dtype.kind(), dtype.itemsize()) {
        (b'u', 1) => return Ok((array.clone().into_any(), None)),
        (b'b', _) => {}
        (b'u' | b'i', _) if array.is_empty() => {}
        (b'u' | b'i', _) => {
            let least: i128 = array.call_method0("min")?.extract()?;
            let most: i128 = array.call_method0("max")?.extract()?;
            if least < 0 || most > 255 {
                let found = format!("{least} to {most}");
                return Err(Failure::Data(format!("{what}: expected classes of 0 to 255, found {found}")));
            }
        }
        _ => {
            let expected = "expected whole numbers or truth values";
            return Err(Failure::Data(format!("{what}: {expected}, found an array of {dtype}")));
        }
    }
    Ok((array.call_method1("astype", ("uint8",))?, Some(dtype.into_any())))
}

/// Several masks, in a list or an array of one axis more, and as that again.
pub(super) fn several<'py>(
    object: &Bound<'py, PyAny>,
    size: (usize, usize),
    mut moved: impl FnMut(Mask<'py>) -> Result<Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>> {
    let py = object.py();
    let results = PyList::empty(py);
    let masks = object.try_iter().map_err(|_| {
        let expected = "expected a list of masks or an array of them";
        Failure::Data(format!("masks: {expected}, found {}", kind_of(object)))
    })?;
    for (i, mask) in masks.enumerate() {
        let mask = Mask::of(&mask?, &format!("masks: mask {i}"), size)?;
        results.append(moved(mask)?)?;
    }
    if object.cast::<PyUntypedArray>().is_err() {
        return Ok(results.into_any());
    }
    if results.is_empty() {
        return Ok(object.clone());
    }
    Ok(py.import("numpy")?.call_method1("stack", (results,))?)
}
