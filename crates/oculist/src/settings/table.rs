//! The table of all settings. A new one is a row here: file, flag, help, merging and its check follow.

use std::path::PathBuf;

use oculist_data::{Duplicates, LabelForm, Layout, Task};
use oculist_metrics::Metric;
use oculist_train::{Keep, NormTraining};
use serde::{Deserialize, Serialize};

use super::bytes::ByteSize;
use super::choices::{
    Augmentation, Calibration, HeadName, IsaName, LossName, OptimizerName, Precision, SamplingName, Target,
    TransferMode, Tune, Unfreeze,
};
use super::define::settings;
use crate::error::OculistError;
use crate::range::{
    ALPHA, ANCHOR, BUDGET, CONSISTENCY, COUNT, LAYER_DECAY, LEARNING_RATE, PIXELS, POINTS, PROBABILITY, RANK,
    SECONDS, SHARE, THREADS, WIDTH,
};
use crate::stage::Teacher;

settings! {
    /// Which images.
    SourceSettings {
        /// `demo`, `fashion-mnist`, a folder of photos (`train/CLASS/*`, `val/`, `test/`, one unsplit folder `CLASS/*`, or with
        /// metadata.csv), of IDX, CIFAR, COCO, *.tar or *.parquet files, or a file: a manifest (*.csv or *.jsonl with file_name,
        /// label and perhaps split), *.tar or name-{000..009}.tar (WebDataset), *.parquet (Hugging Face), *.json (COCO).
        #[arg(value_name = "DATA")]
        data: String,
    }

    /// How the images are read.
    DataSettings {
        /// Folder of the data set named by DATA, if it is not in its usual place.
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// How the folder DATA is laid out, where it can be read in two ways: classes, splits, inner (parts
        /// whose inner folders are the classes), metadata, idx, cifar, coco, tar or parquet.
        #[arg(long, value_name = "LAYOUT")]
        layout: Layout,
        /// Whether an image has one label or any number of them: single-label or multi-label (default: single-label).
        #[arg(long, value_name = "TASK")]
        task: Task,
        /// How a list says which labels an image has, where that can be read in two ways: semicolons, bars, commas, json, one
        /// or columns (with --task multi-label).
        #[arg(long, value_name = "FORM")]
        label_form: LabelForm,
        /// Images that repeat each other, exactly or nearly: auto (where splits are drawn they stay on one side, where splits are
        /// given it is told; not looked for among more than 3 billion pixels), find (however many) or ignore (default: auto).
        #[arg(long, value_name = "CHOICE")]
        duplicates: Duplicates,
        /// Share of the images that is drawn as test images where the data have none, 0 to 0.5; with 0 nothing is measured on
        /// test images then (default: 0.15).
        #[arg(long, value_name = "SHARE")]
        test_fraction: f64 where SHARE,
        /// Leave out files and folders of this name, such as masks or '*_mask.*' (may be repeated).
        #[arg(long, value_name = "PATTERN")]
        exclude: Vec<String>,
        /// Make an unreadable image an error instead of skipping it.
        #[arg(long, num_args = 0, action = clap::ArgAction::Set, default_missing_value = "true")]
        strict: bool,
        /// Hold at most so many bytes of encoded images in memory, such as 512M (Parquet; default: 4G).
        #[arg(long, value_name = "BYTES")]
        max_image_bytes: ByteSize,
    }

    /// What networks run on.
    MachineSettings {
        /// Threads (default: all cores).
        #[arg(long, value_name = "N")]
        threads: usize where THREADS,
        /// Memory that a plan of a network may take, such as 512M or 8G (default: what the machine or its control group has).
        #[arg(long, value_name = "BYTES", value_parser = crate::range::memory)]
        max_memory: ByteSize,
        /// With which instructions networks are computed: auto, avx512, avx2 or portable (default: auto, the fastest of this
        /// processor); results differ in their last bits from one to another.
        #[arg(long, value_name = "NAME")]
        isa: IsaName,
    }

    /// What chance follows.
    SeedSettings {
        /// Seed of splitting, initialisation, shuffling and augmentation (default: 0).
        #[arg(long, value_name = "S")]
        seed: u64,
    }

    /// With which model to begin.
    StartSettings {
        /// Start from this model instead of training one.
        #[arg(long, value_name = "FILE")]
        model: PathBuf,
    }

    /// What is carried over from a model for another task, and how.
    TransferSettings {
        /// A model for another task to carry over from: an ONNX file, weights (*.safetensors, *.pth) or hf:OWNER/NAME (may be
        /// repeated: the one whose features suit the data best is taken).
        #[arg(long, value_name = "FILE")]
        from: Vec<PathBuf>,
        /// What is carried over: auto, features, gap, fc or finetune (default: auto).
        #[arg(long)]
        mode: TransferMode,
        /// What is learned on the features (default: logistic).
        #[arg(long)]
        head: HeadName,
        /// Value or node of the source that gives the features (default: what its last layer reads).
        #[arg(long, value_name = "NAME")]
        layer: String,
        /// In what the feature extractor computes, also in the model that is written (default: f32).
        #[arg(long)]
        precision: Precision,
        /// Where features are kept from one run to the next (default: in the user's cache; none: nowhere).
        #[arg(long, value_name = "DIR")]
        feature_cache: PathBuf,
        /// About how many seconds `auto` may take (default: 180).
        #[arg(long, value_name = "S")]
        time_budget: f64 where BUDGET,
    }

    /// What the file of a model may leave open.
    ReadingSettings {
        /// Its class names in the order of the logits: a,b,c, or a file with one name a line or a JSON list.
        #[arg(long, value_name = "FILE|a,b,c")]
        classes: String,
        /// How images become its input: imagenet, inception, caffe, tf, unit, none, or a TOML file (see the guide).
        #[arg(long, value_name = "NAME|FILE.toml")]
        preprocessing: String,
        /// Which of its outputs classifies, where there are several.
        #[arg(long, value_name = "OUTPUT")]
        logits: String,
        /// Which of several sets of weights in a file of weights, by its key, such as ema.
        #[arg(long, value_name = "KEY")]
        state_dict: String,
        /// Take a file of weights that lacks some, or has others; what is not loaded is told.
        #[arg(long, num_args = 0, action = clap::ArgAction::Set, default_missing_value = "true")]
        partial: bool,
    }

    /// Which network to train.
    NetworkSettings {
        /// Architecture (see `oculist zoo list`).
        #[arg(long, value_name = "NAME")]
        arch: String,
        /// Factor on the architecture's number of channels, such as 0.5 or 2 (default: 1, the published width).
        #[arg(long, value_name = "FACTOR")]
        width: f64 where WIDTH,
        /// Side of the network's square input in pixels.
        #[arg(long, value_name = "PIXELS")]
        image_size: usize where PIXELS,
    }

    /// How to train. What is not given is chosen by network and data.
    TrainingSettings {
        /// Passes over the training images.
        #[arg(long, value_name = "N")]
        epochs: usize where COUNT,
        /// Images per step.
        #[arg(long, value_name = "N")]
        batch_size: usize where COUNT,
        /// Peak learning rate.
        #[arg(long, value_name = "LR", allow_negative_numbers = true)]
        lr: f32 where LEARNING_RATE,
        /// Update rule.
        #[arg(long)]
        optimizer: OptimizerName,
        /// Augmentation of the training images.
        #[arg(long)]
        augment: Augmentation,
        /// TOML or JSON file with an augmentation pipeline (see docs/augmentation.md).
        #[arg(long, value_name = "FILE", conflicts_with = "augment")]
        augmentation: PathBuf,
        /// MixUp: alpha of the Beta distribution that weights are drawn from, such as 0.2 (0: off).
        #[arg(long, value_name = "ALPHA")]
        mixup: f32 where ALPHA,
        /// CutMix: alpha of the Beta distribution that areas are drawn from, such as 1 (0: off).
        #[arg(long, value_name = "ALPHA")]
        cutmix: f32 where ALPHA,
        /// Mosaic: probability that a batch is made of pictures of four images each.
        #[arg(long, value_name = "PROBABILITY")]
        mosaic: f32 where PROBABILITY,
        /// With `--augment augmix`: weight of AugMix's consistency loss on three views of each image (12 without a number).
        #[arg(long, value_name = "WEIGHT", num_args = 0..=1, default_missing_value = "12")]
        consistency: f32 where CONSISTENCY,
        /// Loss on the labels.
        #[arg(long)]
        loss: LossName,
        /// Which images an epoch shows.
        #[arg(long)]
        sampling: SamplingName,
        /// How often an image stands in a batch, with `--sampling repeated` or `batch-augment` (default: 3).
        #[arg(long, value_name = "N")]
        repeats: usize where COUNT,
        /// Keep so many bytes of decoded images from one epoch to the next, such as 512M or 2G (default: 0).
        #[arg(long, value_name = "BYTES")]
        cache: ByteSize,
        /// Epochs without improvement after which training stops (0: never).
        #[arg(long, value_name = "N")]
        patience: usize,
        /// Which weights training ends with (default: best).
        #[arg(long)]
        keep: Keep,
        /// What decides which weights and models are better on validation images: top1, balanced_accuracy, macro_f1, auc,
        /// log_loss or ece; with several labels map, macro_f1, micro_f1, exact_match, hamming or log_loss (default: top1, map).
        #[arg(long, value_name = "NAME")]
        metric: Metric,
    }

    /// What fine-tuning changes of a model (see docs/fine-tuning.md).
    TuningSettings {
        /// Which parameters are trained (default: all).
        #[arg(long, value_name = "WHICH")]
        tune: Tune,
        /// Factor on the learning rate from each layer to the one in front of it, such as 0.9 (default: 1).
        #[arg(long, value_name = "FACTOR")]
        layer_decay: f32 where LAYER_DECAY,
        /// When layers begin to be trained (default: none, all at once).
        #[arg(long, value_name = "HOW")]
        unfreeze: Unfreeze,
        /// Pull weights towards where fine-tuning began instead of towards zero (L2-SP), so strongly, such as 0.01 (default: 0).
        #[arg(long, value_name = "STRENGTH")]
        anchor: f32 where ANCHOR,
        /// What batch normalisations do (default: train; statistics where not everything is trained).
        #[arg(long, value_name = "HOW")]
        batch_norm: NormTraining,
        /// Rank of the adapters, with `--tune adapters` (default: 8).
        #[arg(long, value_name = "N")]
        adapter_rank: usize where RANK,
    }

    /// How far to compress.
    CompressionSettings {
        /// How much of the metric on validation images the result may lose: points where it is in percent (default: 0.5, of the log loss
        /// 0.02).
        #[arg(long, value_name = "POINTS", allow_negative_numbers = true)]
        max_drop: f64 where POINTS,
        /// What to make small.
        #[arg(long)]
        target: Target,
        /// Levels of pruning that are tried at the most (default: 4).
        #[arg(long, value_name = "N")]
        candidates: usize where COUNT,
        /// Shares of the cost that pruning tries to leave, falling, separated by commas, such as 0.8,0.5,0.3.
        #[arg(long, value_name = "SHARES", value_delimiter = ',')]
        levels: Vec<f64>,
        /// Whose answers fine-tuning learns from beside the labels (default: baseline).
        #[arg(long, value_name = "TEACHER")]
        finetune_teacher: Teacher,
        /// Epochs of fine-tuning after each pruning.
        #[arg(long, value_name = "N")]
        finetune_epochs: usize where COUNT,
        /// Calibration of the int8 activations.
        #[arg(long)]
        calibration: Calibration,
        /// Images for calibration.
        #[arg(long, value_name = "N")]
        calibration_images: usize where COUNT,
    }

    /// How the result is measured.
    MeasuringSettings {
        /// Seconds of each final measurement of latency and throughput (default: 2).
        #[arg(long, value_name = "S")]
        measure_seconds: f64 where SECONDS,
    }
}
