//! Against ONNX Runtime's own calibrators and quantiser.

use std::path::Path;

use oculist_graph::Tensor;
use oculist_passes::quantize::weight_scales;
use oculist_passes::{CalibrationMethod, Histogram, QParams, Range, WeightRange};
use oculist_testing::{formula, golden, python};
use serde_json::{Value, json};

/// What the oracle says about weights `[8, 25]`, some ranges and 40,001 values of both signs.
struct Problem {
    weight: Vec<f32>,
    ranges: Vec<(f32, f32)>,
    values: Vec<f32>,
    /// Of the absolute values.
    magnitudes: Histogram,
    answer: Value,
}

fn ask() -> Option<Problem> {
    let weight: Vec<f32> = formula::tensor("weight", 200).iter().map(|w| w * 0.37).collect();
    let ranges =
        vec![(0.0, 6.0), (-1.0, 3.0), (-0.37, 2.71), (0.5, 0.75), (-3.0, -1.0), (0.0, 0.0), (-5e-3, 1e-4)];
    // Sums of uniform numbers, cubed: dense at 0, with tails.
    let n = 40_001;
    let parts: Vec<Vec<f32>> = (0..4).map(|i| formula::tensor(&format!("part {i}"), n)).collect();
    let values: Vec<f32> = (0..n)
        .map(|i| {
            let s: f32 = parts.iter().map(|p| p[i]).sum();
            0.4 * s.powi(3)
        })
        .collect();
    let mut magnitudes = Histogram::default();
    magnitudes.observe(&values.iter().map(|x| x.abs()).collect::<Vec<_>>()).unwrap();
    let problem = json!({
        "weight": weight.chunks(25).collect::<Vec<_>>(),
        "ranges": ranges,
        "values": values,
        "bin": magnitudes.width(),
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("problem.json");
    std::fs::write(&file, problem.to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/passes/oracles/calibrate.py");
    let outcome = python::run_file(&script, [&file]);
    Some(Problem { weight, ranges, values, magnitudes, answer: outcome?.expect_success().json() })
}

#[test]
fn scales_integers_and_ranges_are_onnx_runtimes() {
    let Some(p) = ask() else { return };
    let weight = Tensor::f32(&[8, 25], p.weight.clone());
    let scales = weight_scales(&weight, WeightRange::Full);
    assert_eq!(scales, golden::floats(&p.answer["weight_scales"]));
    let integers: Vec<f32> = p.answer["weight"].as_array().unwrap().iter().flat_map(golden::floats).collect();
    let own: Vec<f32> =
        p.weight.iter().enumerate().map(|(i, w)| (w / scales[i / 25]).round_ties_even()).collect();
    assert_eq!(own, integers);
    // The twin: one scale for the whole tensor gives other integers.
    assert!(p.weight.iter().zip(&integers).any(|(w, q)| (w / scales[0]).round_ties_even() != *q));

    for (i, &(min, max)) in p.ranges.iter().enumerate() {
        let own = QParams::asymmetric_u8(Range::new(min, max), None).unwrap();
        let want = golden::floats(&p.answer["params"][i]);
        assert_eq!([own.scale, f32::from(own.zero_point)], want[..], "range {min}..{max}");
    }

    let mut histogram = Histogram::default();
    histogram.observe(&p.values).unwrap();
    let own = histogram.range(CalibrationMethod::Percentile(99.9)).unwrap();
    // The number of values puts the quantiles on single values: ours and ORT's are edges of the bins around them.
    let peak = p.values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let bin = histogram.width() as f32 + 2.0 * peak / 4096.0;
    for (name, tolerance) in [("quantile", 1.5 * histogram.width() as f32), ("percentile", 1.5 * bin)] {
        let want = golden::floats(&p.answer[name]);
        assert!((own.min - want[0]).abs() < tolerance, "{name}: {own:?} {want:?}");
        assert!((own.max - want[1]).abs() < tolerance, "{name}: {own:?} {want:?}");
        let wrong = histogram.range(CalibrationMethod::Percentile(99.0)).unwrap();
        assert!((wrong.max - want[1]).abs() > tolerance, "{name}");
    }

    let (low, high) = p.magnitudes.entropy(128);
    let naive = p.answer["divergence"].as_f64().unwrap();
    // Both searches take steps over a flat minimum; ours are a 256th of what can be cut off.
    let step = f64::from(peak) / 256.0;
    assert!(low == 0.0 && (high - naive).abs() <= 2.0 * step, "{high} {naive}");
    // ORT rounds spread masses to integers and prefers sizes that are multiples of its 256 levels, about 6% of the
    // peak apart: two such steps.
    let ort = p.answer["entropy"].as_f64().unwrap();
    let step = f64::from(peak) * 256.0 / 4095.0;
    assert!((high - ort).abs() <= 2.0 * step, "{high} {ort}");
    for wrong in [f64::from(peak), high * 0.5] {
        assert!((wrong - naive).abs() > 2.0 * step && (wrong - ort).abs() > 2.0 * step);
    }
}
