//! A model as a file: the graph with its preprocessing and class names in the metadata.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_augment::Preprocessing;
use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::dropout;
use crate::error::OculistError;

/// Metadata key of the class names, a JSON list in the order of the logits.
pub const CLASSES_KEY: &str = "oculist.classes";
/// Metadata key of the architecture's name.
pub const ARCH_KEY: &str = "oculist.arch";
/// Metadata key of the version that wrote the file.
pub const VERSION_KEY: &str = "oculist.version";

/// A classifier with all that is needed to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network.
    pub graph: Graph,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the logits.
    pub class_names: Vec<String>,
    /// Name of the architecture it came from.
    pub arch: String,
}

impl Model {
    /// Reads an ONNX file that Oculist wrote.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if it is no ONNX file or holds an unsupported operator; [`OculistError::Model`] if the
    /// metadata are missing or contradict the graph.
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        let mut graph = oculist_onnx::read(path)?;
        let problem = |problem: String| OculistError::Model { path: path.to_path_buf(), problem };
        dropout::restore(&mut graph).map_err(problem)?;
        let preprocessing = Preprocessing::from_metadata(&graph.metadata).map_err(|e| {
            problem(format!("expected a model made by oculist, with its preprocessing in the metadata: {e}"))
        })?;
        let class_names: Vec<String> = graph
            .metadata
            .get(CLASSES_KEY)
            .ok_or_else(|| {
                problem(format!("expected class names in the metadata `{CLASSES_KEY}`, found none"))
            })
            .and_then(|text| {
                serde_json::from_str(text).map_err(|e| problem(format!("metadata `{CLASSES_KEY}`: {e}")))
            })?;
        let outputs = graph.outputs().first().and_then(|&o| graph.shape(o).channels());
        if outputs != Some(class_names.len()) {
            return Err(problem(format!(
                "expected {} logits, one per class name, found {}",
                class_names.len(),
                outputs.map_or("none".into(), |n| n.to_string())
            )));
        }
        let input = (preprocessing.channels(), preprocessing.height, preprocessing.width);
        if graph.input_chw() != Some(input) {
            return Err(problem(format!(
                "the preprocessing gives {}x{}x{} (channels, height, width), the network takes {:?}",
                input.0,
                input.1,
                input.2,
                graph.input_chw()
            )));
        }
        let arch = graph.metadata.get(ARCH_KEY).cloned().unwrap_or_else(|| graph.name().to_owned());
        Ok(Self { graph, preprocessing, class_names, arch })
    }

    /// [`Model::read`] for runs of `batch` images: also checks that it can be planned for them, before any image is read at
    /// the size that the model asks for.
    ///
    /// # Errors
    /// As [`Model::read`]; [`OculistError::Model`] if the model needs more memory or time than there is.
    pub(crate) fn read_for(path: &Path, batch: usize, ctx: &Arc<Context>) -> Result<Self, OculistError> {
        let model = Self::read(path)?;
        model.check_size(path, batch, ctx)?;
        Ok(model)
    }

    /// Checks that the model, read from `path`, can be planned for `batch` images as far as its sizes tell.
    ///
    /// # Errors
    /// [`OculistError::Model`] if it needs more memory or time than there is.
    pub(crate) fn check_size(
        &self,
        path: &Path,
        batch: usize,
        ctx: &Arc<Context>,
    ) -> Result<(), OculistError> {
        Plan::check(&self.graph, &PlanOptions::new(batch, ctx.clone()))
            .map_err(|e| OculistError::Model { path: path.to_path_buf(), problem: e.to_string() })
    }

    /// Checks that the model, read from `path`, tells the classes of some data apart.
    ///
    /// # Errors
    /// [`OculistError::Model`] naming both lists of classes.
    pub(crate) fn check_classes(&self, path: &Path, class_names: &[String]) -> Result<(), OculistError> {
        if self.class_names == class_names {
            return Ok(());
        }
        Err(OculistError::Model {
            path: path.to_path_buf(),
            problem: format!(
                "its {} classes ({}) are not the {} of the data ({})",
                self.class_names.len(),
                short_list(&self.class_names),
                class_names.len(),
                short_list(class_names)
            ),
        })
    }

    /// Whether the model computes in int8, at least in parts.
    pub(crate) fn is_int8(&self) -> bool {
        is_int8(&self.graph)
    }

    /// Writes the model; the file appears whole or not at all. Returns its size in bytes.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] naming the file.
    pub fn write(&self, path: &Path) -> Result<u64, OculistError> {
        let graph = self.with_metadata();
        oculist_onnx::write(&graph, path)?;
        let io = |source| OculistError::Io { path: path.to_path_buf(), source };
        Ok(std::fs::metadata(path).map_err(io)?.len())
    }

    /// Size of the file in bytes without writing it.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if the graph cannot be expressed.
    pub fn file_bytes(&self) -> Result<u64, OculistError> {
        Ok(oculist_onnx::to_bytes(&self.with_metadata())?.len() as u64)
    }

    /// The same classifier with another graph.
    pub fn with_graph(&self, graph: Graph) -> Self {
        Self { graph, ..self.clone() }
    }

    fn with_metadata(&self) -> Graph {
        let mut graph = self.graph.clone();
        dropout::note(&mut graph);
        graph.metadata.extend(self.preprocessing.to_metadata());
        let classes = serde_json::to_string(&self.class_names).unwrap_or_default();
        graph.metadata.insert(CLASSES_KEY.into(), classes);
        graph.metadata.insert(ARCH_KEY.into(), self.arch.clone());
        graph.metadata.insert(VERSION_KEY.into(), env!("CARGO_PKG_VERSION").into());
        graph
    }
}

/// Whether a graph computes in int8, at least in parts.
pub(crate) fn is_int8(graph: &Graph) -> bool {
    graph.nodes().iter().any(|n| n.op.name() == "QuantizeLinear")
}

/// The first names of a list and the number of the others.
fn short_list(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
    let rest = names.len().saturating_sub(4);
    if rest > 0 { format!("{}, and {rest} more", shown.join(", ")) } else { shown.join(", ") }
}

/// The file name of a model within a run folder, for tables.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| PathBuf::from(path).display().to_string(), |n| n.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use oculist_augment::ColorMode;

    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn other_classes_are_named_but_not_all_of_them() {
        let model = Model {
            graph: Graph::new("m"),
            preprocessing: Preprocessing::exact(ColorMode::Grey, 28, 28),
            class_names: names(3),
            arch: "resnet8".into(),
        };
        let path = Path::new("m.onnx");
        assert!(model.check_classes(path, &names(3)).is_ok());
        let text = model.check_classes(path, &names(10)).unwrap_err().to_string();
        assert_eq!(
            text,
            "model m.onnx: its 3 classes (c0, c1, c2) are not the 10 of the data (c0, c1, c2, c3, and 6 more)"
        );
    }

    #[test]
    fn a_model_read_from_its_file_has_its_dropout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let options = oculist_zoo::BuildOptions::new(3, (3, 32, 32));
        let model = Model {
            graph: oculist_zoo::build("mobilenet_v3_small", &options).unwrap(),
            preprocessing: Preprocessing::exact(ColorMode::Rgb, 32, 32),
            class_names: names(3),
            arch: "mobilenet_v3_small".into(),
        };
        let bytes = model.write(&path).unwrap();
        assert_eq!(bytes, model.file_bytes().unwrap());
        let back = Model::read(&path).unwrap();
        let layers = |m: &Model| -> Vec<_> {
            m.graph.nodes().iter().map(|n| (n.name.clone(), n.op.clone())).collect()
        };
        assert!(layers(&back) == layers(&model));
        assert!(back.graph.nodes().iter().any(|n| n.op.name() == "Dropout"));
        // And again from what was read, as pruning and fine-tuning do.
        back.write(&path).unwrap();
        assert!(layers(&Model::read(&path).unwrap()) == layers(&model));
    }
}
