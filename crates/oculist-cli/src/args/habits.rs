//! What people type who come from Ultralytics, timm or torchvision, and what to type here instead.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Names without their dashes, underscores as hyphens, and the answer.
type Habit = (&'static [&'static str], &'static str);

/// Options of other tools that no verb here has.
pub(crate) const FLAGS: &[Habit] = &[
    (
        &[
            "imgsz",
            "img-size",
            "img",
            "input-size",
            "resolution",
            "train-crop-size",
            "val-crop-size",
            "crop-size",
        ],
        "the side of the network's input is '--image-size <PIXELS>'",
    ),
    (&["batch", "b", "bs", "train-batch-size"], "images per step are '--batch-size <N>'"),
    (&["lr0", "learning-rate", "base-lr", "lr-base"], "the peak learning rate is '--lr <LR>'"),
    (
        &[
            "lrf",
            "min-lr",
            "sched",
            "lr-scheduler",
            "scheduler",
            "cos-lr",
            "decay-epochs",
            "decay-rate",
            "lr-step-size",
            "lr-gamma",
            "warmup",
            "warmup-epochs",
            "warmup-lr",
            "lr-warmup-epochs",
            "cooldown-epochs",
        ],
        "it is not needed: the learning rate warms up and then falls to 0 by a cosine; '--lr <LR>' is its peak",
    ),
    (&["opt", "optim"], "the update rule is '--optimizer <OPTIMIZER>': sgd or adamw"),
    (
        &[
            "momentum",
            "weight-decay",
            "wd",
            "nesterov",
            "opt-eps",
            "opt-betas",
            "clip-grad",
            "norm-weight-decay",
        ],
        "it cannot be set: momentum, weight decay and clipping go with '--optimizer <OPTIMIZER>', and config.toml of the run \
         has their values",
    ),
    (
        &["smoothing", "label-smoothing"],
        "it cannot be set: training smooths labels by 0.1; other losses are '--loss <LOSS>'",
    ),
    (
        &["model-ema", "ema", "ema-decay", "model-ema-decay", "model-ema-steps"],
        "it is not needed: a moving average of the weights is always kept, and is what is exported",
    ),
    (
        &[
            "device",
            "gpu",
            "gpus",
            "cuda",
            "no-cuda",
            "gpu-id",
            "use-gpu",
            "cpu",
            "num-gpus",
            "local-rank",
            "world-size",
            "dist-url",
            "sync-bn",
            "nproc-per-node",
        ],
        "it is not needed: everything runs on the CPU of this machine; '--threads <N>' says on how many cores",
    ),
    (
        &[
            "amp",
            "half",
            "fp16",
            "bf16",
            "amp-dtype",
            "channels-last",
            "torchcompile",
            "compile",
            "torchscript",
            "cudnn-benchmark",
            "pin-mem",
            "prefetcher",
            "no-prefetcher",
        ],
        "it is not needed: training computes in f32 on the CPU, in the layout that its kernels want",
    ),
    (
        &["workers", "num-workers", "j", "dataloader-num-workers"],
        "it is not needed: images are decoded ahead beside the training; '--threads <N>' says on how many cores",
    ),
    (
        &["num-classes", "nc", "n-classes", "classes-num"],
        "it is not needed: the classes are those of the data, by the names of their folders or labels",
    ),
    (
        &["class-map", "class-names", "names", "labels-file"],
        "the names of a model's classes are '--classes <FILE|a,b,c>'",
    ),
    (
        &["data", "data-path", "dataset", "data-root", "root", "train-dir", "train-data", "input"],
        "the data are no option: type their folder behind the verb, as in 'oculist optimize photos/'",
    ),
    (
        &[
            "val-dir",
            "valid-dir",
            "test-dir",
            "val-data",
            "train-split",
            "val-split",
            "test-split",
            "val-path",
        ],
        "splits are found by their names: photos/train/CLASS, photos/val/CLASS and photos/test/CLASS; what is missing is drawn \
         by '--seed <S>', and 'oculist data split' writes a list",
    ),
    (
        &["source", "img-path", "image"],
        "the images are no option: type files or folders behind the verb, as in 'oculist predict new/'",
    ),
    (
        &[
            "weights",
            "checkpoint",
            "initial-checkpoint",
            "ckpt",
            "finetune",
            "load",
            "init-weights",
            "pretrained-path",
        ],
        "trained weights are '--model <FILE>' (ONNX, or *.safetensors and *.pth with '--arch <NAME>') of optimize, compress, \
         eval, predict and export",
    ),
    (
        &["model-name", "architecture", "backbone", "net", "network"],
        "the architecture is '--arch <NAME>'; 'oculist zoo list' names all",
    ),
    (
        &[
            "project",
            "name",
            "save-dir",
            "output-dir",
            "out",
            "outdir",
            "experiment",
            "save",
            "logdir",
            "results-dir",
        ],
        "the folder of the run is '--output <DIR>'",
    ),
    (&["exist-ok", "overwrite", "yes"], "a run that is there is replaced with '--force'"),
    (
        &["aa", "auto-augment", "augmentations", "randaugment", "trivial-augment"],
        "policies are '--augment <AUGMENT>' (trivial, rand, auto, augmix, three), pipelines of your own '--augmentation <FILE>'",
    ),
    (
        &["reprob", "re-prob", "erasing", "random-erase", "recount", "remode"],
        "random erasing is '--augment erasing', or a step of '--augmentation <FILE>'",
    ),
    (
        &[
            "hflip",
            "vflip",
            "fliplr",
            "flipud",
            "degrees",
            "translate",
            "scale",
            "shear",
            "hsv-h",
            "hsv-s",
            "hsv-v",
            "color-jitter",
            "ratio",
            "bgr",
            "perspective",
            "ra-magnitude",
            "ra-sampler",
        ],
        "single operations are steps of '--augmentation <FILE>' (docs/augmentation.md); usual ones are '--augment <AUGMENT>'",
    ),
    (&["mixup-alpha", "mixup-prob"], "MixUp is '--mixup <ALPHA>'"),
    (&["cutmix-alpha", "cutmix-prob", "cutmix-minmax"], "CutMix is '--cutmix <ALPHA>'"),
    (
        &["drop", "dropout", "drop-rate", "drop-path", "drop-connect"],
        "it cannot be set: an architecture has the dropout that it was published with",
    ),
    (
        &["mean", "std", "crop-pct", "interpolation", "normalize", "crop-mode", "transform", "resize"],
        "how images become a given model's input is '--preprocessing <NAME|FILE.toml>'; training measures mean and std itself",
    ),
    (
        &["early-stopping", "early-stop", "stop-after"],
        "training stops after so many epochs without gain with '--patience <N>'",
    ),
    (&["num-epochs", "n-epochs", "max-epochs"], "passes over the images are '--epochs <N>'"),
    (
        &["wandb", "log-wandb", "tensorboard-dir", "log-interval", "log-dir", "report-to", "plots"],
        "event files are '--tensorboard'; report.html and metrics.csv are always written",
    ),
    (&["verbose", "progress", "v"], "it is not needed: progress is shown unless '--quiet' is given"),
    (
        &["deterministic", "reproducible"],
        "it is not needed: the same '--seed <S>' and '--threads <N>' give the same model, bit for bit",
    ),
    (&["random-seed", "manual-seed", "rng-seed"], "the seed is '--seed <S>'"),
    (
        &["freeze", "freeze-backbone", "freeze-layers", "unfreeze"],
        "layers cannot be frozen: what is given with '--model <FILE>' is fine-tuned whole",
    ),
    (&["format", "export-format", "onnx", "to-onnx"], "it is not needed: every model is written as ONNX"),
    (
        &["quantize", "quantise", "ptq", "qat", "prune", "sparsity", "pruning-ratio"],
        "'oculist optimize' and 'oculist compress' prune and quantise by themselves, within '--max-drop <POINTS>'; stages of your \
         own are '--recipe <FILE>'",
    ),
    (
        &["conf", "conf-thres", "threshold", "confidence", "score-thres", "ood"],
        "'oculist predict --reject' says 'none of these' by a measured threshold; '--json' has every confidence",
    ),
    (&["topk", "top-k", "k"], "how many classes are listed is '--top <K>'"),
    (
        &["accuracy-drop", "max-accuracy-drop", "tolerance", "max-loss"],
        "what may be lost is '--max-drop <POINTS>'",
    ),
    (&["ram", "cache-ram", "cache-images"], "decoded images are kept with '--cache <BYTES>', such as 2G"),
    (&["log-level", "silent", "no-verbose"], "'--quiet' says nothing but errors"),
];

/// Verbs of other tools.
pub(crate) const VERBS: &[Habit] = &[
    (
        &["val", "valid", "validate", "test", "evaluate", "score"],
        "a model is measured with 'oculist eval DATA --model FILE'",
    ),
    (
        &["fit", "finetune", "fine-tune", "learn"],
        "a model is trained with 'oculist train DATA', a given one with 'oculist optimize DATA --model FILE'",
    ),
    (
        &["classify", "infer", "inference", "detect", "segment", "pose", "obb", "run"],
        "classes of images are told with 'oculist predict IMAGE --model FILE'; there are no detectors or masks",
    ),
    (&["benchmark", "profile", "speed"], "a model is timed with 'oculist bench FILE'"),
    (
        &["prune", "quantize", "quantise", "shrink", "distill"],
        "a trained model is made small with 'oculist compress DATA --model FILE'",
    ),
    (&["convert", "onnx"], "a model is written again with 'oculist export FILE --output FILE'"),
    (&["check", "audit", "lint"], "faults of data are looked for with 'oculist data check DATA'"),
    (&["models", "list", "list-models"], "architectures are listed with 'oculist zoo list'"),
    (&["yolo", "timm"], "verbs stand first here, as in 'oculist train DATA'"),
];

/// Words before a `=` that are no options here, or not these.
pub(crate) const WORDS: &[Habit] = &[
    (&["task"], "it is not needed: every model is a classifier"),
    (&["mode"], "the verb stands first, as in 'oculist train DATA'"),
    (
        &["data"],
        "the data are no option: type their folder behind the verb, as in 'oculist optimize photos/'",
    ),
    (
        &["source"],
        "the images are no option: type files or folders behind the verb, as in 'oculist predict new/'",
    ),
    (&["model"], "a trained model is '--model <FILE>', an architecture to train '--arch <NAME>'"),
];

/// An error of clap with the answer to a habit, if one was what it is about.
pub(crate) fn answered(error: clap::Error, command: &Command, typed: &[OsString]) -> clap::Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let new = match error.kind() {
        ErrorKind::UnknownArgument => context(ContextKind::InvalidArg).and_then(|found| {
            if !found.starts_with('-') {
                return words(command, typed).or_else(|| value_of_switch(&found, command, typed));
            }
            flag(&found).map(|answer| format!("unexpected argument '{}': {answer}", shown(&found)))
        }),
        ErrorKind::InvalidSubcommand => context(ContextKind::InvalidSubcommand).and_then(|found| {
            let answer = find(VERBS, &found)?;
            Some(format!("unrecognized subcommand '{found}': {answer}"))
        }),
        ErrorKind::MissingRequiredArgument => words(command, typed).or_else(|| any_folder(typed)),
        _ => None,
    };
    new.map_or(error, |text| raw(ErrorKind::UnknownArgument, &text))
}

/// The error for words such as `data=photos`, the first of which was taken for the data themselves.
pub(crate) fn refused_word(command: &Command, typed: &[OsString], data: &str) -> Option<clap::Error> {
    word(data, command, typed)?;
    words(command, typed).map(|text| raw(ErrorKind::UnknownArgument, &text))
}

/// A usage error of this text.
fn raw(kind: ErrorKind, text: &str) -> clap::Error {
    clap::Error::raw(kind, format!("{text}\n\nFor more information, try '--help'.\n"))
}

/// What was typed up to its value, which may be anything.
fn shown(found: &str) -> &str {
    found.split_once('=').map_or(found, |(name, _)| name)
}

/// The answer to an option.
pub(crate) fn flag(found: &str) -> Option<&'static str> {
    find(FLAGS, found)
}

/// The answer to `name=value`, unless a file is called so.
fn word(found: &str, command: &Command, typed: &[OsString]) -> Option<String> {
    let (name, _) = found.split_once('=')?;
    if Path::new(found).exists() {
        return None;
    }
    if let Some(answer) = find(WORDS, name) {
        return Some(answer.to_owned());
    }
    let option = normal(name);
    let verb = typed.get(1).and_then(|verb| command.find_subcommand(verb));
    let known = verb.is_some_and(|verb| verb.get_arguments().any(|a| a.get_long() == Some(option.as_str())));
    if known {
        return Some(format!("here '--{option} VALUE'"));
    }
    flag(name).map(str::to_owned)
}

/// The error for all `name=value` of what was typed that are habits.
fn words(command: &Command, typed: &[OsString]) -> Option<String> {
    let words = typed.iter().skip(2).filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let answers: Vec<String> = words
        .filter_map(|found| Some(format!("  {}=: {}", shown(found), word(found, command, typed)?)))
        .collect();
    (!answers.is_empty())
        .then(|| format!("unexpected arguments: options begin with two hyphens\n\n{}", answers.join("\n")))
}

/// The error for a value that was given to an option that takes none, as `--resume last.pth` for timm.
fn value_of_switch(found: &str, command: &Command, typed: &[OsString]) -> Option<String> {
    let verb = typed.get(1).and_then(|verb| command.find_subcommand(verb))?;
    let at = typed.iter().position(|word| word.to_str() == Some(found))?;
    let before = typed.get(at.checked_sub(1)?)?.to_str()?.strip_prefix("--")?;
    let switch = verb.get_arguments().find(|arg| arg.get_long() == Some(before))?;
    let takes_none = switch.get_num_args().is_none_or(|range| !range.takes_values());
    let more = if before == "resume" {
        ", it continues the run that is in the folder of '--output <DIR>'"
    } else {
        ""
    };
    takes_none.then(|| format!("unexpected argument behind '--{before}': it takes no value{more}"))
}

/// The error for a folder of images that was given with timm's option, which here is for data sets that have a name.
fn any_folder(typed: &[OsString]) -> Option<String> {
    let given =
        |word: &OsString| word.to_str().is_some_and(|w| w == "--data-dir" || w.starts_with("--data-dir="));
    typed.iter().any(given).then(|| {
        "the required argument <DATA> was not provided: '--data-dir <DIR>' says where a data set lies that has a name; type a \
         folder of your own behind the verb, as in 'oculist optimize photos/'"
            .to_owned()
    })
}

fn find(habits: &'static [Habit], typed: &str) -> Option<&'static str> {
    let name = normal(shown(typed));
    habits.iter().find(|(names, _)| names.contains(&name.as_str())).map(|(_, answer)| *answer)
}

/// A name as the tables have it.
fn normal(name: &str) -> String {
    name.trim_start_matches('-').to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::command;

    /// Every option of every verb, without its hyphens.
    fn options(command: &Command) -> BTreeSet<String> {
        let own = command.get_arguments().filter_map(|o| o.get_long().map(str::to_owned));
        own.chain(command.get_subcommands().flat_map(options)).collect()
    }

    #[test]
    fn answers_name_options_and_verbs_that_exist() {
        let (command, mut all) = (command(), BTreeSet::new());
        let options = options(&command);
        for (names, answer) in FLAGS.iter().chain(WORDS) {
            for name in *names {
                assert_eq!(*name, normal(name));
            }
            for word in answer.split(['\'', ' ']).filter_map(|word| word.strip_prefix("--")) {
                let word = word.trim_end_matches([',', ';', '.', ':']);
                assert!(options.contains(word) || word == "quiet", "--{word}, in: {answer}");
            }
        }
        for (_, answer) in FLAGS.iter().chain(WORDS).chain(VERBS) {
            for verb in answer.split("'oculist ").skip(1).filter_map(|rest| rest.split([' ', '\'']).next()) {
                assert!(command.find_subcommand(verb).is_some(), "{verb}, in: {answer}");
            }
        }
        for (names, _) in FLAGS {
            for name in *names {
                assert!(all.insert(*name), "{name} stands twice");
                // An option of one verb alone may be a habit elsewhere.
                let everywhere = command
                    .find_subcommand("train")
                    .is_some_and(|train| train.get_arguments().any(|o| o.get_long() == Some(name)));
                assert!(!everywhere, "--{name} is an option of ours");
            }
        }
        for (names, _) in VERBS {
            assert!(names.iter().all(|name| command.find_subcommand(name).is_none()), "{names:?}");
        }
    }

    #[test]
    fn every_setting_has_an_option_of_its_name() {
        let (command, options) = (command(), options(&command()));
        for name in oculist::Settings::NAMES {
            assert!(*name == "data" || options.contains(&name.replace('_', "-")), "{name} has no option");
        }
        let optimize = command.find_subcommand("optimize").expect("the main verb");
        let long: BTreeSet<&str> = optimize.get_arguments().filter_map(clap::Arg::get_long).collect();
        let missing: Vec<_> = oculist::Settings::NAMES
            .iter()
            .filter(|n| !long.contains(n.replace('_', "-").as_str()))
            .collect();
        assert_eq!(missing, [&"data"], "what a file may set can be typed");
    }

    #[test]
    fn the_short_help_shows_ten_options_and_the_long_one_all_in_groups() {
        for (verb, first) in crate::args::help::FIRST {
            let mut command = command();
            command.build();
            let verb = command.find_subcommand_mut(verb).expect("a verb");
            let short = verb.render_help().to_string();
            let long = verb.render_long_help().to_string();
            let listed = |text: &str| {
                let line = |l: &str| {
                    // Descriptions, which may go on with an option, stand further to the right.
                    let l = l.strip_prefix("      ").or_else(|| l.strip_prefix("  "))?;
                    let name = l.strip_prefix("--").or_else(|| l.split_once(", --").map(|(_, rest)| rest))?;
                    let name: String =
                        name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                    l.starts_with('-').then_some(name)
                };
                text.lines().filter_map(line).collect::<BTreeSet<_>>()
            };
            let expected: BTreeSet<String> = first
                .iter()
                .map(|name| name.replace('_', "-"))
                .chain(["help".to_owned(), "quiet".to_owned()])
                .collect();
            assert_eq!(listed(&short), expected, "{short}");
            assert!(short.contains("--help") && short.contains("ten options"), "{short}");
            for option in verb.get_arguments().filter(|o| !o.is_hide_set()).filter_map(clap::Arg::get_long) {
                assert!(listed(&long).contains(option), "--{option} is not in: {long}");
            }
            assert!(!long.contains("ten options"), "{long}");
        }
        let mut command = command();
        command.build();
        let long = command.find_subcommand_mut("optimize").expect("a verb").render_long_help().to_string();
        for heading in ["Data:", "Model:", "Training:", "Compression:", "Output:", "Run:"] {
            assert!(long.lines().any(|line| line == heading), "{heading}");
        }
    }
}
