//! The features of a data set as files for other tools.

mod npy;
mod parquet;

use std::path::{Path, PathBuf};

use oculist_data::{Split, Subset, color_of, path_text};
use oculist_passes::Cut;

use super::Carried;
use super::features::Extraction;
use super::idle::{self, Purpose};
use super::int8::quantized;
use super::pick::folder;
use crate::data::Source;
use crate::error::{OculistError, wrong};
use crate::files::{check_free_beside, check_no_images_of, write};
use crate::message::setting;
use crate::progress::Watch;
use crate::settings::{Precision, Settings};
use crate::summary::counted;

/// Where features are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeaturesOptions {
    /// `*.npy`, with the images' names, splits and labels in a `*.csv` beside it, or `*.parquet`.
    pub output: PathBuf,
    /// Whether existing files are replaced.
    pub force: bool,
}

/// What is known of an image beside its features.
struct Row {
    image: String,
    split: &'static str,
    label: String,
}

/// Writes the features that a source (the setting `from`) gives of all images of a data set. Returns the files.
///
/// # Shapes
/// `*.npy`: f32 `[images, features]`, rows in the order of the `*.csv` (columns `image`, `split`, `label`). `*.parquet`: columns
/// `image`, `split`, `label` (texts) and `features` (a list of floats).
///
/// # Errors
/// [`OculistError::Setting`] without exactly one source, or for another ending of the file; otherwise as for reading the data
/// and the model.
pub fn write_features(
    settings: &Settings,
    options: &FeaturesOptions,
    watch: &mut Watch<'_>,
) -> Result<Vec<PathBuf>, OculistError> {
    settings.validate()?;
    let [from] = settings.from.as_deref().unwrap_or_default() else {
        let n = settings.from.as_ref().map_or(0, Vec::len);
        return Err(wrong("from", format!("expected one model that gives the features, found {n}")));
    };
    let ending = options.output.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let files = match ending.as_str() {
        "npy" => vec![options.output.clone(), options.output.with_extension("csv")],
        "parquet" => vec![options.output.clone()],
        _ => {
            let found = options.output.display();
            return Err(wrong("output", format!("expected a file *.npy or *.parquet, found {found}")));
        }
    };
    for file in &files {
        check_free_beside(file)?;
        if file.exists() && !options.force {
            let problem = format!("exists; replace it with {}", setting("force")).into();
            return Err(OculistError::Output { path: file.clone(), problem });
        }
    }
    for text in idle::notes(settings, Purpose::Features) {
        watch.note(&text);
    }
    let ctx = settings.context()?;
    let (source, unfit) = Source::open_to_read(settings)?;
    for line in source.describe_lines() {
        watch.note(&line);
    }
    let beside = options.output.parent().filter(|p| !p.as_os_str().is_empty());
    check_no_images_of(beside.unwrap_or_else(|| Path::new(".")), source.dataset())?;
    if unfit.is_some() {
        watch.note("the data are not fit for training, which features do not need");
    }
    let color = color_of(source.dataset(), ctx.threads())?;
    let carried = Carried::open(from, settings, color, &ctx, watch)?;
    let backbone = carried.backbone(settings.layer.as_deref().map_or(Cut::Classifier, Cut::At))?;
    let folder = folder(settings);
    let contents = match &folder {
        Some(_) => Some(source.read_contents(ctx.threads(), watch)?),
        None => None,
    };
    let (graph, precision) = match settings.precision.unwrap_or_default() {
        Precision::F32 => (backbone.folded.clone(), "f32"),
        Precision::Int8 => {
            let (train, seed) = (source.split(Split::Train), settings.seed.unwrap_or(0));
            let made = quantized(&backbone, &carried.model.preprocessing, train, seed, &ctx, watch.stop)?;
            watch.note(&made.what);
            (made.graph, "int8")
        }
    };
    let extraction = Extraction {
        graph: &graph,
        preprocessing: &carried.model.preprocessing,
        ctx: &ctx,
        folder: folder.as_deref(),
        precision,
    };
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    for split in Split::ALL {
        let subset = source.split(split);
        if subset.is_empty() {
            continue;
        }
        let known = contents.map(|contents| contents.split(split));
        let found = extraction.rows(subset, known, watch).map_err(|e| e.of_model(from))?;
        if found.len() < subset.len() {
            watch.note(&format!(
                "{} of {} left out: they cannot be read",
                counted(subset.len() - found.len(), "image", "images"),
                split.name()
            ));
        }
        rows.extend(found.indices.iter().map(|&i| Row {
            image: image_name(subset, i),
            split: split.name(),
            label: subset.targets().text(i, source.class_names()),
        }));
        values.extend(found.values);
    }
    let dim = backbone.network.features;
    watch.note(&format!(
        "{} of {dim} features ({})",
        counted(rows.len(), "row", "rows"),
        backbone.network.at
    ));
    if ending == "npy" {
        write(&files[0], &npy::bytes(&values, dim))?;
        write(&files[1], &table(&rows).map_err(|e| cannot(&files[1], &e))?)?;
    } else {
        let bytes = parquet::bytes(&rows, &values, dim).map_err(|e| cannot(&files[0], &e))?;
        write(&files[0], &bytes)?;
    }
    Ok(files)
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> OculistError {
    OculistError::Output { path: path.to_path_buf(), problem: format!("cannot be made: {error}").into() }
}

fn image_name(subset: &Subset, i: usize) -> String {
    subset.path(i).map_or_else(|| subset.name(i), |path| path_text(path).0)
}

/// The rows as CSV.
fn table(rows: &[Row]) -> Result<Vec<u8>, csv::Error> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["image", "split", "label"])?;
    for row in rows {
        out.write_record([row.image.as_str(), row.split, &row.label])?;
    }
    out.into_inner().map_err(|e| csv::Error::from(e.into_error()))
}
