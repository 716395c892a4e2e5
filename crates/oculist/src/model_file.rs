//! A model as a file: the graph with its preprocessing and class names in the metadata.

mod head;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_augment::Preprocessing;
use oculist_data::Split;
use oculist_graph::Graph;
use oculist_graph::op::Quantization;
use oculist_onnx::ExportOptions;
use oculist_passes::{channels_last_again, prepare_images};
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::class_match::match_classes;
use crate::data::Source;
use crate::dropout;
use crate::error::OculistError;
use crate::images::{image_bytes, reading_bytes};
use crate::progress::Watch;
use crate::summary::counted;

pub use head::Head;
pub(crate) use head::softmax_as_logits;

/// Metadata key of the class names, a JSON list in the order of the logits.
pub const CLASSES_KEY: &str = "oculist.classes";
/// Metadata key of the architecture's name.
pub const ARCH_KEY: &str = "oculist.arch";
/// Metadata key of the version that wrote the file.
pub const VERSION_KEY: &str = "oculist.version";

/// A classifier with all that is needed to use it.
#[derive(Debug, Clone)]
pub struct Model {
    /// The network; it ends in logits.
    pub graph: Graph,
    /// What stands behind the logits in the file.
    pub head: Head,
    /// How an image becomes its input.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the logits.
    pub class_names: Vec<String>,
    /// Name of the architecture it came from.
    pub arch: String,
}

impl Model {
    /// Reads an ONNX file that Oculist wrote. A `Softmax` at its end is taken off and comes back with
    /// [`Model::write`], as does the order of an input whose channels are last: in memory they are first.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if it is no ONNX file or holds an unsupported operator; [`OculistError::Model`] if the
    /// metadata are missing or contradict the graph, or the graph is no classifier.
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        let mut graph = read_images(path)?;
        let problem = |problem: String| OculistError::Model { path: path.to_path_buf(), problem };
        dropout::restore(&mut graph).map_err(problem)?;
        classifies(&graph).map_err(problem)?;
        let head = Head::take(&mut graph).map_err(problem)?;
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
        let mut seen = BTreeSet::new();
        if let Some(twice) = class_names.iter().find(|&name| !seen.insert(name)) {
            return Err(problem(format!(
                "the class names in the metadata `{CLASSES_KEY}` hold {twice:?} twice; expected a name of its own for each \
                 class"
            )));
        }
        let input = (preprocessing.channels(), preprocessing.height, preprocessing.width);
        if graph.input_chw() != Some(input) {
            let (c, h, w) = input;
            let takes = graph.input_chw().map_or("another input".into(), |(c, h, w)| format!("{c}x{h}x{w}"));
            return Err(problem(format!(
                "the preprocessing gives {c}x{h}x{w} (channels, height, width), the network takes {takes}"
            )));
        }
        let arch = graph.metadata.get(ARCH_KEY).cloned().unwrap_or_else(|| graph.name().to_owned());
        Ok(Self { graph, head, preprocessing, class_names, arch })
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

    /// Checks that the model, read from `path`, can be planned for `batch` images, with those that are read ahead for it.
    ///
    /// # Errors
    /// [`OculistError::Model`] if it needs more memory or time than there is.
    pub(crate) fn check_size(
        &self,
        path: &Path,
        batch: usize,
        ctx: &Arc<Context>,
    ) -> Result<(), OculistError> {
        let of_file = |e: OculistError| e.of_model(path);
        let plan =
            Plan::check(&self.graph, &PlanOptions::new(batch, ctx.clone())).map_err(|e| of_file(e.into()))?;
        let (images, what) = if batch == 1 {
            (image_bytes(&self.preprocessing), "the image that it is given")
        } else {
            (reading_bytes(&self.preprocessing, ctx.threads()), "the batches of images that are read ahead")
        };
        let count = counted(batch, "image", "images");
        let what = format!("the plan of `{}` for {count} with {what}", self.graph.name());
        ctx.check_memory(&what, plan.saturating_add(images)).map_err(|e| of_file(e.into()))
    }

    /// The source with this model's classes in their order, matched by name; says what was assumed.
    ///
    /// # Errors
    /// [`OculistError::Model`], naming `path`, if the data have a class that the model does not know, or, with `complete`,
    /// the model knows one that the data do not have.
    pub(crate) fn order_classes(
        &self,
        path: &Path,
        source: Source,
        complete: bool,
        watch: &mut Watch<'_>,
    ) -> Result<Source, OculistError> {
        let (known, names) = (&self.class_names, source.class_names());
        if known == names {
            return Ok(source);
        }
        let mut counts = vec![0; names.len()];
        for split in Split::ALL {
            counts.iter_mut().zip(source.split(split).class_counts()).for_each(|(sum, n)| *sum += n);
        }
        let matched = match_classes(known, names, &counts);
        let missing = || matched.missing(known).filter(|_| complete);
        if let Some(problem) = matched.problem(known, names, &counts).or_else(missing) {
            return Err(OculistError::Model { path: path.to_path_buf(), problem });
        }
        for note in &matched.notes {
            watch.note(note);
        }
        watch.note("the data have the model's classes in another order or in part; the model's is taken");
        Ok(Source::of(source.dataset().relabelled(&matched.labels, known.clone())?))
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
        Ok(self.write_in(path, None)?.bytes.len() as u64)
    }

    /// [`Model::write`] in an opset that is asked for; returns what was written.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] naming the file, or the node that the opset does not have.
    pub(crate) fn write_in(
        &self,
        path: &Path,
        opset: Option<i64>,
    ) -> Result<oculist_onnx::Exported, OculistError> {
        let options = opset.map_or_else(ExportOptions::default, |n| ExportOptions::default().with_opset(n));
        Ok(oculist_onnx::write_with(&self.with_metadata()?, path, options)?)
    }

    /// Size of the file in bytes without writing it.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if the graph cannot be expressed.
    pub fn file_bytes(&self) -> Result<u64, OculistError> {
        Ok(oculist_onnx::to_bytes(&self.with_metadata()?)?.len() as u64)
    }

    /// The same classifier with another graph.
    pub fn with_graph(&self, graph: Graph) -> Self {
        Self { graph, ..self.clone() }
    }

    /// The graph as it goes into the file.
    fn with_metadata(&self) -> Result<Graph, OculistError> {
        let mut graph = self.graph.clone();
        self.head.put_back(&mut graph)?;
        dropout::note(&mut graph);
        graph.metadata.extend(self.preprocessing.to_metadata());
        let classes = serde_json::to_string(&self.class_names).unwrap_or_default();
        graph.metadata.insert(CLASSES_KEY.into(), classes);
        graph.metadata.insert(ARCH_KEY.into(), self.arch.clone());
        graph.metadata.insert(VERSION_KEY.into(), env!("CARGO_PKG_VERSION").into());
        Ok(channels_last_again(&graph)?)
    }
}

/// The graph of a file whose input is images, as the other stages know it best; the input is `[N, C, H, W]` where the file's
/// is `[N, H, W, C]`.
///
/// # Errors
/// [`OculistError::Onnx`] if it is no ONNX file or holds an unsupported operator; [`OculistError::Model`] if it is open in which
/// order the input lies.
pub(crate) fn read_images(path: &Path) -> Result<Graph, OculistError> {
    let graph = oculist_onnx::read(path)?;
    let preprocessing = Preprocessing::from_metadata(&graph.metadata).ok();
    let image = preprocessing.map(|p| (p.channels(), p.height, p.width));
    prepare_images(graph, image).map_err(|e| OculistError::from(e).of_model(path))
}

/// Whether a graph computes in int8, at least in parts.
pub(crate) fn is_int8(graph: &Graph) -> bool {
    // Weights alone may be quantised: then there is no `QuantizeLinear`.
    graph.nodes().iter().any(|n| n.op.quantization() == Quantization::Conversion)
}

/// Checks that a graph gives one row of numbers, one for each class, for an image.
fn classifies(graph: &Graph) -> Result<(), String> {
    let (inputs, outputs) = (graph.inputs().len(), graph.outputs().len());
    let &[output] = graph.outputs() else {
        let names: Vec<&str> = graph.outputs().iter().map(|&o| graph.value(o).name.as_str()).collect();
        return Err(format!("expected a classifier with one output, found {outputs}: {}", names.join(", ")));
    };
    if inputs != 1 {
        return Err(format!("expected a classifier with one input, found {inputs}"));
    }
    let shape = graph.shape(output);
    match shape.chw() {
        Some((_, 1, 1)) => Ok(()),
        Some(_) => Err(format!(
            "it is no classifier: expected logits [N, classes], one row for each image, found the dense output \
             {shape}, a row for every place of the image"
        )),
        None => Err(format!("it is no classifier: expected logits [N, classes], found the output {shape}")),
    }
}

/// The file name of a model within a run folder, for tables.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| PathBuf::from(path).display().to_string(), |n| n.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use oculist_augment::ColorMode;

    use super::*;
    use crate::progress::Progress;
    use crate::settings::Settings;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn data_come_into_the_order_of_the_model_or_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        oculist_data::fixture::write_class_folders(dir.path(), "", 3, 10, 16).unwrap();
        let open = || {
            let data = Some(dir.path().display().to_string());
            Source::open(&Settings { data, ..Settings::default() }, 1).unwrap()
        };
        let mut notes = Vec::new();
        let mut ordered = |class_names: Vec<String>, complete| {
            let model = Model {
                graph: Graph::new("m"),
                head: Head::default(),
                preprocessing: Preprocessing::exact(ColorMode::Grey, 28, 28),
                class_names,
                arch: "resnet8".into(),
            };
            let stop = AtomicBool::new(false);
            let mut observer = |p: Progress<'_>| notes.push(format!("{p:?}"));
            let mut watch = Watch { observer: &mut observer, stop: &stop };
            model.order_classes(Path::new("m.onnx"), open(), complete, &mut watch).map_err(|e| e.to_string())
        };
        let source = open();
        let mut names = source.class_names().to_vec();
        assert_eq!(names.len(), 3);
        let before: Vec<String> =
            source.split(Split::Test).labels().iter().map(|&l| names[l as usize].clone()).collect();
        names.reverse();
        let turned = ordered(names.clone(), true).unwrap();
        let labels = turned.split(Split::Test).labels();
        let after: Vec<String> = labels.iter().map(|&l| names[l as usize].clone()).collect();
        assert_eq!((before, turned.class_names()), (after, &names[..]));
        names.push("owl".into());
        assert!(ordered(names.clone(), false).is_ok());
        let error = ordered(names.clone(), true).unwrap_err();
        assert_eq!(error, "model m.onnx: 1 of its 4 classes have no images in the data: \"owl\"");
        let error = ordered(names[1..].to_vec(), false).unwrap_err();
        assert!(error.contains("1 class of the data is not among the model's 3"), "{error}");
        assert!(!notes.is_empty());
    }

    #[test]
    fn a_model_read_from_its_file_has_its_dropout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let options = oculist_zoo::BuildOptions::new(3, (3, 32, 32));
        let model = Model {
            graph: oculist_zoo::build("mobilenet_v3_small", &options).unwrap(),
            head: Head::default(),
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
