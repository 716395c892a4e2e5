//! MixUp and CutMix against torchvision (`golden/mix.json`).

use oculist_augment::mix::{self, Shape};
use oculist_testing::{formula, golden};
use serde_json::Value;

/// NCHW to NHWC.
fn nhwc(values: &[f32], [n, c, h, w]: [usize; 4]) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for i in 0..n {
        for k in 0..c {
            for p in 0..h * w {
                out[(i * h * w + p) * c + k] = values[(i * c + k) * h * w + p];
            }
        }
    }
    out
}

struct Batch {
    images: Vec<f32>,
    dims: [usize; 4],
    labels: Vec<u32>,
    classes: usize,
    partners: Vec<usize>,
    file: Value,
}

fn batch() -> Batch {
    let file = golden::load("mix.json");
    let dims: [usize; 4] = golden::shape(&file["shape"]).try_into().unwrap();
    let images = nhwc(&formula::tensor("mix.images", dims.iter().product()), dims);
    let labels = golden::shape(&file["labels"]).into_iter().map(|l| l as u32).collect();
    let classes = file["classes"].as_u64().unwrap() as usize;
    Batch { images, dims, labels, classes, partners: golden::shape(&file["partners"]), file }
}

/// The mixture of a golden case, with another pairing or weight if a test wants it wrong.
fn mixture(batch: &Batch, case: &Value, cut: bool, partners: &[usize], off: f64) -> (Vec<f32>, Vec<f32>) {
    let lambda = (case["lambda"].as_f64().unwrap() - off).clamp(0.0, 1.0);
    let [_, channels, height, width] = batch.dims;
    let mut images = batch.images.clone();
    let weight = if cut {
        let [x, y] = golden::shape(&case["middle"])[..] else { panic!("x, y") };
        let window = mix::cut_box(width, height, lambda, x, y);
        mix::cutmix(&mut images, Shape { height, width, channels }, partners, window).unwrap();
        window.kept(width, height)
    } else {
        mix::mixup(&mut images, partners, lambda).unwrap();
        lambda
    };
    (
        images,
        mix::soft_labels(
            &batch.labels.iter().map(std::slice::from_ref).collect::<Vec<_>>(),
            batch.classes,
            partners,
            weight,
        )
        .unwrap(),
    )
}

fn distance(batch: &Batch, case: &Value, (images, labels): &(Vec<f32>, Vec<f32>)) -> f32 {
    let want = nhwc(&golden::floats(&case["images"]), batch.dims);
    golden::max_abs_difference(images, &want)
        .max(golden::max_abs_difference(labels, &golden::floats(&case["labels"])))
}

#[test]
fn mixtures_are_those_of_torchvision_and_wrong_ones_are_not() {
    const TOLERANCE: f32 = 1e-6;
    let batch = batch();
    for (kind, cut) in [("mixup", false), ("cutmix", true)] {
        let cases = batch.file[kind].as_array().unwrap();
        assert!(cases.len() > 1);
        for case in cases {
            let off = distance(&batch, case, &mixture(&batch, case, cut, &batch.partners, 0.0));
            assert!(off < TOLERANCE, "{kind} {}: off by {off}", case["lambda"]);
            // Other partners, unless the window is empty; another weight.
            let mut others = batch.partners.clone();
            others.rotate_left(1);
            let empty = cut && case["lambda"].as_f64() > Some(0.95);
            let off = distance(&batch, case, &mixture(&batch, case, cut, &others, 0.0));
            assert!(empty || off > 0.01, "{kind} {}: off by {off}", case["lambda"]);
            let full = cut && case["lambda"].as_f64() == Some(0.0);
            let off = distance(&batch, case, &mixture(&batch, case, cut, &batch.partners, 0.4));
            assert!(full || off > 0.01, "{kind} {}: off by {off}", case["lambda"]);
        }
    }
}
