//! Softmax and cross-entropy against their definitions and finite differences.

use oculist_kernels::{Rows, Targets, log_softmax, softmax, softmax_cross_entropy};
use oculist_testing::reference::norm::finite_differences;
use oculist_testing::reference::{Noise, relative_error, widen};

const CLASSES: usize = 10;
const ROWS: usize = 7;

fn pad(dense: &[f32]) -> Vec<f32> {
    let mut padded = vec![0.0; ROWS * 16];
    for (p, d) in padded.chunks_exact_mut(16).zip(dense.chunks_exact(CLASSES)) {
        p[..CLASSES].copy_from_slice(d);
    }
    padded
}

fn unpad(padded: &[f32]) -> Vec<f32> {
    assert!(padded.chunks_exact(16).all(|row| row[CLASSES..].iter().all(|v| *v == 0.0)));
    padded.chunks_exact(16).flat_map(|row| row[..CLASSES].to_vec()).collect()
}

fn probabilities(logits: &[f64], temperature: f64) -> Vec<f64> {
    let exps: Vec<f64> = logits.iter().map(|z| (z / temperature).exp()).collect();
    exps.chunks(CLASSES)
        .flat_map(|e| e.iter().map(|v| v / e.iter().sum::<f64>()).collect::<Vec<_>>())
        .collect()
}

fn loss(logits: &[f64], targets: &[f64], temperature: f64) -> f64 {
    -probabilities(logits, temperature).iter().zip(targets).map(|(p, t)| t * p.ln()).sum::<f64>()
}

#[test]
fn probabilities_and_their_logarithms() {
    let logits: Vec<f32> = Noise::new(50).vector(ROWS * CLASSES).iter().map(|v| 20.0 * v).collect();
    let shape = Rows::new(ROWS, CLASSES);
    let mut y = vec![f32::NAN; shape.len()];
    for temperature in [1.0, 4.0] {
        let want = probabilities(&widen(&logits), f64::from(temperature));
        softmax(shape, temperature, &pad(&logits), &mut y);
        assert!(relative_error(&unpad(&y), &want) < 1e-6);
        log_softmax(shape, temperature, &pad(&logits), &mut y);
        let want: Vec<f64> = want.iter().map(|p| p.ln()).collect();
        assert!(relative_error(&unpad(&y), &want) < 1e-6);
    }
    let mut large = vec![0.0; shape.len()];
    large[0] = 3e38;
    softmax(shape, 1.0, &large, &mut y);
    assert_eq!(y[0], 1.0);
}

#[test]
fn losses_and_gradients() {
    let mut noise = Noise::new(51);
    let logits: Vec<f32> = noise.vector(ROWS * CLASSES).iter().map(|v| 5.0 * v).collect();
    let labels: Vec<u32> = (0..ROWS).map(|_| noise.between(0, CLASSES - 1) as u32).collect();
    let soft: Vec<f32> =
        probabilities(&widen(&noise.vector(ROWS * CLASSES)), 0.5).iter().map(|p| *p as f32).collect();
    let soft_padded = pad(&soft);
    let smoothed: Vec<f64> = (0..ROWS * CLASSES)
        .map(|i| 0.1 / CLASSES as f64 + if labels[i / CLASSES] as usize == i % CLASSES { 0.9 } else { 0.0 })
        .collect();
    let shape = Rows::new(ROWS, CLASSES);
    let cases = [
        (Targets::Labels { labels: &labels, smoothing: 0.1 }, smoothed, 1.0f32),
        (Targets::Soft(&soft_padded), widen(&soft), 2.0),
    ];
    for (targets, distribution, temperature) in cases {
        let mut dlogits = vec![f32::NAN; shape.len()];
        let mut losses = vec![f32::NAN; ROWS];
        let padded = pad(&logits);
        let total = softmax_cross_entropy(
            shape,
            temperature,
            &padded,
            targets,
            0.25,
            Some(&mut dlogits),
            Some(&mut losses),
        );
        let f = |z: &[f64]| loss(z, &distribution, f64::from(temperature));
        let want = f(&widen(&logits));
        assert!((total - want).abs() < 1e-5 * want, "{total} is not {want}");
        assert!((losses.iter().map(|l| f64::from(*l)).sum::<f64>() - want).abs() < 1e-5 * want);
        let gradient: Vec<f64> =
            finite_differences(&f, &widen(&logits), 1e-5).iter().map(|g| 0.25 * g).collect();
        assert!(relative_error(&unpad(&dlogits), &gradient) < 1e-5);
        let wrong: Vec<f32> = unpad(&dlogits).iter().map(|g| g * 1.01).collect();
        assert!(relative_error(&wrong, &gradient) > 1e-5, "the comparison accepts a wrong gradient");
    }
}

#[test]
#[should_panic(expected = "is not below")]
fn a_label_out_of_range_is_refused() {
    let targets = Targets::Labels { labels: &[10], smoothing: 0.0 };
    softmax_cross_entropy(Rows::new(1, CLASSES), 1.0, &[0.0; 16], targets, 1.0, None, None);
}
