//! A file of weights with the name of its architecture, as a graph.

use std::io::Read as _;
use std::path::Path;

use oculist_graph::Graph;
use oculist_weights::Partial;
use oculist_zoo::BuildOptions;

use super::ARCH_KEY;
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
    let Some(arch) = options.arch.as_deref() else {
        return Err(OculistError::Model {
            path: path.to_path_buf(),
            problem: format!(
                "it holds weights and no network: name its architecture with {} (`oculist zoo list` has them)",
                setting("arch")
            )
            .into(),
        });
    };
    let info = oculist_zoo::find(arch)?;
    let weights = oculist_weights::read(path, options.state_dict.as_deref())?;
    let classes = oculist_weights::classes_of(info.name, &weights)?;
    let (_, height, width) = info.native_input;
    let (height, width) = options.image_size.map_or((height, width), |side| (side, side));
    let stem = oculist_weights::stem_of(&weights);
    let channels = stem.map(|shape| shape[1]).filter(|c| [1, 3].contains(c)).unwrap_or(info.native_input.0);
    let mut build = BuildOptions::new(classes, (channels, height, width));
    // The weights, not the size of the images, say which of its two stems a network has.
    if let Some(shape) = stem {
        build = build.with_stem(oculist_zoo::stem_with_kernel(info, shape[2]));
    }
    let mut graph = oculist_zoo::build(info.name, &build)?;
    let partial = if options.partial { Partial::Yes } else { Partial::No };
    let report = oculist_weights::load_into(&mut graph, &weights, partial)?;
    notes.push(format!(
        "{} of {} from {}: names of {}, {height}x{width} pixels, {}",
        counted(report.matched.len(), "tensor", "tensors"),
        info.name,
        path.display(),
        report.producer,
        counted(classes, "class", "classes"),
    ));
    if options.partial
        && !(report.missing.is_empty() && report.differing.is_empty() && report.left_over.is_empty())
    {
        notes.push(format!("not loaded: {report}"));
    }
    notes.extend(report.notes);
    graph.metadata.insert(ARCH_KEY.into(), info.name.into());
    Ok(graph)
}
