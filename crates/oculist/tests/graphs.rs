//! Every operator behind every other one through what happens to a model: folding, int8, pruning, export, and running
//! all of these, against the f64 interpreter.

use std::collections::BTreeMap;
use std::sync::Arc;

use oculist_graph::{Graph, ValueId};
use oculist_passes::{
    CalibrationMethod, Calibrator, ChannelGroups, ChannelMeans, Importance, PassError, PruneOptions,
    PruneTarget, QuantizeOptions, correct_bias, fold_batch_norm, importance, layer_inputs, prune_channels,
    quantizable_values, quantize, remove_identity, taylor,
};
use oculist_runtime::{Context, Plan, PlanOptions};
use oculist_testing::graphs::pairs;
use oculist_testing::interpret::{self, Array};
use oculist_testing::reference::Noise;
use oculist_train::{Executor, Mode};

const BATCH: usize = 3;

/// The images, NHWC for the runtime and NCHW for the interpreter.
fn images(graph: &Graph) -> (Vec<f32>, Array) {
    let (c, h, w) = graph.input_chw().unwrap();
    let nchw = Noise::new(3).vector(BATCH * c * h * w);
    let mut nhwc = vec![0.0; nchw.len()];
    for n in 0..BATCH {
        for k in 0..c {
            for p in 0..h * w {
                nhwc[(n * h * w + p) * c + k] = nchw[(n * c + k) * h * w + p];
            }
        }
    }
    (nhwc, Array::from_f32(&[BATCH, c, h, w], &nchw))
}

fn interpreted(graph: &Graph) -> Vec<f64> {
    interpret::run(graph, &[images(graph).1]).output(0).data().to_vec()
}

fn executed(graph: &Graph, ctx: &Arc<Context>) -> Result<Vec<f32>, String> {
    let mut plan = Plan::new(graph, &PlanOptions::new(BATCH, ctx.clone())).map_err(|e| e.to_string())?;
    let mut logits = vec![0.0; BATCH * plan.output_len()];
    plan.run(&images(graph).0, &mut logits).map_err(|e| e.to_string())?;
    Ok(logits)
}

/// Largest difference relative to the largest element.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-3f64, |m, v| m.max(v.abs()));
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max) / largest
}

fn near(what: &str, got: &[f32], want: &[f64], tolerance: f64) -> Result<(), String> {
    let off = distance(got, want);
    if off <= tolerance { Ok(()) } else { Err(format!("{what} is off by {off}")) }
}

/// int8 as the product makes it: ranges and means of what the runtime saw, biases corrected.
fn quantised(float: &Graph, ctx: &Arc<Context>) -> Result<Graph, String> {
    let text = |e: PassError| e.to_string();
    let values = quantizable_values(float).map_err(text)?;
    let inputs = layer_inputs(float);
    let mut observed: Vec<ValueId> = values.clone();
    observed.extend(inputs.iter().filter(|v| !values.contains(v)));
    let options = PlanOptions::new(BATCH, ctx.clone()).with_observed(observed);
    let mut plan = Plan::new(float, &options).map_err(|e| e.to_string())?;
    let (nhwc, nchw) = images(float);
    let run = interpret::run(float, &[nchw]);
    let (mut calibrator, mut means) = (Calibrator::new(float, &values), ChannelMeans::new());
    let mut problem = None;
    let mut logits = vec![0.0; BATCH * plan.output_len()];
    let observer = &mut |o: &oculist_runtime::Observed<'_>| {
        // What is shown of a value is the value, whatever it looks like in memory.
        let seen = near(&float.value(o.value).name, &o.to_nchw(), run.get(o.value).data(), 1e-4);
        let look = || -> oculist_passes::Result<()> {
            if values.contains(&o.value) {
                calibrator.observe_nhwc(o.value, o.data, o.channels, o.channel_stride)?;
            }
            if inputs.contains(&o.value) {
                let shape = run.get(o.value).shape();
                means.observe_nchw(o.value, &o.to_nchw(), shape[1], shape[2..].iter().product())?;
            }
            Ok(())
        };
        let mut look = look;
        if let Err(e) = seen.and_then(|()| look().map_err(text)) {
            problem.get_or_insert(e);
        }
    };
    plan.run_observed(&nhwc, &mut logits, observer).map_err(|e| e.to_string())?;
    if let Some(problem) = problem {
        return Err(problem);
    }
    let ranges = calibrator.ranges(CalibrationMethod::MinMax).map_err(text)?;
    let corrected = correct_bias(float, &means.means(), &QuantizeOptions::default()).map_err(text)?;
    quantize(&corrected, &ranges, &QuantizeOptions::default()).map_err(text)
}

/// Gradients of one training step.
fn gradients(graph: &Graph, ctx: &Arc<Context>) -> Result<BTreeMap<ValueId, oculist_graph::Tensor>, String> {
    let mut executor = Executor::new(ctx.clone(), graph, BATCH, Mode::Train).map_err(|e| e.to_string())?;
    let ones = vec![1.0; executor.forward_train(&images(graph).0, 0).len()];
    executor.backward(&ones);
    Ok(executor.gradient_tensors().into_iter().collect())
}

fn pruned(graph: &Graph, ctx: &Arc<Context>) -> Result<Option<Graph>, String> {
    let groups = ChannelGroups::analyze(graph).map_err(|e| e.to_string())?;
    let scores = taylor(graph, &groups, &gradients(graph, ctx)?).map_err(|e| e.to_string())?;
    if scores.len() != importance(graph, &groups, Importance::L2).len() {
        return Err("two measures score different units".into());
    }
    let options = PruneOptions {
        target: PruneTarget::Macs(0.7),
        min_channels: 1,
        round_to: 1,
        ..PruneOptions::default()
    };
    match prune_channels(graph, &groups, &scores, &options) {
        Ok((pruned, _)) => Ok(Some(pruned)),
        Err(PassError::TargetOutOfReach { .. }) => Ok(None),
        Err(e) => Err(e.to_string()),
    }
}

/// Everything that a model goes through; says whether it could be pruned.
fn survives(graph: &Graph, ctx: &Arc<Context>) -> Result<bool, String> {
    let want = interpreted(graph);
    near("the runtime", &executed(graph, ctx)?, &want, 1e-4)?;
    let bytes = oculist_onnx::to_bytes(graph).map_err(|e| e.to_string())?;
    let read = oculist_onnx::from_bytes(&bytes).map_err(|e| e.to_string())?;
    near("the file", &executed(&read, ctx)?, &want, 1e-4)?;
    let plain = remove_identity(graph).map_err(|e| e.to_string())?;
    let float = fold_batch_norm(&plain).map_err(|e| e.to_string())?;
    near("the folded graph", &executed(&float, ctx)?, &want, 1e-4)?;
    let int8 = quantised(&float, ctx)?;
    near("the runtime in int8", &executed(&int8, ctx)?, &interpreted(&int8), 0.03)?;
    near("the int8 graph", &executed(&int8, ctx)?, &want, 0.25)?;
    let Some(pruned) = pruned(graph, ctx)? else { return Ok(false) };
    pruned.check().map_err(|e| e.to_string())?;
    near("the pruned graph", &executed(&pruned, ctx)?, &interpreted(&pruned), 1e-4)?;
    gradients(&pruned, ctx)?;
    Ok(true)
}

#[test]
fn every_pair_of_operators_goes_through_everything() {
    let ctx = Arc::new(Context::new(1).unwrap());
    let (mut wrong, mut could_be_pruned) = (Vec::new(), 0);
    for graph in pairs() {
        match survives(&graph, &ctx) {
            Ok(pruned) => could_be_pruned += usize::from(pruned),
            Err(problem) => wrong.push(format!("{}: {problem}", graph.name())),
        }
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(could_be_pruned > 300, "{could_be_pruned}");
}

#[test]
fn a_wrong_order_is_noticed() {
    let graph = pairs().swap_remove(0);
    let ctx = Arc::new(Context::new(1).unwrap());
    let want = interpreted(&graph);
    let mut got = executed(&graph, &ctx).unwrap();
    near("right", &got, &want, 1e-4).unwrap();
    got.swap(0, 1);
    assert!(near("wrong", &got, &want, 0.03).is_err());
}
