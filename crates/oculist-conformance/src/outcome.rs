//! What came of a test.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use oculist_graph::Tensor;
use oculist_kernels::Context;
use oculist_onnx::{OnnxError, Unsupported};

use crate::case::Case;
use crate::compare::differs;

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed(Failure, String),
    /// It tests what a graph does not hold; the reason.
    NotApplicable(String),
}

/// Where a test failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failure {
    NoOperator,
    Import,
    Run,
    Panic,
    Result,
}

impl Failure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoOperator => "no operator",
            Self::Import => "import",
            Self::Run => "run",
            Self::Panic => "panic",
            Self::Result => "result",
        }
    }
}

/// Tests whose expected outputs come from random numbers of NumPy.
const RANDOM: [&str; 6] = [
    "test_training_dropout",
    "test_training_dropout_default",
    "test_training_dropout_default_mask",
    "test_training_dropout_mask",
    "test_bernoulli",
    "test_bernoulli_double",
];

/// Runs a test. A panic is a failure like any other.
pub(crate) fn run(ctx: &Context, folder: &Path, case: &Case) -> Outcome {
    if RANDOM.contains(&case.name.as_str()) {
        return Outcome::NotApplicable("random numbers".to_owned());
    }
    if let Some(kind) = case.inputs.iter().chain(&case.outputs).find_map(|slot| slot.other()) {
        return Outcome::NotApplicable(kind.to_owned());
    }
    catch_unwind(AssertUnwindSafe(|| attempt(ctx, folder, case)))
        .unwrap_or_else(|panic| Outcome::Failed(Failure::Panic, message(&*panic)))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}

fn attempt(ctx: &Context, folder: &Path, case: &Case) -> Outcome {
    let graph = match oculist_onnx::read(folder.join(&case.model)) {
        Ok(graph) => graph,
        Err(error) => return refused(error),
    };
    let tensors =
        |slots: &[crate::case::Slot]| slots.iter().map(|s| s.tensor(folder)).collect::<Result<Vec<_>, _>>();
    let (inputs, expected) = match (tensors(&case.inputs), tensors(&case.outputs)) {
        (Ok(inputs), Ok(expected)) => (inputs, expected),
        (Err(error), _) | (_, Err(error)) => return Outcome::Failed(Failure::Import, format!("{error:#}")),
    };
    let results = match oculist_plain::run(ctx, &graph, inputs) {
        Ok(results) => results,
        Err(error) => return Outcome::Failed(Failure::Run, error.to_string()),
    };
    judge(case, &results, &expected)
}

fn judge(case: &Case, results: &[Tensor], expected: &[Tensor]) -> Outcome {
    let failed = |problem: String| Outcome::Failed(Failure::Result, problem);
    if results.len() != expected.len() {
        return failed(format!("expected {} outputs, found {}", expected.len(), results.len()));
    }
    for (i, (result, expected)) in results.iter().zip(expected).enumerate() {
        if let Some(problem) = differs(result, expected, case.rtol, case.atol) {
            return failed(format!("output {i}: {problem}"));
        }
    }
    Outcome::Passed
}

/// What a model that cannot be read counts as.
fn refused(error: OnnxError) -> Outcome {
    let error = match error {
        OnnxError::File { problem, .. } => *problem,
        other => other,
    };
    let reason = match &error {
        OnnxError::Opset { .. } => "opset below 7".to_owned(),
        OnnxError::ElementType { found, .. } => kind_of_type(found).to_owned(),
        OnnxError::Operator { reason, .. } => match reason {
            Unsupported::Unknown => return Outcome::Failed(Failure::NoOperator, error.to_string()),
            Unsupported::ControlFlow => "control flow".to_owned(),
            Unsupported::Recurrent => "recurrent layers".to_owned(),
            Unsupported::Sequence => "sequences".to_owned(),
            Unsupported::Optional => "optional values".to_owned(),
            Unsupported::Text => "texts".to_owned(),
            Unsupported::Random => "random numbers".to_owned(),
            Unsupported::Training => "training".to_owned(),
            Unsupported::ImageFile => "image files".to_owned(),
            Unsupported::Classical => "classical models".to_owned(),
            Unsupported::Domain => "other domains".to_owned(),
            other => other.to_string(),
        },
        _ => return Outcome::Failed(Failure::Import, error.to_string()),
    };
    Outcome::NotApplicable(reason)
}

fn kind_of_type(found: &str) -> &str {
    match found {
        "sequence" => "sequences",
        "optional" => "optional values",
        "STRING" => "texts",
        found if found.starts_with("FLOAT8") => "8-bit floats",
        "FLOAT4E2M1" => "4-bit floats",
        "INT2" | "UINT2" => "2-bit integers",
        "COMPLEX64" | "COMPLEX128" => "complex numbers",
        found => found,
    }
}
