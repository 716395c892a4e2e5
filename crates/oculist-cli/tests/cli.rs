//! The binary seen from outside: what it writes, prints and refuses, and whether it can be interrupted.
//!
//! The runs that several tests look at are made once (`support::runs`). All networks and data sets are tiny; the
//! only larger one is the demo, on which ONNX Runtime checks the exported models.

#[path = "cli/support.rs"]
mod support;

#[path = "cli/answers.rs"]
mod answers;
#[path = "cli/audit.rs"]
mod audit;
#[path = "cli/augment.rs"]
mod augment;
#[path = "cli/bad_data.rs"]
mod bad_data;
#[path = "cli/bad_model.rs"]
mod bad_model;
#[path = "cli/bad_output.rs"]
mod bad_output;
#[path = "cli/channels_last.rs"]
mod channels_last;
#[path = "cli/comparing.rs"]
mod comparing;
#[path = "cli/deploy.rs"]
mod deploy;
#[path = "cli/determinism.rs"]
mod determinism;
#[path = "cli/endings.rs"]
mod endings;
#[path = "cli/evaluation.rs"]
mod evaluation;
#[path = "cli/exported.rs"]
mod exported;
#[path = "cli/fine_tuning.rs"]
mod fine_tuning;
#[path = "cli/folders.rs"]
mod folders;
#[path = "cli/foreign.rs"]
mod foreign;
#[path = "cli/honest.rs"]
mod honest;
#[path = "cli/hostile_names.rs"]
mod hostile_names;
#[path = "cli/inputs.rs"]
mod inputs;
#[path = "cli/large_model.rs"]
mod large_model;
#[path = "cli/multi_label.rs"]
mod multi_label;
#[path = "cli/optimize.rs"]
mod optimize;
#[path = "cli/oracle.rs"]
mod oracle;
#[path = "cli/ownership.rs"]
mod ownership;
#[path = "cli/pipes.rs"]
mod pipes;
#[path = "cli/recipes.rs"]
mod recipes;
#[path = "cli/reject.rs"]
mod reject;
#[path = "cli/resume.rs"]
mod resume;
#[path = "cli/tensorboard.rs"]
mod tensorboard;
#[path = "cli/transfer.rs"]
mod transfer;
#[path = "cli/unfit.rs"]
mod unfit;
#[path = "cli/usage.rs"]
mod usage;
#[path = "cli/verbs.rs"]
mod verbs;
#[path = "cli/weights.rs"]
mod weights;
