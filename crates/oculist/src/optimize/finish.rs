//! The last stage: measure on test images, export, and report.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use oculist_graph::Graph;
use oculist_report::{LayerWidth, Promise};

use super::Finished;
use super::pruning::Compressed;
use super::state::Run;
use crate::compress::candidate::{Candidate, change_text};
use crate::error::OculistError;
use crate::evaluate::evaluate_with;
use crate::measure;
use crate::pictures;
use crate::progress::{Watch, go_on};
use crate::run_folder::{
    BASELINE_FILE, INT8_FILE, METRICS_FILE, MODEL_FILE, REPORT_DATA_FILE, REPORT_FILE, SUMMARY_FILE,
};
use crate::summary::{Measured, bytes_text, counted, metrics_csv, points_text};

/// Measures the baseline and what compression made of it, writes models and report.
pub(crate) fn finish(
    mut run: Run,
    baseline: &Candidate,
    compressed: Option<&Compressed>,
    began: Instant,
    watch: &mut Watch<'_>,
) -> Result<Finished, OculistError> {
    run.stage("Measure on test images and export", watch);
    let started = Instant::now();
    let (optimising, stop) = (compressed.is_some(), watch.stop);
    let mut files = Vec::new();
    let mut measured =
        vec![measure_model(&run, "baseline", BASELINE_FILE, "f32", baseline, &mut files, stop)?];
    let mut recommended = "baseline";
    let mut best: &Graph = &baseline.graph;
    let mut promise = None;
    if let Some(c) = compressed {
        if let Some(candidate) = &c.f32 {
            measured.push(measure_model(&run, "compressed", MODEL_FILE, "f32", candidate, &mut files, stop)?);
            (recommended, best) = ("compressed", &candidate.graph);
        }
        if let Some(candidate) = &c.int8 {
            measured.push(measure_model(
                &run,
                "compressed-int8",
                INT8_FILE,
                "int8",
                candidate,
                &mut files,
                stop,
            )?);
            if c.int8_is_best {
                (recommended, best) = ("compressed-int8", &candidate.graph);
            }
        }
        promise = Some(promise_text(&run, baseline, c));
        run.summary.layers = c.pruned.iter().flat_map(|report| &report.layers).map(width).collect();
        run.summary.quantization.clone_from(&c.quantization);
    }
    if !files.iter().any(|f| f.ends_with(MODEL_FILE)) {
        // Whatever happens, model.onnx is the f32 model to use.
        let path = run.folder.file(MODEL_FILE);
        run.model(baseline.graph.clone()).write(&path)?;
        files.push(path);
    }
    let class_names = run.source.class_names().to_vec();
    let reference = measured[0].test.predictions.clone();
    run.summary.models = measured.iter().map(|m| m.facts(&class_names, Some(&reference))).collect();
    run.summary.recommended = Some(recommended.to_owned());
    run.summary.promise = promise;
    if !optimising {
        run.summary.max_drop = None;
        run.summary.target = None;
    }
    let chosen = measured.iter().position(|m| m.name == recommended).unwrap_or(0);
    go_on(stop)?;
    run.summary.samples = pictures::samples(&run, best, &measured[chosen].test, &measured[0].test)?;
    run.summary.augmented_samples = pictures::augmented(&run)?;
    go_on(stop)?;
    let exported = files.iter().map(|f| crate::model_file::file_name(f)).collect::<Vec<_>>().join(", ");
    run.step("measure and export", format!("wrote {exported}"), started, None, None, watch);
    run.summary.duration_s = began.elapsed().as_secs_f64();
    files.extend(write_report(&run)?);
    Ok(Finished { summary: run.summary, files })
}

fn measure_model(
    run: &Run,
    name: &'static str,
    file: &str,
    precision: &'static str,
    candidate: &Candidate,
    files: &mut Vec<PathBuf>,
    stop: &AtomicBool,
) -> Result<Measured, OculistError> {
    go_on(stop)?;
    let path = run.folder.file(file);
    let bytes = run.model(candidate.graph.clone()).write(&path)?;
    files.push(path);
    Ok(Measured {
        name,
        file: file.to_owned(),
        precision,
        val_top1: Some(candidate.val_top1),
        test: evaluate_with(run.probabilities(), &candidate.graph, &run.test, &run.ctx, stop)?,
        params: candidate.cost.params,
        macs: candidate.cost.macs,
        bytes,
        latency: measure::latency(&candidate.graph, &run.ctx, run.measure_time, stop)?,
        throughput: measure::throughput(&candidate.graph, &run.ctx, run.measure_time, stop)?,
    })
}

fn width(change: &oculist_passes::prune_channels::LayerChange) -> LayerWidth {
    LayerWidth { layer: change.name.clone(), before: change.channels.0, after: change.channels.1 }
}

fn promise_text(run: &Run, baseline: &Candidate, compressed: &Compressed) -> Promise {
    let max_drop = run.recipe.compression.max_drop;
    let best = if compressed.int8_is_best { &compressed.int8 } else { &compressed.f32 };
    let Some(best) = best else {
        return Promise {
            kept: false,
            text: format!(
                "no compressed model stayed within {} of the baseline's validation top-1 and was \
                 smaller or faster; the baseline is the result",
                points_text(max_drop)
            ),
        };
    };
    let drop = baseline.val_top1 - best.val_top1;
    let change = change_text(drop, ["lost", "gained", "stayed the same"]);
    Promise {
        kept: true,
        text: format!(
            "validation top-1 {change}, {} allowed; {} instead of {}{}",
            points_text(max_drop),
            bytes_text(best.cost.bytes),
            bytes_text(baseline.cost.bytes),
            few_images(run.summary.data.val, max_drop)
        ),
    }
}

/// What a promise says that so few images were measured for, as the end of a sentence; nothing where one image is a small
/// part of what is allowed.
fn few_images(images: usize, max_drop: f64) -> String {
    /// Below this, chance alone moves the accuracy by several points.
    const FEW: usize = 100;
    if images >= FEW && 100.0 / images as f64 <= max_drop {
        return String::new();
    }
    let (all, one) = (counted(images, "validation image", "validation images"), 100.0 / images.max(1) as f64);
    format!("; measured on {all}, of which one is {one:.2} points, so that it says little about other images")
}

fn write_report(run: &Run) -> Result<Vec<PathBuf>, OculistError> {
    let folder = &run.folder;
    folder.write(METRICS_FILE, metrics_csv(&run.summary.history).as_bytes())?;
    folder.write(SUMMARY_FILE, run.summary.to_summary_json()?.as_bytes())?;
    folder.write(REPORT_DATA_FILE, run.summary.to_data_json()?.as_bytes())?;
    folder.write(REPORT_FILE, oculist_report::render_html(&run.summary)?.as_bytes())?;
    Ok([SUMMARY_FILE, REPORT_FILE].map(|f| folder.file(f)).to_vec())
}

#[cfg(test)]
mod tests {
    use super::few_images;

    #[test]
    fn a_promise_on_few_images_says_so() {
        let text = few_images(3, 1.0);
        assert!(text.contains("on 3 validation images, of which one is 33.33 points"), "{text}");
        assert!(!few_images(1000, 0.05).is_empty(), "one image is more than what is allowed");
        assert!(few_images(1000, 1.0).is_empty() && few_images(100, 1.0).is_empty());
    }
}
