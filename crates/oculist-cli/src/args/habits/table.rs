//! What is typed for other tools, and the answers.

/// Names without their dashes, underscores as hyphens, and the answer.
pub(super) type Habit = (&'static [&'static str], &'static str);

/// Options of other tools that no verb here has.
pub(super) const FLAGS: &[Habit] = &[
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
        &["freeze", "freeze-backbone", "freeze-layers", "lora", "bitfit", "linear-probe"],
        "what fine-tuning trains of the model of '--model <FILE>' is '--tune <WHICH>', such as '--tune head'",
    ),
    (
        &["llrd", "layerwise-decay", "lr-decay-layers"],
        "the decay from layer to layer is '--layer-decay <FACTOR>'",
    ),
    (&["lora-rank", "lora-r"], "the rank of adapters is '--adapter-rank <N>'"),
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
pub(super) const VERBS: &[Habit] = &[
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
pub(super) const WORDS: &[Habit] = &[
    (
        &["task"],
        "every model is a classifier, of one class for each image; of several with '--task multi-label'",
    ),
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
    (&["model"], "an architecture to train is '--arch <NAME>'"),
    (&["model"], "a trained model is '--model <FILE>'"),
];
