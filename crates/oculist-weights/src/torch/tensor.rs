//! Tensors: which calls make one, and the elements that it has.

use std::borrow::Cow;
use std::collections::HashMap;

use oculist_graph::{DataType, Tensor};

use super::storage::{self, StorageNote};
use super::{Storages, numpy};
use crate::elements;
use crate::error::WeightsError;
use crate::pickle::{Id, Value, Values};

/// Most axes of a tensor: PyTorch's own bound.
const MOST_AXES: usize = 64;
/// Most bytes of all tensors together, as a multiple of the file's size: tensors may share elements and repeat them.
const AMPLIFICATION: usize = 4;
/// Bytes of tensors that any file may make, so that a tiny one may repeat its elements.
const FREE: usize = 1 << 16;
/// Most calls around a tensor: a parameter of a subclass of a tensor has three.
const MOST_WRAPPERS: usize = 8;

/// What makes a tensor from a storage: `(storage, offset, size, stride, ...)`.
const FROM_STORAGE: [&str; 3] =
    ["torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"];
/// What makes a tensor from a tensor, which comes first.
const FROM_TENSOR: [&str; 2] =
    ["torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"];
/// What calls its first argument with its third.
const FROM_TYPE: [&str; 2] = ["torch._tensor._rebuild_from_type_v2", "torch.tensor._rebuild_from_type_v2"];

/// What a value makes.
enum Made<'v> {
    Rebuilt { with: &'v str, args: &'v [Id] },
    Array { state: Id },
}

/// The call that makes a tensor, inside of those around it.
fn made<'v>(values: &'v Values<'_>, mut id: Id) -> Option<Made<'v>> {
    for _ in 0..MOST_WRAPPERS {
        let Value::Call { callee, args, state } = values.get(id) else { return None };
        let name = values.global(*callee)?;
        let mut args = values.sequence(*args)?;
        if FROM_STORAGE.contains(&name) {
            return Some(Made::Rebuilt { with: name, args });
        }
        if numpy::is_array(name) {
            return state.map(|state| Made::Array { state });
        }
        if FROM_TYPE.contains(&name) {
            let &[with, _class, inner, ..] = args else { return None };
            let with = values.global(with)?;
            args = values.sequence(inner)?;
            if FROM_STORAGE.contains(&with) {
                return Some(Made::Rebuilt { with, args });
            }
            if !FROM_TENSOR.contains(&with) {
                return None;
            }
        } else if !FROM_TENSOR.contains(&name) {
            return None;
        }
        id = *args.first()?;
    }
    None
}

/// Whether a value is a tensor that is read.
pub(crate) fn is_tensor(values: &Values<'_>, id: Id) -> bool {
    made(values, id).is_some()
}

/// Makes the tensors of a file.
pub(super) struct Maker<'v, 'a> {
    values: &'v Values<'a>,
    storages: Storages<'a>,
    /// Size of the file in bytes.
    size: usize,
    /// Bytes of all tensors so far.
    taken: usize,
    done: HashMap<Id, Tensor>,
}

impl<'v, 'a> Maker<'v, 'a> {
    pub(super) fn new(values: &'v Values<'a>, storages: Storages<'a>, size: usize) -> Self {
        Self { values, storages, size, taken: 0, done: HashMap::new() }
    }

    /// The tensor of a value.
    pub(super) fn make(&mut self, id: Id, name: &str) -> Result<Tensor, WeightsError> {
        if let Some(tensor) = self.done.get(&id) {
            return Ok(tensor.clone());
        }
        let tensor = match made(self.values, id) {
            Some(Made::Rebuilt { with, args }) => self.rebuild(with, args, name)?,
            Some(Made::Array { state }) => {
                let array = numpy::array(self.values, state).map_err(|e| WeightsError::tensor(name, e))?;
                self.take(array.len, array.dtype, name)?;
                array.tensor().map_err(|e| WeightsError::tensor(name, e))?
            }
            None => return Err(WeightsError::tensor(name, "expected a tensor")),
        };
        self.done.insert(id, tensor.clone());
        Ok(tensor)
    }

    fn rebuild(&mut self, with: &str, args: &[Id], name: &str) -> Result<Tensor, WeightsError> {
        let wrong = |problem: &str| WeightsError::tensor(name, problem);
        let values = self.values;
        let &[storage, offset, size, stride, ..] = args else {
            return Err(wrong("expected a storage, an offset, a size and strides"));
        };
        let storage = storage::note(values, storage).ok_or_else(|| {
            wrong(&format!("expected a storage of a known type, found {}", values.describe(storage)))
        })?;
        let dtype = if with.ends_with("_v3") {
            // An untyped storage: the type is the seventh argument.
            let found = args.get(6).and_then(|&id| values.global(id)).unwrap_or("none");
            (storage::dtype_of(found), found)
        } else {
            (storage.elements.dtype, storage.class)
        };
        let (Some(dtype), _) = dtype else {
            return Err(WeightsError::ElementType { tensor: name.to_owned(), found: dtype.1.to_owned() });
        };
        let sizes = |id: Id, what: &str| -> Result<Vec<usize>, WeightsError> {
            let items = values.sequence(id).filter(|items| items.len() <= MOST_AXES);
            items
                .and_then(|items| items.iter().map(|&i| usize::try_from(values.int(i)?).ok()).collect())
                .ok_or_else(|| wrong(&format!("expected {what} as at most {MOST_AXES} numbers from 0")))
        };
        let (shape, strides) = (sizes(size, "a size")?, sizes(stride, "strides")?);
        if shape.len() != strides.len() {
            return Err(wrong(&format!("it has {} axes and {} strides", shape.len(), strides.len())));
        }
        let offset = values.int(offset).and_then(|o| usize::try_from(o).ok());
        let offset = offset.ok_or_else(|| wrong("expected an offset from 0"))?;
        let (len, extent) = extent(&shape, &strides, offset).ok_or_else(|| {
            wrong(&format!("its size {shape:?} with strides {strides:?} is beyond counting"))
        })?;
        self.take(len, dtype, name)?;
        let bytes = self.storages.elements(&storage).map_err(|e| WeightsError::tensor(name, e))?;
        let there = bytes.len() / dtype.size();
        if extent > there {
            return Err(wrong(&format!(
                "its size {shape:?} with strides {strides:?} from {offset} on needs {extent} elements of the storage, which has {there}"
            )));
        }
        let data = if is_contiguous(&shape, &strides) {
            let first = offset.min(there) * dtype.size();
            bytes.get(first..first + len * dtype.size()).and_then(|bytes| elements::all(dtype, bytes))
        } else {
            elements::pick(dtype, &bytes, positions(&shape, &strides, offset, len))
        };
        let data = data.ok_or_else(|| wrong("expected truth values to be 0 or 1"))?;
        Tensor::new(shape, data).map_err(|e| wrong(&e.to_string()))
    }

    /// Accounts for the elements of a tensor before they are taken.
    fn take(&mut self, len: usize, dtype: DataType, name: &str) -> Result<(), WeightsError> {
        let size = self.size.saturating_add(self.storages.unpacked());
        let most = size.saturating_mul(AMPLIFICATION).saturating_add(FREE);
        let taken = len.checked_mul(dtype.size()).and_then(|bytes| bytes.checked_add(self.taken));
        self.taken = taken.filter(|&bytes| bytes <= most).ok_or_else(|| {
            WeightsError::tensor(
                name,
                format!(
                    "with its {len} elements the tensors take more than {most} bytes, {AMPLIFICATION} times the file's \
                     size: they repeat elements, which weights do not"
                ),
            )
        })?;
        Ok(())
    }
}

impl Storages<'_> {
    fn elements(&mut self, note: &StorageNote<'_>) -> Result<Cow<'_, [u8]>, String> {
        let size = note.elements.size as u64;
        let expected = note.len.checked_mul(size).ok_or("its storage is beyond counting")?;
        let whole = match self {
            Self::Archive(archive) => archive.storage(note.key)?,
            Self::Legacy(legacy) => legacy.storage(note.key)?,
        };
        if whole.len() as u64 != expected {
            return Err(format!(
                "expected {expected} bytes in the storage `{}`, found {}",
                oculist_text::name(note.key),
                whole.len()
            ));
        }
        let Some((first, len)) = note.view else { return Ok(Cow::Borrowed(whole)) };
        let range = first.checked_mul(size).zip(first.checked_add(len).and_then(|end| end.checked_mul(size)));
        range
            .and_then(|(begin, end)| whole.get(usize::try_from(begin).ok()?..usize::try_from(end).ok()?))
            .map(Cow::Borrowed)
            .ok_or_else(|| "it views a part beyond its storage".to_owned())
    }

    /// Bytes that were unpacked beyond what the file has.
    fn unpacked(&self) -> usize {
        if let Self::Archive(archive) = self { archive.unpacked() } else { 0 }
    }
}

/// Number of elements, and number of elements of the storage up to the last one that is read.
fn extent(shape: &[usize], strides: &[usize], offset: usize) -> Option<(usize, usize)> {
    if shape.contains(&0) {
        return Some((0, 0));
    }
    let (mut len, mut last) = (1_usize, offset);
    for (&size, &stride) in shape.iter().zip(strides) {
        len = len.checked_mul(size)?;
        last = last.checked_add((size - 1).checked_mul(stride)?)?;
    }
    Some((len, last.checked_add(1)?))
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1_usize;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

/// Places in the storage of `len` elements, row by row.
fn positions(shape: &[usize], strides: &[usize], offset: usize, len: usize) -> impl Iterator<Item = usize> {
    let mut index = vec![0; shape.len()];
    let mut position = offset;
    (0..len).map(move |_| {
        let found = position;
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            position += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            position -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_are_walked_row_by_row() {
        let walk = |shape: &[usize], strides: &[usize], offset| {
            let (len, extent) = extent(shape, strides, offset).unwrap();
            let found: Vec<usize> = positions(shape, strides, offset, len).collect();
            assert_eq!(found.iter().max().map_or(0, |m| m + 1), extent);
            found
        };
        assert_eq!(walk(&[2, 3], &[3, 1], 1), [1, 2, 3, 4, 5, 6]);
        assert_eq!(walk(&[3, 2], &[1, 3], 0), [0, 3, 1, 4, 2, 5]);
        assert_eq!(walk(&[2, 2], &[0, 2], 5), [5, 7, 5, 7]);
        assert_eq!(walk(&[], &[], 4), [4]);
        assert!(walk(&[0, 7], &[7, 1], 4).is_empty());
    }

    #[test]
    fn what_cannot_be_counted_is_none() {
        assert_eq!(extent(&[usize::MAX, 2], &[0, 0], 0), None);
        assert_eq!(extent(&[3], &[usize::MAX], 0), None);
        assert_eq!(extent(&[1], &[usize::MAX], usize::MAX), None);
        assert_eq!(extent(&[1 << 40], &[0], 0), Some((1 << 40, 1)));
    }

    #[test]
    fn an_axis_of_one_may_have_any_stride() {
        assert!(is_contiguous(&[4, 1, 3], &[3, 99, 1]));
        assert!(!is_contiguous(&[4, 2], &[1, 4]));
        assert!(is_contiguous(&[], &[]));
    }
}
