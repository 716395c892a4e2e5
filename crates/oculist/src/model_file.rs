//! A model as a file: the graph with its preprocessing and class names in the metadata.

mod classes;
mod foreign;
mod head;
mod open;
mod options;
pub(crate) mod preprocessings;
mod weights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_augment::Preprocessing;
use oculist_data::{Split, Task};
use oculist_graph::op::Quantization;
use oculist_graph::{Graph, ValueId};
use oculist_onnx::ExportOptions;
use oculist_passes::{blue_first_again, bytes_again, channels_last_again};
use oculist_runtime::{Context, Plan, PlanOptions};

use crate::class_match::{match_classes, short_list};
use crate::data::Source;
use crate::dropout;
use crate::error::OculistError;
use crate::images::{image_bytes, reading_bytes};
use crate::message::setting;
use crate::metrics::Probabilities;
use crate::progress::Watch;
use crate::reject::{REJECT_PREFIX, Reject};
use crate::summary::counted;

pub use head::Head;
pub(crate) use head::softmax_as_logits;
pub use open::Opened;
pub(crate) use open::{is_own, read_to_run, read_to_write};
pub use options::ModelOptions;
pub use preprocessings::PREPROCESSINGS;
pub(crate) use weights::is_weights;

/// Metadata key of the class names, a JSON list in the order of the logits.
pub const CLASSES_KEY: &str = "oculist.classes";
/// Metadata key of the architecture's name.
pub const ARCH_KEY: &str = "oculist.arch";
/// Metadata key of the task, [`Task::name`]; without it a model tells one class.
pub const TASK_KEY: &str = "oculist.task";
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
    /// Whether these are the classes' numbers, for want of names.
    pub numbered: bool,
    /// Name of the architecture it came from.
    pub arch: String,
    /// Whether it tells one class of an image or any number of them.
    pub task: Task,
    /// When an image is none of its classes, if that was measured.
    pub reject: Option<Reject>,
}

impl Model {
    /// Whether its last layer has no weights, as of a file of weights without those of a classifier.
    pub(crate) fn is_headless(&self) -> bool {
        oculist_passes::classifier(&self.graph).is_ok_and(|last| last.weights.iter().all(|&w| w == 0.0))
    }

    /// [`Model::open`] without options: a file that says itself how it is used, as those that Oculist writes do.
    ///
    /// # Errors
    /// As [`Model::open`].
    pub fn read(path: &Path) -> Result<Self, OculistError> {
        Ok(Self::open(path, &ModelOptions::default())?.model)
    }

    /// [`Model::open`] for runs of `batch` images: also checks that it can be planned for them, before any image is read at
    /// the size that the model asks for.
    ///
    /// # Errors
    /// As [`Model::open`]; [`OculistError::Model`] if the model needs more memory or time than there is.
    pub(crate) fn open_for(
        path: &Path,
        options: &ModelOptions,
        batch: usize,
        ctx: &Arc<Context>,
    ) -> Result<Opened, OculistError> {
        let opened = Self::open(path, options)?;
        opened.model.check_size(path, batch, ctx)?;
        Ok(opened)
    }

    /// Gives classes that have numbers the names of the data, in their order, if there are as many; says so.
    pub(crate) fn adopt_classes(&mut self, names: &[String], watch: &mut Watch<'_>) {
        if !self.numbered || self.class_names.len() != names.len() || self.class_names == names {
            return;
        }
        watch.note(&format!(
            "the model does not name its {} classes: they are assumed to be those of the data in their order ({}); \
             {} names them otherwise",
            names.len(),
            short_list(names.iter()),
            setting("classes")
        ));
        self.class_names = names.to_vec();
        self.numbered = false;
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
            return Err(OculistError::Model { path: path.to_path_buf(), problem: problem.into() });
        }
        for note in &matched.notes {
            watch.note(note);
        }
        watch.note("the data have the model's classes in another order or in part; the model's is taken");
        Ok(Source::of(source.dataset().relabelled(&matched.labels, known.clone())?))
    }

    /// The probabilities that it gives.
    pub fn probabilities(&self) -> Probabilities {
        match self.task {
            Task::MultiLabel => Probabilities::Sigmoids,
            Task::SingleLabel => self.head.probabilities(),
        }
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

    /// The same classifier with another graph, for which no threshold was measured.
    pub fn with_graph(&self, graph: Graph) -> Self {
        Self { graph, reject: None, ..self.clone() }
    }

    /// The graph as it goes into the file.
    fn with_metadata(&self) -> Result<Graph, OculistError> {
        let mut graph = self.graph.clone();
        self.head.put_back(&mut graph)?;
        dropout::note(&mut graph);
        graph.metadata.extend(self.preprocessing.to_metadata());
        // Numbers are no names: whoever reads the file again should know that there are none.
        if !self.numbered {
            let classes = serde_json::to_string(&self.class_names).unwrap_or_default();
            graph.metadata.insert(CLASSES_KEY.into(), classes);
        }
        graph.metadata.insert(ARCH_KEY.into(), self.arch.clone());
        if self.task != Task::SingleLabel {
            graph.metadata.insert(TASK_KEY.into(), self.task.name().into());
        }
        graph.metadata.insert(VERSION_KEY.into(), env!("CARGO_PKG_VERSION").into());
        // What the file that it was read from said is of other weights.
        graph.metadata.retain(|key, _| !key.starts_with(REJECT_PREFIX));
        graph.metadata.extend(self.reject.into_iter().flat_map(Reject::to_metadata));
        Ok(bytes_again(&channels_last_again(&blue_first_again(&graph)?)?)?)
    }
}

/// Whether a graph computes in int8, at least in parts.
pub(crate) fn is_int8(graph: &Graph) -> bool {
    // Weights alone may be quantised: then there is no `QuantizeLinear`.
    graph.nodes().iter().any(|n| n.op.quantization() == Quantization::Conversion)
}

/// Checks that a graph gives one row of numbers, one for each class, for an image.
fn classifies(graph: &Graph) -> Result<(), String> {
    let named = |values: &[ValueId]| {
        let each = values.iter().map(|&v| format!("`{}` {}", graph.value(v).name, graph.type_of(v)));
        each.collect::<Vec<_>>().join(", ")
    };
    let &[output] = graph.outputs() else {
        let (n, names) = (graph.outputs().len(), named(graph.outputs()));
        return Err(format!("expected a classifier with one output, found {n}: {names}"));
    };
    if graph.inputs().len() != 1 {
        let (n, names) = (graph.inputs().len(), named(graph.inputs()));
        return Err(format!("expected a classifier of one input, an image; found {n}: {names}"));
    }
    let shape = graph.shape(output);
    match shape.chw() {
        Some((_, 1, 1)) => Ok(()),
        None if head::is_flat(graph) => Ok(()),
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
                numbered: false,
                arch: "resnet8".into(),
                task: Task::SingleLabel,
                reject: None,
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
            numbered: false,
            arch: "mobilenet_v3_small".into(),
            task: Task::SingleLabel,
            reject: None,
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

    #[test]
    fn the_task_of_a_file_needs_nothing_but_its_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx");
        let of = |metadata: &[(&str, &str)]| {
            let options = oculist_zoo::BuildOptions::new(3, (1, 28, 28));
            let mut graph = oculist_zoo::build("resnet8", &options).unwrap();
            graph.metadata = metadata.iter().map(|&(key, value)| (key.into(), value.into())).collect();
            oculist_onnx::write(&graph, &path).unwrap();
            Model::task_of(&path).map_err(|e| e.to_string())
        };
        assert_eq!(of(&[]), Ok(Task::SingleLabel));
        assert_eq!(of(&[("other", "multi-label")]), Ok(Task::SingleLabel));
        assert_eq!(of(&[(TASK_KEY, Task::MultiLabel.name())]), Ok(Task::MultiLabel));
        // Nothing says how images become its input: it cannot be opened, and its task is known.
        assert!(Model::read(&path).is_err());
        let error = of(&[(TASK_KEY, "both")]).unwrap_err();
        assert!(error.contains("m.onnx") && error.contains("metadata `oculist.task`"), "{error}");
        let weights = dir.path().join("w.safetensors");
        std::fs::write(&weights, "whatever").unwrap();
        assert_eq!(Model::task_of(&weights).unwrap(), Task::SingleLabel, "weights say nothing of it");
        std::fs::write(&path, "no model").unwrap();
        assert!(matches!(Model::task_of(&path), Err(OculistError::Onnx(_))));
        std::fs::remove_file(&path).unwrap();
        assert!(Model::task_of(&path).unwrap_err().to_string().contains("m.onnx"));
    }
}
