//! The rows of a classifier by the names of the classes.

use oculist_graph::{Gemm, Graph, Tensor};
use oculist_passes::{Classifier, Extractor};

use super::features::FeatureRows;
use crate::class_match::{match_classes, short_list, shown};
use crate::error::OculistError;
use crate::summary::counted;

/// By the data's class: the source's class of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carry {
    pub(crate) of: Vec<Option<usize>>,
    /// What was assumed and done, a line each.
    pub(crate) notes: Vec<String>,
}

impl Carry {
    /// Whether no class of the data is one of the source.
    pub(crate) fn is_nothing(&self) -> bool {
        self.of.iter().all(Option::is_none)
    }
}

/// Matches the classes of the data with those of a source by their names.
///
/// # Errors
/// In words: names that several classes of the source could mean.
pub(crate) fn carry(source: &[String], data: &[String]) -> Result<Carry, String> {
    let matched = match_classes(source, data, &vec![1; data.len()]);
    let of: Vec<Option<usize>> = matched.labels.iter().map(|label| label.map(|l| l as usize)).collect();
    let alike = |name: &str| {
        let plain = name.to_lowercase();
        source.iter().filter(|other| other.to_lowercase() == plain).collect::<Vec<_>>()
    };
    for (name, _) in data.iter().zip(&of).filter(|(_, of)| of.is_none()) {
        let several = alike(name);
        if several.len() > 1 {
            return Err(format!(
                "the class {} of the data may be each of {} of the source",
                shown(name),
                short_list(several)
            ));
        }
    }
    let common = of.iter().flatten().count();
    let mut notes = matched.notes;
    if common == 0 {
        notes.push(format!(
            "none of the {} of the data ({}) is among those of the source ({}): all rows of its last layer are new, from the \
             mean features of their images",
            counted(data.len(), "class", "classes"),
            short_list(data),
            short_list(source)
        ));
        return Ok(Carry { of, notes });
    }
    let fresh = data.iter().zip(&of).filter(|(_, of)| of.is_none()).map(|(name, _)| name);
    notes.push(format!(
        "{} of {} carried over by name{}",
        common,
        counted(data.len(), "class", "classes"),
        if common < data.len() { format!("; new: {}", short_list(fresh)) } else { String::new() }
    ));
    Ok(Carry { of, notes })
}

/// Weights `[classes, features]` and biases of the carried classes, and of new ones by imprinting.
///
/// The row of a new class is `n * (m - c) / |m - c|`, with the mean `m` of its training images' features, the mean `c` of all
/// classes' means and the mean norm `n` of the source's rows. Its bias makes the mean of its own images' scores that of the carried
/// classes on theirs. A new class without images has the mean row and bias of the source.
///
/// # Source
/// Qi, Brown, Lowe: Low-Shot Learning with Imprinted Weights, 2018 (arXiv 1712.07136), there for normalised features, without biases
/// and without `c`, which all classes' features have in common.
pub(crate) fn rows(
    old: &Classifier,
    carry: &Carry,
    features: &FeatureRows,
    labels: &[u32],
) -> (Vec<f32>, Vec<f32>) {
    let (dim, classes) = (old.features, carry.of.len());
    let mut means = vec![vec![0.0_f64; dim]; classes];
    let mut counts = vec![0_usize; classes];
    for (row, &label) in features.values.chunks_exact(dim).zip(labels) {
        counts[label as usize] += 1;
        means[label as usize].iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v));
    }
    for (mean, &n) in means.iter_mut().zip(&counts) {
        for m in mean {
            *m /= n.max(1) as f64;
        }
    }
    let with_images = counts.iter().filter(|&&n| n > 0).count().max(1) as f64;
    let common: Vec<f64> =
        (0..dim).map(|d| means.iter().map(|mean| mean[d]).sum::<f64>() / with_images).collect();
    let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
    let wide = |row: &[f32]| row.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let length =
        (0..old.classes()).map(|k| norm(&wide(old.row(k)))).sum::<f64>() / old.classes().max(1) as f64;
    let score =
        |row: &[f64], bias: f64, of: &[f64]| bias + row.iter().zip(of).map(|(w, x)| w * x).sum::<f64>();
    let own: Vec<f64> = (0..classes)
        .filter(|&k| counts[k] > 0)
        .filter_map(|k| {
            Some(score(&wide(old.row(carry.of[k]?)), f64::from(old.bias[carry.of[k]?]), &means[k]))
        })
        .collect();
    let usual = if own.is_empty() { 0.0 } else { own.iter().sum::<f64>() / own.len() as f64 };
    let (mut weights, mut biases) = (Vec::with_capacity(classes * dim), Vec::with_capacity(classes));
    for k in 0..classes {
        let own: Vec<f64> = means[k].iter().zip(&common).map(|(m, c)| m - c).collect();
        let size = if counts[k] > 0 { norm(&own) } else { 0.0 };
        if let Some(from) = carry.of[k] {
            weights.extend_from_slice(old.row(from));
            biases.push(old.bias[from]);
        } else if size > 0.0 {
            let row: Vec<f64> = own.iter().map(|m| length * m / size).collect();
            biases.push((usual - score(&row, 0.0, &means[k])) as f32);
            weights.extend(row.iter().map(|&w| w as f32));
        } else {
            let n = old.classes().max(1) as f64;
            let mean = |d: usize| (0..old.classes()).map(|c| f64::from(old.row(c)[d])).sum::<f64>() / n;
            weights.extend((0..dim).map(|d| mean(d) as f32));
            biases.push((old.bias.iter().map(|&b| f64::from(b)).sum::<f64>() / n) as f32);
        }
    }
    (weights, biases)
}

/// The network with a fully connected layer behind its features; it ends in logits.
///
/// # Errors
/// [`OculistError::Graph`] if the layer does not fit.
pub(crate) fn with_linear(
    network: &Extractor,
    name: &str,
    weights: Vec<f32>,
    bias: Vec<f32>,
) -> Result<Graph, OculistError> {
    let mut graph = network.graph.clone();
    let features = graph.outputs()[0];
    let w = graph.add_param(format!("{name}.weight"), Tensor::f32(&[bias.len(), network.features], weights));
    let b = graph.add_param(format!("{name}.bias"), Tensor::f32(&[bias.len()], bias));
    let logits = graph.add_node(name.to_owned(), Gemm::LINEAR, [features, w, b]);
    graph.set_outputs(vec![logits]);
    graph.tidy()?;
    graph.check()?;
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn classes_are_carried_by_name_in_any_order() {
        let source = names(&["cat", "dog", "owl"]);
        let found = carry(&source, &names(&["owl", "newt", "cat"])).unwrap();
        assert_eq!(found.of, [Some(2), None, Some(0)]);
        assert!(
            found.notes.last().unwrap().contains("2 of 3 classes carried over by name; new: \"newt\""),
            "{found:?}"
        );
        let found = carry(&source, &names(&["pear", "plum"])).unwrap();
        assert!(found.is_nothing() && found.notes[0].starts_with("none of the 2 classes"), "{found:?}");
        let error = carry(&names(&["Cat", "cAT", "dog"]), &names(&["cat", "dog"])).unwrap_err();
        assert!(error.contains("may be each of"), "{error}");
    }

    #[test]
    fn carried_rows_stay_and_new_ones_point_to_their_images() {
        let old = Classifier {
            name: "fc".into(),
            weights: vec![3.0, 0.0, 0.0, 4.0],
            bias: vec![0.5, -0.5],
            features: 2,
        };
        let carry = Carry { of: vec![Some(1), None, None], notes: Vec::new() };
        let features =
            FeatureRows { values: vec![0.0, 2.0, 1.0, 0.0, 3.0, 0.0], dim: 2, indices: vec![0, 1, 2] };
        let (weights, bias) = rows(&old, &carry, &features, &[0, 1, 1]);
        // The carried class scores 4 * 2 - 0.5 on its own image; rows have norm 3.5 in the mean. Of the two classes with
        // images the means are (0, 2) and (2, 0), so that theirs is (1, 1) and the new class's direction (1, -1).
        let part = 3.5 / 2.0_f32.sqrt();
        let close = |found: &[f32], want: &[f32]| found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&weights, &[0.0, 4.0, part, -part, 1.5, 2.0]), "{weights:?}");
        assert!(close(&bias, &[-0.5, 7.5 - 2.0 * part, 0.0]), "{bias:?}");
    }
}
