//! Images that are decoded and resized once, and not in every epoch of every fold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use oculist_augment::{Image, Preprocessing, ResizeRule};
use oculist_data::{Error, ImageStore, Subset};

use crate::error::OculistError;
use crate::progress::{Progress, Watch, go_on};

/// Bytes that prepared images may take; those of larger sets are decoded in every epoch.
const BUDGET: usize = 1 << 30;

/// A subset as the network sees it, still bytes, with how it is prepared further: no more than normalised.
///
/// None where all images together would be too large for the memory.
///
/// # Errors
/// [`OculistError::Stopped`].
pub(super) fn prepare(
    subset: &Subset,
    preprocessing: &Preprocessing,
    threads: usize,
    watch: &mut Watch<'_>,
) -> Result<Option<(Subset, Preprocessing)>, OculistError> {
    let total = subset.len();
    if total.checked_mul(preprocessing.len()).is_none_or(|bytes| bytes > BUDGET) {
        return Ok(None);
    }
    let mut images: Vec<Option<Image>> = vec![None; total];
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (sender, receiver) = channel();
        for _ in 0..threads.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= total {
                        break;
                    }
                    // What cannot be read is asked for again, and refused again, where it is needed.
                    let image = subset.image(at).ok().and_then(|image| preprocessing.prepare(image).ok());
                    if sender.send((at, image)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (done, (at, image)) in receiver.iter().enumerate() {
            images[at] = image;
            watch.tell(Progress::Work { what: "labels, images", done: done + 1, total });
            // The receiver goes, and the threads end with their images.
            go_on(watch.stop)?;
        }
        Ok::<_, OculistError>(())
    })?;
    let size = (preprocessing.width, preprocessing.height);
    let store = Prepared { images, source: subset.clone(), size };
    let positions = (0..total as u32).collect();
    let targets = subset.targets().clone();
    let prepared = Subset::new(Arc::new(store), positions, targets, subset.classes())?;
    let rest = Preprocessing { resize: ResizeRule::Exact, ..preprocessing.clone() };
    Ok(Some((prepared, rest)))
}

/// Images as the network sees them; none of what could not be read.
struct Prepared {
    images: Vec<Option<Image>>,
    source: Subset,
    size: (usize, usize),
}

impl ImageStore for Prepared {
    fn len(&self) -> usize {
        self.images.len()
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        match self.images.get(index) {
            Some(Some(image)) => Ok(image.clone()),
            _ => self.source.image(index),
        }
    }

    fn size(&self, _index: usize) -> (usize, usize) {
        self.size
    }

    fn name(&self, index: usize) -> String {
        self.source.name(index)
    }

    fn is_decoded(&self) -> bool {
        true
    }
}
