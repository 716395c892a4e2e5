//! Networks with operators that have no fast step: logits and gradients against the plain kernels in f64.

use std::sync::Arc;

use oculist_graph::{
    AspectRatio, BatchNormalization, Binary, Concat, Conv, ConvTranspose, Coordinates, DataType, Dropout,
    Expand, Flatten, Gather, Gemm, Graph, GraphBuilder, Interpolation, LayerNormalization, MatMul, Op,
    Padding, Reduce, ReduceKind, Reshape, Resize, Softmax, Squeeze, Tensor, TensorData, Transpose, Unary,
    Unsqueeze, ValueId, Window,
};
use oculist_kernels::Context;
use oculist_plain::{cast, evaluate};
use oculist_testing::interpret::Array;
use oculist_train::{Executor, Mode, Optimizer, OptimizerConfig, loss_and_gradient};

use super::graphs::{BATCH, Trained, direction, distance, images, train, with};

/// The logits in f64, with statistics of the batch if `training`.
fn logits(graph: &Graph, x: &Array, training: bool) -> Vec<f64> {
    let ctx = Context::new(1).unwrap();
    let wide = |t: &Tensor| if t.dtype() == DataType::F32 { cast(t, DataType::F64) } else { t.clone() };
    let mut values: Vec<Option<Tensor>> = graph.value_ids().map(|id| graph.param(id).map(wide)).collect();
    let image = TensorData::F64(x.data().to_vec());
    values[graph.inputs()[0].index()] = Some(Tensor::new(x.shape().to_vec(), image).unwrap());
    for node in graph.nodes() {
        let op = match &node.op {
            Op::BatchNormalization(op) => Op::BatchNormalization(BatchNormalization { training, ..*op }),
            other => other.clone(),
        };
        let given: Vec<Option<&Tensor>> =
            node.inputs.slots().iter().map(|v| v.and_then(|v| values[v.index()].as_ref())).collect();
        let results = evaluate(&ctx, &op, &given, node.outputs.len()).unwrap();
        for (v, result) in node.outputs.iter().zip(results) {
            values[v.index()] = Some(result);
        }
    }
    match values[graph.outputs()[0].index()].as_ref().unwrap().data() {
        TensorData::F64(v) => v.clone(),
        other => panic!("expected f64, found {}", other.dtype().name()),
    }
}

/// Compares with central differences along every element of every trained parameter.
fn compare(graph: &Graph, trained: &Trained) -> Result<(), String> {
    let (_, x) = images(graph);
    for (found, training, name) in
        [(&trained.deployed, false, "deployed"), (&trained.training, true, "training")]
    {
        let off = distance(found, &logits(graph, &x, training));
        if off > 1e-4 {
            return Err(format!("{name} logits are off by {off}"));
        }
    }
    let weights = direction(trained.training.len());
    let objective = |graph: &Graph| -> f64 {
        logits(graph, &x, true).iter().zip(&weights).map(|(l, w)| l * f64::from(*w)).sum()
    };
    for (id, gradient) in &trained.gradients {
        let gradient = gradient.as_f32().unwrap();
        let largest = gradient.iter().fold(1e-2f64, |m, g| m.max(f64::from(g.abs())));
        let here = graph.param(*id).unwrap();
        for (k, &got) in gradient.iter().enumerate() {
            let moved = |by: f32| {
                let mut data = here.as_f32().unwrap().to_vec();
                data[k] += by;
                let at = f64::from(data[k]);
                let mut graph = graph.clone();
                graph.set_param(*id, Tensor::f32(here.shape(), data));
                (objective(&graph), at)
            };
            let slope = |by: f32| {
                let ((up, far), (down, near)) = (moved(by), moved(-by));
                (up - down) / (far - near)
            };
            let differs = |want: f64| (f64::from(got) - want).abs() > 2e-3 * largest;
            // Where a kink lies within the longer way, the shorter one decides.
            let mut want = slope(1e-3);
            if differs(want) {
                want = slope(1e-4);
            }
            if differs(want) {
                let name = &graph.value(*id).name;
                return Err(format!("`{name}`, element {k}: the slope is {want}, not {got}"));
            }
        }
    }
    Ok(())
}

#[track_caller]
fn check(graph: &Graph, parameters: usize) {
    let trained = train(graph).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(trained.gradients.len(), parameters, "trained parameters");
    compare(graph, &trained).unwrap_or_else(|e| panic!("{e}"));
}

fn flat(b: &mut GraphBuilder, x: ValueId) -> ValueId {
    let x = b.op("flatten", Flatten::IMAGES, &[x]);
    b.linear("logits", x, 3)
}

/// A parameter that `graphs::fill` takes for a weight.
fn weight(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    b.param(name, Tensor::filled(shape, 0.0))
}

#[test]
fn constants_and_vectors_are_added_to_a_flattened_map() {
    let graph = with(|b, x| {
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let row = weight(b, "row.weight", &[48]);
        let x = b.op("shift", Binary::Add, &[x, row]);
        let one = b.param("half", Tensor::f32(&[], vec![0.5]));
        let x = b.op("more", Binary::Add, &[one, x]);
        let x = b.batch_norm("norm", x, 1e-2, 0.9);
        b.linear("logits", x, 3)
    });
    // The scalar is no parameter.
    check(&graph, 2 + 1 + 2 + 2);
}

#[test]
fn factors_are_broadcast() {
    let graph = with(|b, x| {
        let channels = weight(b, "scale.weight", &[1, 4, 1, 1]);
        let x = b.op("scale", Binary::Mul, &[x, channels]);
        // One number for each pixel, the same for all channels.
        let map = b.conv("attention", x, 1, Conv::square(1, 1, 0), true);
        let map = b.op("sigmoid", Unary::Sigmoid, &[map]);
        let y = b.op("attend", Binary::Mul, &[map, x]);
        let y = b.add("residual", y, x);
        let y = b.conv("last", y, 2, Conv::square(3, 1, 1), true);
        flat(b, y)
    });
    check(&graph, 2 + 1 + 2 + 2 + 2);
}

#[test]
fn rows_and_maps_meet() {
    let graph = with(|b, x| {
        let y = b.op("gelu", Unary::Gelu { tanh: false }, &[x]);
        // Both are gradients of one value: of a map and of its rows.
        let y = b.add("sum", y, x);
        let z = b.op("tanh", Unary::Tanh, &[y]);
        let y = b.op("both", Concat::CHANNELS, &[y, z]);
        let y = b.batch_norm("norm", y, 1e-2, 0.9);
        let y = b.op("swish", Unary::Swish { alpha: 1.0 }, &[y]);
        let axes = b.param("axes", Tensor::ints(vec![2, 3]));
        let mean = Reduce { kind: ReduceKind::Mean, keepdims: false, noop_with_empty_axes: false };
        let y = b.op("mean", mean, &[y, axes]);
        b.linear("logits", y, 3)
    });
    check(&graph, 2 + 2 + 2);
}

#[test]
fn what_is_made_of_steps_stops_the_gradient() {
    let graph = with(|b, x| {
        let y = b.op("round", Unary::Round, &[x]);
        let y = b.op("dead", Binary::Sub, &[y, y]);
        let y = b.add("sum", y, x);
        flat(b, y)
    });
    check(&graph, 2 + 2);
}

fn reshape(b: &mut GraphBuilder, name: &str, x: ValueId, shape: &[i64]) -> ValueId {
    let shape = b.param(&format!("{name}.shape"), Tensor::ints(shape.to_vec()));
    b.op(name, Reshape { allow_zero: false }, &[x, shape])
}

fn layer_norm(b: &mut GraphBuilder, name: &str, x: ValueId, width: usize) -> ValueId {
    let scale = weight(b, &format!("{name}.weight"), &[width]);
    let shift = weight(b, &format!("{name}.bias"), &[width]);
    b.op(name, LayerNormalization { axis: -1, epsilon: 1e-3, stash: DataType::F32 }, &[x, scale, shift])
}

fn dense(b: &mut GraphBuilder, name: &str, x: ValueId, [from, to]: [usize; 2]) -> ValueId {
    let matrix = weight(b, &format!("{name}.kernel"), &[from, to]);
    let bias = weight(b, &format!("{name}.bias"), &[to]);
    let x = b.op(&format!("{name}.product"), MatMul, &[x, matrix]);
    b.op(name, Binary::Add, &[x, bias])
}

/// Two mixing layers over the 12 pixels and 4 channels of a map.
fn mixer() -> Graph {
    with(|b, x| {
        let tokens = reshape(b, "tokens", x, &[0, 4, -1]);
        let x = b.op("turn", Transpose::new(&[0, 2, 1]), &[tokens]);
        let y = layer_norm(b, "norm1", x, 4);
        let y = b.op("over", Transpose::new(&[0, 2, 1]), &[y]);
        let y = dense(b, "mix", y, [12, 12]);
        let y = b.op("gelu", Unary::Gelu { tanh: true }, &[y]);
        let y = b.op("back", Transpose::new(&[0, 2, 1]), &[y]);
        let x = b.add("skip1", x, y);
        let y = layer_norm(b, "norm2", x, 4);
        let y = dense(b, "wide", y, [4, 6]);
        let y = b.op("gelu2", Unary::Gelu { tanh: false }, &[y]);
        let y = dense(b, "narrow", y, [6, 4]);
        let x = b.add("skip2", x, y);
        let axes = b.param("axes", Tensor::ints(vec![1]));
        let mean = Reduce { kind: ReduceKind::Mean, keepdims: false, noop_with_empty_axes: false };
        let x = b.op("mean", mean, &[x, axes]);
        b.linear("logits", x, 3)
    })
}

/// Self-attention of two heads over the pixels and a class token.
fn attention() -> Graph {
    with(|b, x| {
        let x = reshape(b, "tokens", x, &[0, 4, -1]);
        let x = b.op("turn", Transpose::new(&[0, 2, 1]), &[x]);
        // The token is repeated for as many images as there are.
        let sizes = b.op("sizes", oculist_graph::ShapeOf { start: 0, end: None }, &[x]);
        let first = b.param("first", Tensor::ints(vec![0]));
        let batch = b.op("batch", Gather { axis: 0 }, &[sizes, first]);
        let rest = b.param("rest", Tensor::ints(vec![1, 4]));
        let sizes = b.op("target", Concat { axis: 0 }, &[batch, rest]);
        let token = weight(b, "token.weight", &[1, 1, 4]);
        let token = b.op("token", Expand, &[token, sizes]);
        let x = b.op("sequence", Concat { axis: 1 }, &[token, x]);
        let places = weight(b, "places.weight", &[1, 13, 4]);
        let x = b.op("placed", Binary::Add, &[x, places]);
        let y = layer_norm(b, "norm", x, 4);
        let heads = |b: &mut GraphBuilder, name: &str, order: &[i64]| {
            let z = dense(b, name, y, [4, 4]);
            let z = reshape(b, &format!("{name}.heads"), z, &[0, 13, 2, 2]);
            b.op(&format!("{name}.turn"), Transpose::new(order), &[z])
        };
        let q = heads(b, "query", &[0, 2, 1, 3]);
        let k = heads(b, "key", &[0, 2, 3, 1]);
        let v = heads(b, "value", &[0, 2, 1, 3]);
        let scores = b.op("scores", MatMul, &[q, k]);
        let scale = b.param("root", Tensor::f32(&[], vec![std::f32::consts::FRAC_1_SQRT_2]));
        let scores = b.op("scaled", Binary::Mul, &[scores, scale]);
        let shares = b.op("shares", Softmax::along(-1), &[scores]);
        let y = b.op("mixed", MatMul, &[shares, v]);
        let y = b.op("joined", Transpose::new(&[0, 2, 1, 3]), &[y]);
        let y = reshape(b, "merged", y, &[0, 13, 4]);
        let y = dense(b, "project", y, [4, 4]);
        let x = b.add("skip", x, y);
        let class = b.param("class", Tensor::new(Vec::new(), TensorData::I64(vec![0])).unwrap());
        let x = b.op("pick", Gather { axis: 1 }, &[x, class]);
        b.op("drop", Dropout { ratio: 0.0 }, &[x])
    })
}

#[test]
fn a_mixer_has_the_gradients_of_its_formula() {
    check(&mixer(), 2 + 2 + 2 + 2 + 2 + 2 + 2);
}

#[test]
fn attention_has_the_gradients_of_its_formula() {
    check(&attention(), 2 + 1 + 1 + 2 + 8);
}

#[test]
fn a_residual_block_over_the_last_axis_goes_to_rows_and_back() {
    let graph = with(|b, x| {
        let y = b.conv("depthwise", x, 4, Conv::square(3, 1, 1).with_groups(4), true);
        let y = b.op("last", Transpose::new(&[0, 2, 3, 1]), &[y]);
        let y = layer_norm(b, "norm", y, 4);
        let y = dense(b, "wide", y, [4, 8]);
        let y = b.op("gelu", Unary::Gelu { tanh: false }, &[y]);
        let y = dense(b, "narrow", y, [8, 4]);
        let scale = weight(b, "gamma.weight", &[4]);
        let y = b.op("scaled", Binary::Mul, &[scale, y]);
        let y = b.op("first", Transpose::new(&[0, 3, 1, 2]), &[y]);
        let x = b.add("skip", x, y);
        let axes = b.param("axes", Tensor::ints(vec![-1, -2]));
        let mean = Reduce { kind: ReduceKind::Mean, keepdims: true, noop_with_empty_axes: false };
        let x = b.op("mean", mean, &[x, axes]);
        let axes = b.param("squeezed", Tensor::ints(vec![2, 3]));
        let x = b.op("squeeze", Squeeze, &[x, axes]);
        b.linear("logits", x, 3)
    });
    check(&graph, 2 + 2 + 2 + 2 + 2 + 1 + 2);
}

#[test]
fn maps_of_one_axis_are_normalised_as_others() {
    let graph = with(|b, x| {
        let x = reshape(b, "line", x, &[0, 4, -1]);
        let window =
            Window { kernel: vec![3], stride: vec![2], padding: Padding::SameUpper, dilation: vec![1] };
        let kernel = weight(b, "conv.weight", &[6, 2, 3]);
        let x = b.op("conv", Conv { window, groups: 2 }, &[x, kernel]);
        let [gamma, beta] = ["norm.weight", "norm.bias"].map(|name| b.param(name, Tensor::filled(&[6], 1.0)));
        let [mean, var] =
            ["norm.running_mean", "norm.running_var"].map(|name| b.param(name, Tensor::filled(&[6], 1.0)));
        let norm = BatchNormalization { epsilon: 1e-2, momentum: 0.9, training: false };
        let x = b.op("norm", norm, &[x, gamma, beta, mean, var]);
        let x = b.relu("relu", x);
        let x = reshape(b, "row", x, &[0, -1]);
        let axes = b.param("axes", Tensor::ints(vec![-1, -2]));
        let x = b.op("column", Unsqueeze, &[x, axes]);
        let x = b.conv("pointwise", x, 5, Conv::square(1, 1, 0), false);
        flat(b, x)
    });
    check(&graph, 2 + 1 + 2 + 1 + 2);
}

#[test]
fn maps_are_enlarged() {
    let graph = with(|b, x| {
        let small = b.max_pool("pool", x, 2, 2, 0);
        let kernel = weight(b, "up.weight", &[4, 3, 2, 2]);
        let up = b.op("up", ConvTranspose::square(2, 2, 0), &[small, kernel]);
        let sizes = b.param("sizes", Tensor::ints(vec![4, 3]));
        let resize = Resize {
            interpolation: Interpolation::Linear,
            coordinates: Coordinates::HalfPixel,
            antialias: false,
            exclude_outside: false,
            extrapolation: 0.0,
            axes: Some(vec![2, 3]),
            aspect_ratio: AspectRatio::Stretch,
        };
        let none = b.param("none", Tensor::f32(&[0], Vec::new()));
        let up = b.op("resize", resize, &[up, none, none, sizes]);
        let x = b.op("both", Concat::CHANNELS, &[up, x]);
        let x = b.conv("last", x, 2, Conv::square(3, 1, 1), true);
        flat(b, x)
    });
    check(&graph, 2 + 1 + 2 + 2);
}

#[test]
fn channels_are_picked() {
    // In another order; twice, not at all and counted from the back; of rows.
    for picked in [vec![0, 2, 1, 3], vec![3, -4, 3, 1, 3]] {
        let graph = with(|b, x| {
            let x = b.conv("first", x, 4, Conv::square(1, 1, 0), true);
            let indices = b.param("picked", Tensor::ints(picked.clone()));
            let y = b.op("pick", Gather { axis: 1 }, &[x, indices]);
            let y = b.conv("second", y, 4, Conv::square(3, 1, 1), true);
            let x = b.add("sum", y, x);
            let x = flat(b, x);
            let indices = b.param("picked.rows", Tensor::ints(vec![2, 0, 1]));
            b.op("pick.rows", Gather { axis: 1 }, &[x, indices])
        });
        check(&graph, 2 + 2 + 2 + 2);
    }
    assert!(oculist_train::has_fast_step(&Gather { axis: 1 }.into()));
}

#[test]
fn a_wrong_gradient_of_a_plain_parameter_is_noticed() {
    let graph = mixer();
    let mut wrong = train(&graph).unwrap();
    let kernel = wrong.gradients.iter_mut().find(|(id, _)| graph.value(*id).name == "mix.kernel").unwrap();
    let turned = kernel.1.as_f32().unwrap();
    let turned = (0..144).map(|i| turned[i % 12 * 12 + i / 12]).collect();
    kernel.1 = Tensor::f32(&[12, 12], turned);
    assert!(compare(&graph, &wrong).unwrap_err().contains("mix.kernel"));
}

#[test]
fn one_weight_is_read_by_fast_and_plain_steps() {
    let graph = with(|b, x| {
        let x = b.op("flatten", Flatten::IMAGES, &[x]);
        let matrix = weight(b, "matrix.weight", &[48, 48]);
        let y = b.op("fast", Gemm::LINEAR, &[x, matrix]);
        let y = b.op("sigmoid", Unary::Sigmoid, &[y]);
        let y = b.op("plain", MatMul, &[y, matrix]);
        b.linear("logits", y, 3)
    });
    check(&graph, 2 + 1 + 2);
}

#[test]
fn the_loss_of_an_attention_block_falls() {
    let graph = attention();
    let ctx = Arc::new(Context::new(2).unwrap());
    let mut executor = Executor::new(ctx.clone(), &graph, BATCH, Mode::Train).unwrap();
    let (nhwc, _) = images(&graph);
    let labels: Vec<u32> = (0..BATCH as u32).map(|i| i % executor.classes() as u32).collect();
    let mut optimizer = Optimizer::new(OptimizerConfig::adamw(), executor.params().len());
    let mut gradient = vec![0.0; executor.logits().len()];
    let mut losses = Vec::new();
    for step in 0..60 {
        executor.forward_train(&nhwc, step);
        let classes = executor.classes();
        let loss = loss_and_gradient(classes, &labels, 0.0, None, executor.logits(), &mut gradient);
        losses.push(loss);
        executor.backward(&gradient);
        executor.take_failure().unwrap();
        executor.update(&mut optimizer, 1.0, 1e-2, 0.0);
    }
    assert!(losses[59] < 0.3 * losses[0], "{losses:?}");
    // What is stored is what ran.
    let mut stored = graph.clone();
    executor.store(&mut stored);
    let mut again = Executor::new(ctx, &stored, BATCH, Mode::Eval).unwrap();
    assert_eq!(again.forward_eval(&nhwc), executor.forward_eval(&nhwc));
}

#[test]
fn dropout_of_rows_is_drawn_anew_and_left_out_when_deployed() {
    let graph = |ratio| {
        with(move |b, x| {
            let x = b.op("tanh", Unary::Tanh, &[x]);
            let x = b.op("drop", Dropout { ratio }, &[x]);
            flat(b, x)
        })
    };
    let ctx = Arc::new(Context::new(1).unwrap());
    let net = graph(0.5);
    let mut executor = Executor::new(ctx, &net, BATCH, Mode::Train).unwrap();
    let (nhwc, _) = images(&net);
    let first = executor.forward_train(&nhwc, 1).to_vec();
    assert_eq!(first, executor.forward_train(&nhwc, 1));
    assert_ne!(first, executor.forward_train(&nhwc, 2));
    let deployed = train(&graph(0.0)).unwrap().deployed;
    let (classes, stride) = (executor.classes(), executor.logits_stride());
    let rows = executor.forward_eval(&nhwc).chunks_exact(stride).flat_map(|r| r[..classes].to_vec());
    assert_eq!(rows.collect::<Vec<_>>(), deployed);
}

#[test]
fn operators_of_other_tools_have_the_gradients_of_their_formulas() {
    let graph = with(|b, x| {
        let norm = oculist_graph::MeanVarianceNormalization { axes: vec![0, 2, 3] };
        let x = b.op("response", norm, &[x]);
        let pool = oculist_graph::LpPool { window: Window::square(2, 1, 0), ceil_mode: false, p: 2 };
        let x = b.op("norms", pool, &[x]);
        let x = reshape(b, "tokens", x, &[0, 4, -1]);
        let square = weight(b, "square.weight", &[6, 6]);
        let product = oculist_graph::FusedMatMul {
            alpha: 0.5,
            trans_a: false,
            trans_b: true,
            trans_batch_a: false,
            trans_batch_b: false,
        };
        let x = b.op("product", product, &[x, square]);
        let most = b.param("most", Tensor::ints(vec![3]));
        let x = b.op("largest", oculist_graph::TopK { axis: -1, largest: true, sorted: true }, &[x, most]);
        flat(b, x)
    });
    check(&graph, 2 + 1 + 2);
}
