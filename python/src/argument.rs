//! Arguments of Python whose errors name them.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::error::{Failure, kind_of};

/// A whole number of 0 or more.
///
/// # Errors
/// Another number or object, with the argument's name.
pub(crate) fn whole<T: for<'a, 'py> FromPyObject<'a, 'py>>(
    name: &str,
    object: &Bound<'_, PyAny>,
) -> PyResult<T> {
    object.extract().map_err(|_| {
        let found = object.repr().map_or_else(|_| kind_of(object), |text| text.to_string());
        Failure::Setting(format!("{name}: expected a whole number of 0 or more, found {found}")).into()
    })
}

/// A path of a file or folder.
///
/// # Errors
/// Another object, with the argument's name.
pub(crate) fn path(name: &str, object: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    object
        .extract()
        .map_err(|_| Failure::Setting(format!("{name}: expected a path, found {}", kind_of(object))).into())
}

pub(crate) fn threads(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    whole("threads", object)
}

pub(crate) fn top(object: &Bound<'_, PyAny>) -> PyResult<usize> {
    whole("top", object)
}

pub(crate) fn image_size(object: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if object.is_none() { Ok(None) } else { whole("image_size", object).map(Some) }
}

pub(crate) fn file(object: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path("path", object)
}

pub(crate) fn preprocessing(object: &Bound<'_, PyAny>) -> PyResult<Option<PathBuf>> {
    if object.is_none() { Ok(None) } else { path("preprocessing", object).map(Some) }
}
