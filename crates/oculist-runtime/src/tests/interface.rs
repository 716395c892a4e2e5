//! The public interface: batches, layouts, observation, errors, measurement.

use std::time::Duration;

use oculist_graph::{AveragePool, Conv, Flatten, Graph, Node, Op, Plane, Unary};

use super::{context, error, graph, images, planned, reference};
use crate::{InputLayout, Isa, MeasureOptions, Plan, PlanOptions, RuntimeError, measure, top1};

fn small() -> Graph {
    graph(3, 8, 8, |b, x| {
        let a = b.conv("a", x, 16, Conv::square(3, 1, 1), false);
        let n = b.batch_norm("norm", a, 1e-5, 0.9);
        let r = b.relu("relu", n);
        let c = b.conv("c", r, 16, Conv::square(3, 1, 1), true);
        let s = b.add("sum", c, r);
        let f = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[s]);
        b.linear("fc", f, 4)
    })
}

fn options(batch: usize) -> PlanOptions {
    PlanOptions::new(batch, context(2, Isa::detect())).with_input_layout(InputLayout::Nchw)
}

#[test]
fn any_number_of_images_gives_the_same_rows() {
    let graph = small();
    let images = images(&graph, 7);
    let want = planned(&graph, &images, 7, context(2, Isa::detect()));
    for batch in [1, 2, 3, 4, 16] {
        let got = planned(&graph, &images, batch, context(2, Isa::detect()));
        let e = error(&got, &want.iter().map(|&w| f64::from(w)).collect::<Vec<_>>());
        assert!(e < 1e-5, "error {e:e} at batch {batch}");
    }
}

#[test]
fn threads_with_images_of_their_own_answer_as_for_one_image() {
    let graph = small();
    let images = images(&graph, 7);
    let single = planned(&graph, &images, 1, context(1, Isa::detect()));
    let mut plan = Plan::new(&graph, &options(8)).unwrap();
    assert!(plan.describe().contains("whole images"), "{}", plan.describe());
    assert!(plan.profile(1).unwrap().contains("whole images"));
    assert!(plan.arena_bytes() < plan.unshared_bytes());
    for n in [7, 1] {
        let mut logits = vec![f32::NAN; n * 4];
        plan.run(&images[..n * 192], &mut logits).unwrap();
        assert!(logits == single[..n * 4], "{n} images");
    }
    // An observed value is one of the whole batch, and a thread alone has nobody to wait for.
    let input = graph.inputs().to_vec();
    for other in [options(8).with_observed(input), PlanOptions::new(8, context(1, Isa::detect()))] {
        assert!(!Plan::new(&graph, &other).unwrap().describe().contains("whole images"));
    }
}

#[test]
fn nhwc_and_nchw_mean_the_same() {
    let graph = small();
    let nchw = images(&graph, 2);
    let mut nhwc = vec![0.0; nchw.len()];
    for (i, value) in nhwc.iter_mut().enumerate() {
        let (n, p, c) = (i / 192, i / 3 % 64, i % 3);
        *value = nchw[n * 192 + c * 64 + p];
    }
    let want = planned(&graph, &nchw, 2, context(1, Isa::detect()));
    let mut plan = Plan::new(&graph, &PlanOptions::new(2, context(1, Isa::detect()))).unwrap();
    assert_eq!(plan.predict(&nhwc).unwrap(), want);
    assert_ne!(plan.predict(&nchw).unwrap(), want);
}

#[test]
fn every_value_can_be_observed() {
    let graph = small();
    let images = images(&graph, 2);
    let want = reference(&graph, &images);
    let all: Vec<_> = graph.inputs().iter().copied().chain(graph.nodes().iter().map(Node::output)).collect();
    for observe in all.iter().map(|&v| vec![v]).chain([all.clone()]) {
        let mut plan = Plan::new(&graph, &options(3).with_observed(observe.clone())).unwrap();
        let mut seen = Vec::new();
        let mut logits = vec![0.0; 8];
        plan.run_observed(&images, &mut logits, &mut |o| {
            let e = error(&o.to_nchw(), want.get(o.value).data());
            assert!(e < 2e-5, "error {e:e} of {}", graph.value(o.value).name);
            seen.push(o.value);
        })
        .unwrap();
        seen.sort();
        let mut sorted = observe;
        sorted.sort();
        assert_eq!(seen, sorted);
        assert!(error(&logits, want.output(0).data()) < 2e-5);
    }
}

#[test]
fn fusion_leaves_few_steps() {
    let plan = Plan::new(&small(), &options(1)).unwrap();
    let text = plan.describe();
    assert_eq!(plan.steps.len(), 4, "{text}");
    assert!(text.contains("residual") && text.contains("Relu"), "{text}");
    assert!(plan.arena_bytes() < plan.unshared_bytes() + 4096, "{text}");
}

#[test]
fn a_shortcut_is_computed_before_the_convolution_that_adds_it() {
    let graph = graph(16, 8, 8, |b, x| {
        let y = b.conv("a", x, 32, Conv::square(3, 2, 1), true);
        let s = b.op("pool", AveragePool::square(2, 2, 0, false), &[x]);
        let s = b.pad_channels("pad", s, 8, 8);
        let y = b.add("sum", y, s);
        b.relu("relu", y)
    });
    super::check(&graph);
    let plan = Plan::new(&graph, &options(1)).unwrap();
    let names: Vec<_> = plan.steps.iter().map(|step| step.work.name()).collect();
    assert_eq!(names, ["to NHWC", "average pool", "pad channels", "conv"]);
}

#[test]
fn large_inverted_residual_blocks_are_one_step() {
    let build = |stride: usize, size: usize| {
        graph(16, size, size, |b, x| {
            let y = b.conv("expand", x, 48, Conv::square(1, 1, 0), true);
            let y = b.op("clip1", Op::Unary(Unary::Clip { min: 0.0, max: 6.0 }), &[y]);
            let y = b.conv("depthwise", y, 48, Conv::square(3, stride, 1).with_groups(48), true);
            let y = b.op("clip2", Op::Unary(Unary::Clip { min: 0.0, max: 6.0 }), &[y]);
            let y = b.conv("project", y, 16, Conv::square(1, 1, 0), true);
            if stride == 1 { b.add("sum", y, x) } else { y }
        })
    };
    let names = |graph: &Graph| -> Vec<_> {
        let plan = Plan::new(graph, &options(3)).unwrap();
        plan.steps.iter().map(|step| step.work.name()).collect()
    };
    for stride in [1, 2] {
        super::check(&build(stride, 62));
        assert_eq!(names(&build(stride, 62)), ["to NHWC", "inverted residual block"]);
    }
    assert_eq!(names(&build(1, 16)).len(), 4);
    // What is observed is not swallowed.
    let graph = build(1, 62);
    let depthwise = graph.find("depthwise.out").unwrap();
    let plan = Plan::new(&graph, &options(3).with_observed(vec![depthwise])).unwrap();
    assert_eq!(plan.steps.last().unwrap().work.name(), "conv");
}

#[test]
fn bad_calls_are_refused() {
    let graph = small();
    let mut plan = Plan::new(&graph, &options(2)).unwrap();
    let mut logits = vec![0.0; 4];
    for len in [0, 191, 3 * 192] {
        let e = plan.run(&vec![0.0; len], &mut logits).unwrap_err();
        assert!(e.to_string().contains("1 to 2 images of 192"), "{e}");
    }
    assert!(plan.run(&[0.0; 192], &mut [0.0; 5]).unwrap_err().to_string().contains("found 5"));
    assert!(plan.predict(&[0.0; 100]).is_err());
    assert!(matches!(Plan::new(&graph, &options(0)), Err(RuntimeError::Options(_))));
    let weight = graph.find("a.weight").unwrap();
    assert!(matches!(
        Plan::new(&graph, &options(1).with_observed(vec![weight])),
        Err(RuntimeError::Options(_))
    ));
}

#[test]
fn measuring_counts_runs() {
    let mut plan = Plan::new(&small(), &options(4)).unwrap();
    let limits = MeasureOptions {
        warm_up: Duration::ZERO,
        time: Duration::ZERO,
        min_runs: 3,
        max_runs: 9,
        ..MeasureOptions::new(4)
    };
    let m = measure(&mut plan, &limits).unwrap();
    assert_eq!((m.runs, m.images), (3, 4));
    assert!(0.0 < m.min && m.min <= m.median && m.median <= m.max);
    assert!(measure(&mut plan, &MeasureOptions { images: 5, ..limits }).is_err());
    assert!(measure(&mut plan, &MeasureOptions { max_runs: 2, ..limits }).is_err());
}

#[test]
fn a_profile_lists_every_step() {
    let mut plan = Plan::new(&small(), &options(2)).unwrap();
    let text = plan.profile(2).unwrap();
    assert_eq!(text.lines().count(), 1 + plan.steps.len(), "{text}");
    assert!(text.contains("in 4 steps") && text.contains("conv"), "{text}");
    assert!(plan.profile(0).is_err());
}

#[test]
fn top1_takes_the_first_of_equals() {
    assert_eq!(top1(&[0.0, 2.0, 2.0, 5.0, 1.0, 5.0], 3), [1, 0]);
}

#[test]
fn a_plan_beyond_the_memory_is_refused_before_it_is_made() {
    let graph = small();
    let limited = |batch: usize, threads: usize, bytes: usize| {
        let context = oculist_kernels::Context::new(threads).unwrap().with_max_memory(bytes);
        Plan::new(&graph, &PlanOptions::new(batch, std::sync::Arc::new(context))).map(|plan| plan.batch())
    };
    // Weights of some 100 KiB; 16 channels of 64 pixels, two alive at a time, are 8 KiB for each image.
    assert_eq!(limited(1, 1, 1 << 20).unwrap(), 1);
    for (batch, threads) in [(4000, 1), (4000, 4)] {
        let error = limited(batch, threads, 1 << 20).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RuntimeError::Memory(_)), "{text}");
        assert!(text.contains("for 4000 images needs") && text.contains("limit is 1.0 MiB"), "{text}");
        assert_eq!(limited(batch, threads, 1 << 30).unwrap(), 4000);
    }
    let error = limited(1, 1, 8000).unwrap_err().to_string();
    assert!(error.contains("weights of node"), "{error}");
}

#[test]
fn absurd_batches_and_maps_overflow_nothing() {
    let graph = small();
    for batch in [1 << 40, 1 << 62, usize::MAX] {
        let error = Plan::new(&graph, &options(batch)).unwrap_err().to_string();
        assert!(error.contains("needs"), "{error}");
    }
    let mut b = oculist_graph::GraphBuilder::new("wide");
    let x = b.input("x", 1, 32, 32);
    let plane = Plane { kernel: [1; 2], stride: [1; 2], padding: [1 << 19; 4], dilation: [1; 2] };
    let y = b.conv("pad", x, 4, Conv::plane(plane, 1), false);
    let graph = b.finish(y).unwrap();
    let error = Plan::new(&graph, &options(1)).unwrap_err().to_string();
    assert!(error.contains("value `pad.out` [N, 4, 1048608, 1048608]") && error.contains("TiB"), "{error}");
}
