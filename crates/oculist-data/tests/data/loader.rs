//! The loader's promises: order, independence of workers, resuming.

use oculist_augment::{ColorMode, Image, Pipeline, Preprocessing};
use oculist_data::{Batch, Dataset, Error, ImageStore, Loader, LoaderConfig, OpenOptions, Result, Subset};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn demo() -> Subset {
    Dataset::open("demo", &OpenOptions::default()).unwrap().val().clone()
}

fn config(workers: usize) -> LoaderConfig {
    let preprocessing = Preprocessing::exact(ColorMode::Grey, 28, 28);
    LoaderConfig::training(50, workers, 7, Pipeline::small_images(28, true), preprocessing)
}

fn batches(subset: &Subset, config: LoaderConfig, epoch: u64, start: usize) -> Vec<Batch> {
    let loader = Loader::new(subset.clone(), config).unwrap();
    loader.epoch_from(epoch, start).map(Result::unwrap).collect()
}

#[test]
fn workers_and_prefetch_change_nothing() {
    let subset = demo();
    let alone = batches(&subset, config(0), 3, 0);
    assert_eq!(alone.len(), 20);
    assert!(alone.iter().all(|batch| batch.len() == 50 && batch.images.len() == 50 * 784));
    for (workers, prefetch) in [(1, 1), (2, 3), (5, 8), (3, 100)] {
        let config = LoaderConfig { prefetch, ..config(workers) };
        assert!(batches(&subset, config, 3, 0) == alone, "{workers} workers, {prefetch} ahead");
    }
    assert!(batches(&subset, config(2), 4, 0) != alone, "another epoch is another order");
    assert!(batches(&subset, LoaderConfig { seed: 8, ..config(2) }, 3, 0) != alone);
}

#[test]
fn the_batch_order_does_not_touch_augmentation() {
    // The same image in the same epoch looks the same whatever the batch size puts beside it.
    let subset = demo();
    let large = batches(&subset, LoaderConfig { batch_size: 1000, ..config(2) }, 0, 0);
    let small = batches(&subset, LoaderConfig { batch_size: 10, ..config(2) }, 0, 0);
    let joined: Vec<f32> = small.iter().flat_map(|batch| batch.images.iter().copied()).collect();
    assert_eq!(large.len(), 1);
    assert!(large[0].images == joined);
    let unshuffled = LoaderConfig { shuffle: false, ..config(2) };
    let in_order = batches(&subset, unshuffled, 0, 0);
    let index = large[0].indices[17];
    let row = &in_order[index / 50].images[index % 50 * 784..][..784];
    assert!(row == &large[0].images[17 * 784..][..784]);
}

#[test]
fn an_epoch_can_be_entered_in_the_middle() {
    let subset = demo();
    let whole = batches(&subset, config(2), 1, 0);
    for start in [1, 7, 19, 20, 99] {
        assert!(batches(&subset, config(2), 1, start) == whole[start.min(20)..], "from {start}");
    }
}

#[test]
fn every_image_comes_once_and_the_last_batch_is_kept_or_dropped() {
    let subset = demo();
    for (drop_last, want) in [(true, 15), (false, 16)] {
        let config = LoaderConfig { batch_size: 64, drop_last, ..config(2) };
        let all = batches(&subset, config.clone(), 0, 0);
        assert_eq!(all.len(), want);
        assert_eq!(Loader::new(subset.clone(), config).unwrap().batches_per_epoch(), want);
        let mut indices: Vec<usize> = all.iter().flat_map(|batch| batch.indices.clone()).collect();
        indices.sort_unstable();
        let count = indices.len();
        indices.dedup();
        assert_eq!(indices.len(), count, "no image twice");
        assert_eq!(count, if drop_last { 960 } else { 1000 });
        for batch in &all {
            for (&index, &label) in batch.indices.iter().zip(batch.labels()) {
                assert_eq!(label, subset.label(index));
            }
        }
    }
}

#[test]
fn evaluation_is_in_order_and_equals_the_preprocessing() {
    let subset = demo();
    let preprocessing = Preprocessing::exact(ColorMode::Rgb, 20, 24);
    let all = Loader::load_all(&subset, &preprocessing, 2).unwrap();
    assert_eq!(all.indices, (0..1000).collect::<Vec<_>>());
    assert_eq!(all.labels(), subset.labels());
    for i in [0, 63, 64, 999] {
        let want = preprocessing.apply(&subset.image(i).unwrap()).unwrap();
        assert!(all.images[i * want.len()..][..want.len()] == want);
    }
}

#[test]
fn an_iterator_can_be_dropped_early() {
    let loader = Loader::new(demo(), config(3)).unwrap();
    let mut epoch = loader.epoch(0);
    assert_eq!(epoch.remaining(), 20);
    assert!(epoch.next().unwrap().is_ok());
    assert_eq!(epoch.remaining(), 19);
    drop(epoch);
}

#[test]
fn impossible_batch_sizes_are_refused() {
    for batch_size in [0, 1001] {
        let err = Loader::new(demo(), LoaderConfig { batch_size, ..config(1) }).unwrap_err();
        assert!(err.to_string().contains("batch size"), "{err}");
    }
}

/// A store that fails at image 37, in one way or the other.
struct Faulty {
    panics: bool,
}

impl ImageStore for Faulty {
    fn len(&self) -> usize {
        100
    }

    fn image(&self, index: usize) -> Result<Image> {
        assert!(index != 37 || !self.panics, "a defect at image 37");
        if index == 37 {
            return Err(Error::Missing { path: "the disk".into() });
        }
        Ok(Image::filled(28, 28, 1, index as u8)?)
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        (28, 28)
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }
}

fn faulty(panics: bool) -> Subset {
    Subset::new(Arc::new(Faulty { panics }), (0..100).collect(), vec![0; 100], 1).unwrap()
}

#[test]
fn a_store_that_cannot_go_on_ends_the_epoch() {
    for workers in [0, 3] {
        let config = LoaderConfig { batch_size: 10, shuffle: false, ..config(workers) };
        let results: Vec<_> = Loader::new(faulty(false), config).unwrap().epoch(0).collect();
        assert_eq!(results.len(), 4, "three good batches, then the error");
        assert!(results[..3].iter().all(Result::is_ok));
        assert!(results[3].as_ref().unwrap_err().to_string().starts_with("the disk"));
    }
}

#[test]
fn a_panic_in_a_worker_reaches_the_consumer() {
    for workers in [0, 3] {
        let config = LoaderConfig { batch_size: 10, shuffle: false, ..config(workers) };
        let loader = Loader::new(faulty(true), config).unwrap();
        let mut good = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| loader.epoch(0).for_each(|_| good += 1)));
        assert!(outcome.is_err(), "the panic was lost");
        assert_eq!(good, 3);
    }
}
