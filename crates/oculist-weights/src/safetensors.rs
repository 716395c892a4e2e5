//! Files of safetensors.

use std::collections::HashMap;
use std::path::Path;

use oculist_graph::{DataType, Graph, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use crate::elements;
use crate::error::WeightsError;
use crate::torch::Found;

/// Reads the bytes of a file.
///
/// # Errors
/// [`WeightsError::Format`] if it is damaged or cut short, [`WeightsError::ElementType`] for a type that no graph has.
pub(crate) fn read(bytes: &[u8]) -> Result<Found, WeightsError> {
    let damaged = |e: safetensors::SafeTensorError| {
        WeightsError::format(format!("it is cut short or damaged, or no file of safetensors: {e}"))
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut tensors = Vec::new();
    for name in metadata.offset_keys() {
        let view = file.tensor(&name).map_err(damaged)?;
        let Some(dtype) = dtype_of(view.dtype()) else {
            return Err(WeightsError::ElementType { tensor: name, found: format!("{:?}", view.dtype()) });
        };
        let tensor = elements::all(dtype, view.data())
            .ok_or_else(|| WeightsError::tensor(&name, "expected truth values to be 0 or 1"))
            .and_then(|data| {
                Tensor::new(view.shape().to_vec(), data)
                    .map_err(|e| WeightsError::tensor(&name, e.to_string()))
            })?;
        tensors.push((name, tensor));
    }
    if tensors.is_empty() {
        return Err(WeightsError::NoStateDict { found: "a file of safetensors without tensors".into() });
    }
    Ok(Found { key: None, tensors, skipped: Vec::new(), examples: Vec::new() })
}

/// Writes a graph's weights and running statistics under their names, which for a graph of the zoo are torchvision's.
/// The file appears whole or not at all.
///
/// # Errors
/// [`WeightsError::Tensor`] for a type that the format does not have, [`WeightsError::Write`] if the file cannot be written.
pub fn write_safetensors(path: impl AsRef<Path>, graph: &Graph) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let weights = graph.weights();
    let mut tensors = Vec::new();
    for (_, value, tensor) in graph.params().filter(|(id, ..)| weights[id.index()]) {
        let name = &value.name;
        let (Some(bytes), Some(dtype)) = (elements::to_bytes(tensor), dtype_in_file(tensor.dtype())) else {
            let problem = format!("safetensors has no type for {}", tensor.dtype().name());
            return Err(WeightsError::tensor(name, problem));
        };
        tensors.push((name, dtype, tensor.shape(), bytes));
    }
    let views: Result<Vec<_>, WeightsError> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.to_vec(), bytes);
            view.map(|view| (name.as_str(), view)).map_err(|e| WeightsError::tensor(name, e.to_string()))
        })
        .collect();
    // Tools ask this key whose names these are.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = serialize(views?, Some(metadata)).map_err(|e| WeightsError::format(e.to_string()))?;
    oculist_files::write(path, &bytes).map_err(|cause| WeightsError::Write { path: path.to_owned(), cause })
}

const TYPES: [(Dtype, DataType); 13] = [
    (Dtype::F32, DataType::F32),
    (Dtype::F64, DataType::F64),
    (Dtype::F16, DataType::F16),
    (Dtype::BF16, DataType::BF16),
    (Dtype::U8, DataType::U8),
    (Dtype::I8, DataType::I8),
    (Dtype::U16, DataType::U16),
    (Dtype::I16, DataType::I16),
    (Dtype::U32, DataType::U32),
    (Dtype::I32, DataType::I32),
    (Dtype::U64, DataType::U64),
    (Dtype::I64, DataType::I64),
    (Dtype::BOOL, DataType::Bool),
];

fn dtype_of(dtype: Dtype) -> Option<DataType> {
    TYPES.iter().find(|(file, _)| *file == dtype).map(|(_, graph)| *graph)
}

fn dtype_in_file(dtype: DataType) -> Option<Dtype> {
    TYPES.iter().find(|(_, graph)| *graph == dtype).map(|(file, _)| *file)
}
