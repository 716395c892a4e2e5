//! What the consumer gets, and how it is put together.

use crate::Targets;
use crate::error::Error;
use oculist_kernels::try_zeros;

/// Some images, ready for the network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// Dense NHWC: `[len][height][width][channels]`.
    pub images: Vec<f32>,
    /// What is to be told of each image.
    pub targets: Targets,
    /// The place of each image in the subset.
    pub indices: Vec<usize>,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True without images (all of them were unreadable).
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The one class of each image, for those who work with single labels alone.
    ///
    /// # Panics
    /// If images may have several labels.
    pub fn labels(&self) -> &[u32] {
        self.targets.labels()
    }
}

/// A batch in the making.
pub(super) struct Assembly {
    /// Rows of all places, whether filled or not.
    pub(super) images: Vec<f32>,
    /// The image that fills each place; None where none could be read.
    pub(super) rows: Vec<Option<u32>>,
    /// Images that could not be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// Chunks not yet done.
    pub(super) remaining: usize,
    /// What ended the making.
    pub(super) failure: Option<Failure>,
}

/// An image that could not be read.
pub(super) struct Unreadable {
    pub(super) index: u32,
    pub(super) error: Error,
}

/// Why a batch cannot be made.
pub(super) enum Failure {
    Error(Error),
    Panic(Box<dyn std::any::Any + Send>),
}

impl Assembly {
    /// Where there is no memory for the images, it has failed from the beginning.
    pub(super) fn new(rows: usize, row_len: usize, chunks: usize) -> Self {
        let what = format!("a batch of {rows} images");
        let (images, failure) = match try_zeros(rows.saturating_mul(row_len), &what) {
            Ok(images) => (images, None),
            Err(error) => (Vec::new(), Some(Failure::Error(error.into()))),
        };
        Self { images, rows: vec![None; rows], unreadable: Vec::new(), remaining: chunks, failure }
    }

    /// Closes the gaps and looks up the targets.
    pub(super) fn finish(mut self, row_len: usize, targets: &Targets) -> Batch {
        let mut filled = 0;
        for (place, row) in self.rows.iter().enumerate() {
            if row.is_some() {
                if filled < place {
                    self.images.copy_within(place * row_len..(place + 1) * row_len, filled * row_len);
                }
                filled += 1;
            }
        }
        self.images.truncate(filled * row_len);
        let indices: Vec<usize> = self.rows.into_iter().flatten().map(|index| index as usize).collect();
        Batch { images: self.images, targets: targets.select(&indices), indices }
    }
}
