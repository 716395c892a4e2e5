//! Loading into graphs of the zoo.

use half::f16;
use oculist_graph::{DataType, Graph, Tensor, TensorData};
use oculist_weights::{Format, Partial, Weights, WeightsError, classes_of, load_into};
use oculist_zoo::{BuildOptions, build, initialize};

use super::error_of;

fn resnet8(classes: usize) -> Graph {
    build("resnet8", &BuildOptions::new(classes, (3, 32, 32))).unwrap()
}

/// The weights of a graph, as a file of them would hold them.
fn weights_of(graph: &Graph) -> Weights {
    let is_weight = graph.weights();
    let params = graph.params().filter(|(id, ..)| is_weight[id.index()]);
    Weights {
        file: "w.pth".into(),
        format: Format::TorchArchive,
        key: None,
        prefix: String::new(),
        tensors: params.map(|(_, value, tensor)| (value.name.clone(), tensor.clone())).collect(),
        skipped: Vec::new(),
        notes: Vec::new(),
    }
}

fn initialized(classes: usize) -> Graph {
    let mut graph = resnet8(classes);
    initialize(&mut graph, 3);
    graph
}

fn entry<'w>(weights: &'w mut Weights, name: &str) -> &'w mut (String, Tensor) {
    weights.tensors.iter_mut().find(|(n, _)| n == name).unwrap()
}

#[test]
fn all_weights_and_statistics_come_over() {
    let from = initialized(10);
    let mut weights = weights_of(&from);
    weights.tensors.push(("bn1.num_batches_tracked".into(), Tensor::ints(vec![7])));
    let mut to = resnet8(10);
    let report = load_into(&mut to, &weights, Partial::No).unwrap();
    assert_eq!(to, from);
    assert_eq!(report.matched.len(), weights.tensors.len() - 1);
    assert_eq!(report.ignored, ["bn1.num_batches_tracked"]);
    assert!(report.missing.is_empty() && report.left_over.is_empty() && report.differing.is_empty());
    assert_eq!(report.producer, "torchvision or alike");
}

#[test]
fn three_mismatches_are_named_and_the_graph_is_unchanged() {
    let mut weights = weights_of(&initialized(10));
    weights.tensors.retain(|(name, _)| !name.starts_with("bn1."));
    entry(&mut weights, "layer1.0.conv1.weight").1 = Tensor::filled(&[16, 16, 5, 5], 0.0);
    entry(&mut weights, "layer1.0.bn1.weight").1 = Tensor::i32(&[16], vec![0; 16]);
    weights.tensors.push(("head\u{1b}.weight".into(), Tensor::filled(&[1], 0.0)));
    let mut graph = resnet8(10);
    let before = graph.clone();
    let error = load_into(&mut graph, &weights, Partial::No).unwrap_err();
    assert_eq!(graph, before);
    assert_eq!(
        error.to_string(),
        "`w.pth` does not fit `resnet8`: 31 of 37 weights fit; `layer1.0.conv1.weight` expected f32[16, 16, 3, 3], found \
         f32[16, 16, 5, 5], `bn1.weight` is missing, `head\\u{1b}.weight` is not in the graph; besides 1 of another shape, \
         3 missing"
    );
    let report = load_into(&mut graph, &weights, Partial::Yes).unwrap();
    assert_ne!(graph, before);
    assert_eq!((report.matched.len(), report.missing.len(), report.left_over.len()), (31, 4, 1));
    assert_eq!(report.differing[1].found, "i32[16]");
    graph.check().unwrap();
}

#[test]
fn what_is_left_over_alone_is_an_error_as_well() {
    let mut weights = weights_of(&initialized(10));
    weights.tensors.push(("aux.weight".into(), Tensor::filled(&[1], 0.0)));
    let text = error_of(load_into(&mut resnet8(10), &weights, Partial::No));
    assert!(text.ends_with("37 of 37 weights fit; `aux.weight` is not in the graph"), "{text}");
    assert!(load_into(&mut resnet8(10), &weights, Partial::Yes).is_ok());
}

#[test]
fn weights_of_another_network_are_an_error_even_in_part() {
    let mut weights = weights_of(&initialized(10));
    for (name, _) in &mut weights.tensors {
        name.insert(0, 'x');
    }
    let text = error_of(load_into(&mut resnet8(10), &weights, Partial::Yes));
    assert!(text.contains("0 of 37 weights fit"), "{text}");
}

#[test]
fn another_number_of_classes_is_said() {
    let weights = weights_of(&initialized(100));
    let error = load_into(&mut resnet8(10), &weights, Partial::No).unwrap_err();
    let WeightsError::Mismatch { report, .. } = &error else { panic!("{error}") };
    assert_eq!(report.classes, Some((100, 10)));
    assert!(error.to_string().ends_with("the file's classifier has 100 classes, the graph's 10"), "{error}");
    // In part, all but the classifier is loaded.
    let mut graph = resnet8(10);
    let report = load_into(&mut graph, &weights, Partial::Yes).unwrap();
    let differing: Vec<&str> = report.differing.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(differing, ["linear.weight", "linear.bias"]);
    // With the number that the file tells it fits.
    let classes = classes_of("resnet8", &weights).unwrap();
    assert!(load_into(&mut resnet8(classes), &weights, Partial::No).is_ok());
}

#[test]
fn classes_are_told_for_every_architecture() {
    for info in oculist_zoo::architectures() {
        // Small stems spare the 100 million weights of the wide heads, and have heads of their own.
        let options = BuildOptions::new(7, (3, 32, 32)).with_width(0.25);
        let graph = build(info.name, &options).unwrap();
        assert_eq!(classes_of(info.name, &weights_of(&graph)).unwrap(), 7, "{}", info.name);
    }
    let weights = weights_of(&resnet8(3));
    let text = error_of(classes_of("resnet18", &weights));
    assert_eq!(
        text,
        "cannot tell the number of classes of `w.pth` for resnet18: expected one of `fc.weight`, found none"
    );
    assert!(error_of(classes_of("resnet21", &weights)).contains("no architecture is called `resnet21`"));
}

#[test]
fn floats_of_other_widths_become_the_graphs() {
    let from = initialized(10);
    let mut weights = weights_of(&from);
    let halve = |tensor: &Tensor| {
        let halves = tensor.to_f32s().into_iter().map(f16::from_f32).collect();
        Tensor::new(tensor.shape().to_vec(), TensorData::F16(halves)).unwrap()
    };
    for (_, tensor) in &mut weights.tensors {
        *tensor = halve(tensor);
    }
    let doubled = entry(&mut weights, "bn1.weight");
    doubled.1 = Tensor::new(vec![16], TensorData::F64(vec![0.5; 16])).unwrap();
    let mut graph = resnet8(10);
    let report = load_into(&mut graph, &weights, Partial::No).unwrap();
    assert_eq!(
        report.notes,
        [
            "1 tensors of f64 were converted to the graph's type",
            "36 tensors of f16 were converted to the graph's type"
        ]
    );
    let loaded = |name: &str| graph.param(graph.find(name).unwrap()).unwrap().clone();
    assert_eq!(loaded("bn1.weight"), Tensor::filled(&[16], 0.5));
    let original = from.param(from.find("conv1.weight").unwrap()).unwrap();
    assert_eq!(loaded("conv1.weight").to_f32s(), halve(original).to_f32s());
    assert_eq!(loaded("conv1.weight").dtype(), DataType::F32);
    // What does not fit in the graph's type is not finite any more.
    entry(&mut weights, "bn1.weight").1 = Tensor::new(vec![16], TensorData::F64(vec![1e300; 16])).unwrap();
    assert!(error_of(load_into(&mut resnet8(10), &weights, Partial::No)).contains("found inf at element 0"));
}

#[test]
fn what_is_not_a_number_is_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut weights = weights_of(&initialized(10));
        let mut values = vec![0.0; 16];
        values[5] = bad;
        entry(&mut weights, "layer1.0.bn2.bias").1 = Tensor::f32(&[16], values);
        let mut graph = resnet8(10);
        let before = graph.clone();
        let text = error_of(load_into(&mut graph, &weights, Partial::Yes));
        assert_eq!(
            text.to_lowercase(),
            format!("tensor `layer1.0.bn2.bias`: expected finite numbers, found {bad} at element 5")
                .to_lowercase()
        );
        assert_eq!(graph, before);
    }
}

#[test]
fn a_graph_may_have_the_prefix_itself() {
    let from = initialized(10);
    let mut weights = weights_of(&from);
    weights.prefix = "model.".into();
    let mut graph = Graph::new("other");
    let input = graph.add_input("x", oculist_graph::Shape::nchw(3, 8, 8));
    let weight = graph.add_param("model.conv1.weight", Tensor::filled(&[16, 3, 3, 3], 0.0));
    let conv = oculist_graph::Op::Conv(oculist_graph::Conv::square(3, 1, 1));
    let y = graph.add_node("conv", conv, [input, weight]);
    graph.set_outputs(vec![y]);
    graph.tidy().unwrap();
    let report = load_into(&mut graph, &weights, Partial::Yes).unwrap();
    assert_eq!(report.matched, ["model.conv1.weight"]);
}

#[test]
fn a_cifar_resnet_may_call_its_classifier_fc() {
    let from = initialized(10);
    let mut weights = weights_of(&from);
    for (name, _) in &mut weights.tensors {
        *name = name.replace("linear.", "fc.");
    }
    assert_eq!(classes_of("resnet8", &weights).unwrap(), 10);
    let mut graph = resnet8(10);
    load_into(&mut graph, &weights, Partial::No).unwrap();
    assert_eq!(graph, from);
}
