//! A model for another task, as a source of knowledge.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oculist_augment::{ColorMode, Preprocessing};
use oculist_graph::Graph;
use oculist_passes::{
    Cut, Extractor, Normalization, color_input, extractor, fold_batch_norm, grey_input, is_doubtful,
    remove_identity, reparameterize,
};
use oculist_report::TransferSource;
use oculist_runtime::Context;

use crate::error::OculistError;
use crate::evaluate::BATCH;
use crate::message::setting;
use crate::model_file::{Model, ModelOptions};
use crate::progress::{Watch, go_on};
use crate::settings::Settings;
use crate::transfer::heads::head_of;

/// A source: its file, and the model with its own preprocessing, for images of the data's colours.
#[derive(Debug, Clone)]
pub(crate) struct Carried {
    pub(crate) path: PathBuf,
    pub(crate) model: Model,
    /// All sources that it was compared with, itself among them.
    pub(crate) compared: Vec<TransferSource>,
}

/// The part of a source that gives features, as it is run.
#[derive(Debug, Clone)]
pub(crate) struct Backbone {
    /// The network with its batch norms, as it is trained on and written.
    pub(crate) network: Extractor,
    /// The same function, folded, as it is run.
    pub(crate) folded: Graph,
}

impl Carried {
    /// Opens a source; what was assumed is told. `color` is the colour mode of the data.
    ///
    /// # Errors
    /// As [`Model::open`]; [`OculistError::Model`] for a source that is quantised already.
    pub(crate) fn open(
        path: &Path,
        settings: &Settings,
        color: ColorMode,
        ctx: &Arc<Context>,
        watch: &mut Watch<'_>,
    ) -> Result<Self, OculistError> {
        let options = ModelOptions { headless: true, ..ModelOptions::of(settings) };
        let opened = Model::open_for(path, &options, BATCH, ctx)?;
        for note in &opened.notes {
            watch.note(note.marked());
        }
        let mut model = opened.model;
        if model.is_int8() {
            return Err(OculistError::Model {
                path: path.to_path_buf(),
                problem: "it is quantised already; carry over from the f32 model of the same run".into(),
            });
        }
        if let Some(text) = in_color(&mut model, color)? {
            watch.note(&text);
        }
        if settings.layer.is_none() && is_doubtful(&model.graph) {
            watch.warn(&format!(
                "an activation stands behind the last layer of {}: if that is no classifier but a layer of features, {} names \
                 what to take (its output, for one that has no classifier)",
                path.display(),
                setting("layer")
            ));
        }
        Ok(Self { path: path.to_path_buf(), model, compared: Vec::new() })
    }

    /// Opens sources; one that is named twice is opened once, which is told.
    ///
    /// # Errors
    /// As [`Carried::open`].
    pub(crate) fn open_all(
        paths: &[PathBuf],
        settings: &Settings,
        color: ColorMode,
        ctx: &Arc<Context>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Self>, OculistError> {
        let mut known = HashSet::new();
        let mut all = Vec::with_capacity(paths.len());
        for path in paths {
            go_on(watch.stop)?;
            // A path that cannot be resolved is refused by opening it.
            if known.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                all.push(Self::open(path, settings, color, ctx, watch)?);
            } else {
                watch.note(&format!("{} is named more than once: it is one source", path.display()));
            }
        }
        Ok(all)
    }

    /// The file's name for tables, with its folder: every run has a `model.onnx`.
    pub(crate) fn name(&self) -> String {
        let file = crate::model_file::file_name(&self.path);
        let folder = self.path.parent().and_then(Path::file_name);
        folder.map_or_else(|| file.clone(), |folder| format!("{}/{file}", folder.to_string_lossy()))
    }

    /// The network in front of a cut.
    ///
    /// # Errors
    /// [`OculistError::Model`] naming the file, what it ends in and how to name a layer.
    pub(crate) fn network(&self, cut: Cut<'_>) -> Result<Extractor, OculistError> {
        let of_file = |e: oculist_passes::PassError| OculistError::Model {
            path: self.path.clone(),
            problem: format!("{e}; {} names the value or node that gives the features", setting("layer"))
                .into(),
        };
        in_front_of(&self.model.graph, cut).map_err(of_file)
    }

    /// [`Carried::network`], also as it is run.
    ///
    /// # Errors
    /// As [`Carried::network`].
    pub(crate) fn backbone(&self, cut: Cut<'_>) -> Result<Backbone, OculistError> {
        let network = self.network(cut)?;
        let folded = as_run(&network.graph)?;
        Ok(Backbone { network, folded })
    }
}

/// The network in front of a cut; that of a classifier is found where a head of ours is none that others know.
///
/// # Errors
/// As [`extractor`].
pub(crate) fn in_front_of(graph: &Graph, cut: Cut<'_>) -> oculist_passes::Result<Extractor> {
    match (extractor(graph, cut), own_head(graph)) {
        (Err(_), Some(features)) if matches!(cut, Cut::Classifier) => extractor(graph, Cut::At(features)),
        (found, _) => found,
    }
}

/// The value that a head of ours reads, whatever that is made of: its nodes are named after it, and of several it is the last.
fn own_head(graph: &Graph) -> Option<&str> {
    let last = graph.nodes().iter().filter_map(|node| head_of(&node.name)).max()?;
    let mut inside: Vec<_> = graph.nodes().iter().filter(|node| head_of(&node.name) == Some(last)).collect();
    let made: Vec<_> = inside.iter().flat_map(|node| node.outputs.iter().copied()).collect();
    inside.retain(|node| !node.inputs.iter().any(|value| made.contains(&value)));
    let read = inside.first()?.inputs.iter().find(|value| graph.param(*value).is_none())?;
    Some(&graph.value(read).name)
}

/// The same function as it is run: without what does nothing, branches and batch norms folded.
///
/// # Errors
/// [`OculistError::Pass`] for a graph that is not valid.
pub(crate) fn as_run(graph: &Graph) -> Result<Graph, OculistError> {
    Ok(fold_batch_norm(&reparameterize(&remove_identity(graph)?)?)?)
}

/// Gives a model an input of the data's colours, by its first layer; says so.
fn in_color(model: &mut Model, color: ColorMode) -> Result<Option<String>, OculistError> {
    let takes = model.preprocessing.color;
    if takes == color {
        return Ok(None);
    }
    let norm = Normalization { mean: model.preprocessing.mean.clone(), std: model.preprocessing.std.clone() };
    let (changed, how) = match color {
        ColorMode::Grey => {
            (grey_input(&model.graph, &norm)?, "the weights of its first layer are summed over the colours")
        }
        ColorMode::Rgb => {
            (color_input(&model.graph, &norm)?, "the weights of its first layer are spread over the colours")
        }
    };
    let name = |color: ColorMode| color.name();
    let Some((graph, norm)) = changed else {
        let (takes, has) = (name(takes), name(color));
        return Ok(Some(format!(
            "the source takes {takes} images and the data are {has}: they are read as {takes}"
        )));
    };
    model.graph = graph;
    model.preprocessing =
        Preprocessing { color, ..model.preprocessing.clone() }.with_statistics(norm.mean, norm.std);
    Ok(Some(format!("the source takes {} images and the data are {}: {how}", name(takes), name(color))))
}
