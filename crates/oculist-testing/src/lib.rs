//! Naive oracles, tolerances and generated problems for the tests.

pub mod interpret;
