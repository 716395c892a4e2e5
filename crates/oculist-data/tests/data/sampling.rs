//! Which images an epoch shows, how often, and that the cache changes nothing.

use oculist_augment::{ColorMode, Image, Pipeline, Preprocessing};
use oculist_data::{
    Batch, Dataset, DecodeError, Error, ImageStore, Loader, LoaderConfig, OpenOptions, Result,
};
use oculist_data::{Sampling, Subset, fixture};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Images of one grey value each; the ones in `broken` cannot be read. Counts what is decoded.
#[derive(Default)]
struct Plain {
    count: usize,
    broken: Vec<usize>,
    /// Whether images have structure, so that a shift or a flip shows.
    noisy: bool,
    decoded: AtomicUsize,
}

impl ImageStore for Plain {
    fn len(&self) -> usize {
        self.count
    }

    fn image(&self, index: usize) -> Result<Image> {
        self.decoded.fetch_add(1, Ordering::Relaxed);
        if self.broken.contains(&index) {
            return Err(Error::Image { path: format!("{index}").into(), source: DecodeError::NotAnImage });
        }
        if self.noisy {
            let mut rng = oculist_augment::Rng::keyed(&[index as u64]);
            return Ok(Image::new(8, 8, 1, (0..64).map(|_| rng.next_u64() as u8).collect())?);
        }
        Ok(Image::filled(8, 8, 1, (index * 7 % 256) as u8)?)
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (8, 8)
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }
}

/// A subset with these numbers of images by class, in mixed order.
fn subset(counts: &[usize]) -> Subset {
    let mut labels: Vec<u32> =
        counts.iter().enumerate().flat_map(|(class, &n)| vec![class as u32; n]).collect();
    oculist_augment::Rng::keyed(&[9]).shuffle(&mut labels);
    let store = Plain { count: labels.len(), ..Plain::default() };
    Subset::new(Arc::new(store), (0..labels.len() as u32).collect(), labels, counts.len()).unwrap()
}

fn config(sampling: Sampling, batch_size: usize, workers: usize) -> LoaderConfig {
    let preprocessing = Preprocessing::exact(ColorMode::Grey, 8, 8);
    let pipeline = Pipeline::small_images(8, true);
    let training = LoaderConfig::training(batch_size, workers, 5, pipeline, preprocessing);
    LoaderConfig { sampling, drop_last: false, ..training }
}

fn batches(subset: &Subset, config: LoaderConfig, epoch: u64) -> Vec<Batch> {
    Loader::new(subset.clone(), config).unwrap().epoch(epoch).map(Result::unwrap).collect()
}

/// What a balanced epoch promises: its length, and equal numbers of the classes that there are.
fn is_balanced(subset: &Subset, order: &[u32]) -> bool {
    let mut counts = vec![0usize; subset.classes()];
    for &index in order {
        counts[subset.label(index as usize) as usize] += 1;
    }
    let there: Vec<usize> = subset.class_counts();
    let present: Vec<usize> =
        counts.iter().zip(&there).filter(|&(_, &n)| n > 0).map(|(&count, _)| count).collect();
    let (low, high) = (present.iter().min().unwrap(), present.iter().max().unwrap());
    order.len() == subset.len() && high - low <= 1
}

/// True if at every moment the images of a class were shown equally often, within one.
fn without_early_repeats(subset: &Subset, order: &[u32]) -> bool {
    let mut shown = vec![0usize; subset.len()];
    let members: Vec<Vec<usize>> = (0..subset.classes() as u32)
        .map(|class| (0..subset.len()).filter(|&i| subset.label(i) == class).collect())
        .collect();
    order.iter().all(|&index| {
        shown[index as usize] += 1;
        let class = &members[subset.label(index as usize) as usize];
        let (low, high) = (class.iter().map(|&i| shown[i]).min(), class.iter().map(|&i| shown[i]).max());
        high.unwrap() - low.unwrap() <= 1
    })
}

#[test]
fn balanced_epochs_hold_every_class_equally_and_repeat_nothing_early() {
    for counts in [&[90, 10, 1][..], &[7, 7, 7], &[1, 1], &[50, 0, 3, 12], &[100, 99]] {
        let subset = subset(counts);
        let loader = Loader::new(subset.clone(), config(Sampling::Balanced, 4, 0)).unwrap();
        assert_eq!(loader.places_per_epoch(), subset.len());
        let mut all = Vec::new();
        for epoch in 0..12 {
            let order = loader.order(epoch);
            assert!(is_balanced(&subset, &order), "{counts:?}");
            assert_eq!(order, loader.order(epoch));
            all.extend(order);
        }
        assert!(without_early_repeats(&subset, &all), "{counts:?}");
        // Over many epochs the remainder goes round, too.
        let mut per_class = vec![0usize; subset.classes()];
        for &index in &all {
            per_class[subset.label(index as usize) as usize] += 1;
        }
        per_class.retain(|&count| count > 0);
        assert!(per_class.iter().max().unwrap() - per_class.iter().min().unwrap() <= 1, "{per_class:?}");
        if subset.len() > 10 {
            assert_ne!(loader.order(0), loader.order(1));
        }
    }
    // The checks are able to fail: the plain order is not balanced, and the same image again is a repeat.
    let subset = subset(&[90, 10, 1]);
    let once = Loader::new(subset.clone(), config(Sampling::Once, 4, 0)).unwrap();
    assert!(!is_balanced(&subset, &once.order(0)));
    assert!(without_early_repeats(&subset, &once.order(0)));
    let common = (0..101).find(|&i| subset.label(i as usize) == 0).unwrap();
    assert!(!without_early_repeats(&subset, &[common, common]));
}

#[test]
fn repeated_augmentation_and_batch_augmentation_have_their_lengths() {
    let subset = subset(&[20, 15, 8]);
    for (sampling, places, times) in [
        (Sampling::Repeated { times: 3 }, 43, 3),
        (Sampling::BatchAugment { times: 3 }, 129, 3),
        (Sampling::Repeated { times: 1 }, 43, 1),
        (Sampling::BatchAugment { times: 50 }, 2150, 50),
        (Sampling::Views { times: 3, shared: 2 }, 129, 3),
    ] {
        let loader = Loader::new(subset.clone(), config(sampling, times * 2, 0)).unwrap();
        assert_eq!(loader.places_per_epoch(), places, "{sampling:?}");
        assert_eq!(loader.batches_per_epoch(), places.div_ceil(times * 2));
        let mut shown = vec![0usize; subset.len()];
        for epoch in 0..9 {
            let order = loader.order(epoch);
            assert_eq!(order.len(), places);
            let distinct: BTreeMap<u32, usize> = order.iter().fold(BTreeMap::new(), |mut all, &i| {
                *all.entry(i).or_default() += 1;
                all
            });
            if let Sampling::BatchAugment { .. } | Sampling::Views { .. } = sampling {
                assert!(order.chunks(times).all(|group| group.iter().all(|&index| index == group[0])));
                assert!(distinct.len() == subset.len() && distinct.values().all(|&n| n == times));
            } else {
                for group in order.chunks(times) {
                    assert!(group.iter().all(|&index| index == group[0]), "{sampling:?}");
                    shown[group[0] as usize] += 1;
                }
                let spread = shown.iter().max().unwrap() - shown.iter().min().unwrap();
                assert!(spread <= 1, "{sampling:?}: {shown:?}");
            }
        }
    }
}

#[test]
fn repeats_of_an_image_are_augmented_differently() {
    // Images with structure, so that a shift or a flip shows.
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 10, 16).unwrap();
    let train = Dataset::open_path(folder.path(), &OpenOptions::default()).unwrap().train().clone();
    let preprocessing = Preprocessing::exact(ColorMode::Grey, 16, 16);
    let mut config = config(Sampling::BatchAugment { times: 6 }, 12, 2);
    config.preprocessing = preprocessing;
    config.pipeline = Pipeline::small_images(16, true);
    let mut groups = 0;
    for batch in batches(&train, config.clone(), 0) {
        for (group, indices) in batch.images.chunks(6 * 256).zip(batch.indices.chunks(6)) {
            assert!(indices.iter().all(|&i| i == indices[0]));
            let mut rows: Vec<&[f32]> = group.chunks(256).collect();
            rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
            rows.dedup();
            // Two of six may draw the same shift and flip, but not four.
            assert!(rows.len() >= 3, "{} different of 6", rows.len());
            groups += 1;
        }
    }
    assert_eq!(groups, train.len());
    // The first of the repeats is what an epoch without repeats shows.
    let once = LoaderConfig { sampling: Sampling::Once, batch_size: 1, ..config.clone() };
    let repeated = batches(&train, config, 0);
    let all: BTreeMap<usize, Vec<f32>> =
        batches(&train, once, 0).into_iter().map(|batch| (batch.indices[0], batch.images)).collect();
    assert!(repeated.iter().all(|batch| all[&batch.indices[0]] == batch.images[..256]));
}

#[test]
fn workers_change_nothing_about_sampling() {
    let subset = subset(&[40, 9, 3]);
    let views = Sampling::Views { times: 4, shared: 1 };
    let repeated = [Sampling::Repeated { times: 4 }, Sampling::BatchAugment { times: 4 }];
    for sampling in [&[Sampling::Balanced, views], &repeated[..]].concat() {
        let alone = batches(&subset, config(sampling, 8, 0), 2);
        let loader = Loader::new(subset.clone(), config(sampling, 8, 0)).unwrap();
        let indices: Vec<u32> =
            alone.iter().flat_map(|batch| batch.indices.iter().map(|&index| index as u32)).collect();
        assert_eq!(indices, loader.order(2));
        for workers in [1, 3, 5] {
            assert!(batches(&subset, config(sampling, 8, workers), 2) == alone, "{sampling:?}, {workers}");
        }
        let entered: Vec<Batch> = loader.epoch_from(2, 4).map(Result::unwrap).collect();
        assert!(entered == alone[4..]);
        assert!(batches(&subset, LoaderConfig { seed: 6, ..config(sampling, 8, 2) }, 2) != alone);
        assert!(batches(&subset, config(sampling, 8, 2), 3) != alone);
    }
}

#[test]
fn an_unreadable_image_and_its_repeats_are_replaced() {
    let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
    for workers in [0, 3] {
        let store = Plain { count: 20, broken: vec![4], ..Plain::default() };
        let subset = Subset::new(Arc::new(store), (0..20).collect(), labels.clone(), 2).unwrap();
        let mut config = config(Sampling::BatchAugment { times: 12 }, 24, workers);
        config.max_unreadable = 0.05;
        let all = batches(&subset, config, 0);
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|batch| batch.len() == 24 && !batch.indices.contains(&4)));
    }
}

#[test]
fn views_share_the_crop_and_the_first_has_nothing_else_also_in_place_of_an_unreadable_image() {
    let labels: Vec<u32> = (0..20).map(|i| i % 2).collect();
    for (broken, workers) in [(vec![], 0), (vec![4], 0), (vec![4], 3)] {
        let store = Plain { count: 20, broken: broken.clone(), noisy: true, ..Plain::default() };
        let subset = Subset::new(Arc::new(store), (0..20).collect(), labels.clone(), 2).unwrap();
        let mut views = config(Sampling::Views { times: 3, shared: 2 }, 12, workers);
        views.pipeline.steps[2].probability = 1.0;
        let base = LoaderConfig { sampling: Sampling::Once, batch_size: 1, ..views.clone() };
        let shared = Pipeline { steps: views.pipeline.steps[..2].to_vec(), ..views.pipeline.clone() };
        let clean: BTreeMap<usize, Vec<f32>> =
            batches(&subset, LoaderConfig { pipeline: shared, ..base.clone() }, 1)
                .into_iter()
                .map(|batch| (batch.indices[0], batch.images))
                .collect();
        let all = batches(&subset, views, 1);
        assert_eq!(all.len(), 5);
        for batch in all {
            assert_eq!(batch.len(), 12, "full in spite of what cannot be read");
            for (rows, indices) in batch.images.chunks(3 * 64).zip(batch.indices.chunks(3)) {
                assert!(indices.iter().all(|&i| i == indices[0] && !broken.contains(&i)));
                assert_eq!(rows[..64], clean[&indices[0]]);
                assert!(rows[64..128] != rows[..64] && rows[128..] != rows[..64]);
                assert!(rows[64..128] != rows[128..], "each draws its own turn");
            }
        }
    }
}

#[test]
fn impossible_samplings_are_refused() {
    let refuse = |config: LoaderConfig, text: &str| {
        let err = Loader::new(subset(&[5, 5]), config).unwrap_err().to_string();
        assert!(err.contains(text), "{err}");
    };
    refuse(config(Sampling::Repeated { times: 0 }, 4, 0), "times must be at least 1");
    refuse(config(Sampling::Repeated { times: 3 }, 4, 0), "batch size must be a multiple of the times");
    let unshuffled = LoaderConfig { shuffle: false, ..config(Sampling::Balanced, 4, 0) };
    refuse(unshuffled, "sampling must be once");
    let dropped = LoaderConfig { drop_last: true, ..config(Sampling::Repeated { times: 4 }, 12, 0) };
    refuse(dropped, "batch size must be at most");
    let long = LoaderConfig { drop_last: true, ..config(Sampling::BatchAugment { times: 4 }, 12, 0) };
    assert_eq!(Loader::new(subset(&[5, 5]), long).unwrap().batches_per_epoch(), 3);
}

#[test]
fn the_cache_changes_nothing_but_how_often_is_decoded() {
    let labels: Vec<u32> = (0..60).map(|i| i % 3).collect();
    // One grey image of 8x8 counts 192 bytes, and takes 64.
    for (budget, kept) in [(0, 0), (191, 0), (192, 1), (192 * 20 + 100, 20), (1 << 20, 60)] {
        for workers in [0, 3] {
            let store = Arc::new(Plain { count: 60, ..Plain::default() });
            let shared: Arc<dyn ImageStore> = Arc::clone(&store) as Arc<dyn ImageStore>;
            let subset = Subset::new(shared, (0..60).collect(), labels.clone(), 3).unwrap();
            let plain = config(Sampling::Once, 7, workers);
            let cached = LoaderConfig { cache_bytes: budget, ..plain.clone() };
            let loader = Loader::new(subset.clone(), cached).unwrap();
            for epoch in 0..3 {
                let with: Vec<Batch> = loader.epoch(epoch).map(Result::unwrap).collect();
                assert!(with == batches(&subset, plain.clone(), epoch), "{budget} bytes");
            }
            // Without a cache 60 an epoch; with it, those that are kept only in the first.
            let decoded = store.decoded.load(Ordering::Relaxed);
            assert_eq!(decoded, 3 * 60 + 60 + 2 * (60 - kept), "{budget} bytes, {workers} workers");
            assert_eq!(loader.cached_bytes(), kept * 64);
            assert!(loader.cached_bytes() as u64 <= budget);
        }
    }
    // Pixels that lie in memory anyway are not kept twice.
    let demo = Dataset::open("demo", &OpenOptions::default()).unwrap().val().clone();
    let preprocessing = Preprocessing::exact(ColorMode::Grey, 28, 28);
    let evaluation = LoaderConfig::evaluation(100, 2, preprocessing);
    let loader = Loader::new(demo, LoaderConfig { cache_bytes: 1 << 30, ..evaluation }).unwrap();
    assert_eq!(loader.epoch(0).count(), 10);
    assert_eq!(loader.cached_bytes(), 0);
}
