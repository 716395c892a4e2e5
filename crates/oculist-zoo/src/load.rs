//! Setting parameters by name.

use oculist_graph::{Graph, Shape, Tensor};

use crate::error::{Mismatch, ZooError};

/// Sets every weight and running statistic of `graph` to the tensor that `lookup` gives for its name. Paddings and the
/// like, which are constants of the structure, stay.
///
/// # Errors
/// [`ZooError::Parameters`] listing every parameter without a tensor and every tensor of another type or shape; the
/// graph is then unchanged.
pub fn load_named(graph: &mut Graph, lookup: impl Fn(&str) -> Option<Tensor>) -> Result<(), ZooError> {
    let mut found = Vec::new();
    let (mut missing, mut mismatched) = (Vec::new(), Vec::new());
    let weights = graph.weights();
    for (id, value, current) in graph.params().filter(|(id, ..)| weights[id.index()]) {
        match lookup(&value.name) {
            None => missing.push(value.name.clone()),
            Some(tensor) if tensor.shape() == current.shape() && tensor.dtype() == current.dtype() => {
                found.push((id, tensor));
            }
            Some(tensor) => mismatched.push(Mismatch {
                name: value.name.clone(),
                expected: describe(current),
                found: describe(&tensor),
            }),
        }
    }
    if !missing.is_empty() || !mismatched.is_empty() {
        return Err(ZooError::Parameters { graph: graph.name().to_owned(), missing, mismatched });
    }
    for (id, tensor) in found {
        graph.set_param(id, tensor);
    }
    Ok(())
}

fn describe(tensor: &Tensor) -> String {
    format!("{}{}", tensor.dtype().name(), Shape::fixed(tensor.shape()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildOptions, build, initialize};

    fn graph() -> Graph {
        build("resnet8", &BuildOptions::new(10, (3, 32, 32))).unwrap()
    }

    fn copy_from(source: &Graph, name: &str) -> Option<Tensor> {
        source.param(source.find(name)?).cloned()
    }

    #[test]
    fn every_parameter_is_taken_over() {
        let (mut from, mut to) = (graph(), graph());
        initialize(&mut from, 1);
        assert_ne!(from, to);
        load_named(&mut to, |name| copy_from(&from, name)).unwrap();
        assert_eq!(from, to);
        to.check().unwrap();
    }

    #[test]
    fn everything_missing_or_unfit_is_listed_and_nothing_changes() {
        let (mut from, mut to) = (graph(), graph());
        initialize(&mut from, 1);
        let before = to.clone();
        let error = load_named(&mut to, |name| match name {
            "bn1.bias" | "layer1.0.conv1.weight" => None,
            "linear.weight" => Some(Tensor::filled(&[100, 64], 0.0)),
            "linear.bias" => Some(Tensor::i32(&[10], vec![0; 10])),
            _ => copy_from(&from, name),
        })
        .unwrap_err();
        let ZooError::Parameters { missing, mismatched, .. } = &error else { panic!("{error}") };
        assert_eq!(missing, &["bn1.bias", "layer1.0.conv1.weight"]);
        assert_eq!(mismatched.len(), 2);
        assert_eq!(
            error.to_string(),
            "cannot load the parameters of `resnet8`: 2 missing (`bn1.bias`, `layer1.0.conv1.weight`), 2 that do not \
             fit (`linear.weight` expected f32[10, 64], found f32[100, 64]; `linear.bias` expected f32[10], found \
             i32[10])"
        );
        assert_eq!(to, before);
    }

    #[test]
    fn a_long_list_is_cut_in_the_message_only() {
        let mut to = graph();
        let error = load_named(&mut to, |_| None).unwrap_err();
        let ZooError::Parameters { missing, .. } = &error else { panic!("{error}") };
        assert_eq!(missing.len(), to.weights().iter().filter(|&&w| w).count());
        assert!(error.to_string().contains(&format!("and {} more", missing.len() - 8)), "{error}");
    }
}
