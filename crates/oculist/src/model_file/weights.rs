//! A file of weights with the name of its architecture, as a graph.

use std::io::Read as _;
use std::path::Path;

use oculist_graph::Graph;
use oculist_train::layers;
use oculist_weights::{LoadReport, Partial, Weights, WeightsError};
use oculist_zoo::{ArchitectureInfo, BuildOptions};

use super::ARCH_KEY;
use super::open::IMAGENET;
use super::options::ModelOptions;
use crate::error::OculistError;
use crate::message::setting;
use crate::summary::counted;

/// Endings of files that hold weights and no network.
const ENDINGS: [&str; 7] = ["safetensors", "pth", "pt", "th", "bin", "ckpt", "tar"];

/// How the name of an index of several files of weights ends.
const INDEX: &str = ".index.json";

/// Whether a file holds weights and no network, by its ending or how it begins.
pub(crate) fn is_weights(path: &Path) -> bool {
    let mut begin = [0; 4];
    let read = oculist_files::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok();
    // Those of `torch.save`: an archive, or a pickle of protocol 2 and later.
    if read && (begin == *b"PK\x03\x04" || (begin[0] == 0x80 && (2..=5).contains(&begin[1]))) {
        return true;
    }
    // The index of several files.
    if path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|n| n.to_ascii_lowercase().ends_with(INDEX))
    {
        return true;
    }
    // The first field of an ONNX file is its IR version, a small number.
    let onnx = read && begin[0] == 0x08 && begin[1] < 64 && begin[2] != 0;
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && !onnx
}

/// The architecture that the options name, with the weights of a file.
///
/// # Errors
/// [`OculistError::Model`] without an architecture; [`OculistError::Weights`] for a file that cannot be read or does not fit it.
pub(super) fn graph(
    path: &Path,
    options: &ModelOptions,
    notes: &mut Vec<String>,
) -> Result<Graph, OculistError> {
    let weights = oculist_weights::read(path, options.state_dict.as_deref())?;
    let info = if let Some(arch) = options.arch.as_deref() {
        oculist_zoo::find(arch)?
    } else {
        let info = recognised(&weights, options).map_err(|problem| OculistError::Model {
            path: path.to_path_buf(),
            problem: format!("it holds weights and no network{problem}").into(),
        })?;
        notes.push(format!("its weights are those of {}; {} says otherwise", info.name, setting("arch")));
        info
    };
    let Network { mut graph, classes, headless } = network(info, &weights, options)?;
    let (height, width) = graph.input_chw().map_or((0, 0), |(_, height, width)| (height, width));
    let report = load(&mut graph, &weights, headless, options)?;
    notes.push(format!(
        "{} of {} from {}: names of {}, {height}x{width} pixels, {}",
        counted(report.matched.len(), "tensor", "tensors"),
        info.name,
        path.display(),
        report.producer,
        if headless { "no classifier".to_owned() } else { counted(classes, "class", "classes") },
    ));
    if headless && options.classes.is_some() {
        return Err(OculistError::Model {
            path: path.to_path_buf(),
            problem: format!(
                "it holds no weights of a classifier, whose classes {} could name",
                setting("classes")
            )
            .into(),
        });
    }
    if options.partial
        && !(report.missing.is_empty() && report.differing.is_empty() && report.left_over.is_empty())
    {
        notes.push(format!("not loaded: {report}"));
    }
    notes.extend(report.notes);
    graph.metadata.insert(ARCH_KEY.into(), info.name.into());
    Ok(graph)
}

/// A network for which weights are meant.
struct Network {
    graph: Graph,
    classes: usize,
    /// Whether there are no weights for its last layer.
    headless: bool,
}

/// Loads weights. Where they have none for the last layer, that is all that may be missing.
fn load(
    graph: &mut Graph,
    weights: &Weights,
    headless: bool,
    options: &ModelOptions,
) -> Result<LoadReport, WeightsError> {
    if !headless || options.partial {
        let partial = if options.partial { Partial::Yes } else { Partial::No };
        return oculist_weights::load_into(graph, weights, partial);
    }
    let mut loaded = graph.clone();
    let report = oculist_weights::load_into(&mut loaded, weights, Partial::Yes)?;
    let layers = layers(graph);
    let head = |name: &String| {
        layers.last().is_some_and(|layer| layer.parameters.iter().any(|parameter| parameter.name == *name))
    };
    if !(report.differing.is_empty() && report.left_over.is_empty() && report.missing.iter().all(head)) {
        let (file, graph) = (weights.file.clone(), graph.name().to_owned());
        return Err(WeightsError::Mismatch { file, graph, report: Box::new(report) });
    }
    *graph = loaded;
    Ok(report)
}

/// The network of an architecture for which weights are meant.
fn network(
    info: &ArchitectureInfo,
    weights: &Weights,
    options: &ModelOptions,
) -> Result<Network, OculistError> {
    let (classes, headless) = match oculist_weights::classes_of(info.name, weights) {
        // As many as the published networks have, whose preprocessing is then assumed.
        Err(WeightsError::NoClassifier { .. }) if options.headless => (IMAGENET, true),
        found => (found?, false),
    };
    let (_, height, width) = info.native_input;
    let (height, width) = options.image_size.map_or((height, width), |side| (side, side));
    let stem = oculist_weights::stem_of(weights);
    let channels = stem.map(|shape| shape[1]).filter(|c| [1, 3].contains(c)).unwrap_or(info.native_input.0);
    let mut build = BuildOptions::new(classes, (channels, height, width));
    // The weights, not the size of the images, say which of its two stems a network has.
    if let Some(shape) = stem {
        build = build.with_stem(oculist_zoo::stem_with_kernel(info, shape[2]));
    }
    Ok(Network { graph: oculist_zoo::build(info.name, &build)?, classes, headless })
}

/// Whose names say how the network pads, so that both forms of an architecture become the same with them.
const PADS: &str = "efficientnet-lite-pytorch";

/// The architecture whose weights these are: the only one whose names and shapes they all have, or the first of several that are
/// the same network with them.
///
/// # Errors
/// In words, behind `it holds weights and no network`: none, or several.
fn recognised(weights: &Weights, options: &ModelOptions) -> Result<&'static ArchitectureInfo, String> {
    let mut nearest: Option<(usize, &str)> = None;
    let loaded = |info: &'static ArchitectureInfo| {
        let Network { mut graph, headless, .. } = network(info, weights, options).ok()?;
        let whole = ModelOptions { partial: false, ..options.clone() };
        match load(&mut graph, weights, headless, &whole) {
            Ok(report) => Some((info, report.producer)),
            // What else is wrong with them is told when they are loaded.
            Err(WeightsError::NotFinite { .. }) => Some((info, "")),
            Err(WeightsError::Mismatch { report, .. }) => {
                let wrong = report.missing.len() + report.differing.len() + report.left_over.len();
                if nearest.as_ref().is_none_or(|(least, _)| wrong < *least) {
                    nearest = Some((wrong, info.name));
                }
                None
            }
            Err(_) => None,
        }
    };
    let mut all: Vec<_> = oculist_zoo::architectures().iter().filter_map(loaded).collect();
    if all.iter().all(|(_, producer)| *producer == PADS) {
        all.truncate(1);
    }
    let name = setting("arch");
    match &all[..] {
        [(one, _)] => Ok(one),
        [] if !options.headless => {
            let bare = ModelOptions { headless: true, ..options.clone() };
            Err(match recognised(weights, &bare) {
                Ok(info) => format!(
                    ", those of {} without its classifier: its features can be carried over (`oculist transfer`)",
                    info.name
                ),
                Err(problem) => problem,
            })
        }
        [] => {
            let like = nearest.map_or_else(String::new, |(wrong, arch)| {
                format!("; {arch} is nearest, with {}", counted(wrong, "difference", "differences"))
            });
            Err(format!(
                ", and they are those of no architecture here{like}: name one with {name} (`oculist zoo list` has them) to be \
                 told what differs"
            ))
        }
        _ => {
            let names: Vec<&str> = all.iter().map(|(info, _)| info.name).collect();
            Err(format!(", and they fit several architectures: {}; name one with {name}", names.join(", ")))
        }
    }
}
