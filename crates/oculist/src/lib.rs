//! Oculist as a library: the recipes that chain data, training, compression, export and report.
//!
//! [`optimize()`] is the main job: it trains a baseline, prunes it with fine-tuning, quantises it, and keeps the
//! promise of [`Settings::max_drop`]. [`train`] stops after the baseline. [`evaluate_file`], [`predict_files`],
//! [`bench_files`] and [`export_file`] use finished models. Every recipe tells what it does through a [`Watch`].

mod audit;
mod augment;
mod bench;
mod class_match;
mod compress;
mod data;
mod deciding;
mod dropout;
mod error;
mod evaluate;
mod export;
mod files;
mod images;
mod measure;
mod message;
pub mod metrics;
mod model_file;
mod optimize;
mod pictures;
mod predict;
mod progress;
pub mod range;
mod recipe;
mod report_again;
mod run_folder;
mod settings;
mod small_model;
mod summary;
mod training;
mod training_data;

pub use audit::{
    AUDIT_FILE, AUDIT_PAGE_FILE, CheckOptions, Checked, Confident, FixOptions, Fixed, Grouping, LabelIssue,
    LabelOptions, NewSplits, SplitOptions, check_data, confident_learning, fix_data, split_data,
};
pub use augment::{
    AUGMENT_CHECK_FILE, AUGMENT_CHECK_PAGE_FILE, Applied, ApplyOptions, AugmentCheckOptions, AugmentChecked,
    MANIFEST_FILE, PREVIEW_FILE, PREVIEW_PAGE_FILE, PreviewOptions, apply_augmentation, check_augmentation,
    preview_augmentation,
};
pub use bench::{Benched, bench_files};
pub use data::{Shown, Source, show_data};
pub use dropout::DROPOUT_KEY;
pub use error::OculistError;
pub use evaluate::{Part, Tta, evaluate, logits};
pub use export::{ExportOptions, export_file};
pub use images::Images;
pub use message::{Mention, Message};
pub use model_file::{ARCH_KEY, CLASSES_KEY, Head, Model, ModelOptions, Opened, PREPROCESSINGS, VERSION_KEY};
pub use oculist_data::{Layout, Purpose, Split};
pub use oculist_runtime::cpu_name;
pub use oculist_train::Keep;
pub use oculist_zoo::{ArchitectureInfo, architectures};
pub use optimize::{Finished, RunOptions, optimize, train};
pub use predict::{EvaluateOptions, Evaluated, PredictOptions, Predicted, evaluate_file, predict_files};
pub use progress::{Progress, Watch};
pub use recipe::{CompressionConfig, DataFacts, Recipe, Repeat};
pub use report_again::report_again;
pub use run_folder::{
    BASELINE_FILE, CONFIG_FILE, Existing, INPUTS_FILE, INT8_FILE, METRICS_FILE, MODEL_FILE, REPORT_DATA_FILE,
    REPORT_FILE, RunFolder, SETTINGS_FILE, SUMMARY_FILE,
};
pub use settings::{
    Augmentation, ByteSize, Calibration, CompressionSettings, DataSettings, LossName, MachineSettings,
    MeasuringSettings, NetworkSettings, OptimizerName, ReadingSettings, SamplingName, SeedSettings, Settings,
    SourceSettings, StartSettings, Target, TrainingSettings,
};
