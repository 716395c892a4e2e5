//! An invented run: no number in it was measured.
//!
//! The numbers come from formulas and a small generator, so that the page is the same every time.

#[path = "sample_run/drawings.rs"]
mod drawings;

use oculist_report::{
    AugmentedSample, CalibrationBin, Candidate, Chance, ClassAccuracy, Data, Epoch, Guess, Input,
    LayerSensitivity, LayerWidth, Model, Png, Promise, Quantization, Reject, Repeats, RunSummary, Sample,
    SharedImages, Skipped, Spread, Step, StepState,
};

const CLOTHES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// A linear congruential generator: invented numbers need no better one.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// A number in `0..1`.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The invented run with this many classes.
pub(crate) fn sample_run(classes: usize) -> RunSummary {
    let names = class_names(classes);
    let baseline = model("baseline", &names, 0.0);
    let compressed = model("compressed", &names, 0.001);
    let int8 = model("compressed-int8", &names, 0.003);
    let threads = 2;
    RunSummary {
        oculist_version: "0.1.0".into(),
        verb: "optimize".into(),
        command: "oculist optimize demo --arch resnet-20 --max-drop 0.5 --target size --epochs 14 --seed 42 \
                  --output runs/sample"
            .into(),
        config: CONFIG.into(),
        seed: 42,
        threads,
        cpu: "Sample CPU @ 2.9 GHz".into(),
        instruction_set: "avx2".into(),
        os: "linux x86_64 (Sample Linux 12)".into(),
        started: "2026-11-24T04:12:09Z".into(),
        duration_s: 1284.0,
        arch: "ResNet-20".into(),
        data: Data {
            name: "demo".into(),
            train: 9000,
            val: 1000,
            test: 2000,
            test_images: Some("c0ffee".into()),
            classes,
            class_names: names.clone(),
            train_per_class: (0..classes).map(|i| 9000 / classes + (i * 7) % 5).collect(),
            license: Some("MIT (Fashion-MNIST, Zalando SE)".into()),
            skipped: vec![
                Skipped {
                    path: "train/coat/0815.png".into(),
                    reason: "PNG cut short after 312 bytes".into(),
                },
                Skipped { path: "train/bag/notes.txt".into(), reason: "not an image".into() },
            ],
            repeats: Some(Repeats {
                kept: 3,
                cut: 0,
                shared: vec![SharedImages {
                    split: "test".into(),
                    repeats: "train".into(),
                    images: 2,
                    exact: 1,
                    pairs: vec![["test/bag/0001.png".into(), "train/bag/0815.png".into()]],
                }],
            }),
        },
        input: Input {
            height: 28,
            width: 28,
            channels: 1,
            preprocessing: "images are 28 × 28 already; scaled to 0..1, then normalised".into(),
            mean: vec![0.2860],
            std: vec![0.3530],
        },
        target: Some("size".into()),
        max_drop: Some(0.5),
        promise: Some(Promise {
            kept: true,
            text: "Validation top-1 fell by 0.30 points, 0.50 were allowed.".into(),
        }),
        candidates: candidates(&baseline),
        samples: samples(&names),
        models: vec![baseline, compressed, int8],
        recommended: Some("compressed-int8".into()),
        steps: steps(),
        history: history(),
        layers: layers(),
        sensitivity: sensitivity(),
        quantization: Some(quantization()),
        augmented_samples: augmented(&names),
        predictions_of: Some("compressed-int8".into()),
        warnings: vec!["This is a sample page: all numbers and pictures on it are invented.".into()],
        ..RunSummary::default()
    }
}

const CONFIG: &str = r#"# sample configuration
data = "demo"
arch = "resnet-20"
max_drop = 0.5
target = "size"
seed = 42
threads = 2

[train]
epochs = 14
batch_size = 128
optimizer = "sgd"
lr = 0.1
momentum = 0.9
nesterov = true
weight_decay = 5e-4
label_smoothing = 0.1
warmup_epochs = 1.0
ema = 0.999

[augment]
crop_padding = 3
horizontal_flip = true
rotation = 5.0
"#;

fn class_names(classes: usize) -> Vec<String> {
    (0..classes)
        .map(|i| match CLOTHES.get(i) {
            Some(name) if classes <= CLOTHES.len() => (*name).to_string(),
            _ => format!("{} of the very long kind number {i}", CLOTHES[i % CLOTHES.len()]),
        })
        .collect()
}

/// A model that is worse than the baseline by `loss` (share of all images).
fn model(name: &str, names: &[String], loss: f64) -> Model {
    let n = names.len();
    let mut noise = Noise(7);
    let per_class = 2000 / n.min(2000) as u64;
    let mut confusion = vec![vec![0u64; n]; n];
    for (truth, row) in confusion.iter_mut().enumerate() {
        // Shirts are hard, trousers are not; related classes are mixed up more often.
        let hard = [0.14, 0.02, 0.15, 0.09, 0.15, 0.04, 0.29, 0.05, 0.03, 0.05][truth % 10];
        // Compression helps some classes and hurts others.
        let sway = if loss > 0.0 { 0.03 * (noise.next() - 0.45) } else { 0.0 };
        let wrong = ((hard + sway + loss * 0.3) * per_class as f64).round() as u64;
        row[truth] = per_class - wrong.min(per_class);
        for _ in 0..wrong.min(per_class) {
            let step = [2, 4, 6, 1, 8, 3][(noise.next() * noise.next() * 6.0) as usize % 6];
            let other = if n > 2 { (truth + step) % n } else { 1 - truth };
            row[if other == truth { (truth + 1) % n } else { other }] += 1;
        }
    }
    let hits: u64 = (0..n).map(|i| confusion[i][i]).sum();
    let total = (per_class * n as u64) as f64;
    let top1 = hits as f64 / total * 100.0;
    let (file, params, macs, bytes, latency, rate) = match name {
        "baseline" => ("baseline.onnx", 269_434, 31_021_440, 1_093_120, 0.962, 1523.0),
        "compressed" => ("model.onnx", 128_770, 15_313_152, 527_340, 0.571, 2718.0),
        _ => ("model.int8.onnx", 128_770, 15_313_152, 158_906, 0.402, 4210.0),
    };
    let spread = |batch, median: f64, low: f64, high: f64| {
        let tenths = (Some(median * (1.0 + 3.0 * low) / 4.0), Some(median * (1.0 + 3.0 * high) / 4.0));
        Some(Spread {
            batch,
            median,
            min: median * low,
            max: median * high,
            runs: 50,
            p10: tenths.0,
            p90: tenths.1,
        })
    };
    Model {
        name: name.into(),
        file: file.into(),
        precision: if name.ends_with("int8") { "int8" } else { "f32" }.into(),
        top1: Some(top1),
        top5: Some(99.7 - loss * 20.0),
        val_top1: Some(90.3 - loss * 100.0),
        params,
        macs,
        bytes,
        latency_ms: spread(1, latency, 0.972, 1.118),
        images_per_s: spread(32, rate, 0.93, 1.02),
        ece: Some(0.0312 + loss),
        calibration: (0..10)
            .map(|i| {
                let confidence = 0.05 + f64::from(i) * 0.1;
                let accuracy =
                    (confidence - 0.04 - loss + (f64::from(i) * 2.1).sin() * 0.035).clamp(0.0, 1.0);
                let count = if i < 2 { 0 } else { 14 + 3u64.pow(i) / 14 };
                CalibrationBin { confidence, accuracy, count }
            })
            .collect(),
        per_class: (0..n)
            .map(|i| ClassAccuracy {
                class: names[i].clone(),
                accuracy: confusion[i][i] as f64 / per_class as f64 * 100.0,
                count: per_class,
            })
            .collect(),
        confusion,
        chance: Some(Chance {
            answer: names[0].clone(),
            rate: 100.0 / n as f64,
            interval: Some([top1 - 1.5, top1 + 1.4]),
            balanced_accuracy: Some(100.0 / n as f64),
            images: per_class * n as u64,
            ..Chance::default()
        }),
        reject: Some(Reject {
            score: "energy".into(),
            threshold: 4.25 - loss,
            rate: 95.0,
            images: 1000,
            val_kept: 95.1,
            test_kept: Some(94.6),
            curve: (0..=40).map(|i| [2.0 + f64::from(i) * 0.25, 100.0 - f64::from(i * i) / 16.0]).collect(),
        }),
        agreement_with_baseline: (name != "baseline").then_some(98.6 - loss * 60.0),
        ..Model::default()
    }
}

/// A latency with the spread of its repetitions.
fn repeated(median: f64) -> Spread {
    let at = |factor: f64| factor * median;
    Spread {
        batch: 1,
        median,
        min: at(0.97),
        max: at(1.09),
        runs: 50,
        p10: Some(at(0.974)),
        p90: Some(at(1.062)),
    }
}

fn state(val_top1: f64, params: u64, macs: u64, bytes: u64, latency_ms: f64) -> StepState {
    StepState {
        val: Some(val_top1),
        val_top1: Some(val_top1),
        params: Some(params),
        macs: Some(macs),
        bytes: Some(bytes),
        latency_ms: Some(latency_ms),
        latency: Some(repeated(latency_ms)),
    }
}

fn steps() -> Vec<Step> {
    let base = state(90.3, 269_434, 31_021_440, 1_093_120, 0.962);
    let pruned = state(86.1, 128_770, 15_313_152, 527_340, 0.571);
    let tuned = StepState { val: Some(90.2), val_top1: Some(90.2), ..pruned.clone() };
    let int8 = state(90.0, 128_770, 15_313_152, 158_906, 0.402);
    let step = |name: &str, what: &str, cost, before: Option<&StepState>, after: Option<&StepState>| Step {
        name: name.into(),
        what_changed: what.into(),
        cost,
        before: before.cloned(),
        after: after.cloned(),
    };
    vec![
        step(
            "read data",
            "9,000 training, 1,000 validation, 2,000 test images; 2 files skipped.",
            0.8,
            None,
            None,
        ),
        step(
            "train baseline",
            "ResNet-20 for 14 epochs, SGD with Nesterov momentum, cosine schedule; the average of the weights \
             of the best epoch is kept.",
            702.0,
            None,
            Some(&base),
        ),
        step(
            "search and prune",
            "13 settings tried on validation data; 37% of the channels removed in 9 groups.",
            171.0,
            Some(&base),
            Some(&pruned),
        ),
        step(
            "fine-tune",
            "6 epochs of distillation from the baseline (temperature 4, weight 0.7).",
            362.0,
            Some(&pruned),
            Some(&tuned),
        ),
        step(
            "quantise",
            "Weights and activations to int8 after a sensitivity scan; the first convolution and the classifier \
             stay in f32.",
            31.0,
            Some(&tuned),
            Some(&int8),
        ),
        step("export and measure", "model.onnx and model.int8.onnx written and checked.", 17.2, None, None),
    ]
}

fn candidates(baseline: &Model) -> Vec<Candidate> {
    let top1 = baseline.val_top1.unwrap_or_default();
    let mut noise = Noise(3);
    let mut list = vec![Candidate {
        name: "baseline".into(),
        kind: "baseline".into(),
        val: Some(top1),
        val_top1: Some(top1),
        params: baseline.params,
        macs: baseline.macs,
        bytes: baseline.bytes,
        latency_ms: Some(0.962),
        latency: Some(repeated(0.962)),
        accepted: true,
        reference: true,
        reason: "the reference".into(),
        ..Candidate::default()
    }];
    for (i, ratio) in [0.1, 0.2, 0.3, 0.37, 0.45, 0.55, 0.7].into_iter().enumerate() {
        for kind in ["prune", "prune+int8"] {
            let int8 = kind == "prune+int8";
            let keep: f64 = (1.0 - ratio) * (1.0 - ratio * 0.62);
            let fall = 5.5 * ratio.powf(3.1) + if int8 { 0.09 } else { 0.0 } + 0.12 * noise.next();
            let fall = if ratio == 0.7 && int8 { 31.0 } else { fall };
            let accepted = fall <= 0.5;
            let chosen = int8 && ratio == 0.37;
            let scale = if int8 { 0.27 } else { 1.0 };
            let value = Some(if chosen { top1 - 0.3 } else { top1 - fall });
            let latency = 0.962 * keep.powf(0.72) * if int8 { 0.69 } else { 1.0 };
            list.push(Candidate {
                name: format!("prune {ratio:.2}{}", if int8 { " int8" } else { "" }),
                kind: kind.into(),
                pruning_ratio: Some(ratio),
                val: value,
                val_top1: value,
                params: (baseline.params as f64 * keep) as u64,
                macs: (baseline.macs as f64 * keep * 1.02) as u64,
                bytes: (baseline.bytes as f64 * keep * scale + 9_000.0) as u64,
                latency_ms: Some(latency),
                latency: Some(repeated(latency)),
                reference: false,
                accepted: accepted || chosen,
                chosen,
                reason: if chosen {
                    "smallest file within the allowed drop".into()
                } else if accepted {
                    "within the allowed drop".into()
                } else {
                    format!("falls by {fall:.2} points, 0.50 allowed")
                },
            });
        }
        if i == 0 {
            list.push(Candidate {
                name: "int8".into(),
                kind: "int8".into(),
                val: Some(top1 - 0.1),
                val_top1: Some(top1 - 0.1),
                params: baseline.params,
                macs: baseline.macs,
                bytes: 301_220,
                latency_ms: Some(0.664),
                accepted: true,
                reason: "within the allowed drop".into(),
                ..Candidate::default()
            });
        }
    }
    list
}

fn history() -> Vec<Epoch> {
    let mut noise = Noise(11);
    let mut epoch = |phase: &str, i: usize, n: usize, from: f64, best: f64, loss: f64, lr: f64| {
        let t = i as f64 / n as f64;
        let mut epoch = Epoch {
            phase: phase.into(),
            epoch: i,
            train_loss: loss + 1.1 * (best - from) / 40.0 * (-3.4 * t).exp() + 0.02 * noise.next(),
            val_loss: Some(loss + 0.06 + 1.0 * (best - from) / 40.0 * (-3.1 * t).exp() + 0.03 * noise.next()),
            val_top1: Some(best - (best - from) * (-4.6 * t).exp() + 0.6 * (noise.next() - 0.5)),
            lr: lr * 0.5 * (1.0 + (std::f64::consts::PI * t).cos()),
            images_per_s: 171.0 + 9.0 * noise.next(),
            seconds: 50.0 + 2.0 * noise.next(),
            data_wait: 0.3,
            loss: match phase {
                "baseline" => "with label smoothing 0.1, augmented images".into(),
                _ => "with 70% distillation from a teacher, augmented images".into(),
            },
            ..Epoch::default()
        };
        epoch.val = epoch.val_top1;
        epoch
    };
    let mut list: Vec<_> = (1..=14).map(|i| epoch("baseline", i, 14, 48.0, 90.3, 0.62, 0.1)).collect();
    list.extend((1..=6).map(|i| epoch("fine-tune", i, 6, 86.1, 90.2, 0.58, 0.02)));
    list
}

fn layers() -> Vec<LayerWidth> {
    let mut list = vec![LayerWidth { layer: "stem.conv".into(), before: 16, after: 14 }];
    for (stage, width) in [(1usize, 16usize), (2, 32), (3, 64)] {
        for block in 0..3 {
            for conv in 1..=2 {
                let keep = if conv == 2 { 0.86 } else { 0.48 + 0.09 * block as f64 };
                let after = (width as f64 * keep).round() as usize;
                let layer = format!("layer{stage}.{block}.conv{conv}");
                list.push(LayerWidth { layer, before: width, after });
            }
        }
    }
    list
}

fn sensitivity() -> Vec<LayerSensitivity> {
    let mut noise = Noise(23);
    let names = layers().into_iter().map(|l| l.layer).chain(["fc".to_string()]);
    names
        .map(|layer| {
            let spared = layer == "stem.conv" || layer == "fc";
            let val_drop = if spared { 0.2 + 0.15 * noise.next() } else { 0.1 * noise.next() - 0.02 };
            LayerSensitivity { layer, val_drop, decision: if spared { "f32" } else { "int8" }.into() }
        })
        .collect()
}

fn quantization() -> Quantization {
    let (spared, rest): (Vec<_>, Vec<_>) = sensitivity().into_iter().partition(|s| s.decision == "f32");
    Quantization {
        calibration: "percentile 99.99".into(),
        images: 512,
        weights: "int8, symmetric, one scale a channel".into(),
        activations: "uint8, one scale a tensor".into(),
        bias_correction: true,
        layers_int8: rest.into_iter().map(|s| s.layer).collect(),
        layers_f32: spared.into_iter().map(|s| s.layer).collect(),
        sensitivity_images: 1000,
    }
}

fn samples(names: &[String]) -> Vec<Sample> {
    let n = names.len();
    let mut noise = Noise(5);
    let mut list = Vec::new();
    for i in 0..24 {
        let truth = (i * 3) % n;
        let wrong = i % 4 == 1;
        let predicted = if wrong { (truth + 1 + i % 2 * (n / 2)) % n } else { truth };
        let predicted = if wrong && predicted == truth { (truth + 1) % n } else { predicted };
        let confidence = if wrong { 0.42 + 0.3 * noise.next() } else { 0.78 + 0.21 * noise.next() };
        let second = if wrong { truth } else { (truth + 2) % n };
        list.push(Sample {
            png: Some(Png(drawings::garment(truth % 10, &mut noise))),
            source: format!("test image {}", i * 83),
            truth: names[truth].clone(),
            predicted: names[predicted].clone(),
            confidence,
            top: vec![
                Guess { class: names[predicted].clone(), confidence },
                Guess { class: names[second].clone(), confidence: (1.0 - confidence) * 0.8 },
            ],
            baseline_predicted: Some(names[if i % 8 == 1 { truth } else { predicted }].clone()),
            ..Sample::default()
        });
    }
    list
}

fn augmented(names: &[String]) -> Vec<AugmentedSample> {
    let mut noise = Noise(9);
    (0..8)
        .map(|i| {
            let class = i % names.len();
            AugmentedSample {
                original: Some(Png(drawings::garment(class % 10, &mut Noise(i as u64)))),
                png: Some(Png(drawings::moved(class % 10, &mut Noise(i as u64), &mut noise))),
                class: names[class].clone(),
                operations: "crop with padding 3, flip, rotate by up to 5°".into(),
            }
        })
        .collect()
}
