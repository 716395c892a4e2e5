//! The features of images, computed once.

use std::path::Path;
use std::sync::Arc;

use oculist_augment::Preprocessing;
use oculist_data::{Dataset, Identity, KnownDigests, Loader, Split, Subset};
use oculist_files::{Digest, Hasher};
use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use super::store::{Store, extractor_digest};
use crate::error::OculistError;
use crate::evaluate::{BATCH, finite};
use crate::images::{name_of, reading};
use crate::progress::{Progress, Watch, flow, go_on};

/// Bytes of a batch: larger ones are given back to the system after each, and faulted in page by page for the next.
const BATCH_BYTES: usize = 10_000_000;
/// Images above which computing is shown as work.
const SHOWN: usize = 200;

/// Feature rows of images that could be read.
#[derive(Debug, Clone, Default)]
pub(crate) struct FeatureRows {
    /// `[images, dim]`.
    pub(crate) values: Vec<f32>,
    pub(crate) dim: usize,
    /// Which images of the subset they are of, in rising order.
    pub(crate) indices: Vec<usize>,
}

impl FeatureRows {
    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The labels of the images.
    pub(crate) fn labels(&self, subset: &Subset) -> Vec<u32> {
        self.indices.iter().map(|&i| subset.label(i)).collect()
    }
}

/// The content of each image of a data set, by split.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    by_split: Vec<Vec<String>>,
}

impl Contents {
    /// Reads all images of a data set for their digests.
    ///
    /// # Errors
    /// [`OculistError::Data`] naming a file that cannot be read; [`OculistError::Stopped`].
    pub(crate) fn of(dataset: &Dataset, threads: usize, watch: &mut Watch<'_>) -> Result<Self, OculistError> {
        let stop = watch.stop;
        let identity = Identity::of(dataset, &KnownDigests::default(), threads, &mut |_, _| flow(stop))?
            .ok_or(OculistError::Stopped { resumable: false })?;
        Ok(Self::of_identity(&identity))
    }

    /// The same of an identity that is known.
    pub(crate) fn of_identity(identity: &Identity) -> Self {
        let mut by_split = vec![Vec::new(); Split::ALL.len()];
        for image in &identity.images {
            let at = Split::ALL.iter().position(|split| *split == image.split).unwrap_or_default();
            // A box is another image than the picture that it is cut from.
            let key = match image.part {
                None => image.digest,
                Some(part) => {
                    let mut hasher = Hasher::new();
                    hasher.part(image.digest.to_string().as_bytes());
                    hasher.part(format!("{part:?}").as_bytes());
                    hasher.finish()
                }
            };
            by_split[at].push(key.to_string());
        }
        Self { by_split }
    }

    /// Those of a split, in its order.
    pub(crate) fn split(&self, split: Split) -> &[String] {
        Split::ALL.iter().position(|s| *s == split).map_or(&[], |at| &self.by_split[at])
    }
}

/// A network that gives features, with all that is needed to run it.
pub(crate) struct Extraction<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) preprocessing: &'a Preprocessing,
    pub(crate) ctx: &'a Arc<Context>,
    /// Where rows are kept, if anywhere.
    pub(crate) folder: Option<&'a Path>,
    /// `f32` or `int8`.
    pub(crate) precision: &'a str,
}

impl Extraction<'_> {
    /// The features of a subset; those of images whose content is known are taken from where they are kept.
    ///
    /// # Errors
    /// [`OculistError::Runtime`] naming a node that cannot be run; [`OculistError::NotFinite`] naming an image;
    /// [`OculistError::Data`] if too many cannot be read; [`OculistError::Stopped`].
    pub(crate) fn rows(
        &self,
        subset: &Subset,
        contents: Option<&[String]>,
        watch: &mut Watch<'_>,
    ) -> Result<FeatureRows, OculistError> {
        let image_bytes = self.preprocessing.len().saturating_mul(size_of::<f32>());
        let at_once = (BATCH_BYTES / image_bytes.max(1)).clamp(1, BATCH);
        let mut plan = Plan::new(self.graph, &PlanOptions::new(at_once, self.ctx.clone()))?;
        plan.check_images()?;
        let dim = plan.output_len();
        let contents = contents.filter(|contents| contents.len() == subset.len());
        let mut store = match self.folder.zip(contents) {
            Some((folder, _)) => Some(Store::open(folder, self.digest()?, dim)),
            None => None,
        };
        let mut found: Vec<Option<Vec<f32>>> = vec![None; subset.len()];
        if let (Some(store), Some(contents)) = (&store, contents) {
            for (row, content) in found.iter_mut().zip(contents) {
                *row = store.get(content).map(<[f32]>::to_vec);
            }
        }
        let missing: Vec<usize> = (0..subset.len()).filter(|&i| found[i].is_none()).collect();
        if !missing.is_empty() {
            let wanted = subset.select(&missing)?;
            let loader = Loader::new(wanted, reading(self.preprocessing, at_once, self.ctx.threads()))?;
            let (mut rows, mut done) = (vec![0.0; at_once * dim], 0);
            for batch in loader.epoch(0) {
                let batch = batch?;
                go_on(watch.stop)?;
                if batch.is_empty() {
                    continue;
                }
                let places = &batch.indices;
                let rows = &mut rows[..places.len() * dim];
                plan.run(&batch.images, rows)?;
                finite(rows, dim, &|i| name_of(subset, missing[places[i]]))?;
                for (row, &place) in rows.chunks_exact(dim).zip(places) {
                    let i = missing[place];
                    if let (Some(store), Some(contents)) = (&mut store, contents) {
                        store.put(&contents[i], row);
                    }
                    found[i] = Some(row.to_vec());
                }
                done += places.len();
                if missing.len() > SHOWN {
                    watch.tell(Progress::Work { what: "features computed", done, total: missing.len() });
                }
            }
        }
        if let Some(store) = &mut store {
            match store.save() {
                Ok(true) => {}
                Ok(false) => watch.note("the features are too many to be kept for another run"),
                Err(error) => {
                    let place =
                        self.folder.map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
                    watch.note(&format!("the features are not kept{place} for another run: {error}"));
                }
            }
        }
        let mut rows = FeatureRows { dim, ..FeatureRows::default() };
        for (i, row) in found.into_iter().enumerate() {
            if let Some(row) = row {
                rows.values.extend(row);
                rows.indices.push(i);
            }
        }
        if rows.indices.is_empty() && !subset.is_empty() {
            return Err(oculist_data::Error::NothingReadable { images: subset.len() }.into());
        }
        Ok(rows)
    }

    fn digest(&self) -> Result<Digest, OculistError> {
        let network = oculist_onnx::to_bytes(self.graph)?;
        let preprocessing = format!("{:?}", self.preprocessing.to_metadata());
        // Instruction sets round otherwise.
        let precision = format!("{} {}", self.precision, self.ctx.isa());
        Ok(extractor_digest(&network, &preprocessing, &precision))
    }
}
