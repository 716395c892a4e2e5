//! Networks that PyTorch and Keras trained and exported, read from their files: outputs, losses and gradients against
//! theirs (`golden/exported.json`, `golden/exported_keras.json`, `golden/models`).

use std::collections::BTreeMap;
use std::sync::Arc;

use oculist_graph::{Concat, Flatten, Graph, Op, Tensor};
use oculist_passes::{fold_batch_norm, prepare_images, remove_identity};
use oculist_runtime::{Context, Plan, PlanOptions};
use oculist_testing::formula;
use oculist_testing::golden::{self, Value};
use oculist_train::{Executor, Mode};

const BATCH: usize = 2;
/// Relative to the largest element; PyTorch's own f32 gradients are up to 1.3e-5 off.
const TOLERANCE: f64 = 1e-4;

/// A file with what its network computes.
struct Case {
    /// `NETWORK.EXPORTER`.
    file: String,
    golden: Value,
    /// What each output counts in the loss.
    weights: Vec<f64>,
    /// Whether images and maps lie with their channels last.
    channels_last: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let torch = golden::load("exported.json");
    for network in torch["networks"].as_array().unwrap() {
        for way in ["legacy", "dynamo", "default"] {
            cases.push(Case {
                file: format!("{}.{way}", network["name"].as_str().unwrap()),
                golden: network.clone(),
                weights: numbers(&torch["output_weights"]),
                channels_last: false,
            });
        }
    }
    for network in golden::load("exported_keras.json")["networks"].as_array().unwrap() {
        cases.push(Case {
            file: format!("{}.tf2onnx", network["name"].as_str().unwrap()),
            golden: network.clone(),
            weights: vec![1.0],
            channels_last: true,
        });
    }
    cases
}

fn case(file: &str) -> Case {
    cases().into_iter().find(|c| c.file == file).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    golden::floats(value).into_iter().map(f64::from).collect()
}

/// A parameter as `golden/exported.py` gives it to PyTorch.
fn original(name: &str, shape: &[usize]) -> Vec<f32> {
    let name = name.replace("in_proj_", "in_proj.");
    let role = name.rsplit('.').next().unwrap();
    if ["weight", "bias", "running_mean", "running_var"].contains(&role) {
        return formula::state(&name, shape, 1.0);
    }
    formula::tensor(&name, shape.iter().product()).into_iter().map(|u| 0.5 * u).collect()
}

impl Case {
    /// The graph as the file has it.
    fn read(&self) -> Result<Graph, String> {
        oculist_onnx::read(golden::path(&format!("models/{}.onnx", self.file))).map_err(|e| e.to_string())
    }

    /// The graph as every recipe gets it.
    fn prepared(&self) -> Result<Graph, String> {
        prepare_images(self.read()?, None).map_err(|e| e.to_string())
    }

    /// The images: `[N, H, W, C]` and `[N, C, H, W]`.
    fn images(&self) -> (Vec<f32>, Tensor) {
        let shape = golden::shape(&self.golden["input_shape"]);
        let values = formula::tensor("input", shape.iter().product());
        let [n, c, h, w] = if self.channels_last {
            [shape[0], shape[3], shape[1], shape[2]]
        } else {
            [shape[0], shape[1], shape[2], shape[3]]
        };
        let (mut last, mut first) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        for i in 0..n {
            for k in 0..c {
                for p in 0..h * w {
                    let (at_last, at_first) = ((i * h * w + p) * c + k, (i * c + k) * h * w + p);
                    let value = values[if self.channels_last { at_last } else { at_first }];
                    last[at_last] = value;
                    first[at_first] = value;
                }
            }
        }
        (last, Tensor::f32(&[n, c, h, w], first))
    }

    /// Whether a parameter of the file is what the other tool had under that name: a normalisation that is folded leaves
    /// the weight its name.
    fn is_original(&self, name: &str, tensor: &Tensor) -> bool {
        // Keras's were looked for by their values.
        self.channels_last || tensor.as_f32().is_some_and(|v| v == original(name, tensor.shape()))
    }

    /// Pixels and classes of each output.
    fn maps(&self) -> Vec<(usize, usize)> {
        let outputs = self.golden["outputs"].as_array().unwrap().iter();
        outputs
            .map(|output| {
                let shape = golden::shape(&output["shape"]);
                let classes = if self.channels_last { shape[shape.len() - 1] } else { shape[1] };
                (shape[1..].iter().product::<usize>() / classes, classes)
            })
            .collect()
    }

    /// The loss and its gradient, for all outputs of each image in a row.
    fn loss(&self, rows: &[Vec<f64>], shift: usize) -> (f64, Vec<Vec<f64>>) {
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (n, row) in rows.iter().enumerate() {
            let mut g = vec![0.0; row.len()];
            let mut start = 0;
            for ((pixels, classes), weight) in self.maps().into_iter().zip(&self.weights) {
                let factor = weight / (rows.len() * pixels) as f64;
                for p in 0..pixels {
                    let at =
                        |k: usize| start + if self.channels_last { p * classes + k } else { k * pixels + p };
                    let label = at((3 * n + 5 * p + 1 + shift) % classes);
                    let sum: f64 = (0..classes).map(|k| row[at(k)].exp()).sum();
                    loss += factor * (sum.ln() - row[label]);
                    for k in 0..classes {
                        g[at(k)] += factor * row[at(k)].exp() / sum;
                    }
                    g[label] -= factor;
                }
                start += pixels * classes;
            }
            gradient.push(g);
        }
        (loss, gradient)
    }
}

/// Largest difference relative to the largest element.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-6f64, |m, v| m.max(v.abs()));
    got.iter().zip(want).map(|(g, w)| (f64::from(*g) - w).abs()).fold(0.0, f64::max) / largest
}

/// How far the runtime's outputs are from the golden ones.
fn outputs_error(case: &Case, graph: &Graph) -> Result<f64, String> {
    let ctx = Arc::new(Context::new(2).unwrap());
    let (_, images) = case.images();
    let fixed = graph.shape(graph.inputs()[0]).dims()[0].size();
    // As often as it takes where the file fixes a batch of one.
    let batch = fixed.unwrap_or(BATCH);
    let mut plan = Plan::new(graph, &PlanOptions::new(batch, ctx)).map_err(|e| e.to_string())?;
    let mut shape = images.shape().to_vec();
    shape[0] = batch;
    let mut found: Vec<Vec<f32>> = Vec::new();
    for part in images.as_f32().unwrap().chunks(shape.iter().product()) {
        let results =
            plan.run_tensors(vec![Tensor::f32(&shape, part.to_vec())]).map_err(|e| e.to_string())?;
        found.resize(results.len(), Vec::new());
        for (all, result) in found.iter_mut().zip(results) {
            all.extend(result.as_f32().unwrap());
        }
    }
    let want = case.golden["outputs"].as_array().unwrap();
    assert_eq!(found.len(), want.len(), "{}: outputs", case.file);
    Ok(found.iter().zip(want).map(|(f, w)| distance(f, &numbers(&w["values"]))).fold(0.0, f64::max))
}

/// The graph with all its outputs in one row for each image, so that the executor takes it.
fn in_a_row(mut graph: Graph) -> Result<Graph, String> {
    let mut rows = Vec::new();
    for (i, output) in graph.outputs().to_vec().into_iter().enumerate() {
        // The loss takes logits.
        let last = graph.producers()[output.index()].map(|n| &graph.nodes()[n]);
        let output = last.filter(|n| matches!(n.op, Op::Softmax(_))).map_or(output, |n| n.inputs[0]);
        let flat = graph.shape(output).dims().len() == 2;
        rows.push(if flat { output } else { graph.add_node(format!("row{i}"), Flatten::IMAGES, [output]) });
    }
    if rows.len() > 1 {
        rows = vec![graph.add_node("rows", Concat::CHANNELS, rows)];
    }
    graph.set_outputs(rows);
    graph.tidy().map_err(|e| e.to_string())?;
    Ok(graph)
}

/// What a training step says.
struct Step {
    loss: f64,
    /// Behind the values of their parameters.
    gradients: Vec<(Tensor, Tensor)>,
}

fn step(case: &Case, graph: &Graph, shift: usize) -> Result<Step, String> {
    let ctx = Arc::new(Context::new(2).unwrap());
    let mut executor = Executor::new(ctx, graph, BATCH, Mode::Train).map_err(|e| e.to_string())?;
    let (classes, stride) = (executor.classes(), executor.logits_stride());
    executor.forward_train(&case.images().0, 0);
    let row = |logits: &[f32]| logits[..classes].iter().map(|&v| f64::from(v)).collect();
    let rows: Vec<Vec<f64>> = executor.logits().chunks(stride).map(row).collect();
    let (loss, gradient) = case.loss(&rows, shift);
    let mut given = vec![0.0; BATCH * stride];
    for (to, from) in given.chunks_mut(stride).zip(gradient) {
        for (t, f) in to.iter_mut().zip(from) {
            *t = f as f32;
        }
    }
    executor.backward(&given);
    let gradients = executor.gradient_tensors().into_iter();
    let gradients = gradients.map(|(id, gradient)| (graph.param(id).unwrap().clone(), gradient));
    Ok(Step { loss, gradients: gradients.collect() })
}

/// A matrix with its axes exchanged, whatever axes of 1 it has besides; `None` of anything else.
fn transposed(tensor: &Tensor) -> Option<Vec<f32>> {
    let sizes: Vec<usize> = tensor.shape().iter().copied().filter(|&d| d != 1).collect();
    let &[rows, columns] = &sizes[..] else { return None };
    let values = tensor.as_f32()?;
    Some((0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect())
}

/// Gradients by the names of the file, in the file's layout: simplification may rename, transpose and reshape a weight,
/// but not change its values. What it has folded into others is not there, nor what the exporter has.
fn by_name_of_file(case: &Case, file: &Graph, step: &Step) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for (_, value, tensor) in file.params() {
        let Some(want) = tensor.as_f32().filter(|v| v.len() > 1 && case.is_original(&value.name, tensor))
        else {
            continue;
        };
        for (now, gradient) in &step.gradients {
            if now.as_f32() == Some(want) {
                found.insert(value.name.clone(), gradient.to_f32s());
            } else if transposed(now).is_some_and(|t| t == want) {
                found.insert(value.name.clone(), transposed(gradient).unwrap());
            }
        }
    }
    found
}

/// Gradients that were compared.
struct Compared {
    count: usize,
    /// The largest distance, and whose it is.
    worst: (f64, String),
}

/// Compares the gradients that are there by all that the golden file has of them.
///
/// What is small is measured by a hundredth of the largest gradient: where a normalisation takes away what a parameter
/// does, all is rounding.
fn compare(want: &Value, found: &BTreeMap<String, Vec<f32>>) -> Compared {
    let want = want.as_object().unwrap();
    let floor = 0.01 * want.values().map(|w| numbers(&w["numbers"])[0]).fold(0.0, f64::max);
    let mut compared = Compared { count: 0, worst: (0.0, String::new()) };
    for (name, want) in want {
        let Some(got) = found.get(name) else { continue };
        let got: Vec<f64> = got.iter().map(|&v| f64::from(v)).collect();
        assert_eq!(got.len(), golden::shape(&want["shape"]).iter().product::<usize>(), "{name}");
        let [peak, absolute, sum, dot] = numbers(&want["numbers"])[..] else {
            panic!("{name}: four numbers")
        };
        let probe = formula::tensor(&format!("{name}.probe"), got.len());
        let (scale, total) = (peak.max(floor), absolute.max(floor));
        let head = numbers(&want["head"]);
        let errors = [
            (got.iter().fold(0.0f64, |m, v| m.max(v.abs())) - peak) / scale,
            (got.iter().map(|v| v.abs()).sum::<f64>() - absolute) / total,
            (got.iter().sum::<f64>() - sum) / total,
            (got.iter().zip(probe).map(|(g, p)| g * f64::from(p)).sum::<f64>() - dot) / total,
        ];
        let errors = errors.into_iter().chain(head.iter().zip(&got).map(|(w, g)| (g - w) / scale));
        let error = errors.fold(0.0, |m: f64, e| if e.is_finite() { m.max(e.abs()) } else { f64::INFINITY });
        compared.count += 1;
        if error >= compared.worst.0 {
            compared.worst = (error, name.clone());
        }
    }
    compared
}

fn normalisations(graph: &Graph) -> usize {
    graph.nodes().iter().filter(|n| matches!(n.op, Op::BatchNormalization(_))).count()
}

/// The graph with its normalisations folded, if all can be: a training step then computes what is deployed.
fn folded(graph: &Graph) -> Option<Graph> {
    let graph = fold_batch_norm(&remove_identity(graph).unwrap()).unwrap();
    (normalisations(&graph) == 0).then_some(graph)
}

/// Compares a step with the golden one of that mode: `train` has batch statistics, `eval` running ones.
fn check_step(case: &Case, graph: &Graph, mode: &str) -> Compared {
    let done = step(case, graph, 0).unwrap_or_else(|e| panic!("{}: {e}", case.file));
    let want = &case.golden[mode];
    let loss = want["loss"].as_f64().unwrap();
    assert!(
        (done.loss - loss).abs() < TOLERANCE * loss,
        "{} {mode}: loss {}, not {loss}",
        case.file,
        done.loss
    );
    let found = by_name_of_file(case, &case.read().unwrap(), &done);
    let compared = compare(&want["gradients"], &found);
    let (error, name) = &compared.worst;
    assert!(*error < TOLERANCE, "{} {mode}: the gradient of `{name}` is off by {error}", case.file);
    compared
}

/// Files that are not read, and what the error names.
const REFUSED: [(&str, &str); 2] = [
    // Not optimised, this exporter writes sequences.
    ("shufflenet.dynamo", "SplitToSequence"),
    // Whether the batch is empty is asked by local response normalisation.
    ("googlenet.legacy", "the operator If"),
];

/// Files whose batch of one cannot be opened: they run one image at a time.
const FIXED: [&str; 3] = ["vit.default", "vit_mean.default", "convnext.default"];

fn read_cases() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|c| REFUSED.iter().all(|(file, _)| c.file != *file))
}

fn trained_cases() -> impl Iterator<Item = Case> {
    read_cases().filter(|c| !FIXED.contains(&c.file.as_str()))
}

#[test]
fn outputs_are_those_of_the_other_tool() {
    let mut count = 0;
    for case in read_cases() {
        let graph = case.prepared().unwrap_or_else(|e| panic!("{}: {e}", case.file));
        let fixed = graph.shape(graph.inputs()[0]).dims()[0].size().is_some();
        assert_eq!(fixed, FIXED.contains(&case.file.as_str()), "{}: whether the batch is fixed", case.file);
        let error = outputs_error(&case, &graph).unwrap_or_else(|e| panic!("{}: {e}", case.file));
        assert!(error < TOLERANCE, "{}: outputs are off by {error}", case.file);
        count += 1;
    }
    assert_eq!(count, 35);
}

#[test]
fn any_doubled_weight_is_noticed() {
    let mut count = 0;
    for case in read_cases().filter(|c| !c.file.ends_with("default") && !c.channels_last) {
        let graph = case.read().unwrap();
        for (id, value, tensor) in graph.params() {
            if case.golden["train"]["gradients"].get(&value.name).is_none() {
                continue;
            }
            let mut wrong = graph.clone();
            let values = tensor.as_f32().unwrap().iter().map(|v| 2.0 * v).collect();
            wrong.set_param(id, Tensor::f32(tensor.shape(), values));
            let error = outputs_error(&case, &prepare_images(wrong, None).unwrap()).unwrap();
            assert!(error > TOLERANCE, "{}: a doubled `{}` passes", case.file, value.name);
            count += 1;
        }
    }
    assert!(count > 600, "{count}");
}

#[test]
fn what_is_not_read_is_named() {
    for (file, words) in REFUSED {
        let error = case(file).read().unwrap_err();
        assert!(error.contains(words), "{file}: {error}");
    }
    for file in FIXED {
        let case = case(file);
        let error = step(&case, &in_a_row(case.prepared().unwrap()).unwrap(), 0).err().expect("an error");
        assert!(error.contains("expected a classifier"), "{file}: {error}");
    }
}

#[test]
fn training_steps_are_those_of_pytorch() {
    let mut count = 0;
    for case in trained_cases().filter(|c| !c.file.ends_with("default") && !c.channels_last) {
        let graph = in_a_row(case.prepared().unwrap()).unwrap();
        let all = case.golden["train"]["gradients"].as_object().unwrap().len();
        assert_eq!(check_step(&case, &graph, "train").count, all, "{}: gradients", case.file);
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn steps_without_batch_statistics_are_those_of_the_other_tool() {
    let (mut steps, mut gradients) = (0, 0);
    for case in trained_cases() {
        let Some(graph) = folded(&in_a_row(case.prepared().unwrap()).unwrap()) else {
            assert!(case.file.starts_with("densenet"), "{}: normalisations are left", case.file);
            continue;
        };
        gradients += check_step(&case, &graph, "eval").count;
        steps += 1;
        if case.channels_last {
            // What tf2onnx leaves in front of a scale is folded into the weights of the convolution.
            let done = step(&case, &graph, 0).unwrap();
            let found = by_name_of_file(&case, &case.read().unwrap(), &done);
            for (name, want) in case.golden["eval"]["gradients"].as_object().unwrap() {
                let lost = !found.contains_key(name);
                let scaled = want["variable"] == "depthwise_conv2d/kernel" && case.file != "convnext.tf2onnx";
                assert_eq!(lost, scaled, "{}: `{name}`", case.file);
            }
        }
    }
    assert_eq!(steps, 29);
    assert!(gradients > 400, "{gradients}");
}

#[test]
fn wrong_gradients_are_noticed() {
    for case in trained_cases().filter(|c| c.file.ends_with("legacy")) {
        let graph = in_a_row(case.prepared().unwrap()).unwrap();
        let file = case.read().unwrap();
        let want = &case.golden["train"]["gradients"];
        let other = by_name_of_file(&case, &file, &step(&case, &graph, 1).unwrap());
        assert!(compare(want, &other).worst.0 > 100.0 * TOLERANCE, "{}: other labels pass", case.file);
        let right = by_name_of_file(&case, &file, &step(&case, &graph, 0).unwrap());
        if normalisations(&graph) > 0 {
            let error = compare(&case.golden["eval"]["gradients"], &right).worst.0;
            assert!(error > 100.0 * TOLERANCE, "{}: running statistics pass", case.file);
        }
        // Each by itself: the largest element off by a thousandth of itself, and none at all.
        let largest = |g: &[f32]| (0..g.len()).max_by(|&i, &j| g[i].abs().total_cmp(&g[j].abs())).unwrap();
        let peaks = right.values().map(|g| g[largest(g)].abs());
        let floor = 0.01 * peaks.fold(0.0, f32::max);
        for (name, gradient) in right.iter().filter(|(_, g)| g[largest(g)].abs() > floor) {
            let passes =
                |wrong: Vec<f32>| compare(want, &BTreeMap::from([(name.clone(), wrong)])).worst.0 < TOLERANCE;
            assert!(passes(gradient.clone()), "{}: `{name}`", case.file);
            assert!(!passes(vec![0.0; gradient.len()]), "{}: `{name}` of zeros passes", case.file);
            let mut wrong = gradient.clone();
            wrong[largest(gradient)] *= 1.001;
            assert!(!passes(wrong), "{}: a wrong element of `{name}` passes", case.file);
        }
    }
}
