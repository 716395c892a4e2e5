//! Inference, cost and pruning of layers: products, transposed convolution, norms, attention.

use oculist_graph::op::{Attribute, Attributes, Fact, Given, Port, Seen, Tie, Ties, Written};
use oculist_graph::{
    Attention, Conv, ConvTranspose, DataType, DeformConv, Dim, Einsum, GroupNormalization,
    LayerNormalization, LinearAttention, MatMul, Op, RotaryEmbedding, Shape, UpdateRule, Window,
};

/// A shape from a text such as `N 3 s0 ?`.
fn shape(text: &str) -> Shape {
    let dim = |part: &str| match (part, part.strip_prefix('s')) {
        ("N", _) => Dim::Batch,
        ("?", _) => Dim::Unknown,
        (_, Some(number)) => Dim::Symbol(number.parse().unwrap()),
        _ => Dim::Fixed(part.parse().unwrap()),
    };
    Shape::new(text.split_whitespace().map(dim).collect())
}

fn with_given<R>(inputs: &[&str], outputs: usize, body: impl FnOnce(&Given) -> R) -> R {
    let shapes: Vec<Option<Shape>> = inputs.iter().map(|t| (*t != "-").then(|| shape(t))).collect();
    let mut seen = Vec::new();
    for shape in &shapes {
        let of = |shape| Seen { name: "", dtype: DataType::F32, shape, items: None, tensor: None };
        seen.push(shape.as_ref().map(of));
    }
    body(&Given { inputs: seen, outputs })
}

fn facts(op: impl Into<Op>, inputs: &[&str], outputs: usize) -> Result<Vec<Fact>, String> {
    let op = op.into();
    with_given(inputs, outputs, |given| op.infer(given))
}

#[track_caller]
fn gives(op: impl Into<Op>, inputs: &[&str], expected: &[&str]) {
    let found = facts(op, inputs, expected.len()).unwrap();
    let found: Vec<String> = found.iter().map(|f| f.shape.to_string()).collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn refuses(op: impl Into<Op>, inputs: &[&str], words: &str) {
    let error = facts(op, inputs, 1).expect_err("must be refused");
    assert!(error.contains(words), "expected `{words}` in: {error}");
}

fn macs(op: impl Into<Op>, inputs: &[&str]) -> u64 {
    let op = op.into();
    with_given(inputs, 1, |given| {
        let facts = op.infer(given).unwrap();
        op.cost(given, &[&facts[0].shape]).macs
    })
}

fn read(name: &str, attributes: &[(&str, Attribute)], opset: i64) -> Op {
    let all = attributes.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    let written = Written { domain: "", name, opset, inputs: 3, outputs: 1 };
    Op::read(&written, &mut Attributes::new(all).unwrap()).unwrap().unwrap()
}

#[test]
fn sizes_of_transposed_convolutions() {
    let strided = ConvTranspose {
        window: Window { stride: vec![3, 2], ..Window::square(3, 1, 0) },
        ..ConvTranspose::square(3, 1, 0)
    };
    let with = |edit: fn(&mut ConvTranspose)| {
        let mut op = strided.clone();
        edit(&mut op);
        op
    };
    gives(strided.clone(), &["N 1 3 3", "1 2 3 3"], &["[N, 2, 9, 7]"]);
    gives(with(|op| op.output_padding = vec![1, 1]), &["N 1 3 3", "1 2 3 3"], &["[N, 2, 10, 8]"]);
    gives(with(|op| op.output_shape = Some(vec![10, 8])), &["N 1 s0 3", "1 2 3 3"], &["[N, 2, 10, 8]"]);
    gives(
        with(|op| op.window.padding = oculist_graph::Padding::Explicit(vec![1, 2, 1, 2])),
        &["N 1 3 3", "1 2 3 3"],
        &["[N, 2, 7, 3]"],
    );
    gives(
        with(|op| op.window.padding = oculist_graph::Padding::SameUpper),
        &["N 1 3 3", "1 2 3 3"],
        &["[N, 2, 9, 6]"],
    );
    refuses(
        with(|op| op.window.padding = oculist_graph::Padding::Explicit(vec![5, 0, 5, 0])),
        &["N 1 3 3", "1 2 3 3"],
        "the result before it has only 9",
    );
    refuses(strided.clone(), &["N 4 3 3", "1 2 3 3"], "4 channels");
    // 9 inputs, each of which meets 2 kernels of 9 elements.
    assert_eq!(macs(strided, &["N 1 3 3", "1 2 3 3"]), 9 * 18);
}

#[test]
fn a_kernel_that_the_file_leaves_out_is_that_of_the_weight() {
    let op = read("Conv", &[("auto_pad", "SAME_UPPER".into())], 22);
    gives(op.clone(), &["N 3 8 8", "4 3 3 5"], &["[N, 4, 8, 8]"]);
    refuses(op, &["N 3 8 8", "4 3 3 ?"], "kernel_shape");
    gives(read("ConvTranspose", &[], 22), &["N 1 3", "1 2 3"], &["[N, 2, 5]"]);
    refuses(Conv::square(3, 1, 1), &["N 3 8 8", "4 3 3 5"], "does not match the weight");
}

#[test]
fn offsets_have_a_pair_for_each_element_of_the_kernel() {
    let op = DeformConv { window: Window::square(2, 1, 0), groups: 1, offset_groups: 1 };
    gives(op.clone(), &["N 1 3 3", "1 1 2 2", "N 8 2 2"], &["[N, 1, 2, 2]"]);
    refuses(op, &["N 1 3 3", "1 1 2 2", "N 4 2 2"], "expected offsets of shape [N, 8, 2, 2]");
}

#[test]
fn products_of_any_rank() {
    gives(MatMul, &["N 5 8", "8 3"], &["[N, 5, 3]"]);
    gives(MatMul, &["N 1 s0 8", "4 8 s1"], &["[N, 4, s0, s1]"]);
    gives(MatMul, &["8", "N 8 3"], &["[N, 3]"]);
    gives(MatMul, &["N 5 8", "8"], &["[N, 5]"]);
    gives(MatMul, &["8", "8"], &["[]"]);
    refuses(MatMul, &["N 5 7", "8 3"], "found [N, 5, 7] and [8, 3]");
    refuses(MatMul, &["", "8 3"], "found [] and [8, 3]");
    assert_eq!(macs(MatMul, &["N 5 8", "8 3"]), 5 * 8 * 3);
    let ties = with_given(&["N 5 8", "8 3"], 1, |given| Op::from(MatMul).ties(given, &[&shape("N 5 3")]));
    let Ties::Known(ties) = ties else { panic!("expected ties") };
    assert!(ties.contains(&Tie::Same(Port::Input(0, 2), Port::Input(1, 0))));
    assert!(ties.contains(&Tie::Same(Port::Output(0, 2), Port::Input(1, 1))));
}

#[test]
fn equations_name_the_axes() {
    let op = |equation: &str| Einsum { equation: equation.to_owned() };
    gives(op("b...ij, jk -> b...ik"), &["N 4 5 8", "8 3"], &["[N, 4, 5, 3]"]);
    gives(op("...ij,...jk"), &["N 1 5 8", "4 8 3"], &["[N, 4, 5, 3]"]);
    // Without a result its letters are in the order of the alphabet.
    gives(op("ba,cb"), &["2 3", "4 2"], &["[3, 4]"]);
    gives(op("ii->i"), &["3 3"], &["[3]"]);
    gives(op("ij->"), &["N 3"], &["[]"]);
    refuses(op("ij,jk->ik"), &["2 3", "4 5"], "the sizes 3 and 4");
    refuses(op("ij->ijk"), &["2 3"], "no input of `ij->ijk` has `k`");
    refuses(op("ij->ii"), &["2 3"], "an axis twice");
    refuses(op("i.j->ij"), &["2 3"], "unexpected `.`");
    refuses(op("ij,j"), &["2 3"], "2 terms, found 1 inputs");
    refuses(op("ij"), &["2 3 4"], "has 2 axes, its input 3");
    assert_eq!(macs(op("ij,jk->ik"), &["2 3", "3 5"]), 30);
}

#[test]
fn norms_take_parameters_that_are_broadcast() {
    let op = LayerNormalization { axis: 1, epsilon: 1e-5, stash: DataType::F32 };
    gives(op, &["N 4 5", "4 5", "5"], &["[N, 4, 5]", "[N, 1, 1]", "[N, 1, 1]"]);
    refuses(op, &["N 4 5", "4"], "expected gamma that is broadcast to [N, 4, 5], found [4]");
    refuses(op, &["N 4 1", "4 5"], "expected gamma");
    let op = read("GroupNormalization", &[("num_groups", Attribute::Int(2))], 18);
    gives(op.clone(), &["N 4 5", "2", "2"], &["[N, 4, 5]"]);
    refuses(op, &["N 4 5", "4", "4"], "expected gamma of shape [2]");
    let op = GroupNormalization { groups: 2, epsilon: 1e-5, stash: DataType::F32, per_group: false };
    gives(op, &["N 4 5", "4", "4"], &["[N, 4, 5]"]);
    refuses(op, &["N 3 5", "3", "3"], "2 groups cannot share 3 channels");
}

#[test]
fn attention_keeps_what_is_symbolic() {
    gives(
        Attention::PLAIN,
        &["N 4 s0 8", "N 2 s1 8", "N 2 s1 6"],
        &["[N, 4, s0, 6]", "[N, 2, s1, 8]", "[N, 2, s1, 6]", "[N, 4, s0, s1]"],
    );
    let packed = Attention { heads: Some(4), kv_heads: Some(2), ..Attention::PLAIN };
    gives(
        packed,
        &["N 3 32", "N 5 16", "N 5 12", "3 12", "N 2 7 8", "N 2 7 6"],
        &["[N, 3, 24]", "[N, 2, 12, 8]"],
    );
    refuses(packed, &["N 3 32", "N 5 16", "N 5 12", "3 13"], "a mask that is broadcast to [N, 4, 3, 5]");
    refuses(packed, &["N 3 30", "N 5 16", "N 5 12"], "4 heads cannot share");
    refuses(Attention::PLAIN, &["N 3 32", "N 5 16", "N 5 12"], "the number of heads is missing");
    refuses(Attention::PLAIN, &["N 4 3 8", "N 3 5 8", "N 3 5 8"], "4 heads of q cannot share 3");
    refuses(Attention::PLAIN, &["N 4 3 8", "N 4 5 8", "N 4 5 8", "-", "N 4 2 8"], "together or not at all");
    // Queries with keys: 4 * 3 * 5 * 8, probabilities with values: 4 * 3 * 5 * 6.
    assert_eq!(macs(Attention::PLAIN, &["N 4 3 8", "N 4 5 8", "N 4 5 6"]), 480 + 360);
}

#[test]
fn positions_and_states() {
    let op = RotaryEmbedding { interleaved: false, heads: 4, rotated: 0 };
    gives(op, &["N 3 32", "N 3 4", "N 3 4"], &["[N, 3, 32]"]);
    refuses(op, &["N 3 32", "N 3 5", "N 3 5"], "expected cosines of shape [N, 3, 4]");
    refuses(RotaryEmbedding { rotated: 3, ..op }, &["N 3 32", "N 3 1", "N 3 1"], "no pairs");
    let op = LinearAttention { heads: 4, kv_heads: 2, scale: 0.0, rule: UpdateRule::Gated };
    gives(op, &["N 3 32", "N 3 16", "N 3 12", "-", "N 3 2"], &["[N, 3, 24]", "[N, 2, 8, 6]"]);
    refuses(op, &["N 3 32", "N 3 16", "N 3 12"], "needs a decay");
}
