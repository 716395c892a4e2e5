//! Plans a graph once and runs it many times, in f32 and int8.
//!
//! [`Plan::new`] folds batch normalisation into convolutions, fuses bias, residual addition and activation into
//! their epilogues, picks an algorithm for each, packs the weights, and gives every intermediate result a place in
//! one arena by its lifetime. [`Plan::run`] then allocates nothing. A graph with `QuantizeLinear` and
//! `DequantizeLinear` nodes runs on integers wherever a pattern allows it and on floats elsewhere.
//!
//! Activations lie in the kernels' layout (NHWC, channels padded to 16); the graph's own meaning stays NCHW. What has no
//! kernel in that layout runs on row-major tensors of any type and rank (`oculist-plain`), with conversions only where the
//! two meet; constants, and what follows from shapes alone, are computed when the plan is made. [`Plan::run_tensors`] runs
//! graphs with several inputs and outputs and with sizes that are known only then.
//!
//! ```
//! use std::sync::Arc;
//!
//! use oculist_graph::{Conv, GraphBuilder};
//! use oculist_runtime::{Context, Plan, PlanOptions};
//!
//! let mut b = GraphBuilder::new("edges");
//! let x = b.input("input", 1, 8, 8);
//! let y = b.conv("conv", x, 4, Conv::square(3, 1, 1), true);
//! let y = b.relu("relu", y);
//! let graph = b.finish(y)?;
//!
//! let context = Arc::new(Context::new(2)?);
//! let mut plan = Plan::new(&graph, &PlanOptions::new(1, context))?;
//! let mut output = vec![0.0; plan.output_len()];
//! plan.run(&[0.5; 64], &mut output)?;
//! assert_eq!(output.len(), 4 * 8 * 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arena;
mod cpu;
mod error;
mod execute;
mod latency;
mod lower;
mod observe;
mod options;
mod plan;
mod predict;
mod rows;
mod step;
mod tensor;

pub use cpu::{cpu_name, os_name};
pub use error::RuntimeError;
pub use latency::{MeasureOptions, Measurement, measure};
pub use lower::has_fast_step;
pub use observe::Observed;
pub use options::{InputLayout, PlanOptions};
pub use plan::Plan;
pub use predict::top1;

pub use oculist_kernels::{Context, Isa};

#[cfg(test)]
mod tests;
