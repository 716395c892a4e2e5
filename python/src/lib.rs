//! The compiled part of the Python package `oculist`.
//!
//! The classes here do the work; `python/package/oculist` gives them their documented faces. What needs no interpreter runs
//! without its lock, so that threads of Python work at the same time.

mod argument;
mod augment;
mod error;
mod image;
mod message;
mod model;
mod run;

// Results of Python arrays come and go with every image; the system's allocator gives their memory back each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pyo3::pymodule]
mod _oculist {
    #[pymodule_export]
    use crate::augment::Augment;
    #[pymodule_export]
    use crate::model::{Model, Prediction};
    #[pymodule_export]
    use crate::run::recipes::{architectures, plan, read_recipe, recipe, setting_names, stages};
    #[pymodule_export]
    use crate::run::{check, evaluate, report_html, run, table_html};

    /// The version of the library.
    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "the name in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
