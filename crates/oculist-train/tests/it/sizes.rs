//! What is refused before memory is taken, and that planning is linear in the number of nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oculist_graph::{Conv, Flatten, GlobalPool, Graph, GraphBuilder, MaxPool, Op};
use oculist_kernels::Context;
use oculist_train::{Executor, Mode, TrainError};

fn chain(n: usize) -> Graph {
    let mut b = GraphBuilder::new("chain");
    let mut y = b.input("x", 3, 2, 2);
    for i in 0..n {
        y = b.conv(&format!("c{i}"), y, 3, Conv::square(1, 1, 0), false);
        y = b.batch_norm(&format!("n{i}"), y, 1e-5, 0.9);
        y = b.relu(&format!("r{i}"), y);
    }
    let y = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[y]);
    let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
    let y = b.linear("fc", y, 2);
    b.finish(y).expect("a valid graph")
}

fn plan(graph: &Graph, batch: usize, bytes: usize) -> Result<usize, String> {
    let context = Context::new(1).expect("a thread").with_max_memory(bytes);
    Executor::new(Arc::new(context), graph, batch, Mode::Train).map(|e| e.bytes()).map_err(|e| e.to_string())
}

#[test]
fn a_batch_beyond_the_memory_is_refused() {
    let graph = chain(2);
    let needed = plan(&graph, 64, 1 << 30).expect("a plan");
    assert!(plan(&graph, 64, needed).is_ok(), "the bytes that are checked are those that are taken");
    let error = plan(&graph, 64, needed - 1).expect_err("one byte less");
    assert!(error.contains("training `chain` on batches of 64 images needs"), "{error}");
    for batch in [1 << 40, 1 << 62, usize::MAX] {
        assert!(plan(&graph, batch, 1 << 30).is_err(), "{batch} images");
    }
}

#[test]
fn a_graph_without_weights_runs_and_is_not_trained() {
    let mut b = GraphBuilder::new("mean");
    let x = b.input("x", 3, 2, 2);
    let y = b.op("pool", Op::GlobalPool(GlobalPool::Average), &[x]);
    let y = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[y]);
    let graph = b.finish(y).expect("a valid graph");
    let context = Arc::new(Context::new(1).expect("a thread"));
    assert!(Executor::new(context.clone(), &graph, 1, Mode::Eval).is_ok());
    let error = Executor::new(context.clone(), &graph, 1, Mode::Train).expect_err("no weights");
    assert!(matches!(error, TrainError::NothingToTrain { .. }) && error.to_string().contains("`mean`"));
    assert!(Executor::check(&context, &graph, 1, Mode::Train).is_err());
    assert!(Executor::check(&context, &chain(1), 1, Mode::Train).is_ok());
}

#[test]
fn a_window_that_no_kernel_has_is_refused() {
    let mut b = GraphBuilder::new("pool");
    let x = b.input("x", 16, 300, 300);
    let y = b.op("window", Op::MaxPool(MaxPool::square(260, 1, 0)), &[x]);
    let error = plan(&b.finish(y).expect("a valid graph"), 1, 1 << 30).expect_err("too large a window");
    assert!(error.contains("260 x 260"), "{error}");
}

#[test]
fn planning_takes_time_in_proportion_to_the_nodes() {
    let (few, many) = (chain(300), chain(2400));
    let shortest = |graph: &Graph| {
        (0..4)
            .map(|_| {
                let start = Instant::now();
                plan(graph, 1, 1 << 30).expect("a plan");
                start.elapsed()
            })
            .min()
            .expect("a time")
    };
    // Eight times as many; whatever looks at all for each makes that 64.
    let linear = (0..4).any(|_| {
        let small = shortest(&few);
        shortest(&many) < (small * 24).max(Duration::from_millis(2))
    });
    assert!(linear, "{:?} and {:?}", shortest(&few), shortest(&many));
}
