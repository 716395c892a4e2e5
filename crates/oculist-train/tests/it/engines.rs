//! Engines of these tests: what the loop trains on beside the CPU.

mod converting;
mod naive;

pub(super) use converting::Converting;
pub(super) use naive::Naive;
