//! Names of tensors as files have them: what stands before all of them, and what is no weight.

use oculist_graph::Tensor;

/// What wrappers put before all names: data parallel training, compilation, Lightning, a classifier around a network.
const PREFIXES: [&str; 6] = ["module.", "model.", "backbone.", "_orig_mod.", "encoder.", "net."];

/// Last parts of the names of tensors that count or measure and are no weights.
const BOOKKEEPING: [&str; 4] = ["num_batches_tracked", "n_averaged", "total_ops", "total_params"];

/// Whether a tensor is no weight: PyTorch's counter of batches, the counter of an averaged model, numbers of profilers.
pub(crate) fn is_bookkeeping(name: &str) -> bool {
    BOOKKEEPING.contains(&name.rsplit('.').next().unwrap_or(name))
}

/// Classifiers that only training reads, by the architecture whose file has them: they are not in the zoo's graphs.
const AUXILIARY: [(&str, &str); 3] =
    [("googlenet", "aux1."), ("googlenet", "aux2."), ("inception_v3", "AuxLogits.")];

/// Whether a tensor belongs to an auxiliary classifier of an architecture.
pub(crate) fn is_auxiliary(graph: &str, name: &str) -> bool {
    AUXILIARY.iter().any(|(architecture, prefix)| graph == *architecture && name.starts_with(prefix))
}

/// Takes off what stands before all names but those of bookkeeping, again and again; returns what was taken off.
pub(crate) fn strip(tensors: &mut [(String, Tensor)]) -> String {
    let mut stripped = String::new();
    let common = |tensors: &[(String, Tensor)]| {
        let mut weights = tensors.iter().filter(|(name, _)| !is_bookkeeping(name)).peekable();
        weights.peek()?;
        let names: Vec<&str> = weights.map(|(name, _)| name.as_str()).collect();
        PREFIXES
            .into_iter()
            .find(|p| names.iter().all(|n| n.strip_prefix(p).is_some_and(|rest| !rest.is_empty())))
    };
    while let Some(prefix) = common(tensors) {
        for (name, _) in tensors.iter_mut() {
            if let Some(rest) = name.strip_prefix(prefix) {
                *name = rest.to_owned();
            }
        }
        stripped.push_str(prefix);
    }
    stripped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(names: &[&str]) -> (String, Vec<String>) {
        let mut tensors: Vec<_> =
            names.iter().map(|n| ((*n).to_owned(), Tensor::f32(&[], vec![0.0]))).collect();
        let prefix = strip(&mut tensors);
        (prefix, tensors.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn only_what_all_have_is_taken_off() {
        let (prefix, names) = stripped(&["module.model.fc.weight", "n_averaged", "module.model.fc.bias"]);
        assert_eq!(
            (prefix.as_str(), names),
            ("module.model.", vec!["fc.weight".into(), "n_averaged".into(), "fc.bias".into()])
        );
        assert_eq!(stripped(&["module.fc.weight", "loss.weight"]).0, "");
        assert_eq!(stripped(&["module.n_averaged"]).0, "");
        assert_eq!(stripped(&["net."]).0, "");
        assert_eq!(stripped(&[]).0, "");
    }
}
