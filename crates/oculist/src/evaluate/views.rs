//! Images under changed conditions: corrupted, shifted, mirrored, augmented.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use oculist_augment::{
    Corruption, Image, Pipeline, Preprocessing, ResizeRule, Rng, SampleKey, Start, Transform,
};
use oculist_data::{ImageStore, Loader, MemoryStore, Subset};
use oculist_graph::Graph;
use oculist_runtime::{Context, Plan, PlanOptions};

use super::{BATCH, finite};
use crate::error::OculistError;
use crate::images::{name_of, reading};
use crate::progress::go_on;

/// Images at the network's size are kept in memory up to this many bytes.
const KEEP_BYTES: usize = 1_000_000_000;
/// Images per batch while reading.
const READ_BATCH: usize = 64;
/// "CORR": keeps the seeds of corruptions apart from other uses of the seed.
const CORRUPT: u64 = 0x434f_5252;

/// What is done to an image before it is judged.
#[derive(Debug, Clone)]
pub(crate) enum View {
    /// Nothing.
    Plain,
    /// These transforms of the image at the network's size.
    Fixed(Vec<Transform>),
    /// A corruption of the image at the network's size; random ones differ from image to image.
    Corrupted(Corruption, u8),
    /// A pipeline's draw number `epoch`: the same for all images, or another one for each.
    Drawn { pipeline: Pipeline, epoch: u64, each: bool },
}

impl View {
    /// The changed image at the network's size.
    ///
    /// # Errors
    /// As for the operations; none for a pipeline that was validated.
    pub(crate) fn apply(
        &self,
        image: Image,
        preprocessing: &Preprocessing,
        seed: u64,
        sample: u64,
    ) -> oculist_augment::Result<Image> {
        match self {
            Self::Plain => preprocessing.prepare(image),
            Self::Fixed(transforms) => Transform::apply_all(transforms, preprocessing.prepare(image)?),
            Self::Corrupted(corruption, severity) => {
                let seed = Rng::keyed(&[seed, CORRUPT, sample]).next_u64();
                corruption.apply(&preprocessing.prepare(image)?, *severity, seed)
            }
            Self::Drawn { pipeline, epoch, each } => {
                let key = SampleKey { seed, epoch: *epoch, sample: if *each { sample } else { 0 } };
                preprocessing.augment(image, pipeline, key)
            }
        }
    }

    /// Whether the image is needed as it lies in the file.
    fn needs_original(&self) -> bool {
        matches!(self, Self::Drawn { pipeline, .. } if pipeline.start == Start::Original)
    }
}

/// The images of a subset that can be read, to be judged under several views.
///
/// They are read once and kept at the network's size, if they fit; otherwise every view reads them again.
#[derive(Debug)]
pub(crate) struct Prepared {
    original: Subset,
    preprocessing: Preprocessing,
    memory: Option<Subset>,
    threads: usize,
}

impl Prepared {
    /// # Errors
    /// [`OculistError::Data`] if too many images are unreadable; [`OculistError::Stopped`].
    pub(crate) fn load(
        subset: &Subset,
        preprocessing: &Preprocessing,
        threads: usize,
        stop: &AtomicBool,
    ) -> Result<Self, OculistError> {
        let channels = preprocessing.channels();
        // Values of 0..=1, from which the bytes come back exactly.
        let plain = preprocessing.clone().with_statistics(vec![0.0; channels], vec![1.0; channels]);
        let fits = subset.len().saturating_mul(preprocessing.len()) <= KEEP_BYTES;
        let loader = Loader::new(subset.clone(), reading(&plain, READ_BATCH, threads))?;
        let (mut pixels, mut readable) = (Vec::<u8>::new(), Vec::new());
        for batch in loader.epoch(0) {
            go_on(stop)?;
            let batch = batch?;
            if fits {
                pixels.extend(batch.images.iter().map(|v| (v * 255.0).round() as u8));
            }
            readable.extend(batch.indices);
        }
        let original = subset.select(&readable)?;
        let memory = if fits {
            let size = (preprocessing.width, preprocessing.height, channels);
            let store = MemoryStore::new("prepared", size, pixels)?;
            let all = (0..original.len() as u32).collect();
            Some(Subset::new(Arc::new(store), all, original.targets().clone(), original.classes())?)
        } else {
            None
        };
        Ok(Self { original, preprocessing: preprocessing.clone(), memory, threads })
    }

    /// The images, as they lie in their files.
    pub(crate) fn subset(&self) -> &Subset {
        &self.original
    }

    /// The true class of each image.
    pub(crate) fn labels(&self) -> &[u32] {
        self.original.labels()
    }

    /// The logits of every image under a view, dense `[images, classes]`.
    ///
    /// They depend on the images, the view and the seed, and on nothing else.
    ///
    /// # Errors
    /// [`OculistError::Runtime`]; [`OculistError::Data`] if an image cannot be read any more; [`OculistError::Stopped`].
    pub(crate) fn logits(
        &self,
        judge: &mut Judge,
        view: &View,
        seed: u64,
        stop: &AtomicBool,
    ) -> Result<Vec<f32>, OculistError> {
        let exact = Preprocessing { resize: ResizeRule::Exact, ..self.preprocessing.clone() };
        let (images, preprocessing) = match &self.memory {
            Some(memory) if !view.needs_original() => (memory.clone(), exact.clone()),
            _ => (self.original.clone(), self.preprocessing.clone()),
        };
        let n = images.len();
        let (targets, classes) = (images.targets().clone(), images.classes());
        let store = Viewed { images, preprocessing, view: view.clone(), seed };
        let changed = Subset::new(Arc::new(store), (0..n as u32).collect(), targets, classes)?;
        let loader = Loader::new(changed, reading(&exact, BATCH, self.threads))?;
        let classes = judge.plan.output_len();
        let mut all = Vec::with_capacity(n * classes);
        for batch in loader.epoch(0) {
            go_on(stop)?;
            let batch = batch?;
            let start = all.len();
            all.resize(start + batch.len() * classes, 0.0);
            judge.plan.run(&batch.images, &mut all[start..])?;
            finite(&all[start..], classes, &|i| name_of(&self.original, batch.indices[i]))?;
        }
        let lost = n - all.len() / classes.max(1);
        if lost > 0 {
            let problem = format!("{lost} images became unreadable while the work was going on");
            return Err(OculistError::Option { option: "DATA".into(), problem });
        }
        Ok(all)
    }
}

/// A network ready to judge batches.
pub(crate) struct Judge {
    plan: Plan,
}

impl Judge {
    /// # Errors
    /// [`OculistError::Runtime`] naming the node that cannot be run.
    pub(crate) fn new(graph: &Graph, ctx: &Arc<Context>) -> Result<Self, OculistError> {
        let plan = Plan::new(graph, &PlanOptions::new(BATCH, ctx.clone()))?;
        plan.check_images()?;
        Ok(Self { plan })
    }
}

/// Images under a view, as a store: the loader's workers do the work.
struct Viewed {
    images: Subset,
    preprocessing: Preprocessing,
    view: View,
    seed: u64,
}

impl ImageStore for Viewed {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn image(&self, index: usize) -> Result<Image, oculist_data::Error> {
        let image = self.images.image(index)?;
        Ok(self.view.apply(image, &self.preprocessing, self.seed, index as u64)?)
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (self.preprocessing.width, self.preprocessing.height)
    }

    fn name(&self, index: usize) -> String {
        self.images.name(index)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use oculist_augment::ColorMode;
    use oculist_zoo::BuildOptions;

    use super::*;

    /// Class images of 3 classes in files of 20x20, a photo preprocessing that crops, and a network with random weights.
    pub(crate) fn parts(dir: &std::path::Path) -> (Subset, Preprocessing, Graph) {
        oculist_data::fixture::write_class_folders(dir, "", 3, 30, 20).unwrap();
        let settings =
            crate::Settings { data: Some(dir.display().to_string()), ..crate::Settings::default() };
        let source = crate::Source::open(&settings, 1).unwrap();
        let preprocessing = Preprocessing::photos(ColorMode::Rgb, 16);
        let mut graph = oculist_zoo::build("resnet8", &BuildOptions::new(3, (3, 16, 16))).unwrap();
        oculist_zoo::initialize(&mut graph, 3);
        (source.split(oculist_data::Split::Train).clone(), preprocessing, graph)
    }

    /// The logits of one image by nothing but the parts.
    pub(crate) fn one_by_one(
        images: &Subset,
        preprocessing: &Preprocessing,
        graph: &Graph,
        change: &dyn Fn(usize, Image) -> Image,
    ) -> Vec<f32> {
        let ctx = Arc::new(Context::new(1).unwrap());
        let mut plan = Plan::new(graph, &PlanOptions::new(1, ctx)).unwrap();
        let mut all = Vec::new();
        for i in 0..images.len() {
            let image = change(i, preprocessing.prepare(images.image(i).unwrap()).unwrap());
            let mut input = vec![0.0; preprocessing.len()];
            preprocessing.normalize_into(&image, &mut input);
            let mut logits = vec![0.0; plan.output_len()];
            plan.run(&input, &mut logits).unwrap();
            all.extend(logits);
        }
        all
    }

    pub(crate) fn distance(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_view_changes_the_image_at_the_networks_size_whatever_the_threads() {
        let dir = tempfile::tempdir().unwrap();
        let (subset, preprocessing, graph) = parts(dir.path());
        let stop = AtomicBool::new(false);
        let ctx = Arc::new(Context::new(1).unwrap());
        let logits = |threads, view: &View, keep: bool| {
            let mut images = Prepared::load(&subset, &preprocessing, threads, &stop).unwrap();
            if !keep {
                images.memory = None;
            }
            images.logits(&mut Judge::new(&graph, &ctx).unwrap(), view, 5, &stop).unwrap()
        };
        let noisy = View::Corrupted(Corruption::GaussianNoise, 5);
        let seed_of = |i: usize| Rng::keyed(&[5, CORRUPT, i as u64]).next_u64();
        let want = one_by_one(&subset, &preprocessing, &graph, &|i, image| {
            Corruption::GaussianNoise.apply(&image, 5, seed_of(i)).unwrap()
        });
        let same_noise = one_by_one(&subset, &preprocessing, &graph, &|_, image| {
            Corruption::GaussianNoise.apply(&image, 5, seed_of(0)).unwrap()
        });
        let flip = View::Fixed(vec![Transform::HorizontalFlip]);
        let plain = one_by_one(&subset, &preprocessing, &graph, &|_, image| image);
        let flipped = one_by_one(&subset, &preprocessing, &graph, &|_, image| {
            Transform::HorizontalFlip.apply(image).unwrap()
        });
        for keep in [true, false] {
            let got = logits(1, &noisy, keep);
            assert!(distance(&got, &want) < 1e-4);
            assert_eq!(got, logits(3, &noisy, keep));
            assert!(distance(&logits(2, &View::Plain, keep), &plain) < 1e-4);
            assert!(distance(&logits(2, &flip, keep), &flipped) < 1e-4);
        }
        // Twins: neither the images as they are nor the same noise on all would pass.
        assert!(distance(&want, &plain) > 1e-2 && distance(&want, &same_noise) > 1e-2);
        assert!(distance(&flipped, &plain) > 1e-2);
    }

    #[test]
    fn a_pipeline_may_start_from_the_file_and_draws_once_or_for_each() {
        let dir = tempfile::tempdir().unwrap();
        let (subset, preprocessing, graph) = parts(dir.path());
        let stop = AtomicBool::new(false);
        let ctx = Arc::new(Context::new(1).unwrap());
        let images = Prepared::load(&subset, &preprocessing, 2, &stop).unwrap();
        let mut judge = Judge::new(&graph, &ctx).unwrap();
        let pipeline = Pipeline::photos(16);
        for each in [true, false] {
            let view = View::Drawn { pipeline: pipeline.clone(), epoch: 4, each };
            let got = images.logits(&mut judge, &view, 1, &stop).unwrap();
            let want = one_by_one(&subset, &preprocessing, &graph, &|i, _| {
                let key = SampleKey { seed: 1, epoch: 4, sample: if each { i as u64 } else { 0 } };
                let original = preprocessing.color.convert(subset.image(i).unwrap());
                pipeline.apply(original, key).unwrap()
            });
            assert!(distance(&got, &want) < 1e-4);
            let other = View::Drawn { pipeline: pipeline.clone(), epoch: 5, each };
            assert!(distance(&images.logits(&mut judge, &other, 1, &stop).unwrap(), &want) > 1e-2);
        }
    }
}
