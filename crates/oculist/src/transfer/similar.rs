//! The images of a data set that are most like another one, to the eyes of a model.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_augment::Image;
use oculist_data::{Split, path_text};
use oculist_passes::Cut;
use oculist_report::terminal::Neighbour;
use oculist_runtime::{Context, Plan, PlanOptions};

use super::carried::{as_run, in_front_of};
use super::features::Extraction;
use super::pick::folder;
use crate::data::Source;
use crate::error::OculistError;
use crate::evaluate::finite;
use crate::model_file::Model;
use crate::progress::Watch;
use crate::settings::Settings;

/// The features of a data set's images, of length 1, with what the images are called.
#[derive(Debug)]
pub(crate) struct Gallery {
    plan: Plan,
    input: Vec<f32>,
    row: Vec<f32>,
    rows: Vec<f32>,
    names: Vec<(String, String)>,
}

impl Gallery {
    /// The training images of a data set, or all images of one that is not split.
    ///
    /// # Errors
    /// As for reading the data; [`OculistError::Pass`] for a model whose features are not found.
    pub(crate) fn of(
        model: &Model,
        data: &str,
        settings: &Settings,
        ctx: &Arc<Context>,
    ) -> Result<Self, OculistError> {
        let settings = Settings { data: Some(data.to_owned()), ..settings.clone() };
        let (source, unfit) = Source::open_to_read(&settings)?;
        let network = in_front_of(&model.graph, Cut::Classifier)?.graph;
        let graph = as_run(&network)?;
        let stop = AtomicBool::new(false);
        let watch = &mut Watch { observer: &mut |_| (), stop: &stop };
        let folder: Option<PathBuf> = folder(&settings);
        let contents = match folder {
            Some(_) => Some(source.read_contents(ctx.threads(), watch)?),
            None => None,
        };
        let extraction = Extraction {
            graph: &graph,
            preprocessing: &model.preprocessing,
            ctx,
            folder: folder.as_deref(),
            precision: "f32",
        };
        let (mut rows, mut names) = (Vec::new(), Vec::new());
        let splits = if unfit.is_some() { &Split::ALL[..] } else { &[Split::Train] };
        for &split in splits {
            let subset = source.split(split);
            if subset.is_empty() {
                continue;
            }
            let found = extraction.rows(subset, contents.map(|contents| contents.split(split)), watch)?;
            names.extend(found.indices.iter().map(|&i| {
                let name = subset.path(i).map_or_else(|| subset.name(i), |path| path_text(path).0);
                (name, subset.targets().text(i, source.class_names()))
            }));
            rows.extend(found.values);
        }
        let plan = Plan::new(&graph, &PlanOptions::new(1, ctx.clone()))?;
        plan.check_images()?;
        let dim = plan.output_len();
        rows.chunks_exact_mut(dim).for_each(to_length_one);
        Ok(Self { input: vec![0.0; plan.input_len()], row: vec![0.0; dim], plan, rows, names })
    }

    /// The images that are most like another one, by the cosine of their features, the most like first; of equal ones the
    /// earlier.
    ///
    /// # Errors
    /// [`OculistError::Augment`] for an image that cannot become the model's input; [`OculistError::NotFinite`].
    pub(crate) fn nearest(
        &mut self,
        model: &Model,
        image: Image,
        name: &str,
        top: usize,
    ) -> Result<Vec<Neighbour>, OculistError> {
        let prepared = model.preprocessing.prepare(image)?;
        model.preprocessing.normalize_into(&prepared, &mut self.input);
        self.plan.run(&self.input, &mut self.row)?;
        finite(&self.row, self.row.len(), &|_| name.to_owned())?;
        to_length_one(&mut self.row);
        let cosine =
            |row: &[f32]| row.iter().zip(&self.row).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let mut all: Vec<(f64, usize)> =
            self.rows.chunks_exact(self.row.len()).map(cosine).zip(0..).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let of = |&(cosine, i): &(f64, usize)| {
            let (image, label) = self.names[i].clone();
            Neighbour { image, label, cosine: cosine.clamp(-1.0, 1.0) }
        };
        Ok(all.iter().take(top).map(of).collect())
    }
}

/// Scales a row to length 1; a row of zeros stays.
fn to_length_one(row: &mut [f32]) {
    let length = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    if length > 0.0 {
        for v in row {
            *v = (f64::from(*v) / length) as f32;
        }
    }
}
