//! Time to accuracy: ResNet-20 on all 60,000 images of Fashion-MNIST, the recipe of `peers/python/accuracy.py`.
//!
//! SGD with Nesterov momentum 0.9, one cycle (a quarter of it linear warm-up, then half a cosine) to a rate of 0.2, batch
//! 128, weight decay 5e-4 on weights, label smoothing 0.1, crop after padding by 4, flip. No moving average, no clipping.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use oculist_augment::op::RandomCrop;
use oculist_augment::{Border, ColorMode, Op, Pipeline, Preprocessing, Start, Step};
use oculist_data::{Loader, LoaderConfig, MemoryStore, Subset, read_idx_images, read_idx_labels};
use oculist_kernels::{Context, Isa};
use oculist_metrics::Metric;
use oculist_train::{
    BatchIterator, Cpu, Event, OptimizerConfig, TrainConfig, TrainError, Trainer, TrainingData,
};
use oculist_zoo::{BuildOptions, build, initialize};
use serde_json::json;

/// Mean and standard deviation of the training images, on the scale 0..1.
const STATISTICS: [f32; 2] = [0.2860, 0.3530];

/// Which images, how long, on what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) epochs: usize,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) isa: Isa,
    pub(crate) winograd: bool,
}

/// Prints one line of JSON after each epoch: epoch, test top-1, seconds since the start.
pub(crate) fn run(folder: &Path, job: Job) -> Result<()> {
    let ctx = Context::with_isa(job.threads, job.isa)?;
    let ctx = Arc::new(if job.winograd { ctx } else { ctx.without_winograd() });
    let config = TrainConfig {
        epochs: job.epochs,
        batch_size: 128,
        lr: 0.2,
        min_lr: 0.0,
        warmup_epochs: job.epochs as f32 / 4.0,
        optimizer: OptimizerConfig::Sgd { momentum: 0.9, nesterov: true },
        weight_decay: 5e-4,
        label_smoothing: 0.1,
        clip_norm: 0.0,
        ema_decay: 0.0,
        seed: job.seed,
        ..TrainConfig::default()
    };
    let data = Images::open(folder, &config)?;
    let mut graph = build("resnet20", &BuildOptions::new(10, (1, 28, 28)))?;
    initialize(&mut graph, job.seed);
    let (engine, stop) = (Cpu::new(ctx), AtomicBool::new(false));
    let trainer = Trainer {
        engine: &engine,
        config: &config,
        teacher: None,
        checkpoints: None,
        resume: false,
        stop: &stop,
    };
    let start = Instant::now();
    trainer.run(&graph, &data, &mut |event| {
        if let Event::Epoch { record, .. } = event {
            let line = json!({
                "epoch": record.epoch,
                "top1": record.val.get(Metric::Top1),
                "loss": record.train_loss,
                "seconds": start.elapsed().as_secs_f64(),
                "images_per_s": record.images_per_s,
                "wait_s": record.wait_s,
            });
            println!("{line}");
        }
    })?;
    Ok(())
}

struct Images {
    train: Loader,
    test: Loader,
}

impl Images {
    fn open(folder: &Path, config: &TrainConfig) -> Result<Self> {
        let [mean, std] = STATISTICS;
        let preprocessing =
            Preprocessing::exact(ColorMode::Grey, 28, 28).with_statistics(vec![mean], vec![std]);
        let crop = Op::from(RandomCrop { width: 28, height: 28, padding: 4, border: Border::Constant(0) });
        let steps =
            vec![Step { probability: 1.0, op: crop }, Step { probability: 0.5, op: Op::HorizontalFlip }];
        let pipeline = Pipeline { start: Start::Prepared, steps };
        let workers = config.loader_workers;
        let train = LoaderConfig::training(128, workers, config.seed, pipeline, preprocessing.clone());
        let test = LoaderConfig::evaluation(128, workers, preprocessing);
        Ok(Self {
            train: Loader::new(read(folder, "train")?, train)?,
            test: Loader::new(read(folder, "t10k")?, test)?,
        })
    }
}

fn read(folder: &Path, part: &str) -> Result<Subset> {
    let find = |what: &str| {
        let names = ["", ".gz"].map(|end| folder.join(format!("{part}-{what}-ubyte{end}")));
        let found = names.iter().find(|path| path.is_file());
        found.cloned().with_context(|| format!("expected {} or the same without .gz", names[1].display()))
    };
    let images = read_idx_images(&find("images-idx3")?)?;
    let labels = read_idx_labels(&find("labels-idx1")?)?;
    if images.count != labels.len() {
        bail!("{}: {} images and {} labels", folder.display(), images.count, labels.len());
    }
    let store = MemoryStore::new(part, (images.width, images.height, images.channels), images.pixels)?;
    let items = (0..images.count as u32).collect();
    Ok(Subset::new(Arc::new(store), items, labels.into_iter().map(u32::from).collect::<Vec<u32>>(), 10)?)
}

impl TrainingData for Images {
    fn steps_per_epoch(&self) -> usize {
        self.train.batches_per_epoch()
    }

    fn epoch(&self, epoch: usize) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new(self.train.epoch(epoch as u64).map(|batch| Ok(batch?))))
    }

    fn validation(&self) -> Result<BatchIterator<'_>, TrainError> {
        Ok(Box::new(self.test.epoch(0).map(|batch| Ok(batch?))))
    }

    fn describe(&self) -> String {
        "Fashion-MNIST, 60,000 and 10,000 images".into()
    }
}
