//! Files of weights, and how their names map onto a graph's.
//!
//! [`read`] reads `.safetensors` files (also several with an index) and those of `torch.save` (`.pth`, `.pt`, `.th`, `.bin`, new and old format),
//! finds the state dict in them and gives its tensors. [`load_into`] sets a graph's weights from them, [`classes_of`]
//! tells how many classes the classifier of the file has, [`write_safetensors`] writes a graph's weights.
//!
//! **Nothing of a file is executed.** A file of `torch.save` is a program for Python's pickle machine, which may name any
//! function and have it called. The machine here (`pickle.rs`) only notes down what would be called; a fixed
//! table says which of these notes are tensors, and no name is ever looked up. What is read is bounded by the size of the
//! file: values, nesting, tensors that repeat their elements.
//!
//! What is read and refused, where state dicts are looked for and how names are mapped is in `docs/weights.md`.
//!
//! # Source
//! `torch/serialization.py`, `torch/_utils.py` and `caffe2/serialize` of PyTorch for the formats, Python's
//! `pickletools.py` for the opcodes, written anew.
#![forbid(unsafe_code)]

mod classes;
mod elements;
mod error;
mod index;
mod load;
mod names;
mod naming;
mod pickle;
mod read;
mod safetensors;
mod state_dict;
mod torch;

pub use classes::{classes_of, stem_of};
pub use error::WeightsError;
pub use load::{Differing, LoadReport, Partial, load_into};
pub use read::{Format, Weights, read, read_bytes};
pub use safetensors::write_safetensors;
