//! Graphs of many nodes: reading, tidying, passes, writing and planning take time in proportion to their number.
//!
//! What is compared is the shortest time of several for a graph and for one eight times as large. In proportion that is a
//! factor of eight; whatever looks at all nodes for each node makes it 64.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oculist_graph::{
    Concat, Conv, DataType, DequantizeLinear, Dropout, Graph, GraphBuilder, Node, Op, QuantizeLinear, Shape,
    Tensor, Unary, ValueId,
};
use oculist_passes::{
    QuantizeOptions, Range, fold_batch_norm, quantizable_values, quantize, remove_identity,
};
use oculist_runtime::{Context, Plan, PlanOptions};

const NODES: usize = 1500;
const TIMES_AS_MANY: usize = 8;

/// The shortest of a few times.
fn shortest(times: usize, mut run: impl FnMut()) -> Duration {
    let once = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..times).map(|_| once(&mut run)).min().unwrap_or_default()
}

/// Whether the time of `work` on what `make` gives grows as the number of nodes does.
fn is_linear<T>(make: impl Fn(usize) -> T, mut work: impl FnMut(&T)) -> Result<(), String> {
    let (few, many) = (make(NODES), make(TIMES_AS_MANY * NODES));
    let mut found = String::new();
    // Another program may take the processor while the large one is timed: then all is timed again.
    for _ in 0..4 {
        let small = shortest(5, || work(&few));
        let large = shortest(3, || work(&many));
        // Below two milliseconds it does not matter what grows how.
        if large < Duration::from_millis(2).max(small * 5 * TIMES_AS_MANY as u32) {
            return Ok(());
        }
        found = format!("{NODES} nodes take {small:?}, {TIMES_AS_MANY} times as many {large:?}");
    }
    Err(found)
}

fn assert_linear<T>(what: &str, make: impl Fn(usize) -> T, work: impl FnMut(&T)) {
    if let Err(found) = is_linear(make, work) {
        panic!("{what}: {found}");
    }
}

fn build(layer: impl Fn(&mut GraphBuilder, usize, ValueId) -> ValueId, n: usize) -> Graph {
    let mut b = GraphBuilder::new("net");
    let mut y = b.input("x", 4, 2, 2);
    for i in 0..n {
        y = layer(&mut b, i, y);
    }
    b.finish(y).expect("a valid graph")
}

fn relus(n: usize) -> Graph {
    build(|b, i, y| b.relu(&format!("r{i}"), y), n)
}

fn residuals(n: usize) -> Graph {
    let layer = |b: &mut GraphBuilder, i: usize, y: ValueId| {
        let z = b.conv(&format!("c{i}"), y, 4, Conv::square(1, 1, 0), true);
        b.add(&format!("a{i}"), z, y)
    };
    build(layer, n / 2)
}

/// Every addition may take the place of its first operand, and all read the same second one.
fn sums(n: usize) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 2, 2);
    let first = b.relu("first", x);
    let mut y = b.op("second", Op::Unary(Unary::Sigmoid), &[x]);
    for i in 0..n {
        y = b.add(&format!("a{i}"), y, first);
    }
    b.finish(y).expect("a valid graph")
}

fn depthwise(n: usize) -> Graph {
    let layer = |b: &mut GraphBuilder, i: usize, y: ValueId| {
        let y = b.conv(&format!("d{i}"), y, 4, Conv::square(3, 1, 1).with_groups(4), true);
        b.conv(&format!("p{i}"), y, 4, Conv::square(1, 1, 0), true)
    };
    build(layer, n / 2)
}

fn norms(n: usize) -> Graph {
    let layer = |b: &mut GraphBuilder, i: usize, y: ValueId| {
        let y = b.conv(&format!("c{i}"), y, 4, Conv::square(1, 1, 0), false);
        let y = b.batch_norm(&format!("n{i}"), y, 1e-5, 0.9);
        b.op(&format!("d{i}"), Op::Dropout(Dropout { ratio: 0.1 }), &[y])
    };
    build(layer, n / 3)
}

/// All alive until the end.
fn fan(n: usize) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("x", 4, 2, 2);
    let parts: Vec<ValueId> = (0..n).map(|i| b.relu(&format!("r{i}"), x)).collect();
    let y = b.op("all", Op::Concat(Concat::CHANNELS), &parts);
    b.finish(y).expect("a valid graph")
}

fn bounds(n: usize) -> Graph {
    build(
        |b, i, y| {
            b.op(&format!("c{i}"), Op::Unary(Unary::Clip { min: -1.0 - i as f32, max: 1.0 + i as f32 }), &[y])
        },
        n,
    )
}

fn quantized(n: usize) -> Graph {
    let float = fold_batch_norm(&remove_identity(&norms(n)).expect("no no-ops")).expect("folded");
    let ranges = ranges(&float);
    quantize(&float, &ranges, &QuantizeOptions::default()).expect("quantised")
}

fn ranges(graph: &Graph) -> BTreeMap<ValueId, Range> {
    let values = quantizable_values(graph).expect("values");
    values.into_iter().map(|v| (v, Range::new(-1.0 - v.index() as f32, 1.0))).collect()
}

/// Makes a graph of so many nodes.
type Make = fn(usize) -> Graph;

const GRAPHS: [(&str, Make); 8] = [
    ("relus", relus),
    ("residuals", residuals),
    ("sums", sums),
    ("depthwise", depthwise),
    ("norms", norms),
    ("fan", fan),
    ("bounds", bounds),
    ("quantized", quantized),
];

#[test]
fn building_and_tidying() {
    assert_linear("build", |n| n, |&n| drop(black_box(relus(n))));
    let reversed = |n: usize| {
        let mut graph = residuals(n);
        let mut edit = graph.edit();
        let mut nodes = edit.take_nodes();
        nodes.reverse();
        edit.replace_nodes(nodes);
        graph
    };
    assert_linear("tidy in reverse", reversed, |graph| {
        let mut graph = graph.clone();
        graph.tidy().expect("no cycle");
        graph.check().expect("a valid graph");
    });
}

#[test]
fn writing_and_reading() {
    for (name, make) in GRAPHS {
        assert_linear(&format!("write {name}"), make, |graph| {
            black_box(oculist_onnx::to_bytes(graph).expect("bytes"));
        });
        let bytes = |n: usize| oculist_onnx::to_bytes(&make(n)).expect("bytes");
        assert_linear(&format!("read {name}"), bytes, |bytes| {
            black_box(oculist_onnx::from_bytes(bytes).expect("a graph"));
        });
    }
}

#[test]
fn planning() {
    let context = Arc::new(Context::new(1).expect("a thread"));
    for (name, make) in GRAPHS {
        assert_linear(&format!("plan {name}"), make, |graph| {
            black_box(Plan::new(graph, &PlanOptions::new(1, context.clone())).expect("a plan"));
        });
    }
    let observed = |n: usize| {
        let graph = relus(n);
        let values = graph.nodes().iter().map(Node::output).collect();
        (graph, PlanOptions::new(1, context.clone()).with_observed(values))
    };
    assert_linear("plan with observed values", observed, |(graph, options)| {
        black_box(Plan::new(graph, options).expect("a plan"));
    });
}

#[test]
fn passes() {
    assert_linear("remove_identity", norms, |graph| {
        drop(black_box(remove_identity(graph).expect("a graph")));
    });
    let without = |n: usize| remove_identity(&norms(n)).expect("a graph");
    assert_linear("fold_batch_norm", without, |graph| {
        drop(black_box(fold_batch_norm(graph).expect("a graph")));
    });
    let float = |n: usize| {
        let graph = fold_batch_norm(&without(n)).expect("a graph");
        let ranges = ranges(&graph);
        (graph, ranges)
    };
    assert_linear("quantize", float, |(graph, ranges)| {
        black_box(quantize(graph, ranges, &QuantizeOptions::default()).expect("a graph"));
    });
    assert_linear("cost", residuals, |graph| drop(black_box(graph.cost())));
}

#[test]
fn whatever_is_quadratic_is_noticed() {
    let pairs = |graph: &Graph| {
        let values = graph.values();
        black_box(values.iter().map(|v| values.iter().filter(|w| w.name == v.name).count()).sum::<usize>());
    };
    assert!(is_linear(relus, pairs).is_err());
}

#[test]
fn a_long_chain_of_constants_is_computed_once() {
    let chain = |n: usize| {
        let mut graph = Graph::new("net");
        let x = graph.add_input("x", Shape::nchw(4, 2, 2));
        let scale = graph.add_param("scale", Tensor::f32(&[], vec![0.5]));
        let zero = graph.add_param("zero", Tensor::i8(&[], vec![0]));
        let mut w = graph.add_param("w", Tensor::filled(&[4, 4, 1, 1], 1.0));
        for i in 0..n {
            w = graph.add_node(
                format!("q{i}"),
                Op::QuantizeLinear(QuantizeLinear { axis: 0, block: 0, dtype: DataType::U8 }),
                vec![w, scale, zero],
            );
            w = graph.add_node(
                format!("d{i}"),
                Op::DequantizeLinear(DequantizeLinear::along(0)),
                vec![w, scale, zero],
            );
        }
        let y = graph.add_node("conv", Op::Conv(Conv::square(1, 1, 0)), vec![x, w]);
        graph.set_outputs(vec![y]);
        graph.tidy().expect("a valid graph");
        let context = Arc::new(Context::new(1).expect("a thread"));
        Plan::new(&graph, &PlanOptions::new(1, context)).map(|plan| plan.output_len())
    };
    assert_eq!(chain(2).expect("a plan"), 16);
    assert_eq!(chain(50_000).expect("a plan"), 16);
}
