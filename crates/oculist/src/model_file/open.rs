//! From a file of any tool to a graph, and from that to a classifier.
//!
//! What the file does not say, [`ModelOptions`] may; what was assumed is told in a line each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use oculist_augment::{Interpolation, Preprocessing, ResizeRule};
use oculist_data::Task;
use oculist_graph::{DataType, Dim, Graph, Shape, ValueId};
use oculist_passes::{
    COLORS_KEY, PassError, blue_first_again, float_images, is_blue_first, prepare, prepare_images, red_first,
    single_precision,
};

use super::foreign::Foreign;
use super::head::Head;
use super::options::ModelOptions;
use super::preprocessings::{Chosen, PREPROCESSINGS, choose, describe, named};
use super::weights::{self, is_weights};
use super::{ARCH_KEY, CLASSES_KEY, Model, TASK_KEY, classes};
use crate::dropout;
use crate::error::{OculistError, wrong};
use crate::message::{Message, setting};
use crate::reject::Reject;

/// Classes of ImageNet.
pub(super) const IMAGENET: usize = 1000;

/// A model and what was assumed to read it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The model.
    pub model: Model,
    /// One line each.
    pub notes: Vec<Message>,
    /// Whether the file itself says how images become its input, and the options say nothing else.
    pub own: bool,
}

/// A graph as the other stages know it best, and what was found on the way.
struct Prepared {
    graph: Graph,
    foreign: Foreign,
    notes: Vec<String>,
    /// Whether the images are bytes in the file.
    bytes: bool,
}

/// The graph of a file whose input is images, as it can be run: floats of single width, channels first, a size that is known;
/// with what was assumed.
///
/// # Errors
/// [`OculistError::Onnx`] if it is no ONNX file or holds an unsupported operator; [`OculistError::Model`] if it is open in which
/// order the input lies, or of which size it is.
pub(crate) fn read_to_run(path: &Path, options: &ModelOptions) -> Result<(Graph, Vec<String>), OculistError> {
    let Prepared { graph, notes, .. } = read(path, options, false)?;
    Ok((graph, notes))
}

/// The graph of a file to be written again, as it is but for what simplification makes of it.
///
/// # Errors
/// As [`read_to_run`].
pub(crate) fn read_to_write(
    path: &Path,
    options: &ModelOptions,
) -> Result<(Graph, Vec<String>), OculistError> {
    let problem = |problem: String| OculistError::Model { path: path.to_path_buf(), problem: problem.into() };
    let mut notes = Vec::new();
    let mut graph = file(path, options, &mut notes)?;
    if options.logits.is_some() {
        notes.extend(choose_output(&mut graph, options.logits.as_deref()).map_err(problem)?);
    }
    if options.image_size.is_some() && !is_weights(path) {
        notes.extend(fix_size(&mut graph, options.image_size, None).map_err(problem)?);
    }
    let prepared = match prepare_images(graph.clone(), None) {
        // In which order the input lies is nothing that matters here.
        Err(PassError::Data { .. }) => prepare(graph),
        other => other,
    }
    .map_err(|e| OculistError::from(e).of_model(path))?;
    Ok((prepared, notes))
}

/// The graph of an ONNX file, or of an architecture with the weights of a file.
fn file(path: &Path, options: &ModelOptions, notes: &mut Vec<String>) -> Result<Graph, OculistError> {
    if is_weights(path) {
        return weights::graph(path, options, notes);
    }
    let given = [
        ("arch", options.arch.is_some()),
        ("state_dict", options.state_dict.is_some()),
        ("partial", options.partial),
    ];
    for (name, _) in given.into_iter().filter(|(_, given)| *given) {
        let option = setting(name);
        notes.push(format!("{option} is not looked at: an ONNX file holds its network and weights"));
    }
    Ok(oculist_onnx::read(path)?)
}

/// Whether a file says all that a classifier needs in Oculist's own metadata.
pub(crate) fn is_own(graph: &Graph) -> bool {
    graph.metadata.contains_key(CLASSES_KEY) && Preprocessing::from_metadata(&graph.metadata).is_ok()
}

fn read(path: &Path, options: &ModelOptions, classifies: bool) -> Result<Prepared, OculistError> {
    let of_file = |e: PassError| OculistError::from(e).of_model(path);
    let problem = |problem: String| OculistError::Model { path: path.to_path_buf(), problem: problem.into() };
    let mut notes = Vec::new();
    let mut graph = file(path, options, &mut notes)?;
    let foreign = Foreign::of(&graph.metadata, path);
    notes.extend(foreign.notes.iter().cloned());
    if classifies || options.logits.is_some() {
        notes.extend(choose_output(&mut graph, options.logits.as_deref()).map_err(problem)?);
    }
    if let Some(other) = other_floats(&graph) {
        graph = single_precision(&graph).map_err(of_file)?;
        notes.push(format!("its {} become f32 in memory, and in what is written from it", other.name()));
    }
    let bytes = match float_images(&graph).map_err(of_file)? {
        Some(float) => {
            graph = float;
            true
        }
        None => false,
    };
    let own = Preprocessing::from_metadata(&graph.metadata).ok();
    let stated = own.as_ref().map(|p| (p.height, p.width)).or(foreign.size);
    notes.extend(fix_size(&mut graph, options.image_size, stated).map_err(problem)?);
    let image = own.map(|p| (p.channels(), p.height, p.width));
    graph = prepare_images(graph, image).map_err(of_file)?;
    if is_blue_first(&graph) {
        graph = red_first(&graph).map_err(of_file)?;
    }
    Ok(Prepared { graph, foreign, notes, bytes })
}

impl Model {
    /// The task of a file of a model, for data that must be read before it. Nothing else of the file is looked at.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if it is no ONNX file and holds no weights; [`OculistError::Model`] if it names a task that there
    /// is not.
    pub fn task_of(path: &Path) -> Result<Task, OculistError> {
        // Weights say nothing of it.
        if is_weights(path) {
            return Ok(Task::SingleLabel);
        }
        let problem =
            |problem: String| OculistError::Model { path: path.to_path_buf(), problem: problem.into() };
        task_of(&oculist_onnx::read_metadata(path)?).map_err(problem)
    }

    /// Reads an ONNX file of any tool that classifies images, or a file of weights with the architecture that the options name.
    ///
    /// A `Softmax` or `Sigmoid` at its end is taken off and comes back with [`Model::write`], as do the order of an input whose channels are last or whose colours begin with blue, and
    /// an input of bytes: in memory they are floats, channels first, red first.
    ///
    /// # Errors
    /// [`OculistError::Onnx`] if it is no ONNX file or holds an unsupported operator; [`OculistError::Model`] if the graph is
    /// no classifier, or neither the file nor the options say how images become its input, or what they say contradicts it.
    pub fn open(path: &Path, options: &ModelOptions) -> Result<Opened, OculistError> {
        let problem =
            |problem: String| OculistError::Model { path: path.to_path_buf(), problem: problem.into() };
        let Prepared { mut graph, foreign, mut notes, bytes } = read(path, options, true)?;
        dropout::restore(&mut graph).map_err(problem)?;
        super::classifies(&graph).map_err(problem)?;
        let head = Head::take(&mut graph).map_err(problem)?;
        let input = graph.input_chw().ok_or_else(|| {
            let found = graph.inputs().first().map_or("none".into(), |&v| graph.type_of(v));
            problem(format!("expected an input of images [N, C, H, W], found {found}"))
        })?;
        // Where the file fixes one side, the other may be asked for.
        if let Some(asked) = options.image_size
            && input.1 != asked
            && input.2 != asked
        {
            let size =
                if input.1 == input.2 { input.1.to_string() } else { format!("{}x{}", input.1, input.2) };
            let problem = format!("{} takes {size} pixels, found {asked}", path.display());
            return Err(wrong("image_size", problem));
        }
        let chosen = preprocessing(&graph, &foreign, options, input, bytes, &mut notes).map_err(problem)?;
        match (chosen.blue_first, is_blue_first(&graph)) {
            (true, false) => graph = red_first(&graph).map_err(|e| OculistError::from(e).of_model(path))?,
            // What is said now counts, whatever the file says.
            (false, true) => {
                graph = blue_first_again(&graph).map_err(|e| OculistError::from(e).of_model(path))?;
                graph.metadata.remove(COLORS_KEY);
            }
            _ => {}
        }
        let p = &chosen.preprocessing;
        if input != (p.channels(), p.height, p.width) {
            let ((c, h, w), takes) = ((p.channels(), p.height, p.width), input);
            return Err(problem(format!(
                "the preprocessing gives {c}x{h}x{w} (channels, height, width), the network takes {}x{}x{}",
                takes.0, takes.1, takes.2
            )));
        }
        let outputs = graph.outputs().first().and_then(|&o| graph.shape(o).channels());
        let Some(count) = outputs else { return Err(problem("the number of its classes is open".into())) };
        if let Some(fixed) = graph.inputs().first().and_then(|&v| graph.shape(v).get(0)).filter(|&n| n > 1) {
            notes.push(format!(
                "the file fixes its batch: images are run {fixed} at a time, the last ones with others to fill up"
            ));
        }
        let named = class_names(&graph, &foreign, options, count, &mut notes).map_err(problem)?;
        let (class_names, numbered) = match named {
            Some((names, from)) => {
                check_names(&names, count, &from).map_err(problem)?;
                (names, false)
            }
            None => ((0..count).map(|i| i.to_string()).collect(), true),
        };
        notes.extend(head.note(&class_names));
        let arch = graph.metadata.get(ARCH_KEY).cloned().unwrap_or_else(|| graph.name().to_owned());
        let task = task_of(&graph.metadata).map_err(problem)?;
        // It was measured on what the file's own output and preprocessing give.
        let as_written = options.preprocessing.is_none() && options.logits.is_none();
        let reject = Reject::from_metadata(&graph.metadata).map_err(problem)?.filter(|_| as_written);
        let preprocessing = chosen.preprocessing;
        let model = Self { graph, head, preprocessing, class_names, numbered, arch, task, reject };
        let own =
            options.preprocessing.is_none() && Preprocessing::from_metadata(&model.graph.metadata).is_ok();
        Ok(Opened { model, notes: notes.into_iter().map(Message::from).collect(), own })
    }
}

/// The task that the metadata of a file name.
fn task_of(metadata: &BTreeMap<String, String>) -> Result<Task, String> {
    match metadata.get(TASK_KEY) {
        Some(name) => name.parse().map_err(|e| format!("metadata `{TASK_KEY}`: {e}")),
        None => Ok(Task::SingleLabel),
    }
}

/// Lets a graph give one output: the one that is named, or its only one.
fn choose_output(graph: &mut Graph, logits: Option<&str>) -> Result<Option<String>, String> {
    let named = |graph: &Graph, outputs: &[ValueId]| -> String {
        let each = outputs.iter().map(|&o| format!("`{}` {}", graph.value(o).name, graph.shape(o)));
        each.collect::<Vec<_>>().join(", ")
    };
    let outputs = graph.outputs().to_vec();
    let Some(name) = logits else {
        return match outputs.len() {
            1 => Ok(None),
            n => Err(format!(
                "expected a classifier with one output, found {n}: {}; name the one that classifies with {}",
                named(graph, &outputs),
                setting("logits")
            )),
        };
    };
    let Some(chosen) = graph.find(name).filter(|&v| graph.param(v).is_none()) else {
        return Err(format!(
            "it has no output `{name}` ({}); it gives {}",
            setting("logits"),
            named(graph, &outputs)
        ));
    };
    if !graph.value(chosen).dtype.is_float() {
        return Err(format!(
            "`{name}` ({}) is {}, expected floats",
            setting("logits"),
            graph.type_of(chosen)
        ));
    }
    if outputs == [chosen] {
        return Ok(None);
    }
    let left: Vec<ValueId> = outputs.into_iter().filter(|&o| o != chosen).collect();
    let left = named(graph, &left);
    graph.set_outputs(vec![chosen]);
    graph.tidy().map_err(|e| e.to_string())?;
    Ok(Some(format!("`{name}` classifies; left out: {left}")))
}

/// A float type that is not f32, if weights or inputs have one.
fn other_floats(graph: &Graph) -> Option<DataType> {
    let other = |dtype: DataType| dtype.is_float() && dtype != DataType::F32;
    let params = graph.params().map(|(_, _, t)| t.dtype());
    params.chain(graph.inputs().iter().map(|&v| graph.value(v).dtype)).find(|&dtype| other(dtype))
}

/// Gives an image input of open height and width a size.
fn fix_size(
    graph: &mut Graph,
    asked: Option<usize>,
    stated: Option<(usize, usize)>,
) -> Result<Option<String>, String> {
    let &[input] = graph.inputs() else { return Ok(None) };
    let mut dims = graph.shape(input).dims().to_vec();
    // Only for a size of its own: that of training may differ, and says so elsewhere.
    if dims.len() != 4 || dims[1..].iter().all(|dim| dim.size().is_some()) {
        return Ok(None);
    }
    let (name, shape) = (graph.value(input).name.clone(), graph.shape(input).to_string());
    // The channels are at the end that is known as theirs; height stands before width in either order.
    let colors = |axis: usize| dims[axis].size().is_some_and(|n| n == 1 || n == 3);
    let alone = |axis: usize| (1..4).all(|a| (a == axis) == dims[a].size().is_some());
    let sides = if colors(1) || alone(1) {
        [2, 3]
    } else if colors(3) || alone(3) {
        [1, 2]
    } else {
        return Err(format!(
            "expected an input of 1 or 3 channels, found `{name}` {shape}, which leaves them open"
        ));
    };
    let (size, from) = match (asked, stated) {
        (Some(side), _) => ((side, side), setting("image_size")),
        (None, Some(size)) => (size, "the file".to_owned()),
        (None, None) => {
            return Err(format!(
                "its input `{name}` {shape} takes images of any size; choose one with {}",
                setting("image_size")
            ));
        }
    };
    for (axis, size) in sides.into_iter().zip([size.0, size.1]) {
        if dims[axis].size().is_none() {
            dims[axis] = Dim::Fixed(size);
        }
    }
    graph.set_input_shape(input, Shape::new(dims));
    graph.tidy().map_err(|e| e.to_string())?;
    Ok(Some(format!(
        "its input {shape} takes any size; {} is taken, as {from} says, and stands in what is written from it",
        graph.shape(input)
    )))
}

/// How images become the input: as the user, the file, or a file beside it says.
fn preprocessing(
    graph: &Graph,
    foreign: &Foreign,
    options: &ModelOptions,
    input: (usize, usize, usize),
    bytes: bool,
    notes: &mut Vec<String>,
) -> Result<Chosen, String> {
    let own = Preprocessing::from_metadata(&graph.metadata);
    if let Some(text) = &options.preprocessing {
        let chosen =
            choose(text, input).map_err(|problem| format!("{}: {problem}", setting("preprocessing")))?;
        let instead = if own.is_ok() { ", instead of what the file says" } else { "" };
        notes.push(format!("preprocessing `{text}`{instead}: {}", describe(&chosen)));
        return Ok(chosen);
    }
    if let Ok(preprocessing) = own {
        return Ok(Chosen { preprocessing, blue_first: is_blue_first(graph) });
    }
    if graph.metadata.keys().any(|key| key == "oculist.mean" || key == "oculist.input_width")
        && let Err(problem) = own
    {
        return Err(format!("the preprocessing in its metadata cannot be used: {problem}"));
    }
    if let Some((stated, from)) = &foreign.preprocessing {
        let preprocessing = stated.at(input).map_err(|problem| format!("{from}: {problem}"))?;
        let chosen = Chosen { preprocessing, blue_first: stated.blue_first };
        notes.push(format!("preprocessing of {from}: {}", describe(&chosen)));
        return Ok(chosen);
    }
    if bytes {
        let chosen = named("none", input)?;
        notes.push(format!("it takes bytes, so preprocessing `none` is assumed: {}", describe(&chosen)));
        return Ok(chosen);
    }
    if let Some((chosen, text)) = usual(graph, input) {
        notes.push(format!("{text}: {}; {} says otherwise", describe(&chosen), setting("preprocessing")));
        return Ok(chosen);
    }
    let names = PREPROCESSINGS.map(|(name, _)| name).join(", ");
    let found =
        if foreign.notes.is_empty() { String::new() } else { format!(" ({})", foreign.notes.join("; ")) };
    Err(format!(
        "neither the file nor one beside it says how images become its input{found}; say it with {}: {names}, \
         or a TOML file",
        setting("preprocessing")
    ))
}

/// How weights for ImageNet's classes of an architecture of the zoo were trained, as those that are published with it were.
fn usual(graph: &Graph, input: (usize, usize, usize)) -> Option<(Chosen, String)> {
    let classes = graph.outputs().first().and_then(|&o| graph.shape(o).channels())?;
    let info = oculist_zoo::find(graph.metadata.get(ARCH_KEY)?).ok()?;
    if classes != IMAGENET || input.0 != 3 {
        return None;
    }
    let mut chosen = named("imagenet", input).ok()?;
    let text =
        format!("{IMAGENET} classes of {}: the preprocessing of its published weights is assumed", info.name);
    if info.family == oculist_zoo::Family::EfficientNetLite {
        // (x - 127) / 128 on bytes.
        let p = chosen.preprocessing;
        // The published code crops `side / (side + 32)` of the shorter side, whatever the size.
        let resize = match p.resize {
            ResizeRule::ShorterSide(_) => ResizeRule::ShorterSide(p.height.min(p.width) + 32),
            exact @ ResizeRule::Exact => exact,
        };
        let p = Preprocessing { interpolation: Interpolation::Bicubic, resize, ..p };
        chosen.preprocessing = p.with_statistics(vec![127.0 / 255.0; 3], vec![128.0 / 255.0; 3]);
    }
    Some((chosen, text))
}

/// The class names, and where they are from.
fn class_names(
    graph: &Graph,
    foreign: &Foreign,
    options: &ModelOptions,
    count: usize,
    notes: &mut Vec<String>,
) -> Result<Option<(Vec<String>, String)>, String> {
    if let Some(text) = &options.classes {
        let names = classes::given(text).map_err(|problem| format!("{}: {problem}", setting("classes")))?;
        return Ok(Some((names, setting("classes"))));
    }
    if let Some(text) = graph.metadata.get(CLASSES_KEY) {
        let names = serde_json::from_str(text).map_err(|e| format!("metadata `{CLASSES_KEY}`: {e}"))?;
        return Ok(Some((names, format!("the metadata `{CLASSES_KEY}`"))));
    }
    if let Some((names, from)) = &foreign.classes {
        // Nobody said that these are this model's.
        if let Err(problem) = check_names(names, count, from) {
            notes.push(format!("class names are not used: {problem}"));
            return Ok(None);
        }
        notes.push(format!("{} class names of {from}", names.len()));
        return Ok(Some((names.clone(), from.clone())));
    }
    Ok(None)
}

/// Refuses names that are not one for each logit.
fn check_names(names: &[String], count: usize, from: &str) -> Result<(), String> {
    if names.len() != count {
        return Err(format!("expected {count} class names, one per logit, found {} in {from}", names.len()));
    }
    let mut seen = BTreeSet::new();
    match names.iter().find(|&name| !seen.insert(name)) {
        Some(twice) => Err(format!(
            "the class names in {from} hold {twice:?} twice; expected a name of its own for each class"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_weights_are_resized_as_they_were_trained() {
        // Sides that timm writes as shares: 0.875 of 224, 0.882 of 240, 0.89 of 260.
        for (arch, side, shorter) in [
            ("tf_efficientnet_lite0", 224, 256),
            ("tf_efficientnet_lite1", 240, 272),
            ("tf_efficientnet_lite2", 260, 292),
            ("mobilenet_v2", 224, 256),
        ] {
            let build = oculist_zoo::BuildOptions::new(IMAGENET, (3, side, side));
            let mut graph = oculist_zoo::build(arch, &build).unwrap();
            graph.metadata.insert(ARCH_KEY.into(), arch.into());
            let (chosen, _) = usual(&graph, (3, side, side)).unwrap();
            assert_eq!(chosen.preprocessing.resize, ResizeRule::ShorterSide(shorter), "{arch}");
        }
    }

    #[test]
    fn open_sides_are_filled_and_open_channels_are_not() {
        let filled = |dims: [Option<usize>; 3], asked| {
            let mut graph = Graph::new("net");
            let mut all = vec![Dim::Batch];
            for (i, size) in dims.into_iter().enumerate() {
                all.push(size.map_or_else(|| graph.symbol(&format!("s{i}")), Dim::Fixed));
            }
            let x = graph.add_input("x", Shape::new(all));
            let y = graph.add_node("same", oculist_graph::Identity, [x]);
            graph.set_outputs(vec![y]);
            graph.tidy().unwrap();
            fix_size(&mut graph, asked, Some((20, 30)))?;
            Ok::<_, String>(
                graph.shape(graph.inputs()[0]).dims()[1..].iter().map(|d| d.size()).collect::<Vec<_>>(),
            )
        };
        let sizes = |all: [usize; 3]| Ok(all.map(Some).to_vec());
        assert_eq!(filled([Some(3), None, None], None), sizes([3, 20, 30]));
        assert_eq!(filled([Some(3), None, None], Some(8)), sizes([3, 8, 8]));
        assert_eq!(filled([None, None, Some(3)], None), sizes([20, 30, 3]));
        assert_eq!(filled([None, None, Some(4)], None), sizes([20, 30, 4]));
        // One side alone keeps the other.
        assert_eq!(filled([Some(3), None, Some(32)], None), sizes([3, 20, 32]));
        assert_eq!(filled([Some(3), Some(32), None], None), sizes([3, 32, 30]));
        assert_eq!(filled([Some(32), None, Some(1)], None), sizes([32, 30, 1]));
        for open in [[None, Some(32), Some(32)], [None, None, None], [Some(32), Some(32), None]] {
            assert!(filled(open, Some(8)).unwrap_err().contains("leaves them open"), "{open:?}");
        }
    }
}
