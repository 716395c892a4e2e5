//! Oculist as a library: examine, prescribe and correct image classifiers.
//!
//! Begin with a [`Session`]: the data, what networks run on, and whoever watches. [`Stage`]s work in it, each on the
//! [`Candidate`] of the one before: [`Train`], [`Prune`], [`FineTune`], [`Distil`], [`Quantize`], [`Fold`], [`Measure`]. A
//! [`Recipe`] is a list of them, in code or as a TOML file, and [`Search`] is the stage that tries others at several levels.
//! No folder is needed and no command line; [`Sink`]s watch: [`Report`], [`Csv`], [`TensorBoard`], or a closure.
//!
//! # Train on a folder, keep the model
//! ```no_run
//! use oculist::{Candidate, Session, Settings, Train};
//!
//! let session = Session::open(Settings { data: Some("photos/".into()), ..Settings::default() })?;
//! let trained = session.step(&Train::default(), &Candidate::nothing())?;
//! if let Some(model) = trained.model() {
//!     model.write("model.onnx".as_ref())?;
//! }
//! # Ok::<(), oculist::OculistError>(())
//! ```
//!
//! # Compress a model
//! ```no_run
//! use oculist::{Recipe, Session, Settings};
//!
//! let session = Session::open(Settings {
//!     data: Some("photos/".into()),
//!     model: Some("model.onnx".into()),
//!     max_drop: Some(1.0),
//!     ..Settings::default()
//! })?;
//! let best = session.run(&Recipe::compress())?;
//! println!("{}: {:?}", best.name, best.pledge);
//! # Ok::<(), oculist::OculistError>(())
//! ```
//!
//! # Use a finished model
//! ```no_run
//! use oculist::{PredictOptions, Settings};
//!
//! let options = PredictOptions::of(&Settings::default());
//! let found = oculist::predict_files("model.onnx".as_ref(), &["new.jpg".into()], &options)?;
//! for prediction in &found.predictions {
//!     println!("{}: {:?}", prediction.path, prediction.top.first());
//! }
//! # Ok::<(), oculist::OculistError>(())
//! ```
//!
//! [`evaluate_file`] measures a model on images, [`bench_files`] times it, [`export_file`] writes it again,
//! [`check_data`] audits a data set, [`preview_augmentation`] and its siblings look at augmentation. [`optimize()`],
//! [`train`] and [`run_recipe`] do what the verbs of the command line do: a run in a folder that can be killed and continued.
//!
//! The guide is `docs/library.md`; `examples/` has programs to begin from.

/// The programs of the guide compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
struct Guide;

mod answer;
mod audit;
mod augment;
mod bench;
mod candidate;
mod class_match;
mod compare_runs;
mod config;
mod data;
mod deciding;
mod dropout;
mod error;
mod evaluate;
mod export;
mod files;
mod images;
mod judging;
mod measure;
mod message;
pub mod metrics;
mod model_file;
mod pictures;
mod predict;
mod predictions;
mod progress;
mod quantization;
pub mod range;
mod recipe;
mod reject;
mod report_again;
mod run;
mod session;
mod settings;
mod sink;
mod small_model;
mod stage;
mod summary;
mod training;
mod training_data;
mod transfer;
mod whiten;

pub use answer::Answer;
pub use audit::{
    AUDIT_FILE, AUDIT_PAGE_FILE, CheckOptions, Checked, Confident, FixOptions, Fixed, Grouping, LabelIssue,
    LabelOptions, NewSplits, SplitOptions, check_data, check_source, confident_learning, fix_data,
    split_data,
};
pub use augment::{
    AUGMENT_CHECK_FILE, AUGMENT_CHECK_PAGE_FILE, Applied, ApplyOptions, AugmentCheckOptions, AugmentChecked,
    MANIFEST_FILE, PREVIEW_FILE, PREVIEW_PAGE_FILE, PreviewOptions, apply_augmentation, check_augmentation,
    preview_augmentation,
};
pub use bench::{Benched, bench_files};
pub use candidate::{Candidate, Cost, Pledge, Verdict};
pub use compare_runs::{CompareOptions, compare_runs};
pub use config::{CompressionConfig, Config, DataFacts, Repeat, TransferConfig, TuningConfig};
pub use data::{Shown, Source, show_data};
pub use dropout::DROPOUT_KEY;
pub use error::OculistError;
pub use evaluate::{Part, Tta, evaluate, logits};
pub use export::{ExportOptions, export_file};
pub use images::Images;
pub use judging::THRESHOLD;
pub use message::{Mention, Message};
pub use model_file::{
    ARCH_KEY, CLASSES_KEY, Head, Model, ModelOptions, Opened, PREPROCESSINGS, TASK_KEY, VERSION_KEY,
};
/// What trains: the traits that an engine of one's own implements, with the types that pass through them.
///
/// [`SessionBuilder::engine`] takes one; [`Cpu`](engine::Cpu) is the one there is.
pub mod engine {
    pub use oculist_data::Batch;
    pub use oculist_train::{
        Answers, Cpu, Deployed, Engine, Learner, LossOf, OptimizerConfig, Setup, Shapes, State, StateForm,
        Tensors, TrainError, Update,
    };
}
/// What models are made of.
pub use oculist_graph as graph;
/// The facts of a run, and how they are shown.
pub use oculist_report as report;

pub use oculist_augment::{Image, Pipeline, Preprocessing};
pub use oculist_data::{Dataset, LabelForm, Layout, Purpose, Split, Subset, Targets, Task};
pub use oculist_metrics::{Direction, Metric, Scores, Unit};
pub use oculist_runtime::{Context, cpu_name};
pub use oculist_train::{EpochRecord, Keep, TrainConfig};
pub use oculist_zoo::{
    ArchitectureInfo, Layer, Source as WeightsSource, architectures, find as architecture, layers, sources,
};
pub use predict::{
    EvaluateOptions, Evaluated, PredictOptions, Predicted, evaluate_file, evaluate_source, predict_files,
};
pub use progress::{Progress, Role, Watch};
pub use recipe::{Recipe, plan_text};
pub use reject::{Reject, RejectScore};
pub use report_again::report_again;
pub use run::{Finished, RunOptions, optimize, plan_recipe, run_recipe, train};
pub use serde_json::{Map, Value};
pub use session::{Canceller, Session, SessionBuilder};
pub use settings::{
    Augmentation, ByteSize, Calibration, CompressionSettings, DataSettings, HeadName, IsaName, LossName,
    MachineSettings, MeasuringSettings, NetworkSettings, OptimizerName, Precision, ReadingSettings,
    SamplingName, SeedSettings, Settings, SourceSettings, StartSettings, Target, TrainingSettings,
    TransferMode, TransferSettings, Tune, TuningSettings, Unfreeze,
};
pub use sink::csv::Csv;
pub use sink::folder::{
    BASELINE_FILE, CONFIG_FILE, Existing, INPUTS_FILE, INT8_FILE, METRICS_FILE, MODEL_FILE, PREDICTIONS_FILE,
    RECIPE_FILE, REPORT_DATA_FILE, REPORT_FILE, RunFolder, SETTINGS_FILE, SUMMARY_FILE,
};
pub use sink::report::Report;
pub use sink::tensorboard::TensorBoard;
pub use sink::{Keeper, Sink};
pub use stage::{
    Best, Distil, Draft, Expected, FineTune, Fold, KINDS, Load, Measure, Planned, Prune, Quantize, Registry,
    Search, Stage, Teacher, Train, Transfer,
};
pub use transfer::estimate::{Estimate, EstimateOptions, Estimates, estimate_sources};
pub use transfer::export::{FeaturesOptions, write_features};
