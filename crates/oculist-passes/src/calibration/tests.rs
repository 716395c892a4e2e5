use oculist_graph::{Graph, Shape};
use oculist_testing::formula;

use super::*;

/// Numbers with a long tail on both sides: products of three uniform ones.
fn long_tail(n: usize) -> Vec<f32> {
    let [a, b, c] = ["a", "b", "c"].map(|name| formula::tensor(name, n));
    (0..n).map(|i| 40.0 * a[i] * b[i] * c[i]).collect()
}

fn histogram(data: &[f32]) -> Histogram {
    let mut h = Histogram::default();
    h.observe(data).unwrap();
    h
}

#[test]
fn order_and_batches_do_not_matter() {
    let data = long_tail(20_000);
    let whole = histogram(&data);
    let mut sorted = data.clone();
    sorted.sort_by(f32::total_cmp);
    // Small values first: the bins are joined many times.
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let mut grown = Histogram::default();
    for batch in sorted.chunks(77) {
        grown.observe(batch).unwrap();
    }
    assert_eq!(grown, whole);
    let (mut left, right) = (histogram(&data[..100]), histogram(&data[100..]));
    left.merge(&right);
    assert_eq!(left, whole);
    let mut right = histogram(&data[100..]);
    right.merge(&histogram(&data[..100]));
    assert_eq!(right, whole);
    // The twin: one value more is seen.
    left.observe(&[0.5]).unwrap();
    assert_ne!(left, whole);
}

#[test]
fn min_max_is_exact() {
    let data = long_tail(5_000);
    let range = histogram(&data).range(CalibrationMethod::MinMax).unwrap();
    assert_eq!(range.min, data.iter().copied().fold(f32::INFINITY, f32::min));
    assert_eq!(range.max, data.iter().copied().fold(f32::NEG_INFINITY, f32::max));
}

#[test]
fn percentile_is_a_quantile_to_within_one_bin() {
    let mut data = long_tail(50_000);
    // Half of the values exactly 0, as behind Relu.
    data.extend(vec![0.0; 50_000]);
    let h = histogram(&data);
    data.sort_by(f32::total_cmp);
    for p in [90.0, 99.0, 99.9, 99.99, 100.0] {
        let range = h.range(CalibrationMethod::Percentile(p)).unwrap();
        let cut = ((100.0 - p) / 200.0 * data.len() as f64).floor() as usize;
        let (lo, hi) = (f64::from(data[cut]), f64::from(data[data.len() - 1 - cut]));
        assert!(
            (f64::from(range.min) - lo).abs() <= h.width() && range.min <= data[cut],
            "{p}: {range:?} {lo}"
        );
        assert!((f64::from(range.max) - hi).abs() <= h.width(), "{p}: {range:?} {hi}");
    }
    let narrow = h.range(CalibrationMethod::Percentile(99.0)).unwrap();
    let wide = h.range(CalibrationMethod::Percentile(99.9)).unwrap();
    assert!(narrow.max < wide.max && narrow.min > wide.min);
}

#[test]
fn entropy_cuts_an_outlier_and_keeps_a_uniform_range() {
    let uniform: Vec<f32> = formula::tensor("u", 50_000).iter().map(|x| x.abs() * 3.0).collect();
    let range = histogram(&uniform).range(CalibrationMethod::Entropy).unwrap();
    assert!(range.max > 2.9 && range.min >= 0.0, "{range:?}");
    let mut spoiled = uniform.clone();
    spoiled.push(40.0);
    let range = histogram(&spoiled).range(CalibrationMethod::Entropy).unwrap();
    assert!(range.max < 6.0 && range.max > 2.9, "{range:?}");
    // Both sides are searched, each by itself.
    let mut both: Vec<f32> = formula::tensor("v", 50_000);
    both.extend([-30.0, 8.0]);
    let range = histogram(&both).range(CalibrationMethod::Entropy).unwrap();
    assert!(range.min > -4.0 && range.min < -0.95 && range.max < 4.0 && range.max > 0.95, "{range:?}");
    let negative: Vec<f32> = uniform.iter().map(|x| -x).collect();
    let range = histogram(&negative).range(CalibrationMethod::Entropy).unwrap();
    assert!(range.min < -2.9 && range.max <= 0.0, "{range:?}");
}

#[test]
fn zeros_and_tiny_values_are_ranges_too() {
    for method in
        [CalibrationMethod::MinMax, CalibrationMethod::Percentile(99.99), CalibrationMethod::Entropy]
    {
        let range = histogram(&[0.0; 100]).range(method).unwrap();
        assert_eq!((range.min, range.max), (0.0, 0.0), "{method:?}");
        let range = histogram(&[1e-38, 2e-38]).range(method).unwrap();
        assert!(range.max <= 2e-38 && range.min <= range.max, "{method:?}");
        let range = histogram(&[f32::MAX, -f32::MAX]).range(method).unwrap();
        assert!(range.max.is_finite() && range.min.is_finite(), "{method:?}");
    }
    assert_eq!(Histogram::default().range(CalibrationMethod::MinMax), None);
}

fn graph() -> (Graph, ValueId) {
    let mut graph = Graph::new("g");
    let x = graph.add_input("x", Shape::nchw(3, 2, 2));
    (graph, x)
}

#[test]
fn padded_channels_do_not_count() {
    let (graph, x) = graph();
    let mut calibrator = Calibrator::new(&graph, &[x]);
    let rows = [1.0, 2.0, 3.0, -9.0, 4.0, 5.0, 6.0, -9.0];
    calibrator.observe_nhwc(x, &rows, 3, 4).unwrap();
    assert_eq!(calibrator.ranges(CalibrationMethod::MinMax).unwrap()[&x], Range::new(1.0, 6.0));
    let mut means = ChannelMeans::new();
    means.observe_nhwc(x, &rows, 3, 4).unwrap();
    assert_eq!(means.means()[&x], [2.5, 3.5, 4.5]);
    let mut planes = ChannelMeans::new();
    planes.observe_nchw(x, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0], 3, 2).unwrap();
    assert_eq!(planes.means(), means.means());
}

#[test]
fn bad_data_are_refused() {
    let (graph, x) = graph();
    let mut calibrator = Calibrator::new(&graph, &[x]);
    let error = calibrator.ranges(CalibrationMethod::MinMax).unwrap_err().to_string();
    assert_eq!(error, "calibration: `x`: expected calibration data, found none");
    let error = calibrator.observe(x, &[1.0, f32::NAN]).unwrap_err().to_string();
    assert_eq!(error, "calibration: `x`: expected finite values, found NaN");
    assert!(calibrator.observe_nhwc(x, &[1.0], 5, 4).is_err());
    assert!(Calibrator::new(&graph, &[]).observe(x, &[1.0]).is_err());
    calibrator.observe(x, &[1.0]).unwrap();
    assert!(calibrator.ranges(CalibrationMethod::Percentile(101.0)).is_err());
    let mut means = ChannelMeans::new();
    means.observe_nhwc(x, &[1.0, 2.0], 2, 2).unwrap();
    assert!(means.observe_nhwc(x, &[1.0], 1, 1).is_err());
    assert!(means.observe_nhwc(x, &[f32::NAN, 1.0], 2, 2).is_err());
}
