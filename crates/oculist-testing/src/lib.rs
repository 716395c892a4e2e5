//! Naive oracles, tolerances and generated problems for the tests.

pub mod formula;
pub mod golden;
pub mod graphs;
pub mod interpret;
pub mod python;
pub mod reference;
