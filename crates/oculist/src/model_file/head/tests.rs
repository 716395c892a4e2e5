use std::sync::Arc;

use oculist_graph::{
    Binary, Concat, Conv, DataType, DequantizeLinear, Dropout, Flatten, Gemm, GraphBuilder, Identity,
    QuantizeLinear, Softmax, Unary,
};
use oculist_runtime::{Context, Plan, PlanOptions};

use super::*;
use crate::metrics::softmax;

const CLASSES: usize = 3;

/// Two features to three classes, and what `behind` makes of the logits.
fn network(behind: impl Fn(&mut GraphBuilder, ValueId) -> ValueId) -> Graph {
    let mut b = GraphBuilder::new("net");
    let x = b.input("image", 1, 1, 2);
    let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
    let weight = b.param("weight", Tensor::f32(&[3, 2], vec![1.5, -0.5, 0.25, 2.0, -1.0, 0.75]));
    let x = b.op("fc", Op::Gemm(Gemm::LINEAR), &[x, weight]);
    let x = behind(&mut b, x);
    b.finish(x).unwrap()
}

fn quantize(b: &mut GraphBuilder, name: &str, x: ValueId) -> ValueId {
    let scale = b.param(&format!("{name}.scale"), Tensor::f32(&[], vec![1.0 / 256.0]));
    let zero = b.param(&format!("{name}.zero_point"), Tensor::u8(&[], vec![0]));
    let q = b.op(
        &format!("{name}.q"),
        Op::QuantizeLinear(QuantizeLinear { axis: 1, block: 0, dtype: DataType::U8 }),
        &[x, scale, zero],
    );
    b.op(&format!("{name}.dq"), Op::DequantizeLinear(DequantizeLinear::along(1)), &[q, scale, zero])
}

fn answers(graph: &Graph) -> Vec<f32> {
    let ctx = Arc::new(Context::new(1).unwrap());
    let mut plan = Plan::new(graph, &PlanOptions::new(1, ctx)).unwrap();
    let mut out = vec![0.0; plan.output_len()];
    plan.run(&[1.0, 0.5], &mut out).unwrap();
    out
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!((a.len(), b.len()), (CLASSES, CLASSES));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

type Behind = fn(&mut GraphBuilder, ValueId) -> ValueId;

/// Ends of files that mean probabilities, with how exactly.
const PROBABILITIES: [(Behind, f32); 6] = [
    (|b, x| b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]), 1e-6),
    (
        |b, x| {
            let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
            let x = b.op("dropout", Op::Dropout(Dropout { ratio: 0.5 }), &[x]);
            b.op("identity", Op::Identity(Identity), &[x])
        },
        1e-6,
    ),
    // Of the rounding to 256 levels a half remains.
    (
        |b, x| {
            let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
            let x = quantize(b, "out", x);
            b.op("identity", Op::Identity(Identity), &[x])
        },
        0.5 / 256.0 + 1e-6,
    ),
    // What keeps probabilities as they are, or nearly.
    (
        |b, x| {
            let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
            b.op("clip", Op::Unary(Unary::Clip { min: 1e-7, max: 1.0 }), &[x])
        },
        1e-6,
    ),
    (
        |b, x| {
            let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
            let x = b.op("relu", Op::Unary(Unary::Relu), &[x]);
            b.op("concat", Op::Concat(Concat::CHANNELS), &[x])
        },
        1e-6,
    ),
    // The second takes what the first gives as logits.
    (
        |b, x| {
            let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
            b.op("again", Op::Softmax(Softmax::along(1)), &[x])
        },
        1e-6,
    ),
];

#[test]
fn probabilities_stay_what_the_file_says_and_come_back() {
    for (behind, tolerance) in PROBABILITIES {
        let file = network(behind);
        let said = answers(&file);
        let mut graph = file.clone();
        let head = Head::take(&mut graph).unwrap();
        assert!(!head.is_empty());
        let ours = softmax(&answers(&graph));
        assert!(distance(&ours, &said) <= tolerance, "{ours:?}, the file says {said:?}");
        // What a second softmax on top gives would be noticed.
        assert!(distance(&softmax(&said), &said) > 0.05);
        head.put_back(&mut graph).unwrap();
        assert_eq!(graph.dump(), file.dump());
        assert_eq!(answers(&graph), said);
    }
}

#[test]
fn a_taken_name_gets_a_number() {
    let file = network(PROBABILITIES[2].0);
    let mut graph = file.clone();
    let head = Head::take(&mut graph).unwrap();
    // A pass has meanwhile used these names.
    let logits = graph.outputs()[0];
    let x = graph.add_activation("softmax.out");
    graph.edit().push(Node {
        name: "softmax".into(),
        op: Identity.into(),
        inputs: [logits].into(),
        outputs: vec![x],
    });
    graph.set_outputs(vec![x]);
    graph.tidy().unwrap();
    head.put_back(&mut graph).unwrap();
    graph.check().unwrap();
    assert_eq!(answers(&graph), answers(&file));
    assert!(graph.nodes().iter().any(|node| node.name == "softmax_2"));
}

#[test]
fn logits_stay_and_a_softmax_within_is_none_at_the_end() {
    let logits = network(|_, x| x);
    let within = network(|b, x| {
        let x = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        b.linear("fc2", x, 3)
    });
    let identity = network(|b, x| b.op("identity", Op::Identity(Identity), &[x]));
    for file in [logits, within, identity] {
        let mut graph = file.clone();
        assert!(Head::take(&mut graph).unwrap().is_empty());
        assert_eq!(graph, file);
    }
}

#[test]
fn logits_that_are_probabilities_are_known() {
    let mut graph = network(PROBABILITIES[5].0);
    Head::take(&mut graph).unwrap();
    assert_eq!(softmax_as_logits(&graph).map(|n| n.name.as_str()), Some("softmax"));
    let mut graph = network(PROBABILITIES[0].0);
    Head::take(&mut graph).unwrap();
    assert!(softmax_as_logits(&graph).is_none());
}

/// Probabilities that are changed on their way to the output.
const CHANGED: [Behind; 5] = [
    |b, x| {
        let y = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        let z = b.op("other", Op::Softmax(Softmax::along(1)), &[x]);
        b.add("mean", y, z)
    },
    |b, x| {
        let y = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        b.op("narrow", Op::Unary(Unary::Clip { min: 0.2, max: 0.8 }), &[y])
    },
    |b, x| {
        let y = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        b.add("residual", x, y)
    },
    |b, x| {
        let y = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        b.op("swish", Op::Unary(Unary::HardSwish), &[y])
    },
    |b, x| {
        let y = b.op("softmax", Op::Softmax(Softmax::along(1)), &[x]);
        b.op("squared", Op::Binary(Binary::Mul), &[y, y])
    },
];

#[test]
fn probabilities_that_are_changed_are_no_logits() {
    for behind in CHANGED {
        let problem = Head::take(&mut network(behind)).unwrap_err();
        assert!(problem.contains("behind the Softmax (node `softmax`)"), "{problem}");
    }
}

/// Ends that judge every class by itself.
const JUDGING: [Behind; 2] = [
    |b, x| b.op("judge", Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }), &[x]),
    |b, x| {
        let y = b.op("judge", Op::Unary(Unary::Sigmoid), &[x]);
        let z = b.op("other", Op::Unary(Unary::Sigmoid), &[x]);
        b.add("sum", y, z)
    },
];

#[test]
fn classes_that_are_judged_one_by_one_are_refused() {
    for behind in JUDGING {
        let problem = Head::take(&mut network(behind)).unwrap_err();
        assert!(problem.contains("Sigmoid (node `judge`)") && problem.contains("Softmax"), "{problem}");
    }
    // A gate judges nothing.
    let mut gated = network(|b, x| {
        let y = b.op("gate", Op::Unary(Unary::Sigmoid), &[x]);
        b.op("gated", Op::Binary(Binary::Mul), &[x, y])
    });
    assert!(Head::take(&mut gated).unwrap().is_empty());
}

#[test]
fn a_sigmoid_is_taken_off_and_put_back() {
    let ends: [Behind; 2] = [
        |b, x| {
            let x = b.op("judge", Op::Unary(Unary::Sigmoid), &[x]);
            b.op("identity", Op::Identity(Identity), &[x])
        },
        |b, x| {
            let x = b.op("judge", Op::Unary(Unary::Sigmoid), &[x]);
            b.op("relu", Op::Unary(Unary::Relu), &[x])
        },
    ];
    let logits = answers(&network(|_, x| x));
    for behind in ends {
        let given = network(behind);
        let mut graph = given.clone();
        let head = Head::take(&mut graph).unwrap();
        assert!(head.note(&["a".into(), "b".into(), "c".into()]).unwrap().contains("Sigmoid"));
        assert!(distance(&answers(&graph), &logits) < 1e-6);
        assert!(distance(&answers(&given), &logits) > 0.1);
        head.put_back(&mut graph).unwrap();
        assert!(distance(&answers(&graph), &answers(&given)) < 1e-6);
    }
}

#[test]
fn the_shape_of_the_end_changes_nothing() {
    let convolutional = |end: Op| {
        let mut b = GraphBuilder::new("maps");
        let x = b.input("image", 2, 1, 1);
        let x = b.conv("conv", x, 3, Conv::square(1, 1, 0), true);
        let x = b.op("end", end, &[x]);
        let x = b.op("flatten", Op::Flatten(Flatten::IMAGES), &[x]);
        b.finish(x).unwrap()
    };
    let hard = Op::Unary(Unary::HardSigmoid { alpha: 0.2, beta: 0.5 });
    let problem = Head::take(&mut convolutional(hard)).unwrap_err();
    assert!(problem.contains("Sigmoid (node `end`)"), "{problem}");
    assert!(!Head::take(&mut convolutional(Op::Unary(Unary::Sigmoid))).unwrap().is_empty());
    assert!(Head::take(&mut convolutional(Op::Unary(Unary::Relu))).unwrap().is_empty());
}

/// A forest of two trees over three classes behind the features; `scale` times its leaves add up to probabilities.
fn with_forest(after: oculist_graph::AfterVotes, scale: f32) -> Graph {
    use oculist_graph::{Branch, Compare, TreeEnsembleClassifier, Trees, Vote};

    let tree = |value: f32, shares: [[f32; 3]; 2]| {
        let test = Branch::Test {
            feature: 0,
            compare: Compare::LessOrEqual,
            value,
            yes: 1,
            no: 2,
            missing_passes: false,
        };
        let leaf = |shares: [f32; 3]| {
            let votes = shares.iter().enumerate();
            let vote = |(c, &w): (usize, &f32)| Vote { class: c as u32, weight: scale * w / 2.0 };
            (Branch::Leaf, votes.map(vote).collect::<Vec<_>>())
        };
        vec![(test, Vec::new()), leaf(shares[0]), leaf(shares[1])]
    };
    let trees =
        vec![tree(0.5, [[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]), tree(2.0, [[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])];
    let forest =
        TreeEnsembleClassifier::new(Trees::new(trees).unwrap(), vec![0, 1, 2], Vec::new(), after).unwrap();
    let mut graph = network(|_, x| x);
    let x = graph.outputs()[0];
    let (labels, scores) = (graph.add_activation("labels"), graph.add_activation("scores"));
    graph.edit().push(Node {
        name: "forest".into(),
        op: forest.into(),
        inputs: vec![x].into(),
        outputs: vec![labels, scores],
    });
    graph.set_outputs(vec![scores]);
    graph.tidy().unwrap();
    graph
}

#[test]
fn the_probabilities_of_a_forest_get_no_second_softmax() {
    use oculist_graph::AfterVotes;

    for (after, scale, sigmoid) in [
        (AfterVotes::Softmax, 3.0, false),
        (AfterVotes::Nothing, 1.0, false),
        (AfterVotes::Logistic, 3.0, true),
    ] {
        let graph = with_forest(after, scale);
        let want = answers(&graph);
        let mut taken = graph.clone();
        let head = Head::take(&mut taken).unwrap();
        assert_eq!(head.judges(), sigmoid, "{after:?}");
        let found = head.probabilities().of(&answers(&taken));
        assert!(distance(&found, &want) < 1e-5, "{after:?}: {found:?}, expected {want:?}");
        // The file that is written computes what was read.
        head.put_back(&mut taken).unwrap();
        assert!(distance(&answers(&taken), &want) < 1e-5, "{after:?}");
    }
    // Scores that are no probabilities are logits, as they are.
    let graph = with_forest(AfterVotes::Nothing, 3.0);
    let mut taken = graph.clone();
    assert!(Head::take(&mut taken).unwrap().is_empty());
    assert_eq!(taken, graph);
}
